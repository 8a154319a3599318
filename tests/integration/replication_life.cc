// SPDX-License-Identifier: Apache-2.0
// The change stream's life: made, lost, resumed, begun anew, ended. Every test has its own server.
#include <csignal>
#include <thread>

#include "stack.h"

namespace pgcache::testing {
namespace {

constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";

StackOptions small_table() {
  StackOptions options;
  options.schema =
      "CREATE TABLE t (id int PRIMARY KEY, v text);"
      "INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20) i";
  return options;
}

std::string count_slots(Stack& stack, const std::string& condition = "true") {
  return stack.direct()
      .must("SELECT count(*) FROM pg_replication_slots WHERE " + condition)
      .value();
}

int walsender(Stack& stack) {
  const QueryResult result = stack.direct().must(
      "SELECT active_pid FROM pg_replication_slots WHERE active_pid IS NOT NULL");
  return result.rows.empty() ? 0 : std::stoi(result.rows[0][0].value());
}

double restarts(Stack& stack) {
  return stack.proxy().metric("pgcache_invalidations_total", {{"cause", "restart"}});
}

TEST(ReplicationLife, SlotAndPublicationComeAndGo) {
  Stack stack(small_table());
  EXPECT_EQ(count_slots(stack, "slot_name = 'pgcache' AND plugin = 'pgoutput' AND active"), "1");
  Connection session = stack.client();
  EXPECT_EQ(rows_text(stack.load(session, kRead)), "v1");
  EXPECT_EQ(
      stack.direct()
          .must("SELECT string_agg(tablename, ',') FROM pg_publication_tables WHERE pubname = "
                "'pgcache' AND tablename = 't'")
          .value(),
      "t");
  EXPECT_TRUE(stack.proxy().stop());
  EXPECT_EQ(stack.proxy().exit_status(), 0);
  EXPECT_EQ(count_slots(stack), "0");
}

// What there is of pgcache at the origin, but for its slot.
std::string made(Stack& stack) {
  return stack.direct()
      .must(
          "SELECT concat_ws(' ', (SELECT string_agg(pubname, ' ') FROM pg_publication),"
          " (SELECT count(*) FROM pg_event_trigger), (SELECT count(*) FROM pg_namespace WHERE"
          " nspname = 'pgcache'))")
      .value();
}

TEST(ReplicationLife, ACleanShutdownTakesBackWhatItMade) {
  Stack stack(small_table());
  {
    Connection session = stack.client();
    stack.load(session, kRead);
  }
  EXPECT_EQ(made(stack), "pgcache 4 1");
  EXPECT_TRUE(stack.proxy().stop());
  EXPECT_EQ(made(stack), "0 0") << stack.proxy().log_tail();
  EXPECT_EQ(count_slots(stack), "0");
  stack.proxy().start();
  Connection session = stack.client();
  EXPECT_EQ(rows_text(stack.load(session, kRead)), "v1");
  stack.direct().must("UPDATE t SET v = 'again' WHERE id = 1");
  stack.settle();
  EXPECT_EQ(value_of(stack.query(session, kRead, "miss")), "again");
}

// Commits that wait for the standby which pgcache was must not keep it from going.
TEST(ReplicationLife, ACleanShutdownWaitsForNoStandby) {
  StackOptions options = small_table();
  options.arguments = {"--consistency", "strict"};
  options.wait_ready = false;
  Stack stack(options);
  become_synchronous(stack);
  EXPECT_TRUE(stack.proxy().stop());
  EXPECT_EQ(made(stack), "0 0") << stack.proxy().log_tail();
  set_names(stack, "");
}

// The last one that uses them takes them back, if it made them.
TEST(ReplicationLife, WhatAnotherPgcacheUsesStays) {
  Stack stack(small_table());
  PgcacheOptions beside;
  beside.origin = stack.origin().dsn();
  beside.arguments = {"--slot", "beside", "--workers", "1"};
  PgcacheProcess other(beside);
  EXPECT_TRUE(stack.proxy().stop());
  EXPECT_EQ(made(stack), "pgcache 4 1");
  EXPECT_EQ(count_slots(stack), "1");
  Connection session(other.dsn());
  ASSERT_TRUE(other.wait_ready());
  const Routes before = other.routes();
  EXPECT_TRUE(wait_until(
      [&] {
        EXPECT_EQ(session.must(kRead).value(), "v1");
        return (other.routes() - before).hit > 0;
      },
      10000));
  EXPECT_TRUE(other.stop());
  EXPECT_EQ(made(stack), "pgcache 4 1");  // not its own
  EXPECT_EQ(count_slots(stack), "0");
}

// What somebody else made, or has altered since, is theirs.
TEST(ReplicationLife, WhatOthersMadeStays) {
  StackOptions options = small_table();
  options.schema += "; CREATE PUBLICATION pgcache FOR TABLE t";
  Stack stack(options);
  {
    Connection session = stack.client();
    stack.load(session, kRead);
  }
  EXPECT_TRUE(stack.proxy().stop());
  EXPECT_EQ(made(stack), "pgcache 0 0") << stack.proxy().log_tail();
}

TEST(ReplicationLife, KeptSlotIsUsedAgain) {
  StackOptions options = small_table();
  options.arguments = {"--keep-slot", "true", "--slot", "kept"};
  Stack stack(options);
  EXPECT_TRUE(stack.proxy().stop());
  EXPECT_EQ(made(stack), "pgcache 4 1");
  // The server's process that sent the stream ends a moment later.
  EXPECT_TRUE(wait_until(
      [&] { return count_slots(stack, "slot_name = 'kept' AND NOT active") == "1"; }, 5000));
  stack.direct().must("UPDATE t SET v = 'meanwhile' WHERE id = 1");
  stack.proxy().start();
  Connection session = stack.client();
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "meanwhile");
  EXPECT_EQ(count_slots(stack), "1");
}

TEST(ReplicationLife, KilledProcessStartsCold) {
  Stack stack(small_table());
  {
    Connection session = stack.client();
    stack.load(session, kRead);
  }
  stack.proxy().kill9();
  stack.direct().must("UPDATE t SET v = 'meanwhile' WHERE id = 1");
  stack.proxy().start();
  Connection session = stack.client();
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "meanwhile");
}

TEST(ReplicationLife, LostStreamResumesWithItsEntries) {
  Stack stack(small_table());
  Connection session = stack.client();
  stack.load(session, kRead);
  stack.load(session, "SELECT v FROM t WHERE id = 2");
  const double misses = stack.proxy().metric("pgcache_queries_total", {{"route", "miss"}});
  const int before = walsender(stack);
  stack.direct().must("SELECT pg_terminate_backend(" + std::to_string(before) + ")");
  stack.direct().must("UPDATE t SET v = 'while down' WHERE id = 2");
  ASSERT_TRUE(wait_until(
      [&] {
        const int now = walsender(stack);
        return now != 0 && now != before;
      },
      10000));
  stack.settle();
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "v1");
  EXPECT_EQ(stack.proxy().metric("pgcache_queries_total", {{"route", "miss"}}), misses);
  EXPECT_EQ(restarts(stack), 0);
  EXPECT_EQ(value_of(stack.query(session, "SELECT v FROM t WHERE id = 2", "miss")), "while down");
}

TEST(ReplicationLife, StalledStreamIsBypassedUntilItMovesAgain) {
  StackOptions options = small_table();
  options.arguments = {"--max-staleness", "300ms", "--heartbeat-interval", "50ms"};
  Stack stack(options);
  Connection session = stack.client();
  session.must(kRead);
  stack.query_until(session, kRead, "hit");
  const int pid = walsender(stack);
  ASSERT_GT(pid, 0);
  kill(pid, SIGSTOP);
  stack.direct().must("UPDATE t SET v = 'unseen' WHERE id = 1");
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  EXPECT_EQ(value_of(stack.query(session, kRead, "bypass:stale")), "unseen");
  EXPECT_EQ(stack.proxy().http("/readyz").status, 503);
  kill(pid, SIGCONT);
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "unseen");
  EXPECT_TRUE(stack.proxy().wait_ready(5000));
  EXPECT_EQ(restarts(stack), 0);
}

TEST(ReplicationLife, DroppedSlotMeansACleanStart) {
  Stack stack(small_table());
  Connection session = stack.client();
  stack.load(session, kRead);
  stack.load(session, "SELECT v FROM t WHERE id = 2");
  const auto dropped = [&] {
    const int pid = walsender(stack);
    if (pid != 0) stack.direct().must("SELECT pg_terminate_backend(" + std::to_string(pid) + ")");
    return stack.direct().query("SELECT pg_drop_replication_slot('pgcache')").ok();
  };
  ASSERT_TRUE(wait_until(dropped, 10000));
  stack.direct().must("UPDATE t SET v = 'unseen' WHERE id = 1");
  ASSERT_TRUE(wait_until([&] { return restarts(stack) >= 2; }, 10000));
  EXPECT_TRUE(stack.proxy().wait_ready());
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "unseen");
  EXPECT_EQ(stack.query_until(session, "SELECT v FROM t WHERE id = 2", "hit").value(), "v2");
}

TEST(ReplicationLife, SecondProcessOnTheSameSlot) {
  Stack stack(small_table());
  PgcacheOptions options;
  options.origin = stack.origin().dsn();
  options.wait_ready = false;
  options.arguments = {"--workers", "1"};
  PgcacheProcess second(options);
  const auto explained = [&] {
    const HttpAnswer answer = second.http("/readyz");
    return answer.status == 503 && answer.body.find("in use") != std::string::npos &&
           answer.body.find("--slot") != std::string::npos;
  };
  EXPECT_TRUE(wait_until(explained, 10000)) << second.http("/readyz").body;
  Connection through(second.dsn());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(through.query(kRead).value(), "v1");
  const Routes routes = second.routes();
  EXPECT_EQ(routes.hit + routes.miss, 0u) << routes.text();
  EXPECT_EQ(routes.bypasses(), 2u) << routes.text();
  // The first is not disturbed, and when it goes the second takes over.
  Connection session = stack.client();
  stack.load(session, kRead);
  EXPECT_TRUE(stack.proxy().stop());
  EXPECT_TRUE(second.wait_ready(15000)) << second.http("/readyz").body;
}

TEST(ReplicationLife, OriginRestarts) {
  Stack stack(small_table());
  {
    Connection session = stack.client();
    stack.load(session, kRead);
  }
  ASSERT_TRUE(stack.origin().stop());  // within its time, although the slot is in use
  EXPECT_EQ(stack.proxy().http("/readyz").status, 503);
  try {
    Connection refused = stack.client();
    FAIL() << "a connection without an origin";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("origin"), std::string::npos) << error.what();
  }
  stack.origin().start();
  {
    Connection direct(stack.origin().dsn());
    direct.must("UPDATE t SET v = 'after' WHERE id = 1");
  }
  ASSERT_TRUE(stack.proxy().wait_ready(20000)) << stack.proxy().http("/readyz").body;
  Connection session = stack.client();
  stack.proxy().settle(stack.origin().dsn());
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "after");
}

TEST(ReplicationLife, OriginCrashes) {
  Stack stack(small_table());
  Connection session = stack.client();
  stack.load(session, kRead);
  stack.origin().kill9();
  EXPECT_TRUE(wait_until([&] { return !session.query(kRead).ok(); }, 5000));
  stack.origin().start();
  ASSERT_TRUE(stack.proxy().wait_ready(20000)) << stack.proxy().http("/readyz").body;
  Connection direct(stack.origin().dsn());
  direct.must("UPDATE t SET v = 'after' WHERE id = 1");
  stack.proxy().settle(stack.origin().dsn());
  Connection again = stack.client();
  EXPECT_EQ(stack.query_until(again, kRead, "hit").value(), "after");
}

TEST(ReplicationLife, ShutdownTellsTheClients) {
  Stack stack(small_table());
  RawClient client = stack.raw();
  std::thread stopping([&] { EXPECT_TRUE(stack.proxy().stop()); });
  EXPECT_EQ(client.read_frame().field('C'), "57P01");
  EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);
  stopping.join();
}

TEST(ReplicationLife, PublicationDroppedByAnother) {
  Stack stack(small_table());
  Connection session = stack.client();
  stack.load(session, kRead);
  stack.direct().must("DROP PUBLICATION pgcache");
  stack.direct().must("UPDATE t SET v = 'unpublished' WHERE id = 1");
  const auto right = [&] { return session.query(kRead).value() == "unpublished"; };
  EXPECT_TRUE(wait_until(right, 10000));
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "unpublished");
  stack.direct().must("UPDATE t SET v = 'published' WHERE id = 1");
  stack.settle();
  EXPECT_EQ(session.query(kRead).value(), "published");
}

TEST(ReplicationLife, TableTakenOutOfThePublication) {
  Stack stack(small_table());
  Connection session = stack.client();
  stack.load(session, kRead);
  stack.direct().must("ALTER PUBLICATION pgcache DROP TABLE t");
  stack.direct().must("UPDATE t SET v = 'unpublished' WHERE id = 1");
  const auto right = [&] { return session.query(kRead).value() == "unpublished"; };
  EXPECT_TRUE(wait_until(right, 10000));
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "unpublished");
}

}  // namespace
}  // namespace pgcache::testing
