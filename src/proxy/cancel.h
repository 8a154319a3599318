// SPDX-License-Identifier: Apache-2.0
// Brings one CancelRequest to the origin and waits until the origin has closed the connection,
// which tells that the request has been processed. One attempt an object; on its worker's thread,
// owned by the worker until it is over.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/event_loop.h"
#include "net/stream.h"
#include "origin/ssl_mode.h"

namespace pgcache::proxy {

class Worker;

class CancelForwarder : public std::enable_shared_from_this<CancelForwarder> {
 public:
  // `done` is called once, whether it worked or not (PostgreSQL does not tell either).
  static void start(Worker& worker, origin::Encryption how, const std::string& key,
                    std::function<void()> done);

  CancelForwarder(Worker& worker, std::function<void()> done);

 private:
  void on_connected(std::unique_ptr<net::Stream> stream);
  void on_readable();
  void finish();

  Worker& worker_;
  net::Timer timer_;
  std::unique_ptr<net::Stream> stream_;
  wire::InputBuffer ignored_;
  wire::OutputQueue request_;
  std::function<void()> done_;
};

}  // namespace pgcache::proxy
