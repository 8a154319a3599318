// SPDX-License-Identifier: Apache-2.0
// SELECTs of random queries.
#include "sql/soundness_generator_test_support.h"

namespace pgcache::sql::testing {

namespace {

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

}  // namespace

std::string QueryGenerator::first_of(const Select& select) {
  return "(SELECT x.v FROM (" + select.text + ") x(v) ORDER BY 1 LIMIT 1)";
}

std::string QueryGenerator::aggregate_of(const Column& column) {
  if (column.type == ValueClass::kBool) return "bool_or(" + column.text + ")";
  return pick<std::string>({"min(", "max("}) + column.text + ")";
}

QueryGenerator::Columns QueryGenerator::choose_outputs(const Columns& columns,
                                                       const Classes& classes) {
  Columns outputs;
  for (const ValueClass type : classes) {
    const Column* const column = pick_of(columns, type);
    const std::string cast = "::" + std::string(type_name(type));
    const bool collated = type == ValueClass::kCText || type == ValueClass::kAnyCase;
    std::string text = literal(type) + (collated ? "" : cast);
    if (column != nullptr) text = chance(90) ? column->text : value(columns, type);
    outputs.push_back({text, "", type});
  }
  for (int i = classes.empty() ? 1 + below(3) : 0; i > 0; --i) {
    const Column& column = pick_column(columns);
    if (!is_shown(column)) continue;
    const bool computed = chance(10);
    outputs.push_back(
        {computed ? value(columns, column.type) : column.text, column.name, column.type});
    if (computed && outputs.back().text.find_first_of("$'N") == 0) {
      outputs.back().text += "::" + std::string(type_name(column.type));
    }
  }
  if (outputs.empty()) outputs.push_back({"1", "", ValueClass::kNumber});
  for (std::size_t i = 0; i < outputs.size(); ++i) outputs[i].name = "c" + std::to_string(i);
  return outputs;
}

// ---------------------------------------------------------------- kinds of SELECT

void QueryGenerator::group(Parts& parts, const Columns& visible, int depth) {
  std::vector<std::string> keys;
  for (const Column& output : parts.outputs) keys.push_back(output.text);
  if (chance(20)) keys.push_back(pick_column(visible).text);
  const int form = below(10);
  if (form == 0 && keys.size() > 1) {
    parts.tail = " GROUP BY ROLLUP (" + joined(keys) + ")";
  } else if (form == 1) {
    parts.tail = " GROUP BY GROUPING SETS ((), (" + joined(keys) + "))";
  } else if (form == 2) {
    std::vector<std::string> places;
    for (std::size_t i = 0; i < parts.outputs.size(); ++i) places.push_back(std::to_string(i + 1));
    parts.tail = " GROUP BY " + joined(places);
  } else {
    parts.tail = " GROUP BY " + joined(keys);
  }
  if (parts.any) {
    const Column& column = pick_column(visible);
    parts.outputs.push_back({chance(60) ? "count(*)" : "count(" + column.text + ")",
                             "c" + std::to_string(parts.outputs.size()), ValueClass::kNumber});
  }
  if (!chance(40)) return;
  if (chance(50)) {
    parts.tail += " HAVING count(*) " + pick<std::string>({"> 1", "< 2", "= 1"});
    return;
  }
  Columns on_keys;
  for (const Column& output : parts.outputs) {
    if (output.text.find('(') == std::string::npos) on_keys.push_back(output);
  }
  if (!on_keys.empty()) parts.tail += " HAVING " + condition(on_keys, depth);
}

void QueryGenerator::aggregate(Parts& parts, const Columns& visible) {
  for (Column& output : parts.outputs) {
    if (output.type != ValueClass::kUuid) {
      output.text = aggregate_of(output);
    } else {
      output.text = "NULL::uuid";
    }
    if (chance(15)) output.text += " FILTER (WHERE " + condition(visible, 0) + ")";
    if (output.text.substr(0, 4) == "NULL") output.text = "NULL::uuid";
  }
  if (parts.any) {
    parts.outputs.push_back(
        {"count(*)", "c" + std::to_string(parts.outputs.size()), ValueClass::kNumber});
    if (chance(20)) {
      parts.outputs.push_back({first_of(select({}, 0, {ValueClass::kNumber})),
                               "c" + std::to_string(parts.outputs.size()), ValueClass::kNumber});
    }
  }
  if (chance(20)) parts.tail = " HAVING count(*) " + pick<std::string>({"> 1", "< 2", "= 1"});
  if (chance(8)) parts.tail = " HAVING EXISTS (" + select({}, 0).text + ")";
}

void QueryGenerator::add_window(Parts& parts, const Columns& visible) {
  std::string over = pick_column(visible).text;
  if (chance(70)) over = pick(parts.outputs).text;
  over = chance(85) ? "PARTITION BY " + over : "";
  const Column* const number = pick_of(visible, ValueClass::kNumber);
  const std::string call =
      number == nullptr || chance(50) ? "count(*)" : "max(" + number->text + ")";
  parts.outputs.push_back({call + " OVER (" + over + ")",
                           "c" + std::to_string(parts.outputs.size()), ValueClass::kNumber});
}

void QueryGenerator::add_odd_output(Parts& parts, const Columns& visible) {
  const std::string name = "c" + std::to_string(parts.outputs.size());
  const Column& column = pick_column(visible);
  const Column* const number = pick_of(visible, ValueClass::kNumber);
  switch (below(5)) {
    case 0:
      if (number == nullptr) return;
      parts.outputs.push_back(
          {"generate_series(1, " + number->text + "::int)", name, ValueClass::kNumber});
      return;
    case 1:
      parts.outputs.push_back(
          {first_of(select(visible, 0, {ValueClass::kNumber})), name, ValueClass::kNumber});
      return;
    case 2:
      parts.outputs.push_back({"ARRAY(SELECT x.v FROM (" +
                                   select(visible, 0, {ValueClass::kNumber}).text +
                                   ") x(v) ORDER BY 1)::int[]",
                               name, ValueClass::kInts});
      return;
    case 3:
      parts.outputs.push_back({"(" + condition(visible, 1) + ")", name, ValueClass::kBool});
      return;
    default:
      parts.outputs.push_back(
          {"(SELECT count(*) FROM " + table().text + " WHERE " + column.text + " IS NOT NULL)",
           name, ValueClass::kNumber});
      return;
  }
}

void QueryGenerator::make_distinct(Parts& parts) {
  if (chance(60)) {
    parts.list = "DISTINCT ";
    return;
  }
  std::vector<std::string> order;
  for (std::size_t i = 0; i < parts.outputs.size(); ++i) order.push_back(std::to_string(i + 1));
  parts.list = "DISTINCT ON (" + parts.outputs[0].text + ") ";
  parts.tail += " ORDER BY " + joined(order);
}

void QueryGenerator::limit(Parts& parts, bool offset) {
  std::vector<std::string> order;
  const bool by_name = chance(50);
  for (std::size_t i = parts.outputs.size(); i > 0; --i) {
    order.push_back(by_name ? parts.outputs[i - 1].name : std::to_string(i));
    if (chance(20)) order.back() += " DESC";
  }
  for (std::string& key : order) key += pick<std::string>({"", "", " NULLS FIRST", " NULLS LAST"});
  parts.tail += " ORDER BY " + joined(order);
  if (chance(5)) {
    parts.tail += " LIMIT (SELECT count(*) FROM " + table().text + ")";
  } else {
    parts.tail += " LIMIT " + std::to_string(1 + below(2));
  }
  if (offset) parts.tail += " OFFSET 1";
}

QueryGenerator::Select QueryGenerator::simple_select(const Columns& outer, int depth,
                                                     const Classes& classes) {
  Item item = from_item(outer, depth);
  Parts parts;
  parts.any = classes.empty();
  parts.from = item.text;
  if (depth > 0 && chance(12)) {
    const Item other = from_item({}, depth - 1);
    parts.from += ", " + other.text;
    item.columns.insert(item.columns.end(), other.columns.begin(), other.columns.end());
  }
  Columns visible = item.columns;
  visible.insert(visible.end(), outer.begin(), outer.end());
  parts.outputs = choose_outputs(item.columns, classes);
  if (chance(60)) {
    parts.where = condition(visible, depth > 1 ? 1 : depth);
    if (!outer.empty() && chance(50)) {
      parts.where = equality(item.columns, outer) + " AND " + parts.where;
    }
  }
  if (parts.any && chance(12)) add_odd_output(parts, visible);
  const bool plain = parts.outputs.back().text.find_first_of("( ") == std::string::npos;
  const int kind = plain ? below(20) : 5 + below(15);
  if (kind < 3) group(parts, item.columns, depth);
  if (kind == 3 || kind == 4) aggregate(parts, item.columns);
  if (kind == 5 && parts.any) add_window(parts, item.columns);
  if (kind == 6 || kind == 7) make_distinct(parts);
  if (kind == 8 || kind == 9) limit(parts, chance(30));
  std::vector<std::string> list;
  for (const Column& output : parts.outputs) list.push_back(output.text + " AS " + output.name);
  Select out{"SELECT " + parts.list + joined(list) + " FROM " + parts.from, parts.outputs};
  if (!parts.where.empty()) out.text += " WHERE " + parts.where;
  out.text += parts.tail;
  for (Column& output : out.outputs) output.text = output.name;
  return out;
}

QueryGenerator::Select QueryGenerator::set_operation(const Columns& outer, int depth,
                                                     const Classes& classes) {
  Select left = simple_select(outer, depth - 1, classes);
  Classes same;
  for (Column& output : left.outputs) {
    // Another type that both can be of.
    if (chance(8) && output.type == ValueClass::kNumber) output.type = ValueClass::kFloat;
    if (chance(8) && output.type == ValueClass::kDate) output.type = ValueClass::kTimestamp;
    same.push_back(output.type);
  }
  const std::string op = pick<std::string>({" UNION ", " UNION ALL ", " UNION ALL ", " INTERSECT ",
                                            " INTERSECT ALL ", " EXCEPT ", " EXCEPT ALL "});
  const Select right = select(outer, depth - 1, same);
  left.text = "(" + left.text + ")" + op + "(" + right.text + ")";
  if (chance(15)) {
    std::string order;
    for (const Column& output : left.outputs) order += (order.empty() ? "" : ", ") + output.name;
    left.text += " ORDER BY " + order + " LIMIT " + std::to_string(1 + below(3));
  }
  return left;
}

QueryGenerator::Select QueryGenerator::select(const Columns& outer, int depth,
                                              const Classes& classes) {
  if (depth > 0 && chance(14)) return set_operation(outer, depth, classes);
  return simple_select(outer, depth, classes);
}

// ---------------------------------------------------------------- whole queries

QueryGenerator::Select QueryGenerator::with_query(int depth) {
  std::string with;
  const int count = 1 + below(2);
  for (int i = 0; i < count; ++i) {
    const std::string name = "w" + std::to_string(i);
    const Select inner = chance(50) ? select({}, 1) : simple_select({}, 0, {});
    const std::string how = pick<std::string>({"", "", "MATERIALIZED ", "NOT MATERIALIZED "});
    with += (i == 0 ? "WITH " : ", ") + name + " AS " + how + "(" + inner.text + ")";
    ctes_.push_back({name, inner.outputs});
  }
  if (chance(10)) {
    with.insert(5,
                "RECURSIVE walk(id, boss) AS (SELECT id, boss_id FROM users WHERE id = 1"
                " UNION SELECT u.id, u.boss_id FROM users u JOIN walk ON u.boss_id = walk.id), ");
    ctes_.push_back(
        {"walk", {{"id", "id", ValueClass::kNumber}, {"boss", "boss", ValueClass::kNumber}}});
  }
  Select out = select({}, depth);
  out.text = with + " " + out.text;
  return out;
}

// All rows of a recursion, which show what its rows are joined by, or do not.
QueryGenerator::Select QueryGenerator::recursion() {
  Select out;
  const std::string start = pick<std::string>(
      {"id = 1", "id < 2", "boss_id IS NULL", "name = 'a'", "id IN (SELECT boss_id FROM users)"});
  const std::string join = pick<std::string>(
      {"u.boss_id = walk.id", "u.id = walk.boss", "u.id = walk.boss AND u.name <> 'a'",
       "u.boss_id = walk.id AND u.id <> walk.boss", "walk.id = u.boss_id AND walk.boss < 2"});
  const std::string also = pick<std::string>(
      {"", "", " WHERE EXISTS (SELECT FROM orders o WHERE o.user_id = walk.id)",
       " WHERE NOT EXISTS (SELECT FROM orders o WHERE o.user_id = walk.id AND o.paid)",
       " WHERE u.id IN (SELECT o.user_id FROM orders o WHERE o.id = walk.boss)"});
  const std::string end = pick<std::string>(
      {"SELECT id, boss FROM walk", "SELECT id, boss FROM walk", "SELECT boss, id FROM walk",
       "SELECT id, boss FROM walk WHERE id > 0", "SELECT DISTINCT id, boss FROM walk",
       "SELECT walk.id, t.id AS boss FROM walk LEFT JOIN teams t ON t.id = walk.boss",
       "SELECT walk.id, t.id AS boss FROM walk JOIN teams t ON t.id = walk.boss"});
  out.text = "WITH RECURSIVE walk(id, boss) AS (SELECT id, boss_id FROM users WHERE " + start +
             " UNION SELECT u.id, u.boss_id FROM users u JOIN walk ON " + join + also + ") " + end;
  out.outputs = {{"id", "id", ValueClass::kNumber}, {"boss", "boss", ValueClass::kNumber}};
  return out;
}

// Rows along keys, most of which the result shows in one way or another.
QueryGenerator::Select QueryGenerator::along_keys() {
  Select out;
  const std::string more = pick<std::string>({"", "", " AND o.paid", " AND o.total > 1"});
  const std::string on = "o.user_id = u.id" + more;
  const std::string where = pick<std::string>({"", "", " WHERE u.name = 'a'", " WHERE u.id < 3"});
  const std::string ending = pick<std::string>(
      {"", "", "", " ORDER BY 1", " ORDER BY 1, 2 LIMIT 1", " ORDER BY 2, 1 LIMIT 2"});
  const std::string users = "SELECT u.id, u.name FROM users u";
  const std::string either = where.empty() ? " WHERE " : " AND ";
  out.text = pick<std::string>({
      users + where + either + "NOT EXISTS (SELECT FROM orders o WHERE " + on + ")" + ending,
      users + where + either + "EXISTS (SELECT FROM orders o WHERE " + on + ")" + ending,
      users + where + either + "u.id IN (SELECT o.user_id FROM orders o)" + ending,
      "SELECT u.id, o.status FROM users u LEFT JOIN orders o ON " + on + where + ending,
      "SELECT u.id, o.status FROM users u JOIN orders o ON " + on + where + ending,
      "SELECT o.status, u.name FROM users u JOIN orders o ON " + on + where + ending,
      "SELECT u.id, t.name FROM users u LEFT JOIN (orders o LEFT JOIN teams t ON t.id = o.id) ON " +
          on + where + ending,
      "SELECT u.id, (SELECT count(*) FROM orders o WHERE " + on + ") FROM users u" + where + ending,
      "SELECT DISTINCT u.name, EXISTS (SELECT FROM orders o WHERE o.status = u.name) FROM users u" +
          where + ending,
      "SELECT u.id, l.n FROM users u, LATERAL (SELECT count(*) AS n FROM orders o WHERE " + on +
          ") l" + where + ending,
      "SELECT u.id, l.n FROM users u LEFT JOIN LATERAL (SELECT max(o.total) AS n FROM orders o "
      "WHERE " +
          on + " GROUP BY o.status) l ON true" + where + ending,
      "SELECT u.name, count(*) FROM users u" + where + " GROUP BY u.name" + ending,
      "SELECT u.name, sum(o.total) FROM users u JOIN orders o ON " + on + where +
          " GROUP BY u.name" + ending,
      "SELECT u.name, count(*) FROM users u LEFT JOIN orders o ON " + on + where +
          " GROUP BY u.name HAVING count(*) > 1",
      "SELECT u.id, u.boss_id FROM users u" + where +
          " EXCEPT SELECT o.user_id, o.id FROM orders o",
      "SELECT o.user_id, o.id FROM orders o EXCEPT ALL SELECT u.id, u.boss_id FROM users u" + where,
      "SELECT u.id FROM users u" + where +
          " EXCEPT (SELECT o.user_id FROM orders o EXCEPT SELECT t.id FROM teams t)",
      "SELECT u.id FROM users u" + where + " INTERSECT ALL SELECT o.user_id FROM orders o",
      "SELECT u.id, u.name FROM users u" + where +
          " UNION SELECT o.user_id, o.status FROM orders o",
      "SELECT u.id, u.name FROM users u" + where + either +
          "u.boss_id NOT IN (SELECT o.user_id FROM orders o)" + ending,
      "SELECT u.id, count(*) OVER (PARTITION BY u.name) FROM users u LEFT JOIN orders o ON " + on +
          where,
      "SELECT DISTINCT ON (u.name) u.name, o.status FROM users u JOIN orders o ON " + on + where +
          " ORDER BY 1, 2",
      "SELECT b.id, b.name FROM users u JOIN users b ON b.id = u.boss_id" + where + ending,
  });
  out.outputs = {};
  return out;
}

// Rows that a limit, repetition or an extreme leaves out. All that is shown is in the order, if
// any.
QueryGenerator::Select QueryGenerator::bounded() {
  const auto way = [this] {
    return pick<std::string>({"", "", " DESC"}) +
           pick<std::string>({"", "", " NULLS FIRST", " NULLS LAST"});
  };
  const auto order = [&](const std::string& first, const std::string& second) {
    return " ORDER BY " + first + way() + ", " + second + way();
  };
  const auto ordered = [&](const std::string& a, const std::string& b) {
    std::string by = chance(50) ? order(a, b) : order(b, a);
    if (chance(40)) by = chance(50) ? order("1", "2") : order("2", "1");
    if (chance(75)) by += " LIMIT " + std::to_string(1 + below(3));
    if (chance(20)) by += " OFFSET 1";
    return by;
  };
  const std::string where = pick<std::string>({"", "", " WHERE u.id > 0", " WHERE o.total > 0"});
  const std::string both = "users u " + pick<std::string>({"", "", "LEFT ", "FULL "}) +
                           "JOIN orders o ON o.user_id = u.id";
  const std::string either = where.empty() ? " WHERE " : " AND ";
  const std::string op =
      pick<std::string>({" UNION ", " UNION ", " EXCEPT ", " INTERSECT ", " UNION ALL "});
  const std::string extreme = pick<std::string>({"min", "max"});
  Select out;
  out.text = pick<std::string>({
      "SELECT k.d, k.id FROM kinds k" + ordered("k.d", "k.id"),
      "SELECT k.tag, k.id FROM kinds k WHERE k.id < 9" + ordered("tag", "id"),
      "SELECT k.tag AS id, k.u FROM kinds k" + ordered("id", "u"),
      "SELECT u.id, o.total FROM " + both + where + ordered("u.id", "o.total"),
      "SELECT o.total, u.id FROM " + both + where + ordered("total", "id"),
      "SELECT o.user_id, o.total FROM " + both + where + ordered("o.user_id", "o.total"),
      "SELECT u.id, u.name FROM users u WHERE NOT EXISTS (SELECT FROM orders o WHERE o.user_id = "
      "u.id)" +
          ordered("u.id", "u.name"),
      "SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id) AS n FROM users u" +
          ordered("u.id", "n"),
      "SELECT u.id, (SELECT count(*) FROM orders o) AS n FROM users u" + ordered("u.id", "n"),
      "SELECT o.user_id, count(*) AS n FROM " + both + where + " GROUP BY o.user_id" +
          ordered("o.user_id", "n"),
      "SELECT u.id, count(*) OVER () AS n FROM " + both + where + ordered("u.id", "n"),
      "SELECT id, boss_id FROM users" + op + "SELECT user_id, id FROM orders" +
          ordered("id", "boss_id"),
      "SELECT id, boss_id FROM users" + op +
          "(SELECT user_id, id FROM orders EXCEPT SELECT "
          "order_id, n FROM items)" +
          ordered("id", "boss_id"),
      "SELECT id, name FROM users" + op +
          "(SELECT user_id, status FROM orders ORDER BY 1, 2 LIMIT "
          "2)" +
          ordered("name", "id"),
      "SELECT DISTINCT o.status, o.paid FROM " + both + where,
      "SELECT DISTINCT o.status, o.paid FROM " + both + where + ordered("o.status", "o.paid"),
      "SELECT DISTINCT u.name FROM " + both + where,
      "SELECT DISTINCT u.id FROM users u, orders o" + where + either + "o.user_id = u.id",
      "SELECT DISTINCT o.total, 1 FROM orders o",
      "SELECT DISTINCT k.m, k.code FROM kinds k",
      "SELECT DISTINCT ON (user_id) user_id, id FROM orders" + order("1", "2") + " LIMIT 2",
      "SELECT " + extreme + "(u.id) FROM " + both + where,
      "SELECT " + extreme + "(o.total), max(o.id) FROM " + both + where,
      "SELECT " + extreme + "(u.id) AS a, min(o.user_id), 1 FROM " + both + where,
      "SELECT " + extreme + "(k.tag), min(k.d), max(k.m) FROM kinds k",
      "SELECT " + extreme + "(k.code), min(k.id) FROM kinds k WHERE k.id > 0",
      "SELECT " + extreme + "(id), count(*) FROM users",
      "SELECT " + extreme + "(id) FILTER (WHERE paid) FROM orders",
      "SELECT " + extreme + "(id) OVER (), id FROM orders",
      "SELECT " + extreme + "(u.id) FROM users u WHERE u.name = (SELECT " + extreme +
          "(o.status) FROM orders o WHERE o.user_id = u.id)",
      "SELECT " + extreme + "(id) FROM orders HAVING count(*) > 1",
  });
  out.outputs = {};
  return out;
}

GeneratedQuery QueryGenerator::query() {
  aliases_ = 0;
  ctes_.clear();
  parameters_.clear();
  const int form = below(15);
  std::string text;
  if (form == 10) {
    text = recursion().text;
  } else if (form > 12) {
    text = bounded().text;
  } else if (form > 10) {
    text = along_keys().text;
  } else if (form < 2) {
    text = with_query(2).text;
  } else if (form < 5) {
    // A condition on what a subquery passes on.
    const Item item = derived({}, 2);
    text = "SELECT * FROM " + item.text + " WHERE " + condition(item.columns, 1);
  } else if (form < 7) {
    const Item item = from_item({}, 2);
    text = "SELECT * FROM " + item.text;
    if (chance(80)) text += " WHERE " + condition(item.columns, 1 + below(2));
  } else {
    text = select({}, 2).text;
  }
  return finish(std::move(text));
}

// Parameters that ended up in no text go.
GeneratedQuery QueryGenerator::finish(std::string text) {
  GeneratedQuery out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$') {
      out.text += text[i];
      continue;
    }
    std::size_t number = 0;
    for (; i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9'; ++i) {
      number = number * 10 + static_cast<std::size_t>(text[i + 1] - '0');
    }
    out.parameters.push_back(parameters_.at(number - 1));
    out.text += "$" + std::to_string(out.parameters.size());
  }
  return out;
}

}  // namespace pgcache::sql::testing
