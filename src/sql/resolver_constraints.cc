// SPDX-License-Identifier: Apache-2.0
// What the catalog says of every row of a table: CHECK constraints and partition bounds.
#include "sql/resolver.h"
#include "sql/safety.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

using pg::Oid;

constexpr std::size_t kConstraintsMax = 20;  // CHECK constraints of one table
constexpr std::size_t kPartitionsMax = 200;

}  // namespace

// CHECK constraints and the bounds of partitions, from the catalog. What is not understood is left
// out: it only ever narrows.
void Resolver::resolve_constraints(std::uint32_t use) {
  const pg::Relation& relation = *query_.uses[use].relation;
  if (failed()) return;
  const auto add = [&](const std::string& text, std::vector<Expr>& list) {
    if (std::optional<Expr> condition = resolve_constraint(text, use)) {
      list.push_back(*std::move(condition));
    }
  };
  std::vector<Expr> checks;
  for (std::size_t i = 0; i < relation.checks.size() && i < kConstraintsMax; ++i) {
    add(relation.checks[i], checks);
  }
  if (!relation.partition_constraint.empty()) add(relation.partition_constraint, checks);
  query_.uses[use].checks = std::move(checks);
  if (!query_.uses[use].inherit || relation.kind != 'p') return;
  std::size_t resolved = 0;
  for (const Oid oid : relation.descendants) {
    const pg::Relation* const child = catalog_.find_relation(oid);
    if (child == nullptr || child->partition_constraint.empty()) continue;
    if (++resolved > kPartitionsMax) break;
    std::vector<Expr> bounds;
    add(child->partition_constraint, bounds);
    if (!bounds.empty()) query_.uses[use].member_bounds.emplace_back(oid, std::move(bounds[0]));
  }
}

std::optional<Expr> Resolver::resolve_constraint(const std::string& text, std::uint32_t use) {
  const std::string select = "SELECT " + text;
  const auto parsed = ParseTree::parse(select, select);
  const PgQuery__SelectStmt* const statement = only_select(parsed);
  if (statement == nullptr || statement->n_target_list != 1) return std::nullopt;
  const Node* const target = statement->target_list[0];
  if (target->node_case != PG_QUERY__NODE__NODE_RES_TARGET) return std::nullopt;
  FromScope columns;
  columns.columns = columns_of_table(use);
  Source source = source_in_catalog(select);
  std::swap(source_, source);
  const bool user_types = user_types_;
  const std::size_t notes = notes_.size();
  const std::size_t uses = query_.uses.size();
  const Scope scope{&columns, nullptr, nullptr};
  Expr condition = as_condition(resolve_expr(target->res_target->val, scope));
  std::swap(source_, source);
  // It is no part of the statement: what cannot be understood, or says something about it, goes.
  const bool understood = !failed() && query_.uses.size() == uses;
  failure_.reset();
  user_types_ = user_types;
  notes_.resize(notes);
  if (!understood) return std::nullopt;
  each_expr(condition, [](Expr& part) { part.note = -1; });
  return condition;
}

}  // namespace pgcache::sql
