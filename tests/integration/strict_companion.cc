// SPDX-License-Identifier: Apache-2.0
// The strict level by a lease, with a pgcache that does not run: its companion lets the origin's
// commits go on, and nothing that is older is read afterwards.
#include <signal.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "strict_rounds.h"

namespace pgcache::testing {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// Of the only child of pgcache; 0: there is none.
pid_t companion_of(Stack& stack) {
  const std::string pid = std::to_string(stack.proxy().pid());
  std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
  pid_t child = 0;
  children >> child;
  return child;
}

// A zombie is none.
bool is_running(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(status, text);
  const std::size_t name_end = text.rfind(')');
  return name_end != std::string::npos && text.substr(name_end + 2, 1) != "Z";
}

double takeovers(Stack& stack) { return stack.proxy().metric("pgcache_strict_ack_timeouts_total"); }

// pgcache is stopped until its companion has taken over and has got the signal; then it goes on,
// and serves nothing older. Yields the companion.
pid_t signal_while_it_confirms(Stack& stack, Connection& session, int signal) {
  stack.query_until(session, kRead, "hit");
  const pid_t companion = companion_of(stack);
  kill(stack.proxy().pid(), SIGSTOP);
  Pending commit(stack, update(1, 5));
  EXPECT_TRUE(commit.done_within(milliseconds(5000))) << stack.proxy().log_tail();
  kill(companion, signal);
  kill(stack.proxy().pid(), SIGCONT);
  EXPECT_EQ(session.must(kRead).value(), "5");
  return companion;
}

TEST(StrictCompanion, AStoppedProcessDoesNotStopCommitsForLong) {
  Stack stack(lease({"--strict-ack-timeout", "500ms"}));
  become_synchronous(stack);
  Connection session = stack.client();
  for (int round = 1; round <= 3; ++round) {
    const std::string value = std::to_string(10 * round);
    stack.query_until(session, kRead, "hit");
    std::vector<Connection> readers;
    for (int i = 0; i < 8; ++i) {
      readers.push_back(stack.client());
      stack.query_until(readers.back(), kRead, "hit");
    }
    const Routes before = stack.proxy().routes();
    kill(stack.proxy().pid(), SIGSTOP);
    const auto begun = Clock::now();
    Pending commit(stack, update(1, 10 * round));
    EXPECT_TRUE(commit.done_within(milliseconds(5000))) << stack.proxy().log_tail();
    EXPECT_GE(Clock::now() - begun, milliseconds(400));
    Pending next(stack, update(2, 10 * round));
    EXPECT_TRUE(next.done_within(milliseconds(2000)));
    // What lies in pgcache's sockets when it goes on.
    std::vector<Pending> reads;
    reads.reserve(readers.size());
    for (Connection& reader : readers) reads.emplace_back(std::move(reader), kRead);
    std::this_thread::sleep_for(milliseconds(20));
    kill(stack.proxy().pid(), SIGCONT);
    for (Pending& read : reads) {
      EXPECT_TRUE(read.done_within(milliseconds(10000)));
      EXPECT_EQ(read.value(), value);
    }
    const Routes taken = stack.proxy().routes() - before;
    EXPECT_EQ(taken.hit, 0) << taken.text();
    EXPECT_EQ(session.must(kRead).value(), value);
    EXPECT_EQ(value_of(stack.query_until(session, kRead, "hit")), value);
    EXPECT_EQ(value_of(stack.query_until(session, read_of(2), "hit")), value);
    EXPECT_EQ(takeovers(stack), round);
  }
  EXPECT_EQ(play(stack, 100).older, 0);
}

// Not even where it was stopped for so short that nothing was confirmed.
TEST(StrictCompanion, ManyStopsAroundTheTimeout) {
  Stack stack(lease({"--strict-ack-timeout", "200ms"}));
  become_synchronous(stack);
  Connection session = stack.client();
  for (int i = 1; i <= 20; ++i) {
    stack.query_until(session, kRead, "hit");
    kill(stack.proxy().pid(), SIGSTOP);
    Pending commit(stack, update(1, i));
    std::this_thread::sleep_for(milliseconds(120 + 15 * i));
    const bool confirmed = commit.done_within(milliseconds(0));
    Pending read(std::move(session), kRead);
    kill(stack.proxy().pid(), SIGCONT);
    EXPECT_TRUE(read.done_within(milliseconds(10000)));
    if (confirmed) {
      EXPECT_EQ(read.value(), std::to_string(i));
    }
    EXPECT_TRUE(commit.done_within(milliseconds(10000))) << stack.proxy().log_tail();
    session = stack.client();
    EXPECT_EQ(session.must(kRead).value(), std::to_string(i));
  }
  EXPECT_GE(takeovers(stack), 5);
  stack.query_until(session, kRead, "hit");
  EXPECT_EQ(play(stack, 100).older, 0);
}

TEST(StrictCompanion, OneThatDiesIsMissedAloud) {
  Stack stack(lease({"--strict-ack-timeout", "300ms"}));
  become_synchronous(stack);
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  kill(companion_of(stack), SIGKILL);
  const auto told = [&] {
    return stack.proxy().log_tail().find("commits at the origin would wait") != std::string::npos;
  };
  EXPECT_TRUE(wait_until(told, 5000)) << stack.proxy().log_tail();
  EXPECT_EQ(companion_of(stack), 0);
  const Rounds rounds = play(stack, 100);
  EXPECT_EQ(rounds.older, 0);
  EXPECT_GE(share(rounds.routes), 0.4) << rounds.routes.text();
}

TEST(StrictCompanion, OneThatDiesWhileItConfirms) {
  Stack stack(lease({"--strict-ack-timeout", "300ms"}));
  become_synchronous(stack);
  Connection session = stack.client();
  signal_while_it_confirms(stack, session, SIGKILL);
  EXPECT_EQ(value_of(stack.query_until(session, kRead, "hit")), "5");
  EXPECT_EQ(takeovers(stack), 1);
  EXPECT_EQ(play(stack, 100).older, 0);
}

// A companion that hangs is got rid of.
TEST(StrictCompanion, OneThatDoesNotLeave) {
  Stack stack(lease({"--strict-ack-timeout", "300ms"}));
  become_synchronous(stack);
  Connection session = stack.client();
  const pid_t companion = signal_while_it_confirms(stack, session, SIGSTOP);
  ASSERT_TRUE(stack.proxy().wait_ready(30000)) << stack.proxy().log_tail();
  EXPECT_EQ(value_of(stack.query_until(session, kRead, "hit")), "5");
  EXPECT_FALSE(is_running(companion));
  EXPECT_EQ(play(stack, 100).older, 0);
}

TEST(StrictCompanion, LivesAsLongAsPgcache) {
  Stack stack(lease());
  become_synchronous(stack);
  pid_t companion = companion_of(stack);
  ASSERT_TRUE(is_running(companion));
  stack.proxy().kill9();
  EXPECT_TRUE(wait_until([&] { return !is_running(companion); }, 5000));
  stack.proxy().start();
  ASSERT_TRUE(stack.proxy().wait_ready()) << stack.proxy().log_tail();
  companion = companion_of(stack);
  ASSERT_TRUE(is_running(companion));
  // What a service manager sends to all processes of a service, and a terminal to those of a job.
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) kill(companion, signal);
  EXPECT_EQ(play(stack, 50).older, 0);
  EXPECT_TRUE(is_running(companion));
  set_names(stack, "");
  stack.proxy().stop();
  EXPECT_FALSE(is_running(companion));
}

TEST(StrictCompanion, IsThereOnlyWhereCommitsWait) {
  for (const std::string level : {"eventual", "session"}) {
    Stack stack(options_of(level));
    EXPECT_EQ(companion_of(stack), 0) << level;
    EXPECT_EQ(stack.proxy().routes().hit, 0);
  }
  Stack stack(by_read());
  EXPECT_EQ(companion_of(stack), 0);
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
}

}  // namespace
}  // namespace pgcache::testing
