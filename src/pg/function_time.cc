// SPDX-License-Identifier: Apache-2.0
// Functions on date, time and timestamp, and parts of intervals: of what depends on the time zone
// only what is the same in all of them. Parts of infinite dates and of those before the year 2 are
// left out.
#include "pg/function_time.h"

#include <optional>
#include <string_view>

#include "pg/function_number.h"
#include "pg/function_table.h"
#include "pg/function_text.h"
#include "pg/value_codec.h"

namespace pgcache::pg::builtin {

namespace {

// ------------------------------------------------------------------ fields

enum class Field : std::uint8_t {
  kMicrosecond,
  kMillisecond,
  kSecond,
  kMinute,
  kHour,
  kDay,
  kWeek,
  kMonth,
  kQuarter,
  kYear,
  kDecade,
  kCentury,
  kMillennium,
  kDayOfWeek,
  kIsoDayOfWeek,
  kDayOfYear,
  kIsoYear,
  kEpoch,
  kJulian,
};

struct FieldName {
  std::string_view name;
  Field field;
};
// The names that the manual uses; abbreviations are left out.
constexpr FieldName kFieldNames[] = {
    {"microsecond", Field::kMicrosecond},
    {"microseconds", Field::kMicrosecond},
    {"millisecond", Field::kMillisecond},
    {"milliseconds", Field::kMillisecond},
    {"second", Field::kSecond},
    {"minute", Field::kMinute},
    {"hour", Field::kHour},
    {"day", Field::kDay},
    {"week", Field::kWeek},
    {"month", Field::kMonth},
    {"quarter", Field::kQuarter},
    {"year", Field::kYear},
    {"decade", Field::kDecade},
    {"century", Field::kCentury},
    {"millennium", Field::kMillennium},
    {"dow", Field::kDayOfWeek},
    {"isodow", Field::kIsoDayOfWeek},
    {"doy", Field::kDayOfYear},
    {"isoyear", Field::kIsoYear},
    {"epoch", Field::kEpoch},
    {"julian", Field::kJulian},
};

std::optional<Field> field_of(const Value& text) {
  const std::string name = ascii_mapped(text.bytes(), CaseMap::kLower);
  for (const FieldName& f : kFieldNames) {
    if (f.name == name) return f.field;
  }
  return std::nullopt;
}

constexpr std::int64_t kEpochDays = -10957;  // 1970-01-01
constexpr std::int64_t kJulianOf2000 = 2451545;

// 1 Monday to 7 Sunday; 2000-01-01 was a Saturday.
std::int64_t iso_day_of_week(std::int64_t days) {
  return days + 5 - floor_divide(days + 5, 7) * 7 + 1;
}

struct IsoWeek {
  std::int64_t year;
  std::int64_t week;
};

// A week belongs to the year that its Thursday is in.
IsoWeek iso_week(std::int64_t days) {
  const std::int64_t thursday = days + 4 - iso_day_of_week(days);
  const std::int64_t year = civil_of(thursday).year;
  return {year, (thursday - days_from({year, 1, 1})) / 7 + 1};
}

// The fields of a date that are whole numbers.
std::optional<std::int64_t> date_field(Field field, std::int64_t days) {
  const CivilDate date = civil_of(days);
  if (date.year < 2) return std::nullopt;
  switch (field) {
    case Field::kDay:
      return date.day;
    case Field::kWeek:
      return iso_week(days).week;
    case Field::kMonth:
      return date.month;
    case Field::kQuarter:
      return (date.month + 2) / 3;
    case Field::kYear:
      return date.year;
    case Field::kDecade:
      return date.year / 10;
    case Field::kCentury:
      return (date.year + 99) / 100;
    case Field::kMillennium:
      return (date.year + 999) / 1000;
    case Field::kDayOfWeek:
      return iso_day_of_week(days) % 7;
    case Field::kIsoDayOfWeek:
      return iso_day_of_week(days);
    case Field::kDayOfYear:
      return days - days_from({date.year, 1, 1}) + 1;
    case Field::kIsoYear:
      return iso_week(days).year;
    case Field::kMicrosecond:
    case Field::kMillisecond:
    case Field::kSecond:
    case Field::kMinute:
    case Field::kHour:
    case Field::kEpoch:
    case Field::kJulian:
      break;
  }
  return std::nullopt;
}

// A field as the exact quotient units / 10^scale.
struct Fraction {
  std::int64_t units;
  int scale = 0;
};

// The fields of a time of day, in microseconds from midnight.
std::optional<Fraction> time_field(Field field, std::int64_t micros) {
  constexpr std::int64_t kMicrosPerMinute = 60 * kMicrosPerSecond;
  if (field == Field::kMicrosecond) return Fraction{micros % kMicrosPerMinute};
  if (field == Field::kMillisecond) return Fraction{micros % kMicrosPerMinute, 3};
  if (field == Field::kSecond) return Fraction{micros % kMicrosPerMinute, 6};
  if (field == Field::kMinute) return Fraction{micros / kMicrosPerMinute % 60};
  if (field == Field::kHour) return Fraction{micros / (60 * kMicrosPerMinute)};
  return std::nullopt;
}

std::optional<Fraction> timestamp_field(Field field, std::int64_t micros) {
  if (is_infinite_time(micros)) return std::nullopt;
  const std::int64_t days = floor_divide(micros, kMicrosPerDay);
  if (field == Field::kEpoch) {
    std::int64_t since = 0;
    if (__builtin_sub_overflow(micros, kEpochDays * kMicrosPerDay, &since)) return std::nullopt;
    return Fraction{since, 6};
  }
  if (const auto part = time_field(field, micros - days * kMicrosPerDay)) return part;
  const auto whole = date_field(field, days);
  return whole ? std::optional(Fraction{*whole}) : std::nullopt;
}

std::optional<Fraction> time_of_day_field(Field field, std::int64_t micros) {
  if (field == Field::kEpoch) return Fraction{micros, 6};
  return time_field(field, micros);
}

// What extract() does with dates since PostgreSQL 14: no fields of the time of day.
std::optional<Fraction> date_only_field(Field field, std::int32_t days) {
  if (is_infinite_date(days)) return std::nullopt;
  if (field == Field::kJulian) return Fraction{days + kJulianOf2000};
  if (field == Field::kEpoch) return Fraction{(days - kEpochDays) * 86400};
  const auto whole = date_field(field, days);
  return whole ? std::optional(Fraction{*whole}) : std::nullopt;
}

// As C divides: years, months ... of one sign each. What PostgreSQL's versions answer differently
// is left out (the week, the quarter of a negative month).
std::optional<Fraction> interval_field(Field field, const IntervalParts& span) {
  const std::int64_t year = span.months / 12;
  const std::int64_t month = span.months % 12;
  switch (field) {
    case Field::kHour:
      return Fraction{span.micros / (3600 * kMicrosPerSecond)};
    case Field::kDay:
      return Fraction{span.days};
    case Field::kMonth:
      return Fraction{month};
    case Field::kQuarter:
      return month < 0 ? std::nullopt : std::optional(Fraction{month / 3 + 1});
    case Field::kYear:
      return Fraction{year};
    case Field::kDecade:
      return Fraction{year / 10};
    case Field::kCentury:
      return Fraction{year / 100};
    case Field::kMillennium:
      return Fraction{year / 1000};
    case Field::kEpoch: {
      // Years of 365.25 days.
      const std::int64_t seconds =
          year * 31557600 + month * 2592000 + span.days * std::int64_t{86400};
      std::int64_t micros = 0;
      if (__builtin_mul_overflow(seconds, kMicrosPerSecond, &micros) ||
          __builtin_add_overflow(micros, span.micros, &micros)) {
        return std::nullopt;
      }
      return Fraction{micros, 6};
    }
    case Field::kMicrosecond:
    case Field::kMillisecond:
    case Field::kSecond:
    case Field::kMinute:
      return time_field(field, span.micros);
    case Field::kWeek:
    case Field::kDayOfWeek:
    case Field::kIsoDayOfWeek:
    case Field::kDayOfYear:
    case Field::kIsoYear:
    case Field::kJulian:
      break;
  }
  return std::nullopt;
}

MaybeValue exactly(const std::optional<Fraction>& f) {
  if (!f) return {};
  return number_value(trimmed({Number::Kind::kFinite, f->units, f->scale}));
}

MaybeValue extract_timestamp(const FunctionCall& call) {
  const auto field = field_of(call[0]);
  return field ? exactly(timestamp_field(*field, micros_of(call[1]))) : MaybeValue{};
}

MaybeValue extract_time(const FunctionCall& call) {
  const auto field = field_of(call[0]);
  return field ? exactly(time_of_day_field(*field, micros_of(call[1]))) : MaybeValue{};
}

MaybeValue extract_date(const FunctionCall& call) {
  const auto field = field_of(call[0]);
  return field ? exactly(date_only_field(*field, days_of(call[1]))) : MaybeValue{};
}

MaybeValue extract_interval(const FunctionCall& call) {
  const auto field = field_of(call[0]);
  return field ? exactly(interval_field(*field, *interval_parts(call[1]))) : MaybeValue{};
}

// Seconds since 1970 are the same in every time zone.
std::optional<Fraction> moment_field(Field field, std::int64_t micros) {
  return field == Field::kEpoch ? timestamp_field(field, micros) : std::nullopt;
}

MaybeValue extract_moment(const FunctionCall& call) {
  const auto field = field_of(call[0]);
  return field ? exactly(moment_field(*field, micros_of(call[1]))) : MaybeValue{};
}

// date_part(): the field as a double. PostgreSQL divides the microseconds of the second and adds
// the rest.
MaybeValue as_float(Field field, const std::optional<Fraction>& f) {
  if (!f) return {};
  const auto units = static_cast<double>(f->units);
  if (f->scale == 0) return float_value(units);
  if (field == Field::kEpoch) return float_value(units / 1000000.0);
  const std::int64_t seconds = f->units / kMicrosPerSecond;
  const auto whole = static_cast<double>(seconds);
  const auto micros = static_cast<double>(f->units % kMicrosPerSecond);
  if (field == Field::kMillisecond) return float_value(whole * 1000.0 + micros / 1000.0);
  return float_value(whole + micros / 1000000.0);
}

MaybeValue timestamp_part(const FunctionCall& call) {
  const auto field = field_of(call[0]);
  return field ? as_float(*field, timestamp_field(*field, micros_of(call[1]))) : MaybeValue{};
}

MaybeValue time_part(const FunctionCall& call) {
  const auto field = field_of(call[0]);
  return field ? as_float(*field, time_of_day_field(*field, micros_of(call[1]))) : MaybeValue{};
}

MaybeValue moment_part(const FunctionCall& call) {
  const auto field = field_of(call[0]);
  return field ? as_float(*field, moment_field(*field, micros_of(call[1]))) : MaybeValue{};
}

// The epoch is summed up from doubles: microseconds, years, months, days.
MaybeValue interval_part(const FunctionCall& call) {
  const auto field = field_of(call[0]);
  if (!field) return {};
  const IntervalParts span = *interval_parts(call[1]);
  if (field != Field::kEpoch) return as_float(*field, interval_field(*field, span));
  constexpr double kDay = 86400;
  const auto year = static_cast<double>(span.months / 12);
  const auto month = static_cast<double>(span.months % 12);
  return float_value(static_cast<double>(span.micros) / 1000000.0 + 365.25 * kDay * year +
                     30 * kDay * month + kDay * static_cast<double>(span.days));
}

// A date is taken as the timestamp of its midnight.
MaybeValue date_part(const FunctionCall& call) {
  const auto field = field_of(call[0]);
  const MaybeValue midnight = date_to_timestamp(days_of(call[1]));
  if (!field || !midnight.known()) return {};
  return as_float(*field, timestamp_field(*field, micros_of(*midnight.value)));
}

// ------------------------------------------------------------------ date_trunc

// The first day of the week, month ... that `days` is in.
std::optional<std::int64_t> truncated_days(Field field, std::int64_t days) {
  const CivilDate date = civil_of(days);
  if (date.year < 2) return std::nullopt;
  const auto first_of_year = [](std::int64_t year) { return days_from({year, 1, 1}); };
  if (field == Field::kDay) return days;
  if (field == Field::kWeek) return days + 1 - iso_day_of_week(days);
  if (field == Field::kMonth) return days_from({date.year, date.month, 1});
  if (field == Field::kQuarter) return days_from({date.year, (date.month - 1) / 3 * 3 + 1, 1});
  if (field == Field::kYear) return first_of_year(date.year);
  if (field == Field::kDecade) return first_of_year(date.year / 10 * 10);
  if (field == Field::kCentury) return first_of_year((date.year - 1) / 100 * 100 + 1);
  if (field == Field::kMillennium) return first_of_year((date.year - 1) / 1000 * 1000 + 1);
  return std::nullopt;
}

std::optional<std::int64_t> unit_micros(Field field) {
  if (field == Field::kMicrosecond) return 1;
  if (field == Field::kMillisecond) return 1000;
  if (field == Field::kSecond) return kMicrosPerSecond;
  if (field == Field::kMinute) return 60 * kMicrosPerSecond;
  if (field == Field::kHour) return 3600 * kMicrosPerSecond;
  return std::nullopt;
}

MaybeValue timestamp_trunc(const FunctionCall& call) {
  const auto field = field_of(call[0]);
  const std::int64_t micros = micros_of(call[1]);
  if (!field || is_infinite_time(micros)) return {};
  if (const auto unit = unit_micros(*field)) {
    return time_value(ValueFamily::kTimestamp, floor_divide(micros, *unit) * *unit);
  }
  const auto days = truncated_days(*field, floor_divide(micros, kMicrosPerDay));
  if (!days) return {};
  return time_value(ValueFamily::kTimestamp, *days * kMicrosPerDay);
}

// ------------------------------------------------------------------ sums and differences

MaybeValue plus_days(std::int32_t date, std::int64_t days) {
  return date_value(is_infinite_date(date) ? date : date + days);
}

MaybeValue date_plus(const FunctionCall& call) {
  return plus_days(days_of(call[0]), *integer_of(call[1]));
}
MaybeValue plus_date(const FunctionCall& call) {
  return plus_days(days_of(call[1]), *integer_of(call[0]));
}
MaybeValue date_minus(const FunctionCall& call) {
  return plus_days(days_of(call[0]), -*integer_of(call[1]));
}

MaybeValue date_difference(const FunctionCall& call) {
  const std::int32_t a = days_of(call[0]);
  const std::int32_t b = days_of(call[1]);
  if (is_infinite_date(a) || is_infinite_date(b)) return {};
  return integer_value(Int128{a} - b);
}

MaybeValue at_time(const MaybeValue& midnight, std::int64_t time) {
  if (!midnight.known()) return {};
  const std::int64_t micros = micros_of(*midnight.value);
  if (is_infinite_time(micros)) return midnight;
  std::int64_t sum = 0;
  if (__builtin_add_overflow(micros, time, &sum)) return {};
  return time_value(ValueFamily::kTimestamp, sum);
}

MaybeValue date_and_time(const FunctionCall& call) {
  return at_time(date_to_timestamp(days_of(call[0])), micros_of(call[1]));
}
MaybeValue time_and_date(const FunctionCall& call) {
  return at_time(date_to_timestamp(days_of(call[1])), micros_of(call[0]));
}

// ------------------------------------------------------------------ others

// value AT TIME ZONE 'UTC'; what other names mean is up to the server's files.
template <ValueFamily to>
MaybeValue in_utc(const FunctionCall& call) {
  const std::string zone = ascii_mapped(call.bytes(0), CaseMap::kLower);
  if (zone != "utc" && zone != "gmt" && zone != "etc/utc") return {};
  return time_value(to, micros_of(call[1]));
}

// Negative years are BC, and there is no year 0.
MaybeValue make_date(const FunctionCall& call) {
  const std::int64_t year = *integer_of(call[0]);
  const std::int64_t month = *integer_of(call[1]);
  const std::int64_t day = *integer_of(call[2]);
  constexpr std::int64_t kYearMax = 5874897;
  if (year == 0 || year > kYearMax || year < -4713 || month < 1 || month > 12) return {};
  const CivilDate date{year < 0 ? year + 1 : year, static_cast<int>(month), static_cast<int>(day)};
  if (day < 1 || day > days_in_month(date.year, date.month)) return {};
  return date_value(days_from(date));
}

MaybeValue is_finite_date(const FunctionCall& call) {
  return bool_value(!is_infinite_date(days_of(call[0])));
}
MaybeValue is_finite_timestamp(const FunctionCall& call) {
  return bool_value(!is_infinite_time(micros_of(call[0])));
}

template <bool greater>
MaybeValue extreme(const FunctionCall& call) {
  return (call.bytes(0) > call.bytes(1)) == greater ? call.arguments[0] : call.arguments[1];
}

constexpr Oid kText = type::kText, kDate = type::kDate, kTime = type::kTime,
              kStamp = type::kTimestamp, kStampTz = type::kTimestamptz, k4 = type::kInt4,
              kFloat = type::kFloat8, kNumeric = type::kNumeric, kBool = type::kBool,
              kSpan = type::kInterval;

}  // namespace

FunctionTable time_functions() {
  return {
      {6199, "extract", {kText, kDate}, kNumeric, extract_date},
      {6200, "extract", {kText, kTime}, kNumeric, extract_time},
      {6202, "extract", {kText, kStamp}, kNumeric, extract_timestamp},
      {6203, "extract", {kText, kStampTz}, kNumeric, extract_moment},
      {6204, "extract", {kText, kSpan}, kNumeric, extract_interval},
      {1171, "date_part", {kText, kStampTz}, kFloat, moment_part},
      {1172, "date_part", {kText, kSpan}, kFloat, interval_part},
      {1159, "timezone", {kText, kStampTz}, kStamp, in_utc<ValueFamily::kTimestamp>},
      {2069, "timezone", {kText, kStamp}, kStampTz, in_utc<ValueFamily::kTimestamptz>},
      {1384, "date_part", {kText, kDate}, kFloat, date_part},
      {1385, "date_part", {kText, kTime}, kFloat, time_part},
      {2021, "date_part", {kText, kStamp}, kFloat, timestamp_part},
      {2020, "date_trunc", {kText, kStamp}, kStamp, timestamp_trunc},
      {1141, "date_pli", {kDate, k4}, kDate, date_plus},
      {2550, "integer_pl_date", {k4, kDate}, kDate, plus_date},
      {1142, "date_mii", {kDate, k4}, kDate, date_minus},
      {1140, "date_mi", {kDate, kDate}, k4, date_difference},
      {1272, "datetime_pl", {kDate, kTime}, kStamp, date_and_time},
      {2025, "timestamp", {kDate, kTime}, kStamp, date_and_time},
      {1296, "timedate_pl", {kTime, kDate}, kStamp, time_and_date},
      {3846, "make_date", {k4, k4, k4}, kDate, make_date},
      {1373, "isfinite", {kDate}, kBool, is_finite_date},
      {2048, "isfinite", {kStamp}, kBool, is_finite_timestamp},
      {1389, "isfinite", {kStampTz}, kBool, is_finite_timestamp},
      {1138, "date_larger", {kDate, kDate}, kDate, extreme<true>},
      {1139, "date_smaller", {kDate, kDate}, kDate, extreme<false>},
      {1377, "time_larger", {kTime, kTime}, kTime, extreme<true>},
      {1378, "time_smaller", {kTime, kTime}, kTime, extreme<false>},
      {2036, "timestamp_larger", {kStamp, kStamp}, kStamp, extreme<true>},
      {2035, "timestamp_smaller", {kStamp, kStamp}, kStamp, extreme<false>},
      {1196, "timestamptz_larger", {kStampTz, kStampTz}, kStampTz, extreme<true>},
      {1195, "timestamptz_smaller", {kStampTz, kStampTz}, kStampTz, extreme<false>},
  };
}

}  // namespace pgcache::pg::builtin
