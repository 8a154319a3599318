// SPDX-License-Identifier: Apache-2.0
// Functions on bytea.
#include <algorithm>
#include <bit>
#include <limits>
#include <string_view>

#include "pg/function_number.h"
#include "pg/function_table.h"
#include "pg/value_codec.h"

namespace pgcache::pg::builtin {

namespace {

MaybeValue bytea_value(std::string_view bytes) {
  return MaybeValue::of(ValueCodec::make(ValueFamily::kBytea, std::string(bytes)));
}

MaybeValue byte_count(const FunctionCall& call) {
  return integer_value(static_cast<std::int64_t>(call.bytes(0).size()));
}

MaybeValue bits(const FunctionCall& call) {
  return integer_value(8 * static_cast<std::int64_t>(call.bytes(0).size()));
}

MaybeValue set_bits(const FunctionCall& call) {
  std::int64_t n = 0;
  for (const char c : call.bytes(0)) n += std::popcount(static_cast<unsigned char>(c));
  return integer_value(n);
}

// The bytes from `from` to before `end`, counted from 1.
MaybeValue byte_range(std::string_view bytes, std::int64_t from, std::int64_t end) {
  const auto size = static_cast<std::int64_t>(bytes.size());
  from = std::max<std::int64_t>(from, 1);
  end = std::min(end, size + 1);
  if (end <= from) return bytea_value("");
  return bytea_value(
      bytes.substr(static_cast<std::size_t>(from - 1), static_cast<std::size_t>(end - from)));
}

MaybeValue substring_from(const FunctionCall& call) {
  return byte_range(call.bytes(0), *integer_of(call[1]), std::numeric_limits<std::int64_t>::max());
}

MaybeValue substring_for(const FunctionCall& call) {
  const std::int64_t from = *integer_of(call[1]);
  const std::int64_t length = *integer_of(call[2]);
  if (length < 0) return {};
  return byte_range(call.bytes(0), from, from + length);
}

template <bool at_left, bool at_right>
MaybeValue trim(const FunctionCall& call) {
  std::string_view bytes = call.bytes(0);
  const std::string& set = call.bytes(1);
  const auto in_set = [&](char c) { return set.find(c) != std::string::npos; };
  while (at_left && !bytes.empty() && in_set(bytes.front())) bytes.remove_prefix(1);
  while (at_right && !bytes.empty() && in_set(bytes.back())) bytes.remove_suffix(1);
  return bytea_value(bytes);
}

MaybeValue position(const FunctionCall& call) {
  const std::size_t at = call.bytes(0).find(call.bytes(1));
  return integer_value(at == std::string::npos ? 0 : static_cast<std::int64_t>(at) + 1);
}

MaybeValue concatenate(const FunctionCall& call) {
  return bytea_value(call.bytes(0) + call.bytes(1));
}

MaybeValue get_byte(const FunctionCall& call) {
  const std::int64_t at = *integer_of(call[1]);
  const std::string& bytes = call.bytes(0);
  if (at < 0 || at >= static_cast<std::int64_t>(bytes.size())) return {};
  return integer_value(static_cast<unsigned char>(bytes[static_cast<std::size_t>(at)]));
}

MaybeValue md5(const FunctionCall& call) { return text_value(md5_hex(call.bytes(0))); }

constexpr Oid kB = type::kBytea, k4 = type::kInt4;

}  // namespace

FunctionTable bytea_functions() {
  return {
      {720, "octet_length", {kB}, k4, byte_count},
      {2010, "length", {kB}, k4, byte_count},
      {1810, "bit_length", {kB}, k4, bits},
      {6163, "bit_count", {kB}, type::kInt8, set_bits},
      {2011, "byteacat", {kB, kB}, kB, concatenate},
      {2086, "substr", {kB, k4}, kB, substring_from},
      {2013, "substring", {kB, k4}, kB, substring_from},
      {2085, "substr", {kB, k4, k4}, kB, substring_for},
      {2012, "substring", {kB, k4, k4}, kB, substring_for},
      {2014, "position", {kB, kB}, k4, position},
      {2015, "btrim", {kB, kB}, kB, trim<true, true>},
      {6195, "ltrim", {kB, kB}, kB, trim<true, false>},
      {6196, "rtrim", {kB, kB}, kB, trim<false, true>},
      {721, "get_byte", {kB, k4}, k4, get_byte},
      {2321, "md5", {kB}, type::kText, md5},
  };
}

}  // namespace pgcache::pg::builtin
