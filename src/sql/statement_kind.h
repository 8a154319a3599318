// SPDX-License-Identifier: Apache-2.0
// What a statement that is not a plain read may do to its session.
#pragma once

#include <string>

#include "pg/catalog.h"
#include "sql/analysis.h"
#include "sql/parse_tree.h"

namespace pgcache::sql {

struct StatementEffect {
  StatementKind kind = StatementKind::kOther;
  std::string name;  // Analysis::statement_name
};
StatementEffect effect_of(const PgQuery__Node& statement);

// True for statements that change nothing but their session: SET, RESET, SHOW, CLOSE, LISTEN,
// UNLISTEN, NOTIFY, DEALLOCATE, DISCARD, and a SELECT of pg_advisory_unlock_all() alone. Drivers'
// pools reset their sessions with lists of them. `catalog` may be null (then the SELECT is not one
// of them).
bool only_touches_session(const PgQuery__Node& statement, const pg::Catalog* catalog);

}  // namespace pgcache::sql
