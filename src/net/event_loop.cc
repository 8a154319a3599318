// SPDX-License-Identifier: Apache-2.0
#include "net/event_loop.h"

#include <event2/event.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <memory>
#include <new>

#include "base/check.h"
#include "base/log.h"

namespace pgcache::net {

EventLoop::EventLoop() {
  const std::unique_ptr<event_config, decltype(&event_config_free)> config(event_config_new(),
                                                                           event_config_free);
  CHECK(config != nullptr);
  // All that other threads do is post(), which has a lock of its own.
  event_config_set_flag(config.get(), EVENT_BASE_FLAG_NOLOCK);
  base_ = event_base_new_with_config(config.get());
  wake_ = FileDescriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  CHECK(base_ != nullptr && wake_.open());
  wake_event_ = event_new(base_, wake_.get(), EV_READ | EV_PERSIST, &EventLoop::on_posted, this);
  CHECK(wake_event_ != nullptr && event_add(wake_event_, nullptr) == 0);
}

EventLoop::~EventLoop() {
  posted_.clear();  // what they own may be on this loop
  event_free(wake_event_);
  event_base_free(base_);
}

void EventLoop::run() { event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY); }

// Without post(), which needs memory.
void EventLoop::stop() noexcept {
  stopping_ = true;
  wake();
}

void EventLoop::post(std::function<void()> function) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(function));
  }
  if (first) wake();
}

void EventLoop::wake() noexcept {
  const std::uint64_t one = 1;
  // It can only fail with a counter that is not zero already, which wakes as well.
  (void)!::write(wake_.get(), &one, sizeof one);
}

void EventLoop::on_posted(int descriptor, short /*what*/, void* self) {
  auto& loop = *static_cast<EventLoop*>(self);
  std::uint64_t count = 0;
  (void)!::read(descriptor, &count, sizeof count);
  const bool stops = loop.stopping_.exchange(false);
  std::vector<std::function<void()>> functions;
  {
    const std::lock_guard lock(loop.mutex_);
    functions.swap(loop.posted_);
  }
  for (const auto& function : functions) call(function);
  if (stops) event_base_loopbreak(loop.base_);
}

void EventLoop::call(const std::function<void()>& handler) {
  try {
    handler();
  } catch (const std::exception& error) {
    log_error("a handler failed: {}", error.what());
  }
}

Timer::Timer(EventLoop& loop, std::function<void()> fire) : fire_(std::move(fire)) {
  const auto on_timer = [](int, short, void* self) {
    EventLoop::call(static_cast<Timer*>(self)->fire_);
  };
  event_ = event_new(loop.base(), -1, 0, on_timer, this);
  if (event_ == nullptr) throw std::bad_alloc();
}

Timer::~Timer() { event_free(event_); }

void Timer::start(std::chrono::nanoseconds after) {
  using std::chrono::microseconds;
  const auto wait = std::max(std::chrono::duration_cast<microseconds>(after), microseconds(0));
  const timeval time{wait.count() / 1'000'000, wait.count() % 1'000'000};
  if (event_add(event_, &time) != 0) throw std::bad_alloc();
}

void Timer::start_now() noexcept { event_active(event_, EV_TIMEOUT, 0); }

void Timer::cancel() { event_del(event_); }

}  // namespace pgcache::net
