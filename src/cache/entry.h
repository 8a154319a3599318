// SPDX-License-Identifier: Apache-2.0
// One Ready result and its places in the store and in the dependency index. Owned by the store.
//
// `key`, `hash`, `result`, `shape`, `operands` and `number` never change. `visited` is written by
// hits, `dropped` is read by them. All the rest belongs to whoever holds the cache's apply mutex.
#pragma once

#include <atomic>
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "base/prefetch.h"
#include "cache/cache.h"
#include "cache/operands.h"
#include "cache/result_facts.h"

namespace pgcache::cache {

struct Bucket;
struct DependencyNode;

// Where an entry stands in a bucket of the index.
struct IndexRef {
  Bucket* bucket = nullptr;
  DependencyNode* node = nullptr;  // on whose account; null: on none
  std::uint32_t position = 0;
  bool by_key = false;  // former rows find the entry by the keys that it shows
};

// What a change looks at and writes when it drops the entry; in few lines of memory.
struct alignas(64) EntryFront {
  // In the dependency index: the node's list and one place by value are the rule.
  boost::container::small_vector<IndexRef, 2> refs;
  ShapePtr shape;
  std::unique_ptr<ResultFacts[]> facts;  // of each dependency; null: none of any
  std::atomic<bool> visited{false};
  // Nobody finds it any more (dropped_entries.h). Written under the apply mutex, once.
  std::atomic<bool> dropped{false};
  bool doomed = false;  // already found by the change at hand
  bool coarse = false;  // and only since the row before it was not known well enough
  BoundOperands operands;
  std::uint64_t bytes = 0;       // what the budget counts it as
  std::uint64_t dropped_as = 0;  // DroppedEntries
  // Of the measurements that had begun when it was published (Cache::on_measure_begins).
  std::uint64_t number = 0;

  bool is_dropped() const { return dropped.load(std::memory_order_acquire); }
};

struct Entry : EntryFront {
  std::uint64_t hash = 0;
  std::string key;
  CachedResultPtr result;
  Entry* newer = nullptr;  // the order of insertion, for eviction
  Entry* older = nullptr;
};

// A change most often affects an entry that nothing has touched lately: what will be looked at next
// is asked for together, so that the memory's delays overlap.
inline void prefetch_front(const Entry& entry) {
  prefetch_all(static_cast<const EntryFront&>(entry));
}
// Of one that is at hand, also what its removal touches.
inline void prefetch_what_it_holds(const Entry& entry) {
  prefetch_line(entry.operands.values.data());
  prefetch_line(entry.key.data());
  prefetch_line(entry.result.get());
  prefetch_line(entry.newer);
  prefetch_line(entry.older);
  for (const IndexRef& ref : entry.refs) prefetch_line(ref.bucket);
}

}  // namespace pgcache::cache
