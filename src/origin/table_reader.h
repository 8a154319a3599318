// SPDX-License-Identifier: Apache-2.0
// Reads a small table whole, for a copy of it that the stream keeps true. Control thread.
#pragma once

#include <cstdint>
#include <optional>

#include "cdc/table_rows.h"
#include "origin/link.h"
#include "pg/catalog.h"

namespace pgcache::origin {

struct TableReading {
  // kRetry: a lock was not to be had, or the table is not as the catalog says. kUseless: it is too
  // large, or the role may not read all of it.
  enum class Kind { kRead, kRetry, kUseless };
  Kind kind = Kind::kRetry;
  std::optional<cdc::TableRows> rows;
};

// The table alone, without its descendants. `bytes_max`: of its files. Waits for a lock for a
// moment at most; leaves the link in no transaction.
TableReading read_table(Link& link, const pg::Relation& table, std::uint64_t bytes_max);

}  // namespace pgcache::origin
