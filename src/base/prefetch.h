// SPDX-License-Identifier: Apache-2.0
// Asks the processor for memory that will be touched soon. It neither waits nor faults.
#pragma once

#include <cstddef>

namespace pgcache {

inline void prefetch_bytes(const void* begin, std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  const char* const at = static_cast<const char*>(begin);
  for (std::size_t i = 0; i < bytes; i += kLine) __builtin_prefetch(at + i, 1);
}

// All of an object, but not what it points to.
template <typename T>
void prefetch_all(const T& object) {
  prefetch_bytes(&object, sizeof object);
}

}  // namespace pgcache
