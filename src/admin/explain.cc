// SPDX-License-Identifier: Apache-2.0
// Statement → analysis → Explanation.
#include "admin/explain.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <utility>

#include "sql/describe.h"

namespace pgcache::admin {
namespace {

using pg::Oid;
using sql::BypassReason;
using sql::OperandSpec;

constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kTypeAliases{
    {{"integer", "int4"},
     {"int", "int4"},
     {"bigint", "int8"},
     {"smallint", "int2"},
     {"boolean", "bool"},
     {"real", "float4"},
     {"double precision", "float8"},
     {"decimal", "numeric"},
     {"character varying", "varchar"},
     {"character", "bpchar"},
     {"char", "bpchar"},
     {"timestamp with time zone", "timestamptz"}}};

std::string type_name(const pg::Catalog& catalog, Oid oid) {
  const pg::Type* type = catalog.find_type(oid);
  if (type == nullptr || oid == pg::type::kUnknown) return {};
  if (const pg::Type* element = catalog.find_type(type->element); element != nullptr) {
    return type_name(catalog, element->oid) + "[]";
  }
  const std::string* schema = catalog.schema_name(type->schema);
  const bool system = schema == nullptr || *schema == "pg_catalog";
  return system ? type->name : *schema + "." + type->name;
}

// kInvalid for an empty name: to be inferred. Nothing when there is no such type.
std::optional<Oid> find_type(const pg::Catalog& catalog, const std::vector<Oid>& search_path,
                             std::string_view name) {
  if (name.empty()) return Oid::kInvalid;
  if (name.ends_with("[]")) {
    const std::optional<Oid> element =
        find_type(catalog, search_path, name.substr(0, name.size() - 2));
    const pg::Type* type = element ? catalog.find_type(*element) : nullptr;
    if (type == nullptr || type->array == Oid::kInvalid) return std::nullopt;
    return type->array;
  }
  for (const auto& [alias, real] : kTypeAliases) {
    if (name == alias) name = real;
  }
  const auto in_schema = [&](Oid schema, std::string_view plain) -> std::optional<Oid> {
    const pg::Type* type = catalog.find_type(schema, plain);
    return type == nullptr ? std::nullopt : std::optional(type->oid);
  };
  if (const std::size_t dot = name.find('.'); dot != std::string_view::npos) {
    return in_schema(catalog.find_schema(name.substr(0, dot)), name.substr(dot + 1));
  }
  for (const Oid schema : search_path) {
    if (const auto found = in_schema(schema, name)) return found;
  }
  return std::nullopt;
}

std::vector<Oid> resolve_search_path(const pg::Catalog& catalog,
                                     const std::vector<std::string>& schemas) {
  std::vector<Oid> path;
  const Oid system = catalog.find_schema("pg_catalog");
  if (std::find(schemas.begin(), schemas.end(), "pg_catalog") == schemas.end()) {
    path.push_back(system);
  }
  for (const std::string& schema : schemas) {
    const Oid oid = catalog.find_schema(schema);
    if (oid != Oid::kInvalid && std::find(path.begin(), path.end(), oid) == path.end()) {
      path.push_back(oid);
    }
  }
  return path;
}

std::string relation_name(const pg::Catalog& catalog, Oid oid) {
  const pg::Relation* relation = catalog.find_relation(oid);
  if (relation == nullptr) return std::to_string(pg::to_u32(oid));
  return relation->schema_name + "." + relation->name;
}

std::string join(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

std::string_view kind_name(sql::LiteralKind kind) {
  switch (kind) {
    case sql::LiteralKind::kInt4:
      return "int4";
    case sql::LiteralKind::kInt8:
      return "int8";
    case sql::LiteralKind::kNumeric:
      return "numeric";
    case sql::LiteralKind::kString:
      return "";
  }
  return "";
}

// A number's type is what its spelling says, a string's what its comparisons read it as.
std::vector<ExplainedValue> explain_literals(const pg::Catalog& catalog,
                                             const sql::StatementShape& shape,
                                             const sql::CacheableQuery* query) {
  std::vector<ExplainedValue> out;
  for (std::size_t i = 0; i < shape.literals.size(); ++i) {
    const sql::Literal& literal = shape.literals[i];
    ExplainedValue value{"?" + std::to_string(i + 1), std::string(kind_name(literal.kind)),
                         literal.text};
    if (query != nullptr && value.type.empty()) {
      for (const OperandSpec& operand : query->operands) {
        if (operand.source != OperandSpec::Source::kLiteral || operand.index != i) continue;
        value.type = type_name(catalog, operand.type);
      }
    }
    out.push_back(std::move(value));
  }
  return out;
}

std::vector<ExplainedValue> explain_parameters(const pg::Catalog& catalog,
                                               const std::vector<Oid>& declared,
                                               const sql::CacheableQuery* query) {
  std::vector<Oid> types = declared;
  if (query != nullptr) {
    types.resize(std::max(types.size(), query->parameter_types.size()), Oid::kInvalid);
    for (std::size_t i = 0; i < query->parameter_types.size(); ++i) {
      if (types[i] == Oid::kInvalid) types[i] = query->parameter_types[i];
    }
  }
  std::vector<ExplainedValue> out;
  for (std::size_t i = 0; i < types.size(); ++i) {
    out.push_back({"$" + std::to_string(i + 1), type_name(catalog, types[i]), {}});
  }
  return out;
}

std::vector<std::string> explain_key(const ExplainContext& context, const Explanation& made) {
  std::vector<std::string> key{"the statement's shape under the schemas of search_path",
                               "database, current_user, session_user, client_encoding and "
                               "standard_conforming_strings"};
  if (!context.key_settings.empty()) key.push_back("settings: " + join(context.key_settings));
  key.emplace_back("simple or extended protocol, and the formats of the result columns");
  const auto names = [](const std::vector<ExplainedValue>& values) {
    std::vector<std::string> out;
    for (const ExplainedValue& value : values) out.push_back(value.name);
    return join(out);
  };
  if (!made.literals.empty()) key.push_back("literals: " + names(made.literals));
  if (!made.parameters.empty()) {
    key.push_back("parameters, each with its format: " + names(made.parameters));
  }
  return key;
}

std::string identity_of(const pg::Relation& relation) {
  const std::string columns =
      relation.key_columns.empty() ? "" : " (" + join(relation.key_columns) + ")";
  switch (relation.replica_identity) {
    case 'f':
      return relation.has_replica_identity ? "full" : "full, but unusable: generated columns";
    case 'i':
      return relation.has_replica_identity ? "index" + columns : "index, but there is none";
    case 'd':
      return relation.has_replica_identity ? "default" + columns : "default, without primary key";
    default:
      return "nothing";
  }
}

// The tables whose rows count, among the members.
std::vector<const pg::Relation*> row_tables(const pg::Catalog& catalog,
                                            const sql::Dependency& dependency) {
  std::vector<const pg::Relation*> tables;
  for (const Oid member : dependency.members) {
    const pg::Relation* relation = catalog.find_relation(member);
    if (relation != nullptr && relation->kind == 'r') tables.push_back(relation);
  }
  return tables;
}

std::set<std::string> decisive_columns(const sql::Dependency& dependency) {
  std::set<std::string> columns;
  for (const sql::EqualityBinding& binding : dependency.equalities) {
    columns.insert(binding.column.name);
  }
  if (dependency.range) columns.insert(dependency.range->column.name);
  sql::each_column(dependency.residual,
                   [&](const sql::ColumnRef& column) { columns.insert(column.name); });
  return columns;
}

// What knowing only a row's key before an UPDATE or DELETE means for the dependency.
std::string precision_with_key(const sql::Dependency& dependency, const pg::Relation& table) {
  const std::set<std::string> decisive = decisive_columns(dependency);
  const std::string spares =
      dependency.reads_all_columns
          ? ""
          : " REPLICA IDENTITY FULL would spare UPDATEs that change no column read.";
  if (decisive.empty()) return "Any change to a row drops the result." + spares;
  std::vector<std::string> unknown;
  std::copy_if(decisive.begin(), decisive.end(), std::back_inserter(unknown),
               [&](const std::string& name) {
                 return std::find(table.key_columns.begin(), table.key_columns.end(), name) ==
                        table.key_columns.end();
               });
  if (unknown.empty()) {
    return "The key of a changed row decides whether the result can be affected." + spares;
  }
  const std::string names = join(unknown);
  const std::vector<sql::ShownColumn>& shown = dependency.shown.columns;
  const bool shows_key =
      dependency.shown.before && std::all_of(shown.begin(), shown.end(), [&](const auto& column) {
        return std::find(table.key_columns.begin(), table.key_columns.end(), column.column.name) !=
               table.key_columns.end();
      });
  if (shows_key) {
    return "The stream does not tell the former " + names +
           " of a changed row; the result is dropped only if it shows the row's key, or if the new "
           "row matters." +
           spares;
  }
  return "The stream does not tell the former " + names +
         " of a changed row, unless pgcache remembers the row: an UPDATE or DELETE may drop "
         "results "
         "that it did not concern. REPLICA IDENTITY FULL makes it exact.";
}

void explain_identity(const pg::Catalog& catalog, const sql::Dependency& dependency,
                      ExplainedDependency& out) {
  const std::vector<const pg::Relation*> tables = row_tables(catalog, dependency);
  if (tables.empty()) {
    out.identity = "none";
    out.precision = "There is no table with rows below it yet.";
    return;
  }
  const auto differs = std::find_if(tables.begin(), tables.end(), [&](const pg::Relation* table) {
    return identity_of(*table) != identity_of(*tables[0]);
  });
  out.identity = differs == tables.end() ? identity_of(*tables[0]) : "mixed";
  const auto by_key = std::find_if(tables.begin(), tables.end(), [](const pg::Relation* table) {
    return table->replica_identity != 'f';
  });
  if (by_key != tables.end()) {
    out.precision = precision_with_key(dependency, **by_key);
  } else {
    out.precision =
        "Rows are known whole before and after each change: only what concerns the "
        "result drops it.";
  }
}

std::string column_shown(const sql::ShownColumn& shown) {
  return shown.column.name + " in result column " + std::to_string(shown.position + 1);
}

std::string columns_shown(const std::vector<sql::ShownColumn>& columns) {
  std::string out;
  for (const sql::ShownColumn& column : columns) {
    out += (out.empty() ? "" : ", ") + column_shown(column);
  }
  return out;
}

void explain_shown(const sql::Shown& shown, ExplainedDependency& out) {
  for (const sql::ShownColumn& column : shown.columns) out.shown.push_back(column_shown(column));
  if (shown.before && shown.after) {
    out.shown_rule = "A row matters only if the result shows it.";
  } else if (shown.before) {
    out.shown_rule = "A row that goes or changes matters only if the result shows it.";
  } else if (shown.after) {
    out.shown_rule = "A row that comes matters only if the result shows it.";
  }
}

void explain_bounds(const sql::Dependency& dependency, const sql::CacheableQuery& query,
                    ExplainedDependency& out) {
  if (dependency.cutoff) {
    const sql::Cutoff& cutoff = *dependency.cutoff;
    std::string line = "of a full result (" + sql::describe_operand(cutoff.limit, query) +
                       " rows), rows after the last do not matter: " + columns_shown(cutoff.by);
    if (cutoff.descending) line += ", descending";
    if (cutoff.place) line += ", where it is number " + sql::describe_operand(*cutoff.place, query);
    out.bounds.push_back(std::move(line));
  }
  if (!dependency.repeated.empty()) {
    out.bounds.push_back("rows that come do not matter if the result shows the same: " +
                         columns_shown(dependency.repeated));
  }
  for (const sql::Extreme& extreme : dependency.extremes) {
    out.bounds.push_back(std::string("rows do not matter unless ") +
                         (extreme.greatest ? "greater" : "less") +
                         " than is shown: " + column_shown(extreme.value));
  }
}

ExplainedDependency explain_dependency(const pg::Catalog& catalog,
                                       const sql::Dependency& dependency,
                                       const sql::CacheableQuery& query) {
  using Kind = sql::Predicate::Kind;
  ExplainedDependency out;
  out.relation = relation_name(catalog, dependency.relation);
  for (const Oid member : dependency.members) {
    out.members.push_back(relation_name(catalog, member));
  }
  for (const sql::EqualityBinding& binding : dependency.equalities) {
    out.keys.push_back(sql::describe_key(binding, query));
  }
  if (dependency.value_binding) {
    out.keys.push_back(sql::describe_key(*dependency.value_binding, query));
  }
  if (dependency.range) out.range = sql::describe_range(*dependency.range, query);
  if (dependency.residual.kind != Kind::kTrue) {
    out.residual = sql::describe(dependency.residual, query);
  }
  if (dependency.guard.kind != Kind::kTrue) out.guard = sql::describe(dependency.guard, query);
  for (const auto& [member, guard] : dependency.member_guards) {
    out.member_guards.push_back(relation_name(catalog, member) + ": " +
                                sql::describe(guard, query));
  }
  for (const sql::Partner& partner : dependency.partners) {
    std::string tables;
    for (const Oid table : partner.tables) {
      tables += (tables.empty() ? "" : ", ") + relation_name(catalog, table);
    }
    out.partners.push_back(tables + ": " + sql::describe(partner.condition, query));
  }
  if (!dependency.reads_all_columns) out.columns_read = dependency.columns_read;
  explain_shown(dependency.shown, out);
  explain_bounds(dependency, query, out);
  out.passes = dependency.passes;
  explain_identity(catalog, dependency, out);
  return out;
}

void refuse(Explanation& explanation, const sql::NotCacheable& why) {
  explanation.cacheable = false;
  explanation.reason = sql::label(why.reason);
  explanation.detail = why.detail;
  explanation.advice = advice_for(why.reason);
}

// What stands against tables whose statement is fine.
std::optional<sql::NotCacheable> table_objection(const ExplainContext& context,
                                                 const sql::CacheableQuery& query) {
  for (const Oid oid : query.relations) {
    const pg::Relation* relation = context.catalog->find_relation(oid);
    if (relation == nullptr) continue;
    if (context.objection) {
      if (auto why = context.objection(*relation)) return why;
    }
    if (relation->kind == 'r' && !relation->has_replica_identity) {
      return sql::NotCacheable{BypassReason::kNoReplicaIdentity,
                               relation_name(*context.catalog, oid)};
    }
  }
  return std::nullopt;
}

}  // namespace

Result<Explanation> explain(const ExplainContext& context, const ExplainRequest& request) {
  const pg::Catalog& catalog = *context.catalog;
  sql::AnalysisContext analysis_context;
  analysis_context.catalog = &catalog;
  analysis_context.search_path = resolve_search_path(catalog, request.search_path);
  analysis_context.standard_conforming_strings = request.standard_conforming_strings;
  analysis_context.trace_passes = true;
  for (const std::string& name : request.types) {
    const std::optional<Oid> type = find_type(catalog, analysis_context.search_path, name);
    if (!type) return Error{"there is no type \"" + name + "\""};
    analysis_context.parameter_types.push_back(*type);
  }
  Explanation out;
  if (request.text.size() > context.query_bytes_max) {
    refuse(out, {BypassReason::kQueryTooLong, std::to_string(request.text.size()) + " bytes"});
    return out;
  }
  const sql::StatementShape shape =
      sql::scan_shape(request.text, request.standard_conforming_strings);
  const sql::Analysis analysis = sql::analyze(request.text, shape, analysis_context);
  const sql::CacheableQuery* query = analysis.cacheable();
  out.shape = sql::describe_shape(shape);
  out.literals = explain_literals(catalog, shape, query);
  out.parameters = explain_parameters(catalog, analysis_context.parameter_types, query);
  if (query == nullptr) {
    refuse(out, *analysis.not_cacheable());
    return out;
  }
  out.cacheable = true;
  out.key = explain_key(context, out);
  out.passes = query->passes;
  for (const sql::Dependency& dependency : query->dependencies) {
    out.dependencies.push_back(explain_dependency(catalog, dependency, *query));
  }
  if (const auto why = table_objection(context, *query)) refuse(out, *why);
  return out;
}

std::vector<std::string> parse_search_path(std::string_view text) {
  std::vector<std::string> out;
  std::string name;
  bool quoted = false;
  const auto finish = [&] {
    if (!name.empty() && name != "$user") out.push_back(name);
    name.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      if (quoted && i + 1 < text.size() && text[i + 1] == '"') {
        name += text[++i];
      } else {
        quoted = !quoted;
      }
    } else if (quoted) {
      name += c;
    } else if (c == ',') {
      finish();
    } else if (c != ' ') {
      name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  finish();
  return out;
}

std::vector<std::string> split_types(std::string_view text) {
  std::vector<std::string> out;
  if (text.find_first_not_of(' ') == std::string_view::npos) return out;
  while (true) {
    const std::size_t end = std::min(text.find(','), text.size());
    std::string_view name = text.substr(0, end);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    out.emplace_back(name);
    if (end == text.size()) return out;
    text.remove_prefix(end + 1);
  }
}

}  // namespace pgcache::admin
