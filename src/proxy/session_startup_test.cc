// SPDX-License-Identifier: Apache-2.0
// The beginning of a session: encryption on both sides, and which connection to the origin is made.
#include <gtest/gtest.h>

#include "proxy/session_test_support.h"
#include "wire/authentication.h"
#include "wire/startup.h"

namespace pgcache::proxy::testing {
namespace {

using origin::Encryption;
using origin::SslMode;

const std::string kOk = frame('R', "\0\0\0\0"s) + frame('K', "\0\0\0\7\0\0\0\x09"s) + ready();

std::string ssl_request() {
  std::string out;
  wire::append_ssl_request(out);
  return out;
}
std::string gss_request() { return "\0\0\0\x08\x04\xd2\x16\x30"s; }
std::string startup() {
  const std::string body = "\0\3\0\0user\0ann\0database\0shop\0\0"s;
  std::string packet;
  append_be32(packet, static_cast<std::uint32_t>(body.size() + 4));
  return packet + body;
}
std::string sasl_offer(const std::vector<std::string_view>& mechanisms) {
  std::string out;
  wire::append_sasl_offer(out, mechanisms);
  return out;
}
const std::string kBoth = sasl_offer({"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"});
const std::string kUnbound = sasl_offer({"SCRAM-SHA-256"});
std::string sasl_response(std::string_view data) {
  std::string body = "SCRAM-SHA-256\0"s;
  append_be32(body, static_cast<std::uint32_t>(data.size()));
  return frame('p', body + std::string(data));
}

// A session at its very beginning.
class Newcomer {
 public:
  explicit Newcomer(SslMode mode = SslMode::kDisable, ClientTls tls = ClientTls::kOffered) {
    world.environment.origin_ssl_mode = mode;
    io.tls = tls;
    session.emplace(world.environment, io);
    session->start();
  }
  void client(std::string_view bytes) {
    session->client_input().append(bytes);
    session->on_client_bytes();
  }
  void origin(std::string_view bytes) {
    session->origin_input().append(bytes);
    session->on_origin_bytes();
  }
  void secure() {
    client(ssl_request());
    EXPECT_EQ(to_client(), "S");
    session->on_client_secured();
  }
  std::string to_client() { return take(session->to_client()); }
  std::string to_origin() { return take(session->to_origin()); }

  World world;
  FakeIo io;
  std::optional<Session> session;

 private:
  static std::string take(wire::OutputQueue& queue) {
    std::string bytes;
    while (!queue.empty()) {
      const std::string piece(queue.pieces(1).front());
      bytes += piece;
      queue.consume(piece.size());
    }
    return bytes;
  }
};

bool says(const std::string& bytes, std::string_view part) {
  return bytes.find(part) != bytes.npos;
}

TEST(SessionStartup, TlsIsDeclinedWhereItIsNotOffered) {
  Newcomer one(SslMode::kDisable, ClientTls::kNotOffered);
  one.client(ssl_request());
  EXPECT_EQ(one.to_client(), "N");
  one.client(startup());
  EXPECT_EQ(one.io.connects, 1);
}

TEST(SessionStartup, TlsIsBegunBehindTheAnswer) {
  Newcomer one;
  one.client(ssl_request());
  EXPECT_EQ(one.to_client(), "S");
  EXPECT_EQ(one.io.client_handshakes, 1);
  EXPECT_FALSE(one.session->wants_client_bytes());
  one.session->on_client_secured();
  EXPECT_TRUE(one.session->wants_client_bytes());
  one.client(startup());
  EXPECT_EQ(one.io.connects, 1);
}

TEST(SessionStartup, BytesBehindADeclinedRequestAreRefused) {
  for (const bool ssl : {true, false}) {
    Newcomer one(SslMode::kDisable, ClientTls::kNotOffered);
    one.client((ssl ? ssl_request() : gss_request()) + startup());
    const std::string answer = one.to_client();
    EXPECT_TRUE(answer.starts_with("NE")) << answer;
    EXPECT_TRUE(says(answer, ssl ? "received unencrypted data after SSL request"
                                 : "received unencrypted data after GSSAPI encryption request"));
    EXPECT_EQ(one.io.connects, 0);
    EXPECT_TRUE(one.session->close_client_when_flushed());
  }
}

// Whatever they are, they are not taken for plain.
TEST(SessionStartup, BytesBehindAnAcceptedRequestAreTheHandshakes) {
  Newcomer one;
  one.client(ssl_request() + startup());
  EXPECT_EQ(one.to_client(), "S");
  EXPECT_EQ(one.io.client_handshakes, 1);
  EXPECT_EQ(one.io.hello, startup());
  EXPECT_EQ(one.session->client_input().size(), 0U);
  EXPECT_EQ(one.io.connects, 0);
}

TEST(SessionStartup, EachRequestMayComeOnce) {
  const std::vector<std::pair<std::string, std::string>> orders = {{ssl_request(), ssl_request()},
                                                                   {gss_request(), gss_request()}};
  for (const auto& [first, second] : orders) {
    Newcomer one(SslMode::kDisable, ClientTls::kNotOffered);
    one.client(first);
    EXPECT_EQ(one.to_client(), "N");
    one.client(second);
    EXPECT_TRUE(says(one.to_client(), "unsupported frontend protocol 1234."));
    EXPECT_TRUE(one.session->close_client_when_flushed());
  }
  Newcomer both(SslMode::kDisable, ClientTls::kNotOffered);
  both.client(gss_request());
  both.client(ssl_request());
  EXPECT_EQ(both.to_client(), "NN");
  Newcomer secured;
  secured.secure();
  secured.client(gss_request());
  EXPECT_TRUE(says(secured.to_client(), "unsupported frontend protocol 1234.5680"));
}

TEST(SessionStartup, AClientThatSaysNoMoreStillHearsTheOrigin) {
  Newcomer one;
  one.client(startup());
  one.session->on_origin_connected(false);
  one.session->on_client_closed(false);
  EXPECT_TRUE(one.session->end_origin_when_flushed());
  one.origin(kOk);
  EXPECT_EQ(one.to_client(), kOk);
  EXPECT_FALSE(one.session->close_client_when_flushed());
  one.session->on_origin_closed("");
  EXPECT_TRUE(one.session->close_client_when_flushed());

  Newcomer other;
  other.client(startup() + query("SHOW all"));
  other.session->on_origin_connected(false);
  other.session->on_client_closed(false);
  EXPECT_FALSE(other.session->end_origin_when_flushed());
  EXPECT_EQ(other.to_origin(), startup());
  other.origin(kOk);
  EXPECT_TRUE(other.to_origin().starts_with(query("SHOW all")));
}

TEST(SessionStartup, InvalidLengthsAreClosedWithoutAWord) {
  for (const std::string& bytes :
       {"\0\0\0\7\0\0\0\0"s, "\x7f\xff\xff\xff\0\3\0\0"s, "\x16\3\1 hello"s}) {
    Newcomer one(SslMode::kDisable, ClientTls::kNotOffered);
    one.client(bytes);
    EXPECT_EQ(one.to_client(), "");
    EXPECT_EQ(one.io.connects, 0);
    EXPECT_TRUE(one.session->close_client_when_flushed());
  }
}

TEST(SessionStartup, ClientHelloIsHandedOn) {
  Newcomer one;
  one.client("\x16\x03\x01 hello");
  EXPECT_EQ(one.io.client_handshakes, 1);
  EXPECT_EQ(one.io.hello, "\x16\x03\x01 hello");
  EXPECT_EQ(one.to_client(), "");
  one.session->on_client_secured();
  one.client(startup());
  EXPECT_EQ(one.io.connects, 1);
}

TEST(SessionStartup, NothingIsSaidInAHandshake) {
  Newcomer one;
  one.client(ssl_request());
  one.to_client();
  one.session->on_timer();
  EXPECT_EQ(one.to_client(), "");
  EXPECT_TRUE(one.session->close_client_when_flushed());
}

TEST(SessionStartup, RequiredTls) {
  Newcomer plain(SslMode::kDisable, ClientTls::kRequired);
  plain.client(startup());
  EXPECT_TRUE(says(plain.to_client(), "28000"));
  EXPECT_EQ(plain.io.connects, 0);
  Newcomer secured(SslMode::kDisable, ClientTls::kRequired);
  secured.secure();
  secured.client(startup());
  EXPECT_EQ(secured.io.connects, 1);
}

TEST(SessionStartup, FirstConnectionIsAsTheModeSays) {
  for (const auto& [mode, how] :
       std::vector<std::pair<SslMode, Encryption>>{{SslMode::kDisable, Encryption::kNone},
                                                   {SslMode::kAllow, Encryption::kNone},
                                                   {SslMode::kPrefer, Encryption::kIfOffered},
                                                   {SslMode::kRequire, Encryption::kMust},
                                                   {SslMode::kVerifyCa, Encryption::kMust},
                                                   {SslMode::kVerifyFull, Encryption::kMust}}) {
    Newcomer one(mode);
    one.client(startup());
    EXPECT_EQ(one.io.encryption, how);
  }
}

// Turned away on one kind of connection, the session tries the other, once, if it may.
TEST(SessionStartup, RefusalsTryTheOtherKind) {
  struct Case {
    SslMode mode;
    bool secured;
    bool again;
    Encryption then;
  };
  for (const Case& one : {Case{SslMode::kPrefer, true, true, Encryption::kNone},
                          Case{SslMode::kPrefer, false, false, Encryption::kIfOffered},
                          Case{SslMode::kAllow, false, true, Encryption::kIfOffered},
                          Case{SslMode::kRequire, true, false, Encryption::kMust},
                          Case{SslMode::kDisable, false, false, Encryption::kNone}}) {
    Newcomer it(one.mode);
    it.client(startup());
    it.session->on_origin_connected(one.secured);
    EXPECT_EQ(it.to_origin(), startup());
    it.origin(error("28000"));
    EXPECT_EQ(it.io.connects, one.again ? 2 : 1);
    EXPECT_EQ(it.io.encryption, one.then);
    if (!one.again) {
      EXPECT_EQ(it.to_client(), error("28000"));
      continue;
    }
    EXPECT_EQ(it.to_client(), "");
    it.session->on_origin_connected(!one.secured);
    EXPECT_EQ(it.to_origin(), startup());
    it.origin(error("28P01"));
    EXPECT_EQ(it.to_client(), error("28P01"));
    EXPECT_EQ(it.io.connects, 2);
  }
}

TEST(SessionStartup, SecondConnectionServes) {
  Newcomer one(SslMode::kPrefer);
  one.client(startup());
  one.session->on_origin_connected(true);
  // In one piece with the end of the connection.
  one.session->origin_input().append(frame('v', "negotiated") + error("28000"));
  one.session->on_origin_closed("closed");
  EXPECT_EQ(one.io.connects, 2);
  one.session->on_origin_connected(false);
  one.origin(frame('v', "negotiated") + kOk);
  EXPECT_EQ(one.to_client(), frame('v', "negotiated") + kOk);
  one.client(query("BEGIN"));
  EXPECT_TRUE(says(one.to_origin(), "BEGIN"));
}

TEST(SessionStartup, ErrorsAfterAQuestionAreRelayed) {
  Newcomer one(SslMode::kPrefer);
  one.client(startup());
  one.session->on_origin_connected(true);
  one.origin(frame('R', "\0\0\0\3"s));
  one.client(frame('p', "wrong\0"s));
  one.origin(error("28P01"));
  EXPECT_EQ(one.io.connects, 1);
  EXPECT_EQ(one.to_client(), frame('R', "\0\0\0\3"s) + error("28P01"));
}

TEST(SessionStartup, BindingIsNotOfferedWhereItCannotHold) {
  struct Case {
    SslMode mode;
    bool client;
    bool origin;
    bool same;
    std::string relayed;
  };
  for (const Case& one : {Case{SslMode::kRequire, false, true, false, kUnbound},
                          Case{SslMode::kRequire, true, true, false, kUnbound},
                          Case{SslMode::kRequire, true, true, true, kBoth},
                          Case{SslMode::kPrefer, false, true, false, kUnbound},
                          Case{SslMode::kPrefer, true, true, true, kBoth},
                          Case{SslMode::kPrefer, true, true, false, ""}}) {
    Newcomer it(one.mode);
    it.io.same_certificate = one.same;
    if (one.client) it.secure();
    it.client(startup());
    it.session->on_origin_connected(one.origin);
    it.origin(kBoth);
    EXPECT_EQ(it.to_client(), one.relayed);
    EXPECT_EQ(it.io.connects, one.relayed.empty() ? 2 : 1);
  }
}

// The client would have to say that it could have bound, which an origin in TLS does not accept.
TEST(SessionStartup, SecuredClientsAreLetInByAConnectionInPlain) {
  Newcomer one(SslMode::kPrefer);
  one.secure();
  one.client(startup());
  one.session->on_origin_connected(true);
  one.origin(kBoth);
  EXPECT_EQ(one.io.encryption, Encryption::kNone);
  one.session->on_origin_connected(false);
  one.to_origin();
  one.origin(kUnbound);
  EXPECT_EQ(one.to_client(), kUnbound);
  one.client(sasl_response("y,,n=,r=x"));
  EXPECT_EQ(one.to_origin(), sasl_response("y,,n=,r=x"));
}

TEST(SessionStartup, WhereThatIsRefusedTheFirstWayIsLeft) {
  Newcomer one(SslMode::kPrefer);
  one.secure();
  one.client(startup());
  one.session->on_origin_connected(true);
  one.origin(kBoth);
  one.session->on_origin_connected(false);
  one.origin(error("28000"));
  EXPECT_EQ(one.io.connects, 3);
  EXPECT_EQ(one.io.encryption, Encryption::kIfOffered);
  one.session->on_origin_connected(true);
  one.to_origin();
  one.origin(kBoth);
  EXPECT_EQ(one.to_client(), kUnbound);
  one.client(sasl_response("n,,n=,r=x"));
  EXPECT_EQ(one.to_origin(), sasl_response("n,,n=,r=x"));
}

TEST(SessionStartup, ClientThatInsistsOnBindingIsToldWhy) {
  Newcomer one(SslMode::kRequire);
  one.secure();
  one.client(startup());
  one.session->on_origin_connected(true);
  one.to_origin();
  one.origin(kBoth);
  one.to_client();
  one.client(sasl_response("y,,n=,r=x"));
  EXPECT_EQ(one.to_origin(), "");
  EXPECT_TRUE(says(one.to_client(), "channel_binding=disable"));
}

TEST(SessionStartup, ReplicationSessionsAreAuthenticatedLikeOthers) {
  const std::string body = "\0\3\0\0user\0ann\0replication\0true\0\0"s;
  std::string packet;
  append_be32(packet, static_cast<std::uint32_t>(body.size() + 4));
  Newcomer one(SslMode::kRequire);
  one.client(packet + body);
  one.session->on_origin_connected(true);
  one.to_origin();
  one.origin(kBoth);
  EXPECT_EQ(one.to_client(), kUnbound);
  one.client(sasl_response("n,,n=,r=x"));
  EXPECT_EQ(one.to_origin(), sasl_response("n,,n=,r=x"));
  one.client(query("early"));
  EXPECT_EQ(one.to_origin(), "");
  one.origin(kOk + "whatever");
  EXPECT_EQ(one.to_client(), kOk + "whatever");
  EXPECT_EQ(one.to_origin(), query("early"));
  one.client("more");
  EXPECT_EQ(one.to_origin(), "more");
}

}  // namespace
}  // namespace pgcache::proxy::testing
