// SPDX-License-Identifier: Apache-2.0
// Copies of small tables (table_copies.h): which are wanted, how they come in, and which entries
// they count for (partner_search.h).
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "cache/cache_impl.h"

namespace pgcache::cache {

namespace {

constexpr std::size_t kWishesMax = 4'096;
// Measurements that wait for their positions to be applied. Of more, some are left out.
constexpr std::size_t kMeasuredMax = 16;

bool holds(const std::vector<std::shared_ptr<const cdc::StreamRelation>>& relations,
           pg::Oid relation) {
  return std::any_of(relations.begin(), relations.end(),
                     [&](const auto& r) { return r->oid == relation; });
}

// The transaction's changes of the copied table. False: they cannot be told.
bool go_past(const cdc::Transaction& transaction, pg::Xid xid, TableCopy& copy,
             const pg::Catalog* catalog) {
  if (holds(transaction.overflowed_relations, copy.relation())) return false;
  if (holds(transaction.changed_relations, copy.relation())) return false;
  for (const cdc::RowChange& change : transaction.changes) {
    const pg::Oid changed = change.relation->oid;
    if (changed == copy.relation()) {
      StoredRow ignored;
      if (!copy.step(change, xid, ignored)) return false;
      continue;
    }
    const pg::Relation* const root = catalog ? catalog->find_relation(changed) : nullptr;
    if (root != nullptr && root->kind == 'p' &&
        std::find(root->descendants.begin(), root->descendants.end(), copy.relation()) !=
            root->descendants.end()) {
      return false;  // published in the name of the root
    }
  }
  return true;
}

}  // namespace

// ---------------------------------------------------------------- entries

void CacheImpl::want_copies(const Entry& entry) {
  if (!copies.enabled()) return;
  bool has_partners = false;
  for (const sql::Dependency& dependency : entry.shape->analysis.cacheable()->dependencies) {
    for (const sql::Partner& partner : dependency.partners) {
      has_partners = true;
      for (const pg::Oid table : partner.tables) {
        if (copy_wishes.size() < kWishesMax) copy_wishes.try_emplace(table, CopyWish::kWanted);
      }
    }
  }
  if (has_partners) last_to_settle.store(entry.number + 1, std::memory_order_relaxed);
}

void Cache::on_measure_begins() { impl_->measures_begun.fetch_add(1); }

void Cache::on_measured(pg::Lsn insert_position, const pg::Snapshot& snapshot) {
  CacheImpl& c = *impl_;
  const std::lock_guard apply_lock(c.apply_mutex);
  const std::uint64_t number = c.measures_begun.load();
  c.last_measured.store(number, std::memory_order_relaxed);
  if (insert_position.value == 0) return;
  if (c.measured.size() == kMeasuredMax) c.measured.pop_back();
  c.measured.push_back({number, insert_position, snapshot});
}

// What was committed before this transaction in the WAL has come before it in the stream.
void CacheImpl::begin_transaction(const cdc::Transaction& transaction) {
  const pg::Lsn applied = std::max(freshness.applied(), transaction.commit_lsn);
  copies.begin(fault(&Faults::early_copies) ? pg::Lsn{UINT64_MAX} : applied);
  std::optional<pg::Snapshot> visible;
  while (!measured.empty() && measured.front().position <= applied) {
    settled_below = measured.front().number;
    visible = std::move(measured.front().snapshot);
    measured.pop_front();
  }
  if (visible && !fault(&Faults::forget_early)) copies.forget(*visible);
}

void CacheImpl::finish_transaction() {
  if (fault(&Faults::forget_early)) copies.forget(pg::Snapshot{{UINT64_MAX}, {UINT64_MAX}, {}});
  note_copies();
}

// ---------------------------------------------------------------- copies

std::vector<pg::Oid> Cache::copies_wanted() {
  CacheImpl& c = *impl_;
  std::vector<pg::Oid> wanted;
  const std::unique_lock apply_lock(c.apply_mutex, std::try_to_lock);
  if (!apply_lock) return wanted;  // the next time will do
  std::erase_if(c.copy_wishes, [&](const auto& wish) {
    return wish.second != CacheImpl::CopyWish::kOnItsWay && c.catalog &&
           c.catalog->find_relation(wish.first) == nullptr;
  });
  for (const auto& [relation, wish] : c.copy_wishes) {
    if (wish == CacheImpl::CopyWish::kWanted && !c.copies.holds(relation)) {
      wanted.push_back(relation);
    }
  }
  return wanted;
}

std::shared_ptr<CopyLoad> Cache::begin_copy(pg::Oid relation) {
  CacheImpl& c = *impl_;
  auto load = std::make_shared<CopyState>(impl_);
  const std::lock_guard apply_lock(c.apply_mutex);
  const std::lock_guard front(c.front_mutex);
  const SnapshotPtr current = c.snapshots.current();
  const auto wish = c.copy_wishes.find(relation);
  if (!current || wish == c.copy_wishes.end() ||
      c.tracking.judge({relation}, *current).verdict != Tracking::Verdict::kReady) {
    return nullptr;
  }
  load->relation = relation;
  load->epoch = c.epoch;
  load->images_epoch = c.images_epoch;
  wish->second = CacheImpl::CopyWish::kOnItsWay;
  load->lease = c.snapshots.lease();
  return load;
}

void Cache::finish_copy(std::shared_ptr<CopyLoad> load, const std::optional<cdc::TableRows>& rows) {
  CHECK(load);
  auto& state = static_cast<CopyState&>(*load);
  CHECK(state.impl == impl_);
  CacheImpl& c = *impl_;
  std::shared_ptr<const pg::Catalog> catalog;
  {
    const std::lock_guard apply_lock(c.apply_mutex);
    catalog = c.catalog;
  }
  if (rows) state.copy = TableCopy::make(*rows, catalog.get(), c.copies.table_bytes_max());
  const std::lock_guard apply_lock(c.apply_mutex);
  if (!state.copy) {
    c.copy_wishes[state.relation] = CacheImpl::CopyWish::kUseless;
    return;
  }
  c.copies_come.push_back(std::static_pointer_cast<CopyState>(std::move(load)));
  c.copies_have_come.store(true, std::memory_order_release);
}

void CacheImpl::take_in_copies() {
  if (!copies_have_come.load(std::memory_order_acquire)) return;
  std::vector<std::shared_ptr<CopyState>> come;  // outlives the locks
  const ApplyLock apply_lock(*this);
  const std::lock_guard front(front_mutex);
  come.swap(copies_come);
  copies_have_come.store(false, std::memory_order_relaxed);
  for (const auto& load : come) take_in(*load);
  note_copies();
}

void CacheImpl::take_in(CopyState& load) {
  CopyWish& wish = copy_wishes[load.relation];
  wish = CopyWish::kWanted;
  const pg::Snapshot& snapshot = load.copy->snapshot();
  const bool is_pending =
      std::any_of(pending_definitions.begin(), pending_definitions.end(),
                  [&](const auto& p) { return p.change.touches({load.relation}); });
  if (load.epoch != epoch || load.images_epoch != images_epoch || is_pending ||
      !snapshot.sees_all_of(*load.lease.snapshot) || !log.covers(snapshot) ||
      tracking.judge({load.relation}, snapshot).verdict != Tracking::Verdict::kReady) {
    return;
  }
  for (const LoggedTransaction& logged : log.transactions()) {
    if (snapshot.sees(logged.xid)) continue;
    if (!go_past(*logged.transaction, logged.xid, *load.copy, catalog.get())) return;
  }
  if (!copies.add(std::move(load.copy))) wish = CopyWish::kUseless;
}

void CacheImpl::release(CopyState& load) {
  const std::lock_guard apply_lock(apply_mutex);
  const auto wish = copy_wishes.find(load.relation);
  if (wish != copy_wishes.end() && wish->second == CopyWish::kOnItsWay) {
    wish->second = CopyWish::kWanted;
  }
  const std::lock_guard front(front_mutex);
  snapshots.release(load.lease);
}

void CacheImpl::note_copies() {
  table_copies.store(copies.tables(), std::memory_order_relaxed);
  table_copy_rows.store(copies.size(), std::memory_order_relaxed);
  table_copy_bytes.store(copies.bytes(), std::memory_order_relaxed);
}

}  // namespace pgcache::cache
