// SPDX-License-Identifier: Apache-2.0
// The tables of the test of soundness: keys, foreign keys, checks, partitions, inheritance, views,
// and columns of many types, with few values each so that rows often meet.
#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "pg/catalog.h"

namespace pgcache::sql::testing {

// Columns of one class may be compared with each other.
enum class ValueClass {
  kNumber,
  kFloat,
  kText,     // of the default collation
  kCText,    // of the C collation
  kAnyCase,  // of a nondeterministic collation
  kBpchar,
  kBool,
  kDate,
  kTimestamp,
  kTimestamptz,
  kEnum,
  kInts,  // int[]
  kUuid,
};

struct TableColumn {
  std::string name;
  ValueClass type;
  bool not_null = false;
  bool whole_numbers = false;
};

// As a query may name it: a table, or a view.
struct Table {
  std::string name;
  pg::Oid oid = pg::Oid::kInvalid;
  std::vector<TableColumn> columns;
  bool has_rows = false;      // of its own: rows can be changed
  bool has_children = false;  // ONLY says something
};

const char* soundness_schema();

// The tables and views of schema public, by name.
std::vector<Table> tables_of(const pg::Catalog& catalog);

// Random values, mostly 1 and 2 and the like.
class Values {
 public:
  explicit Values(std::mt19937& random) : random_(random) {}

  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  bool chance(int percent) { return below(100) < percent; }
  template <typename T>
  const T& pick(const std::vector<T>& from) {
    return from[static_cast<std::size_t>(below(static_cast<int>(from.size())))];
  }

  // Its text form; never NULL.
  std::string plain(ValueClass type);
  // For a row: SQL, NULL often included.
  std::string of_row(const TableColumn& column);

 private:
  std::mt19937& random_;
};

std::string_view type_name(ValueClass type);

}  // namespace pgcache::sql::testing
