// SPDX-License-Identifier: Apache-2.0
// A PgBouncer process for a test, in front of a server (or of pgcache) on 127.0.0.1, on a free
// port; gone when the object is destroyed. The user postgres logs in without a password.
//
// The program is $TEST_PGBOUNCER, else the system's. Failures throw std::runtime_error with the
// end of the log.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace pgcache::testing {

struct PgbouncerOptions {
  int server_port = 0;
  std::string pool_mode = "transaction";  // or session, statement
  int pool_size = 5;                      // connections to the server
  std::vector<std::string> conf;          // further lines of its section [pgbouncer]
};

class Pgbouncer {
 public:
  explicit Pgbouncer(const PgbouncerOptions& options);  // accepts connections when this returns
  ~Pgbouncer();
  Pgbouncer(const Pgbouncer&) = delete;
  Pgbouncer& operator=(const Pgbouncer&) = delete;

  int port() const { return port_; }
  std::string dsn(const std::string& dbname = "postgres",
                  const std::string& user = "postgres") const;
  std::string log_tail(std::size_t bytes = 4000) const;

  static std::string program();  // empty: there is none
  // Whether it keeps track of prepared statements (max_prepared_statements, from 1.21 on).
  static bool knows_statements();

 private:
  bool launch(const std::string& configuration);

  std::string folder_;
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace pgcache::testing
