// SPDX-License-Identifier: Apache-2.0
// A hash table of objects that it owns, found by a hash of 64 bits that is kept beside them: open
// addressing, linear probing, no tombstones (Knuth, The Art of Computer Programming, vol. 3, 6.4,
// algorithms L and R). To learn that there is nothing under a hash touches one line of memory as a
// rule, and where that line lies is known without touching any: prefetch() asks for it ahead, which
// the tables of the libraries do not offer. Large tables lie in huge pages.
//
// The hash must be well mixed in its upper bits. Not synchronised. T* are stable.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/huge_pages.h"
#include "base/prefetch.h"

namespace pgcache {

template <typename T>
class PointerTable {
 public:
  PointerTable() = default;
  PointerTable(PointerTable&& other) noexcept { swap(other); }
  PointerTable& operator=(PointerTable&& other) noexcept {
    PointerTable taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~PointerTable() {
    for (const Slot& slot : slots_) delete slot.item;
  }

  std::size_t size() const { return size_; }

  // Asks for the memory that find() will look at; yields before it has come.
  void prefetch(std::uint64_t hash) const {
    if (!slots_.empty()) prefetch_line(&slots_[home_of(hash)]);
  }

  // The first one under the hash that is the one meant; null: none.
  template <typename IsMeant>
  T* find(std::uint64_t hash, IsMeant&& is_meant) const {
    if (slots_.empty()) return nullptr;
    for (std::size_t at = home_of(hash); slots_[at].item; at = next(at)) {
      if (slots_[at].hash == hash && is_meant(*slots_[at].item)) return slots_[at].item;
    }
    return nullptr;
  }

  // Whether it is there already is not asked. All of it, or it throws.
  T& insert(std::uint64_t hash, std::unique_ptr<T> item) {
    if (size_ >= slots_.size() / 4 * 3) grow();
    ++size_;
    T& added = *item;
    put({hash, item.release()});
    return added;
  }

  // It must be there.
  std::unique_ptr<T> take(std::uint64_t hash, const T& item) {
    std::size_t hole = home_of(hash);
    while (slots_[hole].item != &item) {
      CHECK(slots_[hole].item);
      hole = next(hole);
    }
    std::unique_ptr<T> taken(slots_[hole].item);
    // What stands behind the hole moves into it, unless it would come in front of its home.
    for (std::size_t at = next(hole); slots_[at].item; at = next(at)) {
      const std::size_t from_home = (at - home_of(slots_[at].hash)) & (slots_.size() - 1);
      const std::size_t from_hole = (at - hole) & (slots_.size() - 1);
      if (from_home < from_hole) continue;
      slots_[hole] = slots_[at];
      hole = at;
    }
    slots_[hole] = {};
    --size_;
    return taken;
  }

  template <typename F>
  void each(F&& f) const {
    for (const Slot& slot : slots_) {
      if (slot.item) f(*slot.item);
    }
  }

  void swap(PointerTable& other) noexcept {
    slots_.swap(other.slots_);
    std::swap(size_, other.size_);
    std::swap(shift_, other.shift_);
  }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    T* item = nullptr;  // null: empty
  };
  static constexpr std::size_t kSlotsMin = 8;

  std::size_t home_of(std::uint64_t hash) const { return hash >> shift_; }
  std::size_t next(std::size_t at) const { return (at + 1) & (slots_.size() - 1); }
  void put(const Slot& slot) {
    std::size_t at = home_of(slot.hash);
    while (slots_[at].item) at = next(at);
    slots_[at] = slot;
  }
  void grow() {
    std::vector<Slot, HugePageAllocator<Slot>> old(slots_.empty() ? kSlotsMin : slots_.size() * 2);
    old.swap(slots_);
    shift_ = 64 - std::countr_zero(slots_.size());
    for (const Slot& slot : old) {
      if (slot.item) put(slot);
    }
  }

  std::vector<Slot, HugePageAllocator<Slot>> slots_;  // a power of two, or none
  std::size_t size_ = 0;
  int shift_ = 0;  // the upper bits of a hash are its home
};

}  // namespace pgcache
