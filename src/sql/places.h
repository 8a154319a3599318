// SPDX-License-Identifier: Apache-2.0
// The places of a query where tables stand, each with what holds of every combination of rows in
// which a row can matter there (dependencies.h says why).
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <vector>

#include "sql/conditions.h"

namespace pgcache::sql {

struct Place {
  std::uint32_t use = 0;
  std::shared_ptr<const Conditions> conditions;
  // As well what holds of rows behind others that must be there: of what a set operation compares
  // the row with, of a subquery that a condition asks for rows, of a block that it is joined with.
  // What is true of the query's own rows in every combination need not be of these, which stand for
  // some combination: for finding partners only.
  std::shared_ptr<const Conditions> joint;
};

// Borrows the query.
class Places {
 public:
  explicit Places(const ResolvedQuery& query);
  const std::vector<Place>& list() const { return list_; }
  // Uses of tables of which `joint` conditions say that a row is there.
  const std::set<std::uint32_t>& rows_behind() const { return rows_behind_; }

 private:
  std::deque<Expr> kept_;  // conditions that no text has, for as long as `list_` needs them
  std::vector<Place> list_;
  std::set<std::uint32_t> rows_behind_;
};

}  // namespace pgcache::sql
