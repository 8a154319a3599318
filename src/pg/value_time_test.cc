// SPDX-License-Identifier: Apache-2.0
// Dates and times.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "pg/value.h"
#include "pg/value_test_support.h"

namespace pgcache::pg {
namespace {

std::string be32(std::int32_t v) {
  std::string out;
  append_be32(out, static_cast<std::uint32_t>(v));
  return out;
}

std::string be64(std::int64_t v) {
  std::string out;
  append_be64(out, static_cast<std::uint64_t>(v));
  return out;
}

void expect_ascending(Oid type, const std::vector<std::string>& texts) {
  for (std::size_t i = 0; i < texts.size(); ++i) {
    for (std::size_t j = i + 1; j < texts.size(); ++j) EXPECT_LESS(type, texts[i], texts[j]);
  }
}

TEST(DateValue, AgreesWithBinary) {
  const auto same = [](const char* text, std::int32_t days) {
    const auto value = parse_text(type::kDate, text);
    ASSERT_TRUE(value) << text;
    EXPECT_EQ(*value, parse_binary(type::kDate, be32(days))) << text;
  };
  same("2000-01-01", 0);
  same("1999-12-31", -1);
  same("2000-02-29", 59);
  same("2000-03-01", 60);
  same("2024-01-31", 8796);
  same("1970-01-01", -10957);
  same("0001-01-01", -730119);
  same("10000-01-01", 2921940);
  same("5874897-12-31", 2145031948);
  same("infinity", std::numeric_limits<std::int32_t>::max());
  same("-Infinity", std::numeric_limits<std::int32_t>::min());
}

TEST(DateValue, LeavesOutWhatItDoesNotKnow) {
  for (const char* text : {"",
                           "2024",
                           "2024-01",
                           "2024-1-1",
                           "24-01-01",
                           "01/02/2024",
                           "20240101",
                           "2024-02-30",
                           "2023-02-29",
                           "1900-02-29",
                           "2024-13-01",
                           "2024-00-01",
                           "2024-01-00",
                           "2024-01-32",
                           "0000-01-01",
                           "2024-01-01 BC",
                           "0044-03-15 BC",
                           "2024-01-01 ",
                           " 2024-01-01",
                           "today",
                           "now",
                           "epoch",
                           "2024-01-01 00:00:00",
                           "2024-01-01T00:00:00",
                           "02024-01-01",
                           "5874898-01-01",
                           "99999999-01-01",
                           "2024-Jan-01",
                           "J2451187",
                           "inf",
                           "+infinity",
                           "2024-01-01-01"}) {
    EXPECT_FALSE(parse_text(type::kDate, text)) << text;
  }
  EXPECT_FALSE(parse_binary(type::kDate, be32(-2451546)));
  EXPECT_TRUE(parse_binary(type::kDate, be32(-2451545)));
  EXPECT_TRUE(parse_binary(type::kDate, be32(2145031948)));
  EXPECT_FALSE(parse_binary(type::kDate, be32(2145031949)));
  EXPECT_FALSE(parse_binary(type::kDate, be64(0)));
}

TEST(DateValue, Orders) {
  expect_ascending(type::kDate, {"-infinity", "0001-01-01", "1999-12-31", "2000-01-01",
                                 "2024-12-31", "10000-01-01", "infinity"});
}

TEST(TimeValue, ReadsIso) {
  EXPECT_SAME(type::kTime, "10:00", type::kTime, "10:00:00.000");
  EXPECT_SAME(type::kTime, "10:00:00.5", type::kTime, "10:00:00.500000");
  EXPECT_EQ(parse_text(type::kTime, "00:00:01"), parse_binary(type::kTime, be64(1000000)));
  EXPECT_EQ(parse_text(type::kTime, "24:00:00"), parse_binary(type::kTime, be64(86400000000)));
  expect_ascending(type::kTime,
                   {"00:00:00", "00:00:00.000001", "09:59:59", "23:59:59.999999", "24:00:00"});
  for (const char* text : {"",
                           "1:00",
                           "10",
                           "1000",
                           "10:60",
                           "10:00:60",
                           "24:00:01",
                           "25:00",
                           "24:00:00.000001",
                           "10:00:00.",
                           "10:00:00.1234567",
                           "10:00 PM",
                           "10:00:00+01",
                           "10:00:00Z",
                           " 10:00",
                           "10:00 ",
                           "10:0",
                           "10:00:0",
                           "allballs",
                           "2024-01-01 10:00",
                           "T10:00:00"}) {
    EXPECT_FALSE(parse_text(type::kTime, text)) << text;
  }
  EXPECT_FALSE(parse_binary(type::kTime, be64(-1)));
  EXPECT_FALSE(parse_binary(type::kTime, be64(86400000001)));
  EXPECT_FALSE(parse_binary(type::kTime, be32(0)));
}

TEST(TimestampValue, ReadsIso) {
  EXPECT_SAME(type::kTimestamp, "2024-01-01", type::kTimestamp, "2024-01-01 00:00:00");
  EXPECT_SAME(type::kTimestamp, "2024-01-01T10:00", type::kTimestamp, "2024-01-01 10:00:00.000000");
  EXPECT_EQ(parse_text(type::kTimestamp, "2000-01-01 00:00:00.000001"),
            parse_binary(type::kTimestamp, be64(1)));
  EXPECT_EQ(parse_text(type::kTimestamp, "1999-12-31 23:59:59"),
            parse_binary(type::kTimestamp, be64(-1000000)));
  EXPECT_EQ(parse_text(type::kTimestamp, "294276-12-31 23:59:59.999999"),
            parse_binary(type::kTimestamp, be64(9223371331199999999)));
  expect_ascending(type::kTimestamp,
                   {"-infinity", "0001-01-01", "1999-12-31 23:59:59.999999", "2000-01-01",
                    "2000-01-01 00:00:00.000001", "294276-12-31", "infinity"});
  for (const char* text :
       {"", "2024-01-01 24:00:00", "2024-01-01 10:00:60", "2024-01-01 10:00:00+00",
        "2024-01-01 10:00:00Z", "2024-01-01 10:00:00 BC", "2024-01-01  10:00", "2024-01-01t10:00",
        "2024-01-01 ", "2024-01-01T", "294277-01-01", "2024-01-01 10:00 AM", "now", "epoch",
        "2024-02-30 10:00:00", "20240101T100000"}) {
    EXPECT_FALSE(parse_text(type::kTimestamp, text)) << text;
  }
  EXPECT_FALSE(parse_binary(type::kTimestamp, be64(9223371331200000000)));
  EXPECT_FALSE(parse_binary(type::kTimestamp, be64(-211813488000000001)));
  EXPECT_TRUE(parse_binary(type::kTimestamp, be64(-211813488000000000)));
}

TEST(TimestamptzValue, ReadsOffsets) {
  for (const char* text :
       {"2024-01-01 10:00:00+00", "2024-01-01 10:00:00Z", "2024-01-01T10:00:00.000Z",
        "2024-01-01 12:00:00+02", "2024-01-01 12:00:00 +02", "2024-01-01 12:00:00+0200",
        "2024-01-01 12:00:00+02:00", "2024-01-01 04:30:00-05:30", "2024-01-01 10:00+00:00:00",
        "2023-12-31 22:00:00-12", "2024-01-02 01:00:00+15", "2024-01-01 10:53:28+00:53:28"}) {
    EXPECT_SAME(type::kTimestamptz, text, type::kTimestamptz, "2024-01-01 10:00:00+00:00");
  }
  EXPECT_EQ(parse_text(type::kTimestamptz, "2000-01-01 01:00:00+01"),
            parse_binary(type::kTimestamptz, be64(0)));
  EXPECT_EQ(parse_text(type::kTimestamptz, "infinity"),
            parse_binary(type::kTimestamptz, be64(std::numeric_limits<std::int64_t>::max())));
  for (const char* text :
       {"2024-01-01", "2024-01-01 10:00:00", "2024-01-01 10:00:00 UTC", "2024-01-01 10:00:00z",
        "2024-01-01 10:00:00+1", "2024-01-01 10:00:00+16", "2024-01-01 10:00:00+02:60",
        "2024-01-01 10:00:00+02:0", "2024-01-01 10:00:00+02:00:60", "2024-01-01 10:00:00+020",
        "2024-01-01 10:00:00+", "2024-01-01 10:00:00  +02", "2024-01-01 10:00:00+02 ",
        "2024-01-01 10:00:00 Z", "2024-01-01 10:00:00+02 BC", "2024-01-01+02",
        "294276-12-31 23:59:59-01", "2024-01-01 10:00:00 Europe/Berlin"}) {
    EXPECT_FALSE(parse_text(type::kTimestamptz, text)) << text;
  }
}

std::string timetz(std::int64_t micros, std::int32_t west) { return be64(micros) + be32(west); }

TEST(TimetzValue, ReadsOffsets) {
  EXPECT_EQ(parse_text(type::kTimetz, "10:00:00+02"),
            parse_binary(type::kTimetz, timetz(36000000000, -7200)));
  EXPECT_EQ(parse_text(type::kTimetz, "10:00-05:30"),
            parse_binary(type::kTimetz, timetz(36000000000, 19800)));
  EXPECT_SAME(type::kTimetz, "10:00:00Z", type::kTimetz, "10:00:00.0-00");
  EXPECT_SAME(type::kTimetz, "10:00:00+0100", type::kTimetz, "10:00 +01:00");
  for (const char* text : {"", "10:00:00", "10:00:00 UTC", "10:00:00+16", "10:00:00+1", "25:00:00Z",
                           "24:00:00.1Z", "10:00:00Z ", "2024-01-01 10:00:00+02", "10:00:00+02 x",
                           "10:00 PM+02", "10:00:00 Europe/Berlin"}) {
    EXPECT_FALSE(parse_text(type::kTimetz, text)) << text;
  }
}

// By the moment, then by the zone: the more western is the greater.
TEST(TimetzValue, IsOrderedByMomentThenZone) {
  expect_ascending(type::kTimetz,
                   {"00:00:00+15:59:59", "10:00:00+02", "10:00:00+01", "09:00:00Z", "11:00:00+01",
                    "10:00:00Z", "10:00:00.000001Z", "24:00:00Z", "24:00:00-15:59:59"});
  const auto east = parse_text(type::kTimetz, "11:00:00+01");
  const auto utc = parse_text(type::kTimetz, "10:00:00Z");
  ASSERT_TRUE(east && utc);
  EXPECT_NE(*east, *utc);
}

TEST(TimetzValue, BinaryOutOfRangeIsUnknown) {
  EXPECT_TRUE(parse_binary(type::kTimetz, timetz(86400000000, 57599)));
  EXPECT_FALSE(parse_binary(type::kTimetz, timetz(86400000001, 0)));
  EXPECT_FALSE(parse_binary(type::kTimetz, timetz(-1, 0)));
  EXPECT_FALSE(parse_binary(type::kTimetz, timetz(0, 57600)));
  EXPECT_FALSE(parse_binary(type::kTimetz, timetz(0, -57600)));
  EXPECT_FALSE(parse_binary(type::kTimetz, be64(0)));
  EXPECT_FALSE(parse_binary(type::kTimetz, timetz(0, 0) + "x"));
}

}  // namespace
}  // namespace pgcache::pg
