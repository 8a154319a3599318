// SPDX-License-Identifier: Apache-2.0
// What to do about a query that is not served from the cache.
#include <algorithm>
#include <iterator>

#include "admin/explain.h"

namespace pgcache::admin {
namespace {

using Reason = sql::BypassReason;

struct Advice {
  Reason reason;
  std::string_view text;
};

constexpr std::string_view kVolatile =
    "Its value can change without any row changing: pass the value as a parameter, or declare a "
    "function of your own IMMUTABLE if it is.";
constexpr std::string_view kUnknownName =
    "Nothing of that name fits in the catalog: check the name, its arguments and the search_path, "
    "or add explicit casts.";
constexpr std::string_view kNotLogged =
    "Only permanent tables are in the replication stream: ALTER TABLE ... SET LOGGED, or leave it "
    "uncached.";
constexpr std::string_view kWrites = "It writes: separate the reading from the writing.";
constexpr std::string_view kBlock =
    "Read outside of transactions, or in READ COMMITTED blocks before their first write.";
constexpr std::string_view kNotTheQuery = "It has nothing to do with the query: see /readyz.";
// The rest: of one request or moment.
constexpr std::string_view kThisTime =
    "It holds for this request: others like it may be served, see the routes in /queries.";

constexpr Advice kAdvice[] = {
    {Reason::kNotRead, "Only SELECT, VALUES and TABLE have results that can be cached."},
    {Reason::kSyntax,
     "pgcache reads the grammar of PostgreSQL 15: check the statement, or leave out newer syntax."},
    {Reason::kMultiStatement, "Send one statement at a time."},
    {Reason::kEmptyQuery, "There is nothing to cache."},
    {Reason::kVolatileFunction, kVolatile},
    {Reason::kVolatileOperator, kVolatile},
    {Reason::kVolatileCast, kVolatile},
    {Reason::kVolatileLiteral,
     "Words such as now or today mean another time at each execution: pass the time itself."},
    {Reason::kUnknownFunction, kUnknownName},
    {Reason::kUnknownOperator, kUnknownName},
    {Reason::kUnknownType, kUnknownName},
    {Reason::kUnknownRelation, kUnknownName},
    {Reason::kUnknownColumn, kUnknownName},
    {Reason::kSystemRelation,
     "Changes of system catalogs are not in the replication stream: such queries always go to the "
     "origin."},
    {Reason::kTemporaryRelation, kNotLogged},
    {Reason::kUnloggedRelation, kNotLogged},
    {Reason::kForeignRelation,
     "Changes of a foreign table are not in this server's replication stream: put pgcache in front "
     "of the server that owns it."},
    {Reason::kMaterializedView,
     "REFRESH is not in the replication stream: query the tables, or a plain view over them."},
    {Reason::kOtherRelationKind, "Query ordinary tables or views."},
    {Reason::kRowSecurity,
     "Row level security makes the rows depend on more than the query: use tables without "
     "policies."},
    {Reason::kRules,
     "A rule can change what the statement does: replace it by a view or a trigger."},
    {Reason::kLocking,
     "FOR UPDATE and FOR SHARE lock rows at the origin: leave them out where no lock is needed."},
    {Reason::kModifyingCte, kWrites},
    {Reason::kSelectInto, kWrites},
    {Reason::kTablesample, "A sample is another one each time: leave TABLESAMPLE out."},
    {Reason::kSystemColumn,
     "System columns such as ctid and xmin change without the row changing: use a key of your "
     "own."},
    {Reason::kUnsupported,
     "The analysis does not know this construct: write the query another way if you can."},
    {Reason::kTooComplex,
     "The query is beyond the limits of the analysis: make it smaller, or split it."},
    {Reason::kQueryTooLong, "Raise max_query_size, or send a shorter statement with parameters."},
    {Reason::kComment, "Take the comment pgcache: off out of the statement."},
    {Reason::kModeOff, "RESET pgcache.mode."},
    {Reason::kClientMessages, "Set client_min_messages to notice or above."},
    {Reason::kInTransaction, kBlock},
    {Reason::kFailedTransaction, kBlock},
    {Reason::kIsolation, kBlock},
    {Reason::kTemporaryObjects,
     "A session that has temporary tables is not served: read in another one."},
    {Reason::kClientEncoding, "Set client_encoding to UTF8."},
    {Reason::kOtherDatabase,
     "Connect to the database that pgcache's origin URL names; a pooler has to lead to that of "
     "replication_origin, on the same server."},
    {Reason::kUntracked, "Have the publication carry all changes of the table: see pgcache check."},
    {Reason::kNoReplicaIdentity,
     "Give the table a primary key, or ALTER TABLE ... REPLICA IDENTITY FULL."},
    {Reason::kDenied, "Change allow_tables or deny_tables in pgcache's configuration."},
    {Reason::kStarting, kNotTheQuery},
    {Reason::kStreamDown, kNotTheQuery},
    {Reason::kStale, kNotTheQuery},
    {Reason::kNotSynchronous, kNotTheQuery},
    {Reason::kDefinitions, kNotTheQuery},
    {Reason::kDisabled, kNotTheQuery},
};

}  // namespace

std::string_view advice_for(sql::BypassReason reason) {
  const auto* const found =
      std::find_if(std::begin(kAdvice), std::end(kAdvice),
                   [reason](const Advice& advice) { return advice.reason == reason; });
  return found == std::end(kAdvice) ? kThisTime : found->text;
}

}  // namespace pgcache::admin
