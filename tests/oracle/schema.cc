// SPDX-License-Identifier: Apache-2.0
#include "oracle/schema.h"

#include <algorithm>

#include "oracle/schema_parts.h"

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
    case Kind::kReal:
      return {"float4", "r"};
    case Kind::kOid:
      return {"oid", "o"};
    case Kind::kName:
      return {"name", "nm"};
    case Kind::kTime:
      return {"time", "t"};
    case Kind::kTimetz:
      return {"timetz", "ttz"};
    case Kind::kInterval:
      return {"interval", "iv"};
    case Kind::kInet:
      return {"inet", "ip"};
    case Kind::kCidr:
      return {"cidr", "net"};
    case Kind::kMacaddr:
      return {"macaddr", "mac"};
    case Kind::kDomain:
      return {"oracle.small", "dom"};
    case Kind::kTextArray:
      return {"text[]", "tarr"};
  }
  return {"text", "x"};
}

std::string key_sql(const Relation& relation) {
  std::string sql;
  for (const std::string& column : relation.key) sql += (sql.empty() ? "" : ", ") + column;
  return sql;
}

void add_random_columns(Relation& relation, int count, Random& random) {
  static const std::vector<Kind> kinds = {
      Kind::kSmallint, Kind::kInt,       Kind::kBigint,    Kind::kNumeric,     Kind::kDecimal,
      Kind::kDouble,   Kind::kText,      Kind::kText,      Kind::kVarchar,     Kind::kChar,
      Kind::kBool,     Kind::kDate,      Kind::kTimestamp, Kind::kTimestamptz, Kind::kUuid,
      Kind::kEnum,     Kind::kText,      Kind::kBytea,     Kind::kJsonb,       Kind::kIntArray,
      Kind::kBig,      Kind::kReal,      Kind::kOid,       Kind::kName,        Kind::kTime,
      Kind::kTimetz,   Kind::kInterval,  Kind::kInet,      Kind::kCidr,        Kind::kMacaddr,
      Kind::kDomain,   Kind::kTextArray, Kind::kEnum,      Kind::kIntArray,    Kind::kDecimal};
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

}  // namespace

std::string columns_sql(const Relation& relation) {
  std::string sql;
  for (const Column& column : relation.columns) {
    if (!sql.empty()) sql += ", ";
    sql += column.name + " " + type_name(column.kind);
    if (!column.nullable) sql += " NOT NULL";
  }
  return sql;
}

bool chooses_full(const Schema& schema, Random& random) {
  const bool chosen = random.chance(45);
  return schema.identities == Identities::kFull ||
         (schema.identities == Identities::kMixed && chosen);
}

std::string full_identity(const std::string& table) {
  return "ALTER TABLE " + table + " REPLICA IDENTITY FULL";
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
  if (chooses_full(schema, random)) schema.statements.push_back(full_identity(table.qualified()));
  if (!table.key.empty()) {
    const std::string alter = "ALTER TABLE " + table.qualified() + " ";
    if (schema.identities == Identities::kMixed) {
      schema.alterations.push_back(full_identity(table.qualified()));
      schema.alterations.push_back(alter + "REPLICA IDENTITY DEFAULT");
    }
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

namespace {

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

}  // namespace

const char* type_name(Kind kind) { return info(kind).type; }

bool is_integer(Kind kind) {
  return kind == Kind::kSmallint || kind == Kind::kInt || kind == Kind::kBigint;
}

bool is_textual(Kind kind) {
  return kind == Kind::kText || kind == Kind::kVarchar || kind == Kind::kBig;
}

bool is_exact(Kind kind) {
  return kind != Kind::kNumeric && kind != Kind::kDouble && kind != Kind::kReal &&
         kind != Kind::kJsonb && kind != Kind::kInterval;
}

bool is_ordered(Kind kind) {
  return kind != Kind::kBool && kind != Kind::kUuid && kind != Kind::kBytea &&
         kind != Kind::kJsonb && kind != Kind::kIntArray && kind != Kind::kTextArray &&
         kind != Kind::kMacaddr;
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

const Relation& Schema::table_of(const Relation& relation, Random& random) const {
  return relation.writable ? relation : *find(random.pick(relation.beneath));
}

bool Relation::has_column(const std::string& column) const {
  return std::any_of(columns.begin(), columns.end(),
                     [&](const Column& one) { return one.name == column; });
}

Schema make_schema(Identities identities, Random& random) {
  Schema schema;
  schema.identities = identities;
  schema.statements = {"DROP SCHEMA IF EXISTS oracle CASCADE",
                       "DROP SCHEMA IF EXISTS alt CASCADE",
                       "CREATE SCHEMA oracle",
                       "CREATE SCHEMA alt",
                       "CREATE TYPE oracle.mood AS ENUM ('sad', 'ok', 'happy')",
                       "CREATE DOMAIN oracle.small AS int CHECK (VALUE > -1000)"};
  add_plain_tables(schema, random);
  add_fixed_tables(schema, random);
  add_hierarchies(schema, random);
  add_views(schema, random);
  add_functions(schema);
  schema.statements.push_back("GRANT USAGE ON SCHEMA oracle, alt TO oracle_reader");
  schema.statements.push_back("GRANT SELECT ON ALL TABLES IN SCHEMA oracle, alt TO oracle_reader");
  schema.statements.push_back("REVOKE ALL ON oracle.t1 FROM oracle_reader");
  return schema;
}

}  // namespace pgcache::oracle
