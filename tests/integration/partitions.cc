// SPDX-License-Identifier: Apache-2.0
// Partitioned and inherited tables: a change to any member reaches the results over the others that
// show it.
#include "stack.h"

namespace pgcache::testing {
namespace {

class Partitions : public SharedStack<Partitions> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = R"(
      CREATE TABLE parts (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
      CREATE TABLE parts_2023 PARTITION OF parts FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
      CREATE TABLE parts_2024 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
        PARTITION BY LIST (id);
      CREATE TABLE parts_2024_1 PARTITION OF parts_2024 FOR VALUES IN (1, 2, 3);
      CREATE TABLE parts_2024_d PARTITION OF parts_2024 DEFAULT;
      CREATE TABLE spare (id int, at date, v text, PRIMARY KEY (id, at));
      CREATE TABLE parent (id int PRIMARY KEY, v text);
      CREATE TABLE child (extra int, PRIMARY KEY (id)) INHERITS (parent);)";
    return options;
  }

 protected:
  void SetUp() override {
    stack().direct().must(R"(
      TRUNCATE parts, parent, child, spare;
      INSERT INTO parts SELECT i, d, 'v' || i FROM generate_series(1, 6) i,
        (VALUES ('2023-06-01'::date), ('2024-06-01')) AS days(d);
      INSERT INTO parent VALUES (1, 'parent'); INSERT INTO child VALUES (2, 'child', 7))");
    stack().settle();
    session_ = std::make_unique<Connection>(stack().client());
  }
  Connection& session() { return *session_; }
  void load(const std::vector<std::string>& queries) {
    for (const std::string& sql : queries) stack().load(session(), sql);
  }
  void expect(const std::string& sql, const std::string& route, const std::string& rows) {
    EXPECT_EQ(rows_text(stack().query(session(), sql, route).rows), rows) << sql;
  }

  static constexpr const char* kRoot = "SELECT v FROM parts WHERE id = 1 ORDER BY at";
  static constexpr const char* kLeaf = "SELECT v FROM parts_2024_1 WHERE id = 1";
  static constexpr const char* kMiddle = "SELECT v FROM parts_2024 WHERE id = 1";
  static constexpr const char* kOther = "SELECT v FROM parts_2023 WHERE id = 1";

 private:
  std::unique_ptr<Connection> session_;
};

TEST_F(Partitions, ChangeThroughTheRoot) {
  load({kRoot, kLeaf, kMiddle, kOther});
  stack().direct().must("UPDATE parts SET v = 'new' WHERE id = 1 AND at >= '2024-01-01'");
  stack().settle();
  expect(kRoot, "miss", "v1|new");
  expect(kLeaf, "miss", "new");
  expect(kMiddle, "miss", "new");
  EXPECT_EQ(session().query(kOther).value(), "v1");
}

TEST_F(Partitions, ChangeThroughTheLeaf) {
  load({kRoot, kLeaf, kMiddle});
  stack().direct().must("DELETE FROM parts_2024_1 WHERE id = 1");
  stack().settle();
  expect(kRoot, "miss", "v1");
  expect(kLeaf, "miss", "");
  expect(kMiddle, "miss", "");
}

TEST_F(Partitions, RowMovesToAnotherPartition) {
  load({kRoot, kLeaf, kOther});
  stack().direct().must("UPDATE parts SET at = '2023-07-01' WHERE id = 1 AND at >= '2024-01-01'");
  stack().settle();
  EXPECT_EQ(session().query("SELECT count(*) FROM parts_2023 WHERE id = 1").value(), "2");
  expect(kLeaf, "miss", "");
  EXPECT_EQ(rows_text(session().query(kOther).rows), "v1|v1");
}

TEST_F(Partitions, TruncateOfALeaf) {
  load({kRoot, kLeaf, kMiddle});
  stack().direct().must("TRUNCATE parts_2024_1");
  stack().settle();
  expect(kRoot, "miss", "v1");
  expect(kLeaf, "miss", "");
  expect(kMiddle, "miss", "");
}

TEST_F(Partitions, OtherKeysStay) {
  const std::string apart = "SELECT v FROM parts WHERE id = 2 ORDER BY at";
  load({kRoot, apart});
  stack().direct().must("UPDATE parts SET v = 'new' WHERE id = 1");
  stack().settle();
  expect(apart, "hit", "v2|v2");
}

TEST_F(Partitions, DetachAndAttach) {
  load({kRoot});
  stack().direct().must("ALTER TABLE parts DETACH PARTITION parts_2023");
  stack().settle_catalog();
  EXPECT_EQ(stack().query_until(session(), kRoot, "hit").rows.size(), 1u);
  stack().direct().must(
      "ALTER TABLE parts ATTACH PARTITION parts_2023 FOR VALUES FROM ('2023-01-01') TO "
      "('2024-01-01')");
  stack().settle_catalog();
  EXPECT_EQ(stack().query_until(session(), kRoot, "hit").rows.size(), 2u);
  stack().direct().must("UPDATE parts_2023 SET v = 'attached' WHERE id = 1");
  stack().settle();
  EXPECT_EQ(rows_text(session().query(kRoot).rows), "attached|v1");
}

TEST_F(Partitions, NewPartitionIsTrackedAtOnce) {
  const std::string sql = "SELECT count(*) FROM parts";
  load({sql});
  stack().direct().must(
      "CREATE TABLE parts_2025 PARTITION OF parts FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');"
      "INSERT INTO parts VALUES (1, '2025-02-02', 'of 2025')");
  // The row may arrive before the catalog does: never an answer without it once it is applied.
  stack().settle();
  EXPECT_EQ(session().query(sql).value(), "13");
  stack().settle_catalog();
  EXPECT_EQ(stack().query_until(session(), sql, "hit").value(), "13");
  stack().direct().must("INSERT INTO parts_2025 VALUES (2, '2025-02-02', 'of 2025')");
  stack().settle();
  EXPECT_EQ(session().query(sql).value(), "14");
  stack().direct().must("DROP TABLE parts_2025");
  stack().settle_catalog();
  EXPECT_EQ(stack().query_until(session(), sql, "hit").value(), "12");
}

TEST_F(Partitions, Inheritance) {
  const std::string both = "SELECT v FROM parent ORDER BY id";
  const std::string only = "SELECT v FROM ONLY parent ORDER BY id";
  const std::string child = "SELECT v FROM child WHERE id = 2";
  load({both, only, child});
  stack().direct().must("UPDATE child SET v = 'changed' WHERE id = 2");
  stack().settle();
  expect(both, "miss", "parent|changed");
  expect(child, "miss", "changed");
  EXPECT_EQ(rows_text(session().query(only).rows), "parent");
  stack().direct().must("UPDATE parent SET v = 'both'");
  stack().settle();
  expect(both, "miss", "both|both");
  expect(only, "miss", "both");
  expect(child, "miss", "both");
}

}  // namespace
}  // namespace pgcache::testing
