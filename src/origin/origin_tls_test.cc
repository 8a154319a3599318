// SPDX-License-Identifier: Apache-2.0
// What a URL's TLS part means. Files are those of a home of the test's own.
#include "origin/origin_tls.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

namespace pgcache::origin {
namespace {

namespace fs = std::filesystem;
using Values = std::map<std::string, std::string>;

class OriginTlsTest : public ::testing::Test {
 protected:
  OriginTlsTest() {
    home_ = (fs::temp_directory_path() / "pgcache-home-XXXXXX").string();
    EXPECT_NE(mkdtemp(home_.data()), nullptr);
    ::setenv("HOME", home_.c_str(), 1);
    fs::create_directory(home_ + "/.postgresql");
  }
  ~OriginTlsTest() override {
    std::error_code ignored;
    fs::remove_all(home_, ignored);
  }
  std::string file(const std::string& name) const { return home_ + "/.postgresql/" + name; }
  void touch(const std::string& name) const { std::ofstream(file(name)) << "x"; }
  static OriginTls of(Values values) {
    values.try_emplace("host", "db");
    Result<OriginTls> tls = origin_tls([&](const char* name) { return values[name]; });
    EXPECT_TRUE(tls.ok()) << tls.error().message;
    return *tls;
  }
  static bool refused(Values values) {
    return !origin_tls([&](const char* name) { return values[name]; }).ok();
  }

  std::string home_;
};

TEST_F(OriginTlsTest, DirectNegotiationNeedsAModeThatInsists) {
  EXPECT_FALSE(of({{"sslnegotiation", "postgres"}}).direct);
  EXPECT_TRUE(of({{"sslnegotiation", "direct"}, {"sslmode", "require"}}).direct);
  EXPECT_TRUE(refused({{"sslnegotiation", "direct"}}));
  EXPECT_TRUE(refused({{"sslnegotiation", "direct"}, {"sslmode", "allow"}}));
  EXPECT_TRUE(refused({{"sslnegotiation", "sometimes"}, {"sslmode", "require"}}));
}

TEST_F(OriginTlsTest, Modes) {
  EXPECT_EQ(of({}).mode, SslMode::kPrefer);
  EXPECT_EQ(of({{"sslmode", "allow"}}).mode, SslMode::kAllow);
  EXPECT_EQ(of({{"sslmode", "disable"}}).mode, SslMode::kDisable);
  EXPECT_TRUE(refused({{"sslmode", "sometimes"}}));
  EXPECT_EQ(of({{"sslmode", "require"}, {"host", "/run/postgresql"}}).mode, SslMode::kDisable);
}

TEST_F(OriginTlsTest, AuthoritiesAreAskedWhereThereAreSome) {
  EXPECT_EQ(of({{"sslmode", "require"}}).options.verify, net::Verify::kNothing);
  EXPECT_TRUE(refused({{"sslmode", "verify-ca"}, {"host", "db"}}));
  touch("root.crt");
  for (const char* mode : {"prefer", "require", "verify-ca"}) {
    const OriginTls tls = of({{"sslmode", mode}});
    EXPECT_EQ(tls.options.verify, net::Verify::kAuthority) << mode;
    EXPECT_EQ(tls.options.authorities, file("root.crt"));
    EXPECT_EQ(tls.options.revoked, "");
  }
  touch("root.crl");
  EXPECT_EQ(of({{"sslmode", "verify-ca"}}).options.revoked, file("root.crl"));
  EXPECT_EQ(of({{"sslmode", "verify-full"}}).options.verify, net::Verify::kHost);
  EXPECT_EQ(of({{"sslmode", "verify-full"}}).host, "db");
  EXPECT_TRUE(refused({{"sslmode", "verify-full"}, {"hostaddr", "127.0.0.1"}}));
  EXPECT_TRUE(refused({{"sslmode", "verify-ca"}, {"sslrootcert", "/nowhere"}}));
}

TEST_F(OriginTlsTest, AuthoritiesOfTheSystem) {
  EXPECT_EQ(of({{"sslmode", "verify-full"}, {"sslrootcert", "system"}}).options.authorities,
            "system");
  EXPECT_TRUE(refused({{"sslmode", "require"}, {"sslrootcert", "system"}, {"host", "db"}}));
}

TEST_F(OriginTlsTest, CertificateOfOurOwn) {
  EXPECT_EQ(of({}).options.certificate, "");
  EXPECT_EQ(of({{"sslcert", "/nowhere"}}).options.certificate, "");
  touch("postgresql.crt");
  EXPECT_EQ(of({}).options.certificate, file("postgresql.crt"));
  EXPECT_EQ(of({}).options.key, file("postgresql.key"));
  EXPECT_EQ(of({{"sslkey", "/k"}}).options.key, "/k");
}

TEST_F(OriginTlsTest, Versions) {
  const OriginTls tls =
      of({{"ssl_min_protocol_version", "TLSv1.2"}, {"ssl_max_protocol_version", "TLSv1.3"}});
  EXPECT_EQ(tls.options.min_version, "1.2");
  EXPECT_EQ(tls.options.max_version, "1.3");
  EXPECT_TRUE(tls.options.send_host);
  EXPECT_FALSE(of({{"sslsni", "0"}}).options.send_host);
}

}  // namespace
}  // namespace pgcache::origin
