// SPDX-License-Identifier: Apache-2.0
// Which rows of other tables must be there for a row to matter.
#include <gtest/gtest.h>

#include <regex>

#include "sql/analysis_support.h"
#include "sql/describe.h"

namespace pgcache::sql {
namespace {

// "users: orders BY #1.user_id = id WHERE ...; orders: -"
std::string partners(const char* text) {
  const pg::Catalog& catalog = testing::shop();
  const Analysis analysis = testing::analyze_with(catalog, text);
  if (analysis.cacheable() == nullptr) return "NO";
  const CacheableQuery& query = *analysis.cacheable();
  std::string out;
  for (const Dependency& dependency : query.dependencies) {
    out += (out.empty() ? "" : "; ") + catalog.find_relation(dependency.relation)->name + ":";
    if (dependency.partners.empty()) out += " -";
    for (const Partner& partner : dependency.partners) {
      // What the other conditions say already.
      static const std::regex kNotNull(R"( AND NOT \(#\d\.\w+ IS NULL\))");
      const std::string what = std::regex_replace(describe(partner, query), kNotNull, "");
      std::string names;
      for (const pg::Oid table : partner.tables) {
        names += (names.empty() ? "" : "+") + catalog.find_relation(table)->name;
      }
      out += " {" + names + what.substr(what.find(' ')) + "}";
    }
  }
  return out;
}

TEST(Partners, OfAnInnerJoin) {
  EXPECT_EQ(partners("SELECT u.name FROM users u JOIN orders o ON o.user_id = u.id"),
            "users: {orders BY #1.user_id = id WHERE #1.user_id = id}; "
            "orders: {users BY #1.id = user_id WHERE user_id = #1.id}");
  EXPECT_EQ(partners("SELECT count(*) FROM users u, orders o WHERE o.user_id = u.id AND "
                     "o.status = 'new'"),
            "users: {orders BY #1.user_id = id, #1.status = ?1 WHERE #1.user_id = id AND "
            "#1.status = ?1}; "
            "orders: {users BY #1.id = user_id WHERE user_id = #1.id}");
  EXPECT_EQ(partners("SELECT u.name FROM users u WHERE u.id = 3"), "users: -");
}

TEST(Partners, OfSubqueriesThatMustYieldARow) {
  EXPECT_EQ(partners("SELECT name FROM users WHERE id IN (SELECT user_id FROM orders)"),
            "users: {orders BY #1.user_id = id WHERE id = #1.user_id}; "
            "orders: {users BY #1.id = user_id WHERE #1.id = user_id}");
  EXPECT_EQ(partners("SELECT name FROM users u WHERE EXISTS (SELECT FROM orders o WHERE "
                     "o.user_id = u.id)"),
            "users: {orders BY #1.user_id = id WHERE #1.user_id = id}; "
            "orders: {users BY #1.id = user_id WHERE user_id = #1.id}");
}

// The row that matters since another is missing has none; the other one has.
TEST(Partners, NotOfWhatMattersByAbsence) {
  EXPECT_EQ(partners("SELECT u.name, o.total FROM users u LEFT JOIN orders o ON o.user_id = u.id"),
            "users: -; orders: {users BY #1.id = user_id WHERE user_id = #1.id}");
  EXPECT_EQ(partners("SELECT o.total, u.name FROM orders o RIGHT JOIN users u ON o.user_id = u.id"),
            "users: -; orders: {users BY #1.id = user_id WHERE user_id = #1.id}");
  EXPECT_EQ(partners("SELECT u.name, o.total FROM users u FULL JOIN orders o ON o.user_id = u.id"),
            "users: -; orders: -");
  EXPECT_EQ(partners("SELECT name FROM users u WHERE NOT EXISTS (SELECT FROM orders o WHERE "
                     "o.user_id = u.id)"),
            "users: -; orders: {users BY #1.id = user_id WHERE user_id = #1.id}");
  EXPECT_EQ(partners("SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE "
                     "o.total IS NULL"),
            "users: -; orders: {users BY #1.id = user_id WHERE user_id = #1.id}");
  EXPECT_EQ(partners("SELECT id FROM users EXCEPT SELECT user_id FROM orders"),
            "users: -; orders: {users BY #1.id IS user_id WHERE true}");
}

TEST(Partners, OfWhatSetOperationsCompareWith) {
  EXPECT_EQ(partners("SELECT id FROM users WHERE name = 'x' INTERSECT SELECT user_id FROM orders"),
            "users: {orders BY #1.user_id IS id WHERE true}; "
            "orders: {users BY #1.id IS user_id, #1.name = ?1 WHERE #1.name = ?1}");
  EXPECT_EQ(partners("SELECT count(*) FROM (SELECT id FROM users INTERSECT SELECT user_id FROM "
                     "orders) x"),
            "users: {orders BY #1.user_id IS id WHERE true}; "
            "orders: {users BY #1.id IS user_id WHERE true}");
  // Which row of the other side has the greatest number is not known.
  EXPECT_EQ(partners("SELECT id FROM users INTERSECT SELECT max(user_id) FROM orders"),
            "users: -; orders: -");
}

TEST(Partners, OfValuesOfSubqueries) {
  EXPECT_EQ(partners("SELECT name FROM users WHERE id = (SELECT max(user_id) FROM orders WHERE "
                     "status = 'new')"),
            "users: {orders BY #1.user_id = id, #1.status = ?1 WHERE #1.status = ?1}; orders: -");
  EXPECT_EQ(partners("SELECT name FROM users WHERE NOT (id = (SELECT max(user_id) FROM orders))"),
            "users: -; orders: -");
  EXPECT_EQ(partners("SELECT name FROM users WHERE id = (SELECT count(*) FROM orders)"),
            "users: -; orders: -");
}

TEST(Partners, BehindBlocksThatAreJoined) {
  EXPECT_EQ(partners("SELECT u.name FROM users u JOIN (SELECT DISTINCT user_id FROM orders WHERE "
                     "status = 'new') o ON o.user_id = u.id"),
            "users: {orders BY #1.user_id = id, #1.status = ?1 WHERE #1.status = ?1}; "
            "orders: {users BY #1.id = user_id WHERE user_id = #1.id}");
  // One that an outer join may leave out need not be there, whatever its columns say.
  EXPECT_EQ(
      partners(
          "SELECT u.name FROM users u JOIN (SELECT DISTINCT t.id AS a, o.user_id AS b FROM users "
          "t LEFT JOIN orders o ON o.id = t.id) x ON x.a = u.id"),
      "users: {users BY #1.id = id WHERE true}; users: {users BY #1.id = id WHERE id = #1.id}; "
      "orders: {users BY #1.id = id WHERE NOT (#1.id IS NULL)} {users BY #2.id = #1.id WHERE #2.id "
      "= "
      "#1.id AND id = #2.id}");
  // A row inside matters by taking the place of another one.
  EXPECT_EQ(partners("SELECT u.name FROM users u JOIN (SELECT user_id FROM orders ORDER BY id "
                     "LIMIT 3) o ON o.user_id = u.id"),
            "users: {orders BY #1.user_id = id WHERE true}; orders: -");
  // Of two readers each may mean another row.
  EXPECT_EQ(partners("WITH o AS MATERIALIZED (SELECT user_id, id FROM orders) SELECT u.name FROM "
                     "users u, o a, o b WHERE a.user_id = u.id AND b.id = u.id"),
            "users: {orders BY #1.user_id = id WHERE #1.user_id = id} "
            "{orders BY #2.id = #1.user_id WHERE #2.id = id}; "
            "orders: {users BY #1.id = user_id WHERE user_id = #1.id} "
            "{orders BY #2.id = user_id WHERE #2.id = #1.id}; "
            "orders: {orders BY #1.user_id = id WHERE NOT (#1.user_id IS NULL)} "
            "{users BY #2.id = #1.user_id WHERE #1.user_id = #2.id AND id = #2.id}");
}

TEST(Partners, OneBehindTheOther) {
  EXPECT_EQ(
      partners("SELECT u.name FROM users u JOIN orders o ON o.user_id = u.id JOIN order_items i ON "
               "i.order_id = o.id WHERE i.qty = 2::smallint AND u.name = 'x' AND o.total = 4"),
      "users: {orders BY #1.user_id = id, #1.total = ?3 WHERE #1.total = ?3 AND #1.user_id = id} "
      "{order_items BY #2.order_id = #1.id, #2.qty = ?1 WHERE #2.qty = ?1 AND #2.order_id = "
      "#1.id}; "
      "orders: {users BY #1.id = user_id, #1.name = ?2 WHERE #1.name = ?2 AND user_id = #1.id} "
      "{order_items BY #2.order_id = id, #2.qty = ?1 WHERE #2.qty = ?1 AND #2.order_id = id}; "
      "order_items: {orders BY #1.id = order_id, #1.total = ?3 WHERE #1.total = ?3 AND order_id = "
      "#1.id} {users BY #2.id = #1.user_id, #2.name = ?2 WHERE #2.name = ?2 AND #1.user_id = "
      "#2.id}");
}

TEST(Partners, CompareBeyondEquality) {
  EXPECT_EQ(partners("SELECT u.id FROM users u JOIN orders o ON o.total > u.score"),
            "users: {orders WHERE #1.total > score}; orders: {users WHERE total > #1.score}");
}

TEST(Partners, ThatStandForSeveralTables) {
  EXPECT_EQ(partners("SELECT u.id FROM users u JOIN parts p ON p.k = u.id"),
            "users: {parts_1+parts_2 BY #1.k = id WHERE #1.k = id}; "
            "parts: {users BY #1.id = k WHERE k = #1.id}");
  EXPECT_EQ(partners("SELECT u.id FROM users u JOIN animals a ON a.id = u.id"),
            "users: {animals+cats BY #1.id = id WHERE #1.id = id}; "
            "animals: {users BY #1.id = id WHERE id = #1.id}");
  EXPECT_EQ(partners("SELECT u.id FROM users u JOIN ONLY animals a ON a.id = u.id"),
            "users: {animals BY #1.id = id WHERE #1.id = id}; "
            "animals: {users BY #1.id = id WHERE id = #1.id}");
}

}  // namespace
}  // namespace pgcache::sql
