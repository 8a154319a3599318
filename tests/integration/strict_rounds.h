// SPDX-License-Identifier: Apache-2.0
// For the tests of the strict level: stacks that keep it by a lease or by asking, statements that
// may have to wait, and rounds of commits at the origin, each followed by reads through pgcache.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "stack.h"

namespace pgcache::testing {

inline constexpr int kRows = 32;
inline constexpr int kReadsOfRound = 7;

inline StackOptions options_of(const std::string& level, std::vector<std::string> arguments = {}) {
  StackOptions options;
  options.conf = {"wal_writer_delay = 10ms", "bgwriter_delay = 10s", "log_checkpoints = off"};
  options.schema =
      "CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL);"
      "INSERT INTO t SELECT i, 0 FROM generate_series(1, " +
      std::to_string(kRows) + ") i";
  options.arguments = {"--consistency", level, "--heartbeat-interval", "20ms"};
  options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
  options.wait_ready = level != "strict";
  return options;
}

inline StackOptions lease(std::vector<std::string> arguments = {}) {
  return options_of("strict", std::move(arguments));
}

inline StackOptions by_read(std::vector<std::string> arguments = {}) {
  arguments.insert(arguments.end(), {"--strict-verify", "read"});
  StackOptions options = options_of("strict", std::move(arguments));
  options.wait_ready = true;
  return options;
}

inline std::string update(int id, int v) {
  return "UPDATE t SET v = " + std::to_string(v) + " WHERE id = " + std::to_string(id);
}
inline std::string read_of(int id) { return "SELECT v FROM t WHERE id = " + std::to_string(id); }

inline constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";

// A statement that is on its way, and may have to wait.
class Pending {
 public:
  Pending(Stack& stack, const std::string& sql) : Pending(Connection(stack.origin().dsn()), sql) {}
  Pending(Connection connection, const std::string& sql) : connection_(std::move(connection)) {
    EXPECT_EQ(PQsendQuery(connection_.raw(), sql.c_str()), 1);
  }
  // Whether it ends within the time.
  bool done_within(std::chrono::milliseconds time) {
    const auto deadline = std::chrono::steady_clock::now() + time;
    do {
      EXPECT_EQ(PQconsumeInput(connection_.raw()), 1);
      if (PQisBusy(connection_.raw()) == 0) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    } while (std::chrono::steady_clock::now() < deadline);
    return false;
  }
  // The single value of its result, once it is done.
  std::string value() {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQgetResult(connection_.raw()),
                                                                PQclear);
    if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) return PQerrorMessage(connection_.raw());
    return PQntuples(result.get()) == 1 ? PQgetvalue(result.get(), 0, 0) : "not one row";
  }

 private:
  Connection connection_;
};

inline double share(const Routes& routes) {
  const auto all =
      static_cast<double>(routes.hit + routes.miss + routes.bypasses() + routes.fallbacks());
  return all == 0 ? 0 : static_cast<double>(routes.hit) / all;
}

struct Rounds {
  int older = 0;  // reads that showed less than was acknowledged
  int ahead = 0;  // reads that showed more
  Routes routes;
};

// In each round one row is changed straight at the origin; then it and some others are read through
// pgcache, and have to be what was committed last.
inline Rounds play(Stack& stack, int count) {
  std::mt19937 random(7);
  Connection writer(stack.origin().dsn());
  Connection reader = stack.client();
  std::array<int, kRows + 1> model{};
  for (int id = 1; id <= kRows; ++id) model[id] = std::stoi(reader.must(read_of(id)).value());
  const Routes before = stack.proxy().routes();
  Rounds rounds;
  int value = *std::max_element(model.begin(), model.end());
  const auto any_row = [&random] { return static_cast<int>(random() % kRows) + 1; };
  for (int i = 0; i < count; ++i) {
    const int changed = any_row();
    writer.must(update(changed, ++value));
    model[changed] = value;
    for (int read = 0; read < kReadsOfRound; ++read) {
      const int id = read == 0 ? changed : any_row();
      const int seen = std::stoi(reader.must(read_of(id)).value());
      rounds.older += seen < model[id] ? 1 : 0;
      rounds.ahead += seen > model[id] ? 1 : 0;
    }
  }
  rounds.routes = stack.proxy().routes() - before;
  return rounds;
}

}  // namespace pgcache::testing
