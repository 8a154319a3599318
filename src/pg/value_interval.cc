// SPDX-License-Identifier: Apache-2.0
// interval. PostgreSQL compares intervals as spans, with months of 30 days and days of 24 hours, so
// "1 mon" = "30 days" = "720:00:00": the span is the canonical form.
//
// Two notations are read:
//   postgres   1 year 2 mons -3 days +04:05:06.789   (the stream's), also with weeks, hours, ...
//   ISO 8601   P1Y2M3W4DT5H6M7.5S
// Each has a number with each unit, the units in descending order, a fraction only of seconds.
// Under IntervalStyle sql_standard a first sign "-" is that of all fields when no other field has
// one: the postgres notation is read only where that makes no difference. "ago", "@", numbers
// without a unit and the years-months notation yield nothing.
#include <array>
#include <charconv>
#include <limits>

#include "base/bytes.h"
#include "pg/value_codec.h"
#include "pg/value_scanner.h"

namespace pgcache::pg {

namespace {

constexpr std::int64_t kMicrosPerSecond = 1000000;
constexpr std::int64_t kMicrosPerDay = 86400 * kMicrosPerSecond;
constexpr std::int64_t kDaysPerMonth = 30;
constexpr std::size_t kDigitsMax = 10;  // of a number before its point

__extension__ typedef __int128 Int128;

enum class Unit : std::uint8_t { kYear, kMonth, kWeek, kDay, kHour, kMinute, kSecond, kNone };

// As PostgreSQL keeps an interval, in 32, 32 and 64 bits. Wider, so that sums of what is read
// cannot overflow.
struct Parts {
  std::int64_t months = 0;
  std::int64_t days = 0;
  Int128 micros = 0;
};

// A number, and what is behind its point; both have its sign.
struct Quantity {
  bool signed_explicitly = false;
  std::int64_t number = 0;
  std::int64_t micros = 0;
  bool is_time = false;  // of hours; minutes and seconds are in micros
};

bool fits_32(std::int64_t v) {
  return v >= std::numeric_limits<std::int32_t>::min() &&
         v <= std::numeric_limits<std::int32_t>::max();
}

std::optional<IntervalParts> narrowed(const Parts& parts) {
  if (!fits_32(parts.months) || !fits_32(parts.days)) return std::nullopt;
  if (parts.micros != static_cast<std::int64_t>(parts.micros)) return std::nullopt;
  return IntervalParts{static_cast<std::int32_t>(parts.months),
                       static_cast<std::int32_t>(parts.days),
                       static_cast<std::int64_t>(parts.micros)};
}

// Whether a unit can be of such a number; if so it is added.
bool add(Parts& parts, Unit unit, const Quantity& quantity) {
  if (unit != Unit::kHour && !fits_32(quantity.number)) return false;
  parts.micros += quantity.micros;
  switch (unit) {
    case Unit::kYear:
      parts.months += quantity.number * 12;
      break;
    case Unit::kMonth:
      parts.months += quantity.number;
      break;
    case Unit::kWeek:
      parts.days += quantity.number * 7;
      if (!fits_32(parts.days)) return false;
      break;
    case Unit::kDay:
      parts.days += quantity.number;
      break;
    case Unit::kHour:
      parts.micros += Int128{quantity.number} * 3600 * kMicrosPerSecond;
      break;
    case Unit::kMinute:
      parts.micros += quantity.number * 60 * kMicrosPerSecond;
      break;
    case Unit::kSecond:
      parts.micros += quantity.number * kMicrosPerSecond;
      break;
    case Unit::kNone:
      return false;
  }
  return quantity.micros == 0 || quantity.is_time || unit == Unit::kSecond;
}

Unit unit_named(std::string_view word) {
  struct Name {
    std::string_view word;
    Unit unit;
  };
  constexpr std::array kNames = {
      Name{"year", Unit::kYear},      Name{"years", Unit::kYear},     Name{"mon", Unit::kMonth},
      Name{"mons", Unit::kMonth},     Name{"month", Unit::kMonth},    Name{"months", Unit::kMonth},
      Name{"week", Unit::kWeek},      Name{"weeks", Unit::kWeek},     Name{"day", Unit::kDay},
      Name{"days", Unit::kDay},       Name{"hour", Unit::kHour},      Name{"hours", Unit::kHour},
      Name{"min", Unit::kMinute},     Name{"mins", Unit::kMinute},    Name{"minute", Unit::kMinute},
      Name{"minutes", Unit::kMinute}, Name{"sec", Unit::kSecond},     Name{"secs", Unit::kSecond},
      Name{"second", Unit::kSecond},  Name{"seconds", Unit::kSecond},
  };
  for (const Name& name : kNames) {
    if (equals_ignoring_case(word, name.word)) return name.unit;
  }
  return Unit::kNone;
}

// What follows the hours of HH:MM[:SS[.ffffff]]: minutes and seconds.
std::optional<std::int64_t> scan_after_hours(Scanner& in) {
  const auto minute = in.two_digits(59);
  if (!minute) return std::nullopt;
  std::optional<int> second = 0;
  std::optional<int> micros = 0;
  if (in.eat(':')) {
    second = in.two_digits(59);
    if (second && in.eat('.')) micros = in.fraction();
  }
  if (!second || !micros) return std::nullopt;
  return (std::int64_t{*minute} * 60 + *second) * kMicrosPerSecond + *micros;
}

// A number with a sign or not, up to its unit; or a time.
std::optional<Quantity> scan_quantity(Scanner& in) {
  Quantity out;
  const bool negative = in.eat('-');
  out.signed_explicitly = negative || in.eat('+');
  const std::size_t digit_count = in.digit_count();
  const std::string_view digits = in.rest().substr(0, digit_count);
  if (digit_count > kDigitsMax ||
      std::from_chars(digits.data(), digits.data() + digit_count, out.number).ec != std::errc()) {
    return std::nullopt;
  }
  in.skip(digit_count);
  if (in.eat(':')) {
    const auto rest = scan_after_hours(in);
    if (!rest) return std::nullopt;
    out.is_time = true;
    out.micros = *rest;
  } else if (in.eat('.')) {
    const auto fraction = in.fraction();
    if (!fraction) return std::nullopt;
    out.micros = *fraction;
  }
  if (negative) {
    out.number = -out.number;
    out.micros = -out.micros;
  }
  return out;
}

std::optional<IntervalParts> from_postgres_style(Scanner in) {
  const bool starts_negative = in.rest().substr(0, 1) == "-";
  Parts parts;
  int count = 0;
  bool signed_later = false;
  int last_unit = -1;
  do {
    const auto quantity = scan_quantity(in);
    if (!quantity) return std::nullopt;
    Unit unit = Unit::kHour;
    if (!quantity->is_time) {
      if (!in.eat(' ')) return std::nullopt;
      unit = unit_named(in.letters());
    }
    if (static_cast<int>(unit) <= last_unit || !add(parts, unit, *quantity)) return std::nullopt;
    last_unit = static_cast<int>(quantity->is_time ? Unit::kSecond : unit);
    if (count > 0 && quantity->signed_explicitly) signed_later = true;
    ++count;
  } while (in.eat(' '));
  if (!in.at_end()) return std::nullopt;
  if (starts_negative && count > 1 && !signed_later) return std::nullopt;
  return narrowed(parts);
}

Unit iso_unit(Scanner& in, bool in_time) {
  if (in.eat('M')) return in_time ? Unit::kMinute : Unit::kMonth;
  if (in_time) {
    if (in.eat('H')) return Unit::kHour;
    return in.eat('S') ? Unit::kSecond : Unit::kNone;
  }
  if (in.eat('Y')) return Unit::kYear;
  if (in.eat('W')) return Unit::kWeek;
  return in.eat('D') ? Unit::kDay : Unit::kNone;
}

// Behind the P.
std::optional<IntervalParts> from_iso_style(Scanner in) {
  Parts parts;
  bool in_time = false;
  int last_unit = -1;
  do {
    if (!in_time && in.eat('T')) in_time = true;
    if (in.rest().substr(0, 1) == "+") return std::nullopt;
    const auto quantity = scan_quantity(in);
    if (!quantity || quantity->is_time) return std::nullopt;
    const Unit unit = iso_unit(in, in_time);
    if (static_cast<int>(unit) <= last_unit || !add(parts, unit, *quantity)) return std::nullopt;
    last_unit = static_cast<int>(unit);
  } while (!in.at_end());
  return narrowed(parts);
}

std::optional<IntervalParts> from_text(std::string_view text) {
  Scanner in(text);
  return in.eat('P') ? from_iso_style(in) : from_postgres_style(in);
}

// interval_send(): microseconds, days, months.
std::optional<IntervalParts> from_binary(std::string_view bytes) {
  ByteReader reader(bytes);
  IntervalParts parts;
  parts.micros = reader.i64();
  parts.days = reader.i32();
  parts.months = reader.i32();
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return parts;
}

template <typename Int>
bool is_end(Int v) {
  return v == std::numeric_limits<Int>::max() || v == std::numeric_limits<Int>::min();
}

bool is_infinite(const IntervalParts& parts) {
  return is_end(parts.months) && is_end(parts.days) && is_end(parts.micros);
}

CanonicalBytes bytes_of(const IntervalParts& parts) {
  if (is_infinite(parts)) return std::nullopt;
  constexpr std::uint32_t kSign = 0x80000000u;
  std::string out;
  append_be32(out, static_cast<std::uint32_t>(parts.months) ^ kSign);
  append_be32(out, static_cast<std::uint32_t>(parts.days) ^ kSign);
  append_be64(out, static_cast<std::uint64_t>(parts.micros) ^ (std::uint64_t{1} << 63));
  return out;
}

}  // namespace

std::string interval_span(const IntervalParts& parts) {
  const Int128 span =
      Int128{parts.months * kDaysPerMonth + parts.days} * kMicrosPerDay + parts.micros;
  std::string out;
  // The longest span takes 73 bits.
  append_be16(out, static_cast<std::uint16_t>(static_cast<std::uint16_t>(span >> 64) ^ 0x8000u));
  append_be64(out, static_cast<std::uint64_t>(span));
  return out;
}

CanonicalBytes interval_from_text(std::string_view text) {
  const auto parts = from_text(text);
  return parts ? CanonicalBytes(interval_span(*parts)) : std::nullopt;
}

CanonicalBytes interval_from_binary(std::string_view bytes) {
  const auto parts = from_binary(bytes);
  return parts ? CanonicalBytes(interval_span(*parts)) : std::nullopt;
}

CanonicalBytes interval_parts_from_text(std::string_view text) {
  const auto parts = from_text(text);
  return parts ? bytes_of(*parts) : std::nullopt;
}

CanonicalBytes interval_parts_from_binary(std::string_view bytes) {
  const auto parts = from_binary(bytes);
  return parts ? bytes_of(*parts) : std::nullopt;
}

std::optional<IntervalParts> interval_parts(const Value& value) {
  if (value.family() != ValueFamily::kIntervalParts) return std::nullopt;
  ByteReader reader(value.bytes());
  IntervalParts parts;
  parts.months = static_cast<std::int32_t>(reader.u32() ^ 0x80000000u);
  parts.days = static_cast<std::int32_t>(reader.u32() ^ 0x80000000u);
  parts.micros = static_cast<std::int64_t>(reader.u64() ^ (std::uint64_t{1} << 63));
  return parts;
}

std::optional<Value> interval_from_parts(const IntervalParts& parts) {
  auto bytes = bytes_of(parts);
  if (!bytes) return std::nullopt;
  return ValueCodec::make(ValueFamily::kIntervalParts, *std::move(bytes));
}

}  // namespace pgcache::pg
