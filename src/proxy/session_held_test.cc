// SPDX-License-Identifier: Apache-2.0
// Exchanges whose Sync is not there yet: which are passed on, when, and as what they count.
#include <gtest/gtest.h>

#include "proxy/session.h"
#include "proxy/session_test_support.h"

namespace pgcache::proxy::testing {
namespace {

using std::chrono::milliseconds;

const std::string kRead = "SELECT id FROM users WHERE id = $1";
const std::string kExchange = parse("", kRead) + bind("", {"7"}) + describe_portal() + execute();
const std::string kAnswer =
    kParsed + kBound + row_description() + row({"7"}) + complete("SELECT 1") + ready();
const std::string kWrite = bind("w", {}) + execute();

// Settings are known, and the read is in memory.
void warm(Peer& peer) {
  peer.client(kExchange + sync());
  peer.answer_settings();
  ASSERT_EQ(peer.to_origin(), kExchange + sync());
  peer.origin(kAnswer);
  peer.to_client();
}

void prepare_write(Peer& peer) {
  const std::string prepare = parse("w", "INSERT INTO orders (id) VALUES (1)") + sync();
  peer.client(prepare);
  ASSERT_EQ(peer.to_origin(), prepare);
  peer.origin(kParsed + ready());
  peer.to_client();
}

void pass(Peer& peer, milliseconds time) {
  peer.io.time += time;
  peer.world.prove_fresh(peer.io.time);
  if (peer.io.timer && *peer.io.timer <= peer.io.time) {
    peer.io.timer.reset();
    peer.session.on_timer();
  }
}

TEST(SessionHeld, AWriteGoesOnAsItComes) {
  World world;
  Peer peer(world);
  warm(peer);
  prepare_write(peer);
  peer.client(bind("w", {}));
  EXPECT_EQ(peer.to_origin(), "");
  peer.client(execute());
  EXPECT_EQ(peer.to_origin(), kWrite);
  // The rest of it is held by nobody.
  for (int i = 0; i < 1000; ++i) {
    peer.client(kWrite);
    ASSERT_EQ(peer.to_origin(), kWrite);
    ASSERT_EQ(peer.session.client_input().size(), 0u);
  }
  EXPECT_EQ(world.bypasses(sql::BypassReason::kNotRead), 1001u);
  // An error comes at once.
  peer.origin(error("23505"));
  EXPECT_EQ(peer.to_client(), error("23505"));
  peer.client(sync());
  EXPECT_EQ(peer.to_origin(), sync());
  peer.origin(ready());
  EXPECT_EQ(peer.to_client(), ready());
  EXPECT_FALSE(peer.io.timer);
}

TEST(SessionHeld, AReadBehindAWriteSeesIt) {
  World world;
  Peer peer(world);
  warm(peer);
  prepare_write(peer);
  peer.client(kWrite);
  peer.client(kExchange + sync());
  EXPECT_EQ(peer.to_origin(), kWrite + kExchange + sync());
  EXPECT_EQ(world.bypasses(sql::BypassReason::kInTransaction), 1u);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kNotRead), 1u);
  EXPECT_EQ(world.stats.hits.load(), 0u);
}

TEST(SessionHeld, AReadWaitsForItsSync) {
  World world;
  Peer peer(world);
  warm(peer);
  for (const char byte : kExchange) {
    peer.client(std::string(1, byte));
    pass(peer, milliseconds(0));
  }
  EXPECT_EQ(peer.to_origin(), "");
  pass(peer, milliseconds(9));
  peer.client(sync());
  EXPECT_EQ(peer.to_client(), kAnswer);
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_FALSE(peer.io.timer);
  EXPECT_EQ(world.stats.hits.load(), 1u);
}

TEST(SessionHeld, InSilenceWhatIsThereGoesOn) {
  World world;
  Peer peer(world);
  warm(peer);
  const std::string prepare = parse("s", kRead);
  peer.client(prepare);
  pass(peer, milliseconds(9));
  EXPECT_EQ(peer.to_origin(), "");
  pass(peer, milliseconds(1));
  EXPECT_EQ(peer.to_origin(), prepare);
  peer.client(bind("s", {"7"}) + execute());
  EXPECT_EQ(peer.to_origin(), bind("s", {"7"}) + execute());
  EXPECT_EQ(world.bypasses(sql::BypassReason::kPaused), 1u);
  peer.client(sync());
  EXPECT_EQ(peer.to_origin(), sync());
  peer.origin(kParsed + kBound + row({"7"}) + complete("SELECT 1") + ready());
  peer.to_client();
  // The next exchange is a hit again.
  peer.client(bind("s", {"7"}) + execute() + sync());
  EXPECT_EQ(peer.to_client(), kBound + row({"7"}) + complete("SELECT 1") + ready());
}

// However the bytes trickle.
TEST(SessionHeld, NothingIsHeldForLong) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(kExchange);
  const std::string more = bind("", {"77777777777"});
  std::size_t sent = 0;
  while (peer.to_origin().empty()) {
    ASSERT_LT(sent, 12u);
    pass(peer, milliseconds(9));
    peer.client(more.substr(sent++, 1));
  }
  EXPECT_GE(sent, 10u);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kPaused), 1u);
}

// What is prepared without known settings can hardly ever be served.
TEST(SessionHeld, InSilenceTheSettingsAreAskedForFirst) {
  World world;
  Peer peer(world);
  peer.client(parse("s", kRead));
  pass(peer, milliseconds(10));
  peer.answer_settings();
  EXPECT_EQ(peer.to_origin(), parse("s", kRead));
}

TEST(SessionHeld, AReadThatCannotBeServedInItsBlockGoesOn) {
  World world;
  Peer peer(world);
  warm(peer);
  world.config.defer_begin = false;
  peer.client(query("BEGIN"));
  peer.origin(complete("BEGIN") + ready('T'));
  peer.client(query("UPDATE users SET name = 'x'"));
  peer.origin(complete("UPDATE 1") + ready('T'));
  peer.to_origin();
  peer.client(kExchange);
  EXPECT_EQ(peer.to_origin(), kExchange);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kInTransaction), 1u);
}

TEST(SessionHeld, TheDeferredBeginGoesInFront) {
  World world;
  Peer peer(world);
  warm(peer);
  prepare_write(peer);
  peer.client(query("BEGIN"));
  EXPECT_EQ(peer.to_origin(), "");
  peer.client(kWrite);
  const std::string sent = peer.to_origin();
  EXPECT_NE(sent.find("BEGIN"), std::string::npos);
  EXPECT_TRUE(sent.ends_with(kWrite));
}

}  // namespace
}  // namespace pgcache::proxy::testing
