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
  apply(std::span(&transaction, 1));
}

void Cache::apply(std::span<const std::shared_ptr<const cdc::Transaction>> transactions) {
  std::size_t reached = 0;
  for (std::size_t i = 0; i < transactions.size(); ++i) {
    if (i == reached) reached += impl_->look_ahead(transactions.subspan(i));
    impl_->apply(transactions[i]);
    on_position(transactions[i]->end_lsn);
  }
}

LookAhead::Changes CacheImpl::ahead_of(const std::vector<cdc::RowChange>& changes, std::size_t i) {
  changes_ahead.clear();
  if (changes.size() <= LookAhead::kChanges || i % LookAhead::kChanges != 0) return {};
  const std::size_t end = std::min(changes.size(), i + LookAhead::kChanges);
  for (; i < end; ++i) changes_ahead.push_back(&changes[i]);
  return changes_ahead;
}

std::size_t CacheImpl::look_ahead(std::span<const TransactionPtr> coming) {
  std::vector<const cdc::RowChange*>& changes = changes_ahead;
  changes.clear();
  ahead.forget();
  std::size_t count = 0;
  for (const TransactionPtr& transaction : coming) {
    if (changes.size() + transaction->changes.size() > LookAhead::kChanges) break;
    for (const cdc::RowChange& change : transaction->changes) changes.push_back(&change);
    ++count;
  }
  if (changes.size() > 1) {
    const std::lock_guard lock(apply_mutex);
    ahead.reach_images(changes, images);
    ahead.reach_entries(changes, index, forms);
  }
  return std::max<std::size_t>(count, 1);
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
      if (const auto next = ahead_of(changes, i); !next.empty()) {
        ahead.reach_entries(next, index, forms);
      }
      apply_change(changes[i], is_resolved ? resolved.images->of(i) : std::string_view{});
    }
    if (end == changes.size()) finish_transaction();
  }
}

void CacheImpl::apply_change(const cdc::RowChange& change, std::string_view stored) {
  const pg::Oid relation = change.relation->oid;
  if (!index.knows(relation)) return;
  const ChangeImages seen(change, forms.form_of(change.relation), stored,
                          ahead.take_parsed(change));
  const PartnerSearch partners{copies, settled_below};
  drop_changed(relation, index.affected_by(seen, copies.empty() ? nullptr : &partners),
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
    drop_changed(relation->oid, index.all_reading_rows_of(relation->oid),
                 InvalidationCause::kUpdate);
  }
  for (const auto& relation : transaction.changed_relations) {
    drop(index.all_over(relation->oid), InvalidationCause::kDdl);
  }
}

void CacheImpl::drop(const std::vector<Entry*>& entries, InvalidationCause cause) {
  for (Entry* entry : entries) {
    if (entry->is_dropped()) {
      // A second change has come by: no third one shall.
      take_out(*entry);
      continue;
    }
    count_invalidation(*entry, cause);
    entry->doomed = false;
    store.drop(*entry);
    dropped.add(*entry);
  }
  while (dropped.is_full()) take_out_some();
}

void CacheImpl::count_invalidation(const Entry& entry, InvalidationCause cause) {
  entry.shape->stats.invalidations.fetch_add(1, std::memory_order_relaxed);
  invalidations[static_cast<std::size_t>(cause)].fetch_add(1, std::memory_order_relaxed);
}

void CacheImpl::take_out(Entry& entry) {
  if (entry.is_dropped()) dropped.forget(entry);
  index.remove(entry);
  removed.add(store.take(entry));
}

void CacheImpl::take_out_some() {
  constexpr std::size_t kSome = 64;
  std::array<Entry*, kSome> some;
  std::size_t count = 0;
  dropped.each([&](Entry& entry) {
    some[count++] = &entry;
    return count < kSome;
  });
  each_reached(
      count, [&](std::size_t i) { prefetch_all(*some[i]); },
      [&](std::size_t i) {
        prefetch_what_it_holds(*some[i]);
        store.prefetch(some[i]->hash);
      },
      [&](std::size_t i) { take_out(*some[i]); });
}

void CacheImpl::take_out_all() {
  constexpr int kRoundsMax = 256;
  try {
    for (int round = 0; round < kRoundsMax; ++round) {
      RemovedEntries remains;  // destroyed without the lock
      // Proofs of freshness come this way and do not wait for the applier, who has the lock for
      // most of a large transaction.
      const ApplyLock apply_lock(*this, std::try_to_lock);
      if (!apply_lock.is_held()) return;
      take_out_some();
      remains.swap(removed);
      if (dropped.count() == 0) return;
    }
  } catch (const std::bad_alloc&) {
    // All entries are gone (ApplyLock).
  }
}

void CacheImpl::drop_changed(pg::Oid relation, const std::vector<Entry*>& entries,
                             InvalidationCause cause) {
  if (entries.empty()) return;
  RelationPrecision& counts = precision[relation];
  counts.relation = relation;
  for (const Entry* entry : entries) {
    if (entry->is_dropped()) continue;
    ++counts.invalidations;
    counts.coarse += entry->coarse ? 1 : 0;
  }
  drop(entries, cause);
}

CacheImpl::Everything CacheImpl::take_everything() noexcept {
  Everything everything;
  dropped.clear();
  everything.index = index.clear();
  everything.images = images.take_remains();
  everything.copies = copies.take_remains();
  everything.entries = store.clear();
  return everything;
}

void CacheImpl::count_everything(const Everything& everything, InvalidationCause cause) noexcept {
  std::uint64_t count = 0;
  for (const Store::Map& map : everything.entries) {
    map.each([&](const Entry& entry) {
      if (entry.is_dropped()) return;  // counted when it was dropped
      ++count;
      entry.shape->stats.invalidations.fetch_add(1, std::memory_order_relaxed);
    });
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
