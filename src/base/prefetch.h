// SPDX-License-Identifier: Apache-2.0
// Asks the processor for memory that will be touched soon. It neither waits nor faults.
#pragma once

#include <cstddef>

namespace pgcache {

// The line that holds the byte.
inline void prefetch_line(const void* byte) {
  __builtin_prefetch(byte, 1);
  // GCC takes a function that does nothing but prefetch for one without effects, and drops calls
  // of it.
  asm volatile("" : : "r"(byte));
}

inline void prefetch_bytes(const void* begin, std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  const char* const at = static_cast<const char*>(begin);
  for (std::size_t i = 0; i < bytes; i += kLine) prefetch_line(at + i);
}

// All of an object, but not what it points to.
template <typename T>
void prefetch_all(const T& object) {
  prefetch_bytes(&object, sizeof object);
}

// Goes through `count` items: each is asked for (`reach`) well before its turn, and what it holds
// (`reach_on`) when it has come. All three take its number; `use` is called in their order.
template <typename Reach, typename ReachOn, typename Use>
void each_reached(std::size_t count, Reach&& reach, ReachOn&& reach_on, Use&& use) {
  constexpr std::size_t kFar = 8;
  constexpr std::size_t kNear = 4;
  for (std::size_t i = 0; i < count + kFar; ++i) {
    if (i < count) reach(i);
    if (i >= kNear && i - kNear < count) reach_on(i - kNear);
    if (i >= kFar) use(i - kFar);
  }
}

}  // namespace pgcache
