// SPDX-License-Identifier: Apache-2.0
// Asks a running pgcache's admin endpoint. Blocks; for the command line.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "admin/reports.h"
#include "base/result.h"
#include "config/config.h"

namespace pgcache::admin {

// The body of a GET answered with 200. An error when there is none within the time.
Result<std::string> fetch(const config::HostPort& address, const std::string& target,
                          std::chrono::milliseconds timeout);

struct PrecisionReport {
  std::string origin;  // AdminSources::origin of the process that answered
  std::vector<TablePrecision> tables;
};
// An error when this is not what precision_json() makes.
Result<PrecisionReport> parse_precision(const std::string& json);

}  // namespace pgcache::admin
