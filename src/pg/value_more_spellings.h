// SPDX-License-Identifier: Apache-2.0
// Seeded spellings, as in value_spellings.h, of times with zones, intervals, addresses, documents,
// and of arrays, enums and domains made of such.
#pragma once

#include <string>

#include "pg/value_spellings.h"

namespace pgcache::pg {

inline std::string timetz_spelling(SpellingSource& s) {
  static constexpr const char* kEdges[] = {"24:00:00+00",
                                           "24:00:00-15:59:59",
                                           "00:00:00+15:59:59",
                                           "10:00:00",
                                           "10:00:00 UTC",
                                           "10:00 PM+02",
                                           "2024-01-01 10:00:00+02",
                                           "10:00:00 America/New_York",
                                           "allballs",
                                           "100000+02",
                                           "T10:00:00Z",
                                           "12:00+0530"};
  if (s.one_in(10)) return s.pick(kEdges);
  return s.damaged(plain_time(s) +
                   s.pick({"Z", "+00", "-00", "+01", "-01", "+01:00", "+0100", " +01", "+05:30",
                           "-05:30", "+15:59:59", "-15:59:59", "+16", "+00:00:01", "+1", "z", ""}));
}

inline std::string interval_number(SpellingSource& s) {
  const std::string sign = s.one_in(4) ? s.pick({"-", "-", "+"}) : "";
  if (s.one_in(40))
    return sign + s.pick({"178956970", "178956971", "2147483647", "2147483648", "2562047788",
                          "999999999"});
  return sign +
         (s.one_in(12) ? s.digits(1 + s.below(7)) : s.pick({"0", "1", "2", "30", "24", "7"}));
}

inline std::string postgres_interval(SpellingSource& s) {
  static constexpr const char* kUnits[] = {
      " year", " years", " mon",  " mons",  " month",   " months", " week", " weeks",  " day",
      " days", " DAYS",  " hour", " hours", " minutes", " mins",   " secs", " seconds"};
  std::string text;
  // In descending order, mostly.
  for (int unit = s.below(6); unit < 17 && !s.one_in(4); unit += 1 + s.below(6)) {
    if (!text.empty()) text += ' ';
    text += interval_number(s);
    if (s.one_in(12)) text += s.pick({".5", ".25", ".000001", ".1234567"});
    text += kUnits[s.one_in(10) ? s.below(17) : unit];
  }
  if (text.empty() || s.one_in(3)) {
    if (!text.empty()) text += ' ';
    if (s.one_in(3)) text += s.pick({"-", "+"});
    text += s.one_in(8) ? s.pick({"720:00:00", "24:00", "9999999:59:59.999999", "1:2:3", "04:05.5"})
                        : plain_time(s);
  }
  return text;
}

inline std::string iso_interval(SpellingSource& s) {
  std::string text = "P";
  for (const char* const unit : {"Y", "M", "W", "D"}) {
    if (s.one_in(3)) text += interval_number(s) + unit;
  }
  if (s.one_in(2)) text += "T";
  for (const char* const unit : {"H", "M", "S"}) {
    if (!s.one_in(3)) continue;
    text += interval_number(s);
    if (s.one_in(4)) text += s.pick({".5", ".000001", ".999999", ".25"});
    text += unit;
  }
  return text;
}

inline std::string interval_spelling(SpellingSource& s) {
  static constexpr const char* kEdges[] = {"1 mon",
                                           "30 days",
                                           "720:00:00",
                                           "1 day",
                                           "24:00:00",
                                           "-1 mon",
                                           "-30 days",
                                           "-1 1:00:00",
                                           "1-2",
                                           "-1-2 3 4:05:06",
                                           "1 day ago",
                                           "@ 1 day",
                                           "1",
                                           "1:30",
                                           "P1Y2M3DT4H5M6S",
                                           "P0001-02-03",
                                           "PT36H",
                                           "P1.5D",
                                           "1.5 days",
                                           "-1 days 02:03:04",
                                           "",
                                           "-1 days 2 hours",
                                           "infinity",
                                           "-2 mons +3 days",
                                           "P",
                                           "PT",
                                           "-1 years 2 mons",
                                           "-1 years +2 mons 3 days",
                                           "1 d",
                                           "1day",
                                           "1 days 3600.500000 seconds",
                                           "-0.5 seconds",
                                           "0 years 0 mons 1 days 0 hours 0 mins 0.0 secs",
                                           "200000000 weeks",
                                           "-00:00:00.000001"};
  if (s.one_in(4)) return s.pick(kEdges);
  return s.damaged(s.one_in(3) ? iso_interval(s) : postgres_interval(s));
}

inline std::string address_v4_spelling(SpellingSource& s) {
  std::string text = s.pick({"10", "10", "192", "0", "255", "256", "010"});
  for (int i = 0; i < 3; ++i)
    text += "." + std::string(s.pick({"0", "0", "1", "128", "255", "64"}));
  return text;
}

inline std::string address_v6_spelling(SpellingSource& s) {
  static constexpr const char* kEdges[] = {"::",
                                           "::1",
                                           "1::",
                                           "2001:db8::1",
                                           "2001:DB8:0:0:0:0:0:1",
                                           "2001:0db8::0001",
                                           "::ffff:1.2.3.4",
                                           "::1.2.3.4",
                                           "::ffff:102:304",
                                           "1:2:3:4:5:6:7:8",
                                           "1:2:3:4:5:6:7::",
                                           "::2:3:4:5:6:7:8",
                                           "1::3:4:5:6:7:8",
                                           "1:2:3:4:5:6:1.2.3.4",
                                           "1:2:3:4:5:6:7:8:9",
                                           "1::2::3",
                                           ":1",
                                           "1:",
                                           ":::",
                                           "12345::",
                                           "fe80::1%eth0",
                                           "1:2:3:4:5:6:7",
                                           "::1.2.3",
                                           "1.2.3.4::",
                                           "64:ff9b::192.0.2.33"};
  if (s.one_in(2)) return any_case(s, s.pick(kEdges));
  std::string text = s.pick({"2001:db8:", "2001:0DB8:", "fe80:", "0:"});
  for (int i = s.below(3); i > 0; --i) text += std::string(s.pick({"0", "1", "a0", "FFFF"})) + ":";
  return text + ":" + s.pick({"0", "1", "a", "A", "8000", ""});
}

inline std::string inet_spelling(SpellingSource& s) {
  static constexpr const char* kEdges[] = {"10.1",      "10/8",       "10.1.2.3/08", "10.1.2.3/33",
                                           "::1/129",   "10.0.0.0/0", "::/0",        "0x0a.1.1.1",
                                           "10.1.2.3/", "",           "10.1.2.3/24 "};
  if (s.one_in(10)) return s.pick(kEdges);
  const bool v6 = s.one_in(3);
  std::string text = v6 ? address_v6_spelling(s) : address_v4_spelling(s);
  if (s.one_in(2)) {
    text += v6 ? s.pick({"/128", "/64", "/0", "/127", "/33", "/48"})
               : s.pick({"/32", "/24", "/8", "/0", "/25", "/16", "/9"});
  }
  return s.damaged(text);
}

// Often with its host bits clear.
inline std::string cidr_spelling(SpellingSource& s) {
  if (s.one_in(3)) return inet_spelling(s);
  return s.damaged(s.pick({"10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.0.0.0", "10.1.0.0/16",
                           "10.1.2.3", "10.1.2.3/32", "192.168.0.0/24", "0.0.0.0/0", "224.0.0.0",
                           "2001:db8::/32", "2001:db8::/33", "2001:DB8:8000::/33", "::/0",
                           "2001:db8::1", "2001:db8::1/128", "::ffff:0:0/96", "fe80::/10"}));
}

inline std::string mac_spelling(SpellingSource& s) {
  static constexpr const char* kEdges[] = {"08:00:2b:01:02:03",
                                           "08-00-2b-01-02-03",
                                           "08002b:010203",
                                           "08002b-010203",
                                           "0800.2b01.0203",
                                           "0800-2b01-0203",
                                           "08002b010203",
                                           "8:0:2b:1:2:3",
                                           "08:00:2b:01:02",
                                           "08:00-2b:01:02:03",
                                           "08002b.010203",
                                           "0800:2b01:0203",
                                           "08:00:2b:ff:fe:01:02:03",
                                           "08002bfffe010203",
                                           "0800.2bff.fe01.0203",
                                           "0800-2bff-fe01-0203",
                                           "08-00-2b-ff-fe-01-02-03",
                                           "08002b:fffe010203",
                                           "08:00:2b:01:02:03 ",
                                           "ff:ff:ff:ff:ff:ff",
                                           "00:00:00:00:00:00",
                                           "80:00:00:00:00:00",
                                           "7f:ff:ff:ff:ff:ff",
                                           "08.00.2b.01.02.03",
                                           "08002bfffe:010203",
                                           ""};
  std::string text = s.pick(kEdges);
  const std::size_t last = text.rfind("03");
  if (last != std::string::npos) text.replace(last, 2, s.pick({"03", "04", "FF"}));
  return s.damaged(any_case(s, text));
}

inline std::string char_spelling(SpellingSource& s) {
  return s.pick({"", "a", "b", "A", " ", "0", "\\", "\"", "\\101", "ab", "NULL", "{", "~", "\x7F"});
}

inline std::string json_number(SpellingSource& s) {
  return s.pick({"0",
                 "-0",
                 "0.0",
                 "1",
                 "1.0",
                 "1e0",
                 "10e-1",
                 "0.1e1",
                 "2",
                 "-2",
                 "20",
                 "2e1",
                 "2E+1",
                 "01",
                 "1.",
                 ".5",
                 "+1",
                 "NaN",
                 "1e",
                 "0x1",
                 "1e400",
                 "1e131072",
                 "123456789012345678901234567890",
                 "0.10",
                 "0.1"});
}

inline std::string json_string(SpellingSource& s) {
  return "\"" +
         s.pick({"",
                 "a",
                 "b",
                 "ab",
                 "\\u0061",
                 "\\n",
                 "\\u000a",
                 "\\u000A",
                 "\\u00e9",
                 "@",
                 "\\/",
                 "/",
                 "\\\\",
                 "\\\"",
                 "\\u0000",
                 "\\ud83d",
                 "\\ud83d\\ude00",
                 "\\uDE00",
                 "\\u20ac",
                 "\\u12",
                 "\\x",
                 "\n",
                 "1",
                 "\\u007f",
                 "\\u0800",
                 "\\uffff",
                 "\\b\\f\\r\\t"}) +
         "\"";
}

inline std::string json_spaces(SpellingSource& s) {
  return s.one_in(6) ? s.pick({" ", "\n", "\t", "\r", "  ", "\v"}) : std::string();
}

inline std::string json_item(SpellingSource& s, int depth) {
  std::string text = json_spaces(s);
  const int kind = s.below(depth > 3 ? 3 : 5);
  if (kind == 0) {
    text += s.pick({"true", "false", "null", "null", "True"});
  } else if (kind == 1) {
    text += json_number(s);
  } else if (kind == 2) {
    text += json_string(s);
  } else {
    const bool object = kind == 3;
    text += object ? "{" : "[";
    const int count = s.below(4);
    for (int i = 0; i < count; ++i) {
      if (i > 0) text += ",";
      if (object) text += json_spaces(s) + "\"" + s.pick({"a", "b", "aa", "\\u0061", ""}) + "\":";
      text += json_item(s, depth + 1);
    }
    text += json_spaces(s) + (object ? "}" : "]");
  }
  return text + json_spaces(s);
}

inline std::string jsonb_spelling(SpellingSource& s) {
  static constexpr const char* kEdges[] = {R"({"a":1,"b":2})",
                                           R"({"b":2.0,"a":1e0})",
                                           R"({"a":3,"b":2,"a":1})",
                                           "[]",
                                           "{}",
                                           "[1]",
                                           "1",
                                           "[[]]",
                                           "[null]",
                                           "null",
                                           R"([1,"1"])",
                                           R"({"a":{"b":[1,2]}})",
                                           R"({"a":{"b":[1, 2.00]}})",
                                           "",
                                           "[1,]",
                                           "{\"a\"}",
                                           "[1 2]",
                                           "{1:2}",
                                           "1 2",
                                           "{}}"};
  std::string text = s.damaged(s.one_in(3) ? s.pick(kEdges) : json_item(s, 0));
  // Whole, since half a character could not even be sent.
  for (std::size_t at; (at = text.find('@')) != std::string::npos;) {
    text.replace(at, 1, "\xC3\xA9");
  }
  return text;
}

inline std::string color_spelling(SpellingSource& s) {
  return s.pick({"red", "green", "blue", "a b", "NULL", "null", "Red", "red ", "", "\xC3\xA9"});
}

inline std::string small_integer_spelling(SpellingSource& s) {
  if (s.one_in(40)) return s.pick({"x", "", "1.0", "2147483648"});
  return s.pick({"1", "2", "3", "01", "-1", " 2", "+3 ", "0", "-0", "10"});
}

inline std::string small_numeric_spelling(SpellingSource& s) {
  if (s.one_in(40)) return s.pick({"x", "", "1e200000"});
  return s.pick({"1", "1.0", "1.00", "-1", "10e-1", "NaN", "0", "-0.0", "2.5", "Infinity"});
}

inline std::string small_float_spelling(SpellingSource& s) {
  if (s.one_in(40)) return s.pick({"x", "", "1e400"});
  return s.pick({"1", "1.0", "-1", "NaN", "nan", "0", "-0", "2.5", "Infinity", "-inf", "1e-320"});
}

// One of an array's elements as its text form writes it.
inline std::string array_item(SpellingSource& s, const std::string& element) {
  if (s.one_in(8)) return s.pick({"NULL", "null", "Null"});
  if (!element.empty() && s.one_in(2) &&
      element.find_first_of("{}\",\\ \t\n\v\f\r") == std::string::npos) {
    return s.one_in(6) ? " " + element + "\t" : element;
  }
  std::string text = "\"";
  for (const char c : element) {
    const bool must = c == '"' || c == '\\';
    // A backslash may stand before any other sign of ASCII too.
    if (must || (s.one_in(12) && static_cast<unsigned char>(c) < 0x80)) text += '\\';
    text += c;
  }
  text += "\"";
  return s.one_in(8) ? " " + text + " " : text;
}

template <std::string (*element)(SpellingSource&)>
std::string array_level(SpellingSource& s, int length, int depth) {
  std::string text = "{";
  for (int i = 0; i < length; ++i) {
    if (i > 0) text += ",";
    text += depth > 1 ? array_level<element>(s, s.one_in(40) ? 1 : length, depth - 1)
                      : array_item(s, element(s));
  }
  return text + "}";
}

template <std::string (*element)(SpellingSource&)>
std::string array_spelling(SpellingSource& s) {
  static constexpr const char* kEdges[] = {"{}",
                                           "{ }",
                                           "",
                                           "{",
                                           "}",
                                           "{{}}",
                                           "{{},{}}",
                                           "[1:0]={}",
                                           "{1",
                                           "{1}}",
                                           "{,}",
                                           "{1,}",
                                           "{{1},2}",
                                           "{1,{2}}",
                                           "{{1},{2,3}}",
                                           "{1}x",
                                           " {1} ",
                                           "{\"\"}",
                                           "[1:1]={1}",
                                           "[0:0]={1}",
                                           "[2]={1,2}",
                                           "{\"1\"1}",
                                           "{1\"1\"}",
                                           "[1:2]={1}",
                                           "{1}{2}",
                                           "{{{{{{1}}}}}}",
                                           "{{{{{{{1}}}}}}}",
                                           "[2147483647:2147483647]={1}",
                                           "[2147483646:2147483646]={1}",
                                           "[-2147483648:-2147483648]={1}",
                                           "[1:1]{1}",
                                           "{a\\b}"};
  if (s.one_in(8)) return s.pick(kEdges);
  const int depth = s.one_in(4) ? 2 + s.below(2) : 1;
  const int length = depth > 1 ? 1 + s.below(2) : s.below(4);
  std::string text;
  if (s.one_in(6)) {
    for (int i = 0; i < depth; ++i) {
      const int lower = s.below(3) - 1;
      text += "[" + std::to_string(lower) + ":" + std::to_string(lower + length - 1) + "]";
    }
    text += "=";
  }
  text += array_level<element>(s, length, depth);
  // Not where it could cut a character.
  return text.find('\xC3') == std::string::npos && text.find('\xE2') == std::string::npos
             ? s.damaged(text)
             : text;
}

}  // namespace pgcache::pg
