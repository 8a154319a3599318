// SPDX-License-Identifier: Apache-2.0
// Whether a row finds partners (sql::Partner) in the copies of small tables.
//
// What is not known is taken for found: a table without a usable copy, a value that is not known, a
// search that takes too long.
#pragma once

#include <cstdint>

#include "cache/entry.h"
#include "cache/row_image.h"
#include "cache/table_copies.h"
#include "sql/cacheable_query.h"

namespace pgcache::cache {

// What may be used for the transaction that is being applied.
//
// An entry is settled when every transaction that its query may have seen has been applied before
// this one. Only then does the state that the copies show count for it. (Of another one the query
// may have seen a partner come whose transaction is still to be applied: that one drops the entry,
// but until then it would lack what this one adds.)
struct PartnerSearch {
  TableCopies& copies;
  std::uint64_t settled = 0;  // entries with a lower number are

  bool applies_to(const Entry& entry) const { return entry.number < settled; }
};

// `row`: one of `dependency.relation`, before or after the change. The copies must have gone past
// the whole transaction.
bool may_find_partners(const sql::Dependency& dependency, const RowImage& row,
                       const BoundOperands& operands, TableCopies& copies);

}  // namespace pgcache::cache
