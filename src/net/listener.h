// SPDX-License-Identifier: Apache-2.0
// Listens on one address and hands accepted sockets out. Used on one io_context's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "net/socket.h"

namespace pgcache::net {

class Listener {
 public:
  using Accepted = std::function<void(Socket)>;  // on the io_context's thread

  explicit Listener(asio::io_context& context);

  // Binds and listens; an error names the address and the cause. Port 0 takes any free port.
  Status listen(const std::string& host, std::uint16_t port);
  std::uint16_t port() const { return port_; }
  void start(Accepted accepted);
  void stop();

 private:
  void accept_next();

  asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type> acceptor_;
  asio::steady_timer pause_;
  std::uint16_t port_ = 0;
  Accepted accepted_;
};

}  // namespace pgcache::net
