// SPDX-License-Identifier: Apache-2.0
// What the store of last row images says of rows before changes, compared with what a real server's
// triggers saw: random transactions of two sessions, with key changes, savepoints, large values,
// TRUNCATE, and DDL that rewrites the rows, alters the form or the replica identity.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "cache/image_store.h"
#include "cdc/pgoutput.h"
#include "support/cluster.h"
#include "support/pq.h"

namespace pgcache::cache {
namespace {

using pgcache::testing::Cluster;
using pgcache::testing::ClusterOptions;
using pgcache::testing::Connection;

// AFTER ROW triggers fire in the order of the rows' changes: the n-th UPDATE or DELETE of a
// transaction belongs to its n-th row of the audit.
constexpr const char* kSchema = R"(
  CREATE TABLE t (id int PRIMARY KEY, age int, note text);
  ALTER TABLE t ALTER note SET STORAGE EXTERNAL;
  CREATE TABLE audit (n serial, id int, age int, note text);
  ALTER TABLE audit ALTER note SET STORAGE EXTERNAL;
  CREATE FUNCTION note_old() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO audit (id, age, note) VALUES (OLD.id, OLD.age, OLD.note);
    RETURN NULL;
  END $$;
  CREATE TRIGGER t_audit AFTER UPDATE OR DELETE ON t
    FOR EACH ROW EXECUTE FUNCTION note_old();
  CREATE PUBLICATION p FOR TABLE t, audit WITH (publish_via_partition_root = false);
)";

class ImagesOfServer : public ::testing::Test {
 protected:
  ImagesOfServer() : cluster_(ClusterOptions{.conf = {"wal_level = logical"}, .hba = {}}) {
    for (std::optional<Connection>& session : sessions_) session.emplace(cluster_.dsn());
    sessions_[0]->must(kSchema);
    sessions_[0]->must("SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
    for (auto& session : sessions_) session->must("SET lock_timeout = '20ms'");
  }

  int pick(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  std::string number(int n) { return std::to_string(pick(n)); }

  std::string random_dml() {
    const std::string note =
        pick(3) ? "'" + number(1000) + "'" : "repeat('" + number(10) + "', 3000)";
    switch (pick(8)) {
      case 0:
      case 1:
        return "INSERT INTO t VALUES (" + number(12) + ", " + number(9) + ", " + note +
               ") ON CONFLICT (id) DO UPDATE SET age = " + number(9);
      case 2:
      case 3:
        return "UPDATE t SET age = " + number(9) + " WHERE id % 3 = " + number(3);
      case 4:
        return "UPDATE t SET note = " + note + " WHERE id = " + number(12);
      case 5:
        return "UPDATE t SET id = id + 100 * (1 - 2 * (id / 100)) WHERE id % 100 = " + number(12);
      case 6:
        return "DELETE FROM t WHERE id = " + number(12);
      default:
        return "SAVEPOINT s; UPDATE t SET age = -1 WHERE id < " + number(12) +
               (pick(2) ? "; ROLLBACK TO s" : "; RELEASE s");
    }
  }

  std::string random_ddl() {
    switch (pick(9)) {
      case 0:
      case 1:
        return "ALTER TABLE t ALTER age TYPE int USING age + 1";
      case 2:
        return "ALTER TABLE t ALTER note TYPE text USING note || 'x'";
      case 3:
        return "ALTER TABLE t ADD COLUMN extra int DEFAULT 5";
      case 4:
        return "ALTER TABLE t DROP COLUMN IF EXISTS extra";
      case 5:
        return "TRUNCATE t";
      case 6:
        return "ALTER TABLE t REPLICA IDENTITY FULL";
      default:
        return "ALTER TABLE t REPLICA IDENTITY DEFAULT";
    }
  }

  // One statement of one of the sessions; a conflict ends its transaction.
  void act() {
    const auto at = static_cast<std::size_t>(pick(2));
    Connection& session = *sessions_[at];
    if (!open_[at]) {
      session.must("BEGIN");
      open_[at] = true;
    } else if (pick(4) == 0) {
      session.must(pick(8) ? "COMMIT" : "ROLLBACK");
      open_[at] = false;
    } else if (!session.query(pick(25) ? random_dml() : random_ddl()).ok()) {
      session.must("ROLLBACK");
      open_[at] = false;
    }
  }

  static std::string spell(const cdc::Cell& cell) {
    if (cell.kind == cdc::CellKind::kNull) return "NULL";
    return std::string(cell.bytes);
  }

  // The rows that the store tells of, against the audit.
  void check(const cdc::Transaction& t, ImageStore& store) {
    std::vector<const cdc::RowChange*> audit;
    for (const cdc::RowChange& change : t.changes) {
      if (change.relation->name == "audit") audit.push_back(&change);
    }
    std::size_t next = 0;
    for (const auto& relation : t.changed_relations) store.drop(relation->oid);
    for (const cdc::RowChange& change : t.changes) {
      if (change.relation->name == "audit") continue;
      const StoredRow told = store.step(change, true);
      if (change.kind != cdc::ChangeKind::kUpdate && change.kind != cdc::ChangeKind::kDelete) {
        EXPECT_FALSE(told);
        continue;
      }
      ++changes_;
      ASSERT_LT(next, audit.size());
      const cdc::RowChange& truth = *audit[next++];
      if (!told) continue;
      ++told_;
      const std::vector<cdc::Cell> row = decode_row(told.bytes());
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string& name = change.relation->columns[i].name;
        if (name == "extra" || row[i].kind == cdc::CellKind::kAbsent) continue;
        const std::size_t of_audit = name == "id" ? 1 : (name == "age" ? 2 : 3);
        ASSERT_EQ(spell(row[i]), spell(truth.new_row.at(of_audit))) << name;
      }
    }
  }

  std::mt19937 random_{4711};
  Cluster cluster_;
  std::array<std::optional<Connection>, 2> sessions_;
  std::array<bool, 2> open_{};
  int changes_ = 0;
  int told_ = 0;
};

TEST_F(ImagesOfServer, AreTheRowsThatTheTriggersSaw) {
  for (int step = 0; step < 6000; ++step) act();
  for (std::size_t i = 0; i < 2; ++i) {
    if (open_[i]) sessions_[i]->must("COMMIT");
  }
  const auto result = sessions_[0]->exec_params(
      "SELECT data FROM pg_logical_slot_get_binary_changes('s', NULL, NULL, 'proto_version', '1',"
      " 'publication_names', 'p')",
      {}, true);
  ASSERT_TRUE(result.ok()) << result.error;
  cdc::PgoutputDecoder decoder(1ull << 30);
  ImageStore store(64 << 20);
  for (const auto& row : result.rows) {
    auto fed = decoder.feed(*row[0]);
    ASSERT_TRUE(fed.ok()) << fed.error().message;
    if (!fed->has_value()) continue;
    check(**fed, store);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(changes_, 2000);
  EXPECT_GT(told_, changes_ / 5);  // many are made under FULL
}

}  // namespace
}  // namespace pgcache::cache
