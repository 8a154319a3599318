// SPDX-License-Identifier: Apache-2.0
#include "sql/row_bound.h"

#include <algorithm>
#include <set>
#include <vector>

#include "sql/tree.h"

namespace pgcache::sql {

namespace {

using Kind = Expr::Kind;

// One value for the whole execution, made of literals and parameters.
bool is_given(const Expr& expr) {
  if (expr.kind == Kind::kOperand) return true;
  const bool computed = expr.kind == Kind::kCast || expr.kind == Kind::kCall;
  return computed && std::all_of(expr.children.begin(), expr.children.end(), is_given);
}

// The columns of the use that WHERE compares with a given value.
std::set<std::uint32_t> columns_given(const Expr& where, std::uint32_t use) {
  std::set<std::uint32_t> columns;
  std::vector<const Expr*> conjuncts;
  flatten(where, conjuncts);
  for (const Expr* conjunct : conjuncts) {
    if (conjunct->kind != Kind::kCompare || conjunct->op != CompareOp::kEq) continue;
    for (const std::size_t side : {0u, 1u}) {
      const Expr& column = conjunct->children[side];
      const bool own = column.kind == Kind::kColumn && column.use == use;
      if (own && is_given(conjunct->children[1 - side])) columns.insert(column.column);
    }
  }
  return columns;
}

}  // namespace

bool has_at_most_one_row(const ResolvedQuery& query) {
  const Block& top = query.blocks[query.top];
  if (top.kind != Block::Kind::kSelect || top.set_returning) return false;
  if (top.grouped && !top.grouping_sets && top.keys.empty()) return true;
  if (top.grouping_sets) return false;
  if (top.from.empty()) return true;
  if (top.from.size() != 1 || !top.where) return false;
  const FromNode& from = top.from.front();
  if (from.kind != FromNode::Kind::kTable) return false;
  const TableUse& use = query.uses[from.use];
  if (!is_one_table(use)) return false;
  const std::set<std::uint32_t> given = columns_given(*top.where, from.use);
  return fixes_unique_key(*use.relation,
                          [&](std::uint32_t column) { return given.contains(column); });
}

std::optional<std::uint16_t> literal_of_limit(const ResolvedQuery& query) {
  const std::optional<Expr>& limit = query.blocks[query.top].limit;
  if (!limit || limit->kind != Kind::kOperand || limit->operand.negated) return std::nullopt;
  if (limit->operand.source != OperandSpec::Source::kLiteral) return std::nullopt;
  return limit->operand.index;
}

}  // namespace pgcache::sql
