// SPDX-License-Identifier: Apache-2.0
#include "proxy/worker.h"

#include <boost/asio/post.hpp>

#include "base/log.h"
#include "pg/sqlstate.h"
#include "proxy/session_loop.h"

namespace pgcache::proxy {

Worker::Worker(const ServerContext& context, SettingsTable& settings)
    : server_(context), work_(boost::asio::make_work_guard(context_)) {
  environment_.config = context.config;
  environment_.cache = context.cache;
  environment_.shapes = context.shapes;
  environment_.settings = &settings;
  environment_.stats = &stats_;
  environment_.database = context.database;
  environment_.settings_epoch = context.settings_epoch;
  environment_.on_ddl_seen = context.on_ddl_seen;
}

void Worker::start() {
  thread_ = std::thread([this] {
    for (;;) {
      try {
        context_.run();
        return;
      } catch (const std::exception& error) {
        log_error("a handler failed: {}", error.what());
      }
    }
  });
}

void Worker::adopt(net::Socket client) {
  auto session = std::make_shared<SessionLoop>(*this, std::move(client));
  sessions_.insert(session);
  session->start();
}

void Worker::forget(const std::shared_ptr<SessionLoop>& session) { sessions_.erase(session); }

void Worker::shut_down_sessions() {
  boost::asio::post(context_, [this] {
    const auto sessions = sessions_;
    for (const auto& session : sessions) session->shut_down();
    work_.reset();
  });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
  sessions_.clear();
}

Server::Server(ServerContext context) : context_(std::move(context)) {}

Server::~Server() { stop(); }

Status Server::start() {
  int count = context_.config->workers;
  // A hit costs a worker a few microseconds: half the processors are plenty, and fewer threads
  // batch more events for each wake-up.
  if (count <= 0) count = static_cast<int>(std::max(1u, std::thread::hardware_concurrency() / 2));
  for (int i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<Worker>(context_, settings_));
  }
  listener_ = std::make_unique<net::Listener>(workers_[0]->context());
  const config::HostPort& listen = context_.config->listen;
  if (Status status = listener_->listen(listen.host, listen.port); !status) return status;
  port_ = listener_->port();
  for (const auto& worker : workers_) worker->start();
  running_ = true;
  boost::asio::post(workers_[0]->context(), [this] {
    listener_->start(
        [this]() -> boost::asio::io_context& {
          next_worker_ = (next_worker_ + 1) % workers_.size();
          return workers_[next_worker_]->context();
        },
        [this](net::Socket socket) { accept(std::move(socket), next_worker_); });
  });
  return {};
}

void Server::accept(net::Socket socket, std::size_t worker) {
  if (clients() >= static_cast<std::int64_t>(context_.config->max_clients)) {
    wire::OutputQueue out;
    wire::append_error_response(
        out.tail(), {"FATAL", pg::sqlstate::kTooManyConnections, "sorry, too many clients already",
                     "pgcache's max_clients is reached."});
    net::Stream(std::move(socket)).write(out);
    return;
  }
  Worker& target = *workers_[worker];
  auto shared = std::make_shared<net::Socket>(std::move(socket));
  boost::asio::post(target.context(), [&target, shared] { target.adopt(std::move(*shared)); });
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
  boost::asio::post(workers_[0]->context(), [this] { listener_->stop(); });
  for (const auto& worker : workers_) worker->shut_down_sessions();
  for (const auto& worker : workers_) worker->join();
}

}  // namespace pgcache::proxy
