// SPDX-License-Identifier: Apache-2.0
// Where event triggers may not be created, or are gone: the catalog is polled, and DDL that goes
// through pgcache takes effect at once all the same.
#include "stack.h"
#include "support/command.h"

namespace pgcache::testing {
namespace {

std::string output_of(const std::string& arguments) {
  const char* const binary = std::getenv("PGCACHE_BINARY");
  return run_command(std::string(binary == nullptr ? "pgcache" : binary) + " " + arguments).output;
}

bool told(Stack& stack) { return stack.proxy().metric("pgcache_definitions_told") == 1; }
long triggers(Stack& stack) {
  return std::stol(
      stack.direct().must("SELECT count(*) FROM pg_event_trigger WHERE evtenabled = 'A'").value());
}

TEST(PolledDefinitions, RoleWithoutTheRight) {
  StackOptions options;
  options.schema =
      "CREATE ROLE carrier LOGIN REPLICATION; GRANT CREATE ON DATABASE postgres TO carrier;"
      "ALTER TABLE stack_probe OWNER TO carrier; CREATE TABLE t (id int PRIMARY KEY, v text);"
      "ALTER TABLE t OWNER TO carrier; INSERT INTO t VALUES (1, 'one'); GRANT ALL ON SCHEMA public"
      " TO carrier";
  options.origin_user = "carrier";
  options.arguments = {"--catalog-poll-interval", "100ms"};
  Stack stack(options);
  EXPECT_FALSE(told(stack));
  EXPECT_EQ(triggers(stack), 0);
  EXPECT_NE(output_of("check --origin '" + stack.origin().dsn("postgres", "carrier") + "'")
                .find("may not create the event triggers"),
            std::string::npos);
  Connection session = stack.client("", "carrier");
  Connection other = stack.client("", "carrier");
  const std::string sql = "SELECT * FROM t WHERE id = 1";
  stack.query_until(session, sql, "hit");
  stack.direct().must("ALTER TABLE t ADD n int DEFAULT 5");
  const auto right = [&] { return rows_text(session.query(sql).rows) == "1,one,5"; };
  EXPECT_TRUE(wait_until(right, 5000));
  stack.query_until(session, sql, "hit");
  other.must("ALTER TABLE t DROP n");
  EXPECT_EQ(rows_text(session.query(sql).rows), "1,one");
}

// An index that is called like a table of a schema behind makes that a mistake.
TEST(PolledDefinitions, IndexInAnEarlierSchema) {
  StackOptions options;
  options.schema =
      "CREATE SCHEMA early; CREATE TABLE early.holder (id int);"
      "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')";
  options.arguments = {"--ddl-trigger", "false", "--catalog-poll-interval", "100ms"};
  Stack stack(options);
  Connection session = stack.client("options='-c search_path=early,public'");
  const std::string sql = "SELECT v FROM t WHERE id = 1";
  for (const char* ddl : {"CREATE INDEX t ON early.holder (id)",
                          "ALTER TABLE early.holder ADD CONSTRAINT t UNIQUE (id)"}) {
    SCOPED_TRACE(ddl);
    stack.query_until(session, sql, "hit");
    stack.direct().must(ddl);
    EXPECT_TRUE(wait_until([&] { return session.query(sql).sqlstate == "42809"; }, 5000));
    stack.direct().must("DROP TABLE early.holder; CREATE TABLE early.holder (id int)");
    EXPECT_TRUE(wait_until([&] { return session.query(sql).value() == "one"; }, 5000));
  }
}

TEST(PolledDefinitions, SwitchedOff) {
  StackOptions options;
  options.arguments = {"--ddl-trigger", "false"};
  Stack stack(options);
  EXPECT_FALSE(told(stack));
  EXPECT_EQ(triggers(stack), 0);
}

// Several pgcaches share the triggers, and put them back; cleanup removes them.
TEST(PolledDefinitions, TriggersThatWereTouched) {
  Stack stack;
  EXPECT_TRUE(told(stack));
  EXPECT_EQ(triggers(stack), 4);
  PgcacheOptions second;
  second.origin = stack.origin().dsn();
  second.arguments = {"--slot", "second"};
  {
    PgcacheProcess other(second);
    EXPECT_EQ(other.metric("pgcache_definitions_told"), 1);
    EXPECT_EQ(triggers(stack), 4);
  }
  EXPECT_TRUE(told(stack));
  for (const char* touch :
       {"ALTER EVENT TRIGGER pgcache_sql_drop DISABLE", "DROP EVENT TRIGGER pgcache_table_rewrite",
        "DROP SCHEMA pgcache CASCADE",
        "CREATE OR REPLACE FUNCTION pgcache.tell_definitions() RETURNS event_trigger"
        " LANGUAGE plpgsql AS 'BEGIN END'"}) {
    SCOPED_TRACE(touch);
    stack.direct().must(touch);
    EXPECT_TRUE(wait_until([&] { return triggers(stack) == 4 && told(stack); }, 10000));
  }
  stack.proxy().kill9();
  const std::string cleaned = output_of("cleanup --origin '" + stack.origin().dsn() + "'");
  EXPECT_NE(cleaned.find("event triggers pgcache_*"), std::string::npos) << cleaned;
  EXPECT_EQ(triggers(stack), 0);
  EXPECT_EQ(
      stack.direct().must("SELECT count(*) FROM pg_namespace WHERE nspname = 'pgcache'").value(),
      "0");
}

// Superusers' commands run the function: nobody else may own it.
TEST(PolledDefinitions, FunctionOfSomebodyElse) {
  StackOptions options;
  options.schema =
      "CREATE ROLE sly; CREATE SCHEMA pgcache AUTHORIZATION sly; SET ROLE sly;"
      "CREATE FUNCTION pgcache.kin_of(relation oid) RETURNS text LANGUAGE sql AS 'SELECT $1::text';"
      "RESET ROLE";
  Stack stack(options);
  EXPECT_FALSE(told(stack));
  EXPECT_EQ(triggers(stack), 0);
}

}  // namespace
}  // namespace pgcache::testing
