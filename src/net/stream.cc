// SPDX-License-Identifier: Apache-2.0
#include "net/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <boost/asio/buffer.hpp>

namespace pgcache::net {

namespace {
constexpr std::size_t kPiecesMax = 32;
}

Stream::Stream(Socket socket) : socket_(std::move(socket)) {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
  const int on = 1;
  // Fails harmlessly on a Unix socket.
  ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

Stream::ReadResult Stream::read(wire::InputBuffer& into, std::size_t bytes_max) {
  boost::system::error_code error;
  char* const at = into.prepare(bytes_max);
  const std::size_t bytes = socket_.read_some(asio::buffer(at, bytes_max), error);
  if (!error) {
    into.commit(bytes);
    return ReadResult::kBytes;
  }
  if (error == asio::error::would_block || error == asio::error::try_again ||
      error == asio::error::interrupted) {
    return ReadResult::kNothing;
  }
  return error == asio::error::eof ? ReadResult::kClosed : ReadResult::kReset;
}

void Stream::wait_readable(std::shared_ptr<void> owner, std::function<void()> ready) {
  if (waiting_readable_ || !open()) return;
  waiting_readable_ = true;
  socket_.async_wait(Socket::wait_read, [this, owner = std::move(owner), ready = std::move(ready)](
                                            boost::system::error_code error) {
    waiting_readable_ = false;
    if (!error) ready();
  });
}

// One piece, as nearly always, spares the kernel a list of pieces.
std::size_t Stream::write_one(std::string_view piece, boost::system::error_code& error) {
  return socket_.write_some(asio::buffer(piece.data(), piece.size()), error);
}

std::size_t Stream::write_several(const std::vector<std::string_view>& pieces,
                                  boost::system::error_code& error) {
  std::array<asio::const_buffer, kPiecesMax> buffers;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    buffers[i] = asio::buffer(pieces[i].data(), pieces[i].size());
  }
  return socket_.write_some(buffers, error);
}

bool Stream::write(wire::OutputQueue& from) {
  while (!from.empty()) {
    const auto& pieces = from.pieces(kPiecesMax);
    boost::system::error_code error;
    const std::size_t bytes =
        pieces.size() == 1 ? write_one(pieces.front(), error) : write_several(pieces, error);
    if (error == asio::error::would_block || error == asio::error::try_again) return true;
    if (error == asio::error::interrupted) continue;
    if (error) return false;
    from.consume(bytes);
  }
  return true;
}

void Stream::wait_writable(std::shared_ptr<void> owner, std::function<void()> ready) {
  if (waiting_writable_ || !open()) return;
  waiting_writable_ = true;
  socket_.async_wait(Socket::wait_write, [this, owner = std::move(owner), ready = std::move(ready)](
                                             boost::system::error_code error) {
    waiting_writable_ = false;
    if (!error) ready();
  });
}

void Stream::shutdown_sending() {
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace pgcache::net
