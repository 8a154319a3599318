// SPDX-License-Identifier: Apache-2.0
#include "proxy/cancel.h"

#include "wire/frame.h"

namespace pgcache::proxy {

namespace {
constexpr auto kTimeout = std::chrono::seconds(10);
}

CancelForwarder::CancelForwarder(boost::asio::io_context& context, std::function<void()> done)
    : timer_(context), done_(std::move(done)) {}

void CancelForwarder::start(boost::asio::io_context& context, const net::ServerAddress& origin,
                            const std::string& key, std::function<void()> done) {
  auto self = std::make_shared<CancelForwarder>(context, std::move(done));
  wire::append_cancel_request(self->out_.tail(), key);
  self->timer_.expires_after(kTimeout);
  self->timer_.async_wait([self](boost::system::error_code error) {
    if (!error) self->finish();
  });
  net::Connector::start(context, origin, kTimeout,
                        [self](std::optional<net::Socket> socket, const std::string&) {
                          if (!socket || !self->done_) {
                            self->finish();
                            return;
                          }
                          self->stream_.emplace(std::move(*socket));
                          if (!self->stream_->write(self->out_)) {
                            self->finish();
                            return;
                          }
                          self->read();
                        });
}

void CancelForwarder::read() {
  stream_->wait_readable(shared_from_this(), [this] {
    const auto result = stream_->read(in_, 64);
    if (result == net::Stream::ReadResult::kNothing || result == net::Stream::ReadResult::kBytes) {
      in_.consume(in_.size());
      read();
      return;
    }
    finish();
  });
}

void CancelForwarder::finish() {
  timer_.cancel();
  if (stream_) stream_->close();
  if (!done_) return;
  const std::function<void()> done = std::move(done_);
  done_ = nullptr;
  done();
}

}  // namespace pgcache::proxy
