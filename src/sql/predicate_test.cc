// SPDX-License-Identifier: Apache-2.0
// Three-valued evaluation with unknowns, and the binding of operands.
#include <gtest/gtest.h>

#include <map>

#include "sql/analysis_support.h"

namespace pgcache::sql {
namespace {

// Columns by their text form; a missing column is unknown, nullopt is NULL.
class TextRow final : public RowView {
 public:
  using Cells = std::map<std::string, std::optional<std::string>>;
  explicit TextRow(Cells cells) : cells_(std::move(cells)) {}
  Operand column(const ColumnRef& column) const override {
    const auto it = cells_.find(column.name);
    if (it == cells_.end()) return {};
    if (!it->second) return {Operand::State::kNull, std::nullopt};
    auto value = pg::parse_text(column.type, *it->second);
    if (!value) return {};
    return {Operand::State::kValue, std::move(value)};
  }

 private:
  Cells cells_;
};

// The truth of the WHERE of a query on users whose conditions all stay in the residual.
Truth truth(const std::string& where, const TextRow::Cells& cells) {
  const std::string text = "SELECT 1 FROM users WHERE NOT (NOT (" + where + "))";
  const StatementShape shape = scan_shape(text, true);
  const Analysis analysis = testing::analyze_with(testing::shop(), text);
  if (analysis.cacheable() == nullptr) return Truth::kUnknown;
  const CacheableQuery& query = *analysis.cacheable();
  const Dependency& dependency = query.dependencies[0];
  EXPECT_TRUE(dependency.equalities.empty() && !dependency.range) << text;
  return evaluate(dependency.residual, TextRow(cells), bind_operands(query, shape.literals, {}));
}

constexpr Truth T = Truth::kTrue, F = Truth::kFalse, N = Truth::kNull, U = Truth::kUnknown;

TEST(Evaluate, Comparisons) {
  EXPECT_EQ(truth("id = 1", {{"id", "1"}}), T);
  EXPECT_EQ(truth("id = 01", {{"id", "1"}}), T);
  EXPECT_EQ(truth("id = 1.0", {{"id", "1"}}), T);
  EXPECT_EQ(truth("id = -1", {{"id", "-1"}}), T);
  EXPECT_EQ(truth("id = 2", {{"id", "1"}}), F);
  EXPECT_EQ(truth("id = 2", {{"id", std::nullopt}}), N);
  EXPECT_EQ(truth("id = 2", {}), U);
  EXPECT_EQ(truth("id <> 2", {{"id", "1"}}), T);
  EXPECT_EQ(truth("id < 10", {{"id", "9"}}), T);
  EXPECT_EQ(truth("id >= 10", {{"id", "9"}}), F);
  EXPECT_EQ(truth("score = 1.50", {{"score", "1.5"}}), T);
  EXPECT_EQ(truth("code = 'ab'", {{"code", "ab  "}}), T);
  EXPECT_EQ(truth("name = 'ab'", {{"name", "ab "}}), F);
  EXPECT_EQ(truth("name > 'a'", {{"name", "b"}}), U);  // not the C collation
  EXPECT_EQ(truth("name > 'a'", {{"name", std::nullopt}}), N);
  EXPECT_EQ(truth("tag > 'a'", {{"tag", "b"}}), T);
  EXPECT_EQ(truth("id = team_id", {{"id", "5"}, {"team_id", "5"}}), T);
  EXPECT_EQ(truth("id < team_id", {{"id", "5"}, {"team_id", "5"}}), F);
  EXPECT_EQ(truth("created_at = '2024-01-01 10:00:00'", {{"created_at", "2024-01-01 10:00:00+00"}}),
            U);  // depends on the time zone
  EXPECT_EQ(
      truth("created_at = '2024-01-01 12:00:00+02'", {{"created_at", "2024-01-01 10:00:00+00"}}),
      T);
}

// A length or precision is part of the shape, also beside literals that are lifted.
TEST(Evaluate, LengthsInCasts) {
  EXPECT_EQ(truth("name = 'abcd'::varchar(2)", {{"name", "ab"}}), T);
  EXPECT_EQ(truth("name = 'abcd'::varchar(2)", {{"name", "abcd"}}), F);
  EXPECT_EQ(truth("name = 'abcd'::varchar(2)::text", {{"name", "ab"}}), T);
  EXPECT_EQ(truth("name = 'abcd'::varchar(3)::varchar(2)", {{"name", "ab"}}), T);
  EXPECT_EQ(truth("name = 'ab'::varchar", {{"name", "ab"}}), T);
  EXPECT_EQ(truth("name::varchar(2) = 'ab'", {{"name", "abc"}}), T);
  EXPECT_EQ(truth("name::varchar(2) = 'ab'", {{"name", "a"}}), F);
  EXPECT_EQ(truth("name::char = 'a'", {{"name", "abc"}}), T);
  EXPECT_EQ(truth("code = 'abc'::char(2)", {{"code", "ab   "}}), T);
  EXPECT_EQ(truth("code = 'abc'::char(2)", {{"code", "abc"}}), F);
  EXPECT_EQ(truth("score = 1.255::numeric(10, 2)", {{"score", "1.26"}}), T);
  EXPECT_EQ(truth("score = 1.255::numeric(10, 2)", {{"score", "1.255"}}), F);
  EXPECT_EQ(truth("score = 1.255::numeric(10, 2) AND id = 1", {{"score", "1.25"}}), F);
  EXPECT_EQ(truth("score = 1.255::numeric(1, 2)", {{"score", "1.26"}}), U);  // an error
  EXPECT_EQ(truth("score::numeric(3, -1) = 20", {{"score", "17"}}), T);
  EXPECT_EQ(truth("score = '1.255'::numeric(10, 2)", {{"score", "1.26"}}), T);
  EXPECT_EQ(truth("id::numeric(4, 1) = 7", {{"id", "7"}}), T);
  EXPECT_EQ(truth("id::numeric(4, 1) = 7", {{"id", "1000"}}), U);  // an error
  EXPECT_EQ(truth("created_at = '2024-01-01 10:00:00.6Z'::timestamptz(0)",
                  {{"created_at", "2024-01-01 10:00:01+00"}}),
            T);
  EXPECT_EQ(truth("name = 'abcd'::varchar(0)", {{"name", "ab"}}), U);
  EXPECT_EQ(truth("name = 'abcd'::varchar(2147483647)", {{"name", "ab"}}), T);  // no condition
}

TEST(Evaluate, Intervals) {
  const auto born = [](const char* where) { return truth(where, {{"born", "2024-01-31"}}); };
  EXPECT_EQ(born("born + interval '1 month' = '2024-02-29'"), T);
  EXPECT_EQ(born("born + interval '30 days' = '2024-02-29'"), F);
  EXPECT_EQ(born("born::timestamp + '30 days' = '2024-03-01'"), T);
  EXPECT_EQ(born("born::timestamp + '30 days' = '2024-03-02'"), F);
  EXPECT_EQ(born("born - '1 month'::interval > '2024-01-01'"), F);
  EXPECT_EQ(born("born + interval '1 day' * 2 = '2024-02-02'"), T);
  EXPECT_EQ(born("born + interval '1 day' * 2 = '2024-02-01'"), F);
  EXPECT_EQ(born("born + 2 * interval '12:00' = '2024-02-01'"), T);
  EXPECT_EQ(born("born + 2 * interval '12:00' = '2024-02-02'"), F);
  EXPECT_EQ(born("interval '1 month' + born = '2024-02-29'"), T);
  EXPECT_EQ(born("interval '1 month' + born = '2024-03-01'"), F);
  EXPECT_EQ(born("born > '2024-03-02'::timestamp - interval '1 month'"), F);
  EXPECT_EQ(born("age(born::timestamp, '2024-01-01') = interval '30 days'"), T);
  EXPECT_EQ(born("age(born::timestamp, '2024-01-01') = interval '31 days'"), F);
  EXPECT_EQ(born("CASE WHEN born IS NOT NULL THEN interval '1 month' END <> interval '30 days'"),
            F);
  EXPECT_EQ(born("greatest(interval '1 month', interval '29 days') = interval '30 days'"), T);
  EXPECT_EQ(born("greatest(born - interval '1 month', '2023-01-01') = '2023-12-01'"), F);
  EXPECT_EQ(born("extract(month from age(born::timestamp, '2022-11-15')) = 3"), F);

  const auto made = [](const char* where) {
    return truth(where, {{"created_at", "2024-01-03 10:00:00+00"}});
  };
  EXPECT_EQ(made("created_at - '2024-01-01Z' > interval '2 days'"), U);  // a text without a time
  EXPECT_EQ(made("created_at - '2024-01-01 00:00Z' > interval '2 days'"), T);
  EXPECT_EQ(made("created_at - '2024-01-01 00:00Z' > interval '3 days'"), F);
  EXPECT_EQ(made("created_at + interval '1 hour' = '2024-01-03 11:00Z'"), T);
  EXPECT_EQ(made("created_at + interval '1 hour' = '2024-01-03 12:00Z'"), F);
  EXPECT_EQ(made("created_at + interval '1 day' = '2024-01-03 12:00Z'"), U);  // the time zone's day
  EXPECT_EQ(made("extract(epoch from created_at) = 1704276000"), T);
  EXPECT_EQ(made("extract(hour from created_at) = 11"), U);
  EXPECT_EQ(made("created_at AT TIME ZONE 'UTC' = '2024-01-03 10:00'"), T);
  EXPECT_EQ(made("created_at AT TIME ZONE 'utc' < '2024-01-03 10:00'"), F);
  EXPECT_EQ(made("created_at AT TIME ZONE 'Asia/Kolkata' < '2024-01-03 10:00'"), U);
}

TEST(Evaluate, NullsAndLists) {
  EXPECT_EQ(truth("name IS NULL", {{"name", std::nullopt}}), T);
  EXPECT_EQ(truth("name IS NULL", {{"name", "x"}}), F);
  EXPECT_EQ(truth("name IS NULL", {}), U);
  EXPECT_EQ(truth("name IS NOT NULL", {{"name", std::nullopt}}), F);
  EXPECT_EQ(truth("id IN (1, 2)", {{"id", "2"}}), T);
  EXPECT_EQ(truth("id IN (1, 2)", {{"id", "3"}}), F);
  EXPECT_EQ(truth("id IN (1, 2)", {{"id", std::nullopt}}), N);
  EXPECT_EQ(truth("id NOT IN (1, 2)", {{"id", "3"}}), T);
  EXPECT_EQ(truth("id NOT IN (1, 2)", {{"id", "2"}}), F);
  EXPECT_EQ(truth("active IS TRUE", {{"active", std::nullopt}}), F);
  EXPECT_EQ(truth("active IS NOT TRUE", {{"active", std::nullopt}}), T);
  EXPECT_EQ(truth("active IS NOT TRUE", {{"active", "t"}}), F);
  EXPECT_EQ(truth("active IS FALSE", {{"active", "f"}}), T);
  EXPECT_EQ(truth("active IS NOT FALSE", {{"active", "f"}}), F);
  EXPECT_EQ(truth("active IS UNKNOWN", {{"active", "f"}}), F);
  EXPECT_EQ(truth("NOT active", {{"active", "f"}}), T);
}

TEST(Evaluate, Connectives) {
  const TextRow::Cells row{{"id", "1"}, {"name", std::nullopt}};  // team_id is not known
  EXPECT_EQ(truth("id = 2 AND team_id = 1", row), F);
  EXPECT_EQ(truth("team_id = 1 AND id = 2", row), F);
  EXPECT_EQ(truth("id = 1 AND team_id = 1", row), U);
  EXPECT_EQ(truth("name = 'x' AND id = 1", row), N);
  EXPECT_EQ(truth("name = 'x' AND id = 2", row), F);
  EXPECT_EQ(truth("name = 'x' AND team_id = 1", row), N);  // false or NULL: cannot pass
  EXPECT_EQ(truth("NOT (name = 'x' AND team_id = 1)", row), U);
  EXPECT_EQ(truth("id = 1 OR team_id = 1", row), T);
  EXPECT_EQ(truth("id = 2 OR team_id = 1", row), U);
  EXPECT_EQ(truth("name = 'x' OR id = 2", row), N);
  EXPECT_EQ(truth("name = 'x' OR id = 1", row), T);
  EXPECT_EQ(truth("NOT (name = 'x')", row), N);
  EXPECT_EQ(truth("NOT (id = 2)", row), T);
}

TEST(Evaluate, InListWithNullAndUnknownOperands) {
  Predicate in;
  in.kind = Predicate::Kind::kIn;
  in.column = {"id", pg::type::kInt4, true};
  in.in_operands = {0, 1};
  const Operand one{Operand::State::kValue, pg::parse_text(pg::type::kInt4, "1")};
  const Operand null{Operand::State::kNull, std::nullopt};
  const Operand unknown;
  const TextRow is_one(TextRow::Cells{{"id", "1"}});
  const TextRow is_two(TextRow::Cells{{"id", "2"}});
  EXPECT_EQ(evaluate(in, is_one, {one, null}), T);
  EXPECT_EQ(evaluate(in, is_two, {one, null}), N);
  EXPECT_EQ(evaluate(in, is_one, {unknown, one}), T);
  EXPECT_EQ(evaluate(in, is_two, {one, unknown}), U);
  EXPECT_EQ(evaluate(in, is_two, {}), U);  // operands that are missing are unknown
  Predicate both = in;
  both.kind = Predicate::Kind::kNot;
  both.children = {in};
  EXPECT_EQ(evaluate(both, is_two, {one, null}), N);
  EXPECT_EQ(evaluate(both, is_one, {one, null}), F);
  EXPECT_EQ(evaluate(Predicate{}, is_one, {}), T);
}

TEST(Evaluate, DifferentFamiliesAreUnknown) {
  Predicate p;
  p.kind = Predicate::Kind::kCompare;
  p.column = {"id", pg::type::kInt4, true};
  const Operand text{Operand::State::kValue, pg::parse_text(pg::type::kText, "1")};
  EXPECT_EQ(evaluate(p, TextRow(TextRow::Cells{{"id", "1"}}), {text}), U);
}

TEST(BindOperands, Parameters) {
  const std::string text = "SELECT 1 FROM users WHERE id = $1 AND name = $2 AND team_id = -7";
  const StatementShape shape = scan_shape(text, true);
  const Analysis analysis = testing::analyze_with(testing::shop(), text);
  ASSERT_NE(analysis.cacheable(), nullptr);
  const auto bind = [&](std::vector<Parameter> parameters) {
    return bind_operands(*analysis.cacheable(), shape.literals, parameters);
  };
  const std::string_view binary_five("\0\0\0\5", 4);
  auto operands = bind({{false, true, binary_five}, {false, true, "ab"}});
  ASSERT_EQ(operands.size(), 3u);
  EXPECT_EQ(operands[0].value, pg::Value::integer(5));
  EXPECT_EQ(operands[1].value, pg::Value::text("ab"));
  EXPECT_EQ(operands[2].value, pg::Value::integer(-7));
  operands = bind({{false, false, " 5"}, {true, false, ""}});
  EXPECT_EQ(operands[0].value, pg::Value::integer(5));
  EXPECT_EQ(operands[1].state, Operand::State::kNull);
  operands = bind({{false, false, "five"}});
  EXPECT_EQ(operands[0].state, Operand::State::kUnknown);
  EXPECT_EQ(operands[1].state, Operand::State::kUnknown);
}

TEST(BindOperands, CastTextParameters) {
  const std::string text = "SELECT 1 FROM users WHERE id = $1::int";
  const Analysis analysis = testing::analyze_with(testing::shop(), text, {pg::type::kText});
  ASSERT_NE(analysis.cacheable(), nullptr);
  const auto operands = bind_operands(*analysis.cacheable(), {}, {{false, true, "12"}});
  ASSERT_EQ(operands.size(), 1u);
  EXPECT_EQ(operands[0].value, pg::Value::integer(12));
}

}  // namespace
}  // namespace pgcache::sql
