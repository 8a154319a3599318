// SPDX-License-Identifier: Apache-2.0
// Expressions. Each function resolves the parts of one parse node; whatever is only checked, and
// not understood on rows, comes out as kOpaque with its type when that is certain.
#include "sql/resolver.h"
#include "sql/safety.h"

namespace pgcache::sql {
namespace {

Expr opaque(pg::Oid type = pg::Oid::kInvalid) {
  Expr expr;
  expr.type = type;
  return expr;
}

Expr combine(Expr::Kind kind, std::vector<Expr> children) {
  const bool list = kind == Expr::Kind::kAnd || kind == Expr::Kind::kOr;
  if (list && children.size() == 1) return std::move(children[0]);
  Expr expr;
  expr.kind = kind;
  expr.type = pg::type::kBool;
  expr.children = std::move(children);
  return expr;
}

Expr negate(Expr child) {
  std::vector<Expr> children;
  children.push_back(std::move(child));
  return combine(Expr::Kind::kNot, std::move(children));
}

std::vector<const PgQuery__Node*> items_of(const PgQuery__Node* node) {
  if (node == nullptr || node->node_case != PG_QUERY__NODE__NODE_LIST) return {};
  return list_of(node->list->n_items, node->list->items);
}

}  // namespace

Expr Resolver::resolve_expr(const Node* node, const Scope& scope) {
  Expr expr;
  if (node == nullptr) {
    fail(BypassReason::kUnsupported, "expression");
    return expr;
  }
  if (enter()) expr = resolve_expr_node(*node, scope);
  leave();
  return expr;
}

std::vector<Expr> Resolver::resolve_all(const Nodes& nodes, const Scope& scope) {
  std::vector<Expr> exprs;
  exprs.reserve(nodes.size());
  for (const Node* node : nodes) {
    if (failed()) break;
    exprs.push_back(resolve_expr(node, scope));
  }
  return exprs;
}

Expr Resolver::resolve_expr_node(const Node& node, const Scope& scope) {
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
      return resolve_column(*node.column_ref, scope);
    case PG_QUERY__NODE__NODE_A_CONST:
      return resolve_constant(*node.a_const);
    case PG_QUERY__NODE__NODE_PARAM_REF:
      return resolve_parameter(*node.param_ref);
    case PG_QUERY__NODE__NODE_A_EXPR:
      return resolve_a_expr(*node.a_expr, scope);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
      return resolve_bool(*node.bool_expr, scope);
    case PG_QUERY__NODE__NODE_NULL_TEST:
      return resolve_null_test(*node.null_test, scope);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
      return resolve_boolean_test(*node.boolean_test, scope);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
      return resolve_cast(*node.type_cast, scope);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
      return resolve_function(*node.func_call, scope);
    case PG_QUERY__NODE__NODE_SUB_LINK:
      return resolve_sublink(*node.sub_link, scope);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
      return resolve_case(*node.case_expr, scope);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR: {
      const PgQuery__CoalesceExpr& e = *node.coalesce_expr;
      return opaque(unify(resolve_all(list_of(e.n_args, e.args), scope)));
    }
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR: {
      const PgQuery__MinMaxExpr& e = *node.min_max_expr;
      return opaque(unify(resolve_all(list_of(e.n_args, e.args), scope)));
    }
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
      return resolve_array(*node.a_array_expr, scope);
    case PG_QUERY__NODE__NODE_ROW_EXPR: {
      const PgQuery__RowExpr& e = *node.row_expr;
      Expr row = combine(Expr::Kind::kRow, resolve_all(list_of(e.n_args, e.args), scope));
      row.type = pg::Oid::kInvalid;
      return row;
    }
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: {
      // The collation rules out comparing values here; only the type remains.
      const Expr inner = resolve_expr(node.collate_clause->arg, scope);
      settle(inner, pg::type::kText);
      return opaque(inner.type == pg::type::kUnknown ? pg::type::kText : inner.type);
    }
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
      return resolve_indirection(*node.a_indirection, scope);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
      resolve_all(list_of(node.grouping_func->n_args, node.grouping_func->args), scope);
      return opaque(pg::type::kInt4);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
      fail(BypassReason::kVolatileFunction, "CURRENT_DATE, CURRENT_USER or the like");
      return {};
    case PG_QUERY__NODE__NODE_LIST: {
      // (a, b) in places where the grammar makes a list: GROUPING SETS.
      Expr row = combine(Expr::Kind::kRow, resolve_all(items_of(&node), scope));
      row.type = pg::Oid::kInvalid;
      return row;
    }
    default:
      fail(BypassReason::kUnsupported, "expression");
      return {};
  }
}

// ---------------------------------------------------------------- conditions

// A boolean column alone means column = true.
Expr Resolver::as_condition(Expr expr) {
  settle(expr, pg::type::kBool);
  if (expr.kind != Expr::Kind::kColumn) return expr;
  if (expr.type != pg::type::kBool) return opaque(expr.type);
  Expr truth;
  truth.kind = Expr::Kind::kOperand;
  truth.type = pg::type::kBool;
  truth.operand.type = pg::type::kBool;
  truth.operand.constant = "true";
  return make_comparison(CompareOp::kEq, expr, truth);
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
      return combine(Expr::Kind::kAnd, std::move(children));
    case PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR:
      return combine(Expr::Kind::kOr, std::move(children));
    case PG_QUERY__BOOL_EXPR_TYPE__NOT_EXPR:
      if (children.size() == 1) return negate(std::move(children[0]));
      break;
    default:
      break;
  }
  fail(BypassReason::kUnsupported, "boolean expression");
  return {};
}

// IS NULL on a composite value looks inside it, so only columns of other types are understood.
Expr Resolver::resolve_null_test(const PgQuery__NullTest& test, const Scope& scope) {
  const Expr arg = resolve_expr(test.arg, scope);
  settle_neutral(arg);
  if (failed() || arg.kind != Expr::Kind::kColumn) return opaque(pg::type::kBool);
  const pg::Type* const type = catalog_.find_type(base_type(catalog_, arg.type));
  if (type == nullptr || type->kind == 'c') return opaque(pg::type::kBool);
  Expr is_null = combine(Expr::Kind::kIsNull, {arg});
  const bool negated = test.nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NOT_NULL;
  return negated ? negate(std::move(is_null)) : is_null;
}

Expr Resolver::resolve_boolean_test(const PgQuery__BooleanTest& test, const Scope& scope) {
  const Expr arg = resolve_expr(test.arg, scope);
  settle(arg, pg::type::kBool);
  if (failed() || arg.kind != Expr::Kind::kColumn || arg.type != pg::type::kBool) {
    return opaque(pg::type::kBool);
  }
  Expr is_null = combine(Expr::Kind::kIsNull, {arg});
  const auto exactly = [&](Expr condition) {
    return combine(Expr::Kind::kAnd, {std::move(condition), negate(is_null)});
  };
  switch (test.booltesttype) {
    case PG_QUERY__BOOL_TEST_TYPE__IS_TRUE:
      return exactly(as_condition(arg));
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE:
      return negate(exactly(as_condition(arg)));
    case PG_QUERY__BOOL_TEST_TYPE__IS_FALSE:
      return exactly(negate(as_condition(arg)));
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE:
      return negate(exactly(negate(as_condition(arg))));
    case PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN:
      return is_null;
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_UNKNOWN:
      return negate(is_null);
    default:
      return opaque(pg::type::kBool);
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
      return apply_operator(name, &left, right);
    }
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF: {
      const Expr left = resolve_expr(expr.lexpr, scope);
      const Expr right = resolve_expr(expr.rexpr, scope);
      if (failed()) return {};
      apply_operator(name, &left, right);
      return opaque(expr.kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF ? pg::Oid::kInvalid
                                                                       : pg::type::kBool);
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

// x IN (a, b): x = a OR x = b. NOT IN has the name <> and is an AND.
Expr Resolver::resolve_in(const PgQuery__AExpr& expr, const Scope& scope) {
  const Nodes name = list_of(expr.n_name, expr.name);
  const bool positive = split_name(name).name == "=";
  const Expr left = resolve_expr(expr.lexpr, scope);
  const std::vector<Expr> members = resolve_all(items_of(expr.rexpr), scope);
  if (failed() || members.empty()) {
    fail(BypassReason::kUnsupported, "IN");
    return {};
  }
  Expr in = combine(Expr::Kind::kIn, {left});
  std::vector<Expr> comparisons;
  bool simple = left.kind == Expr::Kind::kColumn;
  for (const Expr& member : members) {
    Expr comparison = apply_operator(name, &left, member);
    if (failed()) return {};
    simple = simple && comparison.kind == Expr::Kind::kCompare &&
             comparison.children[1].kind == Expr::Kind::kOperand;
    if (simple) in.children.push_back(comparison.children[1]);
    comparisons.push_back(std::move(comparison));
  }
  if (simple && comparisons.size() > 1) return positive ? in : negate(std::move(in));
  return combine(positive ? Expr::Kind::kOr : Expr::Kind::kAnd, std::move(comparisons));
}

Expr Resolver::resolve_between(const PgQuery__AExpr& expr, const Scope& scope) {
  const Expr value = resolve_expr(expr.lexpr, scope);
  const std::vector<Expr> bounds = resolve_all(items_of(expr.rexpr), scope);
  if (failed() || bounds.size() != 2) {
    fail(BypassReason::kUnsupported, "BETWEEN");
    return {};
  }
  const auto compare = [&](const char* sign, const Expr& bound) {
    PgQuery__String text = PG_QUERY__STRING__INIT;
    std::string copy = sign;
    text.sval = copy.data();
    Node node = PG_QUERY__NODE__INIT;
    node.node_case = PG_QUERY__NODE__NODE_STRING;
    node.string = &text;
    return apply_operator({&node}, &value, bound);
  };
  Expr inside = combine(Expr::Kind::kAnd, {compare(">=", bounds[0]), compare("<=", bounds[1])});
  Expr outside = combine(Expr::Kind::kOr, {compare("<", bounds[0]), compare(">", bounds[1])});
  switch (expr.kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
      return inside;
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
      return outside;
    default:
      compare(">=", bounds[1]);
      compare("<=", bounds[0]);
      return opaque(pg::type::kBool);
  }
}

// x = ANY (ARRAY[...]) is an IN list; any other array is opaque.
Expr Resolver::resolve_any_all(const PgQuery__AExpr& expr, const Scope& scope) {
  const Nodes name = list_of(expr.n_name, expr.name);
  const Expr left = resolve_expr(expr.lexpr, scope);
  const Expr right = resolve_expr(expr.rexpr, scope);
  if (failed()) return {};
  if (right.kind != Expr::Kind::kArray || right.children.empty()) {
    const pg::Type* const array = catalog_.find_type(base_type(catalog_, right.type));
    const bool known = array != nullptr && array->element != pg::Oid::kInvalid;
    check_operator(name, &left, opaque(known ? array->element : pg::Oid::kInvalid));
    return opaque(pg::type::kBool);
  }
  std::vector<Expr> comparisons;
  for (const Expr& member : right.children) {
    comparisons.push_back(apply_operator(name, &left, member));
    if (failed()) return {};
  }
  const bool any = expr.kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY;
  Expr in = combine(Expr::Kind::kIn, {left});
  for (const Expr& comparison : comparisons) {
    const bool simple =
        any && left.kind == Expr::Kind::kColumn && comparison.kind == Expr::Kind::kCompare &&
        comparison.op == CompareOp::kEq && comparison.children[1].kind == Expr::Kind::kOperand;
    if (!simple) {
      return combine(any ? Expr::Kind::kOr : Expr::Kind::kAnd, std::move(comparisons));
    }
    in.children.push_back(comparison.children[1]);
  }
  return in;
}

// ---------------------------------------------------------------- the rest

Expr Resolver::resolve_sublink(const PgQuery__SubLink& link, const Scope& scope) {
  Expr test;
  if (link.testexpr != nullptr) test = resolve_expr(link.testexpr, scope);
  const SelectResult subquery = resolve_subselect(link.subselect, &scope);
  if (failed()) return {};
  if (subquery.block && scope.facts != nullptr) {
    query_.blocks[*subquery.block].nested = true;
    scope.facts->sublinks.push_back(*subquery.block);
  }
  const bool one_column = subquery.columns.size() == 1 && !subquery.opaque;
  pg::Oid type = one_column ? subquery.columns[0].expr.type : pg::Oid::kInvalid;
  if (type == pg::type::kUnknown) type = pg::type::kText;
  switch (link.sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
      return opaque(pg::type::kBool);
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK:
      return opaque(type);
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK: {
      const pg::Type* const element = catalog_.find_type(type);
      return opaque(element == nullptr ? pg::Oid::kInvalid : element->array);
    }
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK:
      break;
    default:
      fail(BypassReason::kUnsupported, "subquery");
      return {};
  }
  PgQuery__String text = PG_QUERY__STRING__INIT;
  std::string sign = "=";
  text.sval = sign.data();
  Node equals = PG_QUERY__NODE__INIT;
  equals.node_case = PG_QUERY__NODE__NODE_STRING;
  equals.string = &text;
  Nodes name = list_of(link.n_oper_name, link.oper_name);
  if (name.empty()) name = {&equals};
  if (test.kind == Expr::Kind::kRow) {
    for (const Expr& part : test.children) check_operator(name, &part, opaque());
  } else {
    check_operator(name, &test, opaque(type));
  }
  return opaque(pg::type::kBool);
}

Expr Resolver::resolve_case(const PgQuery__CaseExpr& expr, const Scope& scope) {
  Expr value;
  if (expr.arg != nullptr) value = resolve_expr(expr.arg, scope);
  PgQuery__String text = PG_QUERY__STRING__INIT;
  std::string sign = "=";
  text.sval = sign.data();
  Node equals = PG_QUERY__NODE__INIT;
  equals.node_case = PG_QUERY__NODE__NODE_STRING;
  equals.string = &text;
  std::vector<Expr> results;
  for (const Node* node : list_of(expr.n_args, expr.args)) {
    if (failed() || node->node_case != PG_QUERY__NODE__NODE_CASE_WHEN) {
      fail(BypassReason::kUnsupported, "CASE");
      return {};
    }
    const Expr when = resolve_expr(node->case_when->expr, scope);
    if (expr.arg != nullptr) {
      if (!failed()) apply_operator({&equals}, &value, when);
    } else {
      settle(when, pg::type::kBool);
    }
    results.push_back(resolve_expr(node->case_when->result, scope));
  }
  if (expr.defresult != nullptr) results.push_back(resolve_expr(expr.defresult, scope));
  return failed() ? Expr{} : opaque(unify(results));
}

// expr[i], expr[i:j], (expr).field and (expr).*. A field may also be a function of the value.
Expr Resolver::resolve_indirection(const PgQuery__AIndirection& expr, const Scope& scope) {
  const Expr base = resolve_expr(expr.arg, scope);
  pg::Oid type = base.type;
  for (const Node* node : list_of(expr.n_indirection, expr.indirection)) {
    if (failed()) return {};
    if (node->node_case == PG_QUERY__NODE__NODE_A_INDICES) {
      for (const Node* index : {node->a_indices->lidx, node->a_indices->uidx}) {
        if (index != nullptr) resolve_expr(index, scope);
      }
      const pg::Type* const array = catalog_.find_type(type);
      const bool element = array != nullptr && array->element != pg::Oid::kInvalid &&
                           !node->a_indices->is_slice && expr.n_indirection == 1;
      type = element ? array->element : pg::Oid::kInvalid;
    } else if (is_star(node)) {
      type = pg::Oid::kInvalid;
    } else if (const std::string_view field = string_of(node); !field.empty()) {
      check_field_function(field);
      type = pg::Oid::kInvalid;
    } else {
      fail(BypassReason::kUnsupported, "subscript");
    }
  }
  return opaque(type);
}

Expr Resolver::resolve_array(const PgQuery__AArrayExpr& expr, const Scope& scope) {
  Expr array =
      combine(Expr::Kind::kArray, resolve_all(list_of(expr.n_elements, expr.elements), scope));
  const pg::Oid element = unify(array.children);
  const pg::Type* const type = catalog_.find_type(element);
  array.type = type == nullptr ? pg::Oid::kInvalid : type->array;
  for (Expr& child : array.children) {
    if (child.type == pg::type::kUnknown && element != pg::Oid::kInvalid) {
      child.type = element;
      if (child.kind == Expr::Kind::kOperand) child.operand.type = element;
    } else if (child.type == pg::type::kUnknown) {
      child = opaque();
    }
  }
  return array;
}

}  // namespace pgcache::sql
