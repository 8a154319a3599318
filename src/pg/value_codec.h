// SPDX-License-Identifier: Apache-2.0
// Internal to pg: the canonical bytes of each family. Every family's bytes are made so that
// bytewise order is PostgreSQL's order of the values:
//
//   bool                 1 byte, 0 or 1
//   number               see value_number.cc
//   oid                  4 bytes, big-endian
//   float                8 bytes, big-endian: the bits of the double, turned so that they ascend
//   text name bpchar     the characters (bpchar without trailing blanks)
//   bytea uuid           the bytes
//   date                 days since 2000-01-01, as 4 big-endian bytes with the sign bit turned
//   time timestamp(tz)   microseconds since midnight or 2000-01-01 (UTC), as 8 such bytes
//
// Each reader yields nothing for what its type would reject and for what it does not know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "pg/ids.h"
#include "pg/value.h"

namespace pgcache::pg {

using CanonicalBytes = std::optional<std::string>;

// The key to Value's constructor.
struct ValueCodec {
  static Value make(ValueFamily family, std::string bytes) {
    return Value(family, std::move(bytes));
  }
};

// Without the blanks around it that PostgreSQL's input functions skip (isspace() in the C locale).
std::string_view trim_spaces(std::string_view text);
// ASCII only; `lower` is in lower case.
bool equals_ignoring_case(std::string_view text, std::string_view lower);

// value_number.cc: int2, int4, int8, numeric, oid.
std::string canonical_integer(std::int64_t value);
CanonicalBytes number_from_text(Oid type, std::string_view text);
CanonicalBytes number_from_binary(Oid type, std::string_view bytes);
CanonicalBytes oid_from_text(std::string_view text);

// value_float.cc: float4, float8.
CanonicalBytes float_from_text(Oid type, std::string_view text);
CanonicalBytes float_from_binary(Oid type, std::string_view bytes);

// value_time.cc: date, time, timestamp, timestamptz.
CanonicalBytes time_from_text(ValueFamily family, std::string_view text);
CanonicalBytes time_from_binary(ValueFamily family, std::string_view bytes);

// value_bytes.cc: bool, uuid, bytea.
CanonicalBytes bool_from_text(std::string_view text);
CanonicalBytes uuid_from_text(std::string_view text);
CanonicalBytes bytea_from_text(std::string_view text);

}  // namespace pgcache::pg
