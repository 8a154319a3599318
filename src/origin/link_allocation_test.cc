// SPDX-License-Identifier: Apache-2.0
// A link that cannot be opened for want of memory leaves no connection behind.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <new>
#include <string>

#include "base/cache_path.h"
#include "origin/link.h"

#ifdef PGCACHE_ALLOCATION_FAULTS

namespace pgcache::origin {
namespace {

// A server that answers nobody: its kernel accepts.
class SilentServer {
 public:
  SilentServer() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(fd_, any, size), 0);
    EXPECT_EQ(::listen(fd_, 128), 0);
    EXPECT_EQ(::getsockname(fd_, any, &size), 0);
    conninfo_ = "host=127.0.0.1 user=u dbname=d port=" + std::to_string(ntohs(address.sin_port));
  }
  ~SilentServer() { ::close(fd_); }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;

  const std::string& conninfo() const { return conninfo_; }

 private:
  int fd_;
  std::string conninfo_;
};

auto open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

TEST(LinkAllocation, NoConnectionIsLeftBehind) {
  const SilentServer server;
  LinkOptions options;
  options.conninfo = server.conninfo();
  options.application_name = "a name that is too long to be kept inside of a string";
  options.connect_timeout = std::chrono::milliseconds(20);
  const auto before = open_descriptors();
  int thrown = 0;
  for (std::uint64_t number = 1;; ++number) {
    ASSERT_LT(number, 1000u);
    faults::fail_allocation(number);
    try {
      EXPECT_TRUE(std::holds_alternative<Failure>(Link::open(options)));
    } catch (const std::bad_alloc&) {
      ++thrown;
    }
    const bool reached = faults::allocation_failed();
    faults::fail_allocation(0);
    EXPECT_EQ(open_descriptors(), before) << number;
    if (!reached) break;
  }
  EXPECT_GT(thrown, 3);
}

}  // namespace
}  // namespace pgcache::origin

#endif  // PGCACHE_ALLOCATION_FAULTS
