// SPDX-License-Identifier: Apache-2.0
// Copies of small tables: rows that find no others to be joined with drop nothing, and wherever a
// copy cannot be had, or is lost, such rows drop what they might have mattered to.
#include <chrono>
#include <thread>

#include "stack.h"

namespace pgcache::testing {
namespace {

// Every third row of "a" finds one in "b".
constexpr const char* kSchema = R"(
  CREATE TABLE a (id int PRIMARY KEY, k int, v text);
  CREATE TABLE b (id int PRIMARY KEY, k int, live bool, w text);
  ALTER TABLE a REPLICA IDENTITY FULL; ALTER TABLE b REPLICA IDENTITY FULL;
  INSERT INTO a SELECT i, i, 'v' || i FROM generate_series(1, 30) i;
  INSERT INTO b SELECT i, i * 3, true, 'w' || i FROM generate_series(1, 10) i;)";
constexpr const char* kRead =
    "SELECT a.id, b.w FROM a JOIN b ON b.k = a.k WHERE b.live ORDER BY a.id DESC LIMIT 3";

StackOptions with(const std::string& schema = "", std::vector<std::string> arguments = {}) {
  StackOptions options;
  options.schema = kSchema + schema;
  options.arguments = std::move(arguments);
  return options;
}

// For a time in which copies come and results settle, were there any to come.
void wait_a_moment() { std::this_thread::sleep_for(std::chrono::milliseconds(60)); }

int copies(Stack& stack) { return static_cast<int>(stack.proxy().metric("pgcache_table_copies")); }

bool wait_for_copies(Stack& stack, int count) {
  return wait_until([&] { return copies(stack) == count; }, 10000);
}

// The route of the read behind a change, when the result has been there for a while before it.
std::string route_behind(Stack& stack, Connection& session, const std::string& change,
                         const std::string& read = kRead) {
  stack.query_until(session, read, "hit");
  wait_a_moment();
  stack.direct().must(change);
  stack.settle();
  QueryResult answer;
  std::string route = stack.routes_of([&] { answer = session.must(read); });
  EXPECT_EQ(rows_text(answer.rows), rows_text(stack.direct().must(read).rows)) << change;
  return route;
}

std::string insert_a(int id, int k) {
  return "INSERT INTO a VALUES (" + std::to_string(id) + ", " + std::to_string(k) + ", 'new')";
}

// Rows without a partner drop nothing, once all that this takes has been measured.
void expect_told(Stack& stack, Connection& session, int first_id, const std::string& read = kRead) {
  int id = first_id;
  const auto kept = [&] {
    return route_behind(stack, session, insert_a(id++, 1000), read) == "hit";
  };
  EXPECT_TRUE(wait_until(kept, 20000)) << stack.proxy().log_tail();
}

void expect_not_told(Stack& stack, Connection& session, int first_id,
                     const std::string& read = kRead) {
  for (int id = first_id; id < first_id + 5; ++id) {
    EXPECT_EQ(route_behind(stack, session, insert_a(id, 1000), read), "miss");
  }
}

TEST(TableCopies, TellWhichRowsFindNone) {
  Stack stack(with());
  Connection session = stack.client();
  expect_told(stack, session, 100);
  EXPECT_EQ(copies(stack), 2);
  EXPECT_GT(stack.proxy().metric("pgcache_table_copy_bytes"), 0);
  EXPECT_EQ(route_behind(stack, session, insert_a(200, 30)), "miss");
  EXPECT_EQ(route_behind(stack, session, "UPDATE b SET live = false WHERE k = 27"), "miss");
  expect_told(stack, session, 300);
  EXPECT_EQ(route_behind(stack, session, insert_a(400, 27)), "hit");
  EXPECT_EQ(route_behind(stack, session, "UPDATE b SET live = true WHERE k = 27"), "miss");
  EXPECT_EQ(copies(stack), 2);
}

TEST(TableCopies, PartnersOfTheSameTransaction) {
  Stack stack(with());
  Connection session = stack.client();
  expect_told(stack, session, 100);
  for (int id = 200; id < 206; ++id) {
    const std::string number = std::to_string(id);
    const std::string partner = "INSERT INTO b VALUES (" + number + ", " + number + ", true, 'w')";
    const std::string both =
        id % 2 == 0 ? insert_a(id, id) + ";" + partner : partner + ";" + insert_a(id, id);
    EXPECT_EQ(route_behind(stack, session, "BEGIN;" + both + "; COMMIT"), "miss");
    EXPECT_EQ(route_behind(stack, session,
                           "BEGIN; DELETE FROM b WHERE k = " + number +
                               "; DELETE FROM a WHERE id = " + number + "; COMMIT"),
              "miss");
  }
  EXPECT_EQ(copies(stack), 2);
}

TEST(TableCopies, FormerRowsUnderTheDefaultIdentity) {
  Stack stack(
      with("ALTER TABLE a REPLICA IDENTITY DEFAULT; ALTER TABLE b REPLICA IDENTITY DEFAULT;"));
  Connection session = stack.client();
  expect_told(stack, session, 100);
  const auto kept = [&](const std::string& change) {
    return wait_until([&] { return route_behind(stack, session, change) == "hit"; }, 20000);
  };
  EXPECT_TRUE(kept("UPDATE a SET v = v || '.' WHERE id = 100"));
  EXPECT_TRUE(kept("UPDATE a SET k = k + 1 WHERE id = 100"));
  EXPECT_EQ(route_behind(stack, session, "DELETE FROM a WHERE id = 30"), "miss");
  EXPECT_EQ(route_behind(stack, session, "UPDATE a SET k = 24 WHERE id = 100"), "miss");
  EXPECT_EQ(route_behind(stack, session, "UPDATE a SET k = 25 WHERE id = 100"), "miss");
}

// What an UPDATE does not touch is not sent again when it is stored out of line.
TEST(TableCopies, ValuesStoredOutOfLine) {
  Stack stack(with(R"(
    ALTER TABLE b REPLICA IDENTITY DEFAULT; ALTER TABLE b ALTER w SET STORAGE EXTERNAL;
    UPDATE b SET w = repeat('w', 5000) || id;)"));
  Connection session = stack.client();
  const std::string read =
      "SELECT a.id FROM a JOIN b ON b.k = a.k WHERE b.w LIKE '%w7' ORDER BY 1 DESC LIMIT 3";
  expect_told(stack, session, 100, read);
  EXPECT_EQ(route_behind(stack, session, "UPDATE b SET k = 77 WHERE id = 7", read), "miss");
  expect_told(stack, session, 200, read);
  EXPECT_EQ(route_behind(stack, session, insert_a(300, 77), read), "miss");
  EXPECT_EQ(route_behind(stack, session, insert_a(301, 21), read), "hit");
  EXPECT_EQ(copies(stack), 2);
}

TEST(TableCopies, TablesThatPgcacheMayNotRead) {
  StackOptions options = with(R"(
    CREATE ROLE plain LOGIN REPLICATION; GRANT SELECT ON a, stack_probe TO plain;
    GRANT CREATE ON DATABASE postgres TO plain;
    CREATE PUBLICATION pgcache FOR TABLE a, b, stack_probe;
    ALTER PUBLICATION pgcache OWNER TO plain;)");
  options.origin_user = "plain";
  Stack stack(options);
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  EXPECT_TRUE(wait_for_copies(stack, 1));
  expect_not_told(stack, session, 100);
  // The table that may be read tells of the rows of the other.
  const std::string alone = "INSERT INTO b VALUES (100, 5000, true, 'w')";
  EXPECT_TRUE(wait_until(
      [&] {
        const bool kept = route_behind(stack, session, alone) == "hit";
        stack.direct().must("DELETE FROM b WHERE id = 100");
        return kept;
      },
      20000));
  EXPECT_EQ(copies(stack), 1);
  EXPECT_EQ(stack.proxy().routes().fallbacks(), 0);
}

// Of tables with row security nothing is cached.
TEST(TableCopies, TablesWithRowSecurity) {
  Stack stack(with());
  Connection session = stack.client();
  expect_told(stack, session, 100);
  stack.direct().must("ALTER TABLE b ENABLE ROW LEVEL SECURITY");
  stack.settle_catalog();
  stack.direct().must("INSERT INTO b VALUES (11, 1000, true, 'w')");
  stack.settle();
  stack.query(session, kRead, "bypass:row_security");
  stack.direct().must("ALTER TABLE b DISABLE ROW LEVEL SECURITY");
  stack.settle_catalog();
  EXPECT_EQ(route_behind(stack, session, insert_a(200, 1000)), "miss");
}

TEST(TableCopies, TruncatedTables) {
  Stack stack(with());
  Connection session = stack.client();
  expect_told(stack, session, 100);
  for (int round = 0; round < 3; ++round) {
    const int id = 1000 * (round + 1);
    EXPECT_EQ(route_behind(stack, session, "TRUNCATE b"), "miss");
    EXPECT_EQ(route_behind(stack, session,
                           "BEGIN; INSERT INTO b VALUES (1, 3, true, 'again'), (2, 6, true, 'w');"
                           " TRUNCATE b; INSERT INTO b VALUES (1, 3, true, 'last'); COMMIT"),
              "miss");
    expect_told(stack, session, id);
    EXPECT_EQ(route_behind(stack, session, insert_a(id + 900, 3)), "miss");
    EXPECT_TRUE(wait_for_copies(stack, 2));
  }
}

TEST(TableCopies, ChangedDefinitions) {
  Stack stack(with());
  Connection session = stack.client();
  expect_told(stack, session, 100);
  int id = 1000;
  for (const char* ddl :
       {"ALTER TABLE b ADD more int DEFAULT 5", "ALTER TABLE b ALTER k TYPE bigint",
        "ALTER TABLE b ALTER k TYPE int USING k::int + 1", "ALTER TABLE b DROP more",
        "ALTER TABLE b REPLICA IDENTITY DEFAULT",
        "ALTER TABLE b RENAME TO c; ALTER TABLE c RENAME TO b", "VACUUM FULL b",
        "CLUSTER b USING b_pkey"}) {
    stack.direct().must(ddl);
    stack.settle_catalog();
    stack.settle();
    expect_told(stack, session, id);
    const std::string partner = value_of(stack.direct().must("SELECT max(k) FROM b"));
    EXPECT_EQ(route_behind(stack, session, insert_a(id + 900, std::stoi(partner))), "miss") << ddl;
    EXPECT_EQ(route_behind(stack, session, insert_a(id + 901, std::stoi(partner) + 1)), "hit");
    id += 1000;
  }
}

// A partition's rows change in the name of what it belongs to: what was copied is of no use.
TEST(TableCopies, RowsOfPartitionsInTheNameOfTheRoot) {
  Stack stack(with(R"(
    CREATE TABLE p (id int, k int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
    CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200);
    INSERT INTO p SELECT i, i * 3 FROM generate_series(1, 10) i;
    CREATE PUBLICATION pgcache FOR TABLE a, b, p, stack_probe
      WITH (publish_via_partition_root = true);)"));
  Connection session = stack.client();
  const std::string read =
      "SELECT a.id, p.id FROM a JOIN p ON p.k = a.k ORDER BY a.id DESC LIMIT 3";
  stack.query_until(session, read, "hit");
  for (int i = 0; i < 6; ++i) {
    const int k = 500 + i;
    const std::string of_p = "INSERT INTO p VALUES (" +
                             std::to_string(i % 2 == 0 ? 50 + i : 150 + i) + ", " +
                             std::to_string(k) + ")";
    route_behind(stack, session, of_p, read);
    EXPECT_EQ(route_behind(stack, session, insert_a(500 + i, k), read), "miss");
  }
}

TEST(TableCopies, PartitionsAreCopiedOneByOne) {
  Stack stack(with(R"(
    CREATE TABLE p (id int, k int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
    CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200);
    ALTER TABLE p1 REPLICA IDENTITY FULL; ALTER TABLE p2 REPLICA IDENTITY FULL;
    INSERT INTO p SELECT i, i * 3 FROM generate_series(1, 10) i;)"));
  Connection session = stack.client();
  const std::string read =
      "SELECT a.id, p.id FROM a JOIN p ON p.k = a.k ORDER BY a.id DESC LIMIT 3";
  expect_told(stack, session, 1000, read);
  EXPECT_EQ(copies(stack), 3);
  route_behind(stack, session, "INSERT INTO p VALUES (50, 700), (150, 701)", read);
  EXPECT_EQ(route_behind(stack, session, insert_a(1500, 700), read), "miss");
  EXPECT_EQ(route_behind(stack, session, insert_a(1501, 701), read), "miss");
  expect_told(stack, session, 2000, read);
  // From one partition to the other, it remains a partner.
  route_behind(stack, session, "UPDATE p SET id = 160 WHERE id = 50", read);
  EXPECT_EQ(route_behind(stack, session, insert_a(2500, 700), read), "miss");
  // A table with rows becomes a partition, and another one leaves.
  stack.direct().must(
      "CREATE TABLE p3 (id int PRIMARY KEY, k int); INSERT INTO p3 VALUES (250, 800);"
      "ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (200) TO (300);"
      "ALTER TABLE p DETACH PARTITION p2");
  stack.settle_catalog();
  stack.settle();
  EXPECT_EQ(route_behind(stack, session, insert_a(2501, 800), read), "miss");
  expect_told(stack, session, 3000, read);
  EXPECT_EQ(route_behind(stack, session, insert_a(3500, 701), read), "hit");
}

TEST(TableCopies, AStreamThatIsConnectedAnew) {
  Stack stack(with());
  Connection session = stack.client();
  expect_told(stack, session, 100);
  for (int round = 1; round < 4; ++round) {
    const std::string number = std::to_string(500 + round);
    const int walsender = walsender_of(stack.origin().dsn());
    ASSERT_NE(walsender, 0);
    stack.direct().must("SELECT pg_terminate_backend(" + std::to_string(walsender) + ");" +
                        "INSERT INTO b VALUES (" + number + ", " + number + ", true, 'w')");
    EXPECT_TRUE(wait_until(
        [&] {
          const int now = walsender_of(stack.origin().dsn());
          return now != 0 && now != walsender;
        },
        10000));
    stack.settle();
    stack.query_until(session, kRead, "hit");
    EXPECT_EQ(route_behind(stack, session, insert_a(500 + round, 500 + round)), "miss");
    expect_told(stack, session, 1000 * round);
  }
}

// What locks a table holds up its copy, and neither pgcache nor, by pgcache, anybody else.
TEST(TableCopies, LockedTablesWait) {
  Stack stack(with());
  Connection holder(stack.origin().dsn());
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  EXPECT_TRUE(wait_for_copies(stack, 2));
  holder.must("BEGIN; LOCK TABLE b IN ACCESS EXCLUSIVE MODE");
  const int walsender = walsender_of(stack.origin().dsn());
  stack.direct().must("SELECT pg_terminate_backend(" + std::to_string(walsender) + ")");
  EXPECT_TRUE(wait_for_copies(stack, 1));
  const std::string of_a = "SELECT count(*) FROM a WHERE k < 5";
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
  Connection other(stack.origin().dsn());
  other.must("SET statement_timeout = '1s'");
  stack.query_until(session, of_a, "hit");
  int hits = 0;
  while (std::chrono::steady_clock::now() < until) {
    hits += stack.routes_of([&] { session.must(of_a); }) == "hit" ? 1 : 0;
    other.must(
        "INSERT INTO a VALUES (1000 + (random() * 1e8)::int, 1000, '') ON CONFLICT DO NOTHING");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_GT(hits, 20);
  EXPECT_LE(copies(stack), 1);
  holder.must("COMMIT");
  EXPECT_TRUE(wait_for_copies(stack, 2));
  stack.settle();
  EXPECT_EQ(route_behind(stack, session, insert_a(990, 30)), "miss");
}

TEST(TableCopies, NoneAboveItsShare) {
  Stack stack(
      with("INSERT INTO b SELECT i, -i, true, repeat('x', 100) FROM generate_series(100, 1000) i;",
           {"--table-copies-size", "256KiB"}));
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  EXPECT_TRUE(wait_for_copies(stack, 1));
  expect_not_told(stack, session, 100);
  // One that grows is given up.
  stack.direct().must("INSERT INTO a SELECT i, 1000, 'v' FROM generate_series(2000, 4000) i");
  stack.settle();
  EXPECT_TRUE(wait_for_copies(stack, 0));
  EXPECT_EQ(stack.proxy().metric("pgcache_table_copy_bytes"), 0);
  EXPECT_EQ(route_behind(stack, session, insert_a(5000, 30)), "miss");
}

TEST(TableCopies, NoneWhereTheyAreOff) {
  Stack stack(with("", {"--table-copies-size", "0"}));
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  wait_a_moment();
  expect_not_told(stack, session, 100);
  EXPECT_EQ(copies(stack), 0);
}

}  // namespace
}  // namespace pgcache::testing
