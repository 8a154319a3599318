// SPDX-License-Identifier: Apache-2.0
// A physical standby of the origin is promoted, and the address behind pgcache leads there. Each
// test asserts that no answer is wrong, nothing hangs, the cache is in use afterwards without a
// restart of pgcache, and what the counters tell.
#include "faults.h"
#include "support/command.h"

namespace pgcache::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

bool lives(const Connection& session) { return PQstatus(session.raw()) == CONNECTION_OK; }

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
TEST(FaultsFailover, PromotedStandbyTakesOver) {
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

// The old server lives on, and so do the connections to it: pgcache's own, and a client's. New
// sessions are at the new one. Nobody gets what the other server has, and pgcache goes over when it
// hears of that.
TEST(FaultsFailover, PromotedStandbyBesideTheOldServer) {
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
  EXPECT_EQ(old.query(kFive).value(), "0");
  EXPECT_EQ(stack.query_until(fresh, kFive, "hit").value(), "7");
  EXPECT_EQ(value_of(stack.query(old, kFive, "bypass:other_database")), "0");
  stack.direct().must("UPDATE watched SET n = 8 WHERE id = 5");
  EXPECT_EQ(value_of(stack.query(old, kFive, "bypass:other_database")), "8");
  EXPECT_EQ(value_of(stack.query(fresh, kFive, "hit")), "7");
  standby.connect().must("UPDATE watched SET n = 0 WHERE id = 5");
  stack.proxy().settle(standby.server().dsn());
  expect_promoted_in_use(stack, standby);
  EXPECT_EQ(cold_starts(stack, "server"), 1) << stack.proxy().log_tail();
  EXPECT_EQ(cold_starts(stack), 2);
  EXPECT_EQ(value_of(stack.query(old, kFive, "bypass:other_database")), "8");
  // Nothing stays behind that would fill the old server's disk.
  EXPECT_EQ(stack.direct().must("SELECT count(*) FROM pg_replication_slots").value(), "0");
}

}  // namespace
}  // namespace pgcache::testing
