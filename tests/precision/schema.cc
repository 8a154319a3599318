// SPDX-License-Identifier: Apache-2.0
#include "precision/schema.h"

namespace pgcache::precision {
namespace {

// Groups of five: grp 0 has the rows 1 to 5. Owner 3 has the tasks 3, 13, 23 and 33.
const char* const kTables[] = {
    "CREATE TABLE owner (id int PRIMARY KEY, code text COLLATE \"C\" NOT NULL UNIQUE, "
    "region int NOT NULL, active bool NOT NULL, note text)",
    "INSERT INTO owner SELECT i, 'c' || i, (i - 1) / 5 + 1, true, 'n' FROM "
    "generate_series(1, 10) i",

    "CREATE TABLE badge (owner_id int PRIMARY KEY REFERENCES owner, level int NOT NULL)",
    "INSERT INTO badge SELECT i, i % 3 FROM generate_series(1, 10) i",

    "CREATE TABLE task (id int PRIMARY KEY, owner_id int NOT NULL REFERENCES owner, "
    "opt_id int REFERENCES owner, grp int NOT NULL, v int, note text)",
    "INSERT INTO task SELECT i, (i - 1) % 10 + 1, CASE WHEN i % 4 > 0 THEN i % 10 + 1 END, "
    "(i - 1) / 5, i, 'n' FROM generate_series(1, 40) i",

    "CREATE TABLE step (id int PRIMARY KEY, task_id int NOT NULL REFERENCES task, v int, "
    "note text)",
    "INSERT INTO step SELECT i, i, i % 7, 'n' FROM generate_series(1, 40) i",

    "CREATE TABLE item (id int PRIMARY KEY, grp int NOT NULL, v int, w int NOT NULL, name text, "
    "ranked text COLLATE \"C\", note text, price numeric(10,2), ratio float8, ok bool, "
    "made timestamp, day date, small smallint, big bigint, tags int[])",
    "INSERT INTO item SELECT i, (i - 1) / 5, i, i % 10, 'name' || i, 'r' || i % 10, 'n', i * 1.5, "
    "i / 4.0, CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END, "
    "timestamp '2024-01-01 10:00' + i * interval '1 day', date '2024-01-01' + i, i, i, "
    "ARRAY[i, i + 1] FROM generate_series(1, 40) i",

    "CREATE TABLE tree (id int PRIMARY KEY, parent int, live bool NOT NULL, v int, note text)",
    "INSERT INTO tree SELECT i, nullif(i / 2, 0), true, i, 'n' FROM generate_series(1, 15) i",

    "CREATE TABLE checked (id int PRIMARY KEY, kind int NOT NULL CHECK (kind BETWEEN 1 AND 5), "
    "v int CHECK (v > 0), state text COLLATE \"C\" NOT NULL CHECK (state IN ('new', 'old')), "
    "note text)",
    "INSERT INTO checked SELECT i, i % 5 + 1, i, CASE i % 2 WHEN 0 THEN 'new' ELSE 'old' END, 'n' "
    "FROM generate_series(1, 10) i",

    "CREATE TABLE spread (id int, k int NOT NULL, v int, note text, PRIMARY KEY (id, k)) "
    "PARTITION BY RANGE (k)",
    "CREATE TABLE spread_low PARTITION OF spread FOR VALUES FROM (MINVALUE) TO (10)",
    "CREATE TABLE spread_mid PARTITION OF spread FOR VALUES FROM (10) TO (20)",
    "CREATE TABLE spread_high PARTITION OF spread FOR VALUES FROM (20) TO (MAXVALUE)",
    "INSERT INTO spread SELECT i, i, i, 'n' FROM generate_series(1, 30) i",

    "CREATE TABLE placed (id int, place text COLLATE \"C\" NOT NULL, v int, "
    "PRIMARY KEY (id, place)) PARTITION BY LIST (place)",
    "CREATE TABLE placed_ab PARTITION OF placed FOR VALUES IN ('a', 'b')",
    "CREATE TABLE placed_c PARTITION OF placed FOR VALUES IN ('c')",
    "CREATE TABLE placed_rest PARTITION OF placed DEFAULT",
    "INSERT INTO placed SELECT i, substr('abcd', i % 4 + 1, 1), i FROM generate_series(1, 12) i",

    "CREATE TABLE hashed (id int PRIMARY KEY, v int) PARTITION BY HASH (id)",
    "CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
    "CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    "INSERT INTO hashed SELECT i, i FROM generate_series(1, 20) i",

    "CREATE TABLE base (id int PRIMARY KEY, v int, note text)",
    "CREATE TABLE kid (extra text, PRIMARY KEY (id)) INHERITS (base)",
    "INSERT INTO base SELECT i, i, 'n' FROM generate_series(1, 10) i",
    "INSERT INTO kid SELECT i, i, 'n', 'e' FROM generate_series(11, 20) i",

    "CREATE TABLE regions (id int, area int NOT NULL, k int NOT NULL, v int, PRIMARY KEY (id, "
    "area, "
    "k)) PARTITION BY LIST (area)",
    "CREATE TABLE regions_1 PARTITION OF regions FOR VALUES IN (1) PARTITION BY RANGE (k)",
    "CREATE TABLE regions_1_low PARTITION OF regions_1 FOR VALUES FROM (MINVALUE) TO (10)",
    "CREATE TABLE regions_1_high PARTITION OF regions_1 FOR VALUES FROM (10) TO (MAXVALUE)",
    "CREATE TABLE regions_2 PARTITION OF regions FOR VALUES IN (2)",
    "INSERT INTO regions SELECT i, i % 2 + 1, i, i FROM generate_series(1, 20) i",

    "CREATE TABLE large (id int PRIMARY KEY, grp int NOT NULL, v int, big text, note text)",
    "ALTER TABLE large ALTER big SET STORAGE EXTERNAL",
    "INSERT INTO large SELECT i, i / 5, i, CASE i % 2 WHEN 0 THEN 'even' ELSE 'odd' END || "
    "repeat('y', 9000), 'n' FROM generate_series(1, 20) i",

    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'glad')",
    "CREATE DOMAIN short_name AS varchar(2)",
    "CREATE TABLE coded (code short_name PRIMARY KEY, v int, note text)",
    "INSERT INTO coded SELECT i, i, 'n' FROM generate_series(10, 20) i",
    "CREATE DOMAIN small_int AS int CHECK (VALUE < 1000)",
    "CREATE TABLE typed (id int PRIMARY KEY, note text, t_bool bool, t_int2 int2, t_int4 int4, "
    "t_int8 int8, t_oid oid, t_numeric numeric, t_float4 float4, t_float8 float8, t_text text, "
    "t_varchar varchar(10), t_char char(5), t_name name, t_bytea bytea, t_uuid uuid, t_date date, "
    "t_time time, t_timetz timetz, t_timestamp timestamp, t_timestamptz timestamptz, "
    "t_interval interval, t_jsonb jsonb, t_inet inet, t_cidr cidr, t_macaddr macaddr, t_enum mood, "
    "t_array int[], t_text_array text[], t_domain small_int)",
    "INSERT INTO typed (id, note) SELECT i, 'n' FROM generate_series(1, 4) i",

    // Texts that are equal and look different.
    "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    "CREATE TABLE alike (id int PRIMARY KEY, name text COLLATE any_case, grp int NOT NULL)",
    "INSERT INTO alike VALUES (1, 'a', 1), (2, 'A', 2), (3, 'b', 1), (4, 'B', 2)",
};

const char* const kViews[] = {
    ("CREATE VIEW task_owner AS SELECT t.id, t.owner_id, t.grp, t.v, o.code, o.region FROM task t "
     "JOIN owner o ON o.id = t.owner_id"),
    "CREATE VIEW grp_two AS SELECT id, grp, v, name FROM item WHERE grp = 2",
    "CREATE VIEW both_kinds AS SELECT id, grp, v FROM task UNION ALL SELECT id, grp, v FROM item",
    "CREATE VIEW grp_count AS SELECT grp, count(*) AS n, sum(v) AS total FROM task GROUP BY grp",
    "CREATE VIEW busy AS SELECT g.grp, g.n, o.code FROM grp_count g JOIN owner o ON o.id = g.grp",
    "CREATE VIEW busy_north AS SELECT * FROM busy WHERE n > 0",
};

struct Stored {
  const char* name;
  bool only;  // has children of its own right
};

const Stored kStored[] = {
    {"owner", false}, {"badge", false},   {"task", false},   {"step", false},    {"item", false},
    {"tree", false},  {"checked", false}, {"spread", false}, {"placed", false},  {"hashed", false},
    {"base", true},   {"kid", false},     {"typed", false},  {"regions", false}, {"large", false},
    {"coded", false}, {"alike", false},
};

const char* const kLeaves[] = {"spread_low", "spread_mid",    "spread_high",    "placed_ab",
                               "placed_c",   "placed_rest",   "hashed_0",       "hashed_1",
                               "regions_1",  "regions_1_low", "regions_1_high", "regions_2"};

// Rows are compared by their text: some types have no equality. Foreign keys and cascades must not
// interfere, hence the replica role.
std::string restore_function(const std::string& schema) {
  std::string sql = "CREATE FUNCTION " + schema + ".restore() RETURNS void LANGUAGE plpgsql SET " +
                    "session_replication_role = replica AS $$ BEGIN ";
  for (const Stored& table : kStored) {
    const std::string name = (table.only ? "ONLY " : "") + schema + "." + table.name;
    const std::string saved = schema + "_saved." + table.name;
    sql += "DELETE FROM " + name + " x WHERE NOT EXISTS (SELECT FROM " + saved +
           " s WHERE s::text = x::text); ";
    sql += "INSERT INTO " + schema + "." + table.name + " SELECT * FROM " + saved +
           " s WHERE NOT EXISTS (SELECT FROM " + name + " x WHERE x::text = s::text); ";
  }
  return sql + "END $$";
}

void add_schema(std::vector<std::string>& out, Identity identity) {
  const std::string schema = schema_name(identity);
  out.push_back("CREATE SCHEMA " + schema);
  out.push_back("CREATE SCHEMA " + schema + "_saved");
  out.push_back("SET search_path = " + schema);
  for (const char* sql : kTables) out.emplace_back(sql);
  for (const char* sql : kViews) out.emplace_back(sql);
  for (const std::string& sql : typed_values()) out.push_back(sql);
  for (const Stored& table : kStored) {
    out.push_back("CREATE TABLE " + schema + "_saved." + table.name + " AS SELECT * FROM " +
                  (table.only ? "ONLY " : "") + table.name);
  }
  out.push_back(restore_function(schema));
  if (identity == Identity::kDefault) return;
  for (const std::string& table : table_names()) {
    out.push_back("ALTER TABLE " + table + " REPLICA IDENTITY FULL");
  }
}

}  // namespace

std::string schema_name(Identity identity) {
  return identity == Identity::kFull ? "with_full" : "with_default";
}

std::vector<std::string> set_up_statements() {
  std::vector<std::string> out;
  add_schema(out, Identity::kFull);
  add_schema(out, Identity::kDefault);
  return out;
}

std::vector<std::string> table_names() {
  std::vector<std::string> names;
  for (const Stored& table : kStored) names.emplace_back(table.name);
  for (const char* leaf : kLeaves) names.emplace_back(leaf);
  return names;
}

std::string restore_statement(Identity identity) {
  return "SELECT " + schema_name(identity) + ".restore()";
}

}  // namespace pgcache::precision
