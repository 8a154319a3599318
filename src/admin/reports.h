// SPDX-License-Identifier: Apache-2.0
// /status, /queries and /precision as JSON. Statement texts are bytes from clients: what is not
// UTF-8 in them is replaced, and long ones are cut. Admin thread.
#pragma once

#include <cstddef>
#include <string>

#include "admin/server.h"

namespace pgcache::admin {

std::string status_json(const AdminSources& sources);

// The `limit` most asked shapes, most asked first.
std::string queries_json(const AdminSources& sources, std::size_t limit);

// The tables whose changes dropped results, those first for which REPLICA IDENTITY FULL would have
// spared most.
std::string precision_json(const AdminSources& sources);

struct TablePrecision {
  std::string table;  // "shop.users", of the two that follow
  std::string schema;
  std::string name;
  std::string identity;
  RelationCounts counts;
};
// In the same order; no more than kPrecisionTablesMax.
std::vector<TablePrecision> table_precision(const AdminSources& sources);

inline constexpr std::size_t kPrecisionTablesMax = 200;
inline constexpr std::size_t kQueriesLimitDefault = 1000;
inline constexpr std::size_t kQueryTextBytesMax = 4096;

}  // namespace pgcache::admin
