// SPDX-License-Identifier: Apache-2.0
// For `pgcache check`: the tables for which REPLICA IDENTITY FULL would help most. Main thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "admin/client.h"
#include "config/config.h"

namespace pgcache::app {

// The pgcache at the admin address, if it fronts this origin.
struct RunningPgcache {
  std::optional<admin::PrecisionReport> report;
  std::string why_not;
};
RunningPgcache find_running(const config::Config& config);

// Lines to print; none when there is nothing to tell. As measured by the running pgcache, if there
// is one; else guessed from what the origin counts.
std::vector<std::string> precision_advice(const config::Config& config,
                                          const RunningPgcache& running);

}  // namespace pgcache::app
