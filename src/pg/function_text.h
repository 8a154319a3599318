// SPDX-License-Identifier: Apache-2.0
// Internal to pg: upper and lower case.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pg/function.h"

namespace pgcache::pg::builtin {

enum class CaseMap : std::uint8_t { kLower, kUpper };

// Only the letters of ASCII.
std::string ascii_mapped(std::string_view text, CaseMap map);

// lower(text) or upper(text); nothing when the collation may map what is not ASCII, or otherwise.
std::optional<std::string> map_case(std::string_view text, CaseMap map,
                                    const FunctionContext& context);

}  // namespace pgcache::pg::builtin
