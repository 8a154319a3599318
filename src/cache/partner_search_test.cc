// SPDX-License-Identifier: Apache-2.0
// Copies of small tables, and what they tell of rows that find no partners: as the cache's callers
// see it, and as transactions come, seen or not seen by snapshots.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache/cache.h"
#include "cache/cache_test_support.h"

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Form = std::shared_ptr<const cdc::StreamRelation>;

// A row of the table with the same age.
sql::Partner with_the_same_age(pg::Oid table) {
  sql::Partner partner;
  partner.tables = {table};
  sql::ColumnRef own = column("age");
  own.row = 1;
  partner.links = {{own, column("age"), 0}};
  partner.condition.kind = sql::Predicate::Kind::kCompareColumns;
  partner.condition.column = own;
  partner.condition.other_column = column("age");
  return partner;
}

sql::Dependency joined(pg::Oid relation, pg::Oid other) {
  sql::Dependency d = whole(relation);
  d.partners = {with_the_same_age(other)};
  return d;
}

class PartnerSearchTest : public ::testing::TestWithParam<char> {
 protected:
  TransactionBuilder next() {
    ++xid_;
    return TransactionBuilder(static_cast<std::uint32_t>(xid_), end_of(xid_));
  }
  static std::uint64_t end_of(std::uint64_t xid) { return 5000 + 10 * xid; }
  void apply(TransactionBuilder& t) { c_.cache.apply(t.build()); }
  // Everything so far is seen and behind the positions that are read from now on.
  void see_all() { c_.cache.set_snapshot(snapshot(xid_ + 1, xid_ + 1)); }
  void measure(std::uint64_t position) {
    c_.cache.on_measure_begins();
    c_.cache.on_measured({position}, snapshot(xid_ + 1, xid_ + 1));
  }
  // What a snapshot that sees all before `xmax` saw.
  static cdc::TableRows rows_of(const Form& form, const std::vector<Row>& rows,
                                const pg::Snapshot& seen, std::uint64_t position) {
    return {form, seen, {position}, rows};
  }
  void copy(const Form& form, const std::vector<Row>& rows) {
    auto load = c_.cache.begin_copy(form->oid);
    ASSERT_TRUE(load);
    c_.cache.finish_copy(std::move(load),
                         rows_of(form, rows, snapshot(xid_ + 1, xid_ + 1), end_of(xid_)));
    c_.cache.on_position({end_of(xid_)});
  }
  // A cached join, settled, with copies of both tables.
  void begin(const std::vector<Row>& users, const std::vector<Row>& orders) {
    see_all();
    ASSERT_EQ(c_.fill("k", join_, {}), PublishOutcome::kPublished);
    copy(users_, users);
    copy(orders_, orders);
    measure(end_of(xid_));
    ASSERT_EQ(c_.cache.status(at_ms(0)).table_copies, 2u);
  }
  bool kept() { return c_.has("k", join_); }

  ServingCache c_;
  std::uint64_t xid_ = 1000;
  ShapePtr join_ = make_shape(1, {joined(kUsers, kOrders), joined(kOrders, kUsers)}, 0);
  Form users_ = stream_relation(kUsers, GetParam());
  Form orders_ = stream_relation(kOrders, GetParam());
};

INSTANTIATE_TEST_SUITE_P(ReplicaIdentity, PartnerSearchTest, ::testing::Values('f', 'd'));

TEST_P(PartnerSearchTest, ARowWithoutAPartnerDoesNotMatter) {
  begin({{"1", "a", "5", "n"}}, {{"9", "o", "7", "n"}});
  apply(next().insert(users_, {"2", "b", "6", "n"}));
  EXPECT_TRUE(kept());
  apply(next().insert(orders_, {"8", "o", "4", "n"}));
  EXPECT_TRUE(kept());
  apply(next().update(users_, {"2", "b", "6", "n"}, {"2", "b", "1", "n"}));
  EXPECT_TRUE(kept());
  apply(next().remove(users_, {"2", "b", "1", "n"}));
  EXPECT_TRUE(kept());
  apply(next().insert(users_, {"3", "c", std::nullopt, "n"}));
  EXPECT_TRUE(kept()) << "NULL equals nothing";
  apply(next().insert(users_, {"2", "b", "7", "n"}));
  EXPECT_FALSE(kept());
}

TEST_P(PartnerSearchTest, APartnerThatCameEarlierIsFound) {
  begin({}, {});
  apply(next().insert(orders_, {"9", "o", "7", "n"}));
  EXPECT_TRUE(kept());
  apply(next().insert(users_, {"1", "a", "7", "n"}));
  EXPECT_FALSE(kept());
}

TEST_P(PartnerSearchTest, APartnerThatWentEarlierIsNot) {
  begin({}, {{"9", "o", "7", "n"}});
  apply(next().remove(orders_, {"9", "o", "7", "n"}));
  EXPECT_TRUE(kept());
  measure(end_of(xid_));
  apply(next().insert(users_, {"1", "a", "7", "n"}));
  EXPECT_TRUE(kept());
}

// What has gone in the stream need not have at the origin, where later commits may be visible
// first.
TEST_P(PartnerSearchTest, APartnerIsFoundUntilItIsSeenToHaveGone) {
  begin({}, {{"9", "o", "7", "n"}});
  apply(next().remove(orders_, {"9", "o", "7", "n"}));
  const std::uint64_t removed = xid_;
  c_.cache.on_measure_begins();
  c_.cache.on_measured({end_of(xid_)}, snapshot(removed, removed + 1, {removed}));
  apply(next().insert(users_, {"1", "a", "7", "n"}));
  EXPECT_FALSE(kept()) << "the snapshot does not see the removal";
}

TEST_P(PartnerSearchTest, APartnerIsFoundUntilWhatIsSeenBesidesItsEndIsApplied) {
  begin({}, {{"9", "o", "7", "n"}});
  apply(next().remove(orders_, {"9", "o", "7", "n"}));
  measure(end_of(xid_) + 15);  // something else that is to come is visible too
  apply(next().insert(users_, {"1", "a", "7", "n"}));
  EXPECT_FALSE(kept());
}

TEST_P(PartnerSearchTest, ARowThatLosesItsPartnerMatters) {
  begin({{"1", "a", "7", "n"}}, {{"9", "o", "7", "n"}});
  apply(next().update(orders_, {"9", "o", "7", "n"}, {"9", "o", "6", "n"}));
  EXPECT_FALSE(kept());
}

TEST_P(PartnerSearchTest, PartnersOfOneTransactionFindEachOtherInAnyOrder) {
  begin({}, {});
  apply(next().insert(users_, {"1", "a", "7", "n"}).insert(orders_, {"9", "o", "7", "n"}));
  EXPECT_FALSE(kept());
}

// The result may be of a moment between two changes: what went earlier in the transaction was there
// for what comes later in it.
TEST_P(PartnerSearchTest, APartnerThatTheTransactionTakesAwayCounts) {
  begin({}, {{"9", "o", "7", "n"}});
  apply(next().remove(orders_, {"9", "o", "7", "n"}).insert(users_, {"1", "a", "7", "n"}));
  EXPECT_FALSE(kept());
}

// The load saw transaction 1002, which comes second, and not 1001, which comes first: when that one
// is applied, the other's row is not known yet, and yet it is in the result's world.
TEST_P(PartnerSearchTest, AResultThatIsAheadOfTheStreamIsNotJudgedByIt) {
  begin({}, {});
  auto load = c_.start("ahead", join_, {});
  ASSERT_TRUE(load);
  ASSERT_EQ(c_.cache.publish(std::move(load), result_of("with 1002")), PublishOutcome::kPublished);
  measure(end_of(1002));  // both have been committed
  apply(next().insert(users_, {"1", "a", "7", "n"}));
  EXPECT_FALSE(c_.has("ahead", join_));
  apply(next().insert(orders_, {"9", "o", "7", "n"}));
  EXPECT_FALSE(kept());
}

TEST_P(PartnerSearchTest, ASettledResultIsJudgedFromThePositionOn) {
  begin({}, {});
  ASSERT_EQ(c_.fill("late", join_, {}), PublishOutcome::kPublished);
  measure(end_of(1001));
  apply(next().insert(users_, {"1", "a", "7", "n"}));
  EXPECT_FALSE(c_.has("late", join_)) << "it may have seen what is between";
  see_all();
  ASSERT_EQ(c_.fill("late", join_, {}), PublishOutcome::kPublished);
  apply(next().insert(users_, {"2", "a", "6", "n"}));
  EXPECT_FALSE(c_.has("late", join_)) << "nothing was measured since it came";
  see_all();
  ASSERT_EQ(c_.fill("late", join_, {}), PublishOutcome::kPublished);
  measure(end_of(1002));
  apply(next().insert(users_, {"3", "a", "5", "n"}));
  EXPECT_TRUE(c_.has("late", join_));
}

// One that was begun before the result came may have read a position from before its query.
TEST_P(PartnerSearchTest, AMeasurementUnderWaySettlesNothingThatComesMeanwhile) {
  begin({}, {});
  c_.cache.on_measure_begins();
  ASSERT_EQ(c_.fill("late", join_, {}), PublishOutcome::kPublished);
  c_.cache.on_measured({end_of(xid_)}, snapshot(xid_ + 1, xid_ + 1));
  apply(next().insert(users_, {"1", "a", "7", "n"}));
  EXPECT_FALSE(c_.has("late", join_));
  EXPECT_TRUE(kept());
}

TEST_P(PartnerSearchTest, WhatTheCopysSnapshotDidNotSeeIsAppliedToIt) {
  see_all();
  ASSERT_EQ(c_.fill("k", join_, {}), PublishOutcome::kPublished);
  measure(end_of(1001));
  copy(users_, {});
  auto load = c_.cache.begin_copy(kOrders);
  ASSERT_TRUE(load);
  // 1001 is applied before the copy comes, 1002 is in it and comes behind.
  apply(next().insert(orders_, {"8", "o", "7", "n"}));
  see_all();
  ASSERT_EQ(c_.fill("k", join_, {}), PublishOutcome::kPublished);
  measure(end_of(1002));
  c_.cache.finish_copy(std::move(load), rows_of(orders_, {{"9", "o", "6", "n"}},
                                                snapshot(1001, 1003, {1001}), end_of(1002)));
  apply(next().insert(orders_, {"9", "o", "6", "n"}));
  see_all();
  ASSERT_EQ(c_.fill("k", join_, {}), PublishOutcome::kPublished);
  measure(end_of(1002));
  EXPECT_EQ(c_.cache.status(at_ms(0)).table_copy_rows, 2u);
  apply(next().insert(users_, {"1", "a", "5", "n"}));
  EXPECT_TRUE(kept());
  apply(next().insert(users_, {"2", "a", "7", "n"}));
  EXPECT_FALSE(kept());
  see_all();
  ASSERT_EQ(c_.fill("k", join_, {}), PublishOutcome::kPublished);
  measure(end_of(xid_));
  apply(next().insert(users_, {"3", "a", "6", "n"}));
  EXPECT_FALSE(kept());
}

// Before that it may lack rows which a transaction deletes that is still to come.
TEST_P(PartnerSearchTest, ACopyTellsNothingBeforeItsPosition) {
  see_all();
  ASSERT_EQ(c_.fill("k", join_, {}), PublishOutcome::kPublished);
  measure(end_of(xid_));
  copy(users_, {});
  auto load = c_.cache.begin_copy(kOrders);
  ASSERT_TRUE(load);
  c_.cache.finish_copy(std::move(load),
                       rows_of(orders_, {}, snapshot(1001, 1003, {1001}), end_of(1002)));
  apply(next().insert(users_, {"1", "a", "7", "n"}));
  EXPECT_FALSE(kept()) << "1002 deletes the order";
}

TEST_P(PartnerSearchTest, WhatMayHaveChangedRowsUnseenDropsTheCopies) {
  const auto of_orders = std::vector<std::function<void()>>{
      [&] { apply(next().truncate(orders_)); },
      [&] { apply(next().changes_form_of(orders_)); },
      [&] { apply(next().overflows(orders_)); },
      [&] { c_.cache.invalidate_relation(kOrders, InvalidationCause::kDdl); },
      [&] { c_.cache.set_tracked(kOrders, {xid_}); },
      [&] { c_.cache.drop_all(InvalidationCause::kDdl); },
      [&] { c_.cache.on_catalog_changed(0, nullptr); },
      [&] {
        c_.cache.on_stream_disconnected();
        c_.cache.on_stream_connected();
        c_.cache.on_heartbeat({end_of(xid_)}, at_ms(0));
      },
      [&] {
        apply(next().remove(orders_, {"77", "not", "7", "there"}));
      },
      [&] {
        apply(next().insert(orders_, {"8", "o", "4", "n"}));
        apply(next().insert(stream_relation(kOrders, GetParam()), {"7", "o", "4", "n"}));
      },
  };
  for (std::size_t i = 0; i < of_orders.size(); ++i) {
    begin({}, {{"9", "o", "1", "n"}});
    of_orders[i]();
    see_all();
    ASSERT_EQ(c_.fill("again", join_, {}), PublishOutcome::kPublished) << i;
    measure(end_of(xid_));
    apply(next().insert(users_, {"1", "a", "7", "n"}));
    EXPECT_FALSE(c_.has("again", join_)) << i;
    c_.cache.drop_all(InvalidationCause::kDdl);
  }
}

TEST_P(PartnerSearchTest, WhatComesBetweenKeepsACopyOut) {
  see_all();
  ASSERT_EQ(c_.fill("k", join_, {}), PublishOutcome::kPublished);
  const auto between = std::vector<std::function<void()>>{
      [&] { c_.cache.drop_all(InvalidationCause::kDdl); },
      [&] { c_.cache.on_stream_connected(); },
      [&] { apply(next().truncate(orders_)); },
      [&] { apply(next().changes_form_of(orders_)); },
      [&] { apply(next().overflows(orders_)); },
  };
  for (std::size_t i = 0; i < between.size(); ++i) {
    const pg::Snapshot before = snapshot(xid_ + 1, xid_ + 1);
    auto load = c_.cache.begin_copy(kOrders);
    ASSERT_TRUE(load) << i;
    EXPECT_THAT(c_.cache.copies_wanted(), ElementsAre(kUsers));
    between[i]();
    c_.cache.finish_copy(std::move(load), rows_of(orders_, {}, before, end_of(xid_)));
    c_.cache.on_position({end_of(xid_)});
    EXPECT_EQ(c_.cache.status(at_ms(0)).table_copies, 0u) << i;
    EXPECT_THAT(c_.cache.copies_wanted(), ElementsAre(kUsers, kOrders)) << "it is tried again";
  }
}

TEST_P(PartnerSearchTest, AUselessTableIsNotAskedForAgain) {
  see_all();
  EXPECT_THAT(c_.cache.copies_wanted(), IsEmpty());
  EXPECT_FALSE(c_.cache.begin_copy(kOrders)) << "nobody wants it";
  ASSERT_EQ(c_.fill("k", join_, {}), PublishOutcome::kPublished);
  EXPECT_THAT(c_.cache.copies_wanted(), ElementsAre(kUsers, kOrders));
  c_.cache.finish_copy(c_.cache.begin_copy(kOrders), std::nullopt);
  EXPECT_THAT(c_.cache.copies_wanted(), ElementsAre(kUsers));
  { const auto given_up = c_.cache.begin_copy(kUsers); }
  EXPECT_THAT(c_.cache.copies_wanted(), ElementsAre(kUsers));
  c_.cache.on_catalog_changed(0, nullptr);
  EXPECT_THAT(c_.cache.copies_wanted(), ElementsAre(kUsers, kOrders));
}

// With the default identity the stream tells of an old row its key only.
TEST_P(PartnerSearchTest, ACopyTellsWhatAChangeReplaces) {
  begin({{"1", "a", "5", "n"}, {"2", "b", "6", "n"}}, {});
  const ShapePtr by_age = make_shape(2, {where_equal(kUsers, "age")}, 1);
  for (const int age : {5, 6, 7}) {
    ASSERT_EQ(c_.fill(std::to_string(age), by_age, {number(age)}), PublishOutcome::kPublished);
  }
  if (GetParam() == 'd') {
    apply(next().update(users_, {"1", "a", "7", "n"}));
  } else {
    apply(next().update(users_, {"1", "a", "5", "n"}, {"1", "a", "7", "n"}));
  }
  EXPECT_FALSE(c_.has("5", by_age));
  EXPECT_TRUE(c_.has("6", by_age));
  EXPECT_FALSE(c_.has("7", by_age));
}

TEST(PartnerSearchLimits, ZeroSwitchesItOff) {
  CacheLimits limits;
  limits.table_copies_bytes_max = 0;
  ServingCache c(limits);
  const ShapePtr join = make_shape(1, {joined(kUsers, kOrders), joined(kOrders, kUsers)}, 0);
  ASSERT_EQ(c.fill("k", join, {}), PublishOutcome::kPublished);
  EXPECT_THAT(c.cache.copies_wanted(), IsEmpty());
  EXPECT_FALSE(c.cache.wants_snapshot());
}

TEST(PartnerSearchLimits, ATableThatIsTooLargeIsNotKept) {
  CacheLimits limits;
  limits.table_copies_bytes_max = 64 << 10;
  ServingCache c(limits);
  const ShapePtr join = make_shape(1, {joined(kUsers, kOrders), joined(kOrders, kUsers)}, 0);
  ASSERT_EQ(c.fill("k", join, {}), PublishOutcome::kPublished);
  const Form users = stream_relation(kUsers, 'f');
  const auto rows = [](int count) {
    std::vector<Row> made;
    for (int i = 0; i < count; ++i) made.push_back({std::to_string(i), "a", "5", "n"});
    return made;
  };
  c.cache.finish_copy(c.cache.begin_copy(kUsers),
                      cdc::TableRows{users, snapshot(1000, 1000), {5000}, rows(1000)});
  EXPECT_THAT(c.cache.copies_wanted(), ElementsAre(kOrders));
  c.cache.on_catalog_changed(0, nullptr);
  c.cache.set_tracked(kUsers, {1000});
  ASSERT_EQ(c.fill("k", join, {}), PublishOutcome::kPublished);
  c.cache.finish_copy(c.cache.begin_copy(kUsers),
                      cdc::TableRows{users, snapshot(1000, 1000), {5000}, rows(10)});
  c.cache.on_position({5000});
  ASSERT_EQ(c.cache.status(at_ms(0)).table_copies, 1u);
  TransactionBuilder t(1001, 15010);
  for (const Row& row : rows(1000)) t.insert(users, row);
  c.cache.apply(t.build());
  EXPECT_EQ(c.cache.status(at_ms(0)).table_copies, 0u) << "it has grown";
}

}  // namespace
}  // namespace pgcache::cache
