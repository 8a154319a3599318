// SPDX-License-Identifier: Apache-2.0
// Internal to pg: the table of functions that function.h offers, and what its parts share.
//
// A body is called only when every argument is a value of the type that the entry names (an int2
// within int2's range, a float4 that a float holds). What it returns is checked against the
// entry's result type, so that an integer beyond its range becomes unknown, as PostgreSQL's
// overflow error has to.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pg/function.h"
#include "pg/value.h"

namespace pgcache::pg::builtin {

struct FunctionEntry;

struct FunctionCall {
  const FunctionEntry& entry;
  std::span<const MaybeValue> arguments;
  const FunctionContext& context;

  const Value& operator[](std::size_t i) const { return *arguments[i].value; }
  const std::string& bytes(std::size_t i) const { return arguments[i].value->bytes(); }
};

struct FunctionEntry {
  std::uint32_t oid = 0;
  std::string name;                // pg_proc.proname
  std::array<Oid, 3> arguments{};  // the rest is kInvalid
  Oid result = Oid::kInvalid;
  MaybeValue (*body)(const FunctionCall&) = nullptr;
  // Text is looked into by characters: it must be UTF-8, and ASCII in a database that is not.
  bool characters = false;

  std::size_t argument_count() const {
    std::size_t n = 0;
    while (n < arguments.size() && arguments[n] != Oid::kInvalid) ++n;
    return n;
  }
};

using FunctionTable = std::vector<FunctionEntry>;

// By oid, ascending. Made once.
const FunctionTable& function_table();

// The parts of the table.
FunctionTable comparison_functions();
FunctionTable integer_functions();
FunctionTable numeric_functions();
FunctionTable float_functions();
FunctionTable text_functions();
FunctionTable bytea_functions();
FunctionTable pattern_functions();
FunctionTable time_functions();
FunctionTable interval_functions();
FunctionTable cast_functions();

// Whether a value of the type's family is one of this very type (within an integer's range, ...).
bool is_of_type(Oid type, const Value& value);

MaybeValue bool_value(bool b);
MaybeValue text_value(std::string text);

// Whether there is a cast from one type to another one, and that cast without a typmod; unknown
// when there is none.
bool can_convert(Oid from, Oid to);
MaybeValue convert(Oid from, Oid to, const Value& value, const FunctionContext& context);

// 32 hexadecimal digits.
std::string md5_hex(std::string_view bytes);

}  // namespace pgcache::pg::builtin
