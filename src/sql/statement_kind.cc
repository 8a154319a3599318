// SPDX-License-Identifier: Apache-2.0
#include "sql/statement_kind.h"

#include "sql/resolver.h"

namespace pgcache::sql {
namespace {

// BEGIN with its options: only an isolation level above READ COMMITTED makes a difference.
StatementKind begin_kind(const PgQuery__TransactionStmt& stmt) {
  StatementKind kind = StatementKind::kBegin;
  for (const PgQuery__Node* option : list_of(stmt.n_options, stmt.options)) {
    if (option->node_case != PG_QUERY__NODE__NODE_DEF_ELEM) return StatementKind::kBeginOther;
    const PgQuery__DefElem& element = *option->def_elem;
    const std::string_view name = element.defname;
    if (name == "transaction_read_only" || name == "transaction_deferrable") continue;
    const PgQuery__Node* const arg = element.arg;
    const bool is_string = arg != nullptr && arg->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                           arg->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL;
    if (name != "transaction_isolation" || !is_string) return StatementKind::kBeginOther;
    const std::string_view level = arg->a_const->sval->sval;
    if (level != "read committed" && level != "read uncommitted") {
      return StatementKind::kBeginOther;
    }
    kind = StatementKind::kBeginReadCommitted;
  }
  return kind;
}

StatementKind transaction_kind(const PgQuery__TransactionStmt& stmt) {
  switch (stmt.kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
      return begin_kind(stmt);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
      return stmt.chain ? StatementKind::kOther : StatementKind::kCommit;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
      return stmt.chain ? StatementKind::kOther : StatementKind::kRollback;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
      return StatementKind::kSavepoint;
    default:
      return StatementKind::kOther;
  }
}

// The command tag of what begins a block.
std::string begin_tag(PgQuery__TransactionStmtKind kind) {
  if (kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN) return "BEGIN";
  if (kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START) return "START TRANSACTION";
  return {};
}

}  // namespace

StatementEffect effect_of(const PgQuery__Node& statement) {
  switch (statement.node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
      return {statement.select_stmt->into_clause != nullptr ? StatementKind::kDdl
                                                            : StatementKind::kRead,
              {}};
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT: {
      const PgQuery__TransactionStmt& stmt = *statement.transaction_stmt;
      return {transaction_kind(stmt), begin_tag(stmt.kind)};
    }
    case PG_QUERY__NODE__NODE_DEALLOCATE_STMT:
      if (statement.deallocate_stmt->name[0] == '\0') return {StatementKind::kDeallocateAll, {}};
      return {StatementKind::kDeallocate, statement.deallocate_stmt->name};
    case PG_QUERY__NODE__NODE_PREPARE_STMT:
      return {StatementKind::kPrepare, statement.prepare_stmt->name};
    case PG_QUERY__NODE__NODE_EXECUTE_STMT:
      return {StatementKind::kExecute, statement.execute_stmt->name};
    case PG_QUERY__NODE__NODE_DISCARD_STMT: {
      const PgQuery__DiscardMode mode = statement.discard_stmt->target;
      const bool all = mode == PG_QUERY__DISCARD_MODE__DISCARD_ALL;
      return {all ? StatementKind::kDeallocateAll : StatementKind::kSet, {}};
    }
    case PG_QUERY__NODE__NODE_INSERT_STMT:
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
    case PG_QUERY__NODE__NODE_DELETE_STMT:
    case PG_QUERY__NODE__NODE_MERGE_STMT:
    case PG_QUERY__NODE__NODE_COPY_STMT:
      return {StatementKind::kDml, {}};
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
    case PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT:
    case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT:
      return {StatementKind::kSet, {}};
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
    case PG_QUERY__NODE__NODE_LISTEN_STMT:
    case PG_QUERY__NODE__NODE_UNLISTEN_STMT:
    case PG_QUERY__NODE__NODE_NOTIFY_STMT:
      return {StatementKind::kQuiet, {}};
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
    case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
    case PG_QUERY__NODE__NODE_FETCH_STMT:
    case PG_QUERY__NODE__NODE_LOCK_STMT:
    case PG_QUERY__NODE__NODE_DO_STMT:
    case PG_QUERY__NODE__NODE_CALL_STMT:
    case PG_QUERY__NODE__NODE_LOAD_STMT:
    case PG_QUERY__NODE__NODE_CHECK_POINT_STMT:
      return {StatementKind::kOther, {}};
    default:
      // Every other node that can stand alone is a utility command on catalog objects.
      return {StatementKind::kDdl, {}};
  }
}

namespace {

constexpr pg::Oid kPgCatalogSchema{11};

// SELECT pg_advisory_unlock_all(), where that can only be the built-in one.
bool is_unlock_all(const PgQuery__SelectStmt& select, const pg::Catalog* catalog) {
  const auto targets = list_of(select.n_target_list, select.target_list);
  const bool bare = select.n_from_clause == 0 && select.where_clause == nullptr &&
                    select.with_clause == nullptr && select.into_clause == nullptr &&
                    select.larg == nullptr && select.n_values_lists == 0 &&
                    select.n_target_list == 1;
  if (!bare || catalog == nullptr) return false;
  const PgQuery__Node* const target = *targets.begin();
  if (target->node_case != PG_QUERY__NODE__NODE_RES_TARGET) return false;
  const PgQuery__Node* const call = target->res_target->val;
  if (call == nullptr || call->node_case != PG_QUERY__NODE__NODE_FUNC_CALL) return false;
  const PgQuery__FuncCall& function = *call->func_call;
  if (function.n_funcname != 1 || function.n_args != 0) return false;
  const PgQuery__Node* const name = function.funcname[0];
  constexpr std::string_view kUnlockAll = "pg_advisory_unlock_all";
  if (name->node_case != PG_QUERY__NODE__NODE_STRING || name->string->sval != kUnlockAll) {
    return false;
  }
  for (const pg::Function& candidate : catalog->functions_named(kUnlockAll)) {
    if (candidate.schema != kPgCatalogSchema) return false;
  }
  return true;
}

}  // namespace

bool only_touches_session(const PgQuery__Node& statement, const pg::Catalog* catalog) {
  switch (statement.node_case) {
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
    case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT:
    case PG_QUERY__NODE__NODE_LISTEN_STMT:
    case PG_QUERY__NODE__NODE_UNLISTEN_STMT:
    case PG_QUERY__NODE__NODE_NOTIFY_STMT:
    case PG_QUERY__NODE__NODE_DEALLOCATE_STMT:
    case PG_QUERY__NODE__NODE_DISCARD_STMT:
      return true;
    case PG_QUERY__NODE__NODE_SELECT_STMT:
      return is_unlock_all(*statement.select_stmt, catalog);
    default:
      return false;
  }
}

}  // namespace pgcache::sql
