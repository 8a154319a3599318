// SPDX-License-Identifier: Apache-2.0
// The links to the origin fail. Each test asserts that no answer is wrong, nothing hangs, no
// session is lost that PostgreSQL would have kept, the cache is in use afterwards without a restart
// of pgcache, and what the counters tell.
#include "faults.h"

namespace pgcache::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kLongest = seconds(5);  // that an answer may take on a busy machine

double resumes(Stack& stack) { return stack.proxy().metric("pgcache_stream_resumes_total"); }

TEST(FaultsLink, StreamCut) {
  Stack stack(fault_options());
  expect_in_use(stack);
  FaultWatch watch(stack);
  for (int i = 1; i <= 3; ++i) {
    stack.relay().cut(Peer::kStream);
    ASSERT_TRUE(wait_until([&] { return resumes(stack) >= i; }, 10000)) << stack.proxy().log_tail();
    std::this_thread::sleep_for(milliseconds(300));
  }
  watch.finish(kLongest);
  EXPECT_EQ(cold_starts(stack), 1);  // what was applied stays valid
  expect_in_use(stack);
}

TEST(FaultsLink, ControlCut) {
  Stack stack(fault_options());
  expect_in_use(stack);
  FaultWatch watch(stack);
  for (int i = 0; i < 3; ++i) {
    stack.relay().cut(Peer::kControl);
    std::this_thread::sleep_for(milliseconds(500));
  }
  watch.finish(kLongest);
  EXPECT_EQ(cold_starts(stack), 1);
  expect_in_use(stack);
}

// Nothing comes, and nothing tells that nothing will: the cache goes out of use when its last proof
// of freshness is too old, and comes back by itself.
TEST(FaultsLink, StreamStalls) {
  Stack stack(fault_options());
  expect_in_use(stack);
  FaultWatch watch(stack);
  const Routes before = stack.proxy().routes();
  stack.relay().stall(Peer::kStream, true);
  std::this_thread::sleep_for(seconds(3));
  stack.relay().stall(Peer::kStream, false);
  expect_in_use(stack, seconds(10), &watch);
  watch.finish(kLongest);
  EXPECT_GT((stack.proxy().routes() - before).bypass["stale"], 0u);
  EXPECT_EQ(cold_starts(stack), 1);
  EXPECT_EQ(resumes(stack), 0);
}

// Sessions wait for what is not in memory as long as the network does, and go on.
TEST(FaultsLink, EverythingStalls) {
  Stack stack(fault_options());
  expect_in_use(stack);
  FaultWatch watch(stack);
  for (const Peer peer : {Peer::kStream, Peer::kControl, Peer::kClient}) {
    stack.relay().stall(peer, true);
  }
  std::this_thread::sleep_for(seconds(3));
  for (const Peer peer : {Peer::kStream, Peer::kControl, Peer::kClient}) {
    stack.relay().stall(peer, false);
  }
  expect_in_use(stack, seconds(10), &watch);
  watch.finish(seconds(3) + kLongest);
  EXPECT_EQ(cold_starts(stack), 1);
}

// The stream's connection is dead and stays so, both ends believing in it; new ones are possible.
TEST(FaultsLink, StreamIsHalfOpen) {
  Stack stack(fault_options());
  expect_in_use(stack);
  FaultWatch watch(stack);
  stack.relay().forsake(Peer::kStream);
  ASSERT_TRUE(wait_until([&] { return resumes(stack) == 1; }, 12000)) << stack.proxy().log_tail();
  expect_in_use(stack, seconds(10), &watch);
  watch.finish(kLongest);
  EXPECT_EQ(cold_starts(stack), 1);
}

// All of pgcache's own connections are dead in that way.
TEST(FaultsLink, BothLinksAreHalfOpen) {
  Stack stack(fault_options({"--catalog-poll-interval", "60s"}));
  expect_in_use(stack);
  FaultWatch watch(stack);
  stack.relay().forsake(Peer::kStream);
  stack.relay().forsake(Peer::kControl);
  ASSERT_TRUE(wait_until([&] { return resumes(stack) == 1; }, 25000)) << stack.proxy().log_tail();
  expect_in_use(stack, seconds(10), &watch);
  watch.finish(kLongest);
  EXPECT_EQ(cold_starts(stack), 1);
}

}  // namespace
}  // namespace pgcache::testing
