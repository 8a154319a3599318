// SPDX-License-Identifier: Apache-2.0
// float4 and float8, both as a double: PostgreSQL widens a float4 to compare it with a float8, and
// the order among float4 values survives that.
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/bytes.h"
#include "pg/value_codec.h"

namespace pgcache::pg {

namespace {

std::string canonical_float(double value) {
  // PostgreSQL calls -0 and 0 equal, and all NaNs equal and greater than anything else.
  if (value == 0) value = 0;
  if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  const auto bits = std::bit_cast<std::uint64_t>(value);
  std::string out;
  append_be64(out, (bits & kSign) != 0 ? ~bits : bits | kSign);
  return out;
}

std::size_t skip_digits(std::string_view text, std::size_t at) {
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
  return at;
}

// Plain decimal notation, which strtod() and from_chars() read alike: digits with at most one point
// among them, and an exponent if any.
bool is_decimal(std::string_view text) {
  const std::size_t point = skip_digits(text, 0);
  std::size_t at = point;
  if (at < text.size() && text[at] == '.') at = skip_digits(text, at + 1);
  if (at == 0 || (at == 1 && point == 0)) return false;  // nothing, or a point alone
  if (at == text.size()) return true;
  if (text[at] != 'e' && text[at] != 'E') return false;
  ++at;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
  const std::size_t end = skip_digits(text, at);
  return end > at && end == text.size();
}

bool is_zero(std::string_view decimal) {
  return decimal.substr(0, decimal.find_first_of("eE")).find_first_not_of("0.") ==
         std::string_view::npos;
}

template <typename Float>
std::optional<double> decimal_to_float(std::string_view text) {
  Float value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  // What becomes infinite or zero by its size PostgreSQL rejects.
  if (std::isinf(value) || (value == 0 && !is_zero(text))) return std::nullopt;
  return value;
}

}  // namespace

CanonicalBytes float_from_text(Oid type, std::string_view text) {
  text = trim_spaces(text);
  if (equals_ignoring_case(text, "nan")) {
    return canonical_float(std::numeric_limits<double>::quiet_NaN());
  }
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  std::optional<double> value;
  if (equals_ignoring_case(text, "infinity") || equals_ignoring_case(text, "inf")) {
    value = std::numeric_limits<double>::infinity();
  } else if (is_decimal(text)) {
    value = type == type::kFloat4 ? decimal_to_float<float>(text) : decimal_to_float<double>(text);
  }
  if (!value) return std::nullopt;
  return canonical_float(negative ? -*value : *value);
}

CanonicalBytes float_from_binary(Oid type, std::string_view bytes) {
  ByteReader reader(bytes);
  const double value = type == type::kFloat4 ? double{std::bit_cast<float>(reader.u32())}
                                             : std::bit_cast<double>(reader.u64());
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return canonical_float(value);
}

}  // namespace pgcache::pg
