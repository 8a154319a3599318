// SPDX-License-Identifier: Apache-2.0
// Changes of definitions at the origin: nothing cached under the old ones outlives them.
#include "stack.h"

namespace pgcache::testing {
namespace {

class Definitions : public SharedStack<Definitions> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = R"(
      CREATE TABLE t (id int PRIMARY KEY, v text, n int);
      INSERT INTO t SELECT i, 'v' || i, i FROM generate_series(1, 10) i;
      CREATE TYPE mood AS ENUM ('sad', 'glad');
      CREATE TABLE moods (id int PRIMARY KEY, m mood); INSERT INTO moods VALUES (1, 'glad');
      CREATE VIEW w AS SELECT v FROM t WHERE id = 1;
      CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
      CREATE TABLE doomed (id int PRIMARY KEY, v text); INSERT INTO doomed VALUES (1, 'old');
      CREATE TABLE guarded (id int PRIMARY KEY, v text); INSERT INTO guarded VALUES (1, 'secret');
      CREATE ROLE guest LOGIN; CREATE ROLE club;
      GRANT SELECT ON guarded TO guest, club; GRANT SELECT ON t TO guest;
      CREATE ROLE member LOGIN IN ROLE club;)";
    return options;
  }

 protected:
  void SetUp() override { session_ = std::make_unique<Connection>(stack().client()); }
  Connection& session() { return *session_; }
  void change(const std::string& sql) {
    stack().direct().must(sql);
    stack().settle_catalog();
  }
  std::vector<Row> cached(Connection& connection, const std::string& sql) {
    return stack().query_until(connection, sql, "hit").rows;
  }
  std::vector<Row> cached(const std::string& sql) { return cached(session(), sql); }

 private:
  std::unique_ptr<Connection> session_;
};

TEST_F(Definitions, ColumnsComeAndGo) {
  const std::string sql = "SELECT * FROM t WHERE id = 1";
  EXPECT_EQ(rows_text(cached(sql)), "1,v1,1");
  change("ALTER TABLE t ADD COLUMN more text DEFAULT 'm'");
  EXPECT_EQ(rows_text(cached(sql)), "1,v1,1,m");
  change("ALTER TABLE t RENAME COLUMN more TO other");
  EXPECT_EQ(session().query(sql).columns.back(), "other");
  change("ALTER TABLE t DROP COLUMN other");
  EXPECT_EQ(rows_text(cached(sql)), "1,v1,1");
  stack().direct().must("UPDATE t SET n = 100 WHERE id = 1");
  stack().settle();
  EXPECT_EQ(rows_text(session().query(sql).rows), "1,v1,100");
  stack().direct().must("UPDATE t SET n = 1 WHERE id = 1");
}

TEST_F(Definitions, TypeOfAColumn) {
  const std::string sql = "SELECT n FROM t WHERE n = 2";
  cached(sql);
  change("ALTER TABLE t ALTER COLUMN n TYPE numeric(10, 2)");
  EXPECT_EQ(rows_text(cached(sql)), "2.00");
  stack().direct().must("UPDATE t SET n = 2.5 WHERE id = 2");
  stack().settle();
  EXPECT_EQ(rows_text(session().query(sql).rows), "");
  change("UPDATE t SET n = id; ALTER TABLE t ALTER COLUMN n TYPE int");
  EXPECT_EQ(rows_text(cached(sql)), "2");
}

TEST_F(Definitions, RewriteOfATableByDdl) {
  change(
      "CREATE TABLE rewritten (id int PRIMARY KEY, v text); INSERT INTO rewritten VALUES (1, 'a')");
  const std::string sql = "SELECT v FROM rewritten WHERE id = 1";
  EXPECT_EQ(rows_text(cached(sql)), "a");
  // Changes every row, and nothing of it is in the stream.
  change("ALTER TABLE rewritten ALTER COLUMN v TYPE text USING v || '!'");
  EXPECT_EQ(rows_text(cached(sql)), "a!");
  change("ALTER TABLE rewritten ALTER COLUMN v TYPE text USING v || '!'");
  EXPECT_EQ(rows_text(cached(sql)), "a!!");
}

TEST_F(Definitions, TableMadeAnew) {
  const std::string sql = "SELECT v FROM doomed WHERE id = 1";
  EXPECT_EQ(rows_text(cached(sql)), "old");
  change(
      "DROP TABLE doomed; CREATE TABLE doomed (id int PRIMARY KEY, v text);"
      "INSERT INTO doomed VALUES (1, 'new')");
  EXPECT_EQ(rows_text(cached(sql)), "new");
  stack().direct().must("UPDATE doomed SET v = 'newer'");
  stack().settle();
  EXPECT_EQ(session().query(sql).value(), "newer");
  change("ALTER TABLE doomed RENAME TO gone");
  EXPECT_EQ(session().query(sql).sqlstate, "42P01");
  change("ALTER TABLE gone RENAME TO doomed");
  EXPECT_EQ(session().query(sql).value(), "newer");
}

TEST_F(Definitions, TablesSwapped) {
  change(
      "CREATE TABLE shadow (id int PRIMARY KEY, v text); INSERT INTO shadow VALUES (1, 'shadow')");
  const std::string sql = "SELECT v FROM doomed WHERE id = 1";
  cached(sql);
  change("BEGIN; ALTER TABLE doomed RENAME TO aside; ALTER TABLE shadow RENAME TO doomed; COMMIT");
  EXPECT_EQ(rows_text(cached(sql)), "shadow");
  stack().direct().must("UPDATE doomed SET v = 'swapped'");
  stack().settle();
  EXPECT_EQ(session().query(sql).value(), "swapped");
  change("DROP TABLE doomed; ALTER TABLE aside RENAME TO doomed");
}

TEST_F(Definitions, ViewAndFunction) {
  EXPECT_EQ(rows_text(cached("SELECT v FROM w")), "v1");
  change("CREATE OR REPLACE VIEW w AS SELECT v FROM t WHERE id = 2");
  EXPECT_EQ(rows_text(cached("SELECT v FROM w")), "v2");
  const std::string sql = "SELECT twice(id) FROM t WHERE id = 4";
  EXPECT_EQ(rows_text(cached(sql)), "8");
  change(
      "CREATE OR REPLACE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS "
      "'SELECT $1 * 3'");
  EXPECT_EQ(rows_text(cached(sql)), "12");
  change("ALTER FUNCTION twice(int) VOLATILE");
  stack().query(session(), sql, "bypass:volatile_function");
  change("ALTER FUNCTION twice(int) IMMUTABLE");
}

TEST_F(Definitions, EnumValues) {
  const std::string sql = "SELECT m FROM moods WHERE m = 'glad'";
  EXPECT_EQ(rows_text(cached(sql)), "glad");
  change("ALTER TYPE mood RENAME VALUE 'glad' TO 'happy'");
  EXPECT_EQ(session().query(sql).sqlstate, "22P02");
  EXPECT_EQ(rows_text(cached("SELECT m FROM moods WHERE id = 1")), "happy");
  change("ALTER TYPE mood RENAME VALUE 'happy' TO 'glad'");
  EXPECT_EQ(rows_text(cached(sql)), "glad");
}

TEST_F(Definitions, PrivilegesTakenAway) {
  Connection guest = stack().client({}, "guest");
  const std::string sql = "SELECT v FROM guarded WHERE id = 1";
  EXPECT_EQ(rows_text(cached(guest, sql)), "secret");
  change("REVOKE SELECT ON guarded FROM guest");
  EXPECT_EQ(guest.query(sql).sqlstate, "42501");
  change("GRANT SELECT (id) ON guarded TO guest");
  EXPECT_EQ(guest.query(sql).sqlstate, "42501");
  EXPECT_EQ(guest.query("SELECT id FROM guarded WHERE id = 1").value(), "1");
}

TEST_F(Definitions, MembershipTakenAway) {
  Connection member = stack().client({}, "member");
  const std::string sql = "SELECT v FROM guarded WHERE id = 1";
  EXPECT_EQ(rows_text(cached(member, sql)), "secret");
  change("REVOKE club FROM member");
  EXPECT_EQ(member.query(sql).sqlstate, "42501");
  change("GRANT club TO member");
  EXPECT_EQ(member.query(sql).value(), "secret");
  change("REVOKE USAGE ON SCHEMA public FROM public");
  EXPECT_EQ(member.query(sql).ok(), false);
  change("GRANT USAGE ON SCHEMA public TO public");
}

TEST_F(Definitions, RowSecuritySwitchedOn) {
  Connection guest = stack().client({}, "guest");
  const std::string sql = "SELECT count(*) FROM t";
  EXPECT_EQ(rows_text(cached(guest, sql)), "10");
  change("CREATE POLICY few ON t USING (id < 4); ALTER TABLE t ENABLE ROW LEVEL SECURITY");
  EXPECT_EQ(value_of(stack().query(guest, sql, "bypass:row_security|bypass:after_write")), "3");
  change("ALTER TABLE t DISABLE ROW LEVEL SECURITY; DROP POLICY few ON t");
  EXPECT_EQ(rows_text(cached(guest, sql)), "10");
}

TEST_F(Definitions, OwnDefinitionsAreSeenAtOnce) {
  for (int i = 0; i < 5; ++i) {
    const std::string name = "own_" + std::to_string(i);
    session().must("CREATE TABLE " + name + " (id int PRIMARY KEY, v text)");
    session().must("INSERT INTO " + name + " VALUES (1, 'one')");
    const std::string sql = "SELECT * FROM " + name + " WHERE id = 1";
    EXPECT_EQ(rows_text(session().query(sql).rows), "1,one");
    EXPECT_EQ(rows_text(cached(sql)), "1,one");
    session().must("ALTER TABLE " + name + " ADD COLUMN n int DEFAULT 7");
    EXPECT_EQ(rows_text(session().query(sql).rows), "1,one,7");
    EXPECT_EQ(rows_text(cached(sql)), "1,one,7");
    session().must("DROP TABLE " + name);
    EXPECT_EQ(session().query(sql).sqlstate, "42P01");
  }
}

// Another session's commit may be late by a moment here, but not by the time that it takes to read
// the catalog.
TEST_F(Definitions, OfOtherSessionsThroughPgcacheAreSeenAtOnce) {
  Connection owner = stack().client();
  owner.must("CREATE VIEW turning AS SELECT 'none' AS v FROM t WHERE id = 1");
  const std::string sql = "SELECT v FROM turning";
  for (const std::string now : {"one", "two", "three", "four"}) {
    cached(sql);
    owner.must("CREATE OR REPLACE VIEW turning AS SELECT '" + now + "' AS v FROM t WHERE id = 1");
    EXPECT_EQ(value_of(stack().query(session(), sql, "bypass:definitions")), now);
    EXPECT_EQ(rows_text(cached(sql)), now);
    owner.must("BEGIN; DROP VIEW turning; CREATE VIEW turning AS SELECT 'new'::text AS v");
    owner.must("COMMIT");
    EXPECT_EQ(value_of(stack().query(session(), sql, "bypass:definitions")), "new");
    owner.must("DROP VIEW turning; CREATE VIEW turning AS SELECT 'none' AS v FROM t WHERE id = 1");
  }
  owner.must("DROP VIEW turning");
}

TEST_F(Definitions, UnloggedAndBack) {
  const std::string sql = "SELECT v FROM doomed WHERE id = 1";
  cached(sql);
  change("ALTER PUBLICATION pgcache DROP TABLE doomed; ALTER TABLE doomed SET UNLOGGED");
  stack().query_until(session(), sql, "bypass:unlogged_relation");
  change("ALTER TABLE doomed SET LOGGED");
  cached(sql);
  stack().direct().must("UPDATE doomed SET v = 'logged'");
  stack().settle();
  EXPECT_EQ(session().query(sql).value(), "logged");
}

TEST_F(Definitions, IdentityTakenAway) {
  change(
      "CREATE TABLE keyed (id int CONSTRAINT keyed_key PRIMARY KEY, v text);"
      "INSERT INTO keyed VALUES (1, 'one')");
  const std::string sql = "SELECT v FROM keyed WHERE id = 1";
  cached(sql);
  change("ALTER TABLE keyed DROP CONSTRAINT keyed_key");
  // The table must become writable again without anybody's help.
  const auto writable = [] {
    return stack().direct().query("UPDATE keyed SET v = 'two' WHERE id = 1").ok();
  };
  EXPECT_TRUE(wait_until(writable, 10000));
  stack().settle();
  const auto right = [&] { return session().query(sql).value() == "two"; };
  EXPECT_TRUE(wait_until(right, 5000));
  stack().query_until(session(), sql, "bypass:no_replica_identity");
}

}  // namespace
}  // namespace pgcache::testing
