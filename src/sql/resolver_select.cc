// SPDX-License-Identifier: Apache-2.0
// SELECT, VALUES, set operations, WITH, and the clauses around FROM.
#include <algorithm>
#include <utility>

#include "sql/resolver.h"
#include "sql/safety.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

constexpr int kDepthMax = 150;
constexpr std::size_t kStepsMax = 50'000;

const PgQuery__SelectStmt* as_select(const PgQuery__Node* node) {
  if (node == nullptr || node->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return nullptr;
  return node->select_stmt;
}

bool is_integer_constant(const PgQuery__Node* node) {
  return node != nullptr && node->node_case == PG_QUERY__NODE__NODE_A_CONST &&
         node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL;
}

bool is_descending(const PgQuery__SortBy& sort) {
  return sort.sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
}

bool puts_nulls_first(const PgQuery__SortBy& sort) {
  if (sort.sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT)
    return is_descending(sort);
  return sort.sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST;
}

}  // namespace

Resolver::Resolver(const AnalysisContext& context, std::string_view text,
                   const StatementShape& shape)
    : context_(context), catalog_(*context.catalog) {
  source_.text = text;
  source_.shape = &shape;
  source_.search_path = context.search_path;
}

bool Resolver::run(const PgQuery__SelectStmt& select, CacheableQuery& out) {
  const SelectResult result = resolve_select(select, nullptr);
  if (!failed()) query_.top = *result.block;
  if (!failed()) finish_casts();
  if (!failed()) finish_notes(out);
  return !failed();
}

void Resolver::fail(BypassReason reason, std::string_view detail) {
  if (!failure_) failure_ = NotCacheable{reason, std::string(detail)};
}

bool Resolver::enter() {
  ++depth_;
  if (depth_ > kDepthMax || ++steps_ > kStepsMax) fail(BypassReason::kTooComplex, "nesting");
  return !failed();
}

Resolver::SelectResult Resolver::resolve_subselect(const Node* node, const Scope* outer) {
  const PgQuery__SelectStmt* const select = as_select(node);
  if (select == nullptr) {
    fail(BypassReason::kUnsupported, "subquery");
    return {};
  }
  return resolve_select(*select, outer);
}

Resolver::SelectResult Resolver::resolve_select(const PgQuery__SelectStmt& select,
                                                const Scope* outer) {
  SelectResult result;
  if (enter()) {
    CteFrame frame;
    frame.outer = frame_;
    CteFrame* const saved = frame_;
    frame_ = &frame;
    if (select.with_clause != nullptr) resolve_with(*select.with_clause, frame, outer);
    if (!failed()) result = resolve_select_body(select, outer);
    frame_ = saved;
  }
  leave();
  return result;
}

Resolver::SelectResult Resolver::resolve_select_body(const PgQuery__SelectStmt& select,
                                                     const Scope* outer) {
  if (select.into_clause != nullptr) {
    fail(BypassReason::kSelectInto, "INTO");
    return {};
  }
  if (select.n_locking_clause > 0) {
    fail(BypassReason::kLocking, "FOR UPDATE or SHARE");
    return {};
  }
  if (select.op != PG_QUERY__SET_OPERATION__SETOP_NONE) return resolve_set_operation(select, outer);
  if (select.n_values_lists > 0) return resolve_values(select, outer);
  return resolve_plain(select, outer);
}

// ---------------------------------------------------------------- WITH

void Resolver::resolve_with(const PgQuery__WithClause& with, CteFrame& frame, const Scope* outer) {
  const auto ctes = list_of(with.n_ctes, with.ctes);
  for (const Node* node : ctes) {
    if (node->node_case != PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR) {
      return fail(BypassReason::kUnsupported, "WITH");
    }
    // In a recursive list every name is visible in every query of it.
    if (with.recursive) {
      frame.ctes.push_back(
          {node->common_table_expr->ctename, false, {}, true, std::nullopt, false, ++recursions_});
    }
  }
  for (const Node* node : ctes) {
    if (failed()) return;
    resolve_cte(*node->common_table_expr, frame, outer, with.recursive);
  }
}

void Resolver::resolve_cte(const PgQuery__CommonTableExpr& cte, CteFrame& frame, const Scope* outer,
                           bool recursive) {
  const PgQuery__SelectStmt* const select = as_select(cte.ctequery);
  if (select == nullptr) return fail(BypassReason::kModifyingCte, cte.ctename);
  if (cte.search_clause != nullptr || cte.cycle_clause != nullptr) {
    return fail(BypassReason::kUnsupported, "SEARCH or CYCLE");
  }
  const auto rename = [&](std::vector<ScopeColumn>& columns) {
    for (std::size_t i = 0; i < cte.n_aliascolnames && i < columns.size(); ++i) {
      columns[i].name = std::string(string_of(cte.aliascolnames[i]));
    }
  };
  if (!recursive) {
    SelectResult result = resolve_select(*select, outer);
    if (failed()) return;
    rename(result.columns);
    frame.ctes.push_back(
        {cte.ctename, true, std::move(result.columns), result.opaque, result.block, false, 0});
    return;
  }
  const auto it = std::find_if(frame.ctes.begin(), frame.ctes.end(),
                               [&](const Cte& other) { return other.name == cte.ctename; });
  if (it == frame.ctes.end()) return;
  // Its columns are those of its first branch, which may not refer to it.
  const Beginning saved = std::exchange(beginning_, {select, [&](const SelectResult& first) {
                                                       if (it->referenced_early) return;
                                                       it->columns = first.columns;
                                                       it->opaque = first.opaque;
                                                       rename(it->columns);
                                                     }});
  SelectResult result = resolve_select(*select, outer);
  beginning_ = saved;
  if (failed()) return;
  it->ready = true;
  // A reference that stood before this stands for rows of which only the columns are known: what it
  // reads is read once, here.
  if (it->referenced_early) {
    query_.blocks[*result.block].recursion = it->recursion;
    query_.also.push_back(*result.block);
    if (!it->opaque) return;
  } else {
    it->block = result.block;
  }
  rename(result.columns);
  it->columns = std::move(result.columns);
  it->opaque = result.opaque;
}

// ---------------------------------------------------------------- bodies

std::uint32_t Resolver::add_block(Block block) {
  query_.blocks.push_back(std::move(block));
  return static_cast<std::uint32_t>(query_.blocks.size() - 1);
}

Resolver::SelectResult Resolver::resolve_set_operation(const PgQuery__SelectStmt& select,
                                                       const Scope* outer) {
  if (select.larg == nullptr || select.rarg == nullptr) {
    fail(BypassReason::kUnsupported, "set operation");
    return {};
  }
  const SelectResult left = resolve_select(*select.larg, outer);
  if (beginning_.select == &select && !failed()) beginning_.announce(left);
  const SelectResult right = resolve_select(*select.rarg, outer);
  if (failed()) return {};
  Block block;
  block.kind = select.op == PG_QUERY__SET_OPERATION__SETOP_UNION       ? Block::Kind::kUnion
               : select.op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT ? Block::Kind::kIntersect
                                                                       : Block::Kind::kExcept;
  block.all = select.all != 0;
  block.branches = {add_use_of(*left.block), add_use_of(*right.block)};
  SelectResult result;
  result.opaque = left.opaque || right.opaque;
  for (std::size_t i = 0; i < left.columns.size(); ++i) {
    ScopeColumn& column = result.columns.emplace_back(ScopeColumn{left.columns[i].name, {}});
    if (i >= right.columns.size() || result.opaque) continue;
    column.expr = common_column(left.columns[i], right.columns[i]);
    if (column.expr.type == pg::Oid::kInvalid) continue;
    bring_output(*left.block, i, left.columns[i].untyped, column.expr.type);
    bring_output(*right.block, i, right.columns[i].untyped, column.expr.type);
  }
  const FromScope none;
  const Scope scope{&none, outer, nullptr};
  for (const Node* node : list_of(select.n_sort_clause, select.sort_clause)) {
    if (failed()) return {};
    if (node->node_case != PG_QUERY__NODE__NODE_SORT_BY) {
      fail(BypassReason::kUnsupported, "ORDER BY");
      return {};
    }
    check_sort_operator(list_of(node->sort_by->n_use_op, node->sort_by->use_op));
    const Node* const key = node->sort_by->node;
    if (!is_integer_constant(key) && !names_output(key, result) &&
        !(result.opaque && key->node_case == PG_QUERY__NODE__NODE_COLUMN_REF)) {
      fail(BypassReason::kUnsupported, "ORDER BY of a set operation");
    }
  }
  block.order = first_order(select, scope, result);
  resolve_limits(select, scope, block);
  for (const ScopeColumn& column : result.columns) block.outputs.push_back(column.expr);
  block.unknown_outputs = result.opaque;
  result.block = add_block(std::move(block));
  return result;
}

Resolver::SelectResult Resolver::resolve_values(const PgQuery__SelectStmt& select,
                                                const Scope* outer) {
  SelectResult result;
  Block block;
  block.kind = Block::Kind::kOpaque;
  const FromScope none;
  const Scope scope{&none, outer, nullptr};
  std::vector<std::vector<Expr>> columns;
  for (const Node* row : list_of(select.n_values_lists, select.values_lists)) {
    if (failed() || row->node_case != PG_QUERY__NODE__NODE_LIST) {
      fail(BypassReason::kUnsupported, "VALUES");
      return {};
    }
    std::vector<Expr> exprs = resolve_all(list_of(row->list->n_items, row->list->items), scope);
    if (columns.size() < exprs.size()) columns.resize(exprs.size());
    for (std::size_t i = 0; i < exprs.size(); ++i) columns[i].push_back(std::move(exprs[i]));
  }
  for (std::size_t i = 0; i < columns.size(); ++i) {
    ScopeColumn column{"column" + std::to_string(i + 1), {}};
    column.expr.type = columns[i].size() == select.n_values_lists ? unify(columns[i]) : pg::Oid{};
    for (Expr& expr : columns[i]) block.others.push_back(std::move(expr));
    block.outputs.push_back(column.expr);
    result.columns.push_back(std::move(column));
  }
  for (const Node* node : list_of(select.n_sort_clause, select.sort_clause)) {
    block.others.push_back(resolve_sort(node, scope, &result));
  }
  resolve_limits(select, scope, block);
  result.block = add_block(std::move(block));
  return result;
}

Resolver::SelectResult Resolver::resolve_plain(const PgQuery__SelectStmt& select,
                                               const Scope* outer) {
  Block block;
  FromScope from;
  for (const Node* node : list_of(select.n_from_clause, select.from_clause)) {
    FromResult item = resolve_from(node, outer, from);
    if (failed()) return {};
    block.from.push_back(std::move(item.node));
    from.append(item.scope);
  }
  LevelFacts facts;
  const Scope scope{&from, outer, &facts};
  SelectResult result;
  for (const Node* node : list_of(select.n_target_list, select.target_list)) {
    if (failed()) return {};
    if (node->node_case != PG_QUERY__NODE__NODE_RES_TARGET) {
      fail(BypassReason::kUnsupported, "select list");
      return {};
    }
    resolve_target(*node->res_target, scope, result);
  }
  if (select.where_clause != nullptr) block.where = resolve_condition(select.where_clause, scope);
  if (select.having_clause != nullptr) {
    block.having = resolve_condition(select.having_clause, scope);
  }
  std::optional<std::vector<Expr>> keys = resolve_grouping(
      list_of(select.n_group_clause, select.group_clause), scope, result, false, block.others);
  block.grouping_sets = !keys;
  if (keys) block.keys = *std::move(keys);
  resolve_distinct(select, scope, result, block);
  for (const Node* node : list_of(select.n_sort_clause, select.sort_clause)) {
    block.others.push_back(resolve_sort(node, scope, &result));
  }
  block.order = first_order(select, scope, result);
  finish_windows(select, scope, facts.windows, block);
  resolve_limits(select, scope, block);
  if (failed()) return {};
  block.grouped = facts.aggregates || select.n_group_clause > 0 || select.having_clause != nullptr;
  block.set_returning = facts.set_returning;
  for (ScopeColumn& column : result.columns) {
    // What has no type by now is text, for whoever looks at it from outside.
    if (column.expr.type == pg::type::kUnknown) {
      column.untyped = true;
      if (auto text = coerce(column.expr, pg::type::kText)) column.expr = *std::move(text);
    }
    block.outputs.push_back(column.expr);
  }
  block.unknown_outputs = result.opaque;
  result.block = add_block(std::move(block));
  return result;
}

void Resolver::resolve_distinct(const PgQuery__SelectStmt& select, const Scope& scope,
                                const SelectResult& result, Block& block) {
  Nodes nodes = list_of(select.n_distinct_clause, select.distinct_clause);
  block.distinct = !nodes.empty();
  // A plain DISTINCT is a list with one empty node.
  std::erase_if(nodes, [](const Node* node) {
    return node == nullptr || node->node_case == PG_QUERY__NODE__NODE__NOT_SET;
  });
  if (nodes.empty()) return;
  std::optional<std::vector<Expr>> keys =
      resolve_grouping(nodes, scope, result, true, block.others);
  if (keys) block.distinct_on = *std::move(keys);
  // Not empty even if nothing is known of the keys.
  if (block.distinct_on.empty()) block.distinct_on.emplace_back();
}

// The partitions of all window functions, of which some refer to the WINDOW clause.
void Resolver::finish_windows(const PgQuery__SelectStmt& select, const Scope& scope,
                              const std::vector<LevelFacts::Window>& windows, Block& block) {
  std::vector<LevelFacts::Window> named;
  const auto partition_of = [&](const LevelFacts::Window& window) {
    for (const LevelFacts::Window& base : named) {
      if (window.name == base.name && window.partition.empty()) return base.partition;
    }
    return window.partition;
  };
  for (const Node* node : list_of(select.n_window_clause, select.window_clause)) {
    if (node->node_case != PG_QUERY__NODE__NODE_WINDOW_DEF) {
      return fail(BypassReason::kUnsupported, "WINDOW");
    }
    LevelFacts::Window window{node->window_def->refname,
                              resolve_window(*node->window_def, scope, block.others), std::nullopt};
    named.push_back({node->window_def->name, partition_of(window), std::nullopt});
  }
  for (const LevelFacts::Window& window : windows) {
    block.partitions.push_back(partition_of(window));
  }
  if (windows.size() == 1) block.running = windows.front().running;
}

// The default frame alone goes up to the row's last peer.
std::optional<Running> Resolver::running_window(const PgQuery__WindowDef& window,
                                                const std::vector<Expr>& partition,
                                                const Scope& scope) {
  constexpr int kDefaultFrame = 1058;  // FRAMEOPTION_DEFAULTS in the server's parsenodes.h
  if (window.name[0] != '\0' || window.refname[0] != '\0' ||
      window.frame_options != kDefaultFrame || window.n_order_clause == 0) {
    return std::nullopt;
  }
  const PgQuery__SortBy& sort = *window.order_clause[0]->sort_by;
  if (sort.sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING) return std::nullopt;
  const Expr order = resolve_expr(sort.node, scope);
  if (failed() || order.kind != Expr::Kind::kColumn) return std::nullopt;
  std::optional<Expr> before =
      compare(is_descending(sort) ? CompareOp::kGt : CompareOp::kLt, order, order);
  if (!before || !before->ordered) return std::nullopt;
  return Running{partition, *std::move(before), puts_nulls_first(sort), std::nullopt};
}

// ---------------------------------------------------------------- clauses

void Resolver::expand_star(const PgQuery__ColumnRef& ref, const Scope& scope,
                           SelectResult& result) {
  if (ref.n_fields == 1) {
    for (const ScopeColumn& column : scope.from->columns) {
      touch(column.expr);
      result.columns.push_back(column);
    }
    result.opaque = result.opaque || scope.from->opaque;
    return;
  }
  const std::string_view relation = string_of(ref.fields[ref.n_fields - 2]);
  const std::string_view schema = ref.n_fields == 3 ? string_of(ref.fields[0]) : std::string_view();
  const ScopeRelation* const found =
      ref.n_fields <= 3 ? find_scope_relation(schema, relation, scope) : nullptr;
  if (found == nullptr) return fail(BypassReason::kUnknownColumn, std::string(relation) + ".*");
  touch_all(*found);
  result.columns.insert(result.columns.end(), found->columns.begin(), found->columns.end());
  result.opaque = result.opaque || found->opaque;
}

void Resolver::resolve_target(const PgQuery__ResTarget& target, const Scope& scope,
                              SelectResult& result) {
  const Node* const value = target.val;
  if (value == nullptr) return fail(BypassReason::kUnsupported, "select list");
  if (value->node_case == PG_QUERY__NODE__NODE_COLUMN_REF) {
    const PgQuery__ColumnRef& ref = *value->column_ref;
    if (ref.n_fields > 0 && is_star(ref.fields[ref.n_fields - 1])) {
      return expand_star(ref, scope, result);
    }
  }
  if (value->node_case == PG_QUERY__NODE__NODE_A_INDIRECTION) {
    const PgQuery__AIndirection& expr = *value->a_indirection;
    if (expr.n_indirection > 0 && is_star(expr.indirection[expr.n_indirection - 1])) {
      result.opaque = true;  // (composite).*
    }
  }
  Expr expr = resolve_expr(value, scope);
  result.columns.push_back(
      {target.name[0] != '\0' ? std::string(target.name) : output_name(value), std::move(expr)});
}

bool Resolver::names_output(const Node* node, const SelectResult& result) const {
  if (node == nullptr || node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF) return false;
  if (node->column_ref->n_fields != 1) return false;
  const std::string_view name = string_of(node->column_ref->fields[0]);
  return std::any_of(result.columns.begin(), result.columns.end(),
                     [&](const ScopeColumn& column) { return column.name == name; });
}

Expr Resolver::named_outputs(const Node* node, const SelectResult& result) {
  const bool by_place = is_integer_constant(node);
  std::vector<Expr> outputs;
  for (const ScopeColumn& column : result.columns) {
    if (by_place || column.name == string_of(node->column_ref->fields[0])) {
      outputs.push_back(column.expr);
    }
  }
  return make_opaque(pg::Oid::kInvalid, std::move(outputs));
}

std::optional<std::vector<Expr>> Resolver::resolve_grouping(const Nodes& nodes, const Scope& scope,
                                                            const SelectResult& result,
                                                            bool outputs_first,
                                                            std::vector<Expr>& all) {
  std::vector<Expr> keys;
  bool sets = false;
  for (const Node* node : nodes) {
    if (failed()) return std::nullopt;
    if (node->node_case == PG_QUERY__NODE__NODE_GROUPING_SET) {
      sets = true;
      if (enter()) {
        const PgQuery__GroupingSet& set = *node->grouping_set;
        resolve_grouping(list_of(set.n_content, set.content), scope, result, outputs_first, all);
      }
      leave();
      continue;
    }
    Expr element = resolve_grouping_element(node, scope, result, outputs_first);
    all.push_back(element);
    keys.push_back(std::move(element));
  }
  if (sets) return std::nullopt;
  return keys;
}

// An output column by place or name, or an expression. What a place stands for changes with the
// text of one shape. A name that could be an input or an output column is the input column in GROUP
// BY, and the output column in DISTINCT ON.
Expr Resolver::resolve_grouping_element(const Node* node, const Scope& scope,
                                        const SelectResult& result, bool outputs_first) {
  if (is_integer_constant(node)) return named_outputs(node, result);
  if (!names_output(node, result)) return resolve_expr(node, scope);
  const std::string_view name = string_of(node->column_ref->fields[0]);
  const auto named = [&](const ScopeColumn& column) { return column.name == name; };
  const std::vector<ScopeColumn>& inputs = scope.from->columns;
  const std::vector<ScopeColumn>& outputs = result.columns;
  const auto input = std::find_if(inputs.begin(), inputs.end(), named);
  if (!outputs_first && input != inputs.end()) return touch(input->expr);
  const bool unknown_inputs = !outputs_first && scope.from->opaque;
  if (unknown_inputs || std::count_if(outputs.begin(), outputs.end(), named) != 1) {
    return make_opaque(pg::Oid::kInvalid,
                       {make_opaque(pg::Oid::kInvalid, outer_candidates(name, &scope)),
                        named_outputs(node, result)});
  }
  return std::find_if(outputs.begin(), outputs.end(), named)->expr;
}

Expr Resolver::resolve_sort(const Node* node, const Scope& scope, const SelectResult* result) {
  if (failed()) return {};
  if (node->node_case != PG_QUERY__NODE__NODE_SORT_BY) {
    fail(BypassReason::kUnsupported, "ORDER BY");
    return {};
  }
  const PgQuery__SortBy& sort = *node->sort_by;
  check_sort_operator(list_of(sort.n_use_op, sort.use_op));
  if (result != nullptr && (is_integer_constant(sort.node) || names_output(sort.node, *result))) {
    return named_outputs(sort.node, *result);
  }
  return resolve_expr(sort.node, scope);
}

std::optional<OrderKey> Resolver::first_order(const PgQuery__SelectStmt& select, const Scope& scope,
                                              const SelectResult& result) {
  if (failed() || select.n_sort_clause == 0) return std::nullopt;
  const PgQuery__SortBy& sort = *select.sort_clause[0]->sort_by;
  if (sort.sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING) return std::nullopt;
  OrderKey order;
  order.descending = is_descending(sort);
  order.nulls_first = puts_nulls_first(sort);
  if (is_integer_constant(sort.node)) {
    order.place = coerce(resolve_expr(sort.node, scope), pg::type::kInt8);
    if (!order.place || order.place->kind != Expr::Kind::kOperand) return std::nullopt;
    return order;
  }
  if (names_output(sort.node, result)) {
    const std::string_view name = string_of(sort.node->column_ref->fields[0]);
    for (std::uint32_t i = 0; i < result.columns.size(); ++i) {
      if (result.columns[i].name != name) continue;
      if (order.output) return std::nullopt;
      order.output = i;
    }
    return order;
  }
  if (sort.node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF) return std::nullopt;
  order.value = resolve_expr(sort.node, scope);
  if (order.value->kind != Expr::Kind::kColumn) return std::nullopt;
  return order;
}

std::vector<Expr> Resolver::resolve_window(const PgQuery__WindowDef& window, const Scope& scope,
                                           std::vector<Expr>& all) {
  std::vector<Expr> partition;
  for (const Node* node : list_of(window.n_partition_clause, window.partition_clause)) {
    partition.push_back(resolve_expr(node, scope));
    all.push_back(partition.back());
  }
  for (const Node* node : list_of(window.n_order_clause, window.order_clause)) {
    all.push_back(resolve_sort(node, scope, nullptr));
  }
  for (const Node* offset : {window.start_offset, window.end_offset}) {
    if (offset != nullptr) all.push_back(resolve_expr(offset, scope));
  }
  return partition;
}

void Resolver::resolve_limits(const PgQuery__SelectStmt& select, const Scope& scope, Block& block) {
  block.limited = select.limit_count != nullptr || select.limit_offset != nullptr;
  block.skips = select.limit_offset != nullptr;
  for (const Node* node : {select.limit_count, select.limit_offset}) {
    if (node == nullptr || failed()) continue;
    Expr limit = resolve_expr(node, scope);
    settle(limit, pg::type::kInt8);
    block.others.push_back(limit);
    if (node != select.limit_count || limit.kind != Expr::Kind::kOperand) continue;
    block.limit = coerce(limit, pg::type::kInt8);
    Expr zero;
    zero.kind = Expr::Kind::kOperand;
    zero.type = pg::type::kInt8;
    zero.operand.type = pg::type::kInt8;
    zero.operand.constant = "0";
    const std::optional<Expr> read = coerce(std::move(limit), pg::type::kInt8);
    std::optional<Expr> some = read ? compare(CompareOp::kGt, *read, zero) : std::nullopt;
    // LIMIT NULL is none.
    if (some) block.some = make_not(make_expr(Expr::Kind::kIsFalse, {*std::move(some)}));
  }
}

}  // namespace pgcache::sql
