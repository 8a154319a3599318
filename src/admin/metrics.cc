// SPDX-License-Identifier: Apache-2.0
// AdminSources → metric families → text.
#include "admin/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <iterator>
#include <limits>
#include <string_view>
#include <utility>

#include "admin/reports.h"
#include "cache/cache.h"

namespace pgcache::admin {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

using Labels = std::vector<std::pair<std::string, std::string>>;

MetricFamily family(std::string name, std::string help, MetricType type) {
  MetricFamily made;
  made.name = std::move(name);
  made.help = std::move(help);
  made.type = type;
  return made;
}

ClientMetric labelled(const Labels& labels) {
  ClientMetric metric;
  for (const auto& [name, value] : labels) metric.label.push_back({name, value});
  return metric;
}

void add_counter(MetricFamily& to, const Labels& labels, std::uint64_t value) {
  ClientMetric metric = labelled(labels);
  metric.counter.value = static_cast<double>(value);
  to.metric.push_back(std::move(metric));
}

MetricFamily counter(std::string name, std::string help, std::uint64_t value) {
  MetricFamily made = family(std::move(name), std::move(help), MetricType::Counter);
  add_counter(made, {}, value);
  return made;
}

MetricFamily gauge(std::string name, std::string help, double value) {
  MetricFamily made = family(std::move(name), std::move(help), MetricType::Gauge);
  ClientMetric metric;
  metric.gauge.value = value;
  made.metric.push_back(std::move(metric));
  return made;
}

MetricFamily query_counts(const RouteCounts& routes) {
  MetricFamily made = family("pgcache_queries_total", "Queries by the way they were answered.",
                             MetricType::Counter);
  add_counter(made, {{"route", "hit"}, {"reason", ""}}, routes.hit);
  add_counter(made, {{"route", "miss"}, {"reason", ""}}, routes.miss);
  for (const auto& [reason, count] : routes.bypass) {
    add_counter(made, {{"route", "bypass"}, {"reason", reason}}, count);
  }
  for (const auto& [reason, count] : routes.fallback) {
    add_counter(made, {{"route", "fallback"}, {"reason", reason}}, count);
  }
  return made;
}

// One histogram with cumulated buckets, the last one unbounded.
ClientMetric histogram_metric(const std::string& route, const Histogram& histogram) {
  ClientMetric metric = labelled({{"route", route}});
  std::uint64_t cumulated = 0;
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    cumulated += histogram.counts[i];
    const double bound =
        i < histogram.bounds.size() ? histogram.bounds[i] : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back({cumulated, bound});
  }
  metric.histogram.sample_count = cumulated;
  metric.histogram.sample_sum = histogram.sum;
  return metric;
}

MetricFamily query_latencies(const std::vector<std::pair<std::string, Histogram>>& latencies) {
  MetricFamily made =
      family("pgcache_query_seconds", "Time from a query's arrival to the end of its answer.",
             MetricType::Histogram);
  for (const auto& [route, histogram] : latencies) {
    made.metric.push_back(histogram_metric(route, histogram));
  }
  return made;
}

template <std::size_t N>
MetricFamily labelled_counts(std::string name, std::string help, const std::string& label,
                             const std::string_view (&labels)[N],
                             const std::uint64_t (&counts)[N]) {
  MetricFamily made = family(std::move(name), std::move(help), MetricType::Counter);
  for (std::size_t i = 0; i < N; ++i) {
    add_counter(made, {{label, std::string(labels[i])}}, counts[i]);
  }
  return made;
}

void add_cache_families(const cache::CacheStatus& status, std::vector<MetricFamily>& families) {
  families.push_back(labelled_counts("pgcache_invalidations_total",
                                     "Cached results dropped, by what made them drop.", "cause",
                                     cache::kInvalidationCauseLabels, status.invalidations));
  families.push_back(counter("pgcache_maintained_total",
                             "Cached results changed in place instead of dropped.", 0));
  families.push_back(labelled_counts("pgcache_publish_total",
                                     "Finished loads, by what became of them.", "outcome",
                                     cache::kPublishOutcomeLabels, status.publish_outcomes));
  families.push_back(
      gauge("pgcache_entries", "Cached results.", static_cast<double>(status.entries)));
  families.push_back(gauge("pgcache_row_image_bytes", "Memory of rows that the stream showed.",
                           static_cast<double>(status.row_image_bytes)));
  families.push_back(gauge("pgcache_table_copies", "Small tables that are kept whole.",
                           static_cast<double>(status.table_copies)));
  families.push_back(gauge("pgcache_table_copy_bytes", "Memory of those tables.",
                           static_cast<double>(status.table_copy_bytes)));
  families.push_back(
      gauge("pgcache_bytes", "Memory held by cached results.", static_cast<double>(status.bytes)));
  families.push_back(gauge("pgcache_freshness_seconds",
                           "Age of the last proof that the cache is fresh.",
                           status.freshness_seconds));
  families.push_back(counter("pgcache_row_changes_total",
                             "Row changes applied from the replication stream.",
                             status.row_changes));
  families.push_back(counter("pgcache_transactions_total",
                             "Transactions applied from the replication stream.",
                             status.transactions));
}

// Of tables that are not known by name any more nothing is shown.
MetricFamily coarse_invalidations(const AdminSources& sources) {
  MetricFamily made = family("pgcache_coarse_invalidations_total",
                             "Cached results dropped only because a changed row's former values "
                             "were not known.",
                             MetricType::Counter);
  for (const TablePrecision& table : table_precision(sources)) {
    add_counter(made, {{"table", table.table}}, table.counts.coarse);
  }
  return made;
}

MetricFamily tls_sessions(const RouteCounts& counts) {
  MetricFamily made =
      family("pgcache_tls_sessions", "Sessions in TLS, towards the client and towards the origin.",
             MetricType::Gauge);
  for (const auto& [side, count] :
       {std::pair("client", counts.tls_clients), std::pair("origin", counts.tls_origin)}) {
    prometheus::ClientMetric metric;
    metric.label = {{"side", side}};
    metric.gauge.value = static_cast<double>(count);
    made.metric.push_back(std::move(metric));
  }
  return made;
}

void add_strict_families(const StrictReport& strict, std::vector<MetricFamily>& families) {
  if (strict.by != "lease") return;
  families.push_back(gauge("pgcache_synchronous", "1 while commits at the origin wait for pgcache.",
                           strict.synchrony == "synchronous" ? 1 : 0));
  families.push_back(counter("pgcache_strict_ack_timeouts_total",
                             "How often commits waited longer than strict_ack_timeout, and the "
                             "cache was dropped.",
                             strict.ack_timeouts));
}

void add_stream_families(const StreamReport& stream, std::vector<MetricFamily>& families) {
  families.push_back(gauge("pgcache_replication_lag_bytes",
                           "WAL of the origin, as last heard of, that is not applied yet.",
                           static_cast<double>(stream.lag_bytes)));
  MetricFamily cold = family("pgcache_cold_starts_total",
                             "New slots, each with an empty cache, by what made them necessary.",
                             MetricType::Counter);
  for (const auto& [cause, count] : stream.cold_starts) {
    add_counter(cold, {{"cause", cause}}, count);
  }
  families.push_back(std::move(cold));
  families.push_back(counter("pgcache_stream_resumes_total",
                             "How often the stream was interrupted and went on from its slot.",
                             stream.resumes));
  families.push_back(gauge("pgcache_slot_retained_bytes",
                           "WAL that the slot holds back at the origin, as last seen.",
                           static_cast<double>(stream.slot_retained_bytes)));
  families.push_back(counter("pgcache_slot_drops_total",
                             "How often the slot held back more than max_slot_retained and was "
                             "dropped.",
                             stream.slot_drops));
}

// Collects anew at each scrape: the program's counters live elsewhere.
class SourcesCollectable final : public prometheus::Collectable {
 public:
  explicit SourcesCollectable(const AdminSources& sources) : sources_(sources) {}

  std::vector<MetricFamily> Collect() const override {
    std::vector<MetricFamily> families;
    const RouteCounts routes = sources_.routes();
    families.push_back(query_counts(routes));
    families.push_back(counter("pgcache_blocks_deferred_total",
                               "Transaction blocks begun without the origin.",
                               routes.blocks_deferred));
    families.push_back(counter("pgcache_blocks_local_total",
                               "Of these, blocks that ended without reaching the origin.",
                               routes.blocks_local));
    families.push_back(query_latencies(sources_.latencies()));
    add_cache_families(sources_.cache_status(), families);
    families.push_back(coarse_invalidations(sources_));
    families.push_back(counter("pgcache_replica_identity_refusals_total",
                               "Tables that could not be set to REPLICA IDENTITY FULL.",
                               sources_.identity_refusals ? sources_.identity_refusals() : 0));
    families.push_back(gauge(
        "pgcache_definitions_pending",
        "DDL that was seen, or told of in the stream, and is not read yet; what rests on it is not "
        "served.",
        sources_.definitions_pending ? static_cast<double>(sources_.definitions_pending()) : 0));
    if (sources_.strict) add_strict_families(sources_.strict(), families);
    families.push_back(gauge(
        "pgcache_definitions_told",
        "1: event triggers on the origin tell of DDL in the stream; 0: the catalog is polled.",
        sources_.definitions_told && sources_.definitions_told() ? 1 : 0));
    add_stream_families(sources_.stream(), families);
    families.push_back(gauge("pgcache_clients", "Connected client sessions.",
                             static_cast<double>(sources_.clients())));
    families.push_back(
        counter("pgcache_sessions_failed_total",
                "Sessions that pgcache ended since it had no memory to go on with them.",
                routes.sessions_failed));
    families.push_back(tls_sessions(routes));
    families.push_back(gauge("pgcache_ready", "1 while the cache serves, else 0.",
                             sources_.readiness().ready ? 1 : 0));
    families.push_back(gauge("pgcache_shapes", "Distinct statements whose analysis is kept.",
                             static_cast<double>(sources_.shapes().size())));
    return families;
  }

 private:
  const AdminSources& sources_;
};

}  // namespace

std::string metrics_text(const AdminSources& sources) {
  return prometheus::TextSerializer().Serialize(SourcesCollectable(sources).Collect());
}

}  // namespace pgcache::admin
