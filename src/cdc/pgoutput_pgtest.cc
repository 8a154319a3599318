// SPDX-License-Identifier: Apache-2.0
// The decoder fed with what a real server's pgoutput says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdc/pgoutput.h"
#include "support/cluster.h"
#include "support/pq.h"

namespace pgcache::cdc {
namespace {

using pgcache::testing::Cluster;
using pgcache::testing::ClusterOptions;
using pgcache::testing::Connection;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kSchema = R"(
  CREATE TABLE users (id int PRIMARY KEY, name text, bio text);
  ALTER TABLE users ALTER bio SET STORAGE EXTERNAL;
  CREATE TABLE whole (LIKE users INCLUDING STORAGE);
  ALTER TABLE whole REPLICA IDENTITY FULL;
  CREATE TABLE indexed (a int, b int NOT NULL UNIQUE);
  ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_b_key;
  CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users);
  CREATE TYPE mood AS ENUM ('glad');
  CREATE TABLE moods (id int PRIMARY KEY, mood mood);
  CREATE PUBLICATION p FOR ALL TABLES;
)";

std::string shown(const std::vector<Cell>& row) {
  std::string out;
  for (const Cell& cell : row) {
    if (!out.empty()) out += ' ';
    switch (cell.kind) {
      case CellKind::kNull:
        out += "null";
        break;
      case CellKind::kText:
      case CellKind::kBinary:
        out += cell.bytes.size() > 100 ? "large" : "'" + std::string(cell.bytes) + "'";
        break;
      case CellKind::kUnchangedToast:
        out += "unchanged";
        break;
      case CellKind::kAbsent:
        out += "absent";
        break;
    }
  }
  return out;
}

// "users update ['1' absent] -> ['2' null]"
std::string shown(const RowChange& change) {
  constexpr const char* kKinds[] = {"insert", "update", "delete", "truncate"};
  std::string out = change.relation->name + " " + kKinds[static_cast<int>(change.kind)];
  if (!change.old_row.empty()) out += " old [" + shown(change.old_row) + "]";
  if (!change.new_row.empty()) out += " new [" + shown(change.new_row) + "]";
  return out;
}

std::vector<std::string> shown(const Transaction& transaction) {
  std::vector<std::string> out;
  for (const RowChange& change : transaction.changes) out.push_back(shown(change));
  return out;
}

class PgoutputOfServer : public ::testing::Test {
 protected:
  static Cluster& cluster() {
    static Cluster cluster(ClusterOptions{
        .conf = {"wal_level = logical", "max_prepared_transactions = 5"}, .hba = {}});
    return cluster;
  }

  PgoutputOfServer() : connection_(cluster().dsn()) {
    const std::string database = "d" + std::to_string(++databases_);
    connection_.must("CREATE DATABASE " + database);
    connection_ = Connection(cluster().dsn(database));
    connection_.must(kSchema);
    slot_ = "s" + database;
    connection_.must("SELECT pg_create_logical_replication_slot('" + slot_ + "', 'pgoutput')");
  }
  ~PgoutputOfServer() override {
    connection_.query("SELECT pg_drop_replication_slot('" + slot_ + "')");
  }

  // The transactions since the last call, as a connection of its own.
  std::vector<Transaction> transactions(PgoutputDecoder& decoder) {
    std::vector<Transaction> out;
    const auto result = connection_.exec_params(
        "SELECT data FROM pg_logical_slot_get_binary_changes('" + slot_ +
            "', NULL, NULL, 'proto_version', '1', 'publication_names', 'p', 'messages', 'true')",
        {}, true);
    EXPECT_TRUE(result.ok()) << result.error;
    for (const auto& row : result.rows) {
      auto fed = decoder.feed(*row[0]);
      EXPECT_TRUE(fed.ok()) << fed.error().message;
      if (!fed.ok()) break;
      if (fed->has_value()) out.push_back(*std::move(fed).value());
    }
    decoder.on_disconnect();
    return out;
  }

  // The one transaction of these statements.
  Transaction transaction_of(const std::string& sql) {
    connection_.must("BEGIN;" + sql + ";COMMIT");
    auto all = transactions(decoder_);
    EXPECT_THAT(all, SizeIs(1));
    return all.size() == 1 ? std::move(all[0]) : Transaction{};
  }

  static int databases_;
  Connection connection_;
  std::string slot_;
  PgoutputDecoder decoder_{1ull << 30};
};

int PgoutputOfServer::databases_ = 0;

TEST_F(PgoutputOfServer, RowsUnderTheDefaultIdentity) {
  const Transaction t = transaction_of(
      "INSERT INTO users VALUES (1, 'Ada', NULL), (2, '', repeat('x', 10000));"
      "UPDATE users SET name = 'Eve' WHERE id = 2;"
      "UPDATE users SET id = 3 WHERE id = 2;"
      "DELETE FROM users WHERE id = 3");
  EXPECT_THAT(shown(t),
              ElementsAre("users insert new ['1' 'Ada' null]", "users insert new ['2' '' large]",
                          "users update new ['2' 'Eve' unchanged]",
                          "users update old ['2' absent absent] new ['3' 'Eve' unchanged]",
                          "users delete old ['3' absent absent]"));
  ASSERT_FALSE(t.changes.empty());
  const StreamRelation& users = *t.changes[0].relation;
  EXPECT_EQ(users.schema, "public");
  EXPECT_EQ(users.replica_identity, 'd');
  EXPECT_EQ(users.columns.at(0).type, pg::type::kInt4);
  EXPECT_TRUE(users.columns.at(0).is_key);
  EXPECT_FALSE(users.columns.at(1).is_key);
}

TEST_F(PgoutputOfServer, RowsUnderFullIdentityAndAnIndex) {
  const Transaction t = transaction_of(
      "INSERT INTO whole VALUES (1, NULL, repeat('x', 10000));"
      "UPDATE whole SET name = 'Eve';"
      "DELETE FROM whole;"
      "INSERT INTO indexed VALUES (1, 2);"
      "UPDATE indexed SET a = 5;"
      "UPDATE indexed SET b = 3;"
      "DELETE FROM indexed");
  EXPECT_THAT(shown(t), ElementsAre("whole insert new ['1' null large]",
                                    "whole update old ['1' null large] new ['1' 'Eve' large]",
                                    "whole delete old ['1' 'Eve' large]",
                                    "indexed insert new ['1' '2']", "indexed update new ['5' '2']",
                                    "indexed update old [absent '2'] new ['5' '3']",
                                    "indexed delete old [absent '3']"));
}

TEST_F(PgoutputOfServer, TruncateReachesEveryRelation) {
  const Transaction t = transaction_of("TRUNCATE users CASCADE");
  EXPECT_THAT(shown(t), ::testing::UnorderedElementsAre("users truncate", "orders truncate"));
}

TEST_F(PgoutputOfServer, MessagesTypesAndRollbacks) {
  connection_.must("SELECT pg_logical_emit_message(false, 'loose', 'x')");
  connection_.must("BEGIN; INSERT INTO moods VALUES (1, 'glad'); ROLLBACK");
  const Transaction t = transaction_of(
      "SELECT pg_logical_emit_message(true, 'pgcache', 'ddl');"
      "SAVEPOINT a; INSERT INTO moods VALUES (2, 'glad'); ROLLBACK TO a;"
      "INSERT INTO moods VALUES (3, 'glad')");
  EXPECT_THAT(shown(t), ElementsAre("moods insert new ['3' 'glad']"));
  ASSERT_THAT(t.messages, SizeIs(1));
  EXPECT_EQ(t.messages[0].prefix, "pgcache");
  EXPECT_EQ(t.messages[0].content, "ddl");
}

TEST_F(PgoutputOfServer, DdlChangesTheForm) {
  (void)transaction_of("INSERT INTO users VALUES (1, 'Ada', NULL)");
  const Transaction same = transaction_of("INSERT INTO users VALUES (2, 'Ada', NULL)");
  EXPECT_THAT(same.changed_relations, IsEmpty());
  const Transaction t = transaction_of(
      "INSERT INTO users VALUES (3, 'Ada', NULL);"
      "ALTER TABLE users DROP bio, ADD age int DEFAULT 7;"
      "INSERT INTO users VALUES (4, 'Ada')");
  ASSERT_THAT(t.changed_relations, SizeIs(1));
  EXPECT_EQ(t.changed_relations[0]->columns.at(2).name, "age");
  EXPECT_THAT(shown(t),
              ElementsAre("users insert new ['3' 'Ada' null]", "users insert new ['4' 'Ada' '7']"));
}

TEST_F(PgoutputOfServer, PreparedTransactionsComeAtTheirCommit) {
  connection_.must("BEGIN; INSERT INTO users VALUES (1, 'Ada', NULL); PREPARE TRANSACTION 'p'");
  EXPECT_THAT(transactions(decoder_), IsEmpty());
  connection_.must("COMMIT PREPARED 'p'");
  const auto all = transactions(decoder_);
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_THAT(all[0].changes, SizeIs(1));
}

TEST_F(PgoutputOfServer, XidAndPositionsAreTheServers) {
  const std::string before = connection_.must("SELECT pg_current_wal_insert_lsn()").value();
  connection_.must("BEGIN; INSERT INTO users VALUES (1, 'Ada', NULL)");
  const std::string xid = connection_.must("SELECT pg_current_xact_id()").value();
  connection_.must("COMMIT");
  const std::string after = connection_.must("SELECT pg_current_wal_insert_lsn()").value();
  const auto all = transactions(decoder_);
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(pg::widen_xid(all[0].xid, pg::Xid{std::stoull(xid)}), pg::Xid{std::stoull(xid)});
  EXPECT_GT(all[0].commit_lsn, *pg::parse_lsn(before));
  EXPECT_GT(all[0].end_lsn, all[0].commit_lsn);
  EXPECT_LE(all[0].end_lsn, *pg::parse_lsn(after));
}

TEST_F(PgoutputOfServer, LargeTransactionsOverflow) {
  PgoutputDecoder small(100000);
  connection_.must(
      "BEGIN; INSERT INTO users SELECT i, 'name', NULL FROM generate_series(1, 5000) i;"
      "INSERT INTO orders VALUES (1, 1); SELECT pg_logical_emit_message(true, 'pgcache', 'x');"
      "COMMIT; INSERT INTO orders VALUES (2, 2)");
  const auto all = transactions(small);
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_TRUE(all[0].overflowed);
  EXPECT_THAT(all[0].overflowed_relations, SizeIs(2));
  EXPECT_THAT(all[0].messages, SizeIs(1));
  EXPECT_FALSE(all[1].overflowed);
  EXPECT_THAT(shown(all[1]), ElementsAre("orders insert new ['2' '2']"));
}

}  // namespace
}  // namespace pgcache::cdc
