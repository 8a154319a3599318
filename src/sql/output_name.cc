// SPDX-License-Identifier: Apache-2.0
// The names of output columns without AS. A subquery's columns are found by them, so they must be
// those that PostgreSQL chooses (its FigureColname).
#include "sql/resolver.h"

namespace pgcache::sql {
namespace {

// A weak name (of a cast's type) gives way to that of an enclosing expression.
struct Named {
  std::string name;
  int strength = 0;
};

Named last_string(std::size_t n, PgQuery__Node* const* items) {
  for (std::size_t i = n; i > 0; --i) {
    const std::string_view name = string_of(items[i - 1]);
    if (!name.empty()) return {std::string(name), 2};
  }
  return {};
}

Named name_of(const PgQuery__Node* node, int depth);

Named name_of_select(const PgQuery__Node* node, int depth) {
  if (node == nullptr || node->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return {};
  const PgQuery__SelectStmt* select = node->select_stmt;
  for (int i = 0; select->larg != nullptr && i < 1000; ++i) select = select->larg;
  if (select->n_values_lists > 0) return {"column1", 2};
  if (select->n_target_list == 0) return {};
  const PgQuery__Node* target = select->target_list[0];
  if (target->node_case != PG_QUERY__NODE__NODE_RES_TARGET) return {};
  if (target->res_target->name[0] != '\0') return {target->res_target->name, 2};
  const Named inner = name_of(target->res_target->val, depth + 1);
  return inner.strength > 0 ? Named{inner.name, 2} : Named{"?column?", 2};
}

Named name_of_sublink(const PgQuery__SubLink& link, int depth) {
  switch (link.sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
      return {"exists", 2};
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK:
      return {"array", 2};
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK:
      return name_of_select(link.subselect, depth);
    default:
      return {};
  }
}

Named name_of(const PgQuery__Node* node, int depth) {
  if (node == nullptr || depth > 200) return {};
  switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
      return last_string(node->column_ref->n_fields, node->column_ref->fields);
    case PG_QUERY__NODE__NODE_A_INDIRECTION: {
      const PgQuery__AIndirection& expr = *node->a_indirection;
      Named field = last_string(expr.n_indirection, expr.indirection);
      return field.strength > 0 ? field : name_of(expr.arg, depth + 1);
    }
    case PG_QUERY__NODE__NODE_FUNC_CALL:
      return last_string(node->func_call->n_funcname, node->func_call->funcname);
    case PG_QUERY__NODE__NODE_A_EXPR:
      if (node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF) return {"nullif", 2};
      return {};
    case PG_QUERY__NODE__NODE_TYPE_CAST: {
      Named inner = name_of(node->type_cast->arg, depth + 1);
      if (inner.strength > 1) return inner;
      const PgQuery__TypeName& type = *node->type_cast->type_name;
      return {last_string(type.n_names, type.names).name, 1};
    }
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
      return name_of(node->collate_clause->arg, depth + 1);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
      return {"grouping", 2};
    case PG_QUERY__NODE__NODE_SUB_LINK:
      return name_of_sublink(*node->sub_link, depth + 1);
    case PG_QUERY__NODE__NODE_CASE_EXPR: {
      Named inner = name_of(node->case_expr->defresult, depth + 1);
      return inner.strength > 1 ? inner : Named{"case", 1};
    }
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
      return {"array", 2};
    case PG_QUERY__NODE__NODE_ROW_EXPR:
      return {"row", 2};
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
      return {"coalesce", 2};
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
      return {node->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST ? "greatest" : "least",
              2};
    default:
      return {};
  }
}

}  // namespace

std::string output_name(const PgQuery__Node* node) {
  Named named = name_of(node, 0);
  return named.strength > 0 ? std::move(named.name) : "?column?";
}

}  // namespace pgcache::sql
