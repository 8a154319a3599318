// SPDX-License-Identifier: Apache-2.0
// oracle --seconds N [--seed S] [--epoch E] [--only PHASE] [--pgcache PATH] [--fault NAME]
//        [--verbose]
//
// Proves pgcache's answers right against the PostgreSQL that it fronts: a random schema, random
// queries and changes, first settled (each answer compared with the origin's), then with readers
// and writers at the same time (each answer held against invariants). Every failure is replayed by
// its seed. With --fault, pgcache runs with that part of it broken on purpose, and the program
// succeeds when it finds that out.
//
// Exit status: 0 as it should be, 1 a wrong answer (or none found with --fault), 2 anything else.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>

#include "oracle/concurrent.h"
#include "oracle/races.h"
#include "oracle/report.h"
#include "oracle/settled.h"
#include "oracle/stage.h"

namespace pgcache::oracle {
namespace {

constexpr std::size_t kTraceLinesShown = 80;
constexpr double kHitShareMin = 0.8;

struct Arguments {
  int seconds = 60;
  std::uint64_t seed = std::random_device{}();
  std::uint64_t first_epoch = 0;
  std::string pgcache;
  std::string fault;
  std::string only;  // one phase: settled, concurrent or races
  bool verbose = false;

  bool plays(const std::string& phase) const { return only.empty() || only == phase; }
};

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--verbose") {
      arguments.verbose = true;
      continue;
    }
    if (i + 1 == argc) return false;
    const char* value = argv[++i];
    if (name == "--seconds") {
      arguments.seconds = std::atoi(value);
    } else if (name == "--seed") {
      arguments.seed = std::strtoull(value, nullptr, 10);
    } else if (name == "--epoch") {
      arguments.first_epoch = std::strtoull(value, nullptr, 10);
    } else if (name == "--pgcache") {
      arguments.pgcache = value;
    } else if (name == "--only") {
      arguments.only = value;
    } else if (name == "--fault") {
      arguments.fault = value;
    } else {
      return false;
    }
  }
  return arguments.seconds > 0;
}

std::string replay_line(const Arguments& arguments, std::uint64_t epoch) {
  return "replay with: oracle --seconds " + std::to_string(arguments.seconds) + " --seed " +
         std::to_string(arguments.seed) + " --epoch " + std::to_string(epoch);
}

void write_whole_trace(const Trace& trace, std::uint64_t seed) {
  const std::string path = "oracle-" + std::to_string(seed) + ".sql";
  std::ofstream(path) << trace.all();
  std::fprintf(stderr, "all steps of the epoch: %s\n", path.c_str());
}

// True when a wrong answer was found.
bool run_phases(const Arguments& arguments, Stage& stage, Counts& counts) {
  Trace trace;
  trace.echo(arguments.verbose);
  std::uint64_t epoch = arguments.first_epoch;
  try {
    // The phases share the time: two thirds, a quarter, the rest.
    const auto start = Clock::now();
    const auto whole = std::chrono::seconds(arguments.seconds);
    const bool all = arguments.only.empty();
    const auto settled_end = all ? start + whole * 2 / 3 : start + whole;
    const auto concurrent_end = all ? start + whole * 11 / 12 : start + whole;
    if (arguments.plays("settled")) {
      Settled settled(stage, arguments.seed, trace, counts);
      for (; Clock::now() < settled_end; ++epoch) settled.epoch(epoch, settled_end);
      trace.clear();
    }
    if (arguments.plays("concurrent"))
      run_concurrent(stage, arguments.seed, concurrent_end, counts);
    if (arguments.plays("races")) run_races(stage, arguments.seed, start + whole, counts);
  } catch (const WrongAnswer& wrong) {
    if (arguments.fault.empty()) {
      std::fprintf(stderr, "the last steps:\n%s\n%s\n\n%s\npgcache's log:\n%s\n",
                   trace.tail(kTraceLinesShown).c_str(), wrong.what(),
                   replay_line(arguments, epoch).c_str(), stage.pgcache().log_tail(3000).c_str());
      write_whole_trace(trace, arguments.seed);
    } else {
      std::printf("found: %s\n", wrong.what());
    }
    return true;
  }
  return false;
}

int run(const Arguments& arguments) {
  std::printf("seed %llu\n", static_cast<unsigned long long>(arguments.seed));
  std::fflush(stdout);
  std::vector<std::string> environment;
  if (!arguments.fault.empty()) environment.push_back("PGCACHE_FAULT_BREAK=" + arguments.fault);
  Stage stage(arguments.pgcache, environment);
  Counts counts;
  const auto start = Clock::now();
  const bool wrong = run_phases(arguments, stage, counts);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::printf("%s", counts.text().c_str());
  if (stage.pgcache().running()) {
    std::printf("routes: %s\ninvalidations: %.0f\n", stage.pgcache().routes().text().c_str(),
                stage.pgcache().metric("pgcache_invalidations_total"));
  }
  if (!arguments.fault.empty()) {
    std::printf("the fault %s was %s within %.1f s\n", arguments.fault.c_str(),
                wrong ? "found" : "NOT found", seconds);
    return wrong ? 0 : 1;
  }
  if (wrong) return 1;
  const Share share = counts.total();
  std::printf("repeats answered from the cache: %llu of %llu\n",
              static_cast<unsigned long long>(share.hits),
              static_cast<unsigned long long>(share.repeats));
  if (static_cast<double>(share.hits) < kHitShareMin * static_cast<double>(share.repeats)) {
    std::fprintf(stderr, "too few hits: this run proves nothing\n");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace pgcache::oracle

int main(int argc, char** argv) {
  pgcache::oracle::Arguments arguments;
  if (!pgcache::oracle::parse(argc, argv, arguments)) {
    std::fprintf(stderr,
                 "usage: oracle --seconds N [--seed S] [--epoch E] [--pgcache PATH] [--fault NAME] "
                 "[--only settled|concurrent|races] [--verbose]\n");
    return 2;
  }
  try {
    return pgcache::oracle::run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "oracle: %s\n", error.what());
    return 2;
  }
}
