// SPDX-License-Identifier: Apache-2.0
// scan_shape and analyze on arbitrary bytes against the test catalog. The first byte steers the
// settings and whether parameters are declared.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sql/analysis.h"
#include "sql/test_catalog.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pgcache;  // NOLINT
  if (size == 0) return 0;
  static const auto catalog = sql::testing::make_shop_catalog();
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  sql::AnalysisContext context;
  context.catalog = catalog.get();
  context.search_path = {sql::testing::kPgCatalogSchema, sql::testing::kPublic};
  context.standard_conforming_strings = (data[0] & 1) == 0;
  if ((data[0] & 2) != 0) context.parameter_types = {pg::type::kInt4, pg::type::kText};
  const sql::StatementShape shape = sql::scan_shape(text, context.standard_conforming_strings);
  for (const sql::Literal& literal : shape.literals) {
    if (literal.offset >= text.size()) std::abort();
  }
  const sql::Analysis analysis = sql::analyze(text, shape, context);
  if (const sql::CacheableQuery* query = analysis.cacheable()) {
    const auto operands = sql::bind_operands(*query, shape.literals, {});
    if (operands.size() != query->operands.size()) std::abort();
    for (const sql::Dependency& dependency : query->dependencies) {
      if (sql::describe(dependency, *query).empty()) std::abort();
    }
  }
  return 0;
}
