// SPDX-License-Identifier: Apache-2.0
// operator new of test builds: as always, but for the allocations that a test wants to fail.
#include "base/cache_path.h"

#ifdef PGCACHE_ALLOCATION_FAULTS

#include <fcntl.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace pgcache {
namespace {

using Word = std::atomic<std::uint64_t>;
static_assert(sizeof(Word) == sizeof(std::uint64_t) && Word::is_always_lock_free);

// Plain numbers: they are used before anything could be constructed.
thread_local std::uint64_t cache_paths = 0;
thread_local std::uint64_t countdown = 0;
thread_local bool failed = false;
thread_local std::uint64_t dice = 0;

std::atomic<Word*> control{nullptr};
thread_local bool is_main = false;

// Before main(), on its thread.
[[maybe_unused]] const bool mapped = [] {
  is_main = true;
  const char* path = std::getenv("PGCACHE_FAULT_ALLOCATIONS");
  const int file = path != nullptr ? ::open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return false;
  void* words = ::mmap(nullptr, faults::kControlWords * sizeof(Word), PROT_READ | PROT_WRITE,
                       MAP_SHARED, file, 0);
  if (words != MAP_FAILED) control.store(static_cast<Word*>(words));
  return words != MAP_FAILED;
}();

bool falls_on(std::uint64_t one_of) {
  if (one_of == 0) return false;
  if (dice == 0) dice = reinterpret_cast<std::uintptr_t>(&dice) | 1;
  // Marsaglia's xorshift64.
  dice ^= dice << 13;
  dice ^= dice >> 7;
  dice ^= dice << 17;
  return dice % one_of == 0;
}

bool is_to_fail() {
  if (countdown > 0 && --countdown == 0) return failed = true;
  Word* const words = control.load(std::memory_order_relaxed);
  if (words == nullptr) return false;
  const bool counts = cache_paths > 0 || !is_main;
  const std::uint64_t one_of =
      counts ? words[cache_paths > 0 ? 0 : 1].load(std::memory_order_relaxed) : 0;
  if (!falls_on(one_of)) return false;
  words[2].fetch_add(1, std::memory_order_relaxed);
  return true;
}

}  // namespace

CachePath::CachePath() noexcept { ++cache_paths; }
CachePath::~CachePath() { --cache_paths; }

namespace faults {

void fail_allocation(std::uint64_t number) noexcept {
  countdown = number;
  failed = false;
}

bool allocation_failed() noexcept { return failed; }

}  // namespace faults
}  // namespace pgcache

void* operator new(std::size_t bytes) {
  void* const memory = pgcache::is_to_fail() ? nullptr : std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return pgcache::is_to_fail() ? nullptr : std::malloc(bytes == 0 ? 1 : bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t& no) noexcept {
  return operator new(bytes, no);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

#endif  // PGCACHE_ALLOCATION_FAULTS
