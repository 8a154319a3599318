// SPDX-License-Identifier: Apache-2.0
// What an integration test stands on: a private PostgreSQL server, pgcache in front of it, and
// checks that look at the route a query took as well as at its rows. A right answer that came by
// another way than the test says is a failure.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/cluster.h"
#include "support/pgbouncer.h"
#include "support/pgcache_process.h"
#include "support/pq.h"
#include "support/raw_client.h"
#include "support/relay.h"
#include "support/sanitizer.h"

namespace pgcache::testing {

struct StackOptions {
  std::string server_bin;                // of another server than the system's
  std::vector<std::string> conf;         // lines of the origin's postgresql.conf
  std::vector<std::string> hba;          // lines in front of its pg_hba.conf
  std::string schema;                    // SQL run at the origin before pgcache starts
  std::vector<std::string> arguments;    // of pgcache
  std::vector<std::string> environment;  // of pgcache
  std::string origin_user = "postgres";  // whom pgcache's own links connect as
  std::string origin_parameters;         // of pgcache's origin URL; empty: sslmode=disable
  bool wait_ready = true;
  bool relayed = false;  // a relay between pgcache and the origin, on all of its connections
  // A pooler between pgcache and the server; server_port 0 becomes this server's.
  std::optional<PgbouncerOptions> pooler;
  std::string replication_database = "postgres";  // of pgcache's own connections, with a pooler
};

class Stack {
 public:
  explicit Stack(const StackOptions& options = {});

  Cluster& origin() { return *origin_; }
  PgcacheProcess& proxy() { return *proxy_; }
  Pgbouncer& pooler() { return *pooler_; }
  Relay& relay() { return *relay_; }

  // A connection straight to the origin, kept open.
  Connection& direct() { return *direct_; }
  Connection client(const std::string& extra = {}, const std::string& user = "postgres") const;
  RawClient raw(std::vector<std::pair<std::string, std::string>> parameters = {}) const;
  std::string dsn(const std::string& extra = {}, const std::string& user = "postgres") const;

  // Everything committed at the origin so far is applied to the cache, and snapshots are recent
  // enough that what is loaded from now on may be published.
  void settle();
  // The catalog's present state has reached pgcache. Every test that changed it calls this.
  void settle_catalog();
  // Until all changes of definitions that were told in the stream have been read.
  void settle_definitions();
  // pgcache knows that no configuration was reloaded up to now.
  void settle_configuration();
  // As settle(), and the session's reads are no longer held off by its own writes.
  void settle_session(Connection& session);

  // Runs one statement and compares the route with e.g. "hit", "miss", "bypass:comment",
  // "fallback:load_wait"; "none" when nothing is counted; "a|b" when either is right, since the
  // origin's or the applier's pace decides.
  QueryResult query(Connection& session, const std::string& sql, const std::string& route);
  QueryResult params(Connection& session, const std::string& sql,
                     const std::vector<std::optional<std::string>>& values,
                     const std::string& route, bool binary = false);
  // The routes that were taken while `work` ran, in order of the names: "bypass:now*2 hit miss*3".
  std::string routes_of(const std::function<void()>& work);
  void expect_route(const std::string& route, const std::function<void()>& work);
  // A miss, and then a hit with the same rows; yields these.
  std::vector<Row> load(Connection& session, const std::string& sql);
  // The statement, run until the route is this one (within 10 s), since what it waits for happens
  // in its own time.
  QueryResult query_until(Connection& session, const std::string& sql, const std::string& route);

  // Of the pgcache process: "VmRSS" now, "VmHWM" the most since the start or the last reset.
  long memory_kib(const std::string& field) const;
  void reset_memory_peak() const;

 private:
  std::unique_ptr<Cluster> origin_;
  std::unique_ptr<Connection> direct_;
  std::unique_ptr<Pgbouncer> pooler_;
  std::unique_ptr<Relay> relay_;
  std::unique_ptr<PgcacheProcess> proxy_;
};

std::string route_text(const Routes& routes);
// Whether `taken` is `wanted`, or one of its alternatives.
bool is_route(const std::string& taken, const std::string& wanted);
std::string rows_text(const std::vector<Row>& rows);  // "1,a|2,NULL"
// The single value of a result that must have one; a failed check otherwise.
std::string value_of(const QueryResult& result);
// Of the process that streams from pgcache's slot; 0: none. `origin` is a libpq URI.
int walsender_of(const std::string& origin);
// In the origin's configuration, which is loaded anew.
void set_at_origin(Stack& stack, const std::string& name, const std::string& value);
void set_names(Stack& stack, const std::string& names);  // synchronous_standby_names
// Commits wait for pgcache, and it serves.
void become_synchronous(Stack& stack);
// Makes a pg_stat_statements count of calls of statements LIKE the pattern.
long calls(Connection& direct, const std::string& pattern);

// Cancels what the session does, by a request of its own; that it was taken is checked.
void cancel(const Connection& session);
// The same; the query that the session has sent must end for that.
void cancel_query(Connection& session);
// So many rows of 5,000 bytes into the empty table "copied" (id int, v text) by COPY, and back.
void copy_both_ways(Connection& session, int rows);

// A suite whose tests share one stack. Derive, and define options().
template <typename Suite>
class SharedStack : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { stack_ = std::make_unique<Stack>(Suite::options()); }
  static void TearDownTestSuite() { stack_.reset(); }

  void TearDown() override {
    if (HasFailure() && stack_) std::cerr << stack_->proxy().log_tail() << "\n";
  }
  static Stack& stack() { return *stack_; }

 private:
  static inline std::unique_ptr<Stack> stack_;
};

}  // namespace pgcache::testing
