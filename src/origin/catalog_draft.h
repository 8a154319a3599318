// SPDX-License-Identifier: Apache-2.0
// The inside of the catalog loader, shared by the files catalog_*.cc. Nobody else includes it.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "origin/catalog_loader.h"
#include "origin/link.h"
#include "pg/catalog.h"

namespace pgcache::origin {

// What the loader gathers before it becomes a Catalog.
struct Draft {
  std::unordered_map<pg::Oid, pg::Relation> relations;
  std::unordered_map<pg::Oid, pg::Type> types;
  pg::Catalog catalog;
  bool default_collation_is_c = false;
  bool default_ascii_case = false;
  // The indexes that became a UniqueKey.
  std::unordered_map<pg::Oid, pg::Relation*> unique_indexes;

  pg::Relation* find_relation(pg::Oid oid) {
    const auto it = relations.find(oid);
    return it == relations.end() ? nullptr : &it->second;
  }
};

// A step: a query, and what its rows mean.
struct Step {
  std::string query;
  std::function<void(Draft&, const Reply&)> take;
};

// Unique keys, foreign keys, CHECK constraints and partition bounds, in an order that counts; after
// the relations, their columns, their inheritance and the types.
std::vector<Step> guarantee_steps(int server_version, ViewDefinitions definitions);

// A condition: whether the expression in `tree`, a column of type pg_node_tree, may call what is
// not IMMUTABLE.
std::string may_vary(const std::string& tree);

// What a write to a table may do besides: rows of other tables that it changes, code that it runs.
// After the relations and the types.
std::vector<Step> write_steps();

}  // namespace pgcache::origin
