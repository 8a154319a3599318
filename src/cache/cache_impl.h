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
//   Affects means for each dependency of R, unless its guard cannot hold under R's operands (then
//   no row of the relation matters, and R is on the index's idle list, which only changes of the
//   relation itself look at): the row before or after a change may match. A row before is the one
//   that the stream sent or the last image of it (image_store.h); a row of which only the key is
//   known may match whatever the key allows. The images of T are resolved before T is logged, in
//   stream order, and kept with it in the log, so that publish tests the same rows as apply.
//   Where the copies of small tables show that a row finds no partners (sql::Partner), it does not
//   matter to R if R is settled: all that R's query may have seen was applied before T
//   (partner_search.h). Then R is the query's result on the state before T in the order of commits,
//   and that state, with T's changes, is what the copies hold while T is applied. publish, which
//   tests R against transactions that it may be ahead of, does not ask them.
//   Where R shows the keys of all rows that it depends on, a row before whose key R does not show
//   does not matter: follow the changes that R's query did not see, in commit order; as long as
//   none affects R, R is the query's result on the state before the next, and so shows the key of
//   every row of that state that it depends on.
//   T may change definitions too (event triggers on the origin tell; cdc/definition_message.h).
//   Then T affects whatever rests on what it changed and may have been loaded, or analysed, before:
//   all but what was analysed with a catalog that shows T, since its query was sent after that
//   catalog was read. Until a catalog that shows T has been read, nothing that rests on the change
//   is published; from then on nothing of a shape that the new catalog replaced is.
//   The stream knows of T only if the slot decodes it and the publication covers the relation. The
//   snapshot must therefore see all that the slot's exported snapshot sees (else T may have
//   committed before the slot began), and have xmin >= the relation's fence (tracking.h).
//
// Locks, in the order in which they may be taken together
//
//   apply_mutex   index, log, images, copies, forms, catalog, precision, the structure of the store
//   front_mutex   snapshots, tracking, epoch, shape generations, those who wait for tracking
//   (inside the parts: a shard of the store or of the load table; freshness; proof_waiters)
//
//   A hit takes a shard's mutex only. A miss also takes front_mutex, for a few map look-ups. No
//   callback is called, and nothing large destroyed, under any of them.
//
// When memory runs out
//
//   Look-up, load and publish fail as a whole: the query goes to the origin, its result is not
//   cached, and a flight ends whatever happens. What throws while index or store are changed
//   empties both (ApplyLock). A transaction that cannot be applied means a cold start
//   (replication_link.h); until then applied_lsn stays in front of it.
#pragma once

#include <array>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "cache/cache.h"
#include "cache/dependency_index.h"
#include "cache/dropped_entries.h"
#include "cache/freshness.h"
#include "cache/image_store.h"
#include "cache/loads.h"
#include "cache/look_ahead.h"
#include "cache/proof_waiters.h"
#include "cache/removed_entries.h"
#include "cache/snapshots.h"
#include "cache/store.h"
#include "cache/table_copies.h"
#include "cache/tracking.h"
#include "cache/transaction_log.h"

namespace pgcache::cache {

struct LoadState;
struct CopyState;

struct CacheImpl : std::enable_shared_from_this<CacheImpl> {
  CacheImpl(CacheLimits the_limits, std::function<void(std::vector<pg::Oid>)> ask,
            std::function<void()> measure)
      : limits(the_limits),
        request_tracking(std::move(ask)),
        request_measure(std::move(measure)),
        freshness({.max_staleness = limits.max_staleness,
                   .needs_synchrony = limits.needs_synchrony,
                   .barred = limits.barred,
                   .keeps_every_proof = limits.proves_hits}),
        log(limits.transaction_log_bytes_max),
        images(limits.row_images_bytes_max),
        copies(limits.table_copies_bytes_max),
        dropped(limits.bytes_max / kDroppedPart) {
#ifdef PGCACHE_FAULTS
    faults.skip_log_check = limits.break_publish_check;
#endif
  }

  // Entries that are dropped and not yet taken out are this part of the budget at most.
  static constexpr std::uint64_t kDroppedPart = 16;

  // What is left when store, index and images are emptied.
  struct Everything {
    Store::Remains entries;
    DependencyIndex::Remains index;
    ImageStore::Remains images;
    TableCopies::Remains copies;
  };

  // Holds apply_mutex; the entries that are removed meanwhile are destroyed when it is released,
  // or, when they are few, with those of later ones (or by on_heartbeat(), once it is free). What
  // throws meanwhile (for want of memory) may leave index and store at odds with each other: then
  // all entries go.
  class ApplyLock {
   public:
    explicit ApplyLock(CacheImpl& impl) : impl_(impl), lock_(impl.apply_mutex) {}
    ApplyLock(CacheImpl& impl, std::try_to_lock_t)
        : impl_(impl), lock_(impl.apply_mutex, std::try_to_lock) {}
    bool is_held() const { return lock_.owns_lock(); }
    ~ApplyLock() {
      if (!lock_) return;
      if (std::uncaught_exceptions() > unwinding_) everything_.emplace(impl_.give_up());
      if (impl_.removed.is_full()) remains_.swap(impl_.removed);
    }
    ApplyLock(const ApplyLock&) = delete;
    ApplyLock& operator=(const ApplyLock&) = delete;

   private:
    CacheImpl& impl_;
    const int unwinding_ = std::uncaught_exceptions();
    std::optional<Everything> everything_;  // outlives the lock
    RemovedEntries remains_;                // likewise
    const std::unique_lock<std::mutex> lock_;
  };

  // --- proofs of freshness (cache_freshness.cc)
  void wake_proven();
  void wake_all_unproven();  // the proofs that they wait for may never come

  // --- look-up (cache_lookup.cc)
  LookupOutcome start_load(const LookupRequest& request, const HashedKey& key);
  LookupOutcome begin_flight(const LookupRequest& request, const HashedKey& key, bool may_wait);
  void add_tracking_waiter(WaiterPtr waiter, ShapePtr shape);  // front_mutex held
  void ask_for(std::vector<pg::Oid> relations, const sql::CacheableQuery& query);
  void end_load(LoadState& load);
  void end_flight(LoadState& load);

  // --- publish (cache_publish.cc); all but the first with apply_mutex held
  // A result about to be published.
  struct Candidate {
    std::unique_ptr<Entry> entry;
    std::vector<Standing> standings;
  };
  PublishOutcome publish(LoadState& load, CachedResult result);
  Candidate candidate_of(LoadState& load, CachedResult result);  // no lock
  PublishOutcome verdict_on(const LoadState& load, const Candidate& candidate);
  bool affects(const LoggedTransaction& transaction, const Candidate& candidate);
  void insert(Candidate candidate);
  void make_room(std::uint64_t bytes);

  // --- apply (cache_apply.cc); all but the first with apply_mutex held
  // Of the next transactions, as many as are small enough together. How many; one at least.
  std::size_t look_ahead(std::span<const TransactionPtr> coming);  // no lock
  // Of a large transaction, at every so manieth change: the next ones; else nothing.
  LookAhead::Changes ahead_of(const std::vector<cdc::RowChange>& changes, std::size_t i);
  void apply(const TransactionPtr& transaction);
  void apply_change(const cdc::RowChange& change, std::string_view stored);
  bool is_unknown_relation(pg::Oid relation) const;
  void apply_whole_relations(const cdc::Transaction& transaction);
  // No look-up finds them from now on. Those that had been dropped before are taken out. Under an
  // ApplyLock, like the next ones.
  void drop(const std::vector<Entry*>& entries, InvalidationCause cause);
  // The same, for changes to rows of the relation.
  void drop_changed(pg::Oid relation, const std::vector<Entry*>& entries, InvalidationCause cause);
  void count_invalidation(const Entry& entry, InvalidationCause cause);
  // Out of store and index.
  void take_out(Entry& entry);
  void take_out_some();  // of the dropped ones, those that were dropped first
  void take_out_all();   // of the dropped ones; no lock; not while somebody holds apply_mutex
  // Empties store and index under the lock; what is left is counted and destroyed without it.
  Everything take_everything() noexcept;
  void count_everything(const Everything& everything, InvalidationCause cause) noexcept;  // no lock
  // The same in an emergency, counted as a restart. Changes that are still to come are applied to
  // what is left as to any cache.
  Everything give_up() noexcept;

  // --- images of rows (cache_images.cc)
  // The rows before the transaction's changes, and the store goes past them. No lock; applier.
  struct Resolved {
    StoredImagesPtr images;  // may be null
    std::uint64_t epoch = 0;
  };
  Resolved resolve_images(const cdc::Transaction& transaction, pg::Xid xid);
  bool may_keep_images(pg::Oid relation, pg::Xid xid);  // apply_mutex held
  // Something may have changed rows unseen; apply_mutex and front_mutex held.
  void distrust_images();
  void distrust_images_of(pg::Oid relation);

  // --- copies of tables (cache_copies.cc)
  // What the applier does at the boundary of two transactions: copies that have come are taken in.
  void take_in_copies();
  void take_in(CopyState& load);         // apply_mutex and front_mutex held
  void want_copies(const Entry& entry);  // apply_mutex held
  // The copies' and the entries' state in front of a transaction; apply_mutex held.
  void begin_transaction(const cdc::Transaction& transaction);
  void finish_transaction();
  void note_copies();  // apply_mutex held
  // Entries wait to be settled.
  bool wants_measure() const {
    return last_measured.load(std::memory_order_relaxed) <
           last_to_settle.load(std::memory_order_relaxed);
  }
  void release(CopyState& load);

  // --- definitions (cache_definitions.cc); apply_mutex held
  // Drops what rests on the change, which the transaction made.
  void redefine(const pg::DefinitionChange& change, pg::Xid xid);
  // The first shape generation whose catalog shows what the transaction changed.
  std::uint64_t generation_that_shows(pg::Xid xid) const;
  // Drops the results of shapes over the change that were analysed before generation `shown`.
  void remove_outdated(const pg::DefinitionChange& change, std::uint64_t shown);
  // Images of rows from before the change are of no use; front_mutex held too.
  void distrust(const pg::DefinitionChange& change);
  // Whether the query may be analysed as before the change, or its result be of before.
  bool is_outdated_by(const LoggedTransaction& transaction, const Shape& shape) const;
  // Whether it rests on changes that have not been read; either mutex held.
  bool is_pending(const sql::CacheableQuery& query) const;
  void note_pending();  // both held

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
    bool trust_images = false;        // whatever happens to their relations
    bool keep_images_of_all = false;  // of transactions that the gates see, too
    bool miss_changes = false;        // to rows of which images are kept
    bool early_copies = false;        // are used before their position
    bool forget_early = false;        // what is removed, before that is visible
  };
#ifdef PGCACHE_FAULTS
  Faults faults;
  bool fault(bool Faults::*which) const { return faults.*which; }
#else
  static constexpr bool fault(bool Faults::*) { return false; }
#endif

  const CacheLimits limits;
  const std::function<void(std::vector<pg::Oid>)> request_tracking;
  const std::function<void()> request_measure;  // may be empty

  Freshness freshness;
  ProofWaiters proof_waiters;
  Store store;
  LoadTable loads;

  std::mutex apply_mutex;
  DependencyIndex index;
  TransactionLog log;
  ImageStore images;
  std::uint64_t images_epoch = 0;  // images resolved in an earlier one are not to be used
  TableCopies copies;
  enum class CopyWish : std::uint8_t { kWanted, kOnItsWay, kUseless };
  std::map<pg::Oid, CopyWish> copy_wishes;  // of tables without a copy, and of those with one
  std::vector<std::shared_ptr<CopyState>> copies_come;
  // Measurements whose positions are not applied yet.
  struct Measured {
    std::uint64_t number = 0;
    pg::Lsn position;
    pg::Snapshot snapshot;  // taken before the position was read
  };
  std::deque<Measured> measured;
  std::uint64_t settled_below =
      0;  // entries with a lower number are settled, for the transaction at hand
  FormCache forms;
  std::shared_ptr<const pg::Catalog> catalog;  // null: every relation is known
  // Of the last catalogs that came: the snapshot that each shows at least. Ascending.
  struct CatalogRead {
    std::uint64_t shape_generation = 0;
    pg::Snapshot snapshot;
  };
  std::deque<CatalogRead> catalogs_read;
  std::optional<pg::Snapshot> definitions_read;  // the last catalog is right as of this one
  std::map<pg::Oid, RelationPrecision> precision;
  LookAhead ahead;
  std::vector<const cdc::RowChange*> changes_ahead;  // the applier's; kept for its memory
  DroppedEntries dropped;
  RemovedEntries removed;  // under an ApplyLock

  // Changes of definitions that were applied and have not been read. Written under both mutexes.
  struct PendingDefinitions {
    pg::Xid xid;
    pg::DefinitionChange change;
  };
  std::vector<PendingDefinitions> pending_definitions;
  std::atomic<std::uint64_t> pending_count{0};

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
  std::atomic<std::uint64_t> row_images{0};
  std::atomic<std::uint64_t> row_image_bytes{0};
  std::atomic<std::uint64_t> table_copies{0};
  std::atomic<std::uint64_t> table_copy_rows{0};
  std::atomic<std::uint64_t> table_copy_bytes{0};
  std::atomic<bool> tracking_wants_snapshot{false};
  std::atomic<bool> copies_have_come{false};
  std::atomic<std::uint64_t> measures_begun{0};
  std::atomic<std::uint64_t> last_measured{0};
  std::atomic<std::uint64_t> last_to_settle{0};  // one more than the number of such an entry
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
  bool flying = false;  // others may wait for it
  std::string key;
  std::uint64_t hash = 0;
  ShapePtr shape;
  std::vector<sql::Operand> operands;
  std::string result_formats_be;
  SnapshotLease lease;
  std::uint64_t epoch = 0;
};

// What a CopyLoad is inside.
struct CopyState final : CopyLoad {
  explicit CopyState(std::shared_ptr<CacheImpl> of) : impl(std::move(of)) {}
  ~CopyState() override {
    if (lease.snapshot) impl->release(*this);
  }
  CopyState(const CopyState&) = delete;
  CopyState& operator=(const CopyState&) = delete;

  std::shared_ptr<CacheImpl> impl;
  pg::Oid relation = pg::Oid::kInvalid;
  SnapshotLease lease;
  std::uint64_t epoch = 0;
  std::uint64_t images_epoch = 0;
  std::unique_ptr<TableCopy> copy;  // once it has come
};

}  // namespace pgcache::cache
