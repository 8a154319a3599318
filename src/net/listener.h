// SPDX-License-Identifier: Apache-2.0
// Listens on one address and hands accepted sockets out, each on the event loop that `choose`
// names. Lives on one worker's thread between start() and the end of that worker.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "net/stream.h"

namespace pgcache::net {

class Listener {
 public:
  using Choose = std::function<asio::io_context&()>;
  using Accepted = std::function<void(Socket)>;  // called on the listener's thread

  explicit Listener(asio::io_context& context);

  // Binds and listens; an error names the address and the cause. Port 0 takes any free port.
  Status listen(const std::string& host, std::uint16_t port);
  std::uint16_t port() const { return port_; }
  void start(Choose choose, Accepted accepted);
  void stop();

 private:
  void accept_next();

  asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type> acceptor_;
  asio::steady_timer pause_;
  std::uint16_t port_ = 0;
  Choose choose_;
  Accepted accepted_;
};

}  // namespace pgcache::net
