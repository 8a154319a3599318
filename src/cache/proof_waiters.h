// SPDX-License-Identifier: Apache-2.0
// Those who wait for a proof of freshness that is younger than their request. Any thread. Waiters
// that were cancelled stay until a proof comes, or so many are there that they are looked through.
#pragma once

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cache/waiter.h"

namespace pgcache::cache {

class ProofWaiters {
 public:
  // Whoever adds one looks afterwards whether the proof has come meanwhile.
  void add(TimePoint since, WaiterPtr waiter) {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= sweep_at_) {
      std::erase_if(waiting_, [](const Waiting& w) { return w.waiter->over(); });
      sweep_at_ = std::max<std::size_t>(64, 2 * waiting_.size());
    }
    waiting_.push_back({since, std::move(waiter)});
    any_.store(true);
  }

  // Those who need wait no longer, by the test of the time since when they need a proof.
  template <typename IsProven>
  Waiters take(const IsProven& is_proven) {
    Waiters taken;
    if (!any_.load()) return taken;
    const std::lock_guard lock(mutex_);
    std::erase_if(waiting_, [&](Waiting& w) {
      if (!is_proven(w.since)) return false;
      taken.push_back(std::move(w.waiter));
      return true;
    });
    any_.store(!waiting_.empty());
    return taken;
  }

 private:
  struct Waiting {
    TimePoint since;
    WaiterPtr waiter;
  };
  std::atomic<bool> any_{false};
  std::mutex mutex_;
  std::vector<Waiting> waiting_;
  std::size_t sweep_at_ = 64;
};

}  // namespace pgcache::cache
