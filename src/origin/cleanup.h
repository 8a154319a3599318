// SPDX-License-Identifier: Apache-2.0
// `pgcache cleanup`: a short blocking conversation with the origin, from main only.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace pgcache::origin {

// Removes the slot, the event triggers and the publication that pgcache made. Yields what was
// removed, a line each, and what was left as pgcache had set it.
Result<std::vector<std::string>> cleanup_origin(const config::Config& config);

}  // namespace pgcache::origin
