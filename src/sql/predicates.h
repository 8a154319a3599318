// SPDX-License-Identifier: Apache-2.0
// Expressions → predicates on one row, with their operands numbered.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "sql/resolved_query.h"
#include "sql/tree.h"

namespace pgcache::sql {

class PredicateBuilder {
 public:
  // out.parameter_types must be final; out.operands grows.
  PredicateBuilder(const ResolvedQuery& query, const pg::Catalog& catalog, CacheableQuery& out)
      : query_(query), catalog_(catalog), out_(out) {}

  // As seen from one table: what is about others, or not understood, is unknown.
  Predicate build(const Expr& expr, std::uint32_t use);
  // As seen from several tables at once: `rows` numbers their uses (ColumnRef::row).
  using Rows = std::map<std::uint32_t, std::uint8_t>;
  Predicate build_joint(const Expr& expr, const Rows& rows);
  // A condition without columns.
  Predicate build_guard(const Expr& expr) { return build(expr, kNoUse); }

  ColumnRef column_ref(ColumnKey column) const;
  bool is_usable(const OperandSpec& spec) const;
  OperandIndex operand_index(const OperandSpec& spec);
  bool overflow() const { return overflow_; }

 private:
  static constexpr std::uint32_t kNoUse = UINT32_MAX;

  bool is_own(const Expr& expr, std::uint32_t use) const;
  ColumnRef own_column(const Expr& column) const;
  Predicate build_list(Predicate::Kind kind, const Expr& expr, std::uint32_t use);
  Predicate compare(const Expr& expr, std::uint32_t use);
  Predicate in(const Expr& expr, std::uint32_t use);
  Predicate any_of(const Expr& expr, std::uint32_t use);
  Predicate is_null(const Expr& expr, std::uint32_t use);
  Predicate operand(const Expr& expr);

  const ResolvedQuery& query_;
  const pg::Catalog& catalog_;
  CacheableQuery& out_;
  std::map<std::tuple<OperandSpec::Source, std::uint16_t, bool, pg::Oid, std::int32_t,
                      std::optional<pg::ValueFamily>, std::string>,
           std::size_t>
      operand_places_;
  bool overflow_ = false;
  const Rows* rows_ = nullptr;  // while build_joint() is at work
};

Predicate leaf(Predicate::Kind kind);

// Whether some part of it is unknown.
bool is_unknown(const Predicate& predicate);

// Drops what cannot rule a row out. In a positive place an OR with an unknown branch never can.
Predicate simplify(Predicate predicate, bool positive);

}  // namespace pgcache::sql
