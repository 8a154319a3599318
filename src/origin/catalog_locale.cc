// SPDX-License-Identifier: Apache-2.0
// Locales by name.
#include "origin/catalog_locale.h"

#include <algorithm>
#include <array>

namespace pgcache::origin {
namespace {

// Languages whose i has its dot and whose other ASCII letters are plain. Turkish, Azeri and
// Lithuanian differ, and so do languages whose glibc locale copies one of those (Crimean Tatar,
// Kurdish, Berber ...): so what is not listed does not count.
constexpr auto kLanguages = std::to_array<std::string_view>(
    {"bg", "ca", "cs", "da", "de", "el", "en", "es", "et", "eu", "fi", "fr", "ga", "gl",
     "he", "hr", "hu", "id", "is", "it", "ja", "ko", "lv", "ms", "nb", "nl", "nn", "no",
     "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sv", "uk", "vi", "zh"});

// "en" of "en_US.UTF-8", "en-US-u-co-phonebk", "en@euro".
std::string_view language_of(std::string_view locale) {
  return locale.substr(0, locale.find_first_of("_-.@"));
}

bool is_plain(std::string_view language) {
  return std::find(kLanguages.begin(), kLanguages.end(), language) != kLanguages.end();
}

}  // namespace

bool maps_ascii_as_english(char provider, std::string_view locale) {
  const std::string_view language = language_of(locale);
  switch (provider) {
    case kLibcProvider:
      return language == "C" || language == "POSIX" || is_plain(language);
    case kIcuProvider:
      return language.empty() || language == "und" || language == "root" || is_plain(language);
    case kBuiltinProvider:
      return true;  // C, C.UTF-8, PG_UNICODE_FAST: Unicode's mapping without a language
    default:
      return false;
  }
}

}  // namespace pgcache::origin
