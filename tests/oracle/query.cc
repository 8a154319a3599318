// SPDX-License-Identifier: Apache-2.0
// The kinds of queries.
#include "oracle/query.h"

#include "oracle/query_builder.h"
#include "oracle/values.h"

namespace pgcache::oracle {
namespace {

bool all_exact(const std::vector<Output>& outputs) {
  for (const Output& output : outputs) {
    if (!output.exact) return false;
  }
  return true;
}

std::string list_sql(const std::vector<Output>& outputs) {
  std::string sql;
  for (const Output& output : outputs) sql += (sql.empty() ? "" : ", ") + output.sql;
  return sql;
}

// ORDER BY over every output column (then the sequence is determined), perhaps with a LIMIT.
struct Ending {
  std::string sql;
  bool ordered = false;
};

Ending ending(QueryBuilder& b, const std::vector<Output>& outputs) {
  if (!all_exact(outputs) || b.structure().chance(55)) return {};
  std::string sql = " ORDER BY ";
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    sql += (i > 0 ? ", " : "") + std::to_string(i + 1) +
           b.structure().pick({"", "", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"});
  }
  if (b.structure().chance(40)) sql += " LIMIT " + std::to_string(b.values().between(0, 6));
  if (b.structure().chance(15)) sql += " OFFSET " + std::to_string(b.values().between(0, 3));
  if (b.structure().chance(8) && sql.find("LIMIT") == std::string::npos) {
    sql += " FETCH FIRST 3 ROWS ONLY";
  }
  return {sql, true};
}

std::vector<Output> some_columns(QueryBuilder& b, const Scope& scope, int count) {
  std::vector<Output> outputs;
  for (int i = 0; i < count; ++i) {
    const Source& source = b.any(scope);
    const Column& column = b.any_column(source);
    const std::string name = source.alias + "." + column.name;
    if (is_integer(column.kind) && b.structure().chance(12)) {
      outputs.push_back({b.structure().pick({"abs(", "f_imm(", "1 + ("}) + name + "::int)", true});
    } else if (column.kind == Kind::kBig && b.structure().chance(60)) {
      outputs.push_back({"length(" + name + ")", true});
    } else {
      outputs.push_back({name, is_exact(column.kind)});
    }
  }
  return outputs;
}

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

const Column* number_of(QueryBuilder& b, const Source& source) {
  return b.column_where(source, is_integer);
}

std::string join_condition(QueryBuilder& b, const Source& left, const Source& right, bool plain) {
  std::string on = left.alias + "." + number_of(b, left)->name + " = " + right.alias + "." +
                   number_of(b, right)->name;
  if (!plain && b.structure().chance(40)) on += " AND " + b.predicate({left}, 0);
  if (!plain && b.structure().chance(40)) on += " AND " + b.predicate({right}, 0);
  return on;
}

struct Joined {
  std::string from;
  Scope scope;
};

Joined joined(QueryBuilder& b) {
  const int count = b.structure().chance(75) ? 2 : 3;
  Joined out;
  out.scope.push_back(b.source());
  out.from = b.from_item(out.scope[0]);
  for (int i = 1; i < count; ++i) {
    const Source next = b.structure().chance(12) ? out.scope[0] : b.source();
    Source right = next;
    if (right.alias == out.scope[0].alias) right.alias += "s";  // a self join
    const std::string item = b.from_item(right);
    const std::string kind =
        b.structure().pick({" JOIN ", " INNER JOIN ", " LEFT JOIN ", " LEFT JOIN ", " RIGHT JOIN ",
                            " FULL JOIN ", " FULL JOIN "});
    const int form = b.structure().below(100);
    if (form < 10 && count == 2 && out.scope[0].relation->name != "vv") {
      out.from += kind + item + (right.relation->name == "vv" ? " USING (grp)" : " USING (grp, v)");
    } else if (form < 20) {
      out.from += ", " + item;
    } else {
      out.from +=
          kind + item + " ON " + join_condition(b, b.any(out.scope), right, kind == " FULL JOIN ");
    }
    out.scope.push_back(right);
  }
  return out;
}

Query join(QueryBuilder& b) {
  const Joined j = joined(b);
  const std::vector<Output> outputs = some_columns(b, j.scope, b.structure().between(1, 4));
  std::string sql = "SELECT " + list_sql(outputs) + " FROM " + j.from;
  if (j.from.find(", ") != std::string::npos) {  // never a bare cross product
    sql += " WHERE " + j.scope[0].alias + "." + number_of(b, j.scope[0])->name + " = " +
           j.scope.back().alias + "." + number_of(b, j.scope.back())->name + " AND " +
           b.predicate(j.scope, 1);
  } else if (b.structure().chance(25)) {  // what has no partner
    const Source& side = b.any(j.scope);
    sql += " WHERE " + side.alias + "." + b.any_column(side).name + " IS NULL";
    if (b.structure().chance(50)) sql += " AND " + b.predicate({b.any(j.scope)}, 1);
  } else {
    sql += b.maybe_where(j.scope);
  }
  const Ending end = ending(b, outputs);
  return b.finish(sql + end.sql, "join", end.ordered);
}

Source cacheable_table(QueryBuilder& b) {
  Source s = b.source();
  while (!s.relation->writable || s.relation->caching != Caching::kYes) s = b.source();
  return s;
}

// A column of the table, usually one of its key: it is NULL in no row of the table itself.
std::string column_of(QueryBuilder& b, const Source& s) {
  const std::string name = !s.relation->key.empty() && b.structure().chance(60)
                               ? b.structure().pick(s.relation->key)
                               : b.any_column(s).name;
  return s.alias + "." + name;
}

// True of some of the rows that a FULL JOIN extends with NULLs, on `side` for most.
std::string partnerless_test(QueryBuilder& b, const Source& side, const Source& other) {
  const std::string is_null = column_of(b, side) + " IS NULL";
  const std::string number = side.alias + "." + number_of(b, side)->name;
  const std::string other_number = other.alias + "." + number_of(b, other)->name;
  switch (b.structure().below(8)) {
    case 0:
      return "(" + number + " = " + b.value(Kind::kInt) + " OR " + is_null + ")";
    case 1: {
      const std::string first = number + " = " + b.value(Kind::kInt);
      return "(" + first + " OR " + other_number + " = " + b.value(Kind::kInt) + ")";
    }
    case 2:
      return "(" + is_null + " OR " + column_of(b, other) + " IS NULL)";
    case 3:
      return number + " IS DISTINCT FROM " + b.value(Kind::kInt);
    case 4: {
      const std::string first = number + " = " + b.value(Kind::kInt);
      return "NOT (" + first + " AND " + other_number + " = " + b.value(Kind::kInt) + ")";
    }
    default:
      return is_null;
  }
}

Query full_join(QueryBuilder& b) {
  const Source left = cacheable_table(b);
  const Source right = cacheable_table(b);
  const Source& side = b.structure().chance(50) ? left : right;
  const std::vector<Output> outputs = some_columns(b, {left, right}, b.structure().between(1, 4));
  std::string sql = "SELECT " + list_sql(outputs) + " FROM " + b.from_item(left) + " FULL JOIN ";
  sql += b.from_item(right) + " ON " + join_condition(b, left, right, b.structure().chance(80));
  sql += " WHERE " + partnerless_test(b, side, &side == &left ? right : left);
  if (b.structure().chance(25)) sql += " AND " + b.predicate({left, right}, 0);
  const Ending end = ending(b, outputs);
  return b.finish(sql + end.sql, "full join", end.ordered);
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

Output aggregate_of(QueryBuilder& b, const Scope& scope) {
  const Source& s = b.any(scope);
  const std::string number = s.alias + "." + number_of(b, s)->name;
  const Column& column = b.any_column(s);
  const std::string any = s.alias + "." + column.name;
  switch (b.structure().below(8)) {
    case 0:
      return {"count(*)", true};
    case 1:
      return {"count(" + any + ")", true};
    case 2:
      return {"count(DISTINCT " + number + ")", true};
    case 3:
      return {"sum(" + number + ")", true};
    case 4:
      return {"avg(" + number + ")", true};
    case 5:
      if (is_ordered(column.kind) && is_exact(column.kind)) return {"min(" + any + ")", true};
      return {"max(" + number + ")", true};
    case 6:
      return {"array_agg(" + number + " ORDER BY " + number + ")", true};
    default:
      return {"count(*) FILTER (WHERE " + b.predicate({s}, 0) + ")", true};
  }
}

Query aggregate(QueryBuilder& b) {
  Joined j;
  if (b.structure().chance(70)) {
    const Source s = b.source();
    j = {b.from_item(s), {s}};
  } else {
    const Source left = b.source();
    const Source right = b.source();
    j.from = b.from_item(left) + b.structure().pick({" JOIN ", " LEFT JOIN "}) +
             b.from_item(right) + " ON " + join_condition(b, left, right, false);
    j.scope = {left, right};
  }
  std::vector<Output> outputs;
  std::string group;
  const int keys = b.structure().below(3);
  for (int i = 0; i < keys; ++i) {
    const Source& s = b.any(j.scope);
    const Column* column = b.column_where(s, is_exact);
    outputs.push_back({s.alias + "." + column->name, true});
    group += (group.empty() ? "" : ", ") + outputs.back().sql;
  }
  const int aggregates = b.structure().between(1, 3);
  for (int i = 0; i < aggregates; ++i) outputs.push_back(aggregate_of(b, j.scope));
  std::string sql = "SELECT " + list_sql(outputs) + " FROM " + j.from + b.maybe_where(j.scope);
  if (!group.empty()) {
    const int form = b.structure().below(10);
    sql += form == 0 ? " GROUP BY ROLLUP (" + group + ")" : " GROUP BY " + group;
  }
  if (b.structure().chance(25)) {
    sql += " HAVING count(*) " + b.structure().pick({">", "<", "="}) + " " +
           std::to_string(b.values().between(0, 5));
  }
  const Ending end = ending(b, outputs);
  return b.finish(sql + end.sql, "aggregate", end.ordered);
}

Query distinct_on(QueryBuilder& b) {
  const Source s = b.source();
  const Column* column = b.column_where(s, is_exact);
  std::string rest;
  for (const Column& c : s.relation->columns) {
    if (is_exact(c.kind)) rest += ", " + s.alias + "." + c.name;
  }
  const std::string key = s.alias + "." + column->name;
  const std::string sql = "SELECT DISTINCT ON (" + key + ") " + key + rest + " FROM " +
                          b.from_item(s) + b.maybe_where({s}) + " ORDER BY " + key + rest;
  return b.finish(sql, "distinct on", true);
}

Query set_operation(QueryBuilder& b) {
  const int branches = b.structure().between(2, 3);
  std::string sql;
  const int columns = b.structure().between(1, 2);
  const bool parenthesise = b.structure().chance(50);
  for (int i = 0; i < branches; ++i) {
    const Source s = b.source();
    std::string branch = "SELECT ";
    for (int c = 0; c < columns; ++c) {
      branch += (c > 0 ? ", " : "") + s.alias + "." + number_of(b, s)->name;
    }
    branch += " FROM " + b.from_item(s) + b.maybe_where({s});
    if (i > 0) {
      sql += b.structure().pick(
          {" UNION ", " UNION ALL ", " INTERSECT ", " EXCEPT ", " EXCEPT ALL ", " INTERSECT ALL "});
    }
    sql += parenthesise ? "(" + branch + ")" : branch;
  }
  if (b.structure().chance(40)) {
    sql += columns == 2 ? " ORDER BY 1, 2" : " ORDER BY 1";
    if (b.structure().chance(40)) sql += " LIMIT " + std::to_string(b.values().between(0, 5));
    return b.finish(sql, "set operation", true);
  }
  return b.finish(sql, "set operation", false);
}

Query common_table(QueryBuilder& b) {
  const Source s = b.source();
  const std::string hint = b.structure().pick({"", "", "MATERIALIZED ", "NOT MATERIALIZED "});
  const std::string number = number_of(b, s)->name;
  const std::string with = "WITH w AS " + hint + "(SELECT " + s.alias + "." + number +
                           " AS x FROM " + b.from_item(s) + b.maybe_where({s}) + ") ";
  if (b.structure().chance(35)) {
    return b.finish(
        with + "SELECT count(*), sum(x) FROM w WHERE x > " + std::to_string(b.values().below(10)),
        "cte", false);
  }
  if (b.structure().chance(30)) {
    return b.finish(
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 6) "
        "SELECT r.n, count(" +
            s.alias + "." + number + ") FROM r LEFT JOIN " + b.from_item(s) + " ON " + s.alias +
            "." + number + " = r.n GROUP BY r.n ORDER BY 1",
        "recursive cte", true);
  }
  const Source other = b.source();
  return b.finish(with + "SELECT w.x, " + other.alias + "." + number_of(b, other)->name +
                      " FROM w JOIN " + b.from_item(other) + " ON w.x = " + other.alias + "." +
                      number_of(b, other)->name + b.maybe_where({other}),
                  "cte", false);
}

Query window(QueryBuilder& b) {
  const Source s = b.source();
  const std::string number = s.alias + "." + number_of(b, s)->name;
  const std::string part = s.alias + "." + number_of(b, s)->name;
  const std::string function =
      b.structure().pick({"rank()", "dense_rank()", "count(*)", "sum(", "max("});
  const std::string call = function.back() == '(' ? function + number + ")" : function;
  return b.finish("SELECT " + part + ", " + number + ", " + call + " OVER (PARTITION BY " + part +
                      " ORDER BY " + number + ") FROM " + b.from_item(s) + b.maybe_where({s}),
                  "window", false);
}

Query lateral(QueryBuilder& b) {
  const Source outer = b.source();
  const Source inner = b.source();
  const std::string out = outer.alias + "." + number_of(b, outer)->name;
  const std::string in = inner.alias + "." + number_of(b, inner)->name;
  const std::string sub = "(SELECT " + in + " AS y FROM " + b.from_item(inner) + " WHERE " + in +
                          " >= " + out + " ORDER BY 1 LIMIT 2) l";
  const std::string join =
      b.structure().chance(50) ? ", LATERAL " + sub : " LEFT JOIN LATERAL " + sub + " ON true";
  return b.finish(
      "SELECT " + out + ", l.y FROM " + b.from_item(outer) + join + b.maybe_where({outer}),
      "lateral", false);
}

Query scalar_subquery(QueryBuilder& b) {
  const Source outer = b.source();
  const Source inner = b.source();
  const std::string out = outer.alias + "." + number_of(b, outer)->name;
  const std::string in = inner.alias + "." + number_of(b, inner)->name;
  const std::string function = b.structure().pick({"count(*)", "max(", "sum("});
  const std::string call = function.back() == '(' ? function + in + ")" : function;
  return b.finish("SELECT " + out + ", (SELECT " + call + " FROM " + b.from_item(inner) +
                      " WHERE " + in + " = " + out + ") FROM " + b.from_item(outer) +
                      b.maybe_where({outer}),
                  "scalar subquery", false);
}

Query derived_table(QueryBuilder& b) {
  const Source s = b.source();
  const std::string number = s.alias + "." + number_of(b, s)->name;
  return b.finish("SELECT q.x, count(*) FROM (SELECT " + number + " AS x FROM " + b.from_item(s) +
                      b.maybe_where({s}) + ") AS q WHERE q.x <> " +
                      std::to_string(b.values().below(9)) + " GROUP BY q.x",
                  "derived table", false);
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
  return b.finish(sql, "plain", false);
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
  if (choice < 18) return by_key(b);
  if (choice < 42) return single_table(b);
  if (choice < 54) return join(b);
  if (choice < 56) return full_join(b);
  if (choice < 58) return wide_value(b);
  if (choice < 70) return aggregate(b);
  if (choice < 73) return distinct_on(b);
  if (choice < 78) return set_operation(b);
  if (choice < 82) return common_table(b);
  if (choice < 85) return window(b);
  if (choice < 88) return lateral(b);
  if (choice < 91) return scalar_subquery(b);
  if (choice < 94) return derived_table(b);
  if (choice < 96) return small_ones(b);
  QueryBuilder plain(schema, structure_seed + 1, value_seed);
  return never_cached(plain);
}

}  // namespace pgcache::oracle
