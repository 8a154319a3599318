// SPDX-License-Identifier: Apache-2.0
#include "wire/authentication.h"

#include <gtest/gtest.h>

namespace pgcache::wire {
namespace {

using std::string_literals::operator""s;

TEST(Authentication, SaslOffers) {
  std::string frame;
  append_sasl_offer(frame, {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"});
  EXPECT_EQ(frame, "R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s);
  const auto offer = parse_sasl_offer(std::string_view(frame).substr(5));
  ASSERT_TRUE(offer);
  EXPECT_EQ(*offer, (std::vector<std::string_view>{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}));
}

TEST(Authentication, WhatIsNoSaslOffer) {
  for (const std::string& body : {""s, "\0\0\0\0"s, "\0\0\0\x0b abc"s, "\0\0\0\x0aSCRAM"s,
                                  "\0\0\0\x0aSCRAM\0"s, "\0\0\0\x0aSCRAM\0\0more"s, "\0\0"s}) {
    EXPECT_FALSE(parse_sasl_offer(body)) << body;
  }
}

TEST(Authentication, SaslInitialResponses) {
  const std::string body = "SCRAM-SHA-256\0\0\0\0\3n,,"s;
  const auto response = parse_sasl_initial_response(body);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->mechanism, "SCRAM-SHA-256");
  EXPECT_EQ(response->data, "n,,");
  const auto without = parse_sasl_initial_response("X\0\xff\xff\xff\xff"s);
  ASSERT_TRUE(without);
  EXPECT_EQ(without->data, "");
  for (const std::string& bad :
       {""s, "X"s, "X\0"s, "X\0\0\0\0\4abc"s, "X\0\0\0\0\2abc"s, "X\0\x80\0\0\0"s, "password\0"s}) {
    EXPECT_FALSE(parse_sasl_initial_response(bad)) << bad;
  }
}

}  // namespace
}  // namespace pgcache::wire
