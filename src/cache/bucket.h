// SPDX-License-Identifier: Apache-2.0
// A set of entries that the index finds together, with removal in constant time: each slot knows
// which of its entry's references points at it, and each reference knows its slot. Buckets do not
// move.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/entry.h"

namespace pgcache::cache {

struct DependencyNode;

struct Bucket {
  struct Slot {
    Entry* entry = nullptr;
    std::uint32_t ref = 0;  // index into entry->refs
  };
  std::vector<Slot> slots;
  DependencyNode* node = nullptr;  // that it belongs to

  Bucket() = default;
  Bucket(const Bucket&) = delete;
  Bucket& operator=(const Bucket&) = delete;

  void add(Entry& entry) {
    const auto position = static_cast<std::uint32_t>(slots.size());
    slots.push_back({&entry, static_cast<std::uint32_t>(entry.refs.size())});
    entry.refs.push_back({this, position});
  }

  // Leaves the entry's own list of references alone.
  void remove_at(std::uint32_t position) {
    slots[position] = slots.back();
    const Slot& moved = slots[position];
    moved.entry->refs[moved.ref].position = position;
    slots.pop_back();
  }
};

}  // namespace pgcache::cache
