// SPDX-License-Identifier: Apache-2.0
// Values: which type is read by which codec, and what all families share.
#include "pg/value.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "pg/catalog.h"
#include "pg/value_codec.h"

namespace pgcache::pg {

namespace {

// PostgreSQL cuts a longer name to this many bytes (NAMEDATALEN - 1), at a character boundary.
constexpr std::size_t kNameBytesMax = 63;

// Arrays of domains over arrays of domains, and so on, up to here.
constexpr int kTypeDepthMax = 8;

constexpr std::uint32_t oid_number(Oid oid) { return static_cast<std::uint32_t>(oid); }

bool has_zero_byte(std::string_view text) { return text.find('\0') != std::string_view::npos; }

std::string without_trailing_blanks(std::string_view text) {
  const std::size_t last = text.find_last_not_of(' ');
  return std::string(text.substr(0, last == std::string_view::npos ? 0 : last + 1));
}

// The character types: their text and binary forms are the same.
CanonicalBytes characters(ValueFamily family, std::string_view text) {
  if (has_zero_byte(text)) return std::nullopt;
  if (family == ValueFamily::kName && text.size() > kNameBytesMax) return std::nullopt;
  if (family == ValueFamily::kBpchar) return without_trailing_blanks(text);
  return std::string(text);
}

// "char": of longer texts PostgreSQL takes the first byte, newer versions some as an escape.
CanonicalBytes char_from_text(std::string_view text) {
  if (text.empty()) return std::string(1, '\0');
  if (text.size() != 1 || text[0] == '\0' || static_cast<unsigned char>(text[0]) >= 0x80) {
    return std::nullopt;
  }
  return std::string(text);
}

CanonicalBytes bytes_from_text(ValueFamily family, Oid type, std::string_view text) {
  switch (family) {
    case ValueFamily::kBool:
      return bool_from_text(text);
    case ValueFamily::kNumber:
      return number_from_text(type, text);
    case ValueFamily::kOid:
      return oid_from_text(text);
    case ValueFamily::kFloat:
      return float_from_text(type, text);
    case ValueFamily::kText:
    case ValueFamily::kName:
    case ValueFamily::kBpchar:
      return characters(family, text);
    case ValueFamily::kBytea:
      return bytea_from_text(text);
    case ValueFamily::kUuid:
      return uuid_from_text(text);
    case ValueFamily::kDate:
    case ValueFamily::kTime:
    case ValueFamily::kTimestamp:
    case ValueFamily::kTimestamptz:
    case ValueFamily::kTimetz:
      return time_from_text(family, text);
    case ValueFamily::kInterval:
      return interval_from_text(text);
    case ValueFamily::kIntervalParts:
      return interval_parts_from_text(text);
    case ValueFamily::kInet:
      return inet_from_text(type, text);
    case ValueFamily::kMacaddr:
      return macaddr_from_text(text);
    case ValueFamily::kMacaddr8:
      return macaddr8_from_text(text);
    case ValueFamily::kChar:
      return char_from_text(text);
    case ValueFamily::kJsonb:
      return jsonb_from_text(text);
    case ValueFamily::kEnum:
    case ValueFamily::kArray:
      break;  // not from the type's oid alone
  }
  return std::nullopt;
}

CanonicalBytes fixed_length(std::string_view bytes, std::size_t length) {
  if (bytes.size() != length) return std::nullopt;
  return std::string(bytes);
}

CanonicalBytes bool_from_binary(std::string_view bytes) {
  if (bytes.size() != 1) return std::nullopt;
  return std::string(1, bytes[0] == 0 ? '\0' : '\1');
}

CanonicalBytes bytes_from_binary(ValueFamily family, Oid type, std::string_view bytes) {
  switch (family) {
    case ValueFamily::kBool:
      return bool_from_binary(bytes);
    case ValueFamily::kNumber:
      return number_from_binary(type, bytes);
    case ValueFamily::kOid:
      return fixed_length(bytes, 4);
    case ValueFamily::kFloat:
      return float_from_binary(type, bytes);
    case ValueFamily::kText:
    case ValueFamily::kName:
    case ValueFamily::kBpchar:
      return characters(family, bytes);
    case ValueFamily::kBytea:
      return std::string(bytes);
    case ValueFamily::kUuid:
      return fixed_length(bytes, 16);
    case ValueFamily::kDate:
    case ValueFamily::kTime:
    case ValueFamily::kTimestamp:
    case ValueFamily::kTimestamptz:
    case ValueFamily::kTimetz:
      return time_from_binary(family, bytes);
    case ValueFamily::kInterval:
      return interval_from_binary(bytes);
    case ValueFamily::kIntervalParts:
      return interval_parts_from_binary(bytes);
    case ValueFamily::kInet:
      return inet_from_binary(type, bytes);
    case ValueFamily::kMacaddr:
      return fixed_length(bytes, 6);
    case ValueFamily::kMacaddr8:
      return macaddr8_from_binary(bytes);
    case ValueFamily::kChar:
      return fixed_length(bytes, 1);
    case ValueFamily::kJsonb:
      return jsonb_from_binary(bytes);
    case ValueFamily::kEnum:
    case ValueFamily::kArray:
      break;  // not from the type's oid alone
  }
  return std::nullopt;
}

// The text and binary forms of an enum value are its label.
CanonicalBytes enum_label(const ValueType& type, std::string_view label) {
  const auto it = std::find(type.labels.begin(), type.labels.end(), label);
  if (it == type.labels.end()) return std::nullopt;
  std::string bytes;
  append_be32(bytes, static_cast<std::uint32_t>(it - type.labels.begin()));
  return bytes += label;
}

// Through arrays and domains in turn.
ValueTypePtr value_type_at(const Catalog& catalog, Oid type, int depth) {
  if (depth > kTypeDepthMax) return nullptr;
  ValueType out;
  out.oid = catalog.base_type(type);
  if (const auto family = family_of(out.oid)) {
    out.family = *family;
    return std::make_shared<const ValueType>(std::move(out));
  }
  const Type* const found = catalog.find_type(out.oid);
  if (found == nullptr) return nullptr;
  if (found->kind == 'e' && !found->labels.empty()) {
    out.family = ValueFamily::kEnum;
    out.labels = found->labels;
    return std::make_shared<const ValueType>(std::move(out));
  }
  if (found->element == Oid::kInvalid) return nullptr;
  out.family = ValueFamily::kArray;
  out.declared_element = found->element;
  out.element = value_type_at(catalog, found->element, depth + 1);
  if (out.element == nullptr) return nullptr;
  return std::make_shared<const ValueType>(std::move(out));
}

std::optional<Value> value_of(ValueFamily family, CanonicalBytes bytes) {
  if (!bytes) return std::nullopt;
  return ValueCodec::make(family, *std::move(bytes));
}

}  // namespace

std::string_view trim_spaces(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\n\v\f\r";
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

std::optional<ValueFamily> family_of(Oid type) {
  switch (oid_number(type)) {
    case oid_number(type::kBool):
      return ValueFamily::kBool;
    case oid_number(type::kInt2):
    case oid_number(type::kInt4):
    case oid_number(type::kInt8):
    case oid_number(type::kNumeric):
      return ValueFamily::kNumber;
    case oid_number(type::kOid):
      return ValueFamily::kOid;
    case oid_number(type::kFloat4):
    case oid_number(type::kFloat8):
      return ValueFamily::kFloat;
    case oid_number(type::kText):
    case oid_number(type::kVarchar):
      return ValueFamily::kText;
    case oid_number(type::kName):
      return ValueFamily::kName;
    case oid_number(type::kBpchar):
      return ValueFamily::kBpchar;
    case oid_number(type::kBytea):
      return ValueFamily::kBytea;
    case oid_number(type::kUuid):
      return ValueFamily::kUuid;
    case oid_number(type::kDate):
      return ValueFamily::kDate;
    case oid_number(type::kTime):
      return ValueFamily::kTime;
    case oid_number(type::kTimestamp):
      return ValueFamily::kTimestamp;
    case oid_number(type::kTimestamptz):
      return ValueFamily::kTimestamptz;
    case oid_number(type::kTimetz):
      return ValueFamily::kTimetz;
    case oid_number(type::kInterval):
      return ValueFamily::kInterval;
    case oid_number(type::kInet):
    case oid_number(type::kCidr):
      return ValueFamily::kInet;
    case oid_number(type::kMacaddr):
      return ValueFamily::kMacaddr;
    case oid_number(type::kMacaddr8):
      return ValueFamily::kMacaddr8;
    case oid_number(type::kChar):
      return ValueFamily::kChar;
    case oid_number(type::kJsonb):
      return ValueFamily::kJsonb;
    default:
      return std::nullopt;
  }
}

Value Value::integer(std::int64_t v) { return {ValueFamily::kNumber, canonical_integer(v)}; }

Value Value::text(std::string_view v) { return {ValueFamily::kText, std::string(v)}; }

std::uint64_t Value::hash() const {
  constexpr std::uint64_t kMix = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio
  return hash_bytes(bytes_) ^ (static_cast<std::uint64_t>(family_) + 1) * kMix;
}

Value compared_form(const Value& value) {
  if (value.family() != ValueFamily::kIntervalParts) return value;
  const auto parts = interval_parts(value);
  CHECK(parts);
  return ValueCodec::make(ValueFamily::kInterval, interval_span(*parts));
}

std::optional<std::strong_ordering> compare(const Value& a, const Value& b) {
  if (a.family() == ValueFamily::kIntervalParts || b.family() == ValueFamily::kIntervalParts) {
    const Value x = compared_form(a);
    const Value y = compared_form(b);
    if (x.family() != y.family()) return std::nullopt;
    return x.bytes() <=> y.bytes();
  }
  if (a.family() != b.family()) return std::nullopt;
  // An array starts with the family of its elements.
  if (a.family() == ValueFamily::kArray && a.bytes()[0] != b.bytes()[0]) return std::nullopt;
  // std::string compares bytes as unsigned, and a prefix is less: the order the codecs build upon.
  return a.bytes() <=> b.bytes();
}

std::optional<std::strong_ordering> compare_without_collation(const Value& a, const Value& b) {
  if (a.family() != ValueFamily::kJsonb || b.family() != ValueFamily::kJsonb) return std::nullopt;
  return compare_jsonb(a.bytes(), b.bytes());
}

std::optional<Value> parse_text(Oid type, std::string_view text) {
  const auto family = family_of(type);
  if (!family) return std::nullopt;
  return value_of(*family, bytes_from_text(*family, type, text));
}

std::optional<Value> parse_text(const ValueType& type, std::string_view text) {
  if (type.family == ValueFamily::kEnum) return value_of(type.family, enum_label(type, text));
  if (type.family == ValueFamily::kArray) {
    return value_of(type.family, array_from_text(type, text, false));
  }
  return value_of(type.family, bytes_from_text(type.family, type.oid, text));
}

std::optional<Value> parse_server_text(const ValueType& type, std::string_view text) {
  if (type.family != ValueFamily::kArray) return parse_text(type, text);
  return value_of(type.family, array_from_text(type, text, true));
}

std::optional<Value> parse_binary(Oid type, std::string_view bytes) {
  const auto family = family_of(type);
  if (!family) return std::nullopt;
  return value_of(*family, bytes_from_binary(*family, type, bytes));
}

std::optional<Value> parse_binary(const ValueType& type, std::string_view bytes) {
  if (type.family == ValueFamily::kEnum) return value_of(type.family, enum_label(type, bytes));
  if (type.family == ValueFamily::kArray) {
    return value_of(type.family, array_from_binary(type, bytes));
  }
  return value_of(type.family, bytes_from_binary(type.family, type.oid, bytes));
}

ValueTypePtr value_type_of(const Catalog& catalog, Oid type) {
  return value_type_at(catalog, type, 0);
}

bool is_ordered(const ValueType& type, bool collation_is_c) {
  switch (type.family) {
    case ValueFamily::kText:
    case ValueFamily::kName:
    case ValueFamily::kBpchar:
    case ValueFamily::kJsonb:
      return collation_is_c;
    case ValueFamily::kIntervalParts:
      return true;  // in compared_form()
    case ValueFamily::kArray:
      return type.element != nullptr && is_ordered(*type.element, collation_is_c);
    case ValueFamily::kBool:
    case ValueFamily::kNumber:
    case ValueFamily::kOid:
    case ValueFamily::kFloat:
    case ValueFamily::kBytea:
    case ValueFamily::kUuid:
    case ValueFamily::kDate:
    case ValueFamily::kTime:
    case ValueFamily::kTimestamp:
    case ValueFamily::kTimestamptz:
    case ValueFamily::kTimetz:
    case ValueFamily::kInterval:
    case ValueFamily::kInet:
    case ValueFamily::kMacaddr:
    case ValueFamily::kMacaddr8:
    case ValueFamily::kChar:
    case ValueFamily::kEnum:
      return true;
  }
  return false;
}

}  // namespace pgcache::pg
