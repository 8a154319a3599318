// SPDX-License-Identifier: Apache-2.0
#include "wire/reply_tracker.h"

#include <gtest/gtest.h>

namespace pgcache::wire {
namespace {

struct Script {
  ReplyTracker tracker;
  std::vector<PendingRequest> dropped;

  bool send(Request request, bool hidden = false, std::uint64_t cookie = 0) {
    return tracker.sent({request, hidden, cookie});
  }
  Attribution reply(char tag) {
    dropped.clear();
    return tracker.on_frame(tag, dropped);
  }
};

TEST(ReplyTracker, SimpleQueryEndsWithReadyForQuery) {
  Script s;
  s.send(Request::kQuery, false, 7);
  for (const char tag : {'T', 'D', 'C', 'T', 'C'}) EXPECT_FALSE(s.reply(tag).completed);
  EXPECT_FALSE(s.tracker.idle());
  const Attribution ready = s.reply('Z');
  EXPECT_TRUE(ready.completed);
  EXPECT_EQ(ready.request.cookie, 7u);
  EXPECT_TRUE(s.tracker.idle());
}

TEST(ReplyTracker, ExtendedExchangeIsAttributedInOrder) {
  Script s;
  s.send(Request::kParse, true);
  s.send(Request::kBind);
  s.send(Request::kDescribe);
  s.send(Request::kExecute, false, 3);
  s.send(Request::kSync, false, 9);
  EXPECT_TRUE(s.reply('1').hidden);
  EXPECT_TRUE(s.reply('2').completed);
  EXPECT_TRUE(s.reply('T').completed);
  EXPECT_EQ(s.reply('D').request.cookie, 3u);
  const Attribution complete = s.reply('C');
  EXPECT_TRUE(complete.completed);
  EXPECT_EQ(complete.request.cookie, 3u);
  EXPECT_EQ(s.reply('Z').request.cookie, 9u);
  EXPECT_TRUE(s.tracker.idle());
}

TEST(ReplyTracker, TheHeadOfAnExchangeIsWhereNothingCanFail) {
  Script s;
  EXPECT_TRUE(s.tracker.at_head(0));
  s.send(Request::kClose);
  s.send(Request::kParse, true, 5);
  EXPECT_TRUE(s.tracker.at_head(5));
  EXPECT_FALSE(s.tracker.at_head(6));
  s.send(Request::kSync);
  EXPECT_TRUE(s.tracker.at_head(6));
  s.send(Request::kBind);
  EXPECT_FALSE(s.tracker.at_head(6));
  for (const char tag : {'3', '1', 'Z', '2'}) s.reply(tag);
  EXPECT_TRUE(s.tracker.at_head(6));  // it has succeeded
  s.send(Request::kExecute);
  s.reply('E');
  EXPECT_FALSE(s.tracker.at_head(6));
}

TEST(ReplyTracker, DescribeOfAStatementGivesTwoFrames) {
  Script s;
  s.send(Request::kDescribe);
  s.send(Request::kSync);
  EXPECT_FALSE(s.reply('t').completed);
  EXPECT_TRUE(s.reply('n').completed);
  EXPECT_TRUE(s.reply('Z').completed);
}

TEST(ReplyTracker, AnErrorDropsUpToTheNextSync) {
  Script s;
  s.send(Request::kParse, false, 1);
  s.send(Request::kBind, false, 2);
  s.send(Request::kSync, false, 3);
  s.send(Request::kParse, false, 4);
  s.send(Request::kSync, false, 5);
  s.reply('E');
  ASSERT_EQ(s.dropped.size(), 2u);
  EXPECT_EQ(s.dropped[0].cookie, 1u);
  EXPECT_EQ(s.reply('Z').request.cookie, 3u);
  EXPECT_EQ(s.reply('1').request.cookie, 4u);
  EXPECT_EQ(s.reply('Z').request.cookie, 5u);
  EXPECT_TRUE(s.tracker.idle());
}

TEST(ReplyTracker, AfterAnErrorWithoutSyncNothingIsExpectedUntilOneIsSent) {
  Script s;
  s.send(Request::kParse);
  s.reply('E');
  EXPECT_TRUE(s.tracker.discarding());
  EXPECT_FALSE(s.tracker.idle());
  EXPECT_FALSE(s.send(Request::kBind));
  EXPECT_FALSE(s.send(Request::kQuery));
  EXPECT_TRUE(s.send(Request::kSync, false, 8));
  EXPECT_EQ(s.reply('Z').request.cookie, 8u);
  EXPECT_TRUE(s.tracker.idle());
}

TEST(ReplyTracker, AnErrorInASimpleQueryWaitsForItsReadyForQuery) {
  Script s;
  s.send(Request::kQuery, false, 1);
  s.send(Request::kQuery, false, 2);
  s.reply('E');
  EXPECT_TRUE(s.dropped.empty());
  EXPECT_EQ(s.reply('Z').request.cookie, 1u);
  EXPECT_EQ(s.reply('Z').request.cookie, 2u);
}

TEST(ReplyTracker, SyncBeforeCopyDataIsIgnoredByTheServer) {
  Script s;
  s.send(Request::kExecute, false, 1);
  s.send(Request::kSync, false, 2);
  s.reply('G');
  EXPECT_TRUE(s.tracker.copying_in());
  s.send(Request::kCopyEnd);
  s.send(Request::kSync, false, 3);
  EXPECT_TRUE(s.reply('C').completed);
  EXPECT_EQ(s.reply('Z').request.cookie, 3u);
  EXPECT_TRUE(s.tracker.idle());
  EXPECT_FALSE(s.tracker.confused());
}

TEST(ReplyTracker, CopyEndSentBeforeTheServerConfirmedTheCopy) {
  Script s;
  s.send(Request::kExecute, false, 1);
  s.send(Request::kCopyEnd);
  s.send(Request::kSync, false, 2);
  s.reply('G');
  EXPECT_FALSE(s.tracker.copying_in());
  EXPECT_TRUE(s.reply('C').completed);
  EXPECT_EQ(s.reply('Z').request.cookie, 2u);
  EXPECT_TRUE(s.tracker.idle());
}

TEST(ReplyTracker, ErrorInASimpleCopyLeavesLateCopyDoneWithoutMeaning) {
  Script s;
  s.send(Request::kQuery, false, 1);
  s.reply('G');
  s.reply('E');
  s.send(Request::kCopyEnd);
  EXPECT_EQ(s.reply('Z').request.cookie, 1u);
  EXPECT_TRUE(s.tracker.idle());
  s.send(Request::kCopyEnd);
  EXPECT_TRUE(s.tracker.idle());
}

TEST(ReplyTracker, ACopyDoneOutsideOfACopyIsNotWaitedFor) {
  Script s;
  s.send(Request::kDescribe, false, 1);
  s.send(Request::kCopyEnd);
  s.send(Request::kCopyEnd);
  s.reply('t');
  EXPECT_FALSE(s.tracker.idle());
  EXPECT_TRUE(s.reply('T').completed);
  EXPECT_TRUE(s.tracker.idle());
}

TEST(ReplyTracker, SyncInTheMiddleOfAnExtendedCopyCannotBeCounted) {
  Script s;
  s.send(Request::kExecute);
  s.reply('G');
  EXPECT_FALSE(s.send(Request::kSync));
  EXPECT_TRUE(s.tracker.confused());
}

// The server reads it, and ignores it, before any data; if it came so far.
TEST(ReplyTracker, AnErrorOfACopyTellsWhetherItsSyncWasRead) {
  Script s;
  s.send(Request::kExecute, false, 1);
  s.send(Request::kSync, false, 2);
  s.reply('G');
  EXPECT_TRUE(s.reply('E').sync_doubted);
  EXPECT_FALSE(s.tracker.confused());
  EXPECT_TRUE(s.tracker.discarding());
  s.tracker.confuse();
  EXPECT_TRUE(s.tracker.confused());
}

TEST(ReplyTracker, OfACopyThatEndedWellEverySyncWasIgnored) {
  Script s;
  s.send(Request::kExecute, false, 1);
  s.send(Request::kSync, false, 2);
  s.tracker.sent_copy_data();
  s.send(Request::kSync, false, 3);
  s.send(Request::kCopyEnd);
  s.send(Request::kSync, false, 4);
  EXPECT_TRUE(s.tracker.copy_in_doubt());
  s.reply('G');
  EXPECT_FALSE(s.reply('C').sync_doubted);
  EXPECT_EQ(s.reply('Z').request.cookie, 4u);
  EXPECT_TRUE(s.tracker.idle());
  EXPECT_FALSE(s.tracker.copy_in_doubt());
  EXPECT_FALSE(s.tracker.confused());
}

TEST(ReplyTracker, WithASyncAmongTheDataAFailedCopyCannotBeCounted) {
  for (const Request request : {Request::kExecute, Request::kQuery}) {
    for (const bool known : {false, true}) {
      if (known && request == Request::kExecute) continue;  // confused at once
      Script s;
      s.send(request, false, 1);
      if (known) s.reply('G');
      s.tracker.sent_copy_data();
      s.send(Request::kSync, false, 2);
      s.send(Request::kCopyEnd);
      if (!known) s.reply('G');
      EXPECT_FALSE(s.tracker.confused());
      EXPECT_FALSE(s.reply('E').sync_doubted);
      EXPECT_TRUE(s.tracker.confused());
    }
  }
}

// Nobody waits for the end of one that ended before.
TEST(ReplyTracker, CopyMessagesOutsideOfACopyAreInDoubtUntilNothingIsOwed) {
  Script s;
  s.tracker.sent_copy_data();
  EXPECT_FALSE(s.tracker.copy_in_doubt());
  s.send(Request::kQuery, false, 1);
  EXPECT_FALSE(s.tracker.copy_in_doubt());
  s.tracker.sent_copy_data();
  EXPECT_TRUE(s.tracker.copy_in_doubt());
  s.reply('C');
  s.reply('Z');
  s.send(Request::kQuery, false, 2);
  EXPECT_FALSE(s.tracker.copy_in_doubt());
}

TEST(ReplyTracker, SuspendedPortalCompletesItsExecute) {
  Script s;
  s.send(Request::kExecute, false, 1);
  s.send(Request::kExecute, false, 2);
  EXPECT_TRUE(s.reply('s').completed);
  EXPECT_EQ(s.reply('D').request.cookie, 2u);
}

TEST(ReplyTracker, FramesWithoutARequestAreNotAttributed) {
  Script s;
  EXPECT_FALSE(s.reply('E').has_request);
  EXPECT_FALSE(s.reply('Z').has_request);
  EXPECT_TRUE(s.tracker.idle());
}

TEST(ReplyTracker, OnlyASyncEndsWhatMayFail) {
  for (const Request between : {Request::kQuery, Request::kFunctionCall}) {
    Script s;
    s.send(Request::kExecute, false, 1);
    s.send(between, false, 2);
    EXPECT_FALSE(s.tracker.at_head(0));
    EXPECT_TRUE(s.tracker.at_head(1));
    s.send(Request::kSync, false, 3);
    EXPECT_TRUE(s.tracker.at_head(0));
    s.send(between, false, 4);
    EXPECT_TRUE(s.tracker.at_head(0));
  }
}

}  // namespace
}  // namespace pgcache::wire
