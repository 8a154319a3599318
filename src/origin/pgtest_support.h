// SPDX-License-Identifier: Apache-2.0
// For the tests of the links: events that are written down, and a configuration for a test cluster.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "config/config.h"
#include "origin/events.h"
#include "support/cluster.h"
#include "support/pq.h"

namespace pgcache::origin {

inline bool wait_until(const std::function<bool()>& condition, int timeout_ms = 10000) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

inline std::shared_ptr<config::Config> config_for(const std::string& dsn) {
  auto config = std::make_shared<config::Config>();
  config->origin = dsn;
  config->catalog_poll_interval = std::chrono::milliseconds(100);
  config->heartbeat_interval = std::chrono::milliseconds(20);
  config->origin_connect_timeout = std::chrono::milliseconds(3000);
  return config;
}

struct RecordedControl : ControlEvents {
  mutable std::mutex mutex;
  int catalogs = 0;
  std::shared_ptr<const pg::Catalog> catalog;
  pg::DefinitionChange change;  // that came with it
  std::optional<bool> told;     // by event triggers
  std::vector<pg::Snapshot> snapshots;
  std::vector<std::pair<pg::Lsn, TimePoint>> heartbeats;
  std::map<pg::Oid, pg::Xid> tracked;
  std::map<pg::Oid, Untrackable> untrackable;
  std::map<pg::Oid, int> answers;
  std::vector<std::string> order;  // of what was answered: "catalog", "tracked", "untrackable"
  int reloads = 0;
  std::vector<Problem> problems;
  bool wants = false;
  std::uint64_t retained = 0;  // by the slot
  int over_limit = 0;
  std::function<void()> when_over_limit;

  template <typename F>
  auto with(F f) const {
    const std::lock_guard lock(mutex);
    return f();
  }
  int catalog_count() const {
    return with([&] { return catalogs; });
  }
  std::shared_ptr<const pg::Catalog> current_catalog() const {
    return with([&] { return catalog; });
  }
  int answer_count(pg::Oid oid) const {
    return with([&] {
      const auto it = answers.find(oid);
      return it == answers.end() ? 0 : it->second;
    });
  }

  void on_catalog(CatalogNews news) override {
    const std::lock_guard lock(mutex);
    ++catalogs;
    catalog = std::move(news.catalog);
    change = std::move(news.change);
    order.emplace_back("catalog");
  }
  void on_definitions_told(bool now) override {
    const std::lock_guard lock(mutex);
    told = now;
  }
  void on_snapshot(pg::Snapshot snapshot) override {
    const std::lock_guard lock(mutex);
    snapshots.push_back(std::move(snapshot));
  }
  void on_heartbeat(pg::Lsn position, TimePoint taken_at) override {
    const std::lock_guard lock(mutex);
    heartbeats.emplace_back(position, taken_at);
  }
  void on_tracked(pg::Oid relation, pg::Xid fence) override {
    const std::lock_guard lock(mutex);
    tracked[relation] = fence;
    untrackable.erase(relation);
    ++answers[relation];
    order.emplace_back("tracked");
  }
  void on_untrackable(pg::Oid relation, Untrackable why, const std::string&) override {
    const std::lock_guard lock(mutex);
    untrackable[relation] = why;
    tracked.erase(relation);
    ++answers[relation];
    order.emplace_back("untrackable");
  }
  void on_slot_retained(std::uint64_t bytes) override {
    const std::lock_guard lock(mutex);
    retained = bytes;
  }
  void on_slot_over_limit() override {
    const std::lock_guard lock(mutex);
    ++over_limit;
    if (when_over_limit) when_over_limit();
  }
  void on_configuration_reloaded() override {
    const std::lock_guard lock(mutex);
    ++reloads;
  }
  void on_control_problems(std::vector<Problem> p) override {
    const std::lock_guard lock(mutex);
    problems = std::move(p);
  }
  bool wants_snapshot() override {
    const std::lock_guard lock(mutex);
    return wants;
  }
};

struct RecordedStream : ReplicationEvents {
  mutable std::mutex mutex;
  int cold_starts = 0;
  ColdStart last_cold_start = ColdStart::kFirst;
  pg::Snapshot exported;
  pg::Lsn position;
  int connects = 0;
  std::vector<std::string> disconnects;
  std::vector<cdc::Transaction> transactions;
  std::vector<Problem> problems;
  int throw_next = 0;  // so many transactions to be refused with an exception

  template <typename F>
  auto with(F f) const {
    const std::lock_guard lock(mutex);
    return f();
  }
  bool connected() const {
    return with([&] { return connects > static_cast<int>(disconnects.size()); });
  }
  int cold_start_count() const {
    return with([&] { return cold_starts; });
  }
  std::size_t transaction_count() const {
    return with([&] { return transactions.size(); });
  }
  pg::Lsn current_position() const {
    return with([&] { return position; });
  }
  std::string first_problem() const {
    return with([&] { return problems.empty() ? std::string() : problems[0].what; });
  }

  void on_cold_start(const pg::Snapshot& snapshot, pg::Lsn consistent_point,
                     ColdStart why) override {
    const std::lock_guard lock(mutex);
    ++cold_starts;
    last_cold_start = why;
    exported = snapshot;
    position = consistent_point;
    transactions.clear();
  }
  void on_connected() override {
    const std::lock_guard lock(mutex);
    ++connects;
  }
  void on_disconnected(const std::string& reason) override {
    const std::lock_guard lock(mutex);
    disconnects.push_back(reason);
  }
  void on_transactions(std::vector<cdc::Transaction> together) override {
    const std::lock_guard lock(mutex);
    if (throw_next > 0) {
      --throw_next;
      throw std::runtime_error("refused by the test");
    }
    for (cdc::Transaction& transaction : together) {
      position = transaction.end_lsn;
      transactions.push_back(std::move(transaction));
    }
  }
  void on_position(pg::Lsn p) override {
    const std::lock_guard lock(mutex);
    position = p;
  }
  void on_problems(std::vector<Problem> p) override {
    const std::lock_guard lock(mutex);
    problems = std::move(p);
  }
};

inline pg::Oid oid_of(testing::Connection& connection, const std::string& relation) {
  return pg::Oid{static_cast<std::uint32_t>(
      std::stoul(connection.query("SELECT '" + relation + "'::regclass::oid").value()))};
}

}  // namespace pgcache::origin
