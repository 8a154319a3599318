// SPDX-License-Identifier: Apache-2.0
// Joins of every kind, LATERAL.
#include "oracle/query_parts.h"

namespace pgcache::oracle {
namespace {

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
    if (form < 10 && count == 2 && out.scope[0].relation->has_column("v")) {
      out.from +=
          kind + item + (right.relation->has_column("v") ? " USING (grp, v)" : " USING (grp)");
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

}  // namespace

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

}  // namespace pgcache::oracle
