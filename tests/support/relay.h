// SPDX-License-Identifier: Apache-2.0
// A relay of TCP connections between pgcache and the origin: a network that can stall and break,
// and the place where it is seen which statements pgcache sends on. One thread of its own; all
// calls from any thread.
//
// It follows the messages that go to the origin as far as their framing, and for each connection
// counts the executions of statements that hold the marker. A Parse alone does not count: pgcache
// sends it later, too, for what it answered itself. Connections are told apart by what their
// startup message says; TLS must be off.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace pgcache::testing {

enum class Peer : std::uint8_t { kClient, kStream, kControl };  // whose connection it is

using Counter = std::shared_ptr<std::atomic<std::uint64_t>>;

class Relay {
 public:
  // Every statement that is to be counted holds `marker`.
  explicit Relay(int origin_port, std::string marker = {});
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  int port() const { return port_; }
  // Of connections whose application_name is this, made from now on.
  Counter counter_of(const std::string& application_name);
  void forget(const std::string& application_name);

  void stall(Peer peer, bool stalled);  // nothing passes in either direction
  void cut(Peer peer);                  // the connections there are break (RST)
  // Nothing passes on the connections there are any more, nor does either side hear of that: as
  // when a machine between has forgotten them. New ones are as before.
  void forsake(Peer peer);
  void lead_to(int port);  // where new connections are led from now on

 private:
  struct Connection;
  void run();
  void accept_one();
  void pump(Connection& connection, bool from_pgcache);
  void look_at(Connection& connection, std::size_t first);
  void on_startup(Connection& connection, const std::string& packet);
  bool flush(Connection& connection);
  bool holds(const Connection& connection) const;
  void wake();

  std::atomic<int> origin_port_;
  const std::string marker_;
  int listener_ = -1;
  int port_ = 0;
  int wake_pipe_[2] = {-1, -1};
  std::atomic<bool> stop_{false};
  std::array<std::atomic<bool>, 3> stalled_{};
  std::array<std::atomic<bool>, 3> cut_{};
  std::array<std::atomic<bool>, 3> forsake_{};
  std::mutex mutex_;
  std::map<std::string, Counter> counters_;
  std::vector<std::unique_ptr<Connection>> connections_;  // of the thread
  std::thread thread_;
};

}  // namespace pgcache::testing
