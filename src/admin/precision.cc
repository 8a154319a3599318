// SPDX-License-Identifier: Apache-2.0
// How exactly changes were matched with results, by table.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "admin/reports.h"

namespace pgcache::admin {
namespace {

std::string_view identity_name(const pg::Relation& relation) {
  switch (relation.replica_identity) {
    case 'f':
      return "full";
    case 'i':
      return "index";
    case 'd':
      return "default";
    default:
      return "nothing";
  }
}

}  // namespace

std::vector<TablePrecision> table_precision(const AdminSources& sources) {
  const std::shared_ptr<const pg::Catalog> catalog = sources.catalog ? sources.catalog() : nullptr;
  if (catalog == nullptr || !sources.precision) return {};
  std::vector<TablePrecision> tables;
  for (const RelationCounts& counts : sources.precision()) {
    const pg::Relation* relation = catalog->find_relation(counts.relation);
    if (relation == nullptr) continue;  // dropped
    tables.push_back({relation->schema_name + "." + relation->name, relation->schema_name,
                      relation->name, std::string(identity_name(*relation)), counts});
  }
  std::sort(tables.begin(), tables.end(), [](const TablePrecision& a, const TablePrecision& b) {
    return std::tuple(b.counts.coarse, b.counts.invalidations, a.table) <
           std::tuple(a.counts.coarse, a.counts.invalidations, b.table);
  });
  if (tables.size() > kPrecisionTablesMax) tables.resize(kPrecisionTablesMax);
  return tables;
}

std::string precision_json(const AdminSources& sources) {
  using Json = nlohmann::ordered_json;
  Json out;
  out["origin"] = sources.origin;
  out["tables"] = Json::array();
  for (const TablePrecision& table : table_precision(sources)) {
    const auto all = static_cast<double>(table.counts.invalidations);
    out["tables"].push_back(
        {{"table", table.table},
         {"schema", table.schema},
         {"name", table.name},
         {"identity", table.identity},
         {"invalidations", table.counts.invalidations},
         {"coarse", table.counts.coarse},
         {"share", all > 0 ? static_cast<double>(table.counts.coarse) / all : 0.0}});
  }
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pgcache::admin
