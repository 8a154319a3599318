// SPDX-License-Identifier: Apache-2.0
// Decoding and encoding of canonical numbers, floats and times (value_codec.h and value_number.cc
// describe the bytes).
#include "pg/function_number.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <string>

#include "base/bytes.h"
#include "pg/function_table.h"
#include "pg/value_codec.h"

namespace pgcache::pg::builtin {

namespace {

constexpr char kMinusInfinityByte = 0, kNegativeByte = 1, kZeroByte = 2, kPositiveByte = 3,
               kPlusInfinityByte = 4, kNanByte = 5;

MaybeValue maybe(ValueFamily family, CanonicalBytes bytes) {
  if (!bytes) return {};
  return MaybeValue::of(ValueCodec::make(family, *std::move(bytes)));
}

// The digits are pairs / 100^(count), times 100^exponent.
std::optional<Number> finite_number(std::string_view bytes, bool negative) {
  // 20 pairs hold more than 38 digits.
  if (bytes.size() < 4 || bytes.size() > 4 + 20 + 1) return std::nullopt;
  const auto byte = [&](std::size_t i) {
    const auto b = static_cast<unsigned char>(bytes[i]);
    return static_cast<int>(negative ? static_cast<unsigned char>(~b) : b);
  };
  const std::size_t end = bytes.size() - (negative ? 1 : 0);
  const int exponent = (byte(1) << 16 | byte(2) << 8 | byte(3)) - 0x800000;
  std::optional<Int128> mantissa = 0;
  for (std::size_t i = 4; i < end && mantissa; ++i) {
    mantissa = checked_multiply(*mantissa, 100);
    if (mantissa) mantissa = checked_add(*mantissa, byte(i) - 1);
  }
  if (!mantissa) return std::nullopt;
  int scale = 2 * (static_cast<int>(end - 4) - exponent);
  if (scale < 0) {
    if (scale < -kNumberScaleMax) return std::nullopt;
    mantissa = checked_multiply(*mantissa, power_of_ten(-scale));
    if (!mantissa) return std::nullopt;
    scale = 0;
  }
  while (scale > 0 && *mantissa % 10 == 0) {
    *mantissa /= 10;
    --scale;
  }
  if (scale > kNumberScaleMax) return std::nullopt;
  return Number{Number::Kind::kFinite, negative ? -*mantissa : *mantissa, scale};
}

std::string decimal_text(const Number& n) {
  // Negative throughout: the smallest Int128 has no positive counterpart.
  Int128 rest = n.mantissa > 0 ? -n.mantissa : n.mantissa;
  std::string out;
  int digits = 0;
  while (rest != 0 || digits <= n.scale) {
    if (digits == n.scale && n.scale > 0) out += '.';
    out += static_cast<char>('0' - static_cast<int>(rest % 10));
    rest /= 10;
    ++digits;
  }
  if (n.mantissa < 0) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

Int128 power_of_ten(int n) {
  Int128 out = 1;
  for (; n > 0; --n) out *= 10;
  return out;
}

std::optional<Int128> checked_multiply(Int128 a, Int128 b) {
  Int128 out = 0;
  if (__builtin_mul_overflow(a, b, &out)) return std::nullopt;
  return out;
}

std::optional<Int128> checked_add(Int128 a, Int128 b) {
  Int128 out = 0;
  if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
  return out;
}

Number trimmed(Number n) {
  while (n.scale > 0 && n.mantissa % 10 == 0) {
    n.mantissa /= 10;
    --n.scale;
  }
  return n;
}

std::optional<Number> truncate_number(const Number& n, int digits) {
  if (!n.finite() || digits >= n.scale) return n;
  const int cut = n.scale - digits;
  if (cut > kNumberScaleMax) return Number{};
  Number out = n;
  out.mantissa /= power_of_ten(cut);
  out.scale = digits;
  if (digits < 0) {
    const auto scaled = checked_multiply(out.mantissa, power_of_ten(-digits));
    if (!scaled) return std::nullopt;
    out.mantissa = *scaled;
    out.scale = 0;
  }
  return trimmed(out);
}

std::optional<Number> round_number(const Number& n, int digits) {
  if (!n.finite() || digits >= n.scale) return n;
  const int cut = n.scale - digits;
  // Beyond 38 digits even half a unit is more than a mantissa holds (1.7e38 < 0.5e39).
  if (cut > kNumberScaleMax) return Number{};
  const Int128 unit = power_of_ten(cut);
  Int128 quotient = n.mantissa / unit;
  const Int128 rest = n.mantissa % unit;
  if (rest >= unit / 2) ++quotient;
  if (rest <= -(unit / 2)) --quotient;
  Number out{Number::Kind::kFinite, quotient, digits};
  if (digits < 0) {
    const auto scaled = checked_multiply(quotient, power_of_ten(-digits));
    if (!scaled) return std::nullopt;
    out = {Number::Kind::kFinite, *scaled, 0};
  }
  return trimmed(out);
}

std::optional<Number> number_of(const Value& value) {
  const std::string& bytes = value.bytes();
  if (value.family() != ValueFamily::kNumber || bytes.empty()) return std::nullopt;
  switch (bytes[0]) {
    case kMinusInfinityByte:
      return Number{Number::Kind::kMinusInfinity};
    case kPlusInfinityByte:
      return Number{Number::Kind::kPlusInfinity};
    case kNanByte:
      return Number{Number::Kind::kNan};
    case kZeroByte:
      return Number{};
    case kNegativeByte:
    case kPositiveByte:
      return finite_number(bytes, bytes[0] == kNegativeByte);
    default:
      return std::nullopt;
  }
}

std::optional<std::int64_t> integer_of(const Value& value) {
  const auto n = number_of(value);
  if (!n || !n->finite() || n->scale != 0) return std::nullopt;
  if (n->mantissa < INT64_MIN || n->mantissa > INT64_MAX) return std::nullopt;
  return static_cast<std::int64_t>(n->mantissa);
}

double float_of(const Value& value) {
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  const std::uint64_t bits = load_be64(value.bytes().data());
  return std::bit_cast<double>((bits & kSign) != 0 ? bits & ~kSign : ~bits);
}

std::int32_t days_of(const Value& date) {
  return static_cast<std::int32_t>(load_be32(date.bytes().data()) ^ 0x80000000u);
}

std::int64_t micros_of(const Value& time_or_timestamp) {
  return static_cast<std::int64_t>(load_be64(time_or_timestamp.bytes().data()) ^
                                   (std::uint64_t{1} << 63));
}

bool bool_of(const Value& value) { return value.bytes()[0] != 0; }

std::uint32_t oid_of(const Value& value) { return load_be32(value.bytes().data()); }

MaybeValue number_value(const Number& n) {
  switch (n.kind) {
    case Number::Kind::kNan:
      return maybe(ValueFamily::kNumber, number_from_text(type::kNumeric, "NaN"));
    case Number::Kind::kPlusInfinity:
      return maybe(ValueFamily::kNumber, number_from_text(type::kNumeric, "Infinity"));
    case Number::Kind::kMinusInfinity:
      return maybe(ValueFamily::kNumber, number_from_text(type::kNumeric, "-Infinity"));
    case Number::Kind::kFinite:
      break;
  }
  if (n.scale == 0 && n.mantissa >= INT64_MIN && n.mantissa <= INT64_MAX) {
    return integer_value(n.mantissa);
  }
  return maybe(ValueFamily::kNumber, number_from_text(type::kNumeric, decimal_text(n)));
}

MaybeValue number_value(const std::optional<Number>& n) {
  return n ? number_value(*n) : MaybeValue{};
}

MaybeValue integer_value(Int128 n) {
  if (n < INT64_MIN || n > INT64_MAX) return {};
  return MaybeValue::of(Value::integer(static_cast<std::int64_t>(n)));
}

MaybeValue float_value(double d) {
  std::string bytes;
  append_be64(bytes, std::bit_cast<std::uint64_t>(d));
  return maybe(ValueFamily::kFloat, float_from_binary(type::kFloat8, bytes));
}

MaybeValue date_value(std::int64_t days) {
  if (days < INT32_MIN || days > INT32_MAX) return {};
  std::string bytes;
  append_be32(bytes, static_cast<std::uint32_t>(days));
  return maybe(ValueFamily::kDate, time_from_binary(ValueFamily::kDate, bytes));
}

MaybeValue time_value(ValueFamily family, std::int64_t micros) {
  std::string bytes;
  append_be64(bytes, static_cast<std::uint64_t>(micros));
  return maybe(family, time_from_binary(family, bytes));
}

MaybeValue oid_value(std::uint32_t oid) {
  std::string bytes;
  append_be32(bytes, oid);
  return MaybeValue::of(ValueCodec::make(ValueFamily::kOid, std::move(bytes)));
}

MaybeValue bool_value(bool b) {
  return MaybeValue::of(ValueCodec::make(ValueFamily::kBool, std::string(1, b ? 1 : 0)));
}

MaybeValue text_value(std::string text) {
  return MaybeValue::of(ValueCodec::make(ValueFamily::kText, std::move(text)));
}

}  // namespace pgcache::pg::builtin
