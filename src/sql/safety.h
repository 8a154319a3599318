// SPDX-License-Identifier: Apache-2.0
// Which functions and types let a result be cached: whether what they yield depends only on
// arguments, on rows and on settings that are part of the result key. Pure look-ups in the catalog
// snapshot.
#pragma once

#include <vector>

#include "pg/catalog.h"
#include "pg/value.h"

namespace pgcache::sql {

// Created by initdb, hence with a meaning that is known (FirstNormalObjectId).
inline bool is_builtin(pg::Oid oid) { return pg::to_u32(oid) < 16384; }

// pg_catalog has the same oid everywhere.
inline constexpr pg::Oid kPgCatalog{11};

// IMMUTABLE, and so are the defaults of its arguments; or STABLE, built in, and known to depend on
// nothing but arguments and settings of the key. Aggregates of users are not safe: their own
// declaration always says IMMUTABLE, whatever their transition functions do.
bool is_safe_function(const pg::Function& function);

// The same for the function behind an operator.
bool is_safe_operator_function(const pg::Function& function);

// True when text input of the type certainly does not read words such as 'now' as the current time,
// neither itself nor in its elements.
bool reads_no_time(const pg::Catalog& catalog, pg::Oid type);

// True for the built-in dates, times and intervals: converting from them reads no text.
bool is_time_value(const pg::Catalog& catalog, pg::Oid type);

enum class TypeVerdict : std::uint8_t {
  kFine,
  kNotFound,
  // Its text or binary form depends on more than the value: catalog names (regclass ...), or
  // functions declared VOLATILE. Or a domain whose checks are not IMMUTABLE: a value that was one
  // may not be any more, and looking may do something.
  kUnsteady,
};
TypeVerdict judge_type(const pg::Catalog& catalog, pg::Oid type);

// The relations that composite types in it belong to.
std::vector<pg::Oid> relations_of_type(const pg::Catalog& catalog, pg::Oid type);

// Whether a column's texts are in the order of the bytes that the stream has: its collation orders
// bytes, and those of the server's encoding are in the same order as those of UTF-8.
bool orders_bytes(const pg::Catalog& catalog, const pg::Column& column);

// Whether values of a type are in the order of their canonical bytes, if `is_c` tells whether texts
// are: documents go by the database's collation.
bool is_ordered(const pg::Catalog& catalog, const pg::ValueType& type, bool is_c);

// Whether input as this type makes other values of some: a domain that gives a length or precision,
// or an array of such.
bool changes_values(const pg::Catalog& catalog, pg::Oid type);

// A domain's base type, through all levels; any other type itself.
pg::Oid base_type(const pg::Catalog& catalog, pg::Oid type);

// Whether an argument of type `from` might be passed where `to` is declared, by a coercion that
// needs no cast to be written. Errs on the side of yes.
bool may_coerce(const pg::Catalog& catalog, pg::Oid from, pg::Oid to);

}  // namespace pgcache::sql
