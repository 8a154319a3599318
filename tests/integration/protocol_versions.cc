// SPDX-License-Identifier: Apache-2.0
// Clients of protocol 3.0 and 3.2 in front of every major version of the server: what is
// negotiated, which keys cancel, and what is said to packets that cannot be understood, compared
// with what the server says itself.
#include <algorithm>
#include <map>

#include "support/certificates.h"
#include "support/servers.h"
#include "transcript.h"

namespace pgcache::testing {
namespace {

using message::be32;
using message::query;
using message::startup;

constexpr std::uint32_t kSslCode = 80877103;
constexpr std::uint32_t kGssCode = 80877104;
constexpr std::uint32_t kCancelCode = 80877102;
constexpr std::uint32_t kVersion30 = 196608;
constexpr std::uint32_t kVersion32 = 196610;
constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";

using Parameters = std::vector<std::pair<std::string, std::string>>;

std::string request(std::uint32_t code, const std::string& more = {}) {
  return be32(static_cast<std::uint32_t>(8 + more.size())) + be32(code) + more;
}

std::string startup_of(std::uint32_t version, const Parameters& more = {}) {
  Parameters all = {{"user", "postgres"}, {"database", "postgres"}};
  all.insert(all.end(), more.begin(), more.end());
  return startup(all, version);
}

std::string packet(const std::string& body) {
  return be32(static_cast<std::uint32_t>(body.size() + 4)) + body;
}

StackOptions options_for(const std::string& bin) {
  StackOptions options;
  options.server_bin = bin;
  options.schema = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one');";
  return options;
}

// What a server says to these bytes until it is ready or closes; the key of a session, which is its
// own, as its length.
std::string answer(int port, const std::string& bytes) {
  RawClient client("127.0.0.1", port);
  client.send(bytes);
  std::vector<RawFrame> frames;
  std::string end = "ready\n";
  do {
    try {
      frames.push_back(client.read_frame(5000));
    } catch (const std::runtime_error&) {
      end = client.wait_for_end(100) == RawClient::End::kClosed ? "closed\n" : "open or reset\n";
      break;
    }
    if (frames.back().tag == 'K') frames.back().body = std::to_string(frames.back().body.size());
  } while (frames.back().tag != 'Z');
  return frames_text(frames) + end;
}

class ProtocolVersions : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const ServerBinaries server = server_binaries(GetParam());
    if (server.folder.empty()) {
      GTEST_SKIP() << "no server of version " << GetParam() << ": " << server.why_not;
    }
    std::unique_ptr<Stack>& stack = stacks_[GetParam()];
    if (!stack) stack = std::make_unique<Stack>(options_for(server.folder));
    stack_ = stack.get();
  }
  static void TearDownTestSuite() { stacks_.clear(); }
  void TearDown() override {
    if (HasFailure() && stack_ != nullptr) std::cerr << stack_->proxy().log_tail() << "\n";
  }
  static bool knows_32() { return GetParam() >= 18; }
  // Some servers are built with GSSAPI, which pgcache declines.
  bool origin_declines(std::uint32_t code) {
    RawClient client("127.0.0.1", direct());
    client.send(request(code));
    return client.read_bytes(1) == "N";
  }
  int direct() { return stack_->origin().port(); }
  int proxied() { return stack_->proxy().port(); }

  RawClient client(std::uint32_t version, std::string& key) {
    RawClient session("127.0.0.1", proxied());
    session.send(startup_of(version));
    const std::vector<RawFrame> greeting = session.read_until('Z');
    key = find_frame(greeting, 'K')->body;
    return session;
  }
  bool sleeps(const std::string& mark) {
    return wait_until(
        [&] {
          return stack_->direct()
                     .must(
                         "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                         "query LIKE 'SELECT pg_sleep(%" +
                         mark + "%' AND pid <> pg_backend_pid()")
                     .value() == "1";
        },
        5000);
  }
  void cancel(const std::string& key) {
    RawClient request_client("127.0.0.1", proxied());
    request_client.send(request(kCancelCode, key));
    EXPECT_EQ(request_client.wait_for_end(5000), RawClient::End::kClosed);
  }

  static inline std::map<int, std::unique_ptr<Stack>> stacks_;  // by version
  Stack* stack_ = nullptr;
};

TEST_P(ProtocolVersions, GreetingsAreTheOrigins) {
  const std::vector<std::string> packets = {
      startup_of(kVersion30),
      startup_of(kVersion30 + 1),
      startup_of(kVersion32),
      startup_of(kVersion30 + 9),
      startup_of(kVersion30 + 9999),
      startup_of(kVersion30, {{"_pq_.one", "1"}}),
      startup_of(kVersion32, {{"_pq_.one", "1"}, {"application_name", "app"}, {"_pq_.two", ""}}),
      startup_of(kVersion32, {{"options", "-c search_path=pg_catalog"}}),
      startup_of(kVersion32, {{"replication", "database"}}),
      startup_of(kVersion32, {{"_pq_.one", "1"}, {"replication", "true"}}),
  };
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const std::string expected = answer(direct(), packets[i]);
    EXPECT_TRUE(expected.ends_with("ready\n")) << expected;
    EXPECT_EQ(answer(proxied(), packets[i]), expected) << "packet " << i;
  }
}

TEST_P(ProtocolVersions, RefusalsAreTheOrigins) {
  const std::vector<std::string> packets = {
      startup_of(4 << 16),
      startup_of(2 << 16),
      startup_of(1 << 16),
      startup_of(kVersion32, {{"replication", "perhaps"}}),
      startup_of(kVersion32, {{"database", "no such"}}),
      startup({{"database", "postgres"}}, kVersion32),
      packet(be32(kVersion30) + std::string("user\0postgres", 13)),
      packet(be32(kVersion32) + std::string("user\0postgres\0\0rest", 19)),
      packet(be32(kVersion30)),
      be32(3) + be32(kVersion30),
      be32(4) + be32(kVersion30),
      be32(10005) + be32(kVersion30),
      be32(0x7fffffff) + be32(kVersion30),
      std::string("\x16\x03\x01\x00\x05hello", 10),
      request(kCancelCode),
      request(kCancelCode, be32(1)),
      request(kCancelCode, be32(1) + std::string(257, 'x')),
      request(kCancelCode, be32(1) + std::string(256, 'x')),
      request(kCancelCode, be32(1) + be32(2)),
  };
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const std::string expected = answer(direct(), packets[i]);
    EXPECT_TRUE(expected.ends_with("closed\n")) << expected;
    EXPECT_EQ(answer(proxied(), packets[i]), expected) << "packet " << i;
  }
}

// Bytes that came in one piece with a request for encryption, which is declined on both sides. The
// place in the server's source is all that may differ.
TEST_P(ProtocolVersions, BytesBehindADeclinedRequestAreRefused) {
  const auto said = [](int port, const std::string& bytes) {
    RawClient client("127.0.0.1", port);
    client.send(bytes);
    std::string text = client.read_bytes(1) + " ";
    const RawFrame error = client.read_frame();
    for (const char field : {'S', 'V', 'C', 'M', 'D', 'H'}) text += error.field(field) + "|";
    EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);
    return text;
  };
  for (const std::uint32_t code : {kSslCode, kGssCode}) {
    if (!origin_declines(code)) continue;
    for (const std::string& more :
         {startup_of(kVersion30), startup_of(kVersion32), request(kSslCode), request(kGssCode),
          request(kCancelCode, be32(1) + be32(2)), std::string("x")}) {
      EXPECT_EQ(said(proxied(), request(code) + more), said(direct(), request(code) + more));
    }
  }
}

TEST_P(ProtocolVersions, EachRequestForEncryptionMayComeOnce) {
  const auto said = [](int port, const std::vector<std::uint32_t>& codes) {
    RawClient client("127.0.0.1", port);
    std::string text;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      client.send(request(codes[i]));
      if (i + 1 < codes.size()) text += client.read_bytes(1);
    }
    const RawFrame error = client.read_frame();
    EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);
    const std::string message = error.field('M');
    return text + error.field('C') + message.substr(0, message.find(':'));
  };
  for (const std::vector<std::uint32_t>& codes :
       std::vector<std::vector<std::uint32_t>>{{kSslCode, kSslCode},
                                               {kGssCode, kGssCode},
                                               {kSslCode, kGssCode, kSslCode},
                                               {kGssCode, kSslCode, kGssCode}}) {
    if (!std::ranges::all_of(codes, [this](std::uint32_t code) { return origin_declines(code); })) {
      continue;
    }
    EXPECT_EQ(said(proxied(), codes), said(direct(), codes));
  }
}

TEST_P(ProtocolVersions, SessionsAreServedFromMemory) {
  std::string first;
  for (const std::uint32_t version : {kVersion30, kVersion32}) {
    std::string key;
    RawClient session = client(version, key);
    const bool long_key = knows_32() && version == kVersion32;
    EXPECT_EQ(key.size(), long_key ? 4U + 32U : 8U);
    const std::string sql = "SELECT v, " + std::to_string(version) + " FROM t WHERE id = 1";
    for (const char* route : {"miss", "hit"}) {
      stack_->expect_route(route, [&] {
        session.send(query(sql));
        EXPECT_EQ(first_columns(session.read_until('Z')), "one");
      });
    }
    RawClient straight("127.0.0.1", direct());
    straight.send(startup_of(version));
    straight.read_until('Z');
    const std::vector<Exchange> script = {
        {query(sql)}, {message::one_shot(sql)}, {query("nonsense")}};
    EXPECT_EQ(transcript(session, script), transcript(straight, script));
  }
}

TEST_P(ProtocolVersions, KeysCancelTheirOwnSessionAlone) {
  for (const std::uint32_t version : {kVersion30, kVersion32}) {
    const std::string mark = "v" + std::to_string(version);
    std::string key;
    std::string other_key;
    RawClient session = client(version, key);
    RawClient other = client(version, other_key);
    EXPECT_NE(key, other_key);
    other.send(query("SELECT pg_sleep(1.5), 'other " + mark + "'"));
    session.send(query("SELECT pg_sleep(30), 'own " + mark + "'"));
    ASSERT_TRUE(sleeps("own " + mark) && sleeps("other " + mark));
    // Keys that are nearly right: cut, with another last byte, with another's secret.
    std::string damaged = key;
    damaged.back() = static_cast<char>(damaged.back() + 1);
    const std::string mixed = key.substr(0, 4) + other_key.substr(4);
    std::vector<std::string> wrong = {damaged, mixed, key + "x"};
    for (const std::size_t size : {5U, 8U, 35U}) {
      if (size < key.size()) wrong.push_back(key.substr(0, size));
    }
    for (const std::string& bytes : wrong) cancel(bytes);
    EXPECT_TRUE(sleeps("own " + mark));
    cancel(key);
    EXPECT_EQ(find_frame(session.read_until('Z'), 'E')->field('C'), "57014");
    EXPECT_EQ(find_frame(other.read_until('Z'), 'E'), nullptr);
    session.send(query(kRead));
    EXPECT_EQ(first_columns(session.read_until('Z')), "one");
  }
}

TEST_P(ProtocolVersions, CancelsOfServedSessionsDoNothing) {
  for (const std::uint32_t version : {kVersion30, kVersion32}) {
    std::string key;
    RawClient session = client(version, key);
    session.send(query(kRead));
    session.read_until('Z');
    stack_->expect_route("hit*400", [&] {
      for (int i = 0; i < 20; ++i) {
        std::string all;
        for (int j = 0; j < 20; ++j) all += query(kRead);
        session.send(all);
        cancel(key);
        for (int j = 0; j < 20; ++j) EXPECT_EQ(first_columns(session.read_until('Z')), "one");
      }
    });
    // The server has not kept it for later either.
    stack_->expect_route("bypass:volatile_function", [&] {
      session.send(query("SELECT pg_sleep(0.1), 'after'"));
      EXPECT_EQ(find_frame(session.read_until('Z'), 'E'), nullptr);
    });
  }
}

TEST_P(ProtocolVersions, VanishedClientsLeaveNoQueryBehind) {
  for (const std::uint32_t version : {kVersion30, kVersion32}) {
    const std::string mark = "vanished " + std::to_string(version);
    std::string key;
    RawClient session = client(version, key);
    session.send(query("SELECT pg_sleep(30), '" + mark + "'"));
    ASSERT_TRUE(sleeps(mark));
    session.reset();
    EXPECT_TRUE(wait_until(
        [&] {
          return stack_->direct()
                     .must("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%" + mark +
                           "%' AND pid <> pg_backend_pid()")
                     .value() == "0";
        },
        5000));
  }
}

INSTANTIATE_TEST_SUITE_P(Servers, ProtocolVersions, ::testing::ValuesIn(kServerVersions),
                         [](const auto& server) { return std::to_string(server.param); });

// Long keys where both sides are in TLS.
TEST(ProtocolVersions, LongKeysCancelOverTls) {
  const ServerBinaries server = server_binaries(18);
  if (server.folder.empty()) GTEST_SKIP() << server.why_not;
  Certificates certificates;
  certificates.make("pgcache", "DNS:localhost", "pgcache");
  StackOptions options = options_for(server.folder);
  options.arguments = {"--tls-cert", certificates.path("pgcache.crt"), "--tls-key",
                       certificates.path("pgcache.key")};
  Stack stack(options);
  const auto dial = [&](bool secured) {
    RawClient client("127.0.0.1", stack.proxy().port());
    EXPECT_TRUE(!secured || client.request_tls());
    return client;
  };
  for (const bool secured : {true, false}) {
    RawClient session = dial(true);
    session.send(startup_of(kVersion32));
    const std::vector<RawFrame> greeting = session.read_until('Z');
    const std::string key = find_frame(greeting, 'K')->body;
    EXPECT_EQ(key.size(), 36U);
    session.send(query("SELECT pg_sleep(20), 'in TLS'"));
    ASSERT_TRUE(wait_until(
        [&] {
          return stack.direct()
                     .must(
                         "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query "
                         "LIKE 'SELECT pg_sleep(20)%'")
                     .value() == "1";
        },
        5000));
    RawClient cancel = dial(secured);
    cancel.send(request(kCancelCode, key));
    EXPECT_EQ(cancel.wait_for_end(5000), RawClient::End::kClosed);
    EXPECT_EQ(find_frame(session.read_until('Z'), 'E')->field('C'), "57014");
  }
}

}  // namespace
}  // namespace pgcache::testing
