// SPDX-License-Identifier: Apache-2.0
#include "app/explain_command.h"

#include <cstdio>

#include "origin/publication.h"
#include "origin/role_view.h"
#include "proxy/settings.h"

namespace pgcache::app {

namespace {

constexpr int kCacheable = 0;
constexpr int kNotCacheable = 1;
constexpr int kUnknown = 2;

int fail(const Error& error) {
  std::fprintf(stderr, "pgcache: %s\n", error.message.c_str());
  return kUnknown;
}

}  // namespace

admin::ExplainContext explain_context(const config::Config& config) {
  admin::ExplainContext context;
  context.key_settings = proxy::key_setting_names();
  context.query_bytes_max = config.max_query_size;
  context.objection = [config](const pg::Relation& relation) -> std::optional<sql::NotCacheable> {
    if (!origin::denied_by_configuration(config, relation)) return std::nullopt;
    return sql::NotCacheable{sql::BypassReason::kDenied,
                             relation.schema_name + "." + relation.name};
  };
  return context;
}

int explain(const config::CommandLine& line) {
  Result<origin::RoleView> view = origin::read_role_view(line.config);
  if (!view.ok()) return fail(view.error());
  admin::ExplainContext context = explain_context(line.config);
  context.catalog = view->catalog.get();
  admin::ExplainRequest request;
  request.text = line.explain.query;
  request.search_path = line.explain.search_path
                            ? admin::parse_search_path(*line.explain.search_path)
                            : view->search_path;
  request.types = admin::split_types(line.explain.types);
  request.standard_conforming_strings = view->standard_conforming_strings;
  const Result<admin::Explanation> made = admin::explain(context, request);
  if (!made.ok()) return fail(made.error());
  const std::string report =
      line.explain.json ? admin::explanation_json(*made) : admin::explanation_text(*made);
  std::printf("%s", report.c_str());
  return made->cacheable ? kCacheable : kNotCacheable;
}

}  // namespace pgcache::app
