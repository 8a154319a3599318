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
    "/queries  JSON, ?limit=N\n"
    "/explain  what becomes of a query: ?q=QUERY&search_path=public&types=int4,text&format=json\n"
    "/precision  JSON: for which tables REPLICA IDENTITY FULL would help\n";

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

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

std::optional<std::string> decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const auto high = i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
      const auto low = high ? hex_digit(text[i + 2]) : std::nullopt;
      if (!low) return std::nullopt;
      out += static_cast<char>(*high * 16 + *low);
      i += 2;
    }
  }
  return out;
}

Answer explained(std::string_view parameters, const AdminSources& sources,
                 std::string_view accept) {
  const std::shared_ptr<const pg::Catalog> catalog = sources.catalog ? sources.catalog() : nullptr;
  if (catalog == nullptr) return plain(503, "the origin's catalog is not loaded yet\n");
  std::optional<std::string> text = parameter_value(parameters, "q");
  if (!text || text->empty()) return plain(400, "the query is missing: /explain?q=SELECT+...\n");
  ExplainRequest request;
  request.text = *std::move(text);
  if (const auto path = parameter_value(parameters, "search_path")) {
    request.search_path = parse_search_path(*path);
  }
  if (const auto types = parameter_value(parameters, "types")) {
    request.types = split_types(*types);
  }
  ExplainContext context = sources.explain;
  context.catalog = catalog.get();
  const Result<Explanation> made = explain(context, request);
  if (!made.ok()) return plain(400, made.error().message + "\n");
  const bool as_json = parameter_value(parameters, "format") == "json" ||
                       accept.find("application/json") != std::string_view::npos;
  return as_json ? json(explanation_json(*made)) : plain(200, explanation_text(*made));
}

}  // namespace

std::optional<std::string> parameter_value(std::string_view parameters, std::string_view name) {
  while (!parameters.empty()) {
    const std::size_t end = std::min(parameters.find('&'), parameters.size());
    const std::string_view parameter = parameters.substr(0, end);
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    if (parameter.substr(0, equals) != name) continue;
    return decode(parameter.substr(std::min(equals + 1, parameter.size())));
  }
  return std::nullopt;
}

Answer answer(std::string_view method, std::string_view target, const AdminSources& sources,
              std::string_view accept) {
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
  if (path == "/explain") return explained(parameters, sources, accept);
  if (path == "/precision") return json(precision_json(sources));
  return plain(404, "not found; / lists what there is\n");
}

}  // namespace pgcache::admin
