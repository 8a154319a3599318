// SPDX-License-Identifier: Apache-2.0
#include "origin/synchrony.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgcache::origin {
namespace {

using ::testing::HasSubstr;

// Of an origin that lets every commit wait for the one walsender there is.
SynchronyReading good() {
  SynchronyReading reading;
  reading.standby_names = "pgcache";
  reading.synchronous_commit = "on";
  reading.exists = true;
  reading.visible = true;
  reading.state = "streaming";
  reading.sync_state = "sync";
  reading.candidates = 1;
  return reading;
}

SynchronyReading quorum(const std::string& names, int candidates) {
  SynchronyReading reading = good();
  reading.standby_names = names;
  reading.sync_state = "quorum";
  reading.candidates = candidates;
  return reading;
}

// What the first gap says and advises; empty when there is none.
std::string gap(const SynchronyReading& reading) {
  const std::vector<Problem> gaps = gaps_in(reading, "pgcache");
  return gaps.empty() ? "" : gaps[0].what + " | " + gaps[0].mend;
}

TEST(Synchrony, CommitsThatWaitHaveNoGap) {
  EXPECT_EQ(gap(good()), "");
  for (const char* commit : {"remote_write", "on", "remote_apply"}) {
    SynchronyReading reading = good();
    reading.synchronous_commit = commit;
    EXPECT_EQ(gap(reading), "") << commit;
  }
  EXPECT_EQ(gap(quorum("ANY 1 (pgcache)", 1)), "");
  EXPECT_EQ(gap(quorum("ANY 2 (a, pgcache)", 2)), "");
}

TEST(Synchrony, NamesThatLetCommitsPass) {
  SynchronyReading reading = good();
  reading.standby_names = "";
  EXPECT_THAT(gap(reading), HasSubstr("ALTER SYSTEM SET synchronous_standby_names = "));
  reading.standby_names = "other, pgcache";
  EXPECT_THAT(gap(reading), HasSubstr("place 2"));
  EXPECT_THAT(gap(quorum("ANY 1 (a, pgcache)", 2)), HasSubstr("without pgcache"));
  reading.standby_names = "MAJORITY (pgcache)";
  EXPECT_THAT(gap(reading), HasSubstr("a form that pgcache does not know"));
}

TEST(Synchrony, WritersThatDoNotWait) {
  for (const char* commit : {"off", "local", ""}) {
    SynchronyReading reading = good();
    reading.synchronous_commit = commit;
    EXPECT_THAT(gap(reading), HasSubstr("commits wait for no standby")) << commit;
  }
  SynchronyReading reading = good();
  reading.opted_out = "role batch";
  EXPECT_THAT(gap(reading), HasSubstr("off or local for role batch"));
  reading = good();
  reading.role_hides = true;
  reading.synchronous_commit = "off";  // of the role that asks: says nothing of others
  EXPECT_THAT(gap(reading), HasSubstr("a synchronous_commit of its own"));
  EXPECT_EQ(gaps_in(reading, "pgcache").size(), 1u);
}

TEST(Synchrony, EachSettingThatIsWrongIsNamed) {
  SynchronyReading reading = good();
  reading.standby_names = "";
  reading.synchronous_commit = "local";
  reading.opted_out = "database app";
  EXPECT_EQ(gaps_in_settings(reading, "pgcache").size(), 3u);
  EXPECT_EQ(gaps_in(reading, "pgcache").size(), 3u);
}

TEST(Synchrony, TheWalsenderHasToBeTheOneThatIsWaitedFor) {
  SynchronyReading reading = good();
  reading.exists = false;
  EXPECT_THAT(gap(reading), HasSubstr("not connected"));
  EXPECT_TRUE(gaps_in_settings(reading, "pgcache").empty());
  reading = good();
  reading.visible = false;
  EXPECT_THAT(gap(reading), HasSubstr("GRANT pg_read_all_stats"));
  reading = good();
  reading.state = "catchup";
  EXPECT_THAT(gap(reading), HasSubstr("catch up"));
  for (const char* state : {"potential", "async", "quorum"}) {
    reading = good();
    reading.sync_state = state;
    EXPECT_THAT(gap(reading), HasSubstr("another connection takes pgcache's place")) << state;
  }
}

// Two walsenders under one name: a commit may wait for the wrong one of them.
TEST(Synchrony, MoreCandidatesThanAreWaitedFor) {
  EXPECT_THAT(gap(quorum("ANY 1 (pgcache)", 2)), HasSubstr("more standbys have the names"));
  SynchronyReading reading = quorum("ANY 1 (pgcache)", 1);
  reading.sync_state = "async";
  EXPECT_NE(gap(reading), "");
}

}  // namespace
}  // namespace pgcache::origin
