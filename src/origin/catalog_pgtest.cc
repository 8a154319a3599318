// SPDX-License-Identifier: Apache-2.0
// The catalog of a real server, and what its fingerprint reacts to.
#include <gtest/gtest.h>

#include "origin/catalog_loader.h"
#include "origin/link.h"
#include "origin/pgtest_support.h"

namespace pgcache::origin {
namespace {

class CatalogTest : public ::testing::Test {
 protected:
  CatalogTest() : sql(cluster.dsn()) {
    sql.must(
        "CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('sad', 'ok');"
        "CREATE DOMAIN shop.positive AS int CHECK (VALUE > 0);"
        "CREATE TABLE shop.users (id int PRIMARY KEY, name text COLLATE \"C\" NOT NULL,"
        "  email varchar(40), gone int, score shop.positive, mood shop.mood);"
        "ALTER TABLE shop.users DROP COLUMN gone;"
        "CREATE TABLE shop.log (at timestamptz, what text);"
        "CREATE TABLE shop.full_log (what text); ALTER TABLE shop.full_log REPLICA IDENTITY FULL;"
        "CREATE TABLE shop.deferred (id int PRIMARY KEY DEFERRABLE);"
        "CREATE TABLE shop.parts (k int, r int, PRIMARY KEY (k, r)) PARTITION BY RANGE (r);"
        "CREATE TABLE shop.parts_1 PARTITION OF shop.parts FOR VALUES FROM (0) TO (10)"
        "  PARTITION BY RANGE (r);"
        "CREATE TABLE shop.parts_1a PARTITION OF shop.parts_1 FOR VALUES FROM (0) TO (5);"
        "CREATE VIEW shop.names AS SELECT id, name FROM shop.users WHERE id > 3;"
        "CREATE FUNCTION shop.twice(a int, VARIADIC b int[] DEFAULT '{}') RETURNS int"
        "  LANGUAGE sql IMMUTABLE AS 'SELECT a * 2';"
        "CREATE RULE quiet AS ON DELETE TO shop.log DO INSTEAD NOTHING;"
        "CREATE FUNCTION shop.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER t BEFORE INSERT ON shop.users FOR EACH ROW EXECUTE FUNCTION shop.f();"
        "CREATE ROLE plain LOGIN");
    LinkOptions options;
    options.conninfo = cluster.dsn("postgres", "plain");
    auto opened = Link::open(options);
    if (const Failure* failure = std::get_if<Failure>(&opened)) {
      throw std::runtime_error(failure->message);
    }
    link = std::move(std::get<std::unique_ptr<Link>>(opened));
  }

  std::string fingerprint() {
    Result<CatalogState> state = read_catalog_state(*link);
    if (!state.ok()) throw std::runtime_error(state.error().message);
    return state->fingerprint;
  }

  testing::Cluster cluster;
  testing::Connection sql;
  std::unique_ptr<Link> link;
};

TEST_F(CatalogTest, LoadsWhatAnOrdinaryRoleMaySee) {
  const auto begin = std::chrono::steady_clock::now();
  Result<LoadedCatalog> loaded = load_catalog(*link, ViewDefinitions::kRead);
  const auto took = std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  RecordProperty("load_ms", static_cast<int>(took / std::chrono::milliseconds(1)));
  const pg::Catalog& c = *loaded->catalog;
  EXPECT_EQ(c.database(), "postgres");
  EXPECT_EQ(c.encoding(), "UTF8");
  EXPECT_EQ(c.server_version_num(), link->server_version());

  const pg::Oid shop = c.find_schema("shop");
  ASSERT_NE(shop, pg::Oid::kInvalid);
  const pg::Relation* users = c.find_relation(shop, "users");
  ASSERT_NE(users, nullptr);
  EXPECT_EQ(users->oid, oid_of(sql, "shop.users"));
  EXPECT_TRUE(users->has_replica_identity);
  EXPECT_EQ(users->key_columns, std::vector<std::string>{"id"});
  EXPECT_TRUE(users->has_triggers);
  EXPECT_FALSE(users->has_rules);
  ASSERT_EQ(users->columns.size(), 5u);
  EXPECT_EQ(users->columns[1].name, "name");
  EXPECT_TRUE(users->columns[1].not_null);
  EXPECT_TRUE(users->columns[1].collation_is_c);
  EXPECT_FALSE(users->columns[2].collation_is_c);
  EXPECT_EQ(users->columns[2].type, pg::type::kVarchar);
  EXPECT_EQ(users->columns[2].typmod, 44);
  EXPECT_EQ(users->columns[3].attnum, 5);

  EXPECT_FALSE(c.find_relation(shop, "log")->has_replica_identity);
  EXPECT_TRUE(c.find_relation(shop, "log")->has_rules);
  EXPECT_TRUE(c.find_relation(shop, "full_log")->has_replica_identity);
  EXPECT_EQ(c.find_relation(shop, "full_log")->replica_identity, 'f');
  EXPECT_FALSE(c.find_relation(shop, "deferred")->has_replica_identity);

  const pg::Relation* parts = c.find_relation(shop, "parts");
  EXPECT_EQ(parts->kind, 'p');
  EXPECT_EQ(parts->descendants.size(), 2u);
  EXPECT_EQ(parts->key_columns, (std::vector<std::string>{"k", "r"}));
  EXPECT_TRUE(c.find_relation(shop, "parts_1a")->is_partition);

  const pg::Relation* names = c.find_relation(shop, "names");
  EXPECT_EQ(names->kind, 'v');
  EXPECT_FALSE(names->has_rules);
  EXPECT_NE(names->view_definition.find("shop.users"), std::string::npos) << names->view_definition;

  ASSERT_EQ(c.functions_named("twice").size(), 1u);
  const pg::Function& twice = c.functions_named("twice")[0];
  EXPECT_EQ(twice.volatility, pg::Volatility::kImmutable);
  EXPECT_EQ(twice.args.size(), 2u);
  EXPECT_EQ(twice.variadic, pg::type::kInt4);
  EXPECT_EQ(twice.default_args, 1);
  EXPECT_EQ(c.functions_named("now")[0].volatility, pg::Volatility::kStable);
  EXPECT_FALSE(c.operators_named("=").empty());
  const pg::Oid system = c.find_schema("pg_catalog");
  EXPECT_TRUE(c.find_relation(system, "pg_class")->columns.empty());
  EXPECT_EQ(c.find_type(pg::type::kInt4)->io_volatility, pg::Volatility::kImmutable);
  EXPECT_EQ(c.find_type(pg::type::kTimestamptz)->io_volatility, pg::Volatility::kStable);
  EXPECT_EQ(c.find_type(shop, "positive")->base, pg::type::kInt4);
  EXPECT_EQ(c.find_type(system, "_int4")->element, pg::type::kInt4);
  EXPECT_EQ(c.find_type(system, "oidvector")->element, pg::Oid::kInvalid);
  EXPECT_EQ(c.find_type(shop, "mood")->kind, 'e');
  ASSERT_NE(c.find_cast(pg::type::kInt4, pg::type::kInt8), nullptr);
  EXPECT_EQ(c.find_cast(pg::type::kInt4, pg::type::kInt8)->context, 'i');
}

TEST_F(CatalogTest, FingerprintIgnoresOrdinaryWork) {
  const std::string before = fingerprint();
  for (const char* work :
       {"INSERT INTO shop.users SELECT g, 'n' || g FROM generate_series(1, 2000) g",
        "UPDATE shop.users SET name = 'x' WHERE id < 1000",
        "DELETE FROM shop.users WHERE id > 1500", "ANALYZE", "VACUUM shop.users", "VACUUM FREEZE",
        "VACUUM FULL shop.users", "TRUNCATE shop.users", "CREATE INDEX ON shop.users (name)",
        "REINDEX TABLE shop.users",
        "CREATE TEMP TABLE t1 (id serial PRIMARY KEY, t text DEFAULT 'x')",
        "CREATE TEMP VIEW v1 AS SELECT 1 AS a",
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql"
        " AS 'SELECT 1'",
        "DROP TABLE t1", "CREATE PUBLICATION p FOR TABLE shop.users",
        "BEGIN; CREATE TABLE shop.undone (a int); ROLLBACK", "CHECKPOINT"}) {
    sql.must(work);
    EXPECT_EQ(fingerprint(), before) << work;
  }
}

TEST_F(CatalogTest, FingerprintReactsToDefinitions) {
  for (const char* work :
       {"CREATE TABLE shop.more (a int)",
        "ALTER TABLE shop.more ADD COLUMN b text",
        "ALTER TABLE shop.more RENAME COLUMN b TO c",
        "ALTER TABLE shop.more RENAME TO most",
        "ALTER TABLE shop.most ALTER COLUMN a TYPE bigint",
        "ALTER TABLE shop.most ADD PRIMARY KEY (a)",
        "ALTER TABLE shop.most REPLICA IDENTITY FULL",
        "ALTER TABLE shop.most ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON shop.most USING (a = 1)",
        "ALTER POLICY mine ON shop.most USING (a = 2)",
        "GRANT SELECT ON shop.most TO plain",
        "GRANT SELECT (id) ON shop.users TO plain",
        "REVOKE SELECT ON shop.most FROM plain",
        "ALTER TABLE shop.most OWNER TO plain",
        "CREATE OR REPLACE VIEW shop.names AS SELECT id, name FROM shop.users WHERE id > 4",
        "ALTER FUNCTION shop.twice(int, int[]) STABLE",
        "CREATE OR REPLACE FUNCTION shop.twice(a int, VARIADIC b int[] DEFAULT '{}') RETURNS int"
        " LANGUAGE sql IMMUTABLE AS 'SELECT a * 3'",
        "ALTER TYPE shop.mood ADD VALUE 'fine'",
        "ALTER TYPE shop.mood RENAME VALUE 'ok' TO 'okay'",
        "ALTER TABLE shop.parts DETACH PARTITION shop.parts_1",
        "ALTER TABLE shop.parts ATTACH PARTITION shop.parts_1 FOR VALUES FROM (0) TO (20)",
        "CREATE ROLE other",
        "GRANT other TO plain",
        "ALTER ROLE plain BYPASSRLS",
        "ALTER ROLE plain SET datestyle = 'German'",
        "ALTER DATABASE postgres SET timezone = 'Asia/Tokyo'",
        "CREATE SCHEMA newer",
        "GRANT USAGE ON SCHEMA newer TO plain",
        "CREATE OPERATOR shop.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)",
        "CREATE CAST (shop.mood AS int) WITH INOUT",
        "DROP TRIGGER t ON shop.users",
        "CREATE COLLATION shop.coll (provider = icu, locale = 'und', deterministic = false)",
        "ALTER TABLE shop.users ALTER COLUMN email SET DEFAULT 'x'",
        "ALTER VIEW shop.names SET (security_barrier = true)",
        "DROP VIEW shop.names",
        "CREATE TEXT SEARCH CONFIGURATION shop.ts (COPY = english)",
        "ALTER TABLE shop.users ADD CHECK (id > 0)",
        "DROP TABLE shop.most"}) {
    const std::string before = fingerprint();
    sql.must(work);
    EXPECT_NE(fingerprint(), before) << work;
  }
}

TEST_F(CatalogTest, SaysWhenTheConfigurationWasReloaded) {
  const std::string before = read_catalog_state(*link)->configuration_loaded_at;
  sql.must("SELECT pg_reload_conf()");
  EXPECT_TRUE(
      wait_until([&] { return read_catalog_state(*link)->configuration_loaded_at != before; }));
}

TEST_F(CatalogTest, LoadsWithoutViewsWhileOneIsLocked) {
  sql.must("BEGIN; LOCK TABLE shop.users IN ACCESS EXCLUSIVE MODE");
  ASSERT_TRUE(link->query("SET lock_timeout = '100ms'").ok());
  EXPECT_FALSE(load_catalog(*link, ViewDefinitions::kRead).ok());
  Result<LoadedCatalog> loaded = load_catalog(*link, ViewDefinitions::kSkip);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->catalog->find_relation(oid_of(sql, "shop.names"))->view_definition, "");
}

TEST_F(CatalogTest, IsQuickWithAThousandTables) {
  sql.must(
      "DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format("
      "'CREATE TABLE shop.t%s (id int PRIMARY KEY, a text, b text, c timestamptz, d numeric)', i);"
      " END LOOP; END $$");
  auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(load_catalog(*link, ViewDefinitions::kRead).ok());
  RecordProperty("load_ms", static_cast<int>((std::chrono::steady_clock::now() - begin) /
                                             std::chrono::milliseconds(1)));
  begin = std::chrono::steady_clock::now();
  fingerprint();
  RecordProperty("fingerprint_ms", static_cast<int>((std::chrono::steady_clock::now() - begin) /
                                                    std::chrono::milliseconds(1)));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace pgcache::origin
