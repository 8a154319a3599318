// SPDX-License-Identifier: Apache-2.0
// The whole program: owns every part and binds them together. One App in a process; made, started
// and stopped on the main thread.
//
// Order of life: control link (catalog, publication, snapshots) → replication link (the applier) →
// workers with the clients' sessions → admin endpoint. Stopped in reverse.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "admin/server.h"
#include "app/tls_files.h"
#include "base/result.h"
#include "cache/cache.h"
#include "cache/shape_table.h"
#include "config/config.h"
#include "origin/check.h"
#include "origin/companion.h"
#include "origin/control_link.h"
#include "origin/events.h"
#include "origin/replication_link.h"
#include "origin/stand_in.h"
#include "proxy/worker.h"

namespace pgcache::app {

// As it is named in /status and /precision.
std::string origin_name(const origin::Endpoint& endpoint);

class App final : private origin::ControlEvents, private origin::ReplicationEvents {
 public:
  // `pooled_database`: see proxy::SessionEnvironment. `companion`: null when commits wait for
  // nobody, or there is none.
  App(config::Config config, origin::Endpoint endpoint, std::string pooled_database,
      std::unique_ptr<origin::Companion> companion);
  ~App() override;

  Status start();
  void stop();
  TlsFiles& tls() { return tls_; }  // main thread

  std::uint16_t port() const { return server_->port(); }
  std::vector<std::string> addresses() const { return server_->addresses(); }
  std::uint16_t admin_port() const { return admin_ ? admin_->port() : 0; }

  // For the live line; any thread.
  admin::RouteCounts routes() const;
  cache::CacheStatus cache_status() const;
  admin::Readiness readiness() const;

 private:
  // origin::ControlEvents
  void on_catalog(origin::CatalogNews news) override;
  void on_definitions_read(const pg::Snapshot& snapshot) override;
  bool wants_definitions() override;
  void on_definitions_told(bool told) override;
  void on_snapshot(pg::Snapshot snapshot) override;
  void on_server_started(const std::string& started) override;
  void on_heartbeat(pg::Lsn position, TimePoint taken_at) override;
  void on_flushed(pg::Lsn position) override;
  void on_slot_retained(std::uint64_t bytes) override;
  void on_slot_over_limit() override;
  void on_synchrony(bool waited_for, std::vector<origin::Problem> gaps) override;
  void on_tracked(pg::Oid relation, pg::Xid fence) override;
  void on_untrackable(pg::Oid relation, origin::Untrackable why,
                      const std::string& detail) override;
  void on_identity_refused(pg::Oid relation, const std::string& detail) override;
  void on_configuration_reloaded() override;
  void on_configuration_checked(TimePoint began) override;
  void on_control_problems(std::vector<origin::Problem> problems) override;
  bool wants_snapshot() override;
  void on_measure_begins() override;
  void on_measured(pg::Lsn insert_position, const pg::Snapshot& before) override;
  std::vector<pg::Oid> copies_wanted() override;
  bool on_copy_begins(pg::Oid relation) override;
  void on_copy(std::optional<cdc::TableRows> rows) override;
  void on_copy_failed() override;
  // origin::ReplicationEvents
  void on_cold_start(const pg::Snapshot& exported, pg::Lsn consistent_point,
                     origin::ColdStart why) override;
  void on_connected() override;
  void on_disconnected(const std::string& reason) override;
  void on_transactions(std::vector<cdc::Transaction> transactions) override;
  void on_position(pg::Lsn position) override;
  void on_problems(std::vector<origin::Problem> problems) override;

  void on_ddl_seen(bool redefines);
  admin::AdminSources admin_sources();
  std::vector<std::pair<std::string, admin::Histogram>> latencies() const;
  admin::StreamReport stream_report() const;
  admin::StrictReport strict_report() const;
  std::vector<std::string> problem_lines() const;

  std::shared_ptr<const config::Config> config_;
  const std::unique_ptr<origin::Companion> companion_;
  origin::Endpoint endpoint_;
  TlsFiles tls_;
  cache::ShapeTable shapes_;
  std::unique_ptr<cache::Cache> cache_;
  std::unique_ptr<origin::ControlLink> control_;
  std::unique_ptr<origin::StandIn> stand_in_;  // null unless commits are to wait for pgcache
  std::unique_ptr<origin::ReplicationLink> replication_;
  std::unique_ptr<proxy::Server> server_;
  std::unique_ptr<admin::AdminServer> admin_;
  std::atomic<std::uint64_t> settings_epoch_{1};
  std::atomic<TimePoint> configuration_checked_{TimePoint{}};
  std::atomic<std::uint64_t> definitions_pending_{0};
  std::atomic<std::uint64_t> definitions_unasked_{0};  // of these, left to the next cold start
  std::atomic<std::uint64_t> definitions_unread_{0};   // since so many new starts of the stream
  std::atomic<bool> definitions_told_{false};          // in the stream
  std::atomic<std::uint64_t> server_started_{0};
  std::atomic<std::uint64_t> origin_position_{0};
  std::atomic<std::uint64_t> identity_refusals_{0};
  std::array<std::atomic<std::uint64_t>, origin::kColdStartCount> cold_starts_{};
  std::atomic<std::uint64_t> resumes_{0};
  std::atomic<std::uint64_t> slot_retained_{0};
  std::atomic<std::uint64_t> slot_drops_{0};
  std::shared_ptr<cache::CopyLoad> copy_;  // under way; of the control thread
  bool begun_anew_ = false;        // since the stream was connected last; of the applier thread
  std::atomic<bool> died_{false};  // for the fault switch applier_dies

  mutable std::mutex mutex_;  // guards what follows
  std::vector<origin::Problem> control_problems_;
  std::vector<origin::Problem> replication_problems_;
  std::vector<origin::Problem> synchrony_problems_;
  std::string synchrony_ = "unknown";  // or "synchronous", "not_synchronous"
  std::string stream_state_ = "starting";
  std::string stream_detail_;
};

}  // namespace pgcache::app
