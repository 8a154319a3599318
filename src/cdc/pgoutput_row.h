// SPDX-License-Identifier: Apache-2.0
// Internal to cdc: the parts of pgoutput's messages that need no state. The readers take what they
// read from the reader's front; nothing when the bytes are malformed.
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.h"
#include "cdc/row_change.h"

namespace pgcache::cdc {

// The body of a Relation message, behind its tag:
//   oid u32, schema cstring (empty = pg_catalog), name cstring, replica identity u8, count u16,
//   then for each column: flags u8 (1 = part of the key), name cstring, type u32, typmod i32.
std::optional<StreamRelation> read_relation(ByteReader& in);

bool same_form(const StreamRelation& a, const StreamRelation& b);

// TupleData: count u16, then for each column a kind u8: 'n' NULL, 'u' unchanged TOAST value, or 't'
// text or 'b' binary with length u32 and the bytes, which the cells view. The count must be the
// relation's.
std::optional<std::vector<Cell>> read_tuple(ByteReader& in, const StreamRelation& relation);

// The rows of one Insert, Update or Delete, behind tag and relation oid:
//   Insert: 'N' TupleData.  Update: ('K' or 'O') TupleData if there is an old row, 'N' TupleData.
//   Delete: ('K' or 'O') TupleData.
// Under 'K' only key columns are known. The change has everything but its relation.
std::optional<RowChange> read_row_change(ChangeKind kind, ByteReader& in,
                                         const StreamRelation& relation);

}  // namespace pgcache::cdc
