// SPDX-License-Identifier: Apache-2.0
// Which relations' changes are in the stream, and from which transaction on. Guarded by the cache's
// front mutex.
//
// A relation is asked for at the first look-up of a query that reads it. When the control thread
// answers with a fence, changes are in the stream for every transaction that a snapshot with
// xmin >= fence does not see; only loads that carry such a snapshot may be published. The first
// snapshot after the answer normally satisfies the fence, so look-ups wait for that one too; when
// it does not (a long transaction holds xmin back), they go on without the cache.
//
// The relation's gate is the first snapshot with xmin >= fence that was taken since, and since the
// gates were last closed. All transactions with unseen changes had ended then; so from any
// transaction that the gate does not see, the stream tells every change to the rows that it locked
// until its end, and every later one (image_store.h).
#pragma once

#include <unordered_map>
#include <vector>

#include "cache/snapshots.h"
#include "pg/ids.h"
#include "sql/bypass_reason.h"

namespace pgcache::cache {

class Tracking {
 public:
  enum class Verdict {
    kReady,  // a load that carries `current` may be published
    kUntrackable,
    kSoon,    // worth waiting for
    kNotYet,  // tracked, but snapshots are held back: go on without
  };
  struct Judgement {
    Verdict verdict = Verdict::kReady;
    sql::BypassReason reason = sql::BypassReason::kTrackingPending;
  };

  Judgement judge(const std::vector<pg::Oid>& relations, const pg::Snapshot& current) const;
  // Marks those of `relations` that nobody asked for yet as asked for, and returns them.
  std::vector<pg::Oid> start_asking(const std::vector<pg::Oid>& relations);
  // They could not be asked for, or it is not known whether they were: somebody asks anew.
  void stop_asking(const std::vector<pg::Oid>& relations);

  // Whether the relation was tracked before under another fence.
  bool set_tracked(pg::Oid relation, pg::Xid fence);
  // Whether the relation was tracked before.
  bool set_untrackable(pg::Oid relation, sql::BypassReason reason);
  void on_snapshot(const SnapshotPtr& current);  // taken after everything so far
  // Null while it is closed.
  SnapshotPtr gate_of(pg::Oid relation) const;
  void close_gates();
  void close_gate_of(pg::Oid relation);
  void forget_untrackable();
  void forget_all() {
    relations_.clear();
    unsettled_ = 0;
    some_gate_closed_ = false;
  }

  // Some relation is tracked and the first snapshot after that has not come.
  bool wants_snapshot() const { return unsettled_ > 0; }

 private:
  enum class State { kAsked, kTracked, kUntrackable };
  struct Relation {
    State state = State::kAsked;
    pg::Xid fence;
    bool snapshot_since = false;  // for kTracked: one was taken after the answer
    sql::BypassReason reason = sql::BypassReason::kUntracked;
    SnapshotPtr gate;  // for kTracked
  };
  void put(pg::Oid oid, const Relation& relation);

  std::unordered_map<pg::Oid, Relation> relations_;
  std::size_t unsettled_ = 0;
  bool some_gate_closed_ = false;
};

}  // namespace pgcache::cache
