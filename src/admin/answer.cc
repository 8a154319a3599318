// SPDX-License-Identifier: Apache-2.0
// The endpoints.
#include "admin/answer.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "admin/metrics.h"
#include "admin/reports.h"

namespace pgcache::admin {
namespace {

constexpr std::string_view kIndex =
    "pgcache\n"
    "/healthz  the process lives\n"
    "/readyz   the cache serves, or why not\n"
    "/metrics  Prometheus\n"
    "/status   JSON\n"
    "/queries  JSON, ?limit=N\n";

Answer plain(std::uint16_t status, std::string body) {
  return {.status = status, .content_type = Answer{}.content_type, .body = std::move(body)};
}

Answer json(std::string body) {
  return {.status = 200, .content_type = "application/json", .body = std::move(body)};
}

Answer ready(const AdminSources& sources) {
  const Readiness readiness = sources.readiness();
  if (readiness.ready) return plain(200, "ready\n");
  return plain(503, readiness.reason + "\n");
}

// The number behind limit= in "a=1&limit=5"; the default when there is none, nothing when it is
// bad.
std::optional<std::size_t> limit_parameter(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::size_t end = std::min(parameters.find('&'), parameters.size());
    std::string_view parameter = parameters.substr(0, end);
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
    constexpr std::string_view kName = "limit=";
    if (!parameter.starts_with(kName)) continue;
    parameter.remove_prefix(kName.size());
    std::size_t limit = 0;
    const char* stop = parameter.data() + parameter.size();
    const auto [read, error] = std::from_chars(parameter.data(), stop, limit);
    if (error != std::errc() || read != stop) return std::nullopt;
    return limit;
  }
  return kQueriesLimitDefault;
}

Answer queries(std::string_view parameters, const AdminSources& sources) {
  const std::optional<std::size_t> limit = limit_parameter(parameters);
  if (!limit) return plain(400, "limit must be a number\n");
  return json(queries_json(sources, *limit));
}

}  // namespace

Answer answer(std::string_view method, std::string_view target, const AdminSources& sources) {
  if (method != "GET" && method != "HEAD") return plain(405, "only GET and HEAD\n");
  const std::size_t question = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, question);
  const std::string_view parameters = target.substr(std::min(question + 1, target.size()));
  if (path == "/") return plain(200, std::string(kIndex));
  if (path == "/healthz") return plain(200, "ok\n");
  if (path == "/readyz") return ready(sources);
  if (path == "/metrics") {
    return {.status = 200, .content_type = kMetricsContentType, .body = metrics_text(sources)};
  }
  if (path == "/status") return json(status_json(sources));
  if (path == "/queries") return queries(parameters, sources);
  return plain(404, "not found; / lists what there is\n");
}

}  // namespace pgcache::admin
