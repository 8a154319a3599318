// SPDX-License-Identifier: Apache-2.0
#include "consistency/self_test.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "consistency/check.h"

namespace pgcache::consistency {

namespace {

constexpr int kRandomHistories = 20000;
constexpr std::int64_t kStaleness = 100;

Op write(std::int64_t value, std::int64_t start, std::int64_t end, std::uint32_t session = 1,
         Outcome outcome = Outcome::kDone) {
  Op op;
  op.kind = OpKind::kWrite;
  op.session = session;
  op.value = value;
  op.start = start;
  op.end = end;
  op.outcome = outcome;
  return op;
}

Op read(std::int64_t value, std::int64_t start, std::int64_t end, Route route,
        std::uint32_t session = 2) {
  Op op;
  op.session = session;
  op.value = value;
  op.start = start;
  op.end = end;
  op.route = route;
  return op;
}

Op other(Op op) {  // by another statement
  op.statement = 1;
  return op;
}

struct Case {
  const char* what;
  Level level;
  std::vector<Op> ops;
  std::optional<Breach> breach;  // the only one to be found
};

std::vector<Case> cases() {
  const Op first = write(1, 0, 1);
  const auto cached = Route::kCached;
  const auto forwarded = Route::kForwarded;
  return {
      {"fresh reads",
       Level::kStrict,
       {first, read(1, 2, 3, cached), write(2, 4, 8), read(2, 5, 6, cached)},
       {}},
      {"either number during a write",
       Level::kStrict,
       {first, write(2, 4, 20), read(1, 5, 6, cached, 3), read(2, 7, 8, cached)},
       {}},
      {"back during a write, across sessions",
       Level::kStrict,
       {first, write(2, 4, 20), read(2, 5, 6, cached, 3), other(read(1, 7, 8, cached))},
       Breach::kNotLinearizable},
      {"the same is allowed below strict",
       Level::kSession,
       {first, write(2, 4, 20), read(2, 5, 6, cached, 3), other(read(1, 7, 8, cached))},
       {}},
      {"behind an acknowledged write",
       Level::kStrict,
       {first, write(2, 4, 5), read(1, 6, 7, cached)},
       Breach::kNotLinearizable},
      {"forwarded reads are held to it at every level",
       Level::kEventual,
       {first, write(2, 4, 5), read(1, 6, 7, forwarded)},
       Breach::kNotLinearizable},
      {"within the bound",
       Level::kEventual,
       {first, write(2, 4, 5), read(1, 104, 105, cached)},
       {}},
      {"beyond the bound",
       Level::kEventual,
       {first, write(2, 4, 5), read(1, 106, 107, cached)},
       Breach::kTooStale},
      {"a write of one's own",
       Level::kSession,
       {first, write(2, 4, 5, 2), read(1, 6, 7, cached)},
       Breach::kOwnWrite},
      {"no such promise at eventual",
       Level::kEventual,
       {first, write(2, 4, 5, 2), read(1, 6, 7, cached)},
       {}},
      {"a statement's answers go back",
       Level::kSession,
       {first, write(2, 4, 50), read(2, 5, 6, cached, 3), read(1, 7, 8, cached)},
       Breach::kBackwards},
      {"rolled back",
       Level::kEventual,
       {first, write(2, 4, 5, 1, Outcome::kFailed), read(2, 6, 7, cached)},
       Breach::kNeverCommitted},
      {"never written", Level::kEventual, {first, read(7, 6, 7, cached)}, Breach::kNeverCommitted},
      {"from the future",
       Level::kEventual,
       {first, read(2, 3, 4, cached), write(2, 5, 6)},
       Breach::kFuture},
      {"an unknown outcome may show much later",
       Level::kStrict,
       {first, write(2, 4, 5, 1, Outcome::kUnknown), read(1, 50, 51, cached),
        read(2, 60, 61, cached)},
       {}},
      {"but then it stays",
       Level::kStrict,
       {first, write(2, 4, 5, 1, Outcome::kUnknown), read(2, 50, 51, cached, 3),
        other(read(1, 60, 61, cached))},
       Breach::kNotLinearizable},
  };
}

History history_of(std::vector<Op> ops) {
  History history;
  history.ops = std::move(ops);
  history.register_names = {"test"};
  return history;
}

bool play(const Case& one) {
  const History history = history_of(one.ops);
  const std::vector<Violation> found = check(history, {one.level, kStaleness});
  const bool right =
      one.breach ? found.size() == 1 && found[0].breach == *one.breach : found.empty();
  if (!right) {
    std::printf(
        "self-test: %s: %zu violations%s%s\n", one.what, found.size(),
        found.empty() ? "" : ", the first: ", found.empty() ? "" : name_of(found[0].breach));
  }
  return right;
}

// Whether some order of the operations from `at` on explains them: a register that starts at zero,
// and takes a write only when it grows. Writes of unknown outcome may be left out.
bool search(std::vector<Op>& left, std::int64_t state) {
  const bool all_optional = std::all_of(
      left.begin(), left.end(), [](const Op& op) { return op.outcome == Outcome::kUnknown; });
  if (all_optional) return true;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const Op op = left[i];
    const bool may_be_next = std::all_of(left.begin(), left.end(), [&](const Op& other) {
      return other.outcome == Outcome::kUnknown || other.end >= op.start;
    });
    const bool fits = op.kind == OpKind::kWrite ? op.value > state : op.value == state;
    if (!may_be_next || !fits) continue;
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(i));
    const bool found = search(left, op.value);
    left.insert(left.begin() + static_cast<std::ptrdiff_t>(i), op);
    if (found) return true;
  }
  return false;
}

// Writes one after the other, as the clients make them; reads anywhere.
std::vector<Op> random_ops(std::mt19937_64& random) {
  const auto below = [&random](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
  std::vector<Op> ops{write(0, -2, -1)};
  std::int64_t at = below(4);
  const std::int64_t writes = 1 + below(3);
  for (std::int64_t value = 1; value <= writes; ++value) {
    const std::int64_t end = at + 1 + below(5);
    const Outcome outcome = below(4) == 0 ? Outcome::kUnknown : Outcome::kDone;
    ops.push_back(write(value, at, end, 1, outcome));
    at = end + 1 + below(3);
  }
  for (std::int64_t i = 1 + below(4); i > 0; --i) {
    const std::int64_t start = below(14);
    ops.push_back(read(below(static_cast<std::uint64_t>(writes) + 1), start, start + 1 + below(5),
                       Route::kCached, static_cast<std::uint32_t>(10 + i)));
  }
  return ops;
}

bool compare_with_search(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  int linearizable = 0;
  for (int i = 0; i < kRandomHistories; ++i) {
    std::vector<Op> ops = random_ops(random);
    const History history = history_of(ops);
    const bool accepted =
        check(history, {Level::kStrict, std::numeric_limits<std::int32_t>::max()}).empty();
    const bool explained = search(ops, -1);
    linearizable += explained ? 1 : 0;
    if (accepted == explained) continue;
    std::printf("self-test: history %d of seed %llu: the check says %s, the search %s\n%s", i,
                static_cast<unsigned long long>(seed), accepted ? "yes" : "no",
                explained ? "yes" : "no", excerpt(history, history.ops.back()).c_str());
    return false;
  }
  std::printf("self-test: %d random histories, %d of them linearizable: as the search says\n",
              kRandomHistories, linearizable);
  return true;
}

}  // namespace

bool self_test(std::uint64_t seed) {
  bool right = true;
  const std::vector<Case> all = cases();
  for (const Case& one : all) right = play(one) && right;
  std::printf("self-test: %zu made histories\n", all.size());
  return compare_with_search(seed) && right;
}

}  // namespace pgcache::consistency
