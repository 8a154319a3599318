// SPDX-License-Identifier: Apache-2.0
#include "origin/standby_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgcache::origin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Method = StandbyNames::Method;

StandbyNames parsed(std::string_view text) {
  const std::optional<StandbyNames> names = parse_standby_names(text);
  EXPECT_TRUE(names) << text;
  return names.value_or(StandbyNames{});
}

std::string gap(std::string_view text) { return gap_in(parsed(text), "pgcache"); }

TEST(StandbyNames, AreReadAsTheServerReadsThem) {
  EXPECT_THAT(parsed("").names, IsEmpty());
  EXPECT_THAT(parsed("  ").names, IsEmpty());
  EXPECT_THAT(parsed("a").names, ElementsAre("a"));
  EXPECT_EQ(parsed("a, b").needed, 1u);
  EXPECT_THAT(parsed("a ,\n\"b \"\"x\",3, *").names, ElementsAre("a", "b \"x", "3", "*"));
  const StandbyNames two = parsed("2 (a, b)");
  EXPECT_EQ(two.needed, 2u);
  EXPECT_EQ(two.method, Method::kFirst);
  EXPECT_EQ(parsed("first 2 (a, b)").method, Method::kFirst);
  EXPECT_EQ(parsed("FIRST 2 (a, b)").needed, 2u);
  EXPECT_EQ(parsed("Any 1(a,b,c)").method, Method::kAny);
  EXPECT_THAT(parsed("any 1(a,b,c)").names, ElementsAre("a", "b", "c"));
  // In quotes it is no keyword.
  EXPECT_THAT(parsed("\"any\", a").names, ElementsAre("any", "a"));
  EXPECT_THAT(parsed("2").names, ElementsAre("2"));
}

TEST(StandbyNames, WhatTheServerRefusesIsNotRead) {
  for (const char* text : {",", "a,", "a b", "2 (", "2 ()", "0 (a)", "ANY (a)", "FIRST 1 a", "(a)",
                           "\"a", "a;", "ANY 1 (a) b", "1 (a,)", "first", "any 1"}) {
    EXPECT_FALSE(parse_standby_names(text)) << text;
  }
}

TEST(StandbyNames, EveryCommitWaitsForOneOfTheFirst) {
  EXPECT_EQ(gap("pgcache"), "");
  EXPECT_EQ(gap("PgCache"), "");
  EXPECT_EQ(gap("pgcache, other"), "");
  EXPECT_EQ(gap("FIRST 1 (pgcache, *)"), "");
  EXPECT_EQ(gap("2 (other, pgcache)"), "");
  EXPECT_EQ(gap("FIRST 3 (a, b, pgcache)"), "");
  EXPECT_THAT(gap("other, pgcache"), HasSubstr("place 2"));
  EXPECT_THAT(gap("FIRST 2 (a, b, pgcache)"), HasSubstr("the first 2"));
}

TEST(StandbyNames, OfAnyOnlyAllWaitForEach) {
  EXPECT_EQ(gap("ANY 1 (pgcache)"), "");
  EXPECT_EQ(gap("ANY 2 (other, pgcache)"), "");
  EXPECT_THAT(gap("ANY 1 (pgcache, other)"), HasSubstr("any 1 of 2"));
  EXPECT_THAT(gap("ANY 2 (pgcache, *)"), HasSubstr("* is among them"));
}

TEST(StandbyNames, ThatDoNotNameItWaitForOthers) {
  EXPECT_THAT(gap(""), HasSubstr("empty"));
  EXPECT_THAT(gap("other"), HasSubstr("does not name pgcache"));
  EXPECT_THAT(gap("*"), HasSubstr("in front of *"));
  EXPECT_THAT(gap("FIRST 2 (other, *, pgcache)"), HasSubstr("in front of *"));
}

TEST(StandbyNames, TheProposalWaitsForItAndForNoFewerOthers) {
  const auto proposal = [](std::string_view text) { return names_with(parsed(text), "pgcache"); };
  EXPECT_EQ(proposal(""), "FIRST 1 (pgcache)");
  EXPECT_EQ(proposal("other"), "FIRST 2 (pgcache, other)");
  EXPECT_EQ(proposal("FIRST 1 (a, b)"), "FIRST 2 (pgcache, a, b)");
  EXPECT_EQ(proposal("ANY 1 (a, b)"), "FIRST 3 (pgcache, a, b)");
  EXPECT_EQ(proposal("a, pgcache"), "FIRST 1 (pgcache, a)");
  EXPECT_EQ(proposal("*"), "FIRST 2 (pgcache, *)");
  EXPECT_EQ(names_with(parsed("\"any\""), "my cache"), "FIRST 2 (\"my cache\", \"any\")");
  for (const char* text : {"", "other", "ANY 1 (a, b)", "a, pgcache", "*", "2 (\"a b\", c)"}) {
    EXPECT_EQ(gap(proposal(text)), "") << text;
  }
}

}  // namespace
}  // namespace pgcache::origin
