// SPDX-License-Identifier: Apache-2.0
// numeric: results as values; their scale is not known. Numbers of more than 38 digits are left
// out.
//
// A quotient is known only when it is exact and short enough that PostgreSQL, whatever scales its
// operands have, does not round it.
#include <algorithm>

#include "pg/function_number.h"
#include "pg/function_table.h"

namespace pgcache::pg::builtin {

namespace {

using Result = std::optional<Number>;
using Kind = Number::Kind;

template <Result (*f)(const Number&)>
MaybeValue unary(const FunctionCall& call) {
  const auto a = number_of(call[0]);
  return a ? number_value(f(*a)) : MaybeValue{};
}

template <Result (*f)(const Number&, const Number&)>
MaybeValue binary(const FunctionCall& call) {
  const auto a = number_of(call[0]);
  const auto b = number_of(call[1]);
  return a && b ? number_value(f(*a, *b)) : MaybeValue{};
}

Number special(Kind kind) { return {kind}; }
Number infinity(int sign) { return {sign > 0 ? Kind::kPlusInfinity : Kind::kMinusInfinity}; }
Number integer(Int128 n) { return {Kind::kFinite, n, 0}; }

// The mantissas at a common scale.
struct Aligned {
  Int128 a;
  Int128 b;
  int scale;
};

std::optional<Aligned> align(const Number& a, const Number& b) {
  const int scale = std::max(a.scale, b.scale);
  const auto x = checked_multiply(a.mantissa, power_of_ten(scale - a.scale));
  const auto y = checked_multiply(b.mantissa, power_of_ten(scale - b.scale));
  if (!x || !y) return std::nullopt;
  return Aligned{*x, *y, scale};
}

Result finite_sum(const Number& a, const Number& b) {
  const auto aligned = align(a, b);
  if (!aligned) return std::nullopt;
  const auto sum = checked_add(aligned->a, aligned->b);
  if (!sum) return std::nullopt;
  return trimmed({Kind::kFinite, *sum, aligned->scale});
}

Result negate(const Number& a) {
  if (a.is_nan()) return a;
  if (a.infinite()) return infinity(-a.sign());
  const auto mantissa = checked_multiply(a.mantissa, -1);
  if (!mantissa) return std::nullopt;
  return Number{Kind::kFinite, *mantissa, a.scale};
}

Result plus(const Number& a, const Number& b) {
  if (a.finite() && b.finite()) return finite_sum(a, b);
  if (a.is_nan() || b.is_nan()) return special(Kind::kNan);
  if (a.infinite() && b.infinite() && a.kind != b.kind) return special(Kind::kNan);
  return a.infinite() ? a : b;
}

Result minus(const Number& a, const Number& b) {
  const Result negative = negate(b);
  return negative ? plus(a, *negative) : std::nullopt;
}

Result times(const Number& a, const Number& b) {
  if (a.is_nan() || b.is_nan()) return special(Kind::kNan);
  if (a.infinite() || b.infinite()) {
    const int sign = a.sign() * b.sign();
    return sign == 0 ? special(Kind::kNan) : infinity(sign);
  }
  const auto mantissa = checked_multiply(a.mantissa, b.mantissa);
  if (!mantissa) return std::nullopt;
  const Number product = trimmed({Kind::kFinite, *mantissa, a.scale + b.scale});
  if (product.scale > kNumberScaleMax) return std::nullopt;
  return product;
}

// What a division and a remainder have in common: the cases that are not two finite numbers with
// the second not zero. Nothing when it is none of them; the inner one nothing when it is an error.
struct Special {
  bool applies = false;
  Result value = std::nullopt;
};

Special special_quotient(const Number& a, const Number& b) {
  if (a.is_nan() || b.is_nan()) return {true, special(Kind::kNan)};
  if (b.sign() == 0) return {true, std::nullopt};
  if (a.infinite() && b.infinite()) return {true, special(Kind::kNan)};
  if (a.infinite()) return {true, infinity(a.sign() * b.sign())};
  if (b.infinite()) return {true, integer(0)};
  return {};
}

// The first digit to the base 10000, and its weight (0: the ones). Not for zero.
struct Leading {
  int weight;
  Int128 digit;
};

Leading leading(const Number& n) {
  const Int128 mantissa = n.mantissa < 0 ? -n.mantissa : n.mantissa;
  int exponent = -n.scale;  // of the first decimal digit
  for (Int128 rest = mantissa / 10; rest != 0; rest /= 10) ++exponent;
  const int weight = exponent >= 0 ? exponent / 4 : -((3 - exponent) / 4);
  const int cut = n.scale + 4 * weight;
  return {weight, cut >= 0 ? mantissa / power_of_ten(cut) : mantissa * power_of_ten(-cut)};
}

// The least number of digits behind the point to which PostgreSQL rounds a quotient: it wants at
// least 16 significant ones, estimating the quotient's weight by the operands' leading digits.
int least_quotient_scale(const Number& a, const Number& b) {
  const Leading x = leading(a);
  const Leading y = leading(b);
  const int weight = x.weight - y.weight - (x.digit <= y.digit ? 1 : 0);
  return std::max({16 - weight * 4, a.scale, b.scale, 0});
}

Result divide(const Number& a, const Number& b) {
  if (const Special s = special_quotient(a, b); s.applies) return s.value;
  if (a.mantissa == 0) return integer(0);
  const auto aligned = align(a, b);
  if (!aligned || aligned->b == 0) return std::nullopt;
  Int128 quotient = aligned->a / aligned->b;
  Int128 rest = aligned->a % aligned->b;
  int scale = 0;
  for (; rest != 0; ++scale) {
    const auto next_rest = checked_multiply(rest, 10);
    const auto next = checked_multiply(quotient, 10);
    if (!next_rest || !next || scale == kNumberScaleMax) return std::nullopt;
    const auto sum = checked_add(*next, *next_rest / aligned->b);
    if (!sum) return std::nullopt;
    quotient = *sum;
    rest = *next_rest % aligned->b;
  }
  if (scale > least_quotient_scale(a, b)) return std::nullopt;
  return Number{Kind::kFinite, quotient, scale};
}

Result modulo(const Number& a, const Number& b) {
  if (a.is_nan() || b.is_nan()) return special(Kind::kNan);
  if (b.sign() == 0) return std::nullopt;
  if (a.infinite()) return special(Kind::kNan);
  if (b.infinite()) return a;
  const auto aligned = align(a, b);
  if (!aligned) return std::nullopt;
  return trimmed({Kind::kFinite, aligned->a % aligned->b, aligned->scale});
}

Result divide_truncating(const Number& a, const Number& b) {
  if (const Special s = special_quotient(a, b); s.applies) return s.value;
  const auto aligned = align(a, b);
  if (!aligned) return std::nullopt;
  return integer(aligned->a / aligned->b);
}

Result identity(const Number& a) { return a; }
Result absolute(const Number& a) { return !a.is_nan() && a.sign() < 0 ? negate(a) : a; }
Result sign(const Number& a) { return a.is_nan() ? a : integer(a.sign()); }
Result increment(const Number& a) { return plus(a, integer(1)); }
Result truncate(const Number& a) { return truncate_number(a, 0); }
Result round(const Number& a) { return round_number(a, 0); }

Result floor(const Number& a) {
  if (!a.finite() || a.scale == 0) return a;
  const Result cut = truncate(a);
  return cut && a.mantissa < 0 ? plus(*cut, integer(-1)) : cut;
}

Result ceiling(const Number& a) {
  if (!a.finite() || a.scale == 0) return a;
  const Result cut = truncate(a);
  return cut && a.mantissa > 0 ? plus(*cut, integer(1)) : cut;
}

// round(n, digits) and trunc(n, digits).
template <Result (*f)(const Number&, int)>
MaybeValue to_digits(const FunctionCall& call) {
  constexpr std::int64_t kDigitsMax = 1000;  // PostgreSQL takes a larger one for its own maximum
  const auto n = number_of(call[0]);
  const auto digits = integer_of(call[1]);
  if (!n || !digits || *digits > kDigitsMax || *digits < -kDigitsMax) return {};
  return number_value(f(*n, static_cast<int>(*digits)));
}

// The number of digits behind the point that the value needs; NULL when it is not finite.
MaybeValue min_scale(const FunctionCall& call) {
  const auto n = number_of(call[0]);
  if (!n) return {};
  return n->finite() ? integer_value(n->scale) : MaybeValue::null();
}

template <bool greater>
MaybeValue extreme(const FunctionCall& call) {
  return (call.bytes(0) > call.bytes(1)) == greater ? call.arguments[0] : call.arguments[1];
}

constexpr Oid kN = type::kNumeric, k4 = type::kInt4;

}  // namespace

FunctionTable numeric_functions() {
  return {
      {1724, "numeric_add", {kN, kN}, kN, binary<plus>},
      {1725, "numeric_sub", {kN, kN}, kN, binary<minus>},
      {1726, "numeric_mul", {kN, kN}, kN, binary<times>},
      {1727, "numeric_div", {kN, kN}, kN, binary<divide>},
      {1728, "mod", {kN, kN}, kN, binary<modulo>},
      {1729, "numeric_mod", {kN, kN}, kN, binary<modulo>},
      {1973, "div", {kN, kN}, kN, binary<divide_truncating>},
      {1980, "numeric_div_trunc", {kN, kN}, kN, binary<divide_truncating>},
      {1771, "numeric_uminus", {kN}, kN, unary<negate>},
      {1915, "numeric_uplus", {kN}, kN, unary<identity>},
      {1704, "numeric_abs", {kN}, kN, unary<absolute>},
      {1705, "abs", {kN}, kN, unary<absolute>},
      {1706, "sign", {kN}, kN, unary<sign>},
      {1764, "numeric_inc", {kN}, kN, unary<increment>},
      {1711, "ceil", {kN}, kN, unary<ceiling>},
      {2167, "ceiling", {kN}, kN, unary<ceiling>},
      {1712, "floor", {kN}, kN, unary<floor>},
      {1707, "round", {kN, k4}, kN, to_digits<round_number>},
      {1708, "round", {kN}, kN, unary<round>},
      {1709, "trunc", {kN, k4}, kN, to_digits<truncate_number>},
      {1710, "trunc", {kN}, kN, unary<truncate>},
      {5042, "min_scale", {kN}, k4, min_scale},
      {5043, "trim_scale", {kN}, kN, unary<identity>},
      {1767, "numeric_larger", {kN, kN}, kN, extreme<true>},
      {1766, "numeric_smaller", {kN, kN}, kN, extreme<false>},
  };
}

}  // namespace pgcache::pg::builtin
