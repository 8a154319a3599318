// SPDX-License-Identifier: Apache-2.0
// Changes of definitions, as the stream tells them in commit order and as the control thread reads
// them (cache_impl.h).
#include <algorithm>
#include <limits>
#include <utility>

#include "cache/cache_impl.h"

namespace pgcache::cache {

namespace {

// Catalogs of which it is remembered what they show. What only older ones would tell counts as
// changed.
constexpr std::size_t kCatalogsMax = 16;
// More changes that wait to be read than this are not told from each other.
constexpr std::size_t kPendingMax = 256;

// Whether the shape rests on the change, and was analysed before generation `shown`, whose catalog
// is the first to show it.
bool is_outdated(const Shape& shape, const pg::DefinitionChange& change, std::uint64_t shown) {
  return shape.generation < shown && change.touches(shape.analysis.cacheable()->definitions);
}

}  // namespace

void CacheImpl::redefine(const pg::DefinitionChange& change, pg::Xid xid) {
  remove_outdated(change, generation_that_shows(xid));
  const std::lock_guard front(front_mutex);
  distrust(change);
  if (definitions_read && definitions_read->sees(xid)) return;
  const bool told_apart = pending_definitions.size() < kPendingMax;
  pending_definitions.push_back({xid, told_apart ? change : pg::DefinitionChange::of_everything()});
  note_pending();
}

std::uint64_t CacheImpl::generation_that_shows(pg::Xid xid) const {
  for (const CatalogRead& read : catalogs_read) {
    if (read.snapshot.sees(xid)) return read.shape_generation;
  }
  return std::numeric_limits<std::uint64_t>::max();
}

bool CacheImpl::is_outdated_by(const LoggedTransaction& transaction, const Shape& shape) const {
  return is_outdated(shape, transaction.definitions, generation_that_shows(transaction.xid));
}

void CacheImpl::remove_outdated(const pg::DefinitionChange& change, std::uint64_t shown) {
  drop(index.all_of([&](const Shape& shape) { return is_outdated(shape, change, shown); }),
       InvalidationCause::kDdl);
}

void CacheImpl::distrust(const pg::DefinitionChange& change) {
  if (change.everything) return distrust_images();
  for (const pg::Oid relation : change.relations) {
    distrust_images_of(relation);
    tracking.close_gate_of(relation);
  }
}

bool CacheImpl::is_pending(const sql::CacheableQuery& query) const {
  return std::any_of(pending_definitions.begin(), pending_definitions.end(),
                     [&](const auto& p) { return p.change.touches(query.definitions); });
}

void CacheImpl::note_pending() {
  pending_count.store(pending_definitions.size(), std::memory_order_release);
}

void Cache::on_catalog_changed(CatalogUpdate update) {
  CacheImpl& c = *impl_;
  CacheImpl::Everything everything;
  Waiters woken;
  {
    const CacheImpl::ApplyLock apply_lock(c);
    const std::lock_guard front(c.front_mutex);
    c.shape_generation_min = update.shape_generation;
    c.catalog.swap(update.catalog);  // the old one is destroyed behind the locks
    c.definitions_read = update.snapshot;
    if (update.snapshot) {
      c.catalogs_read.push_back({update.shape_generation, *std::move(update.snapshot)});
      if (c.catalogs_read.size() > kCatalogsMax) c.catalogs_read.pop_front();
    }
    c.tracking.forget_untrackable();
    c.distrust(update.change);
    for (auto& [relation, wish] : c.copy_wishes) {
      if (wish == CacheImpl::CopyWish::kUseless) wish = CacheImpl::CopyWish::kWanted;
    }
    if (update.change.everything) {
      ++c.epoch;
      everything = c.take_everything();
    } else {
      c.remove_outdated(update.change, update.shape_generation);
    }
    woken = c.settled_waiters();
  }
  c.count_everything(everything, InvalidationCause::kDdl);
  fire_all(woken);
}

void Cache::on_definitions_read(const pg::Snapshot& snapshot) {
  CacheImpl& c = *impl_;
  const std::lock_guard apply_lock(c.apply_mutex);
  const std::lock_guard front(c.front_mutex);
  c.definitions_read = snapshot;
  std::erase_if(c.pending_definitions, [&](const auto& p) { return snapshot.sees(p.xid); });
  c.note_pending();
}

std::uint64_t Cache::definitions_pending() const {
  return impl_->pending_count.load(std::memory_order_acquire);
}

}  // namespace pgcache::cache
