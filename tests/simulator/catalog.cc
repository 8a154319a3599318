// SPDX-License-Identifier: Apache-2.0
// The catalog snapshot of the model's database: its tables, and what pg_catalog must hold so that
// the simulator's statements resolve.
#include "simulator/model.h"

namespace pgcache::simulator {

namespace {

constexpr pg::Oid kPgCatalog{11};
constexpr pg::Oid kPublic{2200};
constexpr pg::Oid kAlt{19000};
constexpr pg::Oid kDefaultCollation{100};

void add_type(pg::Catalog& catalog, pg::Oid oid, std::string name, char kind = 'b') {
  pg::Type type;
  type.oid = oid;
  type.schema = kPgCatalog;
  type.name = std::move(name);
  type.kind = kind;
  type.io_volatility = pg::Volatility::kImmutable;
  catalog.add_type(std::move(type));
}

pg::Oid add_function(pg::Catalog& catalog, std::uint32_t oid, std::string name, char kind,
                     pg::Volatility volatility, std::vector<pg::Oid> args, pg::Oid result) {
  pg::Function function;
  function.oid = pg::Oid{oid};
  function.schema = kPgCatalog;
  function.name = std::move(name);
  function.kind = kind;
  function.volatility = volatility;
  function.args = std::move(args);
  function.result = result;
  catalog.add_function(std::move(function));
  return pg::Oid{oid};
}

void add_comparisons(pg::Catalog& catalog, std::uint32_t first_oid, const std::string& prefix,
                     pg::Oid type) {
  const char* operators[] = {"=", "<>", "<", "<=", ">", ">="};
  const char* functions[] = {"eq", "ne", "lt", "le", "gt", "ge"};
  for (std::uint32_t i = 0; i < 6; ++i) {
    pg::Operator op;
    op.oid = pg::Oid{first_oid + 10 + i};
    op.schema = kPgCatalog;
    op.name = operators[i];
    op.left = op.right = type;
    op.result = pg::type::kBool;
    op.function = add_function(catalog, first_oid + i, prefix + functions[i], 'f',
                               pg::Volatility::kImmutable, {type, type}, pg::type::kBool);
    catalog.add_operator(std::move(op));
  }
}

void add_table(pg::Catalog& catalog, const TableSpec& table) {
  pg::Relation relation;
  relation.oid = table.oid;
  relation.schema = table.schema == "alt" ? kAlt : kPublic;
  relation.schema_name = table.schema;
  relation.name = table.name;
  relation.replica_identity = table.replica_identity;
  relation.has_replica_identity = table.replica_identity != 'n';
  if (table.replica_identity == 'd') relation.key_columns = {"id"};
  std::int16_t attnum = 0;
  for (const ColumnSpec& spec : table.columns) {
    pg::Column column;
    column.attnum = ++attnum;
    column.name = spec.name;
    column.type = spec.is_text ? pg::type::kText : pg::type::kInt4;
    column.not_null = attnum == 1;
    if (spec.is_text) column.collation = kDefaultCollation;
    relation.columns.push_back(std::move(column));
  }
  catalog.add_relation(std::move(relation));
}

}  // namespace

std::shared_ptr<const pg::Catalog> make_catalog() {
  using pg::Volatility;
  auto catalog = std::make_shared<pg::Catalog>();
  catalog->set_database("app", "UTF8", 150000);
  catalog->add_schema(kPgCatalog, "pg_catalog");
  catalog->add_schema(kPublic, "public");
  catalog->add_schema(kAlt, "alt");
  add_type(*catalog, pg::type::kBool, "bool");
  add_type(*catalog, pg::type::kInt8, "int8");
  add_type(*catalog, pg::type::kInt4, "int4");
  add_type(*catalog, pg::type::kText, "text");
  add_type(*catalog, pg::type::kNumeric, "numeric");
  add_type(*catalog, pg::type::kTimestamptz, "timestamptz");
  add_type(*catalog, pg::type::kUnknown, "unknown", 'p');
  add_type(*catalog, pg::Oid{2276}, "any", 'p');
  add_comparisons(*catalog, 1000, "int4", pg::type::kInt4);
  add_comparisons(*catalog, 1100, "int8", pg::type::kInt8);
  add_comparisons(*catalog, 1200, "text", pg::type::kText);
  add_function(*catalog, 2147, "count", 'a', Volatility::kImmutable, {pg::Oid{2276}},
               pg::type::kInt8);
  add_function(*catalog, 2803, "count", 'a', Volatility::kImmutable, {}, pg::type::kInt8);
  add_function(*catalog, 2116, "max", 'a', Volatility::kImmutable, {pg::type::kInt4},
               pg::type::kInt4);
  add_function(*catalog, 1299, "now", 'f', Volatility::kStable, {}, pg::type::kTimestamptz);
  add_function(*catalog, 2078, "set_config", 'f', Volatility::kVolatile,
               {pg::type::kText, pg::type::kText, pg::type::kBool}, pg::type::kText);
  for (const TableId table : kTables) add_table(*catalog, spec(table));
  catalog->finish();
  return catalog;
}

}  // namespace pgcache::simulator
