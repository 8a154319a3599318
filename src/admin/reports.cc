// SPDX-License-Identifier: Apache-2.0
// AdminSources → JSON.
#include "admin/reports.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "pg/ids.h"
#include "sql/analysis.h"
#include "sql/bypass_reason.h"

namespace pgcache::admin {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kNanosecondsPerSecond = 1e9;
constexpr int kIndent = 2;

std::string dump(const Json& json) {
  return json.dump(kIndent, ' ', false, Json::error_handler_t::replace) + "\n";
}

template <std::size_t N>
Json counts_by_label(const std::string_view (&labels)[N], const std::uint64_t (&counts)[N]) {
  Json json = Json::object();
  for (std::size_t i = 0; i < N; ++i) json[std::string(labels[i])] = counts[i];
  return json;
}

// The statistics of a shape at one moment: sorting needs numbers that hold still.
struct ShapeReading {
  const cache::Shape* shape;
  std::uint64_t hits;
  std::uint64_t misses;
  std::uint64_t bypasses;
  std::uint64_t fallbacks;

  std::uint64_t total() const { return hits + misses + bypasses + fallbacks; }
};

ShapeReading read_counts(const cache::Shape& shape) {
  const auto value = [](const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  return {&shape, value(shape.stats.hits), value(shape.stats.misses), value(shape.stats.bypasses),
          value(shape.stats.fallbacks)};
}

// Seconds; zero as long as nothing was loaded.
double mean_load_seconds(const cache::ShapeStats& stats) {
  const std::uint64_t loads = stats.loads.load(std::memory_order_relaxed);
  if (loads == 0) return 0;
  return static_cast<double>(stats.load_time_ns.load(std::memory_order_relaxed)) /
         kNanosecondsPerSecond / static_cast<double>(loads);
}

Json query_entry(const ShapeReading& reading) {
  const cache::Shape& shape = *reading.shape;
  Json entry;
  entry["id"] = shape.id.value;
  entry["text"] = shape.text.substr(0, kQueryTextBytesMax);
  if (shape.text.size() > kQueryTextBytesMax) entry["text_bytes"] = shape.text.size();
  const sql::CacheableQuery* query = shape.analysis.cacheable();
  entry["cacheable"] = query != nullptr;
  if (query != nullptr) {
    Json& reads = entry["reads"] =
        Json::array();  // relations by oid, and which of their rows matter
    for (const sql::Dependency& dependency : query->dependencies) {
      reads.push_back(sql::describe(dependency, *query));
    }
  }
  if (const sql::NotCacheable* why_not = shape.analysis.not_cacheable()) {
    entry["reason"] = sql::label(why_not->reason);
    entry["detail"] = why_not->detail;
  }
  entry["routes"] = {{"hit", reading.hits},
                     {"miss", reading.misses},
                     {"bypass", reading.bypasses},
                     {"fallback", reading.fallbacks}};
  const std::uint64_t last_bypass = shape.stats.last_bypass.load(std::memory_order_relaxed);
  if (last_bypass > 0 && last_bypass <= sql::kBypassReasonCount) {
    entry["last_bypass"] = sql::kBypassReasonLabels[last_bypass - 1];
  }
  entry["hit_ratio"] = reading.total() == 0 ? 0.0
                                            : static_cast<double>(reading.hits) /
                                                  static_cast<double>(reading.total());
  entry["invalidations"] = shape.stats.invalidations.load(std::memory_order_relaxed);
  entry["loads"] = shape.stats.loads.load(std::memory_order_relaxed);
  entry["mean_load_seconds"] = mean_load_seconds(shape.stats);
  entry["time_saved_seconds"] = static_cast<double>(reading.hits) * mean_load_seconds(shape.stats);
  return entry;
}

}  // namespace

std::string status_json(const AdminSources& sources) {
  const Readiness readiness = sources.readiness();
  const cache::CacheStatus cache = sources.cache_status();
  const StreamReport stream = sources.stream();
  Json json;
  json["version"] = PGCACHE_VERSION;
  json["origin"] = sources.origin;
  json["ready"] = readiness.ready;
  json["reason"] = readiness.reason;
  json["stream"] = {
      {"state", stream.state}, {"lag_bytes", stream.lag_bytes}, {"detail", stream.detail}};
  json["slot"] = {{"retained_bytes", stream.slot_retained_bytes}, {"drops", stream.slot_drops}};
  json["definitions"] = {
      {"told", sources.definitions_told && sources.definitions_told()},
      {"pending", sources.definitions_pending ? sources.definitions_pending() : 0}};
  json["applied_lsn"] = pg::to_string(cache.applied_lsn);
  json["freshness_seconds"] = cache.freshness_seconds;
  json["serving"] = cache.serving;
  json["not_serving_reason"] = cache.not_serving_reason;
  const StrictReport strict = sources.strict ? sources.strict() : StrictReport{};
  if (!strict.by.empty()) json["strict"] = {{"verify", strict.by}};
  if (strict.by == "lease") {
    json["strict"]["state"] = strict.synchrony;
    json["strict"]["ack_timeouts"] = strict.ack_timeouts;
  }
  json["entries"] = cache.entries;
  json["bytes"] = cache.bytes;
  json["clients"] = sources.clients();
  const RouteCounts routes = sources.routes();
  json["blocks"] = {{"deferred", routes.blocks_deferred}, {"local", routes.blocks_local}};
  json["problems"] = sources.problems();
  json["log"] = {{"transactions", cache.log_transactions}, {"bytes", cache.log_bytes}};
  json["row_images"] = {{"rows", cache.row_images}, {"bytes", cache.row_image_bytes}};
  json["table_copies"] = {{"tables", cache.table_copies},
                          {"rows", cache.table_copy_rows},
                          {"bytes", cache.table_copy_bytes}};
  json["loads"] = {
      {"in_flight", cache.loads_in_flight},
      {"outcomes", counts_by_label(cache::kPublishOutcomeLabels, cache.publish_outcomes)}};
  json["invalidations"] = counts_by_label(cache::kInvalidationCauseLabels, cache.invalidations);
  json["row_changes"] = cache.row_changes;
  json["transactions"] = cache.transactions;
  return dump(json);
}

std::string queries_json(const AdminSources& sources, std::size_t limit) {
  const std::vector<cache::ShapePtr> shapes = sources.shapes();
  std::vector<ShapeReading> readings;
  readings.reserve(shapes.size());
  for (const cache::ShapePtr& shape : shapes) readings.push_back(read_counts(*shape));
  std::sort(readings.begin(), readings.end(), [](const ShapeReading& a, const ShapeReading& b) {
    return std::pair(b.total(), a.shape->id.value) < std::pair(a.total(), b.shape->id.value);
  });
  Json json;
  json["shapes"] = shapes.size();
  json["queries"] = Json::array();
  for (std::size_t i = 0; i < std::min(limit, readings.size()); ++i) {
    json["queries"].push_back(query_entry(readings[i]));
  }
  return dump(json);
}

}  // namespace pgcache::admin
