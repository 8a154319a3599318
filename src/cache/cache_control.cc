// SPDX-License-Identifier: Apache-2.0
// What the stream's state, the control thread and the operator do to the cache.
#include <utility>

#include "cache/cache_impl.h"

namespace pgcache::cache {

Cache::Cache(CacheLimits limits, std::function<void(std::vector<pg::Oid>)> request_tracking,
             std::function<void()> request_measure)
    : impl_(std::make_shared<CacheImpl>(limits, std::move(request_tracking),
                                        std::move(request_measure))) {}
// What waits to be taken in refers to the rest.
Cache::~Cache() {
  std::vector<std::shared_ptr<CopyState>> come;
  const std::lock_guard apply_lock(impl_->apply_mutex);
  come.swap(impl_->copies_come);
}

void Cache::on_cold_start(const pg::Snapshot& exported, pg::Lsn consistent_point) {
  CacheImpl& c = *impl_;
  CacheImpl::Everything everything;
  Waiters woken;
  {
    const CacheImpl::ApplyLock apply_lock(c);
    const std::lock_guard front(c.front_mutex);
    c.freshness.on_cold_start(consistent_point);
    ++c.epoch;
    c.snapshots.reset(exported);
    c.tracking.forget_all();
    woken = c.settled_waiters();
    c.log.clear();
    c.forms.clear();
    c.distrust_images();
    // Perhaps of another server, whose transactions have other ids.
    c.measured.clear();
    c.catalogs_read.clear();
    c.definitions_read.reset();
    c.pending_definitions.clear();
    c.note_pending();
    everything = c.take_everything();
    c.note_log_size();
    c.note_tracking();
  }
  c.count_everything(everything, InvalidationCause::kRestart);
  fire_all(woken);
}

void Cache::set_snapshot(pg::Snapshot snapshot) {
  CacheImpl& c = *impl_;
  Waiters woken;
  {
    const std::lock_guard apply_lock(c.apply_mutex);
    const std::lock_guard front(c.front_mutex);
    if (!c.snapshots.advance(std::move(snapshot))) return;
    c.tracking.on_snapshot(c.snapshots.current());
    woken = c.settled_waiters();
    c.log.trim(c.fault(&CacheImpl::Faults::trim_all) ? pg::Snapshot{{UINT64_MAX}, {UINT64_MAX}, {}}
                                                     : *c.snapshots.oldest_in_use());
    c.note_log_size();
    c.note_tracking();
    c.freshness.on_snapshot();
  }
  fire_all(woken);
}

void Cache::set_tracked(pg::Oid relation, pg::Xid fence) {
  CacheImpl& c = *impl_;
  if (c.fault(&CacheImpl::Faults::ignore_fences)) fence = {};
  Waiters woken;
  {
    const CacheImpl::ApplyLock apply_lock(c);
    const std::lock_guard front(c.front_mutex);
    // Under a new fence, changes may have been missed between the two.
    if (c.tracking.set_tracked(relation, fence)) {
      c.distrust_images_of(relation);
      c.drop(c.index.all_over(relation), InvalidationCause::kDdl);
    }
    woken = c.settled_waiters();
    c.note_tracking();
  }
  fire_all(woken);
}

void Cache::set_untrackable(pg::Oid relation, sql::BypassReason reason) {
  CacheImpl& c = *impl_;
  Waiters woken;
  {
    const CacheImpl::ApplyLock apply_lock(c);
    const std::lock_guard front(c.front_mutex);
    if (c.tracking.set_untrackable(relation, reason)) {
      c.distrust_images_of(relation);
      c.drop(c.index.all_over(relation), InvalidationCause::kDdl);
    }
    woken = c.settled_waiters();
    c.note_tracking();
  }
  fire_all(woken);
}

void Cache::invalidate_relation(pg::Oid relation, InvalidationCause cause) {
  CacheImpl& c = *impl_;
  const CacheImpl::ApplyLock apply_lock(c);
  const std::lock_guard front(c.front_mutex);
  ++c.epoch;  // loads in flight may read it too
  c.distrust_images_of(relation);
  c.drop(c.index.all_over(relation), cause);
}

void Cache::drop_all(InvalidationCause cause) {
  CacheImpl& c = *impl_;
  CacheImpl::Everything everything;
  {
    const CacheImpl::ApplyLock apply_lock(c);
    const std::lock_guard front(c.front_mutex);
    ++c.epoch;
    c.distrust_images();
    everything = c.take_everything();
  }
  c.count_everything(everything, cause);
}

std::vector<RelationPrecision> Cache::precision() const {
  std::vector<RelationPrecision> counts;
  const std::lock_guard apply_lock(impl_->apply_mutex);
  for (const auto& [relation, of_relation] : impl_->precision) counts.push_back(of_relation);
  return counts;
}

CacheStatus Cache::status(TimePoint now) const {
  const CacheImpl& c = *impl_;
  CacheStatus status;
  const auto reason = c.freshness.unavailable(now);
  status.serving = !reason;
  if (reason) status.not_serving_reason = label(*reason);
  status.applied_lsn = c.freshness.applied();
  status.entries = c.store.size();
  status.bytes = c.store.bytes();
  status.freshness_seconds = c.freshness.age_seconds(now);
  status.log_transactions = c.log_transactions.load(std::memory_order_relaxed);
  status.log_bytes = c.log_bytes.load(std::memory_order_relaxed);
  status.loads_in_flight = c.loads.size();
  for (std::size_t i = 0; i < kInvalidationCauseCount; ++i) {
    status.invalidations[i] = c.invalidations[i].load(std::memory_order_relaxed);
  }
  for (std::size_t i = 0; i < std::size(kPublishOutcomeLabels); ++i) {
    status.publish_outcomes[i] = c.publish_outcomes[i].load(std::memory_order_relaxed);
  }
  status.row_changes = c.row_changes.load(std::memory_order_relaxed);
  status.row_images = c.row_images.load(std::memory_order_relaxed);
  status.row_image_bytes = c.row_image_bytes.load(std::memory_order_relaxed);
  status.table_copies = c.table_copies.load(std::memory_order_relaxed);
  status.table_copy_rows = c.table_copy_rows.load(std::memory_order_relaxed);
  status.table_copy_bytes = c.table_copy_bytes.load(std::memory_order_relaxed);
  status.transactions = c.transactions.load(std::memory_order_relaxed);
  return status;
}

bool Cache::wants_snapshot() const {
  const CacheImpl& c = *impl_;
  return c.freshness.wants_proof() || c.log_transactions.load(std::memory_order_relaxed) > 0 ||
         c.loads.size() > 0 || c.tracking_wants_snapshot.load(std::memory_order_relaxed) ||
         c.wants_measure();
}

Waiters CacheImpl::settled_waiters() {
  Waiters settled;
  const SnapshotPtr current = snapshots.current();
  std::erase_if(tracking_waiters, [&](TrackingWaiter& waiting) {
    if (current) {
      const auto& relations = waiting.shape->analysis.cacheable()->relations;
      if (tracking.judge(relations, *current).verdict == Tracking::Verdict::kSoon) return false;
    }
    settled.push_back(std::move(waiting.waiter));
    return true;
  });
  return settled;
}

void CacheImpl::note_log_size() {
  log_transactions.store(log.transactions().size(), std::memory_order_relaxed);
  log_bytes.store(log.bytes(), std::memory_order_relaxed);
}

void CacheImpl::note_tracking() {
  tracking_wants_snapshot.store(tracking.wants_snapshot(), std::memory_order_relaxed);
}

}  // namespace pgcache::cache
