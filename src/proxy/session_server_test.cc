// SPDX-License-Identifier: Apache-2.0
// Sessions whose connection leads to another server than the changes come from, as after a failover
// which the old server outlived.
#include <gtest/gtest.h>

#include "proxy/session_test_support.h"

namespace pgcache::proxy::testing {
namespace {

const std::string kRead = query("SELECT id FROM users WHERE id = 7");
const std::string kAnswer = row_description() + row({"7"}) + complete("SELECT 1") + ready();

constexpr std::size_t kStarted = 6;  // column from the end: when the server was started

struct ServerWorld : World {
  ServerWorld() {
    environment.server_started = &started;
    environment.on_other_server = [this] { ++told; };
  }
  std::atomic<std::uint64_t> started{parse_started("1700000000.5")};
  int told = 0;
};

// A read, before which the session asks, and hears that its server was started then.
void read_at(Peer& peer, const std::string& started) {
  peer.client(kRead);
  ASSERT_EQ(peer.to_origin(), query(settings_query()));
  peer.origin(Peer::settings_reply({{kStarted, started}}));
}

TEST(SessionServer, OfTheSameServerIsServed) {
  ServerWorld world;
  Peer peer(world);
  read_at(peer, "1700000000.5");
  EXPECT_EQ(peer.to_origin(), kRead);
  peer.origin(kAnswer);
  peer.client(kRead);
  EXPECT_EQ(peer.to_client(), kAnswer + kAnswer);
  EXPECT_EQ(world.stats.hits.load(), 1U);
  EXPECT_EQ(world.told, 0);
}

TEST(SessionServer, OfAnotherServerIsNeitherServedNorLoads) {
  ServerWorld world;
  Peer peer(world);
  read_at(peer, "1800000000.5");
  for (int i = 0; i < 3; ++i) {
    if (i > 0) peer.client(kRead);
    EXPECT_EQ(peer.to_origin(), kRead);
    peer.origin(kAnswer);
    EXPECT_EQ(peer.to_client(), kAnswer);
  }
  EXPECT_EQ(world.bypasses(sql::BypassReason::kOtherDatabase), 3U);
  EXPECT_EQ(world.stats.misses.load(), 0U);
  EXPECT_EQ(world.told, 1);
}

// What it loaded before is not its own any more.
TEST(SessionServer, IsLeftBehindWhenTheChangesComeFromAnother) {
  ServerWorld world;
  Peer peer(world);
  read_at(peer, "1700000000.5");
  EXPECT_EQ(peer.to_origin(), kRead);
  peer.origin(kAnswer);
  EXPECT_EQ(peer.to_client(), kAnswer);
  world.started = parse_started("1800000000.5");
  ++world.epoch;
  read_at(peer, "1700000000.5");
  EXPECT_EQ(peer.to_origin(), kRead);
  peer.origin(kAnswer);
  EXPECT_EQ(world.stats.hits.load(), 0U);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kOtherDatabase), 1U);
  EXPECT_EQ(world.told, 1);
}

}  // namespace
}  // namespace pgcache::proxy::testing
