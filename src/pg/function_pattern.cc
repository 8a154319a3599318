// SPDX-License-Identifier: Apache-2.0
// LIKE, ILIKE, their escape clauses, and the functions behind ~ and SIMILAR TO.
//
// An escape character at the very end of a pattern is an error in PostgreSQL when the match comes
// as far as that: unknown.
#include <string_view>

#include "pg/function_number.h"
#include "pg/function_regex.h"
#include "pg/function_table.h"
#include "pg/function_text.h"
#include "pg/function_utf8.h"
#include "pg/value_codec.h"

namespace pgcache::pg::builtin {

namespace {

// Steps of the matcher below; more are not spent on one pattern.
constexpr std::size_t kMatchStepsMax = 1 << 22;

enum class Unit : std::uint8_t { kBytes, kCharacters };

// One step of a pattern: % any string, _ any one unit, else a byte as it stands.
struct Token {
  enum class Kind : std::uint8_t { kAnyString, kAnyOne, kByte };
  Kind kind;
  char byte = 0;
};

std::optional<std::vector<Token>> tokens_of(std::string_view pattern) {
  std::vector<Token> out;
  out.reserve(pattern.size());
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '%') {
      out.push_back({Token::Kind::kAnyString});
    } else if (pattern[i] == '_') {
      out.push_back({Token::Kind::kAnyOne});
    } else {
      if (pattern[i] == '\\' && ++i == pattern.size()) return std::nullopt;
      out.push_back({Token::Kind::kByte, pattern[i]});
    }
  }
  return out;
}

// The text is consumed from left to right; on a mismatch the latest % takes one unit more.
// Nothing when it takes too long.
std::optional<bool> matches(const std::vector<Token>& pattern, std::string_view text, Unit unit) {
  const auto step = [&](std::size_t at) {
    return unit == Unit::kBytes ? std::size_t{1} : char_length(text[at]);
  };
  constexpr std::size_t kNone = std::string_view::npos;
  std::size_t at = 0;
  std::size_t token = 0;
  std::size_t retry_token = kNone;
  std::size_t retry_at = 0;
  for (std::size_t steps = 0; steps < kMatchStepsMax; ++steps) {
    if (token < pattern.size() && pattern[token].kind == Token::Kind::kAnyString) {
      retry_token = ++token;
      retry_at = at;
      continue;
    }
    if (token == pattern.size() && at == text.size()) return true;
    if (token < pattern.size() && at < text.size()) {
      if (pattern[token].kind == Token::Kind::kAnyOne) {
        at += step(at);
        ++token;
        continue;
      }
      if (pattern[token].byte == text[at]) {
        ++at;
        ++token;
        continue;
      }
    }
    if (retry_token == kNone || retry_at >= text.size()) return false;
    retry_at += step(retry_at);
    at = retry_at;
    token = retry_token;
  }
  return std::nullopt;
}

MaybeValue like(std::string_view text, std::string_view pattern, Unit unit, bool wanted) {
  const auto tokens = tokens_of(pattern);
  const auto matched = tokens ? matches(*tokens, text, unit) : std::nullopt;
  return matched ? bool_value(*matched == wanted) : MaybeValue{};
}

template <bool wanted>
MaybeValue like_text(const FunctionCall& call) {
  if (!call.context.deterministic) return {};
  return like(call.bytes(0), call.bytes(1), Unit::kCharacters, wanted);
}

template <bool wanted>
MaybeValue like_bytea(const FunctionCall& call) {
  return like(call.bytes(0), call.bytes(1), Unit::kBytes, wanted);
}

// PostgreSQL folds both sides with lower().
template <bool wanted>
MaybeValue ilike_text(const FunctionCall& call) {
  if (!call.context.deterministic) return {};
  const auto text = map_case(call.bytes(0), CaseMap::kLower, call.context);
  const auto pattern = map_case(call.bytes(1), CaseMap::kLower, call.context);
  return text && pattern ? like(*text, *pattern, Unit::kCharacters, wanted) : MaybeValue{};
}

// A pattern with another escape character as one with the backslash. `escape` is one character, or
// none at all.
std::string with_backslash(std::string_view pattern, std::string_view escape) {
  std::string out;
  bool escaped = false;
  for (CharReader in(pattern); !in.at_end();) {
    const std::string_view c = in.next();
    if (c == escape && !escaped) {
      out += '\\';
      escaped = true;
      continue;
    }
    if (c == "\\" && !escaped) out += '\\';
    out += c;
    escaped = false;
  }
  return out;
}

MaybeValue like_escape(const FunctionCall& call) {
  const std::string& escape = call.bytes(1);
  if (escape == "\\") return call.arguments[0];
  if (count_chars(escape) > 1) return {};
  return text_value(with_backslash(call.bytes(0), escape));
}

template <bool ignore_case, bool wanted>
MaybeValue regex(const FunctionCall& call) {
  if (!call.context.deterministic) return {};
  if (ignore_case && !call.context.ascii_case && !call.context.c_collation) return {};
  const auto matched = regex_matches(call.bytes(0), call.bytes(1), ignore_case);
  return matched ? bool_value(*matched == wanted) : MaybeValue{};
}

MaybeValue similar_escape(const FunctionCall& call) {
  const std::string_view escape =
      call.arguments.size() == 1 ? "\\" : std::string_view(call.bytes(1));
  auto out = similar_to_regex(call.bytes(0), escape);
  return out ? text_value(*std::move(out)) : MaybeValue{};
}

constexpr Oid kT = type::kText, kN = type::kName, kB = type::kBytea, kBool = type::kBool;

FunctionTable text_patterns() {
  FunctionTable table = {
      {850, "textlike", {kT, kT}, kBool, like_text<true>},
      {851, "textnlike", {kT, kT}, kBool, like_text<false>},
      {1569, "like", {kT, kT}, kBool, like_text<true>},
      {1570, "notlike", {kT, kT}, kBool, like_text<false>},
      {858, "namelike", {kN, kT}, kBool, like_text<true>},
      {859, "namenlike", {kN, kT}, kBool, like_text<false>},
      {1571, "like", {kN, kT}, kBool, like_text<true>},
      {1572, "notlike", {kN, kT}, kBool, like_text<false>},
      {1633, "texticlike", {kT, kT}, kBool, ilike_text<true>},
      {1634, "texticnlike", {kT, kT}, kBool, ilike_text<false>},
      {1635, "nameiclike", {kN, kT}, kBool, ilike_text<true>},
      {1636, "nameicnlike", {kN, kT}, kBool, ilike_text<false>},
      {1637, "like_escape", {kT, kT}, kT, like_escape},
      {1254, "textregexeq", {kT, kT}, kBool, regex<false, true>},
      {1256, "textregexne", {kT, kT}, kBool, regex<false, false>},
      {1238, "texticregexeq", {kT, kT}, kBool, regex<true, true>},
      {1239, "texticregexne", {kT, kT}, kBool, regex<true, false>},
      {79, "nameregexeq", {kN, kT}, kBool, regex<false, true>},
      {1252, "nameregexne", {kN, kT}, kBool, regex<false, false>},
      {1240, "nameicregexeq", {kN, kT}, kBool, regex<true, true>},
      {1241, "nameicregexne", {kN, kT}, kBool, regex<true, false>},
      {6263, "regexp_like", {kT, kT}, kBool, regex<false, true>},
      {1986, "similar_to_escape", {kT, kT}, kT, similar_escape},
      {1987, "similar_to_escape", {kT}, kT, similar_escape},
  };
  for (FunctionEntry& entry : table) entry.characters = true;
  return table;
}

}  // namespace

FunctionTable pattern_functions() {
  FunctionTable table = text_patterns();
  table.push_back({2005, "bytealike", {kB, kB}, kBool, like_bytea<true>});
  table.push_back({2006, "byteanlike", {kB, kB}, kBool, like_bytea<false>});
  table.push_back({2007, "like", {kB, kB}, kBool, like_bytea<true>});
  table.push_back({2008, "notlike", {kB, kB}, kBool, like_bytea<false>});
  return table;
}

}  // namespace pgcache::pg::builtin
