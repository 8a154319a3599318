// SPDX-License-Identifier: Apache-2.0
// Makes one connection to the origin: reaches it, and brings the connection into TLS if that is
// wanted. One attempt an object; on its worker's thread, owned by the worker until it is over.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/event_loop.h"
#include "net/stream.h"
#include "origin/ssl_mode.h"
#include "wire/buffers.h"

namespace pgcache::proxy {

class Worker;

class OriginDial : public std::enable_shared_from_this<OriginDial> {
 public:
  // Either a stream, whose handlers are to be set, or none and why.
  using Done = std::function<void(std::unique_ptr<net::Stream>, const std::string& why)>;

  // `done` is called exactly once unless the worker ends before; never from within start() or a
  // stream's handler. At the latest when the time for connecting, and for TLS, is over, even if
  // there was no memory for something on the way. Throws std::bad_alloc where it cannot be begun.
  static void start(Worker& worker, origin::Encryption how, Done done);

  OriginDial(Worker& worker, origin::Encryption how, Done done);

 private:
  void connect();
  void on_socket(net::FileDescriptor socket, const std::string& why);
  void on_readable();
  void start_tls();
  void on_answer(char answer);
  void on_handshake(const Status& status);
  template <typename F>
  void run(F&& f);
  void finish(std::string why);
  void on_timer();

  Worker& worker_;
  origin::Encryption how_;
  Done done_;
  net::Timer timer_;
  std::unique_ptr<net::Stream> stream_;
  wire::InputBuffer input_;
  wire::OutputQueue output_;
  bool finished_ = false;
  std::string why_;  // when it is finished
};

}  // namespace pgcache::proxy
