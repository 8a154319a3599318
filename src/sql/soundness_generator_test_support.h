// SPDX-License-Identifier: Apache-2.0
// Random queries over the tables of soundness_schema_test_support.h. Whatever rows a query may give
// is determined: LIMIT stands on what is sorted by all that is shown.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "sql/soundness_schema_test_support.h"

namespace pgcache::sql::testing {

struct GeneratedQuery {
  std::string text;
  std::vector<std::optional<std::string>> parameters;
};

class QueryGenerator {
 public:
  QueryGenerator(std::mt19937& random, std::vector<Table> tables)
      : values_(random), tables_(std::move(tables)) {}

  GeneratedQuery query();

 private:
  // A column in reach.
  struct Column {
    std::string text;  // "r1.id"
    std::string name;  // "id"
    ValueClass type;
  };
  using Columns = std::vector<Column>;
  // What may stand in FROM, with the columns that it brings.
  struct Item {
    std::string text;
    Columns columns;
  };
  // A SELECT without parentheses, and its outputs, whose texts are their names.
  struct Select {
    std::string text;
    Columns outputs;
  };
  using Classes = std::vector<ValueClass>;

  int below(int n) { return values_.below(n); }
  bool chance(int percent) { return values_.chance(percent); }
  template <typename T>
  const T& pick(const std::vector<T>& from) {
    return values_.pick(from);
  }
  std::string alias() { return "r" + std::to_string(++aliases_); }

  // soundness_generator_pgtest.cc: FROM
  Item from_item(const Columns& outer, int depth);
  Item table();
  Item named_table(const Table& table);
  Item derived(const Columns& outer, int depth);
  Item join(const Columns& outer, int depth);
  Item using_join(const Item& left, const std::string& kind);
  Item function();
  const Table& pick_table();
  std::string equality(const Columns& left, const Columns& right);
  std::optional<std::string> key_equality(const Columns& left, const Columns& right);

  // soundness_select_pgtest.cc: SELECT
  // Of these classes; of any, if there are none.
  Select select(const Columns& outer, int depth, const Classes& classes = {});
  Select simple_select(const Columns& outer, int depth, const Classes& classes);
  Select set_operation(const Columns& outer, int depth, const Classes& classes);
  Select with_query(int depth);
  Select recursion();
  Select along_keys();
  Select bounded();
  Columns choose_outputs(const Columns& columns, const Classes& classes);
  // They turn the parts of a simple SELECT into one of a kind.
  struct Parts;
  void group(Parts& parts, const Columns& visible, int depth);
  void aggregate(Parts& parts, const Columns& visible);
  void add_window(Parts& parts, const Columns& visible);
  void make_distinct(Parts& parts);
  void limit(Parts& parts, bool offset);
  std::string aggregate_of(const Column& column);
  static std::string first_of(const Select& select);
  void add_odd_output(Parts& parts, const Columns& visible);
  GeneratedQuery finish(std::string text);

  // soundness_conditions_pgtest.cc: conditions and values
  std::string condition(const Columns& columns, int depth);
  std::string atom(const Columns& columns, int depth);
  std::string constant_atom();
  std::string column_atom(const Columns& columns, const Column& column);
  std::string list_atom(const Column& column);
  std::string test_atom(const Columns& columns, const Column& column, int depth);
  std::string row_atom(const Columns& columns, const Column& column);
  std::string odd_atom(const Columns& columns, const Column& column);
  std::string subquery_atom(const Columns& columns, const Column& column, int depth);
  std::string value(const Columns& columns, ValueClass type);
  std::string shifted(const std::string& c, ValueClass type);
  std::string literal(ValueClass type);
  std::string parameter(std::optional<std::string> value);
  const Column& pick_column(const Columns& columns);
  const Column* pick_of(const Columns& columns, ValueClass type);
  static bool is_shown(const Column& column) { return column.type != ValueClass::kAnyCase; }

  Values values_;
  std::vector<Table> tables_;
  const Table* last_table_ = nullptr;
  int aliases_ = 0;
  std::vector<Item> ctes_;  // text: the name
  std::vector<std::optional<std::string>> parameters_;
};

struct QueryGenerator::Parts {
  std::string with;
  std::string list;
  std::string from;
  std::string where;
  std::string tail;
  Columns outputs;  // texts: the expressions
  bool any = true;  // outputs of any class may be added
};

}  // namespace pgcache::sql::testing
