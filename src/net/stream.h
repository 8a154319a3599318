// SPDX-License-Identifier: Apache-2.0
// A connected byte stream (TCP or Unix socket): reads into an InputBuffer when told to, writes an
// OutputQueue with as few calls as possible. Owned by one connection loop; used on its worker's
// thread only. Handlers keep their owner alive by the shared_ptr that is handed in.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "wire/buffers.h"

namespace pgcache::net {

namespace asio = boost::asio;
// The io_context's own executor: a polymorphic one costs an indirection and an allocation more.
using Socket =
    asio::basic_stream_socket<asio::generic::stream_protocol, asio::io_context::executor_type>;

class Stream {
 public:
  enum class ReadResult { kBytes, kNothing, kClosed, kReset };

  explicit Stream(Socket socket);

  bool open() const { return socket_.is_open(); }
  Socket& socket() { return socket_; }

  // Reads what is there, at most `bytes_max`, without waiting.
  ReadResult read(wire::InputBuffer& into, std::size_t bytes_max);
  // Calls `ready` once when there is something to read. At most one wait at a time.
  void wait_readable(std::shared_ptr<void> owner, std::function<void()> ready);
  bool waiting_readable() const { return waiting_readable_; }

  // Writes as much as the socket takes. False when the connection is broken.
  bool write(wire::OutputQueue& from);
  void wait_writable(std::shared_ptr<void> owner, std::function<void()> ready);
  bool waiting_writable() const { return waiting_writable_; }

  void shutdown_sending();
  void close();

 private:
  std::size_t write_one(std::string_view piece, boost::system::error_code& error);
  std::size_t write_several(const std::vector<std::string_view>& pieces,
                            boost::system::error_code& error);

  Socket socket_;
  bool waiting_readable_ = false;
  bool waiting_writable_ = false;
};

}  // namespace pgcache::net
