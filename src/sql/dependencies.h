// SPDX-License-Identifier: Apache-2.0
// ResolvedQuery, rewritten by the passes → the dependencies of a CacheableQuery.
//
// For each table the conditions are collected that hold for every combination of rows in which one
// of its rows can matter:
//   - the WHERE of a block holds for all of its FROM items; whatever lies above (aggregates,
//     DISTINCT, windows, LIMIT, an enclosing query) only ever sees rows that pass it. HAVING does
//     as far as it is about keys of GROUP BY;
//   - what holds for a row of a block holds whenever a subquery is computed for that row, in FROM
//     or in an expression: conditions on the outer row, and on columns that the subquery passes on
//     (passes_conditions); a set operation passes them on to each branch;
//   - what a branch of INTERSECT, or the left side of EXCEPT, requires of the columns that it
//     yields holds for rows of the other branches, or of the right side: only such have an equal
//     one there;
//   - what a block requires of columns that it yields holds for the row outside;
//   - INNER JOIN: ON holds for both sides, besides what holds for the join;
//   - LEFT JOIN: the left side gets what holds for the join. A row of the right side matters by
//     matching, or by suppressing the row that is extended with NULLs; both need ON, and what holds
//     for the join as far as it mentions no column of the right side. RIGHT JOIN is the mirror
//     image; of a FULL JOIN both sides are such;
//   - a row of a subquery under ANY matters if the comparison with it is not false, under ALL if it
//     is not true.
// What follows from these conditions together is the business of Conditions.
#pragma once

#include "sql/resolved_query.h"

namespace pgcache::sql {

// Fills out.dependencies, out.operands and out.relations. out.parameter_types must be final. False:
// too many operands to number. `uses`: gets the use of each dependency, if it is not null.
[[nodiscard]] bool derive_dependencies(const ResolvedQuery& query, const pg::Catalog& catalog,
                                       CacheableQuery& out,
                                       std::vector<std::uint32_t>* uses = nullptr);

}  // namespace pgcache::sql
