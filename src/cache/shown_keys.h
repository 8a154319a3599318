// SPDX-License-Identifier: Apache-2.0
// The keys of the rows that a result shows (Dependency.shown_key), read from its DataRow frames. A
// former row whose key is not among them was not part of the result.
//
// Keys are kept as hashes of their canonical values: two that collide only make a change count that
// does not.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "cache/cache.h"
#include "cache/row_image.h"
#include "pg/catalog.h"
#include "sql/cacheable_query.h"

namespace pgcache::cache {

struct ShownKeys {
  std::vector<sql::ColumnRef> columns;  // of the replica identity
  std::vector<std::uint64_t> hashes;    // ascending, distinct

  // Whether the row may be one that is shown.
  bool may_show(const RowImage& image) const;
};

// Of the key columns' values in the row; nothing when they are not known.
std::optional<std::uint64_t> key_hash(const std::vector<sql::ColumnRef>& columns,
                                      const RowImage& image);

// Nothing when the dependency has no shown key, when the keys cannot be read with certainty, or
// when there are more than `rows_max` rows. `formats_be` are the result formats as in Bind.
inline constexpr std::uint64_t kShownRowsMax = 10'000;
std::optional<ShownKeys> read_shown_keys(const sql::Dependency& dependency,
                                         const pg::Catalog& catalog, const CachedResult& result,
                                         std::string_view formats_be,
                                         std::uint64_t rows_max = kShownRowsMax);

}  // namespace pgcache::cache
