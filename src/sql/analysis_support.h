// SPDX-License-Identifier: Apache-2.0
// For the tests of analysis: an analysis as one line of text.
//   "users KEY id = ?1 [id name]; orders"   cacheable: one part for each dependency; in brackets
//   the
//                                           columns read, unless it reads all of them
//   "NO volatile_function now"              not cacheable
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sql/analysis.h"
#include "sql/test_catalog.h"

namespace pgcache::sql::testing {

inline Analysis analyze_with(const pg::Catalog& catalog, std::string_view text,
                             std::vector<pg::Oid> parameter_types = {},
                             std::vector<pg::Oid> path = {kPgCatalogSchema, kPublic}) {
  AnalysisContext context;
  context.catalog = &catalog;
  context.search_path = std::move(path);
  context.parameter_types = std::move(parameter_types);
  return analyze(text, scan_shape(text, true), context);
}

inline const pg::Catalog& shop() {
  static const auto catalog = make_shop_catalog();
  return *catalog;
}

inline std::string show(const Analysis& analysis, const pg::Catalog& catalog, bool columns) {
  if (const NotCacheable* no = analysis.not_cacheable()) {
    std::string out = "NO " + std::string(label(no->reason));
    if (!no->detail.empty()) out += " " + no->detail;
    return out;
  }
  std::string out;
  const CacheableQuery& query = *analysis.cacheable();
  for (const Dependency& dependency : query.dependencies) {
    const std::string text = describe(dependency, query);
    const std::size_t space = text.find(' ');
    if (!out.empty()) out += "; ";
    out += catalog.find_relation(dependency.relation)->name;
    if (space != std::string::npos) out += text.substr(space);
    if (!columns || dependency.reads_all_columns) continue;
    out += " [";
    for (std::size_t i = 0; i < dependency.columns_read.size(); ++i) {
      out += (i == 0 ? "" : " ") + dependency.columns_read[i];
    }
    out += "]";
  }
  return out;
}

// Dependencies without the columns, against the shop.
inline std::string dependencies(std::string_view text, std::vector<pg::Oid> types = {}) {
  return show(analyze_with(shop(), text, std::move(types)), shop(), false);
}
inline std::string with_columns(std::string_view text) {
  return show(analyze_with(shop(), text), shop(), true);
}
// Only "NO" and the reason.
inline std::string reason(std::string_view text) {
  const Analysis analysis = analyze_with(shop(), text);
  const NotCacheable* const no = analysis.not_cacheable();
  return no == nullptr ? "cacheable" : std::string(label(no->reason));
}

}  // namespace pgcache::sql::testing
