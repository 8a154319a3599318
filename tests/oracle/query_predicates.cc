// SPDX-License-Identifier: Apache-2.0
// The conditions of queries.
#include "oracle/query_builder.h"
#include "oracle/values.h"

namespace pgcache::oracle {

std::string QueryBuilder::comparison(const std::string& column, Kind kind) {
  const std::string op = is_ordered(kind) && structure_.chance(40)
                             ? structure_.pick({"<", "<=", ">", ">=", "<=", ">=", "<>", "!="})
                             : structure_.pick({"=", "=", "=", "=", "=", "<>"});
  if (structure_.chance(10)) {
    const std::string distinct = structure_.pick({" IS DISTINCT FROM ", " IS NOT DISTINCT FROM "});
    return column + distinct + value(kind);
  }
  if (is_ordered(kind) && structure_.chance(15)) {
    const std::string between =
        structure_.pick({" BETWEEN ", " BETWEEN ", " NOT BETWEEN ", " BETWEEN SYMMETRIC "});
    const std::string low = value(kind);
    return column + between + low + " AND " + value(kind);
  }
  return structure_.chance(80) ? column + " " + op + " " + value(kind)
                               : value(kind) + " " + op + " " + column;
}

std::string QueryBuilder::list_test(const std::string& column, Kind kind) {
  const int count = structure_.between(1, 4);
  if (is_integer(kind) && structure_.chance(30)) {
    std::string array;
    for (int i = 0; i < count; ++i) array += (i > 0 ? "," : "") + std::to_string(values_.below(12));
    if (with_parameters_ && structure_.chance(50)) {
      return column + " = ANY(" + array_parameter("{" + array + "}") + ")";
    }
    return structure_.chance(50) ? column + " = ANY('{" + array + "}'::int[])"
                                 : column + " <> ALL(ARRAY[" + array + "])";
  }
  const std::string in = structure_.pick({" IN (", " IN (", " NOT IN ("});
  std::string list;
  for (int i = 0; i < count; ++i) list += (i > 0 ? ", " : "") + value(kind);
  return column + in + list + ")";
}

std::string QueryBuilder::text_test(const std::string& column, Kind kind) {
  if (kind == Kind::kBig) {
    const std::string unit = quote(values_.pick({"alpha", "beta", "gamma"}));
    switch (structure_.below(6)) {
      case 0:
        return "left(" + column + ", 4) = left(" + unit + ", 4)";
      case 1:
        return column + " LIKE " + quote(values_.pick({"alpha%", "beta%", "%a"}));
      case 2:
        return column + structure_.pick({" = ", " <> "}) + literal(kind, values_);
      case 3:
        return column + " IN (" + literal(kind, values_) + ", 'alpha')";
      case 4:
        return column + structure_.pick({" IS NULL", " IS NOT NULL"});
      default:
        return "length(" + column + ") > " + std::to_string(values_.pick(std::vector<int>{4, 100}));
    }
  }
  switch (structure_.below(9)) {
    case 6:
      return "lower(" + column + ") = " + value(Kind::kText);
    case 7:
      return column + structure_.pick({" ~ ", " ~* ", " !~ "}) +
             quote(values_.pick({"^a", "[0-9]", "a|b", "^.$", "\\s", "x[^y]y", "\xc3\xa4"}));
    case 8:
      return structure_.pick({"upper(", "reverse(", "btrim("}) + column + ") " +
             structure_.pick({"= ", "<> "}) + quote(values_.pick({"A", "a", "B", "10"}));
    case 0:
      return "lower(" + column + ") = " + quote(values_.pick({"a", "\xc3\xa4", "b", "null"}));
    case 1:
      return column + " || 'x' = " + quote(values_.pick({"ax", "x", "a x"}));
    case 2:
      return column + " ILIKE " + quote(values_.pick({"a%", "\xc3\xa4", "%"}));
    default:
      return column + structure_.pick({" LIKE ", " NOT LIKE ", " LIKE "}) +
             quote(values_.pick({"a%", "%", "_", "x\\%y", "x_y", "", "%'%", "0%", "a"}));
  }
}

std::string QueryBuilder::row_test(const Source& source) {
  const Column* first = column_where(source, is_integer);
  const Column* second = column_where(source, is_integer);
  const std::string left =
      "(" + source.alias + "." + first->name + ", " + source.alias + "." + second->name + ")";
  const auto pair = [&] {
    const std::string low = value(Kind::kInt);
    return "(" + low + ", " + value(Kind::kInt) + ")";
  };
  switch (structure_.below(3)) {
    case 0:
      return left + " = " + pair();
    case 1: {
      const std::string one = pair();
      return left + " IN (" + one + ", " + pair() + ")";
    }
    default:
      return left + structure_.pick({" < ", " >= ", " <> "}) + pair();
  }
}

std::string QueryBuilder::column_pair_test(const Scope& scope) {
  const Source& left = any(scope);
  const Source& right = any(scope);
  const Column& one = any_column(left);
  const Column* other = column_where(right, [&](Kind kind) {
    return kind == one.kind || (is_integer(kind) && is_integer(one.kind));
  });
  if (other == nullptr) return left.alias + "." + one.name + " IS NOT NULL";
  const std::string op =
      is_ordered(one.kind) ? structure_.pick({" = ", " = ", " < ", " <> "}) : " = ";
  return left.alias + "." + one.name + op + right.alias + "." + other->name;
}

std::string QueryBuilder::expression_test(const Source& source) {
  const Column* time = column_where(
      source, [](Kind kind) { return kind == Kind::kDate || kind == Kind::kTimestamp; });
  if (time != nullptr && structure_.chance(30)) {
    return time_test(*time, source.alias + "." + time->name);
  }
  const Column* number = column_where(source, is_integer);
  const std::string column = source.alias + "." + number->name;
  if (structure_.chance(12)) return contradiction(column);
  return number_test(column);
}

std::string QueryBuilder::number_test(const std::string& column) {
  const std::string constant = literal(Kind::kInt, values_);
  switch (structure_.below(14)) {
    case 0:
      return column + " + 1 = " + value(Kind::kInt);
    case 1:
      return "coalesce(" + column + ", 3) = " + constant;
    case 2:
      return "CASE WHEN " + column + " > 5 THEN 1 WHEN " + column +
             " IS NULL THEN 2 ELSE 3 END = " + std::to_string(values_.between(1, 3));
    case 3:
      return "abs(" + column + ") % 3 = " + std::to_string(values_.below(3));
    case 4:
      return "nullif(" + column + ", " + constant + ") IS NULL";
    case 5:
      return column + "::text = " + quote(std::to_string(values_.below(12)));
    case 6:
      return "greatest(" + column + ", 4) = " + constant;
    case 7:
      return "-" + column + " <= " + constant;
    case 8:
      return column + " % 10 = " + std::to_string(values_.below(10));
    case 9:
      return "(" + column + " > " + constant + ")" +
             structure_.pick({" IS TRUE", " IS NOT TRUE", " IS UNKNOWN", " IS FALSE"});
    case 10:
      return column + " * 2 - 1 = " + std::to_string(2 * values_.below(12) - 1);
    case 11:
      return "CASE " + column +
             " WHEN 1 THEN 'one' WHEN 2 THEN 'two' END = " + quote(values_.pick({"one", "two"}));
    case 12:
      return column + "::numeric / 2 = " + values_.pick({"1.5", "2", "3.50"});
    default:
      return structure_.pick({"TRUE", "NOT FALSE", "NULL IS NULL", "1 = 1"});
  }
}

std::string QueryBuilder::time_test(const Column& column, const std::string& name) {
  const std::string day = std::to_string(values_.between(1, 6));
  switch (structure_.below(5)) {
    case 0:
      return "date_trunc('month', " + name + ") = timestamp '2024-01-01'";
    case 1:
      return "extract(day from " + name + ") = " + day;
    case 2:
      return column.kind == Kind::kDate ? name + " + 1 = date '2024-01-0" + day + "'"
                                        : name + "::date = date '2024-01-0" + day + "'";
    case 3:
      return "date_trunc('day', " + name + ") < timestamp '2024-01-0" + day + "'";
    default:
      return name + " >= '2024-01-0" + day + "' AND " + name + " < '2024-01-0" +
             std::to_string(values_.between(3, 8)) + "'";
  }
}

// True of no row, alone or in company.
std::string QueryBuilder::contradiction(const std::string& column) {
  const std::string one = value(Kind::kInt);
  switch (structure_.below(5)) {
    case 0:
      return "(" + column + " = " + one + " AND " + column + " = " + value(Kind::kInt) + ")";
    case 1:
      return "(" + column + " > 5 AND " + column + " < 3)";
    case 2:
      return "(" + column + " IS NULL AND " + column + " = " + one + ")";
    case 3:
      return "(" + column + " IN (1, 2, 3) AND " + column + " >= " + one + ")";
    default:
      return column + " <> " + column;
  }
}

std::string QueryBuilder::subquery_test(const Scope& scope) {
  const Source inner = source();
  const Source& outer = any(scope);
  const Column* inner_column = column_where(inner, is_integer);
  const Column* outer_column = column_where(outer, is_integer);
  const std::string in = inner.alias + "." + inner_column->name;
  const std::string out = outer.alias + "." + outer_column->name;
  const std::string from = " FROM " + from_item(inner) + " WHERE ";
  switch (structure_.below(6)) {
    case 0:
      return out + " NOT IN (SELECT " + in + from + in + " IS NOT NULL AND " +
             predicate({inner}, 0) + ")";
    case 1:
      return "EXISTS (SELECT 1" + from + in + " = " + out + " AND " + predicate({inner}, 0) + ")";
    case 2:
      return "NOT EXISTS (SELECT" + from + in + " = " + out + " AND " + predicate({inner}, 0) + ")";
    case 3:
      return out + " = (SELECT max(" + in + ")" + from + predicate({inner}, 0) + ")";
    case 4:
      return out + " >= ALL (SELECT " + in + from + in + " IS NOT NULL AND " +
             predicate({inner}, 0) + ")";
    default:
      return out + " IN (SELECT " + in + from + predicate({inner, outer}, 0) + ")";
  }
}

std::string QueryBuilder::atom(const Scope& scope, int depth) {
  const Source& source = any(scope);
  const int choice = structure_.below(100);
  if (choice < 7 && depth > 0) return subquery_test(scope);
  if (choice < 11 && column_where(source, is_integer) != nullptr) return row_test(source);
  if (choice < 17) return column_pair_test(scope);
  if (choice < 23 && column_where(source, is_integer) != nullptr) return expression_test(source);
  const Column* column = &any_column(source);
  if (structure_.chance(40)) {
    const Column* small = column_where(source, is_integer);
    if (small != nullptr) column = small;
  }
  const std::string name = source.alias + "." + column->name;
  if (structure_.chance(8)) return name + structure_.pick({" IS NULL", " IS NOT NULL"});
  if (column->kind == Kind::kBig) return text_test(name, column->kind);
  if (is_textual(column->kind) && structure_.chance(30)) return text_test(name, column->kind);
  if (column->kind == Kind::kBool && structure_.chance(50)) {
    const std::string test =
        structure_.pick({"", "", " IS TRUE", " IS NOT TRUE", " IS UNKNOWN", " IS NOT FALSE"});
    return (structure_.chance(30) ? "NOT " : "") + name + test;
  }
  if (structure_.chance(20)) return list_test(name, column->kind);
  return comparison(name, column->kind);
}

std::string QueryBuilder::predicate(const Scope& scope, int depth) {
  const int choice = structure_.below(100);
  if (depth > 0 && choice < 30) {
    const std::string left = predicate(scope, depth - 1);
    return left + " AND " + predicate(scope, depth - 1);
  }
  if (depth > 0 && choice < 48) {
    const std::string left = predicate(scope, depth - 1);
    return "(" + left + " OR " + predicate(scope, depth - 1) + ")";
  }
  if (depth > 0 && choice < 55) return "NOT (" + predicate(scope, depth - 1) + ")";
  return atom(scope, depth);
}

}  // namespace pgcache::oracle
