// SPDX-License-Identifier: Apache-2.0
// Memory for large tables that are read at random places: where it is large enough it lies in whole
// huge pages, if the system has them to give (madvise), also in programs whose heap does not
// (heap_options.h). A look into such a table then costs no miss of address translation beside that
// of the cache. Small ones come from the heap as usual.
#pragma once

#include <sys/mman.h>
#include <sys/prctl.h>

#include <cstddef>
#include <new>

namespace pgcache {

inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

// Whether this process, and those it forks from now on, get huge pages where they asked for them
// (prctl, PR_SET_THP_DISABLE). Where they were not allowed at first, memory that is touched later
// lies in them, and the system moves what was there by and by. Any thread; a system that cannot
// forbid them leaves them allowed.
inline void allow_huge_pages(bool allowed) {
  (void)prctl(PR_SET_THP_DISABLE, allowed ? 0UL : 1UL, 0UL, 0UL, 0UL);
}

// A standard allocator without state. What it gives is given back with the size that was asked for.
template <typename T>
struct HugePageAllocator {
  using value_type = T;
  HugePageAllocator() = default;
  template <typename U>
  HugePageAllocator(const HugePageAllocator<U>&) {}  // NOLINT: as allocators convert

  static bool is_large(std::size_t bytes) { return bytes >= kHugePageBytes; }

  T* allocate(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    if (!is_large(bytes)) return static_cast<T*>(::operator new(bytes));
    void* const memory = ::operator new(bytes, std::align_val_t(kHugePageBytes));
    // Whether it was possible makes no difference but in time.
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t count) {
    if (!is_large(count * sizeof(T))) return ::operator delete(memory);
    ::operator delete(memory, std::align_val_t(kHugePageBytes));
  }
  friend bool operator==(const HugePageAllocator&, const HugePageAllocator&) { return true; }
};

}  // namespace pgcache
