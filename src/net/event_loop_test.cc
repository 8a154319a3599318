// SPDX-License-Identifier: Apache-2.0
#include "net/event_loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

namespace pgcache::net {
namespace {

using std::chrono::milliseconds;

TEST(EventLoop, RunsPostedFunctionsInOrderOnItsThread) {
  EventLoop loop;
  std::vector<int> seen;
  std::thread::id where;
  std::thread thread([&] { loop.run(); });
  for (int i = 0; i < 1000; ++i) {
    loop.post([&, i] {
      seen.push_back(i);
      where = std::this_thread::get_id();
    });
  }
  const std::thread::id expected = thread.get_id();
  loop.stop();
  thread.join();
  ASSERT_EQ(seen.size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(where, expected);
}

TEST(EventLoop, TakesPostsFromSeveralThreads) {
  EventLoop loop;
  int count = 0;
  std::thread thread([&] { loop.run(); });
  std::vector<std::thread> posters;
  for (int t = 0; t < 4; ++t) {
    posters.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) loop.post([&] { ++count; });
    });
  }
  for (std::thread& poster : posters) poster.join();
  loop.stop();
  thread.join();
  EXPECT_EQ(count, 20000);
}

TEST(EventLoop, AHandlerThatPostsAndOneThatThrowsDoNotStopIt) {
  EventLoop loop;
  bool ran = false;
  loop.post([&] { throw std::runtime_error("on purpose"); });
  loop.post([&] {
    loop.post([&] {
      ran = true;
      loop.stop();
    });
  });
  loop.run();
  EXPECT_TRUE(ran);
}

TEST(EventLoop, WhatWasNotRunIsDestroyedWithIt) {
  auto owned = std::make_shared<int>(1);
  {
    EventLoop loop;
    loop.post([owned] {});
    EXPECT_EQ(owned.use_count(), 2);
  }
  EXPECT_EQ(owned.use_count(), 1);
}

TEST(Timer, FiresOnceNotBeforeItsTime) {
  EventLoop loop;
  int fired = 0;
  const auto begin = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration took{};
  Timer end(loop, [&] { loop.stop(); });
  Timer timer(loop, [&] {
    ++fired;
    took = std::chrono::steady_clock::now() - begin;
    end.start(milliseconds(30));
  });
  timer.start(milliseconds(20));
  loop.run();
  EXPECT_EQ(fired, 1);
  EXPECT_GE(took, milliseconds(15));  // the loop's clock is a coarse one
}

TEST(Timer, StartedAnewFiresAtTheLaterTimeOnly) {
  EventLoop loop;
  int fired = 0;
  Timer timer(loop, [&] { ++fired; });
  timer.start(milliseconds(5));
  timer.start(milliseconds(2000));
  Timer end(loop, [&] { loop.stop(); });
  end.start(milliseconds(50));
  loop.run();
  EXPECT_EQ(fired, 0);
}

TEST(Timer, CancelledDoesNotFire) {
  EventLoop loop;
  int fired = 0;
  Timer timer(loop, [&] { ++fired; });
  timer.start(milliseconds(5));
  timer.cancel();
  Timer past(loop, [&] { loop.stop(); });
  past.start(milliseconds(-5));  // a time that has passed: at once
  loop.run();
  EXPECT_EQ(fired, 0);
}

}  // namespace
}  // namespace pgcache::net
