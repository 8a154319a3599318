// SPDX-License-Identifier: Apache-2.0
#include "net/stream.h"

#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

#include "base/check.h"

namespace pgcache::net {

namespace {

constexpr std::size_t kPiecesMax = 32;

ssize_t send_pieces(int socket, const std::vector<std::string_view>& pieces) {
  // One piece, as nearly always, spares the kernel a list of pieces.
  if (pieces.size() == 1) {
    return ::send(socket, pieces.front().data(), pieces.front().size(), MSG_NOSIGNAL);
  }
  std::array<iovec, kPiecesMax> list;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    list[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
  }
  msghdr message{};
  message.msg_iov = list.data();
  message.msg_iovlen = pieces.size();
  return ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

}  // namespace

Stream::Stream(EventLoop& loop, FileDescriptor socket, std::function<void()> readable,
               std::function<void()> writable)
    : socket_(std::move(socket)), readable_(std::move(readable)), writable_(std::move(writable)) {
  ::fcntl(socket_.get(), F_SETFL, ::fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
  const int on = 1;
  // Fails harmlessly on a Unix socket.
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  const auto on_readable = [](int, short, void* self) {
    static_cast<Stream*>(self)->on_readable();
  };
  const auto on_writable = [](int, short, void* self) {
    EventLoop::call(static_cast<Stream*>(self)->writable_);
  };
  read_event_ = event_new(loop.base(), socket_.get(), EV_READ | EV_PERSIST, on_readable, this);
  write_event_ = event_new(loop.base(), socket_.get(), EV_WRITE, on_writable, this);
  CHECK(read_event_ != nullptr && write_event_ != nullptr);
}

Stream::~Stream() {
  event_free(read_event_);
  event_free(write_event_);
}

Stream::ReadResult Stream::read(wire::InputBuffer& into, std::size_t bytes_max) {
  const ssize_t bytes = ::recv(socket_.get(), into.prepare(bytes_max), bytes_max, 0);
  if (bytes > 0) {
    into.commit(static_cast<std::size_t>(bytes));
    return ReadResult::kBytes;
  }
  if (bytes == 0) return ReadResult::kClosed;
  const bool later = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  return later ? ReadResult::kNothing : ReadResult::kReset;
}

void Stream::watch_readable(bool on) {
  wanted_ = on;
  if (!on || watched_ || !open()) return;
  watched_ = event_add(read_event_, nullptr) == 0;
}

void Stream::on_readable() {
  if (wanted_) {
    EventLoop::call(readable_);
    return;
  }
  event_del(read_event_);
  watched_ = false;
}

bool Stream::write(wire::OutputQueue& from) {
  while (!from.empty()) {
    const ssize_t bytes = send_pieces(socket_.get(), from.pieces(kPiecesMax));
    if (bytes >= 0) {
      from.consume(static_cast<std::size_t>(bytes));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      event_add(write_event_, nullptr);
      return true;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

void Stream::shutdown_sending() { ::shutdown(socket_.get(), SHUT_WR); }

void Stream::close() {
  event_del(read_event_);
  event_del(write_event_);
  wanted_ = watched_ = false;
  socket_.close();
}

}  // namespace pgcache::net
