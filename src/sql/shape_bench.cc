// SPDX-License-Identifier: Apache-2.0
// The cost of finding a statement's shape (on every simple query) and of analysing it (once a
// shape).
#include <benchmark/benchmark.h>

#include "sql/analysis.h"
#include "sql/test_catalog.h"

namespace pgcache::sql {
namespace {

// 200 bytes, three literals.
constexpr std::string_view kStatement =
    "SELECT u.id, u.name, u.email, u.created_at, o.total, o.status FROM users AS u JOIN orders AS "
    "o ON "
    "o.user_id = u.id WHERE u.team_id = 4711 AND o.status = 'paid' AND u.active ORDER BY o.total "
    "LIMIT 20";

void scan(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(scan_shape(kStatement, true));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kStatement.size()));
}
BENCHMARK(scan);

void analyze_statement(benchmark::State& state) {
  const auto catalog = testing::make_shop_catalog();
  AnalysisContext context;
  context.catalog = catalog.get();
  context.search_path = {testing::kPgCatalogSchema, testing::kPublic};
  const StatementShape shape = scan_shape(kStatement, true);
  if (analyze(kStatement, shape, context).cacheable() == nullptr) state.SkipWithError("refused");
  for (auto _ : state) benchmark::DoNotOptimize(analyze(kStatement, shape, context));
}
BENCHMARK(analyze_statement);

void bind_three_operands(benchmark::State& state) {
  const auto catalog = testing::make_shop_catalog();
  AnalysisContext context;
  context.catalog = catalog.get();
  context.search_path = {testing::kPgCatalogSchema, testing::kPublic};
  const StatementShape shape = scan_shape(kStatement, true);
  const Analysis analysis = analyze(kStatement, shape, context);
  for (auto _ : state) {
    benchmark::DoNotOptimize(bind_operands(*analysis.cacheable(), shape.literals, {}));
  }
}
BENCHMARK(bind_three_operands);

}  // namespace
}  // namespace pgcache::sql
