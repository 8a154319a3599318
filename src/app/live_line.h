// SPDX-License-Identifier: Apache-2.0
// The line that `pgcache run --live` shows once a second. Main thread.
#pragma once

#include <cstdint>
#include <string>

#include "admin/server.h"
#include "base/clock.h"
#include "cache/cache.h"

namespace pgcache::app {

class LiveLine {
 public:
  // The line for now, from the totals; rates are over the time since the last call.
  std::string next(const admin::RouteCounts& routes, const cache::CacheStatus& status,
                   const admin::Readiness& readiness, TimePoint now);

 private:
  std::uint64_t hit_ = 0;
  std::uint64_t miss_ = 0;
  std::uint64_t bypass_ = 0;
  std::uint64_t fallback_ = 0;
  TimePoint last_{};
};

}  // namespace pgcache::app
