// SPDX-License-Identifier: Apache-2.0
#include "app/app.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "app/explain_command.h"
#include "base/cache_path.h"
#include "base/log.h"
#include "proxy/faults.h"

namespace pgcache::app {

namespace {

cache::CacheLimits limits_of(const config::Config& config) {
  cache::CacheLimits limits;
  limits.bytes_max = config.cache_size;
  limits.result_bytes_max = config.max_result_size;
  limits.transaction_log_bytes_max = config.transaction_log_size;
  limits.row_images_bytes_max = config.row_images_size;
  limits.table_copies_bytes_max = config.table_copies_size;
  limits.max_staleness = config.max_staleness;
  if (proxy::faults::broken("ignore_staleness")) limits.max_staleness = std::chrono::hours(1);
  limits.needs_synchrony = config.strict_by() == config::StrictBy::kLease;
  limits.proves_hits = config.strict_by() == config::StrictBy::kRead;
  limits.break_publish_check = proxy::faults::broken("skip_publish_check");
  return limits;
}

sql::BypassReason reason_of(origin::Untrackable why) {
  switch (why) {
    case origin::Untrackable::kNoReplicaIdentity:
      return sql::BypassReason::kNoReplicaIdentity;
    case origin::Untrackable::kDenied:
      return sql::BypassReason::kDenied;
    case origin::Untrackable::kNotPublished:
    case origin::Untrackable::kNoPrivilege:
    case origin::Untrackable::kOther:
      return sql::BypassReason::kUntracked;
  }
  return sql::BypassReason::kUntracked;
}

#ifdef PGCACHE_FAULTS
// What the stream left out, since it is stored apart and did not change, counts
// as NULL. The decoder has filled in the old row's value where that is known.
void take_toast_for_null(cdc::Transaction& transaction) {
  for (cdc::RowChange& change : transaction.changes) {
    for (std::size_t i = 0; i < change.new_row.size(); ++i) {
      cdc::Cell& cell = change.new_row[i];
      const bool filled_in = i < change.old_row.size() && !cell.bytes.empty() &&
                             cell.bytes.data() == change.old_row[i].bytes.data();
      if (filled_in || cell.kind == cdc::CellKind::kUnchangedToast) {
        cell = {cdc::CellKind::kNull, {}};
      }
    }
  }
}
#endif

}  // namespace

std::string origin_name(const origin::Endpoint& endpoint) {
  return endpoint.host + ":" + std::to_string(endpoint.port) + "/" + endpoint.database;
}

App::App(config::Config config, origin::Endpoint endpoint, std::string pooled_database,
         std::unique_ptr<origin::Companion> companion)
    : companion_(std::move(companion)),
      endpoint_(std::move(endpoint)),
      tls_(config, endpoint_.tls),
      shapes_(config.max_shapes) {
  config_ = std::make_shared<const config::Config>(std::move(config));
  cache::CacheLimits limits = limits_of(*config_);
  if (companion_) limits.barred = &companion_->has_taken_over();
  cache_ = std::make_unique<cache::Cache>(
      limits,
      [this](std::vector<pg::Oid> relations) { control_->request_tracking(std::move(relations)); },
      [this] { control_->request_snapshot(); });
  control_ =
      std::make_unique<origin::ControlLink>(config_, static_cast<origin::ControlEvents&>(*this));
  const config::StrictBy strict_by = config_->strict_by();
  if (strict_by == config::StrictBy::kLease) {
    stand_in_ = std::make_unique<origin::StandIn>(
        config_,
        [this] {
          cache_->suspend();
          replication_->request_restart();
        },
        companion_.get());
  }
  replication_ = std::make_unique<origin::ReplicationLink>(
      config_, *control_, static_cast<origin::ReplicationEvents&>(*this), stand_in_.get());
  proxy::ServerContext context;
  context.config = config_.get();
  context.cache = cache_.get();
  context.shapes = &shapes_;
  context.settings_epoch = &settings_epoch_;
  context.configuration_checked = &configuration_checked_;
  context.client_tls = &tls_.for_clients();
  context.origin_tls = &tls_.for_origin();
  context.origin_ssl_mode = endpoint_.tls.mode;
  context.origin_tls_host = endpoint_.tls.host;
  context.origin_tls_direct = endpoint_.tls.direct;
  context.origin = {endpoint_.host, endpoint_.port};
  context.database = endpoint_.database;
  context.pooled_database = std::move(pooled_database);
  context.server_started = &server_started_;
  context.request_position = [this](std::function<void(pg::Lsn)> done) {
    control_->request_position([this, done = std::move(done)](pg::Lsn position) {
      replication_->request_keepalive();
      done(position);
    });
  };
  context.definitions_pending = &definitions_pending_;
  if (strict_by == config::StrictBy::kRead) {
    context.request_proof = [this] { control_->request_proof(); };
  }
  context.on_other_server = [this] {
    if (config_->cache) control_->request_server_check();
  };
  context.on_ddl_seen = [this](bool redefines) { on_ddl_seen(redefines); };
  server_ = std::make_unique<proxy::Server>(std::move(context));
}

App::~App() { stop(); }

Status App::start() {
  if (Status status = tls_.load(); !status) return status;
  if (Status status = server_->start(); !status) return status;
  admin_ = std::make_unique<admin::AdminServer>(config_->admin, admin_sources());
  if (Status status = admin_->start(); !status) return status;
  if (config_->cache) {
    control_->start();
    if (stand_in_) stand_in_->start();
    replication_->start();
  }
  return {};
}

void App::stop() {
  server_->stop();
  if (config_->cache) {
    replication_->stop();
    if (stand_in_) stand_in_->stop();
    control_->stop();
  }
  if (admin_) admin_->stop();
}

// Any worker's thread. Without the links there is nothing to wait for: nothing is served.
void App::on_ddl_seen(bool redefines) {
  if (!redefines || !config_->cache) return control_->request_catalog_check();
  definitions_pending_.fetch_add(1, std::memory_order_acq_rel);
  try {
    control_->request_catalog_check(
        [this] { definitions_pending_.fetch_sub(1, std::memory_order_acq_rel); });
  } catch (const std::exception&) {
    // No memory to ask: a cold start, which reads the catalog, stands in for it.
    definitions_unasked_.fetch_add(1, std::memory_order_acq_rel);
    replication_->request_restart();
    throw;
  }
}

// --- the control thread

void App::on_catalog(origin::CatalogNews news) {
  shapes_.set_catalog(news.catalog, news.change);
  cache_->on_catalog_changed({shapes_.generation(), std::move(news.catalog),
                              std::move(news.snapshot), std::move(news.change)});
}

void App::on_definitions_read(const pg::Snapshot& snapshot) {
  cache_->on_definitions_read(snapshot);
}

bool App::wants_definitions() { return cache_->definitions_pending() > 0; }

void App::on_definitions_told(bool told) {
  definitions_told_.store(told, std::memory_order_relaxed);
}

// What sessions of a pooler have been told of another one is asked for again.
void App::on_server_started(const std::string& started) {
  const std::uint64_t now = proxy::parse_started(started);
  if (server_started_.exchange(now, std::memory_order_acq_rel) == now) return;
  settings_epoch_.fetch_add(1, std::memory_order_acq_rel);
}

void App::on_snapshot(pg::Snapshot snapshot) { cache_->set_snapshot(std::move(snapshot)); }

void App::on_heartbeat(pg::Lsn position, TimePoint taken_at) {
  origin_position_.store(position.value, std::memory_order_relaxed);
  cache_->on_heartbeat(position, taken_at);
  if (cache_->applied_lsn() < position) replication_->request_keepalive();
}

void App::on_flushed(pg::Lsn position) {
  if (stand_in_) stand_in_->note_flushed(position);
}

void App::on_slot_retained(std::uint64_t bytes) {
  slot_retained_.store(bytes, std::memory_order_relaxed);
}

void App::on_slot_over_limit() {
  slot_drops_.fetch_add(1, std::memory_order_relaxed);
  replication_->give_up_slot();
}

void App::on_synchrony(bool waited_for, std::vector<origin::Problem> gaps) {
  cache_->on_synchrony(waited_for);
  const std::string now = waited_for ? "synchronous" : "not_synchronous";
  const std::lock_guard lock(mutex_);
  const bool news = synchrony_ != now || synchrony_problems_.size() != gaps.size() ||
                    !std::equal(gaps.begin(), gaps.end(), synchrony_problems_.begin(),
                                [](const auto& a, const auto& b) { return a.what == b.what; });
  synchrony_ = now;
  synchrony_problems_ = std::move(gaps);
  if (!news) return;
  if (waited_for) log_info("strict: commits at the origin wait for pgcache");
  for (const origin::Problem& gap : synchrony_problems_) {
    log_warning("strict: {}{}{}", gap.what, gap.mend.empty() ? "" : "; to mend it: ", gap.mend);
  }
}

void App::on_tracked(pg::Oid relation, pg::Xid fence) { cache_->set_tracked(relation, fence); }

void App::on_untrackable(pg::Oid relation, origin::Untrackable why, const std::string& detail) {
  log_info("a table is not cached: {}", detail);
  cache_->set_untrackable(relation, reason_of(why));
}

void App::on_identity_refused(pg::Oid /*relation*/, const std::string& /*detail*/) {
  identity_refusals_.fetch_add(1, std::memory_order_relaxed);
}

// The origin's sessions have had the new settings for a while: what was loaded since then stands
// under keys that hold the old ones.
void App::on_configuration_reloaded() {
  settings_epoch_.fetch_add(1, std::memory_order_acq_rel);
  cache_->drop_all(cache::InvalidationCause::kDdl);
}

void App::on_configuration_checked(TimePoint began) {
  configuration_checked_.store(began, std::memory_order_release);
}

void App::on_control_problems(std::vector<origin::Problem> problems) {
  const std::lock_guard lock(mutex_);
  control_problems_ = std::move(problems);
}

bool App::wants_snapshot() { return cache_->wants_snapshot(); }

void App::on_measure_begins() { cache_->on_measure_begins(); }

void App::on_measured(pg::Lsn insert_position, const pg::Snapshot& before) {
  cache_->on_measured(insert_position, before);
}

std::vector<pg::Oid> App::copies_wanted() { return cache_->copies_wanted(); }

bool App::on_copy_begins(pg::Oid relation) {
  copy_ = cache_->begin_copy(relation);
  return copy_ != nullptr;
}

void App::on_copy(std::optional<cdc::TableRows> rows) {
  cache_->finish_copy(std::move(copy_), rows);
  replication_->request_keepalive();  // the applier takes it in with its next position
}

void App::on_copy_failed() { copy_.reset(); }

// --- the applier thread

// Definitions may have changed while there was no stream to tell of it: they are read again before
// anything is served.
void App::on_cold_start(const pg::Snapshot& exported, pg::Lsn consistent_point,
                        origin::ColdStart why) {
  cold_starts_[static_cast<std::size_t>(why)].fetch_add(1, std::memory_order_relaxed);
  begun_anew_ = true;
  definitions_unread_.fetch_add(1, std::memory_order_acq_rel);
  definitions_pending_.fetch_add(1, std::memory_order_acq_rel);
  const std::uint64_t unasked = definitions_unasked_.exchange(0, std::memory_order_acq_rel);
  const auto read = [this](std::uint64_t pending) {
    definitions_pending_.fetch_sub(pending, std::memory_order_acq_rel);
    definitions_unread_.fetch_sub(1, std::memory_order_acq_rel);
  };
  try {
    control_->request_catalog_check([read, unasked] { read(1 + unasked); });
  } catch (const std::exception&) {  // there will be another cold start
    definitions_unasked_.fetch_add(unasked, std::memory_order_acq_rel);
    read(1);
    throw;
  }
  cache_->on_cold_start(exported, consistent_point);
}

void App::on_connected() {
  if (!std::exchange(begun_anew_, false)) resumes_.fetch_add(1, std::memory_order_relaxed);
  cache_->on_stream_connected();
  const std::lock_guard lock(mutex_);
  stream_state_ = "streaming";
  stream_detail_.clear();
}

void App::on_disconnected(const std::string& reason) {
  cache_->on_stream_disconnected();
  const std::lock_guard lock(mutex_);
  stream_state_ = "disconnected";
  stream_detail_ = reason;
}

void App::on_transactions(std::vector<cdc::Transaction> transactions) {
  if (proxy::faults::broken("no_invalidation")) {
    cache_->on_position(transactions.back().end_lsn);
    return;
  }
  if (proxy::faults::broken("applier_dies") && !died_.exchange(true)) {
    throw std::runtime_error("the applier dies, as it was told to");
  }
  std::vector<std::shared_ptr<const cdc::Transaction>> shared;
  shared.reserve(transactions.size());
  for (cdc::Transaction& transaction : transactions) {
#ifdef PGCACHE_FAULTS
    if (proxy::faults::broken("toast_as_null")) take_toast_for_null(transaction);
#endif
    shared.push_back(std::make_shared<const cdc::Transaction>(std::move(transaction)));
  }
  const CachePath path;
  cache_->apply(shared);
  control_->request_snapshot();
}

void App::on_position(pg::Lsn position) { cache_->on_position(position); }

void App::on_problems(std::vector<origin::Problem> problems) {
  const std::lock_guard lock(mutex_);
  replication_problems_ = std::move(problems);
}

// --- seen from outside

cache::CacheStatus App::cache_status() const {
  return cache_->status(std::chrono::steady_clock::now());
}

std::vector<std::string> App::problem_lines() const {
  std::vector<std::string> lines;
  const std::lock_guard lock(mutex_);
  for (const auto* problems : {&control_problems_, &replication_problems_, &synchrony_problems_}) {
    for (const origin::Problem& problem : *problems) {
      std::string line = problem.what;
      if (!problem.mend.empty()) line += "; to mend it: " + problem.mend;
      if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(line);
    }
  }
  return lines;
}

admin::Readiness App::readiness() const {
  const std::vector<std::string> problems = problem_lines();
  const cache::CacheStatus status = cache_status();
  const bool unread = definitions_unread_.load(std::memory_order_acquire) > 0;
  if (status.serving && !unread) return {true, {}};
  std::string reason;
  for (const std::string& problem : problems) reason += (reason.empty() ? "" : "\n") + problem;
  if (reason.empty() && !config_->cache) reason = "the cache is switched off (cache = false)";
  if (reason.empty()) reason = status.not_serving_reason;
  if (reason.empty()) reason = "the origin's definitions are being read";
  return {false, reason};
}

admin::RouteCounts App::routes() const {
  admin::RouteCounts counts;
  std::vector<std::uint64_t> bypasses(sql::kBypassReasonCount);
  std::vector<std::uint64_t> fallbacks(std::size(proxy::kFallbackReasonLabels));
  for (const auto& worker : server_->workers()) {
    const proxy::RouteStats& stats = worker->stats();
    counts.hit += stats.hits.load(std::memory_order_relaxed);
    counts.miss += stats.misses.load(std::memory_order_relaxed);
    counts.blocks_deferred += stats.blocks_deferred.load(std::memory_order_relaxed);
    counts.blocks_local += stats.blocks_local.load(std::memory_order_relaxed);
    counts.sessions_failed += stats.sessions_failed.load(std::memory_order_relaxed);
    counts.tls_clients += stats.tls_clients.load(std::memory_order_relaxed);
    counts.tls_origin += stats.tls_origin.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < bypasses.size(); ++i) {
      bypasses[i] += stats.bypasses[i].load(std::memory_order_relaxed);
    }
    for (std::size_t i = 0; i < fallbacks.size(); ++i) {
      fallbacks[i] += stats.fallbacks[i].load(std::memory_order_relaxed);
    }
  }
  for (std::size_t i = 0; i < bypasses.size(); ++i) {
    if (bypasses[i] > 0) counts.bypass.emplace_back(sql::kBypassReasonLabels[i], bypasses[i]);
  }
  for (std::size_t i = 0; i < fallbacks.size(); ++i) {
    if (fallbacks[i] > 0)
      counts.fallback.emplace_back(proxy::kFallbackReasonLabels[i], fallbacks[i]);
  }
  return counts;
}

std::vector<std::pair<std::string, admin::Histogram>> App::latencies() const {
  std::vector<std::pair<std::string, admin::Histogram>> all;
  for (std::size_t route = 0; route < std::size(proxy::kRouteLabels); ++route) {
    admin::Histogram histogram;
    histogram.counts.assign(proxy::LatencyHistogram::kBuckets + 1, 0);
    for (std::size_t i = 0; i < proxy::LatencyHistogram::kBuckets; ++i) {
      histogram.bounds.push_back(proxy::LatencyHistogram::bound_seconds(i));
    }
    for (const auto& worker : server_->workers()) {
      const proxy::LatencyHistogram& one = worker->stats().latency[route];
      for (std::size_t i = 0; i < histogram.counts.size(); ++i) histogram.counts[i] += one.count(i);
      histogram.sum += static_cast<double>(one.sum_ns()) * 1e-9;
    }
    all.emplace_back(proxy::kRouteLabels[route], std::move(histogram));
  }
  return all;
}

admin::StreamReport App::stream_report() const {
  const std::uint64_t position = origin_position_.load(std::memory_order_relaxed);
  const std::uint64_t applied = cache_->applied_lsn().value;
  admin::StreamReport report;
  report.lag_bytes = position > applied ? position - applied : 0;
  for (std::size_t i = 0; i < origin::kColdStartCount; ++i) {
    report.cold_starts.emplace_back(origin::kColdStartLabels[i],
                                    cold_starts_[i].load(std::memory_order_relaxed));
  }
  report.resumes = resumes_.load(std::memory_order_relaxed);
  report.slot_retained_bytes = slot_retained_.load(std::memory_order_relaxed);
  report.slot_drops = slot_drops_.load(std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  report.state = replication_problems_.empty() ? stream_state_ : "failed";
  report.detail = stream_detail_;
  return report;
}

admin::StrictReport App::strict_report() const {
  admin::StrictReport report;
  switch (config_->strict_by()) {
    case config::StrictBy::kNothing:
      return report;
    case config::StrictBy::kRead:
      report.by = "read";
      return report;
    case config::StrictBy::kLease:
      break;
  }
  report.by = "lease";
  report.ack_timeouts = stand_in_->timeouts();
  const std::lock_guard lock(mutex_);
  report.synchrony = synchrony_;
  return report;
}

admin::AdminSources App::admin_sources() {
  admin::AdminSources sources;
  sources.readiness = [this] { return readiness(); };
  sources.cache_status = [this] { return cache_status(); };
  sources.stream = [this] { return stream_report(); };
  sources.routes = [this] { return routes(); };
  sources.latencies = [this] { return latencies(); };
  sources.shapes = [this] { return shapes_.all(); };
  sources.problems = [this] { return problem_lines(); };
  sources.clients = [this] { return static_cast<std::uint64_t>(server_->clients()); };
  sources.catalog = [this] { return shapes_.catalog(); };
  sources.precision = [this] {
    std::vector<admin::RelationCounts> counts;
    for (const cache::RelationPrecision& one : cache_->precision()) {
      counts.push_back({one.relation, one.invalidations, one.coarse});
    }
    return counts;
  };
  sources.identity_refusals = [this] { return identity_refusals_.load(std::memory_order_relaxed); };
  sources.strict = [this] { return strict_report(); };
  sources.definitions_pending = [this] {
    return definitions_pending_.load() + cache_->definitions_pending();
  };
  sources.definitions_told = [this] { return definitions_told_.load(); };
  sources.explain = explain_context(*config_);
  sources.origin = origin_name(endpoint_);
  return sources;
}

}  // namespace pgcache::app
