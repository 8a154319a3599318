// SPDX-License-Identifier: Apache-2.0
#include "cache/shown_keys.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/hash.h"
#include "cache/result_rows.h"

namespace pgcache::cache {

namespace {

enum class RowKey { kShown, kNoRow, kUnreadable };

RowKey read_key(const std::vector<sql::ShownColumn>& columns, const std::vector<bool>& binary,
                const Fields& fields, std::string& key) {
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
  Fields fields;
  std::string key;
  RowReader rows(result);
  while (rows.next(fields)) {
    const RowKey row = read_key(columns, binary, fields, key);
    if (row == RowKey::kUnreadable) return std::nullopt;
    if (row == RowKey::kShown) keys.push_back(hash_bytes(key));
    if (keys.size() > rows_max) return std::nullopt;
  }
  if (rows.is_malformed()) return std::nullopt;
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  keys.shrink_to_fit();
  return keys;
}

}  // namespace pgcache::cache
