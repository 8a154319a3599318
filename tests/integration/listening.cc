// SPDX-License-Identifier: Apache-2.0
// Where clients can reach pgcache, and by which ways it reaches the origin.
#include <filesystem>

#include "transcript.h"

namespace pgcache::testing {
namespace {

namespace fs = std::filesystem;
constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";

// A folder for sockets, gone at the end of the program.
const std::string& folder() {
  struct Folder {
    Folder() {
      path = (fs::temp_directory_path() / "pgcache-listen-XXXXXX").string();
      if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    }
    ~Folder() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
    std::string path;
  };
  static const Folder made;
  return made.path;
}

class Listening : public SharedStack<Listening> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'v1');";
    options.arguments = {"--listen",
                         "[::1]:0," + folder() + "," + folder() + ":7001",
                         "--max-clients-per-address",
                         "3",
                         "--tcp-keepalives-idle",
                         "20s",
                         "--tcp-user-timeout",
                         "30s"};
    return options;
  }

 protected:
  static std::string local_dsn(int port) {
    return "host=" + folder() + " port=" + std::to_string(port) +
           " user=postgres dbname=postgres gssencmode=disable";
  }
  void SetUp() override {
    ASSERT_TRUE(wait_until([] { return stack().proxy().metric("pgcache_clients") == 0; }, 5000));
  }
};

TEST_F(Listening, UnixSocketsServeFromMemory) {
  Connection first(local_dsn(stack().proxy().port()));
  EXPECT_EQ(rows_text(stack().load(first, kRead)), "v1");
  Connection second(local_dsn(7001));
  EXPECT_EQ(value_of(stack().query(second, kRead, "hit")), "v1");
  Connection third = stack().client();
  EXPECT_EQ(value_of(stack().query(third, kRead, "hit")), "v1");
}

TEST_F(Listening, IPv6ServesFromMemory) {
  const std::string log = stack().proxy().log_tail(100000);
  const std::size_t at = log.find("[::1]:");
  ASSERT_NE(at, std::string::npos) << log;
  Connection session("host=::1 port=" + std::to_string(std::stoi(log.substr(at + 6))) +
                     " user=postgres dbname=postgres sslmode=disable gssencmode=disable");
  stack().query_until(session, kRead, "hit");
}

TEST_F(Listening, CancelsOverUnixSockets) {
  Connection session(local_dsn(7001));
  ASSERT_EQ(PQsendQuery(session.raw(), "SELECT pg_sleep(20)"), 1);
  ASSERT_TRUE(wait_until(
      [] {
        return stack()
                   .direct()
                   .must(
                       "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query "
                       "= 'SELECT pg_sleep(20)'")
                   .value() == "1";
      },
      5000));
  cancel_query(session);
}

TEST_F(Listening, OneClientTooManyFromAnAddress) {
  std::vector<Connection> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(stack().client());
  RawClient fourth("127.0.0.1", stack().proxy().port());
  EXPECT_EQ(fourth.read_frame().field('C'), "53300");
  // Local clients come from nowhere.
  for (int i = 0; i < 5; ++i) clients.emplace_back(local_dsn(7001));
  EXPECT_EQ(clients.back().query(kRead).value(), "v1");
  clients.erase(clients.begin());
  const auto served = [] {
    try {
      return stack().client().query(kRead).ok();
    } catch (const std::runtime_error&) {
      return false;
    }
  };
  EXPECT_TRUE(wait_until(served, 5000));
}

TEST_F(Listening, SocketsInUseAreNotTakenAndOldOnesAre) {
  PgcacheOptions options;
  options.origin = stack().origin().dsn();
  options.arguments = {"--cache", "false", "--listen", folder() + ":7001"};
  options.wait_ready = false;
  try {
    const PgcacheProcess second(options);
    FAIL() << "took the other's socket";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("held by process"), std::string::npos) << error.what();
  }
  options.arguments.back() = folder() + ":7002";
  const std::string path = folder() + "/.s.PGSQL.7002";
  PgcacheProcess killed(options);
  killed.kill9();
  EXPECT_TRUE(fs::exists(path));
  {
    const PgcacheProcess next(options);
    Connection session(local_dsn(7002));
    EXPECT_EQ(session.query(kRead).value(), "v1");
  }
  EXPECT_FALSE(fs::exists(path));
  EXPECT_FALSE(fs::exists(path + ".lock"));
}

// Links and sessions alike.
TEST_F(Listening, OriginByItsUnixSocket) {
  PgcacheOptions options;
  options.origin = stack().origin().unix_dsn();
  options.arguments = {"--slot", "by_unix", "--publication", "by_unix"};
  const PgcacheProcess proxy(options);
  Connection session(proxy.dsn());
  EXPECT_EQ(session.query("SELECT coalesce(inet_server_addr()::text, 'unix')").value(), "unix");
  const auto hit = [&] {
    const Routes before = proxy.routes();
    EXPECT_EQ(session.query(kRead).value(), "v1");
    return (proxy.routes() - before).hit == 1;
  };
  EXPECT_TRUE(wait_until(hit, 5000));
}

}  // namespace
}  // namespace pgcache::testing
