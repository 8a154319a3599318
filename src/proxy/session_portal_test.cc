// SPDX-License-Identifier: Apache-2.0
// Executes with a row limit, and portals whose rows are in memory.
#include <gtest/gtest.h>

#include "proxy/session.h"
#include "proxy/session_test_support.h"

namespace pgcache::proxy::testing {
namespace {

const std::string kText = "SELECT id FROM users WHERE id > $1";
const std::string kRows = row({"1"}) + row({"2"}) + row({"3"});
const std::string kSuspended = frame('s', ""), kClosed = frame('3', "");
const std::string kOpened = frame('C', "Spgcache: a portal\0"s);  // ends what opens one there

std::string run(std::string_view portal, std::uint32_t limit) {
  std::string body = std::string(portal) + '\0';
  append_be32(body, limit);
  return frame('E', body);
}
std::string close_portal(std::string_view name) {
  return frame('C', 'P' + std::string(name) + '\0');
}
std::string fetch(std::uint32_t limit, std::string_view portal = "") {
  return parse("", kText) + bind("", {"0"}, portal) + run(portal, limit);
}

// Settings are known, and the whole result is in memory.
void warm(Peer& peer) {
  peer.client(fetch(0) + sync());
  peer.answer_settings();
  ASSERT_EQ(peer.to_origin(), fetch(0) + sync());
  peer.origin(kParsed + kBound + kRows + complete("SELECT 3") + ready());
  peer.to_client();
}

// Only its first two rows are.
void warm_limited(Peer& peer) {
  peer.client(fetch(2) + sync());
  peer.answer_settings();
  ASSERT_EQ(peer.to_origin(), fetch(2) + sync());
  peer.origin(kParsed + kBound + row({"1"}) + row({"2"}) + kSuspended + ready());
  peer.to_client();
}

void begin(Peer& peer) {
  peer.client(query("BEGIN"));
  ASSERT_EQ(peer.to_client(), complete("BEGIN") + ready('T'));
  ASSERT_EQ(peer.to_origin(), "");
}

// In a block that only memory knows, a portal "p" of which the first row was fetched.
void open_in_memory(Peer& peer) {
  begin(peer);
  peer.client(fetch(1, "p") + sync());
  peer.to_client();
}

TEST(SessionPortal, APortalThatIsClosedInAForwardedExchangeIsGone) {
  World world;
  world.config.defer_begin = false;
  Peer peer(world);
  warm(peer);
  peer.client(query("BEGIN"));
  peer.origin(complete("BEGIN") + ready('T'));
  peer.to_client();
  peer.client(fetch(0, "p") + sync());
  EXPECT_EQ(peer.to_client(), kParsed + kBound + kRows + complete("SELECT 3") + ready('T'));
  peer.to_origin();
  const std::string close_other = frame('C', "Snone\0"s);
  peer.client(run("p", 50) + close_other + close_portal("p") + sync());
  const std::string sent = peer.to_origin();
  EXPECT_TRUE(sent.ends_with(close_other + sync())) << sent;
  peer.client(bind("absent", {}) + sync());
  EXPECT_TRUE(peer.to_origin().ends_with(bind("absent", {}) + sync()));
}

TEST(SessionPortal, AnAnswerUnderARowLimitIsServedAgain) {
  World world;
  Peer peer(world);
  warm_limited(peer);
  peer.client(fetch(2) + sync());
  EXPECT_EQ(peer.to_client(), kParsed + kBound + row({"1"}) + row({"2"}) + kSuspended + ready());
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.hits.load(), 1u);
  // It says nothing of another limit, or of none.
  for (const std::uint32_t limit : {1u, 3u, 0u}) {
    peer.client(fetch(limit) + sync());
    EXPECT_EQ(peer.to_origin(), fetch(limit) + sync());
    peer.origin(kParsed + kBound + complete("SELECT 0") + ready());
    peer.to_client();
  }
}

TEST(SessionPortal, TheWholeResultServesAnyLimit) {
  World world;
  Peer peer(world);
  warm(peer);
  const std::vector<std::pair<std::uint32_t, std::string>> answers = {
      {1, row({"1"}) + kSuspended},
      {2, row({"1"}) + row({"2"}) + kSuspended},
      {3, kRows + kSuspended},
      {4, kRows + complete("SELECT 3")},
      {0x80000000u, kRows + complete("SELECT 3")}};
  for (const auto& [limit, answer] : answers) {
    peer.client(fetch(limit) + sync());
    EXPECT_EQ(peer.to_client(), kParsed + kBound + answer + ready());
  }
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.hits.load(), 5u);
}

TEST(SessionPortal, SeveralExecutesOfOnePortal) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(fetch(1, "p") + run("p", 2) + run("p", 1) + run("p", 0) + close_portal("p") + sync());
  EXPECT_EQ(peer.to_client(), kParsed + kBound + row({"1"}) + kSuspended + row({"2"}) + row({"3"}) +
                                  kSuspended + complete("SELECT 0") + complete("SELECT 0") +
                                  kClosed + ready());
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.hits.load(), 5u - 1u);
}

TEST(SessionPortal, APortalGoesOnInItsBlock) {
  World world;
  Peer peer(world);
  warm(peer);
  begin(peer);
  peer.client(fetch(1, "p") + sync());
  EXPECT_EQ(peer.to_client(), kParsed + kBound + row({"1"}) + kSuspended + ready('T'));
  peer.client(fetch(0) + sync());
  EXPECT_EQ(peer.to_client(), kParsed + kBound + kRows + complete("SELECT 3") + ready('T'));
  peer.client(run("p", 1) + sync());
  EXPECT_EQ(peer.to_client(), row({"2"}) + kSuspended + ready('T'));
  peer.client(run("", 0) + sync());
  EXPECT_EQ(peer.to_client(), complete("SELECT 0") + ready('T'));
  peer.client(run("p", 0) + close_portal("p") + sync());
  EXPECT_EQ(peer.to_client(), row({"3"}) + complete("SELECT 1") + kClosed + ready('T'));
  peer.client(query("COMMIT"));
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.blocks_local.load(), 1u);
  peer.to_client();
  // It died with the block.
  peer.client(run("", 0) + sync());
  EXPECT_EQ(peer.to_origin(), run("", 0) + sync());
}

TEST(SessionPortal, ItsAnswerTakesItsTurnAmongThoseOfTheOrigin) {
  World world;
  Peer peer(world);
  warm(peer);
  open_in_memory(peer);
  const std::string close = frame('C', "Ss\0"s);
  peer.client(close + run("p", 1) + close + close_portal("p") + sync());
  EXPECT_EQ(peer.to_client(), "");
  EXPECT_TRUE(peer.to_origin().ends_with(close + close + sync()));
  peer.origin(kParsed + kBound + complete("BEGIN") + kClosed);
  peer.origin(kClosed);
  EXPECT_EQ(peer.to_client(), kClosed + row({"2"}) + kSuspended);
  peer.origin(kClosed);
  EXPECT_EQ(peer.to_client(), kClosed + kClosed);
  peer.origin(ready('T'));
  EXPECT_EQ(peer.to_client(), ready('T'));
}

TEST(SessionPortal, AnErrorInFrontOfItDiscardsIt) {
  World world;
  Peer peer(world);
  warm(peer);
  open_in_memory(peer);
  peer.client(parse("x", "nonsense") + run("p", 1) + close_portal("p") + sync());
  peer.to_origin();
  peer.origin(kParsed + kBound + complete("BEGIN") + kClosed);
  peer.to_client();
  peer.origin(error("42601") + ready('E'));
  EXPECT_EQ(peer.to_client(), error("42601") + ready('E'));
}

// The client may ask for the others later, and they must be those of the same moment.
TEST(SessionPortal, InABlockTheFirstRowsAreNotServedIfThereMayBeMore) {
  World world;
  Peer peer(world);
  warm_limited(peer);
  begin(peer);
  peer.client(fetch(2) + sync());
  EXPECT_TRUE(peer.to_origin().ends_with(fetch(2) + sync()));
  EXPECT_EQ(world.stats.hits.load(), 0u);
  EXPECT_EQ(world.stats.misses.load(), 2u);
  peer.origin(kParsed + kBound + complete("BEGIN") + kClosed);
  peer.origin(kParsed + kBound + row({"1"}) + row({"2"}) + kSuspended + ready('T'));
  peer.to_client();
  peer.client(run("", 1) + sync());
  EXPECT_EQ(peer.to_origin(), run("", 1) + sync());
  peer.origin(row({"3"}) + kSuspended + ready('T'));
  EXPECT_EQ(peer.to_client(), row({"3"}) + kSuspended + ready('T'));
}

// What cannot have more rows is whole, though the row limit has suspended its portal.
TEST(SessionPortal, AsManyRowsAsThereCanBeAreTheWholeResult) {
  for (const std::string text : {"SELECT count(*) FROM users WHERE id > $1",
                                 "SELECT id FROM users WHERE id > $1 ORDER BY id LIMIT 1"}) {
    World world;
    Peer peer(world);
    const std::string first = parse("", text) + bind("", {"7"}) + run("", 1) + sync();
    peer.client(first);
    peer.answer_settings();
    ASSERT_EQ(peer.to_origin(), first);
    peer.origin(kParsed + kBound + row({"7"}) + kSuspended + ready());
    peer.to_client();
    begin(peer);
    peer.client(first);
    EXPECT_EQ(peer.to_client(), kParsed + kBound + row({"7"}) + kSuspended + ready('T')) << text;
    peer.client(run("", 1) + sync());
    EXPECT_EQ(peer.to_client(), complete("SELECT 0") + ready('T'));
    // And it serves any other limit.
    peer.client(parse("", text) + bind("", {"7"}) + run("", 0) + sync());
    EXPECT_EQ(peer.to_client(), kParsed + kBound + row({"7"}) + complete("SELECT 1") + ready('T'));
    EXPECT_EQ(peer.to_origin(), "");
    EXPECT_EQ(world.stats.hits.load(), 3u);
  }
}

TEST(SessionPortal, ALoadGoesOnWhereRowsAreFetchedPartByPart) {
  World world;
  Peer peer(world);
  peer.client(query("SELECT id FROM users WHERE id = 7"));
  peer.answer_settings();
  peer.to_origin();
  peer.origin(row_description() + row({"7"}) + complete("SELECT 1") + ready());
  peer.to_client();
  begin(peer);
  peer.client(fetch(2, "p") + sync());
  EXPECT_TRUE(peer.to_origin().ends_with(fetch(2, "p") + sync()));
  peer.origin(kParsed + kBound + complete("BEGIN") + kClosed + kParsed + kBound + row({"1"}) +
              row({"2"}) + kSuspended + ready('T'));
  peer.client(run("p", 2) + sync());
  EXPECT_EQ(peer.to_origin(), run("p", 2) + sync());
  peer.origin(row({"3"}) + complete("SELECT 1") + ready('T'));
  EXPECT_EQ(world.stats.misses.load(), 3u);
  peer.client(query("COMMIT"));
  peer.origin(complete("COMMIT") + ready());
  peer.to_client();
  peer.client(fetch(0) + sync());
  EXPECT_EQ(peer.to_client(), kParsed + kBound + kRows + complete("SELECT 3") + ready());
}

TEST(SessionPortal, ANameInUseIsTheOriginsError) {
  World world;
  Peer peer(world);
  warm(peer);
  open_in_memory(peer);
  peer.client(fetch(1, "p") + sync());
  const std::string sent = peer.to_origin();
  EXPECT_LT(sent.find(kText), sent.rfind(kText));  // opened there, and then bound again
  EXPECT_EQ(peer.to_client(), "");
}

// SQL goes on with a portal: what it gives must be the rest of what the client has.
TEST(SessionPortal, AStatementThatFetchesWaitsForThePortalAtTheOrigin) {
  for (const bool same : {true, false}) {
    for (const bool simple : {true, false}) {
      World world;
      Peer peer(world);
      warm(peer);
      open_in_memory(peer);
      const std::string text = "FETCH 1 FROM p";
      const std::string statement =
          simple ? query(text) : parse("", text) + bind("", {}) + execute() + sync();
      peer.client(statement);
      const std::string opened = peer.to_origin();
      EXPECT_TRUE(opened.ends_with(run("p", 1) + kOpened + sync()));
      EXPECT_EQ(opened.find(text), std::string::npos);
      peer.origin(kParsed + kBound + complete("BEGIN") + kClosed);
      peer.origin(kParsed + kBound + row({same ? "1" : "9"}) + kSuspended + kClosed + ready('T'));
      EXPECT_EQ(peer.to_client(), "");
      const std::string sent = peer.to_origin();
      EXPECT_EQ(sent.find("40001") == std::string::npos, same);
      if (same) {
        EXPECT_TRUE(sent.ends_with(statement));
      }
      const std::string refused = error("40001") + ready('E');
      const std::string answer = row({"2"}) + complete("FETCH 1") + ready('T');
      peer.origin(!same ? refused : simple ? answer : kParsed + kBound + answer);
      EXPECT_TRUE(peer.to_client().ends_with(same ? answer : refused));
      EXPECT_FALSE(peer.session.close_client_when_flushed());
    }
  }
}

// Likewise in an exchange that goes on as it comes, and behind another one: no session ends.
TEST(SessionPortal, AStatementThatFetchesInAnOpenExchangeWaitsForThePortal) {
  for (const bool same : {true, false}) {
    World world;
    Peer peer(world);
    warm(peer);
    open_in_memory(peer);
    const std::string other = query("UPDATE users SET name = 'x'");
    const std::string use = parse("", "FETCH 1 FROM p") + bind("", {}) + execute() + flush();
    peer.client(other);
    EXPECT_TRUE(peer.to_origin().ends_with(kOpened + sync()));  // in front of the UPDATE
    peer.origin(kParsed + kBound + complete("BEGIN") + kClosed);
    peer.origin(kParsed + kBound + kClosed + ready('T'));
    EXPECT_EQ(peer.to_origin(), other);
    peer.client(use);
    EXPECT_EQ(peer.to_origin(), parse("", "FETCH 1 FROM p") + run("p", 1) + kOpened + flush());
    peer.origin(complete("UPDATE 1") + ready('T'));
    peer.to_client();
    peer.origin(kParsed + row({same ? "1" : "9"}) + kSuspended + kClosed);
    EXPECT_EQ(peer.to_client(), kParsed);
    const std::string sent = peer.to_origin();
    EXPECT_EQ(sent.find("40001") == std::string::npos, same);
    EXPECT_TRUE(sent.ends_with(bind("", {}) + execute() + flush()));
    const std::string answer = row({"2"}) + complete("FETCH 1");
    peer.origin(same ? kBound + answer : kParsed + kBound + error("40001"));
    EXPECT_EQ(peer.to_client(), same ? kBound + answer : error("40001"));
    peer.client(sync());
    EXPECT_EQ(peer.to_origin(), sync());
    peer.origin(ready(same ? 'T' : 'E'));
    EXPECT_EQ(peer.to_client(), ready(same ? 'T' : 'E'));
    EXPECT_FALSE(peer.session.close_client_when_flushed());
  }
}

// A read that PostgreSQL lets go on although it speaks of the current date.
TEST(SessionPortal, AStatementThatCannotFetchLeavesThePortalInMemory) {
  World world;
  Peer peer(world);
  warm(peer);
  open_in_memory(peer);
  const std::string dates = query("SELECT nextval('s'), current_date, 'of'");
  peer.client(dates);
  EXPECT_TRUE(peer.to_origin().ends_with(dates));
  peer.origin(kParsed + kBound + complete("BEGIN") + kClosed + complete("SELECT 1") + ready('T'));
  peer.client(run("p", 1) + sync());
  EXPECT_TRUE(peer.to_client().ends_with(row({"2"}) + kSuspended + ready('T')));
}

// It was loaded by an exchange that did not ask for the columns.
TEST(SessionPortal, ItsColumnsAreThoseOfAnotherPortal) {
  World world;
  Peer peer(world);
  warm(peer);
  open_in_memory(peer);
  const std::string describe = frame('D', "Pp\0"s) + sync();
  peer.client(describe);
  EXPECT_NE(peer.to_origin().find(kText), std::string::npos);
  peer.origin(kParsed + kBound + complete("BEGIN") + kClosed);
  peer.origin(kParsed + kBound + row_description() + kClosed + kClosed + ready('T'));
  EXPECT_EQ(peer.to_client(), row_description() + ready('T'));
  peer.client(run("p", 1) + sync());
  EXPECT_EQ(peer.to_client(), row({"2"}) + kSuspended + ready('T'));
  EXPECT_EQ(peer.to_origin(), "");
}

}  // namespace
}  // namespace pgcache::proxy::testing
