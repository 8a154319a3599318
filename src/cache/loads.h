// SPDX-License-Identifier: Apache-2.0
// Single flight: at most one session loads a key at a time, and others may wait for it. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/hash.h"
#include "cache/store.h"
#include "cache/waiter.h"

namespace pgcache::cache {

class LoadTable {
 public:
  enum class Turn { kStarted, kJoined, kBusy };

  // kStarted: the caller loads it, and must call finish(). kJoined: `waiter` is fired when the load
  // is over. kBusy: somebody else loads it and `waiter` is null.
  Turn begin(const HashedKey& key, const WaiterPtr& waiter);
  // Those who wait, to be fired without a lock.
  Waiters finish(const HashedKey& key);

  std::uint64_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kShards = 64;
  struct InFlight {
    Waiters waiters;
    std::size_t sweep_at = 64;  // drop cancelled waiters when there are so many
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<std::string, InFlight, StringHash, std::equal_to<>> map;
  };
  Shard& shard_of(const HashedKey& key) { return shards_[key.hash >> 58]; }

  std::array<Shard, kShards> shards_;
  std::atomic<std::uint64_t> size_{0};
};

}  // namespace pgcache::cache
