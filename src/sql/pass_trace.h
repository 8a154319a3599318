// SPDX-License-Identifier: Apache-2.0
// For explain: which passes made each dependency what it is. Dependencies are derived anew after
// each pass, and compared.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sql/resolved_query.h"

namespace pgcache::sql {

class PassTrace {
 public:
  // `start`: the query as the resolver leaves it, without dependencies. Borrows both.
  PassTrace(const pg::Catalog& catalog, const CacheableQuery& start)
      : catalog_(catalog), start_(start) {}

  // `pass` has brought the query there; empty: none has run yet.
  void note(const ResolvedQuery& query, std::string_view pass);

  // Fills the passes of the dependencies, of which each stands for the use of the same place.
  void finish(const std::vector<std::uint32_t>& uses, std::vector<Dependency>& dependencies) const;

 private:
  const pg::Catalog& catalog_;
  const CacheableQuery& start_;
  std::map<std::uint32_t, std::string> texts_;  // of each use's dependency, so far
  std::map<std::uint32_t, std::vector<std::string>> passes_;
};

}  // namespace pgcache::sql
