// SPDX-License-Identifier: Apache-2.0
// One Ready result and its places in the store and in the dependency index. Owned by the store.
//
// `key`, `hash`, `result`, `shape`, `operands` and `number` never change. `visited` is written by
// hits. All the rest belongs to whoever holds the cache's apply mutex.
#pragma once

#include <atomic>
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <string>

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

struct Entry {
  std::string key;
  std::uint64_t hash = 0;
  CachedResultPtr result;
  ShapePtr shape;
  BoundOperands operands;
  // Of the measurements that had begun when it was published (Cache::on_measure_begins).
  std::uint64_t number = 0;

  std::atomic<bool> visited{false};

  std::unique_ptr<ResultFacts[]> facts;  // of each dependency; null: none of any
  std::uint64_t bytes = 0;               // what the budget counts it as
  // In the dependency index: the node's list and one place by value are the rule.
  boost::container::small_vector<IndexRef, 2> refs;
  Entry* newer = nullptr;  // the order of insertion, for eviction
  Entry* older = nullptr;
  bool doomed = false;  // already found by the change at hand
  bool coarse = false;  // and only since the row before it was not known well enough
};

// A change most often affects an entry that nothing has touched lately: what will be looked at next
// is asked for together, so that the memory's delays overlap.
inline void prefetch(const Entry& entry) {
  constexpr std::size_t kLine = 64;
  const char* const begin = reinterpret_cast<const char*>(&entry);
  for (std::size_t at = 0; at < sizeof(Entry); at += kLine) __builtin_prefetch(begin + at, 1);
}
// Of one that is at hand, also what its removal touches.
inline void prefetch_what_it_holds(const Entry& entry) {
  __builtin_prefetch(entry.operands.values.data());
  __builtin_prefetch(entry.key.data());
  __builtin_prefetch(entry.result.get());
  __builtin_prefetch(entry.newer, 1);
  __builtin_prefetch(entry.older, 1);
  for (const IndexRef& ref : entry.refs) __builtin_prefetch(ref.bucket, 1);
}

}  // namespace pgcache::cache
