// SPDX-License-Identifier: Apache-2.0
// Entries that have left store and index, and wait to be destroyed. Nobody finds them any more;
// what they hold is given back some at a time, since the memory of one that nothing has touched
// lately is slow to reach, and that of several can be asked for at once. How many may wait is
// bounded, in number and in bytes. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "cache/entry.h"

namespace pgcache::cache {

class RemovedEntries {
 public:
  RemovedEntries() = default;
  ~RemovedEntries();
  RemovedEntries(RemovedEntries&&) noexcept = default;
  RemovedEntries& operator=(RemovedEntries&&) = delete;

  void add(std::unique_ptr<Entry> entry) {
    bytes_ += entry->bytes;
    entries_.push_back(std::move(entry));
  }
  // Time to destroy them.
  bool is_full() const { return entries_.size() >= kEntriesMax || bytes_ >= kBytesMax; }
  void swap(RemovedEntries& other) noexcept {
    entries_.swap(other.entries_);
    std::swap(bytes_, other.bytes_);
  }

 private:
  static constexpr std::size_t kEntriesMax = 64;
  static constexpr std::uint64_t kBytesMax = 1 << 20;

  std::vector<std::unique_ptr<Entry>> entries_;
  std::uint64_t bytes_ = 0;
};

}  // namespace pgcache::cache
