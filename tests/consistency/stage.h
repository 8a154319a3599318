// SPDX-License-Identifier: Apache-2.0
// The servers of a run: PostgreSQL, the relay, and pgcache that reaches the origin through it; and
// everything that can be done to them. Main thread.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "consistency/history.h"
#include "consistency/session.h"
#include "support/cluster.h"
#include "support/pgcache_process.h"
#include "support/relay.h"

namespace pgcache::consistency {

struct StageOptions {
  Level level = Level::kSession;
  std::string binary;                    // empty: $PGCACHE_BINARY
  std::vector<std::string> conf;         // lines of the origin's postgresql.conf
  std::vector<std::string> conf_later;   // the same, reloaded once pgcache runs
  std::vector<std::string> arguments;    // of pgcache
  std::vector<std::string> environment;  // of pgcache
  std::int64_t max_staleness_ms = 1500;
};

enum class Fault : std::uint8_t {
  kCutStream,    // the origin ends the walsender
  kBreakStream,  // the network does
  kBreakControl,
  kBreakClients,  // all sessions' connections to the origin
  kStallStream,
  kStallControl,
  kStallEverything,
  kOriginFast,  // restarts
  kOriginImmediate,
  kOriginKilled,   // with all of its processes
  kBackendKilled,  // one process: the server ends all sessions and recovers
  kPgcacheKilled,
  kPgcacheStopped,
  kPgcacheFrozen,   // SIGSTOP, and SIGCONT after a while
  kOriginReloaded,  // SIGHUP
};
inline constexpr std::size_t kFaults = 15;
const char* name_of(Fault fault);

class Stage {
 public:
  explicit Stage(const StageOptions& options);

  Way direct() { return {cluster_.dsn(), nullptr}; }
  Way through_pgcache() { return {pgcache_->dsn(), &relay_}; }
  testing::PgcacheProcess& pgcache() { return *pgcache_; }

  // Blocks while it lasts. What happened is added to `incidents`.
  void inject(Fault fault, std::mt19937_64& random, std::vector<Incident>& incidents);
  // Everything runs, nothing is stalled, no transaction of a client is left.
  void heal();
  // pgcache serves, and all that was committed is applied. False: it does not serve at its level
  // (strict, where the program says so itself). Throws when it takes too long.
  bool settle();
  // pgcache ended although nobody ended it.
  bool died() { return !pgcache_->running(); }

 private:
  void stall(std::vector<Peer> peers, std::mt19937_64& random);
  void restart_origin(Fault fault, std::mt19937_64& random);
  void restart_pgcache(Fault fault, std::mt19937_64& random);
  bool end_transactions();
  void at_origin(const std::string& sql);

  testing::Cluster cluster_;
  Relay relay_;
  std::unique_ptr<testing::PgcacheProcess> pgcache_;
};

}  // namespace pgcache::consistency
