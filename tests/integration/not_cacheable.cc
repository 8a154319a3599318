// SPDX-License-Identifier: Apache-2.0
// What must never be served from memory, and why; and what looks like it but may be.
#include "stack.h"

namespace pgcache::testing {
namespace {

class NotCacheable : public SharedStack<NotCacheable> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = R"(
      CREATE TABLE t (id int PRIMARY KEY, v text, n numeric, ts timestamptz, d date);
      INSERT INTO t SELECT i, 'v' || i, i, now() - i * interval '1 day', current_date - i
        FROM generate_series(1, 20) i;
      CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v text);
      INSERT INTO unlogged VALUES (1, 'u');
      CREATE TABLE keyless (id int, v text); INSERT INTO keyless VALUES (1, 'k');
      CREATE TABLE keyless_full (id int, v text); INSERT INTO keyless_full VALUES (1, 'k');
      ALTER TABLE keyless_full REPLICA IDENTITY FULL;
      CREATE MATERIALIZED VIEW mv AS SELECT * FROM t;
      CREATE VIEW plain_view AS SELECT id, v FROM t WHERE id < 10;
      CREATE VIEW nested_view AS SELECT v FROM plain_view WHERE id = 1;
      CREATE VIEW volatile_view AS SELECT id, now() AS at FROM t;
      CREATE VIEW catalog_view AS SELECT relname FROM pg_class;
      CREATE VIEW mv_view AS SELECT * FROM mv;
      CREATE FUNCTION vol(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1';
      CREATE FUNCTION stab(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1';
      CREATE FUNCTION imm(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
      CREATE TABLE secured (id int PRIMARY KEY, owner text);
      INSERT INTO secured VALUES (1, 'postgres'), (2, 'somebody');
      CREATE ROLE somebody LOGIN; GRANT SELECT ON secured, t TO somebody;
      ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
      CREATE POLICY own ON secured USING (owner = current_user);
      CREATE EXTENSION postgres_fdw;
      CREATE SERVER nowhere FOREIGN DATA WRAPPER postgres_fdw;
      CREATE FOREIGN TABLE foreign_t (id int) SERVER nowhere;
      CREATE SEQUENCE seq;
      CREATE TABLE bounds (id int PRIMARY KEY, most int NOT NULL); INSERT INTO bounds VALUES (1, 9);
      CREATE FUNCTION in_bounds(int) RETURNS bool LANGUAGE sql STABLE AS
        'SELECT $1 <= (SELECT most FROM bounds)';
      CREATE DOMAIN bounded AS int CHECK (in_bounds(VALUE));
      CREATE DOMAIN of_this_time AS timestamptz CHECK (VALUE <> now());
      CREATE DOMAIN positive AS int CHECK (VALUE > 0);
      CREATE TABLE shadow_log (id int PRIMARY KEY);
      CREATE SCHEMA evil;
      CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE sql VOLATILE AS
        'SELECT clock_timestamp()::text';)";
    return options;
  }

 protected:
  void SetUp() override { session_ = std::make_unique<Connection>(stack().client()); }
  Connection& session() { return *session_; }

  void expect_bypass(const std::string& sql, const std::string& reason) {
    for (int i = 0; i < 2; ++i) {
      const QueryResult result = stack().query(session(), sql, "bypass:" + reason);
      EXPECT_EQ(result.error, "") << sql;
    }
  }
  void expect_cached(const std::string& sql) {
    stack().settle_session(session());
    stack().load(session(), sql);
  }

 private:
  std::unique_ptr<Connection> session_;
};

TEST_F(NotCacheable, FunctionsThatDependOnMoreThanTheirArguments) {
  for (const char* expression : {"now()",
                                 "clock_timestamp()",
                                 "random()",
                                 "nextval('seq')",
                                 "txid_current()",
                                 "pg_backend_pid()",
                                 "current_setting('DateStyle')",
                                 "inet_client_port()",
                                 "age(ts)",
                                 "current_date",
                                 "current_timestamp",
                                 "localtime",
                                 "current_user",
                                 "session_user",
                                 "vol(1)",
                                 "stab(1)",
                                 "gen_random_uuid()",
                                 "pg_sleep(0)",
                                 "version()",
                                 "current_schema()",
                                 "has_table_privilege('t', 'select')",
                                 "pg_table_size('t')",
                                 "statement_timestamp()",
                                 "timeofday()",
                                 "to_regclass('t')",
                                 "obj_description(1, 'pg_class')"}) {
    expect_bypass(std::string("SELECT ") + expression + " FROM t WHERE id = 1",
                  "volatile_function");
  }
}

TEST_F(NotCacheable, WhereverTheyStand) {
  for (const char* sql :
       {"SELECT id FROM t WHERE ts < now()", "SELECT id FROM t ORDER BY random()",
        "SELECT id FROM t LIMIT (random() * 3)::int", "SELECT count(*) FROM t HAVING random() < 2",
        "SELECT id FROM t WHERE EXISTS (SELECT now())",
        "WITH c AS (SELECT random() AS r) SELECT id, r FROM t, c",
        "SELECT id FROM t JOIN generate_series(1, vol(2)) g ON g = id",
        "SELECT id FROM t UNION SELECT vol(3)", "VALUES (now())",
        "SELECT sum(n) FILTER (WHERE random() < 2) FROM t",
        "SELECT CASE WHEN random() < 2 THEN 1 ELSE 2 END FROM t",
        "SELECT row_number() OVER (ORDER BY random()) FROM t"}) {
    expect_bypass(sql, "volatile_function");
  }
}

TEST_F(NotCacheable, ImmutableAndFixedFunctionsAre) {
  for (const char* sql :
       {"SELECT imm(id) FROM t WHERE id = 1", "SELECT upper(v), length(v) FROM t WHERE id = 2",
        "SELECT to_char(ts, 'YYYY') FROM t WHERE id = 3",
        "SELECT date_trunc('day', ts) FROM t WHERE id = 4",
        "SELECT coalesce(v, 'x') || '!' FROM t WHERE id = 5",
        "SELECT ts::date, d::text, n::int FROM t WHERE id = 6",
        "SELECT sum(n), avg(n), count(DISTINCT v), max(ts) FROM t",
        "SELECT id, row_number() OVER (ORDER BY id DESC) FROM t ORDER BY id"}) {
    expect_cached(sql);
  }
}

TEST_F(NotCacheable, Relations) {
  expect_bypass("SELECT count(*) FROM pg_class", "system_relation");
  expect_bypass("SELECT count(*) FROM information_schema.tables", "system_relation");
  expect_bypass("SELECT v FROM unlogged WHERE id = 1", "unlogged_relation");
  expect_bypass("SELECT count(*) FROM mv", "materialized_view");
  expect_bypass("SELECT last_value FROM seq", "other_relation_kind");
  expect_bypass("SELECT count(*) FROM catalog_view", "system_relation");
  expect_bypass("SELECT count(*) FROM mv_view", "materialized_view");
  expect_bypass("SELECT * FROM volatile_view WHERE id = 1", "volatile_function");
  EXPECT_FALSE(
      stack().query(session(), "SELECT id FROM foreign_t", "bypass:foreign_relation").ok());
  EXPECT_EQ(stack().query(session(), "SELECT 1 FROM nothing", "bypass:unknown_relation").sqlstate,
            "42P01");
  EXPECT_EQ(stack().query(session(), "SELECT x FROM t", "bypass:unknown_column").sqlstate, "42703");
}

TEST_F(NotCacheable, LocksSystemColumnsSamplesAndWrites) {
  expect_bypass("SELECT v FROM t WHERE id = 1 FOR UPDATE", "locking");
  expect_bypass("SELECT v FROM t WHERE id = 1 FOR KEY SHARE", "locking");
  expect_bypass("SELECT ctid FROM t WHERE id = 1", "system_column");
  expect_bypass("SELECT xmin FROM t WHERE id = 1", "system_column");
  expect_bypass("SELECT tableoid FROM t WHERE id = 1", "system_column");
  expect_bypass("SELECT count(*) FROM t TABLESAMPLE BERNOULLI (50)", "tablesample");
  expect_bypass("WITH w AS (UPDATE t SET v = v WHERE id = 1 RETURNING id) SELECT * FROM w",
                "modifying_cte");
  stack().query(session(), "SELECT 1 AS a INTO TEMP made", "bypass:select_into");
}

TEST_F(NotCacheable, RowSecurity) {
  expect_bypass("SELECT owner FROM secured WHERE id = 2", "row_security");
  Connection somebody = stack().client({}, "somebody");
  EXPECT_EQ(
      rows_text(stack()
                    .query(somebody, "SELECT owner FROM secured ORDER BY id", "bypass:row_security")
                    .rows),
      "somebody");
}

TEST_F(NotCacheable, TableWithoutAKeyStaysUpdatable) {
  expect_bypass("SELECT v FROM keyless WHERE id = 1", "no_replica_identity");
  stack().direct().must("UPDATE keyless SET v = 'changed' WHERE id = 1");
  stack().direct().must("DELETE FROM keyless WHERE id = 99");
  EXPECT_EQ(session().query("SELECT v FROM keyless WHERE id = 1").value(), "changed");
  EXPECT_EQ(stack()
                .direct()
                .must("SELECT count(*) FROM pg_publication_tables WHERE tablename = 'keyless'")
                .value(),
            "0");
}

TEST_F(NotCacheable, FullIdentityMakesUpForAMissingKey) {
  expect_cached("SELECT v FROM keyless_full WHERE id = 1");
  stack().direct().must("UPDATE keyless_full SET v = 'changed' WHERE id = 1");
  stack().settle();
  EXPECT_EQ(value_of(stack().query(session(), "SELECT v FROM keyless_full WHERE id = 1", "miss")),
            "changed");
}

TEST_F(NotCacheable, ViewsAreExpanded) {
  expect_cached("SELECT v FROM plain_view WHERE id = 1");
  expect_cached("SELECT v FROM nested_view");
  stack().direct().must("UPDATE t SET v = 'below' WHERE id = 1");
  stack().settle();
  EXPECT_EQ(value_of(stack().query(session(), "SELECT v FROM plain_view WHERE id = 1", "miss")),
            "below");
  EXPECT_EQ(value_of(stack().query(session(), "SELECT v FROM nested_view", "miss")), "below");
}

TEST_F(NotCacheable, LiteralsThatNameTheCurrentTime) {
  for (const char* sql :
       {"SELECT id FROM t WHERE ts < 'now'::timestamptz", "SELECT id FROM t WHERE ts < 'now'",
        "SELECT id FROM t WHERE d = 'today'", "SELECT id FROM t WHERE d = date 'yesterday'",
        "SELECT 'tomorrow'::date FROM t WHERE id = 1", "SELECT id FROM t WHERE d = ' NOW '",
        "SELECT cast('now' AS timestamp) FROM t WHERE id = 1"}) {
    expect_bypass(sql, "volatile_literal");
  }
  for (int i = 0; i < 2; ++i) {
    stack().params(session(), "SELECT id FROM t WHERE ts < $1::timestamptz", {"now"},
                   "bypass:volatile_literal");
    stack().params(session(), "SELECT id FROM t WHERE d = $1", {"today"},
                   "bypass:volatile_literal");
  }
  expect_cached("SELECT id FROM t WHERE d = '2020-01-01'");
  expect_cached("SELECT v FROM t WHERE v = 'now'");
}

// What was a value of the domain may not be one any more.
TEST_F(NotCacheable, DomainsWhoseChecksVary) {
  expect_bypass("SELECT 5::bounded", "volatile_cast");
  expect_bypass("SELECT id::bounded FROM t WHERE id = 3", "volatile_cast");
  expect_bypass("SELECT '2001-01-01'::of_this_time", "volatile_cast");
  stack().direct().must("UPDATE bounds SET most = 4");
  const QueryResult refused = stack().query(session(), "SELECT 5::bounded", "bypass:volatile_cast");
  EXPECT_NE(refused.error, "");
  expect_cached("SELECT 5::positive");
}

TEST_F(NotCacheable, ShadowedFunction) {
  session().must("SET search_path = evil, pg_catalog, public");
  const QueryResult first = session().query("SELECT lower(v) FROM t WHERE id = 1");
  const QueryResult second = session().query("SELECT lower(v) FROM t WHERE id = 1");
  EXPECT_NE(first.value(), second.value());
  session().must("RESET search_path");
  expect_cached("SELECT lower(v) FROM t WHERE id = 1");
}

TEST_F(NotCacheable, ParametersOfAnyFormOfTheSameValueGetTheirChanges) {
  stack().settle_session(session());
  const std::vector<std::pair<std::string, std::string>> forms = {
      {"SELECT v FROM t WHERE id = $1", "7"},
      {"SELECT v FROM t WHERE id = $1", "007"},
      {"SELECT v FROM t WHERE id = $1::bigint", "7"},
      {"SELECT v FROM t WHERE id = $1::numeric", "7.0"},
      {"SELECT v FROM t WHERE n = $1", "7.00"},
      {"SELECT v FROM t WHERE n = $1::float8", "7e0"},
      {"SELECT v FROM t WHERE id = $1::text::int", " 7 "},
      {"SELECT v FROM t WHERE id IN ($1, 100)", "7"},
      {"SELECT v FROM t WHERE id = ANY ($1::int[])", "{7,8}"},
      {"SELECT v FROM t WHERE id BETWEEN $1 AND $1", "7"},
      {"SELECT v FROM t WHERE id + 1 = $1", "8"},
  };
  for (int round = 0; round < 2; ++round) {
    for (const auto& [sql, value] : forms) {
      stack().params(session(), sql, {value}, "miss");
      stack().params(session(), sql, {value}, "hit");
    }
    stack().direct().must("UPDATE t SET v = 'round " + std::to_string(round) + "' WHERE id = 7");
    stack().settle();
    for (const auto& [sql, value] : forms) {
      const QueryResult after = stack().params(session(), sql, {value}, "miss");
      EXPECT_EQ(after.rows.at(0).at(0), "round " + std::to_string(round)) << sql;
    }
    stack().direct().must("UPDATE t SET v = 'again' WHERE id = 7");
    stack().settle();
  }
}

}  // namespace
}  // namespace pgcache::testing
