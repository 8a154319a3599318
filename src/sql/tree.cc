// SPDX-License-Identifier: Apache-2.0
#include "sql/tree.h"

#include <algorithm>

namespace pgcache::sql {

using Kind = Expr::Kind;

bool is_value(const Expr& expr) {
  switch (expr.kind) {
    case Kind::kOpaque:
    case Kind::kRow:
    case Kind::kArray:
    case Kind::kSublink:
      return false;
    default:
      return true;
  }
}

bool same_expr(const Expr& a, const Expr& b) {
  if (a.kind != b.kind || a.children.size() != b.children.size()) return false;
  switch (a.kind) {
    case Kind::kOpaque:
    case Kind::kSublink:
      return false;
    case Kind::kColumn:
      return key_of(a) == key_of(b);
    case Kind::kOperand:
      return a.operand.source == b.operand.source && a.operand.index == b.operand.index &&
             a.operand.negated == b.operand.negated && a.operand.type == b.operand.type &&
             a.operand.constant == b.operand.constant && a.operand.typmod == b.operand.typmod &&
             a.operand.family() == b.operand.family();
    default:
      break;
  }
  if (a.op != b.op || a.all != b.all || a.function != b.function || a.type != b.type ||
      a.typmod != b.typmod || a.collation.oid != b.collation.oid) {
    return false;
  }
  return std::equal(a.children.begin(), a.children.end(), b.children.begin(), same_expr);
}

Expr make_opaque(pg::Oid type, std::vector<Expr> children) {
  Expr expr;
  expr.type = type;
  expr.children = std::move(children);
  return expr;
}

Expr make_expr(Kind kind, std::vector<Expr> children) {
  const bool list = kind == Kind::kAnd || kind == Kind::kOr;
  if (list && children.size() == 1) return std::move(children[0]);
  Expr expr;
  expr.kind = kind;
  expr.type = pg::type::kBool;
  expr.children = std::move(children);
  return expr;
}

Expr make_not(Expr child) {
  std::vector<Expr> children;
  children.push_back(std::move(child));
  return make_expr(Kind::kNot, std::move(children));
}

Expr relabel(Expr value, pg::Oid type) {
  if (value.kind != Kind::kCast || value.type == type) {
    value.type = type;
    return value;
  }
  Expr out;
  out.kind = Kind::kCast;
  out.type = type;
  out.collation = value.collation;
  out.children.push_back(std::move(value));
  return out;
}

Expr make_truth(bool value) {
  Expr expr;
  expr.kind = Kind::kOperand;
  expr.type = pg::type::kBool;
  expr.operand.type = pg::type::kBool;
  expr.operand.constant = value ? "true" : "false";
  return expr;
}

Expr make_null() {
  Expr expr;
  expr.kind = Kind::kNull;
  expr.type = pg::type::kUnknown;
  return expr;
}

Expr make_column(ColumnKey key, pg::Oid type) {
  Expr expr;
  expr.kind = Kind::kColumn;
  expr.type = type;
  expr.use = key.first;
  expr.column = key.second;
  return expr;
}

namespace {

template <typename E>
void take_apart(E& expr, std::vector<E*>& out) {
  if (expr.kind != Kind::kAnd) {
    out.push_back(&expr);
    return;
  }
  for (E& child : expr.children) take_apart(child, out);
}

}  // namespace

void flatten(const Expr& expr, std::vector<const Expr*>& out) { take_apart(expr, out); }
void flatten(Expr& expr, std::vector<Expr*>& out) { take_apart(expr, out); }

bool equates(const Expr& condition, ColumnKey a, ColumnKey b) {
  if (condition.kind != Kind::kCompare || condition.op != CompareOp::kEq) return false;
  const Expr& left = condition.children[0];
  const Expr& right = condition.children[1];
  if (left.kind != Kind::kColumn || right.kind != Kind::kColumn) return false;
  return (key_of(left) == a && key_of(right) == b) || (key_of(left) == b && key_of(right) == a);
}

void each_expr(const Expr& expr, const std::function<void(const Expr&)>& visit) {
  visit(expr);
  for (const Expr& child : expr.children) each_expr(child, visit);
}

void each_expr(Expr& expr, const std::function<void(Expr&)>& visit) {
  visit(expr);
  for (Expr& child : expr.children) each_expr(child, visit);
}

namespace {

template <typename Node, typename Visit>
void visit_node(Node& node, const Visit& visit) {
  if (node.on) visit(*node.on);
  for (auto& expr : node.exprs) visit(expr);
  for (auto& child : node.children) visit_node(child, visit);
}

template <typename B, typename Visit>
void visit_beyond_rows(B& block, const Visit& visit) {
  if (block.having) visit(*block.having);
  if (block.some) visit(*block.some);
  if (block.order && block.order->value) visit(*block.order->value);
  for (auto& expr : block.outputs) visit(expr);
  for (auto& expr : block.keys) visit(expr);
  for (auto& expr : block.distinct_on) visit(expr);
  for (auto& partition : block.partitions) {
    for (auto& expr : partition) visit(expr);
  }
  if (block.running) {
    for (auto& expr : block.running->partition) visit(expr);
    visit(block.running->before);
  }
  for (auto& expr : block.others) visit(expr);
}

template <typename B, typename Visit>
void visit_block(B& block, const Visit& visit) {
  for (auto& node : block.from) visit_node(node, visit);
  if (block.where) visit(*block.where);
  visit_beyond_rows(block, visit);
}

}  // namespace

void each_block_expr(const Block& block, const std::function<void(const Expr&)>& visit) {
  visit_block(block, visit);
}
void each_block_expr(Block& block, const std::function<void(Expr&)>& visit) {
  visit_block(block, visit);
}
void each_expr_beyond_rows(const Block& block, const std::function<void(const Expr&)>& visit) {
  visit_beyond_rows(block, visit);
}
void each_node_expr(const FromNode& node, const std::function<void(const Expr&)>& visit) {
  visit_node(node, visit);
}
void each_node_expr(FromNode& node, const std::function<void(Expr&)>& visit) {
  visit_node(node, visit);
}

bool is_extended(const FromNode& join, std::size_t child) {
  return join.join == JoinKind::kFull || (join.join == JoinKind::kLeft && child == 1) ||
         (join.join == JoinKind::kRight && child == 0);
}

void collect_uses(const FromNode& node, std::set<std::uint32_t>& uses) {
  if (node.kind == FromNode::Kind::kTable || node.kind == FromNode::Kind::kBlock) {
    uses.insert(node.use);
  }
  for (const FromNode& child : node.children) collect_uses(child, uses);
}

void collect_sublinks(const Expr& expr, std::vector<const Expr*>& out) {
  each_expr(expr, [&](const Expr& part) {
    if (part.kind == Kind::kSublink) out.push_back(&part);
  });
}

void collect_present_uses(const FromNode& node, std::set<std::uint32_t>& uses) {
  if (node.kind == FromNode::Kind::kTable || node.kind == FromNode::Kind::kBlock) {
    uses.insert(node.use);
  }
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    if (!is_extended(node, i)) collect_present_uses(node.children[i], uses);
  }
}

std::vector<std::uint32_t> named_blocks(const ResolvedQuery& query, const Block& block) {
  std::set<std::uint32_t> uses(block.branches.begin(), block.branches.end());
  for (const FromNode& node : block.from) collect_uses(node, uses);
  each_block_expr(block, [&](const Expr& expr) {
    each_expr(expr, [&](const Expr& part) {
      if (part.kind == Kind::kSublink) uses.insert(part.use);
    });
  });
  std::vector<std::uint32_t> out;
  for (const std::uint32_t use : uses) {
    if (query.uses[use].relation == nullptr) out.push_back(use);
  }
  return out;
}

void each_block_below(ResolvedQuery& query, std::uint32_t block,
                      const std::function<void(Block&)>& visit) {
  visit(query.blocks[block]);
  for (const std::uint32_t use : named_blocks(query, query.blocks[block])) {
    each_block_below(query, query.uses[use].block, visit);
  }
}

void count_columns(const Expr& expr, ColumnCounts& counts) {
  each_expr(expr, [&](const Expr& part) {
    if (part.kind == Kind::kColumn) ++counts[key_of(part)];
  });
}

std::size_t count_of(const ColumnCounts& counts, ColumnKey key) {
  const auto found = counts.find(key);
  return found == counts.end() ? 0 : found->second;
}

bool mentions(const Expr& expr, const std::set<std::uint32_t>& uses) {
  if (expr.kind == Kind::kColumn) return uses.contains(expr.use);
  return std::any_of(expr.children.begin(), expr.children.end(),
                     [&](const Expr& child) { return mentions(child, uses); });
}

bool has_columns(const Expr& expr) {
  return expr.kind == Kind::kColumn ||
         std::any_of(expr.children.begin(), expr.children.end(), has_columns);
}

bool has_opaque(const Expr& expr) {
  return expr.kind == Kind::kOpaque || expr.kind == Kind::kSublink || expr.kind == Kind::kRow ||
         expr.kind == Kind::kArray ||
         std::any_of(expr.children.begin(), expr.children.end(), has_opaque);
}

// kCall: every function that pg::call() knows is strict.
bool is_strict(const Expr& expr, const ColumnTest& of) {
  const auto strict = [&](const Expr& child) { return is_strict(child, of); };
  switch (expr.kind) {
    case Kind::kColumn:
      return of(expr);
    case Kind::kNull:
      return true;
    case Kind::kCall:
    case Kind::kCompare:
      return std::any_of(expr.children.begin(), expr.children.end(), strict);
    case Kind::kCast:
    case Kind::kNot:
    case Kind::kIn:
      return strict(expr.children[0]);
    case Kind::kAnd:
    case Kind::kOr:
    case Kind::kCoalesce:
    case Kind::kExtreme:
      return !expr.children.empty() &&
             std::all_of(expr.children.begin(), expr.children.end(), strict);
    case Kind::kNullIf:
      return strict(expr.children[0]);
    default:
      return false;
  }
}

bool rejects_nulls(const Expr& condition, const ColumnTest& of) {
  const auto rejects = [&](const Expr& child) { return rejects_nulls(child, of); };
  switch (condition.kind) {
    case Kind::kAnd:
      return std::any_of(condition.children.begin(), condition.children.end(), rejects);
    case Kind::kOr:
      return !condition.children.empty() &&
             std::all_of(condition.children.begin(), condition.children.end(), rejects);
    case Kind::kNot: {
      const Expr& child = condition.children[0];
      if (child.kind == Kind::kIsNull) return is_strict(child.children[0], of);
      return is_strict(condition, of);
    }
    case Kind::kAnyOf:  // NULL, or false for an empty ANY; an empty ALL is true
      return !condition.all && is_strict(condition.children[0], of);
    case Kind::kIsTrue:
      return rejects(condition.children[0]);
    case Kind::kIsFalse:
      return is_strict(condition.children[0], of);
    default:
      return is_strict(condition, of);
  }
}

ColumnTest of_uses(std::set<std::uint32_t> uses) {
  return [uses = std::move(uses)](const Expr& column) { return uses.contains(column.use); };
}

bool is_one_table(const TableUse& use) {
  if (use.relation == nullptr) return false;
  if (use.relation->kind == 'p') return use.inherit;
  return use.relation->descendants.empty() || !use.inherit;
}

bool fixes_unique_key(const pg::Relation& relation,
                      const std::function<bool(std::uint32_t)>& fixed) {
  const auto is_fixed = [&](const std::string& name) {
    const std::optional<std::uint32_t> number = relation.column_number(name);
    return number && fixed(*number);
  };
  return std::any_of(relation.unique_keys.begin(), relation.unique_keys.end(),
                     [&](const pg::UniqueKey& key) {
                       return !key.columns.empty() &&
                              std::all_of(key.columns.begin(), key.columns.end(), is_fixed);
                     });
}

std::vector<std::pair<ColumnKey, ColumnKey>> links_along(const ResolvedQuery& query,
                                                         const pg::ForeignKey& key,
                                                         std::uint32_t child,
                                                         std::uint32_t parent) {
  const TableUse& from = query.uses[child];
  const TableUse& to = query.uses[parent];
  if (!is_one_table(from) || !is_one_table(to) || to.relation->oid != key.referenced ||
      key.columns.size() != key.referenced_columns.size()) {
    return {};
  }
  std::vector<std::pair<ColumnKey, ColumnKey>> links;
  for (std::size_t i = 0; i < key.columns.size(); ++i) {
    const auto c = from.relation->column_number(key.columns[i]);
    const auto p = to.relation->column_number(key.referenced_columns[i]);
    if (!c || !p) return {};
    links.push_back({{child, *c}, {parent, *p}});
  }
  return links;
}

bool passes_conditions(const Block& block, std::uint32_t column) {
  if (block.kind != Block::Kind::kSelect || column >= block.outputs.size()) return false;
  const Expr& output = block.outputs[column];
  if (block.limited || block.grouping_sets || !is_value(output) || has_opaque(output)) return false;
  const auto is_one_of = [&](const std::vector<Expr>& list) {
    return std::any_of(list.begin(), list.end(), [&](const Expr& expr) {
      return expr.collation.deterministic && same_expr(expr, output);
    });
  };
  // Of texts that are equal and not the same, one stands for the others.
  if (block.distinct && !output.collation.deterministic) return false;
  if (block.grouped && !is_one_of(block.keys)) return false;
  if (!block.distinct_on.empty() && !is_one_of(block.distinct_on)) return false;
  return std::all_of(block.partitions.begin(), block.partitions.end(), is_one_of);
}

bool gives_row_of_none(const Block& block) {
  return block.grouped && (block.grouping_sets || block.keys.empty());
}

bool is_key(const Block& block, const Expr& expr) {
  return std::any_of(block.keys.begin(), block.keys.end(),
                     [&](const Expr& key) { return same_expr(key, expr); });
}

std::size_t size_of(const Expr& expr) {
  std::size_t size = 1;
  for (const Expr& child : expr.children) size += size_of(child);
  return size;
}

Expr summary_of(const Expr& expr) {
  std::set<ColumnKey> columns;
  std::set<std::uint32_t> sublinks;
  std::vector<Expr> parts;
  each_expr(expr, [&](const Expr& part) {
    const bool column = part.kind == Kind::kColumn && columns.insert(key_of(part)).second;
    const bool sublink = part.kind == Kind::kSublink && sublinks.insert(part.use).second;
    if (column || sublink) parts.push_back(part);
  });
  return make_opaque(expr.type, std::move(parts));
}

void substitute(Expr& expr, std::uint32_t use,
                const std::function<Expr(const Expr& column)>& replace) {
  if (expr.kind == Kind::kColumn) {
    if (expr.use == use) expr = replace(expr);
    return;
  }
  for (Expr& child : expr.children) substitute(child, use, replace);
}

}  // namespace pgcache::sql
