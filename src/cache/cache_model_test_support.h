// SPDX-License-Identifier: Apache-2.0
// What the model test's tables, transactions and queries are: an id and an age in each row, and for
// each query the answer on given tables.
#pragma once

#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cache/cache_test_support.h"

namespace pgcache::cache::testing::model {

inline constexpr int kIds = 6;
inline constexpr int kAges = 4;

enum class Table { kUsers, kOrders };
using Rows = std::map<int, int>;  // id → age
using Tables = std::map<Table, Rows>;

struct ModelChange {
  Table table{};
  bool is_rewrite = false;  // of all rows of the table, without row changes: by DDL
  cdc::ChangeKind kind{};
  int id = 0;  // the key before
  int old_age = 0;
  int new_id = 0;
  int new_age = 0;
  bool streamed = false;  // the table was published when it was made
};

struct ModelTransaction {
  std::uint64_t xid = 0;
  std::vector<ModelChange> changes;
  std::uint64_t end_lsn = 0;  // 0: not committed
  bool visible = false;
  bool over = false;     // visible or rolled back
  bool applied = false;  // by the stream, or before it began
  bool noticed = false;  // the cache was told that the catalog changed, if it rewrote a table
  int visible_at_ms = 0;
};

inline void play(const ModelTransaction& t, Tables& tables, bool with_rewrites = true) {
  for (const ModelChange& change : t.changes) {
    Rows& rows = tables[change.table];
    if (change.is_rewrite) {
      for (auto& [id, age] : rows) age = with_rewrites ? (age + 1) % kAges : age;
      continue;
    }
    if (change.kind == cdc::ChangeKind::kTruncate) {
      rows.clear();
      continue;
    }
    if (change.kind != cdc::ChangeKind::kInsert) rows.erase(change.id);
    if (change.kind != cdc::ChangeKind::kDelete) rows[change.new_id] = change.new_age;
  }
}

struct Query {
  // The last three show the ids of all rows that they depend on: those of an age, the first two
  // from an age on, and those of an age unless operand b is NULL.
  enum Kind { kById, kByAge, kCount, kBetween, kAgeInTwo, kJoin, kShown, kFirstTwo, kGuarded };
  static constexpr int kKinds = 9;
  Kind kind{};
  Table table{};
  int a = 0;
  int b = 0;  // of kGuarded: NULL if 0

  std::string key() const {
    std::ostringstream s;
    s << kind << '/' << static_cast<int>(table) << '/' << a << '/' << b;
    return s.str();
  }
  std::vector<sql::Operand> operands() const {
    if (kind == kGuarded && b == 0) return {number(a), null()};
    return {number(a), number(b)};
  }
  bool shows_keys() const { return kind == kShown || kind == kFirstTwo || kind == kGuarded; }

  bool picks(int id, int age) const {
    switch (kind) {
      case kById:
        return id == a;
      case kByAge:
      case kJoin:
      case kShown:
        return age == a;
      case kFirstTwo:
        return age >= a;
      case kGuarded:
        return age == a && b != 0;
      case kCount:
        return true;
      case kBetween:
        return a <= age && age < b;
      case kAgeInTwo:
        return age == a || age == b;
    }
    return false;
  }

  std::string answer(const Tables& tables) const {
    std::ostringstream s;
    const auto rows = [&](Table t) -> Rows {
      const auto it = tables.find(t);
      return it == tables.end() ? Rows{} : it->second;
    };
    const Rows mine = rows(table);
    if (kind == kCount) {
      s << mine.size();
      return s.str();
    }
    const Rows other = rows(Table::kOrders);
    int shown = 0;
    for (const auto& [id, age] : mine) {
      if (!picks(id, age)) continue;
      if (shows_keys()) {
        if (kind != kFirstTwo || ++shown <= 2) {
          s << data_row({std::to_string(age), std::to_string(id)});
        }
        continue;
      }
      s << id << ':' << age;
      if (kind == kJoin && other.contains(id)) s << '=' << other.at(id);
      s << ' ';
    }
    return s.str();
  }
};

// One shape for each kind and table; joins (a LEFT JOIN on id) read both tables.
inline ShapePtr shape_of(const Query& query) {
  static std::map<std::pair<int, int>, ShapePtr> shapes;
  ShapePtr& shape = shapes[{query.kind, static_cast<int>(query.table)}];
  if (shape) return shape;
  const pg::Oid oid = query.table == Table::kUsers ? kUsers : kOrders;
  std::vector<sql::Dependency> dependencies;
  switch (query.kind) {
    case Query::kById:
      dependencies = {where_equal(oid, "id")};
      break;
    case Query::kByAge:
      dependencies = {where_equal(oid, "age")};
      break;
    case Query::kCount:
      dependencies = {whole(oid)};
      dependencies[0].reads_all_columns = false;
      break;
    case Query::kBetween:
      dependencies = {where_between(oid, "age")};
      break;
    case Query::kAgeInTwo:
      dependencies = {where_in(oid, "age", {0, 1})};
      break;
    case Query::kJoin:
      dependencies = {where_equal(oid, "age"), whole(kOrders)};
      break;
    case Query::kShown:
      dependencies = {where_equal(oid, "age")};
      dependencies[0].shown = shows_former("id", 1);
      break;
    case Query::kFirstTwo:
      dependencies = {where_between(oid, "age")};
      dependencies[0].range->upper.reset();
      dependencies[0].residual = compare("age", sql::CompareOp::kGe, 0);
      dependencies[0].shown = shows_former("id", 1);
      break;
    case Query::kGuarded:
      dependencies = {where_equal(oid, "age")};
      dependencies[0].guard = operand_is_not_null(1);
      dependencies[0].shown = shows_former("id", 1);
      break;
  }
  if (query.kind == Query::kByAge || query.kind == Query::kShown) {
    dependencies[0].reads_all_columns = false;
    dependencies[0].columns_read = {"id", "age"};
  }
  const auto id = static_cast<std::uint64_t>(shapes.size());
  shape = make_shape(id, std::move(dependencies));
  return shape;
}

}  // namespace pgcache::cache::testing::model
