// SPDX-License-Identifier: Apache-2.0
// What holds at once of a combination of rows, and what follows from it: columns that are equal,
// columns that equal an operand, conditions moved from one to the other, and conditions on the
// operands alone without which there is no such combination.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "sql/resolved_query.h"
#include "sql/tree.h"

namespace pgcache::sql {

using Conjuncts = std::vector<const Expr*>;

class Conditions {
 public:
  // The conjuncts must outlive this.
  Conditions(const ResolvedQuery& query, Conjuncts conjuncts);

  const Conjuncts& conjuncts() const { return conjuncts_; }

  // All that is known of a row of the table `use`, in its own columns and operands; parts that are
  // about other rows are opaque.
  std::vector<Expr> on(std::uint32_t use) const;

  // Whether some of that comes from another table, by columns that are equal.
  bool moves_to(std::uint32_t use) const;

  // Whether the two certainly have the same value: they are compared, or one column of one row.
  bool are_equal(ColumnKey a, ColumnKey b) const { return find(a) == find(b); }

  // Whether some conjunct says that the two are equal.
  bool are_compared(ColumnKey a, ColumnKey b) const;

  // Uses of which a row is certainly there: not one that an outer join extends with NULLs.
  std::set<std::uint32_t> present() const;

  // Conditions on operands alone.
  const std::vector<Expr>& guards() const { return guards_; }

  // Those that follow if `bounds` too is not false of the row of `use`.
  std::vector<Expr> guards_with(std::uint32_t use, const Expr& bounds) const;

 private:
  using Classes =
      std::map<ColumnKey, ColumnKey>;  // to another of the same class, in the end its first

  ColumnKey find(ColumnKey key) const;
  void unite(ColumnKey a, ColumnKey b);
  void join_rows();
  bool is_same_row(std::uint32_t a, std::uint32_t b) const;
  const Expr* bound(ColumnKey key) const;

  std::optional<ColumnKey> in_use(ColumnKey key, std::uint32_t use) const;
  void collect_present_columns(const Expr& conjunct, std::uint32_t use,
                               std::set<std::uint32_t>& out) const;
  Expr seen_from(const Expr& expr, std::uint32_t use) const;
  Expr with_operands(const Expr& expr) const;
  void add_copies(const Expr& conjunct, std::uint32_t use, std::vector<Expr>& out) const;
  void add_pairs(const Conjuncts& conjuncts, std::vector<Expr>& out) const;
  void add_arrays(const Conjuncts& conjuncts, std::vector<Expr>& out) const;
  void add_lists(const Conjuncts& conjuncts, std::vector<Expr>& out) const;
  std::vector<Expr> guards_of(const Conjuncts& conjuncts) const;
  std::vector<Expr> guards_with(const std::vector<Expr>& more) const;  // than the conjuncts
  std::vector<Expr> checks() const;

  const ResolvedQuery& query_;
  Conjuncts conjuncts_;
  Classes classes_;
  std::map<ColumnKey, const Expr*> bound_;  // by the first of the class
  std::vector<Expr> own_guards_;            // by the conjuncts alone
  std::vector<Expr> guards_;                // by CHECK constraints too
};

}  // namespace pgcache::sql
