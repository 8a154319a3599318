// SPDX-License-Identifier: Apache-2.0
// Exchanges of which a part ends with a Flush.
#include <gtest/gtest.h>

#include "proxy/session.h"
#include "proxy/session_test_support.h"

namespace pgcache::proxy::testing {
namespace {

using std::chrono::milliseconds;

const std::string kQuery = "SELECT id FROM users WHERE name = $1 ORDER BY id";
const std::string kRows3 = row({"1"}) + row({"2"}) + row({"3"});
const std::string kSuspended = frame('s', "");
const std::string kClosed = frame('3', "");

std::string of_portal(char tag) { return frame(tag, "Pc\0"s); }
std::string run(std::uint32_t limit) {
  std::string body = "c\0"s;
  append_be32(body, limit);
  return frame('E', body);
}
std::string open(std::string_view value = "a") {
  return parse("", kQuery) + bind("", {std::string(value)}, "c") + of_portal('D') + flush();
}
const std::string kOpened = kParsed + kBound + row_description();

// The settings are known, and the whole result is in memory.
void warm(Peer& peer, const std::string& settings = Peer::settings_reply()) {
  const std::string read =
      parse("", kQuery) + bind("", {"a"}) + describe_portal() + execute() + sync();
  peer.client(read);
  ASSERT_EQ(peer.to_origin(), query(settings_query()));
  peer.origin(settings);
  ASSERT_EQ(peer.to_origin(), read);
  peer.origin(kOpened + kRows3 + complete("SELECT 3") + ready());
  peer.to_client();
}
// What goes in front of the first message to the origin.
bool tells_of_exchange(const std::string& sent, bool executed) {
  return sent.starts_with(frame('C', "Spgcache settings\0"s)) &&
         sent.find(settings_query()) != std::string::npos &&
         (sent.find("E\0\0\0\x19pgcache settings"s) != std::string::npos) == executed;
}

TEST(SessionFlush, ACursorIsAnsweredFromMemory) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(open());
  EXPECT_EQ(peer.to_client(), kOpened);
  peer.client(run(2) + flush());
  EXPECT_EQ(peer.to_client(), row({"1"}) + row({"2"}) + kSuspended);
  peer.client(run(2) + flush());
  EXPECT_EQ(peer.to_client(), row({"3"}) + complete("SELECT 1"));
  peer.client(of_portal('C') + sync());
  EXPECT_EQ(peer.to_client(), kClosed + ready());
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.hits.load(), 2u);
  // The transaction is over, and the portal with it.
  peer.client(run(1) + sync());
  EXPECT_EQ(peer.to_origin(), run(1) + sync());
}

TEST(SessionFlush, ALoneSyncOrFlushIsAnsweredHereToo) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(open() + flush());
  peer.client(sync());
  EXPECT_EQ(peer.to_client(), kOpened + ready());
  EXPECT_EQ(peer.to_origin(), "");
  peer.client(sync());
  EXPECT_EQ(peer.to_origin(), sync());
}

TEST(SessionFlush, BehindASyncItAsksForNothing) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(flush());
  for (int i = 0; i < 2; ++i) {
    peer.client(open() + run(100) + sync() + flush());
    EXPECT_EQ(peer.to_client(),
              kOpened + row({"1"}) + row({"2"}) + row({"3"}) + complete("SELECT 3") + ready());
    EXPECT_EQ(peer.to_origin(), "");
  }
  EXPECT_EQ(world.stats.hits.load(), 2u);
}

TEST(SessionFlush, TheOriginLearnsOfTheTransactionFirst) {
  for (const bool executed : {false, true}) {
    World world;
    Peer peer(world);
    warm(peer);
    peer.client(open());
    if (executed) peer.client(run(1) + flush());
    peer.to_client();
    const std::string prepare = parse("", "INSERT INTO users VALUES (9)");
    const std::string write = bind("", {}) + execute();
    peer.client(prepare + write + run(1) + sync());
    const std::string sent = peer.to_origin();
    EXPECT_TRUE(tells_of_exchange(sent, executed)) << sent;
    EXPECT_TRUE(sent.ends_with(write + sync())) << sent;
    EXPECT_NE(sent.find("pgcache: a portal", sent.find(prepare)), std::string::npos) << sent;
    std::string unseen = kClosed + kParsed + kBound;
    if (executed) unseen += row({"x"}) + complete("SELECT 1");
    peer.origin(unseen + kClosed + kClosed + kParsed + kParsed + kBound + kClosed);
    peer.origin(kBound + complete("INSERT 0 1"));
    EXPECT_EQ(peer.to_client(),
              kParsed + kBound + complete("INSERT 0 1") + row({executed ? "2" : "1"}) + kSuspended);
    peer.origin(ready());
    EXPECT_EQ(peer.to_client(), ready());
    EXPECT_EQ(world.stats.hits.load(), executed ? 2u : 1u);
  }
}

TEST(SessionFlush, ASimpleQueryGoesToTheOrigin) {
  World world;
  Peer peer(world);
  warm(peer);
  const std::string read = query("SELECT id FROM users WHERE id = 7");
  peer.client(read);
  peer.to_origin();
  peer.origin(row_description() + row({"7"}) + complete("SELECT 1") + ready());
  peer.client(open());
  peer.client(read);
  const std::string sent = peer.to_origin();
  EXPECT_TRUE(tells_of_exchange(sent, false));
  EXPECT_TRUE(sent.ends_with(read));
  EXPECT_EQ(world.bypasses(sql::BypassReason::kPipeline), 1u);
}

TEST(SessionFlush, APartThatIsNotInMemoryIsLoadedAsItIsFetched) {
  World world;
  Peer peer(world);
  warm(peer);
  world.configuration_checked = TimePoint{};
  peer.client(open("b") + run(2) + flush());
  EXPECT_EQ(peer.to_origin(), open("b") + run(2) + flush());
  peer.origin(kOpened + row({"1"}) + row({"2"}) + kSuspended);
  peer.client(run(2) + flush());
  EXPECT_EQ(peer.to_origin(), run(2) + flush());
  peer.origin(row({"3"}) + complete("SELECT 1"));
  peer.client(of_portal('C') + sync());
  peer.origin(kClosed + ready());
  peer.to_client();
  peer.to_origin();
  EXPECT_EQ(world.stats.misses.load(), 3u);  // and the first one of all
  // Not before it is known under which configuration the portions came.
  const std::string read = bind("", {"b"}) + execute() + sync();
  peer.client(read);
  EXPECT_EQ(peer.to_origin(), read);
  peer.origin(kBound + kRows3 + complete("SELECT 3") + ready());
  peer.to_client();
  world.configuration_checked = TimePoint::max();
  peer.client(read);
  EXPECT_EQ(peer.to_client(), kBound + kRows3 + complete("SELECT 3") + ready());
}

TEST(SessionFlush, ALoadIsGivenUpInTime) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(open("b") + run(2) + flush());
  peer.to_origin();
  peer.origin(kOpened + row({"1"}) + row({"2"}) + kSuspended);
  ASSERT_TRUE(peer.io.timer);
  peer.io.time = *peer.io.timer;
  world.prove_fresh(peer.io.time);
  peer.session.on_timer();
  peer.client(run(2) + of_portal('C') + sync());
  peer.origin(row({"3"}) + complete("SELECT 1") + kClosed + ready());
  peer.to_client();
  peer.to_origin();
  const std::string read = bind("", {"b"}) + execute() + sync();
  peer.client(read);
  EXPECT_EQ(peer.to_origin(), read);
}

// What a time limit of the origin would end, and who wants the origin to know of transactions.
TEST(SessionFlush, WhereTimeCountsThePartsGoToTheOrigin) {
  for (const std::size_t timeout : {5u, 4u, 3u, 2u}) {
    World world;
    Peer peer(world);
    warm(peer, Peer::settings_reply({{timeout, "60"}}));
    peer.client(open());
    EXPECT_EQ(peer.to_origin(), open());
  }
  World world;
  Peer peer(world);
  warm(peer);
  world.config.defer_begin = false;
  peer.client(open());
  EXPECT_EQ(peer.to_origin(), open());
  peer.origin(kOpened);
  peer.client(run(1) + sync());
  peer.origin(row({"1"}) + kSuspended + ready());
  EXPECT_EQ(world.bypasses(sql::BypassReason::kFlush), 1u);
}

TEST(SessionFlush, NotificationsWaitForTheSync) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(open());
  peer.to_client();
  const std::string notification = frame('A', "\0\0\0\1x\0\0"s);
  peer.origin(notification);
  EXPECT_EQ(peer.to_client(), "");
  peer.client(sync());
  EXPECT_EQ(peer.to_client(), notification + ready());
}

TEST(SessionFlush, ADeferredBlockStaysDeferred) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(query("BEGIN"));
  peer.client(open() + run(2) + flush());
  peer.client(sync());
  peer.client(run(2) + flush());
  peer.client(of_portal('C') + sync() + query("COMMIT"));
  EXPECT_EQ(peer.to_client(), complete("BEGIN") + ready('T') + kOpened + row({"1"}) + row({"2"}) +
                                  kSuspended + ready('T') + row({"3"}) + complete("SELECT 1") +
                                  kClosed + ready('T') + complete("COMMIT") + ready());
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.hits.load(), 2u);
}

}  // namespace
}  // namespace pgcache::proxy::testing
