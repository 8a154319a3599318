// SPDX-License-Identifier: Apache-2.0
// Holds a history against what a level promises. Pure.
//
// Linearizability. The writes of a register are ordered by their numbers in every state that the
// origin can be in (history.h), so the only order in which a set of operations can have taken
// effect is: by number, each write in front of the reads that returned it, these by their start.
// That order is a linearization exactly if it contradicts no pair of operations of which one ended
// before the other began. It contradicts none exactly if
//   (1) no operation that carries a smaller number begins after one that carries a larger has
//   ended, (2) no read ends before the write of its number begins.
// A write whose outcome is unknown may take effect at any time after its start, or never: it has no
// end, and counts as the origin of its number only. So these two tests accept a history if and only
// if it is linearizable; registers are independent of each other, and linearizability is local.
// `consistency --self-test` compares this with a search over all orders.
//
// The checks
//   kNeverCommitted  a number that nobody wrote, or that was rolled back      every read, every
//   level kFuture          a number whose write had not begun yet                   every read,
//   every level kNotLinearizable writes, reads on the origin and forwarded reads together  every
//   level;
//                    cached reads as well                                     strict
//   kOwnWrite        a session does not see what it wrote                     session, strict
//   kBackwards       cached answers to one statement go back, from the end
//                    of one to the start of another, in whatever sessions     every level
//   kTooStale        a cached read misses what was acknowledged more than
//                    max_staleness before the read began                      every level
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "consistency/history.h"

namespace pgcache::consistency {

enum class Breach : std::uint8_t {
  kNeverCommitted,
  kFuture,
  kNotLinearizable,
  kOwnWrite,
  kBackwards,
  kTooStale,
};
const char* name_of(Breach breach);

struct Violation {
  Breach breach = Breach::kNeverCommitted;
  const Op* op = nullptr;     // of the history
  std::int64_t expected = 0;  // at least this number, where that is what was broken
};

struct Rules {
  Level level = Level::kSession;
  std::int64_t max_staleness_ns = 0;
};

// In the order of the operations' starts. Views into `history`.
std::vector<Violation> check(const History& history, const Rules& rules);

}  // namespace pgcache::consistency
