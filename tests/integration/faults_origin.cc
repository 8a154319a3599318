// SPDX-License-Identifier: Apache-2.0
// The origin fails, is put back, or becomes another server. Each test asserts that no answer is
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

void down_and_up(Stack& stack, const std::function<void()>& down) {
  expect_in_use(stack);
  FaultWatch watch(stack);
  std::this_thread::sleep_for(milliseconds(300));
  down();
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(stack.proxy().http("/readyz").status, 503);
  stack.origin().start();
  expect_in_use(stack, seconds(15), &watch);
  watch.finish(kLongest, kSessionsOfReaders);
}

TEST(FaultsOrigin, KilledAndStartedAgain) {
  Stack stack(fault_options());
  down_and_up(stack, [&] { stack.origin().kill9(); });
  EXPECT_EQ(cold_starts(stack, "crash"), 1);
  EXPECT_EQ(cold_starts(stack), 2);
}

TEST(FaultsOrigin, ImmediateShutdown) {
  Stack stack(fault_options());
  down_and_up(stack, [&] { EXPECT_TRUE(stack.origin().stop(StopMode::kImmediate)); });
  EXPECT_EQ(cold_starts(stack, "crash"), 1);
  EXPECT_EQ(cold_starts(stack), 2);
}

// The stream is followed to the end of the shutdown, and goes on behind it.
TEST(FaultsOrigin, FastShutdown) {
  Stack stack(fault_options());
  down_and_up(stack, [&] { EXPECT_TRUE(stack.origin().stop()); });
  EXPECT_EQ(cold_starts(stack), 1) << stack.proxy().log_tail();
  EXPECT_EQ(stack.proxy().metric("pgcache_stream_resumes_total"), 1);
}

// With the stream down the end of the shutdown is not seen: what the origin did since is not known.
TEST(FaultsOrigin, FastShutdownUnseen) {
  Stack stack(fault_options());
  down_and_up(stack, [&] {
    stack.relay().stall(Peer::kStream, true);
    stack.origin().stop(StopMode::kFast, 1000);
    stack.relay().cut(Peer::kStream);
    stack.relay().stall(Peer::kStream, false);
  });
  EXPECT_EQ(cold_starts(stack), 2) << stack.proxy().log_tail();
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

// --- the origin restored to an earlier state

// The data folder of a server that is down, kept and put back.
class Backup {
 public:
  explicit Backup(Cluster& cluster) : cluster_(cluster) {
    run_command("cp -a " + data() + " " + kept());
  }
  void put_back() const { run_command("rm -rf " + data() + " && cp -a " + kept() + " " + data()); }

 private:
  std::string data() const { return cluster_.folder() + "/data"; }
  std::string kept() const { return cluster_.folder() + "/kept"; }
  Cluster& cluster_;
};

// With a slot of pgcache's in the copy, so that nothing but the history tells the two apart.
Backup take_backup(Stack& stack) {
  EXPECT_TRUE(stack.origin().stop());
  Backup backup(stack.origin());
  stack.origin().start();
  EXPECT_TRUE(stack.proxy().wait_ready()) << stack.proxy().http("/readyz").body;
  return backup;
}

// What the copy did not have is gone: nothing of it may be served, nor may changes that come at
// positions which pgcache has passed once be taken for known.
void restore_to_an_earlier_state(const std::vector<std::string>& level) {
  Stack stack(fault_options(level));
  const Backup backup = take_backup(stack);
  const double before = cold_starts(stack) - 1;
  {
    Connection origin(stack.origin().dsn());
    origin.must("UPDATE watched SET n = 100 WHERE id > 2");
    stack.settle();
    Connection session = stack.client();
    EXPECT_EQ(stack.query_until(session, "SELECT n FROM watched WHERE id = 5", "hit").value(),
              "100");
    for (int i = 0; i < 50; ++i) origin.must("UPDATE watched SET n = n + 1 WHERE id = 4");
    stack.settle();
  }
  ASSERT_TRUE(stack.origin().stop());
  backup.put_back();
  stack.origin().start();
  Connection origin = connect_within(stack.origin().dsn(), 20000);
  Connection session = connect_within(stack.dsn(), 20000);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(session.query("SELECT n FROM watched WHERE id = 5").value(), "0");
    std::this_thread::sleep_for(milliseconds(20));
  }
  ASSERT_TRUE(stack.proxy().wait_ready()) << stack.proxy().http("/readyz").body;
  EXPECT_EQ(stack.query_until(session, "SELECT n FROM watched WHERE id = 5", "hit").value(), "0");
  origin.must("UPDATE watched SET n = 7 WHERE id = 5");
  stack.settle();
  EXPECT_EQ(session.query("SELECT n FROM watched WHERE id = 5").value(), "7");
  EXPECT_EQ(cold_starts(stack), 2 + before) << stack.proxy().log_tail();
  EXPECT_EQ(cold_starts(stack, "restored"), 1);
  expect_in_use(stack);
}

TEST(FaultsOrigin, RestoredToAnEarlierStateEventual) {
  restore_to_an_earlier_state({"--consistency", "eventual"});
}
TEST(FaultsOrigin, RestoredToAnEarlierStateSession) {
  restore_to_an_earlier_state({"--consistency", "session"});
}
TEST(FaultsOrigin, RestoredToAnEarlierStateStrict) {
  restore_to_an_earlier_state({"--consistency", "strict", "--strict-verify", "read"});
}

// The restored server has gone on beyond all that pgcache knew, and was shut down and started once
// more, before pgcache reached it again: its positions tell nothing.
TEST(FaultsOrigin, RestoredAndOvertaken) {
  Stack stack(fault_options());
  const Backup backup = take_backup(stack);
  {
    Connection origin(stack.origin().dsn());
    Connection session = stack.client();
    stack.query_until(session, "SELECT n FROM watched WHERE id = 5", "hit");
    origin.must("UPDATE watched SET n = 100 WHERE id > 2");
    stack.settle();
    EXPECT_EQ(stack.query_until(session, "SELECT n FROM watched WHERE id = 5", "hit").value(),
              "100");
  }
  ASSERT_TRUE(stack.origin().stop());
  stack.relay().lead_to(1);  // where nobody listens
  backup.put_back();
  stack.origin().start();
  for (int i = 0; i < 2; ++i) {
    Connection origin(stack.origin().dsn());
    for (int j = 0; j < 50; ++j) origin.must("UPDATE watched SET n = n + 1 WHERE id = 4");
    origin.must("CHECKPOINT");
    stack.origin().restart();
  }
  stack.relay().lead_to(stack.origin().port());
  ASSERT_TRUE(stack.proxy().wait_ready()) << stack.proxy().http("/readyz").body;
  Connection session = connect_within(stack.dsn(), 20000);
  EXPECT_EQ(stack.query_until(session, "SELECT n FROM watched WHERE id = 5", "hit").value(), "0");
  EXPECT_EQ(cold_starts(stack, "restart"), 1) << stack.proxy().log_tail();
  expect_in_use(stack);
}

// --- another server takes over

// A physical standby of the origin.
class Standby {
 public:
  explicit Standby(Stack& stack) {
    server_.stop();
    const std::string data = server_.folder() + "/data";
    const Outcome made =
        run_command("rm -rf " + data + " && " + Cluster::bin_folder() +
                    "/pg_basebackup -c fast -X stream -R -d '" + stack.origin().dsn() + "' -D " +
                    data + " && if [ $(id -u) = 0 ]; then chown -R postgres " + data + "; fi");
    if (made.status != 0) throw std::runtime_error(made.output);
    server_.append_conf("port = " + std::to_string(server_.port()) +
                        "\nunix_socket_directories = '" + server_.folder() + "'");
    server_.start();
  }
  Cluster& server() { return server_; }
  Connection connect() { return connect_within(server_.dsn(), 20000); }
  void catch_up(Stack& stack) {
    Connection origin(stack.origin().dsn());
    const std::string end = origin.must("SELECT pg_current_wal_flush_lsn()").value();
    Connection here = connect();
    EXPECT_TRUE(wait_until(
        [&] {
          return here.must("SELECT pg_last_wal_replay_lsn() >= '" + end + "'").value() == "t";
        },
        10000));
  }
  // What the origin commits from now on does not reach it.
  void fall_behind() {
    Connection here = connect();
    here.must("ALTER SYSTEM SET primary_conninfo = ''");
    here.must("SELECT pg_reload_conf()");
    EXPECT_TRUE(wait_until(
        [&] { return here.must("SELECT count(*) FROM pg_stat_wal_receiver").value() == "0"; },
        10000));
  }
  void promote() { connect().must("SELECT pg_promote()"); }

 private:
  Cluster server_;
};

constexpr const char* kFive = "SELECT n FROM watched WHERE id = 5";

// What the new server has, pgcache serves: also of rows that only the old one changed.
void expect_promoted_in_use(Stack& stack, Standby& standby) {
  Connection promoted = standby.connect();
  Connection session = connect_within(stack.dsn(), 20000);
  EXPECT_EQ(stack.query_until(session, kFive, "hit").value(), "0");
  promoted.must("UPDATE watched SET n = 6 WHERE id = 5");
  stack.proxy().settle(standby.server().dsn());
  EXPECT_EQ(stack.query_until(session, kFive, "hit").value(), "6");
  EXPECT_EQ(promoted
                .must("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'pgcache' "
                      "AND active")
                .value(),
            "1");
}

// The old server is dead. A commit of its that was cached has not reached the new one.
TEST(FaultsOrigin, PromotedStandbyTakesOver) {
  Stack stack(fault_options());
  expect_in_use(stack);
  Standby standby(stack);
  standby.catch_up(stack);
  standby.fall_behind();
  Connection lost = stack.client();
  stack.direct().must("UPDATE watched SET n = 100 WHERE id = 5");
  stack.settle();
  EXPECT_EQ(stack.query_until(lost, kFive, "hit").value(), "100");
  stack.origin().kill9();
  standby.promote();
  stack.relay().lead_to(standby.server().port());
  EXPECT_TRUE(wait_until([&] { return !lost.query(kFive).ok() && !lives(lost); }, 5000));
  {
    Connection session = connect_within(stack.dsn(), 20000);
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(session.query(kFive).value(), "0");
      std::this_thread::sleep_for(milliseconds(10));
    }
  }
  expect_promoted_in_use(stack, standby);
  EXPECT_EQ(cold_starts(stack, "server"), 1) << stack.proxy().log_tail();
  EXPECT_EQ(cold_starts(stack), 2);
}

// The old server lives on, and so do the connections to it: pgcache's own for a while, and a
// client's for ever. New sessions are at the new one. Nobody gets what the other server has.
TEST(FaultsOrigin, PromotedStandbyBesideTheOldServer) {
  Stack stack(fault_options());
  expect_in_use(stack);
  Standby standby(stack);
  standby.catch_up(stack);
  standby.promote();
  Connection old = stack.client();
  EXPECT_EQ(stack.query_until(old, kFive, "hit").value(), "0");
  stack.relay().lead_to(standby.server().port());
  standby.connect().must("UPDATE watched SET n = 7 WHERE id = 5");
  Connection fresh = stack.client();
  // Changes at the new server do not come in the stream, which is the old one's still.
  EXPECT_EQ(value_of(stack.query(fresh, kFive, "bypass:other_database")), "7");
  EXPECT_EQ(value_of(stack.query(old, kFive, "hit")), "0");
  stack.relay().cut(Peer::kStream);
  stack.relay().cut(Peer::kControl);
  EXPECT_EQ(stack.query_until(fresh, kFive, "hit").value(), "7");
  EXPECT_EQ(value_of(stack.query(old, kFive, "bypass:other_database")), "0");
  stack.direct().must("UPDATE watched SET n = 8 WHERE id = 5");
  EXPECT_EQ(value_of(stack.query(old, kFive, "bypass:other_database")), "8");
  EXPECT_EQ(value_of(stack.query(fresh, kFive, "hit")), "7");
  standby.connect().must("UPDATE watched SET n = 0 WHERE id = 5");
  stack.proxy().settle(standby.server().dsn());
  expect_promoted_in_use(stack, standby);
  EXPECT_EQ(cold_starts(stack, "server"), 1) << stack.proxy().log_tail();
  EXPECT_EQ(value_of(stack.query(old, kFive, "bypass:other_database")), "8");
}

// --- the origin's disk is full

// The WAL on a disk of its own. PostgreSQL ends itself when it cannot write there, and comes back
// once there is room.
TEST(FaultsOrigin, DiskFull) {
  Stack stack(fault_options({}, {"max_wal_size = 32MB", "min_wal_size = 32MB"}));
  const std::string wal = stack.origin().folder() + "/data/pg_wal";
  const std::string disk = stack.origin().folder() + "/disk";
  ASSERT_TRUE(stack.origin().stop());
  if (run_command("mkdir " + disk + " && mount -t tmpfs -o size=96m tmpfs " + disk).status != 0) {
    GTEST_SKIP() << "a file system cannot be mounted here";
  }
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
  run_command("umount -l " + disk);
}

}  // namespace
}  // namespace pgcache::testing
