// SPDX-License-Identifier: Apache-2.0
// Which server a connection leads to, and whether its history is still the one that was followed.
//
// A server that was restored from a copy has the system identifier, the timeline and perhaps the
// slot of the one before, but other transactions at the same positions. Nothing in the stream tells
// of that (docs/adr/0022-one-history.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "origin/link.h"
#include "pg/ids.h"

namespace pgcache::origin {

// When the postmaster was started, as a column of a SELECT. Compared as text, so it is asked for in
// the same way everywhere.
inline constexpr const char* kServerStarted =
    "pg_catalog.\"extract\"('epoch', pg_catalog.pg_postmaster_start_time())";

// What is not known is empty.
struct ServerIdentity {
  std::string system;      // its system identifier
  std::string timeline;    // hexadecimal, without leading zeros; not known of a standby
  std::string started;     // when its postmaster was started: seconds since the epoch
  bool went_back = false;  // its positions lie before those that were seen of it
  bool known() const { return !system.empty() || !started.empty(); }
};

// Whether both may be the same server in the same run: what is known of both is equal.
bool may_be_same_run(const ServerIdentity& a, const ServerIdentity& b);
// The same, over a restart.
bool may_be_same_server(const ServerIdentity& a, const ServerIdentity& b);

struct ServerState {
  ServerIdentity identity;
  pg::Lsn flushed;                           // on a standby: replayed
  std::optional<std::string> last_recovery;  // changes with each recovery from a crash
};
// Over a replication connection.
Result<ServerState> read_server_state(Link& replication);

// Whether the last checkpoint that the server has made is the one of the shutdown by which a stream
// ended at `end`, when the server's clock (seconds since the epoch) showed `time`: then nothing has
// been between that and the server's present run.
bool last_checkpoint_follows(Link& link, pg::Lsn end, std::int64_t time);

}  // namespace pgcache::origin
