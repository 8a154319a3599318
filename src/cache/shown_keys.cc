// SPDX-License-Identifier: Apache-2.0
#include "cache/shown_keys.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/hash.h"

namespace pgcache::cache {

namespace {

// Of each: tag u8, length u32 with itself, and in a DataRow the number of fields u16, then for each
// its length i32 (-1 for NULL) and its bytes.
constexpr std::uint8_t kDataRow = 'D';
constexpr std::uint32_t kNullLength = 0xffffffff;

void append_part(std::string& key, const pg::Value& value) {
  key += static_cast<char>(value.family());
  append_be32(key, static_cast<std::uint32_t>(value.bytes().size()));
  key += value.bytes();
}

// Where the client's encoding matters.
bool is_textual(pg::ValueFamily family) {
  return family == pg::ValueFamily::kText || family == pg::ValueFamily::kName ||
         family == pg::ValueFamily::kBpchar || family == pg::ValueFamily::kEnum;
}

std::optional<bool> is_binary(std::string_view formats_be, std::size_t position) {
  if (formats_be.size() % 2 != 0) return std::nullopt;
  if (formats_be.empty()) return false;
  const std::size_t at = formats_be.size() == 2 ? 0 : 2 * position;
  if (at + 2 > formats_be.size()) return std::nullopt;
  const std::uint16_t format = load_be16(formats_be.data() + at);
  if (format > 1) return std::nullopt;
  return format == 1;
}

std::optional<pg::Value> parse_field(const pg::ValueType& type, bool binary,
                                     std::string_view bytes) {
  // The client's encoding agrees with the stream's on ASCII.
  const bool is_ascii = std::all_of(bytes.begin(), bytes.end(),
                                    [](char c) { return static_cast<signed char>(c) >= 0; });
  if (is_textual(type.family) && !is_ascii) return std::nullopt;
  return binary ? pg::parse_binary(type, bytes) : pg::parse_text(type, bytes);
}

// The fields of one DataRow's body; nothing when it is malformed.
bool read_fields(std::string_view body, std::vector<std::optional<std::string_view>>& fields) {
  ByteReader in(body);
  const std::size_t count = in.u16();
  fields.clear();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    const std::uint32_t length = in.u32();
    if (length == kNullLength) {
      fields.emplace_back();
    } else {
      fields.emplace_back(in.bytes(length));
    }
  }
  return in.ok() && in.at_end();
}

enum class RowKey { kShown, kNoRow, kUnreadable };

RowKey read_key(const std::vector<sql::ShownColumn>& columns, const std::vector<bool>& binary,
                const std::vector<std::optional<std::string_view>>& fields, std::string& key) {
  key.clear();
  bool is_null = false;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const sql::ShownColumn& shown = columns[i];
    if (shown.position >= fields.size()) return RowKey::kUnreadable;
    const std::optional<std::string_view>& field = fields[shown.position];
    if (!field) {
      is_null = true;  // rows with NULL are not looked for in this way
      continue;
    }
    const std::optional<pg::Value> value = parse_field(*shown.type, binary[i], *field);
    if (!value) return RowKey::kUnreadable;
    append_part(key, *value);
  }
  return is_null ? RowKey::kNoRow : RowKey::kShown;
}

}  // namespace

std::optional<std::uint64_t> key_hash(const std::vector<sql::ShownColumn>& columns,
                                      const RowImage& image) {
  std::string key;
  for (const sql::ShownColumn& shown : columns) {
    const sql::Operand& value = image.look(shown.column);
    if (!value.known()) return std::nullopt;
    append_part(key, *value.value);
  }
  return hash_bytes(key);
}

std::optional<ShownKeys> read_shown_keys(const sql::Dependency& dependency,
                                         const CachedResult& result, std::string_view formats_be,
                                         std::uint64_t rows_max) {
  const std::vector<sql::ShownColumn>& columns = dependency.shown.columns;
  if (columns.empty() || result.row_count > rows_max) return std::nullopt;
  std::vector<bool> binary;
  for (const sql::ShownColumn& shown : columns) {
    const std::optional<bool> format = is_binary(formats_be, shown.position);
    if (!format) return std::nullopt;
    binary.push_back(*format);
  }
  ShownKeys keys;
  std::vector<std::optional<std::string_view>> fields;
  std::string key;
  ByteReader in(result.rows);
  std::uint64_t rows = 0;
  while (!in.at_end()) {
    const std::uint8_t tag = in.u8();
    const std::uint32_t length = in.u32();
    const std::string_view body = in.bytes(length < 4 ? 0 : length - 4);
    if (!in.ok() || length < 4) return std::nullopt;
    if (tag != kDataRow) continue;
    if (++rows > rows_max || !read_fields(body, fields)) return std::nullopt;
    const RowKey row = read_key(columns, binary, fields, key);
    if (row == RowKey::kUnreadable) return std::nullopt;
    if (row == RowKey::kShown) keys.push_back(hash_bytes(key));
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  keys.shrink_to_fit();
  return keys;
}

}  // namespace pgcache::cache
