// SPDX-License-Identifier: Apache-2.0
// Loads: one for many who ask, limits of size, and the race between a load and a commit that is
// decoded before it becomes visible.
#include <thread>

#include "stack.h"

namespace pgcache::testing {
namespace {

constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";

StackOptions small_table() {
  StackOptions options;
  options.schema =
      "CREATE TABLE t (id int PRIMARY KEY, v text);"
      "INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 2000) i";
  return options;
}

double outcomes(Stack& stack, const std::string& outcome) {
  return stack.proxy().metric("pgcache_publish_total", {{"outcome", outcome}});
}

// Commits hang behind their WAL flush as long as this lives: a synchronous standby is waited for
// that nobody is.
class HangingCommits {
 public:
  explicit HangingCommits(Stack& stack) : stack_(stack) { set("'nobody'"); }
  ~HangingCommits() { set("''"); }
  HangingCommits(const HangingCommits&) = delete;
  HangingCommits& operator=(const HangingCommits&) = delete;

 private:
  // A reload drops what was cached; returns when it has, so that nothing is dropped later.
  void set(const std::string& names) {
    const auto dropped = [&] {
      return stack_.proxy().metric("pgcache_invalidations_total", {{"cause", "ddl"}});
    };
    const double before = dropped();
    const bool drops = stack_.proxy().metric("pgcache_entries") > 0;
    stack_.direct().must("ALTER SYSTEM SET synchronous_standby_names = " + names);
    stack_.direct().must("SELECT pg_reload_conf()");
    const auto seen = [&] {
      Connection fresh(stack_.origin().dsn());
      return "'" + fresh.query("SHOW synchronous_standby_names").value() + "'" == names;
    };
    EXPECT_TRUE(wait_until(seen, 5000));
    EXPECT_TRUE(!drops || wait_until([&] { return dropped() > before; }, 10000));
  }
  Stack& stack_;
};

// An update that is decoded and applied while nobody can see it yet.
class InvisibleUpdate {
 public:
  explicit InvisibleUpdate(Stack& stack) : writer_(stack.origin().dsn()) {
    const double before = stack.proxy().metric("pgcache_transactions_total");
    writer_.must("SET synchronous_commit = on");
    EXPECT_EQ(PQsendQuery(writer_.raw(), "UPDATE t SET v = 'new' WHERE id = 1"), 1);
    EXPECT_TRUE(wait_until(
        [&] { return stack.proxy().metric("pgcache_transactions_total") > before; }, 10000));
    stack.proxy().settle(stack.origin().dsn());
    EXPECT_EQ(stack.direct().must(kRead).value(), "v1");  // not visible
  }
  void finish() {
    while (PGresult* result = PQgetResult(writer_.raw())) {
      EXPECT_EQ(PQresultStatus(result), PGRES_COMMAND_OK);
      PQclear(result);
    }
  }

 private:
  Connection writer_;
};

TEST(Loading, CommitThatIsDecodedBeforeItIsVisible) {
  Stack stack(small_table());
  Connection session = stack.client();
  stack.load(session, "SELECT v FROM t WHERE id = 2");
  std::optional<HangingCommits> hanging(stack);
  stack.load(session, "SELECT v FROM t WHERE id = 2");
  InvisibleUpdate update(stack);
  const double affected = outcomes(stack, "affected");
  EXPECT_EQ(value_of(stack.query(session, kRead, "miss")), "v1");
  EXPECT_EQ(outcomes(stack, "affected"), affected + 1);
  EXPECT_EQ(value_of(stack.query(session, kRead, "miss")), "v1");
  EXPECT_EQ(outcomes(stack, "affected"), affected + 2);
  // What the change cannot touch is cached all the while.
  EXPECT_EQ(rows_text(stack.load(session, "SELECT v FROM t WHERE id = 3")), "v3");
  stack.query(session, "SELECT v FROM t WHERE id = 2", "hit");
  hanging.reset();
  update.finish();
  EXPECT_EQ(value_of(stack.query(session, kRead, "miss")), "new");
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "new");
}

TEST(Loading, EntryFromBeforeIsDroppedAlthoughTheChangeIsNotVisible) {
  Stack stack(small_table());
  Connection session = stack.client();
  stack.load(session, kRead);
  std::optional<HangingCommits> hanging(stack);
  stack.load(session, kRead);
  InvisibleUpdate update(stack);
  EXPECT_EQ(value_of(stack.query(session, kRead, "miss")), "v1");
  EXPECT_EQ(value_of(stack.query(session, "SELECT count(*) FROM t WHERE v = 'v1'", "miss")), "1");
  hanging.reset();
  update.finish();
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "new");
  EXPECT_EQ(stack.query_until(session, "SELECT count(*) FROM t WHERE v = 'v1'", "hit").value(),
            "0");
}

TEST(Loading, LoadThatAChangeOvertakes) {
  StackOptions options = small_table();
  options.environment = {"PGCACHE_FAULT_LOAD_DELAY_MS=300"};
  Stack stack(options);
  Connection session = stack.client();
  session.must(kRead);
  stack.settle();
  for (int round = 0; round < 3; ++round) {
    const std::string value = "round " + std::to_string(round);
    const std::string sql = "SELECT v, " + std::to_string(round) + " FROM t WHERE id = 1";
    std::thread loading([&] { session.must(sql); });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    stack.direct().must("UPDATE t SET v = '" + value + "' WHERE id = 1");
    loading.join();
    stack.settle();
    EXPECT_EQ(session.query(sql).rows.at(0).at(0), value);
  }
}

TEST(Loading, SlowApplierNeverHidesOwnWrites) {
  StackOptions options = small_table();
  options.environment = {"PGCACHE_FAULT_APPLY_DELAY_MS=200"};
  Stack stack(options);
  Connection session = stack.client();
  session.must(kRead);
  stack.query_until(session, kRead, "hit");
  for (int i = 0; i < 5; ++i) {
    const std::string value = "own " + std::to_string(i);
    session.must("UPDATE t SET v = '" + value + "' WHERE id = 1");
    EXPECT_EQ(value_of(stack.query(session, kRead, "bypass:after_write")), value);
  }
  stack.settle_session(session);
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "own 4");
}

TEST(Loading, ReadersDuringASlowApplyConverge) {
  StackOptions options = small_table();
  options.environment = {"PGCACHE_FAULT_APPLY_DELAY_MS=100"};
  Stack stack(options);
  Connection session = stack.client();
  Connection other = stack.client();
  for (int i = 0; i < 10; ++i) {
    const std::string value = "v " + std::to_string(i);
    stack.direct().must("UPDATE t SET v = '" + value + "' WHERE id = 1");
    session.must(kRead);
    other.must(kRead);
    stack.settle();
    EXPECT_EQ(session.query(kRead).value(), value);
    EXPECT_EQ(other.query(kRead).value(), value);
  }
}

TEST(Loading, OneLoadForTwentyClients) {
  StackOptions options = small_table();
  options.arguments = {"--load-wait-timeout", "60s"};
  Stack stack(options);
  Connection warm = stack.client();
  stack.load(warm, kRead);
  const std::string sql =
      "SELECT count(*) AS flight FROM t a JOIN t b ON a.v <> b.v AND a.id * b.id <> 7";
  std::vector<Connection> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(stack.client());
    clients.back().must(kRead);  // its settings are known
  }
  stack.direct().must("SELECT pg_stat_statements_reset()");
  stack.expect_route("hit*19 miss", [&] {
    std::vector<std::thread> threads;
    for (Connection& client : clients) {
      threads.emplace_back([&client, &sql] { EXPECT_EQ(client.query(sql).value(), "3997998"); });
    }
    for (std::thread& thread : threads) thread.join();
  });
  EXPECT_EQ(calls(stack.direct(), "SELECT count(*) AS flight%"), 1);
}

TEST(Loading, WaitersGoOnAloneWhenTheLoadTakesTooLong) {
  StackOptions options = small_table();
  options.arguments = {"--load-wait-timeout", "50ms"};
  Stack stack(options);
  Connection warm = stack.client();
  stack.load(warm, kRead);
  const std::string sql =
      "SELECT count(*) AS flight FROM t a JOIN t b ON a.v <> b.v AND a.id * b.id <> 7";
  Connection first = stack.client();
  first.must(kRead);
  Connection second = stack.client();
  second.must(kRead);
  const std::string taken = stack.routes_of([&] {
    ASSERT_EQ(PQsendQuery(first.raw(), sql.c_str()), 1);
    PQflush(first.raw());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(second.query(sql).value(), "3997998");
    while (PGresult* result = PQgetResult(first.raw())) PQclear(result);
  });
  EXPECT_EQ(taken, "fallback:load_wait miss");
}

TEST(Loading, AbandonedLoadWakesTheWaiters) {
  StackOptions options = small_table();
  options.arguments = {"--load-wait-timeout", "60s"};
  Stack stack(options);
  Connection warm = stack.client();
  stack.load(warm, kRead);
  const std::string sql =
      "SELECT count(*) AS flight FROM t a JOIN t b ON a.v <> b.v AND a.id * b.id <> 7";
  Connection second = stack.client();
  second.must(kRead);
  {
    RawClient doomed = stack.raw();
    doomed.send(message::query(sql));
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    ASSERT_EQ(PQsendQuery(second.raw(), sql.c_str()), 1);
    PQflush(second.raw());
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    doomed.reset();
  }
  PGresult* result = PQgetResult(second.raw());
  EXPECT_STREQ(PQgetvalue(result, 0, 0), "3997998");
  PQclear(result);
  EXPECT_EQ(PQgetResult(second.raw()), nullptr);
  EXPECT_EQ(stack.query_until(second, sql, "hit").value(), "3997998");
}

TEST(Loading, SmallCacheEvicts) {
  StackOptions options;
  options.schema =
      "CREATE TABLE t (id int PRIMARY KEY, v text);"
      "INSERT INTO t SELECT i, repeat(chr(65 + i % 26), 50000) FROM generate_series(1, 60) i";
  options.arguments = {"--cache-size", "1MiB", "--max-result-size", "256KiB"};
  Stack stack(options);
  Connection session = stack.client();
  for (int i = 1; i <= 60; ++i) {
    const std::string sql = "SELECT v FROM t WHERE id = " + std::to_string(i);
    stack.load(session, sql);
    EXPECT_LE(stack.proxy().metric("pgcache_bytes"), 1 << 20);
  }
  EXPECT_GT(stack.proxy().metric("pgcache_invalidations_total", {{"cause", "evict"}}), 30);
  EXPECT_LT(stack.proxy().metric("pgcache_entries"), 25);
  stack.query(session, "SELECT v FROM t WHERE id = 60", "hit");
  const QueryResult again = stack.query(session, "SELECT v FROM t WHERE id = 1", "miss");
  EXPECT_EQ(again.rows.at(0).at(0), std::string(50000, 'B'));
}

TEST(Loading, LargeTransaction) {
  StackOptions options = small_table();
  options.arguments = {"--max-transaction-size", "64KiB"};
  Stack stack(options);
  Connection session = stack.client();
  stack.load(session, kRead);
  stack.load(session, "SELECT id FROM stack_probe WHERE id = 1");
  stack.direct().must("UPDATE t SET v = v || '!'");
  stack.settle();
  EXPECT_EQ(value_of(stack.query(session, kRead, "miss")), "v1!");
  stack.query(session, "SELECT id FROM stack_probe WHERE id = 1", "hit");
}

TEST(Loading, EventualAndDeniedAndDisabled) {
  StackOptions options = small_table();
  options.arguments = {"--consistency", "eventual", "--deny-tables", "public.stack_probe"};
  Stack stack(options);
  Connection session = stack.client();
  stack.load(session, kRead);
  for (int i = 0; i < 2; ++i) {
    stack.query(session, "SELECT id FROM stack_probe WHERE id = 1", "bypass:denied");
  }
  StackOptions plain = small_table();
  plain.arguments = {"--cache", "false"};
  plain.wait_ready = false;
  Stack off(plain);
  Connection through = off.client();
  for (int i = 0; i < 2; ++i) off.query(through, kRead, "bypass:disabled");
  EXPECT_EQ(off.direct().must("SELECT count(*) FROM pg_replication_slots").value(), "0");
}

}  // namespace
}  // namespace pgcache::testing
