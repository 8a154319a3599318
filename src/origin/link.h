// SPDX-License-Identifier: Apache-2.0
// One libpq connection of pgcache's own to the origin, used by one thread that may wait: every wait
// ends when its Stop says so, and every failure is a value. What libpq says is passed on without
// anything that could hold a password.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "pg/ids.h"

namespace pgcache::origin {

// A level that any thread raises and that a thread sees in poll(): an eventfd.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void raise();
  void clear();
  bool raised() const;
  int fd() const { return fd_; }
  // Waits until it is raised (true) or the time has passed.
  bool wait_for(Duration timeout) const;

 private:
  int fd_;
};

// Why a conversation with the origin failed.
struct Failure {
  std::string sqlstate;      // empty when it was not the server that said so
  std::string message;       // primary message, with the detail behind it if there is one
  bool interrupted = false;  // our own Stop was raised
};

// The outcome of one statement. Views live as long as the Reply.
class Reply {
 public:
  explicit Reply(Failure failure) : failure_(std::move(failure)), ok_(false) {}
  explicit Reply(PGresult* result) : result_(result, &PQclear) {}

  bool ok() const { return ok_; }
  const Failure& failure() const { return failure_; }
  ExecStatusType status() const { return PQresultStatus(result_.get()); }

  int rows() const { return PQntuples(result_.get()); }
  bool is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
  std::string_view text(int row, int column) const;  // empty for NULL
  char letter(int row, int column) const;            // first byte; 0 when empty
  bool truth(int row, int column) const { return letter(row, column) == 't'; }
  std::uint32_t number(int row, int column) const;  // 0 when it is none
  pg::Oid oid(int row, int column) const { return pg::Oid{number(row, column)}; }

 private:
  std::unique_ptr<PGresult, void (*)(PGresult*)> result_{nullptr, &PQclear};
  Failure failure_;
  bool ok_ = true;
};

struct LinkOptions {
  std::string conninfo;
  std::string application_name;
  bool replication = false;
  Duration connect_timeout = std::chrono::seconds(10);
  const Event* stop = nullptr;  // may be null: then only timeouts end a wait
};

class Link {
 public:
  // Connected, with encoding and the settings that both links rely on (search_path empty, ISO
  // dates, UTC ...).
  static std::variant<std::unique_ptr<Link>, Failure> open(const LinkOptions& options);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // The simple protocol. Of several statements the last one's outcome, or the first failure.
  Reply query(const std::string& sql, Duration timeout = std::chrono::seconds(60));

  // The same in steps, for statements that may take long: send, ask answer_ready() until it is,
  // take. cancel() asks the server to give up the statement.
  bool send(const std::string& sql);
  bool answer_ready(Duration timeout);
  Reply take_answer();
  // The next result alone, without waiting for the server to be ready for a statement.
  Reply take_result();
  void cancel();
  // While it copies: sends the bytes, as far as that can be done now. False: the connection is
  // gone.
  bool put_copy(std::string_view bytes);

  bool lost() const { return lost_ || PQstatus(connection_) != CONNECTION_OK; }
  void mark_lost() { lost_ = true; }
  int socket() const { return PQsocket(connection_); }
  int server_version() const { return PQserverVersion(connection_); }
  int backend_pid() const { return PQbackendPID(connection_); }
  PGconn* raw() const { return connection_; }

  // Waits until the socket can be read (or also written), the time has passed, or stop was raised.
  enum class Ready { kSocket, kTimeout, kStopped };
  Ready wait(bool for_write, TimePoint deadline) const;
  Failure last_failure() const;

 private:
  Link(PGconn* connection, const Event* stop) : connection_(connection), stop_(stop) {}
  bool connect(TimePoint deadline, Failure* why);
  std::optional<Failure> await_result(TimePoint deadline);
  Reply collect(TimePoint deadline);
  bool consume();

  PGconn* connection_;
  const Event* stop_;
  bool lost_ = false;
};

std::string quote_identifier(std::string_view name);
std::string quote_literal(std::string_view text);

// libpq quotes a connection string that it cannot parse, password and all: cut that off.
std::string without_secrets(std::string message);

// Oids with one character between two: an oidvector, or what array_to_string makes of an array.
// Ends at the first that cannot be read.
std::vector<pg::Oid> parse_oids(std::string_view text);

}  // namespace pgcache::origin
