// SPDX-License-Identifier: Apache-2.0
// Arithmetic of int2, int4 and int8, in all their combinations. The result type's range, which the
// caller checks, is what makes PostgreSQL's overflow errors unknown here.
#include <algorithm>
#include <iterator>
#include <numeric>

#include "pg/function_number.h"
#include "pg/function_table.h"

namespace pgcache::pg::builtin {

namespace {

using Result = std::optional<Int128>;

template <Result (*f)(std::int64_t)>
MaybeValue unary(const FunctionCall& call) {
  const auto a = integer_of(call[0]);
  const Result out = a ? f(*a) : std::nullopt;
  return out ? integer_value(*out) : MaybeValue{};
}

template <Result (*f)(std::int64_t, std::int64_t)>
MaybeValue binary(const FunctionCall& call) {
  const auto a = integer_of(call[0]);
  const auto b = integer_of(call[1]);
  const Result out = a && b ? f(*a, *b) : std::nullopt;
  return out ? integer_value(*out) : MaybeValue{};
}

Result plus(std::int64_t a, std::int64_t b) { return Int128{a} + b; }
Result minus(std::int64_t a, std::int64_t b) { return Int128{a} - b; }
Result times(std::int64_t a, std::int64_t b) { return Int128{a} * b; }
Result divide(std::int64_t a, std::int64_t b) {
  if (b == 0) return std::nullopt;
  return Int128{a} / b;
}
Result modulo(std::int64_t a, std::int64_t b) {
  if (b == 0) return std::nullopt;
  return Int128{a} % b;
}
Result negate(std::int64_t a) { return -Int128{a}; }
Result identity(std::int64_t a) { return a; }
Result absolute(std::int64_t a) { return a < 0 ? -Int128{a} : Int128{a}; }
Result increment(std::int64_t a) { return Int128{a} + 1; }
Result bit_and(std::int64_t a, std::int64_t b) { return a & b; }
Result bit_or(std::int64_t a, std::int64_t b) { return a | b; }
Result bit_xor(std::int64_t a, std::int64_t b) { return a ^ b; }
Result bit_not(std::int64_t a) { return ~a; }
Result greater(std::int64_t a, std::int64_t b) { return a > b ? a : b; }
Result smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

std::uint64_t magnitude(std::int64_t a) {
  return a < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(a) : static_cast<std::uint64_t>(a);
}
Result gcd(std::int64_t a, std::int64_t b) { return std::gcd(magnitude(a), magnitude(b)); }
Result lcm(std::int64_t a, std::int64_t b) {
  if (a == 0 || b == 0) return 0;
  return checked_multiply(magnitude(a) / std::gcd(magnitude(a), magnitude(b)), magnitude(b));
}

// A shift by a number of bits that the type has not depends on the machine: unknown.
template <typename Int>
Result shift_left(std::int64_t a, std::int64_t n) {
  if (n < 0 || n >= static_cast<std::int64_t>(sizeof(Int) * 8)) return std::nullopt;
  return static_cast<Int>(static_cast<std::uint64_t>(a) << n);
}
template <typename Int>
Result shift_right(std::int64_t a, std::int64_t n) {
  if (n < 0 || n >= static_cast<std::int64_t>(sizeof(Int) * 8)) return std::nullopt;
  return a >> n;
}

constexpr Oid k2 = type::kInt2, k4 = type::kInt4, k8 = type::kInt8;

FunctionTable arithmetic() {
  return {
      {176, "int2pl", {k2, k2}, k2, binary<plus>},
      {177, "int4pl", {k4, k4}, k4, binary<plus>},
      {463, "int8pl", {k8, k8}, k8, binary<plus>},
      {178, "int24pl", {k2, k4}, k4, binary<plus>},
      {179, "int42pl", {k4, k2}, k4, binary<plus>},
      {837, "int82pl", {k8, k2}, k8, binary<plus>},
      {841, "int28pl", {k2, k8}, k8, binary<plus>},
      {1274, "int84pl", {k8, k4}, k8, binary<plus>},
      {1278, "int48pl", {k4, k8}, k8, binary<plus>},
      {180, "int2mi", {k2, k2}, k2, binary<minus>},
      {181, "int4mi", {k4, k4}, k4, binary<minus>},
      {464, "int8mi", {k8, k8}, k8, binary<minus>},
      {182, "int24mi", {k2, k4}, k4, binary<minus>},
      {183, "int42mi", {k4, k2}, k4, binary<minus>},
      {838, "int82mi", {k8, k2}, k8, binary<minus>},
      {942, "int28mi", {k2, k8}, k8, binary<minus>},
      {1275, "int84mi", {k8, k4}, k8, binary<minus>},
      {1279, "int48mi", {k4, k8}, k8, binary<minus>},
      {152, "int2mul", {k2, k2}, k2, binary<times>},
      {141, "int4mul", {k4, k4}, k4, binary<times>},
      {465, "int8mul", {k8, k8}, k8, binary<times>},
      {170, "int24mul", {k2, k4}, k4, binary<times>},
      {171, "int42mul", {k4, k2}, k4, binary<times>},
      {839, "int82mul", {k8, k2}, k8, binary<times>},
      {943, "int28mul", {k2, k8}, k8, binary<times>},
      {1276, "int84mul", {k8, k4}, k8, binary<times>},
      {1280, "int48mul", {k4, k8}, k8, binary<times>},
      {153, "int2div", {k2, k2}, k2, binary<divide>},
      {154, "int4div", {k4, k4}, k4, binary<divide>},
      {466, "int8div", {k8, k8}, k8, binary<divide>},
      {172, "int24div", {k2, k4}, k4, binary<divide>},
      {173, "int42div", {k4, k2}, k4, binary<divide>},
      {840, "int82div", {k8, k2}, k8, binary<divide>},
      {948, "int28div", {k2, k8}, k8, binary<divide>},
      {1277, "int84div", {k8, k4}, k8, binary<divide>},
      {1281, "int48div", {k4, k8}, k8, binary<divide>},
  };
}

FunctionTable remainders_signs_and_bits() {
  return {
      {155, "int2mod", {k2, k2}, k2, binary<modulo>},
      {156, "int4mod", {k4, k4}, k4, binary<modulo>},
      {945, "int8mod", {k8, k8}, k8, binary<modulo>},
      {940, "mod", {k2, k2}, k2, binary<modulo>},
      {941, "mod", {k4, k4}, k4, binary<modulo>},
      {947, "mod", {k8, k8}, k8, binary<modulo>},
      {213, "int2um", {k2}, k2, unary<negate>},
      {212, "int4um", {k4}, k4, unary<negate>},
      {462, "int8um", {k8}, k8, unary<negate>},
      {1911, "int2up", {k2}, k2, unary<identity>},
      {1912, "int4up", {k4}, k4, unary<identity>},
      {1910, "int8up", {k8}, k8, unary<identity>},
      {1253, "int2abs", {k2}, k2, unary<absolute>},
      {1251, "int4abs", {k4}, k4, unary<absolute>},
      {1230, "int8abs", {k8}, k8, unary<absolute>},
      {1398, "abs", {k2}, k2, unary<absolute>},
      {1397, "abs", {k4}, k4, unary<absolute>},
      {1396, "abs", {k8}, k8, unary<absolute>},
      {766, "int4inc", {k4}, k4, unary<increment>},
      {1892, "int2and", {k2, k2}, k2, binary<bit_and>},
      {1898, "int4and", {k4, k4}, k4, binary<bit_and>},
      {1904, "int8and", {k8, k8}, k8, binary<bit_and>},
      {1893, "int2or", {k2, k2}, k2, binary<bit_or>},
      {1899, "int4or", {k4, k4}, k4, binary<bit_or>},
      {1905, "int8or", {k8, k8}, k8, binary<bit_or>},
      {1894, "int2xor", {k2, k2}, k2, binary<bit_xor>},
      {1900, "int4xor", {k4, k4}, k4, binary<bit_xor>},
      {1906, "int8xor", {k8, k8}, k8, binary<bit_xor>},
      {1895, "int2not", {k2}, k2, unary<bit_not>},
      {1901, "int4not", {k4}, k4, unary<bit_not>},
      {1907, "int8not", {k8}, k8, unary<bit_not>},
      {1896, "int2shl", {k2, k4}, k2, binary<shift_left<std::int16_t>>},
      {1902, "int4shl", {k4, k4}, k4, binary<shift_left<std::int32_t>>},
      {1908, "int8shl", {k8, k4}, k8, binary<shift_left<std::int64_t>>},
      {1897, "int2shr", {k2, k4}, k2, binary<shift_right<std::int16_t>>},
      {1903, "int4shr", {k4, k4}, k4, binary<shift_right<std::int32_t>>},
      {1909, "int8shr", {k8, k4}, k8, binary<shift_right<std::int64_t>>},
      {770, "int2larger", {k2, k2}, k2, binary<greater>},
      {768, "int4larger", {k4, k4}, k4, binary<greater>},
      {1236, "int8larger", {k8, k8}, k8, binary<greater>},
      {771, "int2smaller", {k2, k2}, k2, binary<smaller>},
      {769, "int4smaller", {k4, k4}, k4, binary<smaller>},
      {1237, "int8smaller", {k8, k8}, k8, binary<smaller>},
      {5044, "gcd", {k4, k4}, k4, binary<gcd>},
      {5045, "gcd", {k8, k8}, k8, binary<gcd>},
      {5046, "lcm", {k4, k4}, k4, binary<lcm>},
      {5047, "lcm", {k8, k8}, k8, binary<lcm>},
  };
}

}  // namespace

FunctionTable integer_functions() {
  FunctionTable table = arithmetic();
  std::ranges::move(remainders_signs_and_bits(), std::back_inserter(table));
  return table;
}

}  // namespace pgcache::pg::builtin
