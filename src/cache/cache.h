// SPDX-License-Identifier: Apache-2.0
// The cache's interface: look up, load, publish, apply, evict.
//
// Threads: lookup/publish/abandon from any worker; apply and the stream's events from the applier
// thread only; snapshots, coverage and catalog from the control thread. Cached results are
// immutable. Callbacks are called without any lock held.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "cache/shape_table.h"
#include "cdc/row_change.h"
#include "cdc/table_rows.h"
#include "pg/definition_change.h"
#include "pg/ids.h"
#include "sql/analysis.h"

namespace pgcache::cache {

struct CacheLimits {
  std::uint64_t bytes_max = 1ull << 30;
  std::uint64_t result_bytes_max = 8ull << 20;
  std::uint64_t transaction_log_bytes_max = 64ull << 20;
  std::uint64_t row_images_bytes_max = 64ull << 20;    // 0: none are kept
  std::uint64_t table_copies_bytes_max = 16ull << 20;  // 0: none are kept
  Duration max_staleness = std::chrono::seconds(1);
  // Nothing is served unless commits at the origin wait for pgcache (on_synchrony).
  bool needs_synchrony = false;
  // Nothing is served while it is not zero (FreshnessRules::barred); outlives the cache. Null:
  // nobody writes it.
  const std::atomic<std::uint32_t>* barred = nullptr;
  // Hits are served behind proofs that were asked for on their behalf (wait_for_proof).
  bool proves_hits = false;
  bool break_publish_check = false;  // test-only, without effect in a release build
};

// The immutable wire frames of one answer.
struct CachedResult {
  std::string row_description;  // the RowDescription (or NoData) frame; empty when the load's
                                // client did not ask for it
  std::string rows;             // DataRow frames, then CommandComplete
  std::uint64_t row_count = 0;
  std::chrono::nanoseconds load_time{0};  // what the origin took
  bool parsed = false;  // the text was parsed in the same exchange, with no notice
  // The answer to an Execute with a row limit, which ended it: `rows` ends with PortalSuspended.
  bool suspended = false;
  // It was made by several Executes, the last of which ended then: the origin may have reloaded its
  // configuration between two of them, and the rows before and behind differ in form.
  std::optional<TimePoint> portions_ended = std::nullopt;

  // Where the last DataRow ends.
  std::size_t rows_end() const {
    constexpr std::size_t kHeader = 5;  // of PortalSuspended, or of CommandComplete before its tag
    return (suspended ? rows.size() : rows.rfind("SELECT ")) - kHeader;
  }
};
// What a result must have to answer a request.
struct ResultNeeds {
  bool row_description = false;
  bool parsed = false;  // a Parse is answered with it, and might have brought a notice
};
using CachedResultPtr = std::shared_ptr<const CachedResult>;

enum class InvalidationCause : std::uint8_t {
  kInsert,
  kUpdate,
  kDelete,
  kTruncate,
  kDdl,
  kEvict,
  kRestart
};
inline constexpr std::string_view kInvalidationCauseLabels[] = {
    "insert", "update", "delete", "truncate", "ddl", "evict", "restart"};
inline constexpr std::size_t kInvalidationCauseCount = std::size(kInvalidationCauseLabels);

// Why a finished load did not become Ready.
enum class PublishOutcome : std::uint8_t {
  kPublished,
  kAffected,        // a transaction that its snapshot does not see changes it
  kSnapshotTooOld,  // older than the log, the start of the stream, or the tracking of a relation
  kTooLarge,
  kObsolete,  // the cache was reset, or the catalog changed, while it loaded
  kFailed,    // no memory for it
};
inline constexpr std::string_view kPublishOutcomeLabels[] = {
    "published", "affected", "snapshot_too_old", "too_large", "obsolete", "failed"};

// The right, and duty, to load one key. Dropping it without publish() abandons the load and wakes
// those who wait for it.
class Load {
 public:
  virtual ~Load() = default;
};

// The right, and duty, to copy one table. Dropping it without finish_copy() gives up.
class CopyLoad {
 public:
  virtual ~CopyLoad() = default;
};

// Waiting for somebody else's load, for a relation to become tracked, or for a proof of freshness.
// Dropping it cancels: after the destructor returns the callback is not called any more (unless it
// is already running).
class Wait {
 public:
  virtual ~Wait() = default;
};

struct LookupRequest {
  std::string_view key;                // whole result key; compared whole
  std::shared_ptr<const Shape> shape;  // cacheable
  const std::vector<sql::Operand>* operands =
      nullptr;  // copied when a load starts. May be null when
                // lookup is only to test for a hit (hit_only)
  ResultNeeds needs;
  std::string_view result_formats_be;  // of the result's columns, as in Bind; copied with operands
  bool hit_only = false;               // yield Hit or Bypass or NoEntry, start nothing
  bool may_wait = true;                // false: go on alone when somebody else loads it
  // Called once, on any thread, when a Wait is over (perhaps before lookup returns); then look up
  // again with may_wait = false.
  std::function<void()> wake;
};

struct Hit {
  CachedResultPtr result;
};
struct StartLoad {
  std::unique_ptr<Load> load;
};
struct Waiting {
  std::unique_ptr<Wait> wait;
  bool for_tracking = false;
};
struct NoEntry {};  // a miss that nobody may publish (hit_only, or others are loading)
struct Bypass {
  sql::BypassReason reason;
};
using LookupOutcome = std::variant<Hit, StartLoad, Waiting, NoEntry, Bypass>;

// A catalog that was read from the origin.
struct CatalogUpdate {
  // That this catalog began in the table of shapes: results of shapes that are not of it are not
  // published any more.
  std::uint64_t shape_generation = 0;
  // A change to a relation that it does not know (a new partition, say) drops everything, since it
  // may belong to anything; a null catalog knows every relation.
  std::shared_ptr<const pg::Catalog> catalog;
  // It shows at least what this one sees; nothing: not known, or of another server than the stream.
  std::optional<pg::Snapshot> snapshot = std::nullopt;
  // All in which it may differ from the one before.
  pg::DefinitionChange change = pg::DefinitionChange::of_everything();
};

struct CacheStatus {
  bool serving = false;
  std::string not_serving_reason;  // empty while serving
  pg::Lsn applied_lsn;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  double freshness_seconds = 0;  // age of the last proof of freshness
  std::uint64_t log_transactions = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t loads_in_flight = 0;
  std::uint64_t invalidations[kInvalidationCauseCount] = {};
  std::uint64_t publish_outcomes[std::size(kPublishOutcomeLabels)] = {};
  std::uint64_t row_changes = 0;
  std::uint64_t transactions = 0;
  std::uint64_t row_images = 0;
  std::uint64_t row_image_bytes = 0;
  std::uint64_t table_copies = 0;  // small tables that are kept whole
  std::uint64_t table_copy_rows = 0;
  std::uint64_t table_copy_bytes = 0;
};

// How well changes to one relation are told from each other.
struct RelationPrecision {
  pg::Oid relation = pg::Oid::kInvalid;
  std::uint64_t invalidations = 0;  // of results, by changes to its rows
  // Those among them that there were only since the row before the change was not known well
  // enough: what REPLICA IDENTITY FULL, or more memory for row images, may spare.
  std::uint64_t coarse = 0;
};

struct CacheImpl;

class Cache {
 public:
  // `request_tracking` asks the control thread to have relations covered by the publication; called
  // from worker threads, at most once for each relation until it is answered by set_tracked or
  // set_untrackable.
  // `request_measure` asks it to measure soon (on_measured); from worker threads.
  Cache(CacheLimits limits, std::function<void(std::vector<pg::Oid>)> request_tracking,
        std::function<void()> request_measure = {});
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  // --- workers
  LookupOutcome lookup(const LookupRequest& request, TimePoint now);
  PublishOutcome publish(std::unique_ptr<Load> load, CachedResult result);
  // Those who wait for the load wait no longer; it may still be published.
  void stop_waiting_for(Load& load);
  // The answer outgrew result_bytes_max while it was captured, or there was no memory for it: ends
  // the load, counted as kTooLarge or kFailed.
  void abandon(std::unique_ptr<Load> load, PublishOutcome why);
  pg::Lsn applied_lsn() const;  // lock-free
  // Whether every commit that was acknowledged before `since` is applied. Lock-free.
  bool proven_since(TimePoint since) const;
  // `wake` is called once, on any thread, when that is so, or when there is no knowing.
  std::unique_ptr<Wait> wait_for_proof(TimePoint since, std::function<void()> wake);
  // One relaxed load: whether lookups can be served at all, else the reason.
  std::optional<sql::BypassReason> unavailable(TimePoint now) const;

  // --- applier thread
  // The stream begins anew: everything cached is dropped. `exported` is what the slot's exported
  // snapshot saw. Lookups stay bypassed until the first set_snapshot that sees all of it.
  void on_cold_start(const pg::Snapshot& exported, pg::Lsn consistent_point);
  void on_stream_connected();
  void on_stream_disconnected();  // bypass until connected and a later heartbeat is applied;
                                  // entries stay
  // What the transaction says of definitions takes effect with its rows: results that rest on the
  // older ones are dropped, and none is published before on_definitions_read.
  void apply(const std::shared_ptr<const cdc::Transaction>& transaction);
  // The same one after another, in this order. Quicker in a large cache than each by itself, since
  // the memory that they touch is asked for together.
  void apply(std::span<const std::shared_ptr<const cdc::Transaction>> transactions);
  // Everything up to here has been applied (keepalives move it past other databases' WAL).
  void on_position(pg::Lsn position);

  // --- any thread
  // As on_stream_disconnected(): commits go on at the origin which the stream has not brought.
  void suspend();

  // --- control thread
  // Whether commits at the origin wait for pgcache.
  void on_synchrony(bool waited_for);
  // A snapshot taken on the origin; serves all loads that start from now on.
  void set_snapshot(pg::Snapshot snapshot);
  // The origin's WAL position `position` was read at `taken_at` (a time before the query was sent):
  // once applied_lsn passes it the cache is proven fresh as of `taken_at`.
  void on_heartbeat(pg::Lsn position, TimePoint taken_at);
  // A position of the WAL behind all commits so far is about to be read; and has been. Between the
  // two nothing else is measured. on_measured() may fail to come. `before`: a snapshot that was
  // taken before the position was read.
  void on_measure_begins();
  void on_measured(pg::Lsn insert_position, const pg::Snapshot& before);
  // Tables of which a copy would be of use and is neither there nor on its way; ascending.
  std::vector<pg::Oid> copies_wanted();
  // Null when no copy of it could be used now. Call before the table is read.
  std::shared_ptr<CopyLoad> begin_copy(pg::Oid relation);
  // The applier takes the copy over, unless something has come between. Nothing: the table is too
  // large, or may not be read: it is not wanted any more until the catalog changes.
  void finish_copy(std::shared_ptr<CopyLoad> load, const std::optional<cdc::TableRows>& rows);
  // Changes to the relation are in the stream for all transactions that a snapshot with
  // xmin >= fence does not see.
  void set_tracked(pg::Oid relation, pg::Xid fence);
  void set_untrackable(pg::Oid relation, sql::BypassReason reason);
  // The catalog changed: drops what rests on the change, and all coverage answers of kind
  // untrackable. Call it after ShapeTable::set_catalog, with the same change.
  void on_catalog_changed(CatalogUpdate update);
  void on_catalog_changed(std::uint64_t shape_generation,
                          std::shared_ptr<const pg::Catalog> catalog) {
    on_catalog_changed(CatalogUpdate{shape_generation, std::move(catalog)});
  }
  // The origin's definitions, as the snapshot sees them, are those of the last on_catalog_changed:
  // changes that the stream told of, and it sees, hold nothing up any more.
  void on_definitions_read(const pg::Snapshot& snapshot);
  // Drops entries over the relation (or all).
  void invalidate_relation(pg::Oid relation, InvalidationCause cause);
  void drop_all(InvalidationCause cause);

  // --- any thread
  // Transactions applied whose changes of definitions have not been read. Meanwhile look-ups that
  // rest on these are bypassed.
  std::uint64_t definitions_pending() const;
  CacheStatus status(TimePoint now) const;
  // For each relation whose changes have invalidated something; ascending.
  std::vector<RelationPrecision> precision() const;
  // True while transactions are in the log that the current snapshot does not see, or loads are
  // under way, or results that were just published wait to be settled (on_measured): then fresh
  // snapshots are worth taking.
  bool wants_snapshot() const;

 private:
  friend struct CacheTestAccess;
  std::shared_ptr<CacheImpl> impl_;  // shared with the loads in flight
};

}  // namespace pgcache::cache
