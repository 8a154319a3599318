// SPDX-License-Identifier: Apache-2.0
// What one hit costs, and what applying one single-row UPDATE costs with a thousand and with a
// million entries in the store: it must follow the shapes on the relation, not the entries.
#include <benchmark/benchmark.h>

#include <deque>

#include "base/check.h"
#include "cache/cache_test_support.h"

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own

constexpr int kShapes = 200;

struct FilledCache {
  explicit FilledCache(int entries) : c(limits()) {
    for (int i = 0; i < kShapes; ++i) {
      shapes.push_back(
          make_shape(static_cast<std::uint64_t>(i + 1), {where_equal(kUsers, "id")}, 1));
    }
    for (int i = 0; i < entries; ++i) fill(i);
    CHECK(c.cache.status(at_ms(0)).entries == static_cast<std::uint64_t>(entries));
  }
  static CacheLimits limits() {
    CacheLimits l;
    l.bytes_max = 8ull << 30;
    return l;
  }
  std::string key(int i) const {
    return "SELECT * FROM users WHERE id = $1 / " + std::to_string(i);
  }
  void fill(int i) {
    const ShapePtr& shape = shapes[static_cast<std::size_t>(i % kShapes)];
    CHECK(c.fill(key(i), shape, {number(i / kShapes)}) == PublishOutcome::kPublished);
  }

  ServingCache c;
  std::vector<ShapePtr> shapes;
};

FilledCache& filled(int entries) {
  static std::deque<std::pair<int, std::unique_ptr<FilledCache>>> caches;
  for (auto& [size, cache] : caches) {
    if (size == entries) return *cache;
  }
  caches.emplace_back(entries, std::make_unique<FilledCache>(entries));
  return *caches.back().second;
}

// The row is in no entry: every shape is asked, none hit.
void apply_update_that_misses(benchmark::State& state) {
  FilledCache& f = filled(static_cast<int>(state.range(0)));
  const auto users = stream_relation(kUsers);
  std::uint64_t n = 1000;
  for (auto _ : state) {
    ++n;
    TransactionBuilder t(static_cast<std::uint32_t>(n), 5000 + n);
    f.c.cache.apply(t.update(users, {"9999999", "a", "1", "n"}).build());
    f.c.cache.set_snapshot(snapshot(n + 1, n + 1));
  }
}
BENCHMARK(apply_update_that_misses)->Arg(1'000)->Arg(1'000'000);

// The row is in one entry of each shape; they are loaded again with the clock stopped.
void apply_update_that_hits_every_shape(benchmark::State& state) {
  const int entries = static_cast<int>(state.range(0));
  FilledCache& f = filled(entries);
  const auto users = stream_relation(kUsers);
  std::uint64_t n = 10'000'000;
  int id = 0;
  for (auto _ : state) {
    ++n;
    TransactionBuilder t(static_cast<std::uint32_t>(n), 5000 + n);
    t.update(users, {std::to_string(id), "a", "1", "n"});
    f.c.cache.apply(t.build());
    state.PauseTiming();
    f.c.cache.set_snapshot(snapshot(n + 1, n + 1));
    for (int i = 0; i < kShapes; ++i) f.fill(id * kShapes + i);
    id = (id + 7919) % (entries / kShapes);
    state.ResumeTiming();
  }
}
BENCHMARK(apply_update_that_hits_every_shape)->Arg(1'000)->Arg(1'000'000)->Iterations(300);

void hit(benchmark::State& state) {
  const int entries = static_cast<int>(state.range(0));
  FilledCache& f = filled(entries);
  std::vector<std::string> keys;
  for (int i = 0; i < 1024; ++i) keys.push_back(f.key(i * 7919 % entries));
  LookupRequest request;
  request.shape = f.shapes[0];
  request.hit_only = true;
  std::size_t i = 0;
  for (auto _ : state) {
    request.key = keys[i++ % keys.size()];
    const LookupOutcome outcome = f.c.cache.lookup(request, at_ms(0));
    CHECK(std::holds_alternative<Hit>(outcome));
  }
}
BENCHMARK(hit)->Arg(1'000)->Arg(1'000'000);

void load_and_publish(benchmark::State& state) {
  FilledCache& f = filled(1'000);
  int i = 0;
  f.c.cache.drop_all(InvalidationCause::kDdl);
  for (auto _ : state) f.fill(i++ % 1'000'000);
}
BENCHMARK(load_and_publish);

}  // namespace
}  // namespace pgcache::cache
