// SPDX-License-Identifier: Apache-2.0
// Shapes: each distinct statement is analysed once for each meaning of its names. Any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/strong_id.h"
#include "pg/definition_change.h"
#include "sql/analysis.h"

namespace pgcache::cache {

using ShapeId = StrongId<struct ShapeIdTag, std::uint64_t>;

// Counters, relaxed. The cache counts invalidations, loads and load_time_ns; sessions count the
// routes.
struct ShapeStats {
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> misses{0};
  std::atomic<std::uint64_t> bypasses{0};
  std::atomic<std::uint64_t> fallbacks{0};
  std::atomic<std::uint64_t> invalidations{0};
  std::atomic<std::uint64_t> loads{0};
  std::atomic<std::uint64_t> load_time_ns{0};  // of published loads
  std::atomic<std::uint64_t> last_bypass{0};   // BypassReason + 1
};

// Immutable but for its statistics. Shared by sessions (which keep one for each prepared
// statement), the table and the entries loaded under it.
struct Shape {
  ShapeId id;                    // unique in the process, never used again
  std::uint64_t generation = 0;  // of the catalog under which it was analysed
  // The latest generation in which the analysis is known to be the same; set by the table.
  mutable std::atomic<std::uint64_t> renewed{0};
  // Whether it holds in the generation.
  bool is_of(std::uint64_t catalog_generation) const {
    return std::max(generation, renewed.load(std::memory_order_acquire)) >= catalog_generation;
  }
  std::string text;  // a statement of this shape, as first seen (for people)
  sql::Analysis analysis;
  mutable ShapeStats stats;
};
using ShapePtr = std::shared_ptr<const Shape>;

// What the meaning of a text depends on, besides the catalog.
struct ShapeScope {
  std::string search_path;  // resolved schema oids, as bytes
  std::vector<pg::Oid> search_path_oids;
  bool standard_conforming_strings = true;
};

class ShapeTable {
 public:
  // At most `shapes_max` are kept; the least recently made leave first (sessions may still hold
  // them).
  explicit ShapeTable(std::size_t shapes_max);

  // Null catalog: everything is analysed as kStarting (not cacheable) and not remembered.
  // Starts a new generation. `change` is all in which the catalog may differ from the one before:
  // cacheable shapes that do not rest on it stay. The control thread, or nobody else meanwhile.
  void set_catalog(std::shared_ptr<const pg::Catalog> catalog,
                   const pg::DefinitionChange& change = pg::DefinitionChange::of_everything());
  std::shared_ptr<const pg::Catalog> catalog() const;
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // Finds or analyses. `parameter_types` as declared by Parse.
  ShapePtr find_or_analyze(std::string_view text, const sql::StatementShape& shape,
                           const ShapeScope& scope, const std::vector<pg::Oid>& parameter_types);

  // A copy of all known shapes, for /queries.
  std::vector<ShapePtr> all() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
  std::atomic<std::uint64_t> generation_{0};
};

}  // namespace pgcache::cache
