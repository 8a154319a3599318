// SPDX-License-Identifier: Apache-2.0
// The simple kinds of queries, and which kind comes how often.
#include "oracle/query.h"

#include "oracle/query_builder.h"
#include "oracle/query_parts.h"
#include "oracle/values.h"

namespace pgcache::oracle {
namespace {

Query single_table(QueryBuilder& b) {
  const Source s = b.source();
  if (b.structure().chance(35)) {
    return b.finish("SELECT * FROM " + b.from_item(s) + b.maybe_where({s}), "single", false);
  }
  const std::vector<Output> outputs = some_columns(b, {s}, b.structure().between(1, 4));
  const bool distinct = b.structure().chance(15) && all_exact(outputs);
  const std::string sql = std::string("SELECT ") + (distinct ? "DISTINCT " : "") +
                          list_sql(outputs) + " FROM " + b.from_item(s) + b.maybe_where({s});
  const Ending end = ending(b, outputs);
  return b.finish(sql + end.sql, distinct ? "distinct" : "single", end.ordered);
}

// Reads by key, the most usual query of all.
Query by_key(QueryBuilder& b) {
  Source s = b.source();
  for (int i = 0; i < 20 && s.relation->key.empty(); ++i) s = b.source();
  std::string where;
  for (const Column& column : s.relation->columns) {
    if (!s.relation->in_key(column.name)) continue;
    where +=
        (where.empty() ? "" : " AND ") + s.alias + "." + column.name + " = " + b.value(column.kind);
  }
  if (where.empty()) where = "true";
  return b.finish("SELECT * FROM " + b.from_item(s) + " WHERE " + where, "by key", false);
}

// Parameters hold the large values; literals of that size would be for nobody to read.
std::string large_value_test(QueryBuilder& b, const std::string& column) {
  const auto large = [&] { return b.parameter(Kind::kBig); };
  switch (b.structure().below(8)) {
    case 0:
      return column + " <> " + large();
    case 1:
      return "NOT (" + column + " = " + large() + ")";
    case 2: {
      const std::string first = large();
      return column + " IN (" + first + ", " + large() + ", 'alpha')";
    }
    case 3:
      return column + " <> 'alpha'";
    case 4:
      return column + " IS NULL";
    case 5:
    case 6:
      return column + " IS NOT NULL";
    default:
      return column + " = " + large();
  }
}

Query wide_value(QueryBuilder& b) {
  const Source s = b.source_of(*b.schema().find("wide"));
  const std::string number = s.alias + "." + b.structure().pick({"grp", "grp", "v", "id"});
  const std::string low = std::to_string(b.values().below(9));
  const std::string high = std::to_string(b.values().between(3, 12));
  const std::string few = b.structure().pick({"=", "=", "IN", "BETWEEN"});
  std::string sql = "SELECT " + s.alias + ".id, " + s.alias + ".v, length(" + s.alias +
                    ".big) FROM " + b.from_item(s) + " WHERE " + number + " " + few + " ";
  sql += few == "=" ? low : few == "IN" ? "(" + low + ", " + high + ")" : low + " AND " + high;
  sql += " AND " + large_value_test(b, s.alias + ".big");
  return b.finish(sql, "large value", false);
}

Query small_ones(QueryBuilder& b) {
  const Source s = b.source();
  switch (b.structure().below(4)) {
    case 0:
      b.note(s.relation->caching);
      return b.finish("TABLE " + s.relation->qualified(), "table", false);
    case 1:
      b.note(Caching::kMaybe);
      return b.finish("VALUES (1, 'a'), (" + std::to_string(b.values().below(9)) + ", NULL)",
                      "values", true);
    case 2:
      b.note(Caching::kMaybe);
      return b.finish("SELECT " + std::to_string(b.values().below(9)) + " + 1 AS x, 'y' || 'z'",
                      "no table", true);
    default:
      return b.finish("SELECT 100 / (" + s.alias + "." + number_of(b, s)->name + " - 3) FROM " +
                          b.from_item(s) + b.maybe_where({s}),
                      "may fail", false);
  }
}

Query never_cached(QueryBuilder& b) {
  const Source s = b.source();
  b.note(Caching::kNo);
  const std::string number = s.alias + "." + number_of(b, s)->name;
  const std::string from = " FROM " + b.from_item(s) + " WHERE ";
  const std::string n = std::to_string(b.values().below(12));
  switch (b.structure().below(9)) {
    case 0:
      return b.finish("SELECT count(*)" + from + "now() > '2000-01-01'", "now", false);
    case 1:
      return b.finish("SELECT " + number + from + number + " = " + n + " AND random() < 2",
                      "random", false);
    case 2:
      return b.finish("SELECT relname FROM pg_class WHERE relname = '" + s.relation->name +
                          "' AND relnamespace = 'oracle'::regnamespace",
                      "catalog", false);
    case 3:
      return b.finish("SELECT id, v FROM oracle.par WHERE id = " + n + " FOR KEY SHARE", "locking",
                      false);
    case 4:
      return b.finish("SELECT f_vol(" + n + ")", "volatile function", false);
    case 5:
      return b.finish("SELECT f_stb(" + n + ")", "stable function", false);
    case 6:
      return b.finish("/* pgcache: off */ SELECT " + number + from + number + " = " + n, "comment",
                      false);
    case 7:
      return b.finish("SELECT " + number + from + number + " = " + n + "; SELECT 1",
                      "two statements", false);
    default:
      return b.finish("SELECT count(*)" + from + "current_date > 'yesterday'::date", "current_date",
                      false);
  }
}

Query usual(Query query) {
  query.usual = true;
  return query;
}

}  // namespace

Query make_plain_query(const Schema& schema, std::uint64_t structure_seed,
                       std::uint64_t value_seed) {
  QueryBuilder b(schema, structure_seed, value_seed);
  if (b.structure().chance(40)) b.use_parameters();
  Source s = b.source();
  while (!s.relation->writable || s.relation->caching == Caching::kNo) s = b.source();
  std::string sql = "SELECT * FROM " + b.from_item(s) + " WHERE " + b.predicate({s}, 0);
  if (b.structure().chance(40)) {
    sql += b.structure().pick({" AND ", " AND ", " OR ", " AND NOT "}) + b.predicate({s}, 0);
  }
  return usual(b.finish(sql, "plain", false));
}

Query make_full_join_query(const Schema& schema, std::uint64_t structure_seed,
                           std::uint64_t value_seed) {
  QueryBuilder b(schema, structure_seed, value_seed);
  if (b.structure().chance(40)) b.use_parameters();
  return full_join(b);
}

Query make_wide_query(const Schema& schema, std::uint64_t structure_seed,
                      std::uint64_t value_seed) {
  QueryBuilder b(schema, structure_seed, value_seed);
  return wide_value(b);
}

Query make_query(const Schema& schema, std::uint64_t structure_seed, std::uint64_t value_seed) {
  QueryBuilder b(schema, structure_seed, value_seed);
  if (b.structure().chance(45)) b.use_parameters();
  const int choice = b.structure().below(100);
  if (choice < 18) return usual(by_key(b));
  if (choice < 32) return single_table(b);
  if (choice < 38) return join(b);
  if (choice < 39) return full_join(b);
  if (choice < 41) return wide_value(b);
  if (choice < 46) return aggregate(b);
  if (choice < 47) return distinct_on(b);
  if (choice < 49) return set_operation(b);
  if (choice < 51) return common_table(b);
  if (choice < 52) return window(b);
  if (choice < 53) return lateral(b);
  if (choice < 55) return scalar_subquery(b);
  if (choice < 57) return derived_table(b);
  if (choice < 58) return small_ones(b);
  if (choice < 77) return usual(keyed(b));
  if (choice < 96) return usual(filtered(b));
  QueryBuilder plain(schema, structure_seed + 1, value_seed);
  return never_cached(plain);
}

}  // namespace pgcache::oracle
