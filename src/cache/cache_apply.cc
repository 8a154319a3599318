// SPDX-License-Identifier: Apache-2.0
// Applying transactions from the stream: log, remove what they affect, advance (cache_impl.h).
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "cache/cache_impl.h"
#include "cdc/definition_message.h"

namespace pgcache::cache {

namespace {

// Row changes that are applied under one hold of the apply mutex.
constexpr std::size_t kChunk = 256;

InvalidationCause cause_of(cdc::ChangeKind kind) {
  switch (kind) {
    case cdc::ChangeKind::kInsert:
      return InvalidationCause::kInsert;
    case cdc::ChangeKind::kUpdate:
      return InvalidationCause::kUpdate;
    case cdc::ChangeKind::kDelete:
      return InvalidationCause::kDelete;
    case cdc::ChangeKind::kTruncate:
      return InvalidationCause::kTruncate;
  }
  return InvalidationCause::kUpdate;
}

}  // namespace

void Cache::apply(const std::shared_ptr<const cdc::Transaction>& transaction) {
  impl_->apply(transaction);
  on_position(transaction->end_lsn);
}

void CacheImpl::apply(const TransactionPtr& transaction) {
  transactions.fetch_add(1, std::memory_order_relaxed);
  row_changes.fetch_add(transaction->changes.size(), std::memory_order_relaxed);
  pg::Xid xid;
  {
    const std::lock_guard front(front_mutex);
    xid = pg::widen_xid(transaction->xid, snapshots.reference());
  }
  take_in_copies();
  const Resolved resolved = resolve_images(*transaction, xid);
  Everything everything;
  bool drops_all = false;
  {
    const ApplyLock apply_lock(*this);
    pg::DefinitionChange change = cdc::definitions_changed(transaction->messages, catalog.get());
    if (!change.empty()) redefine(change, xid);
    LoggedTransaction logged =
        log_entry(transaction, xid, resolved.epoch == images_epoch ? resolved.images : nullptr);
    logged.definitions = std::move(change);
    if (logged.relations.empty() && logged.definitions.empty()) return finish_transaction();
    drops_all = std::any_of(logged.relations.begin(), logged.relations.end(),
                            [this](pg::Oid oid) { return is_unknown_relation(oid); });
    log.append(std::move(logged));
    note_log_size();
    if (drops_all) {
      images.drop_all();
      copies.drop_all();
      everything = take_everything();
    } else {
      apply_whole_relations(*transaction);
    }
  }
  if (drops_all) {
    count_everything(everything, InvalidationCause::kDdl);
    return;
  }
  const std::vector<cdc::RowChange>& changes = transaction->changes;
  if (changes.empty()) {
    const ApplyLock apply_lock(*this);
    return finish_transaction();
  }
  for (std::size_t begin = 0; begin < changes.size(); begin += kChunk) {
    const ApplyLock apply_lock(*this);
    const bool is_resolved = resolved.images && resolved.epoch == images_epoch;
    const std::size_t end = std::min(changes.size(), begin + kChunk);
    for (std::size_t i = begin; i < end; ++i) {
      apply_change(changes[i], is_resolved ? resolved.images->of(i) : nullptr);
    }
    if (end == changes.size()) finish_transaction();
  }
}

void CacheImpl::apply_change(const cdc::RowChange& change, const std::string* stored) {
  const pg::Oid relation = change.relation->oid;
  if (!index.knows(relation)) return;
  const ChangeImages seen(change, forms.form_of(change.relation), stored);
  const PartnerSearch partners{copies, settled_below};
  remove_changed(relation, index.affected_by(seen, copies.empty() ? nullptr : &partners),
                 cause_of(change.kind));
}

// One that has just come, as the stream told, belongs to nothing that is cached.
bool CacheImpl::is_unknown_relation(pg::Oid relation) const {
  if (!catalog || catalog->find_relation(relation) != nullptr) return false;
  return std::none_of(pending_definitions.begin(), pending_definitions.end(),
                      [&](const auto& p) { return p.change.touches({relation}); });
}

void CacheImpl::apply_whole_relations(const cdc::Transaction& transaction) {
  for (const auto& relation : transaction.overflowed_relations) {
    remove_changed(relation->oid, index.all_reading_rows_of(relation->oid),
                   InvalidationCause::kUpdate);
  }
  for (const auto& relation : transaction.changed_relations) {
    remove(index.all_over(relation->oid), InvalidationCause::kDdl);
  }
}

void CacheImpl::remove(const std::vector<Entry*>& entries, InvalidationCause cause) {
  if (entries.empty()) return;
  for (Entry* entry : entries) {
    entry->shape->stats.invalidations.fetch_add(1, std::memory_order_relaxed);
    index.remove(*entry);
    removed.add(store.take(*entry));
  }
  invalidations[static_cast<std::size_t>(cause)].fetch_add(entries.size(),
                                                           std::memory_order_relaxed);
}

void CacheImpl::destroy_removed() {
  RemovedEntries remains;
  // Proofs of freshness come this way and do not wait for the applier, who has the lock for most of
  // a large transaction.
  const std::unique_lock apply_lock(apply_mutex, std::try_to_lock);
  if (apply_lock) remains.swap(removed);
}

void CacheImpl::remove_changed(pg::Oid relation, const std::vector<Entry*>& entries,
                               InvalidationCause cause) {
  if (entries.empty()) return;
  RelationPrecision& counts = precision[relation];
  counts.relation = relation;
  counts.invalidations += entries.size();
  for (const Entry* entry : entries) counts.coarse += entry->coarse ? 1 : 0;
  remove(entries, cause);
}

CacheImpl::Everything CacheImpl::take_everything() noexcept {
  Everything everything;
  everything.index = index.clear();
  everything.images = images.take_remains();
  everything.copies = copies.take_remains();
  everything.entries = store.clear();
  return everything;
}

void CacheImpl::count_everything(const Everything& everything, InvalidationCause cause) noexcept {
  std::uint64_t count = 0;
  for (const Store::Map& map : everything.entries) {
    count += map.size();
    for (const Store::Slot& slot : map) {
      slot.entry->shape->stats.invalidations.fetch_add(1, std::memory_order_relaxed);
    }
  }
  invalidations[static_cast<std::size_t>(cause)].fetch_add(count, std::memory_order_relaxed);
}

CacheImpl::Everything CacheImpl::give_up() noexcept {
  log_error("the cache failed in the middle of a change to it: all of it is dropped");
  ++images_epoch;
  images.clear();
  copies.clear();
  log.forget_images();
  note_log_size();
  Everything everything = take_everything();
  count_everything(everything, InvalidationCause::kRestart);
  return everything;
}

}  // namespace pgcache::cache
