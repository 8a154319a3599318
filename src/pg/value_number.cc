// SPDX-License-Identifier: Apache-2.0
// Exact decimal numbers: int2, int4, int8 and numeric on one line; and oid.
//
// Canonical form, in ascending order of the values:
//   00                      -Infinity
//   01 ~exponent ~pairs FF  a negative number (~ is the complement of each byte)
//   02                      zero, also -0
//   03 exponent pairs       a positive number
//   04                      Infinity
//   05                      NaN, which PostgreSQL sorts above everything and calls equal to itself
// The number is 0.PPPP... times 100 to the exponent, where each P is a pair of decimal digits, 0 to
// 99, kept as one byte P + 1, the first and the last of them not 0. The exponent takes three bytes,
// biased by 800000. FF ends the pairs of a negative number because there the longer one is the
// smaller one. A bigint so never needs more than 15 bytes.
#include <array>
#include <charconv>
#include <limits>

#include "base/bytes.h"
#include "pg/value_codec.h"

namespace pgcache::pg {

namespace {

// What numeric can hold (manual, 8.1.2): digits before and after the decimal point.
constexpr std::int64_t kIntegerDigitsMax = 131072;
constexpr std::int64_t kScaleMax = 16383;
// No number within these limits needs a longer text, but for needless zeros.
constexpr std::size_t kTextBytesMax = 200000;

constexpr char kMinusInfinity = 0, kNegative = 1, kZero = 2, kPositive = 3, kPlusInfinity = 4,
               kNan = 5;

std::string only(char first) { return std::string(1, first); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::size_t count_digits(std::string_view text) {
  std::size_t n = 0;
  while (n < text.size() && is_digit(text[n])) ++n;
  return n;
}

// Decimal digits whose value is 0.DDDD... times 10 to `exponent`.
struct Decimal {
  bool negative = false;
  std::string_view digits;
  std::int64_t exponent = 0;

  // Without needless zeros on either side; digits are empty for zero.
  void normalize() {
    const std::size_t first = digits.find_first_not_of('0');
    if (first == std::string_view::npos) {
      digits = {};
      return;
    }
    exponent -= static_cast<std::int64_t>(first);
    digits = digits.substr(first, digits.find_last_not_of('0') - first + 1);
  }
};

// `number` is normalised and within numeric's limits.
std::string canonical_decimal(const Decimal& number) {
  if (number.digits.empty()) return only(kZero);
  // An odd exponent puts a single digit into the first pair.
  const bool odd = number.exponent % 2 != 0;
  const std::int64_t exponent = (number.exponent + (odd ? 1 : 0)) / 2;
  const auto biased = static_cast<std::uint32_t>(exponent + 0x800000);
  std::string out;
  out.reserve(number.digits.size() / 2 + 6);
  out += kPositive;
  out += static_cast<char>(biased >> 16);
  out += static_cast<char>(biased >> 8);
  out += static_cast<char>(biased);
  std::size_t at = 0;
  const auto next = [&] { return at < number.digits.size() ? number.digits[at++] - '0' : 0; };
  if (odd) out += static_cast<char>(next() + 1);
  while (at < number.digits.size()) {
    const int high = next();
    out += static_cast<char>(high * 10 + next() + 1);
  }
  if (number.negative) {
    for (char& c : out) c = static_cast<char>(~c);
    out[0] = kNegative;
    out += '\xFF';
  }
  return out;
}

CanonicalBytes integer_in_range(Oid type, std::int64_t value) {
  if (type == type::kInt2 && value != static_cast<std::int16_t>(value)) return std::nullopt;
  if (type == type::kInt4 && value != static_cast<std::int32_t>(value)) return std::nullopt;
  return canonical_integer(value);
}

CanonicalBytes integer_from_text(Oid type, std::string_view text) {
  text = trim_spaces(text);
  if (!text.empty() && text[0] == '+') {
    text.remove_prefix(1);
    if (text.empty() || !is_digit(text[0])) return std::nullopt;
  }
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return integer_in_range(type, value);
}

CanonicalBytes special_from_text(bool has_sign, bool negative, std::string_view word) {
  if (!has_sign && equals_ignoring_case(word, "nan")) return only(kNan);
  if (equals_ignoring_case(word, "infinity") || equals_ignoring_case(word, "inf")) {
    return only(negative ? kMinusInfinity : kPlusInfinity);
  }
  return std::nullopt;
}

// "e-5" → -5; nothing when malformed or out of all proportion.
std::optional<std::int64_t> exponent_from_text(std::string_view text) {
  text.remove_prefix(1);
  if (!text.empty() && text[0] == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text[0] == '-') return std::nullopt;
  }
  std::int32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value > 1000000 || value < -1000000) {
    return std::nullopt;
  }
  return value;
}

CanonicalBytes numeric_from_text(std::string_view text) {
  if (text.size() > kTextBytesMax) return std::nullopt;
  text = trim_spaces(text);
  Decimal number;
  const bool has_sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  if (has_sign) {
    number.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  const std::size_t before = count_digits(text);
  std::string digits(text.substr(0, before));
  text.remove_prefix(before);
  std::size_t after = 0;
  const bool has_point = !text.empty() && text[0] == '.';
  if (has_point) {
    text.remove_prefix(1);
    after = count_digits(text);
    digits += text.substr(0, after);
    text.remove_prefix(after);
  }
  if (digits.empty()) {
    if (has_point || text.empty()) return std::nullopt;
    return special_from_text(has_sign, number.negative, text);
  }
  std::int64_t exponent = 0;
  if (!text.empty()) {
    if (text[0] != 'e' && text[0] != 'E') return std::nullopt;
    const auto parsed = exponent_from_text(text);
    if (!parsed) return std::nullopt;
    exponent = *parsed;
  }
  // The scale counts the digits as written, zeros included, as PostgreSQL does.
  if (static_cast<std::int64_t>(after) - exponent > kScaleMax) return std::nullopt;
  number.digits = digits;
  number.exponent = static_cast<std::int64_t>(before) + exponent;
  number.normalize();
  if (!number.digits.empty() && number.exponent > kIntegerDigitsMax) return std::nullopt;
  return canonical_decimal(number);
}

// numeric_send(): int16 groups, int16 weight, uint16 sign, uint16 scale, then the groups, each four
// decimal digits as an int16; the first stands for multiples of 10000 to the weight.
CanonicalBytes numeric_from_binary(std::string_view bytes) {
  constexpr std::uint16_t kSignPositive = 0, kSignNegative = 0x4000, kSignNan = 0xC000,
                          kSignPlusInfinity = 0xD000, kSignMinusInfinity = 0xF000;
  ByteReader reader(bytes);
  const std::uint16_t groups = reader.u16();
  const std::int16_t weight = reader.i16();
  const std::uint16_t sign = reader.u16();
  const std::uint16_t scale = reader.u16();
  if (!reader.ok() || reader.remaining() != std::size_t{groups} * 2) return std::nullopt;
  if (groups == 0) {
    if (sign == kSignNan) return only(kNan);
    if (sign == kSignPlusInfinity) return only(kPlusInfinity);
    if (sign == kSignMinusInfinity) return only(kMinusInfinity);
  }
  if ((sign != kSignPositive && sign != kSignNegative) || scale > kScaleMax) return std::nullopt;
  std::string digits(std::size_t{groups} * 4, '0');
  for (std::size_t i = 0; i < groups; ++i) {
    std::uint16_t group = reader.u16();
    if (group > 9999) return std::nullopt;
    for (std::size_t j = 4; j-- > 0; group /= 10) {
      digits[i * 4 + j] = static_cast<char>('0' + group % 10);
    }
  }
  Decimal number{sign == kSignNegative, digits, (std::int64_t{weight} + 1) * 4};
  number.normalize();
  // PostgreSQL cuts off what lies behind the scale.
  const std::int64_t needed = static_cast<std::int64_t>(number.digits.size()) - number.exponent;
  if (!number.digits.empty() && needed > scale) return std::nullopt;
  return canonical_decimal(number);
}

}  // namespace

std::string canonical_integer(std::int64_t value) {
  std::array<char, 20> text;
  const char* const end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  const char* const first = text.data() + (value < 0 ? 1 : 0);
  Decimal number{value < 0, std::string_view(first, static_cast<std::size_t>(end - first)),
                 end - first};
  number.normalize();
  return canonical_decimal(number);
}

CanonicalBytes number_from_text(Oid type, std::string_view text) {
  return type == type::kNumeric ? numeric_from_text(text) : integer_from_text(type, text);
}

CanonicalBytes number_from_binary(Oid type, std::string_view bytes) {
  if (type == type::kNumeric) return numeric_from_binary(bytes);
  ByteReader reader(bytes);
  const std::int64_t value = type == type::kInt2   ? reader.i16()
                             : type == type::kInt4 ? reader.i32()
                                                   : reader.i64();
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return canonical_integer(value);
}

CanonicalBytes oid_from_text(std::string_view text) {
  text = trim_spaces(text);
  // PostgreSQL 16 reads a leading zero as octal, older ones as decimal; negative numbers wrap.
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  std::uint32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  std::string out;
  append_be32(out, value);
  return out;
}

}  // namespace pgcache::pg
