// SPDX-License-Identifier: Apache-2.0
#include "net/listener.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "net/connector.h"
#include "net/socket_options.h"

namespace pgcache::net {
namespace {

namespace fs = std::filesystem;

class ListenerTest : public ::testing::Test {
 protected:
  ListenerTest() {
    folder_ = (fs::temp_directory_path() / "pgcache-sockets-XXXXXX").string();
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
  }
  ~ListenerTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  // Whether a connection to this address arrives at the listener.
  bool connects(Listener& listener, const std::string& host, std::uint16_t port) {
    bool accepted = false;
    std::optional<Socket> client;
    listener.start([&](const Socket& /*socket*/) {
      accepted = true;
      context_.stop();
    });
    Connector::start(context_, {host, port}, std::chrono::milliseconds(2000),
                     [&](std::optional<Socket> socket, const std::string&) {
                       client = std::move(socket);
                       if (!client) context_.stop();
                     });
    context_.restart();
    context_.run_for(std::chrono::seconds(3));
    return accepted;
  }
  static std::string error_of(const Status& status) {
    return status.ok() ? "no error" : status.error().message;
  }

  std::string folder_;
  asio::io_context context_;
};

TEST_F(ListenerTest, TcpAddresses) {
  for (const char* host : {"127.0.0.1", "::1", "localhost"}) {
    Listener listener(context_);
    ASSERT_EQ(error_of(listener.listen(host, 0)), "no error") << host;
    EXPECT_NE(listener.port(), 0);
    EXPECT_TRUE(connects(listener, host, listener.port())) << host;
    listener.stop();
  }
}

TEST_F(ListenerTest, BothFamiliesOnOnePort) {
  Listener four(context_);
  ASSERT_EQ(error_of(four.listen("0.0.0.0", 0)), "no error");
  Listener six(context_);
  EXPECT_EQ(error_of(six.listen("::", four.port())), "no error");
  EXPECT_EQ(six.address(), "[::]:" + std::to_string(four.port()));
}

TEST_F(ListenerTest, UnixSockets) {
  const std::string path = folder_ + "/.s.PGSQL.7000";
  {
    Listener listener(context_);
    ASSERT_EQ(error_of(listener.listen(folder_, 7000)), "no error");
    EXPECT_EQ(listener.address(), path);
    struct stat file {};
    ASSERT_EQ(::stat(path.c_str(), &file), 0);
    EXPECT_TRUE(S_ISSOCK(file.st_mode));
    EXPECT_EQ(file.st_mode & 0777U, 0777U);
    EXPECT_TRUE(connects(listener, folder_, 7000));
    listener.stop();
  }
  EXPECT_TRUE(fs::is_empty(folder_));
  Listener nowhere(context_);
  EXPECT_NE(error_of(nowhere.listen("/nowhere/at/all", 7000)).find("No such file"),
            std::string::npos);
  Listener far(context_);
  EXPECT_NE(error_of(far.listen("/" + std::string(200, 'x'), 1)).find("too long"),
            std::string::npos);
}

TEST_F(ListenerTest, StaleSocketsMakeWayAndLivingOnesDoNot) {
  const std::string path = folder_ + "/.s.PGSQL.7000";
  // Left behind by a process that ended without a word.
  const pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(gone, nullptr, 0), gone);
  std::ofstream(path + ".lock") << gone << "\n";
  std::ofstream(path) << "stale";
  Listener listener(context_);
  ASSERT_EQ(error_of(listener.listen(folder_, 7000)), "no error");
  EXPECT_TRUE(connects(listener, folder_, 7000));
  listener.stop();

  const pid_t living = ::fork();
  if (living == 0) {
    ::pause();
    ::_exit(0);
  }
  std::ofstream(path + ".lock") << living << "\n";
  Listener second(context_);
  const std::string error = error_of(second.listen(folder_, 7000));
  EXPECT_NE(error.find("held by process " + std::to_string(living)), std::string::npos) << error;
  EXPECT_TRUE(fs::exists(path + ".lock"));
  ::kill(living, SIGKILL);
  ::waitpid(living, nullptr, 0);
}

TEST(SocketOptionsTest, AreSetWhereTheyAreGiven) {
  const auto value = [](const FileDescriptor& socket, int name) {
    int number = 0;
    socklen_t bytes = sizeof number;
    EXPECT_EQ(::getsockopt(socket.get(), IPPROTO_TCP, name, &number, &bytes), 0);
    return number;
  };
  const FileDescriptor untouched(::socket(AF_INET, SOCK_STREAM, 0));
  const FileDescriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
  SocketOptions options;
  options.keepalives_idle = std::chrono::seconds(17);
  options.keepalives_count = 4;
  options.user_timeout = std::chrono::milliseconds(1500);
  apply(options, socket);
  EXPECT_EQ(value(socket, TCP_KEEPIDLE), 17);
  EXPECT_EQ(value(socket, TCP_KEEPINTVL), value(untouched, TCP_KEEPINTVL));
  EXPECT_EQ(value(socket, TCP_KEEPCNT), 4);
  EXPECT_EQ(value(socket, TCP_USER_TIMEOUT), 1500);
  apply(options, FileDescriptor(::socket(AF_UNIX, SOCK_STREAM, 0)));
}

}  // namespace
}  // namespace pgcache::net
