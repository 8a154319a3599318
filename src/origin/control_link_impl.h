// SPDX-License-Identifier: Apache-2.0
// The inside of ControlLink, shared by control_link.cc (the loop), control_catalog.cc (catalog and
// publication) and the other control_*.cc. Nobody else includes it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "origin/catalog_loader.h"
#include "origin/control_link.h"
#include "origin/definition_teller.h"
#include "origin/link.h"
#include "origin/problems.h"
#include "origin/publication.h"
#include "origin/wal_position.h"

namespace pgcache::origin {

// Its application_name at the origin, by which pgcaches know of each other.
inline constexpr const char* kControlName = "pgcache control";

using PositionWaiters = std::vector<std::function<void(pg::Lsn)>>;

inline constexpr Duration kTrackingRetryMin = std::chrono::milliseconds(500);
inline constexpr Duration kTrackingRetryMax = std::chrono::seconds(30);
inline constexpr Duration kWantedSnapshotMin = std::chrono::milliseconds(3);

// What other threads ask for.
struct ControlRequests {
  std::vector<pg::Oid> tracking;
  PositionWaiters positions;
  bool snapshot = false;
  bool proof = false;
  bool catalog_check = false;
  bool server_check = false;
  std::vector<std::function<void()>> catalog_waiters;
};

inline constexpr Duration kCopyRetryMin = std::chrono::milliseconds(20);
inline constexpr Duration kCopyRetryMax = std::chrono::seconds(30);

struct PendingTracking {
  TimePoint due;
  Duration delay = kTrackingRetryMin;
};

struct ControlLink::Impl {
  Impl(std::shared_ptr<const config::Config> c, ControlEvents& e)
      : config(std::move(c)), events(e), reporter([this](std::vector<Problem> problems) {
          events.on_control_problems(std::move(problems));
        }) {}

  const std::shared_ptr<const config::Config> config;
  ControlEvents& events;
  Event stop;
  Event wake;
  std::mutex mailbox_mutex;
  ControlRequests mailbox;  // guarded by mailbox_mutex
  std::mutex publication_mutex;
  std::condition_variable publication_changed;
  bool publication_ready = false;  // guarded by publication_mutex
  bool stopping = false;           // guarded by publication_mutex
  mutable std::mutex identity_mutex;
  ServerIdentity identity;         // guarded by identity_mutex
  ServerIdentity stream_identity;  // guarded by identity_mutex
  pg::Lsn furthest;                // guarded by identity_mutex; of stream_identity
  std::atomic<int> walsender{0};
  std::atomic<int> slot_holder{0};
  std::atomic<TimePoint> holder_waits_since{TimePoint{}};  // as far as is known; none: it does not
  std::atomic<TimePoint> holder_seen{TimePoint{}};         // when that was looked at last
  std::thread thread;

  // Of the control thread alone.
  ControlRequests taken;   // out of the mailbox
  bool has_taken = false;  // and not come to yet
  ProblemReporter reporter;
  std::unique_ptr<Link> link;
  int served_by = 0;  // the origin's process for the last one
  WalGeometry geometry;
  std::string system_identifier;
  std::string server_started;
  std::shared_ptr<const pg::Catalog> catalog;
  CatalogState catalog_state;
  CatalogParts catalog_parts;  // of `catalog`
  TellerState teller;
  bool teller_reported = false;
  TimePoint next_teller_attempt;       // to put it in place
  TimePoint next_definitions_reading;  // not before, for what the stream tells
  PublicationState publication;
  bool publication_read = false;  // at least once: what differs later was altered
  std::optional<Problem> publication_problem;
  bool made_publication = false, made_teller = false;  // by this process
  std::set<pg::Oid> tracked;
  std::map<pg::Oid, PendingTracking> pending;
  std::map<pg::Oid, PendingTracking> identities;     // tables to be set to REPLICA IDENTITY FULL
  std::set<pg::Oid> identities_settled;              // set once, or refused
  std::map<pg::Oid, PendingTracking> copy_attempts;  // when each may be read again
  std::vector<std::function<void()>> catalog_waiters;
  bool snapshot_asked = false;
  pg::Lsn unflushed;  // a position behind the flushed WAL, as first seen; zero: none
  TimePoint unflushed_since;
  bool unflushed_waited_for = false;  // by a session, not by the proof of freshness alone
  bool server_check_asked = false;
  TimePoint next_server_check;
  TimePoint next_slot_check;
  bool slot_over_limit = false;  // and is being dropped
  TimePoint next_heartbeat, next_catalog_check, next_publication_attempt, last_snapshot;
  Duration wanted_spacing = kWantedSnapshotMin;
  int wanted_rounds = 0;
  bool proof_asked = false;    // by a session that waits for it
  int verified_walsender = 0;  // the last verification found that commits wait for it; 0: none

  void run();
  bool connect();
  void disconnect(const std::string& why);
  bool begin_session();
  void serve_round();
  void wait_for_work();
  Duration heartbeat_spacing() const;
  TimePoint next_due();
  void take_requests();
  void answer(PositionWaiters& waiters, pg::Lsn position);
  void fail_positions();
  bool measure(PositionWaiters& positions);
  bool verify_synchrony(const Reply& reply, int pid);
  void nudge_wal_writer(const Measurement& m, TimePoint taken_at, bool waited_for);
  void answer_tracking(const std::vector<pg::Oid>& asked);
  void deliver(const TrackingOutcome& outcome);
  void want_identities(pg::Oid relation);
  void raise_identities();
  void copy_tables();
  bool copy_table(const pg::Relation& table);
  void check_catalog();
  bool renew_catalog();
  bool reload_catalog();
  void look_after_teller();
  void look_after_slot();
  void check_server();
  void take_back();
  void leave_slot_behind();
  void drop_slot_over_limit(std::uint64_t retained, int active_pid);
  bool ensure_publication();
  bool refresh_publication();
  void publication_was_altered(PublicationState now);
  void drop_members_without_identity();
  void set_publication_ready(bool ready);
  void forget_identity();
  bool note_identity(const Measurement& m);
  bool streams_from_here();
  void report_problems();
};

}  // namespace pgcache::origin
