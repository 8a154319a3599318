// SPDX-License-Identifier: Apache-2.0
// One session's wish to be woken once. Shared between whoever will wake it and the Wait that the
// session holds. fire() calls the function at most once and without any lock held; after cancel()
// it is not called any more, unless the call has already begun on another thread. A call that fails
// (for want of memory) is as none: who waits does so for a limited time.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/log.h"
#include "cache/cache.h"

namespace pgcache::cache {

class Waiter {
 public:
  explicit Waiter(std::function<void()> wake) : wake_(std::move(wake)) {}

  void fire() noexcept {
    std::function<void()> wake;
    {
      const std::lock_guard lock(mutex_);
      if (over_) return;
      over_ = true;
      wake = std::move(wake_);
    }
    try {
      if (wake) wake();
    } catch (const std::exception& error) {
      log_error("a session could not be woken: {}", error.what());
    }
  }

  void cancel() {
    std::function<void()> dropped;  // destroyed after the lock: its captures may own anything
    const std::lock_guard lock(mutex_);
    over_ = true;
    dropped.swap(wake_);
  }

  bool over() const {
    const std::lock_guard lock(mutex_);
    return over_;
  }

 private:
  mutable std::mutex mutex_;
  bool over_ = false;
  std::function<void()> wake_;
};

using WaiterPtr = std::shared_ptr<Waiter>;
using Waiters = std::vector<WaiterPtr>;

inline void fire_all(const Waiters& waiters) {
  for (const WaiterPtr& waiter : waiters) waiter->fire();
}

class WaitHandle final : public Wait {
 public:
  explicit WaitHandle(WaiterPtr waiter) : waiter_(std::move(waiter)) {}
  ~WaitHandle() override { waiter_->cancel(); }
  WaitHandle(const WaitHandle&) = delete;
  WaitHandle& operator=(const WaitHandle&) = delete;

 private:
  WaiterPtr waiter_;
};

}  // namespace pgcache::cache
