// SPDX-License-Identifier: Apache-2.0
// Sockets while Asio has them (accepting, resolving, connecting), and the bare descriptor that is
// handed on to a worker's event loop once a connection stands.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <utility>

namespace pgcache::net {

namespace asio = boost::asio;
using Socket =
    asio::basic_stream_socket<asio::generic::stream_protocol, asio::io_context::executor_type>;

// Owns an open file descriptor, or none.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileDescriptor() { close(); }

  // Takes a connected socket out of Asio's hands. None when that fails.
  static FileDescriptor of(Socket socket) {
    boost::system::error_code error;
    const int descriptor = socket.release(error);
    return FileDescriptor(error ? -1 : descriptor);
  }

  int get() const { return descriptor_; }
  bool open() const { return descriptor_ >= 0; }
  // A Unix socket.
  bool is_local() const {
    sockaddr_storage address{};
    socklen_t bytes = sizeof address;
    return ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &bytes) == 0 &&
           address.ss_family == AF_UNIX;
  }
  void close() {
    if (open()) ::close(std::exchange(descriptor_, -1));
  }

 private:
  int descriptor_ = -1;
};

}  // namespace pgcache::net
