// SPDX-License-Identifier: Apache-2.0
// A connected byte stream (TCP or Unix socket) on an event loop: reads into an InputBuffer when
// told to, writes an OutputQueue with as few calls as possible, in plain or, from some moment on,
// in TLS. Used on the loop's thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/event_loop.h"
#include "net/socket.h"
#include "net/tls_channel.h"
#include "wire/buffers.h"

namespace pgcache::net {

class Stream {
 public:
  enum class ReadResult { kBytes, kNothing, kClosed, kReset };

  // Where there is no memory to have the system watch the socket, the connection counts as broken:
  // reading and writing say so, and `readable` is called.
  // `readable` is called while there is something to read and watch_readable(true) was said last;
  // `writable` once when the socket takes bytes again after a write that left some. Either may
  // close the stream; neither may destroy it.
  Stream(EventLoop& loop, FileDescriptor socket, std::function<void()> readable,
         std::function<void()> writable);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  bool open() const { return socket_.open(); }

  // Others may take the stream over; not from within one of its handlers.
  void set_handlers(std::function<void()> readable, std::function<void()> writable);

  // What is read and written from now on is in TLS. Begins the handshake; `received` is what has
  // been read already of the peer's part in it, `host` is whom a client has to verify. `done` is
  // called once from the loop, unless the stream is closed before; it may close the stream. Until
  // then nothing is read, and what is written waits in its queue.
  void start_tls(const TlsContextPtr& context, std::string_view received, const std::string& host,
                 std::function<void(Status)> done);
  const TlsChannel* tls() const { return tls_.get(); }  // null: in plain

  // Reads what is there, at most `bytes_max`, without waiting.
  ReadResult read(wire::InputBuffer& into, std::size_t bytes_max);
  void watch_readable(bool on);
  // Writes as much as the socket takes. False when the connection is broken.
  bool write(wire::OutputQueue& from);
  // All that write() took out of its queue is the kernel's.
  bool flushed() const { return !tls_ || !tls_->has_output(); }
  void shutdown_sending();
  void close();

 private:
  void on_readable();
  void on_writable();
  void advance_handshake();
  ReadResult read_tls(wire::InputBuffer& into, std::size_t bytes_max);
  bool write_tls(wire::OutputQueue& from);
  void announce_unread();
  bool watch_writable() noexcept;
  void watch_readable_event() noexcept;
  void break_off() noexcept;

  FileDescriptor socket_;
  std::function<void()> readable_;
  std::function<void()> writable_;
  event* read_event_;
  event* write_event_;
  // Not the same: that nobody wants to read is told to the kernel only when it has something, since
  // mostly somebody wants to again before.
  bool wanted_ = false;
  bool watched_ = false;
  bool broken_ = false;  // nothing would say when to go on

  std::unique_ptr<TlsChannel> tls_;
  std::function<void(Status)> secured_;  // while the handshake lasts
  bool shut_when_flushed_ = false;
};

}  // namespace pgcache::net
