// SPDX-License-Identifier: Apache-2.0
#include "config/values.h"

#include <gtest/gtest.h>

namespace pgcache::config {
namespace {

TEST(ParseInteger, TakesDigitsOnly) {
  EXPECT_EQ(parse_integer("0"), 0);
  EXPECT_EQ(parse_integer("-7"), -7);
  EXPECT_EQ(parse_integer("9223372036854775807"), 9223372036854775807);
  for (const char* bad : {"", " 1", "1 ", "1x", "0x10", "1.5", "+1", "9223372036854775808", "-"}) {
    EXPECT_FALSE(parse_integer(bad)) << bad;
  }
}

TEST(ParseSize, KnowsUnits) {
  EXPECT_EQ(parse_size("0"), 0);
  EXPECT_EQ(parse_size("1234"), 1234);
  EXPECT_EQ(parse_size("12B"), 12);
  EXPECT_EQ(parse_size("1GiB"), 1ll << 30);
  EXPECT_EQ(parse_size("256KiB"), 256 << 10);
  EXPECT_EQ(parse_size("3 MiB"), 3 << 20);
  EXPECT_EQ(parse_size("2tib"), 2ll << 40);
  EXPECT_EQ(parse_size("10MB"), 10000000);
  EXPECT_EQ(parse_size("1kB"), 1000);
  EXPECT_EQ(parse_size(" 1GB "), 1000000000);
}

TEST(ParseSize, RefusesTheRest) {
  for (const char* bad : {"", "MiB", "-1", "1.5GiB", "1Q", "1GiBs", "1 GiB x", "1s", "0x1",
                          "9223372036854775807KiB", "99999999999999999999"}) {
    EXPECT_FALSE(parse_size(bad)) << bad;
  }
}

TEST(ParseDuration, NeedsAUnit) {
  EXPECT_EQ(parse_duration_ms("250ms"), 250);
  EXPECT_EQ(parse_duration_ms("1s"), 1000);
  EXPECT_EQ(parse_duration_ms("2min"), 120000);
  EXPECT_EQ(parse_duration_ms("1 h"), 3600000);
  EXPECT_EQ(parse_duration_ms("1d"), 86400000);
  EXPECT_EQ(parse_duration_ms("0"), 0);
  for (const char* bad : {"", "5", "1m", "1.5s", "-1s", "s", "1s2ms", "9223372036854775807d"}) {
    EXPECT_FALSE(parse_duration_ms(bad)) << bad;
  }
}

TEST(ParseHostPort, SplitsAtTheLastColon) {
  const auto v4 = parse_host_port("127.0.0.1:6432");
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->host, "127.0.0.1");
  EXPECT_EQ(v4->port, 6432);
  const auto v6 = parse_host_port("[::1]:5432");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->port, 5432);
  EXPECT_EQ(parse_host_port("localhost:0")->port, 0);
  EXPECT_EQ(parse_host_port("localhost:65535")->port, 65535);
}

TEST(ParseHostPort, RefusesTheRest) {
  for (const char* bad : {"", "localhost", ":5432", "localhost:", "localhost:x", "localhost:65536",
                          "::1:5432", "[::1]", "[]:1", "[localhost]:1", "[::1:5432", "::1]:5432",
                          "a b:1", "localhost:-1", "localhost:+1", "/tmp:5432", "a:1:2"}) {
    EXPECT_FALSE(parse_host_port(bad)) << bad;
  }
}

TEST(ParseSwitch, KnowsTheUsualWords) {
  for (const char* yes : {"true", "on", "YES", "1"}) EXPECT_EQ(parse_switch(yes), true) << yes;
  for (const char* no : {"false", "Off", "no", "0"}) EXPECT_EQ(parse_switch(no), false) << no;
  for (const char* bad : {"", "2", "tru", "enabled"}) EXPECT_FALSE(parse_switch(bad)) << bad;
}

TEST(SplitList, TrimsAndDropsEmptyItems) {
  EXPECT_EQ(split_list("a, b,c"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(split_list(" , a ,,"), (std::vector<std::string>{"a"}));
  EXPECT_TRUE(split_list("").empty());
}

TEST(Format, WritesWhatTheReadersRead) {
  for (const std::uint64_t bytes :
       {0ull, 1ull, 1000ull, 1024ull, 1536ull, 1ull << 20, 3ull << 30, 5ull << 40, 1000000ull}) {
    EXPECT_EQ(parse_size(format_size(bytes)), static_cast<std::int64_t>(bytes));
  }
  EXPECT_EQ(format_size(1ull << 30), "1GiB");
  EXPECT_EQ(format_size(1536ull << 10), "1536KiB");
  for (const int ms : {0, 1, 250, 1000, 1500, 60000, 90000, 3600000, 86400000}) {
    EXPECT_EQ(parse_duration_ms(format_duration(std::chrono::milliseconds(ms))), ms);
  }
  EXPECT_EQ(format_duration(std::chrono::milliseconds(60000)), "1min");
  EXPECT_EQ(format_host_port({"::1", 5}), "[::1]:5");
  EXPECT_EQ(format_host_port({"h", 5}), "h:5");
}

TEST(EditDistance, CountsLetters) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("", "ab"), 2u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("cache_size", "cache_sise"), 1u);
}

}  // namespace
}  // namespace pgcache::config
