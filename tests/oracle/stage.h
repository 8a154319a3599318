// SPDX-License-Identifier: Apache-2.0
// The servers of a run: PostgreSQL and pgcache in front of it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "support/cluster.h"
#include "support/pgcache_process.h"
#include "support/pq.h"

namespace pgcache::oracle {

using Clock = std::chrono::steady_clock;

class Stage {
 public:
  // `environment`: NAME=VALUE for pgcache. `binary` empty: $PGCACHE_BINARY.
  Stage(std::string binary, std::vector<std::string> environment);

  testing::Cluster& cluster() { return cluster_; }
  testing::PgcacheProcess& pgcache() { return *pgcache_; }
  std::string origin_dsn() const { return cluster_.dsn(); }
  std::string proxy_dsn() const { return pgcache_->dsn(); }
  testing::Connection& admin() { return *admin_; }  // a superuser at the origin

  std::unique_ptr<testing::PgcacheProcess> start(const std::vector<std::string>& arguments,
                                                 const std::vector<std::string>& environment) const;
  void settle();  // everything committed so far is applied
  void settle(const testing::PgcacheProcess& process);
  void wait_for_catalog();  // a change of the catalog is noticed

 private:
  testing::Cluster cluster_;
  std::string binary_;
  std::vector<std::string> environment_;
  std::unique_ptr<testing::Connection> admin_;
  std::unique_ptr<testing::PgcacheProcess> pgcache_;
};

}  // namespace pgcache::oracle
