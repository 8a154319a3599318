// SPDX-License-Identifier: Apache-2.0
// Where the cache's code runs on behalf of a session or of the stream, for tests that let memory
// run out there, and only there: a CachePath stands for that as long as it lives, on its thread.
// Nothing at all in release builds.
//
// Test builds replace operator new (allocation_faults.cc). $PGCACHE_FAULT_ALLOCATIONS names a file
// of kControlWords 64-bit words in the machine's order, made by the test, which both sides map:
//
//   0  one of so many allocations in a CachePath fails, by chance; 0: none
//   1  the same for all others on threads other than the main one
//   2  how many have failed, counted here
//
// Within a program, fail_allocation() lets one certain allocation fail. The thread sanitizer has an
// operator new that cannot be replaced: with it there is none of this.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pgcache {

#ifdef PGCACHE_FAULTS
#ifdef __has_feature
#if !__has_feature(thread_sanitizer)
#define PGCACHE_ALLOCATION_FAULTS
#endif
#elif !defined(__SANITIZE_THREAD__)
#define PGCACHE_ALLOCATION_FAULTS
#endif
#endif

#ifdef PGCACHE_ALLOCATION_FAULTS

class CachePath {
 public:
  CachePath() noexcept;
  ~CachePath();
  CachePath(const CachePath&) = delete;
  CachePath& operator=(const CachePath&) = delete;
};

namespace faults {
inline constexpr std::size_t kControlWords = 3;
// The `number`th allocation from now on this thread fails (1: the next); 0: none.
void fail_allocation(std::uint64_t number) noexcept;
// Whether it has been reached since.
bool allocation_failed() noexcept;
}  // namespace faults

#else

class CachePath {
 public:
  CachePath() noexcept {}  // not trivial: no warning that it is unused
};

#endif

}  // namespace pgcache
