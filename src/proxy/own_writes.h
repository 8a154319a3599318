// SPDX-License-Identifier: Apache-2.0
// To which tables a session has written what its reads must see.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "sql/cacheable_query.h"

namespace pgcache::proxy {

class OwnWrites {
 public:
  // Nothing: perhaps any table. Tables with their descendants (sql::SideEffects::writes).
  void add(const std::optional<std::vector<pg::Oid>>& tables) {
    if (!tables || tables_.size() + tables->size() > kTablesMax) anywhere_ = true;
    if (anywhere_) return tables_.clear();
    for (const pg::Oid table : *tables) {
      const auto place = std::lower_bound(tables_.begin(), tables_.end(), table);
      if (place == tables_.end() || *place != table) tables_.insert(place, table);
    }
  }
  void take(OwnWrites& other) {
    add(other.anywhere_ ? std::nullopt : std::optional(std::move(other.tables_)));
    other.clear();
  }
  void clear() {
    anywhere_ = false;
    tables_.clear();
  }

  // Whether the answer of a query may depend on what was written.
  bool touch(const sql::CacheableQuery& query) const {
    if (anywhere_) return true;
    return std::any_of(
        query.dependencies.begin(), query.dependencies.end(), [this](const sql::Dependency& d) {
          return std::any_of(d.members.begin(), d.members.end(), [this](pg::Oid member) {
            return std::binary_search(tables_.begin(), tables_.end(), member);
          });
        });
  }

 private:
  static constexpr std::size_t kTablesMax = 2000;
  bool anywhere_ = false;
  std::vector<pg::Oid> tables_;  // ascending
};

}  // namespace pgcache::proxy
