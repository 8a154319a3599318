// SPDX-License-Identifier: Apache-2.0
// Internal to pg: the proleptic Gregorian calendar on days from 2000-01-01, and rounding of times.
#pragma once

#include <cstdint>
#include <optional>

#include "pg/value.h"

namespace pgcache::pg::builtin {

inline constexpr std::int64_t kMicrosPerSecond = 1000000;
inline constexpr std::int64_t kMicrosPerDay = 86400 * kMicrosPerSecond;

// Years count astronomically: 0 is 1 BC.
struct CivilDate {
  std::int64_t year;
  int month;
  int day;
};

CivilDate civil_of(std::int64_t days);
std::int64_t days_from(const CivilDate& date);
int days_in_month(std::int64_t year, int month);
std::int64_t floor_divide(std::int64_t a, std::int64_t b);  // b > 0

// To `precision` digits of the second, 0 to 6, half away from zero. Infinities stay.
std::int64_t round_micros(std::int64_t micros, int precision);

// What the casts between these types do; infinities become infinities.
MaybeValue date_to_timestamp(std::int32_t days);
MaybeValue timestamp_to_date(std::int64_t micros);
// NULL for infinities.
MaybeValue timestamp_to_time(std::int64_t micros);

}  // namespace pgcache::pg::builtin
