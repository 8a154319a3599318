// SPDX-License-Identifier: Apache-2.0
// Open transactions that leave WAL unflushed. The WAL writer flushes whole pages only, so the
// flushed position lies inside a record, which the stream cannot pass until somebody commits. On a
// server where nobody does, the cache must stay in use all the same.
#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <thread>

#include "stack.h"

namespace pgcache::testing {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";
constexpr const char* kCount = "SELECT count(*) FROM filled";
constexpr auto kStaleMax = milliseconds(2000);

// The origin is quiet: nothing flushes the rest of a page within the time of a test but pgcache's
// own doing, neither the background writer's records nor a checkpoint. Its WAL writer comes by soon
// even when it has found nothing to do for a while.
StackOptions quiet_origin() {
  StackOptions options;
  options.conf = {"bgwriter_delay = 10s", "wal_writer_delay = 10ms", "checkpoint_timeout = 1h"};
  options.schema =
      "CREATE TABLE t (id int PRIMARY KEY, v text);"
      "CREATE TABLE filled (id int PRIMARY KEY, v text);"
      "INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 10) i";
  options.arguments = {"--max-staleness", "1s"};
  return options;
}

// A transaction of the origin that stays open.
class OpenTransaction {
 public:
  explicit OpenTransaction(Stack& stack) : writer_(stack.origin().dsn()) {
    writer_.must("BEGIN; UPDATE t SET v = 'new' WHERE id = 1");
  }
  void write_kilobytes(int count) {
    writer_.must("INSERT INTO filled SELECT i, repeat('x', 1000) FROM generate_series(" +
                 std::to_string(written_ + 1) + ", " + std::to_string(written_ + count) + ") i");
    written_ += count;
  }
  bool leaves_wal_unflushed() {
    return writer_.must("SELECT pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn()")
               .value() == "t";
  }
  void commit() { writer_.must("COMMIT"); }

 private:
  Connection writer_;
  int written_ = 0;
};

struct Watched {
  std::map<std::string, int> routes;
  Clock::duration longest_without_hit{};

  std::string text() const {
    std::string out;
    for (const auto& [route, count] : routes) out += route + " " + std::to_string(count) + "; ";
    const auto longest = std::chrono::duration_cast<milliseconds>(longest_without_hit).count();
    return out + "longest time without a hit: " + std::to_string(longest) + " ms";
  }
};

// Reads the row again and again; `beside` runs between two reads.
Watched watch(Stack& stack, Connection& session, milliseconds time,
              const std::function<void()>& beside) {
  Watched watched;
  const auto end = Clock::now() + time;
  auto last_hit = Clock::now();
  while (Clock::now() < end) {
    beside();
    const std::string route =
        stack.routes_of([&] { EXPECT_EQ(session.must(kRead).value(), "v1"); });
    ++watched.routes[route];
    const auto now = Clock::now();
    watched.longest_without_hit = std::max(watched.longest_without_hit, now - last_hit);
    if (route == "hit") last_hit = now;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return watched;
}

void warm_up(Stack& stack, Connection& session) {
  stack.load(session, kRead);
  stack.query_until(session, kCount, "hit");
}

// The cache is in use for what it holds and for what is new, and yet not blind: what the
// transaction changed is seen once it commits.
void expect_cache_in_use(Stack& stack, Connection& session, OpenTransaction& transaction) {
  EXPECT_EQ(stack.query_until(session, "SELECT v FROM t WHERE id = 3", "hit").value(), "v3");
  EXPECT_EQ(stack.query_until(session, kCount, "hit").value(), "0");
  transaction.commit();
  stack.settle();
  EXPECT_EQ(value_of(stack.query(session, kRead, "miss")), "new");
  EXPECT_NE(value_of(stack.query(session, kCount, "miss")), "0");
}

TEST(UnflushedWal, OneBurst) {
  Stack stack(quiet_origin());
  Connection session = stack.client();
  warm_up(stack, session);
  OpenTransaction transaction(stack);
  transaction.write_kilobytes(20);
  EXPECT_TRUE(transaction.leaves_wal_unflushed());
  const Watched watched = watch(stack, session, milliseconds(4500), [] {});
  EXPECT_LE(watched.longest_without_hit, kStaleMax) << watched.text();
  expect_cache_in_use(stack, session, transaction);
}

TEST(UnflushedWal, ManySteps) {
  Stack stack(quiet_origin());
  Connection session = stack.client();
  warm_up(stack, session);
  OpenTransaction transaction(stack);
  const auto start = Clock::now();
  constexpr auto kStep = milliseconds(60);
  constexpr int kSteps = 50;
  int steps = 0;
  const Watched watched = watch(stack, session, kStep * kSteps + milliseconds(4000), [&] {
    while (steps < kSteps && Clock::now() >= start + steps * kStep) {
      transaction.write_kilobytes(4);
      ++steps;
    }
  });
  EXPECT_EQ(steps, kSteps);
  EXPECT_LE(watched.longest_without_hit, kStaleMax) << watched.text();
  expect_cache_in_use(stack, session, transaction);
}

// A session waits for the end of the WAL as it stood after its write, be it one that changed
// nothing and so flushed nothing.
TEST(UnflushedWal, SessionWaitsForItsOwnWrite) {
  Stack stack(quiet_origin());
  Connection session = stack.client();
  warm_up(stack, session);
  OpenTransaction transaction(stack);
  transaction.write_kilobytes(20);
  session.must("UPDATE t SET v = 'never' WHERE false");
  EXPECT_TRUE(transaction.leaves_wal_unflushed());
  const Watched watched = watch(stack, session, milliseconds(4500), [] {});
  EXPECT_GE(watched.routes.count("bypass:after_write"), 1u) << watched.text();
  EXPECT_LE(watched.longest_without_hit, kStaleMax) << watched.text();
  expect_cache_in_use(stack, session, transaction);
}

}  // namespace
}  // namespace pgcache::testing
