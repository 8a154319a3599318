// SPDX-License-Identifier: Apache-2.0
#include "net/listener.h"

#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/log.h"

namespace pgcache::net {

Listener::Listener(asio::io_context& context) : acceptor_(context), pause_(context) {}

Status Listener::listen(const std::string& host, std::uint16_t port) {
  host_ = host;
  port_ = port;
  if (host.starts_with('/')) return listen_local(host, port);
  const std::string name = host + ":" + std::to_string(port);
  boost::system::error_code error;
  asio::ip::tcp::resolver resolver(acceptor_.get_executor());
  const auto results = resolver.resolve(host.empty() ? "0.0.0.0" : host, std::to_string(port),
                                        asio::ip::resolver_base::passive, error);
  if (error || results.empty()) {
    return Error{"cannot listen on " + name + ": " + error.message()};
  }
  const asio::ip::tcp::endpoint endpoint = results.begin()->endpoint();
  if (Status status = bind(endpoint, name); !status) return status;
  asio::ip::tcp::endpoint bound;
  const Endpoint local = acceptor_.local_endpoint(error);
  std::memcpy(bound.data(), local.data(), std::min(local.size(), bound.capacity()));
  port_ = bound.port();
  return {};
}

Status Listener::listen_local(const std::string& directory, std::uint16_t port) {
  const std::string path = UnixSocketFile::path_in(directory, port);
  if (Status status = file_.take(path); !status) {
    return Error{"cannot listen on " + path + ": " + status.error().message};
  }
  if (Status status = bind(asio::local::stream_protocol::endpoint(path), path); !status) {
    return status;
  }
  // Who may connect is for the origin to say.
  if (::chmod(path.c_str(), 0777) != 0) {
    return Error{"cannot listen on " + path + ": " + std::strerror(errno)};
  }
  return {};
}

Status Listener::bind(const Endpoint& endpoint, const std::string& name) {
  boost::system::error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error && endpoint.protocol().family() != AF_UNIX) {
    acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  }
  // So that 0.0.0.0 and [::] can stand side by side.
  if (!error && endpoint.protocol().family() == AF_INET6) {
    acceptor_.set_option(asio::ip::v6_only(true), error);
  }
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(1024, error);
  if (error) return Error{"cannot listen on " + name + ": " + error.message()};
  return {};
}

std::string Listener::address() const {
  if (host_.starts_with('/')) return UnixSocketFile::path_in(host_, port_);
  const bool bracket = host_.find(':') != std::string::npos;
  return (bracket ? "[" + host_ + "]" : host_) + ":" + std::to_string(port_);
}

void Listener::start(Accepted accepted) {
  accepted_ = std::move(accepted);
  accept_next();
}

void Listener::resume() {
  if (accepted_ && acceptor_.is_open() && !waiting_) accept_next();
}

void Listener::accept_next() {
  acceptor_.async_accept([this](boost::system::error_code error, Socket socket) {
    waiting_ = false;
    if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
    if (!error) {
      accepted_(std::move(socket));
      accept_next();
      return;
    }
    // Out of file descriptors, most likely: wait a little instead of
    // spinning.
    log_warning("accept failed: {}", error.message());
    pause_.expires_after(std::chrono::milliseconds(50));
    pause_.async_wait([this](boost::system::error_code cancelled) {
      waiting_ = false;
      if (!cancelled) accept_next();
    });
    waiting_ = true;
  });
  waiting_ = true;
}

void Listener::stop() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
  file_.remove();
}

}  // namespace pgcache::net
