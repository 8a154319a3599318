// SPDX-License-Identifier: Apache-2.0
// A worker: one thread, one event loop, and the sessions that live on it; and the Server that owns
// the workers and spreads connections over them.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "net/connector.h"
#include "net/listener.h"
#include "proxy/environment.h"

namespace pgcache::proxy {

class SessionLoop;

// What the workers need of the rest of the program. Everything outlives the Server.
struct ServerContext {
  const config::Config* config = nullptr;
  cache::Cache* cache = nullptr;
  cache::ShapeTable* shapes = nullptr;
  const std::atomic<std::uint64_t>* settings_epoch = nullptr;
  net::ServerAddress origin;
  std::string database;
  // Any thread; answers on any thread.
  std::function<void(std::function<void(pg::Lsn)>)> request_position;
  std::function<void()> on_ddl_seen;
};

class Worker {
 public:
  Worker(const ServerContext& context, SettingsTable& settings);

  boost::asio::io_context& context() { return context_; }
  SessionEnvironment& environment() { return environment_; }
  const net::ServerAddress& origin() const { return server_.origin; }
  const RouteStats& stats() const { return stats_; }
  void request_position(std::function<void(pg::Lsn)> done) {
    server_.request_position(std::move(done));
  }

  void start();
  void adopt(net::Socket client);  // on this worker's thread
  void forget(const std::shared_ptr<SessionLoop>& session);
  void shut_down_sessions();  // any thread
  void join();                // returns when the sessions are gone

 private:
  const ServerContext& server_;
  RouteStats stats_;
  SessionEnvironment environment_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::unordered_set<std::shared_ptr<SessionLoop>> sessions_;
  std::thread thread_;
};

class Server {
 public:
  explicit Server(ServerContext context);
  ~Server();

  Status start();  // binds and runs; an error names the address
  std::uint16_t port() const { return port_; }
  void stop();  // ends all sessions (57P01) and joins
  const std::vector<std::unique_ptr<Worker>>& workers() const { return workers_; }
  std::int64_t clients() const;

 private:
  void accept(net::Socket socket, std::size_t worker);

  ServerContext context_;
  SettingsTable settings_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<net::Listener> listener_;
  std::size_t next_worker_ = 0;
  std::uint16_t port_ = 0;
  bool running_ = false;
};

}  // namespace pgcache::proxy
