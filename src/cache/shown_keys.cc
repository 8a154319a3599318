// SPDX-License-Identifier: Apache-2.0
#include "cache/shown_keys.h"

#include <algorithm>
#include <span>
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

// The client's form of such a value says the same under every setting of its session, if it is
// understood at all. (Text of floats may be rounded, and intervals and bytea are spelled in ways
// that may be taken for another.)
constexpr pg::ValueFamily kPlainFamilies[] = {
    pg::ValueFamily::kBool,      pg::ValueFamily::kNumber,      pg::ValueFamily::kOid,
    pg::ValueFamily::kUuid,      pg::ValueFamily::kDate,        pg::ValueFamily::kTime,
    pg::ValueFamily::kTimestamp, pg::ValueFamily::kTimestamptz,
};
constexpr pg::ValueFamily kTextualFamilies[] = {pg::ValueFamily::kText, pg::ValueFamily::kName,
                                                pg::ValueFamily::kBpchar, pg::ValueFamily::kEnum};

bool is_one_of(std::span<const pg::ValueFamily> families, pg::ValueFamily family) {
  return std::find(families.begin(), families.end(), family) != families.end();
}
bool is_textual(pg::ValueFamily family) { return is_one_of(kTextualFamilies, family); }
bool is_plain(pg::ValueFamily family) {
  return is_one_of(kPlainFamilies, family) || is_textual(family);
}

// A column of the key and where the result shows it.
struct Shown {
  sql::ColumnRef column;
  pg::ValueFamily family = pg::ValueFamily::kBool;
  std::size_t position = 0;
  bool binary = false;
};

std::optional<bool> is_binary(std::string_view formats_be, std::size_t position) {
  if (formats_be.size() % 2 != 0) return std::nullopt;
  if (formats_be.empty()) return false;
  const std::size_t at = formats_be.size() == 2 ? 0 : 2 * position;
  if (at + 2 > formats_be.size()) return std::nullopt;
  const std::uint16_t format = load_be16(formats_be.data() + at);
  if (format > 1) return std::nullopt;
  return format == 1;
}

std::optional<std::vector<Shown>> columns_shown(const sql::Dependency& dependency,
                                                const pg::Catalog& catalog,
                                                std::string_view formats_be) {
  const pg::Relation* relation = catalog.find_relation(dependency.relation);
  if (!relation || relation->key_columns.size() != dependency.shown_key.size()) {
    return std::nullopt;
  }
  std::vector<Shown> columns;
  for (std::size_t i = 0; i < dependency.shown_key.size(); ++i) {
    const pg::Column* column = relation->find_column(relation->key_columns[i]);
    if (!column) return std::nullopt;
    const pg::ValueTypePtr type = pg::value_type_of(catalog, column->type);
    const auto binary = is_binary(formats_be, dependency.shown_key[i]);
    if (!type || !is_plain(type->family) || !binary) return std::nullopt;
    Shown shown;
    shown.column.name = column->name;
    shown.column.type = column->type;
    shown.column.value_type = type;
    shown.family = type->family;
    shown.position = dependency.shown_key[i];
    shown.binary = *binary;
    columns.push_back(std::move(shown));
  }
  return columns;
}

std::optional<pg::Value> parse_field(const Shown& shown, std::string_view bytes) {
  // The client's encoding agrees with the stream's on ASCII.
  const bool is_ascii = std::all_of(bytes.begin(), bytes.end(),
                                    [](char c) { return static_cast<signed char>(c) >= 0; });
  if (is_textual(shown.family) && !is_ascii) return std::nullopt;
  return shown.binary ? pg::parse_binary(*shown.column.value_type, bytes)
                      : pg::parse_text(*shown.column.value_type, bytes);
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

RowKey read_key(const std::vector<Shown>& columns,
                const std::vector<std::optional<std::string_view>>& fields, std::string& key) {
  key.clear();
  bool is_null = false;
  for (const Shown& shown : columns) {
    if (shown.position >= fields.size()) return RowKey::kUnreadable;
    const std::optional<std::string_view>& field = fields[shown.position];
    if (!field) {
      is_null = true;  // the row is extended with NULLs: there is none of this relation
      continue;
    }
    const std::optional<pg::Value> value = parse_field(shown, *field);
    if (!value) return RowKey::kUnreadable;
    append_part(key, *value);
  }
  return is_null ? RowKey::kNoRow : RowKey::kShown;
}

}  // namespace

bool ShownKeys::may_show(const RowImage& image) const {
  const std::optional<std::uint64_t> hash = key_hash(columns, image);
  return !hash || std::binary_search(hashes.begin(), hashes.end(), *hash);
}

std::optional<std::uint64_t> key_hash(const std::vector<sql::ColumnRef>& columns,
                                      const RowImage& image) {
  std::string key;
  for (const sql::ColumnRef& column : columns) {
    const sql::Operand& value = image.look(column);
    if (!value.known()) return std::nullopt;
    append_part(key, *value.value);
  }
  return hash_bytes(key);
}

std::optional<ShownKeys> read_shown_keys(const sql::Dependency& dependency,
                                         const pg::Catalog& catalog, const CachedResult& result,
                                         std::string_view formats_be, std::uint64_t rows_max) {
  if (dependency.shown_key.empty() || result.row_count > rows_max) return std::nullopt;
  const auto columns = columns_shown(dependency, catalog, formats_be);
  if (!columns) return std::nullopt;
  ShownKeys keys;
  for (const Shown& shown : *columns) keys.columns.push_back(shown.column);
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
    const RowKey row = read_key(*columns, fields, key);
    if (row == RowKey::kUnreadable) return std::nullopt;
    if (row == RowKey::kShown) keys.hashes.push_back(hash_bytes(key));
  }
  std::sort(keys.hashes.begin(), keys.hashes.end());
  keys.hashes.erase(std::unique(keys.hashes.begin(), keys.hashes.end()), keys.hashes.end());
  keys.hashes.shrink_to_fit();
  return keys;
}

}  // namespace pgcache::cache
