// SPDX-License-Identifier: Apache-2.0
#include "origin/server_identity.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "origin/wal_position.h"

namespace pgcache::origin {
namespace {

constexpr std::int64_t kShutdownSecondsMax = 10;  // from its last word to the checkpoint's begin

bool agree(const std::string& a, const std::string& b) { return a.empty() || b.empty() || a == b; }

std::string hexadecimal(std::uint32_t number) {
  std::array<char, 8> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16);
  return error == std::errc() ? std::string(digits.data(), end) : std::string();
}

// A text that changes whenever the server recovers from a crash, and stays the same over a clean
// restart: since when it counts its statistics, which a crash loses. It changes, too, when somebody
// resets those of the background writer. Nothing when the server does not tell.
std::optional<std::string> read_last_recovery(Link& link) {
  const Reply reply = link.query(
      "SELECT pg_catalog.\"extract\"('epoch', stats_reset) FROM pg_catalog.pg_stat_bgwriter");
  if (!reply.ok() || reply.rows() != 1 || reply.text(0, 0).empty()) return std::nullopt;
  return std::string(reply.text(0, 0));
}

}  // namespace

bool may_be_same_server(const ServerIdentity& a, const ServerIdentity& b) {
  return agree(a.system, b.system) && agree(a.timeline, b.timeline);
}

bool may_be_same_run(const ServerIdentity& a, const ServerIdentity& b) {
  return may_be_same_server(a, b) && agree(a.started, b.started) && !a.went_back && !b.went_back;
}

Result<ServerState> read_server_state(Link& replication) {
  ServerState state;
  {
    const Reply reply = replication.query("IDENTIFY_SYSTEM");
    if (!reply.ok()) return Error{reply.failure().message};
    if (reply.rows() != 1) return Error{"IDENTIFY_SYSTEM yielded no row"};
    state.identity.system = reply.text(0, 0);
    state.identity.timeline = hexadecimal(reply.number(0, 1));
  }
  const Reply reply = replication.query(
      std::string("SELECT ") + kServerStarted +
      ", CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()"
      " ELSE pg_catalog.pg_current_wal_flush_lsn() END");
  if (!reply.ok()) return Error{reply.failure().message};
  const auto flushed =
      reply.rows() == 1 ? pg::parse_lsn(reply.text(0, 1)) : std::optional<pg::Lsn>();
  if (!flushed) return Error{"the origin does not tell its position"};
  state.identity.started = reply.text(0, 0);
  state.flushed = *flushed;
  state.last_recovery = read_last_recovery(replication);
  return state;
}

// A logical walsender leaves right before the checkpoint of a shutdown is written, when nobody else
// writes any more: in between there is the header of a page at most. Whatever else there is may be
// a commit, which was seen but not sent.
bool last_checkpoint_follows(Link& link, pg::Lsn end, std::int64_t time) {
  const Reply reply = link.query(
      "SELECT checkpoint_lsn, extract(epoch FROM checkpoint_time)::bigint"
      " FROM pg_catalog.pg_control_checkpoint()");
  if (!reply.ok() || reply.rows() != 1) return false;
  const auto begin = pg::parse_lsn(reply.text(0, 0));
  const std::optional<WalGeometry> geometry = read_wal_geometry(link);
  if (!begin || !geometry || without_page_header(*begin, *geometry) != end) return false;
  std::int64_t made = 0;
  const std::string_view text = reply.text(0, 1);
  std::from_chars(text.data(), text.data() + text.size(), made);
  return std::abs(made - time) <= kShutdownSecondsMax;
}

}  // namespace pgcache::origin
