// SPDX-License-Identifier: Apache-2.0
// The replication slot: what is known of it, made anew with an exported snapshot, dropped. Used by
// the replication thread, and by `pgcache cleanup`.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "config/config.h"
#include "origin/events.h"
#include "origin/link.h"

namespace pgcache::origin {

struct SlotState {
  bool exists = false;
  bool ours = false;   // logical, pgoutput, of this database
  int active_pid = 0;  // 0: nobody streams from it
  bool lost = false;   // its WAL has been removed
  pg::Lsn confirmed;
};
Result<SlotState> read_slot(Link& link, const std::string& slot);

// What IDENTIFY_SYSTEM says: "<system identifier>/<timeline in hexadecimal>".
Result<std::string> identify_system(Link& replication);

// A text that changes whenever the server recovers from a crash, and stays the same over a clean
// restart: since when it counts its statistics, which a crash loses. It changes, too, when somebody
// resets those of the background writer. Nothing when the server does not tell.
std::optional<std::string> read_last_recovery(Link& link);

struct NewSlot {
  pg::Snapshot exported;
  pg::Lsn consistent_point;
};
// Makes the slot on the replication connection and reads its exported snapshot over a second
// connection. The server waits for the end of all transactions that are writing by now;
// `still_waiting` is called every few seconds meanwhile. Drops nothing: the slot must not exist.
using SlotOutcome = std::variant<NewSlot, Failure>;
SlotOutcome make_slot(Link& replication, const LinkOptions& ordinary, const std::string& slot,
                      const Event& stop, const std::function<void()>& still_waiting);

// Drops an inactive slot. A missing one is no failure.
Reply drop_slot(Link& link, const std::string& slot);

}  // namespace pgcache::origin
