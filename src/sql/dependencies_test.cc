// SPDX-License-Identifier: Apache-2.0
// Which rows of which tables a query depends on.
#include <gtest/gtest.h>

#include "sql/analysis_support.h"

namespace pgcache::sql {
namespace {

using testing::dependencies;
using testing::with_columns;

struct Case {
  const char* text;
  const char* expected;
};

void check(std::initializer_list<Case> cases) {
  for (const Case& c : cases) EXPECT_EQ(dependencies(c.text), c.expected) << c.text;
}

TEST(Dependencies, ComparisonsWithOperands) {
  check({
      {"SELECT * FROM users WHERE id = 1", "users KEY id = ?1"},
      {"SELECT * FROM users WHERE 1 = id", "users KEY id = ?1"},
      {"SELECT * FROM users WHERE id = $1", "users KEY id = $1"},
      {"SELECT * FROM users WHERE id = '5'", "users KEY id = ?1"},
      {"SELECT * FROM users WHERE id = -1", "users KEY id = -?1"},
      {"SELECT * FROM users WHERE id = - - 5", "users KEY id = ?1"},
      {"SELECT * FROM users WHERE id = -(-(5))", "users KEY id = ?1"},
      {"SELECT * FROM users WHERE id = -/* - */5", "users"},
      {"SELECT * FROM users WHERE id = $1::int", "users KEY id = $1"},
      {"SELECT * FROM users WHERE id = 1.5", "users KEY id = ?1"},
      {"SELECT * FROM users WHERE id = 1.5::int", "users KEY id = cast(?1) WHERE id = cast(?1)"},
      {"SELECT * FROM users WHERE score = 1.50 AND team_id = 3000000000",
       "users KEY score = ?1, team_id = ?2"},
      {"SELECT * FROM users WHERE email = 'x' AND active", "users KEY email = ?1, active = 'true'"},
      {"SELECT * FROM users WHERE NOT active", "users WHERE NOT (active = 'true')"},
      {"SELECT * FROM users WHERE code = 'ab'", "users KEY code = ?1"},
      {"SELECT * FROM users WHERE code = 'ab'::text", "users"},
      {"SELECT * FROM users WHERE born = '2024-01-01'::date", "users KEY born = ?1"},
      {"SELECT * FROM users WHERE born = date '2024-01-01'", "users KEY born = ?1"},
      {"SELECT * FROM users WHERE born > '2024-01-01'::timestamp",
       "users WHERE date_gt_timestamp(born, ?1)"},
      {"SELECT * FROM users WHERE id > 5 AND id <= 9 AND id < 100",
       "users RANGE id > ?1 <= ?2 WHERE id < ?3 IF ?1 < ?2 AND ?1 < ?3"},
      {"SELECT * FROM users WHERE 5 < id", "users RANGE id > ?1"},
      {"SELECT * FROM users WHERE id BETWEEN 1 AND 10", "users RANGE id >= ?1 <= ?2 IF ?1 <= ?2"},
      {"SELECT * FROM users WHERE id NOT BETWEEN 1 AND 10", "users WHERE id < ?1 OR id > ?2"},
      {"SELECT * FROM users WHERE id BETWEEN SYMMETRIC 1 AND 10",
       "users WHERE (id >= ?1 AND id <= ?2) OR (id >= ?2 AND id <= ?1)"},
      {"SELECT * FROM users WHERE id <> 1", "users WHERE id <> ?1"},
      {"SELECT * FROM users WHERE id != 1", "users WHERE id <> ?1"},
      {"SELECT * FROM users WHERE id = 1 AND id = 2", "users KEY id = ?1 WHERE id = ?2 IF ?1 = ?2"},
      {"SELECT * FROM users WHERE id OPERATOR(pg_catalog.=) 3", "users KEY id = ?1"},
      {"SELECT * FROM users WHERE (id, team_id) = (1, 2)", "users KEY id = ?1, team_id = ?2"},
      {"SELECT * FROM products WHERE weight = 1.5", "products KEY weight = ?1"},
      {"SELECT * FROM products WHERE weight = '1.5'", "products KEY weight = ?1"},
      {"SELECT * FROM products WHERE uid = '11111111-1111-1111-1111-111111111111'",
       "products KEY uid = ?1"},
  });
}

TEST(Dependencies, Lists) {
  check({
      {"SELECT * FROM users WHERE id IN (1, 2, 3)", "users KEY id IN (?1, ?2, ?3)"},
      {"SELECT * FROM users WHERE id IN (1)", "users KEY id = ?1"},
      {"SELECT * FROM users WHERE id IN ($1, $2, 3)", "users KEY id IN ($1, $2, ?1)"},
      {"SELECT * FROM users WHERE id NOT IN (1, 2)", "users WHERE NOT (id IN (?1, ?2))"},
      {"SELECT * FROM users WHERE id IN (1, NULL)", "users WHERE id = ?1 OR id = NULL"},
      {"SELECT * FROM users WHERE id IN (1, team_id)", "users WHERE id = ?1 OR id = team_id"},
      {"SELECT * FROM users WHERE id = ANY (ARRAY[1, 2])", "users KEY id IN (?1, ?2)"},
      {"SELECT * FROM users WHERE name = ANY (ARRAY['a', 'b'])", "users KEY name IN (?1, ?2)"},
      {"SELECT * FROM users WHERE code = ANY (ARRAY['a', 'b'])", "users"},
      {"SELECT * FROM users WHERE id <> ALL (ARRAY[1, 2])", "users WHERE id <> ?1 AND id <> ?2"},
      {"SELECT * FROM users WHERE id = ANY ($1)",
       "users KEY id = ANY ($1) IF NOT ((NULL = ANY ($1)) IS FALSE)"},
      {"SELECT * FROM users WHERE id = ANY ('{1,2}')",
       "users KEY id = ANY (?1) IF NOT ((NULL = ANY (?1)) IS FALSE)"},
      {"SELECT * FROM users WHERE id IN (1, 2) AND active IS TRUE",
       "users KEY active = 'true', id IN (?1, ?2)"},
  });
}

TEST(Dependencies, Connectives) {
  check({
      {"SELECT * FROM users WHERE id = 1 OR name = 'x'", "users WHERE id = ?1 OR name = ?2"},
      {"SELECT * FROM users WHERE id = 1 OR lower(name) = 'x'",
       "users WHERE id = ?1 OR lower(name) = ?2"},
      {"SELECT * FROM users WHERE id = 1 AND lower(name) = 'x'",
       "users KEY id = ?1 WHERE lower(name) = ?2"},
      {"SELECT * FROM users WHERE NOT (id = 1 OR lower(name) = 'x')",
       "users WHERE NOT ((id = ?1 OR lower(name) = ?2))"},
      {"SELECT * FROM users WHERE NOT (id = 1 AND lower(name) = 'x')",
       "users WHERE NOT ((id = ?1 AND lower(name) = ?2))"},
      {"SELECT * FROM users WHERE name IS NULL", "users WHERE name IS NULL"},
      {"SELECT * FROM users WHERE name IS NOT NULL", "users WHERE NOT (name IS NULL)"},
      {"SELECT * FROM users WHERE active IS NOT TRUE",
       "users WHERE NOT ((active = 'true') IS TRUE)"},
      {"SELECT * FROM users WHERE active IS UNKNOWN", "users WHERE active IS NULL"},
      {"SELECT * FROM users WHERE id = team_id", "users WHERE id = team_id"},
      {"SELECT * FROM users WHERE false", ""},
      {"SELECT * FROM users WHERE name = NULL", "users WHERE name IS NULL"},
      {"SELECT * FROM users WHERE ($1 IS NULL OR name = $1) AND id = $2",
       "users KEY id = $2 WHERE $1 IS NULL OR name = $1"},
  });
}

// Where equality or order is not certainly that of the bytes, nothing is derived.
TEST(Dependencies, Collations) {
  check({
      {"SELECT * FROM users WHERE tag > 'm'", "users RANGE tag > ?1"},
      {"SELECT * FROM users WHERE name > 'm'", "users WHERE name > ?1"},  // evaluates to unknown
      {"SELECT * FROM users WHERE nick = 'm'", "users"},
      {"SELECT * FROM users WHERE name = 'm' COLLATE \"C\"", "users KEY name = ?1"},
      {"SELECT * FROM users WHERE name COLLATE \"C\" = 'm'", "users KEY name = ?1"},
      {"SELECT * FROM users WHERE name = tag AND tag = 'x'",
       "users KEY name = ?1, tag = ?1 WHERE name = tag"},
      {"SELECT * FROM users WHERE name LIKE 'm%'", "users WHERE textlike(name, ?1)"},
  });
  const Analysis analysis =
      testing::analyze_with(testing::shop(), "SELECT 1 FROM users WHERE name > 'm'");
  ASSERT_NE(analysis.cacheable(), nullptr);
  EXPECT_FALSE(analysis.cacheable()->dependencies[0].residual.column.ordered);
}

// Of a document the database's collation orders the strings, whatever a text's that it is cast
// from.
TEST(Dependencies, OrderOfDocuments) {
  const auto is_ordered = [](bool default_is_c, const char* text) {
    pg::Catalog catalog = testing::make_shop_draft();
    catalog.set_default_is_c(default_is_c);
    catalog.finish();
    const Analysis analysis = testing::analyze_with(catalog, text);
    if (analysis.cacheable() == nullptr) return false;
    const Dependency& d = analysis.cacheable()->dependencies[0];
    return d.range ? d.range->column.ordered : d.residual.ordered;
  };
  EXPECT_TRUE(is_ordered(true, "SELECT 1 FROM users WHERE settings > '[1]'"));
  EXPECT_FALSE(is_ordered(false, "SELECT 1 FROM users WHERE settings > '[1]'"));
  EXPECT_FALSE(is_ordered(false, "SELECT 1 FROM users WHERE coalesce(tag::jsonb, '1') > settings"));
}

TEST(Dependencies, TypesWithoutCanonicalForm) {
  check({
      {"SELECT id FROM feelings WHERE id = 3", "feelings KEY id = ?1"},  // a domain
      {"SELECT id FROM feelings WHERE m = 'sad'", "feelings"},
      {"SELECT 1 FROM users WHERE settings = '{}'", "users KEY settings = ?2"},
      {"SELECT 1 FROM users WHERE tags = '{a}'", "users KEY tags = ?2"},
  });
}

// The value of a literal or parameter that is cast to a length binds like any other.
TEST(Dependencies, LengthsInCasts) {
  check({
      {"SELECT id FROM users WHERE email = 'abc'::varchar(2)", "users KEY email = ?1"},
      {"SELECT id FROM users WHERE code = $1::char(2)", "users KEY code = $1"},
      {"SELECT id FROM users WHERE score > 7.25::numeric(5, 1)", "users RANGE score > ?1"},
      {"SELECT id FROM users WHERE email IN ('abc'::varchar(2), 'b')",
       "users KEY email IN (?1, ?2)"},
  });
  const auto shape = [](const char* text) { return scan_shape(text, true).text; };
  EXPECT_NE(shape("SELECT id::varchar(2), 1"), shape("SELECT id::varchar(3), 1"));
  EXPECT_EQ(shape("SELECT id::varchar(2), 1"), shape("SELECT id::varchar(2), 3"));
}

TEST(Dependencies, InnerJoins) {
  check({
      {"SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = $1",
       "users KEY id = $1; orders KEY user_id = $1"},
      {"SELECT * FROM users u, orders o WHERE o.user_id = u.id AND u.id = 5",
       "users KEY id = ?1; orders KEY user_id = ?1"},
      {"SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id IN (1, 2)",
       "users KEY id IN (?1, ?2); orders KEY user_id IN (?1, ?2)"},
      {"SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id > 7",
       "users RANGE id > ?1; orders RANGE user_id > ?1"},
      {"SELECT * FROM users u JOIN orders o ON o.user_id = u.id JOIN order_items i ON i.order_id = "
       "o.id WHERE o.id = 3",
       "users WHERE NOT (id IS NULL); orders KEY id = ?1 WHERE NOT (user_id IS NULL); order_items "
       "KEY order_id = ?1"},
      {"SELECT * FROM users u JOIN orders o ON o.user_id = u.id AND o.status = 'paid'",
       "users WHERE NOT (id IS NULL); orders KEY status = ?1 WHERE NOT (user_id IS NULL)"},
      {"SELECT * FROM users a JOIN users b ON a.team_id = b.team_id WHERE b.id = 1",
       "users WHERE NOT (team_id IS NULL); users KEY id = ?1 WHERE NOT (team_id IS NULL)"},
      {"SELECT * FROM users u CROSS JOIN orders o WHERE u.id = 1", "users KEY id = ?1; orders"},
      // A transitive chain through a third table.
      {"SELECT * FROM users u JOIN orders o ON o.user_id = u.id JOIN products p ON p.id = "
       "o.user_id "
       "WHERE p.id = 9",
       "users KEY id = ?1; orders KEY user_id = ?1; products KEY id = ?1"},
      // Different types are not chained, other operators neither.
      {"SELECT * FROM users u JOIN products p ON p.weight = u.id WHERE u.id = 9",
       "users KEY id = ?1; products WHERE float8eq(weight, cast(?1))"},
      {"SELECT * FROM users u JOIN orders o ON o.user_id >= u.id WHERE u.id = 9",
       "users KEY id = ?1; orders RANGE user_id >= ?1"},
      {"SELECT * FROM users u JOIN orders o ON o.user_id = u.id OR o.id = 4 WHERE u.id = 9",
       "users KEY id = ?2; orders WHERE user_id = ?2 OR id = ?1"},
  });
}

TEST(Dependencies, OuterJoins) {
  check({
      {"SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.id = $1",
       "users KEY id = $1; orders KEY user_id = $1"},
      // ON does not restrict the left side.
      {"SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id AND u.id = 5",
       "users; orders KEY user_id = ?1"},
      // A row of the right side that fails a condition above the join still suppresses the row with
      // NULLs, unless the condition rejects that one too: then the join is an inner one.
      {"SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.id IS NULL",
       "users; orders WHERE NOT (user_id IS NULL)"},
      {"SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.id = 3 OR o.id IS "
       "NULL",
       "users; orders WHERE NOT (user_id IS NULL)"},
      {"SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.total > 5",
       "users WHERE NOT (id IS NULL); orders RANGE total > ?1 WHERE NOT (user_id IS NULL)"},
      {"SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id AND u.active WHERE o.total IS "
       "NOT "
       "NULL AND o.user_id = 3",
       "users KEY id = ?1, active = 'true'; orders KEY user_id = ?1 WHERE NOT (total IS NULL)"},
      {"SELECT * FROM users u LEFT JOIN orders o ON o.id = 3 WHERE o.user_id = u.id AND o.user_id "
       "= 4",
       "users KEY id = ?2; orders KEY user_id = ?2, id = ?1"},
      {"SELECT * FROM users u RIGHT JOIN orders o ON o.user_id = u.id WHERE o.user_id = 3",
       "orders KEY user_id = ?1; users KEY id = ?1"},
      {"SELECT * FROM users u RIGHT JOIN orders o ON o.user_id = u.id WHERE u.id = 3",
       "users KEY id = ?1; orders KEY user_id = ?1"},
      {"SELECT * FROM users u FULL JOIN orders o ON o.user_id = u.id WHERE u.id = 3 AND o.id = 4",
       "users KEY id = ?1; orders KEY user_id = ?1, id = ?2"},
      {"SELECT * FROM users u FULL JOIN orders o ON o.user_id = u.id WHERE u.id = 3",
       "users KEY id = ?1; orders KEY user_id = ?1"},
      {"SELECT * FROM users u FULL JOIN orders o ON o.user_id = u.id AND u.id = 3",
       "users; orders"},
      {"SELECT * FROM users u FULL JOIN orders o ON o.user_id = u.id WHERE u.id = 3 OR o.id = 4",
       "users; orders"},
      // Below a FULL JOIN inner conditions still hold.
      {"SELECT * FROM users u FULL JOIN (SELECT * FROM orders WHERE status = 'x') o ON o.user_id = "
       "u.id WHERE u.id = 3 OR u.id IS NULL",
       "users; orders KEY status = ?1"},
  });
}

TEST(Dependencies, NestedOuterJoins) {
  check({
      {"SELECT * FROM users u LEFT JOIN (orders o JOIN order_items i ON i.order_id = o.id) ON "
       "o.user_id = u.id WHERE u.id = 1 AND i.qty > 3",
       "users KEY id = ?1; orders KEY user_id = ?1 WHERE NOT (id IS NULL); order_items RANGE qty > "
       "?2 WHERE NOT (order_id IS NULL)"},
      {"SELECT * FROM users u LEFT JOIN (orders o JOIN order_items i ON i.order_id = o.id) ON "
       "o.user_id = u.id WHERE u.id = 1 AND i.qty IS NULL",
       "users KEY id = ?1; orders KEY user_id = ?1 WHERE NOT (id IS NULL); order_items WHERE NOT "
       "(order_id IS NULL)"},
      {"SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id LEFT JOIN order_items i ON "
       "i.order_id = o.id WHERE u.id = 1 AND o.id = 2",
       "users KEY id = ?1; orders KEY user_id = ?1, id = ?2; order_items KEY order_id = ?2"},
      {"SELECT * FROM (users u LEFT JOIN orders o ON o.user_id = u.id) JOIN products p ON p.id = "
       "o.id "
       "WHERE p.id = 2 AND u.id = 1",
       "users KEY id = ?2; orders KEY id = ?1, user_id = ?2; products KEY id = ?1"},
      {"SELECT * FROM users u LEFT JOIN (orders o LEFT JOIN order_items i ON i.order_id = o.id AND "
       "o.id = 7) ON o.user_id = u.id WHERE u.id = 1",
       "users KEY id = ?2; orders KEY user_id = ?2; order_items KEY order_id = ?1"},
      {"SELECT * FROM users u FULL JOIN orders o ON o.user_id = u.id LEFT JOIN products p ON p.id "
       "= "
       "u.id WHERE u.id = 5",
       "users KEY id = ?1; orders KEY user_id = ?1; products KEY id = ?1"},
  });
}

TEST(Dependencies, UsingAndNatural) {
  check({
      {"SELECT * FROM users a JOIN users b USING (id) WHERE id = 3",
       "users KEY id = ?1; users KEY id = ?1"},
      {"SELECT * FROM users a LEFT JOIN users b USING (id) WHERE id = 3",
       "users KEY id = ?1; users KEY id = ?1"},
      {"SELECT * FROM users a LEFT JOIN users b USING (id) WHERE b.id = 3",
       "users KEY id = ?1; users KEY id = ?1"},
      {"SELECT * FROM users a RIGHT JOIN users b USING (id) WHERE id = 3",
       "users KEY id = ?1; users KEY id = ?1"},
      {"SELECT * FROM users a FULL JOIN users b USING (id) WHERE id = 3",
       "users KEY id = ?1; users KEY id = ?1"},
      {"SELECT * FROM users a FULL JOIN users b USING (id) WHERE id + 1 = 3", "users; users"},
      {"SELECT * FROM users a JOIN users b USING (id) AS j WHERE j.id = 3",
       "users KEY id = ?1; users KEY id = ?1"},
      {"SELECT * FROM animals NATURAL JOIN cats WHERE id = 3",
       "animals KEY id = ?1 WHERE NOT (name IS NULL); cats KEY id = ?1 WHERE NOT (name IS NULL)"},
  });
}

TEST(Dependencies, WhatStandsAboveTheRowsDoesNotMatter) {
  check({
      {"SELECT count(*) FROM users WHERE team_id = 7", "users KEY team_id = ?1"},
      {"SELECT team_id, max(score) FROM users WHERE active GROUP BY team_id HAVING max(score) > 3",
       "users KEY active = 'true'"},
      {"SELECT DISTINCT name FROM users WHERE id > 3 ORDER BY name LIMIT 5",
       "users RANGE id > ?1 IF NOT ((?2 > '0') IS FALSE)"},
      {"SELECT id, rank() OVER (ORDER BY score) FROM users WHERE team_id = 1",
       "users KEY team_id = ?1"},
      {"SELECT id FROM users WHERE id = 1 UNION SELECT user_id FROM orders WHERE id = 2 ORDER BY "
       "id",
       "users KEY id = ?1; orders KEY id = ?2"},
  });
}

TEST(Dependencies, Subqueries) {
  check({
      {"SELECT * FROM users WHERE id IN (SELECT user_id FROM orders WHERE status = 'paid')",
       "users WHERE NOT (id IS NULL); orders KEY status = ?1 WHERE NOT (user_id IS NULL)"},
      // What holds for the outer row holds where the subquery looks at it.
      {"SELECT * FROM users u WHERE id = 1 AND EXISTS (SELECT 1 FROM orders o WHERE o.user_id = "
       "u.id)",
       "users KEY id = ?1; orders KEY user_id = ?1"},
      {"SELECT * FROM users u WHERE id = 1 AND (active OR NOT EXISTS (SELECT 1 FROM orders o WHERE "
       "o.user_id = u.id))",
       "users KEY id = ?1; orders KEY user_id = ?1"},
      {"SELECT * FROM users u WHERE id = 1 OR EXISTS (SELECT 1 FROM orders o WHERE o.user_id = "
       "u.id)",
       "users; orders WHERE NOT (user_id IS NULL)"},
      {"SELECT (SELECT max(total) FROM orders o WHERE o.user_id = u.id) FROM users u WHERE u.id = "
       "$1",
       "users KEY id = $1; orders KEY user_id = $1"},
      {"SELECT id FROM users u WHERE id = 1 GROUP BY id HAVING count(*) > (SELECT count(*) FROM "
       "orders "
       "o WHERE o.user_id = u.id)",
       "users KEY id = ?1; orders KEY user_id = ?1"},
      // ON is looked at before WHERE.
      {"SELECT * FROM users u LEFT JOIN products p ON EXISTS (SELECT 1 FROM orders o WHERE "
       "o.user_id = "
       "u.id) WHERE u.id = 4",
       "users KEY id = ?2; products; orders KEY user_id = ?2"},
      {"SELECT * FROM users u, LATERAL (SELECT * FROM orders o WHERE o.user_id = u.id) x WHERE "
       "u.id "
       "= 4",
       "users KEY id = ?1; orders KEY user_id = ?1"},
      {"SELECT * FROM users u, LATERAL (SELECT * FROM orders o WHERE o.user_id = u.id LIMIT 1) x "
       "WHERE u.id = 4",
       "users KEY id = ?2; orders KEY user_id = ?2 IF NOT ((?1 > '0') IS FALSE)"},
      {"SELECT * FROM users u LEFT JOIN LATERAL (SELECT count(*) FROM orders o WHERE o.user_id = "
       "u.id) "
       "x ON true WHERE u.id = 4",
       "users KEY id = ?1; orders KEY user_id = ?1"},
      // A name that the subquery lacks belongs to the query around it.
      {"SELECT * FROM users WHERE id = 1 AND EXISTS (SELECT 1 FROM orders WHERE team_id = 3)",
       "users KEY id = ?1, team_id = ?3; orders"},
  });
}

TEST(Dependencies, ColumnsThatASubqueryPassesOn) {
  check({
      {"SELECT * FROM (SELECT id AS x FROM users) s WHERE s.x = 3", "users KEY id = ?1"},
      {"SELECT * FROM (SELECT DISTINCT id FROM users) s WHERE s.id = 3", "users KEY id = ?1"},
      {"SELECT * FROM (SELECT id AS x FROM users LIMIT 5) s WHERE s.x = 3",
       "users IF NOT ((?1 > '0') IS FALSE)"},
      {"SELECT * FROM (SELECT id AS x FROM users OFFSET 5) s WHERE s.x = 3", "users"},
      {"SELECT * FROM (SELECT DISTINCT ON (name) id FROM users) s WHERE s.id = 3", "users"},
      {"SELECT * FROM (SELECT id AS x, rank() OVER (ORDER BY id) FROM users) s WHERE s.x = 3",
       "users"},
      {"SELECT * FROM (SELECT max(id) AS id FROM users) s WHERE s.id = 3", "users"},
      {"SELECT * FROM (SELECT user_id, sum(total) FROM orders GROUP BY user_id) s WHERE user_id = "
       "3",
       "orders KEY user_id = ?1"},
      {"SELECT * FROM (SELECT user_id, sum(total) FROM orders GROUP BY user_id, status HAVING "
       "count(*) > 2) s WHERE user_id = 3",
       "orders KEY user_id = ?2"},
      {"SELECT * FROM (SELECT user_id, sum(total) FROM orders GROUP BY 1) s WHERE user_id = 3",
       "orders"},
      {"SELECT * FROM (SELECT user_id, sum(total) FROM orders GROUP BY ROLLUP (user_id)) s WHERE "
       "user_id = 3",
       "orders"},
      {"SELECT * FROM (SELECT total AS user_id FROM orders GROUP BY user_id, total) s WHERE "
       "user_id = "
       "3",
       "orders KEY total = ?1"},
      {"SELECT * FROM (SELECT user_id, count(*) OVER () FROM orders GROUP BY user_id) s WHERE "
       "user_id = 3",
       "orders"},
      {"SELECT * FROM users u JOIN (SELECT user_id, sum(total) FROM orders WHERE status = 'x' "
       "GROUP BY "
       "user_id) t ON t.user_id = u.id WHERE u.id = 3",
       "users KEY id = ?2; orders KEY user_id = ?2, status = ?1"},
      {"SELECT * FROM users u LEFT JOIN (SELECT * FROM orders WHERE status = 'x') o ON o.user_id = "
       "u.id WHERE u.id = 3",
       "users KEY id = ?2; orders KEY user_id = ?2, status = ?1"},
      {"SELECT * FROM (SELECT id FROM users UNION SELECT user_id FROM orders) s WHERE id = 3",
       "users KEY id = ?1; orders KEY user_id = ?1"},
  });
}

TEST(Dependencies, Ctes) {
  check({
      {"WITH t AS (SELECT id FROM users WHERE team_id = 1) SELECT * FROM t WHERE id = 3",
       "users KEY id = ?2, team_id = ?1"},
      {"WITH t(x) AS (SELECT id FROM users) SELECT * FROM t WHERE x = 3", "users KEY id = ?1"},
      {"WITH t AS (SELECT id FROM users WHERE team_id = 1) SELECT 1", ""},
      // Two references to one CTE are two different rows, and it must give the rows of both.
      {"WITH t AS (SELECT id FROM users) SELECT * FROM t a, t b, orders o WHERE a.id = 5 AND "
       "o.user_id = b.id",
       "users KEY id = ?1; users WHERE NOT (id IS NULL); orders WHERE NOT (user_id IS NULL)"},
      {"WITH t AS (SELECT id FROM users) SELECT * FROM t WHERE id = 3 UNION SELECT * FROM t",
       "users KEY id = ?1; users"},
      {"WITH RECURSIVE t AS (SELECT id FROM users WHERE id = 1 UNION ALL SELECT o.user_id FROM "
       "orders "
       "o JOIN t ON o.id = t.id WHERE o.status = 'x') SELECT * FROM t WHERE id = 7",
       "users KEY id = ?1; orders KEY status = ?2 WHERE NOT (id IS NULL)"},
      // A WITH name hides the table; inside its own query it does not.
      {"WITH users AS (SELECT id FROM products WHERE kind = 'k') SELECT * FROM users WHERE id = 2",
       "products KEY id = ?2, kind = ?1"},
      {"WITH users AS (SELECT * FROM users WHERE id = 1) SELECT * FROM users", "users KEY id = ?1"},
      {"WITH users AS (SELECT 1) SELECT * FROM public.users", "users"},
  });
}

// Columns of set operations have the type that their branches share.
TEST(Dependencies, TypesOfSetOperations) {
  check({
      {"SELECT x FROM (SELECT id AS x FROM users UNION SELECT price FROM products) s WHERE x = 3",
       "users KEY id = ?1; products KEY price = ?1"},
      {"SELECT x FROM (SELECT id AS x FROM users UNION ALL SELECT team_id FROM users) s "
       "WHERE x > 3",
       "users RANGE id > ?1; users RANGE team_id > ?1"},
      {"SELECT x FROM (SELECT id AS x FROM users UNION ALL SELECT NULL) s WHERE x = 3",
       "users KEY id = ?1"},
      {"SELECT x FROM (SELECT '7' AS x UNION ALL SELECT id FROM users) s WHERE x = 3",
       "users KEY id = ?2"},
      // Among floats, numbers are compared as floats.
      {"SELECT x FROM (SELECT id AS x FROM users UNION SELECT weight FROM products) s WHERE x = 3",
       "users KEY cast(id) = ?1 WHERE cast(id) = ?1; products KEY weight = ?1"},
      {"SELECT x FROM (SELECT born AS x FROM users UNION SELECT created_at FROM users) s "
       "WHERE x > '2024-01-01Z'",
       "users; users RANGE created_at > ?1"},
      {"SELECT x FROM (SELECT id AS x FROM users UNION ALL (SELECT team_id FROM users UNION SELECT "
       "weight FROM products)) s WHERE x = 3",
       "users KEY cast(id) = ?1 WHERE cast(id) = ?1; users KEY cast(team_id) = ?1 WHERE "
       "cast(team_id) = ?1; products KEY weight = ?1"},
      {"SELECT x FROM (SELECT DISTINCT id AS x FROM users UNION SELECT weight FROM products) s "
       "WHERE x = 3",
       "users; products KEY weight = ?1"},
      {"SELECT x FROM (VALUES (1), (2.5)) v(x), users WHERE id = x",
       "users WHERE NOT (id IS NULL)"},
  });
}

// A row counts where the other side may have an equal one.
TEST(Dependencies, WhatOneSideOfASetOperationTellsOfTheOther) {
  check({
      {"SELECT id FROM users WHERE id = 1 INTERSECT SELECT user_id FROM orders",
       "users KEY id = ?1; orders KEY user_id = ?1"},
      {"SELECT user_id FROM orders INTERSECT SELECT id FROM users WHERE id > 5",
       "orders RANGE user_id > ?1; users RANGE id > ?1"},
      {"SELECT id FROM users WHERE id = 1 EXCEPT ALL SELECT user_id FROM orders",
       "users KEY id = ?1; orders KEY user_id = ?1"},
      {"SELECT user_id FROM orders EXCEPT SELECT id FROM users WHERE id = 1",
       "orders; users KEY id = ?1"},
      {"SELECT id FROM users WHERE id = 1 UNION SELECT user_id FROM orders",
       "users KEY id = ?1; orders"},
      {"SELECT id FROM users WHERE id = 1 INTERSECT SELECT user_id FROM orders EXCEPT SELECT id "
       "FROM "
       "users",
       "users KEY id = ?1; orders KEY user_id = ?1; users KEY id = ?1"},
      {"SELECT id, count(*) FROM users WHERE id = 1 GROUP BY id INTERSECT SELECT user_id, count(*) "
       "FROM orders GROUP BY user_id",
       "users KEY id = ?1; orders KEY user_id = ?1"},
      // Where there is nothing on one side.
      {"SELECT id FROM users WHERE false INTERSECT SELECT user_id FROM orders", ""},
      {"SELECT id FROM users WHERE $1 = 5 EXCEPT SELECT user_id FROM orders",
       "users IF $1 = ?1; orders IF $1 = ?1"},
      // It pushes another out.
      {"SELECT id FROM users WHERE id = 1 INTERSECT (SELECT user_id FROM orders ORDER BY 1 LIMIT "
       "2)",
       "users KEY id = ?1; orders IF NOT ((?3 > '0') IS FALSE)"},
      // What is required is not shown, or compared as another type, or may look different.
      {"SELECT id FROM users WHERE team_id = 1 INTERSECT SELECT user_id FROM orders",
       "users KEY team_id = ?1; orders"},
      {"SELECT id FROM users WHERE id = 1 INTERSECT SELECT price FROM products",
       "users KEY id = ?1; products"},
      {"SELECT code FROM users WHERE code = 'a' INTERSECT SELECT code FROM users",
       "users KEY code = ?1; users"},
  });
}

// An IN list is an array of the type that all of it share: with a float, floats are compared.
TEST(Dependencies, FloatsInLists) {
  check({
      {"SELECT id FROM products WHERE weight IN (1, 2.5)", "products KEY weight IN (?1, ?2)"},
      {"SELECT id FROM users WHERE id IN (1, 2.5)", "users KEY id IN (?1, ?2)"},
      {"SELECT id FROM users WHERE id IN (1, '2.5'::float8)",
       "users WHERE float8eq(cast(id), ?1) OR float8eq(cast(id), ?2)"},
      {"SELECT id FROM users WHERE id = ANY (ARRAY[1, '2.5'::float8])",
       "users WHERE float8eq(cast(id), ?1) OR float8eq(cast(id), ?2)"},
      {"SELECT id FROM users WHERE id = '2.5'::float8", "users WHERE float8eq(cast(id), ?1)"},
  });
}

TEST(Dependencies, Views) {
  check({
      {"SELECT * FROM active_users WHERE id = 5",
       "users KEY id = ?1, active = 'true' RANGE score > '1'"},
      {"SELECT * FROM user_totals WHERE id = 5", "users KEY id = ?1; orders KEY user_id = ?1"},
      {"SELECT * FROM user_totals WHERE total = 5", "users; orders WHERE NOT (user_id IS NULL)"},
      {"SELECT * FROM nested_view WHERE uid = 5",
       "users KEY id = ?1, name = 'x', active = 'true' RANGE score > '1'"},
      {"SELECT * FROM active_users a JOIN active_users b ON a.id = b.id WHERE a.id = 1",
       "users KEY id = ?1, active = 'true' RANGE score > '1'; "
       "users KEY id = ?1, active = 'true' RANGE score > '1'"},
  });
}

TEST(Dependencies, FunctionsInFrom) {
  check({
      {"SELECT * FROM generate_series(1, 3)", ""},
      {"SELECT g.n, u.name FROM generate_series(1, 3) AS g(n) JOIN users u ON u.id = g.n", "users"},
      {"SELECT * FROM users u CROSS JOIN LATERAL unnest(u.tags) AS t WHERE id = 7",
       "users KEY id = ?1"},
      {"SELECT u.id FROM users u, ROWS FROM (generate_series(1, 2), unnest(u.tags)) WITH "
       "ORDINALITY "
       "AS t(a, b, o) WHERE u.id = 7 AND t.a = 3",
       "users KEY id = ?3"},
  });
}

TEST(Dependencies, ColumnsRead) {
  EXPECT_EQ(with_columns("SELECT count(*) FROM animals"), "animals []");
  EXPECT_EQ(with_columns("SELECT name FROM users WHERE id = 1"), "users KEY id = ?1 [id name]");
  EXPECT_EQ(with_columns("SELECT * FROM animals"), "animals");
  EXPECT_EQ(with_columns("SELECT a FROM animals a"), "animals");
  EXPECT_EQ(with_columns("SELECT a.* FROM animals a, users u"), "animals; users []");
  EXPECT_EQ(with_columns("SELECT b FROM users AS u(a, b) WHERE a = 3"),
            "users KEY id = ?1 [id name]");
  EXPECT_EQ(with_columns("SELECT 1 FROM animals JOIN cats USING (id)"),
            "animals WHERE NOT (id IS NULL) [id]; cats WHERE NOT (id IS NULL) [id]");
  EXPECT_EQ(with_columns("SELECT 1 FROM animals NATURAL JOIN cats"),
            "animals WHERE NOT (id IS NULL) AND NOT (name IS NULL); cats WHERE NOT (id IS NULL) "
            "AND NOT (name IS NULL)");
  EXPECT_EQ(with_columns("SELECT x FROM (SELECT name AS x FROM animals) s"), "animals [name]");
  EXPECT_EQ(with_columns("SELECT max(id) FROM users ORDER BY max(score)"), "users [id score]");
  EXPECT_EQ(with_columns("SELECT 1 AS team_id FROM users GROUP BY team_id"), "users [team_id]");
  EXPECT_EQ(with_columns("SELECT array_agg(id ORDER BY name) FILTER (WHERE active) FROM users"),
            "users [id name active]");
  EXPECT_EQ(with_columns("SELECT sum(id) OVER w FROM users WINDOW w AS (PARTITION BY team_id)"),
            "users [id team_id]");
  EXPECT_EQ(with_columns("SELECT DISTINCT ON (team_id) name FROM users"), "users [name team_id]");
  // Any of these may be a column of the function, or the outer one.
  EXPECT_EQ(with_columns("SELECT (SELECT name FROM jsonb_array_elements('[]') j) FROM users"),
            "users [name]");
}

TEST(Dependencies, Partitions) {
  const Analysis root = testing::analyze_with(testing::shop(), "SELECT * FROM parts WHERE k = 1");
  ASSERT_NE(root.cacheable(), nullptr);
  const Dependency& r = root.cacheable()->dependencies[0];
  EXPECT_EQ(r.members, (std::vector{testing::kParts, testing::kParts1, testing::kParts2}));
  EXPECT_EQ(root.cacheable()->relations, r.members);
  const Analysis part = testing::analyze_with(testing::shop(), "SELECT * FROM parts_1");
  ASSERT_NE(part.cacheable(), nullptr);
  EXPECT_EQ(part.cacheable()->dependencies[0].members,
            (std::vector{testing::kParts1, testing::kParts}));
  EXPECT_EQ(part.cacheable()->relations, (std::vector{testing::kParts1}));
  const Analysis parent = testing::analyze_with(testing::shop(), "SELECT * FROM animals");
  ASSERT_NE(parent.cacheable(), nullptr);
  EXPECT_EQ(parent.cacheable()->relations, (std::vector{testing::kAnimals, testing::kCats}));
  const Analysis only = testing::analyze_with(testing::shop(), "SELECT * FROM ONLY animals");
  ASSERT_NE(only.cacheable(), nullptr);
  EXPECT_EQ(only.cacheable()->dependencies[0].members, (std::vector{testing::kAnimals}));
}

// Which passes made each dependency what it is.
TEST(Dependencies, Passes) {
  const auto passes = [](const char* text) {
    AnalysisContext context;
    context.catalog = &testing::shop();
    context.search_path = {testing::kPgCatalogSchema, testing::kPublic};
    context.trace_passes = true;
    const Analysis analysis = analyze(text, scan_shape(text, true), context);
    std::string out;
    for (const Dependency& dependency : analysis.cacheable()->dependencies) {
      if (!out.empty()) out += "; ";
      out += testing::shop().find_relation(dependency.relation)->name;
      for (const std::string& pass : dependency.passes) out += " " + pass;
    }
    return out;
  };
  EXPECT_EQ(passes("SELECT id FROM users WHERE active"), "users find_shown");
  EXPECT_EQ(passes("SELECT name FROM users WHERE active"), "users");
  EXPECT_EQ(passes("SELECT count(*) FROM users WHERE id = 3"), "users");
  EXPECT_EQ(passes("SELECT o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 3"),
            "users find_partners; orders propagate_equalities find_partners find_shown");
  EXPECT_EQ(passes("SELECT count(*) FROM (SELECT * FROM orders) o JOIN users u ON u.id = 5 AND "
                   "u.score = 1 WHERE o.user_id = 7"),
            "orders prune_outputs find_partners; users find_partners");
  EXPECT_EQ(passes("SELECT count(*) FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE "
                   "o.total > 5 AND u.score = 1"),
            "users reduce_outer_joins find_partners; orders reduce_outer_joins find_partners");
}

TEST(Dependencies, DeclaredParameterTypes) {
  using namespace pg::type;  // NOLINT
  const char* by_id = "SELECT * FROM users WHERE id = $1";
  EXPECT_EQ(dependencies(by_id, {kInt8}), "users KEY id = $1");
  EXPECT_EQ(dependencies(by_id, {kNumeric}), "users KEY id = $1");
  EXPECT_EQ(dependencies(by_id, {kFloat8}), "users WHERE float8eq(cast(id), $1)");
  EXPECT_EQ(dependencies("SELECT * FROM users WHERE email = $1", {kText}), "users KEY email = $1");
  EXPECT_EQ(dependencies("SELECT * FROM users WHERE name = $1", {kVarchar}), "users KEY name = $1");
  EXPECT_EQ(dependencies("SELECT * FROM users WHERE code = $1", {kText}), "users");
  EXPECT_EQ(dependencies("SELECT * FROM users WHERE code = $1", {kBpchar}), "users KEY code = $1");
  EXPECT_EQ(dependencies("SELECT * FROM users WHERE created_at = $1", {kDate}), "users");
  EXPECT_EQ(dependencies("SELECT * FROM users WHERE id = $1::int", {kText}), "users KEY id = $1");
  EXPECT_EQ(dependencies("SELECT * FROM users WHERE id = $1::int", {kFloat8}),
            "users KEY id = cast($1) WHERE id = cast($1)");
}

TEST(Dependencies, InferredParameterTypes) {
  const auto types = [](const char* text) {
    const Analysis analysis = testing::analyze_with(testing::shop(), text);
    return analysis.cacheable() == nullptr ? std::vector<pg::Oid>{}
                                           : analysis.cacheable()->parameter_types;
  };
  using namespace pg::type;  // NOLINT
  EXPECT_EQ(types("SELECT 1 FROM users WHERE email = $1 AND id = $2 LIMIT $3"),
            (std::vector{kText, kInt4, kInt8}));
  EXPECT_EQ(types("SELECT 1 FROM users WHERE id = $1 AND team_id = $1"),
            (std::vector{pg::Oid::kInvalid}));
  EXPECT_EQ(dependencies("SELECT 1 FROM users WHERE id = $1 AND team_id = $1"), "users");
  EXPECT_EQ(types("SELECT $1::date, $2 FROM users WHERE born = $1"),
            (std::vector{kDate, pg::Oid::kInvalid}));
}

}  // namespace
}  // namespace pgcache::sql
