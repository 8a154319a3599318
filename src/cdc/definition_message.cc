// SPDX-License-Identifier: Apache-2.0
#include "cdc/definition_message.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace pgcache::cdc {

namespace {

using pg::DefinitionChange;
using pg::Oid;

struct Line {
  std::string_view event, tag, type, relation, schema, name, kin;
};

std::string_view take_until(std::string_view& text, char end) {
  const std::size_t at = std::min(text.find(end), text.size());
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return taken;
}

std::optional<Line> read_line(std::string_view text) {
  if (std::count(text.begin(), text.end(), '\t') != 6) return std::nullopt;
  Line line;
  for (std::string_view Line::*field : {&Line::event, &Line::tag, &Line::type, &Line::relation,
                                        &Line::schema, &Line::name, &Line::kin}) {
    line.*field = take_until(text, '\t');
  }
  return line;
}

std::optional<Oid> read_oid(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return Oid{value};
}

// Neither rows nor names mean anything else after these.
bool is_harmless(std::string_view tag) {
  constexpr std::array<std::string_view, 9> kHarmless = {
      "COMMENT",          "SECURITY LABEL",  "CREATE STATISTICS",
      "ALTER STATISTICS", "DROP STATISTICS", "REFRESH MATERIALIZED VIEW",
      "REINDEX",          "ANALYZE",         "ALTER DEFAULT PRIVILEGES"};
  return std::find(kHarmless.begin(), kHarmless.end(), tag) != kHarmless.end();
}

// Objects that are a relation, or a part of one.
bool is_of_relation(std::string_view type) {
  constexpr std::array<std::string_view, 17> kTypes = {"table",
                                                       "view",
                                                       "materialized view",
                                                       "foreign table",
                                                       "sequence",
                                                       "index",
                                                       "table column",
                                                       "view column",
                                                       "foreign table column",
                                                       "materialized view column",
                                                       "table constraint",
                                                       "trigger",
                                                       "rule",
                                                       "policy",
                                                       "default value",
                                                       "partitioned table",
                                                       "partitioned index"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

// Of an index `relation` is the table, and the catalog does not know what it was called.
bool may_shadow(const Line& line, Oid relation, const pg::Catalog& catalog) {
  if (line.name.empty()) return false;
  const bool is_index = line.type == "index" || line.type == "partitioned index";
  return pg::may_shadow(catalog, is_index ? Oid::kInvalid : relation, line.schema, line.name);
}

DefinitionChange read_change(const Line& line, const pg::Catalog& catalog) {
  if (line.event == "all") return DefinitionChange::of_everything();
  if (is_harmless(line.tag)) return {};
  const std::optional<Oid> relation = read_oid(line.relation);
  if (!relation || *relation == Oid::kInvalid || !is_of_relation(line.type) ||
      may_shadow(line, *relation, catalog)) {
    return DefinitionChange::of_everything();
  }
  // Another index tells more of rows than was known, and nothing else than that.
  if (line.tag == "CREATE INDEX") return {};
  DefinitionChange change;
  change.add(*relation);
  std::string_view kin = line.kin;
  while (!kin.empty()) {
    const std::optional<Oid> oid = read_oid(take_until(kin, ' '));
    if (!oid) return DefinitionChange::of_everything();
    change.add(*oid);
  }
  return pg::with_kin(std::move(change), catalog);
}

}  // namespace

DefinitionChange definitions_changed(const std::vector<LogicalMessage>& messages,
                                     const pg::Catalog* catalog) {
  DefinitionChange changes;
  for (const LogicalMessage& message : messages) {
    if (message.prefix != kDefinitionPrefix) continue;
    std::string_view content = message.content;
    if (catalog == nullptr || take_until(content, '\n') != "1" || content.empty()) {
      return DefinitionChange::of_everything();
    }
    while (!content.empty() && !changes.everything) {
      const std::optional<Line> line = read_line(take_until(content, '\n'));
      changes.merge(line ? read_change(*line, *catalog) : DefinitionChange::of_everything());
    }
  }
  return changes;
}

}  // namespace pgcache::cdc
