// SPDX-License-Identifier: Apache-2.0
// What a result shows of the rows that it depends on (Dependency.shown), read from its DataRow
// frames: the values of the shown columns, row by row, as hashes. Two that collide only make a
// change count that does not.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "cache/cache.h"
#include "cache/row_image.h"
#include "sql/cacheable_query.h"

namespace pgcache::cache {

// Ascending, distinct.
using ShownKeys = std::vector<std::uint64_t>;

// Of the columns' values in the row, wherever results show them; nothing when one of them is NULL
// or not known.
std::optional<std::uint64_t> key_hash(const std::vector<sql::ShownColumn>& columns,
                                      const RowImage& image);

// Nothing when the dependency shows nothing, when a value cannot be read with certainty, or when
// there are more than `rows_max` rows. `formats_be` are the result formats as in Bind.
inline constexpr std::uint64_t kShownRowsMax = 10'000;
std::optional<ShownKeys> read_shown_keys(const sql::Dependency& dependency,
                                         const CachedResult& result, std::string_view formats_be,
                                         std::uint64_t rows_max = kShownRowsMax);

}  // namespace pgcache::cache
