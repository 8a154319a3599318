// SPDX-License-Identifier: Apache-2.0
#include "origin/stand_in.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "origin/confirming_stream.h"
#include "origin/link.h"

namespace pgcache::origin {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

struct StandIn::Impl {
  Impl(std::shared_ptr<const config::Config> c, std::function<void()> stop, Companion* other)
      : config(std::move(c)), stop_serving(std::move(stop)), companion(other) {}

  const std::shared_ptr<const config::Config> config;
  const std::function<void()> stop_serving;
  Companion* const companion;  // but for what any thread may ask: by the mutex
  Event wake;
  Event leave;  // the connection is to be closed
  std::thread thread;
  std::atomic<std::uint64_t> applied{0};
  std::atomic<std::uint64_t> timeouts{0};

  std::mutex mutex;  // guards what follows
  std::condition_variable left;
  bool stopping = false;
  bool armed = false;    // the slot is ours: commits may be waiting for us
  bool engaged = false;  // it confirms, or tries to
  bool connected = false;
  int walsender = 0;
  // The oldest flushed position that is not applied, and since when that is known; zero: none.
  pg::Lsn behind;
  TimePoint behind_since;

  void run();
  bool wait_for_work();
  void watch();
  void stand();
  // With the lock held
  void note_alive();
  void check_companion();
  void engage();
};

void StandIn::Impl::run() {
  while (wait_for_work()) {
    watch();
    {
      const std::lock_guard lock(mutex);
      if (!engaged || stopping) continue;
      connected = true;
    }
    try {
      stand();
    } catch (const std::exception& e) {
      log_error("stand-in: {}", e.what());
    }
    {
      const std::lock_guard lock(mutex);
      connected = false;
    }
    left.notify_all();
    leave.wait_for(kConfirmRetry);
  }
}

// Until somebody wakes the thread, or it is time to look; false: the end.
bool StandIn::Impl::wait_for_work() {
  wake.wait_for(ack_watch_interval(*config));
  wake.clear();
  const std::lock_guard lock(mutex);
  return !stopping;
}

void StandIn::Impl::watch() {
  const std::lock_guard lock(mutex);
  note_alive();
  check_companion();
  if (behind.value <= applied.load(std::memory_order_acquire)) behind = {};
  if (engaged || !armed || behind.value == 0) return;
  if (Clock::now() < behind_since + config->strict_ack_timeout) return;
  timeouts.fetch_add(1, std::memory_order_relaxed);
  log_warning(
      "stand-in: what the origin flushed up to {} is not applied after {} ms (strict_ack_timeout); "
      "the cache is dropped, and commits need not wait for it until it has started anew",
      pg::to_string(behind), config->strict_ack_timeout.count());
  engage();
}

void StandIn::Impl::note_alive() {
  if (companion == nullptr) return;
  companion->note_alive(armed, walsender);
}

// What it has confirmed is not in the cache.
void StandIn::Impl::check_companion() {
  if (companion == nullptr || engaged || companion->has_taken_over() == 0) return;
  engage();
}

void StandIn::Impl::engage() {
  engaged = true;
  stop_serving();
}

void StandIn::Impl::stand() {
  int before = 0;
  {
    const std::lock_guard lock(mutex);
    before = walsender;
  }
  confirm_all(*config, before, leave, [this] {
    const std::lock_guard lock(mutex);
    note_alive();
  });
}

StandIn::StandIn(std::shared_ptr<const config::Config> config, std::function<void()> stop_serving,
                 Companion* companion)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(stop_serving), companion)) {}

StandIn::~StandIn() { stop(); }

void StandIn::start() {
  CHECK(!impl_->thread.joinable());
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void StandIn::stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->armed = false;
    impl_->note_alive();
  }
  impl_->leave.raise();
  impl_->wake.raise();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void StandIn::note_flushed(pg::Lsn position) {
  const std::lock_guard lock(impl_->mutex);
  const pg::Lsn applied{impl_->applied.load(std::memory_order_acquire)};
  if (impl_->behind <= applied) impl_->behind = {};
  if (impl_->behind.value != 0 || position <= applied) return;
  impl_->behind = position;
  impl_->behind_since = Clock::now();
}

void StandIn::note_applied(pg::Lsn position) {
  impl_->applied.store(position.value, std::memory_order_release);
}

void StandIn::note_walsender(int pid) {
  const std::lock_guard lock(impl_->mutex);
  impl_->walsender = pid;
  impl_->note_alive();
}

void StandIn::begin() {
  const std::lock_guard lock(impl_->mutex);
  impl_->armed = true;
  impl_->note_alive();
  if (impl_->engaged || impl_->stopping) return;
  impl_->engaged = true;
  impl_->wake.raise();
}

void StandIn::end() {
  std::unique_lock lock(impl_->mutex);
  impl_->behind = {};
  if (!impl_->engaged) return;
  impl_->engaged = false;
  impl_->leave.raise();
  impl_->left.wait(lock, [this] { return !impl_->connected; });
  if (impl_->companion != nullptr) impl_->companion->relieve();
  if (!impl_->stopping) impl_->leave.clear();
}

void StandIn::disarm() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->armed = false;
    impl_->note_alive();
    if (impl_->companion != nullptr) impl_->companion->relieve();
  }
  end();
}

void StandIn::check_companion() {
  const std::lock_guard lock(impl_->mutex);
  impl_->check_companion();
}

bool StandIn::serve_unless_engaged(const std::function<void()>& serve) {
  const std::lock_guard lock(impl_->mutex);
  impl_->check_companion();
  if (impl_->engaged) return false;
  serve();
  return true;
}

std::uint64_t StandIn::timeouts() const {
  return impl_->timeouts.load(std::memory_order_relaxed) +
         (impl_->companion != nullptr ? impl_->companion->takeovers() : 0);
}

}  // namespace pgcache::origin
