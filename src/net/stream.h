// SPDX-License-Identifier: Apache-2.0
// A connected byte stream (TCP or Unix socket) on an event loop: reads into an InputBuffer when
// told to, writes an OutputQueue with as few calls as possible. Used on the loop's thread only.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "net/event_loop.h"
#include "net/socket.h"
#include "wire/buffers.h"

namespace pgcache::net {

class Stream {
 public:
  enum class ReadResult { kBytes, kNothing, kClosed, kReset };

  // `readable` is called while there is something to read and watch_readable(true) was said last;
  // `writable` once when the socket takes bytes again after a write that left some. Either may
  // close the stream; neither may destroy it.
  Stream(EventLoop& loop, FileDescriptor socket, std::function<void()> readable,
         std::function<void()> writable);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  bool open() const { return socket_.open(); }

  // Reads what is there, at most `bytes_max`, without waiting.
  ReadResult read(wire::InputBuffer& into, std::size_t bytes_max);
  void watch_readable(bool on);
  // Writes as much as the socket takes. False when the connection is broken.
  bool write(wire::OutputQueue& from);
  void shutdown_sending();
  void close();

 private:
  void on_readable();

  FileDescriptor socket_;
  std::function<void()> readable_;
  std::function<void()> writable_;
  event* read_event_;
  event* write_event_;
  // Not the same: that nobody wants to read is told to the kernel only when it has something, since
  // mostly somebody wants to again before.
  bool wanted_ = false;
  bool watched_ = false;
};

}  // namespace pgcache::net
