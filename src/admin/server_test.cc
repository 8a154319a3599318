// SPDX-License-Identifier: Apache-2.0
#include "admin/server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "admin/client.h"

namespace pgcache::admin {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

AdminSources make_sources() {
  AdminSources sources;
  sources.readiness = [] { return Readiness{false, "starting"}; };
  sources.cache_status = [] { return cache::CacheStatus{}; };
  sources.stream = [] { return StreamReport{"starting", 0, ""}; };
  sources.routes = [] { return RouteCounts{}; };
  sources.latencies = [] { return std::vector<std::pair<std::string, Histogram>>{}; };
  sources.shapes = [] { return std::vector<cache::ShapePtr>{}; };
  sources.problems = [] { return std::vector<std::string>{}; };
  sources.clients = [] { return std::uint64_t{0}; };
  return sources;
}

// A plain blocking connection; reads give up after five seconds, so that no test hangs.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{5, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void half_close() { ::shutdown(fd_, SHUT_WR); }

  // Everything up to the end of the connection.
  std::string read_all() {
    while (receive()) {
    }
    return std::exchange(received_, {});
  }
  // One response: its header and as many bytes as Content-Length says.
  std::string read_response() {
    std::size_t end = 0;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!receive()) return std::exchange(received_, {});
    }
    const std::size_t at = received_.find("Content-Length: ");
    const std::size_t total =
        end + 4 + (at == std::string::npos ? 0 : std::stoul(received_.substr(at + 16)));
    while (received_.size() < total && receive()) {
    }
    std::string response = received_.substr(0, total);
    received_.erase(0, total);
    return response;
  }
  // True when the peer has closed.
  bool at_end() { return received_.empty() && !receive(); }

 private:
  bool receive() {
    char buffer[4096];
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    received_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }

  int fd_;
  bool connected_ = false;
  std::string received_;
};

class AdminServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Status started = server_.start();
    ASSERT_TRUE(started.ok()) << started.error().message;
    ASSERT_NE(server_.port(), 0);
  }
  // The answer to one request on a connection of its own.
  std::string ask(std::string_view request) {
    Client client(server_.port());
    client.send(request);
    client.half_close();
    return client.read_all();
  }

  AdminServer server_{config::HostPort{"127.0.0.1", 0}, make_sources()};
};

TEST_F(AdminServerTest, Get) {
  EXPECT_THAT(ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("Content-Length: 3\r\n"),
                    EndsWith("\r\n\r\nok\n")));
  EXPECT_THAT(ask("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 503 "), EndsWith("starting\n")));
  EXPECT_THAT(ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("pgcache_entries 0\n"));
  EXPECT_THAT(ask("GET /status HTTP/1.1\r\nHost: x\r\n\r\n"),
              AllOf(HasSubstr("application/json"), HasSubstr("\"applied_lsn\": \"0/0\"")));
  EXPECT_THAT(ask("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(AdminServerTest, HeadHasNoBodyButItsLength) {
  EXPECT_THAT(ask("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("Content-Length: 3\r\n"),
                    EndsWith("\r\n\r\n")));
}

TEST_F(AdminServerTest, OtherMethodsAreRefused) {
  EXPECT_THAT(ask("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"),
              AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET, HEAD\r\n")));
  EXPECT_THAT(ask("BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
}

TEST_F(AdminServerTest, KeepsTheConnection) {
  Client client(server_.port());
  for (int i = 0; i < 3; ++i) {
    client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(client.read_response(), EndsWith("ok\n"));
  }
  client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nHEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.read_response(), EndsWith("ok\n"));
  client.half_close();
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(AdminServerTest, ClosesWhenAskedTo) {
  Client client(server_.port());
  client.send("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.read_response(), HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(client.at_end());
  Client old(server_.port());
  old.send("GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_THAT(old.read_response(), EndsWith("ok\n"));
  EXPECT_TRUE(old.at_end());
}

TEST_F(AdminServerTest, TakesARequestByteByByte) {
  Client client(server_.port());
  for (const char c : std::string_view("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")) {
    client.send(std::string_view(&c, 1));
  }
  EXPECT_THAT(client.read_response(), EndsWith("ok\n"));
}

TEST_F(AdminServerTest, BadRequestsGet400) {
  for (const std::string& bad :
       {std::string("nonsense\r\n\r\n"), std::string("GET\r\n\r\n"),
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
        std::string("GET / HTTP/1.1\r\nA b: c\r\n\r\n"), std::string("GET / HTTP/9.9\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n")}) {
    EXPECT_THAT(ask(bad), StartsWith("HTTP/1.1 400 ")) << bad;
  }
  EXPECT_THAT(ask("GET /healthz HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, RequestsHaveALimit) {
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nX: " + std::string(20000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask("GET /" + std::string(100000, 'x') + " HTTP/1.1\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask("POST / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(ask("GET /healthz HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, ConnectionsHaveALimitAndComeBack) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(std::make_unique<Client>(server_.port()));
    clients.back()->send("GET /healthz HTTP/1.1\r\n\r\n");
    ASSERT_THAT(clients.back()->read_response(), EndsWith("ok\n")) << i;
  }
  EXPECT_THAT(ask("GET /healthz HTTP/1.1\r\n\r\n"), Not(HasSubstr("200")));
  clients.clear();
  std::string last;
  for (int i = 0; i < 100 && last.empty(); ++i) {
    last = ask("GET /healthz HTTP/1.1\r\n\r\n");
    if (last.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_THAT(last, EndsWith("ok\n"));
}

TEST_F(AdminServerTest, StopsUnderOpenConnections) {
  Client idle(server_.port());
  Client half(server_.port());
  half.send("GET /heal");
  Client done(server_.port());
  done.send("GET /healthz HTTP/1.1\r\n\r\n");
  EXPECT_THAT(done.read_response(), EndsWith("ok\n"));
  server_.stop();
  server_.stop();
}

TEST(AdminServer, AddressInUseIsSaid) {
  AdminServer first({"127.0.0.1", 0}, make_sources());
  ASSERT_TRUE(first.start().ok());
  AdminServer second({"127.0.0.1", first.port()}, make_sources());
  const Status status = second.start();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(
      status.error().message,
      AllOf(HasSubstr("127.0.0.1"), HasSubstr(std::to_string(first.port())), HasSubstr("in use")));
}

TEST(AdminServer, HostThatDoesNotResolve) {
  AdminServer server({"no such host", 0}, make_sources());
  const Status status = server.start();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("no such host"));
}

TEST(AdminServer, NeverStarted) { AdminServer server({"127.0.0.1", 0}, make_sources()); }

TEST(AdminServer, AnExceptionFromASourceIsA500) {
  AdminSources sources = make_sources();
  sources.cache_status = []() -> cache::CacheStatus { throw std::runtime_error("broken"); };
  AdminServer server({"localhost", 0}, sources);
  ASSERT_TRUE(server.start().ok());
  Client client(server.port());
  if (!client.connected()) GTEST_SKIP() << "localhost is IPv6 here";
  client.send("GET /status HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 500 "));
  client.send("GET /healthz HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 200 "));
}

TEST(Fetch, GetsBodiesOfGoodAnswers) {
  AdminServer server({"127.0.0.1", 0}, make_sources());
  ASSERT_TRUE(server.start().ok());
  const config::HostPort address{"127.0.0.1", server.port()};
  constexpr auto kTimeout = std::chrono::milliseconds(5000);
  const Result<std::string> body = fetch(address, "/healthz", kTimeout);
  ASSERT_TRUE(body.ok()) << body.error().message;
  EXPECT_EQ(*body, "ok\n");
  EXPECT_EQ(fetch(address, "/readyz", kTimeout).error().message, "status 503");
  server.stop();
  EXPECT_FALSE(fetch(address, "/healthz", std::chrono::milliseconds(200)).ok());
}

}  // namespace
}  // namespace pgcache::admin
