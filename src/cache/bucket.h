// SPDX-License-Identifier: Apache-2.0
// A set of entries that the index finds together, with removal in constant time: each slot knows
// which of its entry's references points at it, and each reference knows its slot. Buckets do not
// move. Entries of several nodes may share one. Most hold one entry; its slot needs no memory of
// its own.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <vector>

#include "cache/entry.h"

namespace pgcache::cache {

struct Bucket {
  struct Slot {
    Entry* entry = nullptr;
    std::uint32_t ref = 0;  // index into entry->refs
    const IndexRef& reference() const { return entry->refs[ref]; }
  };
  // What to do when it is empty: a list stays, the others leave what holds them.
  enum class Place : std::uint8_t { kList, kInterval, kValue, kKey };

  boost::container::small_vector<Slot, 1> slots;
  Place place = Place::kList;
  std::uint64_t hash = 0;  // kValue, kKey: under which it stands in its table

  Bucket() = default;
  Bucket(const Bucket&) = delete;
  Bucket& operator=(const Bucket&) = delete;

  // `node` is null for a list that belongs to none.
  void add(Entry& entry, DependencyNode* node, bool by_key) {
    const auto position = static_cast<std::uint32_t>(slots.size());
    slots.push_back({&entry, static_cast<std::uint32_t>(entry.refs.size())});
    entry.refs.push_back({this, node, position, by_key});
  }

  // Leaves the entry's own list of references alone.
  void remove_at(std::uint32_t position) {
    slots[position] = slots.back();
    const Slot& moved = slots[position];
    moved.entry->refs[moved.ref].position = position;
    slots.pop_back();
  }
};

// Notes that the change at hand affects the entry.
inline void doom(Entry& entry, bool coarse, std::vector<Entry*>& found) {
  if (entry.doomed) {
    entry.coarse = entry.coarse && coarse;
    return;
  }
  entry.doomed = true;
  entry.coarse = coarse;
  found.push_back(&entry);
}

}  // namespace pgcache::cache
