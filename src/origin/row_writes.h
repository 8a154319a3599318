// SPDX-License-Identifier: Apache-2.0
// How much the tables of the publication are written to, as the origin counts it. From main only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace pgcache::origin {

struct RowWrites {
  std::string schema;
  std::string name;
  std::uint64_t changed = 0;  // rows updated or deleted since the origin's statistics were reset
};

// Tables of the publication that are not at REPLICA IDENTITY FULL and of which rows were updated or
// deleted, most first.
Result<std::vector<RowWrites>> read_row_writes(const config::Config& config);

}  // namespace pgcache::origin
