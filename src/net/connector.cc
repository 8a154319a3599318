// SPDX-License-Identifier: Apache-2.0
#include "net/connector.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>

namespace pgcache::net {

Connector::Connector(asio::io_context& context)
    : context_(context), resolver_(context), timer_(context) {}

void Connector::start(asio::io_context& context, const ServerAddress& address,
                      std::chrono::milliseconds timeout, Done done) {
  auto connector = std::make_shared<Connector>(context);
  connector->done_ = std::move(done);
  connector->begin(address, timeout);
}

void Connector::begin(const ServerAddress& address, std::chrono::milliseconds timeout) {
  auto self = shared_from_this();
  timer_.expires_after(timeout);
  timer_.async_wait([self](boost::system::error_code error) {
    if (!error) self->finish("timeout expired");
  });
  if (address.host.starts_with('/')) {
    const std::string path = address.host + "/.s.PGSQL." + std::to_string(address.port);
    endpoints_.emplace_back(asio::local::stream_protocol::endpoint(path));
  } else {
    boost::system::error_code error;
    const auto literal = asio::ip::make_address(address.host, error);
    if (!error) endpoints_.emplace_back(asio::ip::tcp::endpoint(literal, address.port));
  }
  if (!endpoints_.empty()) {
    asio::post(context_, [self] { self->try_next(); });
    return;
  }
  resolver_.async_resolve(address.host, std::to_string(address.port),
                          [self](boost::system::error_code error,
                                 const asio::ip::tcp::resolver::results_type& results) {
                            if (error) {
                              self->finish("could not translate the host name: " + error.message());
                              return;
                            }
                            for (const auto& entry : results)
                              self->endpoints_.emplace_back(entry.endpoint());
                            self->try_next();
                          });
}

void Connector::try_next() {
  if (!done_) return;
  if (next_ == endpoints_.size()) {
    finish(last_error_.empty() ? "no address" : last_error_);
    return;
  }
  const auto endpoint = endpoints_[next_++];
  socket_.emplace(context_);
  auto self = shared_from_this();
  socket_->async_connect(endpoint, [self](boost::system::error_code error) {
    if (!self->done_) return;
    if (error) {
      self->last_error_ = error.message();
      self->try_next();
      return;
    }
    self->finish({});
  });
}

void Connector::finish(std::string why) {
  if (!done_) return;
  const Done done = std::move(done_);
  done_ = nullptr;
  timer_.cancel();
  resolver_.cancel();
  if (!why.empty()) {
    boost::system::error_code ignored;
    if (socket_) socket_->close(ignored);
    done(std::nullopt, std::move(why));
    return;
  }
  done(std::move(socket_), {});
}

}  // namespace pgcache::net
