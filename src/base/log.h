// SPDX-License-Identifier: Apache-2.0
// Logging through spdlog's default logger. Set up once by app; safe from every thread; never
// throws. Formats are checked when compiling; spdlog itself stays out of this header, which
// everything includes.
#pragma once

#include <fmt/core.h>

#include <cstdint>

namespace pgcache {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

void log_message(LogLevel level, fmt::string_view format, fmt::format_args args) noexcept;

template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::kDebug, format, fmt::make_format_args(args...));
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::kInfo, format, fmt::make_format_args(args...));
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::kWarning, format, fmt::make_format_args(args...));
}
template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::kError, format, fmt::make_format_args(args...));
}

}  // namespace pgcache
