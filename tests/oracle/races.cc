// SPDX-License-Identifier: Apache-2.0
#include "oracle/races.h"

#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>

#include "oracle/answer.h"
#include "oracle/random.h"

namespace pgcache::oracle {
namespace {

constexpr int kKeysInBatch = 40;
constexpr int kReaders = 2;
constexpr int kKeys = 20000;
constexpr int kStop = -1;
constexpr int kJitterUs = 2500;

std::string by_key(int key) { return "SELECT n FROM public.hot WHERE id = " + std::to_string(key); }
std::string by_group(int key) {
  return "SELECT count(*), sum(n) FROM public.hot WHERE grp = " + std::to_string(key);
}

// The statement that changes key (whose group is the key too), of one of several kinds.
std::string change_of(int key, Random& random) {
  const std::string id = std::to_string(key);
  switch (random.below(4)) {
    case 0:
      return "UPDATE public.hot SET n = n + 1 WHERE id = " + id;
    case 1:
      return "DELETE FROM public.hot WHERE id = " + id;
    case 2:
      return "INSERT INTO public.hot VALUES (-" + id + ", " + id + ", 5)";
    default:
      return "BEGIN; UPDATE public.hot SET n = 7 WHERE id = " + id +
             "; UPDATE public.hot SET n = n + 1 WHERE grp = " + id + "; COMMIT";
  }
}

// One thread that does its part of the race for each key as the starter says.
class Racer {
 public:
  template <typename Work>
  Racer(std::atomic<int>& key, std::uint64_t seed, Work work) {
    thread_ = std::thread([this, &key, seed, work]() mutable {
      Random random(seed);
      int last = 0;
      while (true) {
        const int now = key.load(std::memory_order_acquire);
        if (now == kStop) return;
        if (now == last) {
          std::this_thread::yield();
          continue;
        }
        last = now;
        std::this_thread::sleep_for(std::chrono::microseconds(random.below(kJitterUs)));
        work(now, random);
        done_.store(now, std::memory_order_release);
      }
    });
  }
  ~Racer() { thread_.join(); }
  bool done(int key) const { return done_.load(std::memory_order_acquire) == key; }

 private:
  std::atomic<int> done_{0};
  std::thread thread_;
};

void check_batch(const std::string& proxy_dsn, const std::string& origin_dsn, int first, int last,
                 Counts& counts) {
  Client proxy("pgcache", proxy_dsn);
  Client origin("origin", origin_dsn);
  for (int key = first; key <= last; ++key) {
    for (const std::string& sql : {by_key(key), by_group(key)}) {
      const Answer one = proxy.run(sql);
      const Answer other = origin.run(sql);
      const std::string what = difference(one, other, false);
      ++counts.concurrent_reads;
      if (!what.empty()) {
        throw WrongAnswer("after a load that raced with a change: " + what + "\n" + sql +
                          "\npgcache:\n" + one.text() + "origin:\n" + other.text());
      }
    }
  }
}

class Races {
 public:
  Races(Stage& stage, std::uint64_t seed, Counts& counts)
      : stage_(stage),
        counts_(counts),
        process_(stage.start({"--slot", "races", "--publication", "races"},
                             {"PGCACHE_FAULT_LOAD_DELAY_MS=3"})),
        writer_("origin writer", stage.origin_dsn()) {
    make_table();
    racers_.push_back(std::make_unique<Racer>(key_, mix(seed, 1), [this](int key, Random& random) {
      writer_.run(change_of(key, random));
    }));
    for (int i = 0; i < kReaders; ++i) {
      Client& client =
          *clients_.emplace_back(std::make_unique<Client>("pgcache racer", process_->dsn()));
      racers_.push_back(std::make_unique<Racer>(
          key_, mix(seed, 2 + static_cast<std::uint64_t>(i)),
          [&client, i](int key, Random&) { client.run(i == 0 ? by_key(key) : by_group(key)); }));
    }
  }
  ~Races() { key_ = kStop; }
  Races(const Races&) = delete;
  Races& operator=(const Races&) = delete;

  void run(Clock::time_point deadline) {
    int first = 3;
    for (int next = first; next < kKeys && Clock::now() < deadline; ++next) {
      key_.store(next, std::memory_order_release);
      for (const auto& racer : racers_) {
        while (!racer->done(next)) std::this_thread::yield();
      }
      ++counts_.concurrent_writes;
      if (next - first + 1 < kKeysInBatch) continue;
      stage_.settle(*process_);
      check_batch(process_->dsn(), stage_.origin_dsn(), first, next, counts_);
      first = next + 1;
    }
    std::printf("races: %s; publishing refused %.0f times\n", process_->routes().text().c_str(),
                process_->metric("pgcache_publish_total", {{"outcome", "affected"}}));
  }

 private:
  void make_table() {
    testing::Connection& admin = stage_.admin();
    admin.must("DROP TABLE IF EXISTS public.hot");
    admin.must("CREATE TABLE public.hot (id int PRIMARY KEY, grp int, n int)");
    admin.must("CREATE INDEX ON public.hot (grp)");
    admin.must("INSERT INTO public.hot SELECT i, i, 0 FROM generate_series(1, " +
               std::to_string(kKeys) + ") i");
    stage_.wait_for_catalog();
    check_batch(process_->dsn(), stage_.origin_dsn(), 1, 2, counts_);  // tracked from here on
  }

  Stage& stage_;
  Counts& counts_;
  std::unique_ptr<testing::PgcacheProcess> process_;
  Client writer_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::atomic<int> key_{0};
  std::vector<std::unique_ptr<Racer>> racers_;  // joined first
};

}  // namespace

void run_races(Stage& stage, std::uint64_t seed, Clock::time_point deadline, Counts& counts) {
  Races(stage, mix(seed, 77), counts).run(deadline);
}

}  // namespace pgcache::oracle
