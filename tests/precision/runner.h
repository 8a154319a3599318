// SPDX-License-Identifier: Apache-2.0
// Runs pairs: PostgreSQL and pgcache in front of it, one session through pgcache and one at the
// origin for each schema.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "precision/pair.h"
#include "support/cluster.h"
#include "support/pgcache_process.h"
#include "support/pq.h"

namespace pgcache::precision {

struct Verdict {
  bool passed = false;
  // Wrong rows, or a pair that is wrong in itself: never to be tolerated.
  bool severe = false;
  std::string what;  // what went otherwise; empty when it passed
};

class Runner {
 public:
  // `binary`: empty: $PGCACHE_BINARY. `copies`: pgcache keeps copies of small tables.
  Runner(const std::string& binary, bool copies);

  Verdict run(const Pair& pair);
  // What a person needs to see of a crash.
  std::string log_tail() const { return pgcache_->log_tail(3000); }

 private:
  struct Sessions {
    testing::Connection proxy;
    testing::Connection origin;
  };
  struct Answered {
    testing::QueryResult result;
    testing::Routes routes;
  };

  Verdict run_once(const Pair& pair, bool is_first);
  Sessions& sessions(Identity identity);
  void track_everything(Identity identity);
  testing::QueryResult ask(testing::Connection& connection, const Pair& pair) const;
  Answered ask_pgcache(const Pair& pair);
  bool warm(const Pair& pair, std::string& what);
  std::string change_and_ask(const Pair& pair, Verdict& verdict);
  void settle();

  const bool copies_;
  std::chrono::milliseconds patience_{0};  // in front of a change
  testing::Cluster cluster_;
  testing::Connection admin_;
  std::unique_ptr<testing::PgcacheProcess> pgcache_;
  std::unique_ptr<Sessions> full_;
  std::unique_ptr<Sessions> default_;
};

}  // namespace pgcache::precision
