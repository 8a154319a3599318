// SPDX-License-Identifier: Apache-2.0
// Before the first query and beside it: startup packets, authentication, cancel requests.
#include <thread>

#include "transcript.h"

namespace pgcache::testing {
namespace {

using message::be32;
using message::frame;
using message::query;
using message::startup;

constexpr std::uint32_t kSslCode = 80877103;
constexpr std::uint32_t kGssCode = 80877104;
constexpr std::uint32_t kCancelCode = 80877102;

class StartupAndCancel : public SharedStack<StartupAndCancel> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.hba = {"host all clear 127.0.0.1/32 password", "host all digest 127.0.0.1/32 md5",
                   "host all scram 127.0.0.1/32 scram-sha-256",
                   "host all rejected 127.0.0.1/32 reject"};
    options.schema = R"(
      CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one');
      SET password_encryption = 'scram-sha-256';
      CREATE ROLE clear LOGIN PASSWORD 'secret'; CREATE ROLE scram LOGIN PASSWORD 'secret';
      CREATE ROLE rejected LOGIN;
      SET password_encryption = 'md5'; CREATE ROLE digest LOGIN PASSWORD 'secret';
      RESET password_encryption;
      GRANT SELECT ON t TO clear, digest, scram;)";
    return options;
  }

 protected:
  static RawClient dial() { return RawClient("127.0.0.1", stack().proxy().port()); }
  static std::string request(std::uint32_t code, const std::string& more = {}) {
    return be32(static_cast<std::uint32_t>(8 + more.size())) + be32(code) + more;
  }
  static std::string plain_startup() {
    return startup({{"user", "postgres"}, {"database", "postgres"}});
  }
  static bool sleeping(const std::string& pattern) {
    return stack()
               .direct()
               .must(
                   "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '" +
                   pattern + "' AND pid <> pg_backend_pid()")
               .value() != "0";
  }
};

TEST_F(StartupAndCancel, EncryptionRequestsInEitherOrder) {
  for (const auto& order : std::vector<std::vector<std::uint32_t>>{
           {kSslCode}, {kGssCode}, {kSslCode, kGssCode}, {kGssCode, kSslCode}}) {
    RawClient client = dial();
    for (const std::uint32_t code : order) {
      client.send(request(code));
      EXPECT_EQ(client.read_bytes(1), "N");
    }
    client.send(plain_startup());
    EXPECT_EQ(client.read_until('Z').front().tag, 'R');
    client.send(query("SELECT 1"));
    EXPECT_EQ(first_columns(client.read_until('Z')), "1");
  }
}

TEST_F(StartupAndCancel, PacketsInPieces) {
  RawClient client = dial();
  const std::string bytes = request(kSslCode);
  for (const char c : bytes) client.send(std::string_view(&c, 1));
  EXPECT_EQ(client.read_bytes(1), "N");
  for (const char c : plain_startup()) client.send(std::string_view(&c, 1));
  EXPECT_EQ(client.read_until('Z').back().tag, 'Z');
}

TEST_F(StartupAndCancel, GreetingIsTheOrigins) {
  const auto greeting = [](const RawClient& client) {
    std::vector<RawFrame> frames = client.greeting();
    std::erase_if(frames, [](const RawFrame& f) { return f.tag == 'K'; });
    return frames_text(frames);
  };
  const std::vector<std::pair<std::string, std::string>> parameters = {
      {"application_name", "the app"}, {"DateStyle", "German"}, {"client_encoding", "LATIN1"}};
  EXPECT_EQ(greeting(stack().raw(parameters)),
            greeting(RawClient::session("127.0.0.1", stack().origin().port(), parameters)));
}

TEST_F(StartupAndCancel, OptionsReachTheOrigin) {
  Connection session = stack().client(
      "application_name='the app' options='-c work_mem=123kB -c search_path=pg_catalog'");
  EXPECT_EQ(session.query("SHOW work_mem").value(), "123kB");
  EXPECT_EQ(session.query("SHOW search_path").value(), "pg_catalog");
  EXPECT_EQ(stack()
                .direct()
                .must("SELECT application_name FROM pg_stat_activity WHERE pid = " +
                      std::to_string(session.backend_pid()))
                .value(),
            "the app");
}

TEST_F(StartupAndCancel, UnknownMinorVersionIsNegotiated) {
  const std::string packet = startup(
      {{"user", "postgres"}, {"database", "postgres"}, {"_pq_.something", "1"}}, 196608 + 9);
  std::vector<std::string> answers;
  for (const int port : {stack().origin().port(), stack().proxy().port()}) {
    RawClient client("127.0.0.1", port);
    client.send(packet);
    const std::vector<RawFrame> frames = client.read_until('Z');
    ASSERT_NE(find_frame(frames, 'v'), nullptr);
    answers.push_back(find_frame(frames, 'v')->body);
    client.send(query("SELECT v FROM t WHERE id = 1"));
    EXPECT_EQ(first_columns(client.read_until('Z')), "one");
  }
  EXPECT_EQ(answers[0], answers[1]);
}

TEST_F(StartupAndCancel, UnsupportedAndDamagedPackets) {
  const std::string huge = be32(0x7fffffff) + be32(196608);
  const std::string tiny = be32(3);
  const std::string old = startup({{"user", "postgres"}}, 131072);
  const std::string unfinished = be32(14) + be32(196608) + std::string("user\0a", 6);
  const std::string hello = std::string("\x16\x03\x01\x00\x05hello", 10);
  for (const std::string& bytes : {huge, tiny, old, unfinished, hello}) {
    RawClient client = dial();
    client.send(bytes);
    client.shutdown_sending();
    EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);
  }
  EXPECT_TRUE(stack().proxy().running());
}

TEST_F(StartupAndCancel, ReplicationSessionIsRelayed) {
  RawClient client = dial();
  client.send(
      startup({{"user", "postgres"}, {"database", "postgres"}, {"replication", "database"}}));
  client.read_until('Z');
  client.send(query("IDENTIFY_SYSTEM"));
  const std::vector<RawFrame> frames = client.read_until('Z');
  ASSERT_NE(find_frame(frames, 'D'), nullptr);
  EXPECT_EQ(find_frame(frames, 'D')->columns().at(0),
            stack().direct().must("SELECT system_identifier FROM pg_control_system()").value());
  client.send(query("SELECT v FROM t WHERE id = 1"));
  EXPECT_EQ(first_columns(client.read_until('Z')), "one");
}

TEST_F(StartupAndCancel, PasswordMethods) {
  for (const char* user : {"clear", "digest", "scram"}) {
    Connection session = stack().client("password=secret", user);
    EXPECT_EQ(rows_text(stack().load(session, "SELECT v FROM t WHERE id = 1")), "one") << user;
    EXPECT_EQ(session.query("SELECT current_user").value(), user);
    try {
      stack().client("password=wrong", user);
      FAIL() << user;
    } catch (const std::runtime_error& error) {
      EXPECT_NE(std::string(error.what()).find("password authentication failed"), std::string::npos)
          << error.what();
    }
  }
}

TEST_F(StartupAndCancel, RefusalsAreTheOrigins) {
  const auto refusal = [](int port, const std::string& user, const std::string& database) {
    RawClient client("127.0.0.1", port);
    client.send(startup({{"user", user}, {"database", database}}));
    const std::string text = frames_text({client.read_frame()});
    EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);
    return text;
  };
  for (const auto& [user, database] : std::vector<std::pair<std::string, std::string>>{
           {"postgres", "no_such_database"}, {"no_such_role", "postgres"}}) {
    EXPECT_EQ(refusal(stack().proxy().port(), user, database),
              refusal(stack().origin().port(), user, database));
  }
  EXPECT_NE(refusal(stack().proxy().port(), "rejected", "postgres").find("28000"),
            std::string::npos);
}

TEST_F(StartupAndCancel, OtherDatabaseIsServedUncached) {
  stack().direct().must("CREATE DATABASE elsewhere");
  Connection session("host=127.0.0.1 port=" + std::to_string(stack().proxy().port()) +
                     " dbname=elsewhere user=postgres sslmode=disable gssencmode=disable");
  session.must("CREATE TABLE t (id int PRIMARY KEY, v text)");
  session.must("INSERT INTO t VALUES (1, 'elsewhere')");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(
        value_of(stack().query(session, "SELECT v FROM t WHERE id = 1", "bypass:other_database")),
        "elsewhere");
  }
}

TEST_F(StartupAndCancel, CancelEndsTheQueryOfItsSession) {
  Connection sleeper = stack().client();
  Connection other = stack().client();
  ASSERT_EQ(PQsendQuery(sleeper.raw(), "SELECT pg_sleep(30)"), 1);
  ASSERT_EQ(PQsendQuery(other.raw(), "SELECT pg_sleep(0.5), 'not cancelled'"), 1);
  ASSERT_TRUE(wait_until([] { return sleeping("SELECT pg_sleep(30)%"); }, 5000));
  cancel_query(sleeper);
  PGresult* kept = PQgetResult(other.raw());
  EXPECT_EQ(PQresultStatus(kept), PGRES_TUPLES_OK);
  PQclear(kept);
  EXPECT_EQ(PQgetResult(sleeper.raw()), nullptr);
  EXPECT_EQ(sleeper.query("SELECT 1").value(), "1");
}

// PostgreSQL drops a request that comes before its query has been read. What is lost all the same,
// on a busy machine, is little; a query behind the one that was meant is never hit.
TEST_F(StartupAndCancel, ACancelRightBehindItsQueryTakesEffect) {
  constexpr int kRounds = 200;
  Connection session = stack().client();
  int lost = 0;
  for (int i = 0; i < kRounds; ++i) {
    ASSERT_EQ(PQsendQuery(session.raw(), "SELECT pg_sleep(0.2)"), 1);
    cancel(session);
    PGresult* const result = PQgetResult(session.raw());
    if (PQresultStatus(result) == PGRES_TUPLES_OK) ++lost;
    PQclear(result);
    ASSERT_EQ(PQgetResult(session.raw()), nullptr);
    EXPECT_EQ(session.query("SELECT 1 + 1").value(), "2");
  }
  EXPECT_LE(lost, kRounds / 20);
}

TEST_F(StartupAndCancel, CancelConnectionIsClosedWithoutReset) {
  RawClient session = stack().raw();
  session.send(query("SELECT pg_sleep(20), 'fin'"));
  ASSERT_TRUE(wait_until([] { return sleeping("SELECT pg_sleep(20)%"); }, 5000));
  RawClient cancel = dial();
  cancel.send(request(kCancelCode, be32(static_cast<std::uint32_t>(session.process_id())) +
                                       be32(session.secret())));
  EXPECT_EQ(cancel.wait_for_end(5000), RawClient::End::kClosed);
  EXPECT_EQ(find_frame(session.read_until('Z'), 'E')->field('C'), "57014");
}

TEST_F(StartupAndCancel, CancelWithAWrongKeyDoesNothing) {
  RawClient session = stack().raw();
  session.send(query("SELECT pg_sleep(0.4), 'wrong key'"));
  ASSERT_TRUE(wait_until([] { return sleeping("SELECT pg_sleep(0.4), %"); }, 5000));
  for (const std::string& key :
       {be32(static_cast<std::uint32_t>(session.process_id())) + be32(session.secret() + 1),
        be32(1) + be32(2), be32(static_cast<std::uint32_t>(session.process_id()))}) {
    RawClient cancel = dial();
    cancel.send(request(kCancelCode, key));
    EXPECT_NE(cancel.wait_for_end(5000), RawClient::End::kOpen);
  }
  EXPECT_EQ(find_frame(session.read_until('Z'), 'E'), nullptr);
}

// A query that waits for the same query of another client is not at the origin, where a cancel
// request would find it.
TEST_F(StartupAndCancel, CancelEndsAQueryThatWaitsForAnotherClients) {
  StackOptions options;
  options.schema =
      "CREATE TABLE s (id int PRIMARY KEY, v text); INSERT INTO s SELECT i, i::text "
      "FROM generate_series(1, 250) i";
  options.arguments = {"--load-wait-timeout", "60s"};
  Stack own(options);
  const std::string slow = "SELECT count(*) FROM s a, s b, s c WHERE a.v || b.v || c.v <> 'x'";
  Connection first = own.client();
  Connection second = own.client();
  const auto running = [&] {
    return own.direct()
        .must(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE "
            "'SELECT count(*) FROM s a%'")
        .value();
  };
  own.expect_route("fallback:load_wait miss", [&] {
    ASSERT_EQ(PQsendQuery(first.raw(), slow.c_str()), 1);
    ASSERT_TRUE(wait_until([&] { return running() == "1"; }, 5000));
    ASSERT_EQ(PQsendQuery(second.raw(), slow.c_str()), 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_EQ(running(), "1");
    cancel_query(second);
    PGresult* kept = PQgetResult(first.raw());
    EXPECT_EQ(PQresultStatus(kept), PGRES_TUPLES_OK);
    PQclear(kept);
    EXPECT_EQ(PQgetResult(first.raw()), nullptr);
  });
  EXPECT_EQ(value_of(own.query(second, slow, "hit")), "15625000");
}

TEST_F(StartupAndCancel, CancelOfAnIdleSessionDoesNotHurtItsHits) {
  Connection session = stack().client();
  const std::string sql = "SELECT v FROM t WHERE id = 1";
  session.must(sql);
  stack().query_until(session, sql, "hit");
  for (int i = 0; i < 20; ++i) {
    cancel(session);
    EXPECT_EQ(value_of(stack().query(session, sql, "hit")), "one");
  }
}

}  // namespace
}  // namespace pgcache::testing
