// SPDX-License-Identifier: Apache-2.0
// oracle --seconds N [--seed S] [--epoch E] [--only PHASE] [--pgcache PATH] [--fault NAME]
//        [--json FILE] [--max-needless-full PERCENT] [--max-needless-default PERCENT]
//        [--examples N] [--verbose]
//
// Proves pgcache's answers right against the PostgreSQL that it fronts: a random schema, random
// queries and changes, first settled (each answer compared with the origin's), then with readers
// and writers at the same time (each answer held against invariants). Every failure is replayed by
// its seed. The settled phase also counts needless invalidations; --only needless does nothing but
// that. With --json they are written to a file too, with --max-needless-... a larger share of them
// is a failure, with --examples some are printed. With --fault, pgcache runs with that part of it
// broken on purpose, and the program succeeds when it finds that out.
//
// Exit status: 0 as it should be, 1 a wrong answer (or none found with --fault) or a missed goal,
// 2 anything else.
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
constexpr std::uint64_t kInvalidationsMin = 200;  // for a share to mean something

struct Arguments {
  int seconds = 60;
  std::uint64_t seed = std::random_device{}();
  std::uint64_t first_epoch = 0;
  std::string pgcache;
  std::string fault;
  std::string only;  // one phase: settled, concurrent, races; or needless
  bool verbose = false;
  std::string json;
  std::size_t examples = 0;
  double needless_full_max = 100;     // percent
  double needless_default_max = 100;  // percent

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
    } else if (name == "--json") {
      arguments.json = value;
    } else if (name == "--examples") {
      arguments.examples = std::strtoul(value, nullptr, 10);
    } else if (name == "--max-needless-full") {
      arguments.needless_full_max = std::strtod(value, nullptr);
    } else if (name == "--max-needless-default") {
      arguments.needless_default_max = std::strtod(value, nullptr);
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
    if (arguments.only == "needless") {
      Settled settled(stage, arguments.seed, trace, counts);
      for (; Clock::now() < start + whole; ++epoch) settled.needless_epoch(epoch, start + whole);
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

// Prints what was counted; true when a goal is missed, or too little was counted to tell.
bool judge_needless(const Arguments& arguments, const Needless& needless) {
  std::printf("%s%s", needless.examples(arguments.examples).c_str(), needless.table().c_str());
  if (!arguments.json.empty()) std::ofstream(arguments.json) << needless.json();
  bool missed = false;
  for (const bool full : {true, false}) {
    const double most = full ? arguments.needless_full_max : arguments.needless_default_max;
    const Tally& tally = needless.total(full);
    if (most >= 100) continue;
    if (tally.invalidations >= kInvalidationsMin && tally.share_percent() <= most) continue;
    std::fprintf(
        stderr,
        "%s: %.1f %% of %llu invalidations are needless, the goal is %.1f %% of %llu or more\n",
        full ? "FULL" : "DEFAULT", tally.share_percent(),
        static_cast<unsigned long long>(tally.invalidations), most,
        static_cast<unsigned long long>(kInvalidationsMin));
    missed = true;
  }
  return missed;
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
  const bool missed = judge_needless(arguments, counts.needless);
  const Share share = counts.total();
  std::printf("repeats answered from the cache: %llu of %llu\n",
              static_cast<unsigned long long>(share.hits),
              static_cast<unsigned long long>(share.repeats));
  if (static_cast<double>(share.hits) < kHitShareMin * static_cast<double>(share.repeats)) {
    std::fprintf(stderr, "too few hits: this run proves nothing\n");
    return 1;
  }
  return missed ? 1 : 0;
}

}  // namespace
}  // namespace pgcache::oracle

int main(int argc, char** argv) {
  pgcache::oracle::Arguments arguments;
  if (!pgcache::oracle::parse(argc, argv, arguments)) {
    std::fprintf(
        stderr,
        "usage: oracle --seconds N [--seed S] [--epoch E] [--pgcache PATH] [--fault NAME] "
        "[--only settled|concurrent|races|needless] [--json FILE] [--max-needless-full PERCENT] "
        "[--max-needless-default PERCENT] [--examples N] [--verbose]\n");
    return 2;
  }
  try {
    return pgcache::oracle::run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "oracle: %s\n", error.what());
    return 2;
  }
}
