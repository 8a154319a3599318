// SPDX-License-Identifier: Apache-2.0
// Publishing: the test of a finished load against what its snapshot may have missed (cache_impl.h).
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "cache/cache_impl.h"
#include "cache/relevance.h"

namespace pgcache::cache {

namespace {

// How many references the index will hold to an entry of this query, at most.
std::size_t index_refs(const sql::CacheableQuery& query) {
  std::size_t refs = 0;
  for (const sql::Dependency& dependency : query.dependencies) {
    std::size_t of_dependency = 1;
    if (!dependency.equalities.empty()) of_dependency = dependency.equalities[0].operands.size();
    refs += of_dependency;
  }
  return refs;
}

using DependenciesByRelation = std::unordered_map<pg::Oid, std::vector<const sql::Dependency*>>;

DependenciesByRelation dependencies_touched(const sql::CacheableQuery& query,
                                            const LoggedTransaction& transaction) {
  DependenciesByRelation touched;
  for (const sql::Dependency& dependency : query.dependencies) {
    for (const pg::Oid oid : dependency.members) {
      if (transaction.touches(oid)) touched[oid].push_back(&dependency);
    }
  }
  return touched;
}

}  // namespace

PublishOutcome Cache::publish(std::unique_ptr<Load> load, CachedResult result) {
  CHECK(load);
  auto& state = static_cast<LoadState&>(*load);
  CHECK(state.impl == impl_);
  const PublishOutcome outcome = impl_->publish(state, std::move(result));
  impl_->publish_outcomes[static_cast<std::size_t>(outcome)].fetch_add(1,
                                                                       std::memory_order_relaxed);
  load.reset();  // wakes those who wait for it
  return outcome;
}

void Cache::abandon_too_large(std::unique_ptr<Load> load) {
  impl_->publish_outcomes[static_cast<std::size_t>(PublishOutcome::kTooLarge)].fetch_add(
      1, std::memory_order_relaxed);
  load.reset();  // wakes those who wait for it
}

PublishOutcome CacheImpl::publish(LoadState& load, CachedResult result) {
  if (result.rows.size() + result.row_description.size() > limits.result_bytes_max) {
    return PublishOutcome::kTooLarge;
  }
  const auto load_time = static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, static_cast<std::int64_t>(result.load_time.count())));
  auto entry = std::make_unique<Entry>();
  entry->key = load.key;
  entry->hash = load.hash;
  entry->shape = load.shape;
  entry->operands = load.operands;
  entry->result = std::make_shared<const CachedResult>(std::move(result));
  entry->bytes = entry_bytes(*entry, index_refs(*load.shape->analysis.cacheable()));
  if (entry->bytes > limits.bytes_max) return PublishOutcome::kTooLarge;

  const std::lock_guard apply_lock(apply_mutex);
  const PublishOutcome outcome = verdict_on(load);
  if (outcome != PublishOutcome::kPublished) return outcome;
  insert(std::move(entry));
  load.shape->stats.loads.fetch_add(1, std::memory_order_relaxed);
  load.shape->stats.load_time_ns.fetch_add(load_time, std::memory_order_relaxed);
  return outcome;
}

PublishOutcome CacheImpl::verdict_on(const LoadState& load) {
  const pg::Snapshot& snapshot = *load.lease.snapshot;
  {
    const std::lock_guard front(front_mutex);
    if (load.epoch != epoch) return PublishOutcome::kObsolete;
    if (load.shape->generation < shape_generation_min) return PublishOutcome::kObsolete;
    // That the snapshot sees all of the exported one is ensured by SnapshotBook, within an epoch.
    const auto& relations = load.shape->analysis.cacheable()->relations;
    if (tracking.judge(relations, snapshot).verdict != Tracking::Verdict::kReady) {
      return PublishOutcome::kSnapshotTooOld;
    }
  }
  if (fault(&Faults::skip_log_check)) return PublishOutcome::kPublished;
  if (!fault(&Faults::forget_silently) && !log.covers(snapshot)) {
    return PublishOutcome::kSnapshotTooOld;
  }
  for (const LoggedTransaction& transaction : log.transactions()) {
    if (!snapshot.sees(transaction.xid) && affects(transaction, load)) {
      return PublishOutcome::kAffected;
    }
  }
  return PublishOutcome::kPublished;
}

bool CacheImpl::affects(const LoggedTransaction& transaction, const LoadState& load) {
  for (const pg::Oid oid : transaction.relations) {
    if (is_unknown_relation(oid)) return true;
  }
  const DependenciesByRelation touched =
      dependencies_touched(*load.shape->analysis.cacheable(), transaction);
  if (touched.empty()) return false;
  const cdc::Transaction& t = *transaction.transaction;
  for (const auto& relation : t.overflowed_relations) {
    if (touched.contains(relation->oid)) return true;
  }
  for (const auto& relation : t.changed_relations) {
    if (touched.contains(relation->oid)) return true;
  }
  for (const cdc::RowChange& change : t.changes) {
    const auto it = touched.find(change.relation->oid);
    if (it == touched.end()) continue;
    const ChangeImages images(change, forms.form_of(change.relation));
    for (const sql::Dependency* dependency : it->second) {
      if (!is_invisible_update(*dependency, images) &&
          change_may_matter(*dependency, images, load.operands)) {
        return true;
      }
    }
  }
  return false;
}

void CacheImpl::insert(std::unique_ptr<Entry> entry) {
  if (Entry* previous = store.peek({entry->key, entry->hash})) {
    index.remove(*previous);
    store.take(*previous);
  }
  make_room(entry->bytes);
  index.add(*entry);
  store.insert(std::move(entry));
}

void CacheImpl::make_room(std::uint64_t bytes) {
  while (store.bytes() + bytes > limits.bytes_max) {
    Entry* victim = store.victim();
    CHECK(victim);
    remove({victim}, InvalidationCause::kEvict);
  }
}

}  // namespace pgcache::cache
