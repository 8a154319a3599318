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
            "users: -; orders: -");
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
