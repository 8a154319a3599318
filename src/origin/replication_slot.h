// SPDX-License-Identifier: Apache-2.0
// The replication slot: what is known of it, made anew with an exported snapshot, dropped. Used by
// the replication thread, and by `pgcache cleanup`.
#pragma once

#include <cstdint>
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
  bool waits = false;  // that process has nothing to do but to wait, for WAL or for its receiver
  bool lost = false;   // its WAL has been removed
  pg::Lsn confirmed;
  std::uint64_t retained_bytes = 0;  // WAL from where it would start decoding
};
Result<SlotState> read_slot(Link& link, const std::string& slot,
                            Duration timeout = std::chrono::seconds(60));

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

// Ends the process if it streams from the slot. Nobody else is hurt: its id may have been given
// again.
Reply end_walsender(Link& link, const std::string& slot, int pid);

// Drops an inactive slot. A missing one is no failure.
Reply drop_slot(Link& link, const std::string& slot);

}  // namespace pgcache::origin
