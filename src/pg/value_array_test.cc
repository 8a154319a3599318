// SPDX-License-Identifier: Apache-2.0
// Arrays, and what types value_type_of() finds in a catalog.
#include <gtest/gtest.h>

#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "pg/catalog.h"
#include "pg/value.h"

namespace pgcache::pg {
namespace {

using namespace std::string_view_literals;

constexpr Oid kInt4Array{1007}, kTextArray{1009}, kJsonbArray{3807}, kInt2Vector{22}, kColor{20000},
    kColorArray{20001}, kCount{20002}, kCountArray{20003}, kCounts{20004}, kCountsArray{20005},
    kPoint{600}, kPointArray{1017};

Type made(Oid oid, char kind, Oid base, Oid element, Oid array) {
  Type type;
  type.oid = oid;
  type.name = std::to_string(to_u32(oid));
  type.kind = kind;
  type.base = base;
  type.element = element;
  type.array = array;
  return type;
}

const Catalog& catalog() {
  static const std::unique_ptr<const Catalog> instance = [] {
    auto c = std::make_unique<Catalog>();
    constexpr Oid kNone = Oid::kInvalid;
    c->add_type(made(type::kInt4, 'b', kNone, kNone, kInt4Array));
    c->add_type(made(kInt4Array, 'b', kNone, type::kInt4, kNone));
    c->add_type(made(type::kText, 'b', kNone, kNone, kTextArray));
    c->add_type(made(kTextArray, 'b', kNone, type::kText, kNone));
    c->add_type(made(type::kJsonb, 'b', kNone, kNone, kJsonbArray));
    c->add_type(made(kJsonbArray, 'b', kNone, type::kJsonb, kNone));
    c->add_type(made(kInt2Vector, 'b', kNone, kNone, kNone));
    c->add_type(made(kPoint, 'b', kNone, kNone, kPointArray));
    c->add_type(made(kPointArray, 'b', kNone, kPoint, kNone));
    Type color = made(kColor, 'e', kNone, kNone, kColorArray);
    color.labels = {"red", "green", "blue"};
    c->add_type(color);
    c->add_type(made(kColorArray, 'b', kNone, kColor, kNone));
    c->add_type(made(kCount, 'd', type::kInt4, kNone, kCountArray));
    c->add_type(made(kCountArray, 'b', kNone, kCount, kNone));
    c->add_type(made(kCounts, 'd', kInt4Array, kNone, kCountsArray));
    c->add_type(made(kCountsArray, 'b', kNone, kCounts, kNone));
    c->finish();
    return c;
  }();
  return *instance;
}

ValueTypePtr type_of(Oid oid) { return value_type_of(catalog(), oid); }

// Of a type that has one; lives to the end of the program.
const ValueType& known(Oid oid) {
  static std::map<Oid, ValueTypePtr> types;
  ValueTypePtr& type = types[oid];
  if (!type) type = type_of(oid);
  return *type;
}

std::optional<Value> ints(std::string_view text) { return parse_text(known(kInt4Array), text); }

void expect_same(std::string_view a, std::string_view b) {
  ASSERT_TRUE(ints(a)) << a;
  ASSERT_TRUE(ints(b)) << b;
  EXPECT_EQ(ints(a), ints(b)) << a << " and " << b;
  EXPECT_EQ(ints(a)->hash(), ints(b)->hash()) << a << " and " << b;
}

void append_all(std::string& out, std::initializer_list<std::int32_t> numbers) {
  for (const std::int32_t n : numbers) append_be32(out, static_cast<std::uint32_t>(n));
}

// One-dimensional; its elements' type is int4, or a domain over it.
std::string binary(Oid element, std::initializer_list<std::optional<std::int32_t>> elements,
                   std::int32_t lower = 1) {
  std::string out;
  append_all(out, {1, 0, static_cast<std::int32_t>(element),
                   static_cast<std::int32_t>(elements.size()), lower});
  for (const auto& e : elements) {
    if (e) {
      append_all(out, {4, *e});
    } else {
      append_all(out, {-1});
    }
  }
  return out;
}

TEST(ValueTypes, AreFoundThroughArraysAndDomains) {
  ASSERT_TRUE(type_of(kInt4Array));
  EXPECT_EQ(type_of(kInt4Array)->family, ValueFamily::kArray);
  EXPECT_EQ(type_of(kInt4Array)->element->family, ValueFamily::kNumber);
  EXPECT_EQ(type_of(kCount)->family, ValueFamily::kNumber);
  EXPECT_EQ(type_of(kCountArray)->element->oid, type::kInt4);
  EXPECT_EQ(type_of(kCountArray)->declared_element, kCount);
  EXPECT_EQ(type_of(kColor)->family, ValueFamily::kEnum);
  EXPECT_EQ(type_of(kColorArray)->element->labels.size(), 3u);
  EXPECT_EQ(type_of(kCounts)->family, ValueFamily::kArray);
  EXPECT_EQ(type_of(kCountsArray)->element->family, ValueFamily::kArray);
  for (const Oid oid : {kInt2Vector, kPoint, kPointArray, Oid{30000}, Oid::kInvalid}) {
    EXPECT_FALSE(type_of(oid)) << to_u32(oid);
  }
}

TEST(ValueTypes, ArraysAreOrderedAsTheirElements) {
  EXPECT_TRUE(is_ordered(known(kInt4Array), false));
  EXPECT_TRUE(is_ordered(known(kCountsArray), false));
  EXPECT_TRUE(is_ordered(known(kTextArray), true));
  EXPECT_FALSE(is_ordered(known(kTextArray), false));
  EXPECT_TRUE(is_ordered(known(kJsonbArray), true));
}

TEST(ArrayValue, ReadsSpellings) {
  expect_same("{1,2,3}", " { 01 , \"2\",\t+3 } ");
  expect_same("{}", "{ }");
  expect_same("{1,NULL}", "{1, null }");
  expect_same("[1:2]={1,2}", "{1,2}");
  expect_same("[1:1][1:2]={{1,2}}", "{{1,2}}");
  expect_same("{\"\\1\"}", "{1}");
}

TEST(ArrayValue, MalformedTextIsUnknown) {
  for (const char* text : {"",
                           "1",
                           "{",
                           "}",
                           "{1",
                           "1}",
                           "{1}}",
                           "{{1}",
                           "{,}",
                           "{1,}",
                           "{,1}",
                           "{x}",
                           "{\"NULL\"}",
                           "{{}}",
                           "{{},{}}",
                           "{{1},2}",
                           "{1,{2}}",
                           "{{1},{2,3}}",
                           "{{1},{{2}}}",
                           "{1}x",
                           "{1}{2}",
                           "{\"1\"1}",
                           "{1\"1\"}",
                           "{1",
                           "{\"1}",
                           "{\"1\\",
                           "{\\1}",
                           "[1:1]{1}",
                           "[1:2]={1}",
                           "[1:1]={{1}}",
                           "[2:1]={}",
                           "[1:0]={}",
                           "[1]={1}",
                           "[:1]={1}",
                           "[1:]={1}",
                           "[1:1=,{1}",
                           "[2147483647:2147483647]={1}",
                           "[-2147483649:-2147483649]={1}",
                           "{{{{{{{1}}}}}}}",
                           "[1:1][1:1][1:1][1:1][1:1][1:1][1:1]={{{{{{{1}}}}}}}"}) {
    EXPECT_FALSE(ints(text)) << text;
  }
  EXPECT_TRUE(ints("{{{{{{1}}}}}}"));
  EXPECT_TRUE(ints("[2147483646:2147483646]={1}"));
  EXPECT_TRUE(ints("[-2147483648:-2147483648]={1}"));
}

TEST(ArrayValue, IsOrderedAsPostgresOrdersThem) {
  const char* const ascending[] = {"{}",        "{-1}",   "{-1,NULL}", "[0:0]={1}",  "{1}",
                                   "[2:2]={1}", "{{1}}",  "{1,2}",     "{{1,2}}",    "{{1},{2}}",
                                   "{1,2,3}",   "{1,10}", "{1,NULL}",  "{1,NULL,1}", "{2}",
                                   "{256}",     "{NULL}", "{NULL,1}",  "{NULL,NULL}"};
  for (std::size_t i = 0; i < std::size(ascending); ++i) {
    for (std::size_t j = 0; j < std::size(ascending); ++j) {
      ASSERT_TRUE(ints(ascending[i])) << ascending[i];
      EXPECT_EQ(compare(*ints(ascending[i]), *ints(ascending[j])), i <=> j)
          << ascending[i] << " and " << ascending[j];
    }
  }
}

TEST(ArrayValue, ElementsWithZeroBytesAndPrefixesStayApart) {
  ValueType bytea{type::kBytea, ValueFamily::kBytea, {}, nullptr};
  ValueType byteas{Oid{1001}, ValueFamily::kArray, {}, std::make_shared<ValueType>(bytea)};
  const char* const ascending[] = {R"({"\\x"})",     R"({"\\x","\\x00"})", R"({"\\x","\\x01"})",
                                   R"({"\\x00"})",   R"({"\\x0000"})",     R"({"\\x0001"})",
                                   R"({"\\x00ff"})", R"({"\\x01"})",       R"({"\\x01","\\x"})",
                                   R"({"\\xff"})"};
  for (std::size_t i = 0; i < std::size(ascending); ++i) {
    const auto a = parse_text(byteas, ascending[i]);
    ASSERT_TRUE(a) << ascending[i];
    for (std::size_t j = 0; j < std::size(ascending); ++j) {
      EXPECT_EQ(compare(*a, *parse_text(byteas, ascending[j])), i <=> j)
          << ascending[i] << " and " << ascending[j];
    }
  }
  const auto two = array_elements(byteas, *parse_text(byteas, R"({"\\x0001ff00","\\x"})"));
  ASSERT_TRUE(two && two->size() == 2);
  EXPECT_EQ((*two)[0].value, parse_text(bytea, "\\x0001ff00"));
  EXPECT_EQ((*two)[1].value, parse_text(bytea, "\\x"));
}

TEST(ArrayValue, TextElementsAreQuoted) {
  const ValueType& texts = known(kTextArray);
  const auto value = parse_text(texts, R"({a b,"a,\"\\{}",""," x ","NULL"})");
  ASSERT_TRUE(value);
  const auto elements = array_elements(texts, *value);
  ASSERT_TRUE(elements && elements->size() == 5);
  const char* const expected[] = {"a b", "a,\"\\{}", "", " x ", "NULL"};
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ((*elements)[i].value, Value::text(expected[i]));
}

// array_nulls = off makes texts of them.
TEST(ArrayValue, UnquotedNullIsUnknownWhereItMayBeAText) {
  EXPECT_FALSE(parse_text(known(kTextArray), "{a,NULL}"));
  EXPECT_FALSE(parse_text(known(kTextArray), "{a,null}"));
  EXPECT_FALSE(parse_text(known(kJsonbArray), "{null}"));
  EXPECT_TRUE(parse_text(known(kJsonbArray), "{NULL}"));
  EXPECT_TRUE(parse_text(known(kColorArray), "{red,NULL}"));
}

TEST(ArrayValue, AgreesWithBinary) {
  const ValueType& type = known(kInt4Array);
  EXPECT_EQ(parse_binary(type, binary(type::kInt4, {1, std::nullopt, 3})), ints("{1,NULL,3}"));
  EXPECT_EQ(parse_binary(type, binary(type::kInt4, {1}, -5)), ints("[-5:-5]={1}"));
  EXPECT_EQ(parse_binary(type, binary(type::kInt4, {})), ints("{}"));
  std::string empty;
  append_all(empty, {0, 0, 23});
  EXPECT_EQ(parse_binary(type, empty), ints("{}"));
  std::string square;
  append_all(square, {2, 0, 23, 2, 1, 2, 1, 4, 1, 4, 2, 4, 3, 4, 4});
  EXPECT_EQ(parse_binary(type, square), ints("{{1,2},{3,4}}"));
  EXPECT_EQ(parse_binary(known(kCountArray), binary(kCount, {7})),
            parse_text(known(kCountArray), "{7}"));
}

TEST(ArrayValue, MalformedBinaryIsUnknown) {
  const ValueType& type = known(kInt4Array);
  EXPECT_FALSE(parse_binary(type, ""));
  EXPECT_FALSE(parse_binary(type, binary(type::kInt8, {1})));
  EXPECT_FALSE(parse_binary(known(kCountArray), binary(type::kInt4, {1})));
  EXPECT_FALSE(parse_binary(type, binary(type::kInt4, {1}) + "x"));
  EXPECT_FALSE(parse_binary(type, binary(type::kInt4, {1}, 2147483647)));
  const std::string whole = binary(type::kInt4, {1, 2});
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(parse_binary(type, std::string_view(whole).substr(0, n))) << n;
  }
  for (const std::initializer_list<std::int32_t> numbers :
       {std::initializer_list<std::int32_t>{7, 0, 23, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4,
                                            1},
        {-1, 0, 23},
        {1, 2, 23, 1, 1, 4, 1},
        {1, 0, 23, -1, 1},
        {1, 0, 23, 1, 1, -2},
        {1, 0, 23, 1, 1, 3, 1},
        {2, 0, 23, 2147483647, 1, 2147483647, 1, 4, 1},
        {6, 0, 23, 65536, 1, 65536, 1, 65536, 1, 65536, 1, 65536, 1, 65536, 1}}) {
    std::string bytes;
    append_all(bytes, numbers);
    EXPECT_FALSE(parse_binary(type, bytes));
  }
}

TEST(ArrayValue, ElementsAreFlattened) {
  const ValueType& type = known(kInt4Array);
  const auto elements = array_elements(type, *ints("[0:1][5:6]={{1,NULL},{3,4}}"));
  ASSERT_TRUE(elements && elements->size() == 4);
  EXPECT_EQ((*elements)[0].value, Value::integer(1));
  EXPECT_EQ((*elements)[1].state, MaybeValue::State::kNull);
  EXPECT_FALSE((*elements)[1].value);
  EXPECT_EQ((*elements)[3].value, Value::integer(4));
  EXPECT_TRUE(array_elements(type, *ints("{}"))->empty());
}

TEST(ArrayValue, ElementsOfAnotherTypeAreNone) {
  const ValueType& type = known(kInt4Array);
  EXPECT_FALSE(array_elements(type, Value::integer(1)));
  EXPECT_FALSE(array_elements(known(type::kInt4), *ints("{1}")));
  EXPECT_FALSE(array_elements(known(kTextArray), *ints("{1}")));
  EXPECT_EQ(compare(*ints("{1}"), *parse_text(known(kTextArray), "{1}")), std::nullopt);
}

TEST(ArrayValue, OfDomainsOverArraysHoldsArrays) {
  const ValueType& type = known(kCountsArray);
  const auto value = parse_text(type, R"({"{1,2}","{}"})");
  ASSERT_TRUE(value);
  const auto elements = array_elements(type, *value);
  ASSERT_TRUE(elements && elements->size() == 2);
  EXPECT_EQ((*elements)[0].value, ints("{1,2}"));
  EXPECT_EQ((*elements)[1].value, ints("{}"));
}

TEST(EnumValue, HasTheOrderOfItsLabels) {
  const ValueType& type = known(kColor);
  const auto red = parse_text(type, "red");
  const auto blue = parse_binary(type, "blue");
  ASSERT_TRUE(red && blue);
  EXPECT_EQ(compare(*red, *blue), std::strong_ordering::less);
  EXPECT_EQ(blue, parse_text(type, "blue"));
  for (const char* text : {"", "Red", "red ", "purple"}) EXPECT_FALSE(parse_text(type, text));
}

}  // namespace
}  // namespace pgcache::pg
