// SPDX-License-Identifier: Apache-2.0
// Counts invalidations, and those of them after which the answer is what it was before: needless
// ones, by what the query is made of and by the replica identity of the changed table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "oracle/query.h"

namespace pgcache::oracle {

// What the query is made of: "join", "aggregate", "LIMIT" ...; at least one.
std::vector<std::string> constructs_of(const Query& query);

struct Tally {
  std::uint64_t invalidations = 0;
  std::uint64_t needless = 0;

  double share_percent() const;
};

class Needless {
 public:
  // One invalidation. `same`: the answer is what it was. `full`: the table has REPLICA IDENTITY
  // FULL, else the default one.
  void count(const Query& query, const std::string& change, bool full, bool same);
  // Answers that a change left in the cache.
  void count_kept() { ++kept_; }

  // Of the usual queries.
  const Tally& total(bool full) const { return full ? usual_.full : usual_.with_default; }
  std::string table() const;
  std::string json() const;
  // Up to `per_construct` needless invalidations of each construct.
  std::string examples(std::size_t per_construct) const;

 private:
  struct Both {
    Tally full;
    Tally with_default;
  };
  std::map<std::string, Both> constructs_;
  std::map<std::string, std::vector<std::string>> examples_;
  Both usual_;
  Both random_;  // the others
  std::uint64_t kept_ = 0;
};

}  // namespace pgcache::oracle
