// SPDX-License-Identifier: Apache-2.0
// What may happen to pgcache's own process: killed, without file descriptors, an applier that dies,
// a clock that is set. Nobody gets a wrong answer, nobody waits for ever, and afterwards the cache
// is in use again without a restart.
#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "process_faults.h"
#include "support/shared_words.h"

namespace pgcache::testing {
namespace {

using message::query;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";

double processor_seconds(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string field;
  double ticks = 0;
  for (int i = 3; i <= 15 && fields >> field; ++i) {
    if (i >= 14) ticks += std::stod(field);  // user and system time
  }
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// --- killed

TEST(FaultsProcess, KilledAndStartedAgain) {
  Stack stack(small_table());
  for (int round = 1; round <= 3; ++round) {
    const std::string now = "round " + std::to_string(round);
    const std::string before = "round " + std::to_string(round - 1);
    Connection session = stack.client();
    stack.query_until(session, kRead, "hit");
    RawClient idle = stack.raw();
    RawClient writing = stack.raw({{"application_name", "writing"}});
    writing.send(query("BEGIN; UPDATE t SET v = 'never committed' WHERE id = 2"));
    writing.read_until('Z');
    RawClient reading = stack.raw();
    reading.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"));
    reading.read_frame();
    EXPECT_EQ(value_of(stack.query(session, kRead, "hit")), round == 1 ? "v1" : before);
    stack.proxy().kill9();
    // Its clients know at once, and at the origin nothing of them stays.
    EXPECT_NE(idle.wait_for_end(5000), RawClient::End::kOpen);
    EXPECT_NE(writing.wait_for_end(5000), RawClient::End::kOpen);
    EXPECT_NE(reading.wait_for_end(5000), RawClient::End::kOpen);
    EXPECT_FALSE(session.query(kRead).ok());
    const auto gone = [&] {
      return stack.direct()
                 .must(
                     "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                     " AND pid <> pg_backend_pid()")
                 .value() == "0";
    };
    EXPECT_TRUE(wait_until(gone, 10000));
    stack.direct().must("UPDATE t SET v = '" + now + "' WHERE id = 1");
    stack.proxy().start();
    Connection again = stack.client();
    EXPECT_EQ(stack.query_until(again, kRead, "hit").value(), now);
    EXPECT_EQ(stack.query_until(again, "SELECT v FROM t WHERE id = 2", "hit").value(), "v2");
    EXPECT_EQ(stack.direct()
                  .must("SELECT count(*), count(*) FILTER (WHERE active) FROM pg_replication_slots")
                  .rows,
              (std::vector<Row>{{"1", "1"}}));
  }
  expect_right_hits(stack);
  EXPECT_EQ(stack.proxy().metric("pgcache_sessions_failed_total"), 0);
}

// Killed in the middle of writes, again and again: what a reader has seen committed it sees ever
// after.
TEST(FaultsProcess, KilledUnderWrites) {
  StackOptions options = small_table();
  options.arguments = {"--keep-slot", "true"};
  Stack stack(options);
  stack.direct().must("CREATE TABLE n (id int PRIMARY KEY, v int); INSERT INTO n VALUES (1, 0)");
  std::atomic<bool> over{false};
  std::atomic<int> committed{0};
  std::thread writer([&] {
    Connection origin(stack.origin().dsn());
    for (int i = 1; !over; ++i) {
      origin.must("UPDATE n SET v = " + std::to_string(i));
      committed = i;
      std::this_thread::sleep_for(milliseconds(3));
    }
  });
  std::uint64_t hits = 0;
  int seen = 0;
  for (int round = 0; round < 4; ++round) {
    Connection session = stack.client();
    const auto until = steady_clock::now() + milliseconds(700);
    while (steady_clock::now() < until) {
      const int value = std::stoi(session.must("SELECT v FROM n WHERE id = 1").value());
      EXPECT_LE(value, committed + 1);
      seen = std::max(seen, value);
    }
    hits += stack.proxy().routes().hit;
    stack.proxy().kill9();
    const int before = committed;
    stack.proxy().start();
    Connection again = stack.client();
    EXPECT_GE(std::stoi(again.must("SELECT v FROM n WHERE id = 1").value()), before);
  }
  over = true;
  writer.join();
  EXPECT_GT(hits, 0u);
  stack.settle();
  Connection session = stack.client();
  EXPECT_EQ(stack.query_until(session, "SELECT v FROM n WHERE id = 1", "hit").value(),
            std::to_string(committed));
  expect_right_hits(stack);
}

// --- the applier

TEST(FaultsProcess, ApplierDies) {
  StackOptions options = small_table();
  options.environment = {"PGCACHE_FAULT_BREAK=applier_dies"};  // at its first transaction
  Stack stack(options);
  Connection session = stack.client();
  stack.load(session, kRead);
  stack.load(session, "SELECT v FROM t WHERE id = 2");
  stack.direct().must("UPDATE t SET v = 'changed' WHERE id = 1");
  ASSERT_TRUE(wait_until([&] { return restarts(stack) >= 2; }, 20000));
  EXPECT_NE(stack.proxy().log_tail().find("applier dies"), std::string::npos);
  // The session is the one from before.
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "changed");
  expect_right_hits(stack);
  stack.direct().must("UPDATE t SET v = 'changed again' WHERE id = 1");
  stack.settle();
  EXPECT_EQ(value_of(stack.query(session, kRead, "miss")), "changed again");
  EXPECT_TRUE(stack.proxy().wait_ready());
  EXPECT_EQ(stack.proxy().metric("pgcache_sessions_failed_total"), 0);
}

// --- file descriptors

class Descriptors {
 public:
  explicit Descriptors(pid_t pid) : pid_(pid) { ::prlimit(pid_, RLIMIT_NOFILE, nullptr, &before_); }
  ~Descriptors() { allow(before_.rlim_cur); }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;

  void allow(rlim_t count) const {
    const rlimit limit{count, before_.rlim_max};
    EXPECT_EQ(::prlimit(pid_, RLIMIT_NOFILE, &limit, nullptr), 0);
  }
  // So many more than are open, the lowest free ones.
  void allow_more(int more) const {
    std::set<int> open = now_open();
    // Connections for HTTP close a moment after their answer.
    int same = 0;
    const auto settled = [&] {
      std::set<int> again = now_open();
      same = again == open ? same + 1 : 0;
      open = std::move(again);
      return same == 200;
    };
    ASSERT_TRUE(wait_until(settled, 10000));
    int next = 0;
    for (; more > 0 || open.contains(next); ++next) {
      if (!open.contains(next)) --more;
    }
    allow(static_cast<rlim_t>(next));
  }
  void allow_all() const { allow(before_.rlim_cur); }

 private:
  std::set<int> now_open() const {
    std::set<int> open;
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/fd")) {
      open.insert(std::stoi(entry.path().filename().string()));
    }
    return open;
  }

  pid_t pid_;
  rlimit before_{};
};

TEST(FaultsProcess, NoDescriptorForTheOrigin) {
  Stack stack(small_table());
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  const Descriptors descriptors(stack.proxy().pid());
  descriptors.allow_more(1);  // for the client, but not for its connection to the origin
  try {
    stack.client();
    ADD_FAILURE() << "a session without a connection to the origin";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("Too many open files"), std::string::npos)
        << error.what();
  }
  EXPECT_EQ(session.must(kRead).value(), "v1");
  descriptors.allow_all();
  Connection another = stack.client();
  EXPECT_EQ(value_of(stack.query(another, kRead, "hit")), "v1");
  expect_right_hits(stack);
}

TEST(FaultsProcess, NoDescriptorsAtAll) {
  Stack stack(small_table());
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  const Routes before = stack.proxy().routes();
  const Descriptors descriptors(stack.proxy().pid());
  descriptors.allow_more(0);
  std::vector<RawClient> waiting;  // accepted by the kernel alone
  for (int i = 0; i < 5; ++i) {
    waiting.emplace_back("127.0.0.1", stack.proxy().port());
    waiting.back().send(message::startup({{"user", "postgres"}, {"database", "postgres"}}));
  }
  // It does not spin, and those who are in are served, from memory and from the origin.
  const double used = processor_seconds(stack.proxy().pid());
  const auto until = steady_clock::now() + milliseconds(1500);
  while (steady_clock::now() < until) {
    EXPECT_EQ(session.must(kRead).value(), "v1");
    EXPECT_EQ(session.must("SELECT txid_current() > 0").value(), "t");
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_LT(processor_seconds(stack.proxy().pid()) - used, 0.6);
  EXPECT_TRUE(waiting[0].nothing_arrives(10));
  descriptors.allow_all();
  for (RawClient& client : waiting) {
    client.read_until('Z');
    client.send(query(kRead));
    EXPECT_EQ(first_columns(client.read_until('Z')), "v1");
  }
  const Routes taken = stack.proxy().routes() - before;
  EXPECT_GE(taken.hit, 15u) << taken.text();
  expect_right_hits(stack);
}

// The connections of pgcache's own end, and those who wait for a descriptor take theirs.
TEST(FaultsProcess, NoDescriptorsForTheLinks) {
  StackOptions options = small_table();
  options.arguments = {"--max-staleness", "1s"};
  Stack stack(options);
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  const Descriptors descriptors(stack.proxy().pid());
  descriptors.allow_more(0);
  std::vector<RawClient> waiting;
  for (int i = 0; i < 8; ++i) waiting.emplace_back("127.0.0.1", stack.proxy().port());
  std::this_thread::sleep_for(milliseconds(200));
  stack.direct().must(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('pgcache',"
      " 'pgcache control') OR backend_type = 'walsender'");
  std::this_thread::sleep_for(milliseconds(300));
  stack.direct().must("UPDATE t SET v = 'unseen' WHERE id = 1");
  std::this_thread::sleep_for(milliseconds(1500));
  EXPECT_EQ(session.must(kRead).value(), "unseen");
  descriptors.allow_all();
  waiting.clear();
  ASSERT_TRUE(stack.proxy().wait_ready()) << stack.proxy().http("/readyz").body;
  EXPECT_GT(stack.proxy().routes().bypasses(), 0u) << stack.proxy().routes().text();
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "unseen");
  expect_right_hits(stack);
}

// --- the clock

TEST(FaultsProcess, ClockIsSet) {
  for (const std::string level : {"session", "lease", "read"}) {
    SharedWords words;
    StackOptions options = small_table();
    // The address sanitizer's runtime wants to be the first library, but need not be.
    options.environment = {"LD_PRELOAD=" PGCACHE_TEST_CLOCK, "TEST_CLOCK_SHIFT=" + words.path(),
                           "ASAN_OPTIONS=detect_leaks=1:verify_asan_link_order=0"};
    if (level != "session") {
      options.arguments.insert(options.arguments.end(),
                               {"--consistency", "strict", "--strict-verify", level});
    }
    options.wait_ready = level != "lease";
    Stack stack(options);
    if (level == "lease") become_synchronous(stack);
    Connection session = stack.client();
    Connection waiting = stack.client("options='-c statement_timeout=60s'");
    const Routes before = stack.proxy().routes();
    for (const long hours : {10L, -10L, 24L * 365 * 20, 0L}) {
      words[0] = static_cast<std::uint64_t>(hours * 3600);
      // It has that time: the stream's status updates carry it.
      const auto off = [&] {
        const QueryResult hours_off = stack.direct().must(
            "SELECT round(extract(epoch FROM reply_time - clock_timestamp()) / 3600)::int FROM "
            "pg_stat_replication");
        return hours_off.rows.size() == 1 ? rows_text(hours_off.rows) : "none";
      };
      EXPECT_TRUE(wait_until([&] { return off() == std::to_string(hours); }, 10000)) << off();
      const std::string sql = "SELECT v FROM t WHERE id = 3";
      const std::string now = std::to_string(hours);
      // Its own write is seen at once, and becomes a hit; another's, too.
      session.must("UPDATE t SET v = '" + now + "' WHERE id = 3");
      EXPECT_EQ(session.must(sql).value(), now) << level;
      EXPECT_EQ(stack.query_until(session, sql, "hit").value(), now) << level;
      stack.direct().must("UPDATE t SET v = 'direct " + now + "' WHERE id = 3");
      stack.settle();
      EXPECT_EQ(stack.query_until(waiting, sql, "hit").value(), "direct " + now) << level;
      EXPECT_EQ(value_of(stack.query(waiting, sql, "hit")), "direct " + now) << level;
      EXPECT_TRUE(stack.proxy().wait_ready(1000));
    }
    const Routes taken = stack.proxy().routes() - before;
    EXPECT_EQ(taken.fallbacks(), 0u) << taken.text();
    for (const char* reason : {"stale", "not_synchronous", "stream_down"}) {
      EXPECT_FALSE(taken.bypass.contains(reason)) << taken.text();
    }
    EXPECT_EQ(restarts(stack), 0) << level;
    expect_right_hits(stack);
  }
}

}  // namespace
}  // namespace pgcache::testing
