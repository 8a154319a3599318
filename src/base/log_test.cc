// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <sstream>
#include <string>
#include <string_view>

namespace pgcache {
namespace {

// The default logger writes into a string while it lives.
class CapturedLog {
 public:
  explicit CapturedLog(spdlog::level::level_enum level) : before_(spdlog::default_logger()) {
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_st>(text_));
    logger->set_pattern("%l %v");
    logger->set_level(level);
    spdlog::set_default_logger(std::move(logger));
  }
  ~CapturedLog() { spdlog::set_default_logger(before_); }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

TEST(Log, FormatsAtEachLevel) {
  const CapturedLog log(spdlog::level::trace);
  log_debug("a");
  log_info("{} {}", 1, std::string("two"));
  log_warning("{:.2f}", 1.5);
  log_error("{}", std::string_view("{}"));
  EXPECT_EQ(log.text(), "debug a\ninfo 1 two\nwarning 1.50\nerror {}\n");
}

TEST(Log, LeavesOutWhatIsNotWanted) {
  const CapturedLog log(spdlog::level::warn);
  log_info("no");
  log_warning("yes");
  EXPECT_EQ(log.text(), "warning yes\n");
}

}  // namespace
}  // namespace pgcache
