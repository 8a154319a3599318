// SPDX-License-Identifier: Apache-2.0
#include "wire/backend.h"

#include "base/bytes.h"
#include "wire/frame.h"

namespace pgcache::wire {

std::optional<std::vector<std::optional<std::string_view>>> parse_data_row(std::string_view body) {
  ByteReader reader(body);
  const std::uint16_t count = reader.u16();
  if (!reader.ok() || reader.remaining() < std::size_t{count} * 4) return std::nullopt;
  std::vector<std::optional<std::string_view>> columns(count);
  for (auto& column : columns) {
    const std::int32_t length = reader.i32();
    if (length < -1) return std::nullopt;
    if (length >= 0) column = reader.bytes(static_cast<std::size_t>(length));
  }
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return columns;
}

std::optional<std::pair<std::string_view, std::string_view>> parse_parameter_status(
    std::string_view body) {
  ByteReader reader(body);
  const std::string_view name = reader.cstring();
  const std::string_view value = reader.cstring();
  if (!reader.ok()) return std::nullopt;
  return std::pair(name, value);
}

std::string_view error_field(std::string_view body, char code) {
  ByteReader reader(body);
  while (reader.ok() && !reader.at_end()) {
    const char field = static_cast<char>(reader.u8());
    if (field == 0) break;
    const std::string_view value = reader.cstring();
    if (field == code) return value;
  }
  return {};
}

std::optional<std::string> with_result_formats(std::string_view description,
                                               std::string_view formats_be) {
  std::string out(description);
  if (description.starts_with('n')) return out;
  constexpr std::size_t kHeader = kHeaderBytes;
  constexpr std::size_t kBeforeFormat = 16;  // table, column, type, size, modifier
  if (description.size() < kHeader) return std::nullopt;
  ByteReader reader(description.substr(kHeader));
  const std::uint16_t columns = reader.u16();
  for (std::uint16_t i = 0; i < columns; ++i) {
    (void)reader.cstring();
    (void)reader.bytes(kBeforeFormat);
    const std::size_t at = description.size() - reader.remaining();
    (void)reader.u16();
    if (!reader.ok()) return std::nullopt;
    const std::size_t of = formats_be.size() > 2 ? std::size_t{i} * 2 : 0;
    const bool given = formats_be.size() >= of + 2;
    out[at] = given ? formats_be[of] : '\0';
    out[at + 1] = given ? formats_be[of + 1] : '\0';
  }
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return out;
}

bool same_columns(std::string_view description, std::string_view other) {
  if (description.empty() || other.empty() || description.front() != other.front()) return false;
  if (description.front() != 'T') return true;
  constexpr std::size_t kTable = 6;  // and the column's number in it
  constexpr std::size_t kType = 10;  // oid, size, modifier
  constexpr std::size_t kFormat = 2;
  if (description.size() < kHeaderBytes || other.size() < kHeaderBytes) return false;
  ByteReader ours(description.substr(kHeaderBytes));
  ByteReader theirs(other.substr(kHeaderBytes));
  const std::uint16_t columns = ours.u16();
  if (theirs.u16() != columns) return false;
  for (std::uint16_t i = 0; i < columns; ++i) {
    if (ours.cstring() != theirs.cstring()) return false;
    (void)ours.bytes(kTable);
    (void)theirs.bytes(kTable);
    if (ours.bytes(kType) != theirs.bytes(kType)) return false;
    (void)ours.bytes(kFormat);
    (void)theirs.bytes(kFormat);
    if (!ours.ok() || !theirs.ok()) return false;
  }
  return ours.at_end() && theirs.at_end();
}

std::string_view command_tag(std::string_view body) { return body.substr(0, body.find('\0')); }

}  // namespace pgcache::wire
