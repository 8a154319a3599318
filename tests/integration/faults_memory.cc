// SPDX-License-Identifier: Apache-2.0
// Allocations that fail, in the cache's code and anywhere: no wrong answer, at most the session
// concerned is lost, and afterwards the cache is in use again without a restart.
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>

#include "process_faults.h"
#include "support/shared_words.h"

namespace pgcache::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// base/cache_path.h
bool allocations_can_fail() {
  const char* sanitizer = std::getenv("TEST_SANITIZER");
  return sanitizer == nullptr || std::string_view(sanitizer) != "thread";
}

// A session that writes and reads its own rows, and checks what it reads.
struct Worker {
  int first_id;  // of five, which no other writes
  Connection origin;
  std::map<int, std::string> written;
  std::optional<Connection> session;
  std::uint64_t lost = 0;  // connections
  std::uint64_t answers = 0;
  std::vector<std::string> wrong;

  // False when the session was lost; whether a write that failed so was done is not known then.
  void turn(const std::string& dsn, std::mt19937& random) {
    try {
      if (!session) session.emplace(dsn);
    } catch (const std::runtime_error&) {
      ++lost;
      std::this_thread::sleep_for(milliseconds(5));
      return;
    }
    const int id = first_id + static_cast<int>(random() % 5);
    const bool writes = random() % 4 == 0;
    const std::string value = std::to_string(random());
    if (writes) written.erase(id);
    const std::string where = " WHERE id = " + std::to_string(id);
    QueryResult result;
    if (writes) {
      result = session->query("UPDATE t SET v = '" + value + "'" + where);
    } else if (random() % 2 == 0) {
      result = session->query("SELECT v FROM t" + where);
    } else {
      result = session->exec_params("SELECT v FROM t WHERE id = $1", {std::to_string(id)});
    }
    if (!result.ok()) {
      if (PQstatus(session->raw()) == CONNECTION_OK) wrong.push_back(result.error);
      session.reset();
      ++lost;
      written.clear();  // the next session need not see yet what this one wrote
      return;
    }
    if (writes) {
      written[id] = value;
      return;
    }
    ++answers;
    const std::string got = rows_text(result.rows);
    if (!written.contains(id) || got == written[id]) return;
    // A write of a session that was lost may come late, as PostgreSQL still does what it has read.
    const std::string now = rows_text(origin.query("SELECT v FROM t" + where).rows);
    if (got != now) wrong.push_back(where + " gave " + got + ", not " + written[id] + " or " + now);
    written[id] = now;
  }
};

struct Outcome {
  std::uint64_t lost = 0;
  std::uint64_t answers = 0;
};

// For that long, and until it is enough, but for a limited time.
Outcome work(Stack& stack, milliseconds at_least, const std::function<bool()>& enough) {
  std::vector<Worker> workers;
  for (int i = 0; i < 4; ++i) {
    workers.push_back({5 * i + 1, Connection(stack.origin().dsn()), {}, std::nullopt, 0, 0, {}});
  }
  std::vector<std::thread> threads;
  for (Worker& worker : workers) {
    threads.emplace_back([&] {
      std::mt19937 random(static_cast<unsigned>(worker.first_id));
      const auto begin = steady_clock::now();
      const auto goes_on = [&] {
        const auto passed = steady_clock::now() - begin;
        return passed < at_least || (!enough() && passed < std::chrono::seconds(20));
      };
      while (goes_on()) worker.turn(stack.dsn("connect_timeout=10"), random);
    });
  }
  for (std::thread& thread : threads) thread.join();
  Outcome outcome;
  for (const Worker& worker : workers) {
    outcome.lost += worker.lost;
    outcome.answers += worker.answers;
    for (const std::string& wrong : worker.wrong) ADD_FAILURE() << wrong;
  }
  EXPECT_TRUE(stack.proxy().running()) << stack.proxy().log_tail();
  return outcome;
}

TEST(FaultsMemory, OutInTheCachePath) {
  if (!allocations_can_fail()) GTEST_SKIP() << "not with the thread sanitizer";
  SharedWords words;
  StackOptions options = small_table();
  options.environment = {"PGCACHE_FAULT_ALLOCATIONS=" + words.path()};
  Stack stack(options);
  work(stack, milliseconds(500), [] { return true; });
  for (const std::uint64_t one_of : {3000, 300, 50, 5}) {
    const std::uint64_t failed = words[2];
    words[0] = one_of;
    const Outcome outcome = work(stack, milliseconds(1000), [&] { return words[2] > failed + 10; });
    words[0] = 0;
    EXPECT_GT(words[2], failed + 10) << one_of;
    EXPECT_GT(outcome.answers, 100u) << one_of;
    EXPECT_EQ(outcome.lost, 0u) << one_of << "\n" << stack.proxy().log_tail();
    EXPECT_EQ(stack.proxy().metric("pgcache_sessions_failed_total"), 0) << one_of;
    ASSERT_TRUE(stack.proxy().wait_ready()) << stack.proxy().http("/readyz").body;
    expect_right_hits(stack);
  }
  EXPECT_GT(stack.proxy().routes().fallback["cache_error"], 0u) << stack.proxy().routes().text();
  EXPECT_GT(restarts(stack), 0);
  EXPECT_NE(stack.proxy().http("/status").body.find("\"failed\""), std::string::npos);
}

TEST(FaultsMemory, OutAnywhere) {
  if (!allocations_can_fail()) GTEST_SKIP() << "not with the thread sanitizer";
  SharedWords words;
  StackOptions options = small_table();
  options.environment = {"PGCACHE_FAULT_ALLOCATIONS=" + words.path()};
  options.arguments = {"--handshake-timeout", "1s"};
  Stack stack(options);
  work(stack, milliseconds(500), [] { return true; });
  for (const std::uint64_t one_of : {3000, 300, 30}) {
    const std::uint64_t failed = words[2];
    words[0] = words[1] = one_of;
    const Outcome outcome = work(stack, milliseconds(1000), [&] { return words[2] > failed + 10; });
    words[0] = words[1] = 0;
    EXPECT_GT(words[2], failed + 10) << one_of;
    // No more sessions are lost than allocations failed.
    EXPECT_LE(outcome.lost, words[2] - failed) << one_of;
    ASSERT_TRUE(stack.proxy().wait_ready())
        << stack.proxy().http("/readyz").body << stack.proxy().log_tail();
    expect_right_hits(stack);
  }
  EXPECT_GT(stack.proxy().metric("pgcache_sessions_failed_total"), 0);
}

}  // namespace
}  // namespace pgcache::testing
