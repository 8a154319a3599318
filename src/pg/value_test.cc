// SPDX-License-Identifier: Apache-2.0
// Values of the character, boolean, uuid, bytea and oid types, and what holds for all values.
// Numbers and times have files of their own.
#include "pg/value.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "pg/value_test_support.h"

namespace pgcache::pg {
namespace {

using namespace std::string_view_literals;

TEST(Value, KnowsOnlyTestedTypes) {
  EXPECT_EQ(family_of(type::kInt2), ValueFamily::kNumber);
  EXPECT_EQ(family_of(type::kNumeric), ValueFamily::kNumber);
  EXPECT_EQ(family_of(type::kVarchar), ValueFamily::kText);
  EXPECT_EQ(family_of(type::kTimestamptz), ValueFamily::kTimestamptz);
  EXPECT_EQ(family_of(type::kInterval), ValueFamily::kInterval);
  EXPECT_EQ(family_of(type::kCidr), ValueFamily::kInet);
  EXPECT_EQ(family_of(type::kJsonb), ValueFamily::kJsonb);
  for (const Oid oid : {type::kJson, type::kXml, type::kMoney, type::kUnknown, Oid::kInvalid,
                        Oid{1007}, Oid{16385}}) {
    EXPECT_FALSE(family_of(oid)) << to_u32(oid);
    EXPECT_FALSE(parse_text(oid, "1")) << to_u32(oid);
    EXPECT_FALSE(parse_binary(oid, "1")) << to_u32(oid);
  }
}

TEST(Value, DiffersBetweenFamilies) {
  const auto text = parse_text(type::kText, "1");
  const auto name = parse_text(type::kName, "1");
  ASSERT_TRUE(text && name);
  EXPECT_NE(*text, *name);
  EXPECT_NE(text->hash(), name->hash());
  EXPECT_EQ(compare(*text, *name), std::nullopt);
}

TEST(Value, MakersAgreeWithParsers) {
  EXPECT_EQ(Value::integer(-42), parse_text(type::kInt4, "-42"));
  EXPECT_EQ(Value::text("x"), parse_text(type::kText, "x"));
}

TEST(TextValue, IsItsBytes) {
  EXPECT_SAME(type::kText, "a", type::kVarchar, "a");
  EXPECT_LESS(type::kText, "a", "a ");
  EXPECT_LESS(type::kText, "A", "a");
  EXPECT_LESS(type::kText, "", "a");
  EXPECT_LESS(type::kText, "z", "\xC3\xA9");  // bytes are unsigned
  EXPECT_FALSE(parse_text(type::kText, "a\0b"sv));
  EXPECT_FALSE(parse_binary(type::kText, "a\0b"sv));
  EXPECT_EQ(parse_binary(type::kText, "ab"), parse_text(type::kText, "ab"));
}

TEST(TextValue, BpcharIgnoresTrailingBlanks) {
  EXPECT_SAME(type::kBpchar, "a  ", type::kBpchar, "a");
  EXPECT_SAME(type::kBpchar, "   ", type::kBpchar, "");
  EXPECT_LESS(type::kBpchar, " a", "a");
  EXPECT_LESS(type::kBpchar, "a", "a\t");
  EXPECT_EQ(parse_binary(type::kBpchar, "a "), parse_text(type::kBpchar, "a"));
}

TEST(TextValue, LongNamesAreUnknown) {
  EXPECT_TRUE(parse_text(type::kName, std::string(63, 'n')));
  EXPECT_FALSE(parse_text(type::kName, std::string(64, 'n')));
  EXPECT_FALSE(parse_binary(type::kName, std::string(64, 'n')));
  EXPECT_TRUE(parse_text(type::kText, std::string(64, 'n')));
}

TEST(BoolValue, ReadsPostgresSpellings) {
  for (const char* text : {"t", "tr", "tru", "true", "TRUE", "y", "ye", "yes", "Yes", "on", "On",
                           "1", " t ", "\ttrue\n"}) {
    EXPECT_SAME(type::kBool, text, type::kBool, "true");
  }
  for (const char* text : {"f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "OFF", "0"}) {
    EXPECT_SAME(type::kBool, text, type::kBool, "false");
  }
  for (const char* text : {"", " ", "o", "truex", "2", "01", "yess", "offf", "t f", "onn"}) {
    EXPECT_FALSE(parse_text(type::kBool, text)) << text;
  }
  EXPECT_LESS(type::kBool, "f", "t");
  EXPECT_EQ(parse_binary(type::kBool, "\1"), parse_text(type::kBool, "t"));
  EXPECT_EQ(parse_binary(type::kBool, "\2"), parse_text(type::kBool, "t"));
  EXPECT_EQ(parse_binary(type::kBool, "\0"sv), parse_text(type::kBool, "f"));
  EXPECT_FALSE(parse_binary(type::kBool, ""));
  EXPECT_FALSE(parse_binary(type::kBool, "\1\1"));
}

TEST(UuidValue, ReadsAllSpellings) {
  constexpr const char* kPlain = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
  for (const char* text :
       {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}"}) {
    EXPECT_SAME(type::kUuid, text, type::kUuid, kPlain);
  }
  for (const char* text :
       {"", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
        "a0-eebc999c0b4ef8bb6d6bb9bd380a11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
        "-a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11-", "{}", "{"}) {
    EXPECT_FALSE(parse_text(type::kUuid, text)) << text;
  }
  EXPECT_LESS(type::kUuid, "00000000-0000-0000-0000-0000000000ff",
              "00000000-0000-0000-0000-000000000100");
  EXPECT_EQ(
      parse_binary(type::kUuid, "\xA0\xEE\xBC\x99\x9C\x0B\x4E\xF8\xBB\x6D\x6B\xB9\xBD\x38\x0A\x11"),
      parse_text(type::kUuid, kPlain));
  EXPECT_FALSE(parse_binary(type::kUuid, "short"));
}

TEST(ByteaValue, ReadsHexAndEscape) {
  EXPECT_SAME(type::kBytea, "\\x61620a", type::kBytea, "ab\\012");
  EXPECT_SAME(type::kBytea, "\\x6A 6b\n6C", type::kBytea, "jkl");
  EXPECT_SAME(type::kBytea, "\\x5c", type::kBytea, "\\\\");
  EXPECT_SAME(type::kBytea, "\\xff00", type::kBytea, "\\377\\000");
  EXPECT_SAME(type::kBytea, "\\x", type::kBytea, "");
  EXPECT_LESS(type::kBytea, "\\x7f", "\\x80");
  EXPECT_LESS(type::kBytea, "\\x01", "\\x0100");
  for (const char* text :
       {"\\x6", "\\x6 1", "\\x6g", "\\", "a\\", "\\1", "\\12", "\\400", "\\018", "\\X61", "\\a"}) {
    EXPECT_FALSE(parse_text(type::kBytea, text)) << text;
  }
  EXPECT_EQ(parse_binary(type::kBytea, "a\0"sv), parse_text(type::kBytea, "\\x6100"));
}

TEST(OidValue, IsUnsigned) {
  EXPECT_SAME(type::kOid, " 42 ", type::kOid, "42");
  EXPECT_LESS(type::kOid, "9", "10");
  EXPECT_LESS(type::kOid, "2147483647", "4294967295");
  EXPECT_TRUE(parse_text(type::kOid, "0"));
  for (const char* text : {"", "-1", "+1", "010", "4294967296", "1.0", "0x10", "1 2"}) {
    EXPECT_FALSE(parse_text(type::kOid, text)) << text;
  }
  EXPECT_EQ(parse_binary(type::kOid, "\0\0\1\0"sv), parse_text(type::kOid, "256"));
  EXPECT_FALSE(parse_binary(type::kOid, "\0\1"sv));
}

TEST(CharValue, IsOneByte) {
  EXPECT_EQ(parse_text(type::kChar, "a"), parse_binary(type::kChar, "a"));
  EXPECT_EQ(parse_text(type::kChar, ""), parse_binary(type::kChar, "\0"sv));
  EXPECT_LESS(type::kChar, "", " ");
  EXPECT_LESS(type::kChar, "A", "a");
  EXPECT_TRUE(parse_text(type::kChar, " "));
  EXPECT_TRUE(parse_binary(type::kChar, "\xFF"));
  for (const std::string_view text : {"ab"sv, "\\101"sv, "\0"sv, "\xC3\xA9"sv, "\xFF"sv}) {
    EXPECT_FALSE(parse_text(type::kChar, text)) << text;
  }
  EXPECT_FALSE(parse_binary(type::kChar, ""));
  EXPECT_FALSE(parse_binary(type::kChar, "ab"));
}

}  // namespace
}  // namespace pgcache::pg
