// SPDX-License-Identifier: Apache-2.0
#include "cache/relevance.h"

#include <algorithm>
#include <compare>

namespace pgcache::cache {

namespace {

using State = sql::Operand::State;

// Whether column = operand can be true. (With transform_null_equals a NULL that is written there
// means something else; that is no operand.)
bool may_equal(const sql::Operand& column, const sql::Operand& operand) {
  if (column.state == State::kNull || operand.state == State::kNull) return false;
  if (column.state == State::kUnknown || operand.state == State::kUnknown) return true;
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

// The same for an array binding. No value equals an element that is NULL.
bool may_equal_element(const sql::Operand& column, const sql::Operand& operand,
                       const ArrayOperand* array) {
  if (column.state == State::kNull || operand.state == State::kNull) return false;
  if (!array) return true;
  const std::vector<pg::Value>& elements = array->elements;
  if (elements.empty()) return false;
  if (column.state == State::kUnknown) return true;
  if (column.value->family() != elements.front().family()) return true;
  return std::binary_search(
      elements.begin(), elements.end(), *column.value,
      [](const pg::Value& a, const pg::Value& b) { return a.bytes() < b.bytes(); });
}

// NULL on either side makes a comparison that is not false.
bool compares_with_null(const sql::EqualityBinding& equality, const sql::Operand& column,
                        const BoundOperands& operands) {
  if (column.state != State::kValue) return true;
  return std::any_of(equality.operands.begin(), equality.operands.end(), [&](sql::OperandIndex i) {
    const ArrayOperand* array = equality.array ? operands.array(i) : nullptr;
    return operands.values[i].state == State::kNull || (array && array->has_null);
  });
}

bool may_fulfil(const sql::EqualityBinding& equality, const RowImage& image,
                const BoundOperands& operands) {
  const sql::Operand& column = image.look(equality.column);
  if (equality.or_null && compares_with_null(equality, column, operands)) return true;
  if (equality.array) {
    const sql::OperandIndex index = equality.operands.front();
    return may_equal_element(column, operands.values[index], operands.array(index));
  }
  return std::any_of(equality.operands.begin(), equality.operands.end(),
                     [&](sql::OperandIndex i) { return may_equal(column, operands.values[i]); });
}

// Of what is no UPDATE.
Visibility visibility_of_whole(bool is_parent, cdc::ChangeKind kind) {
  return is_parent && kind != cdc::ChangeKind::kTruncate ? Visibility::kInvisible
                                                         : Visibility::kVisible;
}

}  // namespace

Visibility visibility(const sql::Dependency& dependency, const ChangeImages& change) {
  const cdc::ChangeKind kind = change.change().kind;
  if (kind != cdc::ChangeKind::kUpdate) return visibility_of_whole(dependency.is_parent, kind);
  return VisibilityRule(dependency, change.form())(change);
}

VisibilityRule::VisibilityRule(const sql::Dependency& dependency, const RelationForm& form)
    : columns_(form.relation().columns.size()),
      asks_all_(dependency.reads_all_columns),
      is_parent_(dependency.is_parent) {
  for (const std::string& column : dependency.columns_read) ask(form, column);
  for (std::size_t i = 0; asks_all_ && i < form.relation().columns.size(); ++i) columns_.add(i);
  // These are read columns too; asking again makes sure.
  for (const sql::EqualityBinding& equality : dependency.equalities) {
    ask(form, equality.column.name);
  }
  if (dependency.range) ask(form, dependency.range->column.name);
  sql::each_column(dependency.residual,
                   [&](const sql::ColumnRef& column) { ask(form, column.name); });
}

void VisibilityRule::ask(const RelationForm& form, const std::string& column) {
  const std::optional<std::size_t> position = form.position(column);
  if (position) columns_.add(*position);
  asks_unknown_ = asks_unknown_ || !position;
}

Visibility VisibilityRule::operator()(const ChangeImages& change) const {
  const cdc::ChangeKind kind = change.change().kind;
  if (kind != cdc::ChangeKind::kUpdate) return visibility_of_whole(is_parent_, kind);
  if (asks_unknown_) return Visibility::kVisible;
  const ChangeImages::KeptColumns& kept = change.kept();
  if (columns_.is_part_of(kept.yes)) return Visibility::kInvisible;
  // That nothing changes at all is not to be expected.
  return asks_all_ || columns_.meets(kept.perhaps_not) ? Visibility::kVisible
                                                       : Visibility::kUnproven;
}

bool may_matter_at_all(const sql::Dependency& dependency, const BoundOperands& operands) {
  return sql::may_hold(dependency.guard, operands.values);
}

bool member_may_matter(const sql::Dependency& dependency, pg::Oid member,
                       const BoundOperands& operands) {
  return std::all_of(
      dependency.member_guards.begin(), dependency.member_guards.end(), [&](const auto& guarded) {
        return guarded.first != member || sql::may_hold(guarded.second, operands.values);
      });
}

bool row_may_matter(const sql::Dependency& dependency, const RowImage& image,
                    const BoundOperands& operands) {
  for (const sql::EqualityBinding& equality : dependency.equalities) {
    if (!may_fulfil(equality, image, operands)) return false;
  }
  if (dependency.range && !may_lie_in(*dependency.range, image, operands.values)) return false;
  return dependency.residual.kind == sql::Predicate::Kind::kTrue ||
         sql::may_match(dependency.residual, image, operands.values);
}

namespace {

bool certainly_equal(const sql::Operand& column, const sql::Operand& operand) {
  return column.known() && operand.known() && *column.value == *operand.value;
}

bool certainly_fulfils(const sql::EqualityBinding& equality, const RowImage& image,
                       const BoundOperands& operands) {
  const sql::Operand& column = image.look(equality.column);
  if (equality.array) {
    const sql::OperandIndex index = equality.operands.front();
    const ArrayOperand* const array = operands.array(index);
    return column.known() && operands.values[index].known() && array && !array->elements.empty() &&
           column.value->family() == array->elements.front().family() &&
           may_equal_element(column, operands.values[index], array);
  }
  return std::any_of(equality.operands.begin(), equality.operands.end(), [&](sql::OperandIndex i) {
    return certainly_equal(column, operands.values[i]);
  });
}

bool certainly_lies_in(const sql::RangeBinding& range, const RowImage& image,
                       const std::vector<sql::Operand>& operands) {
  if (!image.look(range.column).known()) return false;
  for (const auto& bound : {range.lower, range.upper}) {
    if (bound && (!operands[*bound].known() ||
                  !pg::compare(*image.look(range.column).value, *operands[*bound].value))) {
      return false;
    }
  }
  return may_lie_in(range, image, operands);
}

bool row_certainly_fulfils(const sql::Dependency& dependency, const RowImage& image,
                           const BoundOperands& operands) {
  for (const sql::EqualityBinding& equality : dependency.equalities) {
    if (!certainly_fulfils(equality, image, operands)) return false;
  }
  if (dependency.range && !certainly_lies_in(*dependency.range, image, operands.values)) {
    return false;
  }
  return dependency.residual.kind == sql::Predicate::Kind::kTrue ||
         sql::evaluate(dependency.residual, image, operands.values) == sql::Truth::kTrue;
}

}  // namespace

bool keeps_result(const sql::Dependency& dependency, const ChangeImages& change,
                  const BoundOperands& operands) {
  if (change.change().kind != cdc::ChangeKind::kUpdate || !dependency.columns_shown) return false;
  for (const std::string& column : *dependency.columns_shown) {
    if (change.keeps(column) != ChangeImages::Keeps::kYes) return false;
  }
  return change.before() && change.after() &&
         row_certainly_fulfils(dependency, *change.before(), operands) &&
         row_certainly_fulfils(dependency, *change.after(), operands);
}

const RowImage* must_be_shown(const sql::Dependency& dependency, const ChangeImages& change,
                              bool is_before) {
  const sql::Shown& shown = dependency.shown;
  const RowImage* const before = change.before() ? &*change.before() : nullptr;
  if (is_before) return shown.before ? before : nullptr;
  if (shown.after) return change.after() ? &*change.after() : nullptr;
  if (!shown.before || !shown.columns_tested || before == nullptr) return nullptr;
  const bool keeps = std::all_of(
      shown.columns_tested->begin(), shown.columns_tested->end(),
      [&](const std::string& column) { return change.keeps(column) == ChangeImages::Keeps::kYes; });
  return keeps ? before : nullptr;
}

bool change_may_matter(const sql::Dependency& dependency, const ChangeImages& change,
                       const BoundOperands& operands, const ShownKeys* shown,
                       const ResultFacts& facts) {
  if (!member_may_matter(dependency, change.relation(), operands)) return false;
  if (change.change().kind == cdc::ChangeKind::kTruncate) return true;
  const auto may_matter = [&](const std::optional<RowImage>& image, bool is_before) {
    if (!image || !row_may_matter(dependency, *image, operands) ||
        is_beyond(dependency, facts, *image, is_before)) {
      return false;
    }
    const RowImage* const row = shown ? must_be_shown(dependency, change, is_before) : nullptr;
    if (!row) return true;
    const std::optional<std::uint64_t> hash = key_hash(dependency.shown.columns, *row);
    return !hash || std::binary_search(shown->begin(), shown->end(), *hash);
  };
  return may_matter(change.after(), false) || may_matter(change.before(), true);
}

}  // namespace pgcache::cache
