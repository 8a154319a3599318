// SPDX-License-Identifier: Apache-2.0
// Changes of definitions that are made at the origin, told by event triggers in the stream. The
// catalog is polled so seldom here that nothing else can have told.
#include "stack.h"

namespace pgcache::testing {
namespace {

constexpr const char* kSchema = R"(
  CREATE ROLE guest LOGIN; CREATE ROLE stranger LOGIN;
  CREATE TABLE bystander (id int PRIMARY KEY, v text); INSERT INTO bystander VALUES (1, 'here');
  CREATE TABLE log (id int PRIMARY KEY, n int); INSERT INTO log VALUES (1, 0);
  CREATE TABLE t (id int PRIMARY KEY, v text, n int);
  INSERT INTO t SELECT i, 'v' || i, i FROM generate_series(1, 10) i;
  GRANT SELECT ON t, bystander, log TO guest;
  CREATE TABLE parents (id int PRIMARY KEY, w text); INSERT INTO parents VALUES (1, 'p');
  CREATE TABLE children (id int PRIMARY KEY, p int NOT NULL REFERENCES parents);
  INSERT INTO children VALUES (1, 1);
  CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
  CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
  INSERT INTO parted VALUES (1, 'one');
  CREATE TABLE loose (id int PRIMARY KEY, v text); INSERT INTO loose VALUES (11, 'eleven');
  CREATE TABLE ancestor (id int PRIMARY KEY, v text);
  CREATE TABLE heir (PRIMARY KEY (id)) INHERITS (ancestor); INSERT INTO heir VALUES (1, 'h');
  CREATE TABLE foundling (id int PRIMARY KEY, v text); INSERT INTO foundling VALUES (7, 'f');
  CREATE VIEW inner_view AS SELECT id, v FROM t WHERE id < 5;
  CREATE VIEW outer_view AS SELECT v FROM inner_view WHERE id = 1;
  CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
  CREATE FUNCTION thrice(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 3';
  CREATE FUNCTION less(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
  CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, FUNCTION = thrice);
  CREATE TYPE mood AS ENUM ('sad', 'glad');
  CREATE TABLE moods (id int PRIMARY KEY, m mood); INSERT INTO moods VALUES (1, 'glad');
  CREATE DOMAIN small AS int; CREATE TABLE smalls (id int PRIMARY KEY, s small);
  INSERT INTO smalls VALUES (1, 1);
  CREATE TYPE pair AS (a int, b int);
  CREATE TABLE pairs (id int PRIMARY KEY, p pair); INSERT INTO pairs VALUES (1, '(1,2)');
  CREATE FUNCTION pair_a(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a';
  CREATE FUNCTION pair_b(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ($1).b';
  CREATE CAST (pair AS int) WITH FUNCTION pair_a(pair);
  CREATE COLLATION mine (provider = libc, locale = 'C');
  CREATE SCHEMA early; CREATE SCHEMA late; GRANT USAGE ON SCHEMA early, late TO guest;
  CREATE TABLE late.named (id int PRIMARY KEY, v text); INSERT INTO late.named VALUES (1, 'late');
  GRANT SELECT ON late.named TO guest; GRANT SELECT (id, w) ON parents TO guest;
  CREATE VIEW owned_view AS SELECT id, v FROM t; CREATE VIEW shown_view AS SELECT id, v FROM t; ALTER VIEW owned_view OWNER TO stranger;
  GRANT SELECT ON t TO stranger; GRANT SELECT ON owned_view, shown_view TO guest;)";

// One change, and how it shows.
struct Change {
  const char* name;
  const char* sql;    // the read whose meaning it may change
  const char* ddl;    // at the origin
  const char* route;  // that the read comes to; "fails": misses that are errors
  bool all;           // results over other tables go too
  const char* undo;
  const char* user = "postgres";
};

const Change kChanges[] = {
    {"ColumnAdded", "SELECT * FROM t WHERE id = 1", "ALTER TABLE t ADD more int DEFAULT 5", "hit",
     false, "ALTER TABLE t DROP more"},
    {"ColumnDropped", "SELECT * FROM t WHERE id = 1", "ALTER TABLE t DROP n", "hit", false,
     "ALTER TABLE t ADD n int; UPDATE t SET n = id"},
    {"ColumnRenamed", "SELECT n FROM t WHERE id = 1", "ALTER TABLE t RENAME n TO m",
     "bypass:unknown_column", false, "ALTER TABLE t RENAME m TO n"},
    {"TypeOfColumn", "SELECT n FROM t WHERE id = 2", "ALTER TABLE t ALTER n TYPE numeric(9, 2)",
     "hit", false, "ALTER TABLE t ALTER n TYPE int"},
    {"RowsRewritten", "SELECT v FROM loose WHERE id = 11",
     "ALTER TABLE loose ALTER v TYPE text USING v || '!'", "hit", false,
     "ALTER TABLE loose ALTER v TYPE text USING rtrim(v, '!')"},
    {"TableRenamed", "SELECT v FROM t WHERE id = 4", "ALTER TABLE t RENAME TO elsewhere",
     "bypass:unknown_relation", false, "ALTER TABLE elsewhere RENAME TO t"},
    {"TableMoved", "SELECT v FROM t WHERE id = 4", "ALTER TABLE t SET SCHEMA early", "hit", true,
     "ALTER TABLE early.t SET SCHEMA public"},
    {"TableDropped", "SELECT v FROM loose WHERE id = 11", "DROP TABLE loose",
     "bypass:unknown_relation", false,
     "CREATE TABLE loose (id int PRIMARY KEY, v text); INSERT INTO loose VALUES (11, 'eleven')"},
    {"TableMadeAnew", "SELECT v FROM loose WHERE id = 11",
     "DROP TABLE loose; CREATE TABLE loose (id int PRIMARY KEY, v text);"
     " INSERT INTO loose VALUES (11, 'other')",
     "hit", true, "UPDATE loose SET v = 'eleven'"},
    {"ParentThatDoesNotMatter", "SELECT c.id FROM children c JOIN parents p ON p.id = c.p",
     "ALTER TABLE parents RENAME TO elders", "bypass:unknown_relation", false,
     "ALTER TABLE elders RENAME TO parents"},
    {"ForeignKeyDropped", "SELECT c.id FROM children c JOIN parents p ON p.id = c.p",
     "ALTER TABLE children DROP CONSTRAINT children_p_fkey", "hit", false,
     "ALTER TABLE children ADD CONSTRAINT children_p_fkey FOREIGN KEY (p) REFERENCES parents"},
    {"ViewReplaced", "SELECT * FROM inner_view WHERE id = 1",
     "CREATE OR REPLACE VIEW inner_view AS SELECT id, v || '?' AS v FROM t WHERE id < 5", "hit",
     false, "CREATE OR REPLACE VIEW inner_view AS SELECT id, v FROM t WHERE id < 5"},
    {"ViewBelowAView", "SELECT v FROM outer_view",
     "CREATE OR REPLACE VIEW inner_view AS SELECT id, v || '?' AS v FROM t WHERE id < 5", "hit",
     false, "CREATE OR REPLACE VIEW inner_view AS SELECT id, v FROM t WHERE id < 5"},
    {"ViewDropped", "SELECT v FROM outer_view", "DROP VIEW outer_view", "bypass:unknown_relation",
     false, "CREATE VIEW outer_view AS SELECT v FROM inner_view WHERE id = 1"},
    {"OwnerOfAView", "SELECT v FROM outer_view", "ALTER VIEW outer_view OWNER TO stranger", "fails",
     false, "ALTER VIEW outer_view OWNER TO postgres"},
    {"PartitionAttached", "SELECT count(*) FROM parted",
     "ALTER TABLE parted ATTACH PARTITION loose FOR VALUES FROM (10) TO (20)", "hit", false,
     "ALTER TABLE parted DETACH PARTITION loose"},
    {"PartitionDetached", "SELECT count(*) FROM parted",
     "ALTER TABLE parted DETACH PARTITION parted_1", "hit", false,
     "ALTER TABLE parted ATTACH PARTITION parted_1 FOR VALUES FROM (0) TO (10)"},
    {"PartitionMade", "SELECT count(*) FROM parted",
     "CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (20) TO (30);"
     " INSERT INTO parted VALUES (21, 'x')",
     "hit", false, "DROP TABLE parted_3"},
    {"ColumnOfAnAncestor", "SELECT * FROM heir WHERE id = 1",
     "ALTER TABLE ancestor ADD more int DEFAULT 5", "hit", false, "ALTER TABLE ancestor DROP more"},
    {"NewHeir", "SELECT count(*) FROM ancestor", "ALTER TABLE foundling INHERIT ancestor", "hit",
     false, "ALTER TABLE foundling NO INHERIT ancestor"},
    {"RowSecurity", "SELECT count(*) FROM t",
     "CREATE POLICY few ON t USING (id < 4); ALTER TABLE t ENABLE ROW LEVEL SECURITY",
     "bypass:row_security", false, "ALTER TABLE t DISABLE ROW LEVEL SECURITY; DROP POLICY few ON t",
     "guest"},
    {"TriggerMade", "SELECT v FROM t WHERE id = 5",
     "CREATE TRIGGER same BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION"
     " suppress_redundant_updates_trigger()",
     "hit", false, "DROP TRIGGER same ON t"},
    {"Revoked", "SELECT v FROM t WHERE id = 6", "REVOKE SELECT ON t FROM guest", "fails", false,
     "GRANT SELECT ON t TO guest", "guest"},
    {"RevokedInASubtransaction", "SELECT v FROM t WHERE id = 6",
     "SAVEPOINT a; SAVEPOINT b; REVOKE ALL ON t FROM guest; RELEASE b; RELEASE a", "fails", false,
     "GRANT SELECT ON t TO guest", "guest"},
    {"RevokedButForColumns", "SELECT v FROM t WHERE id = 6",
     "REVOKE SELECT ON t FROM guest; GRANT SELECT (id, n) ON t TO guest", "fails", false,
     "GRANT SELECT ON t TO guest", "guest"},
    {"ColumnRevoked", "SELECT w FROM parents WHERE id = 1",
     "REVOKE SELECT (w) ON parents FROM guest", "fails", false,
     "GRANT SELECT (w) ON parents TO guest", "guest"},
    {"RevokedInASchema", "SELECT v FROM late.named WHERE id = 1",
     "REVOKE SELECT ON ALL TABLES IN SCHEMA late FROM guest", "fails", false,
     "GRANT SELECT ON ALL TABLES IN SCHEMA late TO guest", "guest"},
    {"RevokedOfAView", "SELECT v FROM shown_view WHERE id = 3",
     "REVOKE SELECT ON shown_view FROM guest", "fails", false,
     "GRANT SELECT ON shown_view TO guest", "guest"},
    {"RevokedOfAViewsOwner", "SELECT v FROM owned_view WHERE id = 2",
     "REVOKE SELECT ON t FROM stranger", "fails", false, "GRANT SELECT ON t TO stranger", "guest"},
    {"RevokedOfASchema", "SELECT v FROM late.named WHERE id = 1",
     "REVOKE USAGE ON SCHEMA late FROM guest", "fails", true, "GRANT USAGE ON SCHEMA late TO guest",
     "guest"},
    {"FunctionReplaced", "SELECT twice(n) FROM t WHERE id = 4",
     "CREATE OR REPLACE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 3'",
     "hit", true,
     "CREATE OR REPLACE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS"
     " 'SELECT $1 * 2'"},
    {"FunctionVolatile", "SELECT twice(n) FROM t WHERE id = 4",
     "ALTER FUNCTION twice(int) VOLATILE", "bypass:volatile_function", true,
     "ALTER FUNCTION twice(int) IMMUTABLE"},
    {"OperatorMadeAnew", "SELECT n ### 2 FROM t WHERE id = 4",
     "DROP OPERATOR ### (int, int);"
     " CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, FUNCTION = less)",
     "hit", true,
     "DROP OPERATOR ### (int, int);"
     " CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, FUNCTION = thrice)"},
    {"EnumValueRenamed", "SELECT m FROM moods WHERE id = 1",
     "ALTER TYPE mood RENAME VALUE 'glad' TO 'happy'", "hit", true,
     "ALTER TYPE mood RENAME VALUE 'happy' TO 'glad'"},
    {"EnumValueAdded", "SELECT max(m) FROM moods", "ALTER TYPE mood ADD VALUE 'merry'", "hit", true,
     "SELECT 1"},
    {"DomainRenamed", "SELECT s::small FROM smalls WHERE id = 1",
     "ALTER DOMAIN small RENAME TO little", "bypass:unknown_type", true,
     "ALTER DOMAIN little RENAME TO small"},
    {"CompositeType", "SELECT p FROM pairs WHERE id = 1", "ALTER TYPE pair ADD ATTRIBUTE c int",
     "hit", true, "ALTER TYPE pair DROP ATTRIBUTE c"},
    {"CastMadeAnew", "SELECT p::int FROM pairs WHERE id = 1",
     "DROP CAST (pair AS int); CREATE CAST (pair AS int) WITH FUNCTION pair_b(pair)", "hit", true,
     "DROP CAST (pair AS int); CREATE CAST (pair AS int) WITH FUNCTION pair_a(pair)"},
    {"CollationRenamed", "SELECT v FROM t WHERE id < 3 ORDER BY v COLLATE mine",
     "ALTER COLLATION mine RENAME TO yours", "fails", true, "ALTER COLLATION yours RENAME TO mine"},
    {"SchemaRenamed", "SELECT v FROM late.named WHERE id = 1", "ALTER SCHEMA late RENAME TO later",
     "bypass:unknown_relation", true, "ALTER SCHEMA later RENAME TO late"},
    {"ExtensionMade", "SELECT v FROM t WHERE id = 7", "CREATE EXTENSION hstore", "hit", true,
     "DROP EXTENSION hstore"},
    {"TableInAnEarlierSchema", "SELECT v FROM named WHERE id = 1",
     "CREATE TABLE early.named (id int PRIMARY KEY, v text);"
     " INSERT INTO early.named VALUES (1, 'early'); GRANT SELECT ON early.named TO guest",
     "hit", true, "DROP TABLE early.named", "guest"},
    {"ViewInAnEarlierSchema", "SELECT v FROM named WHERE id = 1",
     "CREATE VIEW early.named AS SELECT id, v FROM t; GRANT SELECT ON early.named TO guest", "hit",
     true, "DROP VIEW early.named", "guest"},
};

class ToldDefinitions : public SharedStack<ToldDefinitions> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = kSchema;
    options.arguments = {"--catalog-poll-interval", "1h"};
    return options;
  }
  static constexpr const char* kBystander = "SELECT v FROM bystander WHERE id = 1";

 protected:
  // The path matters to few of these, and is one of the key.
  static Connection client(const std::string& user = "postgres") {
    return stack().client("options='-c search_path=early,late,public'", user);
  }
  static double ddl_invalidations() {
    return stack().proxy().metric("pgcache_invalidations_total", {{"cause", "ddl"}});
  }
  static void expect_same(const QueryResult& got, const QueryResult& wanted) {
    EXPECT_EQ(got.sqlstate, wanted.sqlstate);
    EXPECT_EQ(got.error, wanted.error);
    EXPECT_EQ(got.columns, wanted.columns);
    EXPECT_EQ(rows_text(got.rows), rows_text(wanted.rows));
  }
};

TEST_F(ToldDefinitions, OfAllKinds) {
  EXPECT_EQ(stack().proxy().metric("pgcache_definitions_told"), 1);
  Connection changer(stack().origin().dsn());
  int rounds = 0;
  for (const Change& change : kChanges) {
    SCOPED_TRACE(change.name);
    Connection session = client(change.user);
    Connection direct(stack().origin().dsn("postgres", change.user));
    direct.must("SET search_path = early, late, public");
    const std::string rows = "UPDATE log SET n = " + std::to_string(++rounds);
    const std::string log = "SELECT n FROM log WHERE id = 1";
    const QueryResult before = stack().query_until(session, change.sql, "hit");
    stack().query_until(session, kBystander, "hit");
    stack().query_until(session, log, "hit");

    // Nothing changes as long as it is not committed, nor when it is not at all.
    const double dropped = ddl_invalidations();
    changer.must(std::string("BEGIN; ") + change.ddl + "; " + rows);
    expect_same(stack().query(session, change.sql, "hit"), before);
    changer.must("ROLLBACK");
    stack().settle();
    expect_same(stack().query(session, change.sql, "hit"), before);
    EXPECT_EQ(value_of(stack().query(session, log, "hit")), std::to_string(rounds - 1));
    EXPECT_EQ(ddl_invalidations(), dropped);

    // As soon as the stream has passed it, both are there. (What a text changes is not known before
    // the definitions are read, so another session asks: its reads may have to wait afterwards.)
    changer.must(std::string("BEGIN; ") + change.ddl + "; " + rows + "; COMMIT");
    stack().settle();
    Connection early = client(change.user);
    expect_same(early.query(change.sql), direct.query(change.sql));
    EXPECT_EQ(early.query(log).value(), std::to_string(rounds));
    stack().settle_definitions();
    EXPECT_GT(ddl_invalidations(), dropped);
    // A read that met definitions in change may have written, for all that pgcache knew.
    stack().query_until(session, log, "hit");
    if (!change.all) stack().query(session, kBystander, "hit");
    const QueryResult now = direct.query(change.sql);
    const bool fails = std::string(change.route) == "fails";  // at the origin, each time
    const QueryResult got = fails ? stack().query(session, change.sql, "miss")
                                  : stack().query_until(session, change.sql, change.route);
    expect_same(got, now);
    EXPECT_EQ(fails, !now.ok() && !std::string(change.route).starts_with("bypass"));
    changer.must(change.undo);
    stack().settle_definitions();
    expect_same(session.query(change.sql), direct.query(change.sql));
  }
}

TEST_F(ToldDefinitions, ChangesOfRowsAfterwardsAreSeen) {
  Connection session = client();
  stack().direct().must(
      "CREATE TABLE born (id int PRIMARY KEY, v text); INSERT INTO born VALUES (1, 'a')");
  stack().settle_definitions();
  const std::string sql = "SELECT * FROM born WHERE id = 1";
  EXPECT_EQ(rows_text(stack().query_until(session, sql, "hit").rows), "1,a");
  stack().direct().must("BEGIN; ALTER TABLE born ADD n int; UPDATE born SET n = 3; COMMIT");
  stack().settle_definitions();
  EXPECT_EQ(rows_text(stack().query_until(session, sql, "hit").rows), "1,a,3");
  stack().direct().must("UPDATE born SET n = 4");
  stack().settle();
  EXPECT_EQ(rows_text(session.query(sql).rows), "1,a,4");
  stack().direct().must("DROP TABLE born");
  stack().settle_definitions();
  EXPECT_EQ(session.query(sql).sqlstate, "42P01");
}

// What means nothing to results drops none.
TEST_F(ToldDefinitions, HarmlessCommands) {
  Connection session = client();
  const std::string sql = "SELECT v FROM t WHERE id = 8";
  stack().query_until(session, sql, "hit");
  stack().query_until(session, kBystander, "hit");
  const double dropped = ddl_invalidations();
  Connection other(stack().origin().dsn());
  for (const char* command :
       {"CREATE TEMP TABLE t (id serial PRIMARY KEY, v text DEFAULT 'x' CHECK (v > ''))",
        "CREATE INDEX ON pg_temp.t (v)",
        "ALTER TABLE pg_temp.t ADD n int",
        "CREATE TRIGGER same BEFORE UPDATE ON pg_temp.t FOR EACH ROW EXECUTE FUNCTION"
        " suppress_redundant_updates_trigger()",
        "CREATE TEMP VIEW tv AS SELECT * FROM pg_temp.t",
        "DROP TABLE pg_temp.t CASCADE",
        "BEGIN; CREATE TEMP TABLE passing ON COMMIT DROP AS SELECT 1; COMMIT",
        "CREATE INDEX t_v ON t (v)",
        "CREATE INDEX CONCURRENTLY t_v_id ON t (v, id)",
        "REINDEX TABLE t",
        "REINDEX INDEX CONCURRENTLY t_v",
        "COMMENT ON TABLE t IS 'a table'",
        "ANALYZE t",
        "VACUUM t",
        "CREATE STATISTICS t_stat ON v, n FROM t",
        "DROP STATISTICS t_stat",
        "CREATE TABLE IF NOT EXISTS t (id int)",
        "CREATE TABLE unheard_of (id int PRIMARY KEY)",
        "ALTER TABLE unheard_of ADD n int",
        "DROP TABLE unheard_of",
        "CREATE PUBLICATION other FOR TABLE t"}) {
    SCOPED_TRACE(command);
    other.must(command);
    stack().settle_definitions();
    stack().query(session, sql, "hit");
    stack().query(session, kBystander, "hit");
    EXPECT_EQ(ddl_invalidations(), dropped);
  }
}

// An index that is called like a table of a schema behind makes that a mistake.
TEST_F(ToldDefinitions, IndexInAnEarlierSchema) {
  Connection session = client();
  const std::string sql = "SELECT v FROM named WHERE id = 1";
  for (const char* ddl :
       {"CREATE INDEX named ON early.holder (id)",
        "ALTER TABLE early.holder ADD CONSTRAINT named UNIQUE (id)",
        "ALTER TABLE early.holder RENAME CONSTRAINT holder_pkey TO named",
        "ALTER INDEX early.holder_pkey RENAME TO named",
        "CREATE TABLE early.keeper (id int CONSTRAINT named PRIMARY KEY)",
        "CREATE SCHEMA other CREATE TABLE holder (id int CONSTRAINT named PRIMARY KEY);"
        " ALTER TABLE other.holder RENAME TO keeper; ALTER TABLE other.keeper SET SCHEMA early;"
        " DROP SCHEMA other"}) {
    SCOPED_TRACE(ddl);
    stack().direct().must("CREATE TABLE early.holder (id int PRIMARY KEY)");
    stack().settle_definitions();
    stack().query_until(session, sql, "hit");
    stack().direct().must(ddl);
    stack().settle();
    EXPECT_EQ(session.query(sql).sqlstate, "42809");
    stack().settle_definitions();
    EXPECT_EQ(session.query(sql).sqlstate, "42809");
    stack().direct().must("DROP TABLE early.holder; DROP TABLE IF EXISTS early.keeper");
    stack().settle_definitions();
    EXPECT_EQ(session.query(sql).value(), "late");
  }
}

// It commits before it ends: from then on the partition's rows do not count.
TEST_F(ToldDefinitions, PartitionDetachedConcurrently) {
  Connection session = client();
  stack().direct().must(
      "CREATE TABLE leaving PARTITION OF parted FOR VALUES FROM (40) TO (50);"
      " INSERT INTO parted VALUES (41, 'x')");
  stack().settle_definitions();
  const std::string sql = "SELECT count(*) FROM parted";
  const std::string with = value_of(stack().query_until(session, sql, "hit"));
  Connection holder(stack().origin().dsn());
  holder.must("BEGIN; SELECT count(*) FROM parted");  // it waits for this one
  Connection changer(stack().origin().dsn());
  ASSERT_EQ(PQsendQuery(changer.raw(), "ALTER TABLE parted DETACH PARTITION leaving CONCURRENTLY"),
            1);
  const auto right = [&] { return stack().direct().query(sql).value() != with; };
  ASSERT_TRUE(wait_until(right, 10000));
  stack().settle();
  EXPECT_EQ(session.query(sql).value(), stack().direct().query(sql).value());
  holder.must("COMMIT");
  PGresult* const result = PQgetResult(changer.raw());
  EXPECT_EQ(PQresultStatus(result), PGRES_COMMAND_OK) << PQresultErrorMessage(result);
  PQclear(result);
  while (PGresult* const rest = PQgetResult(changer.raw())) PQclear(rest);
  stack().settle_definitions();
  EXPECT_EQ(session.query(sql).value(), stack().direct().query(sql).value());
}

TEST_F(ToldDefinitions, TableTakenOutOfThePublication) {
  Connection session = client();
  const std::string sql = "SELECT v FROM t WHERE id = 9";
  stack().query_until(session, sql, "hit");
  stack().direct().must(
      "BEGIN; ALTER PUBLICATION pgcache DROP TABLE t; UPDATE t SET v = 'unseen' WHERE id = 9;"
      " COMMIT");
  stack().settle();
  EXPECT_EQ(session.query(sql).value(), "unseen");
  EXPECT_EQ(value_of(stack().query_until(session, sql, "hit")), "unseen");
  stack().direct().must("UPDATE t SET v = 'v9' WHERE id = 9");
  stack().settle();
  EXPECT_EQ(session.query(sql).value(), "v9");
}

// The very error that the origin gives, by messages and in SQL.
TEST_F(ToldDefinitions, PreparedStatementsWhoseResultTypeChanged) {
  stack().direct().must(
      "CREATE TABLE shifting (id int PRIMARY KEY, v int); INSERT INTO shifting VALUES (1, 1)");
  stack().settle_definitions();
  Connection through = client();
  Connection direct(stack().origin().dsn());
  const std::string sql = "SELECT * FROM shifting WHERE id = $1";
  const auto by_message = [](Connection& session) {
    const char* values[] = {"1"};
    PGresult* const result = PQexecPrepared(session.raw(), "m", 1, values, nullptr, nullptr, 0);
    const char* const state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char* const message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    std::string outcome = state != nullptr ? std::string(state) + " " + message : "ok";
    PQclear(result);
    return outcome;
  };
  for (Connection* const session : {&direct, &through}) {
    PQclear(PQprepare(session->raw(), "m", sql.c_str(), 0, nullptr));
    session->must("PREPARE q(int) AS " + sql);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(by_message(*session), "ok");
      EXPECT_EQ(rows_text(session->must("EXECUTE q(1)").rows), "1,1");
    }
  }
  EXPECT_EQ(stack().routes_of([&] { by_message(through); }), "hit");
  EXPECT_EQ(stack().routes_of([&] { through.must("EXECUTE q(1)"); }), "hit");
  stack().direct().must("ALTER TABLE shifting ALTER v TYPE bigint");
  stack().settle();
  for (int i = 0; i < 2; ++i) {
    const std::string error = by_message(direct);
    EXPECT_EQ(error, "0A000 cached plan must not change result type");
    EXPECT_EQ(by_message(through), error);
    expect_same(through.query("EXECUTE q(1)"), direct.query("EXECUTE q(1)"));
    EXPECT_EQ(through.query("EXECUTE q(1)").sqlstate, "0A000");
    stack().settle_definitions();
    // Another session's statements are of the new type, and cached.
    Connection other = client();
    EXPECT_EQ(
        rows_text(stack().query_until(other, "SELECT * FROM shifting WHERE id = 1", "hit").rows),
        "1,1");
  }
}

}  // namespace
}  // namespace pgcache::testing
