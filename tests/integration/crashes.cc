// SPDX-License-Identifier: Apache-2.0
// The origin crashes and takes back what it had shown: commits whose sessions did not wait for the
// flush, and the ids of transactions that nobody had flushed. Nothing in the stream tells of that.
#include <csignal>

#include "stack.h"

namespace pgcache::testing {
namespace {

constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";

// Nothing flushes the WAL of a commit with synchronous_commit = off within the time of a test.
StackOptions lazy_origin() {
  StackOptions options;
  options.conf = {"wal_writer_delay = 10s", "bgwriter_delay = 10s", "checkpoint_timeout = 1h"};
  options.arguments = {"--max-staleness", "60s"};
  options.schema =
      "CREATE TABLE t (id int PRIMARY KEY, v text);"
      "INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20) i";
  return options;
}

// All sessions end, shared memory is made anew, and the WAL that was written is played again. The
// postmaster stays.
void crash(Stack& stack) {
  const Connection victim(stack.origin().dsn());
  kill(victim.backend_pid(), SIGKILL);
  ASSERT_TRUE(wait_until([&] { return !stack.direct().query("SELECT 1").ok(); }, 20000));
  connect_within(stack.origin().dsn(), 20000);
}

TEST(Crashes, CommitThatWasTakenBack) {
  Stack stack(lazy_origin());
  {
    Connection session = stack.client();
    stack.load(session, "SELECT v FROM t WHERE id = 2");  // the table is tracked
    Connection writer(stack.origin().dsn());
    writer.must("SET synchronous_commit = off");
    writer.must("UPDATE t SET v = 'taken back' WHERE id = 1");
    EXPECT_EQ(rows_text(stack.load(session, kRead)), "taken back");
  }
  crash(stack);
  Connection origin = connect_within(stack.origin().dsn(), 20000);
  ASSERT_EQ(origin.must(kRead).value(), "v1");
  ASSERT_TRUE(stack.proxy().wait_ready());
  Connection session = stack.client();
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "v1");
  EXPECT_GT(stack.proxy().metric("pgcache_invalidations_total", {{"cause", "restart"}}), 0);
}

// A clean restart is none: the stream goes on from its slot.
TEST(Crashes, CleanRestartIsNone) {
  Stack stack(lazy_origin());
  {
    Connection session = stack.client();
    stack.load(session, kRead);
  }
  stack.origin().restart();
  ASSERT_TRUE(stack.proxy().wait_ready()) << stack.proxy().http("/readyz").body;
  Connection session = stack.client();
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "v1");
  EXPECT_EQ(stack.proxy().metric("pgcache_invalidations_total", {{"cause", "restart"}}), 0);
}

}  // namespace
}  // namespace pgcache::testing
