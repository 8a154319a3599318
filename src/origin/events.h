// SPDX-License-Identifier: Apache-2.0
// What the origin's two own links (control, replication) tell the rest of the program. The
// interfaces are implemented by app, which binds them to the cache, so that origin does not know
// the cache.
#pragma once

#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "cdc/row_change.h"
#include "cdc/table_rows.h"
#include "pg/catalog.h"
#include "pg/definition_change.h"
#include "pg/ids.h"

namespace pgcache::origin {

// Something the origin lacks, for /readyz, the log and `pgcache check`.
struct Problem {
  std::string what;   // "wal_level is replica; logical decoding needs logical"
  std::string mend;   // "ALTER SYSTEM SET wal_level = 'logical'; then restart the server"
  bool fatal = true;  // the cache cannot serve at all
};

// Why the stream began anew, with a new slot and an empty cache.
enum class ColdStart : std::uint8_t {
  kFirst,     // of this process
  kServer,    // the origin is another server, or on another timeline
  kCrash,     // it recovered from a crash
  kRestored,  // it is in a state before the one that was known: a copy was put back
  kRestart,   // it was restarted, and how its run before ended was not seen
  kSlot,      // the slot is gone, invalidated, replaced, or was read by somebody else
  kRetained,  // the slot held back more WAL than max_slot_retained
  kStream,    // the stream cannot be followed: it is not understood, or the server ends it
  kApplier,   // applying a change failed
  kAsked,     // commits waited too long for pgcache (strict_ack_timeout)
};
inline constexpr std::string_view kColdStartLabels[] = {"first",   "server", "crash",    "restored",
                                                        "restart", "slot",   "retained", "stream",
                                                        "applier", "asked"};
inline constexpr std::size_t kColdStartCount = std::size(kColdStartLabels);

// Called on the replication (applier) thread only.
class ReplicationEvents {
 public:
  virtual ~ReplicationEvents() = default;
  // A new slot was made: drop all, start cold.
  virtual void on_cold_start(const pg::Snapshot& exported, pg::Lsn consistent_point,
                             ColdStart why) = 0;
  virtual void on_connected() = 0;
  virtual void on_disconnected(const std::string& reason) = 0;
  // Those that came together, in the order of their commits; one at least.
  virtual void on_transactions(std::vector<cdc::Transaction> transactions) = 0;
  // All that committed before has come; also where nothing has since the last call.
  virtual void on_position(pg::Lsn position) = 0;
  // Why there is no stream (slot in use, missing privilege ...); empty vector: all is well.
  virtual void on_problems(std::vector<Problem> problems) = 0;
};

enum class Untrackable : std::uint8_t {
  kNoReplicaIdentity,  // publishing it would make the origin refuse UPDATE and DELETE on it
  kNotPublished,       // a given publication lacks it, or filters rows, columns or actions of it
  kNoPrivilege,        // not the owner of the table, or of the publication
  kDenied,             // configuration's allow/deny lists
  kOther,
};

struct CatalogNews {
  std::shared_ptr<const pg::Catalog> catalog;
  // That it was read in; nothing: it may be of another server than the stream is.
  std::optional<pg::Snapshot> snapshot;
  pg::DefinitionChange change;  // all in which it may differ from the one before
};

// Called on the control thread only.
class ControlEvents {
 public:
  virtual ~ControlEvents() = default;
  virtual void on_catalog(CatalogNews news) = 0;  // first, and on change
  // The origin's catalog and publication are, as of the snapshot, what was handed on last.
  virtual void on_definitions_read(const pg::Snapshot& /*snapshot*/) {}
  // Whether changes of definitions have been told that no on_definitions_read has seen.
  virtual bool wants_definitions() { return false; }
  // Whether the origin's event triggers tell of changed definitions in the stream. First, and on
  // change.
  virtual void on_definitions_told(bool /*told*/) {}
  virtual void on_snapshot(pg::Snapshot snapshot) = 0;
  // When the server was started, in seconds since the epoch as numeric text. Once it is known again
  // after each connect.
  virtual void on_server_started(const std::string& /*started*/) {}
  // `position` is as far as the WAL was flushed: a commit that its session did not wait for
  // (synchronous_commit = off) may lie behind it for up to three times wal_writer_delay.
  virtual void on_heartbeat(pg::Lsn position, TimePoint taken_at) = 0;
  // As far as the WAL was flushed, whatever that proves; where commits wait for pgcache.
  virtual void on_flushed(pg::Lsn /*position*/) {}
  // WAL that the slot holds back; about once a second.
  virtual void on_slot_retained(std::uint64_t /*bytes*/) {}
  // That is more than max_slot_retained: this link is about to drop the slot, and the stream has to
  // begin anew.
  virtual void on_slot_over_limit() {}
  // Whether commits at the origin wait for pgcache, else why not. In front of each heartbeat.
  virtual void on_synchrony(bool /*waited_for*/, std::vector<Problem> /*gaps*/) {}
  virtual void on_tracked(pg::Oid relation, pg::Xid fence) = 0;
  virtual void on_untrackable(pg::Oid relation, Untrackable why, const std::string& detail) = 0;
  // It could not be set to REPLICA IDENTITY FULL, and is used as it is. Once for each table.
  virtual void on_identity_refused(pg::Oid /*relation*/, const std::string& /*detail*/) {}
  // pg_conf_load_time() changed: sessions' settings may have changed under them.
  virtual void on_configuration_reloaded() = 0;
  // It was looked for at `began`, and what was found told.
  virtual void on_configuration_checked(TimePoint /*began*/) {}
  virtual void on_control_problems(std::vector<Problem> problems) = 0;
  // Asked before each idle round: are fresh snapshots worth taking now?
  virtual bool wants_snapshot() = 0;
  // A position behind all commits so far is about to be read, and has been, behind a snapshot: of
  // the server that is streamed; zero where it would not tell (a standby). The second may fail to
  // come.
  virtual void on_measure_begins() {}
  virtual void on_measured(pg::Lsn /*insert_position*/, const pg::Snapshot& /*before*/) {}
  // Small tables to be read whole.
  virtual std::vector<pg::Oid> copies_wanted() { return {}; }
  // In front of the reading: whether it can be used. Then one of the two others follows.
  virtual bool on_copy_begins(pg::Oid /*relation*/) { return false; }
  // Nothing: it is too large, or may not be read.
  virtual void on_copy(std::optional<cdc::TableRows> /*rows*/) {}
  virtual void on_copy_failed() {}
};

}  // namespace pgcache::origin
