// SPDX-License-Identifier: Apache-2.0
// Compiled patterns, by thread.
#include "pg/function_regex.h"

#include <re2/re2.h>

#include <memory>
#include <unordered_map>

#include "pg/function_utf8.h"

namespace pgcache::pg::builtin {

namespace {

constexpr std::size_t kPatternsMax = 64;        // per thread
constexpr std::size_t kTextBytesMax = 1 << 20;  // longer texts are not searched
constexpr std::int64_t kCompiledBytesMax = 1 << 20;

// Null when the pattern has no translation, so that it is not tried again.
struct Compiled {
  std::unique_ptr<const re2::RE2> regex;
  bool ascii_texts_only = false;
};

Compiled compile(std::string_view pattern, bool ignore_case) {
  const auto translated = translate_regex(pattern, ignore_case);
  if (!translated) return {};
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kCompiledBytesMax);
  options.set_never_capture(true);
  auto regex = std::make_unique<const re2::RE2>(
      re2::StringPiece(translated->re2.data(), translated->re2.size()), options);
  if (!regex->ok()) return {};
  return {std::move(regex), translated->ascii_texts_only};
}

const Compiled& compiled(std::string_view pattern, bool ignore_case) {
  thread_local std::unordered_map<std::string, Compiled> cache;
  std::string key(1, ignore_case ? 'i' : ' ');
  key += pattern;
  const auto it = cache.find(key);
  if (it != cache.end()) return it->second;
  if (cache.size() >= kPatternsMax) cache.clear();
  Compiled made = compile(pattern, ignore_case);
  return cache.emplace(std::move(key), std::move(made)).first->second;
}

}  // namespace

std::optional<bool> regex_matches(std::string_view text, std::string_view pattern,
                                  bool ignore_case) {
  if (text.size() > kTextBytesMax) return std::nullopt;
  const Compiled& found = compiled(pattern, ignore_case);
  if (!found.regex || (found.ascii_texts_only && !is_ascii(text))) return std::nullopt;
  const re2::StringPiece subject(text.data(), text.size());
  return found.regex->Match(subject, 0, text.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

}  // namespace pgcache::pg::builtin
