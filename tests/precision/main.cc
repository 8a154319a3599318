// SPDX-License-Identifier: Apache-2.0
// precision [--list] [--only TEXT] [--report] [--pgcache PATH]
//
// Which changes drop which cached answers: a table of queries and changes beneath them, each with
// what must happen to the answer that is cached. Every answer is compared with the origin's.
//
//   --list    print the names of the pairs and end
//   --only    the pairs whose name begins with this, or whose construct is this
//   --report  print the answers that are dropped needlessly, but fail only for what is worse
//
// Exit status: 0 as it should be, 1 a pair failed, 2 anything else.
#include <cstdio>
#include <cstring>
#include <exception>
#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include "precision/pair.h"
#include "precision/runner.h"

namespace pgcache::precision {

Pairs all_pairs() {
  Pairs pairs;
  for (const auto add_part :
       {add_propagation, add_outer_joins, add_pushdown, add_merging, add_needless, add_subqueries,
        add_blocks, add_hierarchies, add_predicates, add_types, add_columns_and_identities,
        add_shown, add_partners}) {
    add_part(pairs);
  }
  std::set<std::string> names;
  for (const Pair& pair : pairs) {
    if (!names.insert(pair.full_name()).second) {
      throw std::runtime_error("two pairs are named " + pair.full_name());
    }
  }
  return pairs;
}

namespace {

struct Arguments {
  bool list = false;
  bool report = false;
  std::string only;
  std::string pgcache;
};

struct Score {
  int pairs = 0;
  int passed = 0;
};

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--list") {
      arguments.list = true;
    } else if (name == "--report") {
      arguments.report = true;
    } else if (name == "--only" && i + 1 < argc) {
      arguments.only = argv[++i];
    } else if (name == "--pgcache" && i + 1 < argc) {
      arguments.pgcache = argv[++i];
    } else {
      return false;
    }
  }
  return true;
}

const char* word_of(Outcome outcome) {
  return outcome == Outcome::kInvalidated ? "invalidated"
         : outcome == Outcome::kKept      ? "kept"
                                          : "invalidated, since what would tell is not known";
}

Pairs chosen_pairs(const Arguments& arguments) {
  Pairs chosen;
  for (Pair& pair : all_pairs()) {
    if (arguments.only.empty() || pair.construct == arguments.only ||
        pair.full_name().starts_with(arguments.only)) {
      chosen.push_back(std::move(pair));
    }
  }
  return chosen;
}

void print_failure(const Pair& pair, const Verdict& verdict) {
  std::printf("%s\n  %s, expected: %s\n  %s\n", pair.full_name().c_str(), verdict.what.c_str(),
              word_of(pair.expected), pair.query.c_str());
  for (std::size_t i = 0; i < pair.parameters.size(); ++i) {
    std::printf("    $%zu = %s\n", i + 1, pair.parameters[i].c_str());
  }
  if (!pair.seen.empty()) std::printf("  seen before: %s\n", pair.seen.c_str());
  std::printf("  change: %s\n\n", pair.change.c_str());
  std::fflush(stdout);
}

void print_scores(const std::map<std::string, Score>& scores) {
  std::printf("%-44s %7s %7s\n", "construct", "passed", "pairs");
  for (const auto& [construct, score] : scores) {
    std::printf("%-44s %7d %7d%s\n", construct.c_str(), score.passed, score.pairs,
                score.passed < score.pairs ? "  <--" : "");
  }
}

bool run_pairs(const Arguments& arguments, const Pairs& pairs, bool copies) {
  Runner runner(arguments.pgcache, copies);
  std::map<std::string, Score> scores;
  Score all;
  int severe = 0;
  for (const Pair& pair : pairs) {
    if (pair.copies && !copies) continue;
    const Verdict verdict = runner.run(pair);
    Score& score = scores[pair.construct];
    ++score.pairs;
    ++all.pairs;
    if (verdict.passed) {
      ++score.passed;
      ++all.passed;
      continue;
    }
    if (verdict.severe) ++severe;
    print_failure(pair, verdict);
  }
  print_scores(scores);
  std::printf("%d of %d pairs as expected %s copies of small tables\n", all.passed, all.pairs,
              copies ? "with" : "without");
  if (severe > 0) {
    std::printf("%d of the failures are more than a needless invalidation\npgcache's log:\n%s\n",
                severe, runner.log_tail().c_str());
  }
  return severe == 0 && (all.passed == all.pairs || arguments.report);
}

int run(const Arguments& arguments) {
  const Pairs pairs = chosen_pairs(arguments);
  if (arguments.list) {
    for (const Pair& pair : pairs) std::printf("%s\n", pair.full_name().c_str());
    return 0;
  }
  if (pairs.empty()) throw std::runtime_error("no pair is named so");
  const bool plain = run_pairs(arguments, pairs, false);
  const bool with_copies = run_pairs(arguments, pairs, true);
  return plain && with_copies ? 0 : 1;
}

}  // namespace
}  // namespace pgcache::precision

int main(int argc, char** argv) {
  try {
    pgcache::precision::Arguments arguments;
    if (!pgcache::precision::parse(argc, argv, arguments)) {
      std::fprintf(stderr, "usage: precision [--list] [--only TEXT] [--report] [--pgcache PATH]\n");
      return 2;
    }
    return pgcache::precision::run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "precision: %s\n", error.what());
    return 2;
  }
}
