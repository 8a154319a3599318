// SPDX-License-Identifier: Apache-2.0
// float4 and float8: the operations whose result IEEE 754 fixes to the last bit. PostgreSQL makes
// errors of results that overflow or underflow; the sign of a zero is not kept here, and in no
// result but another zero's sign can it be seen.
#include <cmath>

#include "pg/function_number.h"
#include "pg/function_table.h"

namespace pgcache::pg::builtin {

namespace {

// Nothing stands for an error.
template <typename Float>
using Result = std::optional<Float>;

template <typename Float>
Result<Float> plus(Float a, Float b) {
  const Float out = a + b;
  if (std::isinf(out) && !std::isinf(a) && !std::isinf(b)) return std::nullopt;
  return out;
}

template <typename Float>
Result<Float> minus(Float a, Float b) {
  return plus<Float>(a, -b);
}

template <typename Float>
Result<Float> times(Float a, Float b) {
  const Float out = a * b;
  if (std::isinf(out) && !std::isinf(a) && !std::isinf(b)) return std::nullopt;
  if (out == 0 && a != 0 && b != 0) return std::nullopt;
  return out;
}

template <typename Float>
Result<Float> divide(Float a, Float b) {
  if (b == 0) return std::isnan(a) ? Result<Float>(a) : std::nullopt;
  const Float out = a / b;
  if (std::isinf(out) && !std::isinf(a)) return std::nullopt;
  if (out == 0 && a != 0 && !std::isinf(b)) return std::nullopt;
  return out;
}

template <typename Float, Result<Float> (*f)(Float, Float)>
MaybeValue binary(const FunctionCall& call) {
  const auto out = f(static_cast<Float>(float_of(call[0])), static_cast<Float>(float_of(call[1])));
  return out ? float_value(*out) : MaybeValue{};
}

Result<double> negate(double a) { return -a; }
Result<double> identity(double a) { return a; }
Result<double> absolute(double a) { return std::fabs(a); }
Result<double> to_even(double a) { return std::nearbyint(a); }
Result<double> truncate(double a) { return std::trunc(a); }
Result<double> floor(double a) { return std::floor(a); }
Result<double> ceiling(double a) { return std::ceil(a); }
Result<double> sign(double a) { return a > 0 ? 1.0 : a < 0 ? -1.0 : 0.0; }
Result<double> square_root(double a) { return a < 0 ? std::nullopt : std::optional(std::sqrt(a)); }

// Exact for a float4 as well, since it changes no digit.
template <Result<double> (*f)(double)>
MaybeValue unary(const FunctionCall& call) {
  const auto out = f(float_of(call[0]));
  return out ? float_value(*out) : MaybeValue{};
}

template <bool greater>
MaybeValue extreme(const FunctionCall& call) {
  return (call.bytes(0) > call.bytes(1)) == greater ? call.arguments[0] : call.arguments[1];
}

constexpr Oid k4 = type::kFloat4, k8 = type::kFloat8;

}  // namespace

FunctionTable float_functions() {
  return {
      {204, "float4pl", {k4, k4}, k4, binary<float, plus<float>>},
      {218, "float8pl", {k8, k8}, k8, binary<double, plus<double>>},
      {281, "float48pl", {k4, k8}, k8, binary<double, plus<double>>},
      {285, "float84pl", {k8, k4}, k8, binary<double, plus<double>>},
      {205, "float4mi", {k4, k4}, k4, binary<float, minus<float>>},
      {219, "float8mi", {k8, k8}, k8, binary<double, minus<double>>},
      {282, "float48mi", {k4, k8}, k8, binary<double, minus<double>>},
      {286, "float84mi", {k8, k4}, k8, binary<double, minus<double>>},
      {202, "float4mul", {k4, k4}, k4, binary<float, times<float>>},
      {216, "float8mul", {k8, k8}, k8, binary<double, times<double>>},
      {279, "float48mul", {k4, k8}, k8, binary<double, times<double>>},
      {283, "float84mul", {k8, k4}, k8, binary<double, times<double>>},
      {203, "float4div", {k4, k4}, k4, binary<float, divide<float>>},
      {217, "float8div", {k8, k8}, k8, binary<double, divide<double>>},
      {280, "float48div", {k4, k8}, k8, binary<double, divide<double>>},
      {284, "float84div", {k8, k4}, k8, binary<double, divide<double>>},
      {206, "float4um", {k4}, k4, unary<negate>},
      {220, "float8um", {k8}, k8, unary<negate>},
      {1913, "float4up", {k4}, k4, unary<identity>},
      {1914, "float8up", {k8}, k8, unary<identity>},
      {207, "float4abs", {k4}, k4, unary<absolute>},
      {221, "float8abs", {k8}, k8, unary<absolute>},
      {1394, "abs", {k4}, k4, unary<absolute>},
      {1395, "abs", {k8}, k8, unary<absolute>},
      {228, "dround", {k8}, k8, unary<to_even>},
      {1342, "round", {k8}, k8, unary<to_even>},
      {229, "dtrunc", {k8}, k8, unary<truncate>},
      {1343, "trunc", {k8}, k8, unary<truncate>},
      {2308, "ceil", {k8}, k8, unary<ceiling>},
      {2320, "ceiling", {k8}, k8, unary<ceiling>},
      {2309, "floor", {k8}, k8, unary<floor>},
      {2310, "sign", {k8}, k8, unary<sign>},
      {230, "dsqrt", {k8}, k8, unary<square_root>},
      {1344, "sqrt", {k8}, k8, unary<square_root>},
      {209, "float4larger", {k4, k4}, k4, extreme<true>},
      {223, "float8larger", {k8, k8}, k8, extreme<true>},
      {211, "float4smaller", {k4, k4}, k4, extreme<false>},
      {224, "float8smaller", {k8, k8}, k8, extreme<false>},
  };
}

}  // namespace pgcache::pg::builtin
