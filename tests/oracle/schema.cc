// SPDX-License-Identifier: Apache-2.0
#include "oracle/schema.h"

#include <algorithm>

namespace pgcache::oracle {
namespace {

struct KindInfo {
  const char* type;
  const char* prefix;  // of column names
};

KindInfo info(Kind kind) {
  switch (kind) {
    case Kind::kSmallint:
      return {"smallint", "si"};
    case Kind::kInt:
      return {"int", "i"};
    case Kind::kBigint:
      return {"bigint", "bi"};
    case Kind::kNumeric:
      return {"numeric", "num"};
    case Kind::kDecimal:
      return {"numeric(10,2)", "dec"};
    case Kind::kDouble:
      return {"float8", "f"};
    case Kind::kText:
      return {"text", "txt"};
    case Kind::kVarchar:
      return {"varchar(10)", "vc"};
    case Kind::kChar:
      return {"char(5)", "ch"};
    case Kind::kBool:
      return {"bool", "b"};
    case Kind::kDate:
      return {"date", "d"};
    case Kind::kTimestamp:
      return {"timestamp", "ts"};
    case Kind::kTimestamptz:
      return {"timestamptz", "tz"};
    case Kind::kUuid:
      return {"uuid", "u"};
    case Kind::kEnum:
      return {"oracle.mood", "mood"};
    case Kind::kBytea:
      return {"bytea", "by"};
    case Kind::kJsonb:
      return {"jsonb", "j"};
    case Kind::kIntArray:
      return {"int[]", "arr"};
    case Kind::kBig:
      return {"text", "big"};
  }
  return {"text", "x"};
}

std::string columns_sql(const Relation& relation) {
  std::string sql;
  for (const Column& column : relation.columns) {
    if (!sql.empty()) sql += ", ";
    sql += column.name + " " + type_name(column.kind);
    if (!column.nullable) sql += " NOT NULL";
  }
  return sql;
}

std::string key_sql(const Relation& relation) {
  std::string sql;
  for (const std::string& column : relation.key) sql += (sql.empty() ? "" : ", ") + column;
  return sql;
}

void add_random_columns(Relation& relation, int count, Random& random) {
  static const std::vector<Kind> kinds = {
      Kind::kSmallint, Kind::kInt,  Kind::kBigint,    Kind::kNumeric,     Kind::kDecimal,
      Kind::kDouble,   Kind::kText, Kind::kText,      Kind::kVarchar,     Kind::kChar,
      Kind::kBool,     Kind::kDate, Kind::kTimestamp, Kind::kTimestamptz, Kind::kUuid,
      Kind::kEnum,     Kind::kText, Kind::kBytea,     Kind::kJsonb,       Kind::kIntArray,
      Kind::kBig};
  for (int i = 0; i < count; ++i) {
    const Kind kind = random.pick(kinds);
    const std::string name = info(kind).prefix + std::to_string(i);
    relation.columns.push_back({name, kind, random.chance(80)});
  }
}

// The key's kind is one of: an integer, a text, a uuid, two columns.
Relation plain_table(const std::string& name, Random& random) {
  Relation table;
  table.name = name;
  switch (random.below(6)) {
    case 0:
      table.columns = {{"ka", Kind::kInt, false}, {"kb", Kind::kText, false}};
      table.key = {"ka", "kb"};
      break;
    case 1:
      table.columns = {{"id", Kind::kBigint, false}};
      table.key = {"id"};
      break;
    case 2:
      table.columns = {{"id", Kind::kInt, false}, {"ku", Kind::kUuid, false}};
      table.key = {"ku"};
      break;
    default:
      table.columns = {{"id", Kind::kInt, false}};
      table.key = {"id"};
  }
  table.columns.push_back({"grp", Kind::kInt, random.chance(50)});
  table.columns.push_back({"v", Kind::kInt, random.chance(70)});
  add_random_columns(table, random.between(3, 7), random);
  return table;
}

void create_table(Schema& schema, const Relation& table, Random& random) {
  schema.statements.push_back("CREATE TABLE " + table.qualified() + " (" + columns_sql(table) +
                              (table.key.empty() ? "" : ", PRIMARY KEY (" + key_sql(table) + ")") +
                              ")");
  for (const Column& column : table.columns) {
    if (column.kind == Kind::kBig) {
      schema.statements.push_back("ALTER TABLE " + table.qualified() + " ALTER " + column.name +
                                  " SET STORAGE EXTERNAL");
    }
  }
  if (random.chance(30)) {
    schema.statements.push_back("CREATE INDEX ON " + table.qualified() + " (grp, v)");
  }
  if (random.chance(45)) {
    schema.statements.push_back("ALTER TABLE " + table.qualified() + " REPLICA IDENTITY FULL");
  }
  if (!table.key.empty()) {
    const std::string alter = "ALTER TABLE " + table.qualified() + " ";
    schema.alterations.push_back(alter + "REPLICA IDENTITY FULL");
    schema.alterations.push_back(alter + "REPLICA IDENTITY DEFAULT");
    schema.alterations.push_back(alter + "ADD COLUMN IF NOT EXISTS extra int DEFAULT 7");
    schema.alterations.push_back(alter + "ADD COLUMN IF NOT EXISTS extra text");
    schema.alterations.push_back(alter + "DROP COLUMN IF EXISTS extra");
    schema.alterations.push_back("UPDATE " + table.qualified() +
                                 " SET grp = 1 WHERE grp IS NULL; " + alter +
                                 "ALTER grp TYPE bigint");
    schema.alterations.push_back(alter + "ALTER grp TYPE int");
  }
  schema.relations.push_back(table);
}

void add_plain_tables(Schema& schema, Random& random) {
  const int count = random.between(2, 4);
  for (int i = 0; i < count; ++i) {
    create_table(schema, plain_table("t" + std::to_string(i), random), random);
  }
  // The same name in another schema, with the same columns and other rows.
  Relation second = schema.relations.front();
  second.schema = "alt";
  create_table(schema, second, random);
}

void add_family(Schema& schema, Random& random) {
  Relation parent;
  parent.name = "par";
  parent.columns = {{"id", Kind::kInt, false},
                    {"grp", Kind::kInt, true},
                    {"v", Kind::kInt, true},
                    {"txt", Kind::kText, true}};
  parent.key = {"id"};
  create_table(schema, parent, random);
  Relation child;
  child.name = "chi";
  child.columns = {{"id", Kind::kInt, false},
                   {"par_id", Kind::kInt, true},
                   {"grp", Kind::kInt, true},
                   {"v", Kind::kInt, true}};
  child.key = {"id"};
  create_table(schema, child, random);
  const std::string action = random.pick({"CASCADE", "CASCADE", "SET NULL"});
  schema.statements.push_back(
      "ALTER TABLE oracle.chi ADD FOREIGN KEY (par_id) REFERENCES oracle.par ON DELETE " + action +
      " ON UPDATE CASCADE");
}

// Rows whose large value is stored apart, so that the stream leaves it out where an UPDATE does not
// touch it. The key has a column that many rows share and that changes.
void add_wide(Schema& schema, Random& random) {
  Relation wide;
  wide.name = "wide";
  wide.columns = {{"id", Kind::kInt, false},
                  {"grp", Kind::kInt, false},
                  {"v", Kind::kInt, true},
                  {"big", Kind::kBig, true}};
  wide.key = {"id", "grp"};
  create_table(schema, wide, random);
}

void add_partitioned(Schema& schema, Random& random) {
  Relation root;
  root.name = "part";
  root.columns = {{"id", Kind::kInt, false},
                  {"grp", Kind::kInt, false},
                  {"v", Kind::kInt, true},
                  {"txt", Kind::kText, true}};
  root.key = {"id", "grp"};
  const std::string full = random.chance(30) ? " REPLICA IDENTITY FULL" : "";
  schema.statements.push_back("CREATE TABLE oracle.part (" + columns_sql(root) +
                              ", PRIMARY KEY (id, grp)) PARTITION BY RANGE (grp)");
  schema.relations.push_back(root);
  const char* bounds[] = {"FROM (MINVALUE) TO (2)", "FROM (2) TO (4)", "FROM (4) TO (MAXVALUE)"};
  for (int i = 0; i < 3; ++i) {
    Relation leaf = root;
    leaf.name = "part_" + std::to_string(i);
    schema.statements.push_back("CREATE TABLE oracle." + leaf.name +
                                " PARTITION OF oracle.part FOR VALUES " + bounds[i]);
    if (!full.empty()) schema.statements.push_back("ALTER TABLE oracle." + leaf.name + full);
    schema.relations.push_back(leaf);
  }
  schema.alterations.push_back("ALTER TABLE oracle.part DETACH PARTITION oracle.part_1");
  schema.alterations.push_back(
      "ALTER TABLE oracle.part ATTACH PARTITION oracle.part_1 FOR VALUES FROM (2) TO (4)");
}

void add_inherited(Schema& schema) {
  Relation parent;
  parent.name = "inh";
  parent.columns = {{"id", Kind::kInt, false}, {"grp", Kind::kInt, true}, {"v", Kind::kInt, true}};
  parent.key = {"id"};
  parent.caching = Caching::kMaybe;
  schema.statements.push_back("CREATE TABLE oracle.inh (" + columns_sql(parent) +
                              ", PRIMARY KEY (id))");
  schema.statements.push_back(
      "CREATE TABLE oracle.inh_child (extra text, PRIMARY KEY (id)) INHERITS (oracle.inh)");
  schema.relations.push_back(parent);
  Relation child = parent;
  child.name = "inh_child";
  child.columns.push_back({"extra", Kind::kText, true});
  schema.relations.push_back(child);
}

void add_trigger(Schema& schema) {
  Relation log;
  log.name = "tlog";
  log.columns = {{"grp", Kind::kInt, false}, {"v", Kind::kInt, true}};
  log.key = {"grp"};
  schema.statements.push_back("CREATE TABLE oracle.tlog (grp int PRIMARY KEY, v int)");
  schema.relations.push_back(log);
  schema.statements.push_back(
      "CREATE FUNCTION oracle.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "INSERT INTO oracle.tlog AS l VALUES (coalesce(CASE TG_OP WHEN 'DELETE' THEN OLD.grp ELSE "
      "NEW.grp END, -1), 1) ON CONFLICT (grp) DO UPDATE SET v = l.v + 1; RETURN NULL; END $$");
  schema.statements.push_back(
      "CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON oracle.t0 FOR EACH ROW "
      "EXECUTE FUNCTION oracle.note()");
}

Relation view_like(const std::string& name, std::vector<Column> columns, Caching caching) {
  Relation view;
  view.name = name;
  view.columns = std::move(columns);
  view.writable = false;
  view.caching = caching;
  return view;
}

void add_views(Schema& schema, Random& random) {
  const std::vector<Column> grp_v = {{"grp", Kind::kInt, true}, {"v", Kind::kInt, true}};
  const std::vector<Column> grp_n = {{"grp", Kind::kInt, true}, {"n", Kind::kBigint, false}};
  const std::string limit = std::to_string(random.between(3, 12));
  schema.statements.push_back("CREATE VIEW oracle.vw AS SELECT grp, v FROM oracle.t0 WHERE v < " +
                              limit);
  schema.relations.push_back(view_like("vw", grp_v, Caching::kYes));
  schema.statements.push_back(
      "CREATE VIEW oracle.vj AS SELECT p.grp, c.v FROM oracle.par p LEFT JOIN oracle.chi c ON "
      "c.par_id = p.id");
  schema.relations.push_back(view_like("vj", grp_v, Caching::kYes));
  schema.statements.push_back(
      "CREATE VIEW oracle.vv AS SELECT grp, count(*) AS n FROM oracle.vw GROUP BY grp");
  schema.relations.push_back(view_like("vv", grp_n, Caching::kYes));
  schema.statements.push_back("CREATE MATERIALIZED VIEW oracle.mv AS SELECT grp, v FROM oracle.t1");
  schema.relations.push_back(view_like("mv", grp_v, Caching::kNo));
  schema.alterations.push_back(
      "CREATE OR REPLACE VIEW oracle.vw AS SELECT grp, v FROM oracle.t0 WHERE v >= " + limit);
  schema.alterations.push_back(
      "CREATE OR REPLACE VIEW oracle.vw AS SELECT grp, v FROM oracle.t0 WHERE v < " + limit);
  schema.alterations.push_back("REFRESH MATERIALIZED VIEW oracle.mv");
}

void add_oddities(Schema& schema) {
  Relation keyless;
  keyless.name = "nokey";
  keyless.columns = {
      {"grp", Kind::kInt, true}, {"v", Kind::kInt, true}, {"txt", Kind::kText, true}};
  keyless.caching = Caching::kNo;
  schema.statements.push_back("CREATE TABLE oracle.nokey (" + columns_sql(keyless) + ")");
  schema.relations.push_back(keyless);
  Relation full = keyless;
  full.name = "nokey_full";
  full.caching = Caching::kYes;
  schema.statements.push_back("CREATE TABLE oracle.nokey_full (" + columns_sql(full) + ")");
  schema.statements.push_back("ALTER TABLE oracle.nokey_full REPLICA IDENTITY FULL");
  schema.relations.push_back(full);
  Relation unlogged = keyless;
  unlogged.name = "unlog";
  schema.statements.push_back("CREATE UNLOGGED TABLE oracle.unlog (" + columns_sql(unlogged) + ")");
  schema.relations.push_back(unlogged);
}

void add_functions(Schema& schema) {
  schema.statements.push_back(
      "CREATE FUNCTION oracle.f_imm(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 5'");
  schema.statements.push_back(
      "CREATE FUNCTION oracle.f_vol(int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN "
      "$1 + (SELECT count(*) FROM oracle.t1); END $$");
  schema.statements.push_back(
      "CREATE FUNCTION oracle.f_stb(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT count(*)::int "
      "+ "
      "$1 FROM oracle.t1'");
  schema.alterations.push_back(
      "CREATE OR REPLACE FUNCTION oracle.f_imm(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT "
      "$1 % 3'");
  schema.alterations.push_back(
      "CREATE OR REPLACE FUNCTION oracle.f_imm(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT "
      "$1 % 5'");
}

}  // namespace

const char* type_name(Kind kind) { return info(kind).type; }

bool is_integer(Kind kind) {
  return kind == Kind::kSmallint || kind == Kind::kInt || kind == Kind::kBigint;
}

bool is_textual(Kind kind) {
  return kind == Kind::kText || kind == Kind::kVarchar || kind == Kind::kBig;
}

bool is_exact(Kind kind) {
  return kind != Kind::kNumeric && kind != Kind::kDouble && kind != Kind::kJsonb;
}

bool is_ordered(Kind kind) {
  return kind != Kind::kBool && kind != Kind::kUuid && kind != Kind::kBytea &&
         kind != Kind::kJsonb && kind != Kind::kIntArray;
}

bool Relation::in_key(const std::string& column) const {
  return std::find(key.begin(), key.end(), column) != key.end();
}

const Relation* Schema::find(const std::string& name) const {
  for (const Relation& relation : relations) {
    if (relation.name == name) return &relation;
  }
  return nullptr;
}

const Relation& Schema::table_of(const Relation& relation) const {
  if (relation.writable) return relation;
  return *find(relation.name == "vj" ? "chi" : relation.name == "mv" ? "t1" : "t0");
}

Schema make_schema(Random& random) {
  Schema schema;
  schema.statements = {"DROP SCHEMA IF EXISTS oracle CASCADE", "DROP SCHEMA IF EXISTS alt CASCADE",
                       "CREATE SCHEMA oracle", "CREATE SCHEMA alt",
                       "CREATE TYPE oracle.mood AS ENUM ('sad', 'ok', 'happy')"};
  add_plain_tables(schema, random);
  add_family(schema, random);
  add_wide(schema, random);
  add_partitioned(schema, random);
  add_inherited(schema);
  add_trigger(schema);
  add_views(schema, random);
  add_oddities(schema);
  add_functions(schema);
  schema.statements.push_back("GRANT USAGE ON SCHEMA oracle, alt TO oracle_reader");
  schema.statements.push_back("GRANT SELECT ON ALL TABLES IN SCHEMA oracle, alt TO oracle_reader");
  schema.statements.push_back("REVOKE ALL ON oracle.t1 FROM oracle_reader");
  return schema;
}

}  // namespace pgcache::oracle
