// SPDX-License-Identifier: Apache-2.0
// What each read answers on a view of the model.
#include <algorithm>

#include "simulator/statements.h"

namespace pgcache::simulator {

namespace {

using Match = Origin::Match;

Match equals(std::size_t column, Number wanted) {
  return [column, wanted](const Row& row) { return wanted && row[column] == wanted; };
}

Match any() {
  return [](const Row&) { return true; };
}

Row row_of(Number a, Number b = std::nullopt) { return {a, b, std::nullopt, std::nullopt}; }

// Rows of one table with a condition; no join.
std::vector<Row> plain_rows(const Command& command, const std::vector<Number>& v, TableId t1,
                            const Origin& origin, const View& view) {
  switch (command.read) {
    case Read::kById:
    case Read::kNow:
      return origin.rows(t1, view, equals(0, v[0]));
    case Read::kByGroup:
    case Read::kCount:
    case Read::kMax:
    case Read::kJoin:
      return origin.rows(t1, view, equals(1, v[0]));
    case Read::kRange:
      return origin.rows(t1, view, [&v](const Row& row) {
        return v[0] && v[1] && *row[0] >= *v[0] && *row[0] < *v[1];
      });
    case Read::kIn:
      return origin.rows(t1, view,
                         [&v](const Row& row) { return row[0] == v[0] || row[0] == v[1]; });
    case Read::kEither:
      return origin.rows(t1, view, [&v](const Row& row) {
        return (v[0] && row[0] == v[0]) || (v[1] && row[1] == v[1]);
      });
    case Read::kNotGroup:
      return origin.rows(t1, view,
                         [&v](const Row& row) { return v[0] && row[1] && row[1] != v[0]; });
    case Read::kNull:
      return origin.rows(t1, view, [](const Row& row) { return !row[2]; });
    case Read::kByNote:
      return origin.rows(t1, view, equals(3, v[0]));
    case Read::kLeftJoin:
      return origin.rows(t1, view, equals(0, v[0]));
    case Read::kReferring:
      return origin.rows(TableId::kT2, view, equals(1, v[0]));
    case Read::kByName:
      return origin.rows(TableId::kT3, view, equals(1, v[0]));
    case Read::kNamed:
      return origin.rows(TableId::kT3, view, [&v](const Row& row) {
        return v[0] && v[1] && row[2] && *row[2] > *v[0] && row[1] && row[1] != v[1];
      });
    case Read::kUnpublished:
      return origin.rows(TableId::kT4, view, equals(0, v[0]));
    default:
      return origin.rows(t1, view, any());
  }
}

std::vector<Row> left_join(const std::vector<Row>& left, const Origin& origin, const View& view) {
  std::vector<Row> rows;
  for (const Row& a : left) {
    const std::vector<Row> right = origin.rows(TableId::kT2, view, equals(1, a[0]));
    if (right.empty()) rows.push_back(row_of(a[0]));
    for (const Row& b : right) rows.push_back(row_of(a[0], b[0]));
  }
  return rows;
}

std::vector<Row> derived_rows(const Command& command, const std::vector<Number>& v,
                              std::vector<Row> rows, const Origin& origin, const View& view) {
  std::vector<Row> out;
  switch (command.read) {
    case Read::kCount:
      return {row_of(static_cast<int>(rows.size()))};
    case Read::kMax: {
      Number greatest;
      for (const Row& row : rows) greatest = std::max(greatest, row[2]);
      return {row_of(greatest)};
    }
    case Read::kFirst:
      rows.resize(std::min<std::size_t>(rows.size(), 2));
      for (const Row& row : rows) out.push_back(row_of(row[0], row[2]));
      return out;
    case Read::kByNote:
      for (const Row& row : rows) out.push_back(row_of(row[0], row[2]));
      return out;
    case Read::kJoin:
      for (const Row& a : rows) {
        for (const Row& b : origin.rows(TableId::kT2, view, equals(1, a[0]))) {
          out.push_back(row_of(a[0], b[2]));
        }
      }
      // In no order that a column decides which the query does not read.
      std::sort(out.begin(), out.end());
      return out;
    case Read::kLeftJoin:
      return left_join(rows, origin, view);
    case Read::kExists:
      for (const Row& a : rows) {
        const auto found = origin.rows(
            TableId::kT2, view, [&](const Row& b) { return b[1] == a[0] && v[0] && b[2] == v[0]; });
        if (!found.empty()) out.push_back(row_of(a[0]));
      }
      return out;
    case Read::kUnion:
      for (const Row& row : rows) {
        if (v[0] && row[1] == v[0]) out.push_back(row_of(row[0]));
      }
      for (const Row& row : origin.rows(TableId::kT2, view, equals(1, v[1]))) {
        out.push_back(row_of(row[0]));
      }
      return out;
    default:
      return rows;
  }
}

}  // namespace

Table evaluate(const Command& command, const std::vector<Number>& values, const Settings& settings,
               const Origin& origin, const View& view) {
  Table table;
  table.columns = columns_of(command);
  Command on_t1 = command;
  on_t1.table = TableId::kT1;
  const TableId t1 = resolve(on_t1, settings);
  table.rows =
      derived_rows(command, values, plain_rows(command, values, t1, origin, view), origin, view);
  return table;
}

}  // namespace pgcache::simulator
