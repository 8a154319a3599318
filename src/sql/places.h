// SPDX-License-Identifier: Apache-2.0
// The places of a query where tables stand, each with what holds of every combination of rows in
// which a row can matter there (dependencies.h says why).
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "sql/conditions.h"

namespace pgcache::sql {

struct Place {
  std::uint32_t use = 0;
  std::shared_ptr<const Conditions> conditions;
};

// Borrows the query.
class Places {
 public:
  explicit Places(const ResolvedQuery& query);
  const std::vector<Place>& list() const { return list_; }

 private:
  std::deque<Expr> kept_;  // conditions that no text has, for as long as `list_` needs them
  std::vector<Place> list_;
};

}  // namespace pgcache::sql
