// SPDX-License-Identifier: Apache-2.0
// Which columns of a table's rows the result shows, for each place of the query: Shown of a
// Dependency (cacheable_query.h says what that means).
//
// What must be in the result before a row of the table matters:
//   - FROM of the statement's own block, not in place of rows that an outer join extends: a row
//   that
//     the result depends on is in it, so that only those can go. (EXISTS and IN that a row must
//     fulfil have become part of FROM by now.) LIMIT without OFFSET cuts off what comes after;
//     groups show their keys. A window function sees rows that are cut off later: not then.
//   - branches of a set operation: the same. What comes to the right side of EXCEPT takes away what
//     is in the result; under another EXCEPT it is the other way round.
//   - NOT EXISTS that a row must fulfil: a row that comes takes away rows that are in the result.
//   - a subquery that only computes a column of the result or its order, or the extended side of an
//   outer join
//     that nothing but the select list looks at: the rows for which it does are in the result all
//     the time, whatever comes or goes inside.
//   - a recursive query all of whose rows are shown: a row that its recursive part reads meets rows
//     that are in it already.
// That the row inside belongs to the row that is shown, the conditions at its place say: columns
// that are equal there.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "sql/conditions.h"
#include "sql/predicates.h"
#include "sql/resolved_query.h"

namespace pgcache::sql {

// Values whose text in a result says the same under every setting of the session, if it is
// understood at all. (Text of floats may be rounded, and intervals and bytea are spelled in ways
// that may be taken for another.)
bool reads_back(pg::ValueFamily family);

class ShownFinder {
 public:
  // Borrows all. `mentions`: of columns in the whole query.
  ShownFinder(const ResolvedQuery& query, const pg::Catalog& catalog,
              const PredicateBuilder& predicates, const ColumnCounts& mentions);

  // `conditions`: those at the place of `use`.
  Shown shown_of(std::uint32_t use, const Conditions& conditions) const;

 private:
  // What is known of a place.
  struct Rule {
    const Block* block;  // whose outputs show it
    bool before = false;
    bool after = false;
    bool only_keys = false;    // outputs that are keys of GROUP BY
    bool tests_known = false;  // Shown::columns_tested can be told
    // What the outputs say of the first of these uses they say of the second.
    std::optional<std::pair<std::uint32_t, std::uint32_t>> as = std::nullopt;
  };

  void visit_top();
  void visit_branches(const Block& block, bool positive);
  void visit_branch(const Block& block, bool positive);
  void visit_from(const FromNode& node, const Rule& rule);
  void visit_extended(const FromNode& join, const FromNode& side);
  void visit_block_item(const FromNode& node);
  void visit_anti_joins();
  void visit_recursion();
  void visit_recursive_part(const Block& part, std::uint32_t recursion, std::uint32_t shown);
  void add(std::uint32_t use, const Rule& rule);
  void add_below(std::uint32_t block, const Rule& rule);

  bool shows_all_rows() const;
  bool looks_like_it(const Expr& output, std::size_t position) const;
  Rule always() const { return {&top_, true, true}; }
  bool is_looked_at_elsewhere(const std::set<std::uint32_t>& uses, const FromNode* join) const;
  std::vector<std::string> columns_tested(std::uint32_t use) const;

  const ResolvedQuery& query_;
  const pg::Catalog& catalog_;
  const PredicateBuilder& predicates_;
  const Block& top_;
  std::map<std::uint32_t, Rule> rules_;
  // Of each block, the uses in FROM whose rows are never missing.
  std::map<const Block*, std::set<std::uint32_t>> rows_;
  const ColumnCounts& mentions_;
  ColumnCounts beyond_rows_;                       // of the top block
  std::map<std::uint32_t, std::size_t> sublinks_;  // how often each stands in the query
};

}  // namespace pgcache::sql
