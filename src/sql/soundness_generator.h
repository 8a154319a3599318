// SPDX-License-Identifier: Apache-2.0
// Random queries over the shop of test_catalog.h, for the test of soundness: joins of every kind,
// subqueries, CTEs, views, set operations, and conditions that rows of a few small values often
// meet.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

namespace pgcache::sql::testing {

enum class ValueClass { kNumber, kText, kBpchar, kBool, kDate, kTimestamptz };

struct GeneratedColumn {
  std::string text;  // "u1.id"
  std::string name;  // "id"
  ValueClass type;
};

struct GeneratedQuery {
  std::string text;
  std::vector<std::optional<std::string>> parameters;
};

class QueryGenerator {
 public:
  explicit QueryGenerator(std::mt19937& random) : random_(random) {}

  GeneratedQuery query();
  // A value of the column's class as SQL, NULL included; for rows.
  std::string row_value(ValueClass type);
  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }

  static std::vector<GeneratedColumn> columns_of(const std::string& table);

 private:
  using Columns = std::vector<GeneratedColumn>;
  struct Item {
    std::string text;
    Columns columns;
  };

  bool chance(int percent) { return below(100) < percent; }
  template <typename T>
  const T& pick(const std::vector<T>& from) {
    return from[static_cast<std::size_t>(below(static_cast<int>(from.size())))];
  }
  const GeneratedColumn& pick_output(const Columns& columns);
  const GeneratedColumn& pick_column(const Columns& columns);
  std::string alias() { return "r" + std::to_string(++aliases_); }

  std::string small_query();
  std::string select(const Columns& outer, int depth, bool one_column);
  std::string select_list(const Columns& columns, std::string& tail, bool one_column);
  Item from_item(const Columns& outer, int depth);
  Item table();
  Item subquery(const Columns& outer, int depth);
  Item join(const Columns& outer, int depth);
  std::string condition(const Columns& columns, int depth);
  std::string atom(const Columns& columns, int depth);
  std::string column_atom(const Columns& columns, const GeneratedColumn& column);
  std::string subquery_atom(const Columns& columns, const GeneratedColumn& column, int depth);
  std::string equality(const Columns& left, const Columns& right);
  std::string literal(ValueClass type);
  std::string plain_value(ValueClass type);

  std::mt19937& random_;
  int aliases_ = 0;
  std::vector<std::pair<std::string, Columns>> ctes_;
  std::vector<std::optional<std::string>> parameters_;
};

}  // namespace pgcache::sql::testing
