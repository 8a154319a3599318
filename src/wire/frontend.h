// SPDX-License-Identifier: Apache-2.0
// Bodies of the frontend messages that pgcache looks into (manual, 55.7). A body that does not
// parse yields nothing: such a message is relayed, and the origin says what is wrong with it. Views
// live as long as the frame. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "pg/ids.h"

namespace pgcache::wire {

// The text of a Query message.
std::optional<std::string_view> parse_query(std::string_view body);

struct Parse {
  std::string_view statement;
  std::string_view sql;
  std::string_view parameter_types_be;  // int32 each, as on the wire
  std::vector<pg::Oid> parameter_types() const;
};
std::optional<Parse> parse_parse(std::string_view body);

struct BindParameter {
  bool is_null = false;
  bool binary = false;
  std::string_view bytes;
};
struct Bind {
  std::string_view portal;
  std::string_view statement;
  std::vector<BindParameter> parameters;
  std::string_view result_formats_be;  // int16 each, as on the wire
  std::string_view rest;               // all that stands behind the names
};
// Format codes other than 0 and 1, and a format list that is neither empty, one, nor one for each
// parameter, yield nothing.
std::optional<Bind> parse_bind(std::string_view body);
bool parse_bind(std::string_view body, Bind& into);  // reuses its memory

struct Target {     // of Describe and Close
  char kind = 'S';  // S statement, P portal
  std::string_view name;
};
std::optional<Target> parse_target(std::string_view body);

struct Execute {
  std::string_view portal;
  std::int32_t row_limit = 0;  // 0: all
};
std::optional<Execute> parse_execute(std::string_view body);

}  // namespace pgcache::wire
