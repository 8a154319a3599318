// SPDX-License-Identifier: Apache-2.0
// replica_identity = full: pgcache sets it on what it publishes, so that changes drop no more than
// they must; where it may not or should not, it says so and goes on without.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "stack.h"
#include "support/command.h"

namespace pgcache::testing {
namespace {

constexpr const char* kSchema = R"(
  CREATE TABLE t (id int PRIMARY KEY, kind text, v text, unread text);
  INSERT INTO t SELECT i, 'k' || i % 3, 'v' || i, '' FROM generate_series(1, 30) i;)";
constexpr const char* kRead = "SELECT v FROM t WHERE kind = 'k1' ORDER BY v";

StackOptions with(const std::string& schema,
                  std::vector<std::string> arguments = {"--replica-identity", "full"}) {
  StackOptions options;
  options.schema = kSchema + schema;
  options.arguments = std::move(arguments);
  return options;
}

std::string identity(Stack& stack, const std::string& table) {
  return stack.direct()
      .must("SELECT relreplident FROM pg_class WHERE oid = '" + table + "'::regclass")
      .value();
}

std::string explained(Stack& stack, const std::string& sql) {
  std::string target = "/explain?q=";
  for (const char c : sql) {
    std::array<char, 8> hex{};
    std::snprintf(hex.data(), hex.size(), "%%%02X", static_cast<unsigned char>(c));
    target += hex.data();
  }
  return stack.proxy().http(target).body;
}

// Hits in a row, so that whatever a change of the catalog drops has been dropped.
void expect_lasting_hits(Stack& stack, Connection& session, const std::string& sql) {
  int hits = 0;
  const auto lasting = [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    hits = stack.routes_of([&] { session.must(sql); }) == "hit" ? hits + 1 : 0;
    return hits == 15;
  };
  EXPECT_TRUE(wait_until(lasting, 20000)) << sql;
}

// The result is cached, and the table at FULL, as pgcache knows.
void expect_raised(Stack& stack, Connection& session, const std::string& sql,
                   const std::string& table) {
  stack.query_until(session, sql, "hit");
  EXPECT_TRUE(wait_until([&] { return identity(stack, table) == "f"; }, 10000)) << table;
  const auto known = [&] { return contains(explained(stack, sql), "identity    full"); };
  EXPECT_TRUE(wait_until(known, 10000)) << explained(stack, sql);
  expect_lasting_hits(stack, session, sql);
  stack.settle();
}

std::string output_of(const std::string& arguments) {
  return run_command("env -u PGCACHE_BINARY -u PGCACHE_PG_BIN '" +
                     std::string(std::getenv("PGCACHE_BINARY")) + "' " + arguments)
      .output;
}

int server_version() {
  static const int version = [] {
    const Cluster cluster;
    return PQserverVersion(Connection(cluster.dsn()).raw());
  }();
  return version;
}

TEST(ReplicaIdentity, UpdateOfWhatIsNotReadKeepsTheResult) {
  Stack stack(with(""));
  Connection session = stack.client();
  expect_raised(stack, session, kRead, "t");
  // A column that is not read, a row that does not count, and a value written anew.
  for (const char* change :
       {"UPDATE t SET unread = 'x' WHERE id = 1", "UPDATE t SET v = 'w' WHERE kind = 'k2'",
        "DELETE FROM t WHERE id = 3", "UPDATE t SET v = v WHERE id = 4"}) {
    stack.direct().must(change);
    stack.settle();
    stack.query(session, kRead, "hit");
  }
  stack.direct().must("UPDATE t SET v = 'new' WHERE id = 1");
  stack.settle();
  EXPECT_TRUE(contains(rows_text(stack.query(session, kRead, "miss").rows), "new"));
  stack.direct().must("DELETE FROM t WHERE kind = 'k1'");
  stack.settle();
  EXPECT_EQ(rows_text(stack.query(session, kRead, "miss").rows), "");
}

TEST(ReplicaIdentity, IsKeptUnlessAskedFor) {
  Stack stack(with("", {}));
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  stack.settle();
  stack.direct().must("DELETE FROM t WHERE id = 3");
  stack.settle();
  stack.query(session, kRead, "miss");
  EXPECT_EQ(identity(stack, "t"), "d");
  EXPECT_EQ(stack.proxy().metric("pgcache_replica_identity_refusals_total"), 0);
}

TEST(ReplicaIdentity, OfPartitionsThatHoldRows) {
  Stack stack(with(R"(
    CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
    CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
    CREATE TABLE p2a PARTITION OF p2 FOR VALUES FROM (10) TO (20);
    INSERT INTO p SELECT i, 'v' FROM generate_series(0, 19) i;)"));
  Connection session = stack.client();
  const std::string sql = "SELECT count(*) FROM p WHERE v = 'v'";
  expect_raised(stack, session, sql, "p1");
  expect_raised(stack, session, sql, "p2a");
  EXPECT_EQ(identity(stack, "p"), "d");
  stack.direct().must("CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30)");
  expect_raised(stack, session, sql, "p3");
  stack.direct().must("UPDATE p SET v = 'w' WHERE id = 15");
  stack.settle();
  EXPECT_EQ(value_of(stack.query(session, sql, "miss")), "19");
  stack.direct().must("UPDATE p SET v = 'x' WHERE id = 15");
  stack.settle();
  EXPECT_EQ(value_of(stack.query(session, sql, "hit")), "19");
}

// A long transaction holds the table: pgcache waits for no more than a moment at a time, and so
// does everybody behind it.
TEST(ReplicaIdentity, WaitsForNobodyAndLetsNobodyWait) {
  Stack stack(with(""));
  Connection holder(stack.origin().dsn());
  holder.must("BEGIN; LOCK TABLE t IN ROW SHARE MODE");
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  Connection other(stack.origin().dsn());
  other.must("SET statement_timeout = '1500ms'");
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(2500);
  while (std::chrono::steady_clock::now() < until) {
    EXPECT_EQ(other.query("SELECT count(*) FROM t").value(), "30");
  }
  EXPECT_EQ(identity(stack, "t"), "d");
  stack.query_until(session, kRead, "hit");
  EXPECT_EQ(stack.proxy().metric("pgcache_replica_identity_refusals_total"), 0);
  holder.must("COMMIT");
  expect_raised(stack, session, kRead, "t");
}

TEST(ReplicaIdentity, TableOfSomebodyElseIsUsedAsItIs) {
  StackOptions options = with(
      "CREATE ROLE plain LOGIN REPLICATION; GRANT SELECT ON t, stack_probe TO plain;"
      "GRANT CREATE ON DATABASE postgres TO plain;"
      "CREATE PUBLICATION pgcache FOR TABLE t, stack_probe; ALTER PUBLICATION pgcache OWNER TO "
      "plain;");
  options.origin_user = "plain";
  Stack stack(options);
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  EXPECT_TRUE(wait_until(
      [&] { return stack.proxy().metric("pgcache_replica_identity_refusals_total") >= 1; }, 10000));
  EXPECT_TRUE(contains(stack.proxy().log_tail(),
                       "as its owner: ALTER TABLE \"public\".\"t\" REPLICA IDENTITY FULL"))
      << stack.proxy().log_tail();
  EXPECT_EQ(identity(stack, "t"), "d");
  stack.query_until(session, kRead, "hit");
  EXPECT_EQ(stack.proxy().metric("pgcache_replica_identity_refusals_total"), 1);
}

// With FULL, the origin would refuse UPDATEs of a table some of whose columns another publication
// leaves out.
TEST(ReplicaIdentity, NotBesideAnotherPublicationsColumnList) {
  if (server_version() < 150000) GTEST_SKIP() << "there are no column lists";
  Stack stack(with("CREATE PUBLICATION theirs FOR TABLE t (id, v);"));
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  EXPECT_TRUE(wait_until(
      [&] { return stack.proxy().metric("pgcache_replica_identity_refusals_total") == 1; }, 10000));
  EXPECT_TRUE(contains(stack.proxy().log_tail(), "publication theirs has a column list"))
      << stack.proxy().log_tail();
  EXPECT_EQ(identity(stack, "t"), "d");
  stack.direct().must("UPDATE t SET v = 'new' WHERE id = 1");
  stack.settle();
  EXPECT_TRUE(contains(rows_text(stack.query(session, kRead, "miss").rows), "new"));
}

// From version 18 on FULL covers generated columns, publications leave them out, and an UPDATE
// would fail.
TEST(ReplicaIdentity, OfGeneratedColumnsOnlyWhereUpdatesGoOn) {
  Stack stack(
      with("CREATE TABLE g (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) "
           "STORED); INSERT INTO g VALUES (1, 1);"));
  Connection session = stack.client();
  const std::string sql = "SELECT a FROM g";
  if (server_version() < 180000) {
    expect_raised(stack, session, sql, "g");
  } else {
    stack.query_until(session, sql, "hit");
    EXPECT_TRUE(wait_until(
        [&] { return stack.proxy().metric("pgcache_replica_identity_refusals_total") == 1; },
        10000));
    EXPECT_TRUE(contains(stack.proxy().log_tail(), "has generated columns"));
    EXPECT_EQ(identity(stack, "g"), "d");
  }
  stack.direct().must("UPDATE g SET a = 2");
  stack.settle();
  EXPECT_EQ(value_of(stack.query(session, sql, "miss")), "2");
}

TEST(ReplicaIdentity, IsSetOnceAndNotAgainstItsOwner) {
  Stack stack(with(""));
  Connection session = stack.client();
  expect_raised(stack, session, kRead, "t");
  stack.direct().must("ALTER TABLE t REPLICA IDENTITY DEFAULT");
  stack.settle_catalog();
  stack.query_until(session, kRead, "hit");
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_EQ(identity(stack, "t"), "d");
}

TEST(ReplicaIdentity, CleanupSaysWhatStaysAndHowToUndoIt) {
  Stack stack(with(R"(
    CREATE TABLE by_index (id int NOT NULL UNIQUE, v text);
    ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_id_key;
    CREATE TABLE theirs (id int PRIMARY KEY, v text); ALTER TABLE theirs REPLICA IDENTITY FULL;
    CREATE TABLE undone (id int PRIMARY KEY, v text);)"));
  Connection session = stack.client();
  expect_raised(stack, session, kRead, "t");
  expect_raised(stack, session, "SELECT v FROM by_index", "by_index");
  expect_raised(stack, session, "SELECT v FROM theirs", "theirs");
  expect_raised(stack, session, "SELECT v FROM undone", "undone");
  stack.direct().must("ALTER TABLE undone REPLICA IDENTITY DEFAULT");
  stack.proxy().stop();
  const std::string output = output_of("cleanup --origin '" + stack.origin().dsn() + "'");
  EXPECT_TRUE(contains(output,
                       "left at REPLICA IDENTITY FULL, as pgcache set it: public.t; to undo: ALTER "
                       "TABLE public.t REPLICA IDENTITY DEFAULT"))
      << output;
  EXPECT_TRUE(
      contains(output, "ALTER TABLE public.by_index REPLICA IDENTITY USING INDEX by_index_id_key"))
      << output;
  EXPECT_FALSE(contains(output, "theirs")) << output;
  EXPECT_FALSE(contains(output, "undone")) << output;
  EXPECT_EQ(identity(stack, "t"), "f");
  EXPECT_EQ(stack.direct().must("SELECT count(*) FROM pg_publication").value(), "0");
}

TEST(ReplicaIdentity, CheckNamesTheTablesForWhichItWouldHelp) {
  if (server_version() < 150000) GTEST_SKIP() << "statistics cannot be flushed at will";
  Stack stack(
      with("CREATE TABLE \"Odd one\" (id int PRIMARY KEY, v text);"
           "INSERT INTO \"Odd one\" VALUES (1, 'a');",
           {"--keep-slot", "true"}));
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  stack.query_until(session, "SELECT v FROM \"Odd one\"", "hit");
  for (int i = 0; i < 3; ++i) stack.direct().must("UPDATE t SET v = v WHERE id <= 2");
  stack.direct().must("UPDATE \"Odd one\" SET v = 'b'");
  stack.direct().must("SELECT pg_stat_force_next_flush()");
  stack.settle();
  stack.proxy().stop();
  const std::string output =
      output_of("check --origin '" + stack.origin().dsn() +
                "' --admin 127.0.0.1:" + std::to_string(stack.proxy().admin_port()));
  EXPECT_TRUE(contains(output, "ok: the origin has everything")) << output;
  EXPECT_TRUE(contains(output, "by pg_stat_user_tables, since no pgcache answers at")) << output;
  const std::size_t first = output.find(
      "  public.t: 6 rows updated or deleted\n    ALTER TABLE \"public\".\"t\" REPLICA IDENTITY "
      "FULL");
  const std::size_t second = output.find(
      "  public.Odd one: 1 rows updated or deleted\n    ALTER TABLE "
      "\"public\".\"Odd one\" REPLICA IDENTITY FULL");
  EXPECT_NE(first, std::string::npos) << output;
  EXPECT_NE(second, std::string::npos) << output;
  EXPECT_LT(first, second);
}

TEST(ReplicaIdentity, CheckAsksTheRunningPgcache) {
  if (server_version() < 150000) GTEST_SKIP() << "statistics cannot be flushed at will";
  Stack stack(
      with("CREATE TABLE whole (id int PRIMARY KEY, v text); INSERT INTO whole VALUES (1);"
           "ALTER TABLE whole REPLICA IDENTITY FULL;",
           {}));
  const std::string check = "check --origin '" + stack.origin().dsn() +
                            "' --admin 127.0.0.1:" + std::to_string(stack.proxy().admin_port());
  EXPECT_EQ(output_of(check), "ok: the origin has everything that pgcache needs\n");
  Connection session = stack.client();
  stack.query_until(session, "SELECT v FROM whole", "hit");
  stack.query_until(session, kRead, "hit");
  stack.settle();
  // Of the row that is deleted only the key is known, which says nothing of its kind.
  stack.direct().must("DELETE FROM t WHERE id = 3; UPDATE whole SET v = 'x'");
  stack.settle();
  EXPECT_EQ(stack.proxy().metric("pgcache_coarse_invalidations_total", {{"table", "public.t"}}), 1);
  EXPECT_EQ(stack.proxy().metric("pgcache_coarse_invalidations_total", {{"table", "public.whole"}}),
            0);
  const std::string report = stack.proxy().http("/precision").body;
  EXPECT_TRUE(contains(report, "\"table\": \"public.t\"")) << report;
  const std::string output = output_of(check);
  EXPECT_TRUE(contains(output, "(measured by the pgcache at 127.0.0.1:")) << output;
  EXPECT_TRUE(contains(output,
                       "  public.t: 1 of 1 invalidations for want of the old row (100 %)\n"
                       "    ALTER TABLE \"public\".\"t\" REPLICA IDENTITY FULL\n"))
      << output;
  EXPECT_FALSE(contains(output, "whole\"")) << output;
  // One that fronts another origin is not asked.
  Cluster other;
  Connection there(other.dsn());
  there.must(
      "CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1);"
      "CREATE PUBLICATION pgcache FOR TABLE u; UPDATE u SET id = 2");
  there.must("SELECT pg_stat_force_next_flush()");
  const std::string elsewhere =
      output_of("check --origin '" + other.dsn() +
                "' --admin 127.0.0.1:" + std::to_string(stack.proxy().admin_port()));
  EXPECT_TRUE(contains(elsewhere, "fronts another origin")) << elsewhere;
  EXPECT_TRUE(contains(elsewhere, "  public.u: 1 rows updated or deleted\n")) << elsewhere;
}

}  // namespace
}  // namespace pgcache::testing
