// SPDX-License-Identifier: Apache-2.0
#include "sql/dependencies.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>
#include <utility>

namespace pgcache::sql {
namespace {

using pg::Oid;
using Conjuncts = std::vector<const Expr*>;
using ColumnKey = std::pair<std::uint32_t, std::uint32_t>;  // use, column

ColumnKey key_of(const Expr& column) { return {column.use, column.column}; }

void flatten(const Expr& expr, Conjuncts& out) {
  if (expr.kind != Expr::Kind::kAnd) {
    out.push_back(&expr);
    return;
  }
  for (const Expr& child : expr.children) flatten(child, out);
}

bool mentions(const Expr& expr, const std::set<std::uint32_t>& uses) {
  if (expr.kind == Expr::Kind::kColumn) return uses.count(expr.use) > 0;
  return std::any_of(expr.children.begin(), expr.children.end(),
                     [&](const Expr& child) { return mentions(child, uses); });
}

bool is_column_equality(const Expr& expr) {
  return expr.kind == Expr::Kind::kCompare && expr.op == CompareOp::kEq &&
         expr.children[1].kind == Expr::Kind::kColumn;
}

// Which columns are equal under some conjuncts.
class EqualColumns {
 public:
  explicit EqualColumns(const Conjuncts& conjuncts) {
    for (const Expr* conjunct : conjuncts) {
      if (!is_column_equality(*conjunct)) continue;
      const ColumnKey a = find(key_of(conjunct->children[0]));
      const ColumnKey b = find(key_of(conjunct->children[1]));
      if (a != b) parents_[a] = b;
    }
  }
  bool same(ColumnKey a, ColumnKey b) const { return find(a) == find(b); }

 private:
  ColumnKey find(ColumnKey key) const {
    for (auto it = parents_.find(key); it != parents_.end(); it = parents_.find(key)) {
      key = it->second;
    }
    return key;
  }
  std::map<ColumnKey, ColumnKey> parents_;
};

Predicate leaf(Predicate::Kind kind) {
  Predicate p;
  p.kind = kind;
  return p;
}

// Drops what cannot rule a row out. In a positive place an OR with an unknown branch never can.
Predicate simplify(Predicate p, bool positive) {
  using Kind = Predicate::Kind;
  if (p.kind == Kind::kNot) {
    p.children[0] = simplify(std::move(p.children[0]), !positive);
    if (p.children[0].kind == Kind::kUnknown) return leaf(Kind::kUnknown);
    return p;
  }
  if (p.kind != Kind::kAnd && p.kind != Kind::kOr) return p;
  std::vector<Predicate> kept;
  bool unknown = false;
  for (Predicate& child : p.children) {
    Predicate simple = simplify(std::move(child), positive);
    if (simple.kind == Kind::kUnknown) {
      unknown = true;
    } else {
      kept.push_back(std::move(simple));
    }
  }
  // Under NOT the roles of AND and OR are exchanged.
  const bool droppable = (p.kind == Kind::kAnd) == positive;
  if ((unknown && !droppable) || kept.empty()) return leaf(Kind::kUnknown);
  if (kept.size() == 1) return std::move(kept[0]);
  p.children = std::move(kept);
  return p;
}

class Deriver {
 public:
  Deriver(const ResolvedQuery& query, const pg::Catalog& catalog, CacheableQuery& out)
      : query_(query), catalog_(catalog), out_(out) {}

  bool run() {
    for (const Block& block : query_.blocks) {
      if (!block.nested) visit_block(block, {});
    }
    return !overflow_;
  }

 private:
  void visit_block(const Block& block, Conjuncts context) {
    if (block.where) flatten(*block.where, context);
    for (const FromNode& node : block.from) visit(node, context);
    for (const std::uint32_t sublink : block.sublinks) {
      visit_block(query_.blocks[sublink], context);
    }
  }

  void visit(const FromNode& node, const Conjuncts& context) {
    switch (node.kind) {
      case FromNode::Kind::kTable:
        return add_dependency(node.use, context);
      case FromNode::Kind::kBlock:
        return visit_block(query_.blocks[node.block], context);
      case FromNode::Kind::kOther:
        return;
      case FromNode::Kind::kJoin:
        break;
    }
    const FromNode& left = node.children[0];
    const FromNode& right = node.children[1];
    switch (reduced(node, context)) {
      case JoinKind::kInner: {
        Conjuncts both = context;
        if (node.on) flatten(*node.on, both);
        visit(left, both);
        return visit(right, both);
      }
      case JoinKind::kLeft:
        visit(left, context);
        return visit(right, nullable_context(node, right, context));
      case JoinKind::kRight:
        visit(left, nullable_context(node, left, context));
        return visit(right, context);
      case JoinKind::kFull:
        visit(left, {});
        return visit(right, {});
    }
  }

  // An outer join whose rows with NULLs on one side never pass is one that makes no such rows.
  JoinKind reduced(const FromNode& join, const Conjuncts& context) const {
    const bool left = rejects_nulls(join.children[0], context);
    const bool right = rejects_nulls(join.children[1], context);
    switch (join.join) {
      case JoinKind::kInner:
        break;
      case JoinKind::kLeft:
        return right ? JoinKind::kInner : JoinKind::kLeft;
      case JoinKind::kRight:
        return left ? JoinKind::kInner : JoinKind::kRight;
      case JoinKind::kFull:
        if (left && right) return JoinKind::kInner;
        if (left) return JoinKind::kLeft;
        return right ? JoinKind::kRight : JoinKind::kFull;
    }
    return JoinKind::kInner;
  }

  // Whether some condition is certainly not true of a row whose columns of `side` are all NULL.
  bool rejects_nulls(const FromNode& side, const Conjuncts& context) const {
    std::set<std::uint32_t> uses;
    collect_uses(side, uses);
    return std::any_of(context.begin(), context.end(), [&](const Expr* conjunct) {
      if (conjunct->kind == Expr::Kind::kIn) return mentions(conjunct->children[0], uses);
      if (conjunct->kind == Expr::Kind::kCompare) return mentions(*conjunct, uses);
      return conjunct->kind == Expr::Kind::kNot &&
             conjunct->children[0].kind == Expr::Kind::kIsNull &&
             mentions(conjunct->children[0], uses);
    });
  }

  Conjuncts nullable_context(const FromNode& join, const FromNode& side,
                             const Conjuncts& context) const {
    std::set<std::uint32_t> uses;
    collect_uses(side, uses);
    Conjuncts out;
    if (join.on) flatten(*join.on, out);
    for (const Expr* conjunct : context) {
      if (!mentions(*conjunct, uses)) out.push_back(conjunct);
    }
    return out;
  }

  void collect_uses(const FromNode& node, std::set<std::uint32_t>& uses) const {
    if (node.kind == FromNode::Kind::kTable) uses.insert(node.use);
    for (const FromNode& child : node.children) collect_uses(child, uses);
    if (node.kind == FromNode::Kind::kBlock) {
      for (const FromNode& child : query_.blocks[node.block].from) collect_uses(child, uses);
    }
  }

  // ---------------------------------------------------------------- one table

  void add_dependency(std::uint32_t use_index, const Conjuncts& context) {
    const TableUse& use = query_.uses[use_index];
    Dependency& d = out_.dependencies.emplace_back();
    d.relation = use.relation->oid;
    add_members(use, d);
    d.reads_all_columns = std::all_of(use.columns_read.begin(), use.columns_read.end(),
                                      [](bool read) { return read; });
    for (std::size_t i = 0; !d.reads_all_columns && i < use.columns_read.size(); ++i) {
      if (use.columns_read[i]) d.columns_read.push_back(use.relation->columns[i].name);
    }
    std::vector<Predicate> conditions = conditions_on(use_index, context);
    bind_equalities(d, conditions);
    bind_range(d, conditions);
    Predicate all = leaf(Predicate::Kind::kAnd);
    all.children = std::move(conditions);
    all = simplify(std::move(all), true);
    d.residual =
        all.kind == Predicate::Kind::kUnknown ? leaf(Predicate::Kind::kTrue) : std::move(all);
  }

  void add_members(const TableUse& use, Dependency& d) {
    const pg::Relation& relation = *use.relation;
    std::vector<Oid> tables{relation.oid};
    d.members.push_back(relation.oid);
    if (use.inherit) {
      d.members.insert(d.members.end(), relation.descendants.begin(), relation.descendants.end());
      for (const Oid oid : relation.descendants) {
        const pg::Relation* const child = catalog_.find_relation(oid);
        if (child != nullptr && child->kind == 'r') tables.push_back(oid);
      }
    }
    if (relation.is_partition) {
      const std::vector<Oid> ancestors = catalog_.ancestors_of(relation.oid);
      d.members.insert(d.members.end(), ancestors.begin(), ancestors.end());
    }
    for (const Oid oid : tables) {
      if (seen_relations_.insert(oid).second) out_.relations.push_back(oid);
    }
  }

  // Everything known about a row of the table, its equal columns' conditions included.
  std::vector<Predicate> conditions_on(std::uint32_t use, const Conjuncts& context) {
    const EqualColumns equal(context);
    std::vector<Predicate> out;
    for (const Expr* conjunct : context) {
      const bool on_column =
          (conjunct->kind == Expr::Kind::kCompare || conjunct->kind == Expr::Kind::kIn) &&
          conjunct->children[1].kind == Expr::Kind::kOperand;
      if (!on_column) {
        if (mentions(*conjunct, {use})) out.push_back(to_predicate(*conjunct, use));
        continue;
      }
      const ColumnKey source = key_of(conjunct->children[0]);
      const std::size_t columns = query_.uses[use].relation->columns.size();
      for (std::uint32_t column = 0; column < columns; ++column) {
        const ColumnKey target{use, column};
        if (target == source) {
          out.push_back(to_predicate(*conjunct, use));
        } else if (equal.same(target, source)) {
          Expr moved = *conjunct;
          moved.children[0].use = use;
          moved.children[0].column = column;
          out.push_back(to_predicate(moved, use));
        }
      }
    }
    return out;
  }

  // Takes one condition of the form column = operand, or else column IN (operands), for each
  // column.
  static void bind_equalities(Dependency& d, std::vector<Predicate>& conditions) {
    for (const Predicate::Kind kind : {Predicate::Kind::kCompare, Predicate::Kind::kIn}) {
      for (Predicate& p : conditions) {
        if (p.kind != kind || (kind == Predicate::Kind::kCompare && p.op != CompareOp::kEq))
          continue;
        const bool bound =
            std::any_of(d.equalities.begin(), d.equalities.end(),
                        [&](const EqualityBinding& b) { return b.column.name == p.column.name; });
        if (bound) continue;
        std::vector<OperandIndex> operands = p.in_operands;
        if (kind == Predicate::Kind::kCompare) operands = {p.operand};
        d.equalities.push_back({p.column, std::move(operands)});
        p = leaf(Predicate::Kind::kTrue);
      }
    }
    drop_true(conditions);
  }

  // The first column with a bound gives the range; its further bounds stay conditions.
  static void bind_range(Dependency& d, std::vector<Predicate>& conditions) {
    for (Predicate& p : conditions) {
      if (p.kind != Predicate::Kind::kCompare || !p.column.ordered) continue;
      const bool lower = p.op == CompareOp::kGt || p.op == CompareOp::kGe;
      const bool upper = p.op == CompareOp::kLt || p.op == CompareOp::kLe;
      if (!lower && !upper) continue;
      const bool equals_bound =
          std::any_of(d.equalities.begin(), d.equalities.end(),
                      [&](const EqualityBinding& b) { return b.column.name == p.column.name; });
      if (equals_bound || (d.range && d.range->column.name != p.column.name)) continue;
      if (d.range && (lower ? d.range->lower : d.range->upper).has_value()) continue;
      if (!d.range) {
        d.range.emplace();
        d.range->column = p.column;
      }
      if (lower) {
        d.range->lower = p.operand;
        d.range->lower_inclusive = p.op == CompareOp::kGe;
      } else {
        d.range->upper = p.operand;
        d.range->upper_inclusive = p.op == CompareOp::kLe;
      }
      p = leaf(Predicate::Kind::kTrue);
    }
    drop_true(conditions);
  }

  static void drop_true(std::vector<Predicate>& conditions) {
    std::erase_if(conditions, [](const Predicate& p) { return p.kind == Predicate::Kind::kTrue; });
  }

  // ---------------------------------------------------------------- predicates

  ColumnRef column_ref(const Expr& expr) const {
    const pg::Column& column = query_.uses[expr.use].relation->columns[expr.column];
    pg::ValueTypePtr type = pg::value_type_of(catalog_, column.type);
    const bool ordered = type != nullptr && pg::is_ordered(*type, column.collation_is_c);
    return {column.name, column.type, ordered, std::move(type)};
  }

  // As seen from one table: parts about other tables are unknown.
  Predicate to_predicate(const Expr& expr, std::uint32_t use) {
    Predicate p = leaf(Predicate::Kind::kUnknown);
    switch (expr.kind) {
      case Expr::Kind::kAnd:
      case Expr::Kind::kOr:
      case Expr::Kind::kNot:
        p.kind = expr.kind == Expr::Kind::kAnd  ? Predicate::Kind::kAnd
                 : expr.kind == Expr::Kind::kOr ? Predicate::Kind::kOr
                                                : Predicate::Kind::kNot;
        for (const Expr& child : expr.children) p.children.push_back(to_predicate(child, use));
        return p;
      case Expr::Kind::kIsNull:
        if (expr.children[0].use != use) return p;
        p.kind = Predicate::Kind::kIsNull;
        p.column = column_ref(expr.children[0]);
        return p;
      case Expr::Kind::kCompare:
        return compare(expr, use);
      case Expr::Kind::kIn: {
        if (expr.children[0].use != use) return p;
        Predicate in = leaf(Predicate::Kind::kIn);
        in.column = column_ref(expr.children[0]);
        for (std::size_t i = 1; i < expr.children.size(); ++i) {
          if (!is_usable(expr.children[i].operand)) return p;
          in.in_operands.push_back(operand_index(expr.children[i].operand));
        }
        return in;
      }
      case Expr::Kind::kOpaque:
      case Expr::Kind::kColumn:
      case Expr::Kind::kOperand:
      case Expr::Kind::kNull:
      case Expr::Kind::kRow:
      case Expr::Kind::kArray:
        break;
    }
    return p;
  }

  Predicate compare(const Expr& expr, std::uint32_t use) {
    Predicate p = leaf(Predicate::Kind::kUnknown);
    const Expr& column = expr.children[0];
    const Expr& other = expr.children[1];
    if (column.use != use) return p;
    if (other.kind == Expr::Kind::kColumn) {
      if (other.use != use) return p;
      p.kind = Predicate::Kind::kCompareColumns;
      p.other_column = column_ref(other);
    } else {
      if (!is_usable(other.operand)) return p;
      p.kind = Predicate::Kind::kCompare;
      p.operand = operand_index(other.operand);
    }
    p.op = expr.op;
    p.column = column_ref(column);
    return p;
  }

  // A parameter whose type turned out uncertain, or other than supposed here, has no known value. A
  // text that is cast is the exception: it is read by the target's input function.
  bool is_usable(const OperandSpec& spec) const {
    if (spec.source != OperandSpec::Source::kParameter) return true;
    const Oid type = out_.parameter_types[spec.index];
    return type == spec.type || type == pg::type::kText || type == pg::type::kVarchar;
  }

  OperandIndex operand_index(const OperandSpec& spec) {
    const auto key = std::tuple(spec.source, spec.index, spec.negated, spec.type, spec.constant);
    const auto [it, added] = operand_places_.emplace(key, out_.operands.size());
    if (added) {
      out_.operands.push_back(spec);
      overflow_ = overflow_ || out_.operands.size() > UINT16_MAX;
    }
    return static_cast<OperandIndex>(it->second);
  }

  const ResolvedQuery& query_;
  const pg::Catalog& catalog_;
  CacheableQuery& out_;
  std::unordered_set<Oid> seen_relations_;
  std::map<std::tuple<OperandSpec::Source, std::uint16_t, bool, Oid, std::string>, std::size_t>
      operand_places_;
  bool overflow_ = false;
};

}  // namespace

bool derive_dependencies(const ResolvedQuery& query, const pg::Catalog& catalog,
                         CacheableQuery& out) {
  return Deriver(query, catalog, out).run();
}

}  // namespace pgcache::sql
