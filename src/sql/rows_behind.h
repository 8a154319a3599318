// SPDX-License-Identifier: Apache-2.0
// What holds of rows that must be there for others to be: behind each row of a block stand rows of
// its tables; for a condition to hold that asks a subquery for rows, it yields some. These
// conditions say of uses that stand elsewhere in the query that *some* combination of their rows
// fulfils them, not that any that matters does, so that they help to find partners (partners.h) and
// nothing else.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <vector>

#include "sql/conditions.h"
#include "sql/resolved_query.h"

namespace pgcache::sql {

// Borrows the query. The conditions that it makes live in `kept`.
class RowsBehind {
 public:
  RowsBehind(const ResolvedQuery& query, std::deque<Expr>& kept);

  // Behind each row of the block for which `use` stands, about columns of `use` as well.
  void add_of_block(std::uint32_t use, Conjuncts& out) { add_of_block(use, out, false, 0); }
  // Behind the rows that the node brings into a FROM list. Of tables among them the query's own
  // conditions say all.
  void add_of_node(const FromNode& node, Conjuncts& out);
  // Where the condition holds.
  void add_of_condition(const Expr& conjunct, Conjuncts& out) {
    add_of_condition(conjunct, out, 0);
  }
  // For a row of the block's table to matter: not in front of it, in the order of the block's
  // window, stands a row that the conditions on `use`, the block's, ask for; perhaps itself.
  void add_of_window(const Block& block, std::uint32_t use, const Conjuncts& context,
                     Conjuncts& out);
  // Columns of two branches of a set operation that have the same value.
  void add_same(std::uint32_t a, std::uint32_t b, std::uint32_t column, pg::Oid type,
                Conjuncts& out);

  // Whether the conjunct was made here, or from one that was.
  bool contains(const Expr* conjunct) const { return made_.contains(conjunct); }
  const Expr* note_copy(const Expr* original, const Expr* copy);

  // Uses of tables of which a row is there.
  const std::set<std::uint32_t>& tables() const { return tables_; }

 private:
  void add_of_block(std::uint32_t use, Conjuncts& out, bool value_needed, int depth);
  void add_of_operation(const Block& block, std::uint32_t use, Conjuncts& out, int depth);
  void add_outputs(const Block& block, std::uint32_t use, bool value_needed, Conjuncts& out);
  void add_of_condition(const Expr& conjunct, Conjuncts& out, int depth);
  void add_of_from(const FromNode& node, Conjuncts& out, int depth);
  void add(Expr expr, Conjuncts& out);
  bool is_never_null(const Expr& value) const;
  Expr same(Expr a, Expr b) const;

  const ResolvedQuery& query_;
  std::deque<Expr>& kept_;
  std::vector<int> readers_;  // of each block
  std::set<const Expr*> made_;
  std::set<std::uint32_t> tables_;
};

}  // namespace pgcache::sql
