// SPDX-License-Identifier: Apache-2.0
// Scripts of sessions: what the client and the origin send, what each must get, and by which route.
#include "proxy/session.h"

#include <gtest/gtest.h>

#include "proxy/session_test_support.h"

namespace pgcache::proxy::testing {
namespace {

TEST(Session, MissThenHitFromMemoryForEverySession) {
  World world;
  Peer first(world);
  load(first);
  EXPECT_EQ(world.stats.misses.load(), 1u);
  first.client(kSelect7);
  EXPECT_EQ(first.to_client(), kAnswer7 + ready());
  EXPECT_EQ(first.to_origin(), "");
  Peer second(world);
  second.client(kSelect7);
  second.answer_settings();
  EXPECT_EQ(second.to_client(), kAnswer7 + ready());
  EXPECT_EQ(second.to_origin(), "");
  EXPECT_EQ(world.stats.hits.load(), 2u);
  EXPECT_EQ(world.stats.misses.load(), 1u);
}

TEST(Session, OtherLiteralsAndOtherSettingsAreOtherKeys) {
  World world;
  Peer peer(world);
  load(peer);
  peer.client(query("SELECT id FROM users WHERE id = 8"));
  EXPECT_EQ(peer.to_origin(), query("SELECT id FROM users WHERE id = 8"));
  Peer other(world);
  other.client(kSelect7);
  other.answer_settings("", "read committed", "LATIN1");
  EXPECT_EQ(other.to_origin(), kSelect7);
  EXPECT_EQ(world.stats.hits.load(), 0u);
}

TEST(Session, EveryByteByItselfGivesTheSameAnswers) {
  World world;
  Peer peer(world);
  for (const char c : kSelect7) peer.client(std::string(1, c));
  peer.answer_settings();
  EXPECT_EQ(peer.to_origin(), kSelect7);
  for (const char c : kAnswer7 + ready()) peer.origin(std::string(1, c));
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready());
  for (const char c : kSelect7 + kSelect7) peer.client(std::string(1, c));
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready() + kAnswer7 + ready());
  EXPECT_EQ(world.stats.hits.load(), 2u);
}

// The query waits for another session's load: it is sent, and the request behind it.
TEST(Session, ACancelEndsAWaitForAnotherSession) {
  World world;
  Peer first(world);
  Peer second(world);
  first.client(kSelect7);
  first.answer_settings();
  ASSERT_EQ(first.to_origin(), kSelect7);
  EXPECT_FALSE(first.session.on_cancel());  // its query is at the origin
  second.client(kSelect7);
  second.answer_settings();
  ASSERT_EQ(second.to_origin(), "");
  EXPECT_TRUE(second.session.on_cancel());
  EXPECT_EQ(second.to_origin(), kSelect7);
  EXPECT_EQ(second.io.cancels, std::vector<std::string>{"\0\0\0\7\0\0\0\x09"s});
  EXPECT_FALSE(second.io.timer);
  second.origin(error("57014") + ready());
  EXPECT_EQ(second.to_client(), error("57014") + ready());
  EXPECT_EQ(world.fallbacks(FallbackReason::kLoadWait), 1u);
}

TEST(Session, ACancelDoesNotMeetTheQueryForTheSettings) {
  for (const bool loaded : {false, true}) {
    World world;
    Peer other(world);
    if (loaded) load(other);
    Peer peer(world);
    peer.client(kSelect7);
    EXPECT_TRUE(peer.session.on_cancel());
    EXPECT_TRUE(peer.io.cancels.empty());
    peer.answer_settings();
    // What is answered from memory is not cancelled, and neither is what comes next.
    EXPECT_EQ(peer.to_client(), loaded ? kAnswer7 + ready() : "");
    EXPECT_EQ(peer.io.cancels.size(), loaded ? 0u : 1u);
    if (!loaded) continue;
    peer.client(query("SELECT id FROM users WHERE id = 8"));
    EXPECT_TRUE(peer.io.cancels.empty());
  }
}

TEST(Session, CancelsOfIdleSessionsAreTheOriginsToIgnore) {
  World world;
  Peer peer(world);
  EXPECT_FALSE(peer.session.on_cancel());
  load(peer);
  EXPECT_FALSE(peer.session.on_cancel());
}

TEST(Session, RepliesKeepTheOrderOfAPipeline) {
  World world;
  Peer peer(world);
  load(peer);
  const std::string update = query("UPDATE users SET name = 'x' WHERE id = 1");
  peer.client(update + kSelect7);
  EXPECT_EQ(peer.to_origin(), update);  // the read waits: its place is behind the update's reply
  EXPECT_EQ(peer.to_client(), "");
  peer.origin(complete("UPDATE 1") + ready());
  EXPECT_EQ(peer.to_client(), complete("UPDATE 1") + ready());
  EXPECT_EQ(peer.to_origin(), kSelect7);  // after its own write: from the origin
  EXPECT_EQ(world.bypasses(sql::BypassReason::kAfterWrite), 1u);
  EXPECT_EQ(peer.io.positions_asked, 1);
}

TEST(Session, AfterAWriteReadsBypassUntilItIsApplied) {
  World world;
  Peer peer(world);
  load(peer);
  peer.client(query("DELETE FROM users WHERE id = 1"));
  peer.origin(complete("DELETE 1") + ready());
  peer.to_origin();
  peer.session.on_position(pg::Lsn{2000});
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), kSelect7);
  peer.origin(kAnswer7 + ready());
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), kSelect7);
  peer.origin(kAnswer7 + ready());
  world.cache.on_position(pg::Lsn{2000});
  peer.to_client();
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready());
  EXPECT_EQ(world.stats.hits.load(), 1u);
}

TEST(Session, AfterAWriteToKnownTablesReadsOfOthersAreServed) {
  World world;
  Peer peer(world);
  load(peer);
  for (const std::string& write :
       {query("DELETE FROM orders WHERE id = 1"), query("COPY orders FROM STDIN"),
        parse("", "UPDATE orders SET total = 1") + bind("", {}) + execute() + sync()}) {
    const std::uint64_t hits = world.stats.hits.load();
    peer.client(write);
    const bool extended = write.front() == 'P';
    peer.origin((extended ? kParsed + kBound : ""s) + complete("DONE 1") + ready());
    peer.to_origin();
    peer.to_client();
    peer.client(kSelect7);
    EXPECT_EQ(peer.to_client(), kAnswer7 + ready());
    EXPECT_EQ(peer.to_origin(), "");
    EXPECT_EQ(world.stats.hits.load(), hits + 1);
  }
  const std::string orders = query("SELECT id FROM orders");
  peer.client(orders);
  EXPECT_EQ(peer.to_origin(), orders);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kAfterWrite), 1u);
}

TEST(Session, AReadWithoutSideEffectsIsNoWrite) {
  World world;
  Peer peer(world);
  load(peer);
  for (const char* read : {"SELECT now()", "SELECT random() FROM users", "SELECT version()"}) {
    peer.client(query(read));
    EXPECT_EQ(peer.to_origin(), query(read));
    peer.origin(kAnswer7 + ready());
    peer.to_client();
    peer.client(kSelect7);
    EXPECT_EQ(peer.to_client(), kAnswer7 + ready()) << read;
  }
  EXPECT_EQ(peer.io.positions_asked, 0);
  EXPECT_EQ(world.stats.hits.load(), 3u);
  // With one behind it that may change what names mean, all is open again.
  peer.client(query("SET search_path = other") + query("SELECT now()"));
  peer.to_origin();
  peer.origin(complete("SET") + ready() + kAnswer7 + ready());
  peer.client(kSelect7);
  peer.answer_settings();
  EXPECT_EQ(world.bypasses(sql::BypassReason::kAfterWrite), 1u);
}

TEST(Session, ReadsInACleanBlockAreServedAndShowItsStatus) {
  World world;
  world.config.defer_begin = false;
  Peer peer(world);
  load(peer);
  peer.client(query("BEGIN"));
  EXPECT_EQ(peer.to_origin(), query("BEGIN"));
  peer.origin(complete("BEGIN") + ready('T'));
  peer.to_client();
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready('T'));
  peer.client(query("UPDATE users SET name = 'x'"));
  peer.origin(complete("UPDATE 1") + ready('T'));
  peer.to_client();
  peer.to_origin();
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), kSelect7);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kInTransaction), 1u);
}

TEST(Session, RepeatableReadIsNeverServed) {
  World world;
  Peer peer(world);
  load(peer);
  peer.client(query("BEGIN ISOLATION LEVEL REPEATABLE READ"));
  peer.origin(complete("BEGIN") + ready('T'));
  peer.to_origin();
  peer.to_client();
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), kSelect7);
  EXPECT_EQ(world.stats.hits.load(), 0u);
}

TEST(Session, AFailedBlockForwardsCachedQueriesToo) {
  World world;
  world.config.defer_begin = false;
  Peer peer(world);
  load(peer);
  peer.client(query("BEGIN"));
  peer.origin(complete("BEGIN") + ready('T'));
  peer.client(query("SELEC"));
  peer.origin(error("42601") + ready('E'));
  peer.to_origin();
  peer.to_client();
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), kSelect7);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kFailedTransaction), 1u);
}

// Waiting for the origin would be waiting for ever in each of these: it answers only after a Sync
// that stands behind the read.
TEST(Session, AnOpenExchangeWithoutSyncDoesNotBlockAQuery) {
  World world;
  Peer peer(world);
  load(peer);
  const std::string open = parse("", "SELECT id FROM orders WHERE id = $1") + flush();
  peer.client(open + kSelect7);
  EXPECT_EQ(peer.to_origin(), open + kSelect7);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kPipeline), 1u);
}

TEST(Session, AFailedExchangeDoesNotBlockAQuery) {
  World world;
  Peer peer(world);
  load(peer);
  peer.client(parse("", "SELECT nothing") + flush());
  peer.origin(error("42703"));
  peer.to_origin();
  peer.client(kSelect7 + sync());
  EXPECT_EQ(peer.to_origin(), kSelect7 + sync());
  peer.origin(ready());
  EXPECT_EQ(peer.to_client(), error("42703") + ready());
  peer.client(kSelect7);  // the session has recovered
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready());
}

TEST(Session, ACopyThatTheClientDoesNotEndDoesNotBlockAQuery) {
  World world;
  Peer peer(world);
  load(peer);
  const std::string copy = query("COPY users FROM STDIN");
  peer.client(copy + kSelect7);
  EXPECT_EQ(peer.to_origin(), copy);
  peer.origin(frame('G', "\0\0\0"s));
  EXPECT_EQ(peer.to_origin(), kSelect7);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kCopy), 1u);
}

TEST(Session, AnErrorIsRelayedAndNothingIsPublished) {
  World world;
  Peer peer(world);
  peer.client(kSelect7);
  peer.answer_settings();
  peer.to_origin();
  peer.origin(row_description() + row({"7"}) + error("57014") + ready());
  peer.to_client();
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), kSelect7);
  EXPECT_EQ(world.stats.misses.load(), 2u);
}

TEST(Session, ANoticeWithinAnAnswerKeepsItOutOfTheCache) {
  World world;
  Peer peer(world);
  peer.client(kSelect7);
  peer.answer_settings();
  peer.to_origin();
  const std::string notice = frame('N', "SNOTICE\0C00000\0Mhello\0\0"s);
  peer.origin(row_description() + notice + row({"7"}) + complete("SELECT 1") + ready());
  EXPECT_EQ(peer.to_client(),
            row_description() + notice + row({"7"}) + complete("SELECT 1") + ready());
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), kSelect7);
}

TEST(Session, AChangedParameterMakesTheSettingsUnknown) {
  World world;
  Peer peer(world);
  load(peer);
  peer.origin(frame('S', "TimeZone\0UTC\0"s));
  EXPECT_EQ(peer.to_client(), frame('S', "TimeZone\0UTC\0"s));
  peer.client(kSelect7);
  peer.answer_settings();
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready());
}

// As when it is terminated: the client is told why, although what it asked for was not sent yet.
TEST(Session, TheEndOfTheOriginsSessionIsToldDuringAHiddenQueryToo) {
  World world;
  Peer peer(world);
  peer.client(kSelect7);
  ASSERT_EQ(peer.to_origin(), query(settings_query()));
  std::string fatal;
  wire::append_error_response(fatal, {"FATAL", "57P01", "terminated", {}});
  peer.origin(fatal);
  EXPECT_EQ(peer.to_client(), fatal);
  EXPECT_TRUE(peer.session.close_client_when_flushed());
}

// Else the origin would end a session that is busy with hits.
TEST(Session, TheOriginsIdleTimeoutIsKeptFromRunningOut) {
  World world;
  Peer peer(world);
  const std::string timed = Peer::settings_reply("", "read committed", "UTF8", "8");
  peer.client(kSelect7);
  ASSERT_EQ(peer.to_origin(), query(settings_query()));
  peer.origin(timed);
  peer.to_origin();
  peer.origin(kAnswer7 + ready());
  peer.to_client();
  for (int i = 0; i < 4; ++i) {
    peer.io.time += std::chrono::milliseconds(900);
    world.prove_fresh(peer.io.time);
    peer.client(kSelect7);
    if (i % 2 == 1) {
      EXPECT_EQ(peer.to_origin(), query(settings_query()));
      peer.origin(timed);
    }
    EXPECT_EQ(peer.to_origin(), "");
    EXPECT_EQ(peer.to_client(), kAnswer7 + ready());
  }
  EXPECT_EQ(world.stats.hits.load(), 4u);
}

TEST(Session, SettingsThatCannotBeHadAreAFallback) {
  World world;
  Peer peer(world);
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), query(settings_query()));
  peer.origin(error("42501") + ready());
  EXPECT_EQ(peer.to_origin(), kSelect7);
  peer.origin(kAnswer7 + ready());
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready());  // not the error of pgcache's own query
  EXPECT_EQ(world.fallbacks(FallbackReason::kSettingsQuery), 1u);
}

TEST(Session, TwoSessionsThatMissTogetherLoadOnce) {
  World world;
  Peer first(world);
  Peer second(world);
  first.client(kSelect7);
  first.answer_settings();
  EXPECT_EQ(first.to_origin(), kSelect7);
  second.client(kSelect7);
  second.answer_settings();
  EXPECT_EQ(second.to_origin(), "");
  ASSERT_TRUE(second.io.timer);
  first.origin(kAnswer7 + ready());
  EXPECT_EQ(second.io.wakes, 1);
  second.session.on_wake();
  EXPECT_EQ(second.to_client(), kAnswer7 + ready());
  EXPECT_EQ(world.stats.hits.load(), 1u);
  EXPECT_EQ(world.stats.misses.load(), 1u);
}

TEST(Session, WaitingForALoadHasADeadline) {
  World world;
  Peer first(world);
  Peer second(world);
  first.client(kSelect7);
  first.answer_settings();
  second.client(kSelect7);
  second.answer_settings();
  second.session.on_timer();
  EXPECT_EQ(second.to_origin(), kSelect7);
  EXPECT_EQ(world.fallbacks(FallbackReason::kLoadWait), 1u);
}

TEST(Session, AClientThatSaysNothingIsLetGo) {
  World world;
  FakeIo io;
  Session session(world.environment, io);
  session.start();
  ASSERT_EQ(io.timer, io.time + world.config.handshake_timeout);
  session.on_timer();
  EXPECT_TRUE(session.close_client_when_flushed());
}

TEST(Session, WhatIsNoMessageIsTheOriginsToRefuse) {
  for (const std::string& what :
       {"Q\x7f\xff\xff\xff"s, "Q\0\0\0\3"s, "\0"s, "z"s, "S\0\0\x27\x11"s}) {
    World world;
    Peer peer(world);
    load(peer);
    peer.client(kSelect7 + what);
    EXPECT_EQ(peer.to_client(), kAnswer7 + ready());
    EXPECT_EQ(peer.to_origin(), what);
    peer.client(kSelect7);  // nothing is read any more
    EXPECT_EQ(peer.to_origin(), kSelect7);
    peer.session.on_client_closed(false);
    EXPECT_EQ(peer.to_origin(), "");
    EXPECT_TRUE(peer.session.end_origin_when_flushed());
    peer.origin(error("08P01"));
    EXPECT_EQ(peer.to_client(), error("08P01"));
    EXPECT_FALSE(peer.session.close_client_when_flushed());
    peer.session.on_origin_closed("");
    EXPECT_TRUE(peer.session.close_client_when_flushed());
  }
}

TEST(Session, WhatIsNoMessageComesBehindWhatIsHeld) {
  World world;
  Peer peer(world);
  load(peer);
  const std::string unit = parse("", "SELECT id FROM users WHERE id = 7") + bind("", {});
  peer.client(unit + "\xff"s);
  EXPECT_EQ(peer.to_origin(), unit + "\xff"s);
}

TEST(Session, ALargeFrameIsStreamedAndNotHeld) {
  World world;
  world.config.max_unit_size = 1024;
  Peer peer(world);
  const std::string large = query("SELECT '" + std::string(100000, 'x') + "'");
  std::string sent;
  for (std::size_t at = 0; at < large.size(); at += 5000) {
    peer.client(large.substr(at, 5000));
    sent += peer.to_origin();
    EXPECT_LE(peer.session.client_input().size(), 5000u);
  }
  EXPECT_EQ(sent, large);
}

TEST(Session, BackPressureStopsBothDirections) {
  World world;
  world.config.session_buffer = 10000;
  Peer peer(world);
  load(peer);
  for (int i = 0; i < 1000; ++i) peer.client(kSelect7);
  EXPECT_FALSE(peer.session.wants_client_bytes());
  EXPECT_LT(peer.session.to_client().size(), 11000u);
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    all += peer.to_client();
    peer.session.on_output_drained();
  }
  std::string expected;
  for (int i = 0; i < 1000; ++i) expected += kAnswer7 + ready();
  EXPECT_EQ(all, expected);
}

TEST(Session, AHalfClosedClientStillGetsItsAnswer) {
  World world;
  Peer peer(world);
  peer.client(kSelect7);
  peer.session.on_client_closed(false);
  peer.answer_settings();
  EXPECT_EQ(peer.to_origin(), kSelect7);
  EXPECT_TRUE(peer.session.end_origin_when_flushed());
  peer.origin(kAnswer7 + ready());
  EXPECT_EQ(peer.to_client(), kAnswer7 + ready());
  peer.session.on_origin_closed("");
  EXPECT_TRUE(peer.session.close_client_when_flushed());
}

TEST(Session, AClientThatVanishesHasItsQueryCancelled) {
  World world;
  Peer peer(world);
  peer.client(query("SELECT pg_sleep(100)"));
  peer.answer_settings();
  peer.session.on_client_closed(true);
  ASSERT_EQ(peer.io.cancels.size(), 1u);
  EXPECT_EQ(peer.io.cancels[0], "\0\0\0\7\0\0\0\x09"s);
  EXPECT_TRUE(peer.session.close_origin_when_flushed());
}

TEST(Session, AnotherDatabaseIsOnlyRelayed) {
  World world;
  Peer peer(world, "elsewhere");
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), kSelect7);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kOtherDatabase), 1u);
}

// One Sync, one transaction: what an earlier part of the exchange did is seen by the read, and may
// be undone by a later part.
TEST(Session, AReadBehindAWriteInOneExchangeIsNotPublished) {
  World world;
  Peer peer(world);
  load(peer);
  const std::string one =
      parse("", "BEGIN") + bind("", {}) + execute() + parse("", "INSERT INTO users VALUES (9)") +
      bind("", {}) + execute() + parse("", "SELECT id FROM users WHERE id = $1") + bind("", {"9"}) +
      describe_portal() + execute() + parse("", "ROLLBACK") + bind("", {}) + execute() + sync();
  peer.client(one);
  EXPECT_EQ(peer.to_origin(), one);
  const std::string p = kParsed + kBound;
  peer.origin(p + complete("BEGIN") + p + complete("INSERT 0 1") + p + row_description() +
              row({"9"}) + complete("SELECT 1") + p + complete("ROLLBACK") + ready());
  EXPECT_EQ(world.bypasses(sql::BypassReason::kInTransaction), 1u);
  EXPECT_EQ(world.cache.status(peer.io.time).entries, 1u);  // that of load()
}

TEST(Session, ARowLargerThanTheBufferIsCapturedToo) {
  World world;
  Peer peer(world);
  const std::string large =
      row_description() + row({std::string(600000, 'x')}) + complete("SELECT 1");
  peer.client(kSelect7);
  peer.answer_settings();
  std::string relayed;
  for (std::size_t at = 0; at < large.size(); at += 65536) {
    peer.origin(large.substr(at, 65536));
    relayed += peer.to_client();
    peer.session.on_output_drained();
  }
  peer.origin(ready());
  EXPECT_EQ(relayed + peer.to_client(), large + ready());
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_client(), large + ready());
  EXPECT_EQ(world.stats.hits.load(), 1u);
}

TEST(Session, ATooLargeResultIsCountedAndNotKept) {
  World world;
  world.config.max_result_size = 1 << 20;
  Peer peer(world);
  peer.client(kSelect7);
  peer.answer_settings();
  peer.origin(row_description());
  for (int i = 0; i < 100; ++i) {
    peer.origin(row({std::string(20000, 'x')}));
    peer.to_client();
  }
  peer.origin(complete("SELECT 100") + ready());
  const cache::CacheStatus status = world.cache.status(peer.io.time);
  EXPECT_EQ(status.entries, 0u);
  EXPECT_EQ(status.publish_outcomes[static_cast<std::size_t>(cache::PublishOutcome::kTooLarge)],
            1u);
}

TEST(Session, DdlIsReported) {
  World world;
  Peer peer(world);
  peer.client(query("ALTER TABLE users ADD COLUMN c int"));
  peer.origin(complete("ALTER TABLE") + ready());
  EXPECT_EQ(world.ddl_seen, 1);
  peer.client(query("BEGIN"));
  peer.origin(complete("BEGIN") + ready('T'));
  peer.client(query("DROP TABLE users"));
  peer.origin(complete("DROP TABLE") + ready('T'));
  EXPECT_EQ(world.ddl_seen, 1);  // not visible to anybody yet
  peer.client(query("COMMIT"));
  peer.origin(complete("COMMIT") + ready());
  EXPECT_EQ(world.ddl_seen, 2);
  EXPECT_EQ(world.definitions_pending, 2u);
  peer.client(query("ANALYZE"));
  peer.origin(complete("ANALYZE") + ready());
  peer.client(query("CREATE LOCAL TEMP TABLE alterations (dropped int)"));
  peer.origin(complete("CREATE TABLE") + ready());
  EXPECT_EQ(world.ddl_seen, 4);
  EXPECT_EQ(world.definitions_pending, 2u);
  peer.client(query("SELECT 1; CREATE TABLE t (a int)"));
  peer.origin(complete("SELECT 1") + complete("CREATE TABLE") + ready());
  EXPECT_EQ(world.definitions_pending, 3u);
}

TEST(Session, DdlInAStatementThatIsTooLongIsReported) {
  World world;
  world.config.max_query_size = 1024;
  Peer peer(world);
  peer.client(query("CREATE VIEW v AS SELECT '" + std::string(2000, 'x') + "'"));
  peer.origin(complete("CREATE VIEW") + ready());
  EXPECT_EQ(world.definitions_pending, 1u);
}

TEST(Session, NothingIsServedWhileDefinitionsArePending) {
  World world;
  Peer peer(world);
  load(peer);
  Peer other(world);
  other.client(query("ALTER TABLE users ADD COLUMN c int"));
  other.origin(complete("ALTER TABLE") + ready());
  peer.client(kSelect7);
  EXPECT_EQ(peer.to_origin(), kSelect7);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kDefinitions), 1u);
}

TEST(Session, NothingLeavesBetweenAnErrorAndReadyForQuery) {
  World world;
  Peer peer(world);
  load(peer);
  const std::string failing = parse("", "SELECT bad") + bind("", {}) + execute() + sync();
  peer.client(failing + kSelect7);
  peer.origin(error("42703") + ready());
  EXPECT_EQ(peer.to_client().substr(0, (error("42703") + ready()).size()),
            error("42703") + ready());
}

}  // namespace
}  // namespace pgcache::proxy::testing
