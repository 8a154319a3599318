// SPDX-License-Identifier: Apache-2.0
// Result key → entry, and the order in which entries leave when the budget is spent.
//
// Look-up: kShards hash maps with a mutex each. Hashes find the shard and the bucket; whole keys
// are compared. A hit takes its shard's mutex for the look-up and a reference count, and nothing
// else. The maps are flat, so that to find or to take out an entry touches two lines of memory
// besides the entry's own.
//
// Eviction is SIEVE (Zhang et al., NSDI 2024): entries stand in a queue in order of insertion; a
// hand walks from the oldest to the newest, spares the visited ones (and forgets their visit) and
// takes the first that was not visited since the hand last passed. A hit only sets a bit, so it
// needs no queue lock. The queue is one for all shards, so that the choice does not depend on how
// keys spread.
//
// The budget counts an estimate: entry_bytes() for the frames, the key and the operands as
// allocated, and the fixed parts; and what the index takes up, index_bytes() in dependency_index.h.
//
// Threads: find() from any; everything else only under the cache's apply mutex.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string_view>
#include <tuple>

#include "base/pointer_table.h"
#include "cache/entry.h"

namespace pgcache::cache {

// A key with its hash, computed once. The view lives as long as what it points into.
struct HashedKey {
  std::string_view bytes;
  std::uint64_t hash = 0;
};
HashedKey hashed(std::string_view key);

std::uint64_t entry_bytes(const Entry& entry);

class Store {
 public:
  using Map = PointerTable<Entry>;
  // What clear() took out; destroyed by the caller when no lock is held.
  using Remains = std::array<Map, 16>;

  // Null when there is no entry, or it lacks what is needed.
  CachedResultPtr find(const HashedKey& key, ResultNeeds needs);

  void prefetch(std::uint64_t hash) { shard_of(hash).map.prefetch(hash); }
  Entry* peek(const HashedKey& key);
  // The key must be absent. Sets entry->bytes aside from the budget. All of it, or it throws.
  Entry& insert(std::unique_ptr<Entry> entry);
  // No look-up finds it from now on; its bytes are given back to the budget. Once for each entry.
  void drop(Entry& entry);
  // Dropped or not.
  std::unique_ptr<Entry> take(Entry& entry);
  Remains clear() noexcept;
  // The entry that leaves next; null when the store is empty. Asked for while none is dropped.
  Entry* victim();

  // Of the entries that are not dropped.
  std::uint64_t size() const { return size_.load(std::memory_order_relaxed); }
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kShards = std::tuple_size_v<Remains>;
  struct alignas(64) Shard {
    std::mutex mutex;
    Map map;
  };
  // The maps use the upper bits of the hash.
  Shard& shard_of(std::uint64_t hash) { return shards_[hash % kShards]; }
  static Entry* find_in(const Map& map, const HashedKey& key) {
    return map.find(key.hash, [&](const Entry& entry) { return entry.key == key.bytes; });
  }

  std::array<Shard, kShards> shards_;
  Entry* newest_ = nullptr;
  Entry* oldest_ = nullptr;
  Entry* hand_ = nullptr;  // null: begin at the oldest
  std::atomic<std::uint64_t> size_{0};
  std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace pgcache::cache
