// SPDX-License-Identifier: Apache-2.0
// Internal to pg: PostgreSQL's regular expressions (manual, 9.7.3), as far as RE2 can decide them
// exactly. Only whether there is a match, so greediness and captures do not count.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pgcache::pg::builtin {

// A pattern in RE2's syntax with the same meaning.
struct TranslatedRegex {
  std::string re2;
  // The meaning is the same on texts in ASCII only (classes such as \w, case).
  bool ascii_texts_only = false;
};

// Nothing for what is an error and for what is not certain to mean the same: back references,
// lookaround, word boundaries, embedded options, collating elements ...
std::optional<TranslatedRegex> translate_regex(std::string_view pattern, bool ignore_case);

// Whether `text` matches; both are valid UTF-8. With `ignore_case` the collation has to treat ASCII
// letters as in English. Compiled patterns are kept per thread, a bounded number of them.
std::optional<bool> regex_matches(std::string_view text, std::string_view pattern,
                                  bool ignore_case);

// The regular expression that SIMILAR TO uses for a pattern. An empty `escape`: there is none.
// Nothing for what is an error, and for brackets, whose conversion changed between versions.
std::optional<std::string> similar_to_regex(std::string_view pattern, std::string_view escape);

}  // namespace pgcache::pg::builtin
