// SPDX-License-Identifier: Apache-2.0
// Functions that take or make intervals: sums with dates and times, differences of these, and
// parts. Of an interval its months, days and microseconds are told apart, as a constant of the
// statement has them and as they come out of a computation; those of a column are not known.
//
// A sum with a timestamptz depends on the time zone, but not where the interval has microseconds
// alone. Infinite intervals, which PostgreSQL has from version 17 on, are left out.
#include <algorithm>
#include <cmath>

#include "pg/function_number.h"
#include "pg/function_table.h"
#include "pg/function_time.h"
#include "pg/value_codec.h"

namespace pgcache::pg::builtin {

namespace {

constexpr std::int64_t kDaysPerMonth = 30;
constexpr std::int64_t kMonthsPerYear = 12;

IntervalParts interval_of(const Value& value) { return *interval_parts(value); }

MaybeValue interval_value(std::int64_t months, std::int64_t days, Int128 micros) {
  if (months != static_cast<std::int32_t>(months) || days != static_cast<std::int32_t>(days) ||
      micros != static_cast<std::int64_t>(micros)) {
    return {};
  }
  auto value =
      interval_from_parts({static_cast<std::int32_t>(months), static_cast<std::int32_t>(days),
                           static_cast<std::int64_t>(micros)});
  return value ? MaybeValue::of(*std::move(value)) : MaybeValue{};
}

// ------------------------------------------------------------------ sums with times

// A timestamp after so many months: on the same day, or the month's last one.
std::optional<std::int64_t> add_months(std::int64_t micros, std::int64_t months) {
  const std::int64_t days = floor_divide(micros, kMicrosPerDay);
  const CivilDate date = civil_of(days);
  const std::int64_t month = date.year * kMonthsPerYear + date.month - 1 + months;
  CivilDate later{floor_divide(month, kMonthsPerYear), 1, 1};
  later.month = static_cast<int>(month - later.year * kMonthsPerYear) + 1;
  later.day = std::min(date.day, days_in_month(later.year, later.month));
  std::int64_t out = 0;
  if (__builtin_mul_overflow(days_from(later), kMicrosPerDay, &out) ||
      __builtin_add_overflow(out, micros - days * kMicrosPerDay, &out)) {
    return std::nullopt;
  }
  return out;
}

// Months first, then days, then the rest; each step must end within the range of timestamps.
MaybeValue add_interval(const MaybeValue& timestamp, const IntervalParts& span, int sign) {
  if (!timestamp.known()) return {};
  const ValueFamily family = timestamp.value->family();
  std::int64_t micros = micros_of(*timestamp.value);
  if (is_infinite_time(micros)) return timestamp;
  const auto within = [&] {
    return !is_infinite_time(micros) && time_value(family, micros).known();
  };
  if (span.months != 0) {
    const auto later = add_months(micros, sign * std::int64_t{span.months});
    if (!later) return {};
    micros = *later;
    if (!within()) return {};
  }
  std::int64_t days = 0;
  if (__builtin_mul_overflow(sign * std::int64_t{span.days}, kMicrosPerDay, &days) ||
      __builtin_add_overflow(micros, days, &micros) || !within()) {
    return {};
  }
  const Int128 sum = Int128{micros} + Int128{sign} * span.micros;
  micros = static_cast<std::int64_t>(sum);
  if (sum != micros || !within()) return {};
  return time_value(family, micros);
}

template <int sign>
MaybeValue timestamp_and_interval(const FunctionCall& call) {
  return add_interval(call.arguments[0], interval_of(call[1]), sign);
}
MaybeValue interval_and_timestamp(const FunctionCall& call) {
  return add_interval(call.arguments[1], interval_of(call[0]), 1);
}

template <int sign>
MaybeValue date_and_interval(const FunctionCall& call) {
  return add_interval(date_to_timestamp(days_of(call[0])), interval_of(call[1]), sign);
}
MaybeValue interval_and_date(const FunctionCall& call) {
  return add_interval(date_to_timestamp(days_of(call[1])), interval_of(call[0]), 1);
}

bool is_time_only(const IntervalParts& span) { return span.months == 0 && span.days == 0; }

template <int sign>
MaybeValue moment_and_interval(const FunctionCall& call) {
  const IntervalParts span = interval_of(call[1]);
  return is_time_only(span) ? add_interval(call.arguments[0], span, sign) : MaybeValue{};
}
MaybeValue interval_and_moment(const FunctionCall& call) {
  const IntervalParts span = interval_of(call[0]);
  return is_time_only(span) ? add_interval(call.arguments[1], span, 1) : MaybeValue{};
}

// The time of day, whatever the days.
MaybeValue time_of_day(Int128 micros) {
  micros %= kMicrosPerDay;
  if (micros < 0) micros += kMicrosPerDay;
  return time_value(ValueFamily::kTime, static_cast<std::int64_t>(micros));
}

template <int sign>
MaybeValue time_and_interval(const FunctionCall& call) {
  return time_of_day(micros_of(call[0]) + Int128{sign} * interval_of(call[1]).micros);
}
MaybeValue interval_and_time(const FunctionCall& call) {
  return time_of_day(micros_of(call[1]) + Int128{interval_of(call[0]).micros});
}
MaybeValue interval_to_time(const FunctionCall& call) {
  return time_of_day(interval_of(call[0]).micros);
}
MaybeValue time_to_interval(const FunctionCall& call) {
  return interval_value(0, 0, micros_of(call[0]));
}

// ------------------------------------------------------------------ differences of times

MaybeValue time_difference(const FunctionCall& call) {
  return interval_value(0, 0, micros_of(call[0]) - Int128{micros_of(call[1])});
}

MaybeValue timestamp_difference(const FunctionCall& call) {
  const std::int64_t a = micros_of(call[0]);
  const std::int64_t b = micros_of(call[1]);
  std::int64_t micros = 0;
  if (is_infinite_time(a) || is_infinite_time(b) || __builtin_sub_overflow(a, b, &micros)) {
    return {};
  }
  return interval_value(0, micros / kMicrosPerDay, micros % kMicrosPerDay);
}

// age(): years, months and days as they are counted by hand; missing days are borrowed from the
// month of the earlier one.
MaybeValue age_of(std::int64_t late, std::int64_t early, int sign) {
  const std::int64_t late_days = floor_divide(late, kMicrosPerDay);
  const std::int64_t early_days = floor_divide(early, kMicrosPerDay);
  const CivilDate to = civil_of(late_days);
  const CivilDate from = civil_of(early_days);
  std::int64_t micros = (late - late_days * kMicrosPerDay) - (early - early_days * kMicrosPerDay);
  std::int64_t days = to.day - from.day;
  std::int64_t months = (to.year - from.year) * kMonthsPerYear + to.month - from.month;
  if (micros < 0) {
    micros += kMicrosPerDay;
    --days;
  }
  while (days < 0) {
    days += days_in_month(from.year, from.month);
    --months;
  }
  return interval_value(sign * months, sign * days, sign * micros);
}

MaybeValue timestamp_age(const FunctionCall& call) {
  const std::int64_t a = micros_of(call[0]);
  const std::int64_t b = micros_of(call[1]);
  if (is_infinite_time(a) || is_infinite_time(b)) return {};
  return a < b ? age_of(b, a, -1) : age_of(a, b, 1);
}

// ------------------------------------------------------------------ sums of intervals

template <int sign>
MaybeValue interval_sum(const FunctionCall& call) {
  const IntervalParts a = interval_of(call[0]);
  const IntervalParts b = interval_of(call[1]);
  return interval_value(std::int64_t{a.months} + sign * std::int64_t{b.months},
                        std::int64_t{a.days} + sign * std::int64_t{b.days},
                        Int128{a.micros} + Int128{sign} * b.micros);
}

MaybeValue interval_negated(const FunctionCall& call) {
  const IntervalParts a = interval_of(call[0]);
  return interval_value(-std::int64_t{a.months}, -std::int64_t{a.days}, -Int128{a.micros});
}

// Where months and days stay whole, so that nothing of them becomes days or microseconds.
MaybeValue scaled(double months, double days, double micros) {
  constexpr double kWholeMax = 9007199254740992.0;  // 2^53
  for (const double part : {months, days, micros}) {
    if (!(std::fabs(part) < kWholeMax)) return {};
  }
  if (months != std::trunc(months) || days != std::trunc(days)) return {};
  return interval_value(static_cast<std::int64_t>(months), static_cast<std::int64_t>(days),
                        static_cast<std::int64_t>(std::rint(micros)));
}

MaybeValue multiplied(const IntervalParts& a, double factor) {
  return scaled(a.months * factor, a.days * factor, static_cast<double>(a.micros) * factor);
}
MaybeValue interval_times(const FunctionCall& call) {
  return multiplied(interval_of(call[0]), float_of(call[1]));
}
MaybeValue times_interval(const FunctionCall& call) {
  return multiplied(interval_of(call[1]), float_of(call[0]));
}
MaybeValue interval_divided(const FunctionCall& call) {
  const IntervalParts a = interval_of(call[0]);
  const double by = float_of(call[1]);
  if (by == 0) return {};
  return scaled(a.months / by, a.days / by, static_cast<double>(a.micros) / by);
}

// ------------------------------------------------------------------ justification

// Moves whole units from `low` to `high`.
void carry(std::int64_t& low, std::int64_t& high, std::int64_t unit) {
  high += low / unit;
  low %= unit;
}

// Gives both the sign of `high`.
void align(std::int64_t& low, std::int64_t& high, std::int64_t unit) {
  if (high > 0 && low < 0) {
    low += unit;
    --high;
  } else if (high < 0 && low > 0) {
    low -= unit;
    ++high;
  }
}

MaybeValue justify_hours(const FunctionCall& call) {
  const IntervalParts a = interval_of(call[0]);
  std::int64_t days = a.days;
  std::int64_t micros = a.micros;
  carry(micros, days, kMicrosPerDay);
  align(micros, days, kMicrosPerDay);
  return interval_value(a.months, days, micros);
}

MaybeValue justify_days(const FunctionCall& call) {
  const IntervalParts a = interval_of(call[0]);
  std::int64_t months = a.months;
  std::int64_t days = a.days;
  carry(days, months, kDaysPerMonth);
  align(days, months, kDaysPerMonth);
  return interval_value(months, days, a.micros);
}

MaybeValue justify_interval(const FunctionCall& call) {
  const IntervalParts a = interval_of(call[0]);
  std::int64_t months = a.months;
  std::int64_t days = a.days;
  std::int64_t micros = a.micros;
  carry(micros, days, kMicrosPerDay);
  carry(days, months, kDaysPerMonth);
  const bool below = days < 0 || (days == 0 && micros < 0);
  const bool above = days > 0 || (days == 0 && micros > 0);
  if (months > 0 && below) {
    days += kDaysPerMonth;
    --months;
  } else if (months < 0 && above) {
    days -= kDaysPerMonth;
    ++months;
  }
  align(micros, days, kMicrosPerDay);
  return interval_value(months, days, micros);
}

// ------------------------------------------------------------------ others

MaybeValue is_finite(const FunctionCall&) { return bool_value(true); }

template <bool greater>
MaybeValue extreme(const FunctionCall& call) {
  const auto order = compare(call[0], call[1]);
  if (!order) return {};
  const bool first = greater ? std::is_gt(*order) : std::is_lt(*order);
  return call.arguments[first ? 0 : 1];
}

constexpr Oid kDate = type::kDate, kTime = type::kTime, kStamp = type::kTimestamp,
              kStampTz = type::kTimestamptz, kSpan = type::kInterval, kFloat = type::kFloat8,
              kBool = type::kBool;

}  // namespace

FunctionTable interval_functions() {
  return {
      {2032, "timestamp_pl_interval", {kStamp, kSpan}, kStamp, timestamp_and_interval<1>},
      {2033, "timestamp_mi_interval", {kStamp, kSpan}, kStamp, timestamp_and_interval<-1>},
      {2548, "interval_pl_timestamp", {kSpan, kStamp}, kStamp, interval_and_timestamp},
      {2071, "date_pl_interval", {kDate, kSpan}, kStamp, date_and_interval<1>},
      {2072, "date_mi_interval", {kDate, kSpan}, kStamp, date_and_interval<-1>},
      {2546, "interval_pl_date", {kSpan, kDate}, kStamp, interval_and_date},
      {1189, "timestamptz_pl_interval", {kStampTz, kSpan}, kStampTz, moment_and_interval<1>},
      {1190, "timestamptz_mi_interval", {kStampTz, kSpan}, kStampTz, moment_and_interval<-1>},
      {2549, "interval_pl_timestamptz", {kSpan, kStampTz}, kStampTz, interval_and_moment},
      {1747, "time_pl_interval", {kTime, kSpan}, kTime, time_and_interval<1>},
      {1748, "time_mi_interval", {kTime, kSpan}, kTime, time_and_interval<-1>},
      {1848, "interval_pl_time", {kSpan, kTime}, kTime, interval_and_time},
      {1419, "time", {kSpan}, kTime, interval_to_time},
      {1370, "interval", {kTime}, kSpan, time_to_interval},
      {1690, "time_mi_time", {kTime, kTime}, kSpan, time_difference},
      {2031, "timestamp_mi", {kStamp, kStamp}, kSpan, timestamp_difference},
      {1188, "timestamptz_mi", {kStampTz, kStampTz}, kSpan, timestamp_difference},
      {2058, "age", {kStamp, kStamp}, kSpan, timestamp_age},
      {1169, "interval_pl", {kSpan, kSpan}, kSpan, interval_sum<1>},
      {1170, "interval_mi", {kSpan, kSpan}, kSpan, interval_sum<-1>},
      {1168, "interval_um", {kSpan}, kSpan, interval_negated},
      {1618, "interval_mul", {kSpan, kFloat}, kSpan, interval_times},
      {1624, "mul_d_interval", {kFloat, kSpan}, kSpan, times_interval},
      {1326, "interval_div", {kSpan, kFloat}, kSpan, interval_divided},
      {1175, "justify_hours", {kSpan}, kSpan, justify_hours},
      {1295, "justify_days", {kSpan}, kSpan, justify_days},
      {2711, "justify_interval", {kSpan}, kSpan, justify_interval},
      {1390, "isfinite", {kSpan}, kBool, is_finite},
      {1198, "interval_larger", {kSpan, kSpan}, kSpan, extreme<true>},
      {1197, "interval_smaller", {kSpan, kSpan}, kSpan, extreme<false>},
  };
}

}  // namespace pgcache::pg::builtin
