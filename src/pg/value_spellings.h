// SPDX-License-Identifier: Apache-2.0
// Seeded spellings of values for tests: from small sets of values, so that equal ones are frequent,
// written in many ways, and some of them damaged.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

namespace pgcache::pg {

class SpellingSource {
 public:
  explicit SpellingSource(std::uint64_t seed) : random_(seed) {}

  std::uint64_t bits() { return random_(); }
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
  bool one_in(int n) { return below(n) == 0; }
  template <std::size_t N>
  std::string pick(const char* const (&choices)[N]) {
    return choices[below(static_cast<int>(N))];
  }
  std::string padded(int value, int width) {
    std::array<char, 16> out;
    std::snprintf(out.data(), out.size(), "%0*d", width, value);
    return out.data();
  }
  std::string digits(int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += static_cast<char>('0' + below(10));
    return out;
  }
  // Blanks around it now and then.
  std::string spaced(std::string text) {
    if (one_in(8)) text.insert(text.begin(), " \t\n\v\f\r"[below(6)]);
    if (one_in(8)) text += " \t\n\v\f\r"[below(6)];
    return text;
  }
  // One character more, less, or other, in one of eight.
  std::string damaged(std::string text) {
    if (!one_in(8)) return text;
    constexpr std::string_view kNoise = "0123456789+-:. eEinTZzx_{}\\/ft,B";
    const char noise = kNoise[static_cast<std::size_t>(below(static_cast<int>(kNoise.size())))];
    const auto at = static_cast<std::size_t>(below(static_cast<int>(text.size()) + 1));
    if (text.empty() || one_in(3)) return text.insert(std::min(at, text.size()), 1, noise);
    const std::size_t place = std::min(at, text.size() - 1);
    if (one_in(2)) return text.erase(place, 1);
    text[place] = noise;
    return text;
  }

 private:
  std::mt19937_64 random_;
};

inline std::string any_case(SpellingSource& s, std::string text) {
  if (s.one_in(2)) return text;
  for (char& c : text) {
    if (c >= 'a' && c <= 'z' && s.one_in(2)) c = static_cast<char>(c - 32);
  }
  return text;
}

inline std::string bool_spelling(SpellingSource& s) {
  std::string word =
      s.pick({"true", "false", "yes", "no", "on", "off", "1", "0", "t", "f", "tr", "of"});
  if (s.one_in(4))
    word.resize(1 + static_cast<std::size_t>(s.below(static_cast<int>(word.size()))));
  return s.damaged(s.spaced(any_case(s, word)));
}

inline std::string integer_spelling(SpellingSource& s) {
  static constexpr const char* kEdges[] = {"32767",
                                           "32768",
                                           "-32768",
                                           "-32769",
                                           "2147483647",
                                           "2147483648",
                                           "-2147483648",
                                           "-2147483649",
                                           "4294967295",
                                           "4294967296",
                                           "9223372036854775807",
                                           "9223372036854775808",
                                           "-9223372036854775808",
                                           "-9223372036854775809",
                                           "",
                                           "0x10",
                                           "0b1",
                                           "0o17",
                                           "1_000",
                                           "1e3",
                                           "1.0"};
  if (s.one_in(10)) return s.spaced(s.pick(kEdges));
  std::string text = s.one_in(3)
                         ? std::to_string(static_cast<std::int64_t>(s.bits()) >> s.below(64))
                         : std::to_string(s.below(30) - 10);
  if (text[0] != '-') {
    if (s.one_in(6)) text.insert(0, "00");
    if (s.one_in(8)) text.insert(0, "+");
  }
  return s.damaged(s.spaced(text));
}

// Digits with a point somewhere, and at times an exponent.
inline std::string decimal_spelling(SpellingSource& s) {
  std::string text = s.digits(s.below(s.one_in(8) ? 40 : 3));
  if (s.one_in(2)) text += "." + s.digits(s.below(s.one_in(8) ? 40 : 3));
  if (s.one_in(3)) text += std::string(static_cast<std::size_t>(s.below(6)), '0');
  if (s.one_in(4)) text += s.pick({"e0", "e1", "E-1", "e+2", "e-2", "e10", "e-30", "e40"});
  if (s.one_in(3)) text.insert(0, s.pick({"-", "-", "+", "00"}));
  return text;
}

inline std::string numeric_spelling(SpellingSource& s) {
  static constexpr const char* kEdges[] = {
      "NaN",      "nan",      "Infinity",   "-Infinity", "inf",       "-inf",
      "+inf",     "+NaN",     "-nan",       "0",         "-0",        "0.00",
      "1e131071", "1e131072", "1e-16383",   "1e-16384",  "-0e-16383", "0e-16384",
      "0e131080", "1e5000",   "0.1e131072", "10e-16383", ".",         "1.",
      ".5",       "",         "1e",         "0x1F",      "1_000"};
  if (s.one_in(8)) return s.spaced(any_case(s, s.pick(kEdges)));
  return s.damaged(s.spaced(decimal_spelling(s)));
}

inline std::string float_spelling(SpellingSource& s) {
  static constexpr const char* kEdges[] = {"NaN",
                                           "nan",
                                           "Infinity",
                                           "-Infinity",
                                           "inf",
                                           "-inf",
                                           "+inf",
                                           "-nan",
                                           "0",
                                           "-0",
                                           "-0.0",
                                           "1e308",
                                           "1.8e308",
                                           "1e309",
                                           "4.9e-324",
                                           "5e-324",
                                           "1e-323",
                                           "2e-324",
                                           "1e-400",
                                           "0e-400",
                                           "3.4028235e38",
                                           "3.4028236e38",
                                           "1e39",
                                           "1e-45",
                                           "7e-46",
                                           "1e-50",
                                           "0x1p3",
                                           "0x10",
                                           ".",
                                           "",
                                           "1e",
                                           "2.2250738585072011e-308",
                                           "9007199254740993",
                                           "0.1",
                                           "16777217",
                                           "1.17549435e-38"};
  if (s.one_in(6)) return s.spaced(any_case(s, s.pick(kEdges)));
  if (s.one_in(3)) {
    std::array<char, 40> out;
    double value = 0;
    const std::uint64_t bits = s.bits();
    std::memcpy(&value, &bits, sizeof value);
    const float narrow = static_cast<float>(s.below(1000)) / 7.0F;
    std::snprintf(out.data(), out.size(), "%.17g",
                  s.one_in(2) ? value : static_cast<double>(narrow));
    return s.spaced(out.data());
  }
  return s.damaged(s.spaced(decimal_spelling(s)));
}

inline std::string text_spelling(SpellingSource& s) {
  std::string text;
  const int length = s.below(4);
  for (int i = 0; i < length; ++i) {
    text += s.pick(
        {"a", "A", "b", "z", " ", "\t", "'", "\\", "\"", "\xC3\xA9", "\xE2\x82\xAC", "0", "-"});
  }
  return text + std::string(static_cast<std::size_t>(s.one_in(3) ? s.below(3) : 0), ' ');
}

inline std::string name_spelling(SpellingSource& s) {
  std::string text = text_spelling(s);
  if (s.one_in(6)) text += std::string(static_cast<std::size_t>(55 + s.below(15)), 'n');
  return text;
}

inline std::string bytea_spelling(SpellingSource& s) {
  std::string text;
  const int length = s.below(4);
  if (s.one_in(2)) {
    text = "\\x";
    for (int i = 0; i < length; ++i) {
      text += s.pick({"00", "ff", "FF", "61", "5c", "0A", "7f", "80"});
      if (s.one_in(6)) text += s.pick({" ", "\n", "\t"});
    }
  } else {
    for (int i = 0; i < length; ++i) {
      text += s.pick({"a", "\\\\", "\\000", "\\377", "\\012", "\\400", "\\08", " "});
    }
  }
  text = s.damaged(text);
  // Whole, since half a character could not even be sent.
  if (s.one_in(10)) text += "\xC3\xA9";
  return text;
}

inline std::string uuid_spelling(SpellingSource& s) {
  const std::string last = s.pick({"00", "01", "ff", "FF", "a0", "A0"});
  const std::string hex =
      (s.one_in(2) ? "a0eebc999c0b4ef8bb6d6bb9bd380a" : "00000000000000000000000000001a") + last;
  const int style = s.below(4);
  std::string text;
  for (std::size_t i = 0; i < hex.size(); ++i) {
    const bool usual = i == 8 || i == 12 || i == 16 || i == 20;
    const bool group = i % 4 == 0 && i > 0;
    if ((style == 0 && usual) || (style == 1 && group) || (style == 2 && group && s.one_in(3))) {
      text += '-';
    }
    text += hex[i];
  }
  if (s.one_in(4)) text = "{" + text + "}";
  return s.damaged(any_case(s, text));
}

inline std::string date_spelling(SpellingSource& s) {
  static constexpr const char* kEdges[] = {"infinity",
                                           "-infinity",
                                           "Infinity",
                                           "-INFINITY",
                                           "+infinity",
                                           "inf",
                                           "5874897-12-31",
                                           "5874898-01-01",
                                           "0001-01-01",
                                           "0000-01-01",
                                           "0044-03-15",
                                           "0044-03-15 BC",
                                           "4714-11-24 BC",
                                           "4714-11-23 BC",
                                           "99999-12-31",
                                           "012024-01-01",
                                           "2024-1-5",
                                           "24-01-05",
                                           "01/02/2003",
                                           "20240105",
                                           "2024-02-29",
                                           "2023-02-29",
                                           "1900-02-29",
                                           "2000-02-29",
                                           "2024.01.05",
                                           "2024-005",
                                           "2024-01-05 ",
                                           "2024-01-05 10:00:00",
                                           "2024-01-05T10:00:00Z",
                                           "epoch",
                                           "294277-01-01",
                                           ""};
  if (s.one_in(6)) return any_case(s, s.pick(kEdges));
  const int year = s.one_in(4) ? 1 + s.below(12000) : 2023 + s.below(2);
  const int month = s.one_in(20) ? s.below(15) : 1 + s.below(2) * 11;
  const int day = s.one_in(5) ? 26 + s.below(8) : 1 + s.below(3);
  return s.damaged(s.padded(year, 4) + "-" + s.padded(month, 2) + "-" + s.padded(day, 2));
}

inline std::string plain_time(SpellingSource& s) {
  std::string text = s.padded(s.one_in(6) ? 20 + s.below(6) : s.below(2), 2) + ":" +
                     s.padded(s.one_in(8) ? 55 + s.below(8) : s.below(2) * 30, 2);
  if (s.one_in(4)) return text;
  text += ":" + s.padded(s.one_in(8) ? 55 + s.below(8) : s.below(2), 2);
  if (s.one_in(3))
    text += s.pick({".0", ".5", ".50", ".000001", ".999999", ".9999999", ".123456789", "."});
  return text;
}

inline std::string time_spelling(SpellingSource& s) {
  static constexpr const char* kEdges[] = {"24:00:00",  "24:00:00.0", "24:00:00.000001",
                                           "24:00",     "23:59:60",   "23:59:59.9999999",
                                           "allballs",  "1000",       "100000",
                                           "1:00",      "10:00 PM",   "10:00:00+02",
                                           "10:00:00Z", "T10:00:00",  ""};
  if (s.one_in(8)) return s.pick(kEdges);
  return s.damaged(plain_time(s));
}

inline std::string timestamp_spelling(SpellingSource& s) {
  static constexpr const char* kEdges[] = {"infinity",
                                           "-infinity",
                                           "294276-12-31 23:59:59.999999",
                                           "294277-01-01 00:00:00",
                                           "2024-01-01 24:00:00",
                                           "2024-01-01 23:59:60",
                                           "0044-03-15 10:00:00 BC",
                                           "0001-01-01 00:00:00",
                                           "2024-01-01 10:00:00+02",
                                           "2024-01-01 10:00:00 UTC",
                                           "2024-01-01T10:00:00Z",
                                           "20240101T100000",
                                           "2024-01-01t10:00:00",
                                           "2024-01-01  10:00",
                                           "01/02/2003 10:00",
                                           "epoch",
                                           "2024-01-01 10",
                                           "2024-01-01 10:00 AM",
                                           "2024-01-01",
                                           ""};
  if (s.one_in(6)) return s.pick(kEdges);
  const std::string date = date_spelling(s);
  if (s.one_in(5)) return date;
  return s.damaged(date + (s.one_in(3) ? "T" : " ") + plain_time(s));
}

inline std::string timestamptz_spelling(SpellingSource& s) {
  const std::string text = timestamp_spelling(s);
  if (s.one_in(8)) return text;
  return s.damaged(
      text +
      s.pick({"Z",    "+00",     "+02",       "-05", "+05:30",    "+0530",  "-03:30",
              " +01", " -08:00", "+15:59:59", "+16", "+00:53:28", "-00:30", "-12",
              "+1",   "+02:60",  " UTC",      "z",   " Z",        "+020",   " Europe/Berlin"}));
}

}  // namespace pgcache::pg
