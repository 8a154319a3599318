// SPDX-License-Identifier: Apache-2.0
#include "stack.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace pgcache::testing {
namespace {

constexpr int kWaitMs = 10000;

std::vector<std::string> with_defaults(const std::vector<std::string>& arguments) {
  std::vector<std::string> all{"--workers",
                               "2",
                               "--catalog-poll-interval",
                               "50ms",
                               "--max-staleness",
                               std::to_string(5 * patience()) + "s"};
  if (patience() > 1) {
    const std::string seconds = std::to_string(patience()) + "s";
    all.insert(all.end(), {"--load-wait-timeout", seconds, "--tracking-wait-timeout", seconds});
  }
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

void add(std::string& text, const std::string& name, std::uint64_t count) {
  if (count == 0) return;
  if (!text.empty()) text += ' ';
  text += name;
  if (count > 1) text += '*' + std::to_string(count);
}

}  // namespace

Stack::Stack(const StackOptions& options) {
  ClusterOptions cluster;
  cluster.bin = options.server_bin;
  cluster.conf = {"shared_preload_libraries = 'pg_stat_statements'"};
  cluster.conf.insert(cluster.conf.end(), options.conf.begin(), options.conf.end());
  cluster.hba = options.hba;
  origin_ = std::make_unique<Cluster>(cluster);
  direct_ = std::make_unique<Connection>(origin_->dsn());
  direct_->must("CREATE EXTENSION pg_stat_statements");
  direct_->must(
      "CREATE TABLE stack_probe (id int PRIMARY KEY); INSERT INTO stack_probe SELECT "
      "generate_series(1, 10)");
  if (!options.schema.empty()) direct_->must(options.schema);
  PgcacheOptions proxy;
  proxy.origin = origin_->dsn("postgres", options.origin_user);
  if (options.relayed) {
    relay_ = std::make_unique<Relay>(origin_->port());
    const std::string port = std::to_string(origin_->port());
    proxy.origin.replace(proxy.origin.find(port), port.size(), std::to_string(relay_->port()));
  }
  if (!options.origin_parameters.empty()) {
    proxy.origin.erase(proxy.origin.find('?') + 1);
    proxy.origin += options.origin_parameters;
  }
  proxy.arguments = with_defaults(options.arguments);
  if (options.pooler) {
    PgbouncerOptions pooler = *options.pooler;
    if (pooler.server_port == 0) pooler.server_port = origin_->port();
    pooler_ = std::make_unique<Pgbouncer>(pooler);
    proxy.origin = pooler_->dsn("postgres", options.origin_user);
    proxy.arguments.insert(
        proxy.arguments.end(),
        {"--replication-origin", origin_->dsn(options.replication_database, options.origin_user)});
  }
  proxy.environment = options.environment;
  proxy.wait_ready = options.wait_ready;
  proxy_ = std::make_unique<PgcacheProcess>(proxy);
}

std::string Stack::dsn(const std::string& extra, const std::string& user) const {
  return "host=127.0.0.1 port=" + std::to_string(proxy_->port()) +
         " dbname=postgres sslmode=disable gssencmode=disable user=" + user + " " + extra;
}

Connection Stack::client(const std::string& extra, const std::string& user) const {
  return Connection(dsn(extra, user));
}

RawClient Stack::raw(std::vector<std::pair<std::string, std::string>> parameters) const {
  return RawClient::session("127.0.0.1", proxy_->port(), std::move(parameters));
}

void Stack::settle() {
  proxy_->settle(origin_->dsn());
  const auto log_is_empty = [this] {
    const std::string status = proxy_->http("/status").body;
    return status.find("\"transactions\": 0,") != std::string::npos;
  };
  if (!wait_until(log_is_empty, kWaitMs)) {
    throw std::runtime_error("the log of transactions did not empty: " +
                             proxy_->http("/status").body);
  }
}

void Stack::settle_catalog() {
  // A table made after all that the test did: once pgcache knows it, it knows the rest.
  static int number = 0;
  const std::string name = "catalog_mark_" + std::to_string(++number);
  direct_->must("CREATE TABLE " + name + " (id int PRIMARY KEY)");
  Connection session = client();
  query_until(session, "SELECT id FROM " + name + " WHERE id = 1", "miss");
  settle();
}

void Stack::settle_definitions() {
  settle();
  EXPECT_TRUE(
      wait_until([&] { return proxy().metric("pgcache_definitions_pending") == 0; }, 10000));
  settle();
}

void Stack::settle_configuration() {
  // As long as the server may take to tell its processes of a reload, and some polls behind that.
  std::this_thread::sleep_for(std::chrono::milliseconds(500 * patience()));
}

void Stack::settle_session(Connection& session) {
  settle();
  // Might have written anything: so the probe waits for all that the session wrote before.
  session.must("SELECT set_config('stack.settled', '', false)");
  const auto served = [&] {
    const std::string route =
        routes_of([&] { session.must("SELECT id FROM stack_probe WHERE id = 1"); });
    return route == "hit" || route == "miss";
  };
  if (!wait_until(served, kWaitMs)) throw std::runtime_error("the session's reads stay uncached");
}

std::string Stack::routes_of(const std::function<void()>& work) {
  const Routes before = proxy_->routes();
  work();
  return route_text(proxy_->routes() - before);
}

void Stack::expect_route(const std::string& route, const std::function<void()>& work) {
  const std::string taken = routes_of(work);
  EXPECT_TRUE(is_route(taken, route)) << "took " << taken << ", expected " << route;
}

QueryResult Stack::query(Connection& session, const std::string& sql, const std::string& route) {
  QueryResult result;
  const std::string taken = routes_of([&] { result = session.query(sql); });
  EXPECT_TRUE(is_route(taken, route)) << "took " << taken << ", expected " << route << "\n" << sql;
  return result;
}

QueryResult Stack::params(Connection& session, const std::string& sql,
                          const std::vector<std::optional<std::string>>& values,
                          const std::string& route, bool binary) {
  QueryResult result;
  const std::string taken = routes_of([&] { result = session.exec_params(sql, values, binary); });
  EXPECT_TRUE(is_route(taken, route)) << "took " << taken << ", expected " << route << "\n" << sql;
  return result;
}

std::vector<Row> Stack::load(Connection& session, const std::string& sql) {
  const QueryResult first = query(session, sql, "miss");
  const QueryResult second = query(session, sql, "hit");
  EXPECT_EQ(first.error, "") << sql;
  EXPECT_EQ(rows_text(first.rows), rows_text(second.rows)) << sql;
  EXPECT_EQ(first.columns, second.columns) << sql;
  EXPECT_EQ(first.command_tag, second.command_tag) << sql;
  return second.rows;
}

QueryResult Stack::query_until(Connection& session, const std::string& sql,
                               const std::string& route) {
  QueryResult result;
  std::string last;
  const auto done = [&] {
    last = routes_of([&] { result = session.query(sql); });
    return last == route;
  };
  if (!wait_until(done, kWaitMs)) {
    ADD_FAILURE() << sql << "\nnever took the route " << route << ", last " << last << " "
                  << result.error;
  }
  return result;
}

long Stack::memory_kib(const std::string& field) const {
  std::ifstream in("/proc/" + std::to_string(proxy_->pid()) + "/status");
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with(field + ":")) return std::stol(line.substr(field.size() + 1));
  }
  throw std::runtime_error("no " + field + " of the pgcache process");
}

void Stack::reset_memory_peak() const {
  std::ofstream("/proc/" + std::to_string(proxy_->pid()) + "/clear_refs") << "5";
}

std::string route_text(const Routes& routes) {
  std::string text;
  for (const auto& [reason, count] : routes.bypass) add(text, "bypass:" + reason, count);
  for (const auto& [reason, count] : routes.fallback) add(text, "fallback:" + reason, count);
  add(text, "hit", routes.hit);
  add(text, "miss", routes.miss);
  return text.empty() ? "none" : text;
}

bool is_route(const std::string& taken, const std::string& wanted) {
  std::size_t at = 0;
  while (at <= wanted.size()) {
    const std::size_t end = std::min(wanted.find('|', at), wanted.size());
    if (wanted.compare(at, end - at, taken) == 0) return true;
    at = end + 1;
  }
  return false;
}

std::string rows_text(const std::vector<Row>& rows) {
  std::string text;
  for (const Row& row : rows) {
    if (&row != rows.data()) text += '|';
    for (const auto& value : row) {
      if (&value != row.data()) text += ',';
      text += value.value_or("NULL");
    }
  }
  return text;
}

std::string value_of(const QueryResult& result) {
  if (!result.ok() || result.rows.size() != 1 || result.rows[0].size() != 1) {
    ADD_FAILURE() << "no single value: " << result.sqlstate << " " << result.error << " "
                  << rows_text(result.rows);
    return "?";
  }
  return result.rows[0][0].value_or("NULL");
}

int walsender_of(const std::string& origin) {
  Connection connection(origin);
  const QueryResult result = connection.must(
      "SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'pgcache' AND active_pid IS "
      "NOT NULL");
  return result.rows.empty() ? 0 : std::stoi(result.rows[0][0].value());
}

void set_at_origin(Stack& stack, const std::string& name, const std::string& value) {
  stack.direct().must("ALTER SYSTEM SET " + name + " = '" + value + "'");
  stack.direct().must("SELECT pg_reload_conf()");
}

void set_names(Stack& stack, const std::string& names) {
  set_at_origin(stack, "synchronous_standby_names", names);
}

void become_synchronous(Stack& stack) {
  set_names(stack, "pgcache");
  ASSERT_TRUE(stack.proxy().wait_ready()) << stack.proxy().http("/status").body;
}

long calls(Connection& direct, const std::string& pattern) {
  return std::stol(direct
                       .must("SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements "
                             "WHERE query LIKE '" +
                             pattern + "' AND query NOT LIKE '%pg_stat_statements%'")
                       .value());
}

void cancel(const Connection& session) {
  PGcancel* request = PQgetCancel(session.raw());
  char error[256] = {};
  EXPECT_EQ(PQcancel(request, error, sizeof error), 1) << error;
  PQfreeCancel(request);
}

void cancel_query(Connection& session) {
  cancel(session);
  PGresult* result = PQgetResult(session.raw());
  EXPECT_STREQ(PQresultErrorField(result, PG_DIAG_SQLSTATE), "57014");
  PQclear(result);
}

void copy_both_ways(Connection& session, int rows) {
  PGresult* begun = PQexec(session.raw(), "COPY copied FROM STDIN");
  ASSERT_EQ(PQresultStatus(begun), PGRES_COPY_IN);
  PQclear(begun);
  const std::string line = "7\t" + std::string(5000, 'c') + "\n";
  for (int i = 0; i < rows; ++i) {
    ASSERT_EQ(PQputCopyData(session.raw(), line.data(), static_cast<int>(line.size())), 1);
  }
  ASSERT_EQ(PQputCopyEnd(session.raw(), nullptr), 1);
  PGresult* ended = PQgetResult(session.raw());
  EXPECT_STREQ(PQcmdTuples(ended), std::to_string(rows).c_str());
  PQclear(ended);
  EXPECT_EQ(PQgetResult(session.raw()), nullptr);
  PQclear(PQexec(session.raw(), "COPY copied TO STDOUT"));
  int same = 0;
  char* row = nullptr;
  while (PQgetCopyData(session.raw(), &row, 0) > 0) {
    same += std::string_view(row) == line ? 1 : 0;
    PQfreemem(row);
  }
  EXPECT_EQ(same, rows);
  PQclear(PQgetResult(session.raw()));
  EXPECT_EQ(PQgetResult(session.raw()), nullptr);
}

}  // namespace pgcache::testing
