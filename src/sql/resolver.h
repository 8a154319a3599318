// SPDX-License-Identifier: Apache-2.0
// Parse tree → ResolvedQuery, or the reason why the query cannot be cached. Every name must
// resolve, as PostgreSQL would resolve it; every function, operator, cast, type and relation must
// be safe; what the walk does not know ends it. One Resolver for one statement.
//
//   resolver_select.cc     SELECT, VALUES, set operations, WITH, the clauses
//   resolver_from.cc       FROM items, joins, views, relation rules
//   resolver_names.cc      columns, types, the notes on literals and parameters
//   resolver_constraints.cc  CHECK constraints and partition bounds
//   resolver_expr.cc       expressions
//   resolver_conditions.cc  connectives, tests, IN, BETWEEN and the like
//   resolver_operators.cc  operators, and which comparisons are the built-in ones
//   resolver_values.cc     values that can be computed here: coercions, calls, collations
//   resolver_functions.cc  functions and casts
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sql/analysis.h"
#include "sql/parse_tree.h"
#include "sql/resolved_query.h"
#include "sql/scope.h"

namespace pgcache::sql {

class Resolver {
 public:
  Resolver(const AnalysisContext& context, std::string_view text, const StatementShape& shape);

  // Fills query() and the parts of `out` that do not concern dependencies. False: see failure().
  bool run(const PgQuery__SelectStmt& select, CacheableQuery& out);

  ResolvedQuery take_query() { return std::move(query_); }
  // The relations that names and types led to, in no order and perhaps repeated.
  std::vector<pg::Oid> take_definitions() { return std::move(definitions_); }
  const NotCacheable& failure() const { return *failure_; }

 private:
  using Node = PgQuery__Node;
  using Nodes = std::vector<const Node*>;

  // What the names and constants of one text mean: the statement's, or a view definition's.
  struct Source {
    std::string_view text;
    const StatementShape* shape = nullptr;  // null for views: no literal is lifted
    std::vector<pg::Oid> search_path;
    bool in_view = false;
  };

  // Of a text that the server wrote out under an empty search path.
  static Source source_in_catalog(std::string_view text);

  struct SelectResult {
    std::vector<ScopeColumn> columns;
    bool opaque = false;
    std::optional<std::uint32_t> block;
  };

  struct FromResult {
    FromNode node;
    FromScope scope;
  };

  // How one occurrence of a string literal or parameter is read.
  struct Note {
    enum class What : std::uint8_t { kLifted, kConstant, kParameter };
    What what = What::kConstant;
    std::uint16_t index = 0;  // of the literal or parameter
    std::string text;         // of a constant
    bool settled = false;
    bool neutral = false;              // its type does not matter here
    bool timeless = false;             // certainly not read as a date or time
    pg::Oid type = pg::Oid::kInvalid;  // as which it is certainly read
  };

  // Failing. The first failure stays; callers look at failed() where going on would not end soon.
  bool failed() const { return failure_.has_value(); }
  void fail(BypassReason reason, std::string_view detail);
  bool enter();  // one level deeper; false (and failed) beyond the limit
  void leave() { --depth_; }

  // resolver_select.cc
  SelectResult resolve_select(const PgQuery__SelectStmt& select, const Scope* outer);
  SelectResult resolve_select_body(const PgQuery__SelectStmt& select, const Scope* outer);
  SelectResult resolve_subselect(const Node* node, const Scope* outer);
  SelectResult resolve_set_operation(const PgQuery__SelectStmt& select, const Scope* outer);
  SelectResult resolve_values(const PgQuery__SelectStmt& select, const Scope* outer);
  SelectResult resolve_plain(const PgQuery__SelectStmt& select, const Scope* outer);
  void resolve_with(const PgQuery__WithClause& with, CteFrame& frame, const Scope* outer);
  void resolve_cte(const PgQuery__CommonTableExpr& cte, CteFrame& frame, const Scope* outer,
                   bool recursive);
  void resolve_target(const PgQuery__ResTarget& target, const Scope& scope, SelectResult& result);
  void expand_star(const PgQuery__ColumnRef& ref, const Scope& scope, SelectResult& result);
  // The elements, which are the keys; nothing with GROUPING SETS and the like. All go to `all`.
  std::optional<std::vector<Expr>> resolve_grouping(const Nodes& nodes, const Scope& scope,
                                                    const SelectResult& result, bool outputs_first,
                                                    std::vector<Expr>& all);
  Expr resolve_grouping_element(const Node* node, const Scope& scope, const SelectResult& result,
                                bool outputs_first);
  // What is sorted by; opaque when it is an output column, or may be any of them.
  Expr resolve_sort(const Node* node, const Scope& scope, const SelectResult* result);
  std::optional<OrderKey> first_order(const PgQuery__SelectStmt& select, const Scope& scope,
                                      const SelectResult& result);
  // Its PARTITION BY; everything in it goes to `all`.
  std::vector<Expr> resolve_window(const PgQuery__WindowDef& window, const Scope& scope,
                                   std::vector<Expr>& all);
  std::optional<Running> running_window(const PgQuery__WindowDef& window,
                                        const std::vector<Expr>& partition, const Scope& scope);
  void resolve_limits(const PgQuery__SelectStmt& select, const Scope& scope, Block& block);
  void resolve_distinct(const PgQuery__SelectStmt& select, const Scope& scope,
                        const SelectResult& result, Block& block);
  void finish_windows(const PgQuery__SelectStmt& select, const Scope& scope,
                      const std::vector<LevelFacts::Window>& windows, Block& block);
  std::uint32_t add_block(Block block);
  std::uint32_t add_use_of(std::uint32_t block);
  bool names_output(const Node* node, const SelectResult& result) const;
  // What an output column by name or place stands for, all that it may be.
  static Expr named_outputs(const Node* node, const SelectResult& result);

  // resolver_from.cc
  FromResult resolve_from(const Node* node, const Scope* outer, const FromScope& left);
  FromResult resolve_range_var(const PgQuery__RangeVar& var);
  FromResult resolve_cte_reference(const PgQuery__RangeVar& var, Cte& cte);
  FromResult resolve_table(const PgQuery__RangeVar& var, const pg::Relation& relation);
  FromResult resolve_view(const PgQuery__RangeVar& var, const pg::Relation& view);
  FromResult resolve_range_subselect(const PgQuery__RangeSubselect& item, const Scope* outer,
                                     const FromScope& left);
  FromResult resolve_range_function(const PgQuery__RangeFunction& item, const Scope* outer,
                                    const FromScope& left);
  FromResult resolve_join(const PgQuery__JoinExpr& join, const Scope* outer, const FromScope& left);
  void join_columns(const PgQuery__JoinExpr& join, const FromScope& left, const FromScope& right,
                    FromResult& result);
  Expr merge_columns(JoinKind join, const Expr& left, const Expr& right) const;
  FromResult make_item(FromNode node, std::vector<ScopeColumn> columns, bool opaque,
                       const PgQuery__Alias* alias, std::string_view own_name);
  // The outputs as columns of `use`, which stands for the subquery's block.
  std::vector<ScopeColumn> columns_of(const SelectResult& subquery, std::uint32_t use) const;
  FromResult from_subquery(SelectResult subquery, const PgQuery__Alias* alias,
                           std::string_view own_name);
  std::vector<ScopeColumn> columns_of_table(std::uint32_t use) const;
  Cte* find_cte(std::string_view name) const;
  const pg::Relation* find_relation(const PgQuery__RangeVar& var);
  bool check_relation(const pg::Relation& relation, bool inherit);
  bool check_storage(const pg::Relation& relation);
  // A condition on the relation's rows from the catalog, on the columns of `use`; nothing when it
  // is not understood.
  std::optional<Expr> resolve_constraint(const std::string& text, std::uint32_t use);
  void resolve_constraints(std::uint32_t use);

  // resolver_names.cc
  Expr resolve_column(const PgQuery__ColumnRef& ref, const Scope& scope);
  Expr resolve_row(const std::vector<std::string_view>& names, const Scope& scope);
  Expr resolve_unqualified(std::string_view name, const Scope& scope);
  Expr resolve_qualified(std::string_view schema, std::string_view relation, std::string_view name,
                         const Scope& scope);
  std::optional<Expr> whole_row(std::string_view alias, const Scope* scope);
  std::vector<Expr> outer_candidates(std::string_view name, const Scope* scope);
  const ScopeRelation* find_scope_relation(std::string_view schema, std::string_view alias,
                                           const Scope& scope);
  Expr touch(Expr expr);  // a column that is read: its type must be fine
  std::vector<Expr> touch_all(const ScopeRelation& relation);
  pg::Oid resolve_type(const PgQuery__TypeName& name);
  bool touch_type(pg::Oid type);
  void touch_parameters(const pg::Function& function);
  Expr resolve_constant(const PgQuery__AConst& constant);
  Expr resolve_number(const PgQuery__AConst& constant);
  Expr resolve_string(std::string_view value, std::int32_t location);
  // A number that is another one in other texts of the shape; one that the grammar adds is not.
  bool is_lifted(const PgQuery__AConst& constant) const;
  Expr resolve_parameter(const PgQuery__ParamRef& ref);
  std::int32_t add_note(Note note);
  // The literal or parameter `expr` (anything else is ignored) is certainly read as `type`.
  void settle(const Expr& expr, pg::Oid type);
  // It is certainly not read as a date or time; its type is not certain.
  void settle_timeless(const Expr& expr);
  // Its type has no say in this place.
  void settle_neutral(const Expr& expr);
  // That of a set operation of two.
  Expr common_column(const ScopeColumn& left, const ScopeColumn& right) const;
  // Makes output i of the block a value of the type that its set operation gives it.
  void bring_output(std::uint32_t block, std::size_t i, bool untyped, pg::Oid type);
  // The type that expressions of these types share (manual, 10.5); kInvalid where not certain.
  // kUnknown counts for nothing.
  pg::Oid common_type(const std::vector<pg::Oid>& types) const;
  // Literals and parameters among expressions that share one type; that type, if certain.
  pg::Oid unify(const std::vector<Expr>& exprs);
  void finish_notes(CacheableQuery& out);

  // resolver_expr.cc
  Expr resolve_expr(const Node* node, const Scope& scope);
  Expr resolve_expr_node(const Node& node, const Scope& scope);
  std::vector<Expr> resolve_all(const Nodes& nodes, const Scope& scope);
  Expr resolve_condition(const Node* node, const Scope& scope);
  Expr as_condition(Expr expr);
  Expr resolve_a_expr(const PgQuery__AExpr& expr, const Scope& scope);
  Expr resolve_in(const PgQuery__AExpr& expr, const Scope& scope);
  void bring_members(const Expr& left, std::vector<Expr>& members);
  Expr collate(Expr value, const PgQuery__CollateClause& clause) const;
  Expr resolve_sameness(const PgQuery__AExpr& expr, const Expr& left, const Expr& right);
  Expr compare_with_null(const Nodes& name, const Expr& left, const Expr& right);
  std::optional<Expr> as_list(const std::vector<Expr>& comparisons) const;
  Expr resolve_between(const PgQuery__AExpr& expr, const Scope& scope);
  Expr resolve_any_all(const PgQuery__AExpr& expr, const Scope& scope);
  Expr resolve_bool(const PgQuery__BoolExpr& expr, const Scope& scope);
  Expr resolve_null_test(const PgQuery__NullTest& test, const Scope& scope);
  Expr resolve_boolean_test(const PgQuery__BooleanTest& test, const Scope& scope);
  Expr resolve_sublink(const PgQuery__SubLink& link, const Scope& scope);
  void compare_with_subquery(const PgQuery__SubLink& link, const Expr& test,
                             const std::vector<ScopeColumn>& columns, bool unknown_columns,
                             Expr& result);
  Expr resolve_coalesce(const PgQuery__CoalesceExpr& expr, const Scope& scope);
  Expr resolve_extreme(const PgQuery__MinMaxExpr& expr, const Scope& scope);
  Expr resolve_row_of(const Nodes& nodes, const Scope& scope);
  Expr resolve_case(const PgQuery__CaseExpr& expr, const Scope& scope);
  Expr resolve_indirection(const PgQuery__AIndirection& expr, const Scope& scope);
  Expr resolve_array(const PgQuery__AArrayExpr& expr, const Scope& scope);

  // resolver_operators.cc
  struct OperatorChoice {
    pg::Oid result = pg::Oid::kInvalid;    // its result type, if certain
    const pg::Operator* chosen = nullptr;  // when it is certain which it is
  };
  Expr apply_operator(const Nodes& name, const Expr* left, const Expr& right);
  Expr apply_named(std::string_view name, const Expr& left, const Expr& right);  // unqualified
  void note_comparison(CompareOp op, Expr& opaque);
  void settle_polymorphic(const Expr& left, const Expr& right);
  Expr apply_row_operator(const Nodes& name, const Expr& left, const Expr& right);
  // Checks that whatever the operator may resolve to is safe.
  OperatorChoice check_operator(const Nodes& name, const Expr* left, const Expr& right);
  pg::Oid accept_operator(const pg::Operator& op, const Expr* left, const Expr& right);
  void check_sort_operator(const Nodes& name);
  bool is_builtin_comparison(std::string_view schema, std::string_view name, const Expr& left,
                             const Expr& right) const;
  // A comparison of two values here, or nothing when they have no common line.
  std::optional<Expr> compare(CompareOp op, Expr left, Expr right);
  // left op ANY or ALL (an array that is an operand).
  Expr compare_with_array(const Nodes& name, const Expr& left, Expr array, bool all);
  // (a, b) < (c, d) and the like, column by column.
  static std::optional<Expr> in_order(const std::vector<Expr>& pairs);

  // resolver_values.cc
  // The operand read as `type`; nothing when its text cannot be.
  std::optional<Expr> read_as(Expr operand, pg::Oid type) const;
  std::optional<Expr> coerce(Expr value, pg::Oid type) const;
  std::optional<Expr> make_call(pg::Oid function, pg::Oid result, std::vector<Expr> arguments,
                                const std::vector<pg::Oid>& declared) const;
  std::optional<Collation> common_collation(const std::vector<Expr>& values) const;
  // One type for all, as CASE, COALESCE and VALUES have it; the values so coerced, or nothing.
  std::optional<std::vector<Expr>> bring_together(std::vector<Expr> values, pg::Oid type) const;

  // resolver_functions.cc
  Expr resolve_function(const PgQuery__FuncCall& call, const Scope& scope);
  using Candidates = std::vector<const pg::Function*>;
  Candidates find_functions(std::string_view schema, std::string_view name, std::size_t arguments,
                            bool any_count) const;
  Expr accept_functions(Candidates candidates, const std::vector<Expr>& arguments, bool positional,
                        std::string_view name);
  void check_field_function(std::string_view name);
  Expr resolve_cast(const PgQuery__TypeCast& cast, const Scope& scope);
  Expr apply_cast(Expr expr, pg::Oid target, std::optional<std::int32_t> typmod);
  Expr cast_value(Expr expr, pg::Oid target, std::optional<std::int32_t> typmod);
  // pg_attribute.atttypmod of what is written; -1: none, nothing: not known.
  std::optional<std::int32_t> typmod_of(const PgQuery__TypeName& name, pg::Oid type) const;
  void finish_casts();

  // Whether names without a schema are searched in `schema`; and a schema by its name.
  bool in_path(pg::Oid schema) const;
  bool visible(pg::Oid schema, std::string_view named) const;

  const AnalysisContext& context_;
  const pg::Catalog& catalog_;
  Source source_;
  CteFrame* frame_ = nullptr;
  // Of a WITH query that may be recursive: who wants to know what its first branch yields.
  struct Beginning {
    const PgQuery__SelectStmt* select = nullptr;
    std::function<void(const SelectResult&)> announce;
  };
  Beginning beginning_;
  std::uint32_t recursions_ = 0;
  ResolvedQuery query_;
  std::vector<pg::Oid> definitions_;
  std::vector<Note> notes_;
  std::size_t parameters_ = 0;  // the highest number seen
  bool user_types_ = false;     // a type, cast or column that is not built in is involved
  std::optional<NotCacheable> failure_;
  int depth_ = 0;
  int view_depth_ = 0;
  std::size_t steps_ = 0;
};

// Helpers on nodes, without state.
std::string_view string_of(const PgQuery__Node* node);  // of a String node, else empty
bool is_star(const PgQuery__Node* node);
// Qualified names as lists of String nodes: (schema, name); an empty schema when there is none, and
// an empty name when the list is not understood.
struct QualifiedName {
  std::string_view schema;
  std::string_view name;
};
QualifiedName split_name(const std::vector<const PgQuery__Node*>& names);

// The relation of that name as the search path finds it; null when there is none.
const pg::Relation* find_named(const PgQuery__RangeVar& var, const pg::Catalog& catalog,
                               const std::vector<pg::Oid>& search_path);
// The type of that name; null when it is not known, or not plain.
const pg::Type* find_type(const PgQuery__TypeName& type_name, const pg::Catalog& catalog,
                          const std::vector<pg::Oid>& search_path);
// The name that PostgreSQL gives an output column.
std::string output_name(const PgQuery__Node* node);

inline std::vector<const PgQuery__Node*> list_of(std::size_t n, PgQuery__Node* const* items) {
  return {items, items + n};
}
// Of a List node; else none.
std::vector<const PgQuery__Node*> items_of(const PgQuery__Node* node);

}  // namespace pgcache::sql
