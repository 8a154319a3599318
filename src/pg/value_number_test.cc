// SPDX-License-Identifier: Apache-2.0
// Integers, numerics and floats.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "pg/value.h"
#include "pg/value_test_support.h"

namespace pgcache::pg {
namespace {

using namespace std::string_literals;

std::string binary_numeric(std::int16_t weight, std::uint16_t sign, std::uint16_t scale,
                           const std::vector<std::uint16_t>& groups) {
  std::string out;
  append_be16(out, static_cast<std::uint16_t>(groups.size()));
  append_be16(out, static_cast<std::uint16_t>(weight));
  append_be16(out, sign);
  append_be16(out, scale);
  for (const std::uint16_t group : groups) append_be16(out, group);
  return out;
}

TEST(IntegerValue, ReadsSpellings) {
  for (const char* text : {"1", "01", "+1", " 1", "1\n", "\t0001 ", "00000000000000000000001"}) {
    EXPECT_SAME(type::kInt4, text, type::kInt8, "1");
  }
  EXPECT_SAME(type::kInt4, "-0", type::kInt2, "0");
  for (const char* text : {"", " ", "+", "-", "1.0", "1e0", "0x10", "0b1", "0o7", "1_000", "--1",
                           "+-1", "- 1", "1 1", "one", "NaN"}) {
    for (const Oid type : {type::kInt2, type::kInt4, type::kInt8}) {
      EXPECT_FALSE(parse_text(type, text)) << text;
    }
  }
}

TEST(IntegerValue, HoldsToTheRangeOfItsType) {
  EXPECT_TRUE(parse_text(type::kInt2, "32767"));
  EXPECT_TRUE(parse_text(type::kInt2, "-32768"));
  EXPECT_FALSE(parse_text(type::kInt2, "32768"));
  EXPECT_FALSE(parse_text(type::kInt2, "-32769"));
  EXPECT_TRUE(parse_text(type::kInt4, "-2147483648"));
  EXPECT_FALSE(parse_text(type::kInt4, "2147483648"));
  EXPECT_TRUE(parse_text(type::kInt8, "-9223372036854775808"));
  EXPECT_TRUE(parse_text(type::kInt8, "9223372036854775807"));
  EXPECT_FALSE(parse_text(type::kInt8, "9223372036854775808"));
}

TEST(IntegerValue, ReadsBinary) {
  EXPECT_EQ(parse_binary(type::kInt2, "\xFF\xFE"), Value::integer(-2));
  EXPECT_EQ(parse_binary(type::kInt4, "\0\0\1\0"s), Value::integer(256));
  EXPECT_EQ(parse_binary(type::kInt8, "\x80\0\0\0\0\0\0\0"s),
            Value::integer(std::numeric_limits<std::int64_t>::min()));
  EXPECT_FALSE(parse_binary(type::kInt4, "\0\1"s));
  EXPECT_FALSE(parse_binary(type::kInt2, "\0\0\0\1"s));
  EXPECT_FALSE(parse_binary(type::kInt8, ""));
}

TEST(IntegerValue, OrderIsThatOfTheIntegers) {
  std::mt19937_64 random(2);
  std::vector<std::int64_t> values = {0,
                                      1,
                                      -1,
                                      9,
                                      10,
                                      99,
                                      100,
                                      101,
                                      9999,
                                      10000,
                                      std::numeric_limits<std::int64_t>::min(),
                                      std::numeric_limits<std::int64_t>::max()};
  for (int i = 0; i < 300; ++i) {
    values.push_back(static_cast<std::int64_t>(random()) >> (random() % 64));
  }
  for (const std::int64_t a : values) {
    const Value x = Value::integer(a);
    EXPECT_LE(x.bytes().size(), 15u);
    EXPECT_EQ(parse_text(type::kNumeric, std::to_string(a)), x);
    for (const std::int64_t b : values) ASSERT_EQ(compare(x, Value::integer(b)), a <=> b);
  }
}

TEST(NumericValue, ReadsSpellings) {
  for (const char* text : {"1", "1.0", "1.", "01.00", "+1", "1e0", "1E+0", "10e-1", "0.1e1",
                           ".001e3", " 1.000 ", "100e-02"}) {
    EXPECT_SAME(type::kNumeric, text, type::kInt4, "1");
  }
  for (const char* text : {"0", "-0", "0.000", "-0.0", "0e10", ".0", "0."}) {
    EXPECT_SAME(type::kNumeric, text, type::kInt4, "0");
  }
  EXPECT_SAME(type::kNumeric, "1234567890123456789012345678901234567890.5", type::kNumeric,
              "1234567890123456789012345678901234567890.50");
  EXPECT_SAME(type::kNumeric, "1e100", type::kNumeric, "1" + std::string(100, '0'));
  EXPECT_SAME(type::kNumeric, "1e-100", type::kNumeric, "0." + std::string(99, '0') + "1");
  for (const char* text : {"",     " ",     ".",     "-",         "+",    "e1",        "1e",
                           "1e+",  "1e+-1", "1.2.3", "1 2",       "0x1F", "1_000",     "1e1.5",
                           "- 1",  "--1",   "1,000", "+NaN",      "-NaN", "nan1",      "infin",
                           "1e 5", "e",     "-.",    "inf inity", ".NaN", ".Infinity", "-.inf"}) {
    EXPECT_FALSE(parse_text(type::kNumeric, text)) << text;
  }
}

TEST(NumericValue, ReadsSpecials) {
  EXPECT_SAME(type::kNumeric, "NaN", type::kNumeric, " nan ");
  EXPECT_SAME(type::kNumeric, "Infinity", type::kNumeric, "+inf");
  EXPECT_SAME(type::kNumeric, "-Infinity", type::kNumeric, "-INF");
  EXPECT_LESS(type::kNumeric, "-inf", "-1e1000");
  EXPECT_LESS(type::kNumeric, "1e1000", "inf");
  EXPECT_LESS(type::kNumeric, "inf", "nan");
}

TEST(NumericValue, KeepsToTheLimits) {
  EXPECT_TRUE(parse_text(type::kNumeric, std::string(131072, '9')));
  EXPECT_FALSE(parse_text(type::kNumeric, std::string(131073, '9')));
  EXPECT_TRUE(parse_text(type::kNumeric, "1e131071"));
  EXPECT_FALSE(parse_text(type::kNumeric, "1e131072"));
  EXPECT_TRUE(parse_text(type::kNumeric, "1e-16383"));
  EXPECT_FALSE(parse_text(type::kNumeric, "1e-16384"));
  EXPECT_FALSE(parse_text(type::kNumeric, "1e99999999999999999999"));
  EXPECT_FALSE(parse_text(type::kNumeric, "1e-99999999999999999999"));
}

TEST(NumericValue, Orders) {
  const std::vector<std::string> ascending = {
      "-1e50",  "-123.45", "-123", "-122.9999", "-100.01", "-100",   "-99.99", "-99",    "-10",
      "-9.9",   "-1.0001", "-1",   "-0.1",      "-0.09",   "-0.01",  "-0.001", "-1e-50", "0",
      "1e-50",  "0.001",   "0.01", "0.09",      "0.1",     "0.11",   "0.5",    "0.999",  "1",
      "1.0001", "1.01",    "1.1",  "9.9",       "10",      "10.01",  "11",     "99",     "99.99",
      "100",    "100.01",  "101",  "122.9999",  "123",     "123.45", "1000",   "1e50"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = i + 1; j < ascending.size(); ++j) {
      EXPECT_LESS(type::kNumeric, ascending[i], ascending[j]);
    }
  }
}

TEST(NumericValue, ReadsBinary) {
  const auto same = [](const std::string& binary, const char* text) {
    const auto value = parse_binary(type::kNumeric, binary);
    ASSERT_TRUE(value) << text;
    EXPECT_EQ(*value, parse_text(type::kNumeric, text)) << text;
  };
  same(binary_numeric(0, 0, 0, {1}), "1");
  same(binary_numeric(0, 0, 2, {1, 2300}), "1.23");
  same(binary_numeric(1, 0x4000, 4, {12, 3456, 7890}), "-123456.7890");
  same(binary_numeric(-1, 0, 1, {5000}), "0.5");
  same(binary_numeric(-2, 0, 8, {42}), "0.00000042");
  same(binary_numeric(3, 0, 0, {1}), "1000000000000");
  same(binary_numeric(0, 0, 0, {}), "0");
  same(binary_numeric(0, 0x4000, 3, {}), "0");
  same(binary_numeric(2, 0, 0, {0, 0, 7, 0}), "7");
  same(binary_numeric(0, 0xC000, 0, {}), "NaN");
  same(binary_numeric(0, 0xD000, 32, {}), "Infinity");
  same(binary_numeric(0, 0xF000, 32, {}), "-Infinity");
}

TEST(NumericValue, RejectsBadBinary) {
  EXPECT_FALSE(parse_binary(type::kNumeric, ""));
  EXPECT_FALSE(parse_binary(type::kNumeric, binary_numeric(0, 0, 0, {1}).substr(0, 9)));
  EXPECT_FALSE(parse_binary(type::kNumeric, binary_numeric(0, 0, 0, {1}) + "x"));
  EXPECT_FALSE(parse_binary(type::kNumeric, binary_numeric(0, 0, 0, {10000})));
  EXPECT_FALSE(parse_binary(type::kNumeric, binary_numeric(0, 0x1234, 0, {1})));
  EXPECT_FALSE(parse_binary(type::kNumeric, binary_numeric(0, 0xC000, 0, {1})));
  EXPECT_FALSE(parse_binary(type::kNumeric, binary_numeric(0, 0, 0x4000, {1})));
  EXPECT_FALSE(parse_binary(type::kNumeric, binary_numeric(0, 0, 1, {1, 2300})));  // would be cut
  EXPECT_TRUE(parse_binary(type::kNumeric, binary_numeric(0, 0, 1, {1, 2000})));
}

TEST(FloatValue, ReadsSpellings) {
  for (const char* text : {"1", "1.0", "+1", "1e0", "10e-1", ".1e1", "1.", " 1 ", "0001"}) {
    EXPECT_SAME(type::kFloat8, text, type::kFloat4, "1");
  }
  EXPECT_SAME(type::kFloat8, "-0", type::kFloat8, "0");
  EXPECT_SAME(type::kFloat8, "NaN", type::kFloat4, "nan");
  EXPECT_SAME(type::kFloat8, "inf", type::kFloat4, "Infinity");
  EXPECT_SAME(type::kFloat8, "-inf", type::kFloat4, "-Infinity");
  EXPECT_SAME(type::kFloat8, "0.1", type::kFloat8, "0.1000000000000000055511151231257827");
  EXPECT_SAME(type::kFloat4, "0.1", type::kFloat8, "0.10000000149011612");
  EXPECT_SAME(type::kFloat8, "5e-324", type::kFloat8, "4.9406564584124654e-324");
  EXPECT_SAME(type::kFloat8, "0e-9999", type::kFloat8, "0");
  for (const char* text : {"",    " ",     ".",      "+",      "e5",      ".e5",   "1e",
                           "1e+", "0x1p3", "1e400",  "-1e400", "1e-400",  "--1",   "+-1",
                           "1 2", "1,5",   "nan(1)", "-nan",   "infinit", "1.2.3", "1f"}) {
    EXPECT_FALSE(parse_text(type::kFloat8, text)) << text;
  }
  EXPECT_FALSE(parse_text(type::kFloat4, "1e39"));
  EXPECT_FALSE(parse_text(type::kFloat4, "1e-50"));
  EXPECT_TRUE(parse_text(type::kFloat4, "1e-45"));
}

TEST(FloatValue, Orders) {
  const std::vector<std::string> ascending = {"-inf", "-1e308", "-2",    "-1.5", "-1e-300",
                                              "0",    "1e-300", "0.5",   "1",    "1.5",
                                              "2",    "10",     "1e308", "inf",  "nan"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = i + 1; j < ascending.size(); ++j) {
      EXPECT_LESS(type::kFloat8, ascending[i], ascending[j]);
    }
  }
}

TEST(FloatValue, ReadsBinary) {
  EXPECT_EQ(parse_binary(type::kFloat8, "\x3F\xF8\0\0\0\0\0\0"s), parse_text(type::kFloat8, "1.5"));
  EXPECT_EQ(parse_binary(type::kFloat4, "\x3F\xC0\0\0"s), parse_text(type::kFloat8, "1.5"));
  EXPECT_EQ(parse_binary(type::kFloat8, "\x80\0\0\0\0\0\0\0"s), parse_text(type::kFloat8, "0"));
  EXPECT_EQ(parse_binary(type::kFloat8, "\xFF\xF8\0\0\0\0\0\1"s), parse_text(type::kFloat8, "nan"));
  EXPECT_EQ(parse_binary(type::kFloat4, "\x7F\xC0\0\1"s), parse_text(type::kFloat8, "nan"));
  EXPECT_FALSE(parse_binary(type::kFloat8, "\x3F\xC0\0\0"s));
  EXPECT_FALSE(parse_binary(type::kFloat4, ""));
}

}  // namespace
}  // namespace pgcache::pg
