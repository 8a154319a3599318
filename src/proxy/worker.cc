// SPDX-License-Identifier: Apache-2.0
#include "proxy/worker.h"

#include <netinet/in.h>

#include <boost/asio/post.hpp>

#include "base/log.h"
#include "pg/sqlstate.h"
#include "proxy/cancel.h"
#include "proxy/session_loop.h"

namespace pgcache::proxy {

namespace {

constexpr std::uint16_t kDefaultPort = 6432;

net::SocketOptions options_of(const config::Config& config) {
  const auto seconds = [](std::chrono::milliseconds time) {
    return std::chrono::ceil<std::chrono::seconds>(time);
  };
  net::SocketOptions options;
  options.keepalives_idle = seconds(config.tcp_keepalives_idle);
  options.keepalives_interval = seconds(config.tcp_keepalives_interval);
  options.keepalives_count = static_cast<int>(config.tcp_keepalives_count);
  options.user_timeout = config.tcp_user_timeout;
  return options;
}

// The address that a client comes from, without its port; empty for a Unix socket.
std::string address_of(const net::Socket& socket) {
  boost::system::error_code error;
  const auto peer = socket.remote_endpoint(error);
  if (error) return {};
  if (peer.protocol().family() == AF_INET) {
    const auto& in = *reinterpret_cast<const sockaddr_in*>(peer.data());
    return {reinterpret_cast<const char*>(&in.sin_addr), sizeof in.sin_addr};
  }
  if (peer.protocol().family() == AF_INET6) {
    const auto& in = *reinterpret_cast<const sockaddr_in6*>(peer.data());
    return {reinterpret_cast<const char*>(&in.sin6_addr), sizeof in.sin6_addr};
  }
  return {};
}

void refuse(net::Socket& socket, std::string_view message, std::string_view hint) {
  std::string reply;
  wire::append_error_response(reply, {"FATAL", pg::sqlstate::kTooManyConnections, message, hint});
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(boost::asio::buffer(reply), ignored);
}

}  // namespace

Worker::Worker(const ServerContext& context, WorkersShared& shared,
               boost::asio::io_context& connections)
    : server_(context),
      shared_(shared),
      connections_(connections),
      sweep_(loop_, [this] { destroy_ended(); }) {
  environment_.config = context.config;
  environment_.cache = context.cache;
  environment_.shapes = context.shapes;
  environment_.settings = &shared.settings;
  environment_.plain_for_scram = &shared.plain_for_scram;
  environment_.stats = &stats_;
  environment_.database = context.database;
  environment_.pooled_database = context.pooled_database;
  environment_.server_started = context.server_started;
  socket_options_ = options_of(*context.config);
  environment_.origin_ssl_mode = context.origin_ssl_mode;
  environment_.settings_epoch = context.settings_epoch;
  environment_.configuration_checked = context.configuration_checked;
  environment_.definitions_pending = context.definitions_pending;
  environment_.request_proof = context.request_proof;
  environment_.on_ddl_seen = context.on_ddl_seen;
  environment_.on_other_server = context.on_other_server;
}

void Worker::start() {
  thread_ = std::thread([this] { loop_.run(); });
}

void Worker::adopt(net::FileDescriptor client, ClientCounts::Slot slot) {
  auto socket = std::make_shared<net::FileDescriptor>(std::move(client));
  auto counted = std::make_shared<ClientCounts::Slot>(std::move(slot));
  loop_.post([this, socket, counted] {
    if (shutting_down_ || !socket->open()) return;
    net::apply(socket_options_, *socket);
    const auto session =
        std::make_shared<SessionLoop>(*this, std::move(*socket), std::move(*counted));
    sessions_.insert(session);
    session->start();
  });
}

void Worker::connect_origin(Connected done) {
  boost::asio::post(connections_, [this, done = std::move(done)] {
    const auto answer = [this, done](std::optional<net::Socket> socket, const std::string& why) {
      auto connected = std::make_shared<net::FileDescriptor>();
      if (socket) *connected = net::FileDescriptor::of(std::move(*socket));
      net::apply(socket_options_, *connected);
      loop_.post([=] { done(std::move(*connected), why); });
    };
    try {
      net::Connector::start(connections_, server_.origin, server_.config->origin_connect_timeout,
                            answer);
    } catch (const std::exception& error) {
      answer({}, error.what());
    }
  });
}

void Worker::forward_cancel(const std::string& key, origin::Encryption how,
                            std::function<void()> done) {
  CancelForwarder::start(*this, how, key, std::move(done));
}

void Worker::release(const std::shared_ptr<void>& task) {
  try {
    loop_.post([task] {});
  } catch (const std::exception&) {
    return;  // its handler still runs: it stays until the worker ends
  }
  tasks_.erase(task);
}

// Needs no memory: it must not fail.
void Worker::forget(const std::shared_ptr<SessionLoop>& session) {
  session->next_ended_ = std::exchange(ended_, session);
  sweep_.start_now();
  sessions_.erase(session);
  if (shutting_down_ && sessions_.empty()) loop_.stop();
}

void Worker::destroy_ended() {
  std::shared_ptr<SessionLoop> ended = std::move(ended_);
  while (ended) ended = std::exchange(ended->next_ended_, nullptr);
}

void Worker::shut_down_sessions() {
  loop_.post([this] {
    shutting_down_ = true;
    // Each may be forgotten meanwhile; a copy of all might find no memory.
    for (auto next = sessions_.begin(); next != sessions_.end();) {
      const std::shared_ptr<SessionLoop> session = *next++;
      session->shut_down();
    }
    if (sessions_.empty()) loop_.stop();
  });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
  destroy_ended();
  sessions_.clear();
  tasks_.clear();
}

Server::Server(ServerContext context)
    : context_(std::move(context)), connections_work_(boost::asio::make_work_guard(connections_)) {}

Server::~Server() { stop(); }

Status Server::start() {
  int count = context_.config->workers;
  // A hit costs a worker a few microseconds: half the processors are plenty, and fewer threads
  // batch more events for each wake-up.
  if (count <= 0) count = static_cast<int>(std::max(1u, std::thread::hardware_concurrency() / 2));
  for (int i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<Worker>(context_, shared_, connections_));
  }
  if (Status status = listen(); !status) return status;
  for (const auto& worker : workers_) worker->start();
  running_ = true;
  for (const auto& listener : listeners_) {
    listener->start([this](net::Socket socket) { accept(std::move(socket)); });
  }
  connections_thread_ = std::thread([this] { run_connections(); });
  return {};
}

Status Server::listen() {
  std::uint16_t first_port = 0;
  for (const bool local : {false, true}) {
    for (const config::HostPort& address : context_.config->listen) {
      if (address.host.starts_with('/') != local) continue;
      auto listener = std::make_unique<net::Listener>(connections_);
      std::uint16_t port = address.port;
      if (local && port == 0) port = first_port != 0 ? first_port : kDefaultPort;
      if (Status status = listener->listen(address.host, port); !status) return status;
      if (first_port == 0) first_port = listener->port();
      listeners_.push_back(std::move(listener));
    }
  }
  port_ = first_port;
  return {};
}

std::vector<std::string> Server::addresses() const {
  std::vector<std::string> all;
  for (const auto& listener : listeners_) all.push_back(listener->address());
  return all;
}

void Server::run_connections() {
  for (;;) {
    try {
      connections_.run();
      return;
    } catch (const std::exception& error) {
      log_error("a handler failed: {}", error.what());
    }
    accept_again();
  }
}

// Whichever handler failed, for want of memory, may have been the one that accepts.
void Server::accept_again() {
  for (;;) {
    try {
      for (const auto& listener : listeners_) listener->resume();
      return;
    } catch (const std::exception&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
}

void Server::accept(net::Socket socket) {
  const config::Config& config = *context_.config;
  ClientCounts::Slot slot;
  switch (counts_->enter(address_of(socket), {config.max_clients, config.max_clients_per_address},
                         slot)) {
    case ClientCounts::Outcome::kIn:
      break;
    case ClientCounts::Outcome::kTooMany:
      refuse(socket, "sorry, too many clients already", "pgcache's max_clients is reached.");
      return;
    case ClientCounts::Outcome::kTooManyFromAddress:
      refuse(socket, "sorry, too many clients from your address already",
             "pgcache's max_clients_per_address is reached.");
      return;
  }
  next_worker_ = (next_worker_ + 1) % workers_.size();
  workers_[next_worker_]->adopt(net::FileDescriptor::of(std::move(socket)), std::move(slot));
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
  boost::asio::post(connections_, [this] {
    for (const auto& listener : listeners_) listener->stop();
  });
  for (const auto& worker : workers_) worker->shut_down_sessions();
  for (const auto& worker : workers_) worker->join();
  connections_.stop();
  connections_thread_.join();
}

}  // namespace pgcache::proxy
