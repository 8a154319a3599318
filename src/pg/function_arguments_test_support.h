// SPDX-License-Identifier: Apache-2.0
// Seeded arguments for the tests of functions: spellings of every type, and for functions whose
// arguments mean something special (patterns, fields, lengths) such ones.
#pragma once

#include <string>
#include <string_view>

#include "pg/function_table.h"
#include "pg/value_more_spellings.h"
#include "pg/value_spellings.h"

namespace pgcache::pg::builtin {

// Words of few letters, so that one is often found within another.
inline std::string word_spelling(SpellingSource& s) {
  std::string text;
  const int length = s.one_in(10) ? s.below(40) : s.below(7);
  const bool ascii = s.one_in(2);
  for (int i = 0; i < length; ++i) {
    text += ascii ? s.pick({"a", "b", "A", "B", "1", " ", "_", "k", "-"})
                  : s.pick({"a", "b", "A", "K", " ", "%", "\\", "\n", "\xC3\xA9", "\xC3\x89",
                            "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "i", "I", "s"});
  }
  return text;
}

inline std::string like_spelling(SpellingSource& s) {
  std::string text;
  const int length = s.below(6);
  for (int i = 0; i < length; ++i) {
    text += s.pick({"%",    "%",        "_",          "a", "b", "A", "1", "\\%", "\\_", "\\a",
                    "\\\\", "\xC3\xA9", "\\\xC3\xA9", "#", "k", "|", "(", ")",   ".",   "$"});
  }
  if (s.one_in(20)) text += "\\";
  if (s.one_in(30)) text += s.pick({"[ab]", "\\\"a\\\""});
  return text;
}

inline std::string escape_spelling(SpellingSource& s) {
  return s.pick({"", "\\", "#", "%", "\xC3\xA9", "a", "ab", "#", "#", "_"});
}

inline std::string regex_bracket(SpellingSource& s) {
  std::string out = s.one_in(3) ? "[^" : "[";
  if (s.one_in(10)) out += s.pick({"]", "-", "[.a.]", "[=a=]"});
  const int length = s.below(3) + 1;
  for (int i = 0; i < length; ++i) {
    out += s.pick({"a",         "b",         "1",         "a-c",        "A-B",       "0-9",
                   " ",         "\xC3\xA9",  "[:alpha:]", "[:digit:]",  "[:space:]", "[:upper:]",
                   "[:lower:]", "[:punct:]", "[:alnum:]", "[:xdigit:]", "[:print:]", "[:graph:]",
                   "[:cntrl:]", "[:blank:]", "\\d",       "\\w",        "\\s",       "\\]",
                   "\\n",       "_",         "^",         "z-a",        "!-~",       "$",
                   ".",         "[",         "k"});
  }
  if (s.one_in(10)) out += "-";
  return out + "]";
}

inline std::string regex_spelling(SpellingSource& s, int depth = 0) {
  std::string out;
  const int length = s.below(4) + (depth == 0 ? 0 : 1);
  for (int i = 0; i < length; ++i) {
    switch (s.below(8)) {
      case 0:
        out += regex_bracket(s);
        break;
      case 1:
        if (depth < 3) out += s.pick({"(", "(?:"}) + regex_spelling(s, depth + 1) + ")";
        break;
      case 2:
        out += s.pick(
            {"\\d", "\\w", "\\s", "\\y", "\\Y", "\\D", "\\W", "\\S", "\\.", "\\n", "\\_", "\\*"});
        break;
      default:
        out += s.pick({"a", "b", "A", "1", ".", ".", " ", "_", "\xC3\xA9", "k", "-", "K"});
    }
    if (s.one_in(3)) {
      out += s.pick({"*", "+", "?", "{2}", "{1,2}", "{0,1}", "{1,}", "*?", "+?", "??", "{1,2}?"});
    }
    if (s.one_in(8)) out += s.pick({"|", "^", "$", "|a", "|^a", "$|"});
  }
  if (depth == 0 && s.one_in(4)) out.insert(0, "^");
  if (depth == 0 && s.one_in(4)) out += "$";
  // What has no certain meaning, or none at all.
  if (depth == 0 && s.one_in(12)) {
    out += s.pick({"**",     "(?i)a", "(?=a)", "\\1", "(a)\\1", "\\m", "{",   "a{3,2}",
                   "a{300}", "\\x41", "(",     ")",   "[",      "\\",  "a++", "^*",
                   "(?!b)",  "\\y",   "(|)",   "()",  "{,2}",   "}",   "]"});
  }
  if (depth == 0 && s.one_in(60)) out.insert(0, s.pick({"***=", "***:", "(?i)", "(?n)", "(?x)"}));
  return out;
}

inline std::string field_spelling(SpellingSource& s) {
  if (s.one_in(20)) return s.pick({"", "fortnight", "timezone", "yr", "seconds"});
  return any_case(
      s, s.pick({"microsecond", "microseconds", "millisecond", "milliseconds", "second",  "minute",
                 "hour",        "day",          "week",        "month",        "quarter", "year",
                 "decade",      "century",      "millennium",  "dow",          "isodow",  "doy",
                 "isoyear",     "epoch",        "julian"}));
}

inline std::string small_integer(SpellingSource& s, int limit) {
  if (s.one_in(30)) return s.pick({"2147483647", "-2147483648", "1000000000", "2147483646"});
  return std::to_string(s.below(2 * limit) - limit);
}

// Days and times of all ages, not only those that are easily read.
inline std::string any_date(SpellingSource& s) {
  if (s.one_in(3)) return date_spelling(s);
  const int year = s.one_in(3) ? 1 + s.below(5000) : 1950 + s.below(100);
  return s.padded(year, 4) + "-" + s.padded(1 + s.below(12), 2) + "-" +
         s.padded(1 + s.below(28), 2);
}

inline std::string any_time(SpellingSource& s) {
  if (s.one_in(3)) return time_spelling(s);
  std::string out =
      s.padded(s.below(24), 2) + ":" + s.padded(s.below(60), 2) + ":" + s.padded(s.below(60), 2);
  return s.one_in(2) ? out + "." + s.padded(s.below(1000000), 6) : out;
}

inline std::string any_timestamp(SpellingSource& s) {
  if (s.one_in(4)) return timestamp_spelling(s);
  return any_date(s) + " " + any_time(s);
}

// Of few months, days and hours, mostly.
inline std::string any_interval(SpellingSource& s) {
  if (s.one_in(6)) return interval_spelling(s);
  const auto part = [&](int limit, const char* unit) {
    return s.one_in(2) ? std::to_string(s.below(2 * limit) - limit) + unit : std::string();
  };
  return part(s.one_in(4) ? 5000 : 30, " mons ") + part(s.one_in(4) ? 40000 : 70, " days ") +
         part(90, " hours ") + part(4000, " mins ") + "0." + s.digits(6) + " secs";
}

inline std::string spelling_of(Oid type, SpellingSource& s) {
  if (type == type::kBool) return bool_spelling(s);
  if (type == type::kInt2 || type == type::kInt4 || type == type::kInt8 || type == type::kOid) {
    return integer_spelling(s);
  }
  if (type == type::kNumeric) return numeric_spelling(s);
  if (type == type::kFloat4 || type == type::kFloat8) return float_spelling(s);
  if (type == type::kName) return s.one_in(6) ? name_spelling(s) : word_spelling(s);
  if (type == type::kBytea) return bytea_spelling(s);
  if (type == type::kUuid) return uuid_spelling(s);
  if (type == type::kDate) return any_date(s);
  if (type == type::kTime) return any_time(s);
  if (type == type::kTimestamp) return any_timestamp(s);
  if (type == type::kTimestamptz) return any_timestamp(s) + s.pick({"Z", "+02", "-05:30"});
  if (type == type::kInterval) return any_interval(s);
  return s.one_in(4) ? text_spelling(s) : word_spelling(s);
}

inline bool is_among(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

// An argument of a function, fit for what it means there.
inline std::string argument_spelling(const FunctionEntry& f, std::size_t i, SpellingSource& s) {
  const std::string_view name = f.name;
  const bool bytea = f.arguments[0] == type::kBytea;
  if (name.find("regex") != std::string_view::npos && i == 1) return regex_spelling(s);
  if (name.find("escape") != std::string_view::npos) {
    return i == 0 ? like_spelling(s) : escape_spelling(s);
  }
  if (name.find("like") != std::string_view::npos && i == 1 && !bytea) return like_spelling(s);
  if (is_among(name, {"extract", "date_part", "date_trunc"}) && i == 0) return field_spelling(s);
  if (name == "timezone" && i == 0) {
    return any_case(s, s.pick({"UTC", "GMT", "Etc/UTC", "UTC", "Asia/Kolkata", "EST", "+02"}));
  }
  if (f.arguments[i] == type::kFloat8 && name.find("interval") != std::string_view::npos) {
    return s.one_in(4) ? float_spelling(s)
                       : s.pick({"1", "2", "-3", "0.5", "10", "1.5", "7", "-1"});
  }
  if (name == "chr") return std::to_string(s.below(1 << (1 + s.below(21))) - s.below(2));
  // Nothing that takes a gigabyte.
  if (is_among(name, {"repeat", "lpad", "rpad"}) && i == 1) return std::to_string(s.below(30) - 4);
  if (name == "make_date") return small_integer(s, i == 0 ? 3000 : i == 1 ? 14 : 33);
  if (name.ends_with("shl") || name.ends_with("shr")) {
    return i == 0 ? integer_spelling(s) : s.one_in(8) ? small_integer(s, 70) : s.digits(1);
  }
  if (f.arguments[i] == type::kInt4 && i > 0 && !is_among(name, {"date_pli", "date_mii"}) &&
      f.arguments[0] != type::kInt4 && f.arguments[0] != type::kInt2 &&
      f.arguments[0] != type::kInt8) {
    return small_integer(s, 9);
  }
  if (is_among(name, {"date_pli", "date_mii", "integer_pl_date"}) &&
      f.arguments[i] == type::kInt4 && !s.one_in(10)) {
    return small_integer(s, 100000);
  }
  return spelling_of(f.arguments[i], s);
}

}  // namespace pgcache::pg::builtin
