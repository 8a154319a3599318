// SPDX-License-Identifier: Apache-2.0
// `pgcache check`: short blocking conversations with the origin, from main only.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "origin/events.h"
#include "origin/origin_tls.h"

namespace pgcache::origin {

// Everything that the origin lacks; empty when all is well. An error when it cannot be reached.
// `running`: a pgcache is known to front it, which may use the slot.
Result<std::vector<Problem>> check_origin(const config::Config& config, bool running = false);

// What the strict level rests on at the origin, a line for each setting; empty where it rests on
// none.
Result<std::vector<std::string>> strict_settings(const config::Config& config);

// Where client sessions connect: resolved from the URL as libpq resolves it (PG* variables, service
// and defaults included).
struct Endpoint {
  std::string host;  // a name or address, or a directory beginning with '/' (Unix socket)
  std::uint16_t port = 5432;
  std::string database;  // the one whose changes are read
  OriginTls tls;
};
Result<Endpoint> resolve_endpoint(const std::string& conninfo);

}  // namespace pgcache::origin
