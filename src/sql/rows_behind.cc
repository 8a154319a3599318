// SPDX-License-Identifier: Apache-2.0
#include "sql/rows_behind.h"

#include <algorithm>
#include <utility>

#include "sql/tree.h"

namespace pgcache::sql {
namespace {

using Kind = Expr::Kind;

constexpr int kDepthMax = 8;
constexpr std::size_t kMadeMax = 2'000;  // conditions

bool has_sublinks(const Expr& expr) {
  Conjuncts sublinks;
  collect_sublinks(expr, sublinks);
  return !sublinks.empty();
}

bool is_min_or_max(const Expr& output) {
  return output.kind == Kind::kOpaque && output.function != pg::Oid::kInvalid &&
         output.children.size() == 1;
}

}  // namespace

RowsBehind::RowsBehind(const ResolvedQuery& query, std::deque<Expr>& kept)
    : query_(query), kept_(kept), readers_(query.blocks.size(), 0) {
  for (const TableUse& use : query.uses) {
    if (use.relation == nullptr) ++readers_[use.block];
  }
  for (const std::uint32_t block : query.also) ++readers_[block];
}

void RowsBehind::add(Expr expr, Conjuncts& out) {
  const Expr* const kept = &kept_.emplace_back(std::move(expr));
  made_.insert(kept);
  out.push_back(kept);
}

const Expr* RowsBehind::note_copy(const Expr* original, const Expr* copy) {
  if (contains(original)) made_.insert(copy);
  return copy;
}

// ---------------------------------------------------------------- values

// A column of a row that is there: an outer join puts NULL in place of others.
bool RowsBehind::is_never_null(const Expr& value) const {
  if (value.kind != Kind::kColumn || !tables_.contains(value.use)) return false;
  const pg::Relation* const relation = query_.uses[value.use].relation;
  return relation != nullptr && relation->columns[value.column].not_null;
}

// Both are NULL, or they are equal.
Expr RowsBehind::same(Expr a, Expr b) const {
  const bool never_null = is_never_null(b);
  Expr expr =
      make_expr(never_null ? Kind::kCompare : Kind::kDistinct, {std::move(a), std::move(b)});
  return never_null ? expr : make_not(std::move(expr));
}

void RowsBehind::add_same(std::uint32_t a, std::uint32_t b, std::uint32_t column, pg::Oid type,
                          Conjuncts& out) {
  add(same(make_column({a, column}, type), make_column({b, column}, type)), out);
}

// ---------------------------------------------------------------- blocks

// A block that is read in several places stands for different rows in each.
void RowsBehind::add_of_block(std::uint32_t use, Conjuncts& out, bool value_needed, int depth) {
  const std::uint32_t number = query_.uses[use].block;
  const Block& block = query_.blocks[number];
  if (readers_[number] != 1 || block.unknown_outputs || block.recursion != 0 || depth > kDepthMax ||
      made_.size() > kMadeMax) {
    return;
  }
  if (!block.branches.empty()) return add_of_operation(block, use, out, depth);
  if (block.kind != Block::Kind::kSelect) return;
  const bool of_extreme =
      value_needed && block.outputs.size() == 1 && is_min_or_max(block.outputs[0]);
  if (gives_row_of_none(block) && !of_extreme) return;
  for (const FromNode& node : block.from) add_of_from(node, out, depth + 1);
  add_outputs(block, use, value_needed, out);
  if (block.where) {
    Conjuncts parts;
    flatten(*block.where, parts);
    for (const Expr* part : parts) {
      add(*part, out);
      add_of_condition(*part, out, depth + 1);
    }
  }
}

void RowsBehind::add_outputs(const Block& block, std::uint32_t use, bool value_needed,
                             Conjuncts& out) {
  for (std::uint32_t i = 0; i < block.outputs.size(); ++i) {
    const Expr& output = block.outputs[i];
    const bool of_extreme = value_needed && block.outputs.size() == 1 && is_min_or_max(output);
    const Expr& value = of_extreme ? output.children[0] : output;
    if (!is_value(value) || has_opaque(value) || has_sublinks(value)) continue;
    // Of texts that are equal and not the same, one stands for the others.
    if (!value.collation.deterministic || value.type != output.type) continue;
    add(same(make_column({use, i}, output.type), value), out);
  }
}

// A row of INTERSECT or EXCEPT is one of the first branch.
void RowsBehind::add_of_operation(const Block& block, std::uint32_t use, Conjuncts& out,
                                  int depth) {
  if (block.kind != Block::Kind::kIntersect && block.kind != Block::Kind::kExcept) return;
  const std::uint32_t first = block.branches.front();
  const Block& source = query_.blocks[query_.uses[first].block];
  for (std::uint32_t i = 0; i < block.outputs.size() && i < source.outputs.size(); ++i) {
    const Expr& output = block.outputs[i];
    if (output.type != source.outputs[i].type || !output.collation.deterministic) continue;
    add_same(use, first, i, output.type, out);
  }
  add_of_block(first, out, false, depth + 1);
}

void RowsBehind::add_of_from(const FromNode& node, Conjuncts& out, int depth) {
  if (node.kind == FromNode::Kind::kTable) tables_.insert(node.use);
  if (node.kind == FromNode::Kind::kBlock) return add_of_block(node.use, out, false, depth);
  if (node.kind != FromNode::Kind::kJoin) return;
  if (node.join == JoinKind::kInner && node.on) {
    Conjuncts parts;
    flatten(*node.on, parts);
    for (const Expr* part : parts) add(*part, out);
  }
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    if (!is_extended(node, i)) add_of_from(node.children[i], out, depth);
  }
}

void RowsBehind::add_of_node(const FromNode& node, Conjuncts& out) {
  if (node.kind == FromNode::Kind::kBlock) return add_of_block(node.use, out);
  if (node.kind != FromNode::Kind::kJoin) return;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    if (!is_extended(node, i)) add_of_node(node.children[i], out);
  }
}

// ---------------------------------------------------------------- windows

void RowsBehind::add_of_window(const Block& block, std::uint32_t use, const Conjuncts& context,
                               Conjuncts& out) {
  if (!block.running || !block.running->later) return;
  const std::uint32_t later = *block.running->later;
  const std::uint32_t own = block.from.front().use;
  const auto of_later = [&](const Expr& expr) {
    Expr copy = expr;
    each_expr(copy, [&](Expr& part) {
      if (part.kind == Kind::kColumn && part.use == own) part.use = later;
    });
    return copy;
  };
  Conjuncts asked;
  for (const Expr* conjunct : context) {
    if (!mentions(*conjunct, {use}) || mentions(*conjunct, {own})) continue;
    Expr inside = *conjunct;
    substitute(inside, use, [&](const Expr& column) { return block.outputs[column.column]; });
    if (has_opaque(inside)) continue;
    add(of_later(inside), asked);
  }
  if (asked.empty()) return;
  out.insert(out.end(), asked.begin(), asked.end());
  Conjuncts parts;
  if (block.where) flatten(*block.where, parts);
  for (const Expr* part : parts) {
    if (!has_opaque(*part)) add(of_later(*part), out);
  }
  for (const Expr& expr : block.running->partition) {
    if (is_value(expr) && !has_opaque(expr)) add(same(expr, of_later(expr)), out);
  }
  Expr before = block.running->before;
  const Expr own_value = before.children[1];
  const Expr later_value = of_later(own_value);
  before.children[0] = later_value;
  const bool nulls_first = block.running->nulls_first;
  Expr null_before = make_expr(
      Kind::kAnd, {make_expr(Kind::kIsNull, {nulls_first ? later_value : own_value}),
                   make_not(make_expr(Kind::kIsNull, {nulls_first ? own_value : later_value}))});
  Expr in_front = make_expr(Kind::kOr, {std::move(before), std::move(null_before)});
  add(make_not(make_expr(Kind::kIsTrue, {std::move(in_front)})), out);
  tables_.insert(later);
}

// ---------------------------------------------------------------- subqueries in conditions

void RowsBehind::add_of_condition(const Expr& conjunct, Conjuncts& out, int depth) {
  if (conjunct.kind == Kind::kSublink) {
    if (conjunct.link != LinkKind::kExists && conjunct.link != LinkKind::kAny) return;
    for (const Expr& comparison : conjunct.children) add(comparison, out);
    return add_of_block(conjunct.use, out, false, depth);
  }
  if (conjunct.kind != Kind::kOpaque || !conjunct.compares) return;
  for (const Expr& side : conjunct.children) {
    if (side.kind != Kind::kSublink || side.children.empty()) continue;
    add(side.children.front(), out);
    add_of_block(side.use, out, true, depth);
  }
}

}  // namespace pgcache::sql
