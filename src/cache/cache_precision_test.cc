// SPDX-License-Identifier: Apache-2.0
// What changes leave alone, as the cache's callers see it: guards, last row images, keys that
// results show; and when it is forgotten.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache/cache.h"
#include "cache/cache_test_support.h"

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own
using ::testing::IsEmpty;

class PrecisionTest : public ::testing::Test {
 protected:
  void apply(TransactionBuilder& t) { c_.cache.apply(t.build()); }
  // Under the next transaction id, which the next snapshot sees.
  TransactionBuilder next() {
    ++xid_;
    return TransactionBuilder(static_cast<std::uint32_t>(xid_), 5000 + 10 * xid_);
  }
  void see_all() { c_.cache.set_snapshot(snapshot(xid_ + 1, xid_ + 1)); }
  bool publish(std::string_view key, const ShapePtr& shape, std::vector<sql::Operand> operands) {
    return c_.fill(key, shape, operands) == PublishOutcome::kPublished;
  }
  RelationPrecision precision_of_users() {
    for (const RelationPrecision& p : c_.cache.precision()) {
      if (p.relation == kUsers) return p;
    }
    return {};
  }
  void track_anew(std::uint64_t fence) {
    c_.cache.set_tracked(kUsers, {fence});
    c_.cache.set_snapshot(snapshot(std::max(fence, xid_ + 1), std::max(fence, xid_ + 1)));
  }

  ServingCache c_;
  std::uint64_t xid_ = 1000;
  ShapePtr by_age_ = make_shape(1, {where_equal(kUsers, "age")}, 1);
  std::shared_ptr<const cdc::StreamRelation> users_ = stream_relation(kUsers);
  std::shared_ptr<const cdc::StreamRelation> orders_ = stream_relation(kOrders);
};

TEST_F(PrecisionTest, AResultWithoutADependencyThatHoldsStaysUntilTheRelationChanges) {
  sql::Dependency d = where_equal(kUsers, "age");
  d.guard = operand_is_not_null(1);
  const ShapePtr shape = make_shape(2, {d});
  const auto whole_changes = std::vector<std::function<void()>>{
      [&] { c_.cache.drop_all(InvalidationCause::kDdl); },
      [&] { c_.cache.on_catalog_changed(0, nullptr); },
      [&] { c_.cache.invalidate_relation(kUsers, InvalidationCause::kDdl); },
      [&] { apply(next().changes_form_of(users_)); },
      [&] { c_.cache.set_tracked(kUsers, {1001}); },
      [&] { c_.cache.set_untrackable(kUsers, sql::BypassReason::kUntracked); },
  };
  for (const auto& change : whole_changes) {
    see_all();
    // Loaded while the changes are still in the log.
    auto load = c_.start("k", shape, {number(5), null()});
    ASSERT_TRUE(load);
    apply(next().insert(users_, {"1", "a", "5", "n"}));
    apply(next().truncate(users_));
    apply(next().overflows(users_));
    ASSERT_EQ(c_.cache.publish(std::move(load), result_of("x")), PublishOutcome::kPublished);
    apply(next().insert(users_, {"1", "a", "5", "n"}));
    apply(next().truncate(users_));
    apply(next().overflows(users_));
    ASSERT_TRUE(c_.has("k", shape));
    change();
    EXPECT_FALSE(c_.has("k", shape));
    EXPECT_EQ(CacheTestAccess::impl(c_.cache).index.node_count(), 0u);
  }
}

TEST_F(PrecisionTest, ADdlToWhatItNamesKeepsALoadOutWhateverItsGuardsSay) {
  sql::Dependency d = where_equal(kUsers, "age");
  d.guard = operand_is_not_null(1);
  const ShapePtr shape = make_shape(2, {d});
  auto load = c_.start("k", shape, {number(5), null()});
  apply(next().changes_form_of(users_));
  EXPECT_EQ(c_.cache.publish(std::move(load), result_of("x")), PublishOutcome::kAffected);
}

TEST_F(PrecisionTest, AnUnknownRelationDropsWhatDependsOnNothing) {
  sql::Dependency d = where_equal(kUsers, "age");
  d.guard = operand_is_not_null(1);
  const ShapePtr shape = make_shape(2, {d});
  c_.cache.on_catalog_changed(0, test_catalog());
  ASSERT_TRUE(publish("k", shape, {number(5), null()}));
  apply(next().insert(stream_relation(pg::Oid{999}), {"1", "a", "5", "n"}));
  EXPECT_FALSE(c_.has("k", shape));
}

TEST_F(PrecisionTest, WhatTheStreamShowedTellsWhatAChangeReplaces) {
  ASSERT_TRUE(publish("five", by_age_, {number(5)}));
  ASSERT_TRUE(publish("six", by_age_, {number(6)}));
  ASSERT_TRUE(publish("seven", by_age_, {number(7)}));
  apply(next().insert(users_, {"1", "a", "5", "n"}));
  EXPECT_FALSE(c_.has("five", by_age_));
  apply(next().update(users_, {"1", "a", "6", "n"}));
  EXPECT_FALSE(c_.has("six", by_age_));
  EXPECT_TRUE(c_.has("seven", by_age_)) << "the row was five";
  see_all();
  ASSERT_TRUE(publish("five", by_age_, {number(5)}));
  ASSERT_TRUE(publish("six", by_age_, {number(6)}));
  apply(next().remove(users_, {"1", "", "", ""}));
  EXPECT_TRUE(c_.has("five", by_age_));
  EXPECT_FALSE(c_.has("six", by_age_));
  EXPECT_TRUE(c_.has("seven", by_age_));
  EXPECT_EQ(precision_of_users().invalidations, 3u);
  EXPECT_EQ(precision_of_users().coarse, 0u);
  apply(next().update(users_, {"2", "a", "5", "n"}));
  EXPECT_FALSE(c_.has("five", by_age_));
  EXPECT_FALSE(c_.has("seven", by_age_)) << "2 was not seen before";
  EXPECT_EQ(precision_of_users().invalidations, 5u);
  EXPECT_EQ(precision_of_users().coarse, 1u);
  EXPECT_EQ(c_.cache.status(at_ms(0)).row_images, 1u);
  EXPECT_GT(c_.cache.status(at_ms(0)).row_image_bytes, 0u);
}

TEST_F(PrecisionTest, TheLogTestsTheSameRowsAsTheIndex) {
  ASSERT_TRUE(publish("nine", by_age_, {number(9)}));
  auto five = c_.start("five", by_age_, {number(5)});
  auto six = c_.start("six", by_age_, {number(6)});
  auto seven = c_.start("seven", by_age_, {number(7)});
  apply(next().insert(users_, {"1", "a", "5", "n"}));
  apply(next().update(users_, {"1", "a", "6", "n"}));
  apply(next().update(users_, {"1", "a", "8", "n"}));
  EXPECT_EQ(c_.cache.publish(std::move(five), result_of("x")), PublishOutcome::kAffected);
  EXPECT_EQ(c_.cache.publish(std::move(six), result_of("x")), PublishOutcome::kAffected);
  EXPECT_EQ(c_.cache.publish(std::move(seven), result_of("x")), PublishOutcome::kPublished);
  EXPECT_TRUE(c_.has("nine", by_age_));
}

TEST_F(PrecisionTest, WithoutRoomForImagesOnlyTheKeyIsKnown) {
  CacheLimits limits;
  limits.row_images_bytes_max = 0;
  ServingCache c(limits);
  ASSERT_EQ(c.fill("nine", by_age_, {number(9)}), PublishOutcome::kPublished);
  c.cache.apply(next().insert(users_, {"1", "a", "5", "n"}).build());
  EXPECT_TRUE(c.has("nine", by_age_));
  c.cache.apply(next().update(users_, {"1", "a", "6", "n"}).build());
  EXPECT_FALSE(c.has("nine", by_age_));
}

// Each of them may have hidden changes to rows of which images are kept.
TEST_F(PrecisionTest, WhatMayHideChangesMakesImagesForgotten) {
  const auto events = std::vector<std::function<void()>>{
      [&] { c_.cache.drop_all(InvalidationCause::kDdl); },
      [&] { c_.cache.on_catalog_changed(0, nullptr); },
      [&] { c_.cache.invalidate_relation(kUsers, InvalidationCause::kDdl); },
      [&] { track_anew(xid_ + 1); },
      [&] {
        c_.cache.set_untrackable(kUsers, sql::BypassReason::kUntracked);
        track_anew(xid_ + 2);
      },
      [&] {
        c_.cache.on_cold_start(snapshot(xid_ + 1, xid_ + 1), {6000});
        c_.cache.on_stream_connected();
        c_.cache.set_tracked(kOrders, {xid_ + 1});
        track_anew(xid_ + 1);
        c_.cache.on_heartbeat({6000}, at_ms(0));
      },
      [&] { apply(next().overflows(users_)); },
      [&] { apply(next().truncate(users_)); },
      [&] { apply(next().changes_form_of(users_)); },
      [&] { users_ = stream_relation(kUsers); },  // its Relation message came again
  };
  for (std::size_t i = 0; i < events.size(); ++i) {
    SCOPED_TRACE(i);
    see_all();
    ASSERT_TRUE(publish("nine", by_age_, {number(9)}));
    auto load = c_.start("seven", by_age_, {number(7)});
    apply(next().insert(users_, {"1", "a", "5", "n"}));
    apply(next().update(users_, {"1", "a", "6", "n"}));
    ASSERT_TRUE(c_.has("nine", by_age_));
    events[i]();
    see_all();
    if (!c_.has("nine", by_age_)) {
      ASSERT_TRUE(publish("nine", by_age_, {number(9)}));
    }
    // A load that the log tests against what it had resolved, if it may still be published.
    const PublishOutcome outcome = c_.cache.publish(std::move(load), result_of("x"));
    if (i < 6) {
      EXPECT_NE(outcome, PublishOutcome::kPublished);
    }
    apply(next().update(users_, {"1", "a", "7", "n"}));
    EXPECT_FALSE(c_.has("nine", by_age_));
    EXPECT_FALSE(c_.has("seven", by_age_));
  }
}

TEST_F(PrecisionTest, ImagesOfTransactionsThatEndedBeforeTheGateAreNotKept) {
  ASSERT_TRUE(publish("nine", by_age_, {number(9)}));
  TransactionBuilder early = next();
  c_.cache.on_catalog_changed(0, nullptr);
  TransactionBuilder between = next();
  see_all();  // the gate sees both
  ASSERT_TRUE(publish("nine", by_age_, {number(9)}));
  apply(early.insert(users_, {"1", "a", "5", "n"}));
  apply(between.insert(users_, {"2", "a", "5", "n"}));
  EXPECT_EQ(c_.cache.status(at_ms(0)).row_images, 0u);
  apply(next().insert(users_, {"3", "a", "5", "n"}));
  EXPECT_EQ(c_.cache.status(at_ms(0)).row_images, 1u);
  apply(next().update(users_, {"3", "a", "6", "n"}));
  EXPECT_TRUE(c_.has("nine", by_age_));
  apply(next().update(users_, {"1", "a", "6", "n"}));
  EXPECT_FALSE(c_.has("nine", by_age_));
}

TEST_F(PrecisionTest, NoImagesAreKeptOfWhatNobodyReads) {
  apply(next().insert(users_, {"1", "a", "5", "n"}));
  EXPECT_EQ(c_.cache.status(at_ms(0)).row_images, 0u);
  see_all();
  ASSERT_TRUE(publish("nine", by_age_, {number(9)}));
  apply(next().insert(users_, {"2", "a", "5", "n"}));
  EXPECT_EQ(c_.cache.status(at_ms(0)).row_images, 1u);
  apply(next().insert(users_, {"3", "a", "9", "n"}));
  ASSERT_FALSE(c_.has("nine", by_age_));
  c_.cache.on_heartbeat({5000}, at_ms(0));  // takes out what was dropped
  // What is there is not left to grow stale.
  apply(next().update(users_, {"2", "a", "9", "n"}));
  EXPECT_EQ(c_.cache.status(at_ms(0)).row_images, 1u);
  see_all();
  ASSERT_TRUE(publish("nine", by_age_, {number(9)}));
  apply(next().update(users_, {"2", "a", "6", "n"}));
  EXPECT_FALSE(c_.has("nine", by_age_));
}

TEST_F(PrecisionTest, AnUnreadColumnThatAloneChangedIsLeftAlone) {
  sql::Dependency d = where_equal(kUsers, "id");
  d.reads_all_columns = false;
  d.columns_read = {"id", "name"};
  const ShapePtr name_of = make_shape(2, {d}, 1);
  ASSERT_TRUE(publish("name", name_of, {number(1)}));
  apply(next().update(users_, {"1", "a", "5", "n"}));
  EXPECT_FALSE(c_.has("name", name_of));
  see_all();
  ASSERT_TRUE(publish("name", name_of, {number(1)}));
  // The image was kept before the entry went.
  apply(next().update(users_, {"1", "a", "6", "n"}));
  EXPECT_TRUE(c_.has("name", name_of));
  apply(next().update(users_, {"1", "b", "6", "n"}));
  EXPECT_FALSE(c_.has("name", name_of));
  EXPECT_EQ(precision_of_users().coarse, 1u);
}

class ShownKeyTest : public PrecisionTest {
 protected:
  ShownKeyTest() {
    c_.cache.on_catalog_changed(0, test_catalog());
    see_all();
    sql::Dependency d = where_equal(kUsers, "age");
    d.shown = shows_former("id", 0);
    shows_id_ = make_shape(3, {d}, 1);
  }
  PublishOutcome publish_rows(std::string_view key, int age, const std::vector<std::string>& ids,
                              std::string_view formats_be = {}) {
    const std::vector<sql::Operand> operands{number(age)};
    LookupRequest request = c_.request(key, shows_id_, operands);
    request.result_formats_be = formats_be;
    LookupOutcome outcome = c_.cache.lookup(request, at_ms(0));
    return finish(std::move(std::get<StartLoad>(outcome).load), ids);
  }
  PublishOutcome finish(std::unique_ptr<Load> load, const std::vector<std::string>& ids) {
    std::string rows;
    for (const std::string& id : ids) rows += data_row({id, "name"});
    CachedResult result = result_of(rows + command_complete());
    result.row_count = ids.size();
    return c_.cache.publish(std::move(load), std::move(result));
  }
  ShapePtr shows_id_;
};

TEST_F(ShownKeyTest, AFormerRowMattersToTheResultsThatShowIt) {
  EXPECT_EQ(publish_rows("five", 5, {"1", "2"}), PublishOutcome::kPublished);
  EXPECT_EQ(publish_rows("six", 6, {"3"}), PublishOutcome::kPublished);
  EXPECT_EQ(publish_rows("none", 7, {}), PublishOutcome::kPublished);
  EXPECT_EQ(publish_rows("unread", 8, {"strange"}), PublishOutcome::kPublished);
  apply(next().remove(users_, {"2", "", "", ""}));
  EXPECT_FALSE(c_.has("five", shows_id_));
  EXPECT_TRUE(c_.has("six", shows_id_));
  EXPECT_TRUE(c_.has("none", shows_id_));
  EXPECT_FALSE(c_.has("unread", shows_id_));
  apply(next().update(users_, {"3", "a", "7", "n"}));
  EXPECT_FALSE(c_.has("six", shows_id_));
  EXPECT_FALSE(c_.has("none", shows_id_));
}

TEST_F(ShownKeyTest, TheLogKeepsTheSameRule) {
  auto five = c_.start("five", shows_id_, {number(5)});
  auto six = c_.start("six", shows_id_, {number(6)});
  auto unread = c_.start("unread", shows_id_, {number(7)});
  apply(next().remove(users_, {"2", "", "", ""}));
  EXPECT_EQ(finish(std::move(five), {"1", "2"}), PublishOutcome::kAffected);
  EXPECT_EQ(finish(std::move(six), {"3"}), PublishOutcome::kPublished);
  EXPECT_EQ(finish(std::move(unread), {"x"}), PublishOutcome::kAffected);
}

TEST_F(ShownKeyTest, KeysAreReadInTheFormatThatTheClientAskedFor) {
  const std::string_view binary("\0\1", 2);
  EXPECT_EQ(publish_rows("five", 5, {std::string("\0\0\0\2", 4)}, binary),
            PublishOutcome::kPublished);
  EXPECT_EQ(publish_rows("six", 6, {std::string("\0\0\0\3", 4)}, binary),
            PublishOutcome::kPublished);
  apply(next().remove(users_, {"2", "", "", ""}));
  EXPECT_FALSE(c_.has("five", shows_id_));
  EXPECT_TRUE(c_.has("six", shows_id_));
}

TEST_F(ShownKeyTest, KeysCountTowardsTheBudget) {
  publish_rows("few", 5, {"1"});
  const std::uint64_t few = c_.cache.status(at_ms(0)).bytes;
  std::vector<std::string> ids;
  std::uint64_t row_bytes = 0;
  for (int i = 0; i < 1001; ++i) {
    ids.push_back(std::to_string(i));
    row_bytes += data_row({ids.back(), "name"}).size();
  }
  publish_rows("many", 6, ids);
  EXPECT_GT(c_.cache.status(at_ms(0)).bytes, 2 * few + row_bytes + 1000 * 100);
}

}  // namespace
}  // namespace pgcache::cache
