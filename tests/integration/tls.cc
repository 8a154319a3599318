// SPDX-License-Identifier: Apache-2.0
// Clients that come in TLS.
#include <filesystem>
#include <thread>

#include "support/certificates.h"
#include "transcript.h"

namespace pgcache::testing {
namespace {

using message::be32;
using message::query;
using message::startup;

constexpr std::uint32_t kSslCode = 80877103;
constexpr std::uint32_t kGssCode = 80877104;
constexpr std::uint32_t kCancelCode = 80877102;
constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";

Certificates& certificates() {
  static Certificates made;
  static const bool filled = [] {
    made.make("pgcache", "DNS:localhost,IP:127.0.0.1", "first");
    made.make("second", "DNS:localhost", "second");
    made.make("ann", "", "ann");
    return true;
  }();
  EXPECT_TRUE(filled);
  return made;
}

std::vector<std::string> tls_arguments(std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{"--tls-cert", certificates().path("pgcache.crt"), "--tls-key",
                                     certificates().path("pgcache.key")};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

StackOptions tls_options(std::vector<std::string> more = {}) {
  StackOptions options;
  options.schema = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one');";
  options.arguments = tls_arguments(std::move(more));
  return options;
}

std::string tls_dsn(const Stack& stack, const std::string& mode, const std::string& extra = {}) {
  return stack.dsn("sslmode=" + mode + " host=localhost hostaddr=127.0.0.1 sslrootcert='" +
                   certificates().authority() + "' " + extra);
}

RawClient dial(Stack& stack) { return RawClient("127.0.0.1", stack.proxy().port()); }

std::string request(std::uint32_t code, const std::string& more = {}) {
  return be32(static_cast<std::uint32_t>(8 + more.size())) + be32(code) + more;
}

std::string session_startup() { return startup({{"user", "postgres"}, {"database", "postgres"}}); }

class Tls : public SharedStack<Tls> {
 public:
  static StackOptions options() {
    StackOptions options = tls_options({"--handshake-timeout", "3s", "--max-result-size", "4MiB"});
    options.schema += R"(
      CREATE TABLE big (id int PRIMARY KEY, v text);
      INSERT INTO big SELECT i, repeat('x', 60) FROM generate_series(1, 1000000) i;
      CREATE TABLE medium (id int PRIMARY KEY, v text);
      INSERT INTO medium SELECT i, repeat('z', 1000) FROM generate_series(1, 2000) i;
      CREATE TABLE copied (id int, v text);)";
    return options;
  }

 protected:
  static Connection secure_client(const std::string& mode = "verify-full") {
    return Connection(tls_dsn(stack(), mode));
  }
};

TEST_F(Tls, VerifiedClientsAreServedFromMemory) {
  Connection session = secure_client();
  EXPECT_EQ(PQsslInUse(session.raw()), 1);
  EXPECT_EQ(rows_text(stack().load(session, kRead)), "one");
  Connection other = secure_client("prefer");
  EXPECT_EQ(PQsslInUse(other.raw()), 1);
  EXPECT_EQ(value_of(stack().query(other, kRead, "hit")), "one");
  EXPECT_EQ(value_of(stack().params(other, "SELECT v FROM t WHERE id = $1::int", {"1"}, "miss")),
            "one");
  EXPECT_EQ(value_of(stack().params(other, "SELECT v FROM t WHERE id = $1::int", {"1"}, "hit")),
            "one");
}

TEST_F(Tls, ResultsOfManyRecordsAreServedFromMemory) {
  Connection session = secure_client();
  const std::vector<Row> rows =
      stack().load(session, "SELECT v FROM medium WHERE id > 0 ORDER BY id");
  EXPECT_EQ(rows.size(), 2000U);
}

TEST_F(Tls, PlainClientsStayWelcome) {
  Connection session = stack().client();
  EXPECT_EQ(PQsslInUse(session.raw()), 0);
  EXPECT_EQ(session.query(kRead).value(), "one");
}

TEST_F(Tls, NameThatDoesNotMatchIsTheClientsToRefuse) {
  EXPECT_THROW(Connection(stack().dsn("sslmode=verify-full host=elsewhere hostaddr=127.0.0.1 "
                                      "sslrootcert='" +
                                      certificates().authority() + "'")),
               std::runtime_error);
}

TEST_F(Tls, EncryptionRequestsInEitherOrder) {
  RawClient client = dial(stack());
  client.send(request(kGssCode));
  EXPECT_EQ(client.read_bytes(1), "N");
  ASSERT_TRUE(client.request_tls());
  client.send(session_startup());
  client.read_until('Z');
  client.send(query(kRead));
  EXPECT_EQ(first_columns(client.read_until('Z')), "one");
}

// As PostgreSQL refuses them, taking them for the version of a protocol.
TEST_F(Tls, RequestsInTlsAreRefused) {
  for (const std::uint32_t code : {kSslCode, kGssCode}) {
    RawClient client = dial(stack());
    ASSERT_TRUE(client.request_tls());
    client.send(request(code));
    EXPECT_EQ(client.read_frame().field('C'), "0A000");
    EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);
  }
}

// They are taken for a handshake, as PostgreSQL takes them from version 17 on, and never for plain.
TEST_F(Tls, PlainBytesBehindTheRequestAreRefused) {
  for (const std::string& more :
       {session_startup(), request(kCancelCode, be32(1) + be32(2)), std::string("x\n")}) {
    RawClient client = dial(stack());
    client.send(request(kSslCode) + more);
    EXPECT_EQ(client.read_bytes(1), "S");
    client.shutdown_sending();
    EXPECT_NE(client.wait_for_end(5000), RawClient::End::kOpen);
  }
}

// They come later than the answer: taken for a handshake, which they are not.
TEST_F(Tls, PlainBytesInsteadOfAHandshakeAreRefused) {
  RawClient client = dial(stack());
  client.send(request(kSslCode));
  EXPECT_EQ(client.read_bytes(1), "S");
  client.send(session_startup());
  EXPECT_NE(client.wait_for_end(5000), RawClient::End::kOpen);
}

TEST_F(Tls, DirectConnectionsNeedTheirProtocolsName) {
  RawClient client = dial(stack());
  ASSERT_TRUE(client.secure("postgresql"));
  client.send(session_startup());
  client.read_until('Z');
  client.send(query(kRead));
  EXPECT_EQ(first_columns(client.read_until('Z')), "one");
  client.send(message::terminate());
  EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);

  RawClient nameless = dial(stack());
  nameless.secure();
  EXPECT_NE(nameless.wait_for_end(5000), RawClient::End::kOpen);
  RawClient other = dial(stack());
  EXPECT_FALSE(other.secure("http/1.1"));
}

TEST_F(Tls, HandshakeThatStallsIsEnded) {
  RawClient silent = dial(stack());
  silent.send(request(kSslCode));
  EXPECT_EQ(silent.read_bytes(1), "S");
  RawClient half = dial(stack());
  half.send(std::string("\x16\x03\x01\x02\x00\x01\x00", 7));
  EXPECT_NE(silent.wait_for_end(6000), RawClient::End::kOpen);
  EXPECT_NE(half.wait_for_end(6000), RawClient::End::kOpen);
  RawClient after = dial(stack());
  ASSERT_TRUE(after.request_tls());
  EXPECT_NE(after.wait_for_end(6000), RawClient::End::kOpen);
  ASSERT_TRUE(wait_until([] { return stack().proxy().metric("pgcache_clients") == 0; }, 5000));
}

TEST_F(Tls, EndIsSaidBeforeTheConnectionCloses) {
  RawClient client = dial(stack());
  ASSERT_TRUE(client.request_tls());
  client.send(session_startup());
  client.read_until('Z');
  client.send(query("SELECT v FROM medium") + message::terminate());
  EXPECT_EQ(client.read_until('Z').size(), 2000U + 3);
  EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);
}

TEST_F(Tls, CancelRequests) {
  for (const bool encrypted : {true, false}) {
    RawClient session = dial(stack());
    ASSERT_TRUE(session.request_tls());
    session.send(session_startup());
    const std::vector<RawFrame> greeting = session.read_until('Z');
    session.send(query("SELECT pg_sleep(20), 'in TLS'"));
    ASSERT_TRUE(wait_until(
        [] {
          return stack()
                     .direct()
                     .must(
                         "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                         "query LIKE 'SELECT pg_sleep(20), ''in TLS%'")
                     .value() == "1";
        },
        5000));
    RawClient cancel = dial(stack());
    if (encrypted) {
      ASSERT_TRUE(cancel.request_tls());
    }
    cancel.send(request(kCancelCode, find_frame(greeting, 'K')->body));
    EXPECT_EQ(cancel.wait_for_end(5000), RawClient::End::kClosed);
    EXPECT_EQ(find_frame(session.read_until('Z'), 'E')->field('C'), "57014");
  }
}

TEST_F(Tls, CopyBothWays) {
  Connection session = secure_client();
  copy_both_ways(session, 2000);
  EXPECT_EQ(session.query("SELECT 1").value(), "1");
}

TEST_F(Tls, ResultsOf64MbPassInBoundedMemory) {
  RawClient session = dial(stack());
  ASSERT_TRUE(session.request_tls());
  session.send(session_startup());
  session.read_until('Z');
  stack().reset_memory_peak();
  const long before = stack().memory_kib("VmRSS");
  session.send(query("SELECT id, v FROM big ORDER BY id"));
  // All is held back while nobody reads.
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  std::size_t bytes = 0;
  std::size_t rows = 0;
  for (;;) {
    const RawFrame frame = session.read_frame();
    bytes += frame.body.size() + 5;
    if (frame.tag == 'D') ++rows;
    if (frame.tag == 'Z') break;
  }
  EXPECT_EQ(rows, 1000000U);
  EXPECT_GT(bytes, 64U << 20);
  EXPECT_LT(stack().memory_kib("VmHWM") - before, extra_kib());
}

TEST_F(Tls, ParameterOf32MiB) {
  Connection session = secure_client();
  stack().reset_memory_peak();
  const long before = stack().memory_kib("VmRSS");
  const std::string value(32 << 20, 'p');
  EXPECT_EQ(value_of(stack().params(session, "SELECT length($1::text)", {value},
                                    "bypass:query_too_long")),
            std::to_string(value.size()));
  EXPECT_LT(stack().memory_kib("VmHWM") - before, extra_kib());
}

// A client that has written everything before it reads, and one that vanishes in the midst.
TEST_F(Tls, PipelinesAndResets) {
  RawClient client = dial(stack());
  ASSERT_TRUE(client.request_tls());
  client.send(session_startup());
  client.read_until('Z');
  std::string all;
  for (int i = 0; i < 3000; ++i) all += query(kRead);
  client.send(all);
  for (int i = 0; i < 3000; ++i) ASSERT_EQ(first_columns(client.read_until('Z')), "one");
  client.send(query("SELECT id, v FROM big"));
  client.read_frame();
  client.reset();
  const auto gone = [] { return stack().proxy().metric("pgcache_clients") == 0; };
  EXPECT_TRUE(wait_until(gone, 5000));
}

TEST_F(Tls, RequiredRefusesPlainSessionsButNotCancels) {
  Stack own(tls_options({"--tls-required"}));
  RawClient plain = dial(own);
  plain.send(session_startup());
  EXPECT_EQ(plain.read_frame().field('C'), "28000");
  EXPECT_EQ(plain.wait_for_end(5000), RawClient::End::kClosed);
  Connection session(tls_dsn(own, "require"));
  ASSERT_EQ(PQsendQuery(session.raw(), "SELECT pg_sleep(20)"), 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  cancel_query(session);
}

TEST_F(Tls, ClientCertificatesAreVerified) {
  const Certificates others;
  const_cast<Certificates&>(others).make("eve", "", "eve");
  for (const std::string auth : {"optional", "require"}) {
    Stack own(tls_options({"--tls-ca", certificates().authority(), "--tls-client-auth", auth}));
    const auto connects = [&](const std::string& certificate) {
      try {
        Connection session(
            tls_dsn(own, "verify-full",
                    certificate.empty()
                        ? "sslcert=/nowhere"
                        : "sslcert='" + certificate + ".crt' sslkey='" + certificate + ".key'"));
        return session.query(kRead).value() == "one";
      } catch (const std::runtime_error&) {
        return false;
      }
    };
    EXPECT_TRUE(connects(certificates().path("ann")));
    EXPECT_EQ(connects(""), auth == "optional");
    EXPECT_FALSE(connects(others.path("eve")));
  }
}

TEST_F(Tls, OldVersionsAreRefused) {
  Stack own(tls_options({"--tls-min-version", "1.3"}));
  EXPECT_NO_THROW(Connection(tls_dsn(own, "require", "ssl_min_protocol_version=TLSv1.3")));
  EXPECT_THROW(Connection(tls_dsn(own, "require", "ssl_max_protocol_version=TLSv1.2")),
               std::runtime_error);
}

TEST_F(Tls, NewCertificatesAreTakenAndBrokenOnesAreNot) {
  namespace fs = std::filesystem;
  const std::string crt = certificates().path("live.crt");
  const std::string key = certificates().path("live.key");
  const auto put = [&](const std::string& name) {
    fs::copy_file(certificates().path(name + ".crt"), crt, fs::copy_options::overwrite_existing);
    fs::copy_file(certificates().path(name + ".key"), key, fs::copy_options::overwrite_existing);
    fs::permissions(key, fs::perms::owner_read | fs::perms::owner_write);
  };
  put("pgcache");
  StackOptions options = tls_options();
  options.arguments = {"--tls-cert", crt, "--tls-key", key};
  Stack own(options);
  const auto presented = [&] {
    RawClient client = dial(own);
    return client.request_tls() ? client.peer_name() : "none";
  };
  EXPECT_EQ(presented(), "first");
  RawClient standing = dial(own);
  ASSERT_TRUE(standing.request_tls());
  standing.send(session_startup());
  standing.read_until('Z');

  put("second");
  EXPECT_TRUE(wait_until([&] { return presented() == "second"; }, 8000)) << "without a signal";
  put("pgcache");
  kill(own.proxy().pid(), SIGHUP);
  EXPECT_TRUE(wait_until([&] { return presented() == "first"; }, 1500)) << "with a signal";
  fs::copy_file(certificates().path("second.crt"), crt, fs::copy_options::overwrite_existing);
  kill(own.proxy().pid(), SIGHUP);
  EXPECT_TRUE(wait_until(
      [&] { return own.proxy().log_tail().find("stay in use") != std::string::npos; }, 5000));
  EXPECT_EQ(presented(), "first");
  standing.send(query(kRead));
  EXPECT_EQ(first_columns(standing.read_until('Z')), "one");
  EXPECT_TRUE(own.proxy().running());
}

}  // namespace
}  // namespace pgcache::testing
