// SPDX-License-Identifier: Apache-2.0
// The lists behind safety.h. They name built-in objects only, which no user can redefine.
#include "sql/safety.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace pgcache::sql {
namespace {

using pg::Oid;
using pg::Volatility;

constexpr int kDepthMax = 16;

// STABLE functions of pg_catalog that depend on time zone, formats, encoding or locale settings, or
// on the output functions of their arguments' types. Not here on purpose: whatever reads the clock,
// the catalog, the session, or text that may name the current time (json_populate_record ...).
constexpr std::array<std::string_view, 44> kStableFunctions = {"anytextcat",
                                                               "array_to_json",
                                                               "array_to_string",
                                                               "concat",
                                                               "concat_ws",
                                                               "convert",
                                                               "convert_from",
                                                               "convert_to",
                                                               "date",
                                                               "date_add",
                                                               "date_part",
                                                               "date_subtract",
                                                               "date_trunc",
                                                               "extract",
                                                               "format",
                                                               "generate_series",
                                                               "json_agg",
                                                               "json_agg_strict",
                                                               "json_build_array",
                                                               "json_build_object",
                                                               "json_object_agg",
                                                               "json_object_agg_strict",
                                                               "json_object_agg_unique",
                                                               "json_object_agg_unique_strict",
                                                               "jsonb_agg",
                                                               "jsonb_agg_strict",
                                                               "jsonb_build_array",
                                                               "jsonb_build_object",
                                                               "jsonb_object_agg",
                                                               "length",
                                                               "make_timestamptz",
                                                               "money",
                                                               "numeric",
                                                               "overlaps",
                                                               "quote_literal",
                                                               "quote_nullable",
                                                               "row_to_json",
                                                               "textanycat",
                                                               "time",
                                                               "timestamp",
                                                               "timestamptz",
                                                               "timezone",
                                                               "to_char",
                                                               "to_date"};
constexpr std::array<std::string_view, 4> kMoreStableFunctions = {"to_json", "to_jsonb",
                                                                  "to_number", "to_timestamp"};

// STABLE functions behind built-in operators: time arithmetic and comparison across zones, and text
// concatenation.
constexpr std::array<std::string_view, 5> kStableOperatorFunctions = {
    "anytextcat", "textanycat", "interval_pl_timestamptz", "timestamptz_pl_interval",
    "timestamptz_mi_interval"};
constexpr std::array<std::string_view, 4> kStableComparisonPrefixes = {"date_", "timestamp_",
                                                                       "timestamptz_", "timetz_"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool is_time_comparison(std::string_view name) {
  for (const std::string_view prefix : kStableComparisonPrefixes) {
    if (name.substr(0, prefix.size()) != prefix) continue;
    const std::string_view rest = name.substr(prefix.size());
    for (const std::string_view op : {"eq_", "ne_", "lt_", "le_", "gt_", "ge_"}) {
      if (rest.substr(0, op.size()) == op) return true;
    }
  }
  return false;
}

// Oids of pg_type.dat whose input reads no clock.
constexpr std::array<std::uint32_t, 41> kTimelessTypes = {
    16,  17,   18,   19,   20,   21,   22,   23,   25,   26,   27,   28,   29,  114,
    142, 600,  601,  602,  603,  604,  628,  650,  700,  701,  718,  774,  790, 829,
    869, 1042, 1043, 1186, 1560, 1562, 1700, 2950, 3220, 3614, 3615, 3734, 3802};
constexpr std::array<std::uint32_t, 5> kMoreTimelessTypes = {3904, 3906, 3926, 4072, 5069};

// Types whose output names catalog objects or roles.
constexpr std::array<std::uint32_t, 12> kNamingTypes = {24,   1033, 2202, 2203, 2204, 2205,
                                                        2206, 3734, 3769, 4089, 4096, 4191};

template <std::size_t N>
bool contains(const std::array<std::uint32_t, N>& list, Oid oid) {
  return std::find(list.begin(), list.end(), pg::to_u32(oid)) != list.end();
}

TypeVerdict judge(const pg::Catalog& catalog, Oid oid, int depth) {
  const pg::Type* const type = catalog.find_type(oid);
  if (type == nullptr) return TypeVerdict::kNotFound;
  if (contains(kNamingTypes, oid) || depth > kDepthMax) return TypeVerdict::kUnsteady;
  if (type->element != Oid::kInvalid) return judge(catalog, type->element, depth + 1);
  if (is_builtin(oid)) return TypeVerdict::kFine;
  if (type->io_volatility == Volatility::kVolatile) return TypeVerdict::kUnsteady;
  if (type->kind == 'd') {
    if (type->checks_vary || type->checks_run_code) return TypeVerdict::kUnsteady;
    return judge(catalog, type->base, depth + 1);
  }
  if (type->kind == 'c') {
    const pg::Relation* const relation = catalog.find_relation(type->relation);
    if (relation == nullptr) return TypeVerdict::kNotFound;
    for (const pg::Column& column : relation->columns) {
      const TypeVerdict verdict = judge(catalog, column.type, depth + 1);
      if (verdict != TypeVerdict::kFine) return verdict;
    }
  }
  return TypeVerdict::kFine;
}

// `judge` has found the type fine, so the walk ends.
void collect_relations(const pg::Catalog& catalog, Oid oid, int depth, std::vector<Oid>& found) {
  const pg::Type* const type = catalog.find_type(oid);
  if (type == nullptr || depth > kDepthMax) return;
  if (type->element != Oid::kInvalid) collect_relations(catalog, type->element, depth + 1, found);
  if (type->base != Oid::kInvalid) collect_relations(catalog, type->base, depth + 1, found);
  if (type->relation == Oid::kInvalid) return;
  found.push_back(type->relation);
  const pg::Relation* const relation = catalog.find_relation(type->relation);
  if (relation == nullptr) return;
  for (const pg::Column& column : relation->columns) {
    if (!is_builtin(column.type)) collect_relations(catalog, column.type, depth + 1, found);
  }
}

bool is_timeless(const pg::Catalog& catalog, Oid oid, int depth) {
  if (contains(kTimelessTypes, oid) || contains(kMoreTimelessTypes, oid)) return true;
  const pg::Type* const type = catalog.find_type(oid);
  if (type == nullptr || depth > kDepthMax) return false;
  if (type->kind == 'e') return true;
  if (type->kind == 'd') return is_timeless(catalog, type->base, depth + 1);
  return type->element != Oid::kInvalid && is_timeless(catalog, type->element, depth + 1);
}

// The bytes of the server's encoding are in the same order as those of UTF-8.
bool has_bytes_in_order(const pg::Catalog& catalog) {
  const std::string& encoding = catalog.encoding();
  return encoding == "UTF8" || encoding == "LATIN1" || encoding == "SQL_ASCII";
}

}  // namespace

bool is_safe_function(const pg::Function& function) {
  if (!is_builtin(function.oid)) {
    return function.volatility == Volatility::kImmutable && function.kind != 'a' &&
           function.kind != 'p' && !function.defaults_vary;
  }
  if (function.schema != kPgCatalog || function.kind == 'p') return false;
  // Some of these look at the server's state although they are declared IMMUTABLE.
  if (std::string_view(function.name).substr(0, 3) == "pg_" && function.name != "pg_size_pretty" &&
      function.name != "pg_size_bytes") {
    return false;
  }
  if (function.volatility == Volatility::kImmutable) return true;
  return function.volatility == Volatility::kStable &&
         (contains(kStableFunctions, function.name) ||
          contains(kMoreStableFunctions, function.name));
}

bool is_safe_operator_function(const pg::Function& function) {
  if (function.volatility == Volatility::kImmutable) return true;
  return is_builtin(function.oid) && function.volatility == Volatility::kStable &&
         (contains(kStableOperatorFunctions, function.name) || is_time_comparison(function.name));
}

bool reads_no_time(const pg::Catalog& catalog, Oid type) { return is_timeless(catalog, type, 0); }

bool is_time_value(const pg::Catalog& catalog, Oid type) {
  const Oid base = base_type(catalog, type);
  return base == pg::type::kDate || base == pg::type::kTime || base == pg::type::kTimestamp ||
         base == pg::type::kTimestamptz || base == pg::type::kInterval || base == pg::type::kTimetz;
}

std::vector<Oid> relations_of_type(const pg::Catalog& catalog, Oid type) {
  std::vector<Oid> found;
  if (!is_builtin(type)) collect_relations(catalog, type, 0, found);
  return found;
}

TypeVerdict judge_type(const pg::Catalog& catalog, Oid type) { return judge(catalog, type, 0); }

bool orders_bytes(const pg::Catalog& catalog, const pg::Column& column) {
  return column.collation_is_c && has_bytes_in_order(catalog);
}

bool is_ordered(const pg::Catalog& catalog, const pg::ValueType& type, bool is_c) {
  const pg::ValueType* inner = &type;
  while (inner->element != nullptr) inner = inner->element.get();
  if (inner->family == pg::ValueFamily::kJsonb) {
    is_c = catalog.default_is_c() && has_bytes_in_order(catalog);
  }
  return pg::is_ordered(type, is_c);
}

bool changes_values(const pg::Catalog& catalog, Oid type) {
  for (int depth = 0; depth < kDepthMax; ++depth) {
    const pg::Type* const found = catalog.find_type(type);
    if (found == nullptr) return false;
    if (found->kind == 'd' && found->base_typmod >= 0) return true;
    const Oid below = found->kind == 'd' ? found->base : found->element;
    if (below == Oid::kInvalid) return false;
    type = below;
  }
  return true;
}

Oid base_type(const pg::Catalog& catalog, Oid type) {
  for (int depth = 0; depth < kDepthMax; ++depth) {
    const pg::Type* const found = catalog.find_type(type);
    if (found == nullptr || found->kind != 'd') return type;
    type = found->base;
  }
  return Oid::kInvalid;
}

bool may_coerce(const pg::Catalog& catalog, Oid from, Oid to) {
  if (from == to || from == Oid::kInvalid || from == pg::type::kUnknown) return true;
  const pg::Type* const target = catalog.find_type(to);
  const pg::Type* const source = catalog.find_type(from);
  if (target == nullptr || source == nullptr || target->kind == 'p') return true;
  const Oid base = base_type(catalog, from);
  if (base == to || base == Oid::kInvalid) return true;
  if (source->kind == 'c' || source->element != Oid::kInvalid || target->kind == 'd') return true;
  for (const Oid type : {from, base}) {
    const pg::Cast* const cast = catalog.find_cast(type, to);
    if (cast != nullptr && cast->context == 'i') return true;
  }
  return false;
}

}  // namespace pgcache::sql
