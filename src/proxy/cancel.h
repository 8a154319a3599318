// SPDX-License-Identifier: Apache-2.0
// Brings one CancelRequest to the origin and waits until the origin has closed the connection,
// which tells that the request has been processed. One attempt an object; one io_context's thread.
#pragma once

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "net/connector.h"

namespace pgcache::proxy {

class CancelForwarder : public std::enable_shared_from_this<CancelForwarder> {
 public:
  // `done` is called once, whether it worked or not (PostgreSQL does not tell either).
  static void start(boost::asio::io_context& context, const net::ServerAddress& origin,
                    const std::string& key, std::function<void()> done);

  CancelForwarder(boost::asio::io_context& context, std::function<void()> done);

 private:
  void send();
  void read_on(boost::system::error_code error);
  void finish();

  boost::asio::steady_timer timer_;
  std::optional<net::Socket> socket_;
  std::string request_;
  std::array<char, 64> ignored_;
  std::function<void()> done_;
};

}  // namespace pgcache::proxy
