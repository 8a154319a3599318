// SPDX-License-Identifier: Apache-2.0
// Transaction blocks that begin without the origin: it learns of them when a statement needs it.
#include "block_suite.h"

namespace pgcache::testing {
namespace {

using namespace message;

class DeferredBlocks : public BlockSuite<DeferredBlocks> {
 protected:
  // As the origin sees the session.
  std::string state() {
    return value_of(stack().direct().query("SELECT state FROM pg_stat_activity WHERE pid = " +
                                           std::to_string(session().backend_pid())));
  }
  static long begins() {
    return calls(stack().direct(), "BEGIN%") + calls(stack().direct(), "START TRANSACTION%");
  }
  static double deferred() { return stack().proxy().metric("pgcache_blocks_deferred_total"); }
  static double local() { return stack().proxy().metric("pgcache_blocks_local_total"); }
};

TEST_F(DeferredBlocks, ABlockOfHitsLeavesNoTraceAtTheOrigin) {
  const long before = begins();
  const double before_here = local();
  for (const char* begin : {"BEGIN", "START TRANSACTION READ ONLY", "BEGIN READ WRITE",
                            "BEGIN ISOLATION LEVEL READ COMMITTED"}) {
    for (const char* end : {"COMMIT", "ROLLBACK"}) {
      stack().query(session(), begin, "none");
      EXPECT_EQ(PQtransactionStatus(session().raw()), PQTRANS_INTRANS);
      EXPECT_EQ(read("hit"), "v1");
      EXPECT_EQ(state(), "idle");
      EXPECT_EQ(stack().query(session(), end, "none").command_tag, end);
      EXPECT_EQ(PQtransactionStatus(session().raw()), PQTRANS_IDLE);
    }
  }
  EXPECT_EQ(begins(), before);
  EXPECT_EQ(local() - before_here, 8);
  EXPECT_NE(stack().proxy().http("/status").body.find("\"blocks\""), std::string::npos);
}

// Pools send one to see whether the session lives.
TEST_F(DeferredBlocks, AnEmptyQueryLeavesTheSessionAsItIs) {
  const double before = local();
  for (const char* empty : {"", "-- ping", ";"}) {
    stack().query(session(), empty, "bypass:empty_query");
    stack().query(session(), "BEGIN", "none");
    EXPECT_EQ(read("hit"), "v1");
    stack().query(session(), "COMMIT", "none");
  }
  EXPECT_EQ(local() - before, 3);
  run("BEGIN");
  stack().query(session(), "", "bypass:empty_query");
  EXPECT_EQ(PQtransactionStatus(session().raw()), PQTRANS_INTRANS);
  EXPECT_EQ(state(), "idle in transaction");
  EXPECT_EQ(read("hit"), "v1");
  run("COMMIT");
}

TEST_F(DeferredBlocks, EachReadSeesWhatIsCommittedBeforeIt) {
  run("BEGIN");
  EXPECT_EQ(read("hit"), "v1");
  stack().direct().must("UPDATE t SET v = 'theirs' WHERE id = 1");
  stack().settle();
  EXPECT_EQ(read("miss"), "theirs");
  EXPECT_EQ(state(), "idle in transaction");  // the miss took the BEGIN with it
  EXPECT_EQ(read("hit"), "theirs");
  run("COMMIT");
}

TEST_F(DeferredBlocks, AWriteBehindHitsIsInTheBlock) {
  const double before = deferred();
  const double before_local = local();
  run("BEGIN");
  EXPECT_EQ(read("hit"), "v1");
  EXPECT_EQ(state(), "idle");
  run("UPDATE t SET v = 'mine' WHERE id = 1");
  EXPECT_EQ(state(), "idle in transaction");
  EXPECT_EQ(read("bypass:in_transaction"), "mine");
  EXPECT_EQ(stack().direct().query(kRead).value(), "v1");
  run("ROLLBACK");
  EXPECT_EQ(session().query(kRead).value(), "v1");
  EXPECT_EQ(deferred() - before, 1);
  EXPECT_EQ(local(), before_local);
}

TEST_F(DeferredBlocks, AllOrNothing) {
  stack().settle_session(session());
  run("BEGIN");
  run("INSERT INTO other VALUES (1, 'a')");
  EXPECT_EQ(session().query("INSERT INTO other VALUES (1, 'b')").sqlstate, "23505");
  EXPECT_EQ(PQtransactionStatus(session().raw()), PQTRANS_INERROR);
  EXPECT_EQ(session().query(kRead).sqlstate, "25P02");
  EXPECT_EQ(session().query("COMMIT").command_tag, "ROLLBACK");
  EXPECT_EQ(stack().direct().query("SELECT count(*) FROM other").value(), "0");
}

TEST_F(DeferredBlocks, ReadOnlyBlocksStaySo) {
  run("BEGIN READ ONLY");
  EXPECT_EQ(read("hit"), "v1");
  EXPECT_EQ(session().query("DELETE FROM t").sqlstate, "25006");
  run("ROLLBACK");
  stack().settle_session(session());
  EXPECT_EQ(read("hit"), "v1");
}

TEST_F(DeferredBlocks, OneExchangeAndThreeSyncs) {
  RawClient client = stack().raw();
  const std::string sql = "SELECT v FROM t WHERE id = 2";
  const auto command = [](const char* text) {
    return parse("", text) + bind("", "") + execute("", 1);
  };
  const std::string read = parse("", sql) + bind("", "") + describe('P', "") + execute("");
  client.send(read + sync());
  client.tags_until_ready();
  const long before = begins();
  stack().expect_route("hit", [&] {
    client.send(command("BEGIN") + read + command("COMMIT") + sync());
    EXPECT_EQ(client.tags_until_ready(), "12C12TDC12CZ");
  });
  stack().expect_route("hit*2", [&] {
    client.send(command("BEGIN") + sync() + read + sync() + read + sync() + command("END") +
                sync());
    EXPECT_EQ(client.tags_until_ready(), "12CZ");
    EXPECT_EQ(client.tags_until_ready(), "12TDCZ");
    EXPECT_EQ(client.tags_until_ready(), "12TDCZ");
    EXPECT_EQ(client.tags_until_ready(), "12CZ");
  });
  EXPECT_EQ(begins(), before);
  // What is not in memory takes the whole exchange along.
  client.send(command("BEGIN") + parse("", "UPDATE t SET v = 'x' WHERE id = 2") + bind("", "") +
              execute("") + command("ROLLBACK") + sync());
  EXPECT_EQ(client.tags_until_ready(), "12C12C12CZ");
  EXPECT_EQ(begins(), before + 1);
  EXPECT_EQ(stack().direct().query(sql).value(), "v2");
}

TEST_F(DeferredBlocks, TimeoutsOfTheOriginKeepTheirMeaning) {
  run("SET idle_in_transaction_session_timeout = '300ms'");
  stack().query_until(session(), kRead, "hit");
  run("BEGIN");
  EXPECT_EQ(state(), "idle in transaction");
  EXPECT_EQ(read("hit"), "v1");
  const auto ended = [this] { return PQconsumeInput(session().raw()) == 0; };
  EXPECT_TRUE(wait_until(ended, 5000));
}

TEST_F(DeferredBlocks, DefaultIsolationLevels) {
  run("SET default_transaction_isolation = 'serializable'");
  EXPECT_EQ(read("bypass:isolation"), "v1");
  run("BEGIN");
  EXPECT_EQ(state(), "idle in transaction");
  EXPECT_EQ(session().query("SHOW transaction_isolation").value(), "serializable");
  run("COMMIT");
  EXPECT_EQ(read("bypass:isolation"), "v1");
  run("BEGIN ISOLATION LEVEL READ COMMITTED");
  EXPECT_EQ(state(), "idle");
  // The session's settings are others. What SHOW may have done is waited for.
  EXPECT_EQ(value_of(stack().query_until(session(), kRead, "miss")), "v1");
  EXPECT_EQ(read("hit"), "v1");
  EXPECT_EQ(session().query("SHOW transaction_isolation").value(), "read committed");
  run("COMMIT");
  EXPECT_EQ(read("bypass:isolation"), "v1");
  for (const char* level : {"REPEATABLE READ", "SERIALIZABLE"}) {
    run(std::string("BEGIN ISOLATION LEVEL ") + level);
    EXPECT_EQ(state(), "idle in transaction");
    run("COMMIT");
    run(std::string("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL ") + level);
    EXPECT_EQ(read("bypass:isolation"), "v1");
    run("BEGIN");
    EXPECT_EQ(state(), "idle in transaction");
    run("COMMIT");
  }
}

TEST_F(DeferredBlocks, CommandsThatNeedTheBlockHaveIt) {
  run("BEGIN");
  run("SAVEPOINT a");
  run("INSERT INTO other VALUES (2, 'x')");
  run("ROLLBACK TO a");
  run("COMMIT");
  stack().settle_session(session());
  run("BEGIN");
  EXPECT_EQ(read("hit"), "v1");
  run("COMMIT AND CHAIN");
  EXPECT_EQ(PQtransactionStatus(session().raw()), PQTRANS_INTRANS);
  EXPECT_EQ(state(), "idle in transaction");
  run("ROLLBACK");
  stack().settle_session(session());
  run("BEGIN");
  run("PREPARE TRANSACTION 'empty'");
  EXPECT_EQ(PQtransactionStatus(session().raw()), PQTRANS_IDLE);
  run("COMMIT PREPARED 'empty'");
  stack().settle_session(session());
  run("BEGIN");
  run("BEGIN");  // a warning
  EXPECT_EQ(state(), "idle in transaction");
  run("COMMIT");
  run("COMMIT");  // another
  EXPECT_EQ(PQtransactionStatus(session().raw()), PQTRANS_IDLE);
}

TEST_F(DeferredBlocks, ACancelInTheBlockDoesNothing) {
  run("BEGIN");
  cancel(session());
  EXPECT_EQ(read("hit"), "v1");
  run("UPDATE t SET v = 'still' WHERE id = 1");
  run("COMMIT");
  EXPECT_EQ(stack().direct().query(kRead).value(), "still");
}

TEST_F(DeferredBlocks, ASessionThatTheOriginEndsIsTold) {
  run("BEGIN");
  EXPECT_EQ(read("hit"), "v1");
  stack().direct().must("SELECT pg_terminate_backend(" + std::to_string(session().backend_pid()) +
                        ")");
  const auto ended = [this] { return PQconsumeInput(session().raw()) == 0; };
  EXPECT_TRUE(wait_until(ended, 5000));
}

TEST_F(DeferredBlocks, AnotherMayLockWhatABlockOfHitsHasRead) {
  run("BEGIN");
  EXPECT_EQ(read("hit"), "v1");
  stack().direct().must("SET lock_timeout = '5s'; LOCK TABLE t; RESET lock_timeout");
  EXPECT_EQ(read("hit"), "v1");
  run("COMMIT");
}

TEST(DeferredBlocksOff, EveryBeginIsSent) {
  StackOptions options;
  options.schema = "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)";
  options.arguments = {"--defer-begin", "false"};
  Stack stack(options);
  Connection session = stack.client();
  stack.load(session, "SELECT id FROM t");
  const long before = calls(stack.direct(), "BEGIN");
  stack.query(session, "BEGIN", "bypass:not_read");
  stack.query(session, "SELECT id FROM t", "hit");
  stack.query(session, "COMMIT", "bypass:not_read");
  EXPECT_EQ(calls(stack.direct(), "BEGIN"), before + 1);
  EXPECT_EQ(stack.proxy().metric("pgcache_blocks_deferred_total"), 0);
}

}  // namespace
}  // namespace pgcache::testing
