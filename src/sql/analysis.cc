// SPDX-License-Identifier: Apache-2.0
// analyze(): parse, classify, resolve, derive.
#include "sql/analysis.h"

#include <algorithm>

#include "sql/dependencies.h"
#include "sql/parse_tree.h"
#include "sql/pass_trace.h"
#include "sql/passes.h"
#include "sql/prepared.h"
#include "sql/resolver.h"
#include "sql/row_bound.h"
#include "sql/statement_kind.h"

namespace pgcache::sql {
namespace {

constexpr std::size_t kLiteralsMax = 20'000;

Analysis refuse(StatementKind kind, BypassReason reason, std::string detail) {
  Analysis analysis;
  analysis.kind = kind;
  analysis.outcome = NotCacheable{reason, std::move(detail)};
  return analysis;
}

// Of several statements: kSet or kDeallocateAll if each changes nothing but its session.
StatementKind kind_of_list(const ParseTree& tree, const pg::Catalog* catalog) {
  StatementKind kind = StatementKind::kSet;
  for (std::size_t i = 0; i < tree.statement_count(); ++i) {
    const PgQuery__Node* const one = tree.statement(i);
    if (one == nullptr || !only_touches_session(*one, catalog)) return StatementKind::kOther;
    const StatementKind own = effect_of(*one).kind;
    const bool drops = own == StatementKind::kDeallocate || own == StatementKind::kDeallocateAll;
    if (drops) kind = StatementKind::kDeallocateAll;
  }
  return kind;
}

// What names led to, and the relatives of those tables that count with them.
std::vector<pg::Oid> all_definitions(const CacheableQuery& query, std::vector<pg::Oid> named) {
  named.insert(named.end(), query.relations.begin(), query.relations.end());
  for (const Dependency& dependency : query.dependencies) {
    named.insert(named.end(), dependency.members.begin(), dependency.members.end());
  }
  std::sort(named.begin(), named.end());
  named.erase(std::unique(named.begin(), named.end()), named.end());
  return named;
}

Analysis analyze_read(std::string_view text, const PgQuery__SelectStmt& select,
                      const StatementShape& shape, const AnalysisContext& context) {
  if (shape.literals.size() > kLiteralsMax) {
    return refuse(StatementKind::kRead, BypassReason::kTooComplex, "literals");
  }
  if (context.catalog == nullptr) {
    return refuse(StatementKind::kRead, BypassReason::kStarting, "");
  }
  CacheableQuery query;
  Resolver resolver(context, text, shape);
  Analysis analysis;
  analysis.kind = StatementKind::kRead;
  if (!resolver.run(select, query)) {
    analysis.outcome = resolver.failure();
    return analysis;
  }
  ResolvedQuery resolved = resolver.take_query();
  query.one_row = has_at_most_one_row(resolved);
  const bool no_ties = select.limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_COUNT;
  if (no_ties) query.limit_literal = literal_of_limit(resolved);
  PassTrace trace(*context.catalog, query);
  PassListener after;
  if (context.trace_passes) {
    trace.note(resolved, "");
    after = [&](std::string_view pass) { trace.note(resolved, pass); };
  }
  std::vector<std::string> passes;
  for (const std::string_view pass : run_passes(resolved, after)) passes.emplace_back(pass);
  std::vector<std::uint32_t> uses;
  if (!derive_dependencies(resolved, *context.catalog, query, &uses)) {
    analysis.outcome = NotCacheable{BypassReason::kTooComplex, "operands"};
    return analysis;
  }
  query.definitions = all_definitions(query, resolver.take_definitions());
  query.passes = std::move(passes);
  trace.finish(uses, query.dependencies);
  analysis.outcome = std::move(query);
  return analysis;
}

}  // namespace

Analysis analyze(std::string_view text, const StatementShape& shape,
                 const AnalysisContext& context) {
  // The parser reads strings by the standard. Where the session does not, a backslash may end up
  // inside or outside of a string otherwise than here.
  if (!context.standard_conforming_strings && text.find('\\') != std::string_view::npos) {
    return refuse(StatementKind::kOther, BypassReason::kUnsupported, "backslash");
  }
  const auto parsed = ParseTree::parse(text, shape.text);
  if (const BypassReason* reason = std::get_if<BypassReason>(&parsed)) {
    return refuse(StatementKind::kOther, *reason, "");
  }
  const ParseTree& tree = std::get<ParseTree>(parsed);
  if (tree.statement_count() == 0) {
    return refuse(StatementKind::kOther, BypassReason::kEmptyQuery, "");
  }
  if (tree.statement_count() > 1) {
    return refuse(kind_of_list(tree, context.catalog), BypassReason::kMultiStatement, "");
  }
  const PgQuery__Node* const statement = tree.statement(0);
  if (statement == nullptr) return refuse(StatementKind::kOther, BypassReason::kUnsupported, "");
  StatementEffect effect = effect_of(*statement);
  Analysis analysis;
  if (statement->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
    analysis = refuse(effect.kind, BypassReason::kNotRead, "");
  } else {
    analysis = analyze_read(text, *statement->select_stmt, shape, context);
    analysis.kind = effect.kind;
    // Of the one that unlocks it is worth knowing that it writes nothing.
    const bool unlocks = only_touches_session(*statement, context.catalog);
    if (unlocks && analysis.not_cacheable()) analysis.kind = StatementKind::kSet;
    if (shape.pgcache_off) {
      analysis = refuse(analysis.cacheable() ? StatementKind::kQuiet : analysis.kind,
                        BypassReason::kComment, "");
    }
  }
  if (statement->node_case == PG_QUERY__NODE__NODE_EXECUTE_STMT) {
    analysis.call = read_execute(*statement->execute_stmt, text, shape);
  }
  analysis.statement_name = std::move(effect.name);
  if (analysis.not_cacheable()) analysis.side_effects = side_effects_of(*statement, context);
  return analysis;
}

}  // namespace pgcache::sql
