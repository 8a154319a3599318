// SPDX-License-Identifier: Apache-2.0
#include "cache/store.h"

#include <utility>

#include "base/check.h"
#include "base/hash.h"

namespace pgcache::cache {

namespace {
// Entry, its place in the map, shared result with its control block, allocator overhead.
constexpr std::uint64_t kFixedBytes = sizeof(Entry) + sizeof(CachedResult) + 192;
}  // namespace

HashedKey hashed(std::string_view key) { return {key, hash_bytes(key)}; }

std::uint64_t entry_bytes(const Entry& entry) {
  return kFixedBytes + entry.key.capacity() + entry.result->rows.capacity() +
         entry.result->row_description.capacity() + entry.operands.bytes();
}

CachedResultPtr Store::find(const HashedKey& key, ResultNeeds needs) {
  Shard& shard = shard_of(key.hash);
  const std::lock_guard lock(shard.mutex);
  Entry* const found = find_in(shard.map, key);
  if (!found || found->is_dropped()) return nullptr;
  Entry& entry = *found;
  if (needs.row_description && entry.result->row_description.empty()) return nullptr;
  if (needs.parsed && !entry.result->parsed) return nullptr;
  if (!entry.visited.load(std::memory_order_relaxed)) {
    entry.visited.store(true, std::memory_order_relaxed);
  }
  return entry.result;
}

Entry* Store::peek(const HashedKey& key) {
  Shard& shard = shard_of(key.hash);
  const std::lock_guard lock(shard.mutex);
  return find_in(shard.map, key);
}

Entry& Store::insert(std::unique_ptr<Entry> entry) {
  Entry& e = *entry;
  {
    Shard& shard = shard_of(e.hash);
    const std::lock_guard lock(shard.mutex);
    shard.map.insert(e.hash, std::move(entry));
  }
  e.older = newest_;
  e.newer = nullptr;
  (newest_ ? newest_->newer : oldest_) = &e;
  newest_ = &e;
  size_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(e.bytes, std::memory_order_relaxed);
  return e;
}

void Store::drop(Entry& entry) {
  entry.dropped.store(true, std::memory_order_release);
  size_.fetch_sub(1, std::memory_order_relaxed);
  bytes_.fetch_sub(entry.bytes, std::memory_order_relaxed);
}

std::unique_ptr<Entry> Store::take(Entry& entry) {
  if (!entry.is_dropped()) drop(entry);
  if (hand_ == &entry) hand_ = entry.newer;
  (entry.newer ? entry.newer->older : newest_) = entry.older;
  (entry.older ? entry.older->newer : oldest_) = entry.newer;
  Shard& shard = shard_of(entry.hash);
  const std::lock_guard lock(shard.mutex);
  return shard.map.take(entry.hash, entry);
}

Store::Remains Store::clear() noexcept {
  Remains remains;
  for (std::size_t i = 0; i < kShards; ++i) {
    const std::lock_guard lock(shards_[i].mutex);
    remains[i].swap(shards_[i].map);
  }
  newest_ = oldest_ = hand_ = nullptr;
  size_.store(0, std::memory_order_relaxed);
  bytes_.store(0, std::memory_order_relaxed);
  return remains;
}

Entry* Store::victim() {
  Entry* at = hand_ ? hand_ : oldest_;
  if (!at) return nullptr;
  // At most two rounds: the first clears every bit.
  while (at->visited.exchange(false, std::memory_order_relaxed)) {
    at = at->newer ? at->newer : oldest_;
  }
  hand_ = at;  // take() moves it on
  return at;
}

}  // namespace pgcache::cache
