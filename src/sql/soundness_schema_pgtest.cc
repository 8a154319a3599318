// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sql/soundness_schema_test_support.h"
#include "sql/test_catalog.h"

namespace pgcache::sql::testing {

// Replica identities are primary keys, but for bins, whose identity is the whole row.
const char* soundness_schema() {
  return "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2',"
         "  deterministic = false);"
         "CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');"
         "CREATE DOMAIN small AS int CHECK (VALUE < 9);"
         "CREATE TABLE teams (id int PRIMARY KEY, name text UNIQUE,"
         "  size int CHECK (size BETWEEN 0 AND 2), rank numeric UNIQUE);"
         "CREATE TABLE users (id int PRIMARY KEY, team_id int NOT NULL REFERENCES teams,"
         "  boss_id int REFERENCES users, name text NOT NULL, active bool,"
         "  email varchar(9) CHECK (email IN ('a', 'b', 'c')), UNIQUE (team_id, name));"
         "CREATE TABLE orders (id bigint PRIMARY KEY, user_id int REFERENCES users,"
         "  status text CHECK (status = 'a' OR status = 'b'), total numeric, paid bool NOT NULL);"
         "CREATE TABLE items (order_id bigint NOT NULL REFERENCES orders, n int NOT NULL,"
         "  qty smallint CHECK (qty = 1 OR qty > 2), PRIMARY KEY (order_id, n));"
         "CREATE TABLE notes (id int PRIMARY KEY, order_id bigint NOT NULL, n int NOT NULL,"
         "  body text, FOREIGN KEY (order_id, n) REFERENCES items);"
         "CREATE TABLE profiles (user_id int PRIMARY KEY REFERENCES users, bio text NOT NULL,"
         "  m mood);"
         "CREATE TABLE prices (price numeric PRIMARY KEY, label varchar(8) UNIQUE, code char(4));"
         "CREATE TABLE sales (id int PRIMARY KEY, price numeric NOT NULL REFERENCES prices,"
         "  label text);"
         "CREATE TABLE kinds (id int PRIMARY KEY, f float8, d date, ts timestamp, at timestamptz,"
         "  code char(4), tag text COLLATE \"C\" CHECK (tag > 'a'), nick text COLLATE any_case,"
         "  m mood CHECK (m <> 'sad'), pos small, nums int[], u uuid);"
         "CREATE TABLE parts (k int, r int, v text, PRIMARY KEY (k, r)) PARTITION BY LIST (r);"
         "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (0, 1);"
         "CREATE TABLE parts_2 PARTITION OF parts DEFAULT;"
         "CREATE TABLE spans (k int PRIMARY KEY, v text, w numeric) PARTITION BY RANGE (k);"
         "CREATE TABLE spans_1 PARTITION OF spans FOR VALUES FROM (MINVALUE) TO (1);"
         "CREATE TABLE spans_2 PARTITION OF spans FOR VALUES FROM (1) TO (2);"
         "CREATE TABLE spans_3 PARTITION OF spans FOR VALUES FROM (2) TO (MAXVALUE);"
         "CREATE TABLE bins (id int, label text, v int) PARTITION BY LIST (label);"
         "CREATE TABLE bins_a PARTITION OF bins FOR VALUES IN ('a', NULL);"
         "CREATE TABLE bins_rest PARTITION OF bins DEFAULT PARTITION BY RANGE (v, id);"
         "CREATE TABLE bins_low PARTITION OF bins_rest FOR VALUES FROM (0, 0) TO (1, 2);"
         "CREATE TABLE bins_high PARTITION OF bins_rest DEFAULT;"
         "CREATE TABLE animals (id int PRIMARY KEY, name text, legs int CHECK (legs <> 2));"
         "CREATE TABLE cats (PRIMARY KEY (id), CHECK (name <> 'b')) INHERITS (animals);"
         "CREATE VIEW members AS SELECT u.id, u.name, u.active, t.name AS team, t.size FROM users u"
         "  JOIN teams t ON t.id = u.team_id;"
         "CREATE VIEW named AS SELECT id, name FROM users WHERE active UNION ALL"
         "  SELECT id, name FROM animals WHERE legs > 0;"
         "CREATE VIEW either AS SELECT id, name FROM teams UNION SELECT k, v FROM parts;"
         "CREATE VIEW statuses AS SELECT DISTINCT status, paid FROM orders;"
         "CREATE VIEW cut AS SELECT id, (email::varchar(1))::text AS first, name::char(1) AS "
         "second,"
         "  team_id::numeric(3, 1) / 2 AS half FROM users;"
         "CREATE VIEW totals AS SELECT u.id, u.name, sum(o.total) AS total, count(o.id) AS n"
         "  FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id, u.name;";
}

namespace {

std::optional<ValueClass> class_of(const pg::Catalog& catalog, const pg::Column& column) {
  namespace type = pg::type;
  const pg::Oid base = catalog.base_type(column.type);
  if (base == type::kInt2 || base == type::kInt4 || base == type::kInt8 || base == type::kNumeric) {
    return ValueClass::kNumber;
  }
  if (base == type::kFloat8) return ValueClass::kFloat;
  if (base == type::kBpchar) return ValueClass::kBpchar;
  if (base == type::kBool) return ValueClass::kBool;
  if (base == type::kDate) return ValueClass::kDate;
  if (base == type::kTimestamp) return ValueClass::kTimestamp;
  if (base == type::kTimestamptz) return ValueClass::kTimestamptz;
  if (base == type::kUuid) return ValueClass::kUuid;
  if (base == type::kText || base == type::kVarchar) {
    if (!column.collation_deterministic) return ValueClass::kAnyCase;
    return column.collation == kDefaultCollation ? ValueClass::kText : ValueClass::kCText;
  }
  const pg::Type* const found = catalog.find_type(base);
  if (found != nullptr && found->kind == 'e') return ValueClass::kEnum;
  if (found != nullptr && found->element == type::kInt4) return ValueClass::kInts;
  return std::nullopt;
}

}  // namespace

std::vector<Table> tables_of(const pg::Catalog& catalog) {
  std::vector<Table> tables;
  const pg::Oid schema = catalog.find_schema("public");
  for (const auto& [oid, relation] : catalog.relations()) {
    const bool is_table = relation.kind == 'r' || relation.kind == 'p';
    if (relation.schema != schema || (!is_table && relation.kind != 'v')) continue;
    Table& table = tables.emplace_back();
    table.name = relation.name;
    table.oid = oid;
    table.has_rows = relation.kind == 'r';
    table.has_children = !relation.descendants.empty();
    for (const pg::Column& column : relation.columns) {
      const auto type = class_of(catalog, column);
      if (!type) continue;
      const pg::Oid base = catalog.base_type(column.type);
      table.columns.push_back({column.name, *type, column.not_null,
                               *type == ValueClass::kNumber && base != pg::type::kNumeric});
    }
  }
  std::sort(tables.begin(), tables.end(),
            [](const Table& a, const Table& b) { return a.name < b.name; });
  return tables;
}

std::string Values::plain(ValueClass type) {
  const auto among = [&](std::vector<std::string> values) { return pick(values); };
  switch (type) {
    case ValueClass::kNumber:
      return chance(88) ? among({"1", "2"}) : among({"0", "3", "-1"});
    case ValueClass::kFloat:
      return among({"1", "2", "1.5", "0.1", "-0", "NaN"});
    case ValueClass::kText:
    case ValueClass::kCText:
      return chance(85) ? among({"a", "b"}) : among({"A", "ab", "c", "a "});
    case ValueClass::kAnyCase:
      return among({"a", "b", "A"});
    case ValueClass::kBpchar:
      return among({"a", "b", "a "});
    case ValueClass::kBool:
      return among({"true", "false"});
    case ValueClass::kDate:
      return among({"2024-01-01", "2024-01-02"});
    case ValueClass::kTimestamp:
      return among({"2024-01-01 00:00:00", "2024-01-02 00:00:00"});
    case ValueClass::kTimestamptz:
      return among({"2024-01-01 00:00:00+00", "2024-01-01 02:00:00+02", "2024-01-02Z"});
    case ValueClass::kEnum:
      return among({"sad", "ok", "glad"});
    case ValueClass::kInts:
      return among({"{1}", "{1,2}", "{}", "{2,NULL}"});
    case ValueClass::kUuid:
      return among(
          {"00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000B"});
  }
  return "";
}

std::string Values::of_row(const TableColumn& column) {
  if (chance(column.not_null ? 0 : 20)) return "NULL";
  if (column.type == ValueClass::kNumber && !column.whole_numbers && chance(25)) {
    return pick<std::string>({"1.5", "1.50", "1.0"});
  }
  return "'" + plain(column.type) + "'";
}

std::string_view type_name(ValueClass type) {
  switch (type) {
    case ValueClass::kNumber:
      return "numeric";
    case ValueClass::kFloat:
      return "float8";
    case ValueClass::kText:
    case ValueClass::kCText:
    case ValueClass::kAnyCase:
      return "text";
    case ValueClass::kBpchar:
      return "char(4)";
    case ValueClass::kBool:
      return "bool";
    case ValueClass::kDate:
      return "date";
    case ValueClass::kTimestamp:
      return "timestamp";
    case ValueClass::kTimestamptz:
      return "timestamptz";
    case ValueClass::kEnum:
      return "mood";
    case ValueClass::kInts:
      return "int[]";
    case ValueClass::kUuid:
      return "uuid";
  }
  return "";
}

}  // namespace pgcache::sql::testing
