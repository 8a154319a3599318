// SPDX-License-Identifier: Apache-2.0
// Listens on one address, TCP or a Unix socket, and hands accepted sockets out. Used on one
// io_context's thread.
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "net/socket.h"
#include "net/unix_socket_file.h"

namespace pgcache::net {

class Listener {
 public:
  using Accepted = std::function<void(Socket)>;  // on the io_context's thread

  explicit Listener(asio::io_context& context);

  // Binds and listens; an error names the address and the cause. A host that begins with '/' is the
  // directory of a Unix socket. Port 0 takes any free one (TCP only).
  Status listen(const std::string& host, std::uint16_t port);
  std::uint16_t port() const { return port_; }
  // HOST:PORT, or the path of the Unix socket.
  std::string address() const;
  void start(Accepted accepted);
  // Goes on accepting, should it have ended since something threw in the middle of it.
  void resume();
  void stop();

 private:
  using Endpoint = asio::generic::stream_protocol::endpoint;
  Status bind(const Endpoint& endpoint, const std::string& name);
  Status listen_local(const std::string& directory, std::uint16_t port);
  void accept_next();

  asio::basic_socket_acceptor<asio::generic::stream_protocol, asio::io_context::executor_type>
      acceptor_;
  asio::steady_timer pause_;
  std::string host_;
  std::uint16_t port_ = 0;
  UnixSocketFile file_;
  Accepted accepted_;
  bool waiting_ = false;  // for a connection, or for the end of the pause
};

}  // namespace pgcache::net
