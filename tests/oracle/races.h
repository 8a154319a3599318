// SPDX-License-Identifier: Apache-2.0
// Loads that race with the change of what they read. A key is read for the first time at the moment
// at which it is changed, and then left alone: an answer that was loaded before the change and kept
// after it stays in the cache for good, where the next look finds it.
#pragma once

#include "oracle/report.h"
#include "oracle/stage.h"

namespace pgcache::oracle {

// Throws WrongAnswer.
void run_races(Stage& stage, std::uint64_t seed, Clock::time_point deadline, Counts& counts);

}  // namespace pgcache::oracle
