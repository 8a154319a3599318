// SPDX-License-Identifier: Apache-2.0
// What a session of the replication link may go on from: the same server in the same history, and a
// slot that continues where we are; else a cold start with a new slot.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/log.h"
#include "origin/replication_link_impl.h"
#include "origin/replication_slot.h"

namespace pgcache::origin {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr Duration kPublicationWait = seconds(2);
constexpr Duration kOldWalsenderWait = seconds(3);
constexpr int kResumesWithoutProgress = 3;

// Test builds can be told to be wrong (proxy/faults.h).
bool resumes_over_crash() {
#ifdef PGCACHE_FAULTS
  const char* what = std::getenv("PGCACHE_FAULT_BREAK");
  return what != nullptr && std::string_view(what) == "resume_over_crash";
#else
  return false;
#endif
}

}  // namespace

// Somebody else streams from the slot, or our own former walsender, which does not end.
End ReplicationLink::Impl::slot_in_use(int pid) {
  if (stand_in != nullptr && pid != walsender_pid) stand_in->disarm();
  return not_now(explain_replication_failure(
      *config, {"55006", "replication slot \"" + config->slot + "\" is active for PID " +
                             std::to_string(pid)}));
}

// The right server, and a slot on it that continues where we are; else a reason to try later.
//
// A server that crashed may have taken back commits that were seen already (their sessions did not
// wait for the flush), and gives the ids of transactions that were not flushed to others. Results
// that hold the former, and snapshots that see the latter, are wrong, and the stream tells nothing
// of it.
std::optional<End> ReplicationLink::Impl::prepare(Link& link) {
  // Before the server is asked: the control link goes on meanwhile.
  const pg::Lsn seen = std::max(applied, control.furthest_position());
  Result<ServerState> now = read_server_state(link);
  if (!now.ok()) return not_now(explain_replication_failure(*config, {"", now.error().message}));
  if (have_slot) check_history(link, *now, seen);
  if (have_slot) {
    if (std::optional<End> end = check_resumable(link)) return end;
  }
  if (have_slot) {
    server = std::move(*now);
    return std::nullopt;
  }
  // From now on the control link vouches for this server, or for nothing.
  control.begin_stream_of(now->identity);
  std::optional<End> end = start_cold(link);
  if (!end) server = std::move(*now);
  return end;
}

// What was seen of the origin must be in its present past. Over a restart only that proves it that
// the run which we followed to its end is the last one before this.
void ReplicationLink::Impl::check_history(Link& link, const ServerState& now, pg::Lsn seen) {
  const auto lose = [this](ColdStart cause, std::string_view what) {
    log_warning("replication link: the origin {}; starting cold", what);
    lose_slot(cause);
  };
  if (!may_be_same_server(now.identity, server.identity)) {
    return lose(ColdStart::kServer, "is another server or on another timeline than before");
  }
  // A crash may also take back the part of a record that was flushed.
  const bool crashed = !now.last_recovery || now.last_recovery != server.last_recovery;
  if (crashed && !resumes_over_crash()) {
    return lose(ColdStart::kCrash, now.last_recovery ? "has recovered from a crash"
                                                     : "does not tell whether it crashed");
  }
  if (now.flushed < seen) {
    return lose(ColdStart::kRestored, "is at an earlier position than before: it was restored");
  }
  if (resumes_over_crash()) return;
  const bool same_run = now.identity.started == server.identity.started;
  if (!same_run && !(saw_shutdown && last_checkpoint_follows(link, applied, server_seconds))) {
    return lose(ColdStart::kRestart,
                saw_shutdown ? "has had other runs than this since the one that was followed"
                             : "was restarted, and the end of its run before was not seen");
  }
}

void ReplicationLink::Impl::lose_slot(ColdStart why) {
  if (!have_slot) return;
  have_slot = false;
  why_cold = why;
}

std::optional<End> ReplicationLink::Impl::check_resumable(Link& link) {
  const Result<SlotState> slot = read_slot(link, config->slot);
  if (!slot.ok()) return End{slot.error().message, Again::kResume};
  if (slot->exists && slot->active_pid != 0) {
    if (slot->active_pid == walsender_pid) {
      // Our own former walsender, which has not noticed that we are gone.
      end_own_walsender(link);
      return End{"the former connection is still being closed", Again::kResume};
    }
    return slot_in_use(slot->active_pid);
  }
  std::string why;
  if (!slot->exists) why = "the slot is gone";
  if (slot->exists && (!slot->ours || slot->lost)) why = "the slot was invalidated or replaced";
  if (slot->exists && slot->confirmed > applied) why = "somebody else read from the slot";
  if (why.empty() && fruitless_resumes > kResumesWithoutProgress)
    why = "the slot does not continue";
  if (!why.empty()) {
    log_warning("replication link: {}; starting cold", why);
    lose_slot(ColdStart::kSlot);
  }
  return std::nullopt;
}

// Which may be in the midst of a large transaction, or not know that its connection is dead.
void ReplicationLink::Impl::end_own_walsender(Link& link) {
  const Reply ignored = end_walsender(link, config->slot, walsender_pid);
}

std::optional<End> ReplicationLink::Impl::clear_old_slot(Link& link) {
  const TimePoint deadline = Clock::now() + kOldWalsenderWait;
  while (true) {
    const Result<SlotState> slot = read_slot(link, config->slot);
    if (!slot.ok()) return End{slot.error().message, Again::kCold};
    if (!slot->exists) return std::nullopt;
    if (!slot->ours) {
      return not_now({"replication slot " + config->slot +
                          " exists and is not one of pgcache's for this database",
                      "choose another name with --slot", true});
    }
    if (slot->active_pid == 0) break;
    if (slot->active_pid != walsender_pid || Clock::now() >= deadline) {
      return slot_in_use(slot->active_pid);
    }
    end_own_walsender(link);
    if (stop.wait_for(milliseconds(50))) return End{"stopped", Again::kCold};
  }
  const Reply dropped = drop_slot(link, config->slot);
  if (!dropped.ok()) return not_now(explain_replication_failure(*config, dropped.failure()));
  return std::nullopt;
}

std::optional<End> ReplicationLink::Impl::start_cold(Link& link) {
  // Decoding starts where the slot is made: the publication must have been committed before.
  if (!control.wait_for_publication(kPublicationWait)) {
    return not_now({"waiting for publication " + config->publication + " on the origin",
                    "see what the control connection reports", true});
  }
  if (std::optional<End> end = clear_old_slot(link)) return end;
  if (stand_in != nullptr) stand_in->begin();
  const SlotOutcome outcome = make_slot(link, link_options(false), config->slot, stop, [this] {
    reporter.report(
        {{"the new slot waits for the end of transactions that were writing on the "
          "origin when it was made",
          "end them: SELECT pid, query FROM pg_stat_activity WHERE backend_xid IS "
          "NOT NULL ORDER BY xact_start",
          true}});
  });
  if (const Failure* failure = std::get_if<Failure>(&outcome)) {
    slot_made = slot_made || failure->interrupted || link.lost();  // perhaps
    if (failure->interrupted) return End{"stopped", Again::kCold};
    return not_now(explain_replication_failure(*config, *failure));
  }
  const NewSlot& made = std::get<NewSlot>(outcome);
  slot_made = have_slot = true;
  fruitless_resumes = 0;
  applied = made.consistent_point;
  decoder = cdc::PgoutputDecoder(config->max_transaction_size);
  events.on_cold_start(made.exported, made.consistent_point, why_cold);
  return std::nullopt;
}

}  // namespace pgcache::origin
