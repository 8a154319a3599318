// SPDX-License-Identifier: Apache-2.0
// Sessions whose origin may give each transaction another connection: what they send beside the
// client's own messages, and what they publish.
#include <gtest/gtest.h>

#include "proxy/session_test_support.h"

namespace pgcache::proxy::testing {
namespace {

const std::string kSql = "SELECT id FROM users WHERE id = 7";
const std::string kRead = query(kSql);
const std::string kReadAndSettings = query(kSql + "\n;" + settings_query());
const std::string kAnswer = row_description() + row({"7"}) + complete("SELECT 1");
const std::string kClosed = frame('3', "");

struct PooledWorld : World {
  PooledWorld() { environment.pooled_database = "x"; }
};

std::string settings(std::string_view encoding = "UTF8") {
  const std::string reply = Peer::settings_reply("", "read committed", encoding);
  return reply.substr(0, reply.size() - ready().size());
}

// Behind the Executes of a unit, in front of its Sync.
std::string settings_request() {
  std::string out;
  wire::append_close(out, 'S', "pgcache settings");
  wire::append_parse(out, "pgcache settings", settings_query(), {});
  wire::append_bind(out, "pgcache settings");
  wire::append_execute(out, "pgcache settings");
  wire::append_close(out, 'P', "pgcache settings");
  wire::append_close(out, 'S', "pgcache settings");
  return out;
}
std::string settings_answer(std::string_view encoding = "UTF8") {
  return kClosed + kParsed + kBound + settings(encoding).substr(row_description().size()) +
         kClosed + kClosed;
}
std::string close_statement(std::string_view name) {
  std::string out;
  wire::append_close(out, 'S', name);
  return out;
}

TEST(SessionPooled, AnswersUnderTheSettingsOfTheirKeyArePublished) {
  for (const bool same : {true, false}) {
    PooledWorld world;
    Peer peer(world);
    peer.client(kRead);
    peer.answer_settings();
    ASSERT_EQ(peer.to_origin(), kReadAndSettings);
    peer.origin(kAnswer + settings(same ? "UTF8" : "LATIN1") + ready());
    EXPECT_EQ(peer.to_client(), kAnswer + ready());
    peer.client(kRead);
    EXPECT_EQ(world.stats.hits.load(), same ? 1U : 0U);
    EXPECT_EQ(peer.to_client(), same ? kAnswer + ready() : "");
  }
}

TEST(SessionPooled, EveryByteByItself) {
  PooledWorld world;
  Peer peer(world);
  peer.client(kRead);
  peer.answer_settings();
  for (const char c : kAnswer + settings() + ready()) peer.origin(std::string(1, c));
  EXPECT_EQ(peer.to_client(), kAnswer + ready());
  peer.client(kRead);
  EXPECT_EQ(world.stats.hits.load(), 1U);
}

TEST(SessionPooled, ErrorsAreTheClients) {
  PooledWorld world;
  Peer peer(world);
  peer.client(kRead);
  peer.answer_settings();
  peer.origin(error("22012") + ready());
  EXPECT_EQ(peer.to_client(), error("22012") + ready());
  // In the part that was added: it ended the client's transaction.
  peer.client(kRead);
  peer.origin(kAnswer + error("57014") + ready());
  EXPECT_EQ(peer.to_client(), kAnswer + error("57014") + ready());
  peer.client(kRead);
  EXPECT_EQ(world.stats.hits.load(), 0U);
}

TEST(SessionPooled, ExchangesAskForTheSettingsBeforeTheirSync) {
  for (const bool same : {true, false}) {
    PooledWorld world;
    Peer peer(world);
    const std::string request = parse("", "SELECT id FROM users WHERE id = $1") + bind("", {"7"}) +
                                describe_portal() + execute();
    const std::string answer = kParsed + kBound + kAnswer;
    peer.client(request + sync());
    peer.answer_settings();
    ASSERT_EQ(peer.to_origin(), request + settings_request() + sync());
    peer.origin(answer + settings_answer(same ? "UTF8" : "LATIN1") + ready());
    EXPECT_EQ(peer.to_client(), answer + ready());
    peer.client(request + sync());
    EXPECT_EQ(world.stats.hits.load(), same ? 1U : 0U);
  }
}

TEST(SessionPooled, StatementsArePreparedInTheTransactionThatUsesThem) {
  PooledWorld world;
  Peer peer(world);
  const std::string text = parse("s", "DELETE FROM users WHERE id = $1");
  const std::string use = bind("s", {"7"}) + execute() + sync();
  peer.client(text + sync());
  EXPECT_EQ(peer.to_origin(), close_statement("s") + text + sync());
  peer.origin(kClosed + kParsed + ready());
  EXPECT_EQ(peer.to_client(), kParsed + ready());
  for (int i = 0; i < 2; ++i) {
    peer.client(use);
    EXPECT_EQ(peer.to_origin(), close_statement("s") + text + use);
    peer.origin(kClosed + kParsed + kBound + complete("DELETE 1") + ready('I'));
    EXPECT_EQ(peer.to_client(), kBound + complete("DELETE 1") + ready());
  }
  // In a block once.
  peer.client(query("BEGIN ISOLATION LEVEL SERIALIZABLE"));
  peer.to_origin();
  peer.origin(complete("BEGIN") + ready('T'));
  peer.to_client();
  peer.client(use);
  EXPECT_EQ(peer.to_origin(), close_statement("s") + text + use);
  peer.origin(kClosed + kParsed + kBound + complete("DELETE 1") + ready('T'));
  peer.client(use);
  EXPECT_EQ(peer.to_origin(), use);
}

TEST(SessionPooled, ASecondParseOfANameFailsAsItShould) {
  PooledWorld world;
  Peer peer(world);
  const std::string text = parse("s", "DELETE FROM users");
  peer.client(text + sync());
  peer.to_origin();
  peer.origin(kClosed + kParsed + ready());
  peer.to_client();
  peer.client(text + sync());
  EXPECT_EQ(peer.to_origin(), close_statement("s") + text + text + sync());
  peer.origin(kClosed + kParsed + error("42P05") + ready());
  EXPECT_EQ(peer.to_client(), error("42P05") + ready());
}

TEST(SessionPooled, StatementsAreDeallocatedWhereverTheyAre) {
  PooledWorld world;
  Peer peer(world);
  const std::string text = parse("s", "DELETE FROM users");
  const auto prepare = [&] {
    peer.client(text + sync());
    peer.to_origin();
    peer.origin(kClosed + kParsed + ready());
    peer.to_client();
  };
  prepare();
  peer.client(query("DEALLOCATE s"));
  EXPECT_EQ(peer.to_origin(), "");
  EXPECT_EQ(peer.to_client(), complete("DEALLOCATE") + ready());
  peer.client(query("DEALLOCATE s"));  // the server knows best how to say that it is not there
  EXPECT_EQ(peer.to_origin(), query("DEALLOCATE s"));
  peer.origin(error("26000") + ready());
  peer.to_client();
  prepare();
  const std::string request = parse("", "DEALLOCATE s") + bind("", {}) + execute() + sync();
  peer.client(request);
  const std::string before = parse("", "DEALLOCATE s");
  EXPECT_EQ(peer.to_origin(),
            before + close_statement("s") + text + bind("", {}) + execute() + sync());
  peer.origin(kParsed + kClosed + kParsed + kBound + complete("DEALLOCATE") + ready());
  EXPECT_EQ(peer.to_client(), kParsed + kBound + complete("DEALLOCATE") + ready());
  peer.client(bind("s", {}) + execute() + sync());
  EXPECT_EQ(peer.to_origin(), close_statement("s") + bind("s", {}) + execute() + sync());
}

TEST(SessionPooled, ForeignUnnamedStatementsAreNotUsed) {
  PooledWorld world;
  Peer peer(world);
  const std::string use = bind("", {}) + execute() + sync();
  peer.client(use);
  EXPECT_EQ(peer.to_origin(), close_statement("") + use);
  peer.origin(kClosed + error("26000") + ready());
  peer.to_client();
  peer.client(query("DELETE FROM users"));
  peer.to_origin();
  peer.origin(complete("DELETE 1") + ready());
  peer.to_client();
  peer.client(use);
  EXPECT_EQ(peer.to_origin(), close_statement("") + use);
}

TEST(SessionPooled, NamesThatTheSessionDoesNotHaveAreCleared) {
  PooledWorld world;
  Peer peer(world);
  const std::string use = bind("s", {}) + execute() + sync();
  peer.client(use);
  EXPECT_EQ(peer.to_origin(), close_statement("s") + use);
  peer.origin(kClosed + error("26000") + ready());
  EXPECT_EQ(peer.to_client(), error("26000") + ready());
}

TEST(SessionPooled, CodeThatIsNotReadLosesNoStatements) {
  PooledWorld world;
  Peer peer(world);
  const std::string text = parse("s", "DELETE FROM users");
  peer.client(text + sync());
  peer.to_origin();
  peer.origin(kClosed + kParsed + ready());
  peer.client(query("DO 'begin end'"));
  peer.to_origin();
  peer.origin(complete("DO") + ready());
  const std::string use = bind("s", {}) + execute() + sync();
  peer.client(use);
  EXPECT_EQ(peer.to_origin(), close_statement("s") + text + use);
  peer.origin(kClosed + kParsed + kBound + complete("DELETE 1") + ready());
  peer.client(query("DEALLOCATE ALL"));
  peer.to_origin();
  peer.origin(complete("DEALLOCATE ALL") + ready());
  peer.client(use);
  EXPECT_EQ(peer.to_origin(), close_statement("s") + use);
}

TEST(SessionPooled, ExchangesGoOneByOne) {
  PooledWorld world;
  Peer peer(world);
  const std::string one = query("DELETE FROM users");
  const std::string two = query("DELETE FROM orders");
  peer.client(one + two);
  EXPECT_EQ(peer.to_origin(), one);
  peer.origin(complete("DELETE 1") + ready());
  EXPECT_EQ(peer.to_origin(), two);
}

TEST(SessionPooled, CopyDataIsNotHeld) {
  PooledWorld world;
  Peer peer(world);
  const std::string copy = query("COPY users FROM STDIN");
  const std::string data = frame('d', "1\n") + frame('c', "");
  peer.client(copy + data + query("DELETE FROM users"));
  EXPECT_EQ(peer.to_origin(), copy);
  peer.origin(frame('G', "\0\0\0"s));
  EXPECT_EQ(peer.to_origin(), data);
  peer.origin(complete("COPY 1") + ready());
  EXPECT_EQ(peer.to_origin(), query("DELETE FROM users"));
}

TEST(SessionPooled, AnotherDatabaseIsNotCached) {
  PooledWorld world;
  world.environment.pooled_database = "elsewhere";
  Peer peer(world);
  peer.client(kRead);
  peer.answer_settings();
  EXPECT_EQ(peer.to_origin(), kRead);
  EXPECT_EQ(world.bypasses(sql::BypassReason::kOtherDatabase), 1U);
}

}  // namespace
}  // namespace pgcache::proxy::testing
