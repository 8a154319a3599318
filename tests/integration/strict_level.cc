// SPDX-License-Identifier: Apache-2.0
// The strict level: once a commit is acknowledged to anybody, no read through pgcache is older; and
// no read shows what the origin does not show. Kept by a lease (pgcache is a synchronous standby)
// or by asking the origin for each hit.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "strict_rounds.h"
#include "support/command.h"

namespace pgcache::testing {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// A program beside, ended with the object.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments) : pid_(fork()) {
    if (pid_ != 0) return;
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  ~Program() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  void signal(int number) const { kill(pid_, number); }

 private:
  pid_t pid_;
};

// Another standby, under the name "other".
class OtherStandby {
 public:
  explicit OtherStandby(Stack& stack)
      : folder_(made_folder()),
        program_({Cluster::bin_folder() + "/pg_receivewal", "-D", folder_, "--synchronous", "-s",
                  "1", "-d", stack.origin().dsn() + "&application_name=other"}) {
    EXPECT_TRUE(wait_until(
        [&] {
          return stack.direct()
                     .must(
                         "SELECT count(*) FROM pg_stat_replication WHERE application_name = "
                         "'other' AND state = 'streaming'")
                     .value() == "1";
        },
        10000));
  }
  ~OtherStandby() { run_command("rm -rf " + folder_); }
  OtherStandby(const OtherStandby&) = delete;
  OtherStandby& operator=(const OtherStandby&) = delete;
  void stop() const { program_.signal(SIGSTOP); }
  void go_on() const { program_.signal(SIGCONT); }

 private:
  static std::string made_folder() {
    std::string name = "/tmp/pgcache-standby-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    return name;
  }
  const std::string folder_;
  const Program program_;
};

// --- the lease

TEST(StrictLevel, NoReadIsOlderThanAnAcknowledgedCommit) {
  Stack stack(lease());
  become_synchronous(stack);
  const Rounds rounds = play(stack, 2000);
  EXPECT_EQ(rounds.older, 0);
  EXPECT_EQ(rounds.ahead, 0);
  EXPECT_GE(share(rounds.routes), 0.5) << rounds.routes.text();
  EXPECT_EQ(stack.proxy().metric("pgcache_strict_ack_timeouts_total"), 0);
}

TEST(StrictLevel, CommitsWaitForASlowApplier) {
  StackOptions options = lease();
  options.environment = {"PGCACHE_FAULT_APPLY_DELAY_MS=20"};
  Stack stack(options);
  become_synchronous(stack);
  const auto begun = Clock::now();
  const Rounds rounds = play(stack, 100);
  EXPECT_GE(Clock::now() - begun, milliseconds(100 * 20));
  EXPECT_EQ(rounds.older, 0);
  EXPECT_GE(share(rounds.routes), 0.4) << rounds.routes.text();
}

// The rounds would notice: at another level a slow applier is behind.
TEST(StrictLevel, OtherLevelsAreBehindASlowApplier) {
  StackOptions options = options_of("session");
  options.environment = {"PGCACHE_FAULT_APPLY_DELAY_MS=20"};
  Stack stack(options);
  EXPECT_GT(play(stack, 100).older, 20);
}

TEST(StrictLevel, ManyWritersAndReadersAtATime) {
  Stack stack(lease());
  become_synchronous(stack);
  const Routes before = stack.proxy().routes();
  std::array<std::atomic<int>, kRows + 1> acknowledged{};
  std::atomic<bool> over{false};
  std::atomic<int> older{0}, ahead{0}, written{0};
  const auto write = [&](int number) {
    Connection writer(stack.origin().dsn());
    // Rows of its own, so that what it acknowledges only rises.
    for (int i = 1; !over; ++i) {
      const int id = number + 4 * (i % (kRows / 4)) + 1;
      writer.must(update(id, i));
      acknowledged[id] = i;
      ++written;
      std::this_thread::sleep_for(milliseconds(2));
    }
  };
  const auto read = [&](unsigned seed) {
    std::mt19937 random(seed);
    Connection reader = stack.client();
    Connection direct(stack.origin().dsn());
    for (int i = 0; !over; ++i) {
      const int id = static_cast<int>(random() % kRows) + 1;
      const int least = acknowledged[id];
      const int seen = std::stoi(reader.must(read_of(id)).value());
      older += seen < least ? 1 : 0;
      if (i % 8 == 0) ahead += std::stoi(direct.must(read_of(id)).value()) < seen ? 1 : 0;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(write, i);
  for (unsigned i = 0; i < 4; ++i) threads.emplace_back(read, i);
  std::this_thread::sleep_for(std::chrono::seconds(5));
  over = true;
  for (std::thread& thread : threads) thread.join();
  const Routes routes = stack.proxy().routes() - before;
  EXPECT_EQ(older, 0);
  EXPECT_EQ(ahead, 0);
  EXPECT_GE(written, 100);
  EXPECT_GE(share(routes), 0.2) << routes.text();
}

TEST(StrictLevel, NothingIsServedWhereCommitsDoNotWait) {
  Stack stack(lease());
  Connection session = stack.client();
  const auto expect_bypass = [&](const std::string& why) {
    const auto explained = [&] { return contains(stack.proxy().http("/readyz").body, why); };
    EXPECT_TRUE(wait_until(explained, 10000)) << why << stack.proxy().http("/readyz").body;
    EXPECT_EQ(stack.proxy().http("/readyz").status, 503);
    stack.query_until(session, kRead, "bypass:not_synchronous");
    EXPECT_EQ(stack.proxy().metric("pgcache_synchronous"), 0);
  };
  const auto expect_hits = [&] {
    stack.query_until(session, kRead, "hit");
    EXPECT_EQ(stack.proxy().metric("pgcache_synchronous"), 1);
  };
  expect_bypass("it is empty");
  set_names(stack, "pgcache");
  expect_hits();
  set_names(stack, "");
  expect_bypass("it is empty");
  set_names(stack, "FIRST 1 (pgcache, other)");
  expect_hits();
  set_names(stack, "FIRST 1 (other, pgcache)");
  expect_bypass("has place 2");
  set_names(stack, "ANY 1 (pgcache, other)");
  expect_bypass("any 1 of 2");
  set_names(stack, "*");
  expect_bypass("in front of *");
  {
    const OtherStandby other(stack);
    set_names(stack, "ANY 2 (pgcache, other)");
    expect_hits();
    set_names(stack, "FIRST 2 (other, pgcache)");
    expect_hits();
    const OtherStandby namesake(stack);
    set_names(stack, "ANY 2 (other, pgcache)");
    expect_bypass("more standbys have the names");
  }
  set_names(stack, "pgcache");
  expect_hits();
  set_at_origin(stack, "synchronous_commit", "local");
  expect_bypass("synchronous_commit is local");
  set_at_origin(stack, "synchronous_commit", "remote_apply");
  expect_hits();
  stack.direct().must("CREATE ROLE hasty; ALTER ROLE hasty SET synchronous_commit = off");
  expect_bypass("role hasty");
  stack.direct().must("ALTER ROLE hasty RESET synchronous_commit");
  expect_hits();
}

TEST(StrictLevel, WhatTheOriginDoesNotShowIsNotRead) {
  Stack stack(lease());
  const OtherStandby other(stack);
  set_names(stack, "FIRST 2 (pgcache, other)");
  ASSERT_TRUE(stack.proxy().wait_ready());
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  other.stop();
  const double applied = stack.proxy().metric("pgcache_transactions_total");
  Pending commit(stack, update(1, 77));
  ASSERT_TRUE(wait_until(
      [&] { return stack.proxy().metric("pgcache_transactions_total") > applied; }, 10000));
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(value_of(stack.query(session, kRead, "hit|miss|bypass:stale")), "0");
    EXPECT_EQ(stack.direct().must(kRead).value(), "0");
  }
  EXPECT_FALSE(commit.done_within(milliseconds(0)));
  other.go_on();
  EXPECT_TRUE(commit.done_within(milliseconds(10000)));
  EXPECT_EQ(session.must(kRead).value(), "77");
  EXPECT_EQ(value_of(stack.query_until(session, kRead, "hit")), "77");
}

TEST(StrictLevel, CommitsWaitForAStoppedProcess) {
  Stack stack(lease());
  become_synchronous(stack);
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  kill(stack.proxy().pid(), SIGSTOP);
  Pending commit(stack, update(1, 5));
  EXPECT_FALSE(commit.done_within(milliseconds(700)));
  kill(stack.proxy().pid(), SIGCONT);
  EXPECT_TRUE(commit.done_within(milliseconds(10000)));
  EXPECT_EQ(session.must(kRead).value(), "5");
  EXPECT_EQ(value_of(stack.query_until(session, kRead, "hit")), "5");
}

// The slot cannot be made while they write, nor can they end before somebody confirms.
TEST(StrictLevel, CommitsThatWaitDoNotKeepItFromStarting) {
  Stack stack(lease());
  become_synchronous(stack);
  stack.proxy().kill9();
  Pending commit(stack, update(1, 5));
  EXPECT_FALSE(commit.done_within(milliseconds(300)));
  stack.proxy().start();
  EXPECT_TRUE(commit.done_within(milliseconds(10000)));
  ASSERT_TRUE(stack.proxy().wait_ready()) << stack.proxy().log_tail();
  Connection session = stack.client();
  EXPECT_EQ(value_of(stack.query_until(session, kRead, "hit")), "5");
  EXPECT_EQ(play(stack, 100).older, 0);
}

TEST(StrictLevel, AStalledApplierDoesNotStopCommitsForLong) {
  StackOptions options = lease({"--strict-ack-timeout", "500ms"});
  options.environment = {"PGCACHE_FAULT_APPLY_DELAY_MS=6000"};
  Stack stack(options);
  become_synchronous(stack);
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  const auto begun = Clock::now();
  Pending commit(stack, update(1, 5));
  EXPECT_TRUE(commit.done_within(milliseconds(5000))) << stack.proxy().log_tail();
  EXPECT_GE(Clock::now() - begun, milliseconds(450));
  EXPECT_EQ(value_of(stack.query(session, kRead, "bypass:stream_down")), "5");
  EXPECT_EQ(stack.proxy().metric("pgcache_strict_ack_timeouts_total"), 1);
  // It goes on without the applier.
  Pending next(stack, update(2, 6));
  EXPECT_TRUE(next.done_within(milliseconds(3000)));
  EXPECT_EQ(value_of(stack.query_until(session, kRead, "hit")), "5");
  EXPECT_EQ(value_of(stack.query_until(session, read_of(2), "hit")), "6");
}

// Its decoding alone takes longer than others may wait.
TEST(StrictLevel, AHugeTransactionDoesNotStopCommitsForLong) {
  StackOptions options = lease({"--strict-ack-timeout", "300ms"});
  options.schema += "; CREATE TABLE huge (id int PRIMARY KEY, v text)";
  Stack stack(options);
  become_synchronous(stack);
  Connection session = stack.client();
  stack.query_until(session, "SELECT count(*) FROM huge", "hit");
  stack.query_until(session, kRead, "hit");
  Pending huge(stack,
               "INSERT INTO huge SELECT i, repeat('x', 100) FROM generate_series(1, 400000) i");
  Rounds rounds;
  while (!huge.done_within(milliseconds(0))) rounds.older += play(stack, 5).older;
  EXPECT_EQ(session.must("SELECT count(*) FROM huge").value(), "400000");
  EXPECT_EQ(rounds.older, 0);
  EXPECT_EQ(value_of(stack.query_until(session, "SELECT count(*) FROM huge", "hit")), "400000");
  rounds = play(stack, 100);
  EXPECT_EQ(rounds.older, 0);
  EXPECT_GE(share(rounds.routes), 0.4) << rounds.routes.text();
}

TEST(StrictLevel, CheckPrintsWhatTheOriginLacks) {
  Stack stack(lease());
  const auto check = [&] {
    return run_command(std::string(getenv("PGCACHE_BINARY")) +
                       " check --consistency strict --admin"
                       " 127.0.0.1:" +
                       std::to_string(stack.proxy().admin_port()) + " --origin '" +
                       stack.origin().dsn() + "' 2>&1");
  };
  const Outcome before = check();
  EXPECT_EQ(before.status, 2) << before.output;
  EXPECT_TRUE(contains(before.output, "origin: synchronous_standby_names = ''")) << before.output;
  EXPECT_TRUE(contains(before.output, "origin: synchronous_commit = 'on'")) << before.output;
  EXPECT_TRUE(
      contains(before.output, "ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (pgcache)'"))
      << before.output;
  become_synchronous(stack);
  const Outcome after = check();
  EXPECT_EQ(after.status, 0) << after.output;
  EXPECT_TRUE(contains(after.output, "origin: synchronous_standby_names = 'pgcache'"))
      << after.output;
}

// --- asking for each hit

TEST(StrictLevel, EachHitMayAskTheOrigin) {
  Stack stack(by_read());
  const Rounds rounds = play(stack, 500);
  EXPECT_EQ(rounds.older, 0);
  EXPECT_EQ(rounds.ahead, 0);
  EXPECT_GE(share(rounds.routes), 0.4) << rounds.routes.text();
}

TEST(StrictLevel, AHitThatAskedWaitsForASlowApplier) {
  StackOptions options = by_read();
  options.environment = {"PGCACHE_FAULT_APPLY_DELAY_MS=20"};
  Stack stack(options);
  const Rounds rounds = play(stack, 200);
  EXPECT_EQ(rounds.older, 0);
  EXPECT_GE(share(rounds.routes), 0.2) << rounds.routes.text();
}

TEST(StrictLevel, AHitWhoseProofDoesNotComeGoesToTheOrigin) {
  StackOptions options = by_read({"--max-staleness", "400ms"});
  options.environment = {"PGCACHE_FAULT_APPLY_DELAY_MS=3000"};
  Stack stack(options);
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  stack.direct().must(update(1, 5));
  EXPECT_EQ(value_of(stack.query(session, kRead, "fallback:proof_wait|bypass:stale")), "5");
  EXPECT_EQ(value_of(stack.query(session, kRead, "bypass:stale|fallback:proof_wait")), "5");
  EXPECT_EQ(value_of(stack.query_until(session, kRead, "hit")), "5");
}

// --- max_staleness at every level

void expect_stale_at_most(const std::string& level) {
  constexpr milliseconds kMax(400);
  Stack stack(options_of(level, {"--max-staleness", "400ms", "--strict-ack-timeout", "1min"}));
  if (level == "strict") become_synchronous(stack);
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  // Proofs are renewed all the time.
  double oldest = 0;
  for (int i = 0; i < 20; ++i) {
    oldest = std::max(oldest, stack.proxy().metric("pgcache_freshness_seconds"));
    std::this_thread::sleep_for(milliseconds(7));
  }
  EXPECT_LT(oldest, 0.4);
  const int walsender = walsender_of(stack.origin().dsn());
  ASSERT_GT(walsender, 0);
  kill(walsender, SIGSTOP);
  Pending commit(stack, update(1, 5));
  const bool acknowledged = commit.done_within(milliseconds(1000));
  EXPECT_EQ(acknowledged, level != "strict");
  // A second has gone: whatever is read must be from the origin.
  std::this_thread::sleep_for(kMax);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(value_of(stack.query(session, kRead, "bypass:stale")), acknowledged ? "5" : "0");
  }
  kill(walsender, SIGCONT);
  EXPECT_TRUE(commit.done_within(milliseconds(10000)));
  EXPECT_EQ(value_of(stack.query_until(session, kRead, "hit")), "5");
}

TEST(StrictLevel, AStoppedStreamIsNotServedLongerThanMaxStalenessAtAnyLevel) {
  for (const char* level : {"eventual", "session", "strict"}) {
    SCOPED_TRACE(level);
    expect_stale_at_most(level);
  }
}

}  // namespace
}  // namespace pgcache::testing
