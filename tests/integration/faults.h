// SPDX-License-Identifier: Apache-2.0
// What a test of a fault watches while the fault lasts: somebody writes at the origin, others read
// through pgcache all the time. Nobody may read what is older than max_staleness allows, see time
// run backwards, wait long, or lose a session that PostgreSQL would have kept.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "stack.h"

namespace pgcache::testing {

// The table "watched" (id, n) with ten rows, of which row 1 is the counter; row 2 never changes.
// max_staleness is kFaultStaleness, heartbeats come every 50 ms.
StackOptions fault_options(std::vector<std::string> arguments = {},
                           std::vector<std::string> conf = {});
inline constexpr std::chrono::milliseconds kFaultStaleness{1000};

inline constexpr const char* kCounter = "SELECT n FROM watched WHERE id = 1";
inline constexpr const char* kConstant = "SELECT n FROM watched WHERE id = 2";

class FaultWatch {
 public:
  // Begins at once: one writer, straight at the origin; two readers through pgcache, each on one
  // session for as long as that lives.
  explicit FaultWatch(Stack& stack);
  ~FaultWatch();
  FaultWatch(const FaultWatch&) = delete;
  FaultWatch& operator=(const FaultWatch&) = delete;

  // Ends both, and fails the test if any answer was wrong, or took longer than `longest`, or if
  // sessions were lost: no more than `sessions_lost` (each reader counts once for each).
  void finish(std::chrono::milliseconds longest, int sessions_lost = 0);
  // As long as the origin cannot be written to, on purpose.
  void pause_writing();
  void go_on_writing();

  // Runs it while nobody reads, so that the routes counted are its own.
  void quietly(const std::function<void()>& work);

  int reads() const { return reads_; }
  int writes() const { return writes_; }

 private:
  using Clock = std::chrono::steady_clock;
  void write();
  void read();
  void write_once(Connection& origin);
  void read_once(Connection& session, std::int64_t& seen);
  std::int64_t acknowledged_before(Clock::time_point time);
  void complain(const std::string& what);

  Stack& stack_;
  std::atomic<bool> over_{false};
  std::atomic<bool> paused_{false};
  std::atomic<bool> writing_{false};
  std::atomic<bool> quiet_{false};
  std::atomic<int> reading_{0};
  std::atomic<int> reads_{0}, writes_{0}, lost_{0};
  std::atomic<std::int64_t> longest_ms_{0};
  std::mutex mutex_;
  std::vector<std::pair<Clock::time_point, std::int64_t>> acknowledged_;
  std::vector<std::string> complaints_;
  std::vector<std::thread> threads_;
};

// As Stack's, while the watch goes on (null: there is none).
QueryResult query_quietly(FaultWatch* watch, Stack& stack, Connection& session,
                          const std::string& sql, const std::string& route);
QueryResult query_until_quietly(FaultWatch* watch, Stack& stack, Connection& session,
                                const std::string& sql, const std::string& route);

// The cache is in use: what is in "watched" is served from memory within the time (by one session),
// a change at the origin is seen, and every row is what the origin has.
void expect_in_use(Stack& stack, std::chrono::milliseconds within = std::chrono::seconds(10),
                   FaultWatch* watch = nullptr);

// How often a slot was made anew and everything dropped: the cold starts counted since the start,
// the first included.
double cold_starts(Stack& stack, const std::string& cause = {});

}  // namespace pgcache::testing
