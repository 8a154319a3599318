// SPDX-License-Identifier: Apache-2.0
// For the tests of the strict level: stacks that keep it by a lease or by asking, and rounds of
// commits at the origin, each followed by reads through pgcache.
#pragma once

#include <algorithm>
#include <array>
#include <random>
#include <string>
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
