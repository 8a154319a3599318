// SPDX-License-Identifier: Apache-2.0
// Documents.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "pg/value.h"
#include "pg/value_test_support.h"

namespace pgcache::pg {
namespace {

TEST(JsonbValue, EqualsAsATree) {
  const auto same = [](const char* a, const char* b) {
    EXPECT_SAME(type::kJsonb, a, type::kJsonb, b);
  };
  same("1", " 1.00 ");
  same("100", "1e2");
  same("-0", "0.0");
  same("12345678901234567890.5", "123456789012345678905E-1");
  same(R"({"a":1,"b":[true,null]})", R"( { "b" : [ true , null ] , "a" : 1.0 } )");
  same(R"({"a":1,"a":2})", R"({"a":2})");
  same(R"({"a":1,"b":0,"a":2})", R"({"a":2,"b":0})");
  same(R"({"\u0061":1})", R"({"a":1})");
  same(R"("\u00e9\u20AC\ud83d\ude00")", "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
  same(R"("\"\\\/\b\f\n\r\t")", R"("\u0022\u005c\u002f\u0008\u000c\u000a\u000d\u0009")");
  same("[]", "[ ]");
  same("{}", "{ }");
}

TEST(JsonbValue, TellsTreesApart) {
  const char* const all[] = {"1",
                             "\"1\"",
                             "[1]",
                             "[[1]]",
                             "null",
                             "\"null\"",
                             "true",
                             "false",
                             "[]",
                             "{}",
                             "\"\"",
                             R"({"a":1})",
                             R"({"a":2})",
                             R"({"b":1})",
                             "[1,2]",
                             "[2,1]",
                             "[[1],2]",
                             "[[1,2]]",
                             "[1,[2]]",
                             R"({"a":{"b":1}})",
                             R"({"a":{},"b":1})",
                             R"(["a","b"])",
                             R"(["a,b"])",
                             R"({"":1})",
                             "0",
                             "-1",
                             "0.1",
                             "1e10"};
  for (const char* a : all) {
    for (const char* b : all) {
      const auto x = parse_text(type::kJsonb, a);
      const auto y = parse_text(type::kJsonb, b);
      ASSERT_TRUE(x && y) << a << " " << b;
      EXPECT_EQ(*x == *y, a == b) << a << " " << b;
    }
  }
}

// Of the kinds, of counts, then item by item; an empty array by itself is less than all else.
TEST(JsonbValue, OrdersAsPostgresDoes) {
  const char* const ascending[] = {"[]",
                                   "null",
                                   R"("")",
                                   R"("a")",
                                   R"("aa")",
                                   R"("b")",
                                   "-12345",
                                   "-12",
                                   "-0.5",
                                   "0",
                                   "0.5",
                                   "12",
                                   "12.5",
                                   "12.55",
                                   "1200",
                                   "false",
                                   "true",
                                   "[null]",
                                   R"(["a"])",
                                   "[1]",
                                   "[true]",
                                   "[[]]",
                                   "[[null]]",
                                   "[{}]",
                                   "[null,null]",
                                   "[1,2]",
                                   "[1,[]]",
                                   "[1,2,0]",
                                   "{}",
                                   R"({"a":null})",
                                   R"({"a":1})",
                                   R"({"b":0})",
                                   R"({"aa":0})",
                                   R"({"a":0,"b":1})",
                                   R"({"b":0,"aa":1})"};
  // The names are compared like strings: only their number and place is by length.
  const char* const by_bytes = R"({"aa":0})";
  for (const char* a : ascending) {
    for (const char* b : ascending) {
      if (a == by_bytes || b == by_bytes) continue;
      const auto x = parse_text(type::kJsonb, a);
      const auto y = parse_text(type::kJsonb, b);
      ASSERT_TRUE(x && y) << a << " " << b;
      const auto place = [&](const char* text) {
        return std::find(std::begin(ascending), std::end(ascending), text);
      };
      EXPECT_EQ(compare(*x, *y), place(a) <=> place(b)) << a << " " << b;
    }
  }
  EXPECT_EQ(compare(*parse_text(type::kJsonb, by_bytes), *parse_text(type::kJsonb, R"({"b":0})")),
            std::strong_ordering::less);
}

TEST(JsonbValue, LeavesTheOrderOfStringsOpen) {
  const auto order = [](const char* a, const char* b) {
    return compare_without_collation(*parse_text(type::kJsonb, a), *parse_text(type::kJsonb, b));
  };
  EXPECT_EQ(order("1", "2"), std::strong_ordering::less);
  EXPECT_EQ(order(R"("a")", R"("a")"), std::strong_ordering::equal);
  EXPECT_EQ(order(R"("b")", "1"), std::strong_ordering::less);
  EXPECT_EQ(order(R"({"a":2})", R"({"a":1})"), std::strong_ordering::greater);
  EXPECT_EQ(order(R"(["a",2])", R"(["b"])"), std::strong_ordering::greater);
  EXPECT_EQ(order(R"("a")", R"("b")"), std::nullopt);
  EXPECT_EQ(order(R"("a")", R"("ab")"), std::nullopt);
  EXPECT_EQ(order(R"({"a":1})", R"({"b":1})"), std::nullopt);
  EXPECT_EQ(order(R"([1,"a",2])", R"([1,"b",1])"), std::nullopt);
  EXPECT_EQ(compare_without_collation(Value::text("a"), Value::text("b")), std::nullopt);
  ValueType type;
  type.family = ValueFamily::kJsonb;
  EXPECT_TRUE(is_ordered(type, true));
  EXPECT_FALSE(is_ordered(type, false));
}

TEST(JsonbValue, MalformedDocumentsAreUnknown) {
  for (const char* text : {"",
                           " ",
                           "nul",
                           "True",
                           "01",
                           "1.",
                           ".5",
                           "+1",
                           "--1",
                           "1e",
                           "0x1",
                           "NaN",
                           "1 2",
                           "[1,]",
                           "[,1]",
                           "[1",
                           "1]",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{a:1}",
                           "{1:2}",
                           "{\"a\":1,}",
                           "\"",
                           "\"\\\"",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\u0000\"",
                           "\"\\ud83d\"",
                           "\"\\ude00\"",
                           "\"\\ud83dx\"",
                           "\"\\ud83d\\u0041\"",
                           "\"\n\"",
                           "'a'",
                           "1e131072",
                           "1e-16384",
                           "[1]x",
                           "\v1"}) {
    EXPECT_FALSE(parse_text(type::kJsonb, text)) << text;
  }
}

TEST(JsonbValue, DepthIsLimited) {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_TRUE(parse_text(type::kJsonb, nested(100)));
  EXPECT_FALSE(parse_text(type::kJsonb, nested(200)));
  EXPECT_FALSE(parse_text(type::kJsonb, std::string(1000000, '[')));
}

TEST(JsonbValue, BinaryIsTextBehindAVersion) {
  EXPECT_EQ(parse_binary(type::kJsonb, "\1{\"a\": 1}"), parse_text(type::kJsonb, "{\"a\":1}"));
  EXPECT_FALSE(parse_binary(type::kJsonb, "{\"a\": 1}"));
  EXPECT_FALSE(parse_binary(type::kJsonb, "\2{}"));
  EXPECT_FALSE(parse_binary(type::kJsonb, ""));
  EXPECT_FALSE(parse_text(type::kJson, "{}"));
}

}  // namespace
}  // namespace pgcache::pg
