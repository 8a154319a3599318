// SPDX-License-Identifier: Apache-2.0
// simulator: drives sessions, cache and shape table through random interleavings against a model of
// PostgreSQL, and checks every answer. No sockets, threads or clock: a seed replays exactly.
//
//   simulator --seconds N [--seed S] [--steps K]   runs from seed S on until the time is over
//   simulator --seed S --runs 1                    replays one run, with its last steps when it
//   fails simulator --self-test                          proves that wrong variants are found
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "simulator/world.h"

namespace pgcache::simulator {
namespace {

struct Options {
  double seconds = 10;
  std::uint64_t seed = 0;
  std::uint64_t runs = 0;  // 0: until the time is over
  std::uint64_t steps = 20000;
  std::size_t trace = 150;  // lines printed of a run that fails
  Fault fault = Fault::kNone;
  bool self_test = false;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Runs the seed again and keeps its last steps.
void replay(std::uint64_t seed, const Options& options) {
  Totals totals;
  World world(seed, options.fault, true, totals);
  const std::string failure = world.run(options.steps);
  const auto& steps = world.last_steps();
  for (std::size_t i = steps.size() - std::min(steps.size(), options.trace); i < steps.size();
       ++i) {
    std::printf("  %s\n", steps[i].c_str());
  }
  if (failure.empty())
    std::printf("  (the replay does not fail: something is not deterministic)\n");
}

// The first failure; empty when there is none.
std::string run_many(const Options& options, Totals& totals) {
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0;
       options.runs == 0 ? seconds_since(start) < options.seconds : i < options.runs; ++i) {
    World world(options.seed + i, options.fault, false, totals);
    const std::string failure = world.run(options.steps);
    if (failure.empty()) continue;
    return "seed " + std::to_string(options.seed + i) + ", step " +
           std::to_string(world.steps_done()) + ": " + failure;
  }
  return {};
}

void print(const Totals& totals, double seconds) {
  std::printf(
      "%llu steps in %llu runs, %.0f steps/s\n", static_cast<unsigned long long>(totals.steps),
      static_cast<unsigned long long>(totals.runs), static_cast<double>(totals.steps) / seconds);
  const auto line = [](std::string_view name, std::uint64_t count) {
    if (count > 0) {
      std::printf("  %-28.*s %llu\n", static_cast<int>(name.size()), name.data(),
                  static_cast<unsigned long long>(count));
    }
  };
  line("requests", totals.counters.requests);
  line("answers of the server", totals.counters.answers);
  line("errors", totals.counters.errors);
  line("hits", totals.counters.hits);
  line("hits, extended protocol", totals.counters.extended_hits);
  line("hits in a block", totals.counters.block_hits);
  line("blocks unseen by the server", totals.counters.local_blocks);
  line("misses", totals.misses);
  line("bypasses", totals.bypasses);
  line("fallbacks", totals.fallbacks);
  line("waits", totals.waits);
  line("cold starts", totals.cold_starts);
  line("connects of the stream", totals.reconnects);
  line("entries checked", totals.entries_checked);
  for (std::size_t i = 0; i < totals.bypass_reasons.size(); ++i) {
    line("bypass " + std::string(sql::kBypassReasonLabels[i]), totals.bypass_reasons[i]);
  }
  for (std::size_t i = 0; i < totals.invalidations.size(); ++i) {
    line("removed by " + std::string(cache::kInvalidationCauseLabels[i]), totals.invalidations[i]);
  }
  for (std::size_t i = 0; i < totals.publish_outcomes.size(); ++i) {
    line("load " + std::string(cache::kPublishOutcomeLabels[i]), totals.publish_outcomes[i]);
  }
}

// A run that has not seen these proves nothing.
bool has_seen_enough(const Totals& totals) {
  bool enough = true;
  const auto need = [&enough](std::string_view name, std::uint64_t count) {
    if (count > 0) return;
    std::printf("never seen: %.*s\n", static_cast<int>(name.size()), name.data());
    enough = false;
  };
  using cache::InvalidationCause;
  need("hits", totals.counters.hits);
  need("hits in the extended protocol", totals.counters.extended_hits);
  need("hits in a block", totals.counters.block_hits);
  need("blocks unseen by the server", totals.counters.local_blocks);
  need("misses", totals.misses);
  need("bypasses", totals.bypasses);
  need("fallbacks", totals.fallbacks);
  need("waits", totals.waits);
  need("cold starts", totals.cold_starts);
  need("reconnects", totals.reconnects);
  need("copies of tables", totals.copies);
  for (std::size_t i = 0; i < totals.invalidations.size(); ++i) {
    need("removal by " + std::string(cache::kInvalidationCauseLabels[i]), totals.invalidations[i]);
  }
  for (std::size_t i = 0; i < totals.publish_outcomes.size(); ++i) {
    if (i == static_cast<std::size_t>(cache::PublishOutcome::kFailed)) continue;  // memory suffices
    need("load " + std::string(cache::kPublishOutcomeLabels[i]), totals.publish_outcomes[i]);
  }
  return enough;
}

int run(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  Totals totals;
  const std::string failure = run_many(options, totals);
  print(totals, seconds_since(start));
  if (!failure.empty()) {
    std::printf("FAILED: %s\n", failure.c_str());
    replay(std::strtoull(failure.c_str() + 5, nullptr, 10), options);
    return 1;
  }
  return options.runs != 0 || has_seen_enough(totals) ? 0 : 1;
}

int self_test(Options options) {
  int missed = 0;
  for (std::size_t i = 1; i < kFaultNames.size(); ++i) {
    options.fault = static_cast<Fault>(i);
    if (!is_available(options.fault)) continue;
    const auto start = std::chrono::steady_clock::now();
    Totals totals;
    const std::string failure = run_many(options, totals);
    std::printf("%-18s %s after %.2f s, %llu steps: %s\n", kFaultNames[i].data(),
                failure.empty() ? "NOT FOUND" : "found", seconds_since(start),
                static_cast<unsigned long long>(totals.steps), failure.substr(0, 160).c_str());
    std::fflush(stdout);
    if (failure.empty()) ++missed;
  }
  return missed == 0 ? 0 : 1;
}

int usage() {
  std::fprintf(stderr,
               "usage: simulator [--seconds N] [--seed S] [--runs N] [--steps K] [--fault NAME]\n"
               "                 [--trace LINES]\n"
               "       simulator --self-test [--seconds N]\n");
  return 2;
}

int main_of(int argc, char** argv) {
  spdlog::set_level(spdlog::level::off);
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--self-test") {
      options.self_test = true;
      continue;
    }
    if (i + 1 == argc) return usage();
    const char* value = argv[++i];
    if (name == "--seconds") {
      options.seconds = std::atof(value);
    } else if (name == "--seed") {
      options.seed = std::strtoull(value, nullptr, 10);
    } else if (name == "--runs") {
      options.runs = std::strtoull(value, nullptr, 10);
    } else if (name == "--steps") {
      options.steps = std::strtoull(value, nullptr, 10);
    } else if (name == "--trace") {
      options.trace = std::strtoull(value, nullptr, 10);
    } else if (name == "--fault") {
      const auto* const found = std::find(kFaultNames.begin(), kFaultNames.end(), value);
      if (found == kFaultNames.end()) return usage();
      options.fault = static_cast<Fault>(found - kFaultNames.begin());
    } else {
      return usage();
    }
  }
  return options.self_test ? self_test(options) : run(options);
}

}  // namespace
}  // namespace pgcache::simulator

int main(int argc, char** argv) { return pgcache::simulator::main_of(argc, argv); }
