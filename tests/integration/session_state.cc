// SPDX-License-Identifier: Apache-2.0
// Everything of a session that can change an answer's bytes, or what its names mean, keeps answers
// apart.
#include "stack.h"

namespace pgcache::testing {
namespace {

class SessionState : public SharedStack<SessionState> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = R"(
      CREATE SCHEMA a; CREATE SCHEMA b;
      CREATE TABLE a.t (id int PRIMARY KEY, v text);
      CREATE TABLE b.t (id int PRIMARY KEY, v text);
      INSERT INTO a.t VALUES (1, 'of a'); INSERT INTO b.t VALUES (1, 'of b');
      CREATE TABLE kinds (id int PRIMARY KEY, d date, ts timestamptz, f float8, b bytea, s text,
                          i interval);
      INSERT INTO kinds VALUES (1, '2024-02-29', '2024-02-29 12:00:00+00', 0.1::float8 + 0.2,
                                '\x00ff41', E'caf\u00e9', '1 day 02:03:04');
      CREATE TABLE secrets (id int PRIMARY KEY, v text);
      INSERT INTO secrets VALUES (1, 'secret');
      CREATE ROLE reader LOGIN; CREATE ROLE nobody LOGIN; CREATE ROLE german LOGIN;
      ALTER ROLE german SET DateStyle = 'German';
      GRANT SELECT ON kinds TO reader, german; GRANT SELECT ON secrets TO reader;
      CREATE TABLE counters (id int PRIMARY KEY, n int); INSERT INTO counters VALUES (1, 0);
      CREATE FUNCTION make_temp() RETURNS void LANGUAGE plpgsql AS
        $$BEGIN CREATE TEMP TABLE kinds AS SELECT 1 AS id, 'temporary'::text AS s; END$$;)";
    return options;
  }

 protected:
  void SetUp() override { session_ = std::make_unique<Connection>(stack().client()); }
  Connection& session() { return *session_; }
  std::string read(Connection& connection, const std::string& column, const std::string& route) {
    return value_of(
        stack().query(connection, "SELECT " + column + " FROM kinds WHERE id = 1", route));
  }

 private:
  std::unique_ptr<Connection> session_;
};

TEST_F(SessionState, SearchPath) {
  Connection a = stack().client();
  Connection b = stack().client("options='-c search_path=b'");
  a.must("SET search_path = a");
  const std::string sql = "SELECT v FROM t WHERE id = 1";
  EXPECT_EQ(rows_text(stack().load(a, sql)), "of a");
  EXPECT_EQ(rows_text(stack().load(b, sql)), "of b");
  EXPECT_EQ(value_of(stack().query(a, sql, "hit")), "of a");
  a.must("SET search_path = b, a");
  EXPECT_EQ(value_of(a.query(sql)), "of b");
  EXPECT_EQ(session().query(sql).sqlstate, "42P01");
}

TEST_F(SessionState, RoleDecidesAboutPrivileges) {
  const std::string sql = "SELECT v FROM secrets WHERE id = 1";
  EXPECT_EQ(rows_text(stack().load(session(), sql)), "secret");
  Connection nobody = stack().client({}, "nobody");
  EXPECT_EQ(stack().query(nobody, sql, "miss").sqlstate, "42501");
  Connection reader = stack().client({}, "reader");
  EXPECT_EQ(rows_text(stack().load(reader, sql)), "secret");
  session().must("SET ROLE nobody");
  EXPECT_EQ(stack().query(session(), sql, "miss").sqlstate, "42501");
  session().must("RESET ROLE");
  EXPECT_EQ(value_of(stack().query(session(), sql, "hit")), "secret");
  session().must("SET SESSION AUTHORIZATION nobody");
  EXPECT_EQ(stack().query(session(), sql, "miss").sqlstate, "42501");
}

TEST_F(SessionState, DateStyleAndInterval) {
  EXPECT_EQ(read(session(), "d", "miss"), "2024-02-29");
  EXPECT_EQ(read(session(), "d", "hit"), "2024-02-29");
  session().must("SET DateStyle = 'German'");
  EXPECT_EQ(read(session(), "d", "miss"), "29.02.2024");
  EXPECT_EQ(read(session(), "d", "hit"), "29.02.2024");
  session().must("RESET DateStyle");
  EXPECT_EQ(read(session(), "d", "hit"), "2024-02-29");
  EXPECT_EQ(read(session(), "i", "miss"), "1 day 02:03:04");
  session().must("SET IntervalStyle = 'iso_8601'");
  EXPECT_EQ(read(session(), "i", "miss"), "P1DT2H3M4S");
}

TEST_F(SessionState, TimeZone) {
  session().must("SET TimeZone = 'UTC'");
  EXPECT_EQ(read(session(), "ts", "miss"), "2024-02-29 12:00:00+00");
  session().must("SET TimeZone = 'Asia/Tokyo'");
  EXPECT_EQ(read(session(), "ts", "miss"), "2024-02-29 21:00:00+09");
  Connection other = stack().client("options='-c TimeZone=UTC'");
  EXPECT_EQ(read(other, "ts", "hit"), "2024-02-29 12:00:00+00");
}

TEST_F(SessionState, SettingsThatNoParameterStatusReports) {
  EXPECT_EQ(read(session(), "f", "miss"), "0.30000000000000004");
  EXPECT_EQ(read(session(), "b", "miss"), "\\x00ff41");
  Connection other = stack().client("options='-c extra_float_digits=0 -c bytea_output=escape'");
  EXPECT_EQ(read(other, "f", "miss"), "0.3");
  EXPECT_EQ(read(other, "b", "miss"), "\\000\\377A");
  session().must("SET extra_float_digits = 0");
  EXPECT_EQ(read(session(), "f", "miss"), "0.3");
  session().must("SET bytea_output = escape");
  EXPECT_EQ(read(session(), "b", "hit"), "\\000\\377A");
}

TEST_F(SessionState, ClientEncoding) {
  const std::string cafe = "caf\xc3\xa9";
  EXPECT_EQ(read(session(), "s", "miss"), cafe);
  Connection latin = stack().client("client_encoding=LATIN1");
  EXPECT_EQ(read(latin, "s", "miss"), "caf\xe9");
  EXPECT_EQ(read(latin, "s", "hit"), "caf\xe9");
  EXPECT_EQ(read(session(), "s", "hit"), cafe);
  EXPECT_EQ(value_of(stack().query(latin, "SELECT id FROM kinds WHERE s = 'caf\xe9'",
                                   "bypass:client_encoding")),
            "1");
  EXPECT_EQ(rows_text(stack().load(session(), "SELECT id FROM kinds WHERE s = '" + cafe + "'")),
            "1");
  Connection japanese = stack().client("client_encoding=SJIS");
  EXPECT_EQ(read(japanese, "id", "bypass:client_encoding"), "1");
}

TEST_F(SessionState, SetConfigInASelect) {
  read(session(), "d AS e", "miss");
  stack().query(session(), "SELECT set_config('DateStyle', 'SQL, DMY', false)",
                "bypass:volatile_function");
  EXPECT_EQ(session().query("SELECT d AS e FROM kinds WHERE id = 1").value(), "29/02/2024");
  stack().settle_session(session());
  EXPECT_EQ(read(session(), "d AS f", "miss"), "29/02/2024");
}

TEST_F(SessionState, SetLocalEndsWithItsBlock) {
  EXPECT_EQ(read(session(), "d AS local", "miss"), "2024-02-29");
  session().must("BEGIN");
  session().must("SET LOCAL DateStyle = 'German'");
  EXPECT_EQ(read(session(), "d AS local", "bypass:in_transaction"), "29.02.2024");
  session().must("COMMIT");
  stack().settle_session(session());
  EXPECT_EQ(read(session(), "d AS local", "hit"), "2024-02-29");
}

TEST_F(SessionState, RolledBackSetIsUndone) {
  EXPECT_EQ(read(session(), "d AS undone", "miss"), "2024-02-29");
  session().must("BEGIN");
  session().must("SET DateStyle = 'German'");
  session().must("ROLLBACK");
  EXPECT_EQ(read(session(), "d AS undone", "hit"), "2024-02-29");
}

TEST_F(SessionState, DefaultsOfARole) {
  EXPECT_EQ(read(session(), "d AS role", "miss"), "2024-02-29");
  Connection german = stack().client({}, "german");
  EXPECT_EQ(read(german, "d AS role", "miss"), "29.02.2024");
  german.must("SET DateStyle = 'ISO'");
  EXPECT_EQ(read(german, "d AS role", "miss"), "2024-02-29");  // another role
}

TEST_F(SessionState, ReloadedConfigurationReachesIdleSessions) {
  EXPECT_EQ(read(session(), "b AS reload", "miss"), "\\x00ff41");
  stack().direct().must("ALTER SYSTEM SET bytea_output = 'escape'");
  stack().direct().must("SELECT pg_reload_conf()");
  const auto seen = [&] {
    return session().query("SELECT b AS reload FROM kinds WHERE id = 1").value() == "\\000\\377A";
  };
  EXPECT_TRUE(wait_until(seen, 10000));
  stack().direct().must("ALTER SYSTEM RESET bytea_output");
  stack().direct().must("SELECT pg_reload_conf()");
  const auto back = [&] {
    return session().query("SELECT b AS reload FROM kinds WHERE id = 1").value() == "\\x00ff41";
  };
  EXPECT_TRUE(wait_until(back, 10000));
}

TEST_F(SessionState, TemporaryTableShadows) {
  const std::string sql = "SELECT s FROM kinds WHERE id = 1";
  session().must(sql);
  session().must("CREATE TEMP TABLE kinds (id int PRIMARY KEY, s text)");
  session().must("INSERT INTO kinds VALUES (1, 'temporary')");
  EXPECT_EQ(value_of(stack().query(session(), sql, "bypass:temporary_objects")), "temporary");
  Connection other = stack().client();
  EXPECT_EQ(other.query(sql).value(), "caf\xc3\xa9");
  session().must("DROP TABLE pg_temp.kinds");
  EXPECT_EQ(value_of(stack().query_until(session(), sql, "hit")), "caf\xc3\xa9");
}

TEST_F(SessionState, TemporaryTableMadeByAFunction) {
  const std::string sql = "SELECT s FROM kinds WHERE id = 1";
  session().must(sql);
  stack().query(session(), "SELECT make_temp()", "bypass:volatile_function");
  EXPECT_EQ(value_of(stack().query(session(), sql, "bypass:temporary_objects")), "temporary");
}

TEST_F(SessionState, DiscardAll) {
  const std::string sql = "SELECT s, d FROM kinds WHERE id = 1";
  EXPECT_EQ(rows_text(stack().load(session(), sql)), "caf\xc3\xa9,2024-02-29");
  session().must("SET DateStyle = 'German'");
  session().must("CREATE TEMP TABLE kinds AS SELECT 1 AS id, 'temporary'::text AS s, 1 AS d");
  EXPECT_EQ(rows_text(stack().query(session(), sql, "bypass:temporary_objects").rows),
            "temporary,1");
  session().must("DISCARD ALL");
  EXPECT_EQ(rows_text(stack().query_until(session(), sql, "hit").rows), "caf\xc3\xa9,2024-02-29");
}

TEST_F(SessionState, ModeOff) {
  EXPECT_EQ(read(session(), "s AS mode", "miss"), "caf\xc3\xa9");
  const std::string commented = "/* pgcache: off */ SELECT s AS mode FROM kinds WHERE id = 1";
  stack().query(session(), commented, "bypass:comment");
  stack().settle_session(session());
  const auto served = [&] {
    const std::string sql = "SELECT s AS mode FROM kinds WHERE id = 1";
    return is_route(stack().routes_of([&] { session().must(sql); }), "hit|miss");
  };
  session().must("SET pgcache.mode = 'off'");
  read(session(), "s AS mode", "bypass:mode_off");
  session().must("SET pgcache.mode = 'on'");
  EXPECT_TRUE(served());
  session().must("SET pgcache.mode = 'off'");
  read(session(), "s AS mode", "bypass:mode_off");
  session().must("RESET ALL");
  EXPECT_TRUE(served());
}

TEST_F(SessionState, StandardConformingStrings) {
  const std::string sql = R"(SELECT 'a\'' FROM kinds WHERE id = 1 --')";
  const QueryResult strict = session().query(sql);
  session().must("SET standard_conforming_strings = off");
  session().must("SET escape_string_warning = off");
  session().must("SET backslash_quote = on");
  const QueryResult loose = session().query(sql);
  EXPECT_NE(strict.sqlstate + rows_text(strict.rows), loose.sqlstate + rows_text(loose.rows));
  EXPECT_EQ(rows_text(loose.rows), "a'");
}

TEST_F(SessionState, OwnWritesAreSeenAtOnce) {
  Connection session2 = stack().client();
  const std::string sql = "SELECT n FROM counters WHERE id = 1";
  session().must(sql);
  int stale = 0;
  const Routes before = stack().proxy().routes();
  for (int i = 1; i <= 500; ++i) {
    Connection& writer = i % 2 == 0 ? session() : session2;
    writer.must("UPDATE counters SET n = " + std::to_string(i) + " WHERE id = 1");
    if (writer.query(sql).value() != std::to_string(i)) ++stale;
  }
  EXPECT_EQ(stale, 0);
  EXPECT_EQ((stack().proxy().routes() - before).fallbacks(), 0u);
  stack().settle_session(session());
  EXPECT_EQ(stack().query_until(session(), sql, "hit").value(), "500");
}

TEST_F(SessionState, OwnWritesInManyForms) {
  const std::string sql = "SELECT n FROM counters WHERE id = 1";
  const std::string update = "UPDATE counters SET n = n + 1 WHERE id = 1";
  const std::vector<std::string> writes = {
      "WITH w AS (" + update + " RETURNING n) SELECT n FROM w",
      "DO $$BEGIN " + update + "; END$$",
      "PREPARE w AS " + update + "; EXECUTE w; DEALLOCATE w",
      "BEGIN; " + update + "; COMMIT",
      update + "; SELECT 1",
  };
  session().must(sql);
  int expected = std::stoi(session().query(sql).value());
  for (const std::string& write : writes) {
    stack().settle_session(session());
    stack().query_until(session(), sql, "hit");
    session().must(write);
    EXPECT_EQ(session().query(sql).value(), std::to_string(++expected)) << write;
  }
  stack().settle_session(session());
  session().must("BEGIN");
  session().must(update);
  session().must("COMMIT");
  EXPECT_EQ(session().query(sql).value(), std::to_string(++expected));
}

}  // namespace
}  // namespace pgcache::testing
