// SPDX-License-Identifier: Apache-2.0
// A worker: one thread, one event loop, and the sessions that live on it; and the Server that owns
// the workers and spreads connections over them. Accepting and connecting are Asio's, on a thread
// of their own; a worker gets sockets that stand.
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
#include "net/event_loop.h"
#include "net/listener.h"
#include "net/socket_options.h"
#include "net/tls_context.h"
#include "proxy/cancel_keys.h"
#include "proxy/client_counts.h"
#include "proxy/environment.h"

namespace pgcache::proxy {

class SessionLoop;

// What the workers need of the rest of the program. Everything outlives the Server.
struct ServerContext {
  const config::Config* config = nullptr;
  cache::Cache* cache = nullptr;
  cache::ShapeTable* shapes = nullptr;
  const std::atomic<std::uint64_t>* settings_epoch = nullptr;
  const std::atomic<TimePoint>* configuration_checked = nullptr;  // see SessionEnvironment
  const net::CurrentTls* client_tls = nullptr;  // holds one if the configuration says so
  const net::CurrentTls* origin_tls = nullptr;  // holds one if its mode allows TLS
  origin::SslMode origin_ssl_mode = origin::SslMode::kDisable;
  std::string origin_tls_host;     // whose certificate is expected
  bool origin_tls_direct = false;  // without asking for TLS first
  net::ServerAddress origin;
  std::string database;
  std::string pooled_database;  // see SessionEnvironment, as for the next
  const std::atomic<std::uint64_t>* server_started = nullptr;
  // Any thread; answers on any thread.
  std::function<void(std::function<void(pg::Lsn)>)> request_position;
  const std::atomic<std::uint64_t>* definitions_pending = nullptr;
  std::function<void()> request_proof;  // see SessionEnvironment
  std::function<void(bool redefines)> on_ddl_seen;
  std::function<void()> on_other_server;
};

// What the workers have in common. Any thread.
struct WorkersShared {
  SettingsTable settings;
  CancelKeys cancel_keys;
  std::atomic<bool> plain_for_scram{false};  // see SessionEnvironment
};

class Worker {
 public:
  // `connections` is where connections are made; it runs on another thread and ends after this.
  Worker(const ServerContext& context, WorkersShared& shared, boost::asio::io_context& connections);

  net::EventLoop& loop() { return loop_; }
  SessionEnvironment& environment() { return environment_; }
  const RouteStats& stats() const { return stats_; }
  CancelKeys& cancel_keys() { return shared_.cancel_keys; }
  const net::CurrentTls& client_tls() const { return *server_.client_tls; }
  const net::CurrentTls& origin_tls() const { return *server_.origin_tls; }
  const std::string& origin_tls_host() const { return server_.origin_tls_host; }
  bool origin_tls_direct() const { return server_.origin_tls_direct; }
  void request_position(std::function<void(pg::Lsn)> done) {
    server_.request_position(std::move(done));
  }

  using Connected = std::function<void(net::FileDescriptor socket, const std::string& why)>;
  // Called back on this worker's thread, with an open socket or the reason why there is none; not
  // at all, or twice, if memory runs out meanwhile.
  void connect_origin(Connected done);
  // Called back on this worker's thread when the origin has taken note of it, or will not.
  void forward_cancel(const std::string& key, origin::Encryption how, std::function<void()> done);

  // On this worker's thread: what is under way beside the sessions lives as long as it takes, but
  // not longer than the worker. Destroyed once its handler has returned.
  void keep(std::shared_ptr<void> task) { tasks_.insert(std::move(task)); }
  void release(const std::shared_ptr<void>& task);

  void start();
  void adopt(net::FileDescriptor client, ClientCounts::Slot slot);  // any thread
  // On this worker's thread. The session is destroyed once its handler has returned.
  void forget(const std::shared_ptr<SessionLoop>& session);
  void shut_down_sessions();  // any thread
  void join();                // returns when the sessions are gone

 private:
  void destroy_ended();

  const ServerContext& server_;
  WorkersShared& shared_;
  RouteStats stats_;
  SessionEnvironment environment_;
  net::SocketOptions socket_options_;
  boost::asio::io_context& connections_;
  net::EventLoop loop_;
  bool shutting_down_ = false;
  std::unordered_set<std::shared_ptr<SessionLoop>> sessions_;
  std::shared_ptr<SessionLoop> ended_;  // the first of those that wait to be destroyed
  net::Timer sweep_;
  std::unordered_set<std::shared_ptr<void>> tasks_;
  std::thread thread_;
};

class Server {
 public:
  explicit Server(ServerContext context);
  ~Server();

  Status start();                               // binds and runs; an error names the address
  std::uint16_t port() const { return port_; }  // of the first address
  std::vector<std::string> addresses() const;
  void stop();  // ends all sessions (57P01) and joins
  const std::vector<std::unique_ptr<Worker>>& workers() const { return workers_; }
  std::int64_t clients() const;

 private:
  Status listen();
  void run_connections();
  void accept_again();
  void accept(net::Socket socket);

  ServerContext context_;
  WorkersShared shared_;
  boost::asio::io_context connections_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> connections_work_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::shared_ptr<ClientCounts> counts_ = std::make_shared<ClientCounts>();
  std::thread connections_thread_;
  std::size_t next_worker_ = 0;
  std::uint16_t port_ = 0;
  bool running_ = false;
};

}  // namespace pgcache::proxy
