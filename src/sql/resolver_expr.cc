// SPDX-License-Identifier: Apache-2.0
// Expressions. Each function resolves the parts of one parse node; whatever is only checked, and
// not understood on rows, comes out as kOpaque with its type when that is certain.
#include <algorithm>

#include "sql/resolver.h"
#include "sql/safety.h"
#include "sql/tree.h"

namespace pgcache::sql {

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
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
      return resolve_coalesce(*node.coalesce_expr, scope);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
      return resolve_extreme(*node.min_max_expr, scope);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
      return resolve_array(*node.a_array_expr, scope);
    case PG_QUERY__NODE__NODE_ROW_EXPR:
      return resolve_row_of(list_of(node.row_expr->n_args, node.row_expr->args), scope);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: {
      Expr inner = resolve_expr(node.collate_clause->arg, scope);
      settle(inner, pg::type::kText);
      return collate(std::move(inner), *node.collate_clause);
    }
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
      return resolve_indirection(*node.a_indirection, scope);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
      return make_opaque(
          pg::type::kInt4,
          resolve_all(list_of(node.grouping_func->n_args, node.grouping_func->args), scope));
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
      fail(BypassReason::kVolatileFunction, "CURRENT_DATE, CURRENT_USER or the like");
      return {};
    case PG_QUERY__NODE__NODE_LIST:
      // (a, b) in places where the grammar makes a list: GROUPING SETS.
      return resolve_row_of(items_of(&node), scope);
    default:
      fail(BypassReason::kUnsupported, "expression");
      return {};
  }
}

// Other collations than those two rule out comparing values here; only the type remains.
Expr Resolver::collate(Expr value, const PgQuery__CollateClause& clause) const {
  if (value.type == pg::type::kUnknown) {
    if (std::optional<Expr> text = coerce(value, pg::type::kText)) value = *std::move(text);
  }
  const pg::Oid type = value.type == pg::type::kUnknown ? pg::type::kText : value.type;
  const QualifiedName name = split_name(list_of(clause.n_collname, clause.collname));
  const bool builtin = name.schema == "pg_catalog" || (name.schema.empty() && in_path(kPgCatalog));
  const pg::Oid c = name.name == "C"       ? pg::collation::kC
                    : name.name == "POSIX" ? pg::collation::kPosix
                                           : pg::Oid::kInvalid;
  // What is computed is computed by the collation that it had.
  const bool plain = value.kind == Expr::Kind::kColumn || value.kind == Expr::Kind::kOperand;
  if (!builtin || c == pg::Oid::kInvalid || !plain) {
    return make_opaque(type, {std::move(value)});
  }
  value.collation = {c, true, catalog_.encoding() == "UTF8", true};
  return value;
}

Expr Resolver::resolve_sublink(const PgQuery__SubLink& link, const Scope& scope) {
  Expr test;
  if (link.testexpr != nullptr) test = resolve_expr(link.testexpr, scope);
  const SelectResult subquery = resolve_subselect(link.subselect, &scope);
  if (failed()) return {};
  Expr result;
  result.kind = Expr::Kind::kSublink;
  result.type = pg::type::kBool;
  result.use = add_use_of(*subquery.block);
  const std::vector<ScopeColumn> columns = columns_of(subquery, result.use);
  const pg::Oid type =
      columns.size() == 1 && !subquery.opaque ? columns[0].expr.type : pg::Oid::kInvalid;
  switch (link.sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
      result.link = LinkKind::kExists;
      return result;
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK:
      result.link = LinkKind::kScalar;
      result.type = type;
      if (type != pg::Oid::kInvalid) result.collation = columns[0].expr.collation;
      return result;
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK: {
      result.link = LinkKind::kArray;
      const pg::Type* const element = catalog_.find_type(type);
      result.type = element == nullptr ? pg::Oid::kInvalid : element->array;
      return result;
    }
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
      result.link = LinkKind::kAny;
      break;
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK:
      result.link = LinkKind::kAll;
      break;
    default:
      fail(BypassReason::kUnsupported, "subquery");
      return {};
  }
  compare_with_subquery(link, test, columns, subquery.opaque, result);
  return result;
}

void Resolver::compare_with_subquery(const PgQuery__SubLink& link, const Expr& test,
                                     const std::vector<ScopeColumn>& columns, bool unknown_columns,
                                     Expr& result) {
  const Nodes name = list_of(link.n_oper_name, link.oper_name);  // none: IN
  const bool equality = name.empty() || split_name(name).name == "=";
  std::vector<Expr> tests = {test};
  if (test.kind == Expr::Kind::kRow) tests = test.children;
  const bool matched = !unknown_columns && tests.size() == columns.size();
  for (std::size_t i = 0; i < tests.size() && !failed(); ++i) {
    const Expr other = matched ? columns[i].expr : Expr{};
    Expr comparison =
        name.empty() ? apply_named("=", tests[i], other) : apply_operator(name, &tests[i], other);
    // Of rows only = compares column by column.
    const bool separate = tests.size() == 1 || equality;
    if (!matched || !separate) comparison = make_opaque(pg::type::kBool, {std::move(comparison)});
    result.children.push_back(std::move(comparison));
  }
}

Expr Resolver::resolve_row_of(const Nodes& nodes, const Scope& scope) {
  Expr row = make_expr(Expr::Kind::kRow, resolve_all(nodes, scope));
  row.type = pg::Oid::kInvalid;
  return row;
}

Expr Resolver::resolve_coalesce(const PgQuery__CoalesceExpr& expr, const Scope& scope) {
  std::vector<Expr> values = resolve_all(list_of(expr.n_args, expr.args), scope);
  const pg::Oid type = unify(values);
  std::optional<std::vector<Expr>> together = bring_together(values, type);
  if (!together) return make_opaque(type, std::move(values));
  Expr coalesce = make_expr(Expr::Kind::kCoalesce, *std::move(together));
  coalesce.type = type;
  coalesce.collation = *common_collation(coalesce.children);
  return coalesce;
}

Expr Resolver::resolve_extreme(const PgQuery__MinMaxExpr& expr, const Scope& scope) {
  std::vector<Expr> values = resolve_all(list_of(expr.n_args, expr.args), scope);
  const pg::Oid type = unify(values);
  std::optional<std::vector<Expr>> together = bring_together(values, type);
  const pg::ValueTypePtr as = pg::value_type_of(catalog_, type);
  const auto collation = common_collation(values);
  if (!together || !as || !collation || !is_ordered(catalog_, *as, collation->is_c)) {
    return make_opaque(type, std::move(values));
  }
  Expr extreme = make_expr(Expr::Kind::kExtreme, *std::move(together));
  extreme.all = expr.op == PG_QUERY__MIN_MAX_OP__IS_GREATEST;
  extreme.type = type;
  extreme.collation = *collation;
  return extreme;
}

Expr Resolver::resolve_case(const PgQuery__CaseExpr& expr, const Scope& scope) {
  Expr value;
  if (expr.arg != nullptr) value = resolve_expr(expr.arg, scope);
  std::vector<Expr> conditions;
  std::vector<Expr> results;
  for (const Node* node : list_of(expr.n_args, expr.args)) {
    if (failed() || node->node_case != PG_QUERY__NODE__NODE_CASE_WHEN) {
      fail(BypassReason::kUnsupported, "CASE");
      return {};
    }
    const Expr when = resolve_expr(node->case_when->expr, scope);
    if (failed()) return {};
    conditions.push_back(expr.arg != nullptr ? apply_named("=", value, when) : as_condition(when));
    results.push_back(resolve_expr(node->case_when->result, scope));
  }
  Expr otherwise = make_null();
  if (expr.defresult != nullptr) otherwise = resolve_expr(expr.defresult, scope);
  if (failed()) return {};
  results.push_back(std::move(otherwise));
  const pg::Oid type = unify(results);
  std::optional<std::vector<Expr>> together = bring_together(results, type);
  const bool known = together && std::all_of(conditions.begin(), conditions.end(), is_value);
  std::vector<Expr> parts;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (i < conditions.size()) parts.push_back(std::move(conditions[i]));
    parts.push_back(known ? std::move((*together)[i]) : std::move(results[i]));
  }
  if (!known) return make_opaque(type, std::move(parts));
  Expr result = make_expr(Expr::Kind::kCase, std::move(parts));
  result.type = type;
  std::vector<Expr> values;
  for (std::size_t i = 1; i < result.children.size(); i += 2) values.push_back(result.children[i]);
  values.push_back(result.children.back());
  result.collation = *common_collation(values);
  return result;
}

// expr[i], expr[i:j], (expr).field and (expr).*. A field may also be a function of the value.
Expr Resolver::resolve_indirection(const PgQuery__AIndirection& expr, const Scope& scope) {
  std::vector<Expr> parts = {resolve_expr(expr.arg, scope)};
  pg::Oid type = parts[0].type;
  for (const Node* node : list_of(expr.n_indirection, expr.indirection)) {
    if (failed()) return {};
    if (node->node_case == PG_QUERY__NODE__NODE_A_INDICES) {
      for (const Node* index : {node->a_indices->lidx, node->a_indices->uidx}) {
        if (index != nullptr) parts.push_back(resolve_expr(index, scope));
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
  return make_opaque(type, std::move(parts));
}

Expr Resolver::resolve_array(const PgQuery__AArrayExpr& expr, const Scope& scope) {
  Expr array =
      make_expr(Expr::Kind::kArray, resolve_all(list_of(expr.n_elements, expr.elements), scope));
  const pg::Oid element = unify(array.children);
  const pg::Type* const type = catalog_.find_type(element);
  array.type = type == nullptr ? pg::Oid::kInvalid : type->array;
  for (Expr& child : array.children) {
    const pg::Oid from = base_type(catalog_, child.type);
    const bool numbers = pg::type::is_number(from) && pg::type::is_number(element);
    if (child.type != pg::type::kUnknown && (element == pg::Oid::kInvalid || numbers)) continue;
    if (child.type == element) continue;
    std::optional<Expr> read;
    if (element != pg::Oid::kInvalid) read = coerce(child, element);
    child = read ? *std::move(read) : make_opaque(element, {child});
  }
  return array;
}

}  // namespace pgcache::sql
