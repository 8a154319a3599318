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
//   timetz               microseconds since midnight in UTC as 8, seconds west of UTC as 4 such
//   interval             microseconds, months counted as 30 days, as 10 such bytes
//   interval's parts     months and days as 4 such bytes each, microseconds as 8
//   inet                 see value_network.cc
//   macaddr(8) "char"    the bytes
//   enum                 the label's place as 4 big-endian bytes, then the label
//   jsonb                see value_jsonb.cc (in order where strings are ordered by bytes)
//   array                see value_array.cc
//
// Each reader yields nothing for what its type would reject and for what it does not know.
#pragma once

#include <compare>
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

// value_time.cc: date, time, timetz, timestamp, timestamptz.
CanonicalBytes time_from_text(ValueFamily family, std::string_view text);
CanonicalBytes time_from_binary(ValueFamily family, std::string_view bytes);

// value_bytes.cc: bool, uuid, bytea, and what others read of digits.
// 0 to 15, or -1.
int hex_digit(char c);
// Two hexadecimal digits at `at`.
std::optional<char> hex_pair(std::string_view text, std::size_t at);
CanonicalBytes bool_from_text(std::string_view text);
CanonicalBytes uuid_from_text(std::string_view text);
CanonicalBytes bytea_from_text(std::string_view text);

// value_interval.cc.
CanonicalBytes interval_from_text(std::string_view text);
CanonicalBytes interval_from_binary(std::string_view bytes);
// As PostgreSQL keeps it. The parts of an infinite one (PostgreSQL 17) are not read.
struct IntervalParts {
  std::int32_t months = 0;
  std::int32_t days = 0;
  std::int64_t micros = 0;
};
CanonicalBytes interval_parts_from_text(std::string_view text);
CanonicalBytes interval_parts_from_binary(std::string_view bytes);
// Of a kIntervalParts.
std::optional<IntervalParts> interval_parts(const Value& value);
std::optional<Value> interval_from_parts(const IntervalParts& parts);
std::string interval_span(const IntervalParts& parts);  // the bytes of a kInterval

// value_network.cc: inet, cidr, macaddr, macaddr8.
CanonicalBytes inet_from_text(Oid type, std::string_view text);
CanonicalBytes inet_from_binary(Oid type, std::string_view bytes);
CanonicalBytes macaddr_from_text(std::string_view text);
CanonicalBytes macaddr8_from_text(std::string_view text);
CanonicalBytes macaddr8_from_binary(std::string_view bytes);

// value_jsonb.cc.
CanonicalBytes jsonb_from_text(std::string_view text);
CanonicalBytes jsonb_from_binary(std::string_view bytes);
// The order of two, nothing when that of two strings decides.
std::optional<std::strong_ordering> compare_jsonb(std::string_view a, std::string_view b);

// value_array.cc.
CanonicalBytes array_from_text(const ValueType& type, std::string_view text, bool by_server);
CanonicalBytes array_from_binary(const ValueType& type, std::string_view bytes);

}  // namespace pgcache::pg
