// SPDX-License-Identifier: Apache-2.0
// The origin keeps plans: of prepared statements, of what functions execute. It does not make them
// anew for every change of definitions. What such a plan answers is for its own session, and must
// not be loaded for the others.
#include "stack.h"

namespace pgcache::testing {
namespace {

constexpr const char* kSchema = R"(
  CREATE ROLE guest LOGIN; CREATE SCHEMA early; GRANT USAGE ON SCHEMA early TO guest;
  CREATE TABLE bystander (id int PRIMARY KEY, v text); INSERT INTO bystander VALUES (1, 'here');
  CREATE TABLE t (id int PRIMARY KEY, v text, n int);
  INSERT INTO t SELECT i, 'v' || i, i FROM generate_series(1, 10) i;
  GRANT SELECT ON t, bystander TO guest;
  CREATE FUNCTION named(int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'old' $$;
  CREATE FUNCTION fits(numeric) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'numeric' $$;
  CREATE FUNCTION calls(int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN RETURN fits($1); END $$;)";

struct Case {
  const char* name;
  const char* select;  // its parameter, or a constant in its place, is the id
  const char* ddl;
  const char* undo;
};

const Case kCases[] = {
    {"FunctionReplaced", "SELECT named(n) FROM t WHERE id = ",
     "CREATE OR REPLACE FUNCTION named(int) RETURNS text LANGUAGE sql IMMUTABLE AS"
     " $$ SELECT 'new' $$",
     "CREATE OR REPLACE FUNCTION named(int) RETURNS text LANGUAGE sql IMMUTABLE AS"
     " $$ SELECT 'old' $$"},
    {"FunctionThatFitsBetter", "SELECT fits(n) FROM t WHERE id = ",
     "CREATE FUNCTION fits(int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'int' $$",
     "DROP FUNCTION fits(int)"},
    {"FunctionThatAFunctionCalls", "SELECT calls(n) FROM t WHERE id = ",
     "CREATE FUNCTION fits(int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'int' $$",
     "DROP FUNCTION fits(int)"},
    {"TableInAnEarlierSchema", "SELECT v FROM t WHERE id = ",
     "CREATE TABLE early.t (id int PRIMARY KEY, v text, n int);"
     " INSERT INTO early.t SELECT i, 'early', i FROM generate_series(1, 10) i;"
     " GRANT SELECT ON early.t TO guest",
     "DROP TABLE early.t"},
    {"Revoked", "SELECT n FROM t WHERE id = ", "REVOKE SELECT ON t FROM guest",
     "GRANT SELECT ON t TO guest"},
};

class OldPlans : public SharedStack<OldPlans> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = kSchema;
    options.arguments = {"--catalog-poll-interval", "1h"};
    return options;
  }

 protected:
  static Connection client() {
    return stack().client("options='-c search_path=early,public'", "guest");
  }
  static Connection direct() {
    Connection connection(stack().origin().dsn("postgres", "guest"));
    connection.must("SET search_path = early, public");
    return connection;
  }
  static void change(const char* ddl) {
    stack().direct().must(ddl);
    stack().settle_definitions();
  }
  static void execute(Connection& session, int id) {
    const std::string text = std::to_string(id);
    const char* values[] = {text.c_str()};
    PQclear(PQexecPrepared(session.raw(), "m", 1, values, nullptr, nullptr, 0));
  }
  static std::string outcome(const QueryResult& result) {
    return result.ok() ? rows_text(result.rows) : result.sqlstate + " " + result.error;
  }
  // What others are answered now, by each of the ways.
  static void expect_others_right(const std::string& select) {
    Connection other = client();
    Connection truth = direct();
    other.must("PREPARE q(int) AS " + select + "$1");
    truth.must("PREPARE q(int) AS " + select + "$1");
    for (const std::string id : {"1", "2", "3"}) {
      EXPECT_EQ(outcome(other.query(select + id)), outcome(truth.query(select + id)));
      EXPECT_EQ(outcome(other.query("EXECUTE q(" + id + ")")),
                outcome(truth.query("EXECUTE q(" + id + ")")));
      const QueryResult got = other.exec_params(select + "$1", {id});
      EXPECT_EQ(outcome(got), outcome(truth.exec_params(select + "$1", {id})));
      if (got.ok()) stack().query_until(other, "EXECUTE q(" + id + ")", "hit");
    }
  }
};

// `in_block`: there the origin does not even look whether something has changed.
void play(bool in_block, bool by_message, Stack& stack, Connection& old, const Case& c,
          const std::function<void(int)>& run, const std::function<void(const char*)>& change) {
  if (by_message) {
    PQclear(PQprepare(old.raw(), "m", (std::string(c.select) + "$1").c_str(), 0, nullptr));
  } else {
    old.must(std::string("PREPARE m(int) AS ") + c.select + "$1");
  }
  if (in_block) old.must("BEGIN");
  // 9 and 10 are asked of the origin, so that it has a plan and the locks.
  for (const int id : {1, 9, 10, 1}) run(id);
  EXPECT_EQ(stack.routes_of([&] { run(1); }), "hit");
  change(c.ddl);
  for (const int id : {1, 2, 3, 1, 2, 3}) run(id);
  if (in_block) old.must("ROLLBACK");
  for (const int id : {1, 2, 3, 1, 2, 3}) run(id);
}

TEST_F(OldPlans, AnswerNobodyElse) {
  for (const Case& c : kCases) {
    for (const bool in_block : {false, true}) {
      for (const bool by_message : {false, true}) {
        SCOPED_TRACE(std::string(c.name) + (in_block ? " in a block" : "") +
                     (by_message ? " by messages" : " in SQL"));
        Connection old = client();
        const auto run = [&](int id) {
          if (by_message) return execute(old, id);
          (void)old.query("EXECUTE m(" + std::to_string(id) + ")");
        };
        play(in_block, by_message, stack(), old, c, run, [](const char* ddl) { change(ddl); });
        expect_others_right(c.select);
        change(c.undo);
        expect_others_right(c.select);
      }
    }
  }
}

// The session itself is answered as one that begins now, and from memory again.
TEST_F(OldPlans, AreMadeAnew) {
  Connection old = client();
  old.must("PREPARE f(int) AS SELECT fits(n) FROM t WHERE id = $1");
  old.must("PREPARE b(int) AS SELECT v FROM bystander WHERE id = $1");
  stack().query_until(old, "EXECUTE f(4)", "hit");
  stack().query_until(old, "EXECUTE b(1)", "hit");
  change("CREATE FUNCTION fits(int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'int' $$");
  EXPECT_EQ(value_of(stack().query_until(old, "EXECUTE f(4)", "hit")), "int");
  EXPECT_EQ(value_of(stack().query_until(old, "EXECUTE b(1)", "hit")), "here");
  change("DROP FUNCTION fits(int)");
  EXPECT_EQ(value_of(stack().query_until(old, "EXECUTE f(4)", "hit")), "numeric");
  // The type of the result is another: never the new one's rows under the old one's description.
  change("CREATE FUNCTION fits(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0'");
  Connection other = client();
  EXPECT_EQ(value_of(stack().query_until(other, "SELECT fits(n) FROM t WHERE id = 4", "hit")), "0");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(old.query("EXECUTE f(4)").sqlstate, "0A000");
  change("DROP FUNCTION fits(int)");
}

// Not in the middle of what the client does: its unnamed statement and portal outlive it.
TEST_F(OldPlans, AreGivenUpUnseen) {
  Connection session = client();
  session.must("BEGIN");
  PQclear(PQprepare(session.raw(), "", "SELECT v FROM t WHERE id = $1", 0, nullptr));
  const auto run = [&](const char* id) {
    const char* values[] = {id};
    PGresult* const result = PQexecPrepared(session.raw(), "", 1, values, nullptr, nullptr, 0);
    std::string v =
        PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : PQresultErrorMessage(result);
    PQclear(result);
    return v;
  };
  EXPECT_EQ(run("5"), "v5");
  EXPECT_EQ(run("6"), "v6");
  change("CREATE FUNCTION unheard_of() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(run("5"), "v5");
    EXPECT_EQ(run("7"), "v7");
  }
  EXPECT_EQ(stack().routes_of([&] { run("7"); }), "hit");
  session.must("COMMIT");
  change("DROP FUNCTION unheard_of()");
}

}  // namespace
}  // namespace pgcache::testing
