// SPDX-License-Identifier: Apache-2.0
// Casts. Left out is what a setting decides (DateStyle, TimeZone, bytea_output,
// extra_float_digits) and what the canonical form has lost: a numeric's scale and a char(n)'s
// blanks cannot be written out as text.
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "pg/function_number.h"
#include "pg/function_table.h"
#include "pg/function_time.h"
#include "pg/function_utf8.h"
#include "pg/value_codec.h"

namespace pgcache::pg {

namespace builtin {

namespace {

constexpr std::size_t kNameBytesMax = 63;

bool is_float(Oid type) { return type == type::kFloat4 || type == type::kFloat8; }
bool is_string(Oid type) {
  return type::is_text(type) || type == type::kBpchar || type == type::kName;
}

// ------------------------------------------------------------------ to text

std::string hex(std::string_view bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kHex[static_cast<unsigned char>(c) >> 4];
    out += kHex[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string uuid_text(const Value& value) {
  std::string out = hex(value.bytes());
  for (const std::size_t at : {8, 13, 18, 23}) out.insert(at, 1, '-');
  return out;
}

// HH:MM:SS and the digits of the fraction that are needed; no DateStyle changes it.
std::string time_text(std::int64_t micros) {
  const auto part = [&](std::int64_t unit, std::int64_t modulus) {
    return static_cast<int>(micros / unit % modulus);
  };
  std::array<char, 32> out;
  std::snprintf(out.data(), out.size(), "%02d:%02d:%02d.%06d", part(3600 * kMicrosPerSecond, 100),
                part(60 * kMicrosPerSecond, 60), part(kMicrosPerSecond, 60),
                part(1, kMicrosPerSecond));
  std::string text = out.data();
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

// The output function's text, where it depends on the value alone.
std::optional<std::string> output_of(Oid from, const Value& value) {
  if (type::is_integer(from)) {
    const auto n = integer_of(value);
    return n ? std::optional(std::to_string(*n)) : std::nullopt;
  }
  if (from == type::kOid) return std::to_string(oid_of(value));
  if (from == type::kUuid) return uuid_text(value);
  if (from == type::kTime) return time_text(micros_of(value));
  if (from == type::kBool) return bool_of(value) ? "t" : "f";
  return std::nullopt;
}

bool has_output(Oid from) {
  return type::is_integer(from) || from == type::kOid || from == type::kUuid ||
         from == type::kTime || from == type::kBool;
}

// ------------------------------------------------------------------ between strings

// A name is cut to 63 bytes of the database's encoding, which may be fewer than in UTF-8.
MaybeValue to_name(std::string_view text, const FunctionContext& context) {
  if (!context.utf8 && text.size() > kNameBytesMax && !is_ascii(text)) return {};
  if (text.size() > kNameBytesMax && !is_judged_text(text, context)) return {};
  return MaybeValue::of(
      ValueCodec::make(ValueFamily::kName, std::string(clipped(text, kNameBytesMax))));
}

std::string_view without_trailing_blanks(std::string_view text) {
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

MaybeValue to_string_type(Oid to, std::string_view text, const FunctionContext& context) {
  if (to == type::kName) return to_name(text, context);
  if (to != type::kBpchar) return text_value(std::string(text));
  return MaybeValue::of(
      ValueCodec::make(ValueFamily::kBpchar, std::string(without_trailing_blanks(text))));
}

// text_name() leaves blanks at the end of what it cut off, bpchar_name() does not.
MaybeValue between_strings(Oid from, Oid to, const Value& value, const FunctionContext& context) {
  MaybeValue out = to_string_type(to, value.bytes(), context);
  if (from == type::kBpchar && to == type::kName && out.known()) {
    return to_name(without_trailing_blanks(out.value->bytes()), context);
  }
  return out;
}

// ------------------------------------------------------------------ from text

// The input function reads white space around numbers and booleans, so a char(n)'s lost blanks do
// not matter to these.
bool ignores_blanks(Oid to) { return type::is_number(to) || is_float(to) || to == type::kBool; }

bool has_input(Oid from, Oid to) {
  if (!is_string(from) || is_string(to) || !family_of(to)) return false;
  return from != type::kBpchar || ignores_blanks(to);
}

MaybeValue from_string(Oid to, const Value& value) {
  const ValueTypePtr apart = argument_type(to);
  auto parsed = apart ? parse_text(*apart, value.bytes()) : parse_text(to, value.bytes());
  return parsed ? MaybeValue::of(*std::move(parsed)) : MaybeValue{};
}

// ------------------------------------------------------------------ numbers

bool is_in_range(Oid type, std::int64_t n) {
  if (type == type::kInt2) return n == static_cast<std::int16_t>(n);
  if (type == type::kInt4) return n == static_cast<std::int32_t>(n);
  return true;
}

MaybeValue to_integer(Oid to, Int128 n) {
  if (n < INT64_MIN || n > INT64_MAX || !is_in_range(to, static_cast<std::int64_t>(n))) return {};
  return integer_value(n);
}

MaybeValue number_to_integer(Oid to, const Value& value) {
  const auto n = number_of(value);
  const auto rounded = n && n->finite() ? round_number(*n, 0) : std::nullopt;
  return rounded ? to_integer(to, rounded->mantissa) : MaybeValue{};
}

// To the even one of two equally near integers.
MaybeValue float_to_integer(Oid to, const Value& value) {
  const double d = std::nearbyint(float_of(value));
  constexpr double kEnd = 9223372036854775808.0;  // 2^63
  if (!(d >= -kEnd && d < kEnd)) return {};
  return to_integer(to, static_cast<std::int64_t>(d));
}

MaybeValue narrowed(double d) {
  const auto f = static_cast<float>(d);
  if (std::isinf(f) && !std::isinf(d)) return {};
  if (f == 0 && d != 0) return {};
  return float_value(f);
}

std::string decimal_text(const Number& n) {
  // The mantissa's digits and an exponent, which is all that the reader of floats needs.
  Int128 rest = n.mantissa < 0 ? -n.mantissa : n.mantissa;
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
  } while (rest != 0);
  return (n.mantissa < 0 ? "-" : "") + digits + "e-" + std::to_string(n.scale);
}

MaybeValue number_to_float(Oid from, Oid to, const Value& value) {
  const auto n = number_of(value);
  if (!n) return {};
  if (type::is_integer(from)) {
    const auto integer = static_cast<std::int64_t>(n->mantissa);
    return to == type::kFloat4 ? float_value(static_cast<float>(integer))
                               : float_value(static_cast<double>(integer));
  }
  if (n->is_nan()) return float_value(std::nan(""));
  if (n->infinite()) return float_value(n->sign() * HUGE_VAL);
  auto parsed = parse_text(to, decimal_text(*n));
  return parsed ? MaybeValue::of(*std::move(parsed)) : MaybeValue{};
}

// PostgreSQL writes the float with its certain digits, 15 or 6, and reads that.
MaybeValue float_to_numeric(Oid from, const Value& value) {
  const double d = float_of(value);
  if (std::isnan(d)) return number_value(Number{Number::Kind::kNan});
  if (std::isinf(d)) {
    return number_value(Number{d > 0 ? Number::Kind::kPlusInfinity : Number::Kind::kMinusInfinity});
  }
  std::array<char, 40> text;
  char* const end = std::to_chars(text.data(), text.data() + text.size(), d,
                                  std::chars_format::general, from == type::kFloat4 ? 6 : 15)
                        .ptr;
  auto parsed = parse_text(type::kNumeric, std::string_view(text.data(), end));
  return parsed ? MaybeValue::of(*std::move(parsed)) : MaybeValue{};
}

bool between_numbers(Oid from, Oid to) {
  return (type::is_number(from) || is_float(from)) && (type::is_number(to) || is_float(to));
}

MaybeValue number_cast(Oid from, Oid to, const Value& value) {
  if (is_float(from)) {
    if (type::is_integer(to)) return float_to_integer(to, value);
    if (to == type::kNumeric) return float_to_numeric(from, value);
    return to == type::kFloat4 ? narrowed(float_of(value)) : MaybeValue::of(value);
  }
  if (is_float(to)) return number_to_float(from, to, value);
  return type::is_integer(to) ? number_to_integer(to, value) : MaybeValue::of(value);
}

// ------------------------------------------------------------------ oid, bool, times

bool is_oid_cast(Oid from, Oid to) {
  return (from == type::kOid && (to == type::kInt4 || to == type::kInt8)) ||
         (to == type::kOid && type::is_integer(from));
}

// int4 and oid are each other's bits; an int2 is widened first.
MaybeValue oid_cast(Oid from, Oid to, const Value& value) {
  if (from == type::kOid) {
    const std::uint32_t oid = oid_of(value);
    return to == type::kInt8 ? integer_value(oid) : integer_value(static_cast<std::int32_t>(oid));
  }
  const auto n = integer_of(value);
  if (!n) return {};
  if (from == type::kInt8 && *n != static_cast<std::uint32_t>(*n)) return {};
  return oid_value(static_cast<std::uint32_t>(*n));
}

bool is_bool_cast(Oid from, Oid to) {
  return (from == type::kBool && to == type::kInt4) || (from == type::kInt4 && to == type::kBool);
}

MaybeValue bool_cast(Oid from, const Value& value) {
  if (from == type::kBool) return integer_value(bool_of(value) ? 1 : 0);
  const auto n = integer_of(value);
  return n ? bool_value(*n != 0) : MaybeValue{};
}

bool is_time_cast(Oid from, Oid to) {
  return (from == type::kDate && to == type::kTimestamp) ||
         (from == type::kTimestamp && (to == type::kDate || to == type::kTime));
}

MaybeValue time_cast(Oid from, Oid to, const Value& value) {
  if (from == type::kDate) return date_to_timestamp(days_of(value));
  return to == type::kDate ? timestamp_to_date(micros_of(value))
                           : timestamp_to_time(micros_of(value));
}

// ------------------------------------------------------------------ length coercions

// atttypmod counts itself as 4 bytes.
constexpr std::int32_t kTypmodHeader = 4;

MaybeValue limit_chars(std::int32_t typmod, const Value& value, const FunctionContext& context) {
  const std::string_view text = value.bytes();
  const std::int32_t length = typmod - kTypmodHeader;
  if (length < 1) return {};
  const auto n = static_cast<std::size_t>(length);
  if (text.size() <= n) return MaybeValue::of(value);
  if (!is_judged_text(text, context)) return {};
  std::string_view out = text.substr(0, offset_of_char(text, n));
  if (value.family() == ValueFamily::kBpchar) out = without_trailing_blanks(out);
  return MaybeValue::of(ValueCodec::make(value.family(), std::string(out)));
}

// numeric(precision, scale), a negative scale included.
MaybeValue limit_digits(std::int32_t typmod, const Value& value) {
  const std::int32_t bits = typmod - kTypmodHeader;
  const std::int32_t precision = bits >> 16 & 0xFFFF;
  const std::int32_t scale = ((bits & 0x7FF) ^ 1024) - 1024;
  const auto n = number_of(value);
  if (bits < 0 || !n || n->infinite()) return {};
  if (n->is_nan()) return MaybeValue::of(value);
  const auto rounded = round_number(*n, scale);
  if (!rounded) return {};
  // Too large is what is not below 10 to the number of digits before the point.
  const int places = precision - scale + rounded->scale;
  const Int128 magnitude = rounded->mantissa < 0 ? -rounded->mantissa : rounded->mantissa;
  const bool fits = places > kNumberScaleMax || magnitude < power_of_ten(places);
  if (places < 0 ? magnitude != 0 : !fits) return {};
  return number_value(*rounded);
}

MaybeValue limit_precision(std::int32_t typmod, const Value& value) {
  if (typmod > 6) return {};
  return time_value(value.family(), round_micros(micros_of(value), typmod));
}

bool has_length(Oid type) {
  return type == type::kVarchar || type == type::kBpchar || type == type::kNumeric ||
         type == type::kTime || type == type::kTimestamp || type == type::kTimestamptz;
}

MaybeValue coerce_length(Oid type, std::int32_t typmod, const Value& value,
                         const FunctionContext& context) {
  if (type == type::kVarchar || type == type::kBpchar) return limit_chars(typmod, value, context);
  if (type == type::kNumeric) return limit_digits(typmod, value);
  if (has_length(type)) return limit_precision(typmod, value);
  return {};
}

// ------------------------------------------------------------------ as functions

MaybeValue cast_body(const FunctionCall& call) {
  return convert(call.entry.arguments[0], call.entry.result, call[0], call.context);
}

namespace t = type;

FunctionEntry cast_entry(std::uint32_t oid, const char* name, Oid from, Oid to) {
  return {oid, name, {from}, to, cast_body, true};
}

}  // namespace

bool can_convert(Oid from, Oid to) {
  if (!family_of(from) || !family_of(to)) return false;
  return (is_string(from) && is_string(to)) || between_numbers(from, to) || is_oid_cast(from, to) ||
         is_bool_cast(from, to) || is_time_cast(from, to) || has_input(from, to) ||
         (is_string(to) && has_output(from));
}

MaybeValue convert(Oid from, Oid to, const Value& value, const FunctionContext& context) {
  if (from == to) return MaybeValue::of(value);
  if (is_string(from) && is_string(to)) return between_strings(from, to, value, context);
  if (between_numbers(from, to)) return number_cast(from, to, value);
  if (is_oid_cast(from, to)) return oid_cast(from, to, value);
  if (is_bool_cast(from, to)) return bool_cast(from, value);
  if (is_time_cast(from, to)) return time_cast(from, to, value);
  if (has_input(from, to)) return from_string(to, value);
  if (!is_string(to)) return {};
  // To a name a boolean is converted by its output function, to text by a function.
  if (from == type::kBool && to != type::kName) {
    return to_string_type(to, bool_of(value) ? "true" : "false", context);
  }
  const auto text = output_of(from, value);
  return text ? to_string_type(to, *text, context) : MaybeValue{};
}

FunctionTable cast_functions() {
  return {
      cast_entry(313, "int4", t::kInt2, t::kInt4),
      cast_entry(314, "int2", t::kInt4, t::kInt2),
      cast_entry(480, "int4", t::kInt8, t::kInt4),
      cast_entry(481, "int8", t::kInt4, t::kInt8),
      cast_entry(714, "int2", t::kInt8, t::kInt2),
      cast_entry(754, "int8", t::kInt2, t::kInt8),
      cast_entry(235, "float8", t::kInt2, t::kFloat8),
      cast_entry(236, "float4", t::kInt2, t::kFloat4),
      cast_entry(237, "int2", t::kFloat8, t::kInt2),
      cast_entry(238, "int2", t::kFloat4, t::kInt2),
      cast_entry(311, "float8", t::kFloat4, t::kFloat8),
      cast_entry(312, "float4", t::kFloat8, t::kFloat4),
      cast_entry(316, "float8", t::kInt4, t::kFloat8),
      cast_entry(317, "int4", t::kFloat8, t::kInt4),
      cast_entry(318, "float4", t::kInt4, t::kFloat4),
      cast_entry(319, "int4", t::kFloat4, t::kInt4),
      cast_entry(482, "float8", t::kInt8, t::kFloat8),
      cast_entry(483, "int8", t::kFloat8, t::kInt8),
      cast_entry(652, "float4", t::kInt8, t::kFloat4),
      cast_entry(653, "int8", t::kFloat4, t::kInt8),
      cast_entry(1740, "numeric", t::kInt4, t::kNumeric),
      cast_entry(1742, "numeric", t::kFloat4, t::kNumeric),
      cast_entry(1743, "numeric", t::kFloat8, t::kNumeric),
      cast_entry(1744, "int4", t::kNumeric, t::kInt4),
      cast_entry(1745, "float4", t::kNumeric, t::kFloat4),
      cast_entry(1746, "float8", t::kNumeric, t::kFloat8),
      cast_entry(1779, "int8", t::kNumeric, t::kInt8),
      cast_entry(1781, "numeric", t::kInt8, t::kNumeric),
      cast_entry(1782, "numeric", t::kInt2, t::kNumeric),
      cast_entry(1783, "int2", t::kNumeric, t::kInt2),
      cast_entry(1287, "oid", t::kInt8, t::kOid),
      cast_entry(1288, "int8", t::kOid, t::kInt8),
      cast_entry(2557, "bool", t::kInt4, t::kBool),
      cast_entry(2558, "int4", t::kBool, t::kInt4),
      cast_entry(2971, "text", t::kBool, t::kText),
      cast_entry(401, "text", t::kBpchar, t::kText),
      cast_entry(406, "text", t::kName, t::kText),
      cast_entry(407, "name", t::kText, t::kName),
      cast_entry(408, "bpchar", t::kName, t::kBpchar),
      cast_entry(409, "name", t::kBpchar, t::kName),
      cast_entry(1400, "name", t::kVarchar, t::kName),
      cast_entry(1401, "varchar", t::kName, t::kVarchar),
      cast_entry(2024, "timestamp", t::kDate, t::kTimestamp),
      cast_entry(2029, "date", t::kTimestamp, t::kDate),
      cast_entry(1316, "time", t::kTimestamp, t::kTime),
  };
}

}  // namespace builtin

bool can_cast(Oid from, Oid to) { return from == to || builtin::can_convert(from, to); }

MaybeValue cast(Oid from, Oid to, std::int32_t typmod, const MaybeValue& value,
                const FunctionContext& context) {
  if (value.state == MaybeValue::State::kUnknown || !can_cast(from, to)) return {};
  if (value.state == MaybeValue::State::kNull) return MaybeValue::null();
  if (from == to && typmod < 0) return value;
  if (!builtin::is_of_type(from, *value.value)) return {};
  MaybeValue out = builtin::convert(from, to, *value.value, context);
  if (!out.known() || !builtin::is_of_type(to, *out.value)) return out.known() ? MaybeValue{} : out;
  return typmod < 0 ? out : builtin::coerce_length(to, typmod, *out.value, context);
}

}  // namespace pgcache::pg
