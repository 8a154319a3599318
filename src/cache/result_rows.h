// SPDX-License-Identifier: Apache-2.0
// The rows of a result, read from its DataRow frames.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "cache/cache.h"
#include "pg/value.h"

namespace pgcache::cache {

using Fields = std::vector<std::optional<std::string_view>>;  // nothing: NULL

// Views the result.
class RowReader {
 public:
  explicit RowReader(const CachedResult& result) : in_(result.rows) {}

  // False at the end, or where the bytes are not what they should be.
  bool next(Fields& fields);
  bool is_malformed() const { return malformed_; }

 private:
  ByteReader in_;
  bool malformed_ = false;
};

// Whether the column is sent in binary, by result formats as in Bind; nothing if they are not
// understood.
std::optional<bool> is_binary(std::string_view formats_be, std::size_t position);

// Nothing when the value cannot be read with certainty.
std::optional<pg::Value> parse_field(const pg::ValueType& type, bool binary,
                                     std::string_view bytes);

// Appends a value so that no two different sequences of values look alike.
void append_part(std::string& key, const pg::Value& value);
void append_null(std::string& key);

}  // namespace pgcache::cache
