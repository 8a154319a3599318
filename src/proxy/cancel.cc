// SPDX-License-Identifier: Apache-2.0
#include "proxy/cancel.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

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
  wire::append_cancel_request(self->request_, key);
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
                          self->socket_ = std::move(socket);
                          self->send();
                        });
}

void CancelForwarder::send() {
  boost::asio::async_write(*socket_, boost::asio::buffer(request_),
                           [self = shared_from_this()](boost::system::error_code error,
                                                       std::size_t) { self->read_on(error); });
}

// Until the origin closes.
void CancelForwarder::read_on(boost::system::error_code error) {
  if (error) {
    finish();
    return;
  }
  socket_->async_read_some(boost::asio::buffer(ignored_),
                           [self = shared_from_this()](boost::system::error_code failed,
                                                       std::size_t) { self->read_on(failed); });
}

void CancelForwarder::finish() {
  timer_.cancel();
  boost::system::error_code ignored;
  if (socket_) socket_->close(ignored);
  if (!done_) return;
  const std::function<void()> done = std::move(done_);
  done_ = nullptr;
  done();
}

}  // namespace pgcache::proxy
