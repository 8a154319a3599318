// SPDX-License-Identifier: Apache-2.0
// Aggregates, set operations, CTEs, windows, subqueries.
#include "oracle/query_parts.h"

namespace pgcache::oracle {
namespace {

struct Joined {
  std::string from;
  Scope scope;
};

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

}  // namespace

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

}  // namespace pgcache::oracle
