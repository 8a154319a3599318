// SPDX-License-Identifier: Apache-2.0
// Conditions: connectives, tests, and the operators that have a syntax of their own (IN, BETWEEN,
// ANY and ALL of arrays, IS DISTINCT FROM, NULLIF).
#include <algorithm>

#include "sql/resolver.h"
#include "sql/safety.h"
#include "sql/tree.h"

namespace pgcache::sql {

Expr Resolver::as_condition(Expr expr) {
  settle(expr, pg::type::kBool);
  if (expr.kind == Expr::Kind::kOperand && expr.type == pg::type::kUnknown) {
    if (std::optional<Expr> truth = read_as(expr, pg::type::kBool)) return *std::move(truth);
  }
  if (expr.kind != Expr::Kind::kColumn) return expr;
  std::optional<Expr> comparison = compare(CompareOp::kEq, expr, make_truth(true));
  if (comparison) return *std::move(comparison);
  return make_opaque(pg::type::kBool, {std::move(expr)});
}

Expr Resolver::resolve_condition(const Node* node, const Scope& scope) {
  return as_condition(resolve_expr(node, scope));
}

Expr Resolver::resolve_bool(const PgQuery__BoolExpr& expr, const Scope& scope) {
  std::vector<Expr> children;
  for (const Node* node : list_of(expr.n_args, expr.args)) {
    if (failed()) return {};
    children.push_back(resolve_condition(node, scope));
  }
  switch (expr.boolop) {
    case PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR:
      return make_expr(Expr::Kind::kAnd, std::move(children));
    case PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR:
      return make_expr(Expr::Kind::kOr, std::move(children));
    case PG_QUERY__BOOL_EXPR_TYPE__NOT_EXPR:
      if (children.size() == 1) return make_not(std::move(children[0]));
      break;
    default:
      break;
  }
  fail(BypassReason::kUnsupported, "boolean expression");
  return {};
}

// IS NULL on a composite value looks inside it, so only values of other types are understood.
Expr Resolver::resolve_null_test(const PgQuery__NullTest& test, const Scope& scope) {
  Expr arg = resolve_expr(test.arg, scope);
  settle_neutral(arg);
  if (failed()) return {};
  const pg::Oid base = base_type(catalog_, arg.type);
  const pg::Type* const type = catalog_.find_type(base);
  const bool plain = base == pg::type::kUnknown || (type != nullptr && type->kind != 'c');
  if (!is_value(arg) || !plain) return make_opaque(pg::type::kBool, {std::move(arg)});
  Expr is_null = make_expr(Expr::Kind::kIsNull, {std::move(arg)});
  const bool negated = test.nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NOT_NULL;
  return negated ? make_not(std::move(is_null)) : is_null;
}

Expr Resolver::resolve_boolean_test(const PgQuery__BooleanTest& test, const Scope& scope) {
  Expr arg = resolve_expr(test.arg, scope);
  settle(arg, pg::type::kBool);
  if (failed()) return {};
  const bool for_null = test.booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN ||
                        test.booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_NOT_UNKNOWN;
  if (!for_null) arg = as_condition(std::move(arg));
  if (!is_value(arg) || base_type(catalog_, arg.type) != pg::type::kBool) {
    return make_opaque(pg::type::kBool, {std::move(arg)});
  }
  switch (test.booltesttype) {
    case PG_QUERY__BOOL_TEST_TYPE__IS_TRUE:
      return make_expr(Expr::Kind::kIsTrue, {std::move(arg)});
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE:
      return make_not(make_expr(Expr::Kind::kIsTrue, {std::move(arg)}));
    case PG_QUERY__BOOL_TEST_TYPE__IS_FALSE:
      return make_expr(Expr::Kind::kIsFalse, {std::move(arg)});
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE:
      return make_not(make_expr(Expr::Kind::kIsFalse, {std::move(arg)}));
    case PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN:
      return make_expr(Expr::Kind::kIsNull, {std::move(arg)});
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_UNKNOWN:
      return make_not(make_expr(Expr::Kind::kIsNull, {std::move(arg)}));
    default:
      return make_opaque(pg::type::kBool, {std::move(arg)});
  }
}

// ---------------------------------------------------------------- operators' syntax

Expr Resolver::resolve_a_expr(const PgQuery__AExpr& expr, const Scope& scope) {
  const Nodes name = list_of(expr.n_name, expr.name);
  switch (expr.kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR: {
      if (expr.lexpr == nullptr)
        return apply_operator(name, nullptr, resolve_expr(expr.rexpr, scope));
      const Expr left = resolve_expr(expr.lexpr, scope);
      const Expr right = resolve_expr(expr.rexpr, scope);
      if (failed()) return {};
      const bool null = left.kind == Expr::Kind::kNull || right.kind == Expr::Kind::kNull;
      if (!null || split_name(name).name != "=") return apply_operator(name, &left, right);
      return compare_with_null(name, left, right);
    }
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF: {
      const Expr left = resolve_expr(expr.lexpr, scope);
      const Expr right = resolve_expr(expr.rexpr, scope);
      if (failed()) return {};
      return resolve_sameness(expr, left, right);
    }
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
      return resolve_in(expr, scope);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
      return resolve_between(expr, scope);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
      return resolve_any_all(expr, scope);
    default:
      fail(BypassReason::kUnsupported, "operator expression");
      return {};
  }
}

// IS [NOT] DISTINCT FROM and NULLIF: forms of =.
Expr Resolver::resolve_sameness(const PgQuery__AExpr& expr, const Expr& left, const Expr& right) {
  const bool null_if = expr.kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF;
  const bool rows = left.kind == Expr::Kind::kRow || right.kind == Expr::Kind::kRow;
  Expr equal = apply_operator(list_of(expr.n_name, expr.name), &left, right);
  if (failed()) return {};
  const bool known = !rows && equal.kind == Expr::Kind::kCompare && equal.op == CompareOp::kEq;
  if (!known && !rows && !null_if && equal.kind == Expr::Kind::kCall && is_value(left) &&
      is_value(right)) {
    // Equality by a function that is NULL where one of them is.
    Expr both_null = make_expr(Expr::Kind::kAnd, {make_expr(Expr::Kind::kIsNull, {left}),
                                                  make_expr(Expr::Kind::kIsNull, {right})});
    Expr same = make_expr(Expr::Kind::kOr, {make_expr(Expr::Kind::kIsTrue, {std::move(equal)}),
                                            std::move(both_null)});
    const bool distinct = expr.kind == PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT;
    return distinct ? make_not(std::move(same)) : same;
  }
  if (!known) {
    return make_opaque(null_if ? pg::Oid::kInvalid : pg::type::kBool, {std::move(equal)});
  }
  if (null_if) {
    const bool flipped = equal.children[0].kind != left.kind || !same_expr(equal.children[0], left);
    // The left side as the operator takes it, which may have made it a numeric or a float8.
    const bool widened = left.type == pg::type::kFloat4 && right.type != left.type;
    if (flipped || widened || left.type == pg::type::kUnknown) {
      return make_opaque(pg::Oid::kInvalid, {std::move(equal)});
    }
    equal.kind = Expr::Kind::kNullIf;
    equal.type = right.type == pg::type::kNumeric ? right.type : left.type;
    equal.collation = left.collation;
    return equal;
  }
  equal.kind = Expr::Kind::kDistinct;
  if (expr.kind == PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT) return equal;
  return make_not(std::move(equal));
}

// x = NULL is never true; but with transform_null_equals it means x IS NULL.
Expr Resolver::compare_with_null(const Nodes& name, const Expr& left, const Expr& right) {
  const Expr& value = left.kind == Expr::Kind::kNull ? right : left;
  Expr unknown = make_opaque(check_operator(name, &left, right).result, {left, right});
  if (failed() || !is_value(value) || value.type == pg::Oid::kInvalid) return unknown;
  // Where the value is not NULL the comparison is NULL, or false if they count as equal.
  Expr is_null = make_expr(Expr::Kind::kIsNull, {value});
  Expr null_or_true = make_expr(Expr::Kind::kOr, {std::move(is_null), make_null()});
  return make_expr(Expr::Kind::kAnd, {std::move(unknown), std::move(null_or_true)});
}

// x IN (a, b): x = a OR x = b. NOT IN has the name <> and is an AND.
Expr Resolver::resolve_in(const PgQuery__AExpr& expr, const Scope& scope) {
  const Nodes name = list_of(expr.n_name, expr.name);
  const bool positive = split_name(name).name == "=";
  const Expr left = resolve_expr(expr.lexpr, scope);
  std::vector<Expr> members = resolve_all(items_of(expr.rexpr), scope);
  if (failed() || members.empty()) {
    fail(BypassReason::kUnsupported, "IN");
    return {};
  }
  bring_members(left, members);
  std::vector<Expr> comparisons;
  for (const Expr& member : members) {
    comparisons.push_back(apply_operator(name, &left, member));
    if (failed()) return {};
  }
  if (std::optional<Expr> in = as_list(comparisons)) {
    return positive ? *std::move(in) : make_not(*std::move(in));
  }
  return make_expr(positive ? Expr::Kind::kOr : Expr::Kind::kAnd, std::move(comparisons));
}

// Several members without columns become an array, of the type that they share with the left side:
// where that is a float, they are compared as floats.
void Resolver::bring_members(const Expr& left, std::vector<Expr>& members) {
  std::vector<pg::Oid> types = {left.type};
  for (const Expr& member : members) {
    if (!has_columns(member)) types.push_back(member.type);
  }
  const pg::Oid type = common_type(types);
  if (types.size() < 3 || pg::family_of(type) != pg::ValueFamily::kFloat) return;
  for (Expr& member : members) {
    if (has_columns(member)) continue;
    settle(member, type);
    std::optional<Expr> brought = coerce(member, type);
    member = brought ? *std::move(brought) : make_opaque(type, {member});
  }
}

// Comparisons of one value with operands, as one list.
std::optional<Expr> Resolver::as_list(const std::vector<Expr>& comparisons) const {
  if (comparisons.size() < 2) return std::nullopt;
  std::vector<Expr> members;
  for (const Expr& comparison : comparisons) {
    const bool simple = comparison.kind == Expr::Kind::kCompare &&
                        comparison.op == comparisons[0].op &&
                        (comparison.op == CompareOp::kEq || comparison.op == CompareOp::kNe) &&
                        comparison.children[0].kind != Expr::Kind::kOperand &&
                        comparison.children[1].kind == Expr::Kind::kOperand &&
                        same_expr(comparison.children[0], comparisons[0].children[0]);
    if (!simple) return std::nullopt;
    if (members.empty()) members.push_back(comparison.children[0]);
    members.push_back(comparison.children[1]);
  }
  return make_expr(Expr::Kind::kIn, std::move(members));
}

Expr Resolver::resolve_between(const PgQuery__AExpr& expr, const Scope& scope) {
  const Expr value = resolve_expr(expr.lexpr, scope);
  const std::vector<Expr> bounds = resolve_all(items_of(expr.rexpr), scope);
  if (failed() || bounds.size() != 2) {
    fail(BypassReason::kUnsupported, "BETWEEN");
    return {};
  }
  const auto inside = [&](const Expr& low, const Expr& high) {
    Expr above = apply_named(">=", value, low);
    Expr below = apply_named("<=", value, high);
    return make_expr(Expr::Kind::kAnd, {std::move(above), std::move(below)});
  };
  const auto outside = [&](const Expr& low, const Expr& high) {
    Expr below = apply_named("<", value, low);
    Expr above = apply_named(">", value, high);
    return make_expr(Expr::Kind::kOr, {std::move(below), std::move(above)});
  };
  switch (expr.kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
      return inside(bounds[0], bounds[1]);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
      return outside(bounds[0], bounds[1]);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM: {
      Expr one = inside(bounds[0], bounds[1]);
      return make_expr(Expr::Kind::kOr, {std::move(one), inside(bounds[1], bounds[0])});
    }
    default: {
      Expr one = outside(bounds[0], bounds[1]);
      return make_expr(Expr::Kind::kAnd, {std::move(one), outside(bounds[1], bounds[0])});
    }
  }
}

// x = ANY (ARRAY[...]) is an IN list.
Expr Resolver::resolve_any_all(const PgQuery__AExpr& expr, const Scope& scope) {
  const Nodes name = list_of(expr.n_name, expr.name);
  const Expr left = resolve_expr(expr.lexpr, scope);
  Expr right = resolve_expr(expr.rexpr, scope);
  if (failed()) return {};
  const bool any = expr.kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY;
  if (right.kind != Expr::Kind::kArray || right.children.empty()) {
    return compare_with_array(name, left, std::move(right), !any);
  }
  std::vector<Expr> comparisons;
  for (const Expr& member : right.children) {
    comparisons.push_back(apply_operator(name, &left, member));
    if (failed()) return {};
  }
  if (any && comparisons[0].op == CompareOp::kEq) {
    if (std::optional<Expr> in = as_list(comparisons)) return *std::move(in);
  }
  return make_expr(any ? Expr::Kind::kOr : Expr::Kind::kAnd, std::move(comparisons));
}

}  // namespace pgcache::sql
