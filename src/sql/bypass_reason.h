// SPDX-License-Identifier: Apache-2.0
// Why a query was not served from the cache. One enum feeds the metric label, /queries, explain and
// the tests; every uncertain branch in the program ends in one of these. Adding one: add a line
// here.
#pragma once

#include <cstddef>
#include <iterator>
#include <string_view>

namespace pgcache::sql {

// X(enumerator, label)
// clang-format off
#define PGCACHE_BYPASS_REASONS(X)                                                               \
  /* The statement itself (analysis) */                                                         \
  X(kNotRead, "not_read")                      /* a command that is not SELECT/VALUES/TABLE */  \
  X(kSyntax, "syntax")                         /* our grammar (PostgreSQL 15's) rejects it */   \
  X(kMultiStatement, "multi_statement")        /* several statements in one simple query */     \
  X(kEmptyQuery, "empty_query")                                                                 \
  X(kVolatileFunction, "volatile_function")    /* a function that is not proven stable enough */\
  X(kVolatileOperator, "volatile_operator")                                                     \
  X(kVolatileCast, "volatile_cast")                                                             \
  X(kUnknownFunction, "unknown_function")      /* not in the catalog snapshot */                \
  X(kUnknownOperator, "unknown_operator")                                                       \
  X(kUnknownType, "unknown_type")                                                               \
  X(kUnknownRelation, "unknown_relation")                                                       \
  X(kUnknownColumn, "unknown_column")                                                           \
  X(kSystemRelation, "system_relation")        /* pg_catalog, information_schema */             \
  X(kTemporaryRelation, "temporary_relation")                                                   \
  X(kUnloggedRelation, "unlogged_relation")                                                     \
  X(kForeignRelation, "foreign_relation")                                                       \
  X(kMaterializedView, "materialized_view")                                                     \
  X(kOtherRelationKind, "other_relation_kind") /* sequences, composite types ... */             \
  X(kRowSecurity, "row_security")                                                               \
  X(kRules, "rules")                                                                            \
  X(kLocking, "locking")                       /* FOR UPDATE / SHARE */                         \
  X(kModifyingCte, "modifying_cte")                                                             \
  X(kSelectInto, "select_into")                                                                 \
  X(kTablesample, "tablesample")                                                                \
  X(kSystemColumn, "system_column")            /* ctid, xmin, tableoid ... */                   \
  X(kUnsupported, "unsupported")               /* a parse node that the analysis does not know */\
  X(kTooComplex, "too_complex")                /* nesting or size beyond the analysis' limits */\
  X(kQueryTooLong, "query_too_long")                                                            \
  X(kVolatileLiteral, "volatile_literal")      /* 'now', 'today' ... where a time is read */    \
  X(kComment, "comment")                       /* pgcache: off */                               \
  /* The session */                                                                             \
  X(kModeOff, "mode_off")                      /* pgcache.mode = off */                         \
  X(kClientMessages, "client_messages")        /* client_min_messages shows the server's log */ \
  X(kInTransaction, "in_transaction")          /* the block wrote, locked, or set something */  \
  X(kFailedTransaction, "failed_transaction")                                                   \
  X(kIsolation, "isolation")                   /* REPEATABLE READ, SERIALIZABLE */              \
  X(kTemporaryObjects, "temporary_objects")    /* the session has some: they may shadow names */\
  X(kClientEncoding, "client_encoding")        /* cannot compare its bytes with the stream's */ \
  X(kOtherDatabase, "other_database")          /* not the one whose changes we read */          \
  X(kRelayOnly, "relay_only")                  /* the session went blind after a protocol case */\
  X(kAfterWrite, "after_write")                /* its own write is not applied here yet */      \
  X(kPipeline, "pipeline")                     /* earlier requests in the pipeline are open */  \
  X(kProtocolShape, "protocol_shape")          /* an extended exchange we do not serve */       \
  X(kRowLimit, "row_limit")                    /* Execute with max_rows */                      \
  X(kUnknownStatement, "unknown_statement")                                                     \
  X(kFlush, "flush")                                                                            \
  X(kPaused, "paused")                         /* silence in the middle of an exchange */       \
  X(kParameterValue, "parameter_value")        /* cannot be carried in a key */                 \
  X(kCopy, "copy")                                                                              \
  X(kFunctionCall, "function_call")                                                             \
  /* The cache */                                                                               \
  X(kStarting, "starting")                     /* stream or catalog not there yet */            \
  X(kStreamDown, "stream_down")                                                                 \
  X(kStale, "stale")                           /* not proven fresh within max_staleness */      \
  X(kNotSynchronous, "not_synchronous")        /* strict: commits do not wait for pgcache */    \
  X(kDefinitions, "definitions")               /* DDL was seen and is being looked into */      \
  X(kUntracked, "untracked")                   /* relation not in the publication, and why: status */\
  X(kTrackingPending, "tracking_pending")                                                       \
  X(kNoReplicaIdentity, "no_replica_identity")                                                  \
  X(kDenied, "denied")                         /* configuration's allow and deny lists */       \
  X(kDisabled, "disabled")
// clang-format on

enum class BypassReason {
#define X(name, label) name,
  PGCACHE_BYPASS_REASONS(X)
#undef X
};

inline constexpr std::string_view kBypassReasonLabels[] = {
#define X(name, label) label,
    PGCACHE_BYPASS_REASONS(X)
#undef X
};
inline constexpr std::size_t kBypassReasonCount = std::size(kBypassReasonLabels);

inline std::string_view label(BypassReason reason) {
  return kBypassReasonLabels[static_cast<std::size_t>(reason)];
}

}  // namespace pgcache::sql
