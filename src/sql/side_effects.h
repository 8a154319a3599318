// SPDX-License-Identifier: Apache-2.0
// What a statement changes besides giving its answer, as far as its text and the catalog tell:
// which tables' rows, and nothing else; or that it is not known. Pure; any thread.
#pragma once

#include <vector>

#include "pg/catalog.h"
#include "sql/parse_tree.h"

namespace pgcache::sql {

struct AnalysisContext;

struct SideEffects {
  // No code of users runs (but what they declare IMMUTABLE), no setting, prepared statement,
  // cursor, lock or definition is touched, and no rows are changed but those of `writes`.
  bool known = false;
  // Ascending: the tables that the statement names, those that foreign keys' actions reach from
  // them, and the descendants of all these.
  std::vector<pg::Oid> writes = {};
};

// Of one statement. Names mean what `context` says; without a catalog nothing is known. Known are
// reads of tables and of the system's relations, EXPLAIN, INSERT, UPDATE, DELETE, MERGE, TRUNCATE
// and COPY, where they only use operators, functions, casts, triggers, defaults and constraints of
// which that can be said. Row locks are effects: a statement with FOR UPDATE is not known.
SideEffects side_effects_of(const PgQuery__Node& statement, const AnalysisContext& context);

}  // namespace pgcache::sql
