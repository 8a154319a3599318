// SPDX-License-Identifier: Apache-2.0
// A catalog for tests without a server: built-in types, functions, operators and casts as
// PostgreSQL 15 has them (test_catalog_builtins.inc), and a small shop in schema public.
#pragma once

#include <initializer_list>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "pg/catalog.h"

namespace pgcache::sql::testing {

inline constexpr pg::Oid kPgCatalogSchema{11}, kPublic{2200}, kInformationSchema{13000},
    kOther{16390};

// Relations of the shop.
inline constexpr pg::Oid kUsers{16401}, kProducts{16402}, kOrders{16403}, kOrderItems{16404},
    kParts{16405}, kParts1{16406}, kParts2{16407}, kActiveUsers{16408}, kUserTotals{16409},
    kFeelings{16410}, kAnimals{16411}, kCats{16412}, kNestedView{16413};
// Types of the shop: an enum, a domain over int4, a domain over timestamptz.
inline constexpr pg::Oid kMood{16450}, kPositive{16451}, kMoment{16452};
inline constexpr pg::Oid kDefaultCollation{100}, kCCollation{950}, kNondeterministic{16460};

inline constexpr const char* kBuiltins =
#include "sql/test_catalog_builtins.inc"
    ;

inline pg::Oid read_oid(std::istream& in) {
  std::uint32_t oid = 0;
  in >> oid;
  return pg::Oid{oid};
}

inline void add_type(pg::Catalog& catalog, std::istream& in) {
  pg::Type type;
  char volatility = 'v';
  type.oid = read_oid(in);
  type.schema = kPgCatalogSchema;
  in >> type.name >> type.kind;
  type.base = read_oid(in);
  type.element = read_oid(in);
  type.array = read_oid(in);
  in >> volatility;
  type.io_volatility = static_cast<pg::Volatility>(volatility);
  catalog.add_type(std::move(type));
}

inline void add_function(pg::Catalog& catalog, std::istream& in) {
  pg::Function function;
  char volatility = 'v';
  function.oid = read_oid(in);
  function.schema = kPgCatalogSchema;
  in >> function.name >> function.kind >> volatility;
  function.volatility = static_cast<pg::Volatility>(volatility);
  function.result = read_oid(in);
  in >> function.returns_set;
  function.variadic = read_oid(in);
  in >> function.default_args;
  for (std::uint32_t oid = 0; in >> oid;) function.args.push_back(pg::Oid{oid});
  catalog.add_function(std::move(function));
}

inline void add_operator(pg::Catalog& catalog, std::istream& in) {
  pg::Operator op;
  op.oid = read_oid(in);
  op.schema = kPgCatalogSchema;
  in >> op.name;
  op.left = read_oid(in);
  op.right = read_oid(in);
  op.result = read_oid(in);
  op.function = read_oid(in);
  catalog.add_operator(std::move(op));
}

inline void add_cast(pg::Catalog& catalog, std::istream& in) {
  pg::Cast cast;
  cast.source = read_oid(in);
  cast.target = read_oid(in);
  cast.function = read_oid(in);
  in >> cast.method >> cast.context;
  catalog.add_cast(cast);
}

inline void add_builtins(pg::Catalog& catalog) {
  catalog.add_schema(kPgCatalogSchema, "pg_catalog");
  catalog.add_schema(kPublic, "public");
  catalog.add_schema(kInformationSchema, "information_schema");
  catalog.add_schema(kOther, "other");
  std::istringstream lines(kBuiltins);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in(line);
    char kind = 0;
    if (!(in >> kind)) continue;
    if (kind == 't') add_type(catalog, in);
    if (kind == 'f') add_function(catalog, in);
    if (kind == 'o') add_operator(catalog, in);
    if (kind == 'c') add_cast(catalog, in);
  }
}

struct ColumnSpec {
  const char* name;
  pg::Oid type;
  pg::Oid collation = pg::Oid::kInvalid;  // kInvalid: the default of the type
};

inline pg::Relation make_relation(pg::Oid oid, const char* name,
                                  std::initializer_list<ColumnSpec> columns) {
  pg::Relation relation;
  relation.oid = oid;
  relation.schema = kPublic;
  relation.schema_name = "public";
  relation.name = name;
  relation.has_replica_identity = true;
  for (const ColumnSpec& spec : columns) {
    pg::Column& column = relation.columns.emplace_back();
    column.attnum = static_cast<std::int16_t>(relation.columns.size());
    column.name = spec.name;
    column.type = spec.type;
    column.collation = spec.collation;
    const bool text = spec.type == pg::type::kText || spec.type == pg::type::kVarchar ||
                      spec.type == pg::type::kBpchar;
    if (text && spec.collation == pg::Oid::kInvalid) column.collation = kDefaultCollation;
    column.collation_is_c = spec.collation == kCCollation;
    column.collation_deterministic = spec.collation != kNondeterministic;
  }
  if (!relation.columns.empty()) relation.key_columns = {relation.columns[0].name};
  return relation;
}

inline pg::Function make_function(pg::Oid oid, const char* name, pg::Volatility volatility,
                                  std::vector<pg::Oid> args, pg::Oid result) {
  pg::Function function;
  function.oid = oid;
  function.schema = kPublic;
  function.name = name;
  function.volatility = volatility;
  function.args = std::move(args);
  function.result = result;
  return function;
}

inline void add_shop_types(pg::Catalog& catalog) {
  pg::Type mood;
  mood.oid = kMood;
  mood.schema = kPublic;
  mood.name = "mood";
  mood.kind = 'e';
  mood.io_volatility = pg::Volatility::kStable;
  mood.array = pg::Oid{16453};
  catalog.add_type(mood);
  pg::Type moods = mood;
  moods.oid = mood.array;
  moods.name = "_mood";
  moods.kind = 'b';
  moods.element = kMood;
  moods.array = pg::Oid::kInvalid;
  catalog.add_type(moods);
  pg::Type positive = mood;
  positive.array = pg::Oid::kInvalid;
  positive.oid = kPositive;
  positive.name = "positive";
  positive.kind = 'd';
  positive.base = pg::type::kInt4;
  catalog.add_type(positive);
  pg::Type moment = positive;
  moment.oid = kMoment;
  moment.name = "moment";
  moment.base = pg::type::kTimestamptz;
  catalog.add_type(moment);
}

inline void add_shop_tables(pg::Catalog& catalog) {
  using namespace pg::type;  // NOLINT: the names of column types
  catalog.add_relation(make_relation(kUsers, "users",
                                     {{"id", kInt4},
                                      {"name", kText},
                                      {"email", kVarchar},
                                      {"active", kBool},
                                      {"score", kNumeric},
                                      {"created_at", kTimestamptz},
                                      {"born", kDate},
                                      {"code", kBpchar},
                                      {"tag", kText, kCCollation},
                                      {"team_id", kInt8},
                                      {"settings", kJsonb},
                                      {"tags", pg::Oid{1009}},
                                      {"nick", kText, kNondeterministic}}));
  catalog.add_relation(make_relation(kProducts, "products",
                                     {{"id", kInt4},
                                      {"title", kText},
                                      {"price", kNumeric},
                                      {"weight", kFloat8},
                                      {"kind", kVarchar},
                                      {"uid", kUuid}}));
  catalog.add_relation(make_relation(kOrders, "orders",
                                     {{"id", kInt8},
                                      {"user_id", kInt4},
                                      {"status", kText},
                                      {"placed", kTimestamp},
                                      {"total", kNumeric}}));
  catalog.add_relation(make_relation(kOrderItems, "order_items",
                                     {{"order_id", kInt8}, {"product_id", kInt4}, {"qty", kInt2}}));
  catalog.add_relation(
      make_relation(kFeelings, "feelings",
                    {{"id", kPositive}, {"m", kMood}, {"r", pg::Oid{2205}}, {"at", kMoment}}));
  catalog.add_relation(make_relation(kAnimals, "animals", {{"id", kInt4}, {"name", kText}}));
  pg::Relation cats = make_relation(kCats, "cats", {{"id", kInt4}, {"name", kText}});
  cats.parents = {kAnimals};
  catalog.add_relation(cats);
  pg::Relation parts = make_relation(kParts, "parts", {{"k", kInt4}, {"r", kInt4}, {"v", kText}});
  parts.kind = 'p';
  catalog.add_relation(parts);
  for (const auto& [oid, name] : {std::pair(kParts1, "parts_1"), std::pair(kParts2, "parts_2")}) {
    pg::Relation part = make_relation(oid, name, {{"k", kInt4}, {"r", kInt4}, {"v", kText}});
    part.is_partition = true;
    part.parents = {kParts};
    catalog.add_relation(part);
  }
}

inline void add_shop_views(pg::Catalog& catalog) {
  using namespace pg::type;  // NOLINT: the names of column types
  pg::Relation active = make_relation(kActiveUsers, "active_users",
                                      {{"id", kInt4}, {"name", kText}, {"email", kVarchar}});
  active.kind = 'v';
  active.view_definition =
      " SELECT users.id,\n    users.name,\n    users.email\n   FROM public.users\n"
      "  WHERE (users.active AND (users.score > (1)::numeric));";
  catalog.add_relation(active);
  pg::Relation totals = make_relation(kUserTotals, "user_totals",
                                      {{"id", kInt4}, {"name", kText}, {"total", kNumeric}});
  totals.kind = 'v';
  totals.view_definition =
      " SELECT u.id,\n    u.name,\n    sum(o.total) AS total\n   FROM (public.users u\n"
      "     LEFT JOIN public.orders o ON ((o.user_id = u.id)))\n  GROUP BY u.id, u.name;";
  catalog.add_relation(totals);
  pg::Relation nested = make_relation(kNestedView, "nested_view", {{"uid", kInt4}});
  nested.kind = 'v';
  nested.view_definition =
      " SELECT active_users.id AS uid\n   FROM public.active_users\n"
      "  WHERE (active_users.name = 'x'::text);";
  catalog.add_relation(nested);
}

// Relations that may not be cached, one for each rule.
inline void add_shop_exceptions(pg::Catalog& catalog) {
  const auto add = [&](std::uint32_t oid, const char* name, auto change) {
    pg::Relation relation = make_relation(pg::Oid{oid}, name, {{"a", pg::type::kInt4}});
    change(relation);
    catalog.add_relation(relation);
  };
  add(16420, "scratch", [](pg::Relation& r) { r.persistence = 'u'; });
  add(16421, "temporary", [](pg::Relation& r) { r.persistence = 't'; });
  add(16422, "distant", [](pg::Relation& r) { r.kind = 'f'; });
  add(16423, "materialized", [](pg::Relation& r) { r.kind = 'm'; });
  add(16424, "sequence", [](pg::Relation& r) { r.kind = 'S'; });
  add(16425, "secured", [](pg::Relation& r) { r.row_security = true; });
  add(16426, "ruled", [](pg::Relation& r) { r.has_rules = true; });
  add(16427, "half_foreign", [](pg::Relation& r) { r.kind = 'p'; });
  add(16428, "half_foreign_1", [](pg::Relation& r) {
    r.kind = 'f';
    r.is_partition = true;
    r.parents = {pg::Oid{16427}};
  });
  add(1259, "pg_class", [](pg::Relation& r) {
    r.schema = kPgCatalogSchema;
    r.schema_name = "pg_catalog";
  });
  add(13100, "tables", [](pg::Relation& r) {
    r.kind = 'v';
    r.schema = kInformationSchema;
    r.schema_name = "information_schema";
  });
  add(16429, "elsewhere", [](pg::Relation& r) {
    r.schema = kOther;
    r.schema_name = "other";
  });
  add(16430, "endless", [](pg::Relation& r) {
    r.kind = 'v';
    r.view_definition = "SELECT endless.a FROM public.endless";
  });
}

inline void add_shop_functions(pg::Catalog& catalog) {
  using pg::Volatility;
  const pg::Oid int4 = pg::type::kInt4;
  catalog.add_function(
      make_function(pg::Oid{16500}, "twice", Volatility::kImmutable, {int4}, int4));
  catalog.add_function(make_function(pg::Oid{16501}, "dice", Volatility::kVolatile, {int4}, int4));
  catalog.add_function(make_function(pg::Oid{16502}, "today", Volatility::kStable, {}, int4));
  // A user's function that hides behind a built-in name.
  catalog.add_function(make_function(pg::Oid{16503}, "lower", Volatility::kVolatile, {int4}, int4));
  pg::Function aggregate =
      make_function(pg::Oid{16504}, "my_sum", Volatility::kImmutable, {int4}, int4);
  aggregate.kind = 'a';
  catalog.add_function(aggregate);
}

// Without finish(), so that a test may add to it.
inline pg::Catalog make_shop_draft() {
  pg::Catalog catalog;
  catalog.set_database("shop", "UTF8", 150000);
  add_builtins(catalog);
  add_shop_types(catalog);
  add_shop_tables(catalog);
  add_shop_views(catalog);
  add_shop_exceptions(catalog);
  add_shop_functions(catalog);
  return catalog;
}

inline std::shared_ptr<const pg::Catalog> make_shop_catalog() {
  auto catalog = std::make_shared<pg::Catalog>(make_shop_draft());
  catalog->finish();
  return catalog;
}

}  // namespace pgcache::sql::testing
