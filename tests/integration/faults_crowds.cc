// SPDX-License-Identifier: Apache-2.0
// Two thousand clients that come at once: all are answered, by a session or by a refusal, the
// origin's as it says it, and nothing of them stays.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "process_faults.h"

namespace pgcache::testing {
namespace {

using message::query;
using message::startup;
using std::chrono::steady_clock;

constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";
constexpr int kCrowd = 2000;

std::string session_startup() { return startup({{"user", "postgres"}, {"database", "postgres"}}); }

void allow_descriptors(pid_t pid, rlim_t count) {
  rlimit limit{};
  ::prlimit(pid, RLIMIT_NOFILE, nullptr, &limit);
  limit.rlim_cur = std::min(limit.rlim_max, count);
  ASSERT_EQ(::prlimit(pid, RLIMIT_NOFILE, &limit, nullptr), 0);
  ASSERT_GE(limit.rlim_cur, count) << "too few file descriptors";
}

struct Crowd {
  std::vector<RawClient> in;
  std::map<std::string, int> refused;  // by what was said
  double seconds = 0;                  // until all were answered
};

// They all connect, and then all say who they are.
Crowd come_all(Stack& stack, int count) {
  allow_descriptors(0, 8192);
  allow_descriptors(stack.proxy().pid(), 8192);
  std::vector<RawClient> clients;
  for (int i = 0; i < count; ++i) clients.emplace_back("127.0.0.1", stack.proxy().port());
  const auto begin = steady_clock::now();
  Crowd crowd;
  std::vector<bool> lost;
  for (RawClient& client : clients) {
    try {
      client.send(session_startup());
      lost.push_back(false);
    } catch (const std::runtime_error&) {
      lost.push_back(true);  // refused already
    }
  }
  for (RawClient& client : clients) {
    for (;;) {
      const RawFrame answer = client.read_frame(120000);
      if (answer.tag == 'E') ++crowd.refused[answer.field('C') + " " + answer.field('M')];
      if (answer.tag == 'Z') crowd.in.push_back(std::move(client));
      if (answer.tag == 'E' || answer.tag == 'Z') break;
    }
  }
  crowd.seconds = std::chrono::duration<double>(steady_clock::now() - begin).count();
  return crowd;
}

void expect_hits(Stack& stack, std::vector<RawClient>& clients) {
  const Routes before = stack.proxy().routes();
  for (RawClient& client : clients) client.send(query(kRead));
  for (RawClient& client : clients) EXPECT_EQ(first_columns(client.read_until('Z', 30000)), "v1");
  const Routes taken = stack.proxy().routes() - before;
  EXPECT_EQ(taken.hit, clients.size()) << taken.text();
}

TEST(FaultsCrowds, WhereTheOriginHasRoomForHalf) {
  StackOptions options = small_table();
  // Twice as many wait at its door; those beyond that are the kernels' to bring in, in their time.
  options.conf = {"max_connections = 1000"};
  options.arguments = {"--handshake-timeout", "3min", "--origin-connect-timeout", "2min"};
  Stack stack(options);
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  const long before = stack.memory_kib("VmRSS");
  {
    Crowd crowd = come_all(stack, kCrowd);
    // The origin's own pace: it starts a process for each.
    ::testing::Test::RecordProperty("seconds", std::to_string(crowd.seconds));
    // As the origin says it itself.
    ASSERT_EQ(crowd.refused.size(), 1u) << crowd.refused.rbegin()->first;
    const auto& [said, count] = *crowd.refused.begin();
    EXPECT_EQ(said, "53300 sorry, too many clients already");
    EXPECT_EQ(count + static_cast<int>(crowd.in.size()), kCrowd);
    EXPECT_GT(crowd.in.size(), 900u);
    EXPECT_LT(crowd.in.size(), 1000u);
    expect_hits(stack, crowd.in);
    EXPECT_EQ(session.must(kRead).value(), "v1");
    const long each = (stack.memory_kib("VmRSS") - before) / static_cast<long>(crowd.in.size());
    ::testing::Test::RecordProperty("kib_each", std::to_string(each));
    if (patience() == 1) {
      EXPECT_LT(each, 100);
    }
  }
  expect_all_gone(stack, 1);
}

TEST(FaultsCrowds, WhereFiftyMayCome) {
  StackOptions options = small_table();
  options.arguments = {"--max-clients", "50"};
  Stack stack(options);
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  {
    Crowd crowd = come_all(stack, kCrowd);
    ASSERT_EQ(crowd.refused.size(), 1u);
    EXPECT_EQ(crowd.refused.begin()->first, "53300 sorry, too many clients already");
    EXPECT_EQ(crowd.refused.begin()->second + static_cast<int>(crowd.in.size()), kCrowd);
    EXPECT_GE(crowd.in.size(), 30u);
    EXPECT_LE(crowd.in.size(), 49u);
    expect_hits(stack, crowd.in);
    EXPECT_EQ(session.must(kRead).value(), "v1");
  }
  expect_all_gone(stack, 1);
}

// What each connection costs that has not said who it is, and so has none to the origin.
TEST(FaultsCrowds, ThatSaysNothing) {
  Stack stack(small_table());
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  allow_descriptors(0, 8192);
  allow_descriptors(stack.proxy().pid(), 8192);
  const long before = stack.memory_kib("VmRSS");
  {
    std::vector<RawClient> silent;
    for (int i = 0; i < kCrowd; ++i) silent.emplace_back("127.0.0.1", stack.proxy().port());
    ASSERT_TRUE(
        wait_until([&] { return stack.proxy().metric("pgcache_clients") == kCrowd + 1; }, 30000));
    const long each = (stack.memory_kib("VmRSS") - before) / kCrowd;
    ::testing::Test::RecordProperty("kib_each", std::to_string(each));
    if (patience() == 1) {
      EXPECT_LT(each, 16);
    }
    EXPECT_EQ(value_of(stack.query(session, kRead, "hit")), "v1");
  }
  expect_all_gone(stack, 1);
}

}  // namespace
}  // namespace pgcache::testing
