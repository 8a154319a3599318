// SPDX-License-Identifier: Apache-2.0
#include "wire/frontend.h"

#include "base/bytes.h"

namespace pgcache::wire {

std::optional<std::string_view> parse_query(std::string_view body) {
  ByteReader reader(body);
  const std::string_view sql = reader.cstring();
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return sql;
}

std::vector<pg::Oid> Parse::parameter_types() const {
  std::vector<pg::Oid> types;
  types.reserve(parameter_types_be.size() / 4);
  for (std::size_t i = 0; i + 4 <= parameter_types_be.size(); i += 4) {
    types.push_back(pg::Oid{load_be32(parameter_types_be.data() + i)});
  }
  return types;
}

std::optional<Parse> parse_parse(std::string_view body) {
  ByteReader reader(body);
  Parse parse;
  parse.statement = reader.cstring();
  parse.sql = reader.cstring();
  const std::uint16_t count = reader.u16();
  parse.parameter_types_be = reader.bytes(std::size_t{count} * 4);
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return parse;
}

bool parse_bind(std::string_view body, Bind& bind) {
  ByteReader reader(body);
  bind.portal = reader.cstring();
  bind.statement = reader.cstring();
  bind.rest = reader.ok() ? body.substr(body.size() - reader.remaining()) : std::string_view{};
  const std::uint16_t format_count = reader.u16();
  const std::string_view formats = reader.bytes(std::size_t{format_count} * 2);
  const std::uint16_t count = reader.u16();
  if (!reader.ok() || (format_count > 1 && format_count != count)) return false;
  if (reader.remaining() < std::size_t{count} * 4) return false;
  bind.parameters.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    BindParameter& parameter = bind.parameters[i];
    const std::size_t at = format_count == 1 ? 0 : i;
    const std::uint16_t format = format_count == 0 ? 0 : load_be16(formats.data() + 2 * at);
    const std::int32_t length = reader.i32();
    if (format > 1 || length < -1) return false;
    parameter.binary = format == 1;
    parameter.is_null = length == -1;
    parameter.bytes = {};
    if (length > 0) parameter.bytes = reader.bytes(static_cast<std::size_t>(length));
  }
  const std::uint16_t result_count = reader.u16();
  bind.result_formats_be = reader.bytes(std::size_t{result_count} * 2);
  if (!reader.ok() || !reader.at_end()) return false;
  return true;
}

std::optional<Bind> parse_bind(std::string_view body) {
  Bind bind;
  if (!parse_bind(body, bind)) return std::nullopt;
  return bind;
}

std::optional<Target> parse_target(std::string_view body) {
  ByteReader reader(body);
  Target target;
  target.kind = static_cast<char>(reader.u8());
  target.name = reader.cstring();
  if (!reader.ok() || !reader.at_end() || (target.kind != 'S' && target.kind != 'P')) {
    return std::nullopt;
  }
  return target;
}

std::optional<Execute> parse_execute(std::string_view body) {
  ByteReader reader(body);
  Execute execute;
  execute.portal = reader.cstring();
  execute.row_limit = reader.i32();
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return execute;
}

}  // namespace pgcache::wire
