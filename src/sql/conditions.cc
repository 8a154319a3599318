// SPDX-License-Identifier: Apache-2.0
#include "sql/conditions.h"

#include <algorithm>

namespace pgcache::sql {

using Kind = Expr::Kind;

namespace {

constexpr std::size_t kGuardedMax = 300;  // conditions that are compared with each other
constexpr std::size_t kListMax = 64;      // members of a list that are looked at one by one

bool is_column(const Expr& expr) { return expr.kind == Kind::kColumn; }
bool is_operand(const Expr& expr) { return expr.kind == Kind::kOperand; }

bool is_equality(const Expr& expr) {
  return expr.kind == Kind::kCompare && expr.op == CompareOp::kEq && is_column(expr.children[0]);
}

// A comparison of a column with an operand, or a list of them; certainly not true of NULL.
bool is_on_column(const Expr& expr) {
  return (expr.kind == Kind::kCompare || expr.kind == Kind::kIn || expr.kind == Kind::kAnyOf) &&
         is_column(expr.children[0]) && is_operand(expr.children[1]) && !expr.all;
}

enum class Side { kNone, kLower, kUpper };

Side side_of(const Expr& expr) {
  if (expr.kind != Kind::kCompare || !expr.ordered) return Side::kNone;
  if (expr.op == CompareOp::kGt || expr.op == CompareOp::kGe) return Side::kLower;
  if (expr.op == CompareOp::kLt || expr.op == CompareOp::kLe) return Side::kUpper;
  return Side::kNone;
}

// The columns that an expression is certainly not true without: a row of theirs is there.
void collect_present(const Conjuncts& conjuncts, std::set<std::uint32_t>& uses) {
  for (const Expr* conjunct : conjuncts) {
    std::set<std::uint32_t> mentioned;
    each_expr(*conjunct, [&](const Expr& part) {
      if (is_column(part)) mentioned.insert(part.use);
    });
    for (const std::uint32_t use : mentioned) {
      if (rejects_nulls(*conjunct, of_uses({use}))) uses.insert(use);
    }
  }
}

}  // namespace

Conditions::Conditions(const ResolvedQuery& query, Conjuncts conjuncts)
    : query_(query), conjuncts_(std::move(conjuncts)) {
  for (const Expr* conjunct : conjuncts_) {
    if (is_equality(*conjunct) && is_column(conjunct->children[1])) {
      unite(key_of(conjunct->children[0]), key_of(conjunct->children[1]));
    }
  }
  join_rows();
  for (const Expr* conjunct : conjuncts_) {
    if (is_equality(*conjunct) && is_operand(conjunct->children[1])) {
      bound_.emplace(find(key_of(conjunct->children[0])), &conjunct->children[1]);
    }
  }
  own_guards_ = guards_of(conjuncts_);
  const std::vector<Expr> more = checks();
  guards_ = more.empty() ? own_guards_ : guards_with(more);
}

// ---------------------------------------------------------------- classes

ColumnKey Conditions::find(ColumnKey key) const {
  for (auto it = classes_.find(key); it != classes_.end(); it = classes_.find(key)) {
    key = it->second;
  }
  return key;
}

void Conditions::unite(ColumnKey a, ColumnKey b) {
  a = find(a);
  b = find(b);
  if (a != b) classes_[std::max(a, b)] = std::min(a, b);
}

// Two places where one table stands, and that agree in a unique key, stand for the same row.
void Conditions::join_rows() {
  std::set<std::uint32_t> uses;
  for (const auto& [from, to] : classes_) {
    uses.insert(from.first);
    uses.insert(to.first);
  }
  std::set<std::pair<std::uint32_t, std::uint32_t>> joined;
  bool again = true;
  while (again) {
    again = false;
    for (const std::uint32_t a : uses) {
      for (const std::uint32_t b : uses) {
        if (a >= b || !is_same_row(a, b) || !joined.emplace(a, b).second) continue;
        const std::size_t columns = query_.uses[a].relation->columns.size();
        for (std::uint32_t i = 0; i < columns; ++i) unite({a, i}, {b, i});
        again = true;
      }
    }
  }
}

bool Conditions::is_same_row(std::uint32_t a, std::uint32_t b) const {
  const TableUse& left = query_.uses[a];
  const TableUse& right = query_.uses[b];
  return is_one_table(left) && is_one_table(right) && left.relation == right.relation &&
         fixes_unique_key(*left.relation, [&](std::uint32_t column) {
           return are_equal({a, column}, {b, column});
         });
}

const Expr* Conditions::bound(ColumnKey key) const {
  const auto it = bound_.find(find(key));
  return it == bound_.end() ? nullptr : it->second;
}

bool Conditions::are_compared(ColumnKey a, ColumnKey b) const {
  return std::any_of(conjuncts_.begin(), conjuncts_.end(),
                     [&](const Expr* conjunct) { return equates(*conjunct, a, b); });
}

// ---------------------------------------------------------------- one table's rows

std::optional<ColumnKey> Conditions::in_use(ColumnKey key, std::uint32_t use) const {
  if (key.first == use) return key;
  const pg::Relation* const relation = query_.uses[use].relation;
  const ColumnKey first = find(key);
  for (std::uint32_t i = 0; relation != nullptr && i < relation->columns.size(); ++i) {
    if (find({use, i}) == first) return ColumnKey{use, i};
  }
  return std::nullopt;
}

Expr Conditions::seen_from(const Expr& expr, std::uint32_t use) const {
  if (is_column(expr)) {
    if (const std::optional<ColumnKey> own = in_use(key_of(expr), use)) {
      Expr column = expr;
      column.use = own->first;
      column.column = own->second;
      return column;
    }
    const Expr* const operand = bound(key_of(expr));
    return operand == nullptr ? make_opaque(expr.type, {}) : *operand;
  }
  Expr out = expr;
  for (std::size_t i = 0; i < out.children.size(); ++i) {
    out.children[i] = seen_from(expr.children[i], use);
  }
  return out;
}

// A condition on one column is one on all columns of the table that equal it.
void Conditions::add_copies(const Expr& conjunct, std::uint32_t use, std::vector<Expr>& out) const {
  const pg::Relation* const relation = query_.uses[use].relation;
  const ColumnKey source = key_of(conjunct.children[0]);
  for (std::uint32_t i = 0; i < relation->columns.size(); ++i) {
    if (!are_equal({use, i}, source)) continue;
    Expr moved = conjunct;
    moved.children[0].use = use;
    moved.children[0].column = i;
    out.push_back(std::move(moved));
  }
}

// Columns of the table that are not NULL where the conjunct holds.
void Conditions::collect_present_columns(const Expr& conjunct, std::uint32_t use,
                                         std::set<std::uint32_t>& out) const {
  each_expr(conjunct, [&](const Expr& part) {
    const std::optional<ColumnKey> own = is_column(part) ? in_use(key_of(part), use) : std::nullopt;
    if (!own || query_.uses[use].relation->columns[own->second].not_null) return;
    const auto is_it = [&](const Expr& column) { return are_equal(key_of(column), key_of(part)); };
    if (rejects_nulls(conjunct, is_it)) out.insert(own->second);
  });
}

std::vector<Expr> Conditions::on(std::uint32_t use) const {
  std::vector<Expr> out;
  std::set<std::uint32_t> present;
  std::set<ColumnKey> compared;
  for (const Expr* conjunct : conjuncts_) {
    if (is_on_column(*conjunct)) {
      add_copies(*conjunct, use, out);
      compared.insert(find(key_of(conjunct->children[0])));
      continue;
    }
    Expr seen = seen_from(*conjunct, use);
    if (!mentions(seen, {use})) continue;
    const bool trivial = seen.kind == Kind::kCompare && is_column(seen.children[0]) &&
                         same_expr(seen.children[0], seen.children[1]) && is_equality(*conjunct);
    // What is compared with something that is not known here is not NULL, at least.
    if (trivial || has_opaque(seen)) collect_present_columns(*conjunct, use, present);
    if (!trivial) out.push_back(std::move(seen));
  }
  for (const std::uint32_t column : present) {
    if (compared.contains(find({use, column}))) continue;
    const pg::Oid type = query_.uses[use].relation->columns[column].type;
    Expr is_null = make_expr(Kind::kIsNull, {make_column({use, column}, type)});
    out.push_back(make_not(std::move(is_null)));
  }
  return out;
}

bool Conditions::moves_to(std::uint32_t use) const {
  return std::any_of(conjuncts_.begin(), conjuncts_.end(), [&](const Expr* conjunct) {
    return is_on_column(*conjunct) && conjunct->children[0].use != use &&
           in_use(key_of(conjunct->children[0]), use).has_value();
  });
}

// ---------------------------------------------------------------- operands

Expr Conditions::with_operands(const Expr& expr) const {
  if (is_column(expr)) {
    const Expr* const operand = bound(key_of(expr));
    return operand == nullptr ? expr : *operand;
  }
  Expr out = expr;
  for (std::size_t i = 0; i < out.children.size(); ++i) {
    out.children[i] = with_operands(expr.children[i]);
  }
  return out;
}

std::vector<Expr> Conditions::guards_with(const std::vector<Expr>& more) const {
  Conjuncts all = conjuncts_;
  for (const Expr& condition : more) all.push_back(&condition);
  return guards_of(all);
}

std::vector<Expr> Conditions::guards_with(std::uint32_t use, const Expr& bounds) const {
  Conjuncts parts;
  flatten(bounds, parts);
  std::vector<Expr> more;
  for (const Expr* part : parts) {
    each_expr(more.emplace_back(*part), [&](Expr& e) {
      if (is_column(e)) e.use = use;
    });
  }
  std::vector<Expr> out = guards_with(more);
  std::erase_if(out, [&](const Expr& guard) {
    return std::any_of(own_guards_.begin(), own_guards_.end(),
                       [&](const Expr& other) { return same_expr(guard, other); });
  });
  return out;
}

std::set<std::uint32_t> Conditions::present() const {
  std::set<std::uint32_t> uses;
  collect_present(conjuncts_, uses);
  return uses;
}

// CHECK constraints of tables of which a row is there. They hold or are NULL; a comparison of a
// column that some condition compares is not NULL, so that it holds.
std::vector<Expr> Conditions::checks() const {
  std::set<ColumnKey> compared;
  for (const Expr* conjunct : conjuncts_) {
    if (is_on_column(*conjunct)) compared.insert(find(key_of(conjunct->children[0])));
  }
  std::vector<Expr> out;
  for (const std::uint32_t use : present()) {
    for (const Expr& check : query_.uses[use].checks) {
      Conjuncts parts;
      flatten(check, parts);
      for (const Expr* part : parts) {
        if (is_on_column(*part) && compared.contains(find(key_of(part->children[0])))) {
          out.push_back(*part);
        } else {
          out.push_back(make_not(make_expr(Kind::kIsFalse, {*part})));
        }
      }
    }
  }
  return out;
}

std::vector<Expr> Conditions::guards_of(const Conjuncts& conjuncts) const {
  std::vector<Expr> out;
  if (conjuncts.size() > kGuardedMax) return out;
  for (const Expr* conjunct : conjuncts) {
    Expr guard = with_operands(*conjunct);
    if (has_columns(guard) || has_opaque(guard)) continue;
    const bool trivial = guard.kind == Kind::kCompare && guard.op == CompareOp::kEq &&
                         same_expr(guard.children[0], guard.children[1]);
    if (!trivial) out.push_back(std::move(guard));
  }
  add_pairs(conjuncts, out);
  add_lists(conjuncts, out);
  add_arrays(conjuncts, out);
  // The same may follow in several ways.
  std::vector<Expr> distinct;
  for (Expr& guard : out) {
    const bool known = std::any_of(distinct.begin(), distinct.end(),
                                   [&](const Expr& other) { return same_expr(guard, other); });
    if (!known) distinct.push_back(std::move(guard));
  }
  return distinct;
}

// lower < column and column < upper; a comparison of a column that is NULL.
void Conditions::add_pairs(const Conjuncts& conjuncts, std::vector<Expr>& out) const {
  for (const Expr* a : conjuncts) {
    if (!is_on_column(*a)) continue;
    const ColumnKey key = find(key_of(a->children[0]));
    for (const Expr* b : conjuncts) {
      if (b->kind == Kind::kIsNull && is_column(b->children[0]) &&
          find(key_of(b->children[0])) == key) {
        out.push_back(make_truth(false));
      }
      if (bound_.contains(key) || side_of(*a) != Side::kLower || !is_on_column(*b) ||
          side_of(*b) != Side::kUpper || find(key_of(b->children[0])) != key) {
        continue;
      }
      Expr between = *a;
      const bool inclusive = a->op == CompareOp::kGe && b->op == CompareOp::kLe;
      between.op = inclusive ? CompareOp::kLe : CompareOp::kLt;
      between.children = {a->children[1], b->children[1]};
      out.push_back(std::move(between));
    }
  }
}

// column op ANY (array): it has elements. (Of none, ANY is false even for NULL.)
void Conditions::add_arrays(const Conjuncts& conjuncts, std::vector<Expr>& out) const {
  for (const Expr* conjunct : conjuncts) {
    if (conjunct->kind != Kind::kAnyOf || !is_on_column(*conjunct)) continue;
    Expr any = *conjunct;
    any.children[0] = make_null();
    out.push_back(make_not(make_expr(Kind::kIsFalse, {std::move(any)})));
  }
}

// column IN (list) and something else about it: some member must fulfil that.
void Conditions::add_lists(const Conjuncts& conjuncts, std::vector<Expr>& out) const {
  for (const Expr* list : conjuncts) {
    if (list->kind != Kind::kIn || !is_column(list->children[0]) ||
        list->children.size() > kListMax) {
      continue;
    }
    const ColumnKey key = find(key_of(list->children[0]));
    if (bound_.contains(key)) continue;
    Conjuncts others;
    for (const Expr* other : conjuncts) {
      const bool sided = is_on_column(*other) && find(key_of(other->children[0])) == key;
      if (other != list && sided && other->children.size() <= kListMax) others.push_back(other);
    }
    if (others.empty()) continue;
    std::vector<Expr> choices;
    for (std::size_t i = 1; i < list->children.size(); ++i) {
      std::vector<Expr> all;
      for (const Expr* other : others) {
        Expr one = *other;
        one.children[0] = list->children[i];
        all.push_back(std::move(one));
      }
      choices.push_back(make_expr(Kind::kAnd, std::move(all)));
    }
    out.push_back(make_expr(Kind::kOr, std::move(choices)));
  }
}

}  // namespace pgcache::sql
