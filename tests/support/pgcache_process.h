// SPDX-License-Identifier: Apache-2.0
// A pgcache process for a test: the real program in front of an origin, on free ports of 127.0.0.1,
// its log kept in a file. Gone when the object is destroyed, or when the thread that started it
// dies in any way (start it from the main thread).
//
// The program is $PGCACHE_BINARY unless given. Failures throw std::runtime_error with the end of
// the log. A pgcache that was not killed must end with status 0 and in time, and no sanitizer may
// have reported anything: else the test program fails (complain() in sanitizer.h). Limits of time
// are multiplied by patience(). One thread at a time, but for the HTTP calls, which any thread may
// make.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace pgcache::testing {

struct PgcacheOptions {
  std::string origin;                    // libpq URI
  std::vector<std::string> arguments;    // further ones; they win over the defaults
  std::vector<std::string> environment;  // NAME=VALUE, added to ours
  std::string binary;                    // empty: $PGCACHE_BINARY
  bool wait_ready = true;                // false: start() returns once it listens
  int ready_timeout_ms = 20000;
};

struct HttpAnswer {
  int status = 0;  // 0: no connection or no answer
  std::string body;
};

// pgcache_queries_total at one moment.
struct Routes {
  std::uint64_t hit = 0;
  std::uint64_t miss = 0;
  std::map<std::string, std::uint64_t> bypass;    // by reason
  std::map<std::string, std::uint64_t> fallback;  // by reason

  std::uint64_t bypasses() const;
  std::uint64_t fallbacks() const;
  std::string text() const;  // "hit 1 miss 2 bypass{not_read 3}", without what is zero
};
Routes operator-(const Routes& later, const Routes& earlier);

using Labels = std::map<std::string, std::string>;

class PgcacheProcess {
 public:
  explicit PgcacheProcess(PgcacheOptions options);  // started when this returns
  ~PgcacheProcess();
  PgcacheProcess(const PgcacheProcess&) = delete;
  PgcacheProcess& operator=(const PgcacheProcess&) = delete;

  // The ports stay the same over stop() and start(). The log goes on in the same file.
  void start();
  // A clean end (SIGTERM). False when it did not end within the time; then it is killed.
  bool stop(int timeout_ms = 10000);
  void kill9();
  bool running();                                   // false once it ended, however it did
  int exit_status() const { return exit_status_; }  // as from waitpid, after it ended

  int port() const { return port_; }
  int admin_port() const { return admin_port_; }
  pid_t pid() const { return pid_; }
  std::string dsn(const std::string& dbname = "postgres",
                  const std::string& user = "postgres") const;
  std::string log_tail(std::size_t bytes = 6000) const;

  HttpAnswer http(const std::string& path) const;
  // The sum of the samples with this name whose labels include the given ones; 0 when none.
  double metric(const std::string& name, const Labels& labels = {}) const;
  Routes routes() const;
  std::string status_field(
      const std::string& key) const;  // a top-level string or number of /status

  bool wait_ready(int timeout_ms = 20000) const;  // until /readyz answers 200
  // Waits until everything that was committed at the origin before this call (and flushed there, as
  // synchronous_commit makes sure of) is applied here. `origin` is a libpq URI. Throws when it
  // takes longer.
  void settle(const std::string& origin, int timeout_ms = 20000) const;
  void wait_applied(std::uint64_t lsn, int timeout_ms = 20000) const;

 private:
  void read_ports();
  std::string bad_end(const std::string& why) const;
  void judge_reports();
  void judge_end();

  PgcacheOptions options_;
  std::string log_path_;
  int port_ = 0;
  int admin_port_ = 0;
  pid_t pid_ = -1;
  int exit_status_ = 0;
  bool ended_by_itself_ = true;
  std::string reports_;  // of sanitizers, seen in the log so far
};

// Polls until `done` or the time (by patience()) is over; the last answer of `done`.
bool wait_until(const std::function<bool()>& done, int timeout_ms);

// "16/B374D848" as a number; throws on anything else.
std::uint64_t parse_lsn(const std::string& text);

}  // namespace pgcache::testing
