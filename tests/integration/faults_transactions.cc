// SPDX-License-Identifier: Apache-2.0
// Transactions at the origin that are large, long, nested or in two phases. Each test asserts that
// no answer is wrong, nothing hangs, no session is lost, the cache is in use meanwhile where it may
// be and afterwards without a restart of pgcache, and what the counters tell.
#include "faults.h"

namespace pgcache::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr auto kLongest = seconds(5);  // that an answer may take on a busy machine
constexpr const char* kOther = "SELECT n FROM watched WHERE id = 2";

// A row of it is read again and again while the rest changes, too.
StackOptions with_large_table(std::vector<std::string> arguments = {}) {
  StackOptions options = fault_options(std::move(arguments), {"max_wal_size = 2GB"});
  options.relayed = false;
  options.schema += "; CREATE TABLE large (id int PRIMARY KEY, n int NOT NULL)";
  return options;
}

// A transaction larger than max_transaction_size: its rows are not kept, memory stays bounded, what
// is cached of other tables stays valid, and of this table all goes.
TEST(FaultsTransactions, MillionRows) {
  Stack stack(with_large_table({"--max-transaction-size", "4MiB"}));
  expect_in_use(stack);
  Connection session = stack.client();
  EXPECT_EQ(stack.query_until(session, "SELECT count(*) FROM large", "hit").value(), "0");
  EXPECT_EQ(stack.query_until(session, kOther, "hit").value(), "0");
  const long before_kib = stack.memory_kib("VmRSS");
  stack.reset_memory_peak();
  FaultWatch watch(stack);
  const Routes before = stack.proxy().routes();
  stack.direct().must("INSERT INTO large SELECT i, 0 FROM generate_series(1, 1000000) i");
  const auto committed = Clock::now();
  stack.proxy().settle(stack.origin().dsn(), 120000);
  EXPECT_EQ(
      query_until_quietly(&watch, stack, session, "SELECT count(*) FROM large", "hit").value(),
      "1000000");
  const auto in_use_after = Clock::now() - committed;
  RecordProperty("in_use_after_ms",
                 static_cast<int>(std::chrono::duration_cast<milliseconds>(in_use_after).count()));
  watch.finish(kLongest);
  // What is read meanwhile comes from memory until freshness is not proven any more, and then from
  // the origin.
  const Routes meanwhile = stack.proxy().routes() - before;
  EXPECT_GT(meanwhile.hit, 0u);
  for (const auto& [reason, count] : meanwhile.bypass) EXPECT_EQ(reason, "stale") << count;
  EXPECT_LE(stack.memory_kib("VmHWM"), before_kib + 56 * 1024 + extra_kib());
  EXPECT_EQ(cold_starts(stack), 1);
  EXPECT_GE(stack.proxy().metric("pgcache_transactions_total"), 1);
  expect_in_use(stack);
}

// Rows of the same size, each of which is kept, since they fit.
TEST(FaultsTransactions, ManyRowsThatFit) {
  Stack stack(with_large_table());
  expect_in_use(stack);
  Connection session = stack.client();
  EXPECT_EQ(stack.query_until(session, "SELECT count(*) FROM large", "hit").value(), "0");
  FaultWatch watch(stack);
  const double changes = stack.proxy().metric("pgcache_row_changes_total");
  stack.direct().must("INSERT INTO large SELECT i, 0 FROM generate_series(1, 100000) i");
  stack.proxy().settle(stack.origin().dsn(), 120000);
  EXPECT_EQ(
      query_until_quietly(&watch, stack, session, "SELECT count(*) FROM large", "hit").value(),
      "100000");
  watch.finish(kLongest);
  EXPECT_GE(stack.proxy().metric("pgcache_row_changes_total") - changes, 100000);
  EXPECT_EQ(cold_starts(stack), 1);
  expect_in_use(stack);
}

// Snapshots see around it, and it takes effect when it commits.
TEST(FaultsTransactions, OpenForTheWholeTest) {
  Stack stack(fault_options());
  expect_in_use(stack);
  FaultWatch watch(stack);
  Connection open(stack.origin().dsn());
  open.must("BEGIN; CREATE TABLE unrelated (a int); UPDATE watched SET n = 70 WHERE id = 7");
  Connection session = stack.client();
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(milliseconds(100));
    EXPECT_EQ(
        query_until_quietly(&watch, stack, session, "SELECT n FROM watched WHERE id = 7", "hit")
            .value(),
        "0");
  }
  open.must("COMMIT");
  stack.settle();
  EXPECT_EQ(query_until_quietly(&watch, stack, session, "SELECT n FROM watched WHERE id = 7", "hit")
                .value(),
            "70");
  watch.finish(kLongest);
  EXPECT_EQ(cold_starts(stack), 1);
  expect_in_use(stack);
}

// A transaction that may have changed a table before the publication had it: its changes might be
// missing in the stream, so the table is not cached before it has ended.
TEST(FaultsTransactions, OpenSinceBeforeTheTableIsTracked) {
  Stack stack(fault_options({"--tracking-wait-timeout", "100ms"}));
  Connection open(stack.origin().dsn());
  open.must("BEGIN; UPDATE watched SET n = 70 WHERE id = 7");
  Connection session = stack.client();
  const std::string read = "SELECT n FROM watched WHERE id = 7";
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(milliseconds(50));
    EXPECT_EQ(value_of(stack.query(session, read, "bypass:tracking_pending")), "0");
  }
  open.must("COMMIT");
  EXPECT_EQ(value_of(stack.query(session, read, "bypass:tracking_pending|miss")), "70");
  EXPECT_EQ(stack.query_until(session, read, "hit").value(), "70");
  EXPECT_EQ(cold_starts(stack), 1);
  expect_in_use(stack);
}

// Each has an id of its own in the rows that it wrote; the stream and snapshots know those of the
// whole only.
TEST(FaultsTransactions, Subtransactions) {
  Stack stack(fault_options());
  expect_in_use(stack);
  FaultWatch watch(stack);
  Connection writer(stack.origin().dsn());
  Connection session = stack.client();
  const std::string read = "SELECT n FROM watched WHERE id = 8";
  EXPECT_EQ(query_until_quietly(&watch, stack, session, read, "hit").value(), "0");
  for (int round = 1; round <= 5; ++round) {
    writer.must("BEGIN");
    // More than the 64 that a snapshot holds of one transaction.
    for (int i = 0; i < 80; ++i) {
      writer.must("SAVEPOINT s; UPDATE watched SET n = n + 1 WHERE id = 8");
      writer.must(i % 2 == 0 ? "RELEASE s" : "ROLLBACK TO s; RELEASE s");
    }
    EXPECT_EQ(session.query(read).value(), std::to_string((round - 1) * 40));
    writer.must("COMMIT");
    stack.settle();
    EXPECT_EQ(query_until_quietly(&watch, stack, session, read, "hit").value(),
              std::to_string(round * 40));
    writer.must(
        "BEGIN; SAVEPOINT s; UPDATE watched SET n = -1 WHERE id = 8; ROLLBACK TO s; COMMIT");
    stack.settle();
    EXPECT_EQ(query_quietly(&watch, stack, session, read, "hit").value(),
              std::to_string(round * 40));
  }
  watch.finish(kLongest);
  EXPECT_EQ(cold_starts(stack), 1);
  expect_in_use(stack);
}

// Effects come at COMMIT PREPARED, whoever makes it, also after a restart of the origin.
TEST(FaultsTransactions, TwoPhaseCommit) {
  Stack stack(fault_options({}, {"max_prepared_transactions = 10"}));
  expect_in_use(stack);
  Connection session = stack.client();
  const std::string read = "SELECT n FROM watched WHERE id = 9";
  {
    FaultWatch watch(stack);
    EXPECT_EQ(query_until_quietly(&watch, stack, session, read, "hit").value(), "0");
    Connection writer(stack.origin().dsn());
    writer.must("BEGIN; UPDATE watched SET n = 90 WHERE id = 9; PREPARE TRANSACTION 'taken'");
    writer.must("BEGIN; UPDATE watched SET n = 5 WHERE id = 6; PREPARE TRANSACTION 'left'");
    stack.settle();
    EXPECT_EQ(query_quietly(&watch, stack, session, read, "hit").value(), "0");
    stack.direct().must("ROLLBACK PREPARED 'left'");
    stack.direct().must("COMMIT PREPARED 'taken'");
    stack.settle();
    EXPECT_EQ(query_until_quietly(&watch, stack, session, read, "hit").value(), "90");
    EXPECT_EQ(session.query("SELECT n FROM watched WHERE id = 6").value(), "0");
    // Through pgcache.
    session.must("BEGIN; UPDATE watched SET n = 91 WHERE id = 9; PREPARE TRANSACTION 'through'");
    EXPECT_EQ(session.query(read).value(), "90");
    session.must("COMMIT PREPARED 'through'");
    EXPECT_EQ(session.query(read).value(), "91");
    watch.finish(kLongest);
    EXPECT_EQ(cold_starts(stack), 1);
    writer.must("BEGIN; UPDATE watched SET n = 92 WHERE id = 9; PREPARE TRANSACTION 'over'");
  }
  ASSERT_TRUE(stack.origin().stop());
  stack.origin().start();
  Connection again = connect_within(stack.dsn(), 20000);
  EXPECT_EQ(stack.query_until(again, read, "hit").value(), "91");
  Connection(stack.origin().dsn()).must("COMMIT PREPARED 'over'");
  stack.settle();
  EXPECT_EQ(stack.query_until(again, read, "hit").value(), "92");
  expect_in_use(stack);
}

}  // namespace
}  // namespace pgcache::testing
