// SPDX-License-Identifier: Apache-2.0
// The replication slot.
#include "origin/replication_slot.h"

#include <charconv>

namespace pgcache::origin {
namespace {

constexpr Duration kStillWaiting = std::chrono::seconds(3);

SlotOutcome read_exported(const LinkOptions& ordinary, const std::string& snapshot_name) {
  auto opened = Link::open(ordinary);
  if (Failure* failure = std::get_if<Failure>(&opened)) return std::move(*failure);
  Link& link = *std::get<std::unique_ptr<Link>>(opened);
  const Reply reply =
      link.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT " +
                 quote_literal(snapshot_name) + "; SELECT pg_current_snapshot()");
  if (!reply.ok()) return reply.failure();
  const auto snapshot = reply.rows() == 1 ? pg::parse_snapshot(reply.text(0, 0)) : std::nullopt;
  if (!snapshot) return Failure{"", "the exported snapshot cannot be read", false};
  return NewSlot{*snapshot, {}};
}

}  // namespace

Result<SlotState> read_slot(Link& link, const std::string& slot, Duration timeout) {
  const Reply reply = link.query(
      "SELECT slot_type = 'logical' AND plugin = 'pgoutput' AND database = current_database()"
      " AND NOT temporary, active_pid, wal_status = 'lost', confirmed_flush_lsn,"
      " greatest(0, pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
      " ELSE pg_current_wal_lsn() END, restart_lsn))::bigint,"
      " (SELECT a.wait_event LIKE 'WalSender%' FROM pg_stat_activity a WHERE a.pid = active_pid)"
      " FROM pg_replication_slots WHERE slot_name = " +
          quote_literal(slot),
      timeout);
  if (!reply.ok()) return Error{"cannot read the replication slots: " + reply.failure().message};
  SlotState state;
  if (reply.rows() == 0) return state;
  state.exists = true;
  state.ours = reply.truth(0, 0);
  state.active_pid = static_cast<int>(reply.number(0, 1));
  state.lost = reply.truth(0, 2);
  state.waits = reply.truth(0, 5);
  const std::string_view retained = reply.text(0, 4);
  std::from_chars(retained.data(), retained.data() + retained.size(), state.retained_bytes);
  state.confirmed = pg::parse_lsn(reply.text(0, 3)).value_or(pg::Lsn{});
  return state;
}

SlotOutcome make_slot(Link& replication, const LinkOptions& ordinary, const std::string& slot,
                      const Event& stop, const std::function<void()>& still_waiting) {
  // In the form without parentheses, which every version from 14 on knows.
  if (!replication.send("CREATE_REPLICATION_SLOT " + quote_identifier(slot) +
                        " LOGICAL pgoutput EXPORT_SNAPSHOT")) {
    return replication.last_failure();
  }
  while (!replication.answer_ready(kStillWaiting)) {
    if (stop.raised()) {
      // Only closing the connection would leave the slot behind once the wait ends.
      replication.cancel();
      return Failure{"", "stopped", true};
    }
    still_waiting();
  }
  const Reply reply = replication.take_answer();
  if (!reply.ok()) return reply.failure();
  const auto consistent = reply.rows() == 1 ? pg::parse_lsn(reply.text(0, 1)) : std::nullopt;
  if (!consistent) return Failure{"", "the new slot has no position", false};
  // The snapshot lasts until the replication connection's next command.
  SlotOutcome outcome = read_exported(ordinary, std::string(reply.text(0, 2)));
  if (NewSlot* made = std::get_if<NewSlot>(&outcome)) made->consistent_point = *consistent;
  return outcome;
}

Reply end_walsender(Link& link, const std::string& slot, int pid) {
  return link.query(
      "SELECT pg_catalog.pg_terminate_backend(active_pid) FROM pg_catalog.pg_replication_slots"
      " WHERE slot_name = " +
      quote_literal(slot) + " AND active_pid = " + std::to_string(pid));
}

Reply drop_slot(Link& link, const std::string& slot) {
  return link.query(
      "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
      " WHERE active_pid IS NULL AND slot_name = " +
      quote_literal(slot));
}

}  // namespace pgcache::origin
