// SPDX-License-Identifier: Apache-2.0
// From the origin's error messages to what is missing and how to mend it.
#include "origin/problems.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "origin/ssl_negotiation.h"

namespace pgcache::origin {
namespace {

bool says(const Failure& failure, std::string_view words) {
  return failure.message.find(words) != std::string::npos;
}

}  // namespace

Problem explain_connect_failure(const Failure& failure) {
  if (says(failure, "pg_hba.conf")) {
    return {
        "the origin's pg_hba.conf lets pgcache's own connections not in: " + failure.message,
        "add a line to pg_hba.conf for pgcache's role and database, then SELECT pg_reload_conf()"};
  }
  if (says(failure, "authentication failed") || says(failure, "no password supplied")) {
    return {"the origin refuses pgcache's own credentials: " + failure.message,
            "put the right user and password into the origin URL or a password file"};
  }
  return {"cannot connect to the origin: " + failure.message,
          "check the origin URL, and that the server runs and can be reached"};
}

Problem explain_replication_failure(const config::Config& config, const Failure& failure) {
  if (says(failure, "wal_level") || says(failure, "logical decoding requires")) {
    return {"the origin's wal_level does not allow logical decoding: " + failure.message,
            "ALTER SYSTEM SET wal_level = 'logical'; then restart the server"};
  }
  if (says(failure, "all replication slots are in use")) {
    return {"the origin has no free replication slot",
            "drop an unused slot, or ALTER SYSTEM SET max_replication_slots = 10; then restart the "
            "server"};
  }
  if (says(failure, "max_wal_senders") || says(failure, "max_replication_slots")) {
    return {"the origin has no room for another replication connection: " + failure.message,
            "ALTER SYSTEM SET max_wal_senders = 10, max_replication_slots = 10; then restart the "
            "server"};
  }
  if (says(failure, "replication role") || says(failure, "REPLICATION attribute") ||
      says(failure, "permission denied to start WAL sender") ||
      says(failure, "permission denied to use replication slots")) {
    return {"pgcache's role on the origin may not replicate: " + failure.message,
            "ALTER ROLE <the role in the origin URL> REPLICATION"};
  }
  if (says(failure, "is active for PID")) {
    return {"slot " + config.slot + " is in use: " + failure.message +
                "; another pgcache? choose another name with --slot",
            "stop the other one, or choose another name with --slot"};
  }
  if (failure.sqlstate.empty()) return explain_connect_failure(failure);
  return {"the origin does not stream its changes: " + failure.message,
          "see the origin's log for the reason"};
}

Problem explain_publication_failure(const config::Config& config, const Failure& failure) {
  if (failure.sqlstate == "42501") {
    return {
        "pgcache's role may not create publication " + config.publication + ": " + failure.message,
        "GRANT CREATE ON DATABASE <the database in the origin URL> TO <its role>"};
  }
  return {"publication " + config.publication + " cannot be made: " + failure.message,
          "CREATE PUBLICATION " + config.publication + " by hand, or set manage_publication"};
}

void ProblemReporter::report(std::vector<Problem> problems) {
  std::vector<std::string> texts;
  texts.reserve(problems.size());
  for (const Problem& p : problems) texts.push_back(p.what);
  if (reported_ && texts == last_) return;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    if (std::find(last_.begin(), last_.end(), texts[i]) != last_.end()) continue;
    log_warning("{}. To mend it: {}", problems[i].what, problems[i].mend);
  }
  reported_ = true;
  last_ = std::move(texts);
  sink_(std::move(problems));
}

LinkOptions link_options(const config::Config& config, std::string application_name) {
  LinkOptions options;
  options.conninfo = conninfo_for_libpq(
      config.replication_origin.empty() ? config.origin : config.replication_origin);

  options.application_name = std::move(application_name);
  options.connect_timeout = config.origin_connect_timeout;
  return options;
}

Result<std::unique_ptr<Link>> connect_to_origin(const config::Config& config,
                                                std::string application_name) {
  auto opened = Link::open(link_options(config, std::move(application_name)));
  if (const Failure* failure = std::get_if<Failure>(&opened)) {
    return Error{explain_connect_failure(*failure).what};
  }
  return std::move(std::get<std::unique_ptr<Link>>(opened));
}

}  // namespace pgcache::origin
