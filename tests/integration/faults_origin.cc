// SPDX-License-Identifier: Apache-2.0
// The origin ends, and comes back. Each test asserts that no answer is
// wrong, nothing hangs, no session is lost that PostgreSQL would have kept, the cache is in use
// afterwards without a restart of pgcache, and what the counters tell.
#include <csignal>

#include "faults.h"
#include "support/command.h"

namespace pgcache::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kLongest = seconds(5);  // that an answer may take on a busy machine
// What PostgreSQL loses in a restart: the sessions of both readers; and those which connect while
// it goes down may be lost once more.
constexpr int kSessionsOfReaders = 8;

bool lives(const Connection& session) { return PQstatus(session.raw()) == CONNECTION_OK; }

// --- the origin ends and comes back

void down_and_up(Stack& stack, const std::function<void(FaultWatch&)>& down) {
  expect_in_use(stack);
  FaultWatch watch(stack);
  std::this_thread::sleep_for(milliseconds(300));
  down(watch);
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(stack.proxy().http("/readyz").status, 503);
  stack.origin().start();
  expect_in_use(stack, seconds(15), &watch);
  watch.finish(kLongest, kSessionsOfReaders);
}

TEST(FaultsOrigin, KilledAndStartedAgain) {
  Stack stack(fault_options());
  down_and_up(stack, [&](FaultWatch&) { stack.origin().kill9(); });
  EXPECT_EQ(cold_starts(stack, "crash"), 1);
  EXPECT_EQ(cold_starts(stack), 2);
}

TEST(FaultsOrigin, ImmediateShutdown) {
  Stack stack(fault_options());
  down_and_up(stack, [&](FaultWatch&) { EXPECT_TRUE(stack.origin().stop(StopMode::kImmediate)); });
  EXPECT_EQ(cold_starts(stack, "crash"), 1);
  EXPECT_EQ(cold_starts(stack), 2);
}

// The stream is followed to the end of the shutdown, and goes on behind it.
TEST(FaultsOrigin, FastShutdown) {
  Stack stack(fault_options());
  down_and_up(stack, [&](FaultWatch& watch) {
    // Reads prune, which leaves WAL that no commit flushes, and that the stream ends without.
    watch.pause_writing();
    std::this_thread::sleep_for(milliseconds(300));
    stack.direct().must("UPDATE watched SET n = n + 1 WHERE id = 10");
    EXPECT_TRUE(stack.origin().stop());
    watch.go_on_writing();
  });
  EXPECT_EQ(cold_starts(stack), 1) << stack.proxy().log_tail();
  EXPECT_EQ(stack.proxy().metric("pgcache_stream_resumes_total"), 1);
}

// With the stream down the end of the shutdown is not seen: what the origin did since is not known.
TEST(FaultsOrigin, FastShutdownUnseen) {
  Stack stack(fault_options());
  down_and_up(stack, [&](FaultWatch&) {
    stack.relay().lead_to(1);  // where nobody listens
    stack.relay().cut(Peer::kStream);
    EXPECT_TRUE(wait_until([&] { return walsender_of(stack.origin().dsn()) == 0; }, 10000));
    EXPECT_TRUE(stack.origin().stop());
    stack.relay().lead_to(stack.origin().port());
  });
  EXPECT_EQ(cold_starts(stack, "restart"), 1) << stack.proxy().log_tail();
  EXPECT_EQ(cold_starts(stack), 2);
}

TEST(FaultsOrigin, RestartInTheMidstOfAQuery) {
  Stack stack(fault_options());
  expect_in_use(stack);
  Connection waiting = stack.client();
  Connection reading = stack.client();
  reading.must(kConstant);
  ASSERT_EQ(PQsendQuery(waiting.raw(), "SELECT n, pg_sleep(60) FROM watched WHERE id = 1"), 1);
  std::this_thread::sleep_for(milliseconds(200));
  stack.origin().restart();
  PGresult* result = PQgetResult(waiting.raw());
  EXPECT_STREQ(PQresultErrorField(result, PG_DIAG_SQLSTATE), "57P01");
  PQclear(result);
  EXPECT_TRUE(
      wait_until([&] { return PQconsumeInput(waiting.raw()) == 0 || !lives(waiting); }, 5000));
  EXPECT_TRUE(wait_until([&] { return !reading.query("SELECT 1").ok() && !lives(reading); }, 5000));
  expect_in_use(stack, seconds(15));
  EXPECT_EQ(cold_starts(stack), 1) << stack.proxy().log_tail();
}

TEST(FaultsOrigin, RestartInTheMidstOfATransaction) {
  Stack stack(fault_options());
  expect_in_use(stack);
  Connection writing = stack.client();
  Connection begun = stack.client();
  writing.must("BEGIN");
  writing.must("UPDATE watched SET n = 55 WHERE id = 5");
  begun.must("BEGIN");  // deferred: the origin knows nothing of it
  EXPECT_EQ(begun.must(kConstant).value(), "0");
  stack.origin().restart();
  EXPECT_TRUE(wait_until([&] { return !writing.query("COMMIT").ok() && !lives(writing); }, 5000));
  EXPECT_TRUE(wait_until([&] { return !begun.query(kConstant).ok() && !lives(begun); }, 5000));
  Connection session = connect_within(stack.dsn(), 20000);
  EXPECT_EQ(session.query("SELECT n FROM watched WHERE id = 5").value(), "0");
  expect_in_use(stack, seconds(15));
  EXPECT_EQ(cold_starts(stack), 1) << stack.proxy().log_tail();
}

// --- the origin's disk is full

class SmallDisk {
 public:
  explicit SmallDisk(std::string where)
      : where_(std::move(where)),
        mounted_(run_command("mkdir " + where_ + " && mount -t tmpfs -o size=96m tmpfs " + where_)
                     .status == 0) {}
  ~SmallDisk() {
    if (mounted_) run_command("umount -l " + where_);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }

 private:
  const std::string where_;
  const bool mounted_;
};

// The WAL on a disk of its own. PostgreSQL ends itself when it cannot write there, and comes back
// once there is room.
TEST(FaultsOrigin, DiskFull) {
  Stack stack(fault_options({}, {"max_wal_size = 32MB", "min_wal_size = 32MB"}));
  const std::string wal = stack.origin().folder() + "/data/pg_wal";
  const std::string disk = stack.origin().folder() + "/disk";
  ASSERT_TRUE(stack.origin().stop());
  const SmallDisk small(disk);
  if (!small.mounted()) GTEST_SKIP() << "a file system cannot be mounted here";
  EXPECT_EQ(run_command("cp -a " + wal + " " + disk + "/wal && rm -rf " + wal + " && ln -s " +
                        disk + "/wal " + wal + " && chown -h postgres " + wal)
                .status,
            0);
  stack.origin().start();
  expect_in_use(stack, seconds(15));
  FaultWatch watch(stack);
  const double before = cold_starts(stack);
  run_command("head -c 96m /dev/zero > " + disk + "/filler");
  {
    Connection filling(stack.origin().dsn());
    for (int i = 0; i < 20 && lives(filling); ++i) {
      filling.query("SELECT pg_logical_emit_message(false, 'faults', repeat('x', 4000000))");
    }
    EXPECT_FALSE(lives(filling));
  }
  run_command("rm " + disk + "/filler");
  stack.origin().stop(StopMode::kImmediate);
  stack.origin().start();
  expect_in_use(stack, seconds(15), &watch);
  watch.finish(kLongest, kSessionsOfReaders);
  EXPECT_EQ(cold_starts(stack, "crash"), 1) << stack.proxy().log_tail();
  EXPECT_EQ(cold_starts(stack), before + 1);
  stack.origin().stop(StopMode::kImmediate);
}

}  // namespace
}  // namespace pgcache::testing
