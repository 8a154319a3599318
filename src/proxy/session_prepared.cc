// SPDX-License-Identifier: Apache-2.0
// PREPARE and EXECUTE in SQL. What PREPARE has made is a prepared statement like those of Parse; an
// EXECUTE with plain constants is a read of it, with the constants as parameters. See session.h.
#include <algorithm>

#include "base/bytes.h"
#include "proxy/session.h"
#include "sql/prepared.h"

namespace pgcache::proxy {

using sql::BypassReason;
using sql::StatementKind;

// What an EXECUTE executes, when known.
StatementPtr Session::executed_statement(const cache::Shape* shape) const {
  if (shape == nullptr || shape->analysis.kind != StatementKind::kExecute) return nullptr;
  return statements_.find(shape->analysis.statement_name);
}

// Whether the statement reads, or executes one that does.
bool Session::may_be_read(Statement& statement) const {
  if (statement.text->lead != Lead::kUtility) return statement.text->lead == Lead::kRead;
  const StatementPtr executed = executed_statement(shape_of(statement).get());
  return executed && executed->text->lead == Lead::kRead;
}

// Whether it is, under the settings known last, a cacheable read.
bool Session::may_be_served(Statement& statement) const {
  if (statement.text->lead == Lead::kDml) return false;
  cache::ShapePtr shape = shape_of(statement);
  const StatementPtr executed = executed_statement(shape.get());
  if (executed) {
    if (executed->text->lead != Lead::kRead) return false;
    shape = shape_of(*executed);
  }
  return shape && !is_hopeless(*shape);
}

// Into executed_, for the statement's parameters. False: they are not as plain as that.
bool Session::read_arguments(const cache::Shape& call, const sql::StatementShape& scanned) {
  const cache::ShapePtr shape = shape_of(*executed_.statement);
  const std::vector<sql::ExecuteArgument>& arguments = call.analysis.call.arguments;
  executed_.texts.clear();
  executed_.parameters.clear();
  if (shape->analysis.cacheable() == nullptr) return false;
  const std::vector<pg::Oid>& types = shape->analysis.cacheable()->parameter_types;
  if (arguments.size() != types.size()) return false;
  executed_.texts.reserve(arguments.size());  // the parameters point into it
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    auto text = sql::argument_text(arguments[i], scanned.literals, types[i]);
    if (!text) return false;
    wire::BindParameter parameter;
    parameter.is_null = !*text;
    if (*text) parameter.bytes = executed_.texts.emplace_back(std::move(**text));
    executed_.parameters.push_back(parameter);
  }
  return true;
}

// Whether what the origin has under the name is what the text means now.
bool Session::is_current(Statement& statement) {
  if (statement.changed) return false;
  const cache::ShapePtr shape = shape_of(statement);
  const sql::CacheableQuery* const query = shape ? shape->analysis.cacheable() : nullptr;
  return query == nullptr || (statement.accepted_doubts == doubts_ &&
                              statement.accepted_generation == env_.shapes->generation() &&
                              means_what_it_meant(statement, *query));
}

// gate() is open. The candidate becomes a read of the statement that the call executes.
Verdict Session::decide_executed(ReadCandidate& candidate, const cache::Shape& call,
                                 const sql::StatementShape& scanned) {
  executed_.statement = executed_statement(&call);
  if (!executed_.statement) return bypass(BypassReason::kUnknownStatement);
  if (!may_be_served(*executed_.statement)) return bypass(BypassReason::kNotRead);
  if (scanned.pgcache_off) return bypass(BypassReason::kComment);
  candidate.shape = shape_of(*executed_.statement);
  candidate.by_execute = true;
  if (const auto* no = candidate.shape->analysis.not_cacheable()) return bypass(no->reason);
  if (!read_arguments(call, scanned)) return bypass(BypassReason::kParameterValue);
  if (!is_current(*executed_.statement)) return miss();
  candidate.sql = executed_.statement->text->sql;
  candidate.statement_shape = &executed_.statement->text->shape;
  candidate.parameters = &executed_.parameters;
  return decide(candidate);
}

// Whether the read may call a function that somebody has written: by a name in its text, or in that
// of a view. One behind an operator or a cast is not found.
bool Session::calls_own_function(std::string_view sql, const cache::Shape& shape) const {
  const std::shared_ptr<const pg::Catalog> catalog = env_.shapes->catalog();
  if (!catalog) return true;
  const auto is_own = [&catalog](std::string_view name) {
    constexpr pg::Oid kPgCatalogSchema{11};
    const std::vector<pg::Function>& functions = catalog->functions_named(name);
    return std::any_of(functions.begin(), functions.end(),
                       [](const pg::Function& f) { return f.schema != kPgCatalogSchema; });
  };
  if (const auto* no = shape.analysis.not_cacheable()) {
    if (is_own(std::string_view(no->detail).substr(0, no->detail.find('(')))) return true;
  }
  for (std::size_t at = sql.find('('); at != std::string_view::npos; at = sql.find('(', at + 1)) {
    std::size_t end = at;
    while (end > 0 && (sql[end - 1] == ' ' || sql[end - 1] == '"')) --end;
    std::size_t start = end;
    while (start > 0 && is_of_name(sql[start - 1])) --start;
    std::string name(sql.substr(start, end - start));
    if (is_own(name)) return true;
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (is_own(name)) return true;
  }
  return false;
}

// effects_of() a text that goes to the origin.
Effects Session::text_effects(Lead lead, std::string_view sql, const cache::ShapePtr& shape) const {
  Effects effects = effects_of(lead, sql, proven(shape));
  if (effects.may_have_written && !effects.wrote && shape) {
    effects.calls_functions = calls_own_function(sql, *shape);
  }
  return effects;
}

// If it is a PREPARE: what it makes, should it succeed.
void Session::note_prepare(Inflight& inflight, std::string_view sql, const cache::Shape* shape) {
  if (shape == nullptr || shape->analysis.kind != StatementKind::kPrepare) return;
  foreign_statements_ |= !settings_;
  if (!settings_) return;
  const std::shared_ptr<const pg::Catalog> catalog = env_.shapes->catalog();
  sql::AnalysisContext context;
  context.catalog = catalog.get();
  context.search_path = scope().search_path_oids;
  context.standard_conforming_strings = needs_conforming();
  const std::optional<sql::Prepared> prepared = sql::read_prepare(sql, context);
  foreign_statements_ |= !prepared;
  if (!prepared || prepared->name.empty()) return;
  std::string types_be;
  for (const pg::Oid type : prepared->parameter_types) append_be32(types_be, pg::to_u32(type));
  inflight.prepared = make_statement(prepared->sql, types_be);
  inflight.prepared->at_origin = true;
  inflight.prepared_name = prepared->name;
}

}  // namespace pgcache::proxy
