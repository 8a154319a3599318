// SPDX-License-Identifier: Apache-2.0
// One client connection whose waits have a limit, for a client that must survive every fault. One
// thread at a time.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "consistency/history.h"
#include "support/relay.h"

namespace pgcache::consistency {

using testing::Counter;
using testing::Peer;
using testing::Relay;

struct Answer {
  std::vector<std::vector<std::optional<std::string>>> rows;
  std::string tag;
  std::string sqlstate;  // empty: it succeeded
  std::string error;
  bool lost = false;  // with the connection: what became of the statement is not known
  Route route = Route::kDirect;
  std::int64_t start = 0;
  std::int64_t end = 0;

  bool ok() const { return sqlstate.empty() && !lost; }
};

// How to make connections of one kind.
struct Way {
  std::string dsn;         // a libpq URI
  Relay* relay = nullptr;  // behind pgcache; null: straight to the origin
};

class Session {
 public:
  // Not connected yet; `name` becomes the application_name, followed by the session's number.
  Session(Way way, std::string name) : way_(std::move(way)), name_(std::move(name)) {}
  ~Session() { close(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Connects where there is no connection. False: not now.
  bool ready();
  bool alive() const { return connection_ != nullptr; }
  // Of the connection, unlike all others of the process.
  std::uint32_t number() const { return number_; }
  bool through_pgcache() const { return way_.relay != nullptr; }

  // With a parameter: by the extended protocol. Only while alive().
  Answer run(const std::string& sql, const std::optional<std::string>& parameter = {});
  void close();

 private:
  bool wait(bool for_writing, std::int64_t deadline);
  PGresult* last_result(std::int64_t deadline);
  Answer lost(Answer answer, const std::string& why);

  const Way way_;
  const std::string name_;
  PGconn* connection_ = nullptr;
  std::uint32_t number_ = 0;
  std::string application_name_;
  Counter forwarded_;
};

}  // namespace pgcache::consistency
