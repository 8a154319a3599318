// SPDX-License-Identifier: Apache-2.0
#include "sql/describe.h"

#include <gtest/gtest.h>

namespace pgcache::sql {
namespace {

OperandSpec operand(OperandSpec::Source source, std::uint16_t index, std::string constant = {}) {
  OperandSpec spec;
  spec.source = source;
  spec.index = index;
  spec.constant = std::move(constant);
  return spec;
}

CacheableQuery make_query() {
  CacheableQuery query;
  query.operands = {operand(OperandSpec::Source::kLiteral, 0),
                    operand(OperandSpec::Source::kParameter, 1),
                    operand(OperandSpec::Source::kConstant, 0, "true")};
  query.operands[0].negated = true;
  return query;
}

ColumnRef column(std::string name) {
  ColumnRef ref;
  ref.name = std::move(name);
  return ref;
}

TEST(Describe, Operands) {
  const CacheableQuery query = make_query();
  EXPECT_EQ(describe_operand(0, query), "-?1");
  EXPECT_EQ(describe_operand(1, query), "$2");
  EXPECT_EQ(describe_operand(2, query), "'true'");
  EXPECT_EQ(describe_operand(9, query), "?");
}

TEST(Describe, Keys) {
  const CacheableQuery query = make_query();
  EqualityBinding binding{column("id"), {1}};
  EXPECT_EQ(describe_key(binding, query), "id = $2");
  binding.or_null = true;
  EXPECT_EQ(describe_key(binding, query), "id = $2 OR NULL");
  binding.array = true;
  EXPECT_EQ(describe_key(binding, query), "id = ANY ($2) OR NULL");
  EXPECT_EQ(describe_key({column("kind"), {0, 2}}, query), "kind IN (-?1, 'true')");
}

TEST(Describe, Ranges) {
  const CacheableQuery query = make_query();
  RangeBinding range;
  range.column = column("price");
  range.upper = 1;
  EXPECT_EQ(describe_range(range, query), "price < $2");
  range.lower = 0;
  range.lower_inclusive = true;
  EXPECT_EQ(describe_range(range, query), "price >= -?1 AND price < $2");
  range.upper.reset();
  EXPECT_EQ(describe_range(range, query), "price >= -?1");
}

TEST(Describe, Shapes) {
  const auto shown = [](std::string_view text) { return describe_shape(scan_shape(text, true)); };
  EXPECT_EQ(shown("SELECT 'it''s', a1 FROM t WHERE b = -7 AND c < 1.5 AND d = $1"),
            "SELECT ?1, a1 FROM t WHERE b = -?2 AND c < ?3 AND d = $1");
  EXPECT_EQ(shown("SELECT 1"), "SELECT ?1");
  EXPECT_EQ(shown(""), "");
}

}  // namespace
}  // namespace pgcache::sql
