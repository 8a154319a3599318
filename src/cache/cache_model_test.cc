// SPDX-License-Identifier: Apache-2.0
// The cache against a small model of PostgreSQL, driven at random from a seed.
//
// The model has two tables, transactions that change rows under row locks, a write-ahead log in
// commit order, and visibility that comes after the commit record and in any order. The driver
// interleaves transactions, the stream, snapshots delivered late, loads whose queries run at any
// moment, tracking, disconnects after which the stream comes again, cold starts, evictions, resets,
// tables that leave the publication and come back, and DDL that rewrites rows without row changes,
// told by a new Relation message or, as where that does not come, by the catalog alone.
//
// Checked after every step, for every entry in the store: its rows are what the query gives on the
// transactions that its load saw together with all that have been applied. So an entry never misses
// an applied transaction, visible or not. And for every hit: whatever was acknowledged more than
// max_staleness ago has been applied.
#include <gtest/gtest.h>

#include <cstdlib>

#include "cache/cache_model_driver_test_support.h"

namespace pgcache::cache {
namespace {

using namespace testing::model;  // NOLINT: this module's own

constexpr int kSteps = 800;

// How many seeds are tried; PGCACHE_MODEL_SEEDS asks for more.
unsigned seeds() {
  const char* asked = std::getenv("PGCACHE_MODEL_SEEDS");
  return asked ? static_cast<unsigned>(std::atoi(asked)) : 250;
}

TEST(CacheModelTest, NoEntryMissesAnAppliedTransaction) {
  Counts counts;
  for (unsigned seed = 1; seed <= seeds(); ++seed) {
    Model model(seed, {});
    ASSERT_EQ(model.run(kSteps, counts), "") << "seed " << seed;
  }
  // The model must have been there.
  EXPECT_GT(counts.published, 2000u);
  EXPECT_GT(counts.hits, 500u);
  EXPECT_GT(counts.affected, 200u);
  EXPECT_GT(counts.too_old, 50u);
  EXPECT_GT(counts.obsolete, 50u);
  EXPECT_GT(counts.evicted, 50u);
  EXPECT_GT(counts.images, 100u);
}

#ifdef PGCACHE_FAULTS

// Breaks one part and expects the model to notice.
void expect_noticed(bool CacheImpl::Faults::*fault) {
  CacheImpl::Faults faults;
  faults.*fault = true;
  Counts counts;
  for (unsigned seed = 1; seed <= 1000; ++seed) {
    Model model(seed, faults);
    if (!model.run(kSteps, counts).empty()) return;
  }
  FAIL() << "the model did not notice";
}

TEST(CacheModelTest, NoticesPublishingWithoutTheLog) {
  expect_noticed(&CacheImpl::Faults::skip_log_check);
}
TEST(CacheModelTest, NoticesTrimmingTheLogTooEarly) {
  expect_noticed(&CacheImpl::Faults::trim_all);
}
TEST(CacheModelTest, NoticesForgettingWithoutRemembering) {
  expect_noticed(&CacheImpl::Faults::forget_silently);
}
TEST(CacheModelTest, NoticesIgnoringTheFences) {
  expect_noticed(&CacheImpl::Faults::ignore_fences);
}
TEST(CacheModelTest, NoticesTrustingRowImagesWhateverHappens) {
  expect_noticed(&CacheImpl::Faults::trust_images);
}
TEST(CacheModelTest, NoticesRowImagesFromBeforeTheGate) {
  expect_noticed(&CacheImpl::Faults::keep_images_of_all);
}
TEST(CacheModelTest, NoticesRowImagesThatMissAChange) {
  expect_noticed(&CacheImpl::Faults::miss_changes);
}

#endif  // PGCACHE_FAULTS

}  // namespace
}  // namespace pgcache::cache
