// SPDX-License-Identifier: Apache-2.0
// What happened so far: the steps to replay, the counts for the summary, the failure.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "oracle/needless.h"

namespace pgcache::oracle {

// pgcache answered what it must not, or by a route that it must not take.
class WrongAnswer : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The statements of the present epoch in the order in which they were sent.
class Trace {
 public:
  void clear() { lines_.clear(); }
  void add(const std::string& who, const std::string& sql, const std::string& outcome);
  std::string tail(std::size_t lines) const;
  std::string all() const { return tail(lines_.size()); }
  void echo(bool on) { echo_ = on; }

 private:
  std::vector<std::string> lines_;
  bool echo_ = false;
};

// Repeats of queries that must be cached, for one kind of query.
struct Share {
  std::uint64_t repeats = 0;
  std::uint64_t hits = 0;
};

struct Counts {
  std::uint64_t queries = 0;  // compared answers
  std::uint64_t changes = 0;  // statements that changed something
  std::uint64_t rounds = 0;
  std::uint64_t epochs = 0;
  std::uint64_t own_writes = 0;  // reads right after a write of the same session
  std::uint64_t in_blocks = 0;   // reads inside transaction blocks
  std::uint64_t alterations = 0;
  std::uint64_t concurrent_reads = 0;
  std::uint64_t concurrent_writes = 0;
  std::map<std::string, Share> shares;        // by feature
  std::map<std::string, std::string> missed;  // by reason, one query that should have been a hit
  std::map<std::string, std::uint64_t> missed_reasons;
  Needless needless;

  Share total() const;
  std::string text() const;
};

}  // namespace pgcache::oracle
