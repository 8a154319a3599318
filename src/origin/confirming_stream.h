// SPDX-License-Identifier: Apache-2.0
// A stream of the WAL as it is, under the name of the synchronous standby, that throws away what
// comes and confirms all of it: what lets the origin's commits go on without the cache
// (origin/stand_in.h).
#pragma once

#include <chrono>
#include <functional>

#include "base/clock.h"
#include "config/config.h"
#include "origin/link.h"

namespace pgcache::origin {

// Between two connections.
inline constexpr Duration kConfirmRetry = std::chrono::milliseconds(200);
// How often it is looked whether strict_ack_timeout has passed.
Duration ack_watch_interval(const config::Config& config);

// One connection, from ending `walsender` (the process id of the one that has the name; 0: none)
// until `leave` is raised or it breaks; what goes wrong is logged. Blocks; the cache must be out of
// use. `on_turn` is called every 50 ms or so.
void confirm_all(const config::Config& config, int walsender, const Event& leave,
                 const std::function<void()>& on_turn);

}  // namespace pgcache::origin
