// SPDX-License-Identifier: Apache-2.0
// Reads inside transaction blocks: served from memory only where the block can have neither written
// nor taken a snapshot.
#include "block_suite.h"

namespace pgcache::testing {
namespace {

class TransactionBlocks : public BlockSuite<TransactionBlocks> {};

TEST_F(TransactionBlocks, CleanReadCommittedBlock) {
  stack().query(session(), "BEGIN", "none");
  EXPECT_EQ(read("hit"), "v1");
  EXPECT_EQ(PQtransactionStatus(session().raw()), PQTRANS_INTRANS);
  stack().load(session(), "SELECT v FROM t WHERE id = 2");
  run("COMMIT");
  EXPECT_EQ(PQtransactionStatus(session().raw()), PQTRANS_IDLE);
  Connection other = stack().client();
  stack().query(other, "SELECT v FROM t WHERE id = 2", "hit");
}

TEST_F(TransactionBlocks, CleanBlockSeesWhatOthersCommit) {
  run("BEGIN");
  EXPECT_EQ(read("hit"), "v1");
  stack().direct().must("UPDATE t SET v = 'theirs' WHERE id = 1");
  stack().settle();
  EXPECT_EQ(read("miss"), "theirs");
  EXPECT_EQ(read("hit"), "theirs");
  run("COMMIT");
}

TEST_F(TransactionBlocks, ExtendedProtocolInABlock) {
  const std::string sql = "SELECT v FROM t WHERE id = $1";
  stack().params(session(), sql, {"3"}, "miss");
  run("BEGIN");
  EXPECT_EQ(value_of(stack().params(session(), sql, {"3"}, "hit")), "v3");
  EXPECT_EQ(PQtransactionStatus(session().raw()), PQTRANS_INTRANS);
  run("COMMIT");
}

TEST_F(TransactionBlocks, AfterAWriteNever) {
  run("BEGIN");
  EXPECT_EQ(read("hit"), "v1");
  run("UPDATE t SET v = 'mine' WHERE id = 1");
  EXPECT_EQ(read("bypass:in_transaction"), "mine");
  Connection other = stack().client();
  EXPECT_EQ(value_of(stack().query(other, kRead, "hit")), "v1");
  run("ROLLBACK");
  stack().settle_session(session());
  EXPECT_EQ(read("hit"), "v1");
}

TEST_F(TransactionBlocks, WhateverMayWriteOrLockEndsTheCleanBlock) {
  for (const char* sql :
       {"INSERT INTO other VALUES (1, 'x')", "SELECT writes()", "LOCK TABLE t IN SHARE MODE",
        "SELECT * FROM t WHERE id = 9 FOR UPDATE", "SAVEPOINT a", "SET LOCAL work_mem = '1MB'",
        "DECLARE c CURSOR FOR SELECT * FROM t", "SELECT pg_advisory_xact_lock(1)",
        "DO $$BEGIN END$$", "SET CONSTRAINTS ALL DEFERRED", "EXPLAIN ANALYZE SELECT writes()"}) {
    run("BEGIN");
    run(sql);
    const std::string taken = stack().routes_of([&] { session().must(kRead); });
    EXPECT_EQ(taken, "bypass:in_transaction") << sql;
    run("ROLLBACK");
    stack().settle_session(session());
    EXPECT_EQ(read("hit"), "v1") << sql;
  }
}

TEST_F(TransactionBlocks, WhatHasNoSideEffectsLeavesItClean) {
  for (const char* sql :
       {"EXPLAIN ANALYZE SELECT * FROM t", "SELECT version(), now()",
        "SELECT relname FROM pg_class LIMIT 1", "SELECT random()", "COPY (SELECT 1) TO STDOUT"}) {
    run("BEGIN");
    PGresult* result = PQexec(session().raw(), sql);
    const bool copies = PQresultStatus(result) == PGRES_COPY_OUT;
    EXPECT_TRUE(copies || PQresultStatus(result) == PGRES_TUPLES_OK) << sql;
    PQclear(result);
    char* row = nullptr;
    while (copies && PQgetCopyData(session().raw(), &row, 0) > 0) PQfreemem(row);
    while (PGresult* rest = PQgetResult(session().raw())) PQclear(rest);
    EXPECT_EQ(read("hit"), "v1") << sql;
    run("COMMIT");
    EXPECT_EQ(read("hit"), "v1") << sql;
  }
}

TEST_F(TransactionBlocks, OlderSnapshotsAreNeverServed) {
  for (const char* level : {"REPEATABLE READ", "SERIALIZABLE"}) {
    run(std::string("BEGIN ISOLATION LEVEL ") + level);
    EXPECT_EQ(read("bypass:in_transaction"), "v1");
    stack().direct().must("UPDATE t SET v = 'newer' WHERE id = 1");
    stack().settle();
    Connection other = stack().client();
    EXPECT_EQ(value_of(stack().query_until(other, kRead, "hit")), "newer");
    EXPECT_EQ(read("bypass:in_transaction"), "v1") << level;
    run("COMMIT");
    stack().direct().must("UPDATE t SET v = 'v1' WHERE id = 1");
    stack().settle_session(session());
    stack().load(session(), kRead);
  }
}

TEST_F(TransactionBlocks, IsolationByDefaultSetting) {
  run("SET default_transaction_isolation = 'repeatable read'");
  EXPECT_EQ(read("bypass:isolation"), "v1");
  run("BEGIN");
  run("SELECT 1");
  stack().direct().must("UPDATE t SET v = 'newer' WHERE id = 1");
  stack().settle();
  EXPECT_EQ(session().query(kRead).value(), "v1");
  run("COMMIT");
}

TEST_F(TransactionBlocks, SetTransactionInTheBlock) {
  run("BEGIN");
  run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  EXPECT_EQ(read("bypass:in_transaction"), "v1");
  run("COMMIT");
  stack().settle_session(session());
  EXPECT_EQ(read("hit"), "v1");
}

TEST_F(TransactionBlocks, FailedBlockRefusesCachedQueriesToo) {
  run("BEGIN");
  EXPECT_EQ(session().query("SELECT 1 / 0").sqlstate, "22012");
  EXPECT_EQ(stack().query(session(), kRead, "bypass:failed_transaction").sqlstate, "25P02");
  EXPECT_EQ(PQtransactionStatus(session().raw()), PQTRANS_INERROR);
  const QueryResult extended = stack().params(session(), "SELECT v FROM t WHERE id = $1", {"1"},
                                              "bypass:failed_transaction");
  EXPECT_EQ(extended.sqlstate, "25P02");
  run("ROLLBACK");
  EXPECT_EQ(read("hit"), "v1");
}

TEST_F(TransactionBlocks, BlockOpenedWithOtherStatements) {
  stack().query(session(), "BEGIN; SELECT v FROM t WHERE id = 1", "hit");
  EXPECT_EQ(read("hit"), "v1");
  run("COMMIT");
  stack().query(session(), "BEGIN; LOCK TABLE t; SELECT v FROM t WHERE id = 1",
                "bypass:multi_statement");
  EXPECT_EQ(read("bypass:in_transaction"), "v1");
  run("COMMIT");
  stack().settle_session(session());
  EXPECT_EQ(read("hit"), "v1");
}

TEST_F(TransactionBlocks, ChainedBlock) {
  run("BEGIN");
  run("UPDATE t SET v = 'chained' WHERE id = 1");
  run("COMMIT AND CHAIN");
  EXPECT_EQ(session().query(kRead).value(), "chained");
  EXPECT_EQ(PQtransactionStatus(session().raw()), PQTRANS_INTRANS);
  run("ROLLBACK AND CHAIN");
  EXPECT_EQ(session().query(kRead).value(), "chained");
  run("COMMIT");
  EXPECT_EQ(session().query(kRead).value(), "chained");
}

TEST_F(TransactionBlocks, ReadOnlyBlock) {
  run("START TRANSACTION READ ONLY");
  EXPECT_EQ(read("hit"), "v1");
  EXPECT_EQ(session().query("DELETE FROM t").sqlstate, "25006");
  run("ROLLBACK");
}

TEST_F(TransactionBlocks, RollbackToSavepoint) {
  run("BEGIN");
  run("SAVEPOINT a");
  run("UPDATE t SET v = 'gone' WHERE id = 1");
  run("ROLLBACK TO a");
  EXPECT_EQ(read("bypass:in_transaction"), "v1");
  run("COMMIT");
  stack().settle_session(session());
  EXPECT_EQ(read("hit"), "v1");
}

TEST_F(TransactionBlocks, PreparedTransactionOfTheSession) {
  run("BEGIN");
  run("UPDATE t SET v = 'prepared' WHERE id = 1");
  run("PREPARE TRANSACTION 'blocks'");
  stack().settle_session(session());
  EXPECT_EQ(read("hit"), "v1");
  run("COMMIT PREPARED 'blocks'");
  EXPECT_EQ(session().query(kRead).value(), "prepared");
}

TEST_F(TransactionBlocks, AbandonedBlockOfAClosedSession) {
  {
    Connection doomed = stack().client();
    doomed.must("BEGIN");
    doomed.must("UPDATE t SET v = 'doomed' WHERE id = 1");
  }
  const auto free = [] {
    return stack()
               .direct()
               .must("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'")
               .value() == "0";
  };
  EXPECT_TRUE(wait_until(free, 5000));
  EXPECT_EQ(read("hit"), "v1");
}

TEST_F(TransactionBlocks, CursorsWithHold) {
  run("DECLARE held CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY id");
  EXPECT_EQ(value_of(stack().query(session(), "FETCH 1 FROM held", "bypass:not_read")), "1");
  stack().settle_session(session());
  EXPECT_EQ(read("hit"), "v1");
  EXPECT_EQ(session().query("FETCH 1 FROM held").value(), "2");
}

}  // namespace
}  // namespace pgcache::testing
