// SPDX-License-Identifier: Apache-2.0
// Answers from memory leave the origin behind; what goes to it unseen so that no client notices.
#include <gtest/gtest.h>

#include "proxy/session.h"
#include "proxy/session_test_support.h"

namespace pgcache::proxy::testing {
namespace {

const std::string kText = "SELECT id FROM users WHERE id = $1";
const std::string kClosed = frame('3', "");
const std::string kCloseStatement = frame('C', "S\0"s);
const std::string kClosePortal = frame('C', "P\0"s);
const std::string kExchange =
    parse("", kText) + bind("", {"7"}) + describe_portal() + execute() + sync();
const std::string kExchangeAnswer = kParsed + kBound + kAnswer7 + ready();

// Both ways of asking are in memory afterwards; the unnamed statement is gone.
void warm(Peer& peer) {
  peer.client(kExchange);
  peer.answer_settings();
  ASSERT_EQ(peer.to_origin(), kExchange);
  peer.origin(kExchangeAnswer);
  peer.client(kSelect7);
  ASSERT_EQ(peer.to_origin(), kSelect7);
  peer.origin(kAnswer7 + ready());
  peer.to_client();
  ASSERT_EQ(peer.world.stats.misses.load(), 2u);
}

// The unnamed statement has been prepared and executed from memory alone.
void prepare_in_memory(Peer& peer) {
  warm(peer);
  peer.client(kExchange);
  ASSERT_EQ(peer.to_client(), kExchangeAnswer);
}

// And is prepared at the origin, before its use goes there.
void expect_prepared_first(Peer& peer, const std::string& use) {
  EXPECT_EQ(peer.to_origin(), prepare_again("", kText));
  peer.origin(kPreparedAgain);
  EXPECT_EQ(peer.to_origin(), use);
}

// At the origin.
void begin(Peer& peer) {
  peer.world.config.defer_begin = false;
  peer.client(query("BEGIN"));
  ASSERT_EQ(peer.to_origin(), query("BEGIN"));
  peer.origin(complete("BEGIN") + ready('T'));
  peer.to_client();
}

// In a block: the unnamed portal of this text has been executed in part. `more` comes with it.
void suspend_portal(Peer& peer, std::string_view text, const std::vector<std::string>& values,
                    const std::string& more = "") {
  begin(peer);
  peer.client(parse("k", text) + sync());
  peer.to_origin();
  peer.origin(kParsed + ready('T'));
  const std::string first = testing::bind("k", values) + execute(3) + sync();
  peer.client(first);
  ASSERT_EQ(peer.to_origin(), first);
  peer.origin(kBound + row({"1"}) + frame('s', "") + more + ready('T'));
  peer.to_client();
}

TEST(SessionBehind, WhatAnErrorDiscardsLeavesTheUnnamedStatementGone) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(kSelect7);  // from memory: the client's unnamed statement is gone, the origin's not
  ASSERT_EQ(peer.to_client(), kAnswer7 + ready());
  const std::string failing = testing::bind("absent", {}) + parse("", "SELECT 1") + sync();
  peer.client(failing);
  EXPECT_EQ(peer.to_origin(), failing);
  peer.origin(error("26000") + ready());
  EXPECT_EQ(peer.to_client(), error("26000") + ready());
  const std::string use = testing::bind("", {"7"}) + sync();
  peer.client(use);
  EXPECT_EQ(peer.to_origin(), kCloseStatement + use);
  peer.origin(kClosed + error("26000") + ready());
  EXPECT_EQ(peer.to_client(), error("26000") + ready());
}

TEST(SessionBehind, TextsThatPostgresCannotReadLeaveTheUnnamedStatement) {
  for (const bool simple : {true, false}) {
    World world;
    Peer peer(world);
    prepare_in_memory(peer);
    const std::string bad = simple ? query("SELECT '\xff'") : parse("", "SELECT '\xff'") + sync();
    peer.client(bad);
    EXPECT_EQ(peer.to_origin(), bad);
    peer.origin(error("22021") + ready());
    EXPECT_EQ(peer.to_client(), error("22021") + ready());
    const std::string use = testing::bind("", {"7"}) + sync();
    peer.client(use);
    expect_prepared_first(peer, use);
  }
}

TEST(SessionBehind, AQueryThatAnErrorDiscardsLeavesTheUnnamedStatement) {
  World world;
  Peer peer(world);
  prepare_in_memory(peer);
  const std::string failing = execute(1) + query("SELECT 1") + sync();
  peer.client(failing);
  EXPECT_EQ(peer.to_origin(), failing);
  peer.origin(error("34000") + ready());
  EXPECT_EQ(peer.to_client(), error("34000") + ready());
  const std::string use = testing::bind("", {"7"}) + sync();
  peer.client(use);
  expect_prepared_first(peer, use);
  peer.origin(kBound + ready());
  EXPECT_EQ(peer.to_client(), kBound + ready());
}

// PostgreSQL keeps what an error discards. Another exchange, which is there already, finds that.
TEST(SessionBehind, AnExchangeWaitsUntilItIsKnownWhatTheUnnamedStatementIs) {
  for (const std::string& discarded : {parse("", "SELECT 1"), frame('C', "S\0"s)}) {
    World world;
    Peer peer(world);
    prepare_in_memory(peer);
    const std::string failing = execute(1) + discarded + sync();
    const std::string use = testing::bind("", {"7"}) + sync();
    peer.client(failing + use);
    EXPECT_EQ(peer.to_origin(), failing);
    peer.origin(error("34000") + ready());
    EXPECT_EQ(peer.to_client(), error("34000") + ready());
    expect_prepared_first(peer, use);
    peer.origin(kBound + ready());
    EXPECT_EQ(peer.to_client(), kBound + ready());
  }
}

TEST(SessionBehind, ACloseThatAnErrorDiscardsIsSentAgain) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(kSelect7);  // from memory
  ASSERT_EQ(peer.to_client(), kAnswer7 + ready());
  const std::string failing = testing::bind("absent", {});
  const std::string use = testing::bind("", {"7"}) + sync();
  peer.client(failing + use + use);
  EXPECT_EQ(peer.to_origin(), failing + kCloseStatement + use);
  peer.origin(error("26000") + ready());
  EXPECT_EQ(peer.to_origin(), kCloseStatement + use);
  peer.origin(kClosed + error("26000") + ready());
  EXPECT_EQ(peer.to_client(), error("26000") + ready() + error("26000") + ready());
}

// Its table was changed since the client's Parse, which the origin never got.
TEST(SessionBehind, AStatementWhoseResultHasChangedIsRefused) {
  const std::string describe = frame('D', "S\0"s);
  for (const bool describes : {false, true}) {
    World world;
    Peer peer(world);
    prepare_in_memory(peer);
    const std::string use = describes ? describe + sync() : testing::bind("", {"8"}) + sync();
    peer.client(use);
    EXPECT_EQ(peer.to_origin(), prepare_again("", kText));
    std::string other = row_description();
    other[other.find('\x17')] = '\x14';  // bigint
    const std::string types = frame('t', "\0\1\0\0\0\x17"s);
    peer.origin(kParsed + types + other);
    EXPECT_EQ(peer.to_origin().find(use), std::string::npos);
    EXPECT_EQ(peer.to_client(), "");
    peer.origin((describes ? types + other : "") + error("26000") + ready());
    const std::string answer = peer.to_client();
    EXPECT_TRUE(answer.starts_with(describes ? types + 'E' : "E"s)) << answer;
    EXPECT_NE(answer.find("0A000"), std::string::npos);
    EXPECT_NE(answer.find("cached plan must not change result type"), std::string::npos);
    EXPECT_TRUE(answer.ends_with(ready()));
    // Prepared anew it is fine.
    peer.client(kExchange);
    EXPECT_EQ(peer.to_client(), kExchangeAnswer);
  }
}

// What stands in front of its use is answered before it is prepared.
TEST(SessionBehind, AStatementIsPreparedInTheMiddleOfAnExchange) {
  World world;
  Peer peer(world);
  prepare_in_memory(peer);
  const std::string first = parse("s", "UPDATE users SET name = 'x'") + bind("s", {}) + execute();
  const std::string use = testing::bind("", {"8"}) + execute() + sync();
  peer.client(first + use);
  EXPECT_EQ(peer.to_origin(), first + prepare_again("", kText));
  peer.origin(kParsed + kBound + complete("UPDATE 1") + kPreparedAgain);
  EXPECT_EQ(peer.to_client(), kParsed + kBound + complete("UPDATE 1"));
  EXPECT_EQ(peer.to_origin(), use);
  peer.origin(kBound + row({"8"}) + complete("SELECT 1") + ready());
  EXPECT_EQ(peer.to_client(), kBound + row({"8"}) + complete("SELECT 1") + ready());
}

TEST(SessionBehind, TheSettingsQueryLeavesTheClientItsUnnamedStatement) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(parse("", kText) + sync());
  ASSERT_EQ(peer.to_origin(), parse("", kText) + sync());
  peer.origin(kParsed + ready());
  // A named statement changes settings: they are unknown then.
  const std::string set =
      parse("w", "SET DateStyle = 'German'") + bind("w", {}) + execute() + sync();
  peer.client(set);
  ASSERT_EQ(peer.to_origin(), set);
  peer.origin(kParsed + kBound + complete("SET") + ready());
  peer.to_client();
  const std::string unit = bind("", {"8"}) + execute() + sync();
  peer.client(unit);
  peer.answer_settings();
  EXPECT_EQ(peer.to_origin(), parse("", kText) + unit);  // the settings query destroyed it
  peer.origin(kParsed + kBound + row({"8"}) + complete("SELECT 1") + ready());
  EXPECT_EQ(peer.to_client(), kBound + row({"8"}) + complete("SELECT 1") + ready());
}

TEST(SessionBehind, ASimpleHitDestroysTheUnnamedStatement) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(parse("", "SELECT name FROM users WHERE id = $1") + sync());
  peer.to_origin();
  peer.origin(kParsed + ready());
  peer.client(kSelect7);
  EXPECT_EQ(world.stats.hits.load(), 1u);
  peer.to_client();
  const std::string unit = bind("", {"7"}) + execute() + sync();
  peer.client(unit);
  EXPECT_EQ(peer.to_origin(), kCloseStatement + unit);
  peer.origin(kClosed + error("26000") + ready());
  EXPECT_EQ(peer.to_client(), error("26000") + ready());
}

TEST(SessionBehind, AHitInABlockReplacesTheUnnamedPortal) {
  for (const bool simple : {true, false}) {
    World world;
    Peer peer(world);
    warm(peer);
    suspend_portal(peer, "SELECT id FROM users", {});
    peer.client(simple ? kSelect7 : kExchange);
    ASSERT_EQ(peer.to_origin(), "") << simple;
    ASSERT_EQ(world.stats.hits.load(), 1u);
    peer.to_client();
    peer.client(execute(3) + sync());
    if (!simple) {  // it has given all its rows
      EXPECT_EQ(peer.to_client(), complete("SELECT 0") + ready('T'));
      continue;
    }
    EXPECT_EQ(peer.to_origin(), kClosePortal + execute(3) + sync());
    peer.origin(kClosed + error("34000") + ready('E'));
    EXPECT_EQ(peer.to_client(), error("34000") + ready('E'));
  }
}

TEST(SessionBehind, AnUnnamedPortalIsNotDestroyedToLearnTheSettings) {
  World world;
  Peer peer(world);
  warm(peer);
  suspend_portal(peer, kText, {"1"}, frame('S', "DateStyle\0German\0"s));
  const std::string named = bind("k", {"7"}, "p") + frame('E', "p\0\0\0\0\0"s) + sync();
  peer.client(named);
  const std::string asked = peer.to_origin();
  EXPECT_NE(asked.front(), 'Q');
  EXPECT_NE(asked.find(settings_query()), std::string::npos);
  EXPECT_TRUE(asked.ends_with(sync()));
  std::string reply = Peer::settings_reply();
  reply = reply.substr(row_description().size(),
                       reply.size() - row_description().size() - 6 - complete("SELECT 1").size());
  peer.origin(kClosed + kParsed + kBound + reply + complete("SELECT 1") + kClosed + kClosed +
              ready('T'));
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(peer.to_client(), kBound + row({"7"}) + complete("SELECT 1") + ready('T'));
  EXPECT_EQ(world.stats.hits.load(), 1u);
  // It goes on.
  peer.client(execute(3) + sync());
  EXPECT_EQ(peer.to_origin(), execute(3) + sync());
}

TEST(SessionBehind, AQueryHasBeenAskedInTheBlockWhenSetTransactionComes) {
  const std::string set = query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
  World world;
  Peer peer(world);
  warm(peer);
  begin(peer);
  peer.client(kSelect7);
  ASSERT_EQ(world.stats.hits.load(), 1u);
  peer.to_client();
  peer.client(set);
  EXPECT_EQ(peer.to_origin(), query(settings_query()) + set);
  std::string reply = Peer::settings_reply();
  reply.back() = 'T';
  peer.origin(reply + error("25001") + ready('E'));
  EXPECT_EQ(peer.to_client(), error("25001") + ready('E'));
}

TEST(SessionBehind, NothingIsAskedForBeforeCommit) {
  World world;
  Peer peer(world);
  warm(peer);
  begin(peer);
  peer.client(kSelect7);
  ASSERT_EQ(world.stats.hits.load(), 1u);
  peer.client(query("COMMIT"));
  EXPECT_EQ(peer.to_origin(), query("COMMIT"));
}

TEST(SessionBehind, AClosedPortalIsNotExecutedFromMemory) {
  World world;
  Peer peer(world);
  warm(peer);
  const std::string unit = parse("", kText) + bind("", {"7"}) + kClosePortal + execute() + sync();
  peer.client(unit);
  EXPECT_EQ(peer.to_origin(), unit);
  EXPECT_EQ(world.stats.hits.load(), 0u);
  peer.origin(kParsed + kBound + kClosed + error("34000") + ready());
  EXPECT_EQ(peer.to_client(), kParsed + kBound + kClosed + error("34000") + ready());
  // Closed behind its execution it is served.
  peer.client(parse("", kText) + bind("", {"7"}) + execute() + kClosePortal + sync());
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.hits.load(), 1u);
}

TEST(SessionBehind, APortalThatMayBeACursorIsTheOrigins) {
  const std::string named = parse("", kText) + bind("", {"7"}, "p") + frame('D', "Pp\0"s) +
                            frame('E', "p\0\0\0\0\0"s) + sync();
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(named);
  EXPECT_EQ(world.stats.hits.load(), 1u);
  // Another one is closed in passing.
  const std::string other =
      parse("", kText) + bind("", {"7"}) + execute() + frame('C', "Pp\0"s) + sync();
  peer.client(other);
  EXPECT_EQ(peer.to_origin(), other);
  peer.origin(kExchangeAnswer);
  const std::string declare = query("DECLARE p CURSOR WITH HOLD FOR SELECT id FROM users");
  peer.client(declare);
  ASSERT_EQ(peer.to_origin(), declare);
  peer.origin(complete("DECLARE CURSOR") + ready());
  peer.client(named);
  peer.answer_settings();
  EXPECT_EQ(peer.to_origin(), named);
  EXPECT_EQ(world.stats.hits.load(), 1u);
}

TEST(SessionBehind, ALargeBindGetsTheStatementThatOnlyMemoryKnows) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(kExchange);
  ASSERT_EQ(world.stats.hits.load(), 1u);
  peer.to_client();
  const std::string unit =
      bind("", {std::string(world.config.max_unit_size + 1, 'x')}) + execute() + sync();
  peer.client(unit);
  EXPECT_EQ(peer.to_origin(), prepare_again("", kText));
  peer.origin(kPreparedAgain);
  std::string sent = peer.to_origin();
  peer.session.on_output_drained();
  sent += peer.to_origin();
  EXPECT_EQ(sent.size(), unit.size());
  EXPECT_EQ(sent.substr(0, 60), unit.substr(0, 60));
}

TEST(SessionBehind, AnAnswerWithoutItsParseIsNotServedToAParse) {
  World world;
  Peer peer(world);
  peer.client(parse("s", kText) + sync());
  peer.answer_settings();
  peer.to_origin();
  const std::string notice = frame('N', "SNOTICE\0C42622\0Mtruncated\0\0"s);
  peer.origin(notice + kParsed + ready());
  const std::string unit = bind("s", {"7"}) + describe_portal() + execute() + sync();
  peer.client(unit);
  ASSERT_EQ(peer.to_origin(), unit);
  peer.origin(kBound + kAnswer7 + ready());
  peer.client(unit);
  EXPECT_EQ(world.stats.hits.load(), 1u);
  peer.to_client();
  for (int i = 0; i < 2; ++i) {  // the notice keeps it out
    peer.client(kExchange);
    EXPECT_EQ(peer.to_origin(), kExchange);
    peer.origin(notice + kExchangeAnswer);
    EXPECT_EQ(peer.to_client(), notice + kExchangeAnswer);
  }
  peer.client(kExchange);
  peer.to_origin();
  peer.origin(kExchangeAnswer);  // none this time: now it serves both
  peer.client(kExchange + unit);
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.hits.load(), 3u);
}

TEST(SessionBehind, NoticesOfHiddenRequestsAreNotTheClients) {
  World world;
  Peer peer(world);
  peer.client(kSelect7);
  ASSERT_EQ(peer.to_origin(), query(settings_query()));
  peer.origin(frame('N', "SLOG\0C00000\0Mstatement\0\0"s) + Peer::settings_reply());
  EXPECT_EQ(peer.to_client(), "");
  EXPECT_EQ(peer.to_origin(), kSelect7);
}

TEST(SessionBehind, AFlushWithABodyIsAnErrorUpToTheNextSync) {
  World world;
  Peer peer(world);
  warm(peer);
  const std::string bad = frame('H', "\0"s);
  peer.client(bad + kSelect7 + sync());
  EXPECT_EQ(peer.to_origin(), bad);  // the query waits for what comes of it
  peer.origin(error("08P01"));
  EXPECT_EQ(peer.to_origin(), kSelect7 + sync());  // discarded there up to the Sync
  peer.origin(ready());
  EXPECT_EQ(peer.to_client(), error("08P01") + ready());
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready());
}

TEST(SessionBehind, NamesDifferInTheirFirst63Bytes) {
  const std::string name(63, 'n');
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(parse(name + "x", kText) + sync());
  peer.to_origin();
  peer.origin(kParsed + ready());
  peer.client(frame('C', "S" + name + "y\0"s) + sync());
  peer.to_origin();
  peer.origin(kClosed + ready());
  peer.to_client();
  const std::string unit = bind(name + "x", {"7"}) + execute() + sync();
  peer.client(unit);
  EXPECT_EQ(peer.to_origin(), unit);
  EXPECT_EQ(world.stats.hits.load(), 0u);
}

TEST(SessionBehind, AnUnknownProtocolIsTheOriginsToRefuse) {
  World world;
  FakeIo io;
  Session session(world.environment, io);
  session.start();
  const std::string packet = "\0\0\0\x0c\0\4\0\0abc\0"s;
  session.client_input().append(packet);
  session.on_client_bytes();
  session.on_origin_connected(false);
  EXPECT_EQ(session.to_origin().pieces(1).front(), packet);
  session.origin_input().append(error("0A000"));
  session.on_origin_bytes();
  EXPECT_EQ(session.to_client().pieces(1).front(), error("0A000"));
}

}  // namespace
}  // namespace pgcache::proxy::testing
