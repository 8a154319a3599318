// SPDX-License-Identifier: Apache-2.0
#include "cache/loads.h"

#include <algorithm>

#include "base/check.h"

namespace pgcache::cache {

LoadTable::Turn LoadTable::begin(const HashedKey& key, const WaiterPtr& waiter) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto it = shard.map.find(key.bytes);
  if (it == shard.map.end()) {
    shard.map.emplace(std::string(key.bytes), InFlight{});
    size_.fetch_add(1, std::memory_order_relaxed);
    return Turn::kStarted;
  }
  if (!waiter) return Turn::kBusy;
  InFlight& flight = it->second;
  if (flight.waiters.size() >= flight.sweep_at) {
    std::erase_if(flight.waiters, [](const WaiterPtr& w) { return w->over(); });
    flight.sweep_at = std::max<std::size_t>(64, 2 * flight.waiters.size());
  }
  flight.waiters.push_back(waiter);
  return Turn::kJoined;
}

Waiters LoadTable::finish(const HashedKey& key) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto it = shard.map.find(key.bytes);
  CHECK(it != shard.map.end());
  Waiters waiters = std::move(it->second.waiters);
  shard.map.erase(it);
  size_.fetch_sub(1, std::memory_order_relaxed);
  return waiters;
}

}  // namespace pgcache::cache
