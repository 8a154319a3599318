// SPDX-License-Identifier: Apache-2.0
#include "origin/companion.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <new>
#include <thread>

#include "base/log.h"
#include "origin/confirming_stream.h"

namespace pgcache::origin {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr Duration kReliefMax = std::chrono::seconds(5);

// Who confirms. kWatching > kTakenOver: the companion, when pgcache does not run. kTakenOver >
// kRelieved: pgcache. kRelieved > kWatching: the companion, its connection being closed.
constexpr std::uint32_t kWatching = 0;
constexpr std::uint32_t kTakenOver = 1;
constexpr std::uint32_t kRelieved = 2;

std::int64_t now_word() { return Clock::now().time_since_epoch().count(); }

}  // namespace

// The monotonic clock is one for all processes.
struct Companion::Shared {
  std::atomic<std::uint32_t> state{kWatching};
  std::atomic<std::uint32_t> armed{0};
  std::atomic<std::int64_t> alive{now_word()};  // when pgcache last said that it runs
  std::atomic<std::int32_t> walsender{0};
  std::atomic<std::uint64_t> takeovers{0};
  static_assert(std::atomic<std::uint32_t>::is_always_lock_free &&
                std::atomic<std::uint64_t>::is_always_lock_free);
};

std::unique_ptr<Companion> Companion::fork_from(const config::Config& config) {
  void* const memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    log_warning("companion: no shared memory: {}", std::strerror(errno));
    return nullptr;
  }
  auto* const shared = new (memory) Shared;
  auto leave = std::make_unique<Event>();
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    // Of another session, so that what stops a job at a terminal stops pgcache alone.
    setsid();
    for (const int signal : {SIGHUP, SIGINT, SIGTERM}) std::signal(signal, SIG_IGN);
    prctl(PR_SET_NAME, "pgcache-standin");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    watch(config, *shared, *leave);
  }
  if (pid < 0) {
    log_warning("companion: no process: {}", std::strerror(errno));
    munmap(memory, sizeof(Shared));
    return nullptr;
  }
  return std::unique_ptr<Companion>(new Companion(shared, pid, std::move(leave)));
}

Companion::Companion(Shared* shared, int pid, std::unique_ptr<Event> leave)
    : shared_(shared), pid_(pid), leave_(std::move(leave)) {}

Companion::~Companion() {
  end_process();
  munmap(shared_, sizeof(Shared));
}

const std::atomic<std::uint32_t>& Companion::has_taken_over() const { return shared_->state; }

std::uint64_t Companion::takeovers() const {
  return shared_->takeovers.load(std::memory_order_relaxed);
}

void Companion::note_alive(bool armed, int walsender) {
  beat();
  has_ended();
  shared_->walsender.store(walsender, std::memory_order_relaxed);
  shared_->armed.store(armed ? 1 : 0, std::memory_order_release);
}

void Companion::beat() { shared_->alive.store(now_word(), std::memory_order_release); }

// It may take over anew meanwhile, if this process was stopped just now: then once more.
void Companion::relieve() {
  const TimePoint deadline = Clock::now() + kReliefMax;
  while (shared_->state.load() != kWatching) {
    std::uint32_t taken_over = kTakenOver;
    if (shared_->state.compare_exchange_strong(taken_over, kRelieved)) leave_->raise();
    if (has_ended() || Clock::now() > deadline) {
      if (!ended_) log_error("companion: process {} does not leave, and is ended", pid_);
      end_process();
      shared_->state.store(kWatching);
      return;
    }
    beat();
    std::this_thread::sleep_for(milliseconds(5));
  }
}

// Says so the first time.
bool Companion::has_ended() {
  if (ended_) return true;
  if (waitpid(pid_, nullptr, WNOHANG) == 0) return false;
  ended_ = true;
  log_error(
      "companion: process {} has ended. Should this process be stopped, commits at the origin "
      "would wait for it; restart pgcache to have a companion again",
      pid_);
  return true;
}

void Companion::end_process() noexcept {
  if (std::exchange(ended_, true)) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Companion::watch(const config::Config& config, Shared& shared, Event& leave) {
  const Duration timeout = config.strict_ack_timeout;
  const Duration interval = ack_watch_interval(config);
  while (true) {
    const std::uint32_t state = shared.state.load();
    if (state == kTakenOver) {
      leave.clear();
      // Raised behind the change of state: seen there, or else by the connection.
      if (shared.state.load() != kTakenOver) continue;
      try {
        confirm_all(config, shared.walsender.load(std::memory_order_relaxed), leave, [] {});
      } catch (const std::exception& e) {
        log_error("companion: {}", e.what());
      }
      if (shared.state.load() == kTakenOver) leave.wait_for(kConfirmRetry);
    } else if (state == kRelieved) {
      log_info("companion: pgcache is at work again");
      shared.state.store(kWatching);
    } else {
      std::this_thread::sleep_for(interval);
      const std::int64_t alive = shared.alive.load(std::memory_order_acquire);
      const bool armed = shared.armed.load(std::memory_order_acquire) != 0;
      if (!armed || now_word() - alive < timeout.count()) continue;
      shared.state.store(kTakenOver);
      shared.takeovers.fetch_add(1, std::memory_order_relaxed);
      log_warning(
          "companion: pgcache has not run for {} ms (strict_ack_timeout); the cache is out of use, "
          "and commits need not wait for it until it has started anew",
          config.strict_ack_timeout.count());
    }
  }
}

}  // namespace pgcache::origin
