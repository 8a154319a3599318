// SPDX-License-Identifier: Apache-2.0
// What a collation's locale is known to do. Pure; any thread.
#pragma once

#include <string_view>

namespace pgcache::origin {

// pg_collation.collprovider and pg_database.datlocprovider.
inline constexpr char kLibcProvider = 'c';
inline constexpr char kIcuProvider = 'i';
inline constexpr char kBuiltinProvider = 'b';

// Whether lower() and upper() certainly map the ASCII letters as in English. `locale` is LC_CTYPE
// of a libc collation, the locale of any other.
bool maps_ascii_as_english(char provider, std::string_view locale);

}  // namespace pgcache::origin
