// SPDX-License-Identifier: Apache-2.0
#include "cache/result_rows.h"

#include <algorithm>

namespace pgcache::cache {

namespace {

// Of each: tag u8, length u32 with itself, and in a DataRow the number of fields u16, then for each
// its length i32 (-1 for NULL) and its bytes.
constexpr std::uint8_t kDataRow = 'D';
constexpr std::uint32_t kNullLength = 0xffffffff;

constexpr char kNullPart = '\xff';  // no family

// Where the client's encoding matters.
bool is_textual(pg::ValueFamily family) {
  return family == pg::ValueFamily::kText || family == pg::ValueFamily::kName ||
         family == pg::ValueFamily::kBpchar || family == pg::ValueFamily::kEnum;
}

// The fields of one DataRow's body; false when it is malformed.
bool read_fields(std::string_view body, Fields& fields) {
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

}  // namespace

bool RowReader::next(Fields& fields) {
  while (!in_.at_end()) {
    const std::uint8_t tag = in_.u8();
    const std::uint32_t length = in_.u32();
    const std::string_view body = in_.bytes(length < 4 ? 0 : length - 4);
    malformed_ = !in_.ok() || length < 4 || (tag == kDataRow && !read_fields(body, fields));
    if (malformed_) return false;
    if (tag == kDataRow) return true;
  }
  return false;
}

void append_part(std::string& key, const pg::Value& value) {
  key += static_cast<char>(value.family());
  append_be32(key, static_cast<std::uint32_t>(value.bytes().size()));
  key += value.bytes();
}

void append_null(std::string& key) { key += kNullPart; }

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

}  // namespace pgcache::cache
