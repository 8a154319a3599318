// SPDX-License-Identifier: Apache-2.0
#include "pg/function_number.h"
#include "pg/function_time.h"

namespace pgcache::pg::builtin {

namespace {

// The calendar repeats after 400 years. Counted from a March 1st that starts such a cycle
// (2000-03-01), the leap day is the last one of a year, of four years, of 400 years.
constexpr std::int64_t kDaysPer400Years = 146097;
constexpr std::int64_t kFirstOfMarch2000 = 60;

bool is_leap(std::int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

}  // namespace

std::int64_t floor_divide(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

int days_in_month(std::int64_t year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : kDays[month - 1];
}

CivilDate civil_of(std::int64_t days) {
  const std::int64_t from_march = days - kFirstOfMarch2000;
  const std::int64_t cycle = floor_divide(from_march, kDaysPer400Years);
  const std::int64_t in_cycle = from_march - cycle * kDaysPer400Years;
  // Take off the leap days before this one, so that all years have 365 days.
  const std::int64_t year =
      (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / (kDaysPer400Years - 1)) / 365;
  const std::int64_t day_of_year = in_cycle - (365 * year + year / 4 - year / 100);
  const std::int64_t month = (5 * day_of_year + 2) / 153;  // from March
  const auto day = static_cast<int>(day_of_year - (153 * month + 2) / 5 + 1);
  const auto civil_month = static_cast<int>(month < 10 ? month + 3 : month - 9);
  return {2000 + cycle * 400 + year + (civil_month <= 2 ? 1 : 0), civil_month, day};
}

std::int64_t days_from(const CivilDate& date) {
  const std::int64_t year = date.year - 2000 - (date.month <= 2 ? 1 : 0);
  const std::int64_t month = date.month > 2 ? date.month - 3 : date.month + 9;
  return kFirstOfMarch2000 + year * 365 + floor_divide(year, 4) - floor_divide(year, 100) +
         floor_divide(year, 400) + (153 * month + 2) / 5 + date.day - 1;
}

std::int64_t round_micros(std::int64_t micros, int precision) {
  if (is_infinite_time(micros) || precision >= 6) return micros;
  const auto unit = static_cast<std::int64_t>(power_of_ten(6 - precision));
  const std::int64_t half = micros < 0 ? -(unit / 2) : unit / 2;
  return static_cast<std::int64_t>((Int128{micros} + half) / unit * unit);
}

MaybeValue date_to_timestamp(std::int32_t days) {
  if (days == kDateInfinity) return time_value(ValueFamily::kTimestamp, kTimeInfinity);
  if (days == kDateMinusInfinity) return time_value(ValueFamily::kTimestamp, kTimeMinusInfinity);
  std::int64_t micros = 0;
  if (__builtin_mul_overflow(std::int64_t{days}, kMicrosPerDay, &micros)) return {};
  return time_value(ValueFamily::kTimestamp, micros);
}

MaybeValue timestamp_to_date(std::int64_t micros) {
  if (micros == kTimeInfinity) return date_value(kDateInfinity);
  if (micros == kTimeMinusInfinity) return date_value(kDateMinusInfinity);
  return date_value(floor_divide(micros, kMicrosPerDay));
}

MaybeValue timestamp_to_time(std::int64_t micros) {
  if (is_infinite_time(micros)) return MaybeValue::null();
  return time_value(ValueFamily::kTime,
                    micros - floor_divide(micros, kMicrosPerDay) * kMicrosPerDay);
}

}  // namespace pgcache::pg::builtin
