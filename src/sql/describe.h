// SPDX-License-Identifier: Apache-2.0
// The parts of a query and of a dependency as text, for explain. See describe() in analysis.h for
// whole predicates and dependencies. Pure; any thread.
#pragma once

#include <string>

#include "sql/analysis.h"

namespace pgcache::sql {

// "?1", "$2", "'a constant'", with a minus sign in front of one that is negated.
std::string describe_operand(OperandIndex index, const CacheableQuery& query);

// "id = $1", "kind IN (?1, ?2)", "id = ANY ($1) OR NULL".
std::string describe_key(const EqualityBinding& binding, const CacheableQuery& query);

// "lower(email) = ?1".
std::string describe_key(const ValueBinding& binding, const CacheableQuery& query);

// "price >= ?1 AND price < ?2".
std::string describe_range(const RangeBinding& range, const CacheableQuery& query);

// "16385+16386 BY #1.id = owner_id WHERE #1.active = 'true' AND ...": the tables that hold its
// rows, and what they must fulfil. Columns of the row that matters stand bare.
std::string describe(const Partner& partner, const CacheableQuery& query);

// The text of a shape with ?1, ?2 ... in the places of its literals.
std::string describe_shape(const StatementShape& shape);

}  // namespace pgcache::sql
