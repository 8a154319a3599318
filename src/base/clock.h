// SPDX-License-Identifier: Apache-2.0
// Time as a value: pure code is handed the time and never reads a clock.
#pragma once

#include <chrono>

namespace pgcache {

using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

}  // namespace pgcache
