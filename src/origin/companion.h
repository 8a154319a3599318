// SPDX-License-Identifier: Apache-2.0
// A second process that stands in for a pgcache which does not run (stopped, or starved of
// processors) while commits at the origin wait for it as their synchronous standby: what a thread
// of pgcache cannot do (origin/stand_in.h). ADR 24.
//
// Both share a few words of memory. pgcache's stand-in says there every now and then that it runs;
// when it has not for strict_ack_timeout, the companion takes over: it writes so into the shared
// memory, and only then confirms commits. Every hit looks at that word (cache/freshness.h), so a
// pgcache that goes on serves nothing until it has noticed, dropped the cache, and relieved the
// companion.
//
// The companion lives as long as the process that made it, and has no threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "config/config.h"
#include "origin/link.h"

namespace pgcache::origin {

class Companion {
 public:
  // Forks. To be called by the main thread, before there are others. Null, and a warning in the
  // log, when the system gives no process or memory.
  static std::unique_ptr<Companion> fork_from(const config::Config& config);
  ~Companion();  // ends the process
  Companion(const Companion&) = delete;
  Companion& operator=(const Companion&) = delete;

  // Not zero from before the companion's first word to the origin until it is relieved. Any thread.
  const std::atomic<std::uint32_t>& has_taken_over() const;
  std::uint64_t takeovers() const;  // any thread

  // pgcache runs; whether commits may wait for it, and its walsender (0: none), which is ended
  // first. What follows is for one thread at a time.
  void note_alive(bool armed, int walsender);
  // Nothing is served any more, and commits need the companion no longer: returns when its
  // connection is closed, after some seconds at most.
  void relieve();

 private:
  struct Shared;
  Companion(Shared* shared, int pid, std::unique_ptr<Event> leave);
  void beat();
  bool has_ended();
  void end_process() noexcept;
  [[noreturn]] static void watch(const config::Config& config, Shared& shared, Event& leave);

  Shared* const shared_;
  const int pid_;
  const std::unique_ptr<Event> leave_;  // shared too: the companion's connection is to be closed
  bool ended_ = false;
};

}  // namespace pgcache::origin
