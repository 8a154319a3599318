// SPDX-License-Identifier: Apache-2.0
// What one round trip over the loopback costs a server that does nothing: epoll_wait, recv, send.
// The floor for what a proxy can cost with one client, where nearly all is the kernel's waking of a
// sleeping processor. To run it:
//   g++ -std=c++20 -O2 tests/bench/echo.cc -o build/echo && build/echo [CLIENT_WORK_MICROSECONDS]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kRunTime = std::chrono::seconds(3);
constexpr std::size_t kRequestBytes =
    60;  // about what a prepared pgbench query and its answer take
constexpr std::size_t kAnswerBytes = 80;

void no_delay(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void serve(int listener) {
  const int socket = accept(listener, nullptr, nullptr);
  no_delay(socket);
  const int poll = epoll_create1(0);
  epoll_event event{};
  event.events = EPOLLIN;
  epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event);
  std::array<char, 256> bytes{};
  long count = 0;
  for (;; ++count) {
    epoll_wait(poll, &event, 1, -1);
    if (recv(socket, bytes.data(), bytes.size(), 0) <= 0) break;
    if (send(socket, bytes.data(), kAnswerBytes, MSG_NOSIGNAL) < 0) break;
  }
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const double micros = 1e6 * static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                        static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  std::printf("%ld round trips, %.1f us of CPU each\n", count, micros / static_cast<double>(count));
}

}  // namespace

int main(int argc, char** argv) {
  const auto work = std::chrono::microseconds(argc > 1 ? std::atoi(argv[1]) : 10);
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(listener, 1) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    std::perror("echo");
    return 1;
  }
  const pid_t server = fork();
  if (server == 0) {
    serve(listener);
    return 0;
  }
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(client, reinterpret_cast<sockaddr*>(&address), length) != 0) {
    std::perror("echo");
    return 1;
  }
  no_delay(client);
  std::array<char, 256> bytes{};
  for (const auto end = Clock::now() + kRunTime; Clock::now() < end;) {
    if (send(client, bytes.data(), kRequestBytes, 0) < 0) return 1;
    if (recv(client, bytes.data(), bytes.size(), 0) <= 0) return 1;
    for (const auto until = Clock::now() + work; Clock::now() < until;) {
    }
  }
  close(client);
  waitpid(server, nullptr, 0);
}
