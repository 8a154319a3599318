// SPDX-License-Identifier: Apache-2.0
// What pgcache makes of one statement: whether its results may be cached or why not, what their key
// holds, and which row changes drop them. Made from the catalog alone: what the session, the stream
// and the publication add to it is not seen. Pure; any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pg/catalog.h"
#include "sql/analysis.h"

namespace pgcache::admin {

// What explain knows of the program and its origin.
struct ExplainContext {
  const pg::Catalog* catalog = nullptr;
  // Why results over a table are not cached although it could be (the configuration's lists); may
  // be empty.
  std::function<std::optional<sql::NotCacheable>(const pg::Relation&)> objection;
  std::vector<std::string> key_settings;  // names of the settings that the result key holds
  std::size_t query_bytes_max = 64u << 10;
};

struct ExplainRequest {
  std::string text;
  // Schemas as in the setting search_path; pg_catalog stands first unless it is named. Those that
  // do not exist do not count.
  std::vector<std::string> search_path{"public"};
  // Of the parameters, as a client may declare them: "int4", "text[]", "shop.mood"; empty:
  // inferred.
  std::vector<std::string> types;
  bool standard_conforming_strings = true;
};

struct ExplainedValue {
  std::string name;  // "?1", "$1"
  std::string type;  // empty: not known
  std::string text;  // of a literal
};

struct ExplainedDependency {
  std::string relation;              // "shop.users"
  std::vector<std::string> members;  // the same for all whose changes count, itself included
  std::vector<std::string> keys;     // "id = $1"
  std::string range;
  std::string residual;                                  // empty: none
  std::string guard;                                     // empty: none
  std::vector<std::string> member_guards;                // "shop.users_1: kind = $1"
  std::vector<std::string> partners;                     // "shop.orders: #1.user_id = id"
  std::optional<std::vector<std::string>> columns_read;  // nothing: all
  std::vector<std::string> shown;                        // "id in result column 1"
  std::vector<std::string> bounds;  // what the result tells of rows that it does not show
  std::string shown_rule;           // which changes matter by that
  std::vector<std::string> passes;
  std::string identity;   // "default (id)", "full", "nothing", "index (code)", "mixed"
  std::string precision;  // what that means for the results, in one sentence or two
};

struct Explanation {
  bool cacheable = false;
  // Why not.
  std::string reason;  // label of the BypassReason
  std::string detail;
  std::string advice;
  std::string shape;
  std::vector<ExplainedValue> literals;
  std::vector<ExplainedValue> parameters;
  std::vector<std::string> key;     // what the result key holds
  std::vector<std::string> passes;  // that changed the query
  std::vector<ExplainedDependency> dependencies;
};

// An error when the request itself is wrong (a type that does not exist).
Result<Explanation> explain(const ExplainContext& context, const ExplainRequest& request);

std::string explanation_text(const Explanation& explanation);
std::string explanation_json(const Explanation& explanation);

// "a, \"B b\", $user" → a, B b; $user and empty names are left out.
std::vector<std::string> parse_search_path(std::string_view text);

// "int4, text,,bool" → int4 text "" bool; blanks around the names do not count.
std::vector<std::string> split_types(std::string_view text);

// What to do about it, in one sentence.
std::string_view advice_for(sql::BypassReason reason);

}  // namespace pgcache::admin
