// SPDX-License-Identifier: Apache-2.0
#include "net/listener.h"

#include <chrono>

#include "base/log.h"

namespace pgcache::net {

namespace {
using TcpSocket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;
}

Listener::Listener(asio::io_context& context) : acceptor_(context), pause_(context) {}

Status Listener::listen(const std::string& host, std::uint16_t port) {
  const auto failed = [&](const std::string& why) {
    return Error{"cannot listen on " + host + ":" + std::to_string(port) + ": " + why};
  };
  boost::system::error_code error;
  asio::ip::tcp::resolver resolver(acceptor_.get_executor());
  const auto results = resolver.resolve(host.empty() ? "0.0.0.0" : host, std::to_string(port),
                                        asio::ip::resolver_base::passive, error);
  if (error || results.empty()) return failed(error.message());
  const asio::ip::tcp::endpoint endpoint = results.begin()->endpoint();
  acceptor_.open(endpoint.protocol(), error);
  if (error) return failed(error.message());
  acceptor_.set_option(asio::ip::tcp::acceptor::reuse_address(true), error);
  acceptor_.bind(endpoint, error);
  if (error) return failed(error.message());
  acceptor_.listen(1024, error);
  if (error) return failed(error.message());
  port_ = acceptor_.local_endpoint(error).port();
  return {};
}

void Listener::start(Accepted accepted) {
  accepted_ = std::move(accepted);
  accept_next();
}

void Listener::accept_next() {
  acceptor_.async_accept([this](boost::system::error_code error, TcpSocket socket) {
    if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
    if (!error) {
      accepted_(Socket(std::move(socket)));
      accept_next();
      return;
    }
    // Out of file descriptors, most likely: wait a little instead of
    // spinning.
    log_warning("accept failed: {}", error.message());
    pause_.expires_after(std::chrono::milliseconds(50));
    pause_.async_wait([this](boost::system::error_code cancelled) {
      if (!cancelled) accept_next();
    });
  });
}

void Listener::stop() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

}  // namespace pgcache::net
