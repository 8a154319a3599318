// SPDX-License-Identifier: Apache-2.0
// Many threads at once: workers that look up, wait, load and publish; the applier; the control
// thread; an operator. What a hit shows is never older than what was visible and applied before the
// look-up. (Most telling under the thread sanitizer.)
#include <gtest/gtest.h>

#include <array>
#include <condition_variable>
#include <random>
#include <thread>

#include "cache/cache_test_support.h"

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own

constexpr int kKeys = 16;

// A database of counters, one for each id, written by one transaction at a time.
class Database {
 public:
  int read(int id) {
    const std::lock_guard lock(mutex_);
    return values_[static_cast<std::size_t>(id)];
  }
  pg::Snapshot snapshot_now() {
    const std::lock_guard lock(mutex_);
    pg::Snapshot s{{next_xid_}, {next_xid_}, {}};
    if (running_) {
      s.xmin = {next_xid_ - 1};
      s.xip = {{next_xid_ - 1}};
    }
    return s;
  }
  std::uint64_t begin() {
    const std::lock_guard lock(mutex_);
    running_ = true;
    return next_xid_++;
  }
  void become_visible(int id) {
    const std::lock_guard lock(mutex_);
    ++values_[static_cast<std::size_t>(id)];
    running_ = false;
  }

 private:
  std::mutex mutex_;
  std::uint64_t next_xid_ = 1000;
  bool running_ = false;
  std::array<int, kKeys> values_{};
};

struct Wakeup {
  void wake() {
    const std::lock_guard lock(mutex);
    awake = true;
    condition.notify_one();
  }
  void wait() {
    std::unique_lock lock(mutex);
    condition.wait_for(lock, std::chrono::milliseconds(50), [this] { return awake; });
  }
  std::mutex mutex;
  std::condition_variable condition;
  bool awake = false;
};

class ThreadsTest : public ::testing::Test {
 protected:
  static CacheLimits limits() {
    CacheLimits l;
    l.bytes_max = 12 << 10;  // so that eviction takes part
    l.transaction_log_bytes_max = 64 << 10;
    return l;
  }

  // Returns what was read, and whether it was a hit.
  std::pair<int, bool> read(int id) {
    const std::vector<sql::Operand> operands{number(id)};
    const std::string key = "key " + std::to_string(id);
    LookupRequest request = c_.request(key, by_id_, operands);
    const auto wakeup = std::make_shared<Wakeup>();
    request.wake = [wakeup] { wakeup->wake(); };
    LookupOutcome outcome = c_.cache.lookup(request, at_ms(0));
    if (std::holds_alternative<Waiting>(outcome)) {
      wakeup->wait();
      request.may_wait = false;
      outcome = c_.cache.lookup(request, at_ms(0));
    }
    if (const auto* hit = std::get_if<Hit>(&outcome)) return {std::stoi(hit->result->rows), true};
    const int value = database_.read(id);
    if (auto* start = std::get_if<StartLoad>(&outcome)) {
      if (id % 5 != 0 || value % 2 == 0) {
        c_.cache.publish(std::move(start->load), result_of(std::to_string(value)));
      }
    }
    return {value, false};
  }

  void work(unsigned seed) {
    std::mt19937 random(seed);
    while (!stop_.load(std::memory_order_relaxed)) {
      const int id = static_cast<int>(random() % kKeys);
      const int settled = settled_[static_cast<std::size_t>(id)].load(std::memory_order_acquire);
      const auto [value, hit] = read(id);
      if (value < settled) stale_.fetch_add(1);
      (hit ? hits_ : misses_).fetch_add(1, std::memory_order_relaxed);
    }
  }

  void write_and_apply(int transactions) {
    std::mt19937 random(99);
    for (int i = 1; i <= transactions; ++i) {
      const int id = static_cast<int>(random() % kKeys);
      const std::uint64_t xid = database_.begin();
      TransactionBuilder t(static_cast<std::uint32_t>(xid), 6000 + static_cast<std::uint64_t>(i));
      t.update(users_, {std::to_string(id), "a", std::to_string(i), "n"});
      const TransactionPtr transaction = t.build();
      if (random() % 2 == 0) {
        database_.become_visible(id);
        std::this_thread::yield();
        c_.cache.apply(transaction);
      } else {
        c_.cache.apply(transaction);
        std::this_thread::yield();
        database_.become_visible(id);
      }
      settled_[static_cast<std::size_t>(id)].fetch_add(1, std::memory_order_release);
      if (i % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }

  void control() {
    for (int i = 0; !stop_.load(std::memory_order_relaxed); ++i) {
      c_.cache.set_snapshot(database_.snapshot_now());
      c_.cache.on_heartbeat({5000}, at_ms(0));
      if (i % 64 == 0) c_.cache.on_catalog_changed(0, nullptr);
      if (i % 50 == 0) c_.cache.set_tracked(kUsers, {1000 + static_cast<std::uint64_t>(i / 100)});
      if (i % 70 == 0) c_.cache.invalidate_relation(kUsers, InvalidationCause::kDdl);
      if (i % 90 == 0) c_.cache.drop_all(InvalidationCause::kDdl);
      (void)c_.cache.status(at_ms(0));
      (void)c_.cache.wants_snapshot();
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

  ServingCache c_{limits()};
  Database database_;
  ShapePtr by_id_ = make_shape(1, {where_equal(kUsers, "id")}, 1);
  std::shared_ptr<const cdc::StreamRelation> users_ = stream_relation(kUsers);
  std::array<std::atomic<int>, kKeys> settled_{};
  std::atomic<bool> stop_{false};
  std::atomic<int> stale_{0};
  std::atomic<int> hits_{0};
  std::atomic<int> misses_{0};
};

TEST_F(ThreadsTest, AHitIsNeverOlderThanWhatWasVisibleAndApplied) {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) threads.emplace_back([this, i] { work(i); });
  threads.emplace_back([this] { control(); });
  write_and_apply(3000);
  stop_.store(true);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stale_.load(), 0);
  EXPECT_GT(hits_.load(), 100);
  EXPECT_GT(misses_.load(), 100);
  const CacheStatus status = c_.cache.status(at_ms(0));
  EXPECT_EQ(status.loads_in_flight, 0u);
  EXPECT_EQ(status.transactions, 3000u);
  EXPECT_GT(status.publish_outcomes[static_cast<int>(PublishOutcome::kPublished)], 100u);
}

}  // namespace
}  // namespace pgcache::cache
