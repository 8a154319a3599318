// SPDX-License-Identifier: Apache-2.0
// Passes over conditions, and over what becomes of joins on their account.
#include <algorithm>

#include "sql/passes.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

using Kind = Expr::Kind;
using Uses = std::set<std::uint32_t>;

bool is_constant(const Expr& expr, const char* value) {
  return expr.kind == Kind::kOperand && expr.type == pg::type::kBool &&
         expr.operand.source == OperandSpec::Source::kConstant && expr.operand.constant == value;
}
bool is_true(const Expr& expr) { return is_constant(expr, "true"); }
bool is_false(const Expr& expr) { return is_constant(expr, "false"); }

class Simplifier {
 public:
  explicit Simplifier(ResolvedQuery& query) : query_(query) {}

  bool run() {
    for (Block& block : query_.blocks) simplify_block(block);
    return changed_;
  }

 private:
  void simplify_block(Block& block) {
    Uses all;
    Uses nullable;
    for (FromNode& node : block.from) {
      collect_uses(node, all);
      simplify_node(node, nullable);
    }
    present_.clear();
    std::set_difference(all.begin(), all.end(), nullable.begin(), nullable.end(),
                        std::inserter(present_, present_.end()));
    simplify_condition(block.where, true);
    // HAVING stands on groups, of which there may be one without rows.
    present_.clear();
    simplify_condition(block.having, true);
  }

  // Adds the uses that may be extended with NULLs above the node.
  void simplify_node(FromNode& node, Uses& nullable) {
    Uses below;
    for (FromNode& child : node.children) simplify_node(child, below);
    Uses own;
    collect_uses(node, own);
    present_.clear();
    std::set_difference(own.begin(), own.end(), below.begin(), below.end(),
                        std::inserter(present_, present_.end()));
    simplify_condition(node.on, node.join == JoinKind::kInner);
    nullable.insert(below.begin(), below.end());
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      if (is_extended(node, i)) collect_uses(node.children[i], nullable);
    }
  }

  void simplify_condition(std::optional<Expr>& condition, bool may_vanish) {
    if (!condition) return;
    simplify(*condition);
    drop_tests(*condition);
    if (may_vanish && is_true(*condition)) {
      condition.reset();
      changed_ = true;
    }
  }

  // A conjunct c IS TRUE says the same as c, and so does c OR NULL. Nothing is less than itself.
  void drop_tests(Expr& conjunct) {
    if (conjunct.kind == Kind::kCompare && differs_from_itself(conjunct)) {
      return become(conjunct, make_truth(false));
    }
    if (conjunct.kind == Kind::kOr) {
      for (Expr& child : conjunct.children) drop_tests(child);
    }
    if (conjunct.kind == Kind::kAnd) {
      for (Expr& child : conjunct.children) drop_tests(child);
    }
    const auto is_null = [](const Expr& child) { return child.kind == Kind::kNull; };
    if (conjunct.kind == Kind::kOr && std::erase_if(conjunct.children, is_null) > 0) {
      changed_ = true;
      if (conjunct.children.empty()) return become(conjunct, make_truth(false));
      if (conjunct.children.size() == 1) become(conjunct, Expr(std::move(conjunct.children[0])));
    }
    if (conjunct.kind == Kind::kIsTrue) become(conjunct, Expr(std::move(conjunct.children[0])));
  }

  static bool differs_from_itself(const Expr& comparison) {
    return same_expr(comparison.children[0], comparison.children[1]) &&
           (comparison.op == CompareOp::kLt || comparison.op == CompareOp::kGt ||
            comparison.op == CompareOp::kNe);
  }

  bool cannot_be_null(const Expr& expr) const {
    if (expr.kind != Kind::kColumn || !present_.contains(expr.use)) return false;
    const pg::Relation* const relation = query_.uses[expr.use].relation;
    return relation != nullptr && relation->columns[expr.column].not_null;
  }

  void become(Expr& expr, Expr other) {
    expr = std::move(other);
    changed_ = true;
  }

  void simplify(Expr& expr) {
    for (Expr& child : expr.children) simplify(child);
    switch (expr.kind) {
      case Kind::kAnd:
      case Kind::kOr:
        return simplify_list(expr);
      case Kind::kNot: {
        const Expr& child = expr.children[0];
        if (is_true(child)) return become(expr, make_truth(false));
        if (is_false(child)) return become(expr, make_truth(true));
        return;
      }
      case Kind::kIsNull:
        if (cannot_be_null(expr.children[0])) become(expr, make_truth(false));
        return;
      case Kind::kCompare:
        return simplify_comparison(expr);
      case Kind::kIsTrue:
      case Kind::kIsFalse: {
        const Expr& child = expr.children[0];
        if (!is_true(child) && !is_false(child)) return;
        return become(expr, make_truth(is_true(child) == (expr.kind == Kind::kIsTrue)));
      }
      default:
        return;
    }
  }

  void simplify_comparison(Expr& expr) {
    if (!same_expr(expr.children[0], expr.children[1]) || !cannot_be_null(expr.children[0])) return;
    const bool holds =
        expr.op == CompareOp::kEq || expr.op == CompareOp::kLe || expr.op == CompareOp::kGe;
    become(expr, make_truth(holds));
  }

  void simplify_list(Expr& expr) {
    const bool all = expr.kind == Kind::kAnd;
    std::vector<Expr> kept;
    bool nested = false;
    for (Expr& child : expr.children) {
      if (all ? is_false(child) : is_true(child)) {
        return become(expr, make_truth(!all));
      }
      if (all ? is_true(child) : is_false(child)) continue;
      if (child.kind == expr.kind) {
        nested = true;
        for (Expr& inner : child.children) kept.push_back(std::move(inner));
      } else {
        kept.push_back(std::move(child));
      }
    }
    if (!all) join_lists(kept);
    if (!nested && kept.size() == expr.children.size() && kept.size() > 1) {
      expr.children = std::move(kept);
      return;
    }
    if (kept.empty()) return become(expr, make_truth(all));
    become(expr, make_expr(expr.kind, std::move(kept)));
  }

  // a = 1 OR a IN (2, 3): a IN (1, 2, 3). Such a list is NULL, true and false where the OR is.
  void join_lists(std::vector<Expr>& parts) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      for (std::size_t j = i + 1; j < parts.size();) {
        if (!joinable(parts[i]) || !joinable(parts[j]) ||
            !same_expr(parts[i].children[0], parts[j].children[0])) {
          ++j;
          continue;
        }
        parts[i].kind = Kind::kIn;
        for (std::size_t k = 1; k < parts[j].children.size(); ++k) {
          parts[i].children.push_back(std::move(parts[j].children[k]));
        }
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(j));
        changed_ = true;
      }
    }
  }

  static bool joinable(const Expr& expr) {
    if (expr.kind == Kind::kIn) return true;
    return expr.kind == Kind::kCompare && expr.op == CompareOp::kEq &&
           expr.children[0].kind == Kind::kColumn && expr.children[1].kind == Kind::kOperand;
  }

  ResolvedQuery& query_;
  Uses present_;  // uses whose rows are certainly there where the condition stands
  bool changed_ = false;
};

// ---------------------------------------------------------------- outer joins

class Reducer {
 public:
  explicit Reducer(ResolvedQuery& query) : query_(query) {}

  bool run() {
    for (Block& block : query_.blocks) {
      Conjuncts context;
      if (block.where) flatten(*block.where, context);
      for (const FromNode& node : block.from) add_conditions(node, context);
      for (FromNode& node : block.from) visit(node, context);
    }
    return changed_;
  }

 private:
  using Conjuncts = std::vector<const Expr*>;

  // What holds for each row of the node, by the inner joins that it is made of.
  static void add_conditions(const FromNode& node, Conjuncts& context) {
    if (node.kind != FromNode::Kind::kJoin || node.join != JoinKind::kInner) return;
    if (node.on) flatten(*node.on, context);
    for (const FromNode& child : node.children) add_conditions(child, context);
  }

  // `context` holds for each row above the node, its own inner joins' conditions included.
  void visit(FromNode& node, const Conjuncts& context) {
    if (node.kind != FromNode::Kind::kJoin) return;
    if (node.join != JoinKind::kInner) {
      narrow(node, context);
      // Its ON is now one of the conditions.
      if (node.join == JoinKind::kInner) {
        Conjuncts more = context;
        add_conditions(node, more);
        return visit(node, more);
      }
    }
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      if (!is_extended(node, i)) {
        Conjuncts more = context;
        if (node.join != JoinKind::kInner) add_conditions(node.children[i], more);
        visit(node.children[i], more);
        continue;
      }
      // A row of that side counts only where ON holds; what holds above may do so without it.
      Conjuncts inside;
      if (node.join != JoinKind::kFull && node.on) flatten(*node.on, inside);
      add_conditions(node.children[i], inside);
      visit(node.children[i], inside);
    }
  }

  void narrow(FromNode& node, const std::vector<const Expr*>& context) {
    const auto rejected = [&](const FromNode& side) {
      Uses uses;
      collect_uses(side, uses);
      return std::any_of(context.begin(), context.end(),
                         [&](const Expr* c) { return rejects_nulls(*c, of_uses(uses)); });
    };
    const bool left = rejected(node.children[0]);
    const bool right = rejected(node.children[1]);
    const JoinKind before = node.join;
    if (node.join == JoinKind::kFull) {
      if (left && right) node.join = JoinKind::kInner;
      if (left && !right) node.join = JoinKind::kLeft;
      if (right && !left) node.join = JoinKind::kRight;
    } else if (node.join == JoinKind::kLeft ? right : left) {
      node.join = JoinKind::kInner;
    }
    changed_ = changed_ || node.join != before;
  }

  ResolvedQuery& query_;
  bool changed_ = false;
};

}  // namespace

bool simplify_conditions(ResolvedQuery& query) { return Simplifier(query).run(); }

bool reduce_outer_joins(ResolvedQuery& query) { return Reducer(query).run(); }

}  // namespace pgcache::sql
