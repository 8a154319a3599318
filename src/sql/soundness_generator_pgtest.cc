// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sql/soundness_generator.h"

namespace pgcache::sql::testing {

namespace {

const std::vector<std::string> kTables = {"users",   "users", "orders", "orders", "order_items",
                                          "animals", "cats",  "parts",  "parts_1"};

}  // namespace

std::vector<GeneratedColumn> QueryGenerator::columns_of(const std::string& table) {
  using C = ValueClass;
  const auto make = [](std::initializer_list<std::pair<const char*, C>> columns) {
    std::vector<GeneratedColumn> out;
    for (const auto& [name, type] : columns) out.push_back({name, name, type});
    return out;
  };
  if (table == "users") {
    return make({{"id", C::kNumber},
                 {"name", C::kText},
                 {"email", C::kText},
                 {"active", C::kBool},
                 {"score", C::kNumber},
                 {"created_at", C::kTimestamptz},
                 {"born", C::kDate},
                 {"code", C::kBpchar},
                 {"tag", C::kText},
                 {"team_id", C::kNumber},
                 {"nick", C::kText}});
  }
  if (table == "orders") {
    return make(
        {{"id", C::kNumber}, {"user_id", C::kNumber}, {"status", C::kText}, {"total", C::kNumber}});
  }
  if (table == "order_items") {
    return make({{"order_id", C::kNumber}, {"product_id", C::kNumber}, {"qty", C::kNumber}});
  }
  if (table == "animals" || table == "cats") return make({{"id", C::kNumber}, {"name", C::kText}});
  if (table == "active_users") {
    return make({{"id", C::kNumber}, {"name", C::kText}, {"email", C::kText}});
  }
  if (table == "user_totals") {
    return make({{"id", C::kNumber}, {"name", C::kText}, {"total", C::kNumber}});
  }
  if (table == "nested_view") return make({{"uid", C::kNumber}});
  return make({{"k", C::kNumber}, {"r", C::kNumber}, {"v", C::kText}});
}

std::string QueryGenerator::plain_value(ValueClass type) {
  switch (type) {
    case ValueClass::kNumber:
      if (chance(80)) return pick<std::string>({"1", "2"});
      return pick<std::string>({"0", "3", "1.5", "-1"});
    case ValueClass::kText:
      return chance(80) ? pick<std::string>({"a", "b"}) : pick<std::string>({"A", "ab"});
    case ValueClass::kBpchar:
      return pick<std::string>({"a", "b", "a "});
    case ValueClass::kBool:
      return pick<std::string>({"true", "false"});
    case ValueClass::kDate:
      return pick<std::string>({"2024-01-01", "2024-01-02"});
    case ValueClass::kTimestamptz:
      return pick<std::string>({"2024-01-01 00:00:00+00", "2024-01-01 02:00:00+02", "2024-01-02Z"});
  }
  return "";
}

std::string QueryGenerator::row_value(ValueClass type) {
  if (chance(15)) return "NULL";
  const std::string value = plain_value(type);
  return type == ValueClass::kNumber ? value + "::numeric" : "'" + value + "'";
}

std::string QueryGenerator::literal(ValueClass type) {
  if (chance(2)) return "NULL";
  const std::string value = plain_value(type);
  if (chance(15)) {
    if (!parameters_.empty() && chance(10)) return "$1";
    parameters_.emplace_back(value);
    return "$" + std::to_string(parameters_.size());
  }
  if (type == ValueClass::kBool) return chance(50) ? value : "'" + value + "'";
  if (type == ValueClass::kNumber) {
    if (chance(80) || value == "1.5") return value;
    return chance(50) ? "'" + value + "'"
                      : "(" + value + ")::" + pick<std::string>({"int", "bigint", "numeric"});
  }
  if (type == ValueClass::kText && chance(10))
    return "'" + value + "'::" + (chance(50) ? "text" : "varchar");
  if (type == ValueClass::kDate && chance(20)) return "date '" + value + "'";
  return "'" + value + "'";
}

// Mostly one of a relation's first two columns, which are the keys, so that conditions meet.
const GeneratedColumn& QueryGenerator::pick_column(const Columns& columns) {
  const GeneratedColumn& any = pick(columns);
  if (chance(40)) return any;
  const std::string relation = any.text.substr(0, any.text.find('.') + 1);
  const auto first =
      std::find_if(columns.begin(), columns.end(), [&](const GeneratedColumn& column) {
        return column.text.substr(0, relation.size()) == relation;
      });
  const bool second = first + 1 != columns.end() && chance(50);
  return second ? *(first + 1) : *first;
}

std::string QueryGenerator::equality(const Columns& left, const Columns& right) {
  for (int i = 0; i < 20; ++i) {
    const GeneratedColumn& l = pick_column(left);
    const GeneratedColumn& r = pick_column(right);
    if (l.type == r.type) return l.text + " = " + r.text;
  }
  return "1 = 1";
}

std::string QueryGenerator::column_atom(const Columns& columns, const GeneratedColumn& column) {
  const std::string& c = column.text;
  const std::string op = pick<std::string>({"=", "=", "=", "<", "<=", ">", ">=", "<>"});
  switch (below(10)) {
    case 0:
    case 9:
      return c + (chance(50) ? " IS NULL" : " IS NOT NULL");
    case 1:
      return c + (chance(30) ? " NOT IN (" : " IN (") + literal(column.type) + ", " +
             literal(column.type) + ")";
    case 2:
      return c + (chance(30) ? " NOT BETWEEN " : " BETWEEN ") + literal(column.type) + " AND " +
             literal(column.type);
    case 3: {
      if (column.type != ValueClass::kNumber) break;
      return c + " = ANY (ARRAY[" + plain_value(column.type) + ", " + plain_value(column.type) +
             "])";
    }
    case 4:
      if (column.type != ValueClass::kBool) break;
      return c + pick<std::string>({"", " IS TRUE", " IS NOT TRUE", " IS FALSE", " IS NOT FALSE",
                                    " IS UNKNOWN", " IS NOT UNKNOWN"});
    case 5:
    case 6: {
      const GeneratedColumn& other = pick(columns);
      if (other.type == column.type) return c + " " + op + " " + other.text;
      break;
    }
    case 7:
      if (column.type == ValueClass::kText) return "lower(" + c + ") = 'a'";
      if (column.type == ValueClass::kNumber) return c + " + 1 = 2";
      break;
    case 8: {
      const GeneratedColumn& other = pick(columns);
      return "(" + c + ", " + other.text + ") = (" + literal(column.type) + ", " +
             literal(other.type) + ")";
    }
    default:
      break;
  }
  if (chance(20)) return literal(column.type) + " " + op + " " + c;
  return c + " " + op + " " + literal(column.type);
}

std::string QueryGenerator::subquery_atom(const Columns& columns, const GeneratedColumn& column,
                                          int depth) {
  const Item inner = chance(70) ? table() : from_item(columns, depth - 1);
  Columns visible = inner.columns;
  if (chance(60)) visible.insert(visible.end(), columns.begin(), columns.end());
  std::string where = condition(visible, 1);
  if (chance(50)) where = equality(inner.columns, columns) + " AND " + where;
  for (int i = 0; i < 10; ++i) {
    const GeneratedColumn& output = pick_output(inner.columns);
    if (output.type != column.type) continue;
    if (chance(50)) {
      return column.text + (chance(30) ? " NOT IN" : " IN") + " (SELECT " + output.text + " FROM " +
             inner.text + " WHERE " + where + ")";
    }
    if (column.type == ValueClass::kBool) break;
    return column.text + " >= (SELECT max(" + output.text + ") FROM " + inner.text + " WHERE " +
           where + ")";
  }
  return std::string(chance(30) ? "NOT " : "") + "EXISTS (SELECT 1 FROM " + inner.text + " WHERE " +
         where + ")";
}

std::string QueryGenerator::atom(const Columns& columns, int depth) {
  const GeneratedColumn column = chance(50) ? pick_column(columns) : pick(columns);
  if (depth > 1 && chance(12)) return subquery_atom(columns, column, depth);
  return column_atom(columns, column);
}

std::string QueryGenerator::condition(const Columns& columns, int depth) {
  if (depth <= 0 || chance(40)) return atom(columns, depth);
  const std::string left = condition(columns, depth - 1);
  switch (below(5)) {
    case 0:
      return "NOT (" + left + ")";
    case 1:
      return "(" + left + " OR " + condition(columns, depth - 1) + ")";
    default:
      return "(" + left + " AND " + condition(columns, depth - 1) + ")";
  }
}

QueryGenerator::Item QueryGenerator::table() {
  std::string name = pick(kTables);
  if (chance(12)) name = pick<std::string>({"active_users", "user_totals", "nested_view"});
  Columns columns = columns_of(name);
  if (!ctes_.empty() && chance(40)) {
    const auto& cte = pick(ctes_);
    name = cte.first;
    columns = cte.second;
  }
  const std::string as = alias();
  for (GeneratedColumn& column : columns) column.text = as + "." + column.name;
  const bool only = (name == "animals" || name == "parts") && chance(20);
  return {std::string(only ? "ONLY " : "") + name + " " + as, std::move(columns)};
}

// Of equal values under a nondeterministic collation, which one DISTINCT shows is left to chance.
const GeneratedColumn& QueryGenerator::pick_output(const Columns& columns) {
  const GeneratedColumn* column = &pick(columns);
  while (column->name == "nick") column = &pick(columns);
  return *column;
}

QueryGenerator::Item QueryGenerator::subquery(const Columns& outer, int depth) {
  const bool lateral = !outer.empty() && chance(40);
  const Item inner = from_item(lateral ? outer : Columns{}, depth - 1);
  Columns visible = inner.columns;
  if (lateral) visible.insert(visible.end(), outer.begin(), outer.end());
  const std::string as = alias();
  std::string list;
  std::string order;
  Columns columns;
  const int count = 1 + below(3);
  for (int i = 0; i < count; ++i) {
    const GeneratedColumn& column = pick_output(inner.columns);
    const std::string name = "c" + std::to_string(i);
    list += (i > 0 ? ", " : "") + column.text + " AS " + name;
    order += (i > 0 ? ", " : "") + std::to_string(i + 1);
    columns.push_back({as + "." + name, name, column.type});
  }
  std::string text = lateral ? "LATERAL (SELECT " : "(SELECT ";
  std::string tail;
  if (chance(20)) {
    const GeneratedColumn& key = pick_output(inner.columns);
    list = key.text + " AS c0, count(*) AS c1";
    tail = " GROUP BY " + key.text;
    if (chance(30)) tail += ", " + pick_output(inner.columns).text;
    if (chance(30)) tail += " HAVING count(*) < 3";
    columns = {{as + ".c0", "c0", key.type}, {as + ".c1", "c1", ValueClass::kNumber}};
  } else if (chance(10)) {
    const GeneratedColumn& part = pick_output(inner.columns);
    const std::string name = "c" + std::to_string(count);
    list += ", count(*) OVER (PARTITION BY " + part.text + ") AS " + name;
    columns.push_back({as + "." + name, name, ValueClass::kNumber});
  } else if (chance(15)) {
    list.insert(0, "DISTINCT ");
  } else if (chance(15)) {
    tail = " ORDER BY " + order + " LIMIT " + std::to_string(1 + below(2));
  }
  text += list + " FROM " + inner.text;
  if (chance(70)) text += " WHERE " + condition(visible, depth);
  text += tail;
  return {text + ") " + as, std::move(columns)};
}

QueryGenerator::Item QueryGenerator::join(const Columns& outer, int depth) {
  Item left = from_item(outer, depth - 1);
  Columns seen = outer;
  seen.insert(seen.end(), left.columns.begin(), left.columns.end());
  const std::string kind =
      pick<std::string>({" JOIN ", " LEFT JOIN ", " LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN "});
  // LATERAL may look to the left only where the right side is not preserved.
  const bool inner = kind == " JOIN " || kind == " LEFT JOIN ";
  Item right = from_item(inner ? seen : Columns{}, depth - 1);
  Columns columns = left.columns;
  columns.insert(columns.end(), right.columns.begin(), right.columns.end());
  std::string on = equality(left.columns, right.columns);
  if (kind != " FULL JOIN ") {
    if (chance(20)) on = condition(columns, 2);
    if (chance(30)) on += " AND " + condition(columns, 1);
  }
  return {"(" + left.text + kind + right.text + " ON " + on + ")", std::move(columns)};
}

QueryGenerator::Item QueryGenerator::from_item(const Columns& outer, int depth) {
  if (depth <= 0 || chance(35)) return table();
  if (chance(25)) return subquery(outer, depth);
  return join(outer, depth);
}

std::string QueryGenerator::select_list(const Columns& columns, std::string& tail,
                                        bool one_column) {
  const GeneratedColumn& first = pick_output(columns);
  if (one_column) return first.text;
  switch (below(6)) {
    case 0:
      return "count(*)";
    case 1:
      return first.type == ValueClass::kBool ? "count(" + first.text + ")"
                                             : "max(" + first.text + "), count(*)";
    case 2:
      tail = " GROUP BY " + first.text;
      if (chance(30)) tail += " HAVING count(*) > 1";
      return first.text + ", count(*)";
    case 3:
      return "DISTINCT " + first.text;
    case 4: {
      const GeneratedColumn& second = pick_output(columns);
      if (chance(40)) tail = " ORDER BY 1, 2 LIMIT 2";
      return first.text + ", " + second.text;
    }
    default:
      return "*";
  }
}

std::string QueryGenerator::select(const Columns& outer, int depth, bool one_column) {
  Item from = from_item(outer, depth);
  std::string text = from.text;
  if (chance(15)) {
    const Item other = from_item({}, depth - 1);
    text += ", " + other.text;
    from.columns.insert(from.columns.end(), other.columns.begin(), other.columns.end());
  }
  std::string tail;
  const std::string list = select_list(from.columns, tail, one_column);
  std::string out = "SELECT " + list + " FROM " + text;
  if (chance(85)) out += " WHERE " + condition(from.columns, 2);
  return out + tail;
}

// A condition on what one subquery passes on, or on two uses of one CTE.
std::string QueryGenerator::small_query() {
  ctes_.clear();
  parameters_.clear();
  if (chance(60)) {
    const Item item = subquery({}, 1);
    return "SELECT * FROM " + item.text + " WHERE " + condition(item.columns, 1);
  }
  const std::string name = pick(kTables);
  Columns both = columns_of(name);
  const std::size_t count = both.size();
  for (std::size_t i = 0; i < count; ++i) {
    both.push_back({"b." + both[i].name, both[i].name, both[i].type});
    both[i].text = "a." + both[i].name;
  }
  const Item other = table();
  both.insert(both.end(), other.columns.begin(), other.columns.end());
  return "WITH w AS (SELECT * FROM " + name + ") SELECT count(*) FROM w a, w b, " + other.text +
         " WHERE " + condition(both, 1) + " AND " + equality(both, other.columns);
}

GeneratedQuery QueryGenerator::query() {
  aliases_ = 0;
  ctes_.clear();
  parameters_.clear();
  std::string with;
  if (chance(20)) {
    const std::string table_name = pick(kTables);
    Columns columns = columns_of(table_name);
    with = "WITH w AS (SELECT * FROM " + table_name + " WHERE " + condition(columns, 1) + ") ";
    ctes_.emplace_back("w", columns);
  }
  std::string text = with + select({}, 2, false);
  if (chance(12)) {
    ctes_.clear();
    parameters_.clear();
    text = select({}, 1, true) +
           pick<std::string>({" UNION ", " UNION ALL ", " INTERSECT ", " EXCEPT "}) +
           select({}, 1, true);
  } else if (chance(30)) {
    text = small_query();
  }
  return {text, parameters_};
}

}  // namespace pgcache::sql::testing
