// SPDX-License-Identifier: Apache-2.0
// Exchanges that prepare or describe the statement that they execute, BEGIN in front of a read, and
// the unnamed portal where what would have replaced it fails.
#include <gtest/gtest.h>

#include "proxy/session.h"
#include "proxy/session_test_support.h"

namespace pgcache::proxy::testing {
namespace {

const std::string kRead = "SELECT id FROM users WHERE id = $1";
const std::string kClosed = frame('3', "");
const std::string kClosePortal = frame('C', "P\0"s);

std::string describe_statement(std::string_view name = "") {
  return frame('D', 'S' + std::string(name) + '\0');
}
std::string exchange(std::string_view statement) {
  return parse(statement, kRead) + bind(statement, {"7"}) + describe_portal() + execute() + sync();
}
std::string prepared_unseen(std::string_view name) {
  return parse(name, kRead) + describe_statement(name) + sync();
}
const std::string kParameters = frame('t', "\0\1\0\0\0\x17"s);
const std::string kHit = kParsed + kBound + kAnswer7;

// Settings are known, and both ways of asking are in memory.
void warm(Peer& peer) {
  peer.client(exchange(""));
  peer.answer_settings();
  ASSERT_EQ(peer.to_origin(), exchange(""));
  peer.origin(kHit + ready());
  const std::string simple = query("SELECT id FROM users WHERE id = 7");
  peer.client(simple);
  ASSERT_EQ(peer.to_origin(), simple);
  peer.origin(kAnswer7 + ready());
  peer.to_client();
}

// --- named statements

TEST(SessionNamed, TheExchangeThatPreparesAStatementIsAHit) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(exchange("s"));
  EXPECT_EQ(peer.to_client(), kHit + ready());
  EXPECT_EQ(world.stats.hits.load(), 1u);
  EXPECT_EQ(peer.to_origin(), prepared_unseen("s"));
  // What comes next waits for the origin.
  peer.client(query("BEGIN"));
  EXPECT_EQ(peer.to_client(), "");
  peer.origin(kParsed + kParameters + row_description() + ready());
  EXPECT_EQ(peer.to_client(), complete("BEGIN") + ready('T'));
  EXPECT_EQ(world.stats.blocks_deferred.load(), 1u);
  peer.client(query("COMMIT"));
  peer.to_client();
  // The statement is there.
  const std::string other = bind("s", {"8"}) + execute() + sync();
  peer.client(other);
  EXPECT_EQ(peer.to_origin(), other);
}

TEST(SessionNamed, ANameInUseIsTheOriginsError) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(exchange("s"));
  peer.to_origin();
  peer.origin(kParsed + kParameters + row_description() + ready());
  peer.client(exchange("s"));
  EXPECT_EQ(peer.to_origin(), exchange("s"));
  EXPECT_EQ(world.bypasses(sql::BypassReason::kProtocolShape), 1u);
  peer.origin(error("42P05") + ready());
  peer.client(exchange("t") + exchange("t"));
  EXPECT_EQ(peer.to_origin(), prepared_unseen("t"));
}

TEST(SessionNamed, TwiceInOneExchange) {
  World world;
  Peer peer(world);
  warm(peer);
  const std::string part = parse("s", kRead) + bind("s", {"7"}) + execute();
  peer.client(part + part + sync());
  EXPECT_EQ(peer.to_origin(), part + part + sync());
  EXPECT_EQ(world.stats.hits.load(), 0u);
}

TEST(SessionNamed, InABlockOfTheOriginItIsTheOrigins) {
  World world;
  Peer peer(world);
  warm(peer);
  world.config.defer_begin = false;
  peer.client(query("BEGIN"));
  peer.origin(complete("BEGIN") + ready('T'));
  peer.to_origin();
  peer.client(exchange("s"));
  EXPECT_EQ(peer.to_origin(), exchange("s"));
}

TEST(SessionNamed, InABlockThatTheOriginDoesNotKnow) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(query("BEGIN"));
  peer.client(exchange("s"));
  EXPECT_EQ(peer.to_client(), complete("BEGIN") + ready('T') + kHit + ready('T'));
  EXPECT_EQ(peer.to_origin(), prepared_unseen("s"));
  peer.client(query("COMMIT"));
  peer.origin(kParsed + kParameters + row_description() + ready());
  EXPECT_EQ(peer.to_client(), complete("COMMIT") + ready());
  EXPECT_EQ(world.stats.blocks_local.load(), 1u);
}

TEST(SessionNamed, BlocksBegunAndEndedByNamedStatements) {
  World world;
  Peer peer(world);
  warm(peer);
  const auto command = [](std::string_view name, std::string_view text) {
    return parse(name, text) + bind(name, {}) + execute() + sync();
  };
  const auto prepared = [](std::string_view name, std::string_view text) {
    return parse(name, text) + describe_statement(name) + sync();
  };
  peer.client(command("b", "BEGIN"));
  EXPECT_EQ(peer.to_client(), kParsed + kBound + complete("BEGIN") + ready('T'));
  EXPECT_EQ(peer.to_origin(), prepared("b", "BEGIN"));
  peer.origin(kParsed + frame('t', "\0\0"s) + frame('n', "") + ready());
  peer.client(command("c", "COMMIT"));
  EXPECT_EQ(peer.to_client(), kParsed + kBound + complete("COMMIT") + ready());
  EXPECT_EQ(peer.to_origin(), prepared("c", "COMMIT"));
  peer.origin(kParsed + frame('t', "\0\0"s) + frame('n', "") + ready());
  peer.client(bind("b", {}) + execute() + bind("c", {}) + execute() + sync());
  EXPECT_EQ(peer.to_client(), kBound + complete("BEGIN") + kBound + complete("COMMIT") + ready());
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.blocks_local.load(), 2u);
}

TEST(SessionNamed, WhatCannotBePreparedFailsWhenItIsUsed) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(exchange("s"));
  peer.to_origin();
  peer.to_client();
  peer.origin(error("42P01") + ready());
  EXPECT_EQ(peer.to_client(), "");
  const std::string use = bind("s", {"8"}) + execute() + sync();
  peer.client(use);
  EXPECT_EQ(peer.to_origin(), prepare_again("s", kRead));
  peer.origin(error("42P01"));
  EXPECT_EQ(peer.to_origin(), use);  // which is discarded there
  peer.origin(ready());
  EXPECT_EQ(peer.to_client(), error("42P01") + ready());
}

// The statement s, whose table was changed between the client's Parse and the origin's.
void prepare_changed(Peer& peer) {
  warm(peer);
  peer.client(exchange("s"));
  peer.to_origin();
  peer.to_client();
  std::string other = row_description();
  other[other.find("id")] = 'x';
  peer.origin(kParsed + kParameters + other + ready());
}

TEST(SessionNamed, AResultOfAnotherTypeIsRefused) {
  World world;
  Peer peer(world);
  prepare_changed(peer);
  peer.client(bind("s", {"8"}) + execute() + sync());
  EXPECT_EQ(peer.to_origin().find(bind("s", {"8"})), std::string::npos);
  peer.origin(error("26000") + ready());
  const std::string answer = peer.to_client();
  EXPECT_NE(answer.find("0A000"), std::string::npos);
  EXPECT_NE(answer.find("cached plan must not change result type"), std::string::npos);
  EXPECT_TRUE(answer.ends_with(ready()));
  // Prepared anew it is fine.
  const std::string again = frame('C', "Ss\0"s) + parse("s", kRead) + sync();
  peer.client(again);
  peer.to_origin();
  peer.origin(kClosed + kParsed + ready());
  peer.to_client();
  const std::string use = bind("s", {"8"}) + execute() + sync();
  peer.client(use);
  EXPECT_EQ(peer.to_origin(), use);
}

// The same by EXECUTE, as a query and in an exchange.
TEST(SessionNamed, AnExecuteOfAResultOfAnotherTypeIsRefused) {
  for (const bool simple : {true, false}) {
    World world;
    Peer peer(world);
    prepare_changed(peer);
    const std::string text = "EXECUTE s(8)";
    peer.client(simple ? query(text) : parse("", text) + bind("", {}) + execute() + sync());
    EXPECT_NE(peer.to_origin().find("pgcache: changed"), std::string::npos);
    peer.origin(simple ? error("26000") + ready() : kParsed + kBound + error("34000") + ready());
    const std::string answer = peer.to_client();
    EXPECT_NE(answer.find("0A000"), std::string::npos);
    EXPECT_NE(answer.find("cached plan must not change result type"), std::string::npos);
    EXPECT_TRUE(answer.ends_with(ready()));
    // What else goes wrong is told.
    peer.client(query(text));
    peer.origin(error("57014") + ready());
    EXPECT_EQ(peer.to_client(), error("57014") + ready());
  }
}

TEST(SessionNamed, TheEndOfTheServerIsTold) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(exchange("s"));
  peer.to_client();
  std::string fatal;
  wire::append_error_response(fatal, {"FATAL", "57P01", "the end", {}});
  peer.origin(fatal);
  peer.session.on_origin_closed({});
  EXPECT_EQ(peer.to_client(), fatal);
  EXPECT_TRUE(peer.session.close_client_when_flushed());
}

// --- statements that are described

const std::string kTyped = frame('P', "\0"s + kRead + "\0\0\1\0\0\0\x17"s);

TEST(SessionDescribed, AStatementWithDeclaredTypes) {
  const std::string binary = frame('B', "\0\0\0\0\0\1\0\0\0\0017\0\1\0\1"s);
  for (const bool first : {true, false}) {
    World world;
    Peer peer(world);
    warm(peer);
    const std::string unit =
        kTyped + (first ? describe_statement() + binary : binary + describe_statement()) +
        execute() + sync();
    peer.client(unit);
    ASSERT_EQ(peer.to_origin(), unit);
    const std::string described = kParameters + row_description();
    const std::string reply = kParsed + (first ? described + kBound : kBound + described) +
                              row({"bin7"}) + complete("SELECT 1") + ready();
    peer.origin(reply);
    EXPECT_EQ(peer.to_client(), reply);
    peer.client(unit);
    EXPECT_EQ(peer.to_origin(), "");
    EXPECT_EQ(peer.to_client(), reply);
    // A portal has its formats.
    peer.client(kTyped + binary + describe_portal() + execute() + sync());
    EXPECT_EQ(peer.to_client(), kParsed + kBound + row_description(1) + row({"bin7"}) +
                                    complete("SELECT 1") + ready());
    EXPECT_EQ(world.stats.hits.load(), 2u);
  }
}

TEST(SessionDescribed, TypesThatOnlyTheOriginKnows) {
  World world;
  Peer peer(world);
  warm(peer);
  const std::string unit =
      parse("", kRead) + describe_statement() + bind("", {"7"}) + execute() + sync();
  peer.client(unit);
  EXPECT_EQ(peer.to_origin(), unit);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kProtocolShape), 1u);
}

// --- BEGIN in front of a read

TEST(SessionBeginAndRead, IsAnsweredFromMemory) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(query("BEGIN;SELECT id FROM users WHERE id = 7"));
  EXPECT_EQ(peer.to_client(), complete("BEGIN") + kAnswer7 + ready('T'));
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.hits.load(), 1u);
  peer.client(query("COMMIT"));
  EXPECT_EQ(peer.to_client(), complete("COMMIT") + ready());
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.blocks_local.load(), 1u);
}

// Forwarded it would make them unknown again, each time.
TEST(SessionBeginAndRead, TheSettingsAreAskedForFirst) {
  World world;
  Peer first(world);
  warm(first);
  Peer peer(world);
  peer.client(query("BEGIN;SELECT id FROM users WHERE id = 7"));
  EXPECT_EQ(peer.to_client(), "");
  peer.answer_settings();
  EXPECT_EQ(peer.to_client(), complete("BEGIN") + kAnswer7 + ready('T'));
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.blocks_deferred.load(), 1u);
}

TEST(SessionBeginAndRead, PositionsStayWhatTheyAre) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(query("BEGIN; SELECT id FROM users WHERE id = 8"));
  EXPECT_EQ(peer.to_client(), complete("BEGIN"));
  EXPECT_TRUE(peer.to_origin().ends_with(query("       SELECT id FROM users WHERE id = 8")));
  peer.origin(kParsed + kBound + complete("BEGIN") + kClosed);
  peer.origin(row_description() + row({"8"}) + complete("SELECT 1") + ready('T'));
  EXPECT_EQ(peer.to_client(), row_description() + row({"8"}) + complete("SELECT 1") + ready('T'));
  EXPECT_EQ(world.stats.misses.load(), 3u);
  peer.client(query("SELECT id FROM users WHERE id = 8"));
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.hits.load(), 1u);
}

TEST(SessionBeginAndRead, OtherListsAreTheOrigins) {
  for (const std::string text :
       {"BEGIN;SELECT nothing FROM users", "BEGIN;SELECT id FROM users WHERE id = 7;SELECT 1",
        "BEGIN ISOLATION LEVEL SERIALIZABLE;SELECT id FROM users WHERE id = 7",
        "BEGIN;SELECT now()", "BEGIN;SELECT FROM", "BEGIN;", "BEGIN;BEGIN;SELECT id FROM users",
        "COMMIT;SELECT id FROM users WHERE id = 7", "BEGIN /* ; */;SELECT id FROM users"}) {
    World world;
    Peer peer(world);
    warm(peer);
    peer.client(query(text));
    if (text == "BEGIN;") {
      EXPECT_EQ(peer.to_client(), complete("BEGIN") + ready('T'));
      continue;
    }
    EXPECT_EQ(peer.to_origin(), query(text));
    EXPECT_EQ(peer.to_client(), "");
  }
}

// --- the unnamed portal

// In a block of the origin, with an unnamed portal in memory.
void open_portal(Peer& peer) {
  warm(peer);
  peer.world.config.defer_begin = false;
  peer.client(query("BEGIN"));
  peer.origin(complete("BEGIN") + ready('T'));
  peer.client(exchange(""));
  ASSERT_EQ(peer.world.stats.hits.load(), 1u);
  peer.to_client();
  peer.to_origin();
}

// A query has been asked in the block when what follows it comes.
void answer_settings_in_block(Peer& peer) {
  ASSERT_TRUE(peer.to_origin().starts_with(query(settings_query())));
  std::string reply = Peer::settings_reply();
  reply.back() = 'T';
  peer.origin(reply);
}

// The client is told what PostgreSQL tells of a portal that is there.
void expect_portal(Peer& peer, bool there) {
  peer.to_client();
  peer.client(execute() + sync());
  const std::string sent = peer.to_origin();
  EXPECT_EQ(sent.find(kRead) != std::string::npos, there);
}

TEST(SessionUnnamedPortal, ABindThatFailsEarlyLeavesIt) {
  for (const bool early : {true, false}) {
    World world;
    Peer peer(world);
    open_portal(peer);
    peer.client(bind("none", {}) + sync());
    answer_settings_in_block(peer);
    peer.origin(error(early ? "26000" : "22P02") + ready('E'));
    expect_portal(peer, early);
  }
}

TEST(SessionUnnamedPortal, ABindThatIsDiscardedLeavesIt) {
  World world;
  Peer peer(world);
  open_portal(peer);
  peer.client(parse("x", "nonsense") + bind("x", {}) + execute() + sync());
  answer_settings_in_block(peer);
  // Whoever asks for it meanwhile has to wait.
  peer.client(execute() + sync());
  EXPECT_EQ(peer.to_origin(), "");
  peer.origin(error("42601") + ready('E'));
  EXPECT_NE(peer.to_origin().find(kRead), std::string::npos);
}

TEST(SessionUnnamedPortal, AQueryThatFailsLeavesIt) {
  for (const bool fails : {true, false}) {
    World world;
    Peer peer(world);
    open_portal(peer);
    peer.client(query("SELECT nothing"));
    peer.to_origin();
    peer.origin(fails ? error("42703") + ready('E') : complete("SELECT 1") + ready('T'));
    expect_portal(peer, fails);
  }
}

}  // namespace
}  // namespace pgcache::proxy::testing
