// SPDX-License-Identifier: Apache-2.0
// The simple protocol: what is cached, and what each kind of change at the origin does to it.
#include "stack.h"

namespace pgcache::testing {
namespace {

class SimpleProtocol : public SharedStack<SimpleProtocol> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.conf = {"max_prepared_transactions = 10"};
    options.schema = R"(
      CREATE TABLE users (id int PRIMARY KEY, grp int NOT NULL, name text);
      CREATE TABLE full_users (id int PRIMARY KEY, grp int NOT NULL, name text);
      ALTER TABLE full_users REPLICA IDENTITY FULL;
      CREATE TABLE parents (id int PRIMARY KEY);
      CREATE TABLE children (id int PRIMARY KEY,
                             parent_id int REFERENCES parents ON DELETE CASCADE);
      CREATE TABLE totals (name text PRIMARY KEY, value int NOT NULL);
      INSERT INTO totals VALUES ('events', 0);
      CREATE TABLE events (id int PRIMARY KEY);
      CREATE FUNCTION count_event() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN UPDATE totals SET value = value + 1 WHERE name = 'events'; RETURN NULL; END$$;
      CREATE TRIGGER count_event AFTER INSERT ON events FOR EACH ROW
        EXECUTE FUNCTION count_event();)";
    return options;
  }

 protected:
  void SetUp() override {
    stack().direct().must(R"(
      TRUNCATE users, full_users, events, parents, children;
      INSERT INTO users SELECT i, i / 10, 'name ' || i FROM generate_series(1, 100) i;
      INSERT INTO full_users SELECT * FROM users;
      INSERT INTO parents SELECT generate_series(1, 3);
      INSERT INTO children SELECT i, (i - 1) / 2 + 1 FROM generate_series(1, 6) i)");
    stack().settle();
    session_ = std::make_unique<Connection>(stack().client());
  }
  Connection& session() { return *session_; }

  // Loads both, changes the origin, and sees the first gone stale and the second untouched.
  void expect_invalidated(const std::string& affected, const std::string& untouched,
                          const std::string& change, const std::string& rows_after) {
    stack().load(session(), affected);
    stack().load(session(), untouched);
    stack().direct().must(change);
    stack().settle();
    stack().query(session(), untouched, "hit");
    const QueryResult after = stack().query(session(), affected, "miss");
    EXPECT_EQ(rows_text(after.rows), rows_after) << affected;
    stack().query(session(), affected, "hit");
  }

 private:
  std::unique_ptr<Connection> session_;
};

TEST_F(SimpleProtocol, RepeatedReadNeverReachesTheOrigin) {
  const std::string sql = "SELECT name FROM users WHERE id = 1";
  EXPECT_EQ(rows_text(stack().load(session(), sql)), "name 1");
  const long before = calls(stack().direct(), "SELECT name FROM users WHERE id%");
  EXPECT_GE(before, 1);
  stack().expect_route("hit*50", [&] {
    for (int i = 0; i < 50; ++i) EXPECT_EQ(session().query(sql).value(), "name 1");
  });
  EXPECT_EQ(calls(stack().direct(), "SELECT name FROM users WHERE id%"), before);
}

TEST_F(SimpleProtocol, OtherSessionsShareTheEntry) {
  const std::string sql = "SELECT name FROM users WHERE id = 2";
  stack().load(session(), sql);
  Connection other = stack().client();
  EXPECT_EQ(value_of(stack().query(other, sql, "hit")), "name 2");
}

TEST_F(SimpleProtocol, EmptyResultIsCachedAndFilledByAnInsert) {
  expect_invalidated("SELECT name FROM users WHERE id = 1000",
                     "SELECT name FROM users WHERE id = 1001",
                     "INSERT INTO users VALUES (1000, 0, 'new')", "new");
}

TEST_F(SimpleProtocol, InsertIntoACachedGroup) {
  expect_invalidated("SELECT count(*) FROM users WHERE grp = 3",
                     "SELECT count(*) FROM users WHERE grp = 4",
                     "INSERT INTO users VALUES (200, 3, 'new')", "11");
}

TEST_F(SimpleProtocol, Update) {
  expect_invalidated("SELECT name FROM users WHERE id = 5", "SELECT name FROM users WHERE id = 6",
                     "UPDATE users SET name = 'changed' WHERE id = 5", "changed");
}

TEST_F(SimpleProtocol, Delete) {
  expect_invalidated("SELECT name FROM users WHERE id = 7", "SELECT name FROM users WHERE id = 8",
                     "DELETE FROM users WHERE id = 7", "");
}

TEST_F(SimpleProtocol, DeleteFromAGroupWithOnlyTheKeyInTheStream) {
  stack().load(session(), "SELECT id FROM users WHERE grp = 2 ORDER BY id");
  stack().direct().must("DELETE FROM users WHERE id = 25");
  stack().settle();
  const QueryResult after =
      stack().query(session(), "SELECT id FROM users WHERE grp = 2 ORDER BY id", "miss");
  EXPECT_EQ(rows_text(after.rows), "20|21|22|23|24|26|27|28|29");
}

TEST_F(SimpleProtocol, TruncateDropsEveryResultOfTheTable) {
  stack().load(session(), "SELECT name FROM users WHERE id = 9");
  stack().load(session(), "SELECT count(*) FROM users");
  stack().load(session(), "SELECT name FROM full_users WHERE id = 9");
  stack().direct().must("TRUNCATE users");
  stack().settle();
  EXPECT_EQ(stack().query(session(), "SELECT name FROM users WHERE id = 9", "miss").rows.size(),
            0u);
  EXPECT_EQ(value_of(stack().query(session(), "SELECT count(*) FROM users", "miss")), "0");
  stack().query(session(), "SELECT name FROM full_users WHERE id = 9", "hit");
}

TEST_F(SimpleProtocol, RowMovesBetweenTwoCachedResults) {
  const std::string from = "SELECT id FROM full_users WHERE grp = 5 ORDER BY id";
  const std::string to = "SELECT id FROM full_users WHERE grp = 6 ORDER BY id";
  const std::string apart = "SELECT id FROM full_users WHERE grp = 7 ORDER BY id";
  for (const std::string& sql : {from, to, apart}) stack().load(session(), sql);
  stack().direct().must("UPDATE full_users SET grp = 6 WHERE id = 55");
  stack().settle();
  EXPECT_EQ(rows_text(stack().query(session(), from, "miss").rows), "50|51|52|53|54|56|57|58|59");
  EXPECT_EQ(rows_text(stack().query(session(), to, "miss").rows),
            "55|60|61|62|63|64|65|66|67|68|69");
  stack().query(session(), apart, "hit");
}

TEST_F(SimpleProtocol, RowMovesBetweenTwoGroupsWithTheKeyOnlyIdentity) {
  const std::string from = "SELECT id FROM users WHERE grp = 5 ORDER BY id";
  const std::string to = "SELECT id FROM users WHERE grp = 6 ORDER BY id";
  for (const std::string& sql : {from, to}) stack().load(session(), sql);
  stack().direct().must("UPDATE users SET grp = 6 WHERE id = 55");
  stack().settle();
  EXPECT_EQ(rows_text(stack().query(session(), from, "miss").rows), "50|51|52|53|54|56|57|58|59");
  EXPECT_EQ(rows_text(stack().query(session(), to, "miss").rows),
            "55|60|61|62|63|64|65|66|67|68|69");
}

TEST_F(SimpleProtocol, KeyUpdateMovesARowBetweenTwoKeys) {
  const std::string from = "SELECT name FROM users WHERE id = 10";
  const std::string to = "SELECT name FROM users WHERE id = 300";
  const std::string apart = "SELECT name FROM users WHERE id = 11";
  for (const std::string& sql : {from, to, apart}) stack().load(session(), sql);
  stack().direct().must("UPDATE users SET id = 300 WHERE id = 10");
  stack().settle();
  EXPECT_EQ(rows_text(stack().query(session(), from, "miss").rows), "");
  EXPECT_EQ(rows_text(stack().query(session(), to, "miss").rows), "name 10");
  stack().query(session(), apart, "hit");
}

TEST_F(SimpleProtocol, ColumnThatTheQueryDoesNotReadWithFullIdentity) {
  const std::string sql = "SELECT id FROM full_users WHERE grp = 1 ORDER BY id";
  stack().load(session(), sql);
  stack().direct().must("UPDATE full_users SET name = 'x' WHERE grp = 1");
  stack().settle();
  stack().query(session(), sql, "hit");
}

TEST_F(SimpleProtocol, RollbackInvalidatesNothing) {
  const std::string sql = "SELECT name FROM users WHERE id = 12";
  stack().load(session(), sql);
  stack().direct().must("BEGIN; UPDATE users SET name = 'no' WHERE id = 12; ROLLBACK");
  stack().direct().must(
      "BEGIN; SAVEPOINT a; UPDATE users SET name = 'no' WHERE id = 12; ROLLBACK TO a; COMMIT");
  stack().settle();
  EXPECT_EQ(value_of(stack().query(session(), sql, "hit")), "name 12");
}

TEST_F(SimpleProtocol, UncommittedChangeIsNotSeen) {
  const std::string sql = "SELECT name FROM users WHERE id = 13";
  stack().load(session(), sql);
  Connection writer(stack().origin().dsn());
  writer.must("BEGIN");
  writer.must("UPDATE users SET name = 'later' WHERE id = 13");
  EXPECT_EQ(value_of(stack().query(session(), sql, "hit")), "name 13");
  writer.must("COMMIT");
  stack().settle();
  EXPECT_EQ(value_of(stack().query(session(), sql, "miss")), "later");
}

TEST_F(SimpleProtocol, CascadedDelete) {
  expect_invalidated("SELECT id FROM children WHERE id = 1", "SELECT id FROM children WHERE id = 6",
                     "DELETE FROM parents WHERE id = 1", "");
}

TEST_F(SimpleProtocol, TriggerWritesAnotherTable) {
  const std::string sql = "SELECT value FROM totals WHERE name = 'events'";
  const int before = std::stoi(rows_text(stack().load(session(), sql)));
  stack().direct().must("INSERT INTO events VALUES (1), (2)");
  stack().settle();
  EXPECT_EQ(value_of(stack().query(session(), sql, "miss")), std::to_string(before + 2));
}

TEST_F(SimpleProtocol, TwoPhaseCommitTakesEffectAtCommitPrepared) {
  const std::string sql = "SELECT name FROM users WHERE id = 14";
  stack().load(session(), sql);
  stack().direct().must(
      "BEGIN; UPDATE users SET name = 'two' WHERE id = 14; PREPARE TRANSACTION 'two'");
  stack().settle();
  EXPECT_EQ(value_of(stack().query(session(), sql, "hit")), "name 14");
  stack().direct().must("COMMIT PREPARED 'two'");
  stack().settle();
  EXPECT_EQ(value_of(stack().query(session(), sql, "miss")), "two");
  EXPECT_EQ(value_of(stack().query(session(), sql, "hit")), "two");
}

TEST_F(SimpleProtocol, RolledBackPreparedTransactionInvalidatesNothing) {
  const std::string sql = "SELECT name FROM users WHERE id = 15";
  stack().load(session(), sql);
  stack().direct().must(
      "BEGIN; UPDATE users SET name = 'two' WHERE id = 15; PREPARE TRANSACTION 'three'");
  stack().direct().must("ROLLBACK PREPARED 'three'");
  stack().settle();
  EXPECT_EQ(value_of(stack().query(session(), sql, "hit")), "name 15");
}

TEST_F(SimpleProtocol, CopyFrom) {
  stack().load(session(), "SELECT count(*) FROM users WHERE grp = 8");
  PGconn* connection = stack().direct().raw();
  PGresult* started = PQexec(connection, "COPY users FROM STDIN");
  ASSERT_EQ(PQresultStatus(started), PGRES_COPY_IN);
  PQclear(started);
  const std::string data = "400\t8\tcopied\n401\t8\t\\N\n";
  ASSERT_EQ(PQputCopyData(connection, data.data(), static_cast<int>(data.size())), 1);
  ASSERT_EQ(PQputCopyEnd(connection, nullptr), 1);
  while (PGresult* result = PQgetResult(connection)) PQclear(result);
  stack().settle();
  EXPECT_EQ(value_of(stack().query(session(), "SELECT count(*) FROM users WHERE grp = 8", "miss")),
            "12");
}

TEST_F(SimpleProtocol, OwnWriteIsSeenAndOthersAreKept) {
  stack().load(session(), "SELECT name FROM users WHERE id = 16");
  stack().load(session(), "SELECT name FROM users WHERE id = 17");
  stack().query(session(), "UPDATE users SET name = 'mine' WHERE id = 16", "bypass:not_read");
  EXPECT_EQ(session().query("SELECT name FROM users WHERE id = 16").value(), "mine");
  stack().settle_session(session());
  EXPECT_EQ(value_of(stack().query_until(session(), "SELECT name FROM users WHERE id = 16", "hit")),
            "mine");
  stack().query(session(), "SELECT name FROM users WHERE id = 17", "hit");
}

TEST_F(SimpleProtocol, ErrorsAreNotCached) {
  const std::string sql = "SELECT 1 / (id - 18) FROM users WHERE id = 18";
  const QueryResult first = stack().query(session(), sql, "miss");
  EXPECT_EQ(first.sqlstate, "22012");
  stack().direct().must("DELETE FROM users WHERE id = 18");
  stack().settle();
  EXPECT_EQ(rows_text(stack().query(session(), sql, "miss").rows), "");
}

TEST_F(SimpleProtocol, NoColumnsAndManyRows) {
  EXPECT_EQ(stack().load(session(), "SELECT FROM users WHERE grp = 4").size(), 10u);
  EXPECT_EQ(stack().load(session(), "SELECT * FROM users ORDER BY id").size(), 100u);
  EXPECT_EQ(rows_text(stack().load(session(), "TABLE parents")), "1|2|3");
}

}  // namespace
}  // namespace pgcache::testing
