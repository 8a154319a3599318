// SPDX-License-Identifier: Apache-2.0
#include "oracle/stage.h"

#include <thread>

#include "support/sanitizer.h"

namespace pgcache::oracle {

namespace {
// Several times pgcache's interval, since what it does beside must end as well.
constexpr auto kCatalogWait = std::chrono::milliseconds(500);
constexpr const char* kCatalogPoll = "30ms";
}  // namespace

Stage::Stage(std::string binary, std::vector<std::string> environment)
    : cluster_({.conf = {"max_prepared_transactions = 20"}, .hba = {}, .autovacuum = false}),
      binary_(std::move(binary)),
      environment_(std::move(environment)),
      admin_(std::make_unique<testing::Connection>(cluster_.dsn())) {
  admin_->must("CREATE ROLE oracle_reader");
  pgcache_ = start({}, {});
}

std::unique_ptr<testing::PgcacheProcess> Stage::start(
    const std::vector<std::string>& arguments, const std::vector<std::string>& environment) const {
  testing::PgcacheOptions options;
  options.origin = cluster_.dsn();
  options.binary = binary_;
  options.environment = environment_;
  options.environment.insert(options.environment.end(), environment.begin(), environment.end());
  const std::string stale_after = std::to_string(5 * testing::patience()) + "s";
  options.arguments = {"--heartbeat-interval",    "10ms",       "--max-staleness", stale_after,
                       "--catalog-poll-interval", kCatalogPoll, "--workers",       "2"};
  options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
  return std::make_unique<testing::PgcacheProcess>(std::move(options));
}

void Stage::settle() { settle(*pgcache_); }

// A commit of our own makes sure that what was committed before is flushed with whole records.
void Stage::settle(const testing::PgcacheProcess& process) {
  admin_->must("SELECT pg_logical_emit_message(true, 'oracle', 'settle')");
  process.wait_applied(
      testing::parse_lsn(admin_->query("SELECT pg_current_wal_flush_lsn()").value()));
}

void Stage::wait_for_catalog() {
  std::this_thread::sleep_for(kCatalogWait);
  settle();
}

}  // namespace pgcache::oracle
