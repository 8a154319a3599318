// SPDX-License-Identifier: Apache-2.0
// Look-ups: a hit, the right to load, or something to wait for.
#include <utility>

#include "base/check.h"
#include "cache/cache_impl.h"

namespace pgcache::cache {

LookupOutcome Cache::lookup(const LookupRequest& request, TimePoint now) {
  if (const auto reason = impl_->freshness.unavailable(now)) return Bypass{*reason};
  const HashedKey key = hashed(request.key);
  if (CachedResultPtr result = impl_->store.find(key, request.needs)) {
    return Hit{std::move(result)};
  }
  return impl_->start_load(request, key);
}

LookupOutcome CacheImpl::start_load(const LookupRequest& request, const HashedKey& key) {
  const sql::CacheableQuery* query = request.shape->analysis.cacheable();
  CHECK(query);
  const bool may_wait = request.may_wait && request.wake;
  std::vector<pg::Oid> to_ask;
  LookupOutcome outcome;
  {
    std::unique_lock front(front_mutex);
    const SnapshotPtr current = snapshots.current();
    if (!current) return Bypass{sql::BypassReason::kStarting};
    if (is_pending(*query)) return Bypass{sql::BypassReason::kDefinitions};
    const Tracking::Judgement judgement = tracking.judge(query->relations, *current);
    if (judgement.verdict == Tracking::Verdict::kUntrackable) return Bypass{judgement.reason};
    if (request.hit_only || !request.operands) return NoEntry{};
    if (!request.shape->is_of(shape_generation_min)) return NoEntry{};
    if (judgement.verdict == Tracking::Verdict::kReady) {
      front.unlock();
      return begin_flight(request, key, may_wait);
    }
    try {
      to_ask = tracking.start_asking(query->relations);
      outcome = Bypass{sql::BypassReason::kTrackingPending};
      if (judgement.verdict == Tracking::Verdict::kSoon && may_wait) {
        auto waiter = std::make_shared<Waiter>(request.wake);
        add_tracking_waiter(waiter, request.shape);
        outcome = Waiting{std::make_unique<WaitHandle>(std::move(waiter)), true};
      }
    } catch (...) {
      tracking.stop_asking(query->relations);
      throw;
    }
  }
  ask_for(std::move(to_ask), *query);
  return outcome;
}

void CacheImpl::ask_for(std::vector<pg::Oid> relations, const sql::CacheableQuery& query) {
  if (relations.empty()) return;
  try {
    request_tracking(std::move(relations));
  } catch (...) {
    const std::lock_guard front(front_mutex);
    tracking.stop_asking(query.relations);
    throw;
  }
}

void CacheImpl::add_tracking_waiter(WaiterPtr waiter, ShapePtr shape) {
  if (tracking_waiters.size() >= tracking_waiters_sweep_at) {
    std::erase_if(tracking_waiters, [](const TrackingWaiter& w) { return w.waiter->over(); });
    tracking_waiters_sweep_at = std::max<std::size_t>(64, 2 * tracking_waiters.size());
  }
  tracking_waiters.push_back({std::move(waiter), std::move(shape)});
}

LookupOutcome CacheImpl::begin_flight(const LookupRequest& request, const HashedKey& key,
                                      bool may_wait) {
  const WaiterPtr waiter = may_wait ? std::make_shared<Waiter>(request.wake) : nullptr;
  // Made before the flight begins: what fails behind that ends the flight.
  auto load = std::make_unique<LoadState>(shared_from_this());
  load->key = key.bytes;
  load->hash = key.hash;
  switch (loads.begin(key, waiter)) {
    case LoadTable::Turn::kJoined:
      return Waiting{std::make_unique<WaitHandle>(waiter), false};
    case LoadTable::Turn::kBusy:
      return NoEntry{};
    case LoadTable::Turn::kStarted:
      break;
  }
  load->in_flight = load->flying = true;
  // Another load may have been published between our look into the store and our turn.
  if (CachedResultPtr result = store.find(key, request.needs)) {
    return Hit{std::move(result)};
  }
  load->shape = request.shape;
  load->operands = *request.operands;
  load->result_formats_be = request.result_formats_be;
  {
    const std::lock_guard front(front_mutex);
    if (!snapshots.current()) return Bypass{sql::BypassReason::kStarting};
    load->lease = snapshots.lease();
    load->epoch = epoch;
  }
  return StartLoad{std::move(load)};
}

void CacheImpl::end_load(LoadState& load) {
  load.in_flight = false;
  if (load.lease.snapshot) {
    const std::lock_guard front(front_mutex);
    snapshots.release(load.lease);
  }
  if (load.flying) end_flight(load);
}

void CacheImpl::end_flight(LoadState& load) {
  load.flying = false;
  fire_all(loads.finish({load.key, load.hash}));
}

}  // namespace pgcache::cache
