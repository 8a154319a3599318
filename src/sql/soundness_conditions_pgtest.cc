// SPDX-License-Identifier: Apache-2.0
// Conditions and values of random queries.
#include "sql/soundness_generator_test_support.h"

namespace pgcache::sql::testing {

namespace {

bool is_ordered(ValueClass type) {
  return type != ValueClass::kBool && type != ValueClass::kInts && type != ValueClass::kUuid;
}

bool is_arrayed(ValueClass type) {
  return type == ValueClass::kNumber || type == ValueClass::kText || type == ValueClass::kCText ||
         type == ValueClass::kEnum || type == ValueClass::kDate;
}

}  // namespace

std::string QueryGenerator::parameter(std::optional<std::string> value) {
  parameters_.push_back(std::move(value));
  return "$" + std::to_string(parameters_.size());
}

std::string QueryGenerator::literal(ValueClass type) {
  if (chance(3)) return chance(50) ? "NULL" : "NULL::" + std::string(type_name(type));
  std::string value = values_.plain(type);
  if (type == ValueClass::kNumber && chance(10)) value = "1.5";
  if (value != "1.5" && chance(15)) {
    const std::size_t used = parameters_.size();
    if (used > 0 && chance(15)) return "$" + std::to_string(1 + below(static_cast<int>(used)));
    return parameter(chance(10) ? std::nullopt : std::optional(value));
  }
  if (type == ValueClass::kNumber || type == ValueClass::kBool) {
    if (chance(70)) return value;
    if (chance(50) && value != "1.5") return "'" + value + "'";
    return "(" + value + ")::" +
           (type == ValueClass::kBool ? "bool" : pick<std::string>({"numeric", "bigint", "int"}));
  }
  if (chance(80) || type == ValueClass::kBpchar) return "'" + value + "'";
  return "'" + value + "'::" + std::string(type_name(type));
}

// A time that an interval moved.
std::string QueryGenerator::shifted(const std::string& c, ValueClass type) {
  if (type == ValueClass::kDate) {
    return pick<std::string>({"(" + c + " + interval '1 month')::date", "(" + c + " - 1)"});
  }
  if (type == ValueClass::kTimestamp) {
    return pick<std::string>({"(" + c + " + interval '1 month')", "(" + c + " - '1 day')",
                              "(interval '1 hour' * 24 + " + c + ")",
                              "date_trunc('day', " + c + ")", c + "::timestamp(0)"});
  }
  if (type == ValueClass::kTimestamptz) {
    return pick<std::string>({"(" + c + " + interval '24:00')", "(" + c + " - interval '1 day')",
                              "(" + c + " AT TIME ZONE 'UTC' + '1 day') AT TIME ZONE 'UTC'"});
  }
  return c;
}

// Mostly one of a relation's first two columns, which are the keys, so that conditions meet.
const QueryGenerator::Column& QueryGenerator::pick_column(const Columns& columns) {
  const Column& any = pick(columns);
  if (chance(50)) return any;
  const std::string relation = any.text.substr(0, any.text.find('.') + 1);
  std::size_t first = 0;
  while (columns[first].text.substr(0, relation.size()) != relation) ++first;
  const bool second = first + 1 < columns.size() && chance(50);
  return columns[second ? first + 1 : first];
}

const QueryGenerator::Column* QueryGenerator::pick_of(const Columns& columns, ValueClass type) {
  for (int i = 0; i < 12 && !columns.empty(); ++i) {
    const Column& column = pick(columns);
    if (column.type == type) return &column;
  }
  return nullptr;
}

std::string QueryGenerator::value(const Columns& columns, ValueClass type) {
  const Column* const column = pick_of(columns, type);
  const std::string c = column == nullptr ? literal(type) : column->text;
  switch (below(14)) {
    case 0:
      return "coalesce(" + c + ", " + literal(type) + ")";
    case 1:
      return "nullif(" + c + ", " + literal(type) + ")";
    case 2:
      return "CASE WHEN " + condition(columns, 0) + " THEN " + c + " ELSE " + literal(type) +
             " END";
    case 3:
      if (type == ValueClass::kNumber) {
        return pick<std::string>({"(" + c + " + 1)", "abs(" + c + ")", "(- " + c + ")",
                                  "(" + c + " * 2)", c + "::numeric(4,1)", c + "::int",
                                  c + "::bigint", "coalesce(" + c + "::int, " + c + ")"});
      }
      if (type == ValueClass::kText) {
        return pick<std::string>({"lower(" + c + ")", "upper(" + c + ")", "(" + c + " || 'b')",
                                  "trim(" + c + ")", c + "::varchar(1)"});
      }
      return column == nullptr ? c : shifted(c, type);
    case 4:
      if (type == ValueClass::kText) {
        if (const Column* const number = pick_of(columns, ValueClass::kNumber)) {
          return number->text + "::text";
        }
      }
      if (type == ValueClass::kNumber) {
        if (const Column* const text = pick_of(columns, ValueClass::kText)) {
          return "length(" + text->text + ")";
        }
      }
      return c;
    case 5:
    case 6:
    case 7:
    case 8:
      return c;
    default:
      return literal(type);
  }
}

// ---------------------------------------------------------------- atoms

std::string QueryGenerator::constant_atom() {
  switch (below(8)) {
    case 0:
      return "true";
    case 1:
      return "false";
    case 2:
      return "NULL::bool";
    case 3:
      return "1 = 2";
    case 4:
      return parameter(values_.plain(ValueClass::kBool)) + "::bool";
    case 5:
      return parameter(std::nullopt) + "::int IS NULL";
    default:
      return parameter(values_.plain(ValueClass::kNumber)) +
             "::int = " + values_.plain(ValueClass::kNumber);
  }
}

std::string QueryGenerator::list_atom(const Column& column) {
  const std::string& c = column.text;
  const std::string type(type_name(column.type));
  const std::string both = literal(column.type) + ", " + literal(column.type);
  switch (below(is_arrayed(column.type) ? 7 : 3)) {
    case 0:
      return c + " NOT IN (" + both + ")";
    case 1:
    case 2:
      return c + " IN (" + both + ", " + literal(column.type) + ")";
    case 3:
      return c + pick<std::string>({" = ANY (ARRAY[", " <> ALL (ARRAY["}) + both + "])";
    case 4: {
      const std::string list = "{" + values_.plain(column.type) + "," +
                               pick<std::string>({"NULL", values_.plain(column.type)}) + "}";
      return c + pick<std::string>({" = ANY ('", " <> ALL ('"}) + list + "')";
    }
    case 5: {
      std::optional<std::string> list = "{" + values_.plain(column.type) + "}";
      if (chance(25)) list = chance(50) ? std::nullopt : std::optional<std::string>("{}");
      if (chance(10)) list = "{" + values_.plain(column.type) + ",NULL}";
      return c + pick<std::string>({" = ANY (", " <> ALL ("}) + parameter(list) + ")";
    }
    default:
      return c + pick<std::string>({" < ANY (ARRAY[", " >= ALL (ARRAY["}) + both + "])";
  }
}

std::string QueryGenerator::test_atom(const Columns& columns, const Column& column, int depth) {
  const std::string is_not = chance(50) ? " IS NOT " : " IS ";
  switch (below(5)) {
    case 0:
      return column.text + is_not + "NULL";
    case 1:
      return value(columns, column.type) + is_not + "NULL";
    case 2:
      return "(" + condition(columns, depth - 1) + ")" + is_not +
             pick<std::string>({"TRUE", "FALSE", "UNKNOWN"});
    case 3:
      return column.text + is_not + "DISTINCT FROM " + value(columns, column.type);
    default:
      return "CASE WHEN " + condition(columns, depth - 1) + " THEN " +
             condition(columns, depth - 1) + " ELSE " + condition(columns, depth - 1) + " END";
  }
}

std::string QueryGenerator::row_atom(const Columns& columns, const Column& column) {
  const Column& other = pick(columns);
  return "(" + column.text + ", " + other.text + ")" +
         pick<std::string>({" = ", " = ", " <> ", " < ", " >= ", " IS DISTINCT FROM "}) + "(" +
         value(columns, column.type) + ", " + value(columns, other.type) + ")";
}

// Whole rows, lists of rows, patterns, and values of one type beside those of another.
std::string QueryGenerator::odd_atom(const Columns& columns, const Column& column) {
  const std::string& c = column.text;
  const std::string relation = c.substr(0, c.find('.'));
  const Column& other = pick(columns);
  const auto row = [&]() { return "(" + literal(column.type) + ", " + literal(other.type) + ")"; };
  switch (below(8)) {
    case 0:
      return relation == c ? c + " IS NULL"
                           : relation + pick<std::string>({" IS NULL", " IS NOT NULL"});
    case 1:
      return "(" + c + ", " + other.text + ")" + pick<std::string>({" IN (", " NOT IN ("}) + row() +
             ", " + row() + ")";
    case 2:
      if (column.type == ValueClass::kText || column.type == ValueClass::kCText) {
        return c + pick<std::string>({" LIKE 'a%'", " ILIKE 'A'", " NOT LIKE '%b'", " ~ '^a'"});
      }
      if (column.type == ValueClass::kDate) return c + " + 1 = '2024-01-02'";
      return c + " IS NULL";
    case 3:
      if (column.type == ValueClass::kBool) return c + "::text = 'true'";
      if (column.type == ValueClass::kBpchar) return c + "::text = 'a'";
      if (column.type == ValueClass::kDate) return c + " >= '2024-01-02'::timestamp";
      if (column.type == ValueClass::kNumber) return c + "::text = '1'";
      return c + " IS NOT NULL";
    case 4: {
      const std::string p =
          parameter(chance(50) ? std::nullopt : std::optional(values_.plain(column.type)));
      return "(" + p + "::" + std::string(type_name(column.type)) + " IS NULL OR " + c + " = " + p +
             ")";
    }
    case 5:
      if (column.type != ValueClass::kInts) return c + " = " + c;
      return pick<std::string>(
          {"1 = ANY (" + c + ")", "2 <> ALL (" + c + ")", c + "[1] = 1", c + " @> '{1}'"});
    case 6:
      return c + pick<std::string>({" <> ", " = ", " >= "}) + c;
    default:
      return "(" + c + " = " + literal(column.type) + ") = (" + other.text + " = " +
             literal(other.type) + ")";
  }
}

std::string QueryGenerator::column_atom(const Columns& columns, const Column& column) {
  const std::string& c = column.text;
  if (column.type == ValueClass::kBool && chance(60)) {
    return pick<std::string>({c, "NOT " + c, c + " IS TRUE", c + " IS NOT TRUE", c + " IS FALSE",
                              c + " IS NOT FALSE", c + " IS UNKNOWN", "coalesce(" + c + ", true)"});
  }
  if (chance(20)) return list_atom(column);
  if (is_ordered(column.type) && chance(10)) {
    return c +
           pick<std::string>(
               {" BETWEEN ", " NOT BETWEEN ", " BETWEEN SYMMETRIC ", " NOT BETWEEN SYMMETRIC "}) +
           literal(column.type) + " AND " + value(columns, column.type);
  }
  std::string op = pick<std::string>({"=", "=", "=", "<>"});
  if (is_ordered(column.type) && chance(30)) op = pick<std::string>({"<", "<=", ">", ">="});
  std::string other = value(columns, column.type);
  if (chance(15)) return other + " " + op + " " + c;
  if (chance(8)) return value(columns, column.type) + " " + op + " " + other;
  return c + " " + op + " " + other;
}

// ---------------------------------------------------------------- subqueries

std::string QueryGenerator::subquery_atom(const Columns& columns, const Column& column, int depth) {
  const std::string negation = chance(40) ? "NOT " : "";
  const Columns outer = chance(75) ? columns : Columns{};
  switch (below(8)) {
    case 0:
    case 1:
      return negation + "EXISTS (" + select(outer, depth - 1).text + ")";
    case 2:
    case 3:
    case 4: {
      const std::string& c = chance(80) ? column.text : value(columns, column.type);
      return c + " " + negation + "IN (" + select(outer, depth - 1, {column.type}).text + ")";
    }
    case 5: {
      std::string op = pick<std::string>({"=", "<>"});
      if (is_ordered(column.type)) op = pick<std::string>({"=", "<>", "<", ">="});
      return negation + column.text + " " + op + pick<std::string>({" ANY (", " ALL ("}) +
             select(outer, depth - 1, {column.type}).text + ")";
    }
    case 6: {
      const Column& other = pick(columns);
      const std::string rows = select(outer, depth - 1, {column.type, other.type}).text;
      const std::string pair = "(" + column.text + ", " + other.text + ")";
      return pair +
             pick<std::string>({" IN (", " NOT IN (", " <> ANY (", " = ALL (", " <> ALL ("}) +
             rows + ")";
    }
    default: {
      const Item inner = table();
      const Column* const output = pick_of(inner.columns, column.type);
      if (output == nullptr || column.type == ValueClass::kUuid) return column.text + " IS NULL";
      Columns visible = inner.columns;
      visible.insert(visible.end(), outer.begin(), outer.end());
      return column.text + pick<std::string>({" = ", " IS DISTINCT FROM "}) + "(SELECT " +
             aggregate_of(*output) + " FROM " + inner.text + " WHERE " + condition(visible, 1) +
             ")";
    }
  }
}

std::string QueryGenerator::atom(const Columns& columns, int depth) {
  if (columns.empty() || chance(3)) return constant_atom();
  const Column column = pick_column(columns);
  if (depth > 0 && chance(20)) return subquery_atom(columns, column, depth);
  if (depth > 0 && chance(15)) return test_atom(columns, column, depth);
  if (chance(5)) return row_atom(columns, column);
  if (chance(8)) return odd_atom(columns, column);
  return column_atom(columns, column);
}

std::string QueryGenerator::condition(const Columns& columns, int depth) {
  if (depth <= 0 || chance(40)) return atom(columns, depth);
  const std::string left = condition(columns, depth - 1);
  switch (below(6)) {
    case 0:
      return "NOT (" + left + ")";
    case 1:
    case 2:
    case 3:
      return "(" + left + " OR " + condition(columns, depth - 1) + ")";
    default:
      return "(" + left + " AND " + condition(columns, depth - 1) + ")";
  }
}

}  // namespace pgcache::sql::testing
