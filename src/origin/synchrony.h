// SPDX-License-Identifier: Apache-2.0
// Whether the origin really lets every commit wait for pgcache: what is asked of it, and what the
// answer means (ADR 20).
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "origin/events.h"
#include "origin/link.h"

namespace pgcache::origin {

// What the origin says of its commits and of one of its walsenders.
struct SynchronyReading {
  std::string standby_names;       // synchronous_standby_names
  std::string synchronous_commit;  // of sessions that do not set it
  // Roles, or databases, that have a synchronous_commit of their own by which commits wait for
  // nobody; and whether the role that asks has one of any kind, which hides the server's.
  std::string opted_out;
  bool role_hides = false;
  // Of the walsender, empty when there is none; state unknown: the role may not see it.
  bool exists = false;
  bool visible = false;
  std::string state;       // "streaming" once it has caught up
  std::string sync_state;  // async, potential, sync, quorum
  int candidates = 0;      // walsenders that the names fit
};

// The columns to add to a SELECT; `walsender` is the process id of the one that pgcache streams
// from, 0: there is none.
std::string synchrony_columns(int walsender);
// From the answer's first row, the columns being at `first` and behind it.
SynchronyReading read_synchrony(const Reply& reply, int first);

// Why commits may be acknowledged that pgcache has not confirmed; nothing when none is, but those
// of sessions that turn synchronous_commit off for themselves.
std::vector<Problem> gaps_in(const SynchronyReading& reading, const std::string& standby);
// The same, of the settings alone, without regard to the walsender.
std::vector<Problem> gaps_in_settings(const SynchronyReading& reading, const std::string& standby);

}  // namespace pgcache::origin
