// SPDX-License-Identifier: Apache-2.0
// What the clients of a run did and saw: the operations of one round on its registers.
//
// A register is a place in the database that holds a number (a row; two rows that are always
// written together; the number of a bank's last transfer; the only row of a table that is truncated
// for each write). Each write of a register carries a number that was never used before and is
// larger than all before, writes of one register are made one after the other, and each changes
// nothing when a larger number is there already. So the origin's registers only ever grow.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pgcache::consistency {

enum class Level : std::uint8_t { kEventual, kSession, kStrict };
const char* name_of(Level level);

enum class OpKind : std::uint8_t { kRead, kWrite };

enum class Outcome : std::uint8_t {
  kDone,     // a write that was acknowledged, a read that was answered
  kUnknown,  // of a write: the connection was lost at its commit
  kFailed,   // of a write: rolled back, or the server refused it; it never was
};

enum class Route : std::uint8_t {
  kDirect,     // on a connection to the origin
  kForwarded,  // by way of pgcache, which sent the statement to the origin
  kCached,     // by way of pgcache, which sent nothing
};

// Times are nanoseconds of the monotonic clock: before the first byte was sent, and after the last
// byte of the answer was received.
struct Op {
  std::uint32_t session = 0;    // of one connection; a connection that is made anew is another
  std::uint16_t reg = 0;        // the register
  std::uint16_t statement = 0;  // of a read: which of the register's statements
  OpKind kind = OpKind::kRead;
  Outcome outcome = Outcome::kDone;
  Route route = Route::kDirect;
  std::int64_t value = 0;
  std::int64_t start = 0;
  std::int64_t end = 0;
};

struct Incident {  // a fault that was injected, or its end
  std::int64_t at = 0;
  std::string what;
};

struct History {
  std::vector<Op> ops;
  std::vector<Incident> incidents;
  std::vector<std::string> register_names;
};

std::int64_t now_ns();

// The operations on the register about the moment, and what was injected then; for a person.
// `culprit` (of history.ops) is marked.
std::string excerpt(const History& history, const Op& culprit);

}  // namespace pgcache::consistency
