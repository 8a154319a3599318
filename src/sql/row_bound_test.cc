// SPDX-License-Identifier: Apache-2.0
#include "sql/row_bound.h"

#include <gtest/gtest.h>

#include "sql/analysis_support.h"

namespace pgcache::sql {
namespace {

// people(id, first, last, nick): id is unique, and so are first and last together.
std::shared_ptr<pg::Catalog> make_catalog() {
  auto catalog = std::make_shared<pg::Catalog>();
  testing::add_builtins(*catalog);
  pg::Relation people =
      testing::make_relation(pg::Oid{20001}, "people",
                             {{"id", pg::type::kInt4},
                              {"first", pg::type::kText},
                              {"last", pg::type::kText},
                              {"nick", pg::type::kText, testing::kNondeterministic}});
  people.unique_keys = {{{"id"}}, {{"first", "last"}}, {{"nick"}}};
  pg::Relation parent = people;
  parent.oid = pg::Oid{20002};
  parent.name = "parent";
  catalog->add_relation(parent);
  people.parents = {parent.oid};
  catalog->add_relation(people);
  catalog->finish();
  return catalog;
}

const CacheableQuery* analyzed(Analysis& analysis, std::string_view text) {
  static const auto catalog = make_catalog();
  analysis = testing::analyze_with(*catalog, text);
  return analysis.cacheable();
}

TEST(RowBound, QueriesOfOneRow) {
  for (const char* text :
       {"SELECT 1", "SELECT * FROM people WHERE id = 7", "SELECT * FROM people WHERE 7 = id",
        "SELECT last FROM people WHERE id = $1 AND first = 'x' ORDER BY last",
        "SELECT * FROM people WHERE id = $1::int", "SELECT * FROM people p WHERE p.id = 7 LIMIT 9",
        "SELECT * FROM people WHERE first = 'a' AND last = 'b'", "SELECT count(*) FROM people",
        "SELECT max(id), min(id) FROM people a JOIN parent b USING (id) HAVING count(*) > 1",
        "SELECT DISTINCT id FROM people WHERE id = 3", "SELECT * FROM ONLY parent WHERE id = 3",
        "SELECT first, count(*) FROM people WHERE id = 3 GROUP BY first"}) {
    Analysis analysis;
    const CacheableQuery* query = analyzed(analysis, text);
    ASSERT_NE(query, nullptr) << text;
    EXPECT_TRUE(query->one_row) << text;
  }
}

TEST(RowBound, QueriesThatMayHaveMore) {
  for (const char* text :
       {"SELECT * FROM people", "SELECT * FROM people WHERE id > 7",
        "SELECT * FROM people WHERE id = 7 OR id = 8", "SELECT * FROM people WHERE id IN (7, 8)",
        "SELECT * FROM people WHERE first = 'a'", "SELECT * FROM people WHERE id = id",
        "SELECT * FROM people WHERE nick = 'a'", "SELECT * FROM parent WHERE id = 7",
        "SELECT * FROM people a, people b WHERE a.id = 7",
        "SELECT a.* FROM people a LEFT JOIN parent b ON true WHERE a.id = 7",
        "SELECT a.id FROM people a, people b WHERE a.id = b.id", "VALUES (1), (2)",
        "SELECT generate_series(1, 3)", "SELECT generate_series(1, 3) FROM people WHERE id = 7",
        "SELECT count(*) FROM people GROUP BY first",
        "SELECT count(*) FROM people GROUP BY GROUPING SETS ((), ())",
        "SELECT id FROM people WHERE id = 7 UNION ALL SELECT 8",
        "SELECT * FROM (SELECT * FROM people) x WHERE id = 7"}) {
    Analysis analysis;
    const CacheableQuery* query = analyzed(analysis, text);
    EXPECT_FALSE(query != nullptr && query->one_row) << text;
  }
}

TEST(RowBound, ALimitThatIsALiteral) {
  const auto limit = [](const char* text) {
    Analysis analysis;
    const CacheableQuery* query = analyzed(analysis, text);
    return query != nullptr ? query->limit_literal : std::nullopt;
  };
  EXPECT_EQ(limit("SELECT id FROM people WHERE id > 5 ORDER BY id LIMIT 3"), 1u);
  EXPECT_EQ(limit("SELECT id FROM people ORDER BY id OFFSET 5 LIMIT 3"), 1u);
  EXPECT_EQ(limit("SELECT id FROM people ORDER BY id FETCH FIRST 3 ROWS ONLY"), 0u);
  EXPECT_EQ(limit("SELECT id FROM people ORDER BY id FETCH FIRST 3 ROWS WITH TIES"), std::nullopt);
  EXPECT_EQ(limit("SELECT id FROM people ORDER BY id LIMIT $1"), std::nullopt);
  EXPECT_EQ(limit("SELECT id FROM people ORDER BY id LIMIT ALL"), std::nullopt);
  EXPECT_EQ(limit("SELECT id FROM people ORDER BY id LIMIT 1 + 2"), std::nullopt);
  EXPECT_EQ(limit("SELECT id FROM (SELECT id FROM people LIMIT 3) x"), std::nullopt);
}

}  // namespace
}  // namespace pgcache::sql
