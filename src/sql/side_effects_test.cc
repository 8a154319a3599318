// SPDX-License-Identifier: Apache-2.0
#include "sql/side_effects.h"

#include <gtest/gtest.h>

#include <string>

#include "sql/analysis_support.h"

namespace pgcache::sql {
namespace {

namespace shop = testing;
using pg::Oid;

constexpr Oid kParent{20001}, kChild{20002}, kGrandchild{20003}, kLoose{20004}, kTriggered{20005},
    kDefaulted{20006}, kOfDomain{20007}, kCheckedDomain{20008}, kForeign{20009}, kSecured{20010};

// The shop, and tables that foreign keys bind together: parent <- child (CASCADE) <- grandchild
// (SET NULL), parent <- loose (NO ACTION).
std::shared_ptr<const pg::Catalog> make_catalog(bool bad_cast = false) {
  pg::Catalog catalog;
  shop::add_builtins(catalog);
  shop::add_shop_types(catalog);
  shop::add_shop_tables(catalog);
  shop::add_shop_views(catalog);
  pg::Type domain;
  domain.oid = kCheckedDomain;
  domain.schema = shop::kPublic;
  domain.name = "checked";
  domain.kind = 'd';
  domain.base = pg::type::kInt4;
  domain.io_volatility = pg::Volatility::kStable;
  domain.checks_run_code = domain.checks_vary = true;
  catalog.add_type(domain);
  const auto table = [&](Oid oid, const char* name) {
    return shop::make_relation(oid, name, {{"id", pg::type::kInt4}, {"a", pg::type::kInt4}});
  };
  pg::Relation parent = table(kParent, "parent");
  parent.referrers = {kChild, kLoose};
  parent.acted_upon = {kChild};
  catalog.add_relation(parent);
  pg::Relation child = table(kChild, "child");
  child.referrers = child.acted_upon = {kGrandchild};
  catalog.add_relation(child);
  catalog.add_relation(table(kGrandchild, "grandchild"));
  catalog.add_relation(table(kLoose, "loose"));
  pg::Relation triggered = table(kTriggered, "triggered");
  triggered.has_triggers = true;
  triggered.referrers = triggered.acted_upon = {};
  catalog.add_relation(triggered);
  pg::Relation defaulted = table(kDefaulted, "defaulted");
  defaulted.writes_run_code = true;
  catalog.add_relation(defaulted);
  catalog.add_relation(shop::make_relation(kOfDomain, "of_domain", {{"id", kCheckedDomain}}));
  pg::Relation foreign = table(kForeign, "foreign_table");
  foreign.kind = 'f';
  catalog.add_relation(foreign);
  pg::Relation secured = table(kSecured, "secured");
  secured.row_security = true;
  catalog.add_relation(secured);
  pg::Relation classes = table(Oid{1259}, "pg_class");
  classes.schema = shop::kPgCatalogSchema;
  classes.schema_name = "pg_catalog";
  catalog.add_relation(classes);
  pg::Relation cursors = classes;
  cursors.oid = Oid{12100};
  cursors.name = "pg_cursors";
  cursors.kind = 'v';
  catalog.add_relation(cursors);
  using pg::Volatility;
  const auto function = [&](std::uint32_t oid, const char* name, Volatility volatility) {
    catalog.add_function(shop::make_function(Oid{oid}, name, volatility, {}, pg::type::kInt4));
  };
  function(20100, "does_things", Volatility::kVolatile);
  function(20101, "looks", Volatility::kStable);
  function(20102, "computes", Volatility::kImmutable);
  const auto computing = [&](std::uint32_t oid, const char* name, Oid type) {
    return shop::make_function(Oid{oid}, name, Volatility::kImmutable, {type}, pg::type::kInt4);
  };
  catalog.add_function(computing(20103, "computes_checked", kCheckedDomain));
  pg::Function by_default = computing(20104, "computes_by_default", pg::type::kInt4);
  by_default.default_args = 1;
  by_default.defaults_vary = true;
  catalog.add_function(by_default);
  if (bad_cast) {
    catalog.add_cast({.source = pg::type::kInt4,
                      .target = pg::type::kDate,
                      .function = Oid{20100},
                      .method = 'f',
                      .context = 'i'});
  }
  catalog.finish();
  return std::make_shared<const pg::Catalog>(std::move(catalog));
}

// "unknown", or the names of the tables that are written.
std::string effects(const char* text, const pg::Catalog& catalog, std::vector<Oid> types = {}) {
  AnalysisContext context;
  context.catalog = &catalog;
  context.search_path = {shop::kPgCatalogSchema, shop::kPublic};
  context.parameter_types = std::move(types);
  const auto parsed = ParseTree::parse(text, text);
  const ParseTree* const tree = std::get_if<ParseTree>(&parsed);
  if (tree == nullptr || tree->statement_count() != 1) return "broken test";
  const SideEffects found = side_effects_of(*tree->statement(0), context);
  if (!found.known) return "unknown";
  std::string names;
  for (const Oid oid : found.writes) {
    if (!names.empty()) names += ' ';
    names += catalog.find_relation(oid)->name;
  }
  return names;
}

class SideEffectsTest : public ::testing::Test {
 protected:
  void expect(std::initializer_list<std::pair<const char*, const char*>> cases) {
    for (const auto& [text, expected] : cases)
      EXPECT_EQ(effects(text, *catalog_), expected) << text;
  }
  std::shared_ptr<const pg::Catalog> catalog_ = make_catalog();
};

TEST_F(SideEffectsTest, Reads) {
  expect({
      {"SELECT now(), version(), random(), current_setting('x')", ""},
      {"SELECT relname FROM pg_class WHERE oid = 'users'::regclass", ""},
      {"SELECT relname FROM pg_catalog.pg_class c JOIN users u ON u.id = c.id", ""},
      {"SELECT id FROM users WHERE created_at > now() - interval '1 day'", ""},
      {"SELECT nextval('s'), pg_sleep(1)", ""},
      {"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT random() FROM t",
       ""},
      {"SELECT computes()", ""},
      {"EXPLAIN ANALYZE SELECT id FROM users", ""},
      {"COPY users TO STDOUT", ""},
      {"COPY (SELECT id FROM users WHERE id BETWEEN 1 AND 2) TO STDOUT", ""},
      {"SELECT 'happy'::mood, '1'::positive, ARRAY[1]::int[]", ""},
      {"SELECT id FROM users TABLESAMPLE system (10)", "unknown"},
      {"SELECT does_things()", "unknown"},
      {"SELECT looks()", "unknown"},
      {"SELECT public.looks()", "unknown"},
      {"SELECT u.looks FROM users u", "unknown"},
      {"SELECT (u).looks FROM users u", "unknown"},
      {"SELECT nothing_known()", "unknown"},
      {"SELECT set_config('a.b', 'c', false)", "unknown"},
      {"SELECT pg_advisory_lock(1)", "unknown"},
      {"SELECT 1 FROM users FOR UPDATE", "unknown"},
      {"SELECT 1 INTO users2", "unknown"},
      {"SELECT * FROM active_users", "unknown"},
      {"SELECT * FROM foreign_table", "unknown"},
      {"SELECT * FROM secured", "unknown"},
      {"SELECT * FROM not_there", "unknown"},
      {"SELECT * FROM pg_cursors", "unknown"},
      {"SELECT '1'::checked", "unknown"},
      {"SELECT '1'::not_a_type", "unknown"},
      {"SELECT 1 OPERATOR(public.+) 2", "unknown"},
      {"WITH x AS (SELECT does_things()) SELECT 1 FROM pg_class", "unknown"},
      {"COPY (SELECT 1) TO PROGRAM 'cat'", "unknown"},
      {"EXPLAIN ANALYZE SELECT does_things()", "unknown"},
      {"SELECT id FROM users ORDER BY does_things()", "unknown"},
      {"SELECT count(*) FILTER (WHERE does_things() = 1) FROM users", "unknown"},
      {"SELECT sum(id) OVER (PARTITION BY does_things()) FROM users", "unknown"},
      {"SELECT 1 LIMIT does_things()", "unknown"},
      {"VALUES (does_things())", "unknown"},
      {"SELECT 1 FROM generate_series(1, does_things())", "unknown"},
      {"SELECT CASE WHEN true THEN does_things() END", "unknown"},
      {"SELECT 1 UNION SELECT looks()", "unknown"},
  });
}

TEST_F(SideEffectsTest, Writes) {
  expect({
      {"INSERT INTO users (id) VALUES (1)", "users"},
      {"INSERT INTO users (id) SELECT id FROM products RETURNING id, now()", "users"},
      {"UPDATE users SET name = upper(name) WHERE id = 1", "users"},
      {"DELETE FROM users USING products p WHERE p.id = users.id", "users"},
      {"WITH d AS (DELETE FROM users RETURNING id) INSERT INTO products (id) SELECT id FROM d",
       "users products"},
      {"WITH d AS (DELETE FROM users RETURNING id) SELECT * FROM d", "users"},
      {"MERGE INTO users u USING products p ON u.id = p.id WHEN MATCHED THEN DELETE", "users"},
      {"COPY users FROM STDIN", "users"},
      {"TRUNCATE users", "users"},
      {"EXPLAIN ANALYZE DELETE FROM users", "users"},
      {"INSERT INTO users (id) VALUES (1) ON CONFLICT DO NOTHING", "users"},
      // Partitions: written through the root or by themselves.
      {"UPDATE parts SET k = 1", "parts parts_1 parts_2"},
      {"UPDATE parts_1 SET k = 1", "parts_1"},
      {"INSERT INTO users (id) VALUES (looks())", "unknown"},
      {"INSERT INTO triggered VALUES (1)", "unknown"},
      {"INSERT INTO defaulted VALUES (1)", "unknown"},
      {"INSERT INTO of_domain VALUES (1)", "unknown"},
      {"INSERT INTO users (id) VALUES (computes_checked(1))", "unknown"},
      {"INSERT INTO users (id) VALUES (computes_by_default())", "unknown"},
      {"INSERT INTO users (id) SELECT 1::checked", "unknown"},
      {"INSERT INTO secured VALUES (1)", "unknown"},
      {"INSERT INTO foreign_table VALUES (1)", "unknown"},
      {"UPDATE active_users SET name = 'x'", "unknown"},
      {"UPDATE pg_class SET a = 1", "unknown"},
      {"COPY users FROM PROGRAM 'cat'", "unknown"},
      {"DELETE FROM users WHERE id = 1 RETURNING does_things()", "unknown"},
      {"DELETE FROM users WHERE CURRENT OF c", "unknown"},
      {"UPDATE nothing SET a = 1", "unknown"},
      {"CALL does_things()", "unknown"},
      {"LOCK TABLE users", "unknown"},
      {"CREATE TABLE x (id int)", "unknown"},
      {"SET search_path = a", "unknown"},
  });
}

TEST_F(SideEffectsTest, ForeignKeysAct) {
  expect({
      {"INSERT INTO parent VALUES (1)", "parent"},
      {"INSERT INTO parent VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1",
       "parent child grandchild"},
      {"DELETE FROM parent", "parent child grandchild"},
      {"UPDATE child SET a = 1", "child grandchild"},
      {"DELETE FROM loose", "loose"},
      {"TRUNCATE parent", "parent"},
      {"TRUNCATE parent CASCADE", "parent child grandchild loose"},
  });
}

TEST_F(SideEffectsTest, TypesOfParameters) {
  EXPECT_EQ(effects("SELECT $1 FROM pg_class", *catalog_, {pg::type::kInt4}), "");
  EXPECT_EQ(effects("SELECT $1 FROM pg_class", *catalog_, {Oid::kInvalid}), "");
  EXPECT_EQ(effects("SELECT $1 FROM pg_class", *catalog_, {kCheckedDomain}), "unknown");
  EXPECT_EQ(effects("SELECT $1 FROM pg_class", *catalog_, {Oid{99999}}), "unknown");
}

TEST_F(SideEffectsTest, CastsThatNobodyWrites) {
  catalog_ = make_catalog(true);
  expect({{"SELECT now()", "unknown"}, {"INSERT INTO users (id) VALUES (1)", "unknown"}});
}

}  // namespace
}  // namespace pgcache::sql
