// SPDX-License-Identifier: Apache-2.0
// Hits that are served behind a proof of freshness only: strict by asking the origin.
#include <gtest/gtest.h>

#include "proxy/session_test_support.h"

namespace pgcache::proxy::testing {
namespace {

using std::chrono::milliseconds;

struct ProvingWorld : World {
  ProvingWorld() {
    environment.request_proof = [this] { ++asked; };
  }
  int asked = 0;
};

// The row is in memory, and time has gone since the last proof.
struct Loaded {
  Loaded() {
    peer.client(kSelect7);
    peer.answer_settings();
    EXPECT_EQ(peer.to_origin(), kSelect7) << "a miss needs no proof";
    peer.origin(kAnswer7 + ready());
    EXPECT_EQ(peer.to_client(), kAnswer7 + ready());
    EXPECT_EQ(world.asked, 0);
    peer.io.time += milliseconds(10);
  }
  void prove() {
    world.prove_fresh(peer.io.time);
    if (peer.io.wakes > 0) peer.session.on_wake();
  }
  ProvingWorld world;
  Peer peer{world};
};

TEST(SessionProof, AHitWaitsForAProofYoungerThanItsRequest) {
  Loaded l;
  l.peer.client(kSelect7);
  EXPECT_EQ(l.world.asked, 1);
  EXPECT_EQ(l.peer.to_client(), "");
  l.world.prove_fresh(l.peer.io.time - milliseconds(1));
  EXPECT_EQ(l.peer.io.wakes, 0);
  l.prove();
  EXPECT_EQ(l.peer.io.wakes, 1);
  EXPECT_EQ(l.peer.to_client(), kAnswer7 + ready());
  EXPECT_EQ(l.peer.to_origin(), "");
  EXPECT_EQ(l.world.stats.hits.load(), 1u);
  EXPECT_FALSE(l.peer.io.timer);
}

TEST(SessionProof, OneProofServesAllThatCameInBeforeIt) {
  Loaded l;
  l.peer.client(kSelect7 + kSelect7 + kSelect7);
  EXPECT_EQ(l.world.asked, 1);
  l.peer.io.time += milliseconds(1);
  l.prove();
  EXPECT_EQ(l.world.asked, 1);
  EXPECT_EQ(l.peer.to_client(), kAnswer7 + ready() + kAnswer7 + ready() + kAnswer7 + ready());
  EXPECT_EQ(l.world.stats.hits.load(), 3u);
}

// What comes in while it waits has to wait for its own, and does not put off the first.
TEST(SessionProof, ALaterRequestNeedsALaterProof) {
  Loaded l;
  l.peer.client(kSelect7);
  const TimePoint first = l.peer.io.time;
  l.peer.io.time += milliseconds(1);
  l.peer.client(kSelect7);
  l.world.prove_fresh(first);
  l.peer.session.on_wake();
  EXPECT_EQ(l.peer.to_client(), kAnswer7 + ready());
  EXPECT_EQ(l.world.asked, 2);
  l.prove();
  EXPECT_EQ(l.peer.to_client(), kAnswer7 + ready());
}

TEST(SessionProof, ExtendedExchangesWaitToo) {
  Loaded l;
  const std::string unit = parse("", "SELECT id FROM users WHERE id = 7") + bind("", {}) +
                           describe_portal() + execute() + sync();
  l.peer.client(unit);
  ASSERT_EQ(l.peer.to_origin(), unit) << "another key: it is loaded";
  l.peer.origin(kParsed + kBound + kAnswer7 + ready());
  EXPECT_EQ(l.peer.to_client(), kParsed + kBound + kAnswer7 + ready());
  l.peer.io.time += milliseconds(1);
  l.peer.client(unit);
  EXPECT_EQ(l.world.asked, 1);
  EXPECT_EQ(l.peer.to_client(), "");
  l.prove();
  EXPECT_EQ(l.peer.to_client(), kParsed + kBound + kAnswer7 + ready());
  EXPECT_EQ(l.peer.to_origin(), "");
}

TEST(SessionProof, ThatDoesNotComeInTimeSendsTheReadToTheOrigin) {
  Loaded l;
  l.peer.client(kSelect7);
  ASSERT_TRUE(l.peer.io.timer);
  EXPECT_EQ(*l.peer.io.timer, l.peer.io.time + l.world.config.max_staleness);
  l.peer.io.time = *l.peer.io.timer;
  l.world.prove_fresh(l.peer.io.time - milliseconds(500));
  l.peer.session.on_timer();
  EXPECT_EQ(l.peer.to_origin(), kSelect7);
  EXPECT_EQ(l.world.fallbacks(FallbackReason::kProofWait), 1u);
}

TEST(SessionProof, AWaitEndsWithTheStream) {
  Loaded l;
  l.peer.client(kSelect7);
  l.world.cache.on_stream_disconnected();
  EXPECT_EQ(l.peer.io.wakes, 1);
  l.peer.session.on_wake();
  EXPECT_EQ(l.peer.to_origin(), kSelect7);
  EXPECT_EQ(l.world.bypasses(sql::BypassReason::kStreamDown), 1u);
}

TEST(SessionProof, ACancelEndsTheWait) {
  Loaded l;
  l.peer.client(kSelect7);
  EXPECT_TRUE(l.peer.session.on_cancel());
  EXPECT_EQ(l.peer.to_origin(), kSelect7);
  EXPECT_EQ(l.world.fallbacks(FallbackReason::kProofWait), 1u);
}

}  // namespace
}  // namespace pgcache::proxy::testing
