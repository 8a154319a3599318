// SPDX-License-Identifier: Apache-2.0
// Which of a session's reads wait for the stream after it has written something: those of the
// tables that the statement can have changed, and all where that is not known.
#include <signal.h>

#include "stack.h"

namespace pgcache::testing {
namespace {

class OwnWrites : public SharedStack<OwnWrites> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = R"(
      CREATE TABLE parent (id int PRIMARY KEY, v int);
      CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent ON DELETE CASCADE);
      CREATE TABLE loose (id int PRIMARY KEY, p int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
      CREATE TABLE parts (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
      CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
      CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (100) TO (200);
      CREATE TABLE other (id int PRIMARY KEY, v int);
      CREATE TABLE triggered (id int PRIMARY KEY);
      CREATE FUNCTION write_other() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN UPDATE other SET v = v + 1; RETURN NULL; END$$;
      CREATE TRIGGER t AFTER INSERT ON triggered EXECUTE FUNCTION write_other();
      CREATE FUNCTION write_other(int) RETURNS int LANGUAGE sql AS
        'UPDATE other SET v = v + $1 RETURNING v';
      CREATE PROCEDURE change_other() LANGUAGE sql AS 'UPDATE other SET v = v + 1';
      CREATE FUNCTION checks(int) RETURNS bool LANGUAGE plpgsql AS
        $$BEGIN UPDATE other SET v = v + 1; RETURN true; END$$;
      CREATE DOMAIN checked AS int CHECK (checks(VALUE));
      CREATE FUNCTION of_checked(checked) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
        'BEGIN RETURN 1; END';
      CREATE FUNCTION by_default(a int, b int DEFAULT write_other(1)) RETURNS int IMMUTABLE
        LANGUAGE plpgsql AS 'BEGIN RETURN a; END';
      CREATE TYPE holds_checked AS (a checked, b int);
      INSERT INTO parent SELECT i, i FROM generate_series(1, 100) i;
      INSERT INTO child SELECT i, i FROM generate_series(1, 100) i;
      INSERT INTO loose VALUES (1, 100);
      INSERT INTO parts VALUES (1, 1), (101, 1);
      INSERT INTO other VALUES (1, 1);)";
    options.arguments = {"--max-staleness", "60s"};
    return options;
  }

 protected:
  // While it lives the stream stands still.
  class Standstill {
   public:
    explicit Standstill(Connection& direct)
        : sender_(std::stoi(direct
                                .must("SELECT active_pid FROM pg_replication_slots"
                                      " WHERE active_pid IS NOT NULL")
                                .value())) {
      EXPECT_EQ(::kill(sender_, SIGSTOP), 0);
    }
    ~Standstill() { ::kill(sender_, SIGCONT); }
    Standstill(const Standstill&) = delete;
    Standstill& operator=(const Standstill&) = delete;

   private:
    pid_t sender_;
  };

  // Reads these tables in a session that has just done `work`, and yields the names of those whose
  // reads wait; the others must be hits, and all the answers what the origin's are.
  std::string waiting_after(const std::function<void(Connection&)>& work) {
    Connection session = stack().client();
    for (const std::string& table : kTables) stack().query_until(session, read(table), "hit");
    stack().settle_session(session);
    for (const std::string& table : kTables) stack().query_until(session, read(table), "hit");
    std::string waiting;
    {
      const Standstill standstill(stack().direct());
      work(session);
      for (const std::string& table : kTables) {
        QueryResult result;
        const std::string route = stack().routes_of([&] { result = session.query(read(table)); });
        EXPECT_EQ(value_of(result), value_of(stack().direct().query(read(table)))) << table;
        if (route == "bypass:after_write") {
          waiting += table + " ";
        } else {
          EXPECT_EQ(route, "hit") << table;
        }
      }
    }
    for (const std::string& table : kTables) stack().query_until(session, read(table), "hit");
    return waiting;
  }
  std::string waiting_after(const std::string& sql) {
    return waiting_after([&](Connection& session) { session.must(sql); });
  }

  inline static const std::vector<std::string> kTables = {
      "parent", "child", "loose", "parts", "parts_low", "parts_high", "other"};
  static std::string read(const std::string& table) {
    const std::string column = table == "child" || table == "loose" ? "p" : "v";
    return "SELECT count(*) || ' ' || coalesce(sum(" + column + "), 0) FROM " + table;
  }
  inline static const std::string kAll = "parent child loose parts parts_low parts_high other ";
};

TEST_F(OwnWrites, OfTheTablesThatAreNamed) {
  EXPECT_EQ(waiting_after("INSERT INTO parent VALUES (1001, 1)"), "parent ");
  EXPECT_EQ(waiting_after("UPDATE other SET v = v + 1 WHERE id = 1"), "other ");
  EXPECT_EQ(waiting_after("DELETE FROM child WHERE id = 1"), "child ");
  EXPECT_EQ(waiting_after("WITH d AS (DELETE FROM child WHERE id = 2 RETURNING id)"
                          " INSERT INTO other SELECT id, 1 FROM d"),
            "child other ");
  EXPECT_EQ(waiting_after("MERGE INTO other o USING child c ON o.id = c.id - 20"
                          " WHEN MATCHED THEN UPDATE SET v = 3"),
            "other ");
  EXPECT_EQ(waiting_after("TRUNCATE loose"), "loose ");
  EXPECT_EQ(waiting_after([](Connection& session) {
              session.exec_params("UPDATE other SET v = $1 WHERE id = $2", {"5", "1"});
            }),
            "other ");
}

TEST_F(OwnWrites, OfTablesThatForeignKeysReach) {
  EXPECT_EQ(waiting_after("DELETE FROM parent WHERE id = 10"), "parent child ");
  EXPECT_EQ(waiting_after("UPDATE parent SET v = 1 WHERE id = 11"), "parent child ");
}

TEST_F(OwnWrites, OfPartitions) {
  EXPECT_EQ(waiting_after("UPDATE parts SET v = v + 1 WHERE id = 1"),
            "parts parts_low parts_high ");
  EXPECT_EQ(waiting_after("UPDATE parts_low SET v = v + 1"), "parts parts_low ");
}

TEST_F(OwnWrites, OfBlocks) {
  EXPECT_EQ(waiting_after([](Connection& session) {
              session.must("BEGIN");
              session.must("INSERT INTO parent VALUES (2001, 1)");
              session.must("UPDATE other SET v = v + 1");
              session.must("COMMIT");
            }),
            "parent other ");
  EXPECT_EQ(waiting_after("INSERT INTO parent VALUES (2002, 1); UPDATE other SET v = v + 1"), kAll);
}

TEST_F(OwnWrites, OfAnythingWhereCodeRuns) {
  EXPECT_EQ(waiting_after("INSERT INTO triggered VALUES (1)"), kAll);
  EXPECT_EQ(waiting_after("SELECT write_other(2)"), kAll);
  EXPECT_EQ(waiting_after("CALL change_other()"), kAll);
  EXPECT_EQ(waiting_after("DO 'BEGIN UPDATE other SET v = 1; END'"), kAll);
  EXPECT_EQ(waiting_after("INSERT INTO parent SELECT 3001, write_other(1)"), kAll);
}

// Values of a domain are checked by code wherever they are made; defaults of arguments are code,
// too.
TEST_F(OwnWrites, OfAnythingWhereChecksAndDefaultsRun) {
  for (const char* sql :
       {"SELECT 1::checked", "SELECT id::checked FROM other", "SELECT '{1,2}'::checked[]",
        "SELECT '(1,2)'::holds_checked", "SELECT of_checked(1)", "SELECT by_default(1)",
        "INSERT INTO parent SELECT 3002, of_checked(1)",
        "INSERT INTO parent SELECT 3003, by_default(1)"}) {
    EXPECT_EQ(waiting_after(sql), kAll) << sql;
  }
  EXPECT_EQ(
      waiting_after([](Connection& session) { session.exec_params("SELECT $1::checked", {"1"}); }),
      kAll);
}

TEST_F(OwnWrites, OfNothingAfterReads) {
  for (const char* sql :
       {"SELECT version()", "SELECT now(), random()", "SELECT relname FROM pg_class LIMIT 1",
        "SELECT table_name FROM information_schema.tables LIMIT 1",
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n"
        " ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND"
        " pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1, 2",
        "EXPLAIN SELECT * FROM parent", "SELECT id FROM other WHERE now() > '2001-01-01' LIMIT 1",
        "SELECT current_setting('server_version')"}) {
    EXPECT_EQ(waiting_after(sql), "") << sql;
  }
}

// A trigger made through pgcache counts at once, in the session that makes it and in others.
TEST_F(OwnWrites, DefinitionsThatHaveJustChanged) {
  Connection session = stack().client();
  Connection another = stack().client();
  for (Connection* c : {&session, &another}) stack().query_until(*c, read("other"), "hit");
  const std::string before = value_of(stack().direct().query("SELECT v FROM other WHERE id = 1"));
  session.must("CREATE TRIGGER t AFTER INSERT ON loose EXECUTE FUNCTION write_other()");
  another.must("INSERT INTO loose VALUES (4001, NULL)");
  const std::string after = value_of(stack().query(another, "SELECT v FROM other WHERE id = 1",
                                                   "bypass:definitions|bypass:after_write|miss"));
  EXPECT_EQ(std::stoi(after), std::stoi(before) + 1);
  session.must("DROP TRIGGER t ON loose");
  stack().settle_catalog();
}

}  // namespace
}  // namespace pgcache::testing
