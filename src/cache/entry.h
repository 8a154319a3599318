// SPDX-License-Identifier: Apache-2.0
// One Ready result and its places in the store and in the dependency index. Owned by the store.
//
// `key`, `hash`, `result`, `shape` and `operands` never change. `visited` is written by hits. All
// the rest belongs to whoever holds the cache's apply mutex.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "cache/cache.h"

namespace pgcache::cache {

struct Bucket;

// Where an entry stands in a bucket of the index.
struct IndexRef {
  Bucket* bucket = nullptr;
  std::uint32_t position = 0;
};

struct Entry {
  std::string key;
  std::uint64_t hash = 0;
  CachedResultPtr result;
  ShapePtr shape;
  std::vector<sql::Operand> operands;

  std::atomic<bool> visited{false};

  std::uint64_t bytes = 0;     // what the budget counts it as
  std::vector<IndexRef> refs;  // in the dependency index
  Entry* newer = nullptr;      // the order of insertion, for eviction
  Entry* older = nullptr;
  bool doomed = false;  // already found by the change at hand
};

}  // namespace pgcache::cache
