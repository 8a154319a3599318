// SPDX-License-Identifier: Apache-2.0
// Entries that no look-up finds any more and that still stand in store and index, in the order in
// which they were dropped. To take an entry out of all lists and tables costs several times what it
// costs to find and to mark it, and need not be done while the applier waits: who loads the same
// result again does it, or the next heartbeat. How many there may be is bounded, in number and in
// bytes. One thread at a time.
#pragma once

#include <cstdint>
#include <deque>

#include "cache/entry.h"

namespace pgcache::cache {

class DroppedEntries {
 public:
  explicit DroppedEntries(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  void add(Entry& entry) {
    entries_.push_back(&entry);
    entry.dropped_as = first_ + entries_.size() - 1;
    bytes_ += entry.bytes;
    ++count_;
  }
  // It leaves store and index now.
  void forget(const Entry& entry) {
    entries_[entry.dropped_as - first_] = nullptr;
    bytes_ -= entry.bytes;
    --count_;
    while (!entries_.empty() && !entries_.front()) pop();
  }
  // From the one that was dropped first, as long as `f` wants more.
  template <typename F>
  void each(F&& f) const {
    for (Entry* entry : entries_) {
      if (entry && !f(*entry)) return;
    }
  }
  void clear() {
    first_ += entries_.size();
    entries_.clear();
    bytes_ = count_ = 0;
  }

  std::uint64_t bytes() const { return bytes_; }
  std::size_t count() const { return count_; }
  bool is_full() const { return entries_.size() >= kEntriesMax || bytes_ >= bytes_max_; }

 private:
  static constexpr std::size_t kEntriesMax = 16'384;

  void pop() {
    entries_.pop_front();
    ++first_;
  }

  const std::uint64_t bytes_max_;
  std::deque<Entry*> entries_;  // null: it has left; never the first
  std::uint64_t first_ = 0;     // number of the first, of all that ever came
  std::size_t count_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace pgcache::cache
