// SPDX-License-Identifier: Apache-2.0
#include "proxy/worker.h"

#include <boost/asio/post.hpp>

#include "base/log.h"
#include "pg/sqlstate.h"
#include "proxy/cancel.h"
#include "proxy/session_loop.h"

namespace pgcache::proxy {

Worker::Worker(const ServerContext& context, SettingsTable& settings,
               boost::asio::io_context& connections)
    : server_(context), connections_(connections) {
  environment_.config = context.config;
  environment_.cache = context.cache;
  environment_.shapes = context.shapes;
  environment_.settings = &settings;
  environment_.stats = &stats_;
  environment_.database = context.database;
  environment_.origin_ssl_mode = context.origin_ssl_mode;
  environment_.settings_epoch = context.settings_epoch;
  environment_.on_ddl_seen = context.on_ddl_seen;
}

void Worker::start() {
  thread_ = std::thread([this] { loop_.run(); });
}

void Worker::adopt(net::FileDescriptor client) {
  auto socket = std::make_shared<net::FileDescriptor>(std::move(client));
  loop_.post([this, socket] {
    if (shutting_down_ || !socket->open()) return;
    auto session = std::make_shared<SessionLoop>(*this, std::move(*socket));
    sessions_.insert(session);
    session->start();
  });
}

void Worker::connect_origin(Connected done) {
  boost::asio::post(connections_, [this, done = std::move(done)] {
    net::Connector::start(connections_, server_.origin, server_.config->origin_connect_timeout,
                          [this, done](std::optional<net::Socket> socket, const std::string& why) {
                            auto connected = std::make_shared<net::FileDescriptor>();
                            if (socket) *connected = net::FileDescriptor::of(std::move(*socket));
                            loop_.post([=] { done(std::move(*connected), why); });
                          });
  });
}

void Worker::forward_cancel(const std::string& key, origin::Encryption how,
                            std::function<void()> done) {
  CancelForwarder::start(*this, how, key, std::move(done));
}

void Worker::release(const std::shared_ptr<void>& task) {
  loop_.post([task] {});
  tasks_.erase(task);
}

void Worker::forget(const std::shared_ptr<SessionLoop>& session) {
  loop_.post([session] {});
  sessions_.erase(session);
  if (shutting_down_ && sessions_.empty()) loop_.stop();
}

void Worker::shut_down_sessions() {
  loop_.post([this] {
    shutting_down_ = true;
    const auto sessions = sessions_;
    for (const auto& session : sessions) session->shut_down();
    if (sessions_.empty()) loop_.stop();
  });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
  sessions_.clear();
  tasks_.clear();
}

Server::Server(ServerContext context)
    : context_(std::move(context)),
      connections_work_(boost::asio::make_work_guard(connections_)),
      listener_(connections_) {}

Server::~Server() { stop(); }

Status Server::start() {
  int count = context_.config->workers;
  // A hit costs a worker a few microseconds: half the processors are plenty, and fewer threads
  // batch more events for each wake-up.
  if (count <= 0) count = static_cast<int>(std::max(1u, std::thread::hardware_concurrency() / 2));
  for (int i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<Worker>(context_, settings_, connections_));
  }
  const config::HostPort& listen = context_.config->listen;
  if (Status status = listener_.listen(listen.host, listen.port); !status) return status;
  port_ = listener_.port();
  for (const auto& worker : workers_) worker->start();
  running_ = true;
  listener_.start([this](net::Socket socket) { accept(std::move(socket)); });
  connections_thread_ = std::thread([this] { run_connections(); });
  return {};
}

void Server::run_connections() {
  for (;;) {
    try {
      connections_.run();
      return;
    } catch (const std::exception& error) {
      log_error("a handler failed: {}", error.what());
    }
  }
}

void Server::accept(net::Socket socket) {
  if (clients() >= static_cast<std::int64_t>(context_.config->max_clients)) {
    std::string reply;
    wire::append_error_response(
        reply, {"FATAL", pg::sqlstate::kTooManyConnections, "sorry, too many clients already",
                "pgcache's max_clients is reached."});
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(boost::asio::buffer(reply), ignored);
    return;
  }
  next_worker_ = (next_worker_ + 1) % workers_.size();
  workers_[next_worker_]->adopt(net::FileDescriptor::of(std::move(socket)));
}

std::int64_t Server::clients() const {
  std::int64_t count = 0;
  for (const auto& worker : workers_) {
    count += worker->stats().clients.load(std::memory_order_relaxed);
  }
  return count;
}

void Server::stop() {
  if (!running_) return;
  running_ = false;
  boost::asio::post(connections_, [this] { listener_.stop(); });
  for (const auto& worker : workers_) worker->shut_down_sessions();
  for (const auto& worker : workers_) worker->join();
  connections_.stop();
  connections_thread_.join();
}

}  // namespace pgcache::proxy
