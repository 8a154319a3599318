// SPDX-License-Identifier: Apache-2.0
// The rows before changes, as far as the stream showed them earlier (image_store.h).
#include <unordered_map>
#include <utility>

#include "cache/cache_impl.h"

namespace pgcache::cache {

namespace {

// Row changes that are resolved under one hold of the apply mutex.
constexpr std::size_t kChunk = 1024;

}  // namespace

CacheImpl::Resolved CacheImpl::resolve_images(const cdc::Transaction& transaction, pg::Xid xid) {
  Resolved resolved;
  if (!images.enabled() && !copies.enabled()) return resolved;
  ImageStore::Remains remains;  // destroyed behind the locks
  TableCopies::Remains old_copies;
  {
    const std::lock_guard apply_lock(apply_mutex);
    resolved.epoch = images_epoch;
    begin_transaction(transaction);
    for (const auto* relations :
         {&transaction.overflowed_relations, &transaction.changed_relations}) {
      for (const auto& relation : *relations) {
        images.drop(relation->oid);
        copies.drop(relation->oid);
      }
    }
    remains = images.take_remains();
    old_copies = copies.take_remains();
    if (!images.enabled() && copies.empty()) return resolved;
  }
  auto rows = std::make_shared<StoredImages>();
  const std::vector<cdc::RowChange>& changes = transaction.changes;
  for (std::size_t begin = 0; begin < changes.size(); begin += kChunk) {
    const std::lock_guard apply_lock(apply_mutex);
    std::unordered_map<pg::Oid, bool> may_keep;  // as long as the lock is held
    const std::size_t end = std::min(changes.size(), begin + kChunk);
    for (std::size_t i = begin; i < end; ++i) {
      if (const auto next = ahead_of(changes, i); !next.empty()) ahead.reach_images(next, images);
      const pg::Oid relation = changes[i].relation->oid;
      const auto [keep, is_new] = may_keep.try_emplace(relation);
      if (is_new) keep->second = may_keep_images(relation, xid);
      if (fault(&Faults::miss_changes) && xid.value % 3 == 0) continue;
      StoredRow row =
          images.enabled() ? images.step(changes[i], keep->second, catalog.get()) : StoredRow{};
      StoredRow copied = copies.step(changes[i], xid, catalog.get());
      if (!row) row = std::move(copied);
      if (!row) continue;
      rows->bytes += row.bytes().size();
      rows->before.resize(changes.size());
      rows->before[i] = std::move(row);
    }
    for (auto& old : images.take_remains()) remains.push_back(std::move(old));
    for (auto& old : copies.take_remains()) old_copies.push_back(std::move(old));
    if (copies.take_doubt()) ++images_epoch;
    row_image_bytes.store(images.bytes(), std::memory_order_relaxed);
    row_images.store(images.size(), std::memory_order_relaxed);
  }
  if (rows->before.empty()) return resolved;
  rows->bytes += sizeof(StoredImages) + rows->before.capacity() * sizeof(StoredRow);
  resolved.images = std::move(rows);
  return resolved;
}

// The images of tables that no result reads would only take up room.
bool CacheImpl::may_keep_images(pg::Oid relation, pg::Xid xid) {
  if (!index.knows(relation)) return false;
  if (fault(&Faults::keep_images_of_all)) return true;
  const std::lock_guard front(front_mutex);
  const SnapshotPtr gate = tracking.gate_of(relation);
  return gate && !gate->sees(xid);
}

void CacheImpl::distrust_images() {
  if (fault(&Faults::trust_images)) return;
  ++images_epoch;
  images.drop_all();
  copies.drop_all();
  log.forget_images();
  tracking.close_gates();
  note_log_size();
}

void CacheImpl::distrust_images_of(pg::Oid relation) {
  if (fault(&Faults::trust_images)) return;
  ++images_epoch;
  images.drop(relation);
  copies.drop(relation);
  log.forget_images();
  note_log_size();
}

}  // namespace pgcache::cache
