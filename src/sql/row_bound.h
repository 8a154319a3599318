// SPDX-License-Identifier: Apache-2.0
// How many rows a query can have, whatever is in its tables. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "sql/resolved_query.h"

namespace pgcache::sql {

// Whether it has at most one row: an aggregate of everything, or rows of one table by a unique key.
// To be asked before passes change the tree: they keep what matters to a result, not how often.
bool has_at_most_one_row(const ResolvedQuery& query);

// The literal that is its LIMIT, if it is one, by its place in the statement's shape. WITH TIES
// there may be more rows than it says.
std::optional<std::uint16_t> literal_of_limit(const ResolvedQuery& query);

}  // namespace pgcache::sql
