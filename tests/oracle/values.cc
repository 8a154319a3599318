// SPDX-License-Identifier: Apache-2.0
#include "oracle/values.h"

namespace pgcache::oracle {
namespace {

std::string integer_text(Random& random) {
  const int n = random.chance(90) ? random.between(0, 14) : random.between(-3, 40);
  const std::string digits = std::to_string(n);
  if (n < 0 || random.chance(75)) return digits;
  return random.pick({"0", "+", " ", "00"}) + digits;
}

std::string uuid_text(Random& random) {
  const char digit = "0123456789ab"[random.below(12)];
  const std::string tail = "2222-3333-4444-5555555555";
  const std::string lower = std::string(1, digit) + "ffffff0-" + tail + "a" + digit;
  std::string upper = lower;
  for (char& c : upper) c = (c >= 'a' && c <= 'f') ? static_cast<char>(c - 'a' + 'A') : c;
  if (random.chance(70)) return lower;
  return random.chance(50) ? upper : "{" + lower + "}";
}

std::string date_text(Random& random) {
  const std::string day = std::to_string(random.between(1, 9));
  switch (random.below(8)) {
    case 0:
      return "2024010" + day;
    case 1:
      return "January " + day + ", 2024";
    case 2:
      return "0" + day + "/01/2024";  // which month it is depends on DateStyle
    default:
      return "2024-01-0" + day;
  }
}

std::string time_text(Random& random) {
  const std::string date = "2024-01-0" + std::to_string(random.between(1, 6));
  const std::string hour = random.pick({"00", "00", "05", "12", "23"});
  switch (random.below(8)) {
    case 0:
      return date;
    case 1:
      return date + "T" + hour + ":00:00Z";
    case 2:
      return date + " " + hour + ":00:00+02";
    case 3:
      return date + " " + hour + ":00:00 America/New_York";
    case 4:
      return random.pick({"infinity", "2024-03-10 02:30:00", "2024-01-03 00:00:00.000001"});
    default:
      return date + " " + hour + ":00:00";
  }
}

constexpr int kBigLength = 8300;  // more than a page, let alone what a row keeps to itself

std::string short_text(Random& random) {
  static const std::vector<std::string> pool = {"",
                                                "a",
                                                "A",
                                                "a ",
                                                " a",
                                                "b",
                                                "01",
                                                "1",
                                                "x%y",
                                                "x_y",
                                                "back\\slash",
                                                "NULL",
                                                "O'Neil",
                                                "\"",
                                                "\xc3\xa4",
                                                "\xc3\x84",
                                                "\xe6\x97\xa5\xe6\x9c\xac",
                                                "z",
                                                "c",
                                                "d"};
  return random.pick(pool);
}

// As an expression, to be read by people.
std::string big_literal(Random& random) {
  const std::string start = quote(random.pick({"alpha", "beta", "gamma"}));
  if (random.chance(30)) return start;
  return start + " || repeat('y', " + std::to_string(kBigLength) + ")";
}

}  // namespace

std::string quote(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

std::string value_text(Kind kind, Random& random) {
  switch (kind) {
    case Kind::kSmallint:
    case Kind::kInt:
    case Kind::kBigint:
      return integer_text(random);
    case Kind::kNumeric:
      return random.pick({"0", "-0", "1", "1.0", "1.00", "01", "1.5", "1.50", "2", "2e0", "3",
                          "0.1", "NaN", "12345678901234567890.5"});
    case Kind::kDecimal:
      return random.pick({"0", "1", "1.0", "1.00", "1.5", "1.50", "2", "2.25", "1e1", "-1"});
    case Kind::kDouble:
      return random.pick({"0", "-0", "1", "1.0", "1.5", "15e-1", "2", "NaN", "Infinity", "0.1"});
    case Kind::kText:
      return short_text(random);
    case Kind::kVarchar:
      return short_text(random);
    case Kind::kChar:
      return random.pick({"", "a", "a ", "ab", "ab  ", "abcde", "A", "\xc3\xa4", "1", "01"});
    case Kind::kBool:
      return random.pick({"t", "f", "true", "false", "yes", "no", "on", "off", "1", "0", "TRUE"});
    case Kind::kDate:
      return date_text(random);
    case Kind::kTimestamp:
    case Kind::kTimestamptz:
      return time_text(random);
    case Kind::kUuid:
      return uuid_text(random);
    case Kind::kEnum:
      return random.pick({"sad", "ok", "happy"});
    case Kind::kBytea:
      return random.pick({"\\x", "\\x00ff", "\\x00FF", "\\\\", "abc", "\\000\\377"});
    case Kind::kJsonb:
      return random.pick({"{\"a\":1}", "{\"a\": 1}", "{\"a\": 1.0}", "[]", "null", "\"x\"",
                          "{\"b\": [1, 2], \"a\": 1}"});
    case Kind::kIntArray:
      return random.pick({"{}", "{1,2}", "{1, 2}", "{2,1}", "{NULL,1}", "{07}"});
    case Kind::kReal:
      return random.pick({"0", "-0", "0.5", "5e-1", "1.5", "0.1", "NaN", "1"});
    case Kind::kOid:
      return random.pick({"0", "1", "7", "07", "4294967295"});
    case Kind::kName:
      return short_text(random);
    case Kind::kTime:
      return random.pick(
          {"10:00", "10:00:00", "10:00:00.0", "10 AM", "00:00", "24:00:00", "10:00:00.5"});
    case Kind::kTimetz:
      return random.pick(
          {"10:00:00+02", "10:00+02:00", "09:00:00+01", "08:00:00Z", "10:00:00", "23:59:59-05"});
    case Kind::kInterval:
      return random.pick({"1 day", "24:00:00", "1 mon", "30 days", "P1D", "P1M", "-1 days",
                          "1 day 02:00:00", "26 hours", "0"});
    case Kind::kInet:
      return random.pick(
          {"10.0.0.1", "10.0.0.1/32", "10.0.0.1/24", "10.0.0.0/24", "10.0.0.2", "::1", "::0001"});
    case Kind::kCidr:
      return random.pick({"10.0.0.0/24", "10.0.0/24", "10.0.1.0/24", "10/8", "::1/128", "::1"});
    case Kind::kMacaddr:
      return random.pick(
          {"08:00:2b:01:02:03", "08-00-2B-01-02-03", "08002b010203", "08:00:2b:01:02:04"});
    case Kind::kDomain:
      return integer_text(random);
    case Kind::kTextArray:
      return random.pick({"{}", "{a,b}", "{\"a\",b}", "{NULL,a}", "{\"NULL\",a}", "{a}",
                          "[2:3]={a,b}", "{{a},{b}}"});
    case Kind::kBig:
      return random.pick({"alpha", "beta", "gamma"}) +
             (random.chance(70) ? std::string(kBigLength, 'y') : "");
  }
  return "";
}

std::string literal(Kind kind, Random& random) {
  if (random.chance(2)) return "NULL";
  if (kind == Kind::kBig) return big_literal(random);
  const std::string text = value_text(kind, random);
  if (is_integer(kind)) {
    const int choice = random.below(20);
    const std::string number =
        std::to_string(std::atoi(text[0] == '+' ? text.c_str() + 1 : text.c_str()));
    if (choice == 0) return number + ".0";
    if (choice == 1) return number + "::bigint";
    if (choice == 2) return "CAST(" + quote(text) + " AS int)";
    if (choice == 3) return number + "::numeric";
    if (choice == 4) return "'" + number + "'::smallint";
    if (choice == 5) return number + "::float8";
    if (choice < 9) return quote(text);
    return number;
  }
  if (kind == Kind::kBool && random.chance(50)) return random.chance(50) ? "TRUE" : "false";
  if ((kind == Kind::kNumeric || kind == Kind::kDecimal || kind == Kind::kDouble) &&
      text.find_first_not_of("0123456789.") == std::string::npos && random.chance(60)) {
    return text;
  }
  if (random.chance(15)) return quote(text) + "::" + type_name(kind);
  if (kind == Kind::kChar && random.chance(15)) return quote(text) + "::text";
  if (is_textual(kind) && random.chance(10)) return "E" + quote(random.pick({"a", "\\x61", "b"}));
  return quote(text);
}

std::string literal_for_type(Kind kind, Random& random) {
  if (kind == Kind::kBig) return big_literal(random);
  const std::string text = quote(value_text(kind, random));
  return random.chance(70) ? text : text + "::" + type_name(kind);
}

}  // namespace pgcache::oracle
