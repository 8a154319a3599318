// SPDX-License-Identifier: Apache-2.0
// Freshness where commits wait for pgcache, and where hits wait for proofs; parts_test.cc has the
// rest.
#include "cache/freshness.h"

#include <gtest/gtest.h>

#include "cache/cache.h"

namespace pgcache::cache {
namespace {

using R = sql::BypassReason;

TimePoint at_ms(int ms) { return TimePoint{} + std::chrono::milliseconds(ms); }

constexpr FreshnessRules kLeased{.max_staleness = std::chrono::milliseconds(100),
                                 .needs_synchrony = true};
constexpr FreshnessRules kProving{.keeps_every_proof = true};

void start(Freshness& f) {
  f.on_cold_start({50});
  f.on_connected();
  f.on_snapshot();
}

TEST(Freshness, ServesNothingBeforeCommitsWait) {
  Freshness f(kLeased);
  start(f);
  EXPECT_EQ(f.unavailable(at_ms(0)), R::kNotSynchronous);
  f.on_heartbeat({50}, at_ms(1));
  EXPECT_EQ(f.unavailable(at_ms(1)), R::kNotSynchronous);
  EXPECT_FALSE(f.proven_since(at_ms(1)));
  f.on_synchrony(true);
  EXPECT_EQ(f.unavailable(at_ms(1)), R::kStale) << "it was told before";
  f.on_heartbeat({50}, at_ms(2));
  EXPECT_EQ(f.unavailable(at_ms(2)), std::nullopt);
  f.on_synchrony(true);
  EXPECT_EQ(f.unavailable(at_ms(2)), std::nullopt);
}

TEST(Freshness, AProofEndsWithTheWaiting) {
  Freshness f(kLeased);
  start(f);
  f.on_synchrony(true);
  f.on_heartbeat({50}, at_ms(2));
  f.on_heartbeat({70}, at_ms(20));  // not applied yet
  f.on_synchrony(false);
  EXPECT_EQ(f.unavailable(at_ms(20)), R::kNotSynchronous);
  f.on_position({80});
  EXPECT_EQ(f.unavailable(at_ms(20)), R::kNotSynchronous);
  f.on_disconnected();
  EXPECT_EQ(f.unavailable(at_ms(20)), R::kStreamDown);
  f.on_connected();
  EXPECT_EQ(f.unavailable(at_ms(20)), R::kNotSynchronous);
  f.on_synchrony(true);
  EXPECT_EQ(f.unavailable(at_ms(20)), R::kStale);
  f.on_heartbeat({80}, at_ms(21));
  EXPECT_EQ(f.unavailable(at_ms(22)), std::nullopt);
  EXPECT_EQ(f.age_seconds(at_ms(31)), 0.01);
}

TEST(Freshness, OtherLevelsDoNotAskWhetherCommitsWait) {
  Freshness f({.max_staleness = std::chrono::milliseconds(100)});
  start(f);
  f.on_heartbeat({50}, at_ms(2));
  EXPECT_EQ(f.unavailable(at_ms(2)), std::nullopt);
}

TEST(Freshness, IsProvenSinceATime) {
  Freshness f(kProving);
  EXPECT_FALSE(f.proven_since(at_ms(0)));
  start(f);
  EXPECT_FALSE(f.proven_since(at_ms(0)));
  f.on_heartbeat({60}, at_ms(5));
  EXPECT_FALSE(f.proven_since(at_ms(5))) << "60 is not applied yet";
  f.on_position({60});
  EXPECT_TRUE(f.proven_since(at_ms(5)));
  EXPECT_FALSE(f.proven_since(at_ms(6)));
  f.on_disconnected();
  EXPECT_FALSE(f.proven_since(at_ms(5)));
}

TEST(Freshness, EveryProofThatIsWaitedForCounts) {
  Freshness f(kProving);
  start(f);
  // Two of them within the thirty-second part of the time that is allowed.
  f.on_heartbeat({60}, at_ms(5));
  f.on_heartbeat({61}, at_ms(6));
  f.on_position({61});
  EXPECT_TRUE(f.proven_since(at_ms(6)));
  // Many more than are kept: the last is among those that are, and some of those before.
  for (int i = 1; i <= 1000; ++i) f.on_heartbeat({100u + static_cast<unsigned>(i)}, at_ms(10 + i));
  f.on_position({110});
  EXPECT_TRUE(f.proven_since(at_ms(20)));
  f.on_position({1100});
  EXPECT_TRUE(f.proven_since(at_ms(1010)));
}

struct WaitingCache {
  WaitingCache() {
    cache.on_cold_start({pg::Xid{5}, pg::Xid{5}, {}}, pg::Lsn{50});
    cache.on_stream_connected();
    cache.set_snapshot({pg::Xid{5}, pg::Xid{5}, {}});
  }
  std::unique_ptr<Wait> wait(int since_ms) {
    return cache.wait_for_proof(at_ms(since_ms), [this] { ++woken; });
  }
  int woken = 0;
  Cache cache{CacheLimits{.proves_hits = true}, [](const std::vector<pg::Oid>&) {}};
};

TEST(ProofWait, EndsWithAProofThatIsYoungEnough) {
  WaitingCache c;
  const auto first = c.wait(10);
  const auto second = c.wait(20);
  c.cache.on_heartbeat(pg::Lsn{50}, at_ms(9));
  EXPECT_EQ(c.woken, 0);
  c.cache.on_heartbeat(pg::Lsn{60}, at_ms(10));
  EXPECT_EQ(c.woken, 0);
  c.cache.on_position(pg::Lsn{60});
  EXPECT_EQ(c.woken, 1);
  c.cache.on_heartbeat(pg::Lsn{60}, at_ms(25));
  EXPECT_EQ(c.woken, 2);
}

TEST(ProofWait, EndsAtOnceWhenTheProofIsThere) {
  WaitingCache c;
  c.cache.on_heartbeat(pg::Lsn{50}, at_ms(10));
  const auto wait = c.wait(10);
  EXPECT_EQ(c.woken, 1);
}

TEST(ProofWait, EndsWhenThereIsNoKnowing) {
  WaitingCache c;
  const auto first = c.wait(10);
  c.cache.on_stream_disconnected();
  EXPECT_EQ(c.woken, 1);
  const auto second = c.wait(10);
  c.cache.suspend();
  EXPECT_EQ(c.woken, 2);
}

TEST(ProofWait, ThatIsDroppedIsNotWoken) {
  WaitingCache c;
  for (int i = 0; i < 1000; ++i) c.wait(10).reset();
  const auto kept = c.wait(10);
  c.cache.on_heartbeat(pg::Lsn{50}, at_ms(10));
  EXPECT_EQ(c.woken, 1);
}

}  // namespace
}  // namespace pgcache::cache
