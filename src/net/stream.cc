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
#include <new>

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
    static_cast<Stream*>(self)->on_writable();
  };
  read_event_ = event_new(loop.base(), socket_.get(), EV_READ | EV_PERSIST, on_readable, this);
  write_event_ = event_new(loop.base(), socket_.get(), EV_WRITE, on_writable, this);
  if (read_event_ != nullptr && write_event_ != nullptr) return;
  if (read_event_ != nullptr) event_free(read_event_);
  if (write_event_ != nullptr) event_free(write_event_);
  throw std::bad_alloc();
}

Stream::~Stream() {
  event_free(read_event_);
  event_free(write_event_);
}

void Stream::set_handlers(std::function<void()> readable, std::function<void()> writable) {
  readable_ = std::move(readable);
  writable_ = std::move(writable);
}

Stream::ReadResult Stream::read(wire::InputBuffer& into, std::size_t bytes_max) {
  if (broken_) return ReadResult::kReset;
  if (tls_) return read_tls(into, bytes_max);
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
  if (!on || !open()) return;
  watch_readable_event();
  if (tls_) announce_unread();
}

void Stream::watch_readable_event() noexcept {
  if (!watched_) watched_ = event_add(read_event_, nullptr) == 0;
  if (!watched_ || broken_) break_off();
}

bool Stream::watch_writable() noexcept {
  const bool watched = event_add(write_event_, nullptr) == 0;
  if (!watched) break_off();
  return watched;
}

// Whoever reads is to find it.
void Stream::break_off() noexcept {
  broken_ = true;
  event_active(read_event_, EV_READ, 0);
}

void Stream::on_readable() {
  if (secured_) {
    EventLoop::call([this] { advance_handshake(); });
    return;
  }
  if (wanted_) {
    EventLoop::call(readable_);
    if (tls_ && open() && wanted_) announce_unread();
    return;
  }
  event_del(read_event_);
  watched_ = false;
}

void Stream::on_writable() {
  if (tls_) {
    // That it is broken is found by whoever reads or writes next.
    (void)tls_->flush();
    if (tls_->has_output() && watch_writable()) return;
    if (shut_when_flushed_) ::shutdown(socket_.get(), SHUT_WR);
    if (secured_) return;
  }
  EventLoop::call(writable_);
}

bool Stream::write(wire::OutputQueue& from) {
  if (broken_) return false;
  if (tls_) return write_tls(from);
  while (!from.empty()) {
    const ssize_t bytes = send_pieces(socket_.get(), from.pieces(kPiecesMax));
    if (bytes >= 0) {
      from.consume(static_cast<std::size_t>(bytes));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return watch_writable();
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

// --- TLS

void Stream::start_tls(const TlsContextPtr& context, std::string_view received,
                       const std::string& host, std::function<void(Status)> done) {
  CHECK(!tls_ && open());
  tls_ = std::make_unique<TlsChannel>(context, socket_.get(), received, host);
  secured_ = std::move(done);
  watch_readable_event();
  event_active(read_event_, EV_READ, 0);
}

void Stream::advance_handshake() {
  const TlsChannel::Progress progress = tls_->handshake();
  // Also what there is to say about a failure.
  const bool sent = tls_->flush();
  if (sent && tls_->has_output()) watch_writable();
  if (progress == TlsChannel::Progress::kWaits && sent && !broken_) return;
  Status status;
  if (broken_) status = Error{"out of memory"};
  if (progress == TlsChannel::Progress::kFailed) status = Error{tls_->error()};
  if (status.ok() && !sent) status = Error{"the peer closed the connection"};
  const auto done = std::exchange(secured_, nullptr);
  EventLoop::call([&] { done(status); });
  if (open() && wanted_) announce_unread();
}

// What lies decrypted, or is not even decrypted yet, in the channel.
void Stream::announce_unread() {
  if (tls_->unread()) event_active(read_event_, EV_READ, 0);
}

Stream::ReadResult Stream::read_tls(wire::InputBuffer& into, std::size_t bytes_max) {
  if (secured_) return ReadResult::kNothing;
  const TlsChannel::ReadResult result = tls_->read(into, bytes_max);
  // What reading made the channel say.
  if (tls_->has_output() && tls_->flush() && tls_->has_output()) watch_writable();
  switch (result) {
    case TlsChannel::ReadResult::kBytes:
      return ReadResult::kBytes;
    case TlsChannel::ReadResult::kNothing:
      return ReadResult::kNothing;
    case TlsChannel::ReadResult::kClosed:
      return ReadResult::kClosed;
    case TlsChannel::ReadResult::kBroken:
      return ReadResult::kReset;
  }
  return ReadResult::kReset;
}

bool Stream::write_tls(wire::OutputQueue& from) {
  if (secured_) return true;
  for (;;) {
    if (!tls_->flush()) return false;
    if (tls_->has_output()) return watch_writable();
    if (from.empty()) return true;
    if (!tls_->encrypt(from)) return false;
  }
}

// --- the end

void Stream::shutdown_sending() {
  if (tls_) {
    tls_->end();
    if (tls_->flush() && tls_->has_output()) {
      shut_when_flushed_ = true;
      watch_writable();
      return;
    }
  }
  ::shutdown(socket_.get(), SHUT_WR);
}

void Stream::close() {
  if (!open()) return;
  if (tls_) {
    tls_->end();
    (void)tls_->flush();
  }
  event_del(read_event_);
  event_del(write_event_);
  wanted_ = watched_ = false;
  socket_.close();
}

}  // namespace pgcache::net
