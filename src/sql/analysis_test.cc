// SPDX-License-Identifier: Apache-2.0
// What may be cached and what may not, with the reason; kinds of statements; words for the current
// time; names that hide others.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "sql/analysis_support.h"

namespace pgcache::sql {
namespace {

using testing::analyze_with;
using testing::dependencies;
using testing::reason;
using testing::shop;

struct Case {
  const char* text;
  const char* expected;
};

void check(std::initializer_list<Case> cases) {
  for (const Case& c : cases) EXPECT_EQ(reason(c.text), c.expected) << c.text;
}

TEST(Analysis, Statements) {
  check({
      {"", "empty_query"},
      {"  -- nothing\n", "empty_query"},
      {";", "empty_query"},
      {"SELECT 1; SELECT 2", "multi_statement"},
      {"SELECT 1;", "cacheable"},
      {"SELECT FROM WHERE", "syntax"},
      {"SELECT 12abc", "syntax"},
      {"SELECT 0x10", "syntax"},
      {"INSERT INTO users VALUES (1)", "not_read"},
      {"EXPLAIN SELECT 1", "not_read"},
      {"SHOW all", "not_read"},
      {"/* pgcache: off */ SELECT 1", "comment"},
      {"SELECT * INTO x FROM users", "select_into"},
      {"SELECT * FROM users FOR UPDATE", "locking"},
      {"SELECT * FROM (SELECT * FROM users FOR SHARE) s", "locking"},
      {"WITH x AS (DELETE FROM users RETURNING *) SELECT * FROM x", "modifying_cte"},
      {"SELECT * FROM users TABLESAMPLE system (10)", "tablesample"},
      {"VALUES (1, 'a'), (2, 'b')", "cacheable"},
      {"TABLE users", "cacheable"},
      {"SELECT 1 UNION SELECT 2 INTERSECT SELECT 3 EXCEPT SELECT 4", "cacheable"},
      {"SELECT", "cacheable"},
  });
}

TEST(Analysis, Relations) {
  check({
      {"SELECT * FROM nothing", "unknown_relation"},
      {"SELECT * FROM elsewhere", "unknown_relation"},
      {"SELECT * FROM other.elsewhere", "cacheable"},
      {"SELECT * FROM shop.public.users", "cacheable"},
      {"SELECT * FROM another.public.users", "unknown_relation"},
      {"SELECT * FROM scratch", "unlogged_relation"},
      {"SELECT * FROM temporary", "temporary_relation"},
      {"SELECT * FROM pg_temp.temporary", "unknown_relation"},
      {"SELECT * FROM distant", "foreign_relation"},
      {"SELECT * FROM half_foreign", "foreign_relation"},
      {"SELECT * FROM ONLY half_foreign", "cacheable"},
      {"SELECT * FROM materialized", "materialized_view"},
      {"SELECT last_value FROM sequence", "other_relation_kind"},
      {"SELECT * FROM secured", "row_security"},
      {"SELECT * FROM ruled", "rules"},
      {"SELECT * FROM pg_class", "system_relation"},
      {"SELECT * FROM pg_catalog.pg_class", "system_relation"},
      {"SELECT * FROM information_schema.tables", "system_relation"},
      {"SELECT * FROM endless", "too_complex"},
      {"SELECT 1 WHERE EXISTS (SELECT 1 FROM scratch)", "unlogged_relation"},
      {"WITH s AS (SELECT * FROM scratch) SELECT 1", "unlogged_relation"},
      {"SELECT * FROM users UNION SELECT * FROM scratch", "unlogged_relation"},
  });
}

TEST(Analysis, Columns) {
  check({
      {"SELECT nope FROM users", "unknown_column"},
      {"SELECT users.nope FROM users", "unknown_column"},
      {"SELECT u.id FROM users", "unknown_column"},
      {"SELECT users.id FROM users u", "unknown_column"},
      {"SELECT id FROM users, orders", "unknown_column"},
      {"SELECT \"ID\" FROM users", "unknown_column"},
      {"SELECT ID FROM USERS", "cacheable"},
      {"SELECT ctid FROM users", "system_column"},
      {"SELECT u.xmin FROM users u", "system_column"},
      {"SELECT id FROM users WHERE tableoid > 3", "system_column"},
      {"SELECT u.name FROM users u JOIN orders o ON o.user_id = v.id", "unknown_column"},
      {"SELECT x.id FROM orders o, (SELECT o.id) x", "unknown_column"},
      {"SELECT x.id FROM orders o, LATERAL (SELECT o.id) x", "cacheable"},
      {"SELECT name FROM users ORDER BY nope", "unknown_column"},
      {"SELECT name AS n FROM users ORDER BY n", "cacheable"},
      {"SELECT name AS n FROM users WHERE n = 'x'", "unknown_column"},
      {"SELECT r FROM feelings", "volatile_cast"},
      {"SELECT * FROM feelings", "volatile_cast"},
      {"SELECT f FROM feelings f", "volatile_cast"},
      {"SELECT id, m FROM feelings", "cacheable"},
      {"SELECT count(f.*) FROM feelings f", "volatile_cast"},
      {"SELECT count(u.*), row_to_json(u.*) FROM users u", "cacheable"},
      {"SELECT count(v.*) FROM users u", "unknown_column"},
      {"SELECT public.users.id FROM public.users", "cacheable"},
      {"SELECT other.users.id FROM public.users", "unknown_column"},
      {"SELECT system_user", "volatile_function"},
  });
}

TEST(Analysis, Functions) {
  check({
      {"SELECT now()", "volatile_function"},
      {"SELECT current_date", "volatile_function"},
      {"SELECT current_user", "volatile_function"},
      {"SELECT localtime", "volatile_function"},
      {"SELECT pg_catalog.now()", "volatile_function"},
      {"SELECT random()", "volatile_function"},
      {"SELECT nextval('s')", "volatile_function"},
      {"SELECT current_setting('x')", "volatile_function"},
      {"SELECT set_config('x', 'y', false)", "volatile_function"},
      {"SELECT pg_backend_pid()", "volatile_function"},
      {"SELECT version()", "volatile_function"},
      {"SELECT to_regclass('users')", "volatile_function"},
      {"SELECT age(created_at) FROM users", "volatile_function"},
      {"SELECT age(created_at, created_at) FROM users", "cacheable"},
      {"SELECT to_tsvector('x')", "volatile_function"},
      {"SELECT to_tsvector('english', name) FROM users", "cacheable"},
      {"SELECT * FROM json_to_recordset('[]') AS x(a timestamptz)", "volatile_function"},
      {"SELECT nosuch(1)", "unknown_function"},
      {"SELECT twice(1, 2)", "unknown_function"},
      {"SELECT twice(1), other.twice(1)", "unknown_function"},
      {"SELECT twice(id) FROM users", "cacheable"},
      {"SELECT public.twice(id) FROM users", "cacheable"},
      {"SELECT dice(6)", "volatile_function"},
      {"SELECT today()", "volatile_function"},
      {"SELECT my_sum(id) FROM users", "volatile_function"},
      {"SELECT email(users) FROM users", "unknown_function"},
      {"SELECT id FROM users WHERE dice(id) = 1", "volatile_function"},
      {"SELECT id FROM users ORDER BY dice(id)", "volatile_function"},
      {"SELECT id FROM users GROUP BY id HAVING dice(id) = 1", "volatile_function"},
      {"SELECT id FROM users LIMIT dice(1)", "volatile_function"},
      {"SELECT count(*) FILTER (WHERE dice(id) = 1) FROM users", "volatile_function"},
      {"SELECT sum(id) OVER (ORDER BY dice(id)) FROM users", "volatile_function"},
      {"SELECT sum(id) OVER w FROM users WINDOW w AS (PARTITION BY dice(id))", "volatile_function"},
      {"SELECT array_agg(id ORDER BY dice(id)) FROM users", "volatile_function"},
      {"SELECT * FROM users JOIN orders ON dice(user_id) = 1", "volatile_function"},
      {"SELECT * FROM unnest(ARRAY[dice(1)])", "volatile_function"},
      {"SELECT CASE id WHEN 1 THEN dice(1) END FROM users", "volatile_function"},
      {"SELECT (ARRAY[1, 2])[dice(1)]", "volatile_function"},
      {"SELECT (SELECT dice(1))", "volatile_function"},
      {"VALUES (dice(1))", "volatile_function"},
      {"WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT dice(n) FROM t) SELECT * FROM t",
       "volatile_function"},
      {"SELECT count(*), count(id), sum(score), max(name), string_agg(name, ',') FROM users",
       "cacheable"},
      {"SELECT date_trunc('day', created_at), extract(year FROM born) FROM users", "cacheable"},
      {"SELECT to_char(created_at, 'YYYY'), to_char(score, '999') FROM users", "cacheable"},
      {"SELECT concat(name, id), format('%s', name), jsonb_build_object('a', id) FROM users",
       "cacheable"},
      {"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY score) FROM users", "cacheable"},
      {"SELECT created_at AT TIME ZONE 'UTC' FROM users", "cacheable"},
      {"SELECT substring(name FROM 1 FOR 2), position('a' IN name), trim(name) FROM users",
       "cacheable"},
      {"SELECT row_to_json(u) FROM users u", "cacheable"},
      {"SELECT xmlelement(name x)", "unsupported"},
  });
}

// A volatile function of a user that shares a built-in name matters just where it may be meant.
TEST(Analysis, FunctionsThatHideBehindNames) {
  EXPECT_EQ(reason("SELECT lower(name) FROM users"), "cacheable");
  EXPECT_EQ(reason("SELECT lower(id) FROM users"), "volatile_function");
  EXPECT_EQ(reason("SELECT lower($1)"), "volatile_function");
  EXPECT_EQ(reason("SELECT pg_catalog.lower($1)"), "cacheable");
  EXPECT_EQ(
      analyze_with(shop(), "SELECT lower($1)", {}, {testing::kPgCatalogSchema}).not_cacheable(),
      nullptr);
}

TEST(Analysis, OperatorsOfUsers) {
  pg::Catalog catalog = testing::make_shop_draft();
  catalog.add_function(testing::make_function(pg::Oid{16600}, "eq", pg::Volatility::kVolatile,
                                              {pg::type::kInt4, pg::type::kInt4}, pg::type::kBool));
  pg::Operator op{pg::Oid{16601},  testing::kPublic, "=",           pg::type::kInt4,
                  pg::type::kInt4, pg::type::kBool,  pg::Oid{16600}};
  catalog.add_operator(op);
  op.oid = pg::Oid{16602};
  op.name = "+";
  op.schema = testing::kOther;
  catalog.add_operator(op);
  catalog.finish();
  const auto ask = [&](const char* text, std::vector<pg::Oid> path) {
    return testing::show(analyze_with(catalog, text, {}, std::move(path)), catalog, false);
  };
  const std::vector<pg::Oid> both{testing::kPgCatalogSchema, testing::kPublic};
  const std::vector<pg::Oid> reversed{testing::kPublic, testing::kPgCatalogSchema};
  EXPECT_EQ(ask("SELECT 1 FROM users WHERE id = 1", both), "NO volatile_operator =");
  EXPECT_EQ(ask("SELECT 1 FROM users WHERE id = 1", reversed), "NO volatile_operator =");
  EXPECT_EQ(ask("SELECT 1 FROM public.users WHERE id = 1", {testing::kPgCatalogSchema}),
            "users KEY id = ?2");
  EXPECT_EQ(ask("SELECT 1 FROM users WHERE id OPERATOR(pg_catalog.=) 1", both),
            "users KEY id = ?2");
  EXPECT_EQ(ask("SELECT 1 FROM users WHERE id OPERATOR(public.=) 1", both),
            "NO volatile_operator =");
  // On text nothing but the built-in one fits; bindings are given up for the name all the same.
  EXPECT_EQ(ask("SELECT 1 FROM users WHERE name = 'x'", both), "users");
  EXPECT_EQ(ask("SELECT 1 FROM users WHERE id IN (1, 2)", both), "NO volatile_operator =");
  EXPECT_EQ(ask("SELECT 1 FROM animals JOIN cats USING (id)", both), "NO volatile_operator =");
  EXPECT_EQ(ask("SELECT CASE id WHEN 1 THEN 2 END FROM users", both), "NO volatile_operator =");
  EXPECT_EQ(ask("SELECT nullif(id, 1) FROM users", both), "NO volatile_operator =");
  EXPECT_EQ(ask("SELECT id + 1 FROM users", both), "users");
  EXPECT_EQ(ask("SELECT id OPERATOR(other.+) 1 FROM users", both), "NO volatile_operator +");
  EXPECT_EQ(ask("SELECT id FROM users WHERE id <-> 1 = 1", both), "NO unknown_operator <->");
  EXPECT_EQ(ask("SELECT id FROM users ORDER BY id USING =", both), "NO volatile_operator =");
}

TEST(Analysis, Casts) {
  check({
      {"SELECT id::text, '5'::int, score::int, created_at::date FROM users", "cacheable"},
      {"SELECT 'users'::regclass", "volatile_cast"},
      {"SELECT name::regclass FROM users", "volatile_cast"},
      {"SELECT 1::nosuch", "unknown_type"},
      {"SELECT name::date FROM users", "volatile_cast"},
      {"SELECT ('n' || 'ow')::timestamptz", "volatile_cast"},
      {"SELECT (SELECT 'now')::date", "volatile_cast"},
      {"SELECT name::moment FROM users", "volatile_cast"},
      {"SELECT (settings ->> 'a')::timestamptz FROM users", "volatile_cast"},
      {"SELECT (settings ->> 'a')::int FROM users", "cacheable"},
      {"SELECT date_trunc('day', created_at)::date FROM users", "cacheable"},
      {"SELECT 3::positive, 'sad'::mood", "cacheable"},
      {"SELECT ARRAY['a', 'b']::mood[]", "cacheable"},
  });
}

// The type of what a polymorphic function yields is not worked out.
TEST(Analysis, ValuesWhoseTypeIsNotKnown) {
  check({
      {"SELECT x FROM (SELECT lag(name) OVER (ORDER BY id) AS x FROM users) t", "cacheable"},
      {"SELECT * FROM (SELECT array_agg(name) AS x FROM users) t WHERE x IS NOT NULL", "cacheable"},
      {"SELECT x::date FROM (SELECT lag(name) OVER (ORDER BY id) AS x FROM users) t",
       "volatile_cast"},
      {"SELECT x + 1 FROM (SELECT lag(score) OVER (ORDER BY id) AS x FROM users) t", "cacheable"},
  });
}

TEST(Analysis, UnsafeCastsOfUsers) {
  pg::Catalog catalog = testing::make_shop_draft();
  catalog.add_function(testing::make_function(pg::Oid{16600}, "as_text", pg::Volatility::kVolatile,
                                              {testing::kMood}, pg::type::kText));
  catalog.add_cast({testing::kMood, pg::type::kText, pg::Oid{16600}, 'f', 'i'});
  catalog.finish();
  EXPECT_EQ(testing::show(analyze_with(catalog, "SELECT id FROM users"), catalog, false), "users");
  EXPECT_EQ(testing::show(analyze_with(catalog, "SELECT m FROM feelings"), catalog, false),
            "NO volatile_cast as_text");
}

// Which literals and parameters must not say 'now'.
TEST(Analysis, WordsForTheCurrentTime) {
  const auto literals = [](const char* text) {
    const Analysis analysis = analyze_with(shop(), text);
    return analysis.cacheable() == nullptr ? std::vector<std::uint16_t>{99}
                                           : analysis.cacheable()->time_literals;
  };
  using List = std::vector<std::uint16_t>;
  EXPECT_EQ(literals("SELECT * FROM users WHERE created_at > 'now'"), (List{0}));
  EXPECT_EQ(literals("SELECT * FROM users WHERE name = 'now' AND born = 'today'"), (List{1}));
  EXPECT_EQ(literals("SELECT * FROM users WHERE name LIKE 'now%' OR email IN ('now', 'x')"),
            (List{}));
  EXPECT_EQ(literals("SELECT 'now'::timestamptz, 'now'::text"), (List{0}));
  EXPECT_EQ(literals("SELECT 'now'::text::date"), (List{0}));
  EXPECT_EQ(literals("SELECT timestamp 'now', interval '1 day'"), (List{0}));
  EXPECT_EQ(literals("SELECT coalesce(created_at, 'now'), coalesce(name, 'now') FROM users"),
            (List{0}));
  EXPECT_EQ(literals("SELECT CASE WHEN active THEN 'now' ELSE created_at END FROM users"),
            (List{0}));
  EXPECT_EQ(literals("SELECT born FROM users UNION SELECT 'now'"), (List{0}));
  EXPECT_EQ(literals("SELECT ARRAY['now', born] FROM users"), (List{0}));
  EXPECT_EQ(literals("SELECT ARRAY['now']::timestamptz[], ARRAY['now']"), (List{0}));
  EXPECT_EQ(literals("SELECT id FROM users WHERE settings ->> 'now' = 'now'"), (List{}));
  EXPECT_EQ(literals("SELECT 'now'::moment"), (List{0}));
  EXPECT_EQ(literals("SELECT age(created_at, 'now') FROM users"), (List{0}));
  EXPECT_EQ(literals("SELECT id FROM users LIMIT '3'"), (List{}));
  for (const char* text :
       {"SELECT lag(created_at) OVER (ORDER BY id) < 'now' FROM users",
        "SELECT coalesce(lag(created_at) OVER (ORDER BY id), 'now') FROM users",
        "SELECT (array_agg(created_at))[1] < 'now' FROM users",
        "SELECT lag(created_at) OVER (ORDER BY id) FROM users UNION ALL SELECT 'now'",
        "SELECT x < 'now' FROM (SELECT lag(created_at) OVER () AS x FROM users) t",
        "SELECT id FROM (SELECT id, lag(born) OVER () AS x FROM users) t WHERE x IN ('now', NULL)",
        "SELECT coalesce(x, 'now') FROM (SELECT lag(born) OVER () AS x FROM users) t",
        "SELECT x FROM (SELECT lag(born) OVER () AS x FROM users) t UNION ALL SELECT 'now'",
        "SELECT date_trunc('day', x) FROM (SELECT greatest(lag(born) OVER (), 'now') AS x FROM "
        "users) t"}) {
    EXPECT_FALSE(literals(text).empty()) << text;
    EXPECT_NE(literals(text), (List{99})) << text;
  }
  // Those that are not lifted are decided at once.
  check({{"SELECT E'now'::date", "volatile_literal"},
         {"SELECT $$tomorrow$$::timestamptz", "volatile_literal"},
         {"SELECT E'now'::text", "cacheable"},
         {"SELECT E'2024-01-01'::date", "cacheable"}});
  const auto parameters = [](const char* text, std::vector<pg::Oid> types) {
    const Analysis analysis = analyze_with(shop(), text, std::move(types));
    return analysis.cacheable() == nullptr ? List{99} : analysis.cacheable()->time_parameters;
  };
  const char* text = "SELECT 1 FROM users WHERE born = $1 AND name = $2 AND id = $3";
  EXPECT_EQ(parameters(text, {}), (List{0}));
  EXPECT_EQ(parameters("SELECT $1::date, $2", {pg::type::kText, pg::type::kText}), (List{0}));
  EXPECT_EQ(parameters("SELECT $1::date", {pg::type::kTimestamptz}), (List{0}));
  EXPECT_EQ(parameters("SELECT $1::text::date", {}), (List{0}));
}

TEST(Analysis, ConstantsOfUnliftedTexts) {
  // The continued string keeps everything in the text.
  EXPECT_EQ(dependencies("SELECT 'a'\n'b' FROM users WHERE id = -12 AND name = 'it''s'"),
            "users KEY id = -'12', name = 'it's'");
  EXPECT_EQ(dependencies("SELECT 1 FROM users WHERE name = E'a\\'b' AND id = 1"),
            "users KEY name = 'a'b', id = ?2");
  EXPECT_EQ(dependencies("SELECT 1 FROM users WHERE team_id = -2147483648"), "users");
}

TEST(Analysis, BackslashesWithoutStandardStrings) {
  AnalysisContext context;
  context.catalog = &shop();
  context.search_path = {testing::kPgCatalogSchema, testing::kPublic};
  context.standard_conforming_strings = false;
  const std::string text = "SELECT * FROM users WHERE name = 'a\\'";
  const Analysis analysis = analyze(text, scan_shape(text, false), context);
  ASSERT_NE(analysis.not_cacheable(), nullptr);
  EXPECT_EQ(analysis.not_cacheable()->reason, BypassReason::kUnsupported);
}

TEST(Analysis, Limits) {
  std::string deep = "SELECT ";
  for (int i = 0; i < 400; ++i) deep += "twice(";
  deep += "1" + std::string(400, ')');
  EXPECT_EQ(reason(deep), "too_complex");
  std::string sum = "SELECT 1";
  for (int i = 0; i < 100'000; ++i) sum += "+1";
  EXPECT_EQ(reason(sum), "too_complex");
  EXPECT_EQ(reason("SELECT " + std::string(100'000, '(')), "too_complex");
  EXPECT_EQ(reason("SELECT '" + std::string(2'000'000, 'x') + "'"), "too_complex");
  EXPECT_EQ(reason("SELECT '" + std::string(5'000, '(') + "'"), "cacheable");
  std::string list = "SELECT * FROM users WHERE id IN (1";
  for (int i = 0; i < 5'000; ++i) list += ", " + std::to_string(i);
  EXPECT_EQ(reason(list + ")"), "cacheable");
}

// The parser is used by all workers at once.
TEST(Analysis, ManyThreads) {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&right] {
      for (int i = 0; i < 100; ++i) {
        if (dependencies(
                "SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 1") ==
            "users KEY id = ?1; orders KEY user_id = ?1") {
          ++right;
        }
        if (reason("SELECT now(") == "syntax") ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 800);
}

TEST(Analysis, Kinds) {
  const auto kind = [](const char* text) { return analyze_with(shop(), text).kind; };
  EXPECT_EQ(kind("SELECT now()"), StatementKind::kRead);
  EXPECT_EQ(kind("WITH x AS (DELETE FROM users RETURNING 1) SELECT 1"), StatementKind::kRead);
  EXPECT_EQ(kind("SELECT 1 INTO x"), StatementKind::kDdl);
  EXPECT_EQ(kind("BEGIN"), StatementKind::kBegin);
  EXPECT_EQ(kind("START TRANSACTION READ ONLY, DEFERRABLE"), StatementKind::kBegin);
  EXPECT_EQ(kind("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"),
            StatementKind::kBeginReadCommitted);
  EXPECT_EQ(kind("BEGIN ISOLATION LEVEL READ UNCOMMITTED"), StatementKind::kBeginReadCommitted);
  EXPECT_EQ(kind("BEGIN ISOLATION LEVEL REPEATABLE READ"), StatementKind::kBeginOther);
  EXPECT_EQ(kind("BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE"), StatementKind::kBeginOther);
  EXPECT_EQ(kind("COMMIT"), StatementKind::kCommit);
  EXPECT_EQ(kind("END"), StatementKind::kCommit);
  EXPECT_EQ(kind("COMMIT AND CHAIN"), StatementKind::kOther);
  EXPECT_EQ(kind("COMMIT PREPARED 'x'"), StatementKind::kOther);
  EXPECT_EQ(kind("PREPARE TRANSACTION 'x'"), StatementKind::kOther);
  EXPECT_EQ(kind("ROLLBACK"), StatementKind::kRollback);
  EXPECT_EQ(kind("ABORT"), StatementKind::kRollback);
  EXPECT_EQ(kind("ROLLBACK AND CHAIN"), StatementKind::kOther);
  EXPECT_EQ(kind("ROLLBACK TO SAVEPOINT x"), StatementKind::kSavepoint);
  EXPECT_EQ(kind("SAVEPOINT x"), StatementKind::kSavepoint);
  EXPECT_EQ(kind("DEALLOCATE ALL"), StatementKind::kDeallocateAll);
  EXPECT_EQ(kind("DISCARD ALL"), StatementKind::kDeallocateAll);
  EXPECT_EQ(kind("DISCARD TEMP"), StatementKind::kSet);
  EXPECT_EQ(kind("DISCARD PLANS"), StatementKind::kSet);
  EXPECT_EQ(kind("SET search_path = a"), StatementKind::kSet);
  EXPECT_EQ(kind("SET LOCAL x.y = 1"), StatementKind::kSet);
  EXPECT_EQ(kind("RESET ALL"), StatementKind::kSet);
  EXPECT_EQ(kind("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"), StatementKind::kSet);
  EXPECT_EQ(kind("UPDATE users SET id = 1"), StatementKind::kDml);
  EXPECT_EQ(kind("MERGE INTO users u USING orders o ON true WHEN MATCHED THEN DELETE"),
            StatementKind::kDml);
  EXPECT_EQ(kind("COPY users FROM STDIN"), StatementKind::kDml);
  EXPECT_EQ(kind("TRUNCATE users"), StatementKind::kDdl);
  EXPECT_EQ(kind("CREATE TEMP TABLE x (a int)"), StatementKind::kDdl);
  EXPECT_EQ(kind("ALTER TABLE users ADD x int"), StatementKind::kDdl);
  EXPECT_EQ(kind("GRANT SELECT ON users TO bob"), StatementKind::kDdl);
  EXPECT_EQ(kind("LOCK users"), StatementKind::kOther);
  EXPECT_EQ(kind("DECLARE c CURSOR FOR SELECT 1"), StatementKind::kOther);
  EXPECT_EQ(kind("FETCH 1 FROM c"), StatementKind::kOther);
  EXPECT_EQ(kind("EXECUTE p"), StatementKind::kExecute);
  EXPECT_EQ(kind("EXPLAIN SELECT 1"), StatementKind::kOther);
  EXPECT_EQ(kind("CALL p()"), StatementKind::kOther);
  EXPECT_EQ(kind("DO $$ begin end $$"), StatementKind::kOther);
  EXPECT_EQ(kind("not sql"), StatementKind::kOther);
  // What a driver's pool resets its sessions with; not if one of the statements does more.
  EXPECT_EQ(kind("SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;"),
            StatementKind::kSet);
  EXPECT_EQ(kind("SELECT pg_advisory_unlock_all(); DELETE FROM users"), StatementKind::kOther);
  EXPECT_EQ(kind("SELECT dice(1); RESET ALL"), StatementKind::kOther);
  EXPECT_EQ(kind("RESET ALL; DEALLOCATE ALL"), StatementKind::kDeallocateAll);
  EXPECT_EQ(kind("RESET ALL; FETCH c"), StatementKind::kOther);
  EXPECT_EQ(kind("SELECT pg_advisory_unlock_all()"), StatementKind::kSet);
  EXPECT_EQ(kind("/* pgcache: off */ SELECT 1"), StatementKind::kQuiet);
  EXPECT_EQ(kind("/* pgcache: off */ SELECT dice(1)"), StatementKind::kRead);
  EXPECT_EQ(kind("SHOW DateStyle"), StatementKind::kQuiet);
  const Analysis deallocate = analyze_with(shop(), "DEALLOCATE \"My Plan\"");
  EXPECT_EQ(deallocate.kind, StatementKind::kDeallocate);
  EXPECT_EQ(deallocate.statement_name, "My Plan");
}

}  // namespace
}  // namespace pgcache::sql
