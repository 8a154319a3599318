// SPDX-License-Identifier: Apache-2.0
// The admin HTTP endpoint: /healthz /readyz /metrics /status /queries /explain /precision. One
// thread with its own event loop; it reads the program through AdminSources only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "admin/explain.h"
#include "base/result.h"
#include "cache/cache.h"
#include "cache/shape_table.h"
#include "config/config.h"

namespace pgcache::admin {

struct RouteCounts {
  std::uint64_t hit = 0;
  std::uint64_t miss = 0;
  std::vector<std::pair<std::string, std::uint64_t>> bypass;    // reason, count
  std::vector<std::pair<std::string, std::uint64_t>> fallback;  // reason, count
  std::uint64_t blocks_deferred = 0;  // transaction blocks begun without the origin
  std::uint64_t blocks_local = 0;     // of these, ended without it too
  std::uint64_t sessions_failed = 0;  // ended by pgcache, since it could not go on with them
  std::int64_t tls_clients = 0;       // sessions whose client is in TLS, now
  std::int64_t tls_origin = 0;        // sessions whose connection to the origin is
};

// One latency histogram: bounds in seconds (ascending), counts has one more element (+Inf).
struct Histogram {
  std::vector<double> bounds;
  std::vector<std::uint64_t> counts;
  double sum = 0;
};

struct Readiness {
  bool ready = false;
  std::string reason;  // why not, with the statement that mends it
};

struct StreamReport {
  std::string state;            // starting, streaming, disconnected, failed
  std::uint64_t lag_bytes = 0;  // origin position last seen - applied
  std::string detail;
  std::vector<std::pair<std::string, std::uint64_t>> cold_starts = {};  // by cause
  std::uint64_t resumes = 0;              // after an interruption, without loss
  std::uint64_t slot_retained_bytes = 0;  // WAL that the slot holds back, as last seen
  std::uint64_t slot_drops = 0;           // since it held back too much
};

// How the strict level is kept.
struct StrictReport {
  std::string by;         // lease, read; empty: another level
  std::string synchrony;  // with lease: unknown, synchronous, not_synchronous
  std::uint64_t ack_timeouts = 0;
};

// How exactly changes to one table were matched with results.
struct RelationCounts {
  pg::Oid relation = pg::Oid::kInvalid;
  std::uint64_t invalidations = 0;
  std::uint64_t coarse = 0;  // of these, only because a row's former values were not known
};

// Callable from the admin thread at any time between start and stop.
struct AdminSources {
  std::function<Readiness()> readiness;
  std::function<cache::CacheStatus()> cache_status;
  std::function<StreamReport()> stream;
  std::function<RouteCounts()> routes;
  std::function<std::vector<std::pair<std::string, Histogram>>()> latencies;  // by route
  std::function<std::vector<cache::ShapePtr>()> shapes;
  std::function<std::vector<std::string>()> problems;  // lines
  std::function<std::uint64_t()> clients;              // connected sessions
  std::string origin;                                  // without password
  // These may be missing: then there is nothing to tell.
  std::function<std::shared_ptr<const pg::Catalog>()> catalog = {};
  std::function<std::vector<RelationCounts>()> precision = {};
  std::function<StrictReport()> strict = {};
  std::function<std::uint64_t()> definitions_pending = {};
  std::function<bool()> definitions_told = {};            // in the stream
  std::function<std::uint64_t()> identity_refusals = {};  // tables that could not be set to FULL
  ExplainContext explain = {};                            // without its catalog
};

class AdminServer {
 public:
  AdminServer(config::HostPort listen, AdminSources sources);
  ~AdminServer();

  Status start();              // binds; an error names the address and the cause
  std::uint16_t port() const;  // the bound port
  void stop();                 // joins

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgcache::admin
