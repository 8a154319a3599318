// SPDX-License-Identifier: Apache-2.0
// The event loop of one thread, over libevent: streams and timers live on it, other threads post
// functions to it. Readiness is level-triggered and registered once, which spares the call for each
// event that Asio's waits need (docs/adr/0009-workers-on-libevent.md).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <vector>

#include "net/socket.h"

struct event;
struct event_base;

namespace pgcache::net {

class EventLoop {
 public:
  EventLoop();  // aborts when the system has no file descriptors left
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Serves events on the calling thread until stop(). What a handler throws is logged.
  void run();
  void stop() noexcept;                       // any thread; what was posted before still runs
  void post(std::function<void()> function);  // any thread; runs on the loop's, in order

  event_base* base() { return base_; }
  // Calls a handler for libevent: nothing may be thrown through its frames.
  static void call(const std::function<void()>& handler);

 private:
  void wake() noexcept;
  static void on_posted(int descriptor, short what, void* self);

  event_base* base_;
  FileDescriptor wake_;
  event* wake_event_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
};

// Calls `fire` once after a time, unless cancelled or started anew before. On the loop's thread.
class Timer {
 public:
  Timer(EventLoop& loop, std::function<void()> fire);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Throws std::bad_alloc when there is no memory for it: the timer is not running then.
  void start(std::chrono::nanoseconds after);
  // As soon as the present handler has returned. Needs no memory.
  void start_now() noexcept;
  void cancel();

 private:
  std::function<void()> fire_;
  event* event_;
};

}  // namespace pgcache::net
