// SPDX-License-Identifier: Apache-2.0
// The event triggers on the origin that tell of changed definitions in the stream, by logical
// messages (cdc/definition_message.h). All pgcaches of a database share them. Used by the control
// thread, and by check and cleanup.
//
// The function behind them fails no command: what goes wrong while it looks is caught, and told as
// "anything may have changed". The message is emitted outside of the subtransaction that catching
// takes, which so never gets a transaction id. It runs as its owner, under a fixed search_path.
//
// No event trigger fires for roles, memberships, databases, event triggers, REASSIGN OWNED (at
// least up to version 16), changes of catalogs by hand, nor in a session with event_triggers = off.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "origin/link.h"

namespace pgcache::origin {

struct TellerState {
  bool any = false;       // something of it is there
  bool in_place = false;  // all of it: this version, enabled in all sessions
  friend bool operator==(const TellerState&, const TellerState&) = default;
};
Result<TellerState> read_teller(Link& link);

// Puts it in place of whatever there is of it. Nothing: it is there. Of several pgcaches that do it
// at once some fail.
std::optional<Failure> create_teller(Link& link);

// All that there is of it; nothing: it is gone. A message tells those who still listen.
std::optional<Failure> remove_teller(Link& link);

}  // namespace pgcache::origin
