// SPDX-License-Identifier: Apache-2.0
// The cache's parts and the locks that guard them. Internal to the module.
//
// How a stale result is kept out
//
//   A load carries a snapshot that was taken on the origin before its query is sent: the result
//   holds everything that the snapshot sees. Transactions come from the stream in commit order,
//   which is not the order in which they become visible, so a load may or may not have seen a
//   transaction that its snapshot does not see, whether that was applied before or after the load
//   began.
//
//   apply:    log the transaction; remove the entries that it affects; advance applied_lsn.
//   publish:  if a logged transaction that the snapshot does not see affects the result, drop it;
//   else
//             insert it.
//
//   Both under apply_mutex. For a transaction T and a result R that T affects:
//   - the snapshot of R sees T: R holds T's effect.
//   - T is applied after R is published: apply removes R.
//   - T is applied before R is published: T is in the log then, since it leaves only when every
//   snapshot
//     in use (R's is one) sees it, or by force; and then its id is among the forgotten, which the
//     snapshot must see. So publish finds it.
//   A long transaction is applied in chunks and apply_mutex released in between. That is safe
//   because it is logged first: what is published between two chunks was tested against all of it.
//   The stream knows of T only if the slot decodes it and the publication covers the relation. The
//   snapshot must therefore see all that the slot's exported snapshot sees (else T may have
//   committed before the slot began), and have xmin >= the relation's fence (tracking.h).
//
// Locks, in the order in which they may be taken together
//
//   apply_mutex   index, log, forms, catalog, the structure of the store
//   front_mutex   snapshots, tracking, epoch, shape generations, those who wait for tracking
//   (inside the parts: a shard of the store or of the load table; freshness)
//
//   A hit takes a shard's mutex only. A miss also takes front_mutex, for a few map look-ups. No
//   callback is called, and nothing large destroyed, under any of them.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "cache/cache.h"
#include "cache/dependency_index.h"
#include "cache/freshness.h"
#include "cache/loads.h"
#include "cache/snapshots.h"
#include "cache/store.h"
#include "cache/tracking.h"
#include "cache/transaction_log.h"

namespace pgcache::cache {

struct LoadState;

struct CacheImpl : std::enable_shared_from_this<CacheImpl> {
  CacheImpl(CacheLimits the_limits, std::function<void(std::vector<pg::Oid>)> ask)
      : limits(the_limits),
        request_tracking(std::move(ask)),
        freshness(limits.max_staleness),
        log(limits.transaction_log_bytes_max) {
#ifdef PGCACHE_FAULTS
    faults.skip_log_check = limits.break_publish_check;
#endif
  }

  // --- look-up (cache_lookup.cc)
  LookupOutcome start_load(const LookupRequest& request, const HashedKey& key);
  LookupOutcome begin_flight(const LookupRequest& request, const HashedKey& key, bool may_wait);
  void add_tracking_waiter(WaiterPtr waiter, ShapePtr shape);  // front_mutex held
  void end_load(LoadState& load);

  // --- publish (cache_publish.cc); all but the first with apply_mutex held
  PublishOutcome publish(LoadState& load, CachedResult result);
  PublishOutcome verdict_on(const LoadState& load);
  bool affects(const LoggedTransaction& transaction, const LoadState& load);
  void insert(std::unique_ptr<Entry> entry);
  void make_room(std::uint64_t bytes);

  // --- apply (cache_apply.cc); all but the first with apply_mutex held
  void apply(const TransactionPtr& transaction);
  bool is_unknown_relation(pg::Oid relation) const;
  void apply_whole_relations(const cdc::Transaction& transaction);
  void remove(const std::vector<Entry*>& entries, InvalidationCause cause);
  // Empties store and index under the lock; what is left is counted and destroyed without it.
  struct Everything {
    Store::Remains entries;
    DependencyIndex::Nodes nodes;
  };
  Everything take_everything();
  void count_everything(const Everything& everything, InvalidationCause cause);  // no lock

  // --- the control thread (cache_control.cc)
  Waiters settled_waiters();  // front_mutex held; those whose wait for tracking is over
  void note_log_size();       // apply_mutex held
  void note_tracking();       // front_mutex held

  // Ways to be wrong, for the proof that the model test would notice. Constant in a release.
  struct Faults {
    bool skip_log_check = false;
    bool trim_all = false;
    bool forget_silently = false;
    bool ignore_fences = false;
  };
#ifdef PGCACHE_FAULTS
  Faults faults;
  bool fault(bool Faults::*which) const { return faults.*which; }
#else
  static constexpr bool fault(bool Faults::*) { return false; }
#endif

  const CacheLimits limits;
  const std::function<void(std::vector<pg::Oid>)> request_tracking;

  Freshness freshness;
  Store store;
  LoadTable loads;

  std::mutex apply_mutex;
  DependencyIndex index;
  TransactionLog log;
  FormCache forms;
  std::shared_ptr<const pg::Catalog> catalog;  // null: every relation is known

  std::mutex front_mutex;
  SnapshotBook snapshots;
  Tracking tracking;
  // Loads of an earlier epoch, and shapes of an earlier generation, cannot be published.
  std::uint64_t epoch = 0;
  std::uint64_t shape_generation_min = 0;
  struct TrackingWaiter {
    WaiterPtr waiter;
    ShapePtr shape;
  };
  std::vector<TrackingWaiter> tracking_waiters;
  std::size_t tracking_waiters_sweep_at = 64;  // drop cancelled ones when there are so many

  std::array<std::atomic<std::uint64_t>, kInvalidationCauseCount> invalidations{};
  std::array<std::atomic<std::uint64_t>, std::size(kPublishOutcomeLabels)> publish_outcomes{};
  std::atomic<std::uint64_t> row_changes{0};
  std::atomic<std::uint64_t> transactions{0};
  std::atomic<std::uint64_t> log_transactions{0};
  std::atomic<std::uint64_t> log_bytes{0};
  std::atomic<bool> tracking_wants_snapshot{false};
};

// What a Load is inside. Ends the flight when it goes, published or not.
struct LoadState final : Load {
  explicit LoadState(std::shared_ptr<CacheImpl> of) : impl(std::move(of)) {}
  ~LoadState() override {
    if (in_flight) impl->end_load(*this);
  }
  LoadState(const LoadState&) = delete;
  LoadState& operator=(const LoadState&) = delete;

  std::shared_ptr<CacheImpl> impl;
  bool in_flight = false;
  std::string key;
  std::uint64_t hash = 0;
  ShapePtr shape;
  std::vector<sql::Operand> operands;
  SnapshotLease lease;
  std::uint64_t epoch = 0;
};

}  // namespace pgcache::cache
