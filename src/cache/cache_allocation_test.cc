// SPDX-License-Identifier: Apache-2.0
// Memory that runs out at each place where the cache asks for some: nothing stale stays, no load is
// stuck, and the cache goes on.
#include <gtest/gtest.h>

#include "base/cache_path.h"
#include "cache/cache_test_support.h"

#ifdef PGCACHE_ALLOCATION_FAULTS

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own

// Runs `work` with its 1st, 2nd, 3rd ... allocation failing, each time behind `prepare` and in
// front of `check`, until it has no more.
template <typename Prepare, typename Work, typename Check>
int fail_each_allocation(Prepare prepare, Work work, Check check) {
  for (std::uint64_t number = 1;; ++number) {
    auto subject = prepare();
    bool threw = false;
    faults::fail_allocation(number);
    try {
      work(*subject);
    } catch (const std::bad_alloc&) {
      threw = true;
    }
    const bool failed = faults::allocation_failed();
    faults::fail_allocation(0);
    SCOPED_TRACE("allocation " + std::to_string(number));
    check(*subject, threw);
    if (!failed) return static_cast<int>(number) - 1;
  }
}

// A cache with an entry of each kind of place in the index.
struct Subject {
  Subject() {
    c.cache.on_catalog_changed({0, test_catalog(), snapshot(1000, 1000)});
    c.cache.set_snapshot(snapshot(1000, 1000));
    sql::Dependency shows = where_equal(kUsers, "age");
    shows.shown = shows_former("id", 0);
    shapes = {make_shape(1, {where_equal(kUsers, "id")}, 1),
              make_shape(2, {where_in(kUsers, "id", {0, 1})}),
              make_shape(3, {where_between(kUsers, "age")}),
              make_shape(4, {whole(kUsers)}, 0),
              make_shape(5, {where_equal(kUsers, "id"), where_equal(kOrders, "id", 1)}),
              make_shape(6, {shows}, 1)};
  }
  static std::string key(std::size_t i) { return "a key that is long enough " + std::to_string(i); }
  std::vector<sql::Operand> operands(std::size_t i) const {
    if (i == 2) return {number(1), number(9)};
    return i == 5 ? std::vector{number(2)} : std::vector{number(1), number(1)};
  }
  PublishOutcome fill(std::size_t i) {
    std::unique_ptr<Load> load = c.start(key(i), shapes[i], operands(i));
    if (!load) return PublishOutcome::kObsolete;
    return c.cache.publish(std::move(load),
                           result_of(data_row({"1", "a", "2"}) + command_complete()));
  }
  void fill_all() {
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      if (!c.has(key(i), shapes[i])) fill(i);
    }
  }
  std::size_t entries() {
    std::size_t count = 0;
    for (std::size_t i = 0; i < shapes.size(); ++i) count += c.has(key(i), shapes[i]) ? 1 : 0;
    return count;
  }
  // A row that concerns all of them.
  TransactionPtr change(std::uint32_t xid) const {
    TransactionBuilder t(xid, 5000 + xid);
    t.update(users, {"1", std::to_string(xid), "2", "n"});  // another than before
    return t.build();
  }
  void expect_all_well() {
    EXPECT_EQ(c.cache.status(at_ms(0)).loads_in_flight, 0u);
    fill_all();
    EXPECT_EQ(entries(), shapes.size());
    c.cache.apply(change(1100));
    EXPECT_EQ(entries(), 0u) << "stale";
    c.cache.set_snapshot(snapshot(1101, 1101));
    fill_all();
    EXPECT_EQ(entries(), shapes.size());
  }

  ServingCache c;
  std::vector<ShapePtr> shapes;
  std::shared_ptr<const cdc::StreamRelation> users = stream_relation(kUsers);
};

TEST(CacheAllocationTest, OfALookUp) {
  const int places = fail_each_allocation(
      [] { return std::make_unique<Subject>(); },
      [](Subject& s) { s.c.start(Subject::key(1), s.shapes[1], s.operands(1)); },
      [](Subject& s, bool) { s.expect_all_well(); });
  EXPECT_GT(places, 3);
}

TEST(CacheAllocationTest, OfTheFirstLookUpThatReadsARelation) {
  const auto untracked = make_shape(9, {whole(pg::Oid{300})}, 0);
  fail_each_allocation([] { return std::make_unique<Subject>(); },
                       [&](Subject& s) { s.c.lookup("k", untracked, {}); },
                       [&](Subject& s, bool) {
                         // It is asked for, or the next one asks.
                         s.c.lookup("k", untracked, {});
                         EXPECT_EQ(s.c.asked.empty(), false);
                         s.expect_all_well();
                       });
}

TEST(CacheAllocationTest, OfAResultThatIsPublished) {
  for (std::size_t i = 0; i < Subject().shapes.size(); ++i) {
    SCOPED_TRACE("shape " + std::to_string(i));
    const int places = fail_each_allocation([] { return std::make_unique<Subject>(); },
                                            [i](Subject& s) { s.fill(i); },
                                            [](Subject& s, bool) { s.expect_all_well(); });
    EXPECT_GT(places, 10);
  }
}

TEST(CacheAllocationTest, OfAResultBesideOthers) {
  const int places = fail_each_allocation(
      [] {
        auto s = std::make_unique<Subject>();
        s->fill_all();
        return s;
      },
      [](Subject& s) {
        for (int id = 2; id < 40; ++id) {
          auto load = s.c.start("k" + std::to_string(id), s.shapes[0], {number(id)});
          if (load) s.c.cache.publish(std::move(load), result_of("rows"));
        }
      },
      [](Subject& s, bool threw) {
        const CacheStatus status = s.c.cache.status(at_ms(0));
        const auto failed = static_cast<std::size_t>(PublishOutcome::kFailed);
        EXPECT_LE(status.publish_outcomes[failed], 1u);
        EXPECT_FALSE(threw && status.publish_outcomes[failed] > 0);
        s.expect_all_well();
      });
  EXPECT_GT(places, 300);
}

// The stream's session catches it, and starts cold.
TEST(CacheAllocationTest, OfATransactionThatIsApplied) {
  const int places = fail_each_allocation(
      [] {
        auto s = std::make_unique<Subject>();
        s->fill_all();
        return s;
      },
      [](Subject& s) { s.c.cache.apply(s.change(1050)); },
      [](Subject& s, bool threw) {
        EXPECT_EQ(s.c.cache.applied_lsn().value == 6050, !threw);
        if (threw) {
          s.c.cache.on_stream_disconnected();
          EXPECT_EQ(s.entries(), 0u);
          s.c.cache.on_cold_start(snapshot(1051, 1051), {7000});
          s.c.cache.on_stream_connected();
          s.c.cache.set_tracked(kUsers, {1051});
          s.c.cache.set_tracked(kOrders, {1051});
          s.c.cache.on_heartbeat({7000}, at_ms(0));
        }
        s.c.cache.set_snapshot(snapshot(1051, 1051));
        s.expect_all_well();
      });
  EXPECT_GT(places, 5);
}

TEST(CacheAllocationTest, OfWhatTheControlThreadTells) {
  fail_each_allocation(
      [] {
        auto s = std::make_unique<Subject>();
        s->fill_all();
        return s;
      },
      [](Subject& s) {
        s.c.cache.set_tracked(kUsers, {1001});
        s.c.cache.set_snapshot(snapshot(1002, 1002));
      },
      [](Subject& s, bool) {
        s.c.cache.set_tracked(kUsers, {1001});
        s.c.cache.set_snapshot(snapshot(1003, 1003));
        s.expect_all_well();
      });
}

}  // namespace
}  // namespace pgcache::cache

#endif  // PGCACHE_ALLOCATION_FAULTS
