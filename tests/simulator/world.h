// SPDX-License-Identifier: Apache-2.0
// One simulated run: the model of the origin, the cache and the shape table under test, the links,
// the change stream, the control connection and time, moved one random step at a time.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "cache/shape_table.h"
#include "config/config.h"
#include "proxy/settings.h"
#include "simulator/link.h"

namespace pgcache::simulator {

// Ways in which the simulator itself goes wrong on purpose, to prove that its checks see it.
enum class Fault : std::uint8_t {
  kNone,
  kLoseTransactions,    // the stream leaves some out
  kFutureSnapshots,     // a snapshot claims to see what is not visible yet
  kLoseFrames,          // a frame of the server gets lost
  kRepeatFrames,        // ... or comes twice
  kEarlyPositions,      // a position from before the write
  kNarrowFences,        // the end of a snapshot as fence: writers with higher ids may be under way
  kNoFences,            // tables are called covered from the beginning of time
  kFalseHeartbeats,     // freshness is proven by a position of long ago
  kStaleSettings,       // the server tells the settings that the session began with
  kLoseWakes,           // neither wake-ups nor timers arrive
  kOwnWritesUnseen,     // the proxy does not care for a session's own writes
  kReloadKeepsEntries,  // what was loaded around a reload stays
  kSkipLogCheck,        // the cache's own switches, from here on
  kTrimAll,
  kForgetSilently,
  kIgnoreFences,
  kEarlyCopies,
  kForgetEarly,
};
inline constexpr std::array<std::string_view, 19> kFaultNames = {"none",
                                                                 "lose_transactions",
                                                                 "future_snapshots",
                                                                 "lose_frames",
                                                                 "repeat_frames",
                                                                 "early_positions",
                                                                 "narrow_fences",
                                                                 "no_fences",
                                                                 "false_heartbeats",

                                                                 "stale_settings",
                                                                 "lose_wakes",
                                                                 "own_writes_unseen",
                                                                 "reload_keeps_entries",
                                                                 "skip_log_check",
                                                                 "trim_all",
                                                                 "forget_silently",
                                                                 "ignore_fences",
                                                                 "early_copies",
                                                                 "forget_early"};
bool is_available(Fault fault);

// What runs have gone through, summed up.
struct Totals {
  Counters counters;
  std::uint64_t steps = 0;
  std::uint64_t runs = 0;
  std::uint64_t misses = 0;
  std::uint64_t bypasses = 0;
  std::uint64_t fallbacks = 0;
  std::uint64_t waits = 0;
  std::uint64_t cold_starts = 0;
  std::uint64_t reconnects = 0;
  std::uint64_t entries_checked = 0;
  std::uint64_t copies = 0;  // of tables
  std::array<std::uint64_t, sql::kBypassReasonCount> bypass_reasons{};
  std::array<std::uint64_t, cache::kInvalidationCauseCount> invalidations{};
  std::array<std::uint64_t, std::size(cache::kPublishOutcomeLabels)> publish_outcomes{};
};

class World {
 public:
  World(std::uint64_t seed, Fault fault, bool trace, Totals& totals);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // What went wrong; empty when nothing did.
  std::string run(std::uint64_t steps);
  std::uint64_t steps_done() const { return steps_done_; }
  const std::deque<std::string>& last_steps() const { return last_steps_; }

  // --- for the links
  Random& random() { return random_; }
  Origin& origin() { return *origin_; }
  Library& library() { return library_; }
  Totals& totals() { return totals_; }
  Fault fault() const { return fault_; }
  TimePoint now() const { return now_; }
  const config::Config& config() const { return config_; }
  void fail(const std::string& message);
  bool failed() const { return !failure_.empty(); }
  bool tracing() const { return trace_; }
  void trace(std::string line);
  void prepare(proxy::SessionEnvironment& environment);
  void request_position(std::function<void(pg::Lsn)> done);
  std::optional<HitWindow> hit_window() const;
  bool draining() const { return draining_; }
  bool calm() const { return calm_; }
  bool joins() const { return joins_; }
  const int& configured() const { return configured_; }

 private:
  struct Proof {
    pg::Lsn position;
    TimePoint taken_at;
    std::uint64_t moment = 0;
  };

  void configure();
  void fill_tables();

  // world.cc
  void step();
  void link_step();
  void replace(std::unique_ptr<Link>& link);
  void count_routes(const Link& link);
  void write_step();
  Tx& background_tx();
  void background_write(Tx& tx);
  void crossing_step();
  void commit_step();
  void time_step();
  void accident();
  void drain();
  void drain_once();
  void prune();

  // world_links.cc: the stream and the control connection
  void stream_step();
  void cold_start();
  void connect_stream();
  void disconnect_stream();
  void apply(WalEntry entry);
  void note_position(pg::Lsn position);
  void control_step();
  void begin_round();
  void finish_round();
  void publish_step();
  void answer_positions();
  void copy_step();
  void change_catalog();
  void tell_of_reload();

  // checks.cc
  void check_entries();
  bool is_fresh(const cache::CachedResult& entry, const Library::Execution& execution, bool exactly,
                std::string& now) const;
  void check_limits();
  void set_cache_fault();

  Random random_;
  const Fault fault_;
  const bool trace_;
  Totals& totals_;
  std::unique_ptr<Origin> origin_;
  Library library_;
  config::Config config_;
  cache::CacheLimits limits_;
  std::uint32_t pause_ = 0;  // at most so many microseconds pass in a step
  bool calm_ = false;
  bool joins_ = false;
  bool slow_stream_ = false;
  TimePoint now_ = TimePoint{} + std::chrono::hours(1);
  std::shared_ptr<const pg::Catalog> catalog_;

  std::unique_ptr<cache::ShapeTable> shapes_;
  std::unique_ptr<cache::Cache> cache_;
  proxy::SettingsTable settings_;
  std::atomic<std::uint64_t> settings_epoch_{1};
  std::atomic<TimePoint> configuration_checked_{TimePoint{}};
  std::atomic<std::uint64_t> definitions_pending_{0};
  std::vector<std::unique_ptr<Link>> links_;
  std::uint32_t next_link_ = 1;
  std::vector<Tx*> writers_;

  bool has_slot_ = false;
  bool connected_ = false;
  pg::Lsn applied_;

  std::deque<std::function<void()>> deliveries_;  // of the control thread, in order
  std::optional<Proof> round_;                    // begun, not yet delivered
  bool round_finished_ = false;
  std::deque<pg::Oid> to_publish_;
  std::optional<pg::Oid> publishing_;
  std::vector<std::function<void(pg::Lsn)>> positions_;
  struct Copying {
    pg::Oid relation;
    std::shared_ptr<cache::CopyLoad> load;
  };
  std::optional<Copying> copying_;  // a table, not read yet
  bool catalog_doubtful_ = false;
  int configured_ = 0;        // the server's lc_monetary
  bool reload_known_ = true;  // to the proxy
  mutable std::vector<Proof> proofs_;

  bool draining_ = false;
  std::uint64_t steps_done_ = 0;
  std::string failure_;
  std::deque<std::string> last_steps_;
};

}  // namespace pgcache::simulator
