// SPDX-License-Identifier: Apache-2.0
// The other tables of which some row must go with a row for it to matter: Partner of a Dependency
// (cacheable_query.h says what that means).
//
// Every combination of rows in which a row can matter fulfils the conditions at its place. Where
// these cannot hold with NULLs in place of another table's row, such a row is there: one that
// fulfils, together with the row that matters, all of them that are about both. The parts of a
// query that work the other way round (a row that matters since another is missing) put no
// condition on that other one at the place: the kept side of an outer join, a row before NOT
// EXISTS.
#pragma once

#include <set>
#include <vector>

#include "sql/conditions.h"
#include "sql/predicates.h"
#include "sql/resolved_query.h"

namespace pgcache::sql {

// Of the table `use`, at whose place the conditions hold (Place::joint), which say of rows of the
// uses `rows_behind` too that they are there. Those first that are found by values.
std::vector<Partner> partners_of(const ResolvedQuery& query, const pg::Catalog& catalog,
                                 PredicateBuilder& predicates, std::uint32_t use,
                                 const Conditions& conditions,
                                 const std::set<std::uint32_t>& rows_behind);

}  // namespace pgcache::sql
