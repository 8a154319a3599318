// SPDX-License-Identifier: Apache-2.0
#include "consistency/check.h"

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_map>
#include <utility>

namespace pgcache::consistency {

namespace {

using Ops = std::vector<const Op*>;  // by start

constexpr std::int64_t kNothing = std::numeric_limits<std::int64_t>::min();

bool is_write(const Op& op) { return op.kind == OpKind::kWrite; }
bool is_read(const Op& op) { return op.kind == OpKind::kRead && op.outcome == Outcome::kDone; }

// The largest number of operations that have ended before a moment; moments must not decrease.
class Floor {
 public:
  explicit Floor(Ops ended) : ended_(std::move(ended)) {
    std::sort(ended_.begin(), ended_.end(),
              [](const Op* a, const Op* b) { return a->end < b->end; });
  }
  std::int64_t before(std::int64_t moment) {
    for (; next_ < ended_.size() && ended_[next_]->end < moment; ++next_) {
      largest_ = std::max(largest_, ended_[next_]->value);
    }
    return largest_;
  }

 private:
  Ops ended_;
  std::size_t next_ = 0;
  std::int64_t largest_ = kNothing;
};

template <typename Predicate>
Ops only(const Ops& ops, Predicate&& wanted) {
  Ops chosen;
  std::copy_if(ops.begin(), ops.end(), std::back_inserter(chosen),
               [&](const Op* op) { return wanted(*op); });
  return chosen;
}

bool is_acknowledged_write(const Op& op) { return is_write(op) && op.outcome == Outcome::kDone; }

void check_origins(const Ops& ops, std::vector<Violation>& found) {
  std::unordered_map<std::int64_t, const Op*> writes;
  for (const Op* op : ops) {
    if (is_write(*op)) writes[op->value] = op;
  }
  for (const Op* op : ops) {
    if (!is_read(*op)) continue;
    const auto write = writes.find(op->value);
    if (write == writes.end() || write->second->outcome == Outcome::kFailed) {
      found.push_back({Breach::kNeverCommitted, op, 0});
    } else if (op->end < write->second->start) {
      found.push_back({Breach::kFuture, op, 0});
    }
  }
}

// Test (1) of the header, over the operations that must be linearizable.
void check_order(const Ops& ops, bool cached_too, std::vector<Violation>& found) {
  const Ops members = only(ops, [cached_too](const Op& op) {
    if (is_write(op)) return op.outcome == Outcome::kDone;
    return is_read(op) && (cached_too || op.route != Route::kCached);
  });
  Floor floor(members);
  for (const Op* op : members) {
    const std::int64_t least = floor.before(op->start);
    if (op->value < least) found.push_back({Breach::kNotLinearizable, op, least});
  }
}

void check_staleness(const Ops& ops, std::int64_t bound_ns, std::vector<Violation>& found) {
  Floor floor(only(ops, is_acknowledged_write));
  for (const Op* op : ops) {
    if (!is_read(*op) || op->route != Route::kCached) continue;
    const std::int64_t least = floor.before(op->start - bound_ns);
    if (op->value < least) found.push_back({Breach::kTooStale, op, least});
  }
}

// Cached answers to one statement, whoever asks.
void check_direction(const Ops& ops, std::vector<Violation>& found) {
  std::map<std::uint16_t, Ops> statements;
  for (const Op* op : ops) {
    if (is_read(*op) && op->route == Route::kCached) statements[op->statement].push_back(op);
  }
  for (const auto& [statement, answers] : statements) {
    Floor floor(answers);
    for (const Op* op : answers) {
      const std::int64_t least = floor.before(op->start);
      if (op->value < least) found.push_back({Breach::kBackwards, op, least});
    }
  }
}

// Operations of one session follow each other, so what it did before has ended.
void check_sessions(const Ops& ops, std::vector<Violation>& found) {
  std::unordered_map<std::uint32_t, std::int64_t> written;
  for (const Op* op : ops) {
    auto& own = written.try_emplace(op->session, kNothing).first->second;
    if (is_acknowledged_write(*op)) own = std::max(own, op->value);
    if (is_read(*op) && op->value < own) found.push_back({Breach::kOwnWrite, op, own});
  }
}

}  // namespace

const char* name_of(Breach breach) {
  switch (breach) {
    case Breach::kNeverCommitted:
      return "a read returned what was never committed";
    case Breach::kFuture:
      return "a read returned what was written only later";
    case Breach::kNotLinearizable:
      return "not linearizable: an operation comes too late for its number";
    case Breach::kOwnWrite:
      return "a session does not see its own write";
    case Breach::kBackwards:
      return "cached answers to one statement go backwards";
    case Breach::kTooStale:
      return "a cached answer is older than max_staleness allows";
  }
  return "";
}

std::vector<Violation> check(const History& history, const Rules& rules) {
  std::map<std::uint16_t, Ops> registers;
  for (const Op& op : history.ops) registers[op.reg].push_back(&op);
  std::vector<Violation> found;
  for (auto& [reg, ops] : registers) {
    std::sort(ops.begin(), ops.end(), [](const Op* a, const Op* b) { return a->start < b->start; });
    check_origins(ops, found);
    check_order(ops, rules.level == Level::kStrict, found);
    check_direction(ops, found);
    check_staleness(ops, rules.max_staleness_ns, found);
    if (rules.level != Level::kEventual) check_sessions(ops, found);
  }
  std::sort(found.begin(), found.end(),
            [](const Violation& a, const Violation& b) { return a.op->start < b.op->start; });
  return found;
}

}  // namespace pgcache::consistency
