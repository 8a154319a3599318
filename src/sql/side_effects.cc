// SPDX-License-Identifier: Apache-2.0
// A walk over every node of the parse tree. Names are judged without resolving types: all functions
// and operators that a name can mean must be harmless.
#include "sql/side_effects.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>

#include "sql/analysis.h"
#include "sql/resolver.h"
#include "sql/safety.h"

namespace pgcache::sql {
namespace {

using pg::Oid;
using pg::Volatility;

constexpr int kTypeDepthMax = 16;
constexpr std::size_t kTablesMax = 1000;

// VOLATILE, and yet they change nothing that a session or a table has.
constexpr std::array<std::string_view, 25> kIdleFunctions = {"clock_timestamp",
                                                             "currval",
                                                             "gen_random_uuid",
                                                             "lastval",
                                                             "nextval",
                                                             "pg_current_wal_insert_lsn",
                                                             "pg_current_wal_lsn",
                                                             "pg_current_xact_id",
                                                             "pg_database_size",
                                                             "pg_indexes_size",
                                                             "pg_is_in_recovery",
                                                             "pg_last_wal_receive_lsn",
                                                             "pg_last_wal_replay_lsn",
                                                             "pg_notify",
                                                             "pg_relation_size",
                                                             "pg_sleep",
                                                             "pg_table_size",
                                                             "pg_tablespace_size",
                                                             "pg_total_relation_size",
                                                             "random",
                                                             "setval",
                                                             "timeofday",
                                                             "txid_current",
                                                             "uuidv4",
                                                             "uuidv7"};

// They show what a session has at the origin: portals and prepared statements.
constexpr std::array<std::string_view, 4> kObservers = {
    "pg_cursor", "pg_cursors", "pg_prepared_statement", "pg_prepared_statements"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool is_harmless_itself(const pg::Function& function) {
  if (!is_builtin(function.oid)) {
    return function.kind == 'f' && function.volatility == Volatility::kImmutable &&
           !function.defaults_vary;
  }
  // table_to_xml() and its kin read whatever relation they are given, views with their functions
  // too.
  if (function.kind == 'p' || contains(kObservers, function.name) ||
      function.name.find("_to_xml") != std::string::npos) {
    return false;
  }
  return function.volatility != Volatility::kVolatile || contains(kIdleFunctions, function.name);
}

// Where each of these may stand, nothing happens but what its parts do.
bool is_passive(const ProtobufCMessageDescriptor* type) {
  static const std::set<const ProtobufCMessageDescriptor*> kPassive = {
      &pg_query__node__descriptor,
      &pg_query__list__descriptor,
      &pg_query__oid_list__descriptor,
      &pg_query__int_list__descriptor,
      &pg_query__integer__descriptor,
      &pg_query__float__descriptor,
      &pg_query__boolean__descriptor,
      &pg_query__string__descriptor,
      &pg_query__bit_string__descriptor,
      &pg_query__a__const__descriptor,
      &pg_query__a__star__descriptor,
      &pg_query__a__indices__descriptor,
      &pg_query__a__array_expr__descriptor,
      &pg_query__alias__descriptor,
      &pg_query__param_ref__descriptor,
      &pg_query__named_arg_expr__descriptor,
      &pg_query__bool_expr__descriptor,
      &pg_query__sub_link__descriptor,
      &pg_query__case_expr__descriptor,
      &pg_query__case_when__descriptor,
      &pg_query__row_expr__descriptor,
      &pg_query__coalesce_expr__descriptor,
      &pg_query__min_max_expr__descriptor,
      &pg_query__sqlvalue_function__descriptor,
      &pg_query__xml_expr__descriptor,
      &pg_query__xml_serialize__descriptor,
      &pg_query__null_test__descriptor,
      &pg_query__boolean_test__descriptor,
      &pg_query__set_to_default__descriptor,
      &pg_query__multi_assign_ref__descriptor,
      &pg_query__type_cast__descriptor,
      &pg_query__collate_clause__descriptor,
      &pg_query__grouping_func__descriptor,
      &pg_query__grouping_set__descriptor,
      &pg_query__sort_by__descriptor,
      &pg_query__window_def__descriptor,
      &pg_query__res_target__descriptor,
      &pg_query__join_expr__descriptor,
      &pg_query__range_subselect__descriptor,
      &pg_query__range_function__descriptor,
      &pg_query__range_table_func__descriptor,
      &pg_query__range_table_func_col__descriptor,
      &pg_query__column_def__descriptor,
      &pg_query__with_clause__descriptor,
      &pg_query__common_table_expr__descriptor,
      &pg_query__ctesearch_clause__descriptor,
      &pg_query__ctecycle_clause__descriptor,
      &pg_query__infer_clause__descriptor,
      &pg_query__index_elem__descriptor,
      &pg_query__def_elem__descriptor,
      &pg_query__on_conflict_clause__descriptor,
      &pg_query__merge_when_clause__descriptor,
      &pg_query__select_stmt__descriptor,
      &pg_query__explain_stmt__descriptor,
  };
  return kPassive.contains(type);
}

class Walk {
 public:
  explicit Walk(const AnalysisContext& context) : context_(context), catalog_(*context.catalog) {}

  SideEffects run(const PgQuery__Node& statement) {
    SideEffects effects;
    collect_ctes(statement.base);
    effects.known = conversions_are_harmless() && parameters_are_harmless() &&
                    visit(statement.base) && spread();
    if (effects.known) effects.writes.assign(writes_.begin(), writes_.end());
    return effects;
  }

 private:
  // Calls `take` for each message directly below one; stops when it returns false.
  template <typename Take>
  static bool each_part(const ProtobufCMessage& message, const Take& take) {
    const auto* const bytes = reinterpret_cast<const char*>(&message);
    for (unsigned i = 0; i < message.descriptor->n_fields; ++i) {
      const ProtobufCFieldDescriptor& field = message.descriptor->fields[i];
      if (field.type != PROTOBUF_C_TYPE_MESSAGE) continue;
      const void* const at = bytes + field.offset;
      const void* const quantifier = bytes + field.quantifier_offset;
      if (field.label == PROTOBUF_C_LABEL_REPEATED) {
        const auto count = *static_cast<const std::size_t*>(quantifier);
        const auto* const parts = *static_cast<const ProtobufCMessage* const* const*>(at);
        for (std::size_t k = 0; k < count; ++k) {
          if (!take(*parts[k])) return false;
        }
        continue;
      }
      const bool is_choice = (field.flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
      if (is_choice && *static_cast<const std::uint32_t*>(quantifier) != field.id) continue;
      const auto* const part = *static_cast<const ProtobufCMessage* const*>(at);
      if (part != nullptr && !take(*part)) return false;
    }
    return true;
  }

  template <typename T>
  static const T* as(const ProtobufCMessage& message, const ProtobufCMessageDescriptor& type) {
    return message.descriptor == &type ? reinterpret_cast<const T*>(&message) : nullptr;
  }

  void collect_ctes(const ProtobufCMessage& message) {
    if (const auto* cte =
            as<PgQuery__CommonTableExpr>(message, pg_query__common_table_expr__descriptor)) {
      ctes_.insert(cte->ctename);
    }
    each_part(message, [this](const ProtobufCMessage& part) {
      collect_ctes(part);
      return true;
    });
  }

  bool visit(const ProtobufCMessage& message) {
    return check(message) &&
           each_part(message, [this](const ProtobufCMessage& part) { return visit(part); });
  }

  bool check(const ProtobufCMessage& message) {
    if (is_passive(message.descriptor)) return true;
    if (const auto* call = as<PgQuery__FuncCall>(message, pg_query__func_call__descriptor)) {
      return check_function(split_name(list_of(call->n_funcname, call->funcname)));
    }
    if (const auto* expression = as<PgQuery__AExpr>(message, pg_query__a__expr__descriptor)) {
      return check_operator(split_name(list_of(expression->n_name, expression->name)));
    }
    if (const auto* type = as<PgQuery__TypeName>(message, pg_query__type_name__descriptor)) {
      return check_type_name(*type);
    }
    if (const auto* ref = as<PgQuery__ColumnRef>(message, pg_query__column_ref__descriptor)) {
      return ref->n_fields < 2 || check_attribute(ref->fields[ref->n_fields - 1]);
    }
    if (const auto* place =
            as<PgQuery__AIndirection>(message, pg_query__a__indirection__descriptor)) {
      const auto parts = list_of(place->n_indirection, place->indirection);
      return std::all_of(parts.begin(), parts.end(),
                         [this](const PgQuery__Node* part) { return check_attribute(part); });
    }
    if (const auto* var = as<PgQuery__RangeVar>(message, pg_query__range_var__descriptor)) {
      return check_read(*var);
    }
    if (const auto* sample =
            as<PgQuery__RangeTableSample>(message, pg_query__range_table_sample__descriptor)) {
      return check_function(split_name(list_of(sample->n_method, sample->method)));
    }
    return check_write(message);
  }

  // ------------------------------------------------------------- functions, operators, types

  // A user's function may take values of a domain, which are checked.
  bool is_harmless(const pg::Function& function) const {
    return is_harmless_itself(function) &&
           (is_builtin(function.oid) ||
            std::all_of(function.args.begin(), function.args.end(), [this](Oid type) {
              const pg::Type* const found = catalog_.find_type(type);
              return (found != nullptr && found->kind == 'p') || check_type(type, kTypeDepthMax);
            }));
  }

  // Casts are applied where nobody wrote them, and comparisons by IN, USING, BETWEEN and CASE.
  bool conversions_are_harmless() const {
    for (const auto& [key, cast] : catalog_.casts()) {
      if (cast.function == Oid::kInvalid || is_builtin(cast.function)) continue;
      const pg::Function* const function = catalog_.find_function(cast.function);
      if (function == nullptr || !is_harmless(*function)) return false;
    }
    for (const std::string_view name : {"=", "<>", "<", "<=", ">", ">="}) {
      if (!check_operator({{}, name})) return false;
    }
    return true;
  }

  bool parameters_are_harmless() const {
    return std::all_of(
        context_.parameter_types.begin(), context_.parameter_types.end(),
        [this](Oid type) { return type == Oid::kInvalid || check_type(type, kTypeDepthMax); });
  }

  // Whether an object in `schema` may be meant by a name.
  bool is_meant(const QualifiedName& name, Oid schema) const {
    if (!name.schema.empty()) return schema == catalog_.find_schema(name.schema);
    const std::vector<Oid>& path = context_.search_path;
    return std::find(path.begin(), path.end(), schema) != path.end();
  }

  bool check_function(const QualifiedName& name) const {
    bool found = false;
    for (const pg::Function& function : catalog_.functions_named(name.name)) {
      if (!is_meant(name, function.schema)) continue;
      if (!is_harmless(function)) return false;
      found = true;
    }
    return found;
  }

  bool check_operator(const QualifiedName& name) const {
    if (name.name.empty()) return false;
    const bool is_between = name.name.front() >= 'A' && name.name.front() <= 'Z';
    if (is_between) return true;
    bool found = false;
    for (const pg::Operator& op : catalog_.operators_named(name.name)) {
      if (!is_meant(name, op.schema)) continue;
      const pg::Function* const function = catalog_.find_function(op.function);
      if (function == nullptr || !is_harmless(*function)) return false;
      found = true;
    }
    return found;
  }

  // x.y may mean y(x).
  bool check_attribute(const PgQuery__Node* part) const {
    const std::string_view name = string_of(part);
    if (name.empty()) return true;
    const std::vector<pg::Function>& functions = catalog_.functions_named(name);
    return std::all_of(functions.begin(), functions.end(), [this](const pg::Function& function) {
      return is_builtin(function.oid) || is_harmless(function);
    });
  }

  bool check_type_name(const PgQuery__TypeName& name) const {
    if (name.n_names == 0 && name.type_oid == 0) return true;  // none is given
    const pg::Type* const type = find_type(name, catalog_, context_.search_path);
    return type != nullptr && check_type(type->oid, kTypeDepthMax);
  }

  // Whether making values of a type runs nobody's code: its own functions are of superusers.
  bool check_type(Oid oid, int depth) const {
    const pg::Type* const type = catalog_.find_type(oid);
    if (type == nullptr || depth == 0 || type->checks_run_code) return false;
    if (!is_builtin(oid) && type->io_volatility == Volatility::kVolatile) return false;
    if (type->kind == 'd' && !check_type(type->base, depth - 1)) return false;
    if (type->element != Oid::kInvalid && !check_type(type->element, depth - 1)) return false;
    if (type->kind != 'c' || is_builtin(oid)) return true;
    const pg::Relation* const relation = catalog_.find_relation(type->relation);
    return relation != nullptr && check_columns(*relation, depth - 1);
  }

  bool check_columns(const pg::Relation& relation, int depth) const {
    return std::all_of(relation.columns.begin(), relation.columns.end(),
                       [&](const pg::Column& column) { return check_type(column.type, depth); });
  }

  // ------------------------------------------------------------- tables

  bool check_read(const PgQuery__RangeVar& var) const {
    const pg::Relation* const relation = find_named(var, catalog_, context_.search_path);
    const bool is_cte = std::string_view(var.schemaname).empty() && ctes_.contains(var.relname);
    if (relation == nullptr) return is_cte;
    if (is_builtin(relation->oid)) return !contains(kObservers, relation->name);
    return is_plain(*relation) &&
           std::all_of(relation->descendants.begin(), relation->descendants.end(), [this](Oid oid) {
             const pg::Relation* const child = catalog_.find_relation(oid);
             return child != nullptr && is_plain(*child);
           });
  }

  static bool is_plain(const pg::Relation& relation) {
    constexpr std::string_view kKinds = "rpmS";
    return kKinds.find(relation.kind) != std::string_view::npos && !relation.row_security;
  }

  // A statement that writes: notes what it names.
  bool check_write(const ProtobufCMessage& message) {
    if (const auto* insert = as<PgQuery__InsertStmt>(message, pg_query__insert_stmt__descriptor)) {
      const auto* const conflict = insert->on_conflict_clause;
      const bool updates = conflict != nullptr &&
                           conflict->action != PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_NOTHING;
      return note_target(insert->relation, updates ? Write::kAny : Write::kInsert);
    }
    if (const auto* update = as<PgQuery__UpdateStmt>(message, pg_query__update_stmt__descriptor)) {
      return note_target(update->relation, Write::kAny);
    }
    if (const auto* removal = as<PgQuery__DeleteStmt>(message, pg_query__delete_stmt__descriptor)) {
      return note_target(removal->relation, Write::kAny);
    }
    if (const auto* merge = as<PgQuery__MergeStmt>(message, pg_query__merge_stmt__descriptor)) {
      return note_target(merge->relation, Write::kAny);
    }
    if (const auto* copy = as<PgQuery__CopyStmt>(message, pg_query__copy_stmt__descriptor)) {
      if (copy->is_program != 0) return false;
      return copy->is_from == 0 || note_target(copy->relation, Write::kInsert);
    }
    const auto* truncate = as<PgQuery__TruncateStmt>(message, pg_query__truncate_stmt__descriptor);
    if (truncate == nullptr) return false;
    const bool cascades = truncate->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
    for (const PgQuery__Node* node : list_of(truncate->n_relations, truncate->relations)) {
      if (node->node_case != PG_QUERY__NODE__NODE_RANGE_VAR) return false;
      if (!note_target(node->range_var, cascades ? Write::kTruncateCascade : Write::kInsert)) {
        return false;
      }
    }
    return true;
  }

  enum class Write : std::uint8_t {
    kInsert,  // and what else makes no foreign key act
    kAny,
    kTruncateCascade,
  };

  bool note_target(const PgQuery__RangeVar* var, Write write) {
    if (var == nullptr) return false;
    const pg::Relation* const relation = find_named(*var, catalog_, context_.search_path);
    if (relation == nullptr || is_builtin(relation->oid)) return false;
    pending_.push_back({relation->oid, write});
    return true;
  }

  // From the tables named to all that are changed.
  bool spread() {
    while (!pending_.empty()) {
      const auto [oid, write] = pending_.back();
      pending_.pop_back();
      if (!done_.insert({oid, write}).second) continue;
      const pg::Relation* const relation = catalog_.find_relation(oid);
      if (relation == nullptr || !is_writable(*relation) || writes_.size() >= kTablesMax) {
        return false;
      }
      writes_.insert(oid);
      note_referrers(*relation, write);
      for (const Oid child : relation->descendants) pending_.push_back({child, write});
      for (const Oid parent : catalog_.ancestors_of(oid)) {
        const pg::Relation* const above = catalog_.find_relation(parent);
        if (above == nullptr || !is_writable(*above)) return false;
        note_referrers(*above, write);
      }
    }
    return true;
  }

  void note_referrers(const pg::Relation& relation, Write write) {
    if (write == Write::kInsert) return;
    const bool all = write == Write::kTruncateCascade;
    for (const Oid other : all ? relation.referrers : relation.acted_upon) {
      pending_.push_back({other, write});
    }
  }

  bool is_writable(const pg::Relation& relation) const {
    return (relation.kind == 'r' || relation.kind == 'p') && !relation.has_triggers &&
           !relation.has_rules && !relation.row_security && !relation.writes_run_code &&
           check_columns(relation, kTypeDepthMax);
  }

  const AnalysisContext& context_;
  const pg::Catalog& catalog_;
  std::set<std::string, std::less<>> ctes_;
  struct Pending {
    Oid table;
    Write write;
  };
  std::vector<Pending> pending_;
  std::set<std::pair<Oid, Write>> done_;
  std::set<Oid> writes_;
};

}  // namespace

SideEffects side_effects_of(const PgQuery__Node& statement, const AnalysisContext& context) {
  if (context.catalog == nullptr) return {};
  return Walk(context).run(statement);
}

}  // namespace pgcache::sql
