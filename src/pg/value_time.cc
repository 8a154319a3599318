// SPDX-License-Identifier: Apache-2.0
// date, time, timetz, timestamp and timestamptz.
//
// Of the many spellings that PostgreSQL understands, those of ISO 8601 are read whose meaning no
// setting can change: YYYY-MM-DD with four to seven digits of year, HH:MM[:SS[.ffffff]], a blank or
// T between them, and a numeric offset or Z. Years before Christ, second 60, more than six
// fractional digits (which PostgreSQL rounds) and names of zones yield nothing.
#include <limits>

#include "base/bytes.h"
#include "pg/value_codec.h"
#include "pg/value_scanner.h"

namespace pgcache::pg {

namespace {

constexpr std::int64_t kMicrosPerSecond = 1000000;
constexpr std::int64_t kMicrosPerDay = 86400 * kMicrosPerSecond;

// Days from 2000-01-01: the first of a date and of a timestamp is 4714-11-24 BC; these are the
// first ones that are too late (5874898-01-01 and 294277-01-01).
constexpr std::int32_t kDaysMin = -2451545;
constexpr std::int32_t kDaysEnd = 2145031949;
constexpr std::int64_t kTimestampMin = kDaysMin * kMicrosPerDay;
constexpr std::int64_t kTimestampEnd = 9223371331200000000;
constexpr std::int32_t kZoneEnd = 16 * 3600;  // a zone is less than 16 hours off
constexpr int kDateYearMax = 5874897;
constexpr int kTimestampYearMax = 294276;

constexpr std::int32_t kDateInfinity = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t kDateMinusInfinity = std::numeric_limits<std::int32_t>::min();
constexpr std::int64_t kInfinity = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinusInfinity = std::numeric_limits<std::int64_t>::min();

// Turning the sign bit makes two's complement ascend bytewise.
std::string canonical_days(std::int32_t days) {
  std::string out;
  append_be32(out, static_cast<std::uint32_t>(days) ^ 0x80000000u);
  return out;
}

std::string canonical_micros(std::int64_t micros) {
  std::string out;
  append_be64(out, static_cast<std::uint64_t>(micros) ^ (std::uint64_t{1} << 63));
  return out;
}

// Ordered by the moment, then by the zone, as PostgreSQL counts it: westward.
std::string canonical_timetz(std::int64_t micros, std::int32_t west) {
  std::string out = canonical_micros(micros + west * kMicrosPerSecond);
  append_be32(out, static_cast<std::uint32_t>(west) ^ 0x80000000u);
  return out;
}

bool timestamp_in_range(std::int64_t micros) {
  return micros >= kTimestampMin && micros < kTimestampEnd;
}

int days_in_month(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

// Days from 2000-01-01 in the proleptic Gregorian calendar. Years count from March here, so that
// the leap day is the last day of a year.
std::int32_t days_from_civil(int year, int month, int day) {
  const int y = month > 2 ? year : year - 1;
  const int months_from_march = month > 2 ? month - 3 : month + 9;
  const int day_of_year = (153 * months_from_march + 2) / 5 + day - 1;
  constexpr int kFirstOf2000 = 730425;  // what the next line gives for 2000-01-01
  return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - kFirstOf2000;
}

std::optional<std::int32_t> scan_date(Scanner& in, int year_max) {
  const std::size_t year_digits = in.digit_count();
  if (year_digits < 4) return std::nullopt;
  const auto year = in.digits(year_digits);
  if (!year || *year < 1 || *year > year_max) return std::nullopt;
  if (year_digits > 4 && *year < 10000) return std::nullopt;  // needless zeros
  if (!in.eat('-')) return std::nullopt;
  const auto month = in.two_digits(12);
  if (!month || *month < 1 || !in.eat('-')) return std::nullopt;
  const auto day = in.two_digits(days_in_month(*year, *month));
  if (!day || *day < 1) return std::nullopt;
  return days_from_civil(*year, *month, *day);
}

std::optional<std::int64_t> scan_time(Scanner& in) {
  const auto hour = in.two_digits(24);
  if (!hour || !in.eat(':')) return std::nullopt;
  const auto minute = in.two_digits(59);
  if (!minute) return std::nullopt;
  int second = 0;
  int micros = 0;
  if (in.eat(':')) {
    const auto s = in.two_digits(59);
    if (!s) return std::nullopt;
    second = *s;
    if (in.eat('.')) {
      const auto fraction = in.fraction();
      if (!fraction) return std::nullopt;
      micros = *fraction;
    }
  }
  const std::int64_t total =
      ((std::int64_t{*hour} * 60 + *minute) * 60 + second) * kMicrosPerSecond + micros;
  return total <= kMicrosPerDay ? std::optional(total) : std::nullopt;
}

// "Z", "+HH", "+HHMM", "+HH:MM" or "+HH:MM:SS", a blank before the sign or not → seconds east of
// UTC.
std::optional<int> scan_offset(Scanner& in) {
  if (in.eat('Z')) return 0;
  (void)in.eat(' ');
  const bool west = in.eat('-');
  if (!west && !in.eat('+')) return std::nullopt;
  const std::size_t n = in.digit_count();
  if (n != 2 && n != 4) return std::nullopt;
  const int hour = *in.digits(2);
  std::optional<int> minute = 0;
  std::optional<int> second = 0;
  if (n == 4) {
    minute = in.two_digits(59);
  } else if (in.eat(':')) {
    minute = in.two_digits(59);
    if (minute && in.eat(':')) second = in.two_digits(59);
  }
  if (hour > 15 || !minute || !second) return std::nullopt;
  const int east = (hour * 60 + *minute) * 60 + *second;
  return west ? -east : east;
}

CanonicalBytes date_from_text(std::string_view text) {
  if (equals_ignoring_case(text, "infinity")) return canonical_days(kDateInfinity);
  if (equals_ignoring_case(text, "-infinity")) return canonical_days(kDateMinusInfinity);
  Scanner in(text);
  const auto days = scan_date(in, kDateYearMax);
  if (!days || !in.at_end()) return std::nullopt;
  return canonical_days(*days);
}

CanonicalBytes time_of_day_from_text(std::string_view text) {
  Scanner in(text);
  const auto micros = scan_time(in);
  if (!micros || !in.at_end()) return std::nullopt;
  return canonical_micros(*micros);
}

CanonicalBytes timetz_from_text(std::string_view text) {
  Scanner in(text);
  const auto micros = scan_time(in);
  if (!micros) return std::nullopt;
  const auto east = scan_offset(in);
  if (!east || !in.at_end()) return std::nullopt;
  return canonical_timetz(*micros, -*east);
}

CanonicalBytes timestamp_from_text(std::string_view text, bool with_offset) {
  if (equals_ignoring_case(text, "infinity")) return canonical_micros(kInfinity);
  if (equals_ignoring_case(text, "-infinity")) return canonical_micros(kMinusInfinity);
  Scanner in(text);
  const auto days = scan_date(in, kTimestampYearMax);
  if (!days) return std::nullopt;
  std::int64_t micros = *days * kMicrosPerDay;
  if (in.at_end() && !with_offset) return canonical_micros(micros);
  if (!in.eat(' ') && !in.eat('T')) return std::nullopt;
  const auto time = scan_time(in);
  if (!time || *time == kMicrosPerDay) return std::nullopt;  // 24:00:00 is the next day's 00:00:00
  micros += *time;
  if (with_offset) {
    const auto east = scan_offset(in);
    if (!east) return std::nullopt;
    micros -= *east * kMicrosPerSecond;
  }
  if (!in.at_end() || !timestamp_in_range(micros)) return std::nullopt;
  return canonical_micros(micros);
}

}  // namespace

CanonicalBytes time_from_text(ValueFamily family, std::string_view text) {
  if (family == ValueFamily::kDate) return date_from_text(text);
  if (family == ValueFamily::kTime) return time_of_day_from_text(text);
  if (family == ValueFamily::kTimetz) return timetz_from_text(text);
  return timestamp_from_text(text, family == ValueFamily::kTimestamptz);
}

CanonicalBytes time_from_binary(ValueFamily family, std::string_view bytes) {
  ByteReader reader(bytes);
  if (family == ValueFamily::kDate) {
    const std::int32_t days = reader.i32();
    if (!reader.ok() || !reader.at_end()) return std::nullopt;
    const bool infinite = days == kDateInfinity || days == kDateMinusInfinity;
    if (!infinite && (days < kDaysMin || days >= kDaysEnd)) return std::nullopt;
    return canonical_days(days);
  }
  const std::int64_t micros = reader.i64();
  if (family == ValueFamily::kTimetz) {
    const std::int32_t west = reader.i32();
    if (!reader.ok() || !reader.at_end() || micros < 0 || micros > kMicrosPerDay ||
        west <= -kZoneEnd || west >= kZoneEnd) {
      return std::nullopt;
    }
    return canonical_timetz(micros, west);
  }
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  if (family == ValueFamily::kTime) {
    if (micros < 0 || micros > kMicrosPerDay) return std::nullopt;
    return canonical_micros(micros);
  }
  const bool infinite = micros == kInfinity || micros == kMinusInfinity;
  if (!infinite && !timestamp_in_range(micros)) return std::nullopt;
  return canonical_micros(micros);
}

}  // namespace pgcache::pg
