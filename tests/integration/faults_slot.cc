// SPDX-License-Identifier: Apache-2.0
// What pgcache has at the origin goes: the slot, the publication; or must go: a slot that holds
// back too much, or that nobody will read from. Each test asserts that no answer is wrong, nothing
// hangs, no session is lost that PostgreSQL would have kept, the cache is in use afterwards without
// a restart of pgcache, and what the counters tell.
#include "faults.h"

namespace pgcache::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kLongest = seconds(5);  // that an answer may take on a busy machine

double metric(Stack& stack, const std::string& name) { return stack.proxy().metric(name); }

std::string slots(Stack& stack, const std::string& condition = "true") {
  return stack.direct()
      .must("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'pgcache' AND " +
            condition)
      .value();
}

// WAL of at least so many segments of 16 MB.
void write_segments(Connection& origin, int count) {
  for (int i = 0; i < count; ++i) {
    origin.must("SELECT pg_logical_emit_message(false, 'faults', 'x')");
    origin.must("SELECT pg_switch_wal()");
  }
}

TEST(FaultsSlot, SlotDropped) {
  Stack stack(fault_options());
  expect_in_use(stack);
  FaultWatch watch(stack);
  const auto dropped = [&] {
    stack.direct().query(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT "
        "NULL");
    return stack.direct().query("SELECT pg_drop_replication_slot('pgcache')").ok();
  };
  ASSERT_TRUE(wait_until(dropped, 10000));
  ASSERT_TRUE(wait_until([&] { return cold_starts(stack, "slot") == 1; }, 10000))
      << stack.proxy().log_tail();
  expect_in_use(stack, seconds(10), &watch);
  watch.finish(kLongest);
  EXPECT_EQ(slots(stack, "active"), "1");
}

TEST(FaultsSlot, SlotInvalidated) {
  Stack stack(fault_options(
      {}, {"max_slot_wal_keep_size = 16MB", "max_wal_size = 64MB", "min_wal_size = 32MB"}));
  expect_in_use(stack);
  FaultWatch watch(stack);
  stack.relay().stall(Peer::kStream, true);
  write_segments(stack.direct(), 8);
  ASSERT_TRUE(wait_until(
      [&] {
        stack.direct().must("CHECKPOINT");
        return slots(stack, "wal_status = 'lost'") == "1";
      },
      20000));
  stack.relay().stall(Peer::kStream, false);
  ASSERT_TRUE(wait_until([&] { return cold_starts(stack, "slot") == 1; }, 15000))
      << stack.proxy().log_tail();
  expect_in_use(stack, seconds(10), &watch);
  watch.finish(kLongest);
  EXPECT_EQ(slots(stack, "active AND wal_status = 'reserved'"), "1");
}

TEST(FaultsSlot, PublicationDropped) {
  Stack stack(fault_options());
  expect_in_use(stack);
  FaultWatch watch(stack);
  stack.direct().must("DROP PUBLICATION pgcache");
  std::this_thread::sleep_for(milliseconds(500));
  expect_in_use(stack, seconds(10), &watch);
  watch.finish(kLongest);
  EXPECT_EQ(
      stack.direct().must("SELECT count(*) FROM pg_publication WHERE pubname = 'pgcache'").value(),
      "1");
  EXPECT_GT(stack.proxy().metric("pgcache_invalidations_total"), 0);
}

TEST(FaultsSlot, TableTakenOutOfThePublication) {
  Stack stack(fault_options());
  expect_in_use(stack);
  FaultWatch watch(stack);
  for (int i = 0; i < 3; ++i) {
    stack.direct().must("ALTER PUBLICATION pgcache DROP TABLE watched");
    std::this_thread::sleep_for(milliseconds(400));
    expect_in_use(stack, seconds(10), &watch);
  }
  watch.finish(kLongest);
  EXPECT_EQ(stack.direct()
                .must("SELECT count(*) FROM pg_publication_tables WHERE pubname = 'pgcache' AND "
                      "tablename = 'watched'")
                .value(),
            "1");
  EXPECT_EQ(cold_starts(stack), 1);
}

// --- the slot must never fill the origin's disk

// The stream does not get on, so the slot holds back all WAL.
TEST(FaultsSlot, StalledSlotIsGivenUp) {
  Stack stack(fault_options({"--max-slot-retained", "40MiB"}));
  expect_in_use(stack);
  FaultWatch watch(stack);
  stack.relay().stall(Peer::kStream, true);
  write_segments(stack.direct(), 5);
  EXPECT_TRUE(wait_until([&] { return slots(stack) == "0"; }, 10000)) << stack.proxy().log_tail();
  EXPECT_EQ(metric(stack, "pgcache_slot_drops_total"), 1);
  stack.relay().stall(Peer::kStream, false);
  ASSERT_TRUE(wait_until([&] { return cold_starts(stack, "retained") == 1; }, 20000))
      << stack.proxy().log_tail();
  expect_in_use(stack, seconds(10), &watch);
  watch.finish(kLongest);
  EXPECT_TRUE(
      wait_until([&] { return metric(stack, "pgcache_slot_retained_bytes") < 40 << 20; }, 5000));
}

// An open transaction holds the slot where it began, and keeps a new one from being made: that one
// holds back WAL, too, and is given up in its turn, as often as it takes.
TEST(FaultsSlot, OpenTransactionHoldsTheSlot) {
  Stack stack(fault_options({"--max-slot-retained", "40MiB"}));
  expect_in_use(stack);
  FaultWatch watch(stack);
  Connection open(stack.origin().dsn());
  open.must("BEGIN; UPDATE watched SET n = n WHERE id = 10");
  const auto hold = [&](int drops) {
    return wait_until(
        [&] {
          write_segments(stack.direct(), 1);
          std::this_thread::sleep_for(milliseconds(100));
          return metric(stack, "pgcache_slot_drops_total") >= drops;
        },
        20000);
  };
  EXPECT_TRUE(hold(2)) << stack.proxy().log_tail();
  // Right answers from the origin meanwhile, and the reason is told.
  Connection session = stack.client();
  EXPECT_EQ(session.query("SELECT n FROM watched WHERE id = 2").value(), "0");
  EXPECT_EQ(stack.proxy().http("/readyz").status, 503);
  open.must("COMMIT");
  expect_in_use(stack, seconds(15), &watch);
  watch.finish(kLongest);
  EXPECT_EQ(cold_starts(stack, "retained"), 1);
  EXPECT_TRUE(
      wait_until([&] { return metric(stack, "pgcache_slot_retained_bytes") < 40 << 20; }, 5000));
}

// A slot that was kept is looked at as well when pgcache starts after a long time.
TEST(FaultsSlot, KeptSlotDoesNotLast) {
  Stack stack(fault_options({"--max-slot-retained", "40MiB", "--keep-slot", "true"}));
  expect_in_use(stack);
  EXPECT_TRUE(stack.proxy().stop());
  write_segments(stack.direct(), 5);
  EXPECT_EQ(slots(stack, "pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) > 40 * 1024 * 1024"),
            "1");
  stack.proxy().start();
  expect_in_use(stack);
  EXPECT_EQ(slots(stack, "pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) < 40 * 1024 * 1024"),
            "1");
}

// --- a clean shutdown leaves no slot

TEST(FaultsSlot, ShutdownWhileTheStreamIsDown) {
  Stack stack(fault_options());
  expect_in_use(stack);
  stack.relay().stall(Peer::kStream, true);
  EXPECT_TRUE(stack.proxy().stop());
  EXPECT_EQ(stack.proxy().exit_status(), 0);
  EXPECT_TRUE(wait_until([&] { return slots(stack) == "0"; }, 5000));
}

TEST(FaultsSlot, ShutdownWhileTheSlotIsBeingMade) {
  StackOptions options = fault_options();
  options.wait_ready = false;
  Stack stack(options);
  ASSERT_TRUE(stack.proxy().wait_ready());
  Connection open(stack.origin().dsn());
  open.must("BEGIN; UPDATE watched SET n = n WHERE id = 10");
  EXPECT_TRUE(stack.proxy().stop());
  stack.proxy().start();
  EXPECT_TRUE(wait_until([&] { return slots(stack, "active") == "1"; }, 10000));
  EXPECT_TRUE(stack.proxy().stop());
  EXPECT_EQ(stack.proxy().exit_status(), 0);
  EXPECT_TRUE(wait_until([&] { return slots(stack) == "0"; }, 5000));
}

}  // namespace
}  // namespace pgcache::testing
