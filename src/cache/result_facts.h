// SPDX-License-Identifier: Apache-2.0
// What a result tells of rows that it does not show (Cutoff, repeated and extremes of a
// Dependency): read from its frames when it is published, immutable afterwards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache.h"
#include "cache/operands.h"
#include "cache/row_image.h"
#include "sql/cacheable_query.h"

namespace pgcache::cache {

// Of one dependency.
struct ResultFacts {
  // Of a full result: what its last row has in the column of Cutoff::by of that number.
  std::optional<sql::Operand> last = std::nullopt;
  std::size_t sorted_by = 0;
  // The repeated columns of each row, as append_part() writes them; ascending.
  std::vector<std::string> repeated = {};
  // What the result shows for each of the extremes, if all are known.
  std::vector<sql::Operand> extremes = {};

  bool empty() const { return !last && repeated.empty() && extremes.empty(); }
  std::uint64_t bytes() const;  // allocated
};

// Results with more rows are not read for `repeated`.
inline constexpr std::uint64_t kRepeatedRowsMax = 1'000;

ResultFacts read_facts(const sql::Dependency& dependency, const CachedResult& result,
                       std::string_view formats_be, const BoundOperands& operands);

// Whether the facts prove that the image of a change, a row that goes or one that comes, does not
// matter to the result.
bool is_beyond(const sql::Dependency& dependency, const ResultFacts& facts, const RowImage& image,
               bool is_before);

}  // namespace pgcache::cache
