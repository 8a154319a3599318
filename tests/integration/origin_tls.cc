// SPDX-License-Identifier: Apache-2.0
// Sessions that reach the origin in TLS, or may, and what becomes of SCRAM between the two sides.
#include <thread>

#include "support/certificates.h"
#include "support/command.h"
#include "support/servers.h"
#include "transcript.h"

namespace pgcache::testing {
namespace {

constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";
constexpr const char* kIsSecured = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

Certificates& certificates() {
  static Certificates made;
  static const bool filled = [] {
    made.make("origin", "DNS:localhost,IP:127.0.0.1", "origin");
    made.make("pgcache", "DNS:localhost", "pgcache");
    made.make("copy", "DNS:localhost,IP:127.0.0.1", "copy");
    made.make("ann", "", "ann");
    // pgcache keeps a readable copy of what it may share with the origin.
    const std::string copy = "cp '" + made.path("origin.crt") + "' '" + made.path("copy.crt") +
                             "' && cp '" + made.path("origin.key") + "' '" + made.path("copy.key") +
                             "' && chmod 600 '" + made.path("copy.key") + "'";
    EXPECT_EQ(run_command(copy).status, 0);
    made.give_to_server("origin");
    return true;
  }();
  EXPECT_TRUE(filled);
  return made;
}

std::string verifying(const std::string& mode) {
  return "sslmode=" + mode + "&sslrootcert=" + certificates().authority();
}

class OriginTls : public SharedStack<OriginTls> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.conf = {"ssl = on", "ssl_cert_file = '" + certificates().path("origin.crt") + "'",
                    "ssl_key_file = '" + certificates().path("origin.key") + "'",
                    "ssl_ca_file = '" + certificates().authority() + "'"};
    options.hba = {"hostssl all only_tls 127.0.0.1/32 trust",
                   "hostnossl all only_plain 127.0.0.1/32 trust",
                   "hostssl all ann 127.0.0.1/32 cert",
                   "hostssl all scram_tls 127.0.0.1/32 scram-sha-256",
                   "host all scram 127.0.0.1/32 scram-sha-256",
                   "host all only_tls,only_plain,ann,scram_tls 127.0.0.1/32 reject"};
    options.schema = R"(
      CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one');
      CREATE TABLE big (id int PRIMARY KEY, v text);
      INSERT INTO big SELECT i, repeat('x', 60) FROM generate_series(1, 1000000) i;
      CREATE TABLE copied (id int, v text);
      SET password_encryption = 'scram-sha-256';
      CREATE ROLE scram LOGIN REPLICATION PASSWORD 'secret';
      CREATE ROLE scram_tls LOGIN PASSWORD 'secret';
      CREATE ROLE only_tls LOGIN; CREATE ROLE only_plain LOGIN; CREATE ROLE ann LOGIN;
      GRANT SELECT ON t TO scram, scram_tls, ann;)";
    options.arguments = {"--tls-cert",        certificates().path("pgcache.crt"),
                         "--tls-key",         certificates().path("pgcache.key"),
                         "--max-result-size", "4MiB"};
    options.origin_parameters = verifying("verify-full");
    return options;
  }

 protected:
  // Another pgcache before the same server, as a plain proxy. `certificate`: of its own, or none.
  static std::unique_ptr<PgcacheProcess> proxy_with(const std::string& parameters,
                                                    const std::string& certificate = {},
                                                    const std::string& host = "127.0.0.1") {
    PgcacheOptions options;
    options.origin = "postgresql://postgres@" + host + ":" + std::to_string(origin_port()) +
                     "/postgres?" + parameters;
    options.arguments = {"--cache", "false"};
    options.wait_ready = false;
    if (!certificate.empty()) {
      const std::vector<std::string> more{"--tls-cert", certificates().path(certificate + ".crt"),
                                          "--tls-key", certificates().path(certificate + ".key")};
      options.arguments.insert(options.arguments.end(), more.begin(), more.end());
    }
    return std::make_unique<PgcacheProcess>(options);
  }
  static int origin_port() { return stack().origin().port(); }
  // "plain", "tls", or the error.
  static std::string arrives(const PgcacheProcess& proxy, const std::string& user,
                             const std::string& extra = "sslmode=disable") {
    try {
      Connection session("host=127.0.0.1 port=" + std::to_string(proxy.port()) +
                         " dbname=postgres gssencmode=disable password=secret user=" + user + " " +
                         extra);
      return session.query(kIsSecured).value() == "t" ? "tls" : "plain";
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  }
};

TEST_F(OriginTls, BothSidesInTlsServeFromMemory) {
  Connection session(
      stack().dsn("sslmode=verify-full host=localhost hostaddr=127.0.0.1 "
                  "sslrootcert='" +
                  certificates().authority() + "'"));
  EXPECT_EQ(rows_text(stack().load(session, kRead)), "one");
  EXPECT_EQ(session.query(kIsSecured).value(), "t");
  Connection plain = stack().client();
  EXPECT_EQ(value_of(stack().query(plain, kRead, "hit")), "one");
  EXPECT_EQ(plain.query(kIsSecured).value(), "t");
}

TEST_F(OriginTls, LinksOfItsOwnAreInTlsToo) {
  EXPECT_EQ(stack()
                .direct()
                .must("SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE "
                      "application_name LIKE 'pgcache%' AND NOT ssl")
                .value(),
            "0");
}

TEST_F(OriginTls, ModesMeanWhatTheyMeanToLibpq) {
  struct Case {
    const char* mode;
    const char* postgres;
    const char* only_tls;
    const char* only_plain;
  };
  for (const Case& one :
       {Case{"disable", "plain", "pg_hba.conf", "plain"}, Case{"allow", "plain", "tls", "plain"},
        Case{"prefer", "tls", "tls", "plain"}, Case{"require", "tls", "tls", "pg_hba.conf"}}) {
    const auto proxy = proxy_with("sslmode=" + std::string(one.mode));
    for (const auto& [user, expected] :
         std::vector<std::pair<const char*, const char*>>{{"postgres", one.postgres},
                                                          {"only_tls", one.only_tls},
                                                          {"only_plain", one.only_plain}}) {
      const std::string got = arrives(*proxy, user);
      EXPECT_NE(got.find(expected), std::string::npos) << one.mode << " " << user << ": " << got;
      // As libpq fares when it connects by itself.
      std::string direct;
      try {
        Connection session("host=127.0.0.1 port=" + std::to_string(origin_port()) +
                           " dbname=postgres gssencmode=disable user=" + user +
                           " sslmode=" + one.mode);
        direct = session.query(kIsSecured).value() == "t" ? "tls" : "plain";
      } catch (const std::runtime_error& error) {
        direct = error.what();
      }
      EXPECT_EQ(got == "tls", direct == "tls") << one.mode << " " << user << ": " << direct;
      EXPECT_EQ(got == "plain", direct == "plain") << one.mode << " " << user << ": " << direct;
    }
  }
}

TEST_F(OriginTls, CertificatesAreVerified) {
  const Certificates others;
  EXPECT_EQ(arrives(*proxy_with(verifying("verify-ca")), "postgres"), "tls");
  EXPECT_EQ(arrives(*proxy_with(verifying("verify-full")), "postgres"), "tls");
  EXPECT_EQ(arrives(*proxy_with(verifying("verify-full"), "", "localhost"), "postgres"), "tls");
  EXPECT_EQ(arrives(*proxy_with(verifying("verify-full") + "&hostaddr=127.0.0.1", "", "localhost"),
                    "postgres"),
            "tls");
  const std::string other_name = arrives(
      *proxy_with(verifying("verify-full") + "&hostaddr=127.0.0.1", "", "elsewhere"), "postgres");
  EXPECT_NE(other_name.find("does not match"), std::string::npos) << other_name;
  EXPECT_EQ(arrives(*proxy_with(verifying("verify-ca") + "&hostaddr=127.0.0.1", "", "elsewhere"),
                    "postgres"),
            "tls");
  for (const char* mode : {"require", "verify-ca", "verify-full"}) {
    const std::string refused =
        arrives(*proxy_with("sslmode=" + std::string(mode) + "&sslrootcert=" + others.authority()),
                "postgres");
    EXPECT_NE(refused.find("certificate verify failed"), std::string::npos) << mode << refused;
  }
  // With prefer that is a reason to go on in plain.
  EXPECT_EQ(arrives(*proxy_with("sslmode=prefer&sslrootcert=" + others.authority()), "postgres"),
            "plain");
  EXPECT_THROW(proxy_with("sslmode=verify-full&sslrootcert=/nowhere"), std::runtime_error);
}

TEST_F(OriginTls, CertificateOfOurOwn) {
  const auto proxy =
      proxy_with(verifying("verify-full") + "&sslcert=" + certificates().path("ann.crt") +
                 "&sslkey=" + certificates().path("ann.key"));
  EXPECT_EQ(arrives(*proxy, "ann"), "tls");
  const std::string without = arrives(*proxy_with(verifying("verify-full")), "ann");
  EXPECT_NE(without.find("certificate"), std::string::npos) << without;
}

TEST_F(OriginTls, ServerWithoutTls) {
  const Cluster other;
  const auto through = [&](const std::string& mode) {
    PgcacheOptions options;
    options.origin = "postgresql://postgres@127.0.0.1:" + std::to_string(other.port()) +
                     "/postgres?sslmode=" + mode;
    options.arguments = {"--cache", "false"};
    options.wait_ready = false;
    const PgcacheProcess proxy(options);
    return arrives(proxy, "postgres");
  };
  EXPECT_EQ(through("prefer"), "plain");
  EXPECT_EQ(through("allow"), "plain");
  const std::string refused = through("require");
  EXPECT_NE(refused.find("does not support SSL"), std::string::npos) << refused;
}

TEST_F(OriginTls, UnixSocketsAreInPlainWhateverTheMode) {
  PgcacheOptions options;
  options.origin = stack().origin().unix_dsn() + " sslmode=require";
  options.arguments = {"--cache", "false"};
  options.wait_ready = false;
  const PgcacheProcess proxy(options);
  EXPECT_EQ(arrives(proxy, "postgres"), "plain");
}

// Which way a client's password proof takes through pgcache: see docs/adr/0013-tls-ends-here.md.
TEST_F(OriginTls, ScramBetweenTheSides) {
  struct Case {
    const char* origin_mode;
    const char* certificate;  // of pgcache
    const char* user;
    const char* client;
    const char* expected;
  };
  const std::string error = "channel binding negotiation error";
  for (const Case& one : {
           Case{"disable", "pgcache", "scram", "sslmode=disable", "plain"},
           Case{"disable", "pgcache", "scram", "sslmode=require", "plain"},
           Case{"prefer", "pgcache", "scram", "sslmode=disable", "tls"},
           Case{"prefer", "pgcache", "scram", "sslmode=require", "plain"},
           Case{"prefer", "copy", "scram", "sslmode=require", "tls"},
           Case{"prefer", "pgcache", "scram_tls", "sslmode=disable", "tls"},
           Case{"prefer", "pgcache", "scram_tls", "sslmode=require", error.c_str()},
           Case{"prefer", "pgcache", "scram_tls", "sslmode=require channel_binding=disable", "tls"},
           Case{"allow", "pgcache", "scram", "sslmode=require", "plain"},
           Case{"require", "pgcache", "scram", "sslmode=disable", "tls"},
           Case{"require", "pgcache", "scram", "sslmode=require", error.c_str()},
           Case{"require", "pgcache", "scram", "sslmode=require channel_binding=disable", "tls"},
           Case{"require", "pgcache", "scram", "sslmode=require channel_binding=require",
                "channel binding"},
           // The origin's own certificate: the binding holds across pgcache.
           Case{"require", "copy", "scram", "sslmode=require", "tls"},
           Case{"require", "copy", "scram", "sslmode=require channel_binding=require", "tls"},
           Case{"require", "copy", "scram", "sslmode=require channel_binding=disable", "tls"},
           Case{"require", "copy", "scram", "sslmode=disable", "tls"},
       }) {
    const auto proxy = proxy_with("sslmode=" + std::string(one.origin_mode), one.certificate);
    const std::string got = arrives(*proxy, one.user, one.client);
    EXPECT_NE(got.find(one.expected), std::string::npos)
        << one.origin_mode << " " << one.certificate << " " << one.user << " " << one.client << ": "
        << got;
  }
}

TEST_F(OriginTls, SessionsInTlsAreCounted) {
  const auto sessions = [](const char* side) {
    return stack().proxy().metric("pgcache_tls_sessions", {{"side", side}});
  };
  ASSERT_TRUE(wait_until([&] { return sessions("origin") == 0; }, 5000));
  EXPECT_EQ(sessions("client"), 0);
  {
    Connection plain = stack().client();
    EXPECT_EQ(sessions("client"), 0);
    EXPECT_EQ(sessions("origin"), 1);
    Connection secured(stack().dsn("sslmode=require"));
    EXPECT_EQ(sessions("client"), 1);
    EXPECT_EQ(sessions("origin"), 2);
  }
  EXPECT_TRUE(wait_until([&] { return sessions("client") == 0 && sessions("origin") == 0; }, 5000));
}

TEST_F(OriginTls, ThatPlainWasChosenForScramIsSaidOnce) {
  const auto proxy = proxy_with("sslmode=prefer", "pgcache");
  const auto said = [&] {
    const std::string log = proxy->log_tail(100000);
    std::size_t count = 0;
    for (auto at = log.find("reach the origin in plain"); at != log.npos;
         at = log.find("reach the origin in plain", at + 1)) {
      ++count;
    }
    return count;
  };
  EXPECT_EQ(arrives(*proxy, "scram", "sslmode=disable"), "tls");
  EXPECT_EQ(arrives(*proxy, "postgres", "sslmode=require"), "tls");
  EXPECT_EQ(said(), 0U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(arrives(*proxy, "scram", "sslmode=require"), "plain");
  EXPECT_TRUE(wait_until([&] { return said() == 1; }, 2000)) << said();
}

// TLS with the first byte: PostgreSQL 17 takes it, and 15, which would take it after a request,
// does not.
TEST_F(OriginTls, DirectNegotiation) {
  for (const char* uri : {"sslmode=require&sslnegotiation=direct",
                          "sslnegotiation=direct&sslmode=verify-full&sslrootcert="}) {
    const std::string parameters =
        std::string(uri) + (std::string(uri).ends_with("=") ? certificates().authority() : "");
    const auto refused = proxy_with(parameters);
    EXPECT_NE(arrives(*refused, "postgres").find("could not connect to the origin"),
              std::string::npos);
    for (const int version : {17, 18}) {
      const ServerBinaries server = server_binaries(version);
      if (server.folder.empty()) GTEST_SKIP() << server.why_not;
      StackOptions all = options();
      all.server_bin = server.folder;
      all.hba.clear();
      all.schema = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one');";
      all.origin_parameters = parameters;
      Stack own(all);
      Connection session = own.client();
      EXPECT_EQ(rows_text(own.load(session, kRead)), "one");
      EXPECT_EQ(session.query(kIsSecured).value(), "t");
      ASSERT_EQ(PQsendQuery(session.raw(), "SELECT pg_sleep(20)"), 1);
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      cancel_query(session);
    }
  }
}

TEST_F(OriginTls, ReplicationSessionsWithScram) {
  for (const std::string client : {"sslmode=disable", "sslmode=require channel_binding=disable"}) {
    Connection session("host=127.0.0.1 port=" + std::to_string(stack().proxy().port()) +
                       " dbname=postgres gssencmode=disable user=scram password=secret "
                       "replication=database " +
                       client);
    EXPECT_EQ(session.query("IDENTIFY_SYSTEM").rows.size(), 1U);
  }
}

TEST_F(OriginTls, CancelRequestsAndVanishedClients) {
  const auto sleeping = [](const std::string& pattern) {
    return stack()
        .direct()
        .must("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '" +
              pattern + "' AND pid <> pg_backend_pid()")
        .value();
  };
  Connection sleeper = stack().client("sslmode=require");
  ASSERT_EQ(PQsendQuery(sleeper.raw(), "SELECT pg_sleep(20), 1"), 1);
  ASSERT_TRUE(wait_until([&] { return sleeping("SELECT pg_sleep(20), 1%") == "1"; }, 5000));
  cancel_query(sleeper);
  RawClient vanishing = stack().raw();
  vanishing.send(message::query("SELECT pg_sleep(20), 2"));
  ASSERT_TRUE(wait_until([&] { return sleeping("SELECT pg_sleep(20), 2%") == "1"; }, 5000));
  vanishing.reset();
  EXPECT_TRUE(wait_until([&] { return sleeping("SELECT pg_sleep(20), 2%") == "0"; }, 5000));
}

TEST_F(OriginTls, CopyBothWays) {
  Connection session = stack().client("sslmode=require");
  copy_both_ways(session, 4000);
}

TEST_F(OriginTls, ResultsOf64MbPassInBoundedMemory) {
  RawClient session("127.0.0.1", stack().proxy().port());
  ASSERT_TRUE(session.request_tls());
  session.send(message::startup({{"user", "postgres"}, {"database", "postgres"}}));
  session.read_until('Z');
  stack().reset_memory_peak();
  const long before = stack().memory_kib("VmRSS");
  session.send(message::query("SELECT id, v FROM big ORDER BY id"));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  std::size_t rows = 0;
  for (;;) {
    const RawFrame frame = session.read_frame();
    if (frame.tag == 'D') ++rows;
    if (frame.tag == 'Z') break;
  }
  EXPECT_EQ(rows, 1000000U);
  EXPECT_LT(stack().memory_kib("VmHWM") - before, extra_kib());
}

}  // namespace
}  // namespace pgcache::testing
