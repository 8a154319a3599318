// SPDX-License-Identifier: Apache-2.0
// A private PostgreSQL server for a test: made within a fraction of a second by copying a data
// folder that initdb made once, listening on a free port below 32768 of 127.0.0.1 and on a Unix
// socket in its own folder, gone with its files when the Cluster is destroyed or the test process
// dies in any way.
//
// The binaries are those of $PGCACHE_PG_BIN, else of the newest /usr/lib/postgresql/*/bin. As root
// the server runs as the user postgres. Failures throw std::runtime_error with the end of the
// server's log.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace pgcache::testing {

struct ClusterOptions {
  std::vector<std::string> conf;  // further lines of postgresql.conf; they win over the defaults
  std::vector<std::string>
      hba;  // lines of pg_hba.conf put before the default (trust for everybody)
  bool autovacuum = false;
  std::string bin = {};  // folder of another server's programs; empty: as above
};

enum class StopMode { kFast, kImmediate };

class Cluster {
 public:
  explicit Cluster(const ClusterOptions& options = {});  // started when this returns
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // The port stays the same over stop() and start().
  void start();
  // False when the server did not end within the time (then it is killed).
  bool stop(StopMode mode = StopMode::kFast, int timeout_ms = 20000);
  void restart(StopMode mode = StopMode::kFast);
  // Ends the postmaster as a crash of the machine would: SIGKILL, to its children as well.
  void kill9();
  void reload();  // SIGHUP

  // Appends lines to postgresql.conf (for the next restart or reload).
  void append_conf(const std::string& lines);

  int port() const { return port_; }
  const std::string& folder() const { return folder_; }  // data in data/, the Unix socket here
  std::string dsn(const std::string& dbname = "postgres",
                  const std::string& user = "postgres") const;
  std::string unix_dsn(const std::string& dbname = "postgres",
                       const std::string& user = "postgres") const;
  std::string log_tail(std::size_t bytes = 4000) const;
  pid_t postmaster_pid() const { return pid_; }

  static std::string bin_folder();

 private:
  void write_configuration(const ClusterOptions& options);
  bool launch();  // false when the port turned out to be taken
  bool wait_for_exit(int timeout_ms);
  void start_watchdog();

  std::string bin_;
  std::string folder_;
  int port_ = 0;
  pid_t pid_ = -1;
  pid_t watchdog_ = -1;
  int watchdog_pipe_ = -1;
};

}  // namespace pgcache::testing
