// SPDX-License-Identifier: Apache-2.0
// Results that are dropped and not yet taken out of store and index (dropped_entries.h), and
// transactions that are applied together.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cache/cache_test_support.h"

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own

// Results that are dropped wait to be taken out of all lists.
class CacheDropTest : public ::testing::Test {
 protected:
  // The results of so many rows, and an UPDATE of them all.
  void fill(ServingCache& c, int count) {
    for (int i = 0; i < count; ++i) {
      const std::string key = "k" + std::to_string(i);
      ASSERT_EQ(c.fill(key, by_id_, {number(i)}), PublishOutcome::kPublished);
      const LookupOutcome outcome = c.lookup(key, by_id_, {number(i)});
      ASSERT_TRUE(std::holds_alternative<Hit>(outcome));
      results_.push_back(std::get<Hit>(outcome).result);
    }
  }
  std::shared_ptr<const cdc::Transaction> update_of(int count) {
    ++xid_;
    TransactionBuilder t(xid_, 5000 + 100 * xid_);
    for (int i = 0; i < count; ++i)
      t.update(users_, {std::to_string(i), "a", "2", std::to_string(xid_)});
    return t.build();
  }
  auto held() const {
    return std::count_if(results_.begin(), results_.end(),
                         [](const auto& r) { return !r.expired(); });
  }
  void see_all(ServingCache& c) { c.cache.set_snapshot(snapshot(xid_ + 1, xid_ + 1)); }

  std::uint64_t invalidations(InvalidationCause cause) {
    return c_.cache.status(at_ms(0)).invalidations[static_cast<std::size_t>(cause)];
  }

  ServingCache c_;
  ShapePtr by_id_ = make_shape(1, {where_equal(kUsers, "id")}, 1);
  std::shared_ptr<const cdc::StreamRelation> users_ = stream_relation(kUsers);
  std::uint32_t xid_ = 1000;
  std::vector<std::weak_ptr<const CachedResult>> results_;
};

TEST_F(CacheDropTest, NobodyFindsThemAndTheNextHeartbeatTakesThemOut) {
  fill(c_, 200);
  c_.cache.apply(update_of(200));
  const CacheStatus status = c_.cache.status(at_ms(0));
  EXPECT_EQ(status.entries, 0u);
  EXPECT_EQ(status.bytes, 0u);
  EXPECT_EQ(invalidations(InvalidationCause::kUpdate), 200u);
  for (int i = 0; i < 200; ++i) EXPECT_FALSE(c_.has("k" + std::to_string(i), by_id_));
  EXPECT_EQ(held(), 200);
  c_.cache.on_heartbeat({5000 + 100 * xid_}, at_ms(0));
  EXPECT_EQ(held(), 0);
  EXPECT_EQ(CacheTestAccess::impl(c_.cache).index.node_count(), 0u);
  EXPECT_EQ(CacheTestAccess::impl(c_.cache).dropped.count(), 0u);
}

TEST_F(CacheDropTest, OneThatIsLoadedAgainTakesItsPlace) {
  fill(c_, 1);
  for (int round = 0; round < 5; ++round) {
    c_.cache.apply(update_of(1));
    EXPECT_FALSE(c_.has("k0", by_id_));
    see_all(c_);
    fill(c_, 1);
    EXPECT_TRUE(c_.has("k0", by_id_));
    EXPECT_LT(held(), 64);
    EXPECT_EQ(CacheTestAccess::impl(c_.cache).dropped.count(), 0u);
  }
  EXPECT_EQ(invalidations(InvalidationCause::kUpdate), 5u);
  EXPECT_EQ(c_.cache.status(at_ms(0)).entries, 1u);
}

TEST_F(CacheDropTest, ASecondChangeTakesThemOut) {
  fill(c_, 3);
  c_.cache.apply(update_of(3));
  EXPECT_EQ(CacheTestAccess::impl(c_.cache).dropped.count(), 3u);
  c_.cache.apply(update_of(2));
  EXPECT_EQ(CacheTestAccess::impl(c_.cache).dropped.count(), 1u);
  EXPECT_EQ(invalidations(InvalidationCause::kUpdate), 3u) << "each counts once";
  const std::vector<RelationPrecision> precision = c_.cache.precision();
  ASSERT_EQ(precision.size(), 1u);
  EXPECT_EQ(precision[0].invalidations, 3u);
}

TEST_F(CacheDropTest, HowManyMayWaitIsBoundedInBytes) {
  CacheLimits limits;
  limits.bytes_max = 1 << 20;
  ServingCache c(limits);
  fill(c, 500);
  const std::uint64_t bytes = c.cache.status(at_ms(0)).bytes;
  c.cache.apply(update_of(500));
  const auto& dropped = CacheTestAccess::impl(c.cache).dropped;
  EXPECT_LT(dropped.bytes(), limits.bytes_max / CacheImpl::kDroppedPart);
  EXPECT_GT(dropped.bytes(), 0u);
  EXPECT_GT(bytes, 2 * limits.bytes_max / CacheImpl::kDroppedPart);
  EXPECT_LT(held(), 500);
}

TEST_F(CacheDropTest, TheyAreGoneWithAllOthers) {
  fill(c_, 100);
  c_.cache.apply(update_of(50));
  c_.cache.drop_all(InvalidationCause::kDdl);
  EXPECT_EQ(invalidations(InvalidationCause::kUpdate), 50u);
  EXPECT_EQ(invalidations(InvalidationCause::kDdl), 50u) << "no result is counted twice";
  EXPECT_EQ(held(), 0);
  EXPECT_EQ(CacheTestAccess::impl(c_.cache).dropped.count(), 0u);
  c_.cache.on_heartbeat({5000 + 100 * xid_}, at_ms(0));
}

TEST_F(CacheDropTest, SeveralTransactionsTogetherDropWhatEachDoes) {
  fill(c_, 40);
  std::vector<std::shared_ptr<const cdc::Transaction>> transactions;
  for (int i = 0; i < 40; i += 2) {
    ++xid_;
    TransactionBuilder t(xid_, 5000 + 100 * xid_);
    t.update(users_, {std::to_string(i), "a", "2", std::to_string(xid_)});
    transactions.push_back(t.build());
    if (i == 14) transactions.push_back(update_of(0));
  }
  c_.cache.apply(transactions);
  EXPECT_EQ(c_.cache.applied_lsn().value, 5000 + 100 * xid_);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(c_.has("k" + std::to_string(i), by_id_), i % 2 == 1);
}

}  // namespace
}  // namespace pgcache::cache
