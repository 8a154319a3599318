// SPDX-License-Identifier: Apache-2.0
// Network addresses and hardware addresses.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "pg/value.h"
#include "pg/value_test_support.h"

namespace pgcache::pg {
namespace {

using namespace std::string_view_literals;

TEST(InetValue, InetAndCidrAreOneFamily) {
  EXPECT_SAME(type::kInet, "10.1.2.3", type::kCidr, "10.1.2.3/32");
  EXPECT_SAME(type::kInet, "10.0.0.0/8", type::kCidr, "10.0.0.0/8");
  EXPECT_SAME(type::kInet, "2001:DB8::1", type::kCidr, "2001:0db8:0:0:0:0:0:0001/128");
  EXPECT_SAME(type::kInet, "::ffff:1.2.3.4", type::kInet, "::FFFF:102:304");
}

TEST(InetValue, IsOrderedByNetworkThenLengthThenHost) {
  const std::vector<const char*> ascending = {
      "0.0.0.0/0",   "9.255.255.255", "10.0.0.0/8",    "10.1.2.3/8",     "10.0.0.0/9",
      "10.0.0.0/16", "10.0.0.0",      "10.1.2.3",      "10.1.2.4/31",    "10.1.2.5/31",
      "10.1.2.4",    "10.128.0.0/9",  "255.0.0.0",     "::/0",           "::1/0",
      "::",          "::1",           "2001:db8::/32", "2001:db8::1/64", "ffff::"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = i + 1; j < ascending.size(); ++j) {
      EXPECT_LESS(type::kInet, ascending[i], ascending[j]);
    }
  }
}

TEST(InetValue, IncompleteAddressesAreUnknown) {
  for (const char* text : {"",
                           "10",
                           "10.1",
                           "10.1.2",
                           "10.1.2.3.4",
                           "10.1.2.",
                           ".1.2.3",
                           "10.1.2.256",
                           "010.1.2.3",
                           "10.1.2.3/",
                           "10.1.2.3/33",
                           "10.1.2.3/08",
                           "10.1.2.3/-1",
                           "10.1.2.3/8/8",
                           " 10.1.2.3",
                           "10.1.2.3 ",
                           "0x0a.1.2.3",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1:2:3:4:5:6:7:8::",
                           "1::2::3",
                           ":::",
                           ":",
                           ":1",
                           "1:",
                           "12345::",
                           "g::",
                           "::1/129",
                           "fe80::1%eth0",
                           "::1.2.3",
                           "1.2.3.4::",
                           "1:2:3:4:5:6:7:1.2.3.4"}) {
    EXPECT_FALSE(parse_text(type::kInet, text)) << text;
    EXPECT_FALSE(parse_text(type::kCidr, text)) << text;
  }
  EXPECT_TRUE(parse_text(type::kInet, "10.1.2.3/8"));
  EXPECT_FALSE(parse_text(type::kCidr, "10.1.2.3/8"));
  EXPECT_FALSE(parse_text(type::kCidr, "2001:db8:8000::/32"));
}

TEST(InetValue, AgreesWithBinary) {
  EXPECT_EQ(parse_binary(type::kInet, "\2\x08\0\4\x0A\1\2\3"sv),
            parse_text(type::kInet, "10.1.2.3/8"));
  EXPECT_EQ(parse_binary(type::kCidr, "\2\x08\1\4\x0A\0\0\0"sv),
            parse_text(type::kCidr, "10.0.0.0/8"));
  EXPECT_EQ(parse_binary(type::kInet, "\3\x80\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"sv),
            parse_text(type::kInet, "::1"));
  for (const std::string_view bytes :
       {""sv, "\2\x08\0\4\x0A\1\2"sv, "\2\x08\0\4\x0A\1\2\3\4"sv, "\1\x08\0\4\x0A\1\2\3"sv,
        "\2\x21\0\4\x0A\1\2\3"sv, "\3\x08\0\4\x0A\1\2\3"sv}) {
    EXPECT_FALSE(parse_binary(type::kInet, bytes));
  }
  EXPECT_FALSE(parse_binary(type::kCidr, "\2\x08\1\4\x0A\1\2\3"sv));
}

TEST(MacaddrValue, ReadsTheNotations) {
  for (const char* text : {"08-00-2B-01-02-03", "08002b:010203", "08002b-010203", "0800.2b01.0203",
                           "0800-2b01-0203", "08002B010203"}) {
    EXPECT_SAME(type::kMacaddr, text, type::kMacaddr, "08:00:2b:01:02:03");
    EXPECT_SAME(type::kMacaddr8, text, type::kMacaddr8, "08:00:2b:ff:fe:01:02:03");
  }
  EXPECT_SAME(type::kMacaddr8, "0800.2bff.fe01.0203", type::kMacaddr8, "08002bfffe010203");
  for (const char* text :
       {"", "08:00:2b:01:02", "8:0:2b:1:2:3", "08:00-2b:01:02:03",
        "08:00:2b:01:02:03:", ":08:00:2b:01:02:03", "08:00:2b:01:02:0g", "08:00:2b:01:02:03 ",
        "0800:2b01:0203", "08002b.010203", "08002b01020"}) {
    EXPECT_FALSE(parse_text(type::kMacaddr, text)) << text;
    EXPECT_FALSE(parse_text(type::kMacaddr8, text)) << text;
  }
  EXPECT_FALSE(parse_text(type::kMacaddr, "08:00:2b:ff:fe:01:02:03"));
  EXPECT_LESS(type::kMacaddr, "7f:ff:ff:ff:ff:ff", "80:00:00:00:00:00");
  EXPECT_LESS(type::kMacaddr, "08:00:2b:01:02:03", "08:00:2b:01:02:04");
}

TEST(MacaddrValue, AgreesWithBinary) {
  EXPECT_EQ(parse_binary(type::kMacaddr, "\x08\0\x2B\1\2\3"sv),
            parse_text(type::kMacaddr, "08:00:2b:01:02:03"));
  EXPECT_EQ(parse_binary(type::kMacaddr8, "\x08\0\x2B\xFF\xFE\1\2\3"sv),
            parse_text(type::kMacaddr8, "08:00:2b:01:02:03"));
  EXPECT_EQ(parse_binary(type::kMacaddr8, "\x08\0\x2B\1\2\3"sv),
            parse_text(type::kMacaddr8, "08:00:2b:01:02:03"));
  EXPECT_FALSE(parse_binary(type::kMacaddr, "\x08\0\x2B\1\2"sv));
  EXPECT_FALSE(parse_binary(type::kMacaddr8, "\x08\0\x2B\1\2\3\4"sv));
}

}  // namespace
}  // namespace pgcache::pg
