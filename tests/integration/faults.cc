// SPDX-License-Identifier: Apache-2.0
#include "faults.h"

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace pgcache::testing {

using std::chrono::milliseconds;

namespace {

constexpr int kReaders = 2;
constexpr auto kWritePause = milliseconds(20);
constexpr auto kReadPause = milliseconds(3);
constexpr auto kRetryPause = milliseconds(30);
constexpr std::size_t kComplaintsShown = 5;

milliseconds since(std::chrono::steady_clock::time_point begun) {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun);
}

std::optional<Connection> try_connect(const std::string& dsn) {
  try {
    return Connection(dsn);
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

bool lives(const Connection& connection) { return PQstatus(connection.raw()) == CONNECTION_OK; }

}  // namespace

StackOptions fault_options(std::vector<std::string> arguments, std::vector<std::string> conf) {
  StackOptions options;
  options.conf = std::move(conf);
  options.schema =
      "CREATE TABLE watched (id int PRIMARY KEY, n bigint NOT NULL);"
      "INSERT INTO watched SELECT i, 0 FROM generate_series(1, 10) i";
  options.arguments = {"--heartbeat-interval", "50ms", "--max-staleness",
                       std::to_string(kFaultStaleness.count()) + "ms"};
  options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
  options.relayed = true;
  return options;
}

FaultWatch::FaultWatch(Stack& stack) : stack_(stack) {
  threads_.emplace_back([this] { write(); });
  for (int i = 0; i < kReaders; ++i) threads_.emplace_back([this] { read(); });
}

FaultWatch::~FaultWatch() {
  over_ = true;
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void FaultWatch::finish(milliseconds longest, int sessions_lost) {
  over_ = true;
  for (std::thread& thread : threads_) thread.join();
  for (std::size_t i = 0; i < std::min(complaints_.size(), kComplaintsShown); ++i) {
    ADD_FAILURE() << complaints_[i];
  }
  EXPECT_GT(reads_, 0);
  EXPECT_GT(writes_, 0);
  EXPECT_LE(lost_, sessions_lost);
  EXPECT_LE(longest_ms_, longest.count() * patience());
}

void FaultWatch::pause_writing() {
  paused_ = true;
  while (writing_) std::this_thread::sleep_for(milliseconds(1));
}

void FaultWatch::go_on_writing() { paused_ = false; }

void FaultWatch::quietly(const std::function<void()>& work) {
  quiet_ = true;
  while (reading_ > 0) std::this_thread::sleep_for(milliseconds(1));
  work();
  quiet_ = false;
}

void FaultWatch::complain(const std::string& what) {
  const std::lock_guard lock(mutex_);
  complaints_.push_back(what);
}

void FaultWatch::write() {
  std::optional<Connection> origin;
  while (!over_) {
    std::this_thread::sleep_for(kWritePause);
    writing_ = true;
    if (!paused_) {
      if (!origin || !lives(*origin)) origin = try_connect(stack_.origin().dsn());
      if (origin) write_once(*origin);
    }
    writing_ = false;
  }
}

void FaultWatch::write_once(Connection& origin) {
  const QueryResult written = origin.query("UPDATE watched SET n = n + 1 WHERE id = 1 RETURNING n");
  if (!written.ok() || written.rows.empty()) return;
  ++writes_;
  const std::lock_guard lock(mutex_);
  acknowledged_.emplace_back(Clock::now(), std::stoll(written.value()));
}

std::int64_t FaultWatch::acknowledged_before(Clock::time_point time) {
  const std::lock_guard lock(mutex_);
  std::int64_t last = 0;
  for (const auto& [when, n] : acknowledged_) {
    if (when > time) break;
    last = n;
  }
  return last;
}

void FaultWatch::read() {
  std::optional<Connection> session;
  std::int64_t seen = 0;
  while (!over_) {
    std::this_thread::sleep_for(session ? kReadPause : kRetryPause);
    if (!session) session = try_connect(stack_.dsn());
    if (!session) continue;
    ++reading_;
    if (!quiet_) read_once(*session, seen);
    --reading_;
    if (lives(*session)) continue;
    ++lost_;
    session.reset();
  }
}

void FaultWatch::read_once(Connection& session, std::int64_t& seen) {
  const auto begun = Clock::now();
  const QueryResult read = session.query(kCounter);
  const std::int64_t took = since(begun).count();
  std::int64_t before = longest_ms_;
  while (took > before && !longest_ms_.compare_exchange_weak(before, took)) {
  }
  if (!read.ok()) return;
  ++reads_;
  const std::int64_t n = std::stoll(read.value());
  const std::int64_t floor = acknowledged_before(begun - kFaultStaleness * patience());
  if (n < floor) {
    complain("read " + std::to_string(n) + " although " + std::to_string(floor) +
             " was acknowledged longer than max_staleness before");
  }
  if (n < seen) complain("read " + std::to_string(n) + " after " + std::to_string(seen));
  seen = n;
  const QueryResult constant = session.query(kConstant);
  if (constant.ok() && constant.value() != "0") complain("row 2 was " + constant.value());
}

namespace {

void quietly(FaultWatch* watch, const std::function<void()>& work) {
  if (watch != nullptr) {
    watch->quietly(work);
  } else {
    work();
  }
}

}  // namespace

QueryResult query_quietly(FaultWatch* watch, Stack& stack, Connection& session,
                          const std::string& sql, const std::string& route) {
  QueryResult result;
  quietly(watch, [&] { result = stack.query(session, sql, route); });
  return result;
}

QueryResult query_until_quietly(FaultWatch* watch, Stack& stack, Connection& session,
                                const std::string& sql, const std::string& route) {
  QueryResult result;
  quietly(watch, [&] { result = stack.query_until(session, sql, route); });
  return result;
}

void expect_in_use(Stack& stack, milliseconds within, FaultWatch* watch) {
  const auto begun = std::chrono::steady_clock::now();
  Connection origin = connect_within(stack.origin().dsn(), 20000);
  Connection session = connect_within(stack.dsn(), 20000);
  const std::string read = "SELECT n FROM watched WHERE id = 3";
  const auto hit = [&] {
    std::string route;
    quietly(watch, [&] { route = stack.routes_of([&] { session.query(read); }); });
    return route == "hit";
  };
  EXPECT_TRUE(wait_until(hit, static_cast<int>(within.count())))
      << stack.proxy().http("/status").body << stack.proxy().log_tail();
  EXPECT_LE(since(begun), within * patience());
  const std::string value =
      origin.must("UPDATE watched SET n = n + 1 WHERE id = 3 RETURNING n").value();
  stack.proxy().settle(stack.origin().dsn());
  EXPECT_EQ(query_until_quietly(watch, stack, session, read, "hit").value(), value);
  for (int id = 2; id <= 10; ++id) {
    const std::string sql = "SELECT n FROM watched WHERE id = " + std::to_string(id);
    EXPECT_EQ(session.query(sql).value(), origin.must(sql).value()) << sql;
  }
}

double cold_starts(Stack& stack, const std::string& cause) {
  Labels labels;
  if (!cause.empty()) labels["cause"] = cause;
  return stack.proxy().metric("pgcache_cold_starts_total", labels);
}

}  // namespace pgcache::testing
