// SPDX-License-Identifier: Apache-2.0
// Scripts of sessions that prepare statements: what their names mean, at the origin and in memory.
#include <gtest/gtest.h>

#include "proxy/session.h"
#include "proxy/session_test_support.h"

namespace pgcache::proxy::testing {
namespace {

// Of several Parses of one name that are under way and fail, none is what the name means.
TEST(SessionStatements, AFailedParseLeavesTheNameToTheStatementThatHasIt) {
  World world;
  Peer peer(world);
  const std::string use = bind("s", {}) + describe_portal() + execute() + sync();
  const auto parse_and_sync = [](std::string_view sql) { return parse("s", sql) + sync(); };
  peer.client(parse_and_sync("SELECT id FROM users WHERE id = 7"));
  peer.answer_settings();
  peer.to_origin();
  peer.origin(kParsed + ready());
  peer.client(use);
  peer.to_origin();
  peer.origin(kBound + kAnswer7 + ready());
  peer.to_client();
  peer.client(parse_and_sync("SELECT id FROM users WHERE id = 8") +
              parse_and_sync("SELECT id FROM users WHERE id = 9"));
  peer.to_origin();
  peer.origin(error("42P05") + ready() + error("42P05") + ready());
  peer.to_client();
  peer.client(use);
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(peer.to_client(), kBound + kAnswer7 + ready());
  // Dropped while another Parse is under way, which fails for a reason of its own.
  peer.client(query("DEALLOCATE s") + parse_and_sync("SELECT id FROM users WHERE id = 9"));
  peer.to_origin();
  peer.origin(complete("DEALLOCATE") + ready() + error("57014") + ready());
  peer.to_client();
  peer.client(use);
  EXPECT_EQ(peer.to_origin(), use);
}

TEST(SessionStatements, AWholeExtendedExchangeIsServed) {
  World world;
  Peer peer(world);
  const std::string request = parse("", "SELECT id FROM users WHERE id = $1") + bind("", {"7"}) +
                              describe_portal() + execute() + sync();
  const std::string answer = kParsed + kBound + kAnswer7 + ready();
  peer.client(request);
  peer.answer_settings();
  ASSERT_EQ(peer.to_origin(), request);
  peer.origin(answer);
  ASSERT_EQ(peer.to_client(), answer);
  peer.client(request);
  EXPECT_EQ(peer.to_client(), answer);
  EXPECT_EQ(peer.to_origin(), "");
  // Without Describe there is no RowDescription.
  peer.client(bind("", {"7"}) + execute() + sync());
  EXPECT_EQ(peer.to_client(), kBound + row({"7"}) + complete("SELECT 1") + ready());
  EXPECT_EQ(world.stats.hits.load(), 2u);
}

TEST(SessionStatements, AStatementThatOnlyMemoryKnowsIsPreparedWhenItIsNeeded) {
  World world;
  Peer peer(world);
  const std::string text = parse("", "SELECT id FROM users WHERE id = $1");
  const std::string request = text + bind("", {"7"}) + describe_portal() + execute() + sync();
  peer.client(request);
  peer.answer_settings();
  peer.to_origin();
  peer.origin(kParsed + kBound + kAnswer7 + ready());
  peer.client(request);  // a hit: the origin does not see this Parse
  peer.to_client();
  const std::string again = bind("", {"8"}) + execute() + sync();
  peer.client(again);
  EXPECT_EQ(peer.to_origin(), prepare_again("", "SELECT id FROM users WHERE id = $1"));
  peer.origin(kPreparedAgain);
  EXPECT_EQ(peer.to_origin(), again);
  peer.origin(kBound + complete("SELECT 0") + ready());
  EXPECT_EQ(peer.to_client(), kBound + complete("SELECT 0") + ready());
}

// Each answer keeps the description of its own portal, whatever else is described in the exchange.
TEST(SessionStatements, ADescriptionOfAnotherPortalIsNotKept) {
  World world;
  Peer peer(world);
  const std::string other = frame('T', "\0\1w\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0"s);
  const std::string describe_b = frame('D', "Pb\0"s);
  const std::string unit = parse("", "SELECT id FROM users WHERE id = $1") + bind("", {"7"}, "a") +
                           bind("", {"8"}, "b") + describe_b + frame('E', "a\0\0\0\0\0"s) +
                           frame('E', "b\0\0\0\0\0"s) + sync();
  peer.client(unit);
  peer.answer_settings();
  EXPECT_EQ(peer.to_origin(), unit);
  peer.origin(kParsed + kBound + kBound + other + row({"7"}) + complete("SELECT 1") + row({"8"}) +
              complete("SELECT 1") + ready());
  peer.to_client();
  const auto one = [](const char* id) {
    return parse("", "SELECT id FROM users WHERE id = $1") + bind("", {id}) + describe_portal() +
           execute() + sync();
  };
  peer.client(one("8"));
  EXPECT_EQ(peer.to_client(),
            kParsed + kBound + other + row({"8"}) + complete("SELECT 1") + ready());
  peer.client(one("7"));  // without a description there is no whole answer: from the origin
  EXPECT_EQ(peer.to_origin(), one("7"));
}

TEST(SessionStatements, ADescriptionOfAStatementIsNotThatOfItsPortal) {
  World world;
  Peer peer(world);
  const std::string unit = parse("", "SELECT id FROM users WHERE id = $1") + bind("", {"7"}) +
                           frame('D', "S\0"s) + execute() + sync();
  peer.client(unit);
  peer.answer_settings();
  EXPECT_EQ(peer.to_origin(), unit);
  peer.origin(kParsed + kBound + frame('t', "\0\1\0\0\0\x17"s) + kAnswer7 + ready());
  peer.to_client();
  const std::string portal = parse("", "SELECT id FROM users WHERE id = $1") + bind("", {"7"}) +
                             describe_portal() + execute() + sync();
  peer.client(portal);
  EXPECT_EQ(peer.to_origin(), portal);
}

TEST(SessionStatements, PreparedNamesAreForgottenWithTheirStatements) {
  World world;
  Peer peer(world);
  const std::string prepare = parse("s", "SELECT id FROM users WHERE id = $1") + sync();
  const std::string run = bind("s", {"7"}) + describe_portal() + execute() + sync();
  peer.client(prepare);
  peer.answer_settings();
  EXPECT_EQ(peer.to_origin(), prepare);
  peer.origin(kParsed + ready());
  peer.client(run);
  peer.to_origin();
  peer.origin(kBound + kAnswer7 + ready());
  peer.to_client();
  peer.client(run);
  EXPECT_EQ(peer.to_client(), kBound + kAnswer7 + ready());
  peer.client(query("DEALLOCATE s"));
  peer.origin(complete("DEALLOCATE") + ready());
  peer.to_origin();
  peer.to_client();
  peer.client(run);  // PostgreSQL answers 26000, so the origin must be asked
  EXPECT_EQ(peer.to_origin(), run);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kUnknownStatement), 1u);
}

TEST(SessionStatements, AStatementFromBeforeACatalogChangeIsAcceptedByTheOriginFirst) {
  World world;
  Peer old(world);
  Peer fresh(world);
  const std::string prepare = parse("s", "SELECT id FROM users WHERE id = $1") + sync();
  const std::string run = bind("s", {"7"}) + describe_portal() + execute() + sync();
  old.client(prepare);
  old.answer_settings();
  old.origin(kParsed + ready());
  old.to_origin();
  old.client(run);
  old.to_origin();
  old.origin(kBound + kAnswer7 + ready());
  old.to_client();
  const std::shared_ptr<const pg::Catalog> catalog = sql::testing::make_shop_catalog();
  world.shapes.set_catalog(catalog);
  world.cache.on_catalog_changed(world.shapes.generation(), catalog);
  fresh.client(prepare);
  fresh.answer_with_new_plans();
  fresh.origin(kParsed + ready());
  fresh.client(run);
  fresh.origin(kBound + kAnswer7 + ready());  // cached in its new form
  old.client(run);
  old.answer_with_new_plans();
  EXPECT_EQ(old.to_origin(), run);
  old.origin(kBound + error("0A000") + ready());
  old.to_client();
  old.client(run);
  EXPECT_EQ(old.to_origin(), run);
  old.origin(kBound + kAnswer7 + ready());  // the same type after all
  old.to_client();
  old.client(run);
  EXPECT_EQ(old.to_client(), kBound + kAnswer7 + ready());
  EXPECT_EQ(world.stats.hits.load(), 1u);
}

// PostgreSQL chose the parameter's type when it parsed the statement; which, pgcache does not know
// here.
TEST(SessionStatements, AStatementThatWasNeverAnalysedBeforeACatalogChangeIsNotServed) {
  World world;
  Peer peer(world);
  const std::string run = bind("s", {"7"}) + describe_portal() + execute() + sync();
  peer.client(parse("s", "SELECT id FROM users WHERE id = $1") + sync());
  peer.answer_settings();
  peer.origin(kParsed + ready());
  peer.to_origin();
  const std::shared_ptr<const pg::Catalog> catalog = sql::testing::make_shop_catalog();
  world.shapes.set_catalog(catalog);
  world.cache.on_catalog_changed(world.shapes.generation(), catalog);
  peer.client(run);
  peer.answer_with_new_plans();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(peer.to_origin(), run);
    peer.origin(kBound + kAnswer7 + ready());
    peer.client(run);
  }
  EXPECT_EQ(world.stats.hits.load(), 0u);
  EXPECT_EQ(world.cache.status(peer.io.time).entries, 0u);
}

TEST(SessionStatements, AParseThatFailsLeavesNoStatementBehind) {
  World world;
  Peer peer(world);
  const std::string prepare = parse("s", "SELECT id FROM users WHERE id = $1") + sync();
  peer.client(prepare);
  peer.answer_settings();
  peer.origin(error("42P05") + ready());
  peer.to_origin();
  peer.to_client();
  const std::string run = bind("s", {"7"}) + execute() + sync();
  peer.client(run);
  EXPECT_EQ(peer.to_origin(), run);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kUnknownStatement), 1u);
}

TEST(SessionStatements, AParseThatNobodyExecutesIsNotAnsweredFromMemory) {
  World world;
  Peer peer(world);
  const std::string prepare = parse("s", "SELECT id FROM users WHERE id = $1") + sync();
  const std::string run = bind("s", {"7"}) + execute() + sync();
  peer.client(prepare);
  peer.answer_settings();
  peer.origin(kParsed + ready());
  peer.client(run);
  peer.to_origin();
  peer.origin(kBound + row({"7"}) + complete("SELECT 1") + ready());
  peer.to_origin();
  peer.to_client();
  const std::string mixed = parse("", "this is no SQL") + run;
  peer.client(mixed);
  EXPECT_EQ(peer.to_origin(), mixed);
}

// Parse, Describe, Flush, and the rest when the types are known: as asyncpg does on first use.
TEST(SessionStatements, AStatementPreparedWithAFlushIsServedAfterwards) {
  World world;
  Peer peer(world);
  const std::string prepare =
      parse("s", "SELECT id FROM users WHERE id = $1") + frame('D', "Ss\0"s);
  const std::string run = bind("s", {"7"}) + execute() + sync();
  peer.client(prepare + flush());
  peer.answer_settings();
  EXPECT_EQ(peer.to_origin(), prepare + flush());
  peer.origin(kParsed + frame('t', "\0\1\0\0\0\x17"s) + row_description());
  peer.client(run);
  EXPECT_EQ(peer.to_origin(), run);
  peer.origin(kBound + row({"7"}) + complete("SELECT 1") + ready());
  EXPECT_EQ(world.bypasses(sql::BypassReason::kFlush), 0u);
  peer.to_client();
  peer.client(run);
  EXPECT_EQ(peer.to_client(), kBound + row({"7"}) + complete("SELECT 1") + ready());
  EXPECT_EQ(world.stats.hits.load(), 1u);
}

// Another session on which it is new: the origin gets the Sync alone, and says what is ready.
TEST(SessionStatements, WhatFollowsAFlushIsAHit) {
  World world;
  Peer first(world);
  const std::string prepare =
      parse("", "SELECT id FROM users WHERE id = $1") + frame('D', "S\0"s) + flush();
  const std::string described = kParsed + frame('t', "\0\1\0\0\0\x17"s) + row_description();
  const std::string run = bind("", {"7"}) + execute() + sync();
  const std::string answer = kBound + row({"7"}) + complete("SELECT 1");
  Peer second(world);
  for (Peer* peer : {&first, &second}) {
    peer->client(prepare + run);  // all at once: the second part waits for the answers to the first
    peer->answer_settings();
    EXPECT_EQ(peer->to_origin(), prepare);
    peer->origin(described);
    if (peer == &first) {
      EXPECT_EQ(peer->to_origin(), run);
      peer->origin(answer);
    } else {
      EXPECT_EQ(peer->to_origin(), sync());
    }
    EXPECT_EQ(peer->to_client(), described + answer);
    peer->origin(ready());
    EXPECT_EQ(peer->to_client(), ready());
  }
  EXPECT_EQ(world.stats.hits.load(), 1u);
  EXPECT_EQ(world.stats.misses.load(), 1u);
}

// A simple query ends what the Flush left open; so it is the origin's.
TEST(SessionStatements, AQueryBehindAFlushGoesToTheOrigin) {
  World world;
  Peer peer(world);
  const std::string prepare =
      parse("", "SELECT id FROM users WHERE id = $1") + frame('D', "S\0"s) + flush();
  peer.client(prepare);
  peer.answer_settings();
  peer.origin(kParsed + frame('t', "\0\1\0\0\0\x17"s) + row_description());
  peer.to_origin();
  peer.client(query("SELECT id FROM users WHERE id = 7"));
  EXPECT_EQ(peer.to_origin(), query("SELECT id FROM users WHERE id = 7"));
  EXPECT_EQ(world.bypasses(sql::BypassReason::kPipeline), 1u);
}

}  // namespace
}  // namespace pgcache::proxy::testing
