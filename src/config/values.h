// SPDX-License-Identifier: Apache-2.0
// Texts of configuration values → values, and back. Every reader takes the whole text or nothing,
// so that "10 MB please" is an error and not ten bytes. Pure; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace pgcache::config {

// Decimal digits, with a minus sign at most.
std::optional<std::int64_t> parse_integer(std::string_view text);

// Bytes: a plain number, or with a unit. KiB MiB GiB TiB are powers of 1024, kB MB GB TB of 1000,
// as their names say; case does not matter, a blank before the unit is allowed.
std::optional<std::int64_t> parse_size(std::string_view text);

// Milliseconds: a number with the unit ms, s, min, h or d. A number alone is refused but for 0: its
// unit would be a guess.
std::optional<std::int64_t> parse_duration_ms(std::string_view text);

// "127.0.0.1:6432", "localhost:6432", "[::1]:6432".
std::optional<HostPort> parse_host_port(std::string_view text);

// The same, or a directory that begins with '/' and may have a port behind it: "/run/pgcache",
// "/run/pgcache:6432". Its port is 0 when it has none.
std::optional<HostPort> parse_listen_address(std::string_view text);

// true/false, on/off, yes/no, 1/0.
std::optional<bool> parse_switch(std::string_view text);

// "a, b,c" → a b c; blanks around the items do not count, empty items are dropped.
std::vector<std::string> split_list(std::string_view text);

// The shortest text that parse_... reads as the same value.
std::string format_size(std::uint64_t bytes);
std::string format_duration(std::chrono::milliseconds duration);
std::string format_host_port(const HostPort& address);
std::string format_listen_address(const HostPort& address);

// How many single-letter insertions, deletions and replacements make one text of the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace pgcache::config
