// SPDX-License-Identifier: Apache-2.0
// libpq for tests: a connection that closes itself, rows as strings, errors as values that a test
// can compare. Connecting throws when it fails; statements return their outcome.
#pragma once

#include <libpq-fe.h>

#include <optional>
#include <string>
#include <vector>

namespace pgcache::testing {

using Row = std::vector<std::optional<std::string>>;

struct QueryResult {
  std::vector<std::string> columns;
  std::vector<Row> rows;
  std::string command_tag;
  std::string sqlstate;  // empty when the statement succeeded
  std::string error;     // the primary message; empty when the statement succeeded

  bool ok() const { return sqlstate.empty() && error.empty(); }
  // The single value of a single row. Anything else (an error, NULL, more or fewer rows) throws.
  std::string value() const;
};

class Connection {
 public:
  // `conninfo` is a libpq URI or keyword string. Throws std::runtime_error when it cannot connect.
  explicit Connection(const std::string& conninfo);
  ~Connection();
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;

  // The simple protocol; of several statements the last one's outcome, or the first error.
  QueryResult query(const std::string& sql);
  // The extended protocol with text parameters.
  QueryResult exec_params(const std::string& sql,
                          const std::vector<std::optional<std::string>>& parameters,
                          bool binary_results = false);
  // As query(), but an error throws std::runtime_error: for the set-up of a test.
  QueryResult must(const std::string& sql);

  PGconn* raw() const { return connection_; }
  int backend_pid() const { return PQbackendPID(connection_); }

 private:
  PGconn* connection_ = nullptr;
};

// Connects again and again until it succeeds or the time is over (then it throws).
Connection connect_within(const std::string& conninfo, int timeout_ms);

}  // namespace pgcache::testing
