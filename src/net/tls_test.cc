// SPDX-License-Identifier: Apache-2.0
// Streams in TLS: both ends in one process, on one loop.
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <optional>
#include <string>

#include "net/stream.h"
#include "net/tls_context.h"
#include "support/certificates.h"

namespace pgcache::net {
namespace {

using std::chrono::milliseconds;
using testing::Certificates;

// Made once, since that takes a while.
Certificates& certificates() {
  static Certificates made;
  static const bool filled = [] {
    made.make("server", "DNS:localhost,DNS:*.example.com,IP:127.0.0.1");
    made.make("named", "", "db.example.org");
    made.make("client", "", "ann");
    return true;
  }();
  EXPECT_TRUE(filled);
  return made;
}

TlsServerOptions server_options(const std::string& name = "server") {
  TlsServerOptions options;
  options.certificate = certificates().path(name + ".crt");
  options.key = certificates().path(name + ".key");
  return options;
}

TlsClientOptions verifying(Verify verify) {
  TlsClientOptions options;
  options.verify = verify;
  options.authorities = certificates().authority();
  return options;
}

TlsContextPtr made(Result<TlsContextPtr> context) {
  EXPECT_TRUE(context.ok()) << (context.ok() ? "" : context.error().message);
  return context.ok() ? *context : nullptr;
}

// One end of a connection, with all that it read and was told.
struct End {
  End(EventLoop& loop, int descriptor)
      : stream(
            loop, FileDescriptor(descriptor), [this] { read(); }, [this] { stream.write(out); }) {}
  void read() {
    last = stream.read(in, read_bytes);
    if (last == Stream::ReadResult::kClosed || last == Stream::ReadResult::kReset) stream.close();
    if (on_read) on_read();
  }
  void say(std::string_view bytes) {
    out.append(bytes);
    EXPECT_TRUE(stream.write(out));
  }

  wire::InputBuffer in;
  wire::OutputQueue out;
  std::size_t read_bytes = 16 * 1024;
  Stream::ReadResult last = Stream::ReadResult::kNothing;
  std::function<void()> on_read;
  std::optional<Status> secured;
  Stream stream;
};

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    server_.emplace(loop_, ends[0]);
    client_.emplace(loop_, ends[1]);
  }

  void run_until(const std::function<bool()>& done, milliseconds limit = milliseconds(5000)) {
    Timer end(loop_, [this] { loop_.stop(); });
    end.start(limit);
    // What is still posted when the time is over finds nothing to do.
    const auto over = std::make_shared<bool>(false);
    const std::function<void()> look = [&, over] {
      if (*over) return;
      if (done()) {
        loop_.stop();
      } else {
        loop_.post(look_again_);
      }
    };
    look_again_ = look;
    loop_.post(look_again_);
    loop_.run();
    *over = true;
  }
  void begin(const TlsServerOptions& server, const TlsClientOptions& client,
             const std::string& host = "localhost") {
    server_->stream.start_tls(made(TlsContext::server(server)), {}, {},
                              [this](const Status& status) { server_->secured = status; });
    client_->stream.start_tls(made(TlsContext::client(client)), {}, host,
                              [this](const Status& status) { client_->secured = status; });
  }
  // True when both ends agree that it worked.
  bool secure(const TlsServerOptions& server, const TlsClientOptions& client,
              const std::string& host = "localhost") {
    begin(server, client, host);
    run_until([this] { return server_->secured && client_->secured; }, milliseconds(1000));
    return client_->secured && client_->secured->ok();
  }
  std::string client_error() const {
    return client_->secured && !client_->secured->ok() ? client_->secured->error().message : "";
  }

  EventLoop loop_;
  std::function<void()> look_again_;
  std::optional<End> server_;
  std::optional<End> client_;
};

TEST_F(TlsTest, CarriesBytesBothWays) {
  ASSERT_TRUE(secure(server_options(), verifying(Verify::kHost)));
  server_->stream.watch_readable(true);
  client_->stream.watch_readable(true);
  client_->say("hello");
  run_until([this] { return server_->in.size() == 5; });
  EXPECT_EQ(server_->in.view(), "hello");
  server_->say("good day");
  run_until([this] { return client_->in.size() == 8; });
  EXPECT_EQ(client_->in.view(), "good day");
}

TEST_F(TlsTest, WhatIsSaidBeforeTheHandshakeWaits) {
  begin(server_options(), {});
  client_->stream.watch_readable(true);
  server_->stream.watch_readable(true);
  client_->say("early");
  EXPECT_FALSE(client_->out.empty());
  run_until([this] { return client_->secured.has_value(); });
  EXPECT_TRUE(client_->stream.write(client_->out));
  run_until([this] { return server_->in.size() == 5; });
  EXPECT_EQ(server_->in.view(), "early");
}

// More than sockets take, in pieces of all sizes, with reads smaller and larger than a record.
TEST_F(TlsTest, LargeAmountsArriveWholeAndInOrder) {
  for (const std::size_t read_bytes : {std::size_t{777}, std::size_t{64 * 1024}}) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    server_.emplace(loop_, ends[0]);
    client_.emplace(loop_, ends[1]);
    ASSERT_TRUE(secure(server_options(), {}));
    client_->read_bytes = read_bytes;
    std::string expected;
    for (int i = 0; i < 300; ++i) {
      const std::size_t size = static_cast<std::size_t>(i) * 251 % 40000;
      auto block = std::make_shared<std::string>(size, static_cast<char>('a' + i % 26));
      server_->out.append_shared(block, *block);
      expected += *block;
    }
    ASSERT_TRUE(server_->stream.write(server_->out));
    EXPECT_FALSE(server_->out.empty());
    EXPECT_FALSE(server_->stream.flushed());
    client_->stream.watch_readable(true);
    run_until([&] { return client_->in.size() == expected.size(); });
    EXPECT_TRUE(client_->in.view() == expected);
    EXPECT_TRUE(server_->out.empty());
    EXPECT_TRUE(server_->stream.flushed());
  }
}

// The socket announces a record once; what a small read leaves of it must be announced by the
// stream, also to a reader who did not want it at first.
TEST_F(TlsTest, WhatAReadLeftIsAnnouncedAgain) {
  ASSERT_TRUE(secure(server_options(), {}));
  server_->say(std::string(10000, 'x'));
  client_->read_bytes = 100;
  client_->on_read = [this] {
    if (client_->in.size() == 5000) client_->stream.watch_readable(false);
  };
  client_->stream.watch_readable(true);
  run_until([this] { return client_->in.size() >= 5000; });
  run_until([] { return false; }, milliseconds(30));
  EXPECT_EQ(client_->in.size(), 5000U);
  client_->stream.watch_readable(true);
  run_until([this] { return client_->in.size() == 10000; });
  EXPECT_EQ(client_->in.size(), 10000U);
}

TEST_F(TlsTest, BytesReadBeforeBelongToTheHandshake) {
  client_->stream.start_tls(made(TlsContext::client({})), {}, {},
                            [this](const Status& status) { client_->secured = status; });
  server_->stream.watch_readable(true);
  server_->read_bytes = 50;
  server_->on_read = [this] { server_->stream.watch_readable(false); };
  run_until([this] { return server_->in.size() == 50; });
  EXPECT_EQ(server_->in.view()[0], 0x16);
  server_->stream.start_tls(made(TlsContext::server(server_options())), server_->in.view(), {},
                            [this](const Status& status) { server_->secured = status; });
  run_until([this] { return server_->secured && client_->secured; });
  EXPECT_TRUE(server_->secured->ok());
  EXPECT_TRUE(client_->secured->ok());
}

TEST_F(TlsTest, CloseIsToldAndTheRestArrivesBefore) {
  ASSERT_TRUE(secure(server_options(), {}));
  const std::string block(3 << 20, 'b');
  server_->say(block);
  client_->stream.watch_readable(true);
  run_until([this] { return server_->out.empty() && server_->stream.flushed(); });
  server_->stream.shutdown_sending();
  run_until([this] { return client_->last == Stream::ReadResult::kClosed; });
  EXPECT_EQ(client_->last, Stream::ReadResult::kClosed);
  EXPECT_EQ(client_->in.size(), block.size());
}

// The end stands behind output that the socket has not taken yet.
TEST_F(TlsTest, EndWaitsForOutput) {
  ASSERT_TRUE(secure(server_options(), {}));
  server_->out.append(std::string(300 * 1024, 'b'));
  while (!server_->out.empty()) {
    ASSERT_TRUE(server_->stream.write(server_->out));
    if (!server_->out.empty()) {
      client_->read();
    }
  }
  server_->stream.shutdown_sending();
  client_->stream.watch_readable(true);
  run_until([this] { return client_->last == Stream::ReadResult::kClosed; });
  EXPECT_EQ(client_->in.size(), 300U * 1024);
}

TEST_F(TlsTest, ClosedWithoutNoticeIsClosed) {
  ASSERT_TRUE(secure(server_options(), {}));
  client_->stream.watch_readable(true);
  server_.reset();  // the descriptor closes, nothing is said
  run_until([this] { return client_->last != Stream::ReadResult::kNothing; });
  EXPECT_EQ(client_->last, Stream::ReadResult::kClosed);
}

TEST_F(TlsTest, WriteToAGoneReaderFails) {
  ASSERT_TRUE(secure(server_options(), {}));
  client_->stream.close();
  server_->out.append(std::string(1 << 20, 'x'));
  EXPECT_FALSE(server_->stream.write(server_->out));
  EXPECT_TRUE(server_->stream.flushed());
}

TEST_F(TlsTest, PlainBytesFailTheHandshake) {
  server_->stream.start_tls(made(TlsContext::server(server_options())), {}, {},
                            [this](const Status& status) { server_->secured = status; });
  client_->say("GET / HTTP/1.0\r\n\r\n");
  run_until([this] { return server_->secured.has_value(); });
  EXPECT_FALSE(server_->secured->ok());
}

TEST_F(TlsTest, PeerThatLeavesFailsTheHandshake) {
  server_->stream.start_tls(made(TlsContext::server(server_options())), {}, {},
                            [this](const Status& status) { server_->secured = status; });
  client_.reset();
  run_until([this] { return server_->secured.has_value(); });
  EXPECT_FALSE(server_->secured->ok());
}

TEST_F(TlsTest, GarbageInAnEstablishedConnectionBreaksIt) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
  const FileDescriptor copy(::dup(ends[1]));
  server_.emplace(loop_, ends[0]);
  client_.emplace(loop_, ends[1]);
  ASSERT_TRUE(secure(server_options(), {}));
  server_->stream.watch_readable(true);
  ASSERT_EQ(::send(copy.get(), "\x17\x03\x03\x00\x05garba", 10, 0), 10);
  run_until([this] { return server_->last == Stream::ReadResult::kReset; });
  EXPECT_EQ(server_->last, Stream::ReadResult::kReset);
}

TEST_F(TlsTest, AuthorityAndHostAreVerified) {
  struct Case {
    const char* certificate;
    const char* host;
    bool matches;
  };
  for (const Case& one :
       {Case{"server", "localhost", true}, Case{"server", "LOCALHOST", true},
        Case{"server", "127.0.0.1", true}, Case{"server", "127.0.0.2", false},
        Case{"server", "db.example.com", true}, Case{"server", "a.db.example.com", false},
        Case{"server", "example.com", false}, Case{"server", "other", false},
        // The common name counts only where there are no other names.
        Case{"server", "pgcache test", false}, Case{"named", "db.example.org", true},
        Case{"named", "db.example.com", false}, Case{"named", "", false}}) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    server_.emplace(loop_, ends[0]);
    client_.emplace(loop_, ends[1]);
    EXPECT_EQ(secure(server_options(one.certificate), verifying(Verify::kHost), one.host),
              one.matches)
        << one.certificate << " " << one.host << " " << client_error();
  }
}

TEST_F(TlsTest, UnknownAuthorityIsRefused) {
  const Certificates others;
  TlsClientOptions options = verifying(Verify::kAuthority);
  options.authorities = others.authority();
  EXPECT_FALSE(secure(server_options(), options));
  EXPECT_NE(client_error().find("unable to get local issuer certificate"), std::string::npos)
      << client_error();
}

TEST_F(TlsTest, AuthorityAloneLeavesTheNameOpen) {
  EXPECT_TRUE(secure(server_options(), verifying(Verify::kAuthority), "elsewhere"));
}

TEST_F(TlsTest, ClientCertificatesAreAskedFor) {
  for (const ClientAuth auth : {ClientAuth::kNone, ClientAuth::kOptional, ClientAuth::kRequire}) {
    for (const bool given : {false, true}) {
      std::array<int, 2> ends{};
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
      server_.emplace(loop_, ends[0]);
      client_.emplace(loop_, ends[1]);
      TlsServerOptions server = server_options();
      server.authorities = certificates().authority();
      server.client_auth = auth;
      TlsClientOptions client;
      if (given) {
        client.certificate = certificates().path("client.crt");
        client.key = certificates().path("client.key");
      }
      secure(server, client);
      // In TLS 1.3 a client learns of it only when it reads.
      ASSERT_TRUE(server_->secured.has_value());
      EXPECT_EQ(server_->secured->ok(), auth != ClientAuth::kRequire || given);
    }
  }
}

TEST_F(TlsTest, OldVersionsAreRefused) {
  TlsServerOptions server = server_options();
  server.min_version = "1.3";
  TlsClientOptions client;
  client.max_version = "1.2";
  EXPECT_FALSE(secure(server, client));
}

// By a client of OpenSSL's own, since a stream never asks for it.
TEST_F(TlsTest, RenegotiationIsRefused) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
  server_.emplace(loop_, ends[0]);
  const FileDescriptor peer(ends[1]);
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_client_method()),
                                                             SSL_CTX_free);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  const std::unique_ptr<SSL, void (*)(SSL*)> client(SSL_new(context.get()), SSL_free);
  SSL_set_fd(client.get(), peer.get());
  server_->stream.start_tls(made(TlsContext::server(server_options())), {}, {},
                            [this](const Status& status) { server_->secured = status; });
  server_->stream.watch_readable(true);
  run_until([&] { return SSL_connect(client.get()) == 1 && server_->secured; });
  ASSERT_TRUE(server_->secured && server_->secured->ok());
  ASSERT_EQ(SSL_renegotiate(client.get()), 1);
  int result = 0;
  run_until([&] {
    result = SSL_do_handshake(client.get());
    return result == 1 || SSL_get_error(client.get(), result) != SSL_ERROR_WANT_READ;
  });
  EXPECT_NE(result, 1);
}

TEST_F(TlsTest, EndPointsOfBothSidesAreTheSame) {
  ASSERT_TRUE(secure(server_options(), {}));
  EXPECT_EQ(server_->stream.tls()->end_point().size(), 32U);
  EXPECT_EQ(server_->stream.tls()->end_point(), client_->stream.tls()->end_point());
}

TEST(TlsContextTest, FilesThatDoNotFitAreErrors) {
  const auto error_of = [](const TlsServerOptions& options) {
    const Result<TlsContextPtr> context = TlsContext::server(options);
    return context.ok() ? std::string("no error") : context.error().message;
  };
  EXPECT_EQ(error_of(server_options()), "no error");
  TlsServerOptions options = server_options();
  options.key = certificates().path("client.key");
  EXPECT_NE(error_of(options).find("mismatch"), std::string::npos) << error_of(options);
  options.key = certificates().path("none.key");
  EXPECT_NE(error_of(options).find("No such file"), std::string::npos) << error_of(options);
  options = server_options();
  options.certificate = certificates().path("none.crt");
  EXPECT_NE(error_of(options).find("No such file"), std::string::npos) << error_of(options);
  options = server_options("named");
  ::chmod(options.key.c_str(), 0644);
  EXPECT_NE(error_of(options).find("group or world access"), std::string::npos)
      << error_of(options);
  ::chmod(options.key.c_str(), 0600);
}

}  // namespace
}  // namespace pgcache::net
