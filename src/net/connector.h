// SPDX-License-Identifier: Apache-2.0
// Connects to a server named by host and port, or by the directory of its Unix socket: resolves,
// tries each address in turn, gives up after a time. One attempt an object; used on one
// io_context's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/socket.h"

namespace pgcache::net {

struct ServerAddress {
  std::string host;  // a name, an address, or a directory beginning with '/'
  std::uint16_t port = 5432;
};

class Connector : public std::enable_shared_from_this<Connector> {
 public:
  // Either an open socket, or an empty optional and why.
  using Done = std::function<void(std::optional<Socket>, std::string why)>;

  // `done` is called exactly once, on the io_context, never from within start().
  static void start(asio::io_context& context, const ServerAddress& address,
                    std::chrono::milliseconds timeout, Done done);

  explicit Connector(asio::io_context& context);

 private:
  void begin(const ServerAddress& address, std::chrono::milliseconds timeout);
  void try_next();
  void finish(std::string why);

  asio::io_context& context_;
  asio::ip::tcp::resolver resolver_;
  asio::steady_timer timer_;
  std::vector<asio::generic::stream_protocol::endpoint> endpoints_;
  std::size_t next_ = 0;
  std::optional<Socket> socket_;
  std::string last_error_;
  Done done_;
};

}  // namespace pgcache::net
