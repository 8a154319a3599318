// SPDX-License-Identifier: Apache-2.0
// Changes of definitions in the stream: what goes, what stays, and what holds what up until when.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache/cache_test_support.h"
#include "cdc/definition_message.h"

namespace pgcache::cache {
namespace {

using namespace testing;
using R = sql::BypassReason;

class CacheDefinitions : public ::testing::Test {
 protected:
  CacheDefinitions() {
    update(0, snapshot(1000, 1000));
    c_.cache.on_definitions_read(snapshot(1000, 1000));
    c_.cache.set_tracked(kUsers, {1000});
    c_.cache.set_tracked(kOrders, {1000});
    c_.cache.set_snapshot(snapshot(1000, 1000));
  }
  void update(std::uint64_t generation, const pg::Snapshot& s, pg::DefinitionChange change = {}) {
    c_.cache.on_catalog_changed({generation, test_catalog(), s, std::move(change)});
  }
  static std::string about(pg::Oid relation) {
    return "1\nend\tALTER TABLE\ttable\t" + std::to_string(pg::to_u32(relation)) + "\t\t\t";
  }
  // Of the transaction xid, that says so.
  void tell(std::uint32_t xid, const std::string& content) {
    static const std::string prefix(cdc::kDefinitionPrefix);
    auto transaction = std::make_shared<cdc::Transaction>();
    transaction->xid = xid;
    transaction->end_lsn = {5000 + xid};
    transaction->storage.push_back(std::make_unique<std::string>(content));
    transaction->messages.push_back({prefix, *transaction->storage.back()});
    c_.cache.apply(transaction);
  }
  static ShapePtr users(std::uint64_t generation = 0) {
    return make_shape(1 + 10 * generation, {where_equal(kUsers, "id")}, 1, generation);
  }
  static ShapePtr orders(std::uint64_t generation = 0) {
    return make_shape(2 + 10 * generation, {where_equal(kOrders, "id")}, 1, generation);
  }
  std::optional<R> bypassed(const std::string& key, const ShapePtr& shape) {
    const LookupOutcome outcome = c_.lookup(key, shape, {number(1)});
    const auto* const bypass = std::get_if<Bypass>(&outcome);
    return bypass ? std::optional(bypass->reason) : std::nullopt;
  }

  ServingCache c_;
};

TEST_F(CacheDefinitions, WhatRestsOnThemGoesAndIsHeldUpUntilTheyAreRead) {
  c_.fill("u", users(), {number(1)});
  c_.fill("o", orders(), {number(1)});
  tell(1001, about(kUsers));
  EXPECT_FALSE(c_.has("u", users()));
  EXPECT_TRUE(c_.has("o", orders()));
  EXPECT_EQ(bypassed("u", users()), R::kDefinitions);
  EXPECT_EQ(c_.fill("o2", orders(), {number(2)}), PublishOutcome::kPublished);
  EXPECT_EQ(c_.cache.definitions_pending(), 1u);
  EXPECT_EQ(c_.cache.status(at_ms(0)).invalidations[static_cast<int>(InvalidationCause::kDdl)], 1u);
  c_.cache.on_definitions_read(snapshot(1000, 1000));  // before that
  c_.cache.on_definitions_read(snapshot(1001, 1003, {1001}));
  EXPECT_EQ(bypassed("u", users()), R::kDefinitions);
  c_.cache.on_definitions_read(snapshot(1002, 1002));
  EXPECT_EQ(c_.cache.definitions_pending(), 0u);
  c_.cache.set_snapshot(snapshot(1002, 1002));
  EXPECT_EQ(c_.fill("u", users(), {number(1)}), PublishOutcome::kPublished);
}

TEST_F(CacheDefinitions, EverythingGoes) {
  c_.fill("u", users(), {number(1)});
  c_.fill("o", orders(), {number(1)});
  tell(1001, "1\nall\t\t\t0\t\t\t");
  EXPECT_FALSE(c_.has("u", users()) || c_.has("o", orders()));
  EXPECT_EQ(bypassed("o", orders()), R::kDefinitions);
}

TEST_F(CacheDefinitions, LoadsUnderWayAreOfBefore) {
  auto users_load = c_.start("u", users(), {number(1)});
  auto orders_load = c_.start("o", orders(), {number(1)});
  tell(1001, about(kUsers));
  EXPECT_EQ(c_.cache.publish(std::move(orders_load), result_of("x")), PublishOutcome::kPublished);
  EXPECT_EQ(c_.cache.publish(std::move(users_load), result_of("x")), PublishOutcome::kObsolete);
  c_.cache.on_definitions_read(snapshot(1002, 1002));
  // Its snapshot does not see the transaction, so neither may its rows and columns.
  auto load = c_.start("u", users(), {number(1)});
  EXPECT_EQ(c_.cache.publish(std::move(load), result_of("x")), PublishOutcome::kAffected);
  c_.cache.set_snapshot(snapshot(1002, 1002));
  EXPECT_EQ(c_.fill("u", users(), {number(1)}), PublishOutcome::kPublished);
}

TEST_F(CacheDefinitions, ShapesOfBeforeAreNotPublishedAfterwards) {
  auto load = c_.start("u", users(), {number(1)});
  auto kept = c_.start("o", orders(), {number(1)});
  const ShapePtr stays = orders();
  tell(1001, about(kUsers));
  pg::DefinitionChange change;
  change.add(kUsers);
  update(1, snapshot(1002, 1002), change);
  c_.cache.on_definitions_read(snapshot(1002, 1002));
  c_.cache.set_snapshot(snapshot(1002, 1002));
  EXPECT_EQ(c_.cache.publish(std::move(load), result_of("x")), PublishOutcome::kObsolete);
  EXPECT_EQ(c_.fill("u", users(1), {number(1)}), PublishOutcome::kPublished);
  stays->renewed = 1;
  EXPECT_EQ(c_.fill("o3", stays, {number(3)}), PublishOutcome::kPublished);
}

// The catalog may be read before the stream tells.
TEST_F(CacheDefinitions, WhatWasAnalysedWithTheNewCatalogStays) {
  c_.fill("u", users(), {number(1)});
  pg::DefinitionChange change;
  change.add(kUsers);
  update(1, snapshot(1002, 1002), change);
  EXPECT_FALSE(c_.has("u", users()));
  c_.cache.on_definitions_read(snapshot(1002, 1002));
  EXPECT_EQ(c_.fill("u", users(1), {number(1)}), PublishOutcome::kPublished);
  tell(1001, about(kUsers));
  EXPECT_TRUE(c_.has("u", users(1)));
  EXPECT_EQ(c_.cache.definitions_pending(), 0u);
  EXPECT_EQ(c_.fill("u2", users(1), {number(2)}), PublishOutcome::kPublished);
}

// That the catalog is still right as of a later moment does not make what was loaded before right.
TEST_F(CacheDefinitions, WhatWasLoadedBeforeGoesThoughTheCatalogIsTheSame) {
  c_.fill("u", users(), {number(1)});
  c_.cache.on_definitions_read(snapshot(1002, 1002));
  tell(1001, about(kUsers));
  EXPECT_FALSE(c_.has("u", users()));
  EXPECT_EQ(c_.cache.definitions_pending(), 0u);
  EXPECT_NE(bypassed("u", users()), R::kDefinitions);
}

TEST_F(CacheDefinitions, AnotherCatalogDropsWhatRestsOnTheDifference) {
  c_.fill("u", users(), {number(1)});
  c_.fill("o", orders(), {number(1)});
  pg::DefinitionChange change;
  change.add(kOrders);
  update(1, snapshot(1002, 1002), change);
  EXPECT_TRUE(c_.has("u", users()));
  EXPECT_FALSE(c_.has("o", orders()));
  update(2, snapshot(1003, 1003), pg::DefinitionChange::of_everything());
  EXPECT_FALSE(c_.has("u", users()));
}

// Rows of a relation that has just come belong to nothing that is cached.
TEST_F(CacheDefinitions, RowsOfANewRelation) {
  const pg::Oid fresh{4711};
  c_.fill("o", orders(), {number(1)});
  tell(1001, about(fresh));
  c_.cache.apply(TransactionBuilder(1002, 6002).insert(stream_relation(fresh), {"1", "1"}).build());
  EXPECT_TRUE(c_.has("o", orders()));
  c_.cache.on_definitions_read(snapshot(1003, 1003));
  c_.cache.apply(TransactionBuilder(1004, 6004).insert(stream_relation(fresh), {"2", "2"}).build());
  EXPECT_FALSE(c_.has("o", orders())) << "a relation that the catalog does not know";
}

// Another server's transactions have other ids.
TEST_F(CacheDefinitions, AColdStartKnowsOfNoCatalog) {
  tell(1001, about(kUsers));
  c_.cache.on_cold_start(snapshot(500, 500), {9000});
  EXPECT_EQ(c_.cache.definitions_pending(), 0u);
  tell(600, about(kUsers));
  EXPECT_EQ(c_.cache.definitions_pending(), 1u);
}

}  // namespace
}  // namespace pgcache::cache
