// SPDX-License-Identifier: Apache-2.0
// For `pgcache check`: the tables for which REPLICA IDENTITY FULL would help most. Main thread.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace pgcache::app {

// Lines to print; none when there is nothing to tell. As measured by the pgcache at the admin
// address, when that fronts this origin; else guessed from what the origin counts.
std::vector<std::string> precision_advice(const config::Config& config);

}  // namespace pgcache::app
