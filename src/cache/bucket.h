// SPDX-License-Identifier: Apache-2.0
// A set of entries that the index finds together, with removal in constant time: each slot knows
// which of its entry's references points at it, and each reference knows its slot. Buckets do not
// move. Entries of several nodes may share one. Most hold one entry; its slot needs no memory of
// its own.
//
// A list keeps the slot of an entry that has left empty, for the next one that comes: to move
// another entry there would touch memory that has nothing to do with the one that leaves.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <vector>

#include "cache/entry.h"

namespace pgcache::cache {

struct Bucket {
  struct Slot {
    Entry* entry = nullptr;  // null: empty
    std::uint32_t ref = 0;   // index into entry->refs; of an empty slot: the next empty one
    const IndexRef& reference() const { return entry->refs[ref]; }
  };
  // What to do when it is empty: a list stays, the others leave what holds them.
  enum class Place : std::uint8_t { kList, kInterval, kValue, kKey };

  static constexpr std::uint32_t kNone = 0xffffffff;

  boost::container::small_vector<Slot, 1> slots;
  std::uint32_t empty_slots = 0;  // kList: how many
  std::uint32_t first_empty = kNone;
  std::uint64_t hash = 0;  // kValue, kKey: under which it stands in its table
  Place place = Place::kList;

  Bucket() = default;
  Bucket(const Bucket&) = delete;
  Bucket& operator=(const Bucket&) = delete;

  // `node` is null for a list that belongs to none.
  void add(Entry& entry, DependencyNode* node, bool by_key) {
    const Slot slot{&entry, static_cast<std::uint32_t>(entry.refs.size())};
    auto position = first_empty;
    if (position == kNone) {
      position = static_cast<std::uint32_t>(slots.size());
      slots.push_back(slot);
    } else {
      first_empty = slots[position].ref;
      --empty_slots;
      slots[position] = slot;
    }
    entry.refs.push_back({this, node, position, by_key});
  }

  // Leaves the entry's own list of references alone.
  void remove_at(std::uint32_t position) {
    if (place == Place::kList) {
      slots[position] = {nullptr, first_empty};
      first_empty = position;
      ++empty_slots;
      if (slots.size() > kSparse * (slots.size() - empty_slots)) close_up();
      return;
    }
    slots[position] = slots.back();
    const Slot& moved = slots[position];
    moved.entry->refs[moved.ref].position = position;
    slots.pop_back();
  }

  bool empty() const { return slots.size() == empty_slots; }

  template <typename F>
  void each(F&& f) const {
    for (const Slot& slot : slots) {
      if (slot.entry) f(slot);
    }
  }

 private:
  // A list with a smaller part of its slots in use gives the others back.
  static constexpr std::size_t kSparse = 4;

  void close_up() {
    std::uint32_t to = 0;
    for (const Slot& slot : slots) {
      if (!slot.entry) continue;
      slot.entry->refs[slot.ref].position = to;
      slots[to++] = slot;
    }
    slots.resize(to);
    slots.shrink_to_fit();
    empty_slots = 0;
    first_empty = kNone;
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
