// SPDX-License-Identifier: Apache-2.0
// FROM items: tables and the rules about them, views, CTE references, subqueries, functions, joins.
#include <algorithm>

#include "sql/resolver.h"
#include "sql/safety.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

using pg::Oid;

constexpr int kViewDepthMax = 16;
constexpr std::size_t kUsesMax = 200;

std::string_view alias_name(const PgQuery__Alias* alias) {
  return alias == nullptr ? std::string_view() : std::string_view(alias->aliasname);
}

const ScopeColumn* find_unique(const std::vector<ScopeColumn>& columns, std::string_view name) {
  const ScopeColumn* found = nullptr;
  for (const ScopeColumn& column : columns) {
    if (column.name != name) continue;
    if (found != nullptr) return nullptr;
    found = &column;
  }
  return found;
}

JoinKind join_kind(PgQuery__JoinType type, bool& known) {
  known = true;
  switch (type) {
    case PG_QUERY__JOIN_TYPE__JOIN_INNER:
      return JoinKind::kInner;
    case PG_QUERY__JOIN_TYPE__JOIN_LEFT:
      return JoinKind::kLeft;
    case PG_QUERY__JOIN_TYPE__JOIN_RIGHT:
      return JoinKind::kRight;
    case PG_QUERY__JOIN_TYPE__JOIN_FULL:
      return JoinKind::kFull;
    default:
      known = false;
      return JoinKind::kFull;
  }
}

}  // namespace

Resolver::FromResult Resolver::resolve_from(const Node* node, const Scope* outer,
                                            const FromScope& left) {
  FromResult result;
  if (node == nullptr || !enter()) {
    fail(BypassReason::kUnsupported, "FROM");
  } else {
    switch (node->node_case) {
      case PG_QUERY__NODE__NODE_RANGE_VAR:
        result = resolve_range_var(*node->range_var);
        break;
      case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
        result = resolve_range_subselect(*node->range_subselect, outer, left);
        break;
      case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
        result = resolve_range_function(*node->range_function, outer, left);
        break;
      case PG_QUERY__NODE__NODE_JOIN_EXPR:
        result = resolve_join(*node->join_expr, outer, left);
        break;
      case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
        fail(BypassReason::kTablesample, "TABLESAMPLE");
        break;
      default:
        fail(BypassReason::kUnsupported, "FROM");
        break;
    }
  }
  leave();
  return result;
}

// One relation with one name, whose first columns its alias may rename.
Resolver::FromResult Resolver::make_item(FromNode node, std::vector<ScopeColumn> columns,
                                         bool opaque, const PgQuery__Alias* alias,
                                         std::string_view own_name) {
  if (alias != nullptr) {
    for (std::size_t i = 0; i < alias->n_colnames; ++i) {
      const std::string name(string_of(alias->colnames[i]));
      if (i < columns.size()) {
        columns[i].name = name;
      } else if (opaque) {
        columns.push_back({name, make_opaque(Oid::kInvalid, {})});
      }
    }
  }
  FromResult result;
  result.node = std::move(node);
  ScopeRelation relation;
  relation.alias = std::string(alias == nullptr ? own_name : alias_name(alias));
  relation.columns = columns;
  relation.opaque = opaque;
  result.scope.relations.push_back(std::move(relation));
  result.scope.columns = std::move(columns);
  result.scope.opaque = opaque;
  return result;
}

// ---------------------------------------------------------------- relations by name

Cte* Resolver::find_cte(std::string_view name) const {
  for (CteFrame* frame = frame_; frame != nullptr; frame = frame->outer) {
    for (Cte& cte : frame->ctes) {
      if (cte.name == name) return &cte;
    }
  }
  return nullptr;
}

Resolver::FromResult Resolver::resolve_range_var(const PgQuery__RangeVar& var) {
  const std::string_view schema = var.schemaname;
  if (schema.empty()) {
    if (Cte* const cte = find_cte(var.relname)) return resolve_cte_reference(var, *cte);
  }
  const pg::Relation* const relation = find_relation(var);
  if (relation == nullptr || !check_relation(*relation, var.inh)) return {};
  return relation->kind == 'v' ? resolve_view(var, *relation) : resolve_table(var, *relation);
}

Resolver::FromResult Resolver::resolve_cte_reference(const PgQuery__RangeVar& var, Cte& cte) {
  if (!cte.ready) cte.referenced_early = true;
  std::optional<std::uint32_t> block = cte.block;
  if (!block && !cte.opaque) {
    Block rows;
    rows.kind = Block::Kind::kOpaque;
    rows.recursion = cte.recursion;
    for (const ScopeColumn& column : cte.columns) {
      rows.outputs.push_back(make_opaque(column.expr.type, {}));
      rows.outputs.back().collation = column.expr.collation;
    }
    block = add_block(std::move(rows));
  }
  return from_subquery({cte.columns, cte.opaque, block}, var.alias, cte.name);
}

const pg::Relation* Resolver::find_relation(const PgQuery__RangeVar& var) {
  const pg::Relation* const found = find_named(var, catalog_, source_.search_path);
  if (found != nullptr) {
    definitions_.push_back(found->oid);
    return found;
  }
  const std::string_view schema = var.schemaname;
  const std::string_view database = var.catalogname;
  const bool is_system = (schema == "pg_catalog" || schema == "information_schema") &&
                         (database.empty() || database == catalog_.database());
  fail(is_system ? BypassReason::kSystemRelation : BypassReason::kUnknownRelation, var.relname);
  return nullptr;
}

// Whether rows of the relation itself are permanent and in the change stream, as far as its kind
// tells.
bool Resolver::check_storage(const pg::Relation& relation) {
  if (relation.kind == 'f') {
    fail(BypassReason::kForeignRelation, relation.name);
  } else if (relation.kind == 'm') {
    fail(BypassReason::kMaterializedView, relation.name);
  } else if (relation.kind != 'r' && relation.kind != 'p' && relation.kind != 'v') {
    fail(BypassReason::kOtherRelationKind, relation.name);
  } else if (relation.persistence == 't') {
    fail(BypassReason::kTemporaryRelation, relation.name);
  } else if (relation.persistence != 'p') {
    fail(BypassReason::kUnloggedRelation, relation.name);
  }
  return !failed();
}

bool Resolver::check_relation(const pg::Relation& relation, bool inherit) {
  if (is_builtin(relation.oid) || relation.schema == kPgCatalog ||
      relation.schema_name == "information_schema") {
    fail(BypassReason::kSystemRelation, relation.name);
    return false;
  }
  if (!check_storage(relation)) return false;
  if (relation.row_security) fail(BypassReason::kRowSecurity, relation.name);
  if (relation.has_rules) fail(BypassReason::kRules, relation.name);
  if (inherit && relation.kind != 'v') {
    for (const Oid oid : relation.descendants) {
      const pg::Relation* const child = catalog_.find_relation(oid);
      if (child == nullptr) {
        fail(BypassReason::kUnknownRelation, relation.name);
      } else {
        check_storage(*child);
      }
    }
  }
  return !failed();
}

std::vector<ScopeColumn> Resolver::columns_of_table(std::uint32_t use) const {
  const pg::Relation& relation = *query_.uses[use].relation;
  std::vector<ScopeColumn> columns;
  columns.reserve(relation.columns.size());
  for (const pg::Column& c : relation.columns) {
    Expr column = make_column({use, static_cast<std::uint32_t>(columns.size())}, c.type);
    column.collation = {c.collation, c.collation_deterministic, orders_bytes(catalog_, c),
                        c.ascii_case};
    columns.push_back({c.name, std::move(column)});
  }
  return columns;
}

Resolver::FromResult Resolver::resolve_table(const PgQuery__RangeVar& var,
                                             const pg::Relation& relation) {
  if (query_.uses.size() >= kUsesMax) {
    fail(BypassReason::kTooComplex, "relations");
    return {};
  }
  FromNode node;
  node.kind = FromNode::Kind::kTable;
  node.use = static_cast<std::uint32_t>(query_.uses.size());
  query_.uses.emplace_back();
  query_.uses.back().relation = &relation;
  query_.uses.back().inherit = var.inh != 0;
  std::vector<ScopeColumn> columns = columns_of_table(node.use);
  FromResult result =
      make_item(std::move(node), std::move(columns), false, var.alias, relation.name);
  resolve_constraints(result.node.use);
  ScopeRelation& item = result.scope.relations.front();
  if (var.alias == nullptr) item.table = &relation;
  item.has_system_columns = true;
  result.scope.has_system_columns = true;
  return result;
}

Resolver::Source Resolver::source_in_catalog(std::string_view text) {
  return {text, nullptr, {kPgCatalog}, true};
}

// The definition was written out under an empty search path: what has no schema is in pg_catalog.
Resolver::FromResult Resolver::resolve_view(const PgQuery__RangeVar& var,
                                            const pg::Relation& view) {
  if (view_depth_ >= kViewDepthMax) {
    fail(BypassReason::kTooComplex, view.name);
    return {};
  }
  const auto parsed = ParseTree::parse(view.view_definition, view.view_definition);
  const PgQuery__SelectStmt* const select = only_select(parsed);
  if (select == nullptr) {
    fail(BypassReason::kUnsupported, view.name);
    return {};
  }
  Source definition = source_in_catalog(view.view_definition);
  std::swap(source_, definition);
  CteFrame* const frame = frame_;
  frame_ = nullptr;
  ++view_depth_;
  SelectResult result = resolve_select(*select, nullptr);
  --view_depth_;
  frame_ = frame;
  std::swap(source_, definition);
  if (failed()) return {};
  if (result.opaque || result.columns.size() != view.columns.size()) {
    fail(BypassReason::kUnsupported, view.name);
    return {};
  }
  for (std::size_t i = 0; i < view.columns.size(); ++i) {
    result.columns[i].name = view.columns[i].name;
    Expr& expr = result.columns[i].expr;
    if (expr.type == view.columns[i].type) continue;
    expr = make_opaque(view.columns[i].type, {std::move(expr)});
    query_.blocks[*result.block].outputs[i] = expr;
    touch_type(expr.type);
  }
  FromResult item = from_subquery(std::move(result), var.alias, view.name);
  if (var.alias == nullptr) item.scope.relations.front().table = &view;
  return item;
}

std::uint32_t Resolver::add_use_of(std::uint32_t block) {
  if (query_.uses.size() >= kUsesMax) fail(BypassReason::kTooComplex, "relations");
  TableUse use;
  use.block = block;
  query_.uses.push_back(std::move(use));
  return static_cast<std::uint32_t>(query_.uses.size() - 1);
}

std::vector<ScopeColumn> Resolver::columns_of(const SelectResult& subquery,
                                              std::uint32_t use) const {
  std::vector<ScopeColumn> columns;
  for (std::size_t i = 0; i < subquery.columns.size(); ++i) {
    const Expr& inner = subquery.columns[i].expr;
    ScopeColumn& column = columns.emplace_back(ScopeColumn{subquery.columns[i].name, {}});
    const pg::Oid type = inner.type == pg::type::kUnknown ? pg::type::kText : inner.type;
    column.expr.type = type;
    if (subquery.opaque) continue;
    column.expr = make_column({use, static_cast<std::uint32_t>(i)}, type);
    column.expr.collation = inner.collation;
  }
  return columns;
}

Resolver::FromResult Resolver::from_subquery(SelectResult subquery, const PgQuery__Alias* alias,
                                             std::string_view own_name) {
  FromNode node;
  if (!subquery.block) {  // recursion
    for (ScopeColumn& column : subquery.columns) {
      column.expr = make_opaque(column.expr.type, {});
    }
    return make_item(std::move(node), std::move(subquery.columns), subquery.opaque, alias,
                     own_name);
  }
  node.kind = FromNode::Kind::kBlock;
  node.use = add_use_of(*subquery.block);
  std::vector<ScopeColumn> columns = columns_of(subquery, node.use);
  return make_item(std::move(node), std::move(columns), subquery.opaque, alias, own_name);
}

Resolver::FromResult Resolver::resolve_range_subselect(const PgQuery__RangeSubselect& item,
                                                       const Scope* outer, const FromScope& left) {
  const Scope lateral{&left, outer, nullptr};
  SelectResult result = resolve_subselect(item.subquery, item.lateral ? &lateral : outer);
  if (failed()) return {};
  return from_subquery(std::move(result), item.alias, {});
}

// The columns of functions are those that the query names itself (AS t(a, b), AS t(a int)), and
// others that we do not know.
Resolver::FromResult Resolver::resolve_range_function(const PgQuery__RangeFunction& item,
                                                      const Scope* outer, const FromScope& left) {
  const Scope lateral{&left, outer, nullptr};
  std::vector<ScopeColumn> columns;
  std::string name;
  FromNode from;
  const auto add_definitions = [&](const Nodes& definitions) {
    for (const Node* node : definitions) {
      if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_DEF ||
          node->column_def->type_name == nullptr) {
        return fail(BypassReason::kUnsupported, "column definition");
      }
      ScopeColumn& column = columns.emplace_back(ScopeColumn{node->column_def->colname, {}});
      column.expr.type = resolve_type(*node->column_def->type_name);
    }
  };
  for (const Node* node : list_of(item.n_functions, item.functions)) {
    if (failed() || node->node_case != PG_QUERY__NODE__NODE_LIST || node->list->n_items == 0) {
      fail(BypassReason::kUnsupported, "function in FROM");
      return {};
    }
    const Node* const function = node->list->items[0];
    if (name.empty()) name = output_name(function);
    from.exprs.push_back(resolve_expr(function, lateral));
    if (node->list->n_items > 1 && node->list->items[1]->node_case == PG_QUERY__NODE__NODE_LIST) {
      const PgQuery__List& definitions = *node->list->items[1]->list;
      add_definitions(list_of(definitions.n_items, definitions.items));
    }
  }
  add_definitions(list_of(item.n_coldeflist, item.coldeflist));
  return make_item(std::move(from), std::move(columns), true, item.alias, name);
}

// ---------------------------------------------------------------- joins

Resolver::FromResult Resolver::resolve_join(const PgQuery__JoinExpr& join, const Scope* outer,
                                            const FromScope& left) {
  bool known = false;
  FromNode node;
  node.kind = FromNode::Kind::kJoin;
  node.join = join_kind(join.jointype, known);
  if (!known) {
    fail(BypassReason::kUnsupported, "join");
    return {};
  }
  FromResult l = resolve_from(join.larg, outer, left);
  if (failed()) return {};
  FromScope visible_right = left;
  visible_right.append(l.scope);
  FromResult r = resolve_from(join.rarg, outer, visible_right);
  if (failed()) return {};
  node.children.push_back(std::move(l.node));
  node.children.push_back(std::move(r.node));
  FromResult result;
  result.node = std::move(node);
  if (join.is_natural || join.n_using_clause > 0) {
    join_columns(join, l.scope, r.scope, result);
  } else {
    result.scope = std::move(l.scope);
    result.scope.append(r.scope);
    if (join.quals != nullptr) {
      const Scope scope{&result.scope, outer, nullptr};
      result.node.on = resolve_condition(join.quals, scope);
    }
  }
  if (join.alias == nullptr) return result;
  return make_item(std::move(result.node), std::move(result.scope.columns), result.scope.opaque,
                   join.alias, {});
}

// What a column of USING shows.
Expr Resolver::merge_columns(JoinKind join, const Expr& left, const Expr& right) const {
  const bool same = left.type == right.type && left.type != Oid::kInvalid;
  if (!same) return make_opaque(Oid::kInvalid, {left, right});
  switch (join) {
    case JoinKind::kInner:
    case JoinKind::kLeft:
      return left;
    case JoinKind::kRight:
      return right;
    case JoinKind::kFull:
      break;
  }
  const std::optional<Collation> collation = common_collation({left, right});
  if (!is_value(left) || !is_value(right) || !collation) {
    return make_opaque(left.type, {left, right});
  }
  Expr both = make_expr(Expr::Kind::kCoalesce, {left, right});
  both.type = left.type;
  both.collation = *collation;
  return both;
}

// USING and NATURAL: each named pair is compared and becomes one column, in front of the others.
void Resolver::join_columns(const PgQuery__JoinExpr& join, const FromScope& left,
                            const FromScope& right, FromResult& result) {
  std::vector<std::string> names;
  for (const Node* node : list_of(join.n_using_clause, join.using_clause)) {
    names.emplace_back(string_of(node));
  }
  if (join.is_natural) {
    if (left.opaque || right.opaque) return fail(BypassReason::kUnsupported, "NATURAL JOIN");
    for (const ScopeColumn& column : left.columns) {
      const bool shared =
          std::any_of(right.columns.begin(), right.columns.end(),
                      [&](const ScopeColumn& other) { return other.name == column.name; });
      if (shared) names.push_back(column.name);
    }
  }
  Expr on = make_expr(Expr::Kind::kAnd, {});
  std::vector<ScopeColumn> merged;
  for (const std::string& name : names) {
    const ScopeColumn* const l = find_unique(left.columns, name);
    const ScopeColumn* const r = find_unique(right.columns, name);
    if (l == nullptr || r == nullptr) return fail(BypassReason::kUnknownColumn, name);
    touch(l->expr);
    touch(r->expr);
    on.children.push_back(apply_named("=", l->expr, r->expr));
    merged.push_back({name, merge_columns(result.node.join, l->expr, r->expr)});
  }
  result.node.on = std::move(on);
  result.scope = left;
  result.scope.append(right);
  std::vector<ScopeColumn> rest;
  for (const ScopeColumn& column : result.scope.columns) {
    const bool is_merged = std::find(names.begin(), names.end(), column.name) != names.end();
    if (!is_merged) rest.push_back(column);
  }
  result.scope.columns = merged;
  result.scope.columns.insert(result.scope.columns.end(), rest.begin(), rest.end());
  if (join.join_using_alias != nullptr) {
    result.scope.relations.push_back(
        {join.join_using_alias->aliasname, nullptr, false, std::move(merged), false});
  }
}

}  // namespace pgcache::sql
