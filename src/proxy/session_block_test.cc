// SPDX-License-Identifier: Apache-2.0
// Transaction blocks that begin without the origin: what it gets to know, and when.
#include <gtest/gtest.h>

#include "proxy/session.h"
#include "proxy/session_test_support.h"

namespace pgcache::proxy::testing {
namespace {

const std::string kSelect8 = query("SELECT id FROM users WHERE id = 8");
const std::string kUpdate = query("UPDATE users SET name = 'x'");
const std::string kBeginDone = kParsed + kBound + complete("BEGIN");
const std::string kNoData = frame('n', "");
const std::string kClosed = frame('3', "");
const std::string kClosePortal = frame('C', "P\0"s);
const std::string kReadOther = parse("", "SELECT id FROM users WHERE id = $1") + bind("", {"9"}) +
                               describe_portal() + execute();
const std::string kRead = parse("", "SELECT id FROM users WHERE id = $1") + bind("", {"7"}) +
                          describe_portal() + execute();
const std::string kReadAnswer = kParsed + kBound + kAnswer7;

std::string command(std::string_view sql, std::uint32_t limit = 0) {
  return parse("", sql) + bind("", {}) + execute(limit);
}
std::string command_answer(std::string_view tag) { return kParsed + kBound + complete(tag); }
// What the origin gets of a deferred BEGIN.
std::string sent_begin(std::string_view sql = "BEGIN") { return command(sql); }
std::string sent_simple_begin(std::string_view sql = "BEGIN") {
  return sent_begin(sql) + kClosePortal;
}
const std::string kSimpleBeginDone = kBeginDone + kClosed;

// Both ways of asking are in memory, and the settings are known.
void warm(Peer& peer, const std::string& settings = Peer::settings_reply()) {
  peer.client(kRead + sync());
  ASSERT_EQ(peer.to_origin(), query(settings_query()));
  peer.origin(settings);
  peer.to_origin();
  peer.origin(kReadAnswer + ready());
  peer.client(kSelect7);
  peer.to_origin();
  peer.origin(kAnswer7 + ready());
  peer.to_client();
}

void begin(Peer& peer, std::string_view sql = "BEGIN", std::string_view tag = "BEGIN") {
  peer.client(query(sql));
  ASSERT_EQ(peer.to_client(), complete(tag) + ready('T'));
  ASSERT_EQ(peer.to_origin(), "");
}

void expect_forwarded(Peer& peer, std::string_view sql) {
  peer.client(query(sql));
  EXPECT_EQ(peer.to_origin(), query(sql)) << sql;
  EXPECT_EQ(peer.to_client(), "");
  peer.origin(complete("BEGIN") + ready('T'));
  peer.client(query("ROLLBACK"));
  peer.origin(complete("ROLLBACK") + ready());
  peer.to_origin();
  peer.to_client();
}

TEST(SessionBlock, ABlockOfHitsNeverReachesTheOrigin) {
  World world;
  Peer peer(world);
  warm(peer);
  for (const auto& [sql, tag] :
       {std::pair("COMMIT", "COMMIT"), std::pair("END;", "COMMIT"),
        std::pair("ROLLBACK", "ROLLBACK"), std::pair("abort work", "ROLLBACK")}) {
    begin(peer);
    peer.client(kSelect7 + kRead + sync());
    EXPECT_EQ(peer.to_client(), kAnswer7 + ready('T') + kReadAnswer + ready('T'));
    peer.client(query(sql));
    EXPECT_EQ(peer.to_client(), complete(tag) + ready());
    EXPECT_EQ(peer.to_origin(), "");
  }
  EXPECT_EQ(world.stats.hits.load(), 8u);
  EXPECT_EQ(world.stats.blocks_deferred.load(), 4u);
  EXPECT_EQ(world.stats.blocks_local.load(), 4u);
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready());
  EXPECT_EQ(peer.io.positions_asked, 0);  // it has not written
}

TEST(SessionBlock, EveryFormOfBeginHasItsTag) {
  World world;
  Peer peer(world);
  warm(peer);
  for (const auto& [sql, tag] :
       {std::pair("begin", "BEGIN"), std::pair("BEGIN WORK;", "BEGIN"),
        std::pair("/* c */ BEGIN READ ONLY", "BEGIN"),
        std::pair("START TRANSACTION", "START TRANSACTION"),
        std::pair("START TRANSACTION READ WRITE, NOT DEFERRABLE", "START TRANSACTION"),
        std::pair("BEGIN ISOLATION LEVEL READ COMMITTED DEFERRABLE", "BEGIN")}) {
    begin(peer, sql, tag);
    peer.client(query("COMMIT"));
    EXPECT_EQ(peer.to_client(), complete("COMMIT") + ready());
  }
}

TEST(SessionBlock, TheFirstStatementForTheOriginTakesTheBeginWithIt) {
  World world;
  Peer peer(world);
  warm(peer);
  begin(peer, "BEGIN READ WRITE");
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready('T'));
  peer.client(kSelect8);  // not in memory
  EXPECT_EQ(peer.to_origin(), sent_simple_begin("BEGIN READ WRITE") + kSelect8);
  peer.origin(kSimpleBeginDone + row_description() + complete("SELECT 0") + ready('T'));
  EXPECT_EQ(peer.to_client(), row_description() + complete("SELECT 0") + ready('T'));
  peer.client(kSelect7 + kSelect8);  // the block is still clean
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.hits.load(), 3u);
  peer.client(kUpdate);
  EXPECT_EQ(peer.to_origin(), kUpdate);
  peer.origin(complete("UPDATE 1") + ready('T'));
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), kSelect7);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kInTransaction), 1u);
  peer.origin(kAnswer7 + ready('T'));
  peer.client(query("COMMIT"));
  EXPECT_EQ(peer.to_origin(), query("COMMIT"));
  peer.origin(complete("COMMIT") + ready());
  EXPECT_EQ(peer.io.positions_asked, 1);
  EXPECT_EQ(world.stats.blocks_deferred.load(), 1u);
  EXPECT_EQ(world.stats.blocks_local.load(), 0u);
}

// The settings are known still, so this block too begins without the origin.
TEST(SessionBlock, BehindAWriteToKnownTables) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(query("DELETE FROM orders"));
  peer.origin(complete("DELETE 1") + ready());
  peer.to_origin();
  peer.to_client();
  begin(peer);
  peer.client(kSelect7 + query("COMMIT"));
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready('T') + complete("COMMIT") + ready());
  EXPECT_EQ(peer.to_origin(), "");
  // One that writes in it ends its answers from memory, and not the settings.
  begin(peer);
  peer.client(query("DELETE FROM orders"));
  peer.origin(kSimpleBeginDone + complete("DELETE 1") + ready('T'));
  peer.to_origin();
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), kSelect7);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kInTransaction), 1u);
  peer.origin(kAnswer7 + ready('T'));
  peer.client(query("COMMIT"));
  peer.to_origin();
  peer.origin(complete("COMMIT") + ready());
  peer.to_client();
  begin(peer);
  EXPECT_EQ(world.stats.blocks_deferred.load(), 3u);
}

TEST(SessionBlock, AReadOfTheCatalogLeavesTheBlockOpenForHits) {
  World world;
  Peer peer(world);
  warm(peer);
  begin(peer);
  peer.client(query("SELECT version()"));
  EXPECT_EQ(peer.to_origin(), sent_simple_begin() + query("SELECT version()"));
  peer.origin(kSimpleBeginDone + kAnswer7 + ready('T'));
  peer.to_client();
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready('T'));
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.hits.load(), 1u);
}

TEST(SessionBlock, WhateverIsNotAHitIsTheOrigins) {
  for (const std::string& request : {kUpdate,
                                     query("SELECT now()"),
                                     query("SET TimeZone = 'UTC'"),
                                     query("SAVEPOINT a"),
                                     query("COMMIT AND CHAIN"),
                                     query("ROLLBACK AND CHAIN"),
                                     query("PREPARE TRANSACTION 'x'"),
                                     query("COMMIT; SELECT 1"),
                                     query("BEGIN"),
                                     query("START TRANSACTION"),
                                     query("SHOW TimeZone"),
                                     query("LOCK TABLE users"),
                                     query(""),
                                     query("nonsense"),
                                     query("COPY users FROM STDIN"),
                                     query("BEGIN ISOLATION LEVEL SERIALIZABLE"),
                                     query("ROLLBACK TO a"),
                                     query("SELECT id FROM users FOR UPDATE"),
                                     query("COMMIT /* \xc3\xa9 */"),
                                     parse("s", "SELECT 1") + sync(),
                                     frame('C', "Ss\0"s) + sync(),
                                     execute() + sync(),
                                     sync(),
                                     kReadOther + flush(),
                                     frame('F', "\0\0\0\1\0\0\0\0\0\0"s)}) {
    World world;
    Peer peer(world);
    warm(peer);
    begin(peer);
    peer.client(request);
    EXPECT_EQ(peer.to_origin(), sent_simple_begin() + request) << request;
    EXPECT_EQ(peer.to_client(), "");
  }
}

TEST(SessionBlock, AnythingDoubtfulIsForwarded) {
  {
    World world;
    Peer peer(world);
    expect_forwarded(peer, "BEGIN");  // the settings are not known
  }
  for (const char* sql :
       {"BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN; SELECT 1; SELECT 2", "BEGIN /* \xff */",
        "START TRANSACTION ISOLATION LEVEL SERIALIZABLE", "BEGIN /* pgcache: off */", "COMMIT"}) {
    World world;
    Peer peer(world);
    warm(peer);
    expect_forwarded(peer, sql);
  }
  World world;
  Peer peer(world);
  warm(peer);
  world.config.defer_begin = false;
  expect_forwarded(peer, "BEGIN");
  world.config.defer_begin = true;
  begin(peer);
  peer.client(query("COMMIT"));
  peer.to_client();
  world.epoch = 2;  // the origin's configuration has changed
  expect_forwarded(peer, "BEGIN");
  Peer stale(world);
  warm(stale);
  stale.io.time += std::chrono::hours(1);  // the cache is not proven fresh
  expect_forwarded(stale, "BEGIN");
}

TEST(SessionBlock, SettingsUnderWhichNothingIsServed) {
  for (const auto& [column, value] :
       {std::pair(1, "t"), std::pair(3, "off"), std::pair(4, "SJIS"), std::pair(6, "log")}) {
    std::vector<std::pair<std::size_t, std::string>> set = {
        {settings_column_count() - static_cast<std::size_t>(column), value}};
    World world;
    Peer peer(world);
    warm(peer, Peer::settings_reply(set));
    expect_forwarded(peer, "BEGIN");
  }
}

TEST(SessionBlock, ABlockThatTheOriginMayEndForItsLengthIsNotDeferred) {
  for (const std::size_t timeout : {4u, 3u, 2u}) {
    World world;
    Peer peer(world);
    warm(peer, Peer::settings_reply({{timeout, "60"}}));
    expect_forwarded(peer, "BEGIN");
  }
}

TEST(SessionBlock, TheDefaultIsolationLevelDecidesUnlessTheBlockSaysIt) {
  const std::string serializable = Peer::settings_reply({{1, "serializable"}});
  World world;
  Peer peer(world);
  warm(peer);
  peer.origin(frame('S', "TimeZone\0UTC\0"s));
  peer.client(kSelect7);
  ASSERT_EQ(peer.to_origin(), query(settings_query()));
  peer.origin(serializable);
  EXPECT_EQ(peer.to_origin(), kSelect7);  // a transaction of its own
  peer.origin(kAnswer7 + ready());
  peer.to_client();
  expect_forwarded(peer, "BEGIN");
  begin(peer, "BEGIN ISOLATION LEVEL READ COMMITTED");
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready('T'));
  EXPECT_EQ(world.bypasses(sql::BypassReason::kIsolation), 1u);
  EXPECT_EQ(world.stats.hits.load(), 1u);
  // Also when the origin knows of the block; not in the next one.
  peer.client(kSelect8);
  peer.to_origin();
  peer.origin(kSimpleBeginDone + row_description() + complete("SELECT 0") + ready('T'));
  peer.client(kSelect7);
  EXPECT_EQ(world.stats.hits.load(), 2u);
  const std::string next = command("COMMIT") + command("BEGIN") + sync();
  peer.client(next);
  EXPECT_EQ(peer.to_origin(), next);
  peer.origin(command_answer("COMMIT") + command_answer("BEGIN") + ready('T'));
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), kSelect7);
}

TEST(SessionBlock, ExtendedMessages) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(parse("", "BEGIN") + bind("", {}) + describe_portal() + execute(1) + sync());
  EXPECT_EQ(peer.to_client(), kParsed + kBound + kNoData + complete("BEGIN") + ready('T'));
  peer.client(kRead + sync());
  EXPECT_EQ(peer.to_client(), kReadAnswer + ready('T'));
  peer.client(command("COMMIT", 1) + sync());
  EXPECT_EQ(peer.to_client(), command_answer("COMMIT") + ready());
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.blocks_local.load(), 1u);
}

TEST(SessionBlock, PreparedCommands) {
  World world;
  Peer peer(world);
  warm(peer);
  const std::string prepare = parse("b", "BEGIN") + parse("c", "COMMIT") + sync();
  peer.client(prepare);
  EXPECT_EQ(peer.to_origin(), prepare);
  peer.origin(kParsed + kParsed + ready());
  peer.to_client();
  for (int i = 0; i < 2; ++i) {
    peer.client(bind("b", {}) + execute() + sync() + kSelect7 + bind("c", {}) + execute() + sync());
    EXPECT_EQ(peer.to_client(), kBound + complete("BEGIN") + ready('T') + kAnswer7 + ready('T') +
                                    kBound + complete("COMMIT") + ready());
    EXPECT_EQ(peer.to_origin(), "");
  }
  peer.client(bind("b", {}) + execute() + sync() + kUpdate);
  EXPECT_EQ(peer.to_origin(), sent_begin() + kUpdate);
}

TEST(SessionBlock, AWholeBlockInOneExchange) {
  World world;
  Peer peer(world);
  warm(peer);
  for (int i = 0; i < 2; ++i) {
    peer.client(command("BEGIN", 1) + kRead + command("COMMIT") + command("BEGIN") + kRead +
                sync());
    EXPECT_EQ(peer.to_client(), command_answer("BEGIN") + kReadAnswer + command_answer("COMMIT") +
                                    command_answer("BEGIN") + kReadAnswer + ready('T'));
    peer.client(command("ROLLBACK") + kRead + sync());
    EXPECT_EQ(peer.to_client(), command_answer("ROLLBACK") + kReadAnswer + ready());
  }
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(world.stats.blocks_local.load(), 4u);
}

TEST(SessionBlock, AnExchangeThatNeedsTheOriginGoesThereAsItIs) {
  const std::string unnamed = parse("", "SELECT id FROM users WHERE id = $1");
  for (const std::string& unit :
       {command("BEGIN") + command("UPDATE users SET name = 'x'") + sync(),
        command("BEGIN") + unnamed + bind("", {"9"}) + execute() + sync(),
        command("BEGIN") + command("BEGIN") + sync(), command("COMMIT") + sync(),
        command("BEGIN") + command("COMMIT AND CHAIN") + sync(), kRead + command("BEGIN") + sync(),
        parse("", "BEGIN") + bind("", {}, "p") + frame('E', "p\0\0\0\0\0"s) + sync(),
        parse("", "BEGIN") + bind("", {"1"}) + execute() + sync(),
        parse("", "BEGIN") + bind("", {}) + execute() + execute() + sync(),
        command("BEGIN") + flush() + sync()}) {
    World world;
    Peer peer(world);
    warm(peer);
    peer.client(unit);
    EXPECT_EQ(peer.to_origin(), unit);
    EXPECT_EQ(peer.to_client(), "");
    EXPECT_EQ(world.stats.blocks_deferred.load(), 0u);
  }
}

TEST(SessionBlock, APipelineOfSyncs) {
  World world;
  Peer peer(world);
  warm(peer);
  const std::string block = command("BEGIN") + sync() + kRead + sync() + command("COMMIT") + sync();
  const std::string answer = command_answer("BEGIN") + ready('T') + kReadAnswer + ready('T') +
                             command_answer("COMMIT") + ready();
  peer.client(block + block + query("BEGIN") + kSelect7 + query("COMMIT"));
  EXPECT_EQ(peer.to_client(), answer + answer + complete("BEGIN") + ready('T') + kAnswer7 +
                                  ready('T') + complete("COMMIT") + ready());
  EXPECT_EQ(peer.to_origin(), "");
  // Behind something that the origin still has to answer it is forwarded.
  peer.client(query("SELECT now()") + query("BEGIN") + kSelect7);
  EXPECT_EQ(peer.to_origin(), query("SELECT now()") + query("BEGIN"));
}

TEST(SessionBlock, UntilTheBeginIsConfirmedOneExchangeIsSentBehindIt) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(query("BEGIN") + kUpdate + kUpdate + query("COMMIT"));
  EXPECT_EQ(peer.to_origin(), sent_simple_begin() + kUpdate);
  peer.origin(kParsed + kBound);
  EXPECT_EQ(peer.to_origin(), "");
  peer.origin(complete("BEGIN"));
  EXPECT_EQ(peer.to_origin(), kUpdate + query("COMMIT"));
  peer.origin(kClosed + complete("UPDATE 1") + ready('T') + complete("UPDATE 1") + ready('T') +
              complete("COMMIT") + ready());
  EXPECT_EQ(peer.to_client(), complete("BEGIN") + ready('T') + complete("UPDATE 1") + ready('T') +
                                  complete("UPDATE 1") + ready('T') + complete("COMMIT") + ready());
}

TEST(SessionBlock, AnExchangeWithoutSyncIsNotHeldBack) {
  World world;
  Peer peer(world);
  warm(peer);
  const std::string first = command("UPDATE users SET name = 'x'") + flush();
  peer.client(query("BEGIN") + first);
  EXPECT_EQ(peer.to_origin(), sent_simple_begin() + first);
  peer.client(kRead);
  peer.client(flush());
  EXPECT_EQ(peer.to_origin(), kRead + flush());
  peer.client(sync() + kUpdate);
  EXPECT_EQ(peer.to_origin(), sync());
  peer.origin(kSimpleBeginDone);
  EXPECT_EQ(peer.to_origin(), kUpdate);
}

TEST(SessionBlock, AFlushByItselfNeedsNoBlock) {
  for (const bool flush_first : {true, false}) {
    World world;
    Peer peer(world);
    warm(peer);
    peer.client(flush_first ? flush() + query("BEGIN") : query("BEGIN") + flush());
    EXPECT_EQ(peer.to_origin(), "");
    EXPECT_EQ(peer.to_client(), complete("BEGIN") + ready('T'));
    peer.client(sync());
    EXPECT_EQ(peer.to_origin(), sent_simple_begin() + sync());
    peer.origin(kSimpleBeginDone + ready('T'));
    EXPECT_EQ(peer.to_client(), ready('T'));
    peer.client(query("COMMIT"));
    EXPECT_EQ(peer.to_origin(), query("COMMIT"));
  }
}

TEST(SessionBlock, ABeginThatFailsEndsTheSession) {
  World world;
  Peer peer(world);
  warm(peer);
  begin(peer);
  peer.client(kUpdate + kUpdate);
  EXPECT_EQ(peer.to_origin(), sent_simple_begin() + kUpdate);  // discarded behind the error
  peer.origin(error("57014"));
  const std::string told = peer.to_client();
  EXPECT_EQ(told.substr(0, error("57014").size()), error("57014"));
  EXPECT_NE(told.find("08006"), std::string::npos);
  EXPECT_TRUE(peer.session.close_client_when_flushed());
  EXPECT_TRUE(peer.session.close_origin_when_flushed());
  EXPECT_EQ(peer.to_origin(), "");
}

TEST(SessionBlock, AnErrorOfTheStatementFailsTheBlock) {
  World world;
  Peer peer(world);
  warm(peer);
  begin(peer);
  peer.client(query("SELEC"));
  EXPECT_EQ(peer.to_origin(), sent_simple_begin() + query("SELEC"));
  peer.origin(kSimpleBeginDone + error("42601") + ready('E'));
  EXPECT_EQ(peer.to_client(), error("42601") + ready('E'));
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), kSelect7);
  peer.origin(error("25P02") + ready('E'));
  peer.client(query("COMMIT"));
  EXPECT_EQ(peer.to_origin(), query("COMMIT"));
}

TEST(SessionBlock, SetTransactionBehindAHitComesBehindAQuery) {
  const std::string set = query("SET TRANSACTION READ ONLY");
  World world;
  Peer peer(world);
  warm(peer);
  begin(peer);
  peer.client(set);
  EXPECT_EQ(peer.to_origin(), sent_simple_begin() + set);
  peer.origin(kSimpleBeginDone + complete("SET") + ready('T'));
  peer.client(query("ROLLBACK"));
  peer.origin(complete("ROLLBACK") + ready());
  peer.to_origin();
  peer.client(kSelect7);
  peer.answer_settings();
  peer.to_client();
  begin(peer);
  peer.client(kSelect7 + set);
  EXPECT_EQ(peer.to_origin(), sent_simple_begin() + query(settings_query()) + set);
}

TEST(SessionBlock, TheUnnamedStatementIsTheClientsAgain) {
  World world;
  Peer peer(world);
  warm(peer);
  // Known to memory alone when the BEGIN is sent.
  begin(peer);
  peer.client(kRead + sync());
  peer.to_client();
  const std::string again = bind("", {"8"}) + execute() + sync();
  peer.client(again);
  EXPECT_EQ(peer.to_origin(),
            sent_simple_begin() + prepare_again("", "SELECT id FROM users WHERE id = $1"));
  peer.origin(kSimpleBeginDone + kPreparedAgain);
  EXPECT_EQ(peer.to_origin(), again);
  peer.origin(kBound + complete("SELECT 0") + ready('T'));
  EXPECT_EQ(peer.to_client(), kBound + complete("SELECT 0") + ready('T'));
  // None: the simple BEGIN has destroyed it.
  peer.client(query("ROLLBACK"));
  peer.origin(complete("ROLLBACK") + ready());
  peer.to_origin();
  peer.to_client();
  begin(peer);
  peer.client(again);
  EXPECT_EQ(peer.to_origin(), sent_simple_begin() + frame('C', "S\0"s) + again);
}

TEST(SessionBlock, TheUnnamedStatementMayBeTheBeginItself) {
  World world;
  Peer peer(world);
  warm(peer);
  peer.client(command("BEGIN") + sync() + bind("", {}) + execute() + sync());
  EXPECT_EQ(peer.to_origin(), sent_begin() + bind("", {}) + execute() + sync());
}

TEST(SessionBlock, TheSettingsMayBeAskedForInTheBlock) {
  World world;
  Peer peer(world);
  warm(peer);
  begin(peer);
  world.epoch = 2;
  peer.client(kSelect7);
  peer.answer_settings();
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready('T'));
  peer.client(query("COMMIT"));
  EXPECT_EQ(peer.to_client(), complete("COMMIT") + ready());
  EXPECT_EQ(peer.to_origin(), "");
}

TEST(SessionBlock, NotificationsComeBehindTheBlock) {
  const std::string a = frame('A', "\0\0\0\1ch\0a\0"s);
  const std::string b = frame('A', "\0\0\0\1ch\0b\0"s);
  World world;
  Peer peer(world);
  warm(peer);
  begin(peer);
  peer.origin(a);
  EXPECT_EQ(peer.to_client(), "");
  peer.client(query("COMMIT"));
  EXPECT_EQ(peer.to_client(), complete("COMMIT") + a + ready());
  begin(peer);
  peer.origin(a);
  peer.client(kUpdate);
  peer.origin(kSimpleBeginDone + complete("UPDATE 1") + ready('T'));
  EXPECT_EQ(peer.to_client(), complete("UPDATE 1") + ready('T'));
  peer.client(query("COMMIT"));
  peer.origin(complete("COMMIT") + b + ready());
  EXPECT_EQ(peer.to_client(), complete("COMMIT") + a + b + ready());
}

TEST(SessionBlock, AClientThatLeavesTheBlockLeavesNothingBehind) {
  World world;
  Peer peer(world);
  warm(peer);
  begin(peer);
  peer.session.on_client_closed(false);
  EXPECT_EQ(peer.to_origin(), frame('X', ""));
  Peer other(world);
  warm(other);
  begin(other);
  other.session.on_client_closed(true);
  EXPECT_TRUE(other.io.cancels.empty());
  EXPECT_EQ(other.to_origin(), "");
  EXPECT_TRUE(other.session.close_origin_when_flushed());
}

TEST(SessionBlock, ALargeStatementTakesTheBeginWithIt) {
  World world;
  world.config.max_unit_size = 1024;
  Peer peer(world);
  warm(peer);
  begin(peer);
  const std::string large = query("SELECT '" + std::string(5000, 'x') + "'");
  peer.client(large.substr(0, 2000));
  EXPECT_EQ(peer.to_origin(), sent_simple_begin() + large.substr(0, 2000));
  peer.client(large.substr(2000) + kUpdate);
  EXPECT_EQ(peer.to_origin(), large.substr(2000));
  peer.origin(kSimpleBeginDone);
  EXPECT_EQ(peer.to_origin(), kUpdate);
}

// A pool resets the session between two users of it, and the second begins with a BEGIN.
TEST(SessionBlock, BehindAResetTheSettingsAreAskedForBeforeTheyAreNeeded) {
  World world;
  Peer peer(world);
  warm(peer);
  const std::string reset = query("DISCARD ALL");
  peer.client(reset);
  EXPECT_EQ(peer.to_origin(), reset);
  peer.origin(complete("DISCARD ALL") + ready());
  EXPECT_EQ(peer.to_client(), complete("DISCARD ALL") + ready());
  EXPECT_EQ(peer.to_origin(), query(settings_query()));
  peer.client(query("BEGIN"));  // waits for the answer
  EXPECT_EQ(peer.to_client(), "");
  peer.origin(Peer::settings_reply());
  EXPECT_EQ(peer.to_client(), complete("BEGIN") + ready('T'));
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready('T'));
  peer.client(query("COMMIT"));
  EXPECT_EQ(peer.to_client(), complete("COMMIT") + ready());
  EXPECT_EQ(peer.to_origin(), "");
}

// A session that has read nothing needs none.
TEST(SessionBlock, AResetOfASessionWithoutReadsAsksForNothing) {
  World world;
  Peer peer(world);
  const std::string reset = query("DISCARD ALL");
  peer.client(reset);
  EXPECT_EQ(peer.to_origin(), reset);
  peer.origin(complete("DISCARD ALL") + ready());
  EXPECT_EQ(peer.to_origin(), "");
}

}  // namespace
}  // namespace pgcache::proxy::testing
