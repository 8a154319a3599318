// SPDX-License-Identifier: Apache-2.0
// What a result as a whole tells of rows that it does not show: Cutoff, `repeated` and `extremes`
// of a Dependency (cacheable_query.h says what they mean).
//
// Where they hold:
//   - A cutoff, at any place whose conditions say that a column of the row equals the one by which
//     the statement's own rows are sorted first: of those rows it can only change such as have its
//     value there. (Not where NULLs of an outer join stand in for that column, nor where window
//     functions see rows that are cut off.) Also in the branches of a set operation.
//   - Repeated rows, in FROM of a SELECT DISTINCT or of the branches of UNION and the like, if all
//     that is shown are columns of the one row, by types whose equal values look alike.
//   - Extremes, in FROM of a statement that yields one row, of nothing but min and max of columns
//     of the one row.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "sql/conditions.h"
#include "sql/predicates.h"
#include "sql/resolved_query.h"

namespace pgcache::sql {

class ResultBounds {
 public:
  // Borrows all.
  ResultBounds(const ResolvedQuery& query, const pg::Catalog& catalog,
               PredicateBuilder& predicates);

  // `conditions`: those at the place of `use`, for which `dependency` stands.
  void add_to(Dependency& dependency, std::uint32_t use, const Conditions& conditions);

 private:
  void find_branches(const Block& block, bool positive);
  std::optional<ShownColumn> shown_as(const Block& block, std::size_t position, std::uint32_t use,
                                      const Conditions& conditions) const;
  std::optional<ShownColumn> column_like(const Expr& expr, bool is_c, bool only_ordered,
                                         std::size_t position, std::uint32_t use,
                                         const Conditions& conditions) const;
  std::vector<std::size_t> sorted_first() const;
  void add_cutoff(Dependency& dependency, std::uint32_t use, const Conditions& conditions);
  void add_repeated(Dependency& dependency, std::uint32_t use, const Conditions& conditions) const;
  void add_extremes(Dependency& dependency, std::uint32_t use, const Conditions& conditions) const;

  struct Source {
    const Block* block = nullptr;  // in whose FROM it stands
    bool positive = true;          // not on the right side of EXCEPT
  };

  const ResolvedQuery& query_;
  const pg::Catalog& catalog_;
  PredicateBuilder& predicates_;
  const Block& top_;
  std::map<std::uint32_t, Source> sources_;  // uses in FROM whose rows are never missing
};

}  // namespace pgcache::sql
