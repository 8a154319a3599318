// SPDX-License-Identifier: Apache-2.0
// Internal to pg: canonical numbers, floats and times as C++ numbers, and back.
#pragma once

#include <cstdint>
#include <optional>

#include "pg/value.h"

namespace pgcache::pg::builtin {

__extension__ typedef __int128 Int128;

// An exact decimal number of up to 38 digits: mantissa / 10^scale, scale from 0 to 38, no needless
// zeros behind the point. Larger ones are left out (they have no Number).
struct Number {
  enum class Kind : std::uint8_t { kFinite, kNan, kPlusInfinity, kMinusInfinity };
  Kind kind = Kind::kFinite;
  Int128 mantissa = 0;
  int scale = 0;

  bool finite() const { return kind == Kind::kFinite; }
  bool is_nan() const { return kind == Kind::kNan; }
  bool infinite() const { return !finite() && !is_nan(); }
  // -1, 0 or 1; not for NaN.
  int sign() const {
    if (kind == Kind::kPlusInfinity) return 1;
    if (kind == Kind::kMinusInfinity) return -1;
    return mantissa == 0 ? 0 : mantissa < 0 ? -1 : 1;
  }
};

inline constexpr int kNumberScaleMax = 38;
// 10 to the n, n from 0 to 38.
Int128 power_of_ten(int n);
// a * b, a + b, unless out of range.
std::optional<Int128> checked_multiply(Int128 a, Int128 b);
std::optional<Int128> checked_add(Int128 a, Int128 b);
// Without the zeros behind the point.
Number trimmed(Number n);
// Half away from zero to `digits` behind the point (negative: before it), or cut off there.
std::optional<Number> round_number(const Number& n, int digits);
std::optional<Number> truncate_number(const Number& n, int digits);

std::optional<Number> number_of(const Value& value);
std::optional<std::int64_t> integer_of(const Value& value);  // nothing when it is none
double float_of(const Value& value);
std::int32_t days_of(const Value& date);
std::int64_t micros_of(const Value& time_or_timestamp);
bool bool_of(const Value& value);
std::uint32_t oid_of(const Value& value);

// Unknown when out of the type's range.
MaybeValue number_value(const Number& n);
MaybeValue number_value(const std::optional<Number>& n);
MaybeValue integer_value(Int128 n);
MaybeValue float_value(double d);
MaybeValue date_value(std::int64_t days);
MaybeValue time_value(ValueFamily family, std::int64_t micros);
MaybeValue oid_value(std::uint32_t oid);

inline constexpr std::int32_t kDateInfinity = INT32_MAX;
inline constexpr std::int32_t kDateMinusInfinity = INT32_MIN;
inline constexpr std::int64_t kTimeInfinity = INT64_MAX;
inline constexpr std::int64_t kTimeMinusInfinity = INT64_MIN;
inline bool is_infinite_date(std::int32_t d) {
  return d == kDateInfinity || d == kDateMinusInfinity;
}
inline bool is_infinite_time(std::int64_t t) {
  return t == kTimeInfinity || t == kTimeMinusInfinity;
}

}  // namespace pgcache::pg::builtin
