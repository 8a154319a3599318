// SPDX-License-Identifier: Apache-2.0
#include "proxy/session_loop.h"

#include <boost/asio/post.hpp>

#include "proxy/cancel.h"
#include "proxy/worker.h"

namespace pgcache::proxy {

namespace {
constexpr std::size_t kClientReadBytes = 16 * 1024;
constexpr std::size_t kOriginReadBytes = 64 * 1024;
constexpr auto kLingerTime = std::chrono::seconds(1);
}  // namespace

SessionLoop::SessionLoop(Worker& worker, net::Socket client)
    : worker_(worker),
      client_(std::move(client)),
      timer_(worker.context()),
      session_(worker.environment(), *this) {}

void SessionLoop::start() {
  session_.start();
  pump();
}

void SessionLoop::shut_down() {
  session_.on_shutdown();
  pump();
}

TimePoint SessionLoop::now() { return std::chrono::steady_clock::now(); }

void SessionLoop::connect_origin() {
  auto self = shared_from_this();
  net::Connector::start(worker_.context(), worker_.origin(),
                        worker_.environment().config->origin_connect_timeout,
                        [self](std::optional<net::Socket> socket, const std::string& why) {
                          if (self->done_) return;
                          if (!socket) {
                            self->session_.on_origin_closed(why);
                          } else {
                            self->origin_.emplace(std::move(*socket));
                            self->session_.on_origin_connected();
                          }
                          self->pump();
                        });
}

void SessionLoop::forward_cancel(std::string key) {
  auto self = shared_from_this();
  CancelForwarder::start(worker_.context(), worker_.origin(), key, [self] {
    if (self->done_ || self->origin_) return;  // its own session's cancel: nothing waits for it
    self->session_.on_origin_closed({});
    self->pump();
  });
}

void SessionLoop::request_position() {
  std::weak_ptr<SessionLoop> weak = weak_from_this();
  Worker& worker = worker_;
  worker_.request_position([weak, &worker](pg::Lsn position) {
    boost::asio::post(worker.context(), [weak, position] {
      const auto self = weak.lock();
      if (!self || self->done_) return;
      self->session_.on_position(position);
    });
  });
}

std::function<void()> SessionLoop::wake_callback() {
  std::weak_ptr<SessionLoop> weak = weak_from_this();
  Worker& worker = worker_;
  return [weak, &worker] {
    boost::asio::post(worker.context(), [weak] {
      const auto self = weak.lock();
      if (!self || self->done_) return;
      self->session_.on_wake();
      self->pump();
    });
  };
}

void SessionLoop::set_timer(TimePoint when) {
  const std::uint64_t generation = ++timer_generation_;
  timer_.expires_at(when);
  std::weak_ptr<SessionLoop> weak = weak_from_this();
  timer_.async_wait([weak, generation](boost::system::error_code error) {
    const auto self = weak.lock();
    if (error || !self || self->done_ || self->timer_generation_ != generation) return;
    self->session_.on_timer();
    self->pump();
  });
}

void SessionLoop::clear_timer() {
  ++timer_generation_;
  timer_.cancel();
}

// After every event: write what there is to write, close what is to be closed, read on.
void SessionLoop::pump() {
  for (;;) {
    // Noted before the flush: the session stopped taking frames then, whatever the sockets take
    // now.
    over_limit_ = over_limit_ || session_over_limit();
    if (done_ || !flush()) return;
    if (!over_limit_ || session_over_limit()) break;
    over_limit_ = false;
    session_.on_output_drained();
  }
  if (origin_ && session_.close_origin_when_flushed() && session_.to_origin().empty()) {
    origin_->close();
  }
  if (session_.close_client_when_flushed() && session_.to_client().empty()) {
    linger();
    return;
  }
  arm_reads();
}

bool SessionLoop::session_over_limit() {
  const std::uint64_t limit = worker_.environment().config->session_buffer;
  return session_.to_client().size() > limit || session_.to_origin().size() > limit;
}

bool SessionLoop::flush() {
  if (!session_.to_client().empty()) {
    if (!client_.write(session_.to_client())) {
      lose_client(true);
      return false;
    }
    if (!session_.to_client().empty()) {
      client_.wait_writable(shared_from_this(), [this] { pump(); });
    }
  }
  if (origin_ && origin_->open() && !session_.to_origin().empty()) {
    if (!origin_->write(session_.to_origin())) {
      // What it said before it went is still to be read; reading finds the end.
      session_.to_origin().clear();
    } else if (!session_.to_origin().empty()) {
      origin_->wait_writable(shared_from_this(), [this] { pump(); });
    }
  }
  return true;
}

void SessionLoop::arm_reads() {
  if (!client_readable_end_ && !client_.waiting_readable() && session_.wants_client_bytes()) {
    client_.wait_readable(shared_from_this(), [this] { read_client(); });
  }
  if (origin_ && origin_->open() && !origin_->waiting_readable() && session_.wants_origin_bytes()) {
    origin_->wait_readable(shared_from_this(), [this] { read_origin(); });
  }
}

void SessionLoop::read_client() {
  if (done_) return;
  switch (client_.read(session_.client_input(), kClientReadBytes)) {
    case net::Stream::ReadResult::kBytes:
      if (lingering_) {
        session_.client_input().consume(session_.client_input().size());
        client_.wait_readable(shared_from_this(), [this] { read_client(); });
        return;
      }
      session_.on_client_bytes();
      break;
    case net::Stream::ReadResult::kNothing:
      break;
    case net::Stream::ReadResult::kClosed:
      client_readable_end_ = true;
      if (lingering_) {
        finish();
        return;
      }
      session_.on_client_closed(false);
      break;
    case net::Stream::ReadResult::kReset:
      lose_client(true);
      return;
  }
  pump();
}

void SessionLoop::read_origin() {
  if (done_ || !origin_ || !origin_->open()) return;
  switch (origin_->read(session_.origin_input(), kOriginReadBytes)) {
    case net::Stream::ReadResult::kBytes:
      session_.on_origin_bytes();
      break;
    case net::Stream::ReadResult::kNothing:
      break;
    case net::Stream::ReadResult::kClosed:
    case net::Stream::ReadResult::kReset:
      origin_->close();
      session_.on_origin_closed("the origin closed the connection");
      break;
  }
  pump();
}

void SessionLoop::lose_client(bool reset) {
  session_.on_client_closed(reset);
  finish();
}

// The last bytes have been written. Closing with unread input would send a reset that can destroy
// them on their way, so the client is given a moment to close first.
void SessionLoop::linger() {
  if (lingering_) return;
  lingering_ = true;
  if (origin_) origin_->close();
  client_.shutdown_sending();
  if (client_readable_end_) {
    finish();
    return;
  }
  auto self = shared_from_this();
  ++timer_generation_;
  timer_.expires_after(kLingerTime);
  timer_.async_wait([self](boost::system::error_code error) {
    if (!error) self->finish();
  });
  client_.wait_readable(self, [this] { read_client(); });
}

void SessionLoop::finish() {
  if (done_) return;
  done_ = true;
  clear_timer();
  client_.close();
  if (origin_) origin_->close();
  worker_.forget(shared_from_this());
}

}  // namespace pgcache::proxy
