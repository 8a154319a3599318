// SPDX-License-Identifier: Apache-2.0
#include "support/relay.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace pgcache::testing {

namespace {

constexpr std::size_t kBufferMax = 256 * 1024;  // read no further while so much is unsent
constexpr std::uint32_t kProtocolMajor = 3;

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

std::uint32_t be32_at(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

void close_with_reset(int fd) {
  const linger hard{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close(fd);
}

}  // namespace

struct Relay::Connection {
  int near = -1;  // pgcache
  int far = -1;   // the origin
  std::string to_far, to_near;
  Peer peer = Peer::kClient;
  Counter counter;
  std::string frames;  // to the origin, not yet a whole message
  bool started = false;
  bool parsed_marker = false;  // the last Parse held the marker
  bool forsaken = false;
  bool broken = false;

  ~Connection() {
    close_with_reset(near);
    if (far >= 0) close_with_reset(far);
  }
};

Relay::Relay(int origin_port, std::string marker)
    : origin_port_(origin_port), marker_(std::move(marker)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  if (listener_ < 0 || bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(listener_, 100) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      pipe2(wake_pipe_, O_CLOEXEC | O_NONBLOCK) != 0) {
    throw std::runtime_error("the relay cannot listen");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

Relay::~Relay() {
  stop_ = true;
  wake();
  thread_.join();
  close(listener_);
  close(wake_pipe_[0]);
  close(wake_pipe_[1]);
}

Counter Relay::counter_of(const std::string& application_name) {
  const std::lock_guard lock(mutex_);
  Counter& counter = counters_[application_name];
  if (!counter) counter = std::make_shared<std::atomic<std::uint64_t>>(0);
  return counter;
}

void Relay::forget(const std::string& application_name) {
  const std::lock_guard lock(mutex_);
  counters_.erase(application_name);
}

void Relay::stall(Peer peer, bool stalled) {
  stalled_[static_cast<std::size_t>(peer)] = stalled;
  wake();
}

void Relay::cut(Peer peer) {
  cut_[static_cast<std::size_t>(peer)] = true;
  wake();
}

void Relay::forsake(Peer peer) {
  forsake_[static_cast<std::size_t>(peer)] = true;
  wake();
}

void Relay::lead_to(int port) { origin_port_ = port; }

bool Relay::holds(const Connection& c) const {
  return c.started && (c.forsaken || stalled_[static_cast<std::size_t>(c.peer)]);
}

void Relay::wake() {
  const char byte = 0;
  [[maybe_unused]] const ssize_t ignored = write(wake_pipe_[1], &byte, 1);
}

void Relay::accept_one() {
  const int near = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (near < 0) return;
  auto connection = std::make_unique<Connection>();
  connection->near = near;
  connection->far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(origin_port_);
  // The origin is on this machine: it accepts at once, or is not there.
  if (connect(connection->far, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
  const int yes = 1;
  for (const int fd : {connection->near, connection->far}) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  }
  connections_.push_back(std::move(connection));
}

void Relay::run() {
  std::vector<pollfd> polled;
  while (!stop_) {
    polled = {{listener_, POLLIN, 0}, {wake_pipe_[0], POLLIN, 0}};
    for (const auto& c : connections_) {
      const bool stalled = holds(*c);
      const auto events = [stalled](const std::string& incoming, const std::string& outgoing) {
        if (stalled) return short{0};
        return static_cast<short>((incoming.size() < kBufferMax ? POLLIN : 0) |
                                  (outgoing.empty() ? 0 : POLLOUT));
      };
      // A negative number is left out: a stalled connection would report its end again and again.
      polled.push_back({stalled ? -1 : c->near, events(c->to_far, c->to_near), 0});
      polled.push_back({stalled ? -1 : c->far, events(c->to_near, c->to_far), 0});
    }
    poll(polled.data(), polled.size(), 1000);
    char drained[64];
    while (read(wake_pipe_[0], drained, sizeof drained) > 0) {
    }
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      Connection& c = *connections_[i];
      if (polled[2 + 2 * i].revents & (POLLIN | POLLHUP | POLLERR)) pump(c, true);
      if (polled[3 + 2 * i].revents & (POLLIN | POLLHUP | POLLERR)) pump(c, false);
      if (!holds(c) && !flush(c)) c.broken = true;
    }
    std::array<bool, 3> cut{};
    for (std::size_t i = 0; i < cut.size(); ++i) {
      cut[i] = cut_[i].exchange(false);
      const bool forsaken = forsake_[i].exchange(false);
      for (const auto& c : connections_) {
        if (forsaken && static_cast<std::size_t>(c->peer) == i) c->forsaken = true;
      }
    }
    std::erase_if(connections_, [&](const auto& c) {
      return c->broken || (c->started && cut[static_cast<std::size_t>(c->peer)]);
    });
    if (polled[0].revents & POLLIN) accept_one();
  }
  connections_.clear();
}

void Relay::pump(Connection& connection, bool from_pgcache) {
  char bytes[16384];
  const int fd = from_pgcache ? connection.near : connection.far;
  const ssize_t count = recv(fd, bytes, sizeof bytes, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    flush(connection);  // what the other side said last
    connection.broken = true;
    return;
  }
  const std::string_view got(bytes, static_cast<std::size_t>(count));
  (from_pgcache ? connection.to_far : connection.to_near) += got;
  if (!from_pgcache) return;
  connection.frames += got;
  look_at(connection, 0);
}

// Takes whole messages off `frames`, from `at` on.
void Relay::look_at(Connection& connection, std::size_t at) {
  std::string& frames = connection.frames;
  while (true) {
    const std::size_t head = connection.started ? 1 : 0;  // the startup message has no tag
    if (frames.size() - at < head + 4) break;
    const std::size_t length = head + be32_at(frames, at + head);
    if (frames.size() - at < length) break;
    const std::string_view message = std::string_view(frames).substr(at, length);
    if (!connection.started) {
      on_startup(connection, std::string(message));
    } else {
      const bool marked = message.find(marker_) != message.npos;
      if (message[0] == 'P') connection.parsed_marker = marked;
      const bool runs = message[0] == 'Q' ? marked : message[0] == 'E' && connection.parsed_marker;
      if (runs && connection.counter) connection.counter->fetch_add(1);
    }
    at += length;
  }
  frames.erase(0, at);
}

void Relay::on_startup(Connection& connection, const std::string& packet) {
  if (packet.size() < 8 || be32_at(packet, 4) >> 16 != kProtocolMajor) return;  // a cancel request
  connection.started = true;
  std::map<std::string, std::string> parameters;
  for (std::size_t at = 8; at < packet.size() && packet[at] != '\0';) {
    const std::string name = packet.c_str() + at;
    at += name.size() + 1;
    const std::string value = at < packet.size() ? packet.c_str() + at : "";
    at += value.size() + 1;
    parameters[name] = value;
  }
  const std::string& name = parameters["application_name"];
  if (parameters.count("replication") != 0) connection.peer = Peer::kStream;
  if (name == "pgcache control") connection.peer = Peer::kControl;
  const std::lock_guard lock(mutex_);
  const auto counter = counters_.find(name);
  if (counter != counters_.end()) connection.counter = counter->second;
}

// False when a side is gone.
bool Relay::flush(Connection& connection) {
  for (auto [fd, bytes] : {std::pair{connection.far, &connection.to_far},
                           std::pair{connection.near, &connection.to_near}}) {
    if (bytes->empty()) continue;
    const ssize_t sent = send(fd, bytes->data(), bytes->size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (sent > 0) bytes->erase(0, static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace pgcache::testing
