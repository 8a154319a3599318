// SPDX-License-Identifier: Apache-2.0
// FROM items of random queries.
#include <algorithm>

#include "sql/soundness_generator_test_support.h"

namespace pgcache::sql::testing {

QueryGenerator::Item QueryGenerator::named_table(const Table& table) {
  const std::string as = alias();
  Item item;
  item.text = (table.has_children && chance(20) ? "ONLY " : "") + table.name + " " + as;
  for (const TableColumn& column : table.columns) {
    item.columns.push_back({as + "." + column.name, column.name, column.type});
  }
  return item;
}

QueryGenerator::Item QueryGenerator::table() {
  if (!ctes_.empty() && chance(40)) {
    Item item = pick(ctes_);
    const std::string as = alias();
    for (Column& column : item.columns) column.text = as + "." + column.name;
    item.text += " " + as;
    return item;
  }
  return named_table(pick_table());
}

// Along a key of one side or of both, where there is one.
std::optional<std::string> QueryGenerator::key_equality(const Columns& left, const Columns& right) {
  static const std::vector<std::vector<std::pair<const char*, const char*>>> kKeys = {
      {{"team_id", "id"}},
      {{"id", "team_id"}},
      {{"user_id", "id"}},
      {{"id", "user_id"}},
      {{"order_id", "id"}},
      {{"id", "order_id"}},
      {{"boss_id", "id"}},
      {{"user_id", "user_id"}},
      {{"order_id", "order_id"}, {"n", "n"}},
      {{"price", "price"}},
      {{"team_id", "team_id"}, {"name", "name"}},
      {{"label", "label"}},
      {{"k", "k"}, {"r", "r"}},
      {{"id", "id"}},
      {{"rank", "price"}}};
  const auto named = [&](const Columns& columns, const char* name) -> const Column* {
    std::vector<const Column*> found;
    for (const Column& column : columns) {
      if (column.name == name) found.push_back(&column);
    }
    return found.empty() ? nullptr : pick(found);
  };
  for (int i = 0; i < 20; ++i) {
    std::string on;
    for (const auto& [l, r] : pick(kKeys)) {
      const Column* const a = named(left, l);
      const Column* const b = named(right, r);
      if (a == nullptr || b == nullptr || a->type != b->type || a == b) {
        on.clear();
        break;
      }
      on += (on.empty() ? "" : " AND ") + a->text + " = " + b->text;
    }
    if (!on.empty()) return on;
  }
  return std::nullopt;
}

std::string QueryGenerator::equality(const Columns& left, const Columns& right) {
  if (chance(50)) {
    if (const auto on = key_equality(left, right)) return *on;
  }
  for (int i = 0; i < 20; ++i) {
    const Column& l = pick_column(left);
    const Column& r = pick_column(right);
    if (l.type == r.type) return l.text + " = " + r.text;
  }
  return "1 = 1";
}

QueryGenerator::Item QueryGenerator::derived(const Columns& outer, int depth) {
  const bool lateral = !outer.empty() && chance(50);
  Select inner = select(lateral ? outer : Columns{}, depth - 1);
  const std::string as = alias();
  for (Column& column : inner.outputs) column.text = as + "." + column.name;
  return {(lateral ? "LATERAL (" : "(") + inner.text + ") " + as, std::move(inner.outputs)};
}

QueryGenerator::Item QueryGenerator::function() {
  const std::string as = alias();
  switch (below(3)) {
    case 0:
      return {"generate_series(1, 2) " + as + "(g)", {{as + ".g", "g", ValueClass::kNumber}}};
    case 1:
      return {"(VALUES (1, 'a'), (2, NULL), (NULL, 'b')) " + as + "(n, t)",
              {{as + ".n", "n", ValueClass::kNumber}, {as + ".t", "t", ValueClass::kText}}};
    default:
      return {"(SELECT " + literal(ValueClass::kNumber) + " AS n, 'a'::text AS t) " + as,
              {{as + ".n", "n", ValueClass::kNumber}, {as + ".t", "t", ValueClass::kText}}};
  }
}

// With a table that shares a column name.
QueryGenerator::Item QueryGenerator::using_join(const Item& left, const std::string& kind) {
  for (int tries = 0; tries < 10; ++tries) {
    const Item right = named_table(pick(tables_));
    const Column shared = pick(left.columns);
    const auto named = [&](const Column& column) { return column.name == shared.name; };
    const auto other = std::find_if(right.columns.begin(), right.columns.end(), named);
    const bool once = std::count_if(left.columns.begin(), left.columns.end(), named) == 1;
    if (other == right.columns.end() || !once || other->type != shared.type) continue;
    if (shared.text.find('.') == std::string::npos) continue;
    Columns columns = left.columns;
    columns.insert(columns.end(), right.columns.begin(), right.columns.end());
    const Item joined{left.text + kind + right.text + " USING (" + shared.name + ")", columns};
    // The merged column is named without a table; as one of a relation of its own.
    Item result{"(" + joined.text + ")", joined.columns};
    result.columns.push_back({shared.name, shared.name, shared.type});
    return result;
  }
  return left;
}

QueryGenerator::Item QueryGenerator::join(const Columns& outer, int depth) {
  Item left = from_item(outer, depth - 1);
  Columns seen = outer;
  seen.insert(seen.end(), left.columns.begin(), left.columns.end());
  const std::string kind = pick<std::string>({" JOIN ", " JOIN ", " LEFT JOIN ", " LEFT JOIN ",
                                              " LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN "});
  if (chance(8)) return using_join(left, kind);
  if (chance(4)) {
    const Item right = named_table(pick(tables_));
    Columns both = left.columns;
    both.insert(both.end(), right.columns.begin(), right.columns.end());
    return {"(" + left.text + " NATURAL" + kind + right.text + ")", std::move(both)};
  }
  // LATERAL may look to the left only where the right side is not preserved.
  const bool inner = kind == " JOIN " || kind == " LEFT JOIN ";
  Item right = from_item(inner ? seen : Columns{}, depth - 1);
  Columns columns = left.columns;
  columns.insert(columns.end(), right.columns.begin(), right.columns.end());
  std::string on = equality(left.columns, right.columns);
  if (kind != " FULL JOIN ") {
    if (chance(20)) on = condition(columns, 2);
    if (chance(35)) on += " AND " + condition(columns, 1);
    if (chance(20)) on += " AND " + equality(left.columns, right.columns);
  }
  return {"(" + left.text + kind + right.text + " ON " + on + ")", std::move(columns)};
}

// Sometimes the one before, so that a table meets itself.
const Table& QueryGenerator::pick_table() {
  if (last_table_ == nullptr || chance(80)) last_table_ = &pick(tables_);
  return *last_table_;
}

QueryGenerator::Item QueryGenerator::from_item(const Columns& outer, int depth) {
  if (depth <= 0 || chance(35)) return table();
  if (chance(5)) return function();
  if (chance(35)) return derived(outer, depth);
  return join(outer, depth);
}

}  // namespace pgcache::sql::testing
