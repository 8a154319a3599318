// SPDX-License-Identifier: Apache-2.0
// consistency --seconds N --level eventual|session|strict [--seed S] [--min-hits PERCENT]
//             [--only FAULTS] [--pgcache PATH] [--fault NAME] [--env NAME=VALUE]...
//             [--lease] [--conf LINE]... [--conf-later LINE]... [--argument ARGUMENT]...
// consistency --self-test [--seed S]
//
// Readers and writers by way of pgcache and directly on the origin, while connections break, stall
// and servers crash; what they did and saw is held against the level's promise (check.h,
// docs/consistency.md). --min-hits: so many of the reads by way of pgcache must be answered from
// memory (default 25; at strict 5, where each hit waits for the origin). --conf adds to the
// origin's configuration, --conf-later does so once pgcache runs (synchronous_standby_names),
// --argument to pgcache's. Strict is by asking for each hit (strict_verify = read), or with --lease
// by letting commits wait for pgcache; if --conf, --conf-later or --argument is given, --min-hits
// is 0. --only: of the faults, those whose name holds the text (which may be none). With
// --fault, pgcache runs with that part of it broken on purpose, and the program succeeds when it
// finds that out. A seed repeats the choices, not the machine's timing.
//
// Exit status: 0 as it should be; 1 a violation (or none found with --fault), or too few hits;
// 2 anything else.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <random>
#include <string>
#include <vector>

#include "consistency/rounds.h"
#include "consistency/self_test.h"
#include "consistency/stage.h"

namespace pgcache::consistency {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kRound = 10 * kSecond;
constexpr double kHitPercentMin = 25;
constexpr double kStrictHitPercentMin = 5;

struct Arguments {
  int seconds = 30;
  std::uint64_t seed = std::random_device{}();
  double hit_percent_min = -1;  // negative: the level's
  std::string fault;
  bool lease = false;
  bool self_test = false;
  std::string only;  // faults whose name holds this
  StageOptions stage;
};

bool parse_level(const std::string& text, Level& level) {
  for (const Level one : {Level::kEventual, Level::kSession, Level::kStrict}) {
    if (text != name_of(one)) continue;
    level = one;
    return true;
  }
  return false;
}

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--self-test") {
      arguments.self_test = true;
      continue;
    }
    if (name == "--lease") {
      arguments.lease = true;
      continue;
    }
    if (i + 1 == argc) return false;
    const std::string value = argv[++i];
    if (name == "--seconds") {
      arguments.seconds = std::atoi(value.c_str());
    } else if (name == "--level") {
      if (!parse_level(value, arguments.stage.level)) return false;
    } else if (name == "--seed") {
      arguments.seed = std::strtoull(value.c_str(), nullptr, 10);
    } else if (name == "--min-hits") {
      arguments.hit_percent_min = std::strtod(value.c_str(), nullptr);
    } else if (name == "--pgcache") {
      arguments.stage.binary = value;
    } else if (name == "--only") {
      arguments.only = value;
    } else if (name == "--fault") {
      arguments.fault = value;
    } else if (name == "--env") {
      arguments.stage.environment.push_back(value);
    } else if (name == "--conf") {
      arguments.stage.conf.push_back(value);
    } else if (name == "--conf-later") {
      arguments.stage.conf_later.push_back(value);
    } else if (name == "--argument") {
      arguments.stage.arguments.push_back(value);
    } else {
      return false;
    }
  }
  return arguments.seconds > 0;
}

// True when a violation was found.
bool play(const Arguments& arguments, Stage& stage, Rounds& rounds) {
  const std::int64_t end = now_ns() + arguments.seconds * kSecond;
  bool found = false;
  while (!found && now_ns() < end) {
    const std::int64_t left = end - now_ns();
    const std::int64_t length = left < kRound * 3 / 2 ? left : kRound;
    found = !rounds.round(now_ns() + length, [&](const std::string& report) {
      if (!arguments.fault.empty()) {
        std::printf("found: %s\n", report.substr(0, report.find("\nregister")).c_str());
        return;
      }
      std::fprintf(stderr, "%s\npgcache's log:\n%s\n", report.c_str(),
                   stage.pgcache().log_tail(4000).c_str());
    });
  }
  return found;
}

// Where nothing is said of it: the way that takes nothing of the origin, and what is to be
// expected.
void choose_defaults(Arguments& arguments) {
  StageOptions& stage = arguments.stage;
  const bool strict = stage.level == Level::kStrict;
  const bool chosen = !stage.conf.empty() || !stage.conf_later.empty() || !stage.arguments.empty();
  if (strict && arguments.lease) {
    stage.conf_later.push_back("synchronous_standby_names = 'pgcache'");
    stage.arguments.insert(stage.arguments.begin(), {"--strict-ack-timeout", "1s"});
  } else if (strict && !chosen) {
    stage.arguments = {"--strict-verify", "read"};
  }
  if (arguments.hit_percent_min >= 0) return;
  arguments.hit_percent_min = !strict ? kHitPercentMin : chosen ? 0 : kStrictHitPercentMin;
}

bool enough_hits(const Arguments& arguments, const Rounds& rounds) {
  const double least = arguments.hit_percent_min;
  if (rounds.forwards_all()) {
    std::printf("pgcache forwards all reads at this level: no answer from memory was checked\n");
  }
  if (rounds.totals().hit_percent() >= least) return true;
  std::fprintf(stderr, "too few hits (at least %.1f %%): this run proves nothing\n", least);
  return false;
}

int run(Arguments& arguments) {
  std::printf("seed %llu\n", static_cast<unsigned long long>(arguments.seed));
  std::fflush(stdout);
  if (arguments.self_test) return self_test(arguments.seed) ? 0 : 1;
  if (!arguments.fault.empty()) {
    arguments.stage.environment.push_back("PGCACHE_FAULT_BREAK=" + arguments.fault);
  }
  choose_defaults(arguments);
  Stage stage(arguments.stage);
  Rounds rounds(stage, {arguments.stage.level, arguments.stage.max_staleness_ms * 1'000'000},
                arguments.seed, arguments.only);
  const std::int64_t start = now_ns();
  const bool found = play(arguments, stage, rounds);
  std::printf("level %s, %.0f s\n%s", name_of(arguments.stage.level),
              static_cast<double>(now_ns() - start) / static_cast<double>(kSecond),
              rounds.totals().text().c_str());
  if (!arguments.fault.empty()) {
    std::printf("the fault %s was %s\n", arguments.fault.c_str(), found ? "found" : "NOT found");
    return found ? 0 : 1;
  }
  if (found) {
    std::fprintf(stderr,
                 "the same choices again: consistency --seconds %d --level %s --seed %llu\n",
                 arguments.seconds, name_of(arguments.stage.level),
                 static_cast<unsigned long long>(arguments.seed));
    return 1;
  }
  std::printf("no violation\n");
  return enough_hits(arguments, rounds) ? 0 : 1;
}

}  // namespace
}  // namespace pgcache::consistency

int main(int argc, char** argv) {
  pgcache::consistency::Arguments arguments;
  if (!pgcache::consistency::parse(argc, argv, arguments)) {
    std::fprintf(stderr,
                 "usage: consistency --seconds N --level eventual|session|strict [--seed S] "
                 "[--min-hits PERCENT] [--only FAULTS] [--pgcache PATH] [--fault NAME] [--env "
                 "NAME=VALUE]... [--lease] "
                 "[--conf LINE]... [--conf-later LINE]... [--argument ARGUMENT]...\n       "
                 "consistency --self-test [--seed S]\n");
    return 2;
  }
  try {
    return pgcache::consistency::run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "consistency: %s\n", error.what());
    return 2;
  }
}
