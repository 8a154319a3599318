// SPDX-License-Identifier: Apache-2.0
// The functions behind = <> < <= > >= of the built-in types.
#include <algorithm>
#include <compare>

#include "pg/function_number.h"
#include "pg/function_table.h"
#include "pg/function_utf8.h"

namespace pgcache::pg::builtin {

namespace {

enum class Operator : std::uint8_t { kEq, kNe, kLt, kLe, kGt, kGe };

bool holds(Operator op, std::strong_ordering order) {
  switch (op) {
    case Operator::kEq:
      return std::is_eq(order);
    case Operator::kNe:
      return std::is_neq(order);
    case Operator::kLt:
      return std::is_lt(order);
    case Operator::kLe:
      return std::is_lteq(order);
    case Operator::kGt:
      return std::is_gt(order);
    case Operator::kGe:
      return std::is_gteq(order);
  }
  return false;
}

// Types whose order is that of their canonical bytes. The families may differ (name and text).
struct Bytes {
  template <Operator op>
  static MaybeValue body(const FunctionCall& call) {
    return bool_value(holds(op, call.bytes(0) <=> call.bytes(1)));
  }
};

// Text: equality depends on the collation's determinism, order on the collation.
struct Text {
  template <Operator op>
  static MaybeValue body(const FunctionCall& call) {
    const std::string& a = call.bytes(0);
    const std::string& b = call.bytes(1);
    const auto order = a <=> b;
    if (std::is_neq(order)) {
      if (!call.context.deterministic) return {};
      const bool equality = op == Operator::kEq || op == Operator::kNe;
      if (!equality && !call.context.c_collation) return {};
      // Another encoding may order the characters otherwise.
      if (!equality && !call.context.utf8 && !(is_ascii(a) && is_ascii(b))) return {};
    }
    return bool_value(holds(op, order));
  }
};

// The text_pattern_ops: bytewise under every collation.
struct PatternOps {
  template <Operator op>
  static MaybeValue body(const FunctionCall& call) {
    if (!call.context.utf8 && !(is_ascii(call.bytes(0)) && is_ascii(call.bytes(1)))) return {};
    return Bytes::body<op>(call);
  }
};

// A date is the timestamp of its midnight, which may lie beyond all finite timestamps.
std::strong_ordering date_to_timestamp(std::int32_t days, std::int64_t micros) {
  constexpr Int128 kMicrosPerDay = 86400000000;
  if (days == kDateInfinity) {
    return micros == kTimeInfinity ? std::strong_ordering::equal : std::strong_ordering::greater;
  }
  if (days == kDateMinusInfinity) {
    return micros == kTimeMinusInfinity ? std::strong_ordering::equal : std::strong_ordering::less;
  }
  if (micros == kTimeInfinity) return std::strong_ordering::less;
  if (micros == kTimeMinusInfinity) return std::strong_ordering::greater;
  const Int128 midnight = days * kMicrosPerDay;
  return midnight < micros   ? std::strong_ordering::less
         : midnight > micros ? std::strong_ordering::greater
                             : std::strong_ordering::equal;
}

struct DateTimestamp {
  template <Operator op>
  static MaybeValue body(const FunctionCall& call) {
    return bool_value(holds(op, date_to_timestamp(days_of(call[0]), micros_of(call[1]))));
  }
};

struct TimestampDate {
  template <Operator op>
  static MaybeValue body(const FunctionCall& call) {
    const auto order = date_to_timestamp(days_of(call[1]), micros_of(call[0]));
    return bool_value(holds(op, std::is_lt(order)   ? std::strong_ordering::greater
                                : std::is_gt(order) ? std::strong_ordering::less
                                                    : order));
  }
};

using Body = MaybeValue (*)(const FunctionCall&);
using Bodies = std::array<Body, 6>;

template <typename Kind>
constexpr Bodies kBodies = {
    Kind::template body<Operator::kEq>, Kind::template body<Operator::kNe>,
    Kind::template body<Operator::kLt>, Kind::template body<Operator::kLe>,
    Kind::template body<Operator::kGt>, Kind::template body<Operator::kGe>,
};

// The names are `prefix`, "eq" and so on, `suffix`; an oid of 0 stands for no function.
struct Family {
  const char* prefix;
  const char* suffix;
  Oid left;
  Oid right;
  std::array<std::uint32_t, 6> oids;  // eq ne lt le gt ge
  const Bodies& bodies;
};

const Family kFamilies[] = {
    {"bool", "", type::kBool, type::kBool, {60, 84, 56, 1691, 57, 1692}, kBodies<Bytes>},
    {"int2", "", type::kInt2, type::kInt2, {63, 145, 64, 148, 146, 151}, kBodies<Bytes>},
    {"int4", "", type::kInt4, type::kInt4, {65, 144, 66, 149, 147, 150}, kBodies<Bytes>},
    {"int8", "", type::kInt8, type::kInt8, {467, 468, 469, 471, 470, 472}, kBodies<Bytes>},
    {"int24", "", type::kInt2, type::kInt4, {158, 164, 160, 166, 162, 168}, kBodies<Bytes>},
    {"int42", "", type::kInt4, type::kInt2, {159, 165, 161, 167, 163, 169}, kBodies<Bytes>},
    {"int84", "", type::kInt8, type::kInt4, {474, 475, 476, 478, 477, 479}, kBodies<Bytes>},
    {"int48", "", type::kInt4, type::kInt8, {852, 853, 854, 856, 855, 857}, kBodies<Bytes>},
    {"int28", "", type::kInt2, type::kInt8, {1850, 1851, 1852, 1854, 1853, 1855}, kBodies<Bytes>},
    {"int82", "", type::kInt8, type::kInt2, {1856, 1857, 1858, 1860, 1859, 1861}, kBodies<Bytes>},
    {"numeric_",
     "",
     type::kNumeric,
     type::kNumeric,
     {1718, 1719, 1722, 1723, 1720, 1721},
     kBodies<Bytes>},
    {"oid", "", type::kOid, type::kOid, {184, 185, 716, 717, 1638, 1639}, kBodies<Bytes>},
    {"float4", "", type::kFloat4, type::kFloat4, {287, 288, 289, 290, 291, 292}, kBodies<Bytes>},
    {"float8", "", type::kFloat8, type::kFloat8, {293, 294, 295, 296, 297, 298}, kBodies<Bytes>},
    {"float48", "", type::kFloat4, type::kFloat8, {299, 300, 301, 302, 303, 304}, kBodies<Bytes>},
    {"float84", "", type::kFloat8, type::kFloat4, {305, 306, 307, 308, 309, 310}, kBodies<Bytes>},
    {"bytea", "", type::kBytea, type::kBytea, {1948, 1953, 1949, 1950, 1951, 1952}, kBodies<Bytes>},
    {"uuid_", "", type::kUuid, type::kUuid, {2956, 2959, 2954, 2955, 2958, 2957}, kBodies<Bytes>},
    {"date_", "", type::kDate, type::kDate, {1086, 1091, 1087, 1088, 1089, 1090}, kBodies<Bytes>},
    {"time_", "", type::kTime, type::kTime, {1145, 1106, 1102, 1103, 1104, 1105}, kBodies<Bytes>},
    {"timestamp_",
     "",
     type::kTimestamp,
     type::kTimestamp,
     {2052, 2053, 2054, 2055, 2057, 2056},
     kBodies<Bytes>},
    {"timestamptz_",
     "",
     type::kTimestamptz,
     type::kTimestamptz,
     {1152, 1153, 1154, 1155, 1157, 1156},
     kBodies<Bytes>},
    {"text", "", type::kText, type::kText, {67, 157, 0, 0, 0, 0}, kBodies<Text>},
    {"text_", "", type::kText, type::kText, {0, 0, 740, 741, 742, 743}, kBodies<Text>},
    {"name", "", type::kName, type::kName, {62, 659, 655, 656, 657, 658}, kBodies<Text>},
    {"name", "text", type::kName, type::kText, {240, 245, 241, 242, 244, 243}, kBodies<Text>},
    {"text", "name", type::kText, type::kName, {247, 252, 248, 249, 251, 250}, kBodies<Text>},
    {"bpchar",
     "",
     type::kBpchar,
     type::kBpchar,
     {1048, 1053, 1049, 1050, 1051, 1052},
     kBodies<Text>},
    {"text_pattern_",
     "",
     type::kText,
     type::kText,
     {0, 0, 2160, 2161, 2164, 2163},
     kBodies<PatternOps>},
    {"bpchar_pattern_",
     "",
     type::kBpchar,
     type::kBpchar,
     {0, 0, 2174, 2175, 2178, 2177},
     kBodies<PatternOps>},
    {"date_",
     "_timestamp",
     type::kDate,
     type::kTimestamp,
     {2340, 2343, 2338, 2339, 2341, 2342},
     kBodies<DateTimestamp>},
    {"timestamp_",
     "_date",
     type::kTimestamp,
     type::kDate,
     {2366, 2369, 2364, 2365, 2367, 2368},
     kBodies<TimestampDate>},
};

}  // namespace

FunctionTable comparison_functions() {
  constexpr const char* kNames[] = {"eq", "ne", "lt", "le", "gt", "ge"};
  FunctionTable table;
  for (const Family& family : kFamilies) {
    for (std::size_t i = 0; i < family.oids.size(); ++i) {
      if (family.oids[i] == 0) continue;
      table.push_back({family.oids[i],
                       family.prefix + std::string(kNames[i]) + family.suffix,
                       {family.left, family.right},
                       type::kBool,
                       family.bodies[i]});
    }
  }
  return table;
}

}  // namespace pgcache::pg::builtin
