// SPDX-License-Identifier: Apache-2.0
// A run: rounds of some seconds, in each of which clients are at work while faults are injected. At
// its end everything is healed, every cached answer compared with the origin's, and the round's
// history held against the level.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "consistency/check.h"
#include "consistency/clients.h"
#include "consistency/stage.h"

namespace pgcache::consistency {

struct Totals {
  std::uint64_t rounds = 0;
  std::uint64_t cached = 0, forwarded = 0, direct = 0;  // reads
  std::uint64_t done = 0, unknown = 0, failed = 0;      // writes
  std::array<std::uint64_t, kWriteKinds> writes{};      // done
  std::array<std::uint64_t, kFaults> faults{};
  std::uint64_t definitions = 0, soft_commits = 0;
  std::uint64_t compared = 0, compared_cached = 0;  // answers after quiet

  double hit_percent() const;  // of the reads by way of pgcache
  std::string text() const;
};

class Rounds {
 public:
  // `only_faults`: those whose name holds it.
  Rounds(Stage& stage, const Rules& rules, std::uint64_t seed, const std::string& only_faults);
  ~Rounds();

  // False: a violation was found, and told of by `tell`.
  bool round(std::int64_t end, const std::function<void(const std::string&)>& tell);
  const Totals& totals() const { return totals_; }
  // pgcache served nothing because its level forwards all reads.
  bool forwards_all() const { return forwards_all_; }

 private:
  void note_beginnings(History& history);
  void play(std::int64_t end, History& history);
  std::int64_t random_ns(std::int64_t below) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(below));
  }
  void inject_some(std::int64_t end, History& history);
  void collect(History& history);
  bool compare(Session& pgcache, Session& origin, const Statement& statement, std::string& report);
  std::string converge();
  std::string judge(const History& history) const;

  Stage& stage_;
  const Rules rules_;
  std::vector<Fault> faults_;  // to choose from
  std::mt19937_64 random_;
  Board board_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Disturber*> disturbers_;
  std::vector<Finding> findings_;
  Totals totals_;
  bool forwards_all_ = false;
};

}  // namespace pgcache::consistency
