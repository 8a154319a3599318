// SPDX-License-Identifier: Apache-2.0
// A library to be preloaded: the time of day, as its process sees it, stands off the real one by as
// many seconds as the first word (signed) of the file says that $TEST_CLOCK_SHIFT names. The
// monotonic clock is as ever, as when an administrator or NTP steps the clock of a machine.
//
// It asks the kernel itself: a sanitizer's allocator wants the time while the process is still
// being set up, and from inside of whatever would allocate to find the library's function.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

using Word = std::atomic<std::int64_t>;

// Null while there is none. Threads that come together may map it twice, which does no harm.
const Word* shift_word() {
  static std::atomic<const Word*> word{nullptr};
  if (word.load() != nullptr) return word.load();
  const char* path = std::getenv("TEST_CLOCK_SHIFT");
  if (path == nullptr) return nullptr;
  const long file = ::syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return nullptr;
  const long mapped =
      ::syscall(SYS_mmap, nullptr, sizeof(Word), PROT_READ, MAP_SHARED, static_cast<int>(file), 0L);
  ::syscall(SYS_close, static_cast<int>(file));
  if (mapped != -1) word.store(reinterpret_cast<const Word*>(mapped));
  return word.load();
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const long result = ::syscall(SYS_clock_gettime, clock, now);
  const bool of_day = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (result == 0 && of_day) {
    const Word* shift = shift_word();
    if (shift != nullptr) now->tv_sec += shift->load();
  }
  return static_cast<int>(result);
}

int gettimeofday(timeval* now, void* /*zone*/) noexcept {
  timespec precise{};
  const int result = clock_gettime(CLOCK_REALTIME, &precise);
  *now = {precise.tv_sec, precise.tv_nsec / 1000};
  return result;
}

time_t time(time_t* also) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (also != nullptr) *also = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
