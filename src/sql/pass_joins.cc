// SPDX-License-Identifier: Apache-2.0
// Passes that leave out joins which change nothing.
#include <algorithm>
#include <functional>
#include <map>

#include "pg/value.h"
#include "sql/passes.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

using Kind = Expr::Kind;

std::size_t count_mentions(const Expr& expr, std::uint32_t use) {
  std::size_t count = expr.kind == Kind::kColumn && expr.use == use ? 1 : 0;
  for (const Expr& child : expr.children) count += count_mentions(child, use);
  return count;
}

// Columns of one use that some conjuncts set equal to something outside of it.
std::set<std::uint32_t> columns_given(std::uint32_t use,
                                      const std::vector<const Expr*>& conjuncts) {
  std::set<std::uint32_t> columns;
  for (const Expr* conjunct : conjuncts) {
    if (conjunct->kind != Kind::kCompare || conjunct->op != CompareOp::kEq) continue;
    for (const std::size_t side : {0u, 1u}) {
      const Expr& column = conjunct->children[side];
      const Expr& other = conjunct->children[1 - side];
      if (column.kind == Kind::kColumn && column.use == use && !mentions(other, {use})) {
        columns.insert(column.column);
      }
    }
  }
  return columns;
}

class OuterJoinDropper {
 public:
  explicit OuterJoinDropper(ResolvedQuery& query) : query_(query) {}

  bool run() {
    bool any = false;
    do {
      changed_ = false;
      visit_all();
      any = any || changed_;
    } while (changed_);
    return any;
  }

 private:
  void visit_all() {
    for (std::uint32_t i = 0; i < query_.blocks.size(); ++i) {
      std::vector<FromNode> from = query_.blocks[i].from;
      for (FromNode& node : from) visit(i, node);
      query_.blocks[i].from = std::move(from);
    }
  }

  void visit(std::uint32_t block, FromNode& node) {
    for (FromNode& child : node.children) visit(block, child);
    if (node.kind != FromNode::Kind::kJoin) return;
    if (node.join != JoinKind::kLeft && node.join != JoinKind::kRight) return;
    const std::size_t extended = node.join == JoinKind::kLeft ? 1 : 0;
    if (!is_needless(block, node, node.children[extended])) return;
    // The block itself still has the node until its FROM is done.
    dropped_.insert(table_of(node.children[extended])->use);
    FromNode kept = std::move(node.children[1 - extended]);
    node = std::move(kept);
    changed_ = true;
  }

  static const FromNode* table_of(const FromNode& side) {
    if (side.kind == FromNode::Kind::kTable) return &side;
    const bool wrapped = side.kind == FromNode::Kind::kJoin && side.join == JoinKind::kInner &&
                         side.children.size() == 1;
    return wrapped ? table_of(side.children[0]) : nullptr;
  }

  bool is_needless(std::uint32_t block, const FromNode& join, const FromNode& side) {
    const FromNode* const table = table_of(side);
    if (table == nullptr || !join.on || dropped_.contains(table->use)) return false;
    const TableUse& use = query_.uses[table->use];
    if (!is_one_table(use)) return false;
    std::vector<const Expr*> conjuncts;
    flatten(*join.on, conjuncts);
    std::size_t within = count_mentions(*join.on, table->use);
    bool opaque = has_opaque(*join.on);
    each_node_expr(side, [&](const Expr& expr) {
      within += count_mentions(expr, table->use);
      opaque = opaque || has_opaque(expr);
    });
    const std::set<std::uint32_t> given = columns_given(table->use, conjuncts);
    const bool one_row = fixes_unique_key(
        *use.relation, [&](std::uint32_t column) { return given.contains(column); });
    if (opaque || !one_row) return false;
    std::size_t all = 0;
    each_block_below(query_, block, [&](Block& b) {
      each_block_expr(b, [&](Expr& expr) { all += count_mentions(expr, table->use); });
    });
    return all == within;
  }

  ResolvedQuery& query_;
  std::set<std::uint32_t> dropped_;
  bool changed_ = false;
};

// ---------------------------------------------------------------- parents

// The conditions that hold for every row of a block's inner joins, and the tables among them.
struct InnerPart {
  std::vector<Expr*> conjuncts;
  std::vector<std::uint32_t> tables;
};

void collect_inner(FromNode& node, InnerPart& part) {
  if (node.kind == FromNode::Kind::kTable) part.tables.push_back(node.use);
  if (node.kind != FromNode::Kind::kJoin || node.join != JoinKind::kInner) return;
  if (node.on) flatten(*node.on, part.conjuncts);
  for (FromNode& child : node.children) collect_inner(child, part);
}

InnerPart inner_part(Block& block) {
  InnerPart part;
  if (block.where) flatten(*block.where, part.conjuncts);
  for (FromNode& node : block.from) collect_inner(node, part);
  return part;
}

// Whether values of the column that are equal are the same, so that none can be told from another.
// Not so where there is 1.0 and 1.00, 0 and -0, 'a' and 'a '.
bool is_identity(const pg::Column& column) {
  using Family = pg::ValueFamily;
  const std::optional<Family> family = pg::family_of(column.type);
  if (!family || !column.collation_deterministic) return false;
  constexpr Family kExact[] = {Family::kBool, Family::kOid,       Family::kText,
                               Family::kName, Family::kBytea,     Family::kUuid,
                               Family::kDate, Family::kTimestamp, Family::kTimestamptz};
  if (*family == Family::kNumber) return column.type != pg::type::kNumeric;
  return std::find(std::begin(kExact), std::end(kExact), *family) != std::end(kExact);
}

bool remove_table(std::vector<FromNode>& nodes, std::uint32_t use) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].kind == FromNode::Kind::kTable && nodes[i].use == use) {
      nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(i));
      return true;
    }
    if (nodes[i].kind == FromNode::Kind::kJoin && nodes[i].join == JoinKind::kInner &&
        remove_table(nodes[i].children, use)) {
      return true;
    }
  }
  return false;
}

class ParentDropper {
 public:
  explicit ParentDropper(ResolvedQuery& query) : query_(query) {}

  bool run() {
    bool any = false;
    for (std::uint32_t i = 0; i < query_.blocks.size(); ++i) {
      while (drop_one(i)) any = true;
    }
    return any;
  }

 private:
  bool drop_one(std::uint32_t block) {
    const InnerPart part = inner_part(query_.blocks[block]);
    for (const std::uint32_t child : part.tables) {
      for (const pg::ForeignKey& key : query_.uses[child].relation->foreign_keys) {
        for (const std::uint32_t parent : part.tables) {
          if (parent != child && try_drop(block, part, child, parent, key)) return true;
        }
      }
    }
    return false;
  }

  // Every child row whose key is not NULL has exactly one parent row.
  bool try_drop(std::uint32_t block, const InnerPart& part, std::uint32_t child,
                std::uint32_t parent, const pg::ForeignKey& key) {
    const auto links = links_along(query_, key, child, parent);
    if (links.empty()) return false;
    const std::vector<pg::Column>& from = query_.uses[child].relation->columns;
    const std::vector<pg::Column>& to = query_.uses[parent].relation->columns;
    std::map<const Expr*, Expr> instead;  // of the links: that the child has a parent at all
    std::vector<ColumnKey> replacements(to.size(), {child, kNone});
    for (const auto& [child_key, parent_key] : links) {
      const Expr* const link = find_link(part, child_key, parent_key);
      if (link == nullptr) return false;
      const std::size_t side = key_of(link->children[0]) == child_key ? 0 : 1;
      instead[link] = make_not(make_expr(Kind::kIsNull, {link->children[side]}));
      const pg::Column& c = from[child_key.second];
      const pg::Column& p = to[parent_key.second];
      if (c.type == p.type && c.collation == p.collation && is_identity(c)) {
        replacements[parent_key.second] = child_key;
      }
    }
    if (!only_key_is_looked_at(block, parent, replacements, instead)) return false;
    for (Expr* conjunct : part.conjuncts) {
      const auto it = instead.find(conjunct);
      if (it != instead.end()) *conjunct = std::move(it->second);
    }
    each_block_below(query_, block, [&](Block& b) {
      each_block_expr(b, [&](Expr& expr) { replace(expr, parent, replacements); });
    });
    remove_table(query_.blocks[block].from, parent);
    return true;
  }

  static const Expr* find_link(const InnerPart& part, ColumnKey a, ColumnKey b) {
    const auto it = std::find_if(part.conjuncts.begin(), part.conjuncts.end(),
                                 [&](const Expr* conjunct) { return equates(*conjunct, a, b); });
    return it == part.conjuncts.end() ? nullptr : *it;
  }

  bool only_key_is_looked_at(std::uint32_t block, std::uint32_t parent,
                             const std::vector<ColumnKey>& replacements,
                             const std::map<const Expr*, Expr>& links) {
    bool only = true;
    const std::function<void(const Expr&)> look = [&](const Expr& expr) {
      if (links.contains(&expr)) return;
      if (expr.kind == Kind::kColumn && expr.use == parent) {
        only = only && replacements[expr.column].second != kNone;
      }
      for (const Expr& child : expr.children) look(child);
    };
    each_block_below(query_, block, [&](const Block& b) { each_block_expr(b, look); });
    return only;
  }

  static void replace(Expr& expr, std::uint32_t parent,
                      const std::vector<ColumnKey>& replacements) {
    if (expr.kind == Kind::kColumn && expr.use == parent) {
      const ColumnKey to = replacements[expr.column];
      expr.use = to.first;
      expr.column = to.second;
    }
    for (Expr& child : expr.children) replace(child, parent, replacements);
  }

  static constexpr std::uint32_t kNone = UINT32_MAX;
  ResolvedQuery& query_;
};

}  // namespace

bool drop_outer_joins(ResolvedQuery& query) { return OuterJoinDropper(query).run(); }

bool drop_parent_joins(ResolvedQuery& query) { return ParentDropper(query).run(); }

}  // namespace pgcache::sql
