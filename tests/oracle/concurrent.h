// SPDX-License-Identifier: Apache-2.0
// The concurrent phase: writers and readers at the same time. No two servers can be compared while
// rows change, so every answer is held against what every committed state has: sums and pairs that
// no transaction changes, versions that only grow, poison that is never committed.
#pragma once

#include "oracle/report.h"
#include "oracle/stage.h"

namespace pgcache::oracle {

// Throws WrongAnswer.
void run_concurrent(Stage& stage, std::uint64_t seed, Clock::time_point deadline, Counts& counts);

}  // namespace pgcache::oracle
