// SPDX-License-Identifier: Apache-2.0
// A library to be preloaded: the time of day, as its process sees it, stands off the real one by as
// many seconds as the first word (signed) of the file says that $TEST_CLOCK_SHIFT names. The
// monotonic clock is as ever, as when an administrator or NTP steps the clock of a machine.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

std::int64_t shift_seconds() {
  using Word = std::atomic<std::int64_t>;
  static const Word* const word = []() -> const Word* {
    const char* path = std::getenv("TEST_CLOCK_SHIFT");
    const int file = path != nullptr ? ::open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return nullptr;
    void* mapped = ::mmap(nullptr, sizeof(Word), PROT_READ, MAP_SHARED, file, 0);
    return mapped == MAP_FAILED ? nullptr : static_cast<const Word*>(mapped);
  }();
  return word != nullptr ? word->load() : 0;
}

template <typename F>
F* real(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  static const auto next = real<int(clockid_t, timespec*)>("clock_gettime");
  const int result = next(clock, now);
  const bool of_day = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (result == 0 && of_day) now->tv_sec += shift_seconds();
  return result;
}

int gettimeofday(timeval* now, void* zone) noexcept {
  static const auto next = real<int(timeval*, void*)>("gettimeofday");
  const int result = next(now, zone);
  if (result == 0) now->tv_sec += shift_seconds();
  return result;
}

time_t time(time_t* also) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (also != nullptr) *also = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
