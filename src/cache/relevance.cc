// SPDX-License-Identifier: Apache-2.0
#include "cache/relevance.h"

#include <algorithm>
#include <compare>

namespace pgcache::cache {

namespace {

using State = sql::Operand::State;

bool keeps_columns_of(const sql::Predicate& predicate, const ChangeImages& change) {
  bool keeps = true;
  sql::each_column(
      predicate, [&](const sql::ColumnRef& column) { keeps = keeps && change.keeps(column.name); });
  return keeps;
}

// Whether column = operand can be true. NULL meets NULL, in case the condition treats them as equal
// (transform_null_equals).
bool may_equal(const sql::Operand& column, const sql::Operand& operand) {
  if (column.state == State::kUnknown || operand.state == State::kUnknown) return true;
  if (column.state == State::kNull || operand.state == State::kNull) {
    return column.state == operand.state;
  }
  if (column.value->family() != operand.value->family()) return true;
  return *column.value == *operand.value;
}

bool may_lie_in(const sql::RangeBinding& range, const RowImage& image,
                const std::vector<sql::Operand>& operands) {
  if (!range.column.ordered) return true;
  const sql::Operand& column = image.look(range.column);
  if (column.state == State::kUnknown) return true;
  if (column.state == State::kNull) return false;
  const auto may_hold = [&](sql::OperandIndex bound, bool inclusive, bool is_lower) {
    const sql::Operand& operand = operands[bound];
    if (operand.state == State::kUnknown) return true;
    if (operand.state == State::kNull) return false;
    const auto order = pg::compare(*column.value, *operand.value);
    if (!order) return true;
    if (std::is_eq(*order)) return inclusive;
    return is_lower ? std::is_gt(*order) : std::is_lt(*order);
  };
  if (range.lower && !may_hold(*range.lower, range.lower_inclusive, true)) return false;
  return !range.upper || may_hold(*range.upper, range.upper_inclusive, false);
}

}  // namespace

bool is_invisible_update(const sql::Dependency& dependency, const ChangeImages& change) {
  if (change.change().kind != cdc::ChangeKind::kUpdate || dependency.reads_all_columns)
    return false;
  for (const std::string& column : dependency.columns_read) {
    if (!change.keeps(column)) return false;
  }
  // These are read columns too; asking again makes sure.
  for (const sql::EqualityBinding& equality : dependency.equalities) {
    if (!change.keeps(equality.column.name)) return false;
  }
  if (dependency.range && !change.keeps(dependency.range->column.name)) return false;
  return keeps_columns_of(dependency.residual, change);
}

bool row_may_matter(const sql::Dependency& dependency, const RowImage& image,
                    const std::vector<sql::Operand>& operands) {
  for (const sql::EqualityBinding& equality : dependency.equalities) {
    const sql::Operand& column = image.look(equality.column);
    const bool possible =
        std::any_of(equality.operands.begin(), equality.operands.end(),
                    [&](sql::OperandIndex i) { return may_equal(column, operands[i]); });
    if (!possible) return false;
  }
  if (dependency.range && !may_lie_in(*dependency.range, image, operands)) return false;
  return dependency.residual.kind == sql::Predicate::Kind::kTrue ||
         sql::may_match(dependency.residual, image, operands);
}

bool change_may_matter(const sql::Dependency& dependency, const ChangeImages& change,
                       const std::vector<sql::Operand>& operands) {
  if (change.change().kind == cdc::ChangeKind::kTruncate) return true;
  return (change.before() && row_may_matter(dependency, *change.before(), operands)) ||
         (change.after() && row_may_matter(dependency, *change.after(), operands));
}

}  // namespace pgcache::cache
