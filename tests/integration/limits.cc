// SPDX-License-Identifier: Apache-2.0
// Limits of pgcache and of the origin, as a client meets them.
#include <thread>

#include "transcript.h"

namespace pgcache::testing {
namespace {

using message::query;

constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";

class Limits : public SharedStack<Limits> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'v1');";
    options.arguments = {"--handshake-timeout", "400ms", "--max-clients", "5"};
    return options;
  }

 protected:
  void SetUp() override {
    ASSERT_TRUE(wait_until([] { return stack().proxy().metric("pgcache_clients") == 0; }, 5000));
  }
};

TEST_F(Limits, ClientThatSaysNothingIsLetGo) {
  RawClient client("127.0.0.1", stack().proxy().port());
  EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);
  RawClient half("127.0.0.1", stack().proxy().port());
  half.send(std::string("\0\0\0", 3));
  EXPECT_EQ(half.wait_for_end(5000), RawClient::End::kClosed);
}

TEST_F(Limits, OneClientTooMany) {
  {
    std::vector<RawClient> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(stack().raw());
    try {
      stack().client();
      FAIL() << "a sixth client";
    } catch (const std::runtime_error& error) {
      EXPECT_NE(std::string(error.what()).find("too many"), std::string::npos) << error.what();
    }
    clients.front().send(query(kRead));
    EXPECT_EQ(first_columns(clients.front().read_until('Z')), "v1");
  }
  const auto served = [] {
    try {
      return stack().client().query(kRead).ok();
    } catch (const std::runtime_error&) {
      return false;
    }
  };
  EXPECT_TRUE(wait_until(served, 5000));
}

TEST_F(Limits, StatementTimeout) {
  Connection session = stack().client("options='-c statement_timeout=200ms'");
  EXPECT_EQ(session.query("SELECT pg_sleep(10)").sqlstate, "57014");
  stack().settle_session(session);
  stack().query_until(session, kRead, "hit");
}

TEST_F(Limits, IdleTimeoutOfTheOriginIsPassedOn) {
  RawClient client = stack().raw({{"options", "-c idle_session_timeout=500ms"}});
  for (int i = 0; i < 5; ++i) {
    client.send(query(kRead));
    EXPECT_EQ(first_columns(client.read_until('Z')), "v1");
  }
  EXPECT_EQ(client.read_frame().field('C'), "57P05");
  EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);
}

TEST_F(Limits, IdleInTransactionTimeout) {
  RawClient client = stack().raw({{"options", "-c idle_in_transaction_session_timeout=300ms"}});
  client.send(query("BEGIN"));
  client.read_until('Z');
  EXPECT_EQ(client.read_frame().field('C'), "25P03");
  EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);
}

TEST_F(Limits, QueryInTheSameWriteAsTheStartup) {
  RawClient client("127.0.0.1", stack().proxy().port());
  client.send(message::be32(8) + message::be32(80877103));
  EXPECT_EQ(client.read_bytes(1), "N");
  client.send(message::startup({{"user", "postgres"}, {"database", "postgres"}}) +
              query("SELECT 1"));
  EXPECT_EQ(client.read_until('Z').back().tag, 'Z');
  EXPECT_EQ(first_columns(client.read_until('Z')), "1");
}

TEST_F(Limits, StatementLongerThanIsAnalysed) {
  Connection session = stack().client();
  stack().query_until(session, kRead, "hit");
  const std::string padding(70000, ' ');
  for (int i = 0; i < 2; ++i) {
    stack().query(session, "SELECT v FROM t WHERE " + padding + " id = 1", "bypass:query_too_long");
  }
  const std::string list(20000, '1');
  stack().settle_session(session);
  const std::string long_literal = "SELECT v FROM t WHERE v = '" + list + "'";
  EXPECT_TRUE(stack().load(session, long_literal).empty());
}

TEST_F(Limits, DeepNesting) {
  Connection session = stack().client();
  const std::string deep =
      "SELECT " + std::string(2000, '(') + "1" + std::string(2000, ')') + " FROM t WHERE id = 1";
  const std::string sums = [] {
    std::string text = "SELECT 1";
    for (int i = 0; i < 3000; ++i) text += "+1";
    return text + " FROM t WHERE id = 1";
  }();
  Connection direct(stack().origin().dsn());
  for (const std::string& sql : {deep, sums}) {
    const QueryResult expected = direct.query(sql);
    for (int i = 0; i < 2; ++i) {
      const QueryResult got = session.query(sql);
      EXPECT_EQ(got.sqlstate, expected.sqlstate);
      EXPECT_EQ(rows_text(got.rows), rows_text(expected.rows));
    }
  }
  EXPECT_TRUE(stack().proxy().running());
}

TEST_F(Limits, AdminAnswersUnderOddRequests) {
  for (const char* path :
       {"/", "/healthz", "/readyz", "/metrics", "/status", "/queries", "/queries?limit=1"}) {
    EXPECT_EQ(stack().proxy().http(path).status, 200) << path;
  }
  EXPECT_EQ(stack().proxy().http("/nothing").status, 404);
  EXPECT_EQ(stack().proxy().http("/queries?limit=x").status, 400);
  RawClient rude("127.0.0.1", stack().proxy().admin_port());
  rude.send("GET / HTTP/9.9\r\nnonsense\r\n\r\n");
  rude.shutdown_sending();
  EXPECT_EQ(rude.wait_for_end(10000), RawClient::End::kClosed);
  EXPECT_EQ(stack().proxy().http("/healthz").status, 200);
}

TEST_F(Limits, QueriesPageTellsShapesApart) {
  Connection session = stack().client();
  stack().query_until(session, "SELECT v AS page FROM t WHERE id = 1", "hit");
  session.must("SELECT v AS page FROM t WHERE id = 2");
  session.must("SELECT now() AS page FROM t");
  const std::string page = stack().proxy().http("/queries?limit=1000").body;
  EXPECT_NE(page.find("AS page FROM t WHERE id ="), std::string::npos) << page;
  EXPECT_NE(page.find("\"volatile_function\""), std::string::npos) << page;
  EXPECT_EQ(page.find("AS page FROM t WHERE id = 2"), std::string::npos) << "a literal in a shape";
}

}  // namespace
}  // namespace pgcache::testing
