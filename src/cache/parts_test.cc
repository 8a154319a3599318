// SPDX-License-Identifier: Apache-2.0
// The store, the interval tree, the transaction log, freshness, tracking and snapshots, each alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "cache/cache_test_support.h"
#include "cache/interval_tree.h"

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::unique_ptr<Entry> make_entry(std::string key, std::uint64_t bytes = 10,
                                  bool described = true) {
  auto entry = std::make_unique<Entry>();
  entry->hash = hashed(key).hash;
  entry->key = std::move(key);
  CachedResult r = result_of("rows");
  if (!described) r.row_description.clear();
  entry->result = std::make_shared<const CachedResult>(std::move(r));
  entry->bytes = bytes;
  return entry;
}

TEST(StoreTest, FindsWhatWasInsertedAndForgetsWhatWasTaken) {
  Store store;
  Entry& a = store.insert(make_entry("a"));
  store.insert(make_entry("b", 20, false));
  EXPECT_EQ(store.size(), 2u);
  EXPECT_EQ(store.bytes(), 30u);
  ASSERT_TRUE(store.find(hashed("a"), {true, false}));
  EXPECT_TRUE(store.find(hashed("b"), {}));
  EXPECT_FALSE(store.find(hashed("b"), {true, false})) << "it has no row description";
  EXPECT_FALSE(store.find(hashed("c"), {}));
  const CachedResultPtr held = store.find(hashed("a"), {});
  store.take(a);
  EXPECT_FALSE(store.find(hashed("a"), {}));
  EXPECT_EQ(held->rows, "rows") << "a hit outlives the entry";
  EXPECT_EQ(store.bytes(), 20u);
}

TEST(StoreTest, ComparesWholeKeysWhenHashesCollide) {
  Store store;
  auto a = make_entry("a");
  a->hash = 7;
  store.insert(std::move(a));
  EXPECT_FALSE(store.find({"b", 7}, {}));
  auto b = make_entry("b");
  b->hash = 7;
  store.insert(std::move(b));
  EXPECT_EQ(store.peek({"b", 7})->key, "b");
  EXPECT_EQ(store.peek({"a", 7})->key, "a");
}

TEST(StoreTest, EvictsTheOldestThatNobodyVisited) {
  Store store;
  for (const char* key : {"a", "b", "c", "d"}) store.insert(make_entry(key));
  store.find(hashed("a"), {});
  store.find(hashed("c"), {});
  std::string order;
  while (Entry* victim = store.victim()) {
    order += victim->key;
    store.take(*victim);
  }
  EXPECT_EQ(order, "bdac") << "visited ones are spared once";
  EXPECT_EQ(store.size(), 0u);
  EXPECT_EQ(store.bytes(), 0u);
}

TEST(StoreTest, ClearLeavesNothing) {
  Store store;
  for (int i = 0; i < 1000; ++i) store.insert(make_entry("k" + std::to_string(i)));
  const Store::Remains remains = store.clear();
  std::size_t count = 0;
  for (const auto& map : remains) count += map.size();
  EXPECT_EQ(count, 1000u);
  EXPECT_EQ(store.victim(), nullptr);
  EXPECT_FALSE(store.find(hashed("k7"), {}));
  store.insert(make_entry("k7"));
  EXPECT_TRUE(store.find(hashed("k7"), {}));
}

TEST(IntervalTreeTest, FindsWhatABruteForceSearchFinds) {
  std::mt19937 random(1);
  IntervalTree tree;
  std::map<std::pair<int, int>, Bucket*> model;  // INT_MIN and INT_MAX: unbounded
  const auto interval = [](std::pair<int, int> p) {
    Interval i;
    if (p.first != INT_MIN) i.lower = pg::Value::integer(p.first);
    if (p.second != INT_MAX) i.upper = pg::Value::integer(p.second);
    return i;
  };
  for (int step = 0; step < 4000; ++step) {
    const int low = static_cast<int>(random() % 40);
    std::pair<int, int> p{low, low + static_cast<int>(random() % 12) - 1};
    if (random() % 8 == 0) p.first = INT_MIN;
    if (random() % 8 == 0) p.second = INT_MAX;
    const auto it = model.find(p);
    if (it != model.end() && random() % 2 == 0) {
      tree.erase(interval(p));
      model.erase(it);
    } else {
      Bucket& bucket = tree.at(interval(p));
      if (it != model.end()) {
        EXPECT_EQ(it->second, &bucket) << "buckets do not move";
      }
      model[p] = &bucket;
    }
    const int probe = static_cast<int>(random() % 54) - 2;
    std::vector<const Bucket*> expected, found;
    for (const auto& [key, bucket] : model) {
      if (key.first <= probe && probe <= key.second) expected.push_back(bucket);
    }
    tree.each_containing(pg::Value::integer(probe), [&](Bucket& b) { found.push_back(&b); });
    ASSERT_THAT(found, ::testing::UnorderedElementsAreArray(expected));
    std::size_t all = 0;
    tree.each([&](Bucket&) { ++all; });
    ASSERT_EQ(all, model.size());
  }
}

TEST(IntervalTreeTest, AnApproachLeadsToTheBucketStepByStep) {
  IntervalTree tree;
  IntervalTree::Approach nowhere = tree.approach(pg::Value::integer(1));
  EXPECT_FALSE(nowhere.go_on());
  EXPECT_EQ(nowhere.bucket(), nullptr);
  // Every other number is in none.
  std::map<int, Bucket*> buckets;
  for (int i = 0; i < 10'000; i += 2) {
    buckets[i] = &tree.at({pg::Value::integer(i), pg::Value::integer(i)});
  }
  for (int i = 0; i < 10'000; ++i) {
    IntervalTree::Approach approach = tree.approach(pg::Value::integer(i));
    int steps = 1;
    while (approach.go_on()) {
      EXPECT_EQ(approach.bucket(), nullptr) << "not there yet";
      ASSERT_LT(++steps, 10);
    }
    ASSERT_EQ(approach.bucket(), i % 2 == 0 ? buckets[i] : nullptr) << i;
  }
}

// Some levels of nodes, grown and emptied again; the bounds differ in their first eight bytes, or
// only behind them.
TEST(IntervalTreeTest, FindsInAnyNumberOfIntervals) {
  std::mt19937 random(2);
  for (const std::string& beginning : {std::string(), std::string("the same for all")}) {
    const auto value = [&](int i) {
      std::string digits = std::to_string(100'000 + i);
      return pg::Value::text(beginning + digits);
    };
    const auto interval = [&](std::pair<int, int> p) {
      return Interval{value(p.first),
                      p.second == INT_MAX ? std::nullopt : std::optional(value(p.second))};
    };
    IntervalTree tree;
    std::map<std::pair<int, int>, Bucket*> model;
    const auto check = [&] {
      for (int i = 0; i < 20; ++i) {
        const int probe = static_cast<int>(random() % 20'000);
        std::vector<const Bucket*> expected, found;
        for (const auto& [key, bucket] : model) {
          if (key.first <= probe && probe <= key.second) expected.push_back(bucket);
        }
        tree.each_containing(value(probe), [&](Bucket& b) { found.push_back(&b); });
        ASSERT_THAT(found, ::testing::UnorderedElementsAreArray(expected));
      }
    };
    for (int i = 0; i < 6'000; ++i) {
      // Half of them in ascending order; most of them short.
      const int low = i % 2 == 0 ? 3 * i : static_cast<int>(random() % 20'000);
      std::pair<int, int> p{low, low + static_cast<int>(random() % 8)};
      if (random() % 100 == 0) p.second = low + static_cast<int>(random() % 5'000);
      if (random() % 500 == 0) p.second = INT_MAX;
      Bucket& bucket = tree.at(interval(p));
      const auto [it, is_new] = model.emplace(p, &bucket);
      ASSERT_EQ(it->second, &bucket) << "buckets do not move";
      if (i % 1'000 == 0) check();
    }
    check();
    std::vector<std::pair<int, int>> keys;
    for (const auto& [key, bucket] : model) keys.push_back(key);
    std::shuffle(keys.begin(), keys.end(), random);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      ASSERT_EQ(&tree.at(interval(keys[i])), model.at(keys[i]));
      tree.erase(interval(keys[i]));
      model.erase(keys[i]);
      if (i % 1'000 == 0 || keys.size() - i < 20) check();
    }
    EXPECT_TRUE(tree.empty());
  }
}

// A value that is the beginning of another is less, whatever follows, zero bytes too.
TEST(IntervalTreeTest, TellsBoundsApartThatBeginAlike) {
  IntervalTree tree;
  const std::string ends[] = {"a", std::string("a\0", 2), std::string("a\0\0", 3), "ab"};
  std::vector<Bucket*> buckets;
  for (const std::string& end : ends) {
    buckets.push_back(&tree.at({pg::Value::text("a"), pg::Value::text(end)}));
  }
  for (std::size_t i = 0; i < std::size(ends); ++i) {
    std::vector<Bucket*> found;
    tree.each_containing(pg::Value::text(ends[i]), [&](Bucket& b) { found.push_back(&b); });
    EXPECT_THAT(found, ::testing::UnorderedElementsAreArray(buckets.begin() + i, buckets.end()));
  }
  for (std::size_t i = 0; i < std::size(ends); ++i) {
    tree.erase({pg::Value::text("a"), pg::Value::text(ends[i])});
  }
  EXPECT_TRUE(tree.empty());
}

LoggedTransaction logged(std::uint64_t xid, std::uint64_t bytes = 100) {
  const auto form = stream_relation(kUsers);
  LoggedTransaction t = log_entry(TransactionBuilder(static_cast<std::uint32_t>(xid), xid)
                                      .insert(form, {"1", "a", "2", "n"})
                                      .build(),
                                  {xid});
  t.bytes = bytes;
  return t;
}

std::vector<std::uint64_t> xids(const TransactionLog& log) {
  std::vector<std::uint64_t> result;
  for (const auto& t : log.transactions()) result.push_back(t.xid.value);
  return result;
}

TEST(TransactionLogTest, KeepsWhatTheOldestSnapshotDoesNotSee) {
  TransactionLog log(1000);
  for (const std::uint64_t xid : {10, 12, 11}) log.append(logged(xid));
  log.trim(snapshot(10, 10));
  EXPECT_THAT(xids(log), ElementsAre(10, 12, 11));
  log.trim(snapshot(11, 13, {11}));
  EXPECT_THAT(xids(log), ElementsAre(11)) << "12 is seen, 11 is in progress";
  EXPECT_TRUE(log.covers(snapshot(1, 1)));
  log.trim(snapshot(13, 13));
  EXPECT_THAT(xids(log), IsEmpty());
  EXPECT_EQ(log.bytes(), 0u);
}

TEST(TransactionLogTest, ForgettingByForceIsRemembered) {
  TransactionLog log(250);
  for (const std::uint64_t xid : {10, 11, 12}) log.append(logged(xid));
  EXPECT_THAT(xids(log), ElementsAre(11, 12));
  EXPECT_FALSE(log.covers(snapshot(10, 20, {10})));
  EXPECT_TRUE(log.covers(snapshot(11, 20, {11}))) << "it sees 10, and 11 is still here";
  log.trim(snapshot(11, 11));
  EXPECT_TRUE(log.covers(snapshot(11, 11)));
}

TEST(TransactionLogTest, ManyForgottenOnesBecomeAFloor) {
  TransactionLog log(0);
  for (std::uint64_t xid = 100; xid < 6000; ++xid) log.append(logged(xid));
  EXPECT_THAT(xids(log), IsEmpty());
  EXPECT_FALSE(log.covers(snapshot(100, 7000, {100})));
  EXPECT_FALSE(log.covers(snapshot(5999, 7000, {5999})));
  EXPECT_TRUE(log.covers(snapshot(6000, 7000)));
  log.trim(snapshot(6000, 7000));
  EXPECT_TRUE(log.covers(snapshot(6000, 7000, {6001})));
}

TEST(TransactionLogTest, OneThatIsNotSeenDoesNotHoldUpTheRestForEver) {
  TransactionLog log(1 << 20);
  log.append(logged(10));
  for (std::uint64_t xid = 11; xid < 500; ++xid) {
    log.append(logged(xid));
    log.trim(snapshot(10, xid + 1, {10}));
  }
  EXPECT_LT(log.transactions().size(), 130u);
  EXPECT_EQ(log.transactions().front().xid.value, 10u);
}

TEST(FreshnessTest, ServesOnlyWhenStartedConnectedAndProven) {
  using R = sql::BypassReason;
  Freshness f({.max_staleness = std::chrono::milliseconds(100)});
  EXPECT_EQ(f.unavailable(at_ms(0)), R::kStarting);
  f.on_cold_start({50});
  EXPECT_EQ(f.unavailable(at_ms(0)), R::kStarting);
  f.on_connected();
  EXPECT_TRUE(f.wants_proof());
  f.on_snapshot();
  EXPECT_EQ(f.unavailable(at_ms(0)), R::kStale);
  EXPECT_TRUE(f.wants_proof());
  f.on_heartbeat({60}, at_ms(10));
  EXPECT_EQ(f.unavailable(at_ms(10)), R::kStale) << "60 is not applied yet";
  f.on_position({60});
  EXPECT_EQ(f.unavailable(at_ms(10)), std::nullopt);
  EXPECT_EQ(f.unavailable(at_ms(110)), std::nullopt);
  EXPECT_EQ(f.unavailable(at_ms(111)), R::kStale);
  EXPECT_EQ(f.applied().value, 60u);
  f.on_position({55});
  EXPECT_EQ(f.applied().value, 60u) << "positions only rise";
}

TEST(FreshnessTest, AReconnectNeedsAProofOfItsOwn) {
  using R = sql::BypassReason;
  Freshness f({.max_staleness = std::chrono::milliseconds(100)});
  f.on_cold_start({50});
  f.on_connected();
  f.on_snapshot();
  f.on_heartbeat({50}, at_ms(0));
  f.on_heartbeat({70}, at_ms(1));  // not applied when the stream breaks
  EXPECT_EQ(f.unavailable(at_ms(2)), std::nullopt);
  f.on_disconnected();
  EXPECT_EQ(f.unavailable(at_ms(2)), R::kStreamDown);
  f.on_heartbeat({50}, at_ms(3));
  EXPECT_EQ(f.unavailable(at_ms(4)), R::kStreamDown);
  f.on_connected();
  EXPECT_EQ(f.unavailable(at_ms(4)), R::kStale) << "what was told before does not count";
  f.on_position({80});
  EXPECT_EQ(f.unavailable(at_ms(4)), R::kStale);
  f.on_heartbeat({80}, at_ms(5));
  EXPECT_EQ(f.unavailable(at_ms(6)), std::nullopt);
}

TEST(FreshnessTest, ALaggingStreamStillProvesSomething) {
  Freshness f({.max_staleness = std::chrono::seconds(1)});
  f.on_cold_start({0});
  f.on_connected();
  f.on_snapshot();
  // Position i is told at millisecond i and applied 800 ms later.
  for (int i = 1; i <= 5000; ++i) {
    f.on_heartbeat({static_cast<std::uint64_t>(i)}, at_ms(i));
    if (i > 800) f.on_position({static_cast<std::uint64_t>(i - 800)});
    if (i <= 801) continue;
    ASSERT_EQ(f.unavailable(at_ms(i)), std::nullopt) << i;
    ASSERT_GE(f.age_seconds(at_ms(i)), 0.8);
    ASSERT_LT(f.age_seconds(at_ms(i)), 0.84);
  }
}

SnapshotPtr shared(pg::Snapshot s) { return std::make_shared<const pg::Snapshot>(std::move(s)); }

TEST(TrackingTest, JudgesByTheWorstOfTheRelations) {
  using V = Tracking::Verdict;
  Tracking t;
  EXPECT_EQ(t.judge({}, snapshot(5, 5)).verdict, V::kReady);
  EXPECT_EQ(t.judge({kUsers}, snapshot(5, 5)).verdict, V::kSoon);
  EXPECT_THAT(t.start_asking({kUsers, kOrders}), UnorderedElementsAre(kUsers, kOrders));
  EXPECT_THAT(t.start_asking({kUsers}), IsEmpty()) << "asked once";
  t.set_tracked(kUsers, {10});
  EXPECT_TRUE(t.wants_snapshot());
  EXPECT_EQ(t.judge({kUsers}, snapshot(9, 20, {9})).verdict, V::kSoon);
  EXPECT_EQ(t.judge({kUsers}, snapshot(10, 20)).verdict, V::kReady);
  t.on_snapshot(shared(snapshot(9, 20, {9})));
  EXPECT_FALSE(t.wants_snapshot());
  EXPECT_EQ(t.judge({kUsers}, snapshot(9, 20, {9})).verdict, V::kNotYet)
      << "a long transaction holds snapshots back: not worth waiting for";
  EXPECT_EQ(t.judge({kUsers, kOrders}, snapshot(10, 20)).verdict, V::kSoon);
  t.set_untrackable(kOrders, sql::BypassReason::kNoReplicaIdentity);
  const auto judgement = t.judge({kUsers, kOrders}, snapshot(10, 20));
  EXPECT_EQ(judgement.verdict, V::kUntrackable);
  EXPECT_EQ(judgement.reason, sql::BypassReason::kNoReplicaIdentity);
  t.forget_untrackable();
  EXPECT_EQ(t.judge({kUsers, kOrders}, snapshot(10, 20)).verdict, V::kSoon);
  EXPECT_THAT(t.start_asking({kUsers, kOrders}), ElementsAre(kOrders));
}

TEST(TrackingTest, TellsWhenAFenceMoved) {
  Tracking t;
  EXPECT_FALSE(t.set_tracked(kUsers, {10}));
  EXPECT_FALSE(t.set_tracked(kUsers, {10}));
  EXPECT_TRUE(t.set_tracked(kUsers, {11}));
  EXPECT_TRUE(t.set_untrackable(kUsers, sql::BypassReason::kUntracked));
  EXPECT_FALSE(t.set_tracked(kUsers, {12}));
}

TEST(TrackingTest, AGateIsTheFirstSnapshotBehindTheFence) {
  Tracking t;
  t.set_tracked(kUsers, {10});
  EXPECT_EQ(t.gate_of(kUsers), nullptr);
  EXPECT_EQ(t.gate_of(kOrders), nullptr);
  t.on_snapshot(shared(snapshot(9, 20, {9})));
  EXPECT_EQ(t.gate_of(kUsers), nullptr) << "9 may have changed rows unseen";
  const SnapshotPtr first = shared(snapshot(12, 20));
  t.on_snapshot(first);
  EXPECT_EQ(t.gate_of(kUsers), first);
  t.on_snapshot(shared(snapshot(14, 22)));
  EXPECT_EQ(t.gate_of(kUsers), first) << "it stays";
  t.set_tracked(kUsers, {10});
  EXPECT_EQ(t.gate_of(kUsers), first) << "the same fence: nothing happened";
  t.close_gates();
  EXPECT_EQ(t.gate_of(kUsers), nullptr);
  const SnapshotPtr next = shared(snapshot(15, 22));
  t.on_snapshot(next);
  EXPECT_EQ(t.gate_of(kUsers), next);
  t.set_tracked(kUsers, {30});
  EXPECT_EQ(t.gate_of(kUsers), nullptr);
  t.on_snapshot(shared(snapshot(30, 31)));
  EXPECT_NE(t.gate_of(kUsers), nullptr);
  t.set_untrackable(kUsers, sql::BypassReason::kUntracked);
  EXPECT_EQ(t.gate_of(kUsers), nullptr);
}

TEST(SnapshotBookTest, OnlyAdvancesAndKeepsWhatLoadsCarry) {
  SnapshotBook book;
  EXPECT_FALSE(book.advance(snapshot(5, 5))) << "the stream has not begun";
  book.reset(snapshot(10, 12, {10}));
  EXPECT_FALSE(book.advance(snapshot(10, 11, {10}))) << "it does not see 11, the exported one does";
  EXPECT_EQ(book.current(), nullptr);
  ASSERT_TRUE(book.advance(snapshot(10, 12, {10})));
  const SnapshotLease first = book.lease();
  ASSERT_TRUE(book.advance(snapshot(12, 14)));
  ASSERT_TRUE(book.advance(snapshot(14, 15)));
  EXPECT_FALSE(book.advance(snapshot(12, 14))) << "older";
  EXPECT_EQ(book.oldest_in_use()->xmin.value, 10u);
  EXPECT_EQ(book.current()->xmin.value, 14u);
  book.release(first);
  EXPECT_EQ(book.oldest_in_use()->xmin.value, 14u);
  const SnapshotLease last = book.lease();
  book.reset(snapshot(20, 20));
  book.release(last);
  EXPECT_EQ(book.oldest_in_use(), nullptr);
}

TEST(WaiterTest, FiresOnceAndNotAfterCancel) {
  int woken = 0;
  Waiter once([&] { ++woken; });
  once.fire();
  once.fire();
  EXPECT_EQ(woken, 1);
  Waiter cancelled([&] { ++woken; });
  cancelled.cancel();
  cancelled.fire();
  EXPECT_EQ(woken, 1);
}

}  // namespace
}  // namespace pgcache::cache
