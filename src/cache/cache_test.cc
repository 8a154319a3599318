// SPDX-License-Identifier: Apache-2.0
// The cache as its callers see it: routes, single flight, publishing against the log, tracking,
// invalidation, eviction, cold start.
#include "cache/cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cache/cache_test_support.h"

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Operands = std::vector<sql::Operand>;
using R = sql::BypassReason;

class CacheTest : public ::testing::Test {
 protected:
  void apply(TransactionBuilder& t) { c_.cache.apply(t.build()); }
  std::optional<R> bypass(const LookupOutcome& outcome) {
    const auto* b = std::get_if<Bypass>(&outcome);
    return b ? std::optional(b->reason) : std::nullopt;
  }
  std::uint64_t invalidations(InvalidationCause cause) {
    return c_.cache.status(at_ms(0)).invalidations[static_cast<std::size_t>(cause)];
  }

  ServingCache c_;
  ShapePtr by_id_ = make_shape(1, {where_equal(kUsers, "id")}, 1);
  std::shared_ptr<const cdc::StreamRelation> users_ = stream_relation(kUsers);
  std::shared_ptr<const cdc::StreamRelation> orders_ = stream_relation(kOrders);
};

TEST_F(CacheTest, ALoadThatIsPublishedIsAHitAfterwards) {
  EXPECT_FALSE(c_.has("k", by_id_));
  EXPECT_EQ(c_.fill("k", by_id_, {number(1)}), PublishOutcome::kPublished);
  const LookupOutcome outcome = c_.lookup("k", by_id_, {number(1)});
  ASSERT_TRUE(std::holds_alternative<Hit>(outcome));
  EXPECT_EQ(std::get<Hit>(outcome).result->rows, "rows of k");
  EXPECT_EQ(by_id_->stats.loads.load(), 1u);
  EXPECT_EQ(by_id_->stats.load_time_ns.load(), 5000u);
  const CacheStatus status = c_.cache.status(at_ms(0));
  EXPECT_TRUE(status.serving);
  EXPECT_EQ(status.entries, 1u);
  EXPECT_GT(status.bytes, 100u);
  EXPECT_EQ(status.loads_in_flight, 0u);
  EXPECT_EQ(status.publish_outcomes[0], 1u);
}

TEST_F(CacheTest, AChangeRemovesWhatItAffectsBeforeThePositionMoves) {
  c_.fill("one", by_id_, {number(1)});
  c_.fill("two", by_id_, {number(2)});
  TransactionBuilder t(1000, 5100);
  apply(t.update(users_, {"1", "a", "2", "n"}));
  EXPECT_EQ(c_.cache.applied_lsn().value, 5100u);
  EXPECT_FALSE(c_.has("one", by_id_));
  EXPECT_TRUE(c_.has("two", by_id_));
  EXPECT_EQ(invalidations(InvalidationCause::kUpdate), 1u);
  EXPECT_EQ(by_id_->stats.invalidations.load(), 1u);
  TransactionBuilder truncate(1001, 5200);
  apply(truncate.truncate(users_));
  EXPECT_FALSE(c_.has("two", by_id_));
  EXPECT_EQ(invalidations(InvalidationCause::kTruncate), 1u);
  EXPECT_EQ(c_.cache.status(at_ms(0)).row_changes, 2u);
}

TEST_F(CacheTest, AnUnseenTransactionThatAffectsTheLoadKeepsItOut) {
  // Applied after the load began, and before it: it is the snapshot that counts.
  auto load = c_.start("k", by_id_, {number(1)});
  auto other = c_.start("other", by_id_, {number(2)});
  TransactionBuilder t(1000, 5100);
  apply(t.insert(users_, {"1", "a", "2", "n"}));
  EXPECT_EQ(c_.cache.publish(std::move(load), result_of("x")), PublishOutcome::kAffected);
  EXPECT_EQ(c_.cache.publish(std::move(other), result_of("x")), PublishOutcome::kPublished);
  EXPECT_EQ(c_.fill("k", by_id_, {number(1)}), PublishOutcome::kAffected);
  c_.cache.set_snapshot(snapshot(1000, 1001, {1000}));
  EXPECT_EQ(c_.fill("k", by_id_, {number(1)}), PublishOutcome::kAffected) << "not visible yet";
  EXPECT_TRUE(c_.cache.wants_snapshot());
  c_.cache.set_snapshot(snapshot(1001, 1001));
  EXPECT_EQ(c_.fill("k", by_id_, {number(1)}), PublishOutcome::kPublished);
  EXPECT_FALSE(c_.cache.wants_snapshot());
  EXPECT_EQ(c_.cache.status(at_ms(0)).log_transactions, 0u);
}

TEST_F(CacheTest, TheLogKeepsWhatALoadInFlightHasNotSeen) {
  auto load = c_.start("k", by_id_, {number(1)});
  TransactionBuilder t(1000, 5100);
  apply(t.insert(users_, {"1", "a", "2", "n"}));
  c_.cache.set_snapshot(snapshot(1001, 1001));
  EXPECT_EQ(c_.cache.status(at_ms(0)).log_transactions, 1u);
  EXPECT_EQ(c_.cache.publish(std::move(load), result_of("x")), PublishOutcome::kAffected);
  c_.cache.set_snapshot(snapshot(1002, 1002));
  EXPECT_EQ(c_.cache.status(at_ms(0)).log_transactions, 0u);
}

TEST_F(CacheTest, ASnapshotOlderThanTheLogIsTooOld) {
  CacheLimits limits;
  limits.transaction_log_bytes_max = 1;
  ServingCache c(limits);
  auto load = c.start("k", by_id_, {number(1)});
  TransactionBuilder t(1000, 5100);
  c.cache.apply(t.insert(orders_, {"1", "a", "2", "n"}).build());
  EXPECT_EQ(c.cache.publish(std::move(load), result_of("x")), PublishOutcome::kSnapshotTooOld);
  c.cache.set_snapshot(snapshot(1001, 1001));
  EXPECT_EQ(c.fill("k", by_id_, {number(1)}), PublishOutcome::kPublished);
}

TEST_F(CacheTest, OverflowAndDdlCountForWholeRelations) {
  c_.fill("one", by_id_, {number(1)});
  const Operands operands{number(2)};
  auto load = c_.start("two", by_id_, operands);
  TransactionBuilder t(1000, 5100);
  apply(t.overflows(users_));
  EXPECT_FALSE(c_.has("one", by_id_));
  EXPECT_EQ(c_.cache.publish(std::move(load), result_of("x")), PublishOutcome::kAffected);
  c_.cache.set_snapshot(snapshot(1001, 1001));
  c_.fill("one", by_id_, {number(1)});
  TransactionBuilder ddl(1001, 5200);
  apply(ddl.changes_form_of(users_));
  EXPECT_FALSE(c_.has("one", by_id_));
  EXPECT_EQ(invalidations(InvalidationCause::kDdl), 1u);
  EXPECT_EQ(c_.fill("one", by_id_, {number(1)}), PublishOutcome::kAffected);
}

TEST_F(CacheTest, AChangeToAnUnknownRelationDropsEverything) {
  auto catalog = std::make_shared<pg::Catalog>();
  pg::Relation users;
  users.oid = kUsers;
  users.name = "users";
  catalog->add_relation(users);
  catalog->finish();
  c_.cache.on_catalog_changed(0, catalog);
  c_.fill("one", by_id_, {number(1)});
  auto load = c_.start("two", by_id_, {number(2)});
  TransactionBuilder t(1000, 5100);
  apply(t.insert(orders_, {"9", "a", "2", "n"}));
  EXPECT_FALSE(c_.has("one", by_id_));
  EXPECT_EQ(c_.cache.publish(std::move(load), result_of("x")), PublishOutcome::kAffected);
}

TEST_F(CacheTest, OneLoadsAndTheOthersWait) {
  const Operands operands{number(1)};
  auto load = c_.start("k", by_id_, operands);
  ASSERT_TRUE(load);
  int woken = 0;
  LookupRequest request = c_.request("k", by_id_, operands);
  request.wake = [&] { ++woken; };
  LookupOutcome first = c_.cache.lookup(request, at_ms(0));
  ASSERT_TRUE(std::holds_alternative<Waiting>(first));
  EXPECT_FALSE(std::get<Waiting>(first).for_tracking);
  {
    const LookupOutcome dropped = c_.cache.lookup(request, at_ms(0));
    ASSERT_TRUE(std::holds_alternative<Waiting>(dropped));
  }
  request.may_wait = false;
  EXPECT_TRUE(std::holds_alternative<NoEntry>(c_.cache.lookup(request, at_ms(0))));
  EXPECT_EQ(c_.cache.status(at_ms(0)).loads_in_flight, 1u);
  EXPECT_EQ(woken, 0);
  c_.cache.publish(std::move(load), result_of("x"));
  EXPECT_EQ(woken, 1) << "the Wait that was dropped is not called";
  EXPECT_TRUE(std::holds_alternative<Hit>(c_.cache.lookup(request, at_ms(0))));
}

TEST_F(CacheTest, AnAbandonedLoadWakesThoseWhoWait) {
  const Operands operands{number(1)};
  auto load = c_.start("k", by_id_, operands);
  int woken = 0;
  LookupRequest request = c_.request("k", by_id_, operands);
  request.wake = [&] { ++woken; };
  const LookupOutcome waiting = c_.cache.lookup(request, at_ms(0));
  load.reset();
  EXPECT_EQ(woken, 1);
  request.may_wait = false;
  EXPECT_TRUE(std::holds_alternative<StartLoad>(c_.cache.lookup(request, at_ms(0))));
}

TEST_F(CacheTest, AMissingRowDescriptionIsLoadedAgain) {
  const Operands operands{number(1)};
  auto load = c_.start("k", by_id_, operands);
  CachedResult bare = result_of("bare");
  bare.row_description.clear();
  c_.cache.publish(std::move(load), std::move(bare));
  LookupRequest request = c_.request("k", by_id_, operands);
  EXPECT_TRUE(std::holds_alternative<Hit>(c_.cache.lookup(request, at_ms(0))));
  request.needs.row_description = true;
  LookupOutcome outcome = c_.cache.lookup(request, at_ms(0));
  ASSERT_TRUE(std::holds_alternative<StartLoad>(outcome));
  c_.cache.publish(std::move(std::get<StartLoad>(outcome).load), result_of("whole"));
  outcome = c_.cache.lookup(request, at_ms(0));
  ASSERT_TRUE(std::holds_alternative<Hit>(outcome));
  EXPECT_EQ(std::get<Hit>(outcome).result->rows, "whole");
  EXPECT_EQ(c_.cache.status(at_ms(0)).entries, 1u);
}

TEST_F(CacheTest, TheFirstQueryOnANewTableWaitsAndIsThenPublished) {
  const pg::Oid fresh{300};
  const ShapePtr shape = make_shape(5, {where_equal(fresh, "id")}, 1);
  const Operands operands{number(1)};
  int woken = 0;
  LookupRequest request = c_.request("k", shape, operands);
  request.wake = [&] { ++woken; };
  LookupOutcome outcome = c_.cache.lookup(request, at_ms(0));
  ASSERT_TRUE(std::holds_alternative<Waiting>(outcome));
  EXPECT_TRUE(std::get<Waiting>(outcome).for_tracking);
  LookupRequest hurried = request;
  hurried.may_wait = false;
  EXPECT_EQ(bypass(c_.cache.lookup(hurried, at_ms(0))), R::kTrackingPending);
  EXPECT_THAT(c_.asked, ElementsAre(fresh));
  c_.cache.set_tracked(fresh, {1005});
  EXPECT_EQ(woken, 0) << "no snapshot is new enough yet";
  EXPECT_TRUE(c_.cache.wants_snapshot());
  c_.cache.set_snapshot(snapshot(1005, 1006));
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(c_.fill("k", shape, operands), PublishOutcome::kPublished);
}

TEST_F(CacheTest, AFenceThatSnapshotsDoNotReachIsNotWaitedForLong) {
  const pg::Oid fresh{300};
  const ShapePtr shape = make_shape(5, {where_equal(fresh, "id")}, 1);
  const Operands operands{number(1)};
  int woken = 0;
  LookupRequest request = c_.request("k", shape, operands);
  request.wake = [&] { ++woken; };
  const LookupOutcome waiting = c_.cache.lookup(request, at_ms(0));
  c_.cache.set_tracked(fresh, {1005});
  c_.cache.set_snapshot(snapshot(1001, 1007, {1001}));
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(bypass(c_.cache.lookup(request, at_ms(0))), R::kTrackingPending);
  c_.cache.set_snapshot(snapshot(1007, 1007));
  EXPECT_EQ(c_.fill("k", shape, operands), PublishOutcome::kPublished);
}

TEST_F(CacheTest, AnUntrackableRelationBypassesWithItsReason) {
  c_.fill("one", by_id_, {number(1)});
  auto load = c_.start("two", by_id_, {number(2)});
  c_.cache.set_untrackable(kUsers, R::kNoReplicaIdentity);
  EXPECT_FALSE(c_.has("one", by_id_));
  EXPECT_EQ(bypass(c_.lookup("one", by_id_, {number(1)})), R::kNoReplicaIdentity);
  EXPECT_NE(c_.cache.publish(std::move(load), result_of("x")), PublishOutcome::kPublished);
  c_.cache.on_catalog_changed(0, nullptr);
  EXPECT_EQ(bypass(c_.lookup("one", by_id_, {number(1)})), R::kTrackingPending);
  EXPECT_THAT(c_.asked, ElementsAre(kUsers)) << "asked anew after the catalog changed";
}

TEST_F(CacheTest, WhateverResetsTheCacheMakesLoadsObsolete) {
  const auto resets = std::vector<std::function<void()>>{
      [&] { c_.cache.drop_all(InvalidationCause::kDdl); },
      [&] { c_.cache.on_catalog_changed(0, nullptr); },
      [&] { c_.cache.invalidate_relation(kUsers, InvalidationCause::kDdl); },
      [&] { c_.cache.on_cold_start(snapshot(1000, 1000), {5000}); },
  };
  for (const auto& reset : resets) {
    c_.fill("one", by_id_, {number(1)});
    auto load = c_.start("two", by_id_, {number(2)});
    ASSERT_TRUE(load);
    reset();
    EXPECT_EQ(c_.cache.publish(std::move(load), result_of("x")), PublishOutcome::kObsolete);
    EXPECT_FALSE(c_.has("one", by_id_));
    EXPECT_EQ(c_.cache.status(at_ms(0)).bytes, 0u);
  }
}

TEST_F(CacheTest, ShapesOfAnOlderCatalogAreNotPublished) {
  c_.cache.on_catalog_changed(3, nullptr);
  EXPECT_TRUE(std::holds_alternative<NoEntry>(c_.lookup("k", by_id_, {number(1)})));
  const ShapePtr fresh = make_shape(9, {where_equal(kUsers, "id")}, 1, 3);
  EXPECT_EQ(c_.fill("k", fresh, {number(1)}), PublishOutcome::kPublished);
}

TEST_F(CacheTest, AColdStartServesAgainOnlyWithASnapshotThatSeesTheExportedOne) {
  c_.fill("one", by_id_, {number(1)});
  c_.cache.on_cold_start(snapshot(1010, 1012, {1010}), {6000});
  EXPECT_EQ(c_.cache.unavailable(at_ms(0)), R::kStarting);
  EXPECT_EQ(invalidations(InvalidationCause::kRestart), 1u);
  c_.cache.set_snapshot(snapshot(1010, 1011));
  EXPECT_EQ(c_.cache.unavailable(at_ms(0)), R::kStarting) << "it does not see 1011";
  EXPECT_TRUE(c_.cache.wants_snapshot());
  c_.cache.set_snapshot(snapshot(1010, 1012, {1010}));
  c_.cache.on_heartbeat({6000}, at_ms(0));
  EXPECT_EQ(c_.cache.unavailable(at_ms(0)), std::nullopt);
  EXPECT_EQ(bypass(c_.lookup("one", by_id_, {number(1)})), R::kTrackingPending)
      << "what was tracked before is asked anew";
  c_.cache.set_tracked(kUsers, {1010});
  EXPECT_EQ(c_.fill("one", by_id_, {number(1)}), PublishOutcome::kPublished);
}

TEST_F(CacheTest, EntriesOutliveADisconnect) {
  c_.fill("one", by_id_, {number(1)});
  c_.cache.on_stream_disconnected();
  EXPECT_EQ(bypass(c_.lookup("one", by_id_, {number(1)})), R::kStreamDown);
  c_.cache.on_stream_connected();
  EXPECT_EQ(bypass(c_.lookup("one", by_id_, {number(1)})), R::kStale);
  c_.cache.on_heartbeat({5050}, at_ms(0));
  TransactionBuilder t(1000, 5040);
  apply(t.insert(orders_, {"1", "a", "2", "n"}));
  EXPECT_EQ(bypass(c_.lookup("one", by_id_, {number(1)})), R::kStale);
  c_.cache.on_position({5050});
  EXPECT_TRUE(c_.has("one", by_id_));
}

TEST_F(CacheTest, TheBudgetIsKeptByEvicting) {
  CacheLimits limits;
  limits.bytes_max = 64 << 10;
  limits.result_bytes_max = 8 << 10;
  ServingCache c(limits);
  for (int i = 0; i < 500; ++i) {
    const std::string key = "key " + std::to_string(i);
    auto load = c.start(key, by_id_, {number(i)});
    ASSERT_EQ(c.cache.publish(std::move(load), result_of(std::string(500, 'x'))),
              PublishOutcome::kPublished);
    ASSERT_LE(c.cache.status(at_ms(0)).bytes, limits.bytes_max);
  }
  const CacheStatus status = c.cache.status(at_ms(0));
  EXPECT_GT(status.entries, 20u);
  EXPECT_EQ(status.entries + status.invalidations[static_cast<int>(InvalidationCause::kEvict)],
            500u);
  auto load = c.start("large", by_id_, {number(1)});
  EXPECT_EQ(c.cache.publish(std::move(load), result_of(std::string(9 << 10, 'x'))),
            PublishOutcome::kTooLarge);
  // What was evicted has left the index as well.
  EXPECT_EQ(CacheTestAccess::impl(c.cache).index.node_count(), 1u);
  TransactionBuilder t(1000, 5100);
  c.cache.apply(t.truncate(users_).build());
  EXPECT_EQ(c.cache.status(at_ms(0)).entries, 0u);
  EXPECT_EQ(CacheTestAccess::impl(c.cache).index.node_count(), 0u);
}

TEST_F(CacheTest, HitOnlyStartsNothing) {
  LookupRequest request;
  request.key = "k";
  request.shape = make_shape(5, {where_equal(pg::Oid{300}, "id")}, 1);
  request.hit_only = true;
  EXPECT_TRUE(std::holds_alternative<NoEntry>(c_.cache.lookup(request, at_ms(0))));
  EXPECT_THAT(c_.asked, IsEmpty());
  EXPECT_EQ(bypass(c_.cache.lookup(request, at_ms(5000))), R::kStale);
}

}  // namespace
}  // namespace pgcache::cache
