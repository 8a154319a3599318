// SPDX-License-Identifier: Apache-2.0
// The control connection's end at a clean shutdown: nothing that this process made stays at the
// origin, but for what another pgcache there goes on using.
#include <string>

#include "base/log.h"
#include "origin/control_link_impl.h"
#include "origin/replica_identity.h"

namespace pgcache::origin {
namespace {

constexpr Duration kConnectTimeout = std::chrono::seconds(2);

}  // namespace

void ControlLink::Impl::take_back() {
  if (config->keep_slot || (!made_publication && !made_teller)) return;
  const auto stays = [this](const std::string& why) {
    const char* what = made_publication ? "the publication" : "the event triggers";
    if (made_teller && made_publication) what = "publication and event triggers";
    log_warning("control link: left on the origin: {} ({}); `pgcache cleanup` removes them", what,
                why);
  };
  LinkOptions options = link_options(*config, kControlName);
  options.connect_timeout = kConnectTimeout;
  auto opened = Link::open(options);
  if (const Failure* failure = std::get_if<Failure>(&opened)) return stays(failure->message);
  Link& origin = *std::get<std::unique_ptr<Link>>(opened);
  // The process that served this link may still be seen.
  const Reply others = origin.query(
      "SET statement_timeout = '3s'; SET lock_timeout = '1s'; SELECT count(*) FROM "
      "pg_catalog.pg_stat_activity WHERE datname = pg_catalog.current_database() AND "
      "application_name = " +
      quote_literal(kControlName) + " AND pid NOT IN (pg_catalog.pg_backend_pid(), " +
      std::to_string(served_by) + ")");
  if (!others.ok()) return stays(others.failure().message);
  if (others.number(0, 0) > 0) return stays("another pgcache uses this database");
  if (made_teller) {
    const std::optional<Failure> failure = remove_teller(origin);
    if (failure) return stays(failure->message);
    made_teller = false;
    log_info("control link: event triggers removed");
  }
  if (!made_publication) return;
  const Result<std::vector<RaisedTable>> raised = raised_tables(origin, config->publication);
  if (!raised.ok()) return stays(raised.error().message);
  if (!raised->empty()) return stays("it has the note of tables set to REPLICA IDENTITY FULL");
  const Reply dropped =
      origin.query("DROP PUBLICATION IF EXISTS " + quote_identifier(config->publication));
  if (!dropped.ok()) return stays(dropped.failure().message);
  log_info("control link: publication {} removed", config->publication);
}

}  // namespace pgcache::origin
