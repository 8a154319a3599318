// SPDX-License-Identifier: Apache-2.0
// Intervals.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "base/bytes.h"
#include "pg/value.h"
#include "pg/value_test_support.h"

namespace pgcache::pg {
namespace {

std::string binary(std::int64_t micros, std::int32_t days, std::int32_t months) {
  std::string out;
  append_be64(out, static_cast<std::uint64_t>(micros));
  append_be32(out, static_cast<std::uint32_t>(days));
  append_be32(out, static_cast<std::uint32_t>(months));
  return out;
}

constexpr std::int64_t kHour = 3600000000;

TEST(IntervalValue, AgreesWithBinary) {
  const auto same = [](const char* text, std::int64_t micros, std::int32_t days,
                       std::int32_t months) {
    const auto value = parse_text(type::kInterval, text);
    ASSERT_TRUE(value) << text;
    EXPECT_EQ(*value, parse_binary(type::kInterval, binary(micros, days, months))) << text;
  };
  same("00:00:00", 0, 0, 0);
  same("1 year 2 mons 3 days 04:05:06.789", 4 * kHour + 306789000, 3, 14);
  same("-1 years -2 mons +3 days -04:05:06", -4 * kHour - 306000000, 3, -14);
  same("-1 years +2 mons 3 days", 0, 3, -10);
  same("2 weeks 1 day", 0, 15, 0);
  same("1 hour 30 minutes 5 seconds", kHour + 1805000000, 0, 0);
  same("1 days 3600.500000 seconds", kHour + 500000, 1, 0);
  same("-0.5 seconds", -500000, 0, 0);
  same("24:00", 24 * kHour, 0, 0);
  same("0 years 0 mons 1 days 0 hours 0 mins 0.0 secs", 0, 1, 0);
  same("1 DAY", 0, 1, 0);
  same("P1Y2M3W4DT5H6M7.5S", 5 * kHour + 367500000, 25, 14);
  same("P-1Y-2M3DT-4H", -4 * kHour, 3, -14);
  same("PT0S", 0, 0, 0);
  same("P1M", 0, 0, 1);
  same("PT1M", 60000000, 0, 0);
  same("PT-0.5S", -500000, 0, 0);
  same("178956970 years 7 mons", 0, 0, std::numeric_limits<std::int32_t>::max());
  same("-178956970 years -8 mons", 0, 0, std::numeric_limits<std::int32_t>::min());
  same("2562047788:00:54.775807", std::numeric_limits<std::int64_t>::max(), 0, 0);
}

TEST(IntervalValue, ComparesSpans) {
  EXPECT_SAME(type::kInterval, "1 mon", type::kInterval, "30 days");
  EXPECT_SAME(type::kInterval, "30 days", type::kInterval, "720:00:00");
  EXPECT_SAME(type::kInterval, "1 year", type::kInterval, "P360D");
  EXPECT_SAME(type::kInterval, "1 mon -30 days", type::kInterval, "00:00:00");
  EXPECT_LESS(type::kInterval, "-1 days", "00:00:00");
  EXPECT_LESS(type::kInterval, "-1 mons", "-1 days");
  EXPECT_LESS(type::kInterval, "29 days 23:59:59.999999", "1 mon");
  EXPECT_LESS(type::kInterval, "365 days", "2147483647 days");
  // Beyond 64 bits of microseconds.
  EXPECT_LESS(type::kInterval, "178956969 years", "178956970 years");
  EXPECT_LESS(type::kInterval, "-178956970 years", "-178956969 years");
}

// Under IntervalStyle sql_standard the first sign is that of all fields, if it is the only one.
TEST(IntervalValue, SignsThatDependOnTheStyleAreUnknown) {
  for (const char* text : {"-1 days 02:03:04", "-1 days 2 hours", "-1 years 2 mons",
                           "-1 mons 2 days 3 hours", "-1 weeks 00:00:01"}) {
    EXPECT_FALSE(parse_text(type::kInterval, text)) << text;
  }
  EXPECT_TRUE(parse_text(type::kInterval, "-1 days"));
  EXPECT_TRUE(parse_text(type::kInterval, "-1 days +02:03:04"));
  EXPECT_TRUE(parse_text(type::kInterval, "1 days -02:03:04"));
  EXPECT_TRUE(parse_text(type::kInterval, "+1 days 02:03:04"));
}

TEST(IntervalValue, OtherNotationsAreUnknown) {
  for (const char* text : {"",
                           " ",
                           "1",
                           "1-2",
                           "-1-2 3 4:05:06",
                           "1 2:03:04",
                           "@ 1 day",
                           "1 day ago",
                           "1 d",
                           "1day",
                           "1.5 days",
                           "1 fortnight",
                           "1 day 1 day",
                           "1 day 1 year",
                           "1 hour 02:03:04",
                           "01:02:03 1 day",
                           "1 day ",
                           " 1 day",
                           "1  day",
                           "1:2:3",
                           "01:60:00",
                           "01:00:60",
                           "00:00:00.1234567",
                           "04:05.5",
                           "infinity",
                           "P",
                           "PT",
                           "P1",
                           "P1DT",
                           "P1D2H",
                           "PT1D",
                           "P+1D",
                           "P1.5D",
                           "P1M1Y",
                           "P0001-02-03",
                           "p1d",
                           "PT1:00S",

                           "- 1 day",
                           "178956971 years",
                           "2147483648 days",
                           "306783379 weeks",
                           "2562047789:00:00",
                           "99999999999 days"}) {
    EXPECT_FALSE(parse_text(type::kInterval, text)) << text;
  }
  EXPECT_FALSE(parse_binary(type::kInterval, binary(0, 0, 0).substr(1)));
  EXPECT_FALSE(parse_binary(type::kInterval, binary(0, 0, 0) + "x"));
}

}  // namespace
}  // namespace pgcache::pg
