// SPDX-License-Identifier: Apache-2.0
// The one place that knows spdlog's loggers.
#include "base/log.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>
#include <exception>

namespace pgcache {
namespace {

constexpr std::array kLevels = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                spdlog::level::err};

}  // namespace

void log_message(LogLevel level, fmt::string_view format, fmt::format_args args) noexcept {
  const spdlog::level::level_enum spdlog_level = kLevels[static_cast<std::size_t>(level)];
  spdlog::logger* logger = spdlog::default_logger_raw();
  if (logger == nullptr || !logger->should_log(spdlog_level)) return;
  try {
    fmt::memory_buffer text;
    fmt::vformat_to(std::back_inserter(text), format, args);
    logger->log(spdlog_level, spdlog::string_view_t(text.data(), text.size()));
  } catch (const std::exception&) {  // out of memory: the line is lost, the program is not
  }
}

}  // namespace pgcache
