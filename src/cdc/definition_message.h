// SPDX-License-Identifier: Apache-2.0
// What the origin's event triggers say of changed definitions, in logical messages of the very
// transactions that change them (origin/definition_teller.cc is the other end). Pure.
//
//   content   '1' line*         of version 1
//   line      '\n' event '\t' tag '\t' type '\t' relation '\t' schema '\t' name '\t' kin
//   event     end drop rewrite: as the trigger that saw it; all: anything may have changed
//   tag, type of the command and the object, as PostgreSQL's event trigger functions call them
//   relation  oid of the relation that the object is or belongs to; 0: none, or not known
//   schema, name  of the object itself where it has a row in pg_class and still exists, else empty
//   kin       oids, with blanks between, of all relations from which that relation inherits, and
//             that inherit from it
//
// What cannot be read, or is not known to concern some relations only, may concern anything.
#pragma once

#include <string_view>
#include <vector>

#include "cdc/row_change.h"
#include "pg/definition_change.h"

namespace pgcache::cdc {

inline constexpr std::string_view kDefinitionPrefix = "pgcache.definitions";

// What the transaction's messages tell has changed; empty if nothing that matters to results.
// `catalog` is the latest that statements have been analysed with; null: anything may have changed.
pg::DefinitionChange definitions_changed(const std::vector<LogicalMessage>& messages,
                                         const pg::Catalog* catalog);

}  // namespace pgcache::cdc
