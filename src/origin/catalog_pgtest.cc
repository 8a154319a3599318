// SPDX-License-Identifier: Apache-2.0
// The catalog of a real server, and what its fingerprint reacts to.
#include <gtest/gtest.h>

#include <algorithm>

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

using Names = std::vector<std::string>;

std::vector<Names> keys_of(const pg::Relation& relation) {
  std::vector<Names> keys;
  for (const pg::UniqueKey& key : relation.unique_keys) keys.push_back(key.columns);
  std::sort(keys.begin(), keys.end());
  return keys;
}

// "a,b>schema.table(c,d)"
Names foreign_keys_of(const pg::Catalog& catalog, const pg::Relation& relation) {
  const auto list = [](const Names& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
    return text;
  };
  Names keys;
  for (const pg::ForeignKey& key : relation.foreign_keys) {
    keys.push_back(list(key.columns) + ">" + catalog.find_relation(key.referenced)->name + "(" +
                   list(key.referenced_columns) + ")");
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

class Guarantees : public CatalogTest {
 protected:
  void load(const std::string& schema) {
    if (!schema.empty()) sql.must(schema);
    Result<LoadedCatalog> loaded = load_catalog(*link, ViewDefinitions::kRead);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    catalog = loaded->catalog;
  }
  const pg::Relation& relation(const std::string& name) {
    return *catalog->find_relation(catalog->find_schema("shop"), name);
  }
  Names foreign_keys(const std::string& name) { return foreign_keys_of(*catalog, relation(name)); }

  std::shared_ptr<const pg::Catalog> catalog;
};

TEST_F(Guarantees, UniqueKeysThatHoldByTheColumnsOwnEquality) {
  load(R"(
    CREATE COLLATION shop.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TABLE shop.u (a int PRIMARY KEY, b text UNIQUE, c varchar(9), d bpchar, e int UNIQUE
      DEFERRABLE, f int, g text, h shop.positive, i shop.mood, j int[], k cidr, l text,
      m text COLLATE shop.nocase, "N n" int, EXCLUDE USING btree (f WITH =));
    CREATE UNIQUE INDEX ON shop.u (c, f) INCLUDE (g);
    CREATE UNIQUE INDEX ON shop.u (h);
    CREATE UNIQUE INDEX ON shop.u (i);
    CREATE UNIQUE INDEX ON shop.u (j);
    CREATE UNIQUE INDEX ON shop.u (k);
    CREATE UNIQUE INDEX ON shop.u ("N n", a);
    CREATE UNIQUE INDEX ON shop.u (d);
    CREATE UNIQUE INDEX ON shop.u (g) WHERE f > 3;
    CREATE UNIQUE INDEX ON shop.u (lower(g));
    CREATE UNIQUE INDEX ON shop.u (a, (f + 1));
    CREATE UNIQUE INDEX ON shop.u (l text_pattern_ops);
    CREATE UNIQUE INDEX ON shop.u (g bpchar_ops);
    CREATE UNIQUE INDEX ON shop.u (m COLLATE "C");
    CREATE INDEX ON shop.u (f);)");
  EXPECT_EQ(keys_of(relation("u")),
            (std::vector<Names>{
                {"N n", "a"}, {"a"}, {"b"}, {"c", "f"}, {"d"}, {"h"}, {"i"}, {"j"}, {"k"}}));
  EXPECT_EQ(keys_of(relation("deferred")), std::vector<Names>{});
  EXPECT_EQ(keys_of(relation("parts")), (std::vector<Names>{{"k", "r"}}));
  EXPECT_EQ(keys_of(relation("parts_1a")), (std::vector<Names>{{"k", "r"}}));
}

TEST_F(Guarantees, NoUniqueKeyWhileItsIndexIsNotValid) {
  sql.must("CREATE TABLE shop.u (a int); INSERT INTO shop.u VALUES (1), (1)");
  EXPECT_FALSE(sql.query("CREATE UNIQUE INDEX CONCURRENTLY ON shop.u (a)").ok());
  load("");
  EXPECT_EQ(keys_of(relation("u")), std::vector<Names>{});
}

TEST_F(Guarantees, KeysOfAnInheritanceParentDoNotCount) {
  load(
      "CREATE TABLE shop.parent (a int PRIMARY KEY, u int REFERENCES shop.users, CHECK (a > 1));"
      "CREATE TABLE shop.child (PRIMARY KEY (a)) INHERITS (shop.parent)");
  EXPECT_EQ(keys_of(relation("parent")), std::vector<Names>{});
  EXPECT_EQ(foreign_keys("parent"), Names{});
  EXPECT_EQ(relation("parent").checks, Names{"(a > 1)"});
  EXPECT_EQ(keys_of(relation("child")), (std::vector<Names>{{"a"}}));
  EXPECT_EQ(relation("child").checks, Names{"(a > 1)"});
}

std::string enable_triggers(const std::string& how) {
  return "DO $$ DECLARE name text; BEGIN FOR name IN SELECT tgname FROM pg_trigger WHERE tgrelid ="
         " 'shop.users'::regclass LOOP EXECUTE format('ALTER TABLE shop.users ENABLE " +
         how + " TRIGGER %I', name); END LOOP; END $$";
}

TEST_F(Guarantees, ForeignKeysThatCertainlyHold) {
  load(R"(
    CREATE COLLATION shop.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TABLE shop.target (a int8 PRIMARY KEY, b varchar UNIQUE, c text COLLATE shop.nocase UNIQUE,
      d numeric UNIQUE, e bpchar UNIQUE, x int, y int, UNIQUE (y, x));
    CREATE TABLE shop.source (a int REFERENCES shop.target DEFERRABLE INITIALLY DEFERRED,
      b text REFERENCES shop.target (b), c text COLLATE shop.nocase REFERENCES shop.target (c),
      d int REFERENCES shop.target (d), e bpchar REFERENCES shop.target (e),
      x int, y int, v int, h shop.positive REFERENCES shop.users ON DELETE CASCADE,
      FOREIGN KEY (x, y) REFERENCES shop.target (x, y) MATCH FULL);
    ALTER TABLE shop.source ADD FOREIGN KEY (v) REFERENCES shop.users NOT VALID;)");
  EXPECT_EQ(foreign_keys("source"),
            (Names{"a>target(a)", "b>target(b)", "e>target(e)", "h>users(id)", "x,y>target(x,y)"}));
  load("ALTER TABLE shop.source VALIDATE CONSTRAINT source_v_fkey");
  EXPECT_EQ(foreign_keys("source"), (Names{"a>target(a)", "b>target(b)", "e>target(e)",
                                           "h>users(id)", "v>users(id)", "x,y>target(x,y)"}));
  load("ALTER TABLE shop.source DISABLE TRIGGER ALL");
  EXPECT_EQ(foreign_keys("source"), Names{});
  load("ALTER TABLE shop.source ENABLE TRIGGER ALL; ALTER TABLE shop.users DISABLE TRIGGER ALL");
  EXPECT_EQ(foreign_keys("source"),
            (Names{"a>target(a)", "b>target(b)", "e>target(e)", "x,y>target(x,y)"}));
  load("ALTER TABLE shop.target DISABLE TRIGGER ALL; ALTER TABLE shop.users ENABLE TRIGGER ALL");
  EXPECT_EQ(foreign_keys("source"), (Names{"h>users(id)", "v>users(id)"}));
  load(enable_triggers("REPLICA"));
  EXPECT_EQ(foreign_keys("source"), Names{});
  load(enable_triggers("ALWAYS"));
  EXPECT_EQ(foreign_keys("source"), (Names{"h>users(id)", "v>users(id)"}));
  load("CREATE SUBSCRIPTION theirs CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false)");
  EXPECT_EQ(foreign_keys("source"), Names{});
  load("ALTER SUBSCRIPTION theirs SET (slot_name = NONE); DROP SUBSCRIPTION theirs");
  EXPECT_EQ(foreign_keys("source"), (Names{"h>users(id)", "v>users(id)"}));
}

TEST_F(Guarantees, ForeignKeysOfAndToPartitionedTables) {
  load(R"(
    CREATE TABLE shop.target (a int PRIMARY KEY) PARTITION BY RANGE (a);
    CREATE TABLE shop.target_1 PARTITION OF shop.target FOR VALUES FROM (0) TO (10)
      PARTITION BY RANGE (a);
    CREATE TABLE shop.target_1a PARTITION OF shop.target_1 FOR VALUES FROM (0) TO (10);
    CREATE TABLE shop.source (a int REFERENCES shop.target, b int) PARTITION BY LIST (b);
    CREATE TABLE shop.source_1 PARTITION OF shop.source FOR VALUES IN (1) PARTITION BY LIST (b);
    CREATE TABLE shop.source_1a PARTITION OF shop.source_1 FOR VALUES IN (1);
    CREATE TABLE shop.target_2 PARTITION OF shop.target FOR VALUES FROM (10) TO (20);
    CREATE TABLE shop.source_2 (a int, b int);
    ALTER TABLE shop.source ATTACH PARTITION shop.source_2 FOR VALUES IN (2);)");
  for (const char* name : {"source", "source_1", "source_1a", "source_2"}) {
    EXPECT_EQ(foreign_keys(name), Names{"a>target(a)"}) << name;
  }
  // A disabled trigger anywhere, on either side, lets rows by.
  for (const char* name : {"source_1a", "target_2", "target_1a", "source_2"}) {
    load(std::string("ALTER TABLE shop.") + name + " DISABLE TRIGGER ALL");
    EXPECT_EQ(foreign_keys("source"), Names{}) << name;
    EXPECT_EQ(foreign_keys("source_2"), Names{}) << name;
    load(std::string("ALTER TABLE shop.") + name + " ENABLE TRIGGER ALL");
    EXPECT_EQ(foreign_keys("source"), Names{"a>target(a)"}) << name;
  }
  load("ALTER TABLE shop.source DETACH PARTITION shop.source_1");
  // Not every release keeps, or goes on enforcing, what was inherited.
  const std::string enforced = sql.must(
                                      "SELECT count(DISTINCT t.tgrelid) FROM pg_trigger t"
                                      " JOIN pg_constraint c ON c.oid = t.tgconstraint"
                                      " WHERE c.conrelid IN ('shop.source_1a'::regclass,"
                                      " 'shop.source_1'::regclass) AND t.tgrelid IN"
                                      " ('shop.source_1a'::regclass, 'shop.target_1a'::regclass,"
                                      " 'shop.target_2'::regclass)")
                                   .value();
  EXPECT_EQ(foreign_keys("source_1a"), enforced == "3" ? Names{"a>target(a)"} : Names{});
  EXPECT_EQ(foreign_keys("source_2"), Names{"a>target(a)"});
}

TEST_F(Guarantees, ChecksAndBoundsAreWrittenForAnEmptySearchPath) {
  load(R"(
    CREATE FUNCTION shop.is_even(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 2 = 0';
    CREATE TABLE shop.c (a int CHECK (a > 0), b text, "C c" date,
      CONSTRAINT n CHECK (b <> '') NO INHERIT, CONSTRAINT o CHECK (shop.is_even(a)),
      CONSTRAINT p CHECK ("C c" BETWEEN '2024-01-02' AND '2024-12-30' AND b IN ('x', 'y')));
    ALTER TABLE shop.c ADD CONSTRAINT q CHECK (a < 9) NOT VALID;
    CREATE TABLE shop.byday (d date, t text) PARTITION BY LIST (t);
    CREATE TABLE shop.byday_x PARTITION OF shop.byday FOR VALUES IN ('x', NULL)
      PARTITION BY RANGE (d);
    CREATE TABLE shop.byday_x1 PARTITION OF shop.byday_x FOR VALUES FROM ('2024-01-01') TO
      ('2024-02-01');
    CREATE TABLE shop.byday_d PARTITION OF shop.byday DEFAULT;)");
  EXPECT_EQ(
      relation("c").checks,
      (Names{"(a > 0)", "shop.is_even(a)",
             "(((\"C c\" >= '2024-01-02'::date) AND (\"C c\" <= '2024-12-30'::date)) AND (b = "
             "ANY (ARRAY['x'::text, 'y'::text])))"}));
  EXPECT_EQ(relation("c").partition_constraint, "");
  EXPECT_EQ(relation("byday").partition_constraint, "");
  EXPECT_EQ(relation("byday_x1").partition_constraint,
            "(((t IS NULL) OR (t = 'x'::text)) AND (d IS NOT NULL) AND (d >= '2024-01-01'::date) "
            "AND (d < '2024-02-01'::date))");
  EXPECT_EQ(relation("byday_d").partition_constraint, "(NOT ((t IS NULL) OR (t = 'x'::text)))");
}

TEST_F(Guarantees, NotWhatVersion18OnlyDeclares) {
  if (link->server_version() < 180000) GTEST_SKIP() << "of version 18";
  load(R"(
    CREATE EXTENSION btree_gist;
    CREATE COLLATION shop.plain (provider = builtin, locale = 'C');
    CREATE COLLATION shop.codes (provider = builtin, locale = 'C.UTF-8');
    CREATE TABLE shop.target (a int, d daterange, t text COLLATE shop.plain,
      u text COLLATE shop.codes, PRIMARY KEY (a, d WITHOUT OVERLAPS));
    CREATE TABLE shop.source (a int REFERENCES shop.users NOT ENFORCED, d daterange,
      CHECK (a > 0) NOT ENFORCED, CHECK (a > 1),
      FOREIGN KEY (a, PERIOD d) REFERENCES shop.target (a, PERIOD d));)");
  EXPECT_EQ(keys_of(relation("target")), std::vector<Names>{});
  EXPECT_EQ(foreign_keys("source"), Names{});
  EXPECT_EQ(relation("source").checks, Names{"(a > 1)"});
  EXPECT_TRUE(relation("target").columns[2].collation_is_c);
  EXPECT_FALSE(relation("target").columns[3].collation_is_c);
  EXPECT_TRUE(relation("target").columns[2].ascii_case);
  EXPECT_TRUE(relation("target").columns[3].ascii_case);
  const std::string before = fingerprint();
  sql.must("ALTER TABLE shop.source ALTER CONSTRAINT source_a_fkey ENFORCED");
  EXPECT_NE(fingerprint(), before);
  load("");
  EXPECT_EQ(foreign_keys("source"), Names{"a>users(id)"});
}

TEST_F(Guarantees, LabelsInTheirOrder) {
  load("ALTER TYPE shop.mood ADD VALUE 'fine' BEFORE 'ok'; ALTER TYPE shop.mood ADD VALUE 'a'");
  EXPECT_EQ(catalog->find_type(catalog->find_schema("shop"), "mood")->labels,
            (Names{"sad", "fine", "ok", "a"}));
  EXPECT_EQ(catalog->find_type(pg::type::kInt4)->labels, Names{});
}

TEST_F(Guarantees, CollationsThatMapAsciiAsInEnglish) {
  load(R"(
    CREATE COLLATION shop.turkish (provider = icu, locale = 'tr-TR');
    CREATE COLLATION shop.english (provider = icu, locale = 'en-US');
    CREATE TABLE shop.l (n int, d text, c text COLLATE "C", t text COLLATE shop.turkish,
      e varchar COLLATE shop.english, p text COLLATE "POSIX"))");
  const auto& columns = relation("l").columns;
  std::string plain;
  for (const pg::Column& column : columns) plain += column.ascii_case ? column.name : "-";
  EXPECT_EQ(plain, "-dc-ep");  // the cluster's default is C.UTF-8
}

TEST_F(CatalogTest, WhatWritesMayDoBesides) {
  sql.must(R"(SET search_path = shop;
    CREATE FUNCTION any_number() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
    CREATE FUNCTION fine(int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT $1 > 0';
    CREATE OPERATOR =~= (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
    CREATE FUNCTION odd(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';
    CREATE OPERATOR =?= (LEFTARG = int, RIGHTARG = int, FUNCTION = odd);
    CREATE SEQUENCE numbers;
    CREATE DOMAIN strict_number AS int CHECK (fine(VALUE));
    CREATE DOMAIN later AS timestamptz CHECK (VALUE > now());
    CREATE DOMAIN mine AS text CHECK (VALUE = current_user);
    CREATE DOMAIN read_late AS text CHECK (VALUE::date > '2001-01-01');
    CREATE DOMAIN nested AS timestamptz CHECK (VALUE::later IS NOT NULL);
    CREATE DOMAIN steady AS text CHECK (VALUE ~ '^[a-z]+$' AND length(VALUE)::text < '5'
      AND VALUE::int > 3 AND VALUE IN ('a', 'b'));
    CREATE FUNCTION at_some_time(at timestamptz DEFAULT now()) RETURNS int IMMUTABLE LANGUAGE sql
      AS 'SELECT 1';
    CREATE FUNCTION of_any_number(n int DEFAULT any_number()) RETURNS int IMMUTABLE LANGUAGE sql
      AS 'SELECT 1';
    CREATE TABLE parent (id int PRIMARY KEY);
    CREATE TABLE plain_child (id serial PRIMARY KEY, p int REFERENCES parent, at timestamptz DEFAULT now(),
      n int DEFAULT nextval('numbers') CHECK (n > 0 AND n =~= n), t int DEFAULT twice(1));
    CREATE TABLE cascading (p int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE nulled (p int REFERENCES parent ON UPDATE SET NULL);
    CREATE TABLE by_default (a int DEFAULT any_number());
    CREATE TABLE by_check (a int CHECK (fine(a)));
    CREATE TABLE by_operator (a int CHECK (a =?= 1));
    CREATE TABLE by_setting (a text DEFAULT set_config('search_path', 'x', false));
    CREATE TABLE by_query (a xml DEFAULT query_to_xml('SELECT 1', true, true, ''));
    CREATE TABLE by_domain (a strict_number))");
  Result<LoadedCatalog> loaded = load_catalog(*link, ViewDefinitions::kRead);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  const pg::Catalog& c = *loaded->catalog;
  const pg::Oid shop = c.find_schema("shop");
  std::string code;
  for (const char* name : {"parent", "plain_child", "cascading", "nulled", "by_default", "by_check",
                           "by_operator", "by_setting", "by_query", "by_domain", "users"}) {
    if (c.find_relation(shop, name)->writes_run_code) code += std::string(name) + " ";
  }
  EXPECT_EQ(code, "by_default by_check by_operator by_setting by_query ");
  EXPECT_TRUE(c.find_type(shop, "strict_number")->checks_run_code);
  EXPECT_FALSE(c.find_type(shop, "positive")->checks_run_code);
  for (const char* name : {"strict_number", "later", "mine", "read_late", "nested"})
    EXPECT_TRUE(c.find_type(shop, name)->checks_vary) << name;
  for (const char* name : {"positive", "steady"})
    EXPECT_FALSE(c.find_type(shop, name)->checks_vary) << name;
  const auto defaults_vary = [&](const char* name) {
    return c.functions_named(name).front().defaults_vary;
  };
  EXPECT_TRUE(defaults_vary("at_some_time"));
  EXPECT_TRUE(defaults_vary("of_any_number"));
  EXPECT_FALSE(defaults_vary("twice"));
  const auto names = [&](const std::vector<pg::Oid>& oids) {
    std::vector<std::string> out;
    for (const pg::Oid oid : oids) out.push_back(c.find_relation(oid)->name);
    std::sort(out.begin(), out.end());
    return out;
  };
  const pg::Relation& parent = *c.find_relation(shop, "parent");
  EXPECT_EQ(names(parent.referrers), (Names{"cascading", "nulled", "plain_child"}));
  EXPECT_EQ(names(parent.acted_upon), (Names{"cascading", "nulled"}));
  EXPECT_EQ(names(c.find_relation(shop, "cascading")->referrers), Names{});
}

TEST_F(CatalogTest, FingerprintIgnoresOrdinaryWork) {
  const std::string before = fingerprint();
  for (const char* work :
       {"INSERT INTO shop.users SELECT g, 'n' || g FROM generate_series(1, 2000) g",
        "UPDATE shop.users SET name = 'x' WHERE id < 1000",
        "DELETE FROM shop.users WHERE id > 1500", "ANALYZE", "VACUUM shop.users", "VACUUM FREEZE",
        "VACUUM FULL shop.users", "TRUNCATE shop.users", "CREATE INDEX ON shop.users (name)",
        "REINDEX TABLE shop.users", "CREATE INDEX CONCURRENTLY ON shop.users (email)",
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
        "CREATE UNIQUE INDEX email_key ON shop.users (email)",
        "DROP INDEX shop.email_key",
        "CREATE TABLE shop.orders (id int PRIMARY KEY, u int REFERENCES shop.users, v int)",
        "ALTER TABLE shop.orders DISABLE TRIGGER ALL",
        "ALTER TABLE shop.orders ENABLE TRIGGER ALL",
        "ALTER TABLE shop.users DISABLE TRIGGER ALL",
        "ALTER TABLE shop.users ENABLE TRIGGER ALL",
        "ALTER TABLE shop.orders ADD CONSTRAINT v_fk FOREIGN KEY (v) REFERENCES shop.users NOT "
        "VALID",
        "ALTER TABLE shop.orders VALIDATE CONSTRAINT v_fk",
        "ALTER TABLE shop.orders ADD CONSTRAINT v_check CHECK (v > 0) NOT VALID",
        "ALTER TABLE shop.orders VALIDATE CONSTRAINT v_check",
        "ALTER TABLE shop.orders ALTER CONSTRAINT v_fk DEFERRABLE",
        "CREATE SUBSCRIPTION theirs CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false)",
        "ALTER SUBSCRIPTION theirs SET (slot_name = NONE); DROP SUBSCRIPTION theirs",
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
  EXPECT_EQ(loaded->catalog->find_relation(oid_of(sql, "shop.parts_1"))->partition_constraint, "");
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
