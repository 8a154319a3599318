// SPDX-License-Identifier: Apache-2.0
// The table of functions and what holds for all of them: strictness, and the checks of arguments
// and results.
#include "pg/function.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "pg/function_number.h"
#include "pg/function_table.h"
#include "pg/function_utf8.h"

namespace pgcache::pg {

namespace builtin {

namespace {

bool is_in_range(Oid type, std::int64_t n) {
  if (type == type::kInt2) return n == static_cast<std::int16_t>(n);
  if (type == type::kInt4) return n == static_cast<std::int32_t>(n);
  return true;
}

bool is_character_family(ValueFamily family) {
  return family == ValueFamily::kText || family == ValueFamily::kName ||
         family == ValueFamily::kBpchar;
}

FunctionTable make_table() {
  FunctionTable table;
  for (const auto part :
       {comparison_functions, integer_functions, numeric_functions, float_functions, text_functions,
        bytea_functions, pattern_functions, time_functions, interval_functions, cast_functions}) {
    std::ranges::move(part(), std::back_inserter(table));
  }
  std::ranges::sort(table, {}, &FunctionEntry::oid);
  return table;
}

const FunctionEntry* find_function(Oid oid) {
  const FunctionTable& table = function_table();
  const auto it = std::ranges::lower_bound(table, to_u32(oid), {}, &FunctionEntry::oid);
  return it != table.end() && it->oid == to_u32(oid) ? &*it : nullptr;
}

bool is_judged(const FunctionEntry& entry, const Value& argument, const FunctionContext& context) {
  if (!entry.characters || !is_character_family(argument.family())) return true;
  return is_judged_text(argument.bytes(), context);
}

}  // namespace

const FunctionTable& function_table() {
  static const FunctionTable table = make_table();
  return table;
}

bool is_of_type(Oid type, const Value& value) {
  if (type == type::kInterval) return value.family() == ValueFamily::kIntervalParts;
  if (family_of(type) != value.family()) return false;
  if (type == type::kInt2 || type == type::kInt4 || type == type::kInt8) {
    const auto n = integer_of(value);
    return n && is_in_range(type, *n);
  }
  if (type == type::kFloat4) {
    const double d = float_of(value);
    return std::isnan(d) || double{static_cast<float>(d)} == d;
  }
  return true;
}

}  // namespace builtin

ValueTypePtr argument_type(Oid type) {
  static const auto interval = std::make_shared<const ValueType>(
      ValueType{type::kInterval, ValueFamily::kIntervalParts, {}, nullptr, Oid::kInvalid});
  return type == type::kInterval ? interval : nullptr;
}

bool can_call(Oid function) { return builtin::find_function(function) != nullptr; }

MaybeValue call(Oid function, std::span<const MaybeValue> arguments,
                const FunctionContext& context) {
  const builtin::FunctionEntry* const entry = builtin::find_function(function);
  if (entry == nullptr || arguments.size() != entry->argument_count()) return {};
  bool any_null = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const MaybeValue& argument = arguments[i];
    if (argument.state == MaybeValue::State::kUnknown) return {};
    if (argument.state == MaybeValue::State::kNull) {
      any_null = true;
    } else if (!builtin::is_of_type(entry->arguments[i], *argument.value) ||
               !builtin::is_judged(*entry, *argument.value, context)) {
      return {};
    }
  }
  if (any_null) return MaybeValue::null();
  MaybeValue result = entry->body({*entry, arguments, context});
  if (result.known() && !builtin::is_of_type(entry->result, *result.value)) return {};
  return result;
}

}  // namespace pgcache::pg
