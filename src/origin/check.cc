// SPDX-License-Identifier: Apache-2.0
// `pgcache check`.
#include "origin/check.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>

#include "origin/definition_teller.h"
#include "origin/link.h"
#include "origin/problems.h"
#include "origin/publication.h"
#include "origin/replication_slot.h"
#include "origin/ssl_negotiation.h"
#include "origin/synchrony.h"

namespace pgcache::origin {
namespace {

constexpr int kOldestVersion = 140000;

constexpr const char* kName = "pgcache check";

// The first column of the first row.
Result<std::string> ask(Link& link, const std::string& sql) {
  const Reply reply = link.query(sql);
  if (!reply.ok()) return Error{reply.failure().message};
  if (reply.rows() == 0 || reply.is_null(0, 0)) return std::string();
  return std::string(reply.text(0, 0));
}

class Checker {
 public:
  Checker(const config::Config& config, bool running, Link& link)
      : config_(config), running_(running), link_(link) {}

  Result<std::vector<Problem>> run() {
    if (link_.server_version() < kOldestVersion) {
      add("the origin's version is older than 14", "use PostgreSQL 14 or later");
      return std::move(problems_);
    }
    server();
    slot();
    replication_connection();
    publication();
    tables();
    definitions();
    pooler();
    synchrony();
    if (error_) return *error_;
    return std::move(problems_);
  }

 private:
  void add(std::string what, std::string mend, bool fatal = true) {
    problems_.push_back({std::move(what), std::move(mend), fatal});
  }
  std::string value(const std::string& sql) {
    Result<std::string> answer = ask(link_, sql);
    if (answer.ok()) return std::move(*answer);
    if (!error_) error_ = answer.error();
    return {};
  }
  bool truth(const std::string& sql) { return value(sql) == "t"; }

  void server();
  void slot();
  void replication_connection();
  void publication();
  void tables();
  void definitions();
  void pooler();
  void synchrony();

  const config::Config& config_;
  const bool running_;
  Link& link_;
  std::vector<Problem> problems_;
  std::optional<Error> error_;
};

void Checker::server() {
  const std::string wal_level = value("SHOW wal_level");
  if (wal_level != "logical") {
    add("wal_level is " + wal_level + "; logical decoding needs logical",
        "ALTER SYSTEM SET wal_level = 'logical'; then restart the server");
  }
  if (truth("SELECT pg_is_in_recovery()") && link_.server_version() < 160000) {
    add("the origin is a standby, and logical decoding on a standby needs version 16",
        "use the primary as origin");
  }
  const std::string role = value("SELECT current_user");
  if (!truth("SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user")) {
    add("role " + role + " may not replicate",
        "ALTER ROLE " + quote_identifier(role) + " REPLICATION");
  }
}

void Checker::slot() {
  const Result<SlotState> state = read_slot(link_, config_.slot);
  if (!state.ok()) {
    error_ = state.error();
    return;
  }
  if (state->exists && !state->ours) {
    add("replication slot " + config_.slot +
            " exists and is not one of pgcache's for this database",
        "choose another name with --slot");
  } else if (state->exists && state->active_pid != 0 && !running_) {
    add("slot " + config_.slot + " is in use by process " + std::to_string(state->active_pid) +
            ": another pgcache?",
        "stop the other one, or choose another name with --slot");
  }
  if (config_.max_slot_retained != 0 && state->retained_bytes > config_.max_slot_retained / 2) {
    add("slot " + config_.slot + " holds back " + std::to_string(state->retained_bytes >> 20) +
            " MiB of WAL; beyond max_slot_retained (" +
            std::to_string(config_.max_slot_retained >> 20) + " MiB) a running pgcache drops it",
        running_ ? "end transactions that have been open for long: SELECT pid, query FROM "
                   "pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start"
                 : "start pgcache, or remove the slot with pgcache cleanup",
        false);
  }
  // Only pgcache looks after max_slot_retained, and only while it runs.
  if (truth("SELECT setting = '-1' FROM pg_settings WHERE name = 'max_slot_wal_keep_size'")) {
    add("max_slot_wal_keep_size is -1: a slot that nobody reads may fill the origin's disk",
        "ALTER SYSTEM SET max_slot_wal_keep_size = '20GB'; SELECT pg_reload_conf()", false);
  }
  if (!state->exists && truth("SELECT count(*) >= current_setting('max_replication_slots')::int"
                              " FROM pg_replication_slots")) {
    add("the origin has no free replication slot",
        "drop an unused slot, or ALTER SYSTEM SET max_replication_slots = 10; then restart the "
        "server");
  }
}

// The privilege, pg_hba.conf and max_wal_senders, by trying.
void Checker::replication_connection() {
  LinkOptions options = link_options(config_, kName);
  options.replication = true;
  auto opened = Link::open(options);
  if (const Failure* failure = std::get_if<Failure>(&opened)) {
    Problem problem = explain_replication_failure(config_, *failure);
    // A missing REPLICATION attribute has been reported already.
    for (const Problem& p : problems_) {
      if (p.mend.find("REPLICATION") != std::string::npos &&
          problem.mend.find("REPLICATION") != std::string::npos) {
        return;
      }
    }
    problems_.push_back(std::move(problem));
  }
}

// Whether it leads to this server and database. Asked as a client of the pooler asks, which leaves
// nothing behind on the connection.
void Checker::pooler() {
  if (config_.replication_origin.empty()) return;
  const std::string conninfo = conninfo_for_libpq(config_.origin);
  const std::array<const char*, 4> keys{"dbname", "application_name", "connect_timeout", nullptr};
  const std::array<const char*, 4> values{conninfo.c_str(), kName, "10", nullptr};
  const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(
      PQconnectdbParams(keys.data(), values.data(), 1), PQfinish);
  const std::string where =
      "SELECT pg_catalog.current_database() || ' ' || pg_catalog.pg_postmaster_start_time()::"
      "pg_catalog.timestamptz(6) AT TIME ZONE 'UTC'";
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
      PQexec(connection.get(), where.c_str()), PQclear);
  if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) {
    std::string why = without_secrets(PQerrorMessage(connection.get()));
    while (!why.empty() && why.back() == '\n') why.pop_back();
    add("the pooler in front of the server does not answer: " + why, "check the URL in origin");
  } else if (PQgetvalue(result.get(), 0, 0) != value(where)) {
    add("origin leads to another server or database than replication_origin: nothing is cached",
        "configure the pooler, or name the same database of the same server in both URLs");
  }
}

// Whether commits wait for pgcache, or would if it ran.
void Checker::synchrony() {
  if (config_.strict_by() != config::StrictBy::kLease) return;
  const Result<SlotState> slot = read_slot(link_, config_.slot);
  const int walsender = slot.ok() && running_ ? slot->active_pid : 0;
  const Reply reply = link_.query("SELECT " + synchrony_columns(walsender));
  if (!reply.ok()) {
    if (!error_) error_ = Error{reply.failure().message};
    return;
  }
  const SynchronyReading reading = read_synchrony(reply, 0);
  const std::string& name = config_.own_standby_name();
  for (Problem& gap : walsender != 0 ? gaps_in(reading, name) : gaps_in_settings(reading, name)) {
    problems_.push_back(std::move(gap));
  }
  if (!truth("SELECT rolsuper OR pg_has_role(rolname, 'pg_read_all_stats', 'USAGE') FROM pg_roles"
             " WHERE rolname = current_user")) {
    const std::string role = value("SELECT current_user");
    add("role " + role + " may not see whether pgcache is a synchronous standby",
        "GRANT pg_read_all_stats TO " + quote_identifier(role));
  }
  // The stream, and beside it the connection that confirms when the stream cannot.
  const std::string wanted = running_ ? "1" : "2";
  if (truth("SELECT count(*) + " + wanted +
            " > current_setting('max_wal_senders')::int FROM"
            " pg_stat_get_wal_senders()")) {
    add("the origin has too few free walsenders: pgcache needs two",
        "ALTER SYSTEM SET max_wal_senders = 10; then restart the server");
  }
}

void Checker::publication() {
  const Result<PublicationState> state = read_publication(link_, config_.publication);
  if (!state.ok()) {
    error_ = state.error();
    return;
  }
  const std::string name = quote_identifier(config_.publication);
  if (state->exists) {
    if (!state->all_actions) {
      add("publication " + config_.publication + " does not publish all actions: nothing is cached",
          "ALTER PUBLICATION " + name + " SET (publish = 'insert, update, delete, truncate')");
    }
    if (config_.manage_publication && !state->all_tables &&
        !truth("SELECT pg_has_role(pubowner, 'USAGE') FROM pg_publication WHERE pubname = " +
               quote_literal(config_.publication))) {
      add("publication " + config_.publication + " belongs to another role: no table can be added",
          "ALTER PUBLICATION " + name + " OWNER TO " +
              quote_identifier(value("SELECT current_user")));
    }
  } else if (!config_.manage_publication) {
    add("there is no publication " + config_.publication,
        "CREATE PUBLICATION " + name + " FOR TABLE ..., or let pgcache manage it");
  } else if (!truth("SELECT has_database_privilege(current_database(), 'CREATE')")) {
    add("role " + value("SELECT current_user") + " may not create a publication",
        "GRANT CREATE ON DATABASE " + quote_identifier(value("SELECT current_database()")) +
            " TO " + quote_identifier(value("SELECT current_user")));
  }
}

// What some tables lack: they are not cached, the others are.
void Checker::tables() {
  const std::string user_tables =
      " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'"
      " AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
      " AND n.nspname NOT LIKE 'pg\\_toast%'";
  const std::string list =
      "SELECT string_agg(format('%I.%I', s, t), ', ') FROM (SELECT n.nspname AS s, c.relname AS t";
  const std::string without_identity =
      value(list + user_tables +
            " AND NOT (c.relreplident = 'f' OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid ="
            " c.oid AND i.indisvalid AND i.indimmediate AND ((c.relreplident = 'd' AND"
            " i.indisprimary) OR (c.relreplident = 'i' AND i.indisreplident))))"
            " ORDER BY 1, 2 LIMIT 20) q");
  if (!without_identity.empty()) {
    add("not cached, for want of a primary key or other replica identity: " + without_identity,
        "give them primary keys, or ALTER TABLE ... REPLICA IDENTITY FULL", false);
  }
  if (!config_.manage_publication) return;
  const std::string foreign = value(list + user_tables +
                                    " AND NOT pg_has_role(c.relowner, 'USAGE')"
                                    " ORDER BY 1, 2 LIMIT 20) q");
  if (!foreign.empty()) {
    add("not cached, since only their owner can add them to the publication: " + foreign,
        "connect as their owner, or make the publication by hand and set manage_publication = "
        "false",
        false);
  }
}

// Without the event triggers the rest works, with a window.
void Checker::definitions() {
  if (!config_.ddl_trigger) return;
  const Result<TellerState> teller = read_teller(link_);
  if (!teller.ok()) {
    error_ = teller.error();
    return;
  }
  if (teller->in_place || truth("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")) {
    return;
  }
  const std::string interval = std::to_string(config_.catalog_poll_interval.count());
  add("role " + value("SELECT current_user") +
          " may not create the event triggers that tell of DDL: DDL that does not go through "
          "pgcache"
          " takes effect within catalog_poll_interval (" +
          interval + " ms)",
      "run pgcache once with a superuser in the URL: the event triggers stay; or set ddl_trigger ="
      " false",
      false);
}

std::string option_value(PQconninfoOption* options, std::string_view keyword) {
  for (PQconninfoOption* o = options; o != nullptr && o->keyword != nullptr; ++o) {
    if (keyword == o->keyword && o->val != nullptr) return o->val;
  }
  return {};
}

}  // namespace

Result<std::vector<Problem>> check_origin(const config::Config& config, bool running) {
  Result<std::unique_ptr<Link>> link = connect_to_origin(config, kName);
  if (!link.ok()) return link.error();
  return Checker(config, running, **link).run();
}

Result<std::vector<std::string>> strict_settings(const config::Config& config) {
  std::vector<std::string> lines;
  if (config.strict_by() != config::StrictBy::kLease) return lines;
  Result<std::unique_ptr<Link>> link = connect_to_origin(config, kName);
  if (!link.ok()) return link.error();
  lines.push_back("strict: pgcache is the standby " + config.own_standby_name());
  // Our own connection has another synchronous_commit.
  const Reply reply = (*link)->query(
      "SELECT name, coalesce(reset_val, setting) FROM pg_settings WHERE name IN"
      " ('synchronous_standby_names', 'synchronous_commit', 'wal_sender_timeout',"
      " 'max_wal_senders') ORDER BY name");
  if (!reply.ok()) return Error{reply.failure().message};
  for (int row = 0; row < reply.rows(); ++row) {
    lines.push_back("origin: " + std::string(reply.text(row, 0)) + " = '" +
                    std::string(reply.text(row, 1)) + "'");
  }
  return lines;
}

Result<Endpoint> resolve_endpoint(const std::string& given_conninfo) {
  const SplitConninfo split = split_ssl_negotiation(given_conninfo);
  const std::string& conninfo = split.conninfo;
  // libpq alone knows services, environment and defaults, and tells the result only of a connection
  // that it has begun. An address reserved for documentation keeps it from looking anything up; the
  // connection is dropped before anything is sent.
  const std::array<const char*, 3> keys{"dbname", "hostaddr", nullptr};
  const std::array<const char*, 3> values{conninfo.c_str(), "192.0.2.1", nullptr};
  const auto finish = [](PGconn* c) { PQfinish(c); };
  const std::unique_ptr<PGconn, decltype(finish)> begun(
      PQconnectStartParams(keys.data(), values.data(), 1), finish);
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
      begun ? PQconninfo(begun.get()) : nullptr, PQconninfoFree);
  const std::string port = option_value(options.get(), "port");
  Endpoint endpoint;
  endpoint.database = option_value(options.get(), "dbname");
  endpoint.host = option_value(options.get(), "host");
  if (endpoint.host.find(',') != std::string::npos || port.find(',') != std::string::npos) {
    return Error{"the origin URL names several hosts; name one"};
  }
  if (!options || endpoint.database.empty() || endpoint.database == conninfo) {
    // A string that libpq cannot parse becomes the name of a database, or nothing at all.
    if (PQstatus(begun.get()) == CONNECTION_BAD) {
      return Error{"the origin URL is not valid: " + without_secrets(PQerrorMessage(begun.get()))};
    }
  }
  Result<OriginTls> tls = origin_tls([&](const char* name) {
    const bool negotiation = std::string_view(name) == "sslnegotiation";
    if (negotiation && !split.negotiation.empty()) return split.negotiation;
    const char* environment = negotiation ? std::getenv("PGSSLNEGOTIATION") : nullptr;
    return environment != nullptr ? std::string(environment) : option_value(options.get(), name);
  });
  if (!tls.ok()) return tls.error();
  endpoint.tls = *std::move(tls);
  if (!port.empty()) {
    const auto [end, error] =
        std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
    if (error != std::errc() || end != port.data() + port.size()) {
      return Error{"the origin URL's port is not valid"};
    }
  }
  // An address given by the user, or else the default, which may be a socket folder built into
  // libpq.
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> given(
      PQconninfoParse(conninfo.c_str(), nullptr), PQconninfoFree);
  std::string address = option_value(given.get(), "hostaddr");
  if (address.empty() && std::getenv("PGHOSTADDR") != nullptr) address = std::getenv("PGHOSTADDR");
  if (!address.empty()) {
    endpoint.host = address;
  } else if (endpoint.host.empty()) {
    const std::unique_ptr<PGconn, decltype(finish)> local(PQconnectStart(conninfo.c_str()), finish);
    if (local && PQhost(local.get()) != nullptr) endpoint.host = PQhost(local.get());
  }
  if (endpoint.host.empty()) return Error{"the origin URL names no host"};
  return endpoint;
}

}  // namespace pgcache::origin
