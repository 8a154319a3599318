// SPDX-License-Identifier: Apache-2.0
// Rewrites of a resolved query after which its dependencies are narrower. They are for analysis
// only: the origin always gets the client's own text. A rewritten query need not give the same
// rows; but a row of a table that can change the answer of the original can change that of the
// rewritten one, which is all that dependencies are derived from.
//
// Each pass returns whether it changed anything, and is idempotent: it changes nothing the second
// time. They run in the order in which they stand here.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "sql/resolved_query.h"

namespace pgcache::sql {

// A block that several places name (a CTE) becomes a block of each; beyond a limit it becomes one
// that is read whole.
bool separate_blocks(ResolvedQuery& query);

// Conditions: constants folded, IS [NOT] NULL and x = x on columns that cannot be NULL there
// decided, ORs of equalities made lists.
bool simplify_conditions(ResolvedQuery& query);

// Columns that a subquery yields and nobody looks at; the whole select list under EXISTS.
bool prune_outputs(ResolvedQuery& query);

// Plain subqueries, views and CTEs become part of the query that names them, and so do EXISTS, IN
// and ANY subqueries that a row must fulfil.
bool merge_blocks(ResolvedQuery& query);

// Outer joins above which a condition rejects the rows that they extend with NULLs are narrower
// ones.
bool reduce_outer_joins(ResolvedQuery& query);

// LEFT and RIGHT JOIN to at most one row of a table (by a unique key) of which nothing is looked
// at.
bool drop_outer_joins(ResolvedQuery& query);

// Inner joins along a foreign key to a parent that always exists and of which nothing but the key
// is looked at.
bool drop_parent_joins(ResolvedQuery& query);

// Sets columns_read of each use of a table. (Reports no change.)
void find_columns_read(ResolvedQuery& query);

// All of them; the names of those that changed something, in order. `after` hears of each of these
// when it has run.
using PassListener = std::function<void(std::string_view pass)>;
std::vector<std::string_view> run_passes(ResolvedQuery& query, const PassListener& after = {});

}  // namespace pgcache::sql
