// SPDX-License-Identifier: Apache-2.0
#include "sql/result_bounds.h"

#include <algorithm>
#include <utility>

#include "sql/shown.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

using Kind = Expr::Kind;

bool is_text(pg::ValueFamily family) {
  return family == pg::ValueFamily::kText || family == pg::ValueFamily::kName ||
         family == pg::ValueFamily::kBpchar;
}

// Values that are equal are written in one way.
bool looks_alike(const ColumnRef& column) {
  switch (column.value_type->family) {
    case pg::ValueFamily::kNumber:
      return column.value_type->oid != pg::type::kNumeric;
    case pg::ValueFamily::kBpchar:
      return false;
    default:
      return true;
  }
}

// What it yields is made of each row alone, or of groups by their keys.
bool is_simple(const Block& block) {
  return block.kind == Block::Kind::kSelect && !block.unknown_outputs && !block.set_returning &&
         block.partitions.empty() && !block.grouping_sets &&
         (!block.grouped || !block.keys.empty());
}

bool is_cut(const Block& block) { return block.limited || !block.distinct_on.empty(); }

}  // namespace

ResultBounds::ResultBounds(const ResolvedQuery& query, const pg::Catalog& catalog,
                           PredicateBuilder& predicates)
    : query_(query), catalog_(catalog), predicates_(predicates), top_(query.blocks[query.top]) {
  if (top_.unknown_outputs) return;
  find_branches(top_, true);
  for (const FromNode& node : top_.from) {
    std::set<std::uint32_t> uses;
    collect_present_uses(node, uses);
    for (const std::uint32_t use : uses) sources_[use] = {&top_, true};
  }
}

void ResultBounds::find_branches(const Block& block, bool positive) {
  for (std::size_t i = 0; i < block.branches.size(); ++i) {
    const Block& branch = query_.blocks[query_.uses[block.branches[i]].block];
    const bool takes_away = block.kind == Block::Kind::kExcept && i > 0;
    if (is_cut(branch) || branch.unknown_outputs) continue;
    if (!branch.branches.empty()) {
      find_branches(branch, positive != takes_away);
      continue;
    }
    if (!is_simple(branch)) continue;
    for (const FromNode& node : branch.from) {
      std::set<std::uint32_t> uses;
      collect_present_uses(node, uses);
      for (const std::uint32_t use : uses) sources_[use] = {&branch, positive != takes_away};
    }
  }
}

void ResultBounds::add_to(Dependency& dependency, std::uint32_t use, const Conditions& conditions) {
  add_cutoff(dependency, use, conditions);
  add_repeated(dependency, use, conditions);
  add_extremes(dependency, use, conditions);
}

// The column of `use` that output `position` of the block shows.
std::optional<ShownColumn> ResultBounds::shown_as(const Block& block, std::size_t position,
                                                  std::uint32_t use,
                                                  const Conditions& conditions) const {
  if (position >= block.outputs.size() || position >= top_.outputs.size()) return std::nullopt;
  const Expr& output = block.outputs[position];
  const auto source = output.kind == Kind::kColumn ? sources_.find(output.use) : sources_.end();
  if (source == sources_.end() || source->second.block != &block) return std::nullopt;
  if (block.grouped && !is_key(block, output)) return std::nullopt;
  if (&block != &top_ && top_.outputs[position].type != output.type) return std::nullopt;
  const bool is_c = output.collation.is_c && top_.outputs[position].collation.is_c;
  return column_like(output, is_c, false, position, use, conditions);
}

// The first column of `use` that has the value of `expr`, a column, and whose values can be told
// from what is shown at `position`; only_ordered: and compared with it. `is_c`: text is sorted
// bytewise there.
std::optional<ShownColumn> ResultBounds::column_like(const Expr& expr, bool is_c, bool only_ordered,
                                                     std::size_t position, std::uint32_t use,
                                                     const Conditions& conditions) const {
  const pg::ValueTypePtr type = pg::value_type_of(catalog_, expr.type);
  if (!type || !reads_back(type->family)) return std::nullopt;
  const pg::Relation& relation = *query_.uses[use].relation;
  for (std::uint32_t i = 0; i < relation.columns.size(); ++i) {
    if (!conditions.are_equal(key_of(expr), {use, i})) continue;
    ColumnRef column = predicates_.column_ref({use, i});
    if (!column.value_type || type->family != column.value_type->family) continue;
    column.ordered = column.ordered && (!is_text(type->family) || is_c);
    if (only_ordered && !column.ordered) continue;
    return ShownColumn{std::move(column), static_cast<std::uint16_t>(position), type};
  }
  return std::nullopt;
}

// The outputs that may be the first item of ORDER BY.
std::vector<std::size_t> ResultBounds::sorted_first() const {
  const OrderKey& order = *top_.order;
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < top_.outputs.size() && i <= UINT16_MAX; ++i) {
    const bool is_it =
        order.value ? same_expr(top_.outputs[i], *order.value) : order.output.value_or(i) == i;
    if (is_it) out.push_back(i);
    if (is_it && order.value) break;
  }
  return out;
}

void ResultBounds::add_cutoff(Dependency& dependency, std::uint32_t use,
                              const Conditions& conditions) {
  if (!top_.order || !top_.limit || top_.limit->kind != Kind::kOperand) return;
  const bool is_select = top_.branches.empty();
  if (is_select && !is_simple(top_)) return;
  const auto source = sources_.find(use);
  if (!is_select && source == sources_.end()) return;
  Cutoff cutoff;
  for (const std::size_t position : sorted_first()) {
    const Block& block = is_select ? top_ : *source->second.block;
    std::optional<ShownColumn> column = shown_as(block, position, use, conditions);
    if (column && column->column.ordered) cutoff.by.push_back(*std::move(column));
  }
  if (cutoff.by.empty()) return;
  const OrderKey& order = *top_.order;
  const auto operand = [&](const Expr& expr) -> std::optional<OperandIndex> {
    if (!predicates_.is_usable(expr.operand)) return std::nullopt;
    return predicates_.operand_index(expr.operand);
  };
  const std::optional<OperandIndex> limit = operand(*top_.limit);
  if (order.place) cutoff.place = operand(*order.place);
  if (!limit || (order.place && !cutoff.place)) return;
  cutoff.limit = *limit;
  cutoff.descending = order.descending;
  cutoff.nulls_first = order.nulls_first;
  dependency.cutoff = std::move(cutoff);
}

void ResultBounds::add_repeated(Dependency& dependency, std::uint32_t use,
                                const Conditions& conditions) const {
  const auto source = sources_.find(use);
  if (source == sources_.end() || !source->second.positive) return;
  const Block& block = *source->second.block;
  const bool is_select = &block == &top_;
  const bool merges = is_select ? top_.distinct && top_.distinct_on.empty() : !top_.all;
  if (!merges || block.grouped || !is_simple(block)) return;
  std::vector<ShownColumn> columns;
  for (std::size_t i = 0; i < block.outputs.size(); ++i) {
    if (block.outputs[i].kind == Kind::kOperand && is_select) continue;  // the same in every row
    std::optional<ShownColumn> column = shown_as(block, i, use, conditions);
    if (!column || !looks_alike(column->column)) return;
    columns.push_back(*std::move(column));
  }
  dependency.repeated = std::move(columns);
}

void ResultBounds::add_extremes(Dependency& dependency, std::uint32_t use,
                                const Conditions& conditions) const {
  const auto source = sources_.find(use);
  if (source == sources_.end() || source->second.block != &top_ || !top_.branches.empty()) return;
  if (top_.grouping_sets || !top_.keys.empty() || top_.having || top_.limited ||
      top_.set_returning || !top_.partitions.empty()) {
    return;
  }
  std::vector<Extreme> extremes;
  for (std::size_t i = 0; i < top_.outputs.size() && i <= UINT16_MAX; ++i) {
    const Expr& output = top_.outputs[i];
    if (output.kind == Kind::kOperand) continue;
    if (output.kind != Kind::kOpaque || output.function == pg::Oid::kInvalid ||
        output.children[0].kind != Kind::kColumn) {
      return;
    }
    const Expr& argument = output.children[0];
    std::optional<ShownColumn> value =
        column_like(argument, argument.collation.is_c, true, i, use, conditions);
    if (!value) return;
    const bool ties = looks_alike(value->column);
    extremes.push_back({*std::move(value), output.all, ties});
  }
  dependency.extremes = std::move(extremes);
}

}  // namespace pgcache::sql
