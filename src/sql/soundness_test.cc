// SPDX-License-Identifier: Apache-2.0
// Claims that would be wrong, each found by the test of soundness (soundness_pgtest.cc).
#include <gtest/gtest.h>

#include "sql/analysis_support.h"

namespace pgcache::sql::testing {
namespace {

struct Case {
  const char* text;
  const char* expected;
};

void check(std::initializer_list<Case> cases) {
  for (const Case& c : cases) EXPECT_EQ(with_columns(c.text), c.expected) << c.text;
}

// An aggregate without keys has a group even where no row fulfils WHERE.
TEST(Soundness, GroupsWithoutRows) {
  check({
      {"SELECT count(*), (SELECT max(id) FROM orders) FROM users WHERE false", "orders [id]"},
      {"SELECT 1 FROM users WHERE id = 1 AND id = 2 HAVING EXISTS (SELECT 1 FROM orders)",
       "orders []; users KEY id = ?2 WHERE id = ?3 IF ?2 = ?3 [id]"},
      {"SELECT count(*), (SELECT max(id) FROM orders) FROM users WHERE false GROUP BY ROLLUP (id)",
       "orders [id]"},
      {"SELECT count(*) FROM users WHERE false AND id IN (SELECT user_id FROM orders)", ""},
      {"SELECT id, (SELECT max(id) FROM orders) FROM users WHERE false GROUP BY id", ""},
      {"SELECT u2.name, s.n FROM users u, users u2,"
       " LATERAL (SELECT u.id AS c, count(*) AS n FROM orders WHERE u.id = 1) s WHERE u2.id = s.c",
       "users [id]; users WHERE NOT (id IS NULL) [id name]; orders []"},
  });
}

// The query that an aggregate belongs to is the one whose columns it reads.
TEST(Soundness, AggregatesOfOuterQueries) {
  check({
      {"SELECT (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u WHERE u.id = 1",
       "users KEY id = ?1 [id]; orders KEY user_id = ?1 [user_id]"},
      {"SELECT (SELECT max(o.id) FROM orders o WHERE o.user_id = u.id) FROM users u WHERE u.id = 1",
       "users KEY id = ?1 [id]; orders KEY user_id = ?1 [id user_id]"},
      {"SELECT (SELECT max(u.id) FROM orders o WHERE o.id = 3) FROM users u WHERE u.id = 1",
       "orders KEY id = ?1 [id]; users KEY id = ?2 [id]"},
  });
}

// What ORDER BY, GROUP BY and DISTINCT name among the outputs is looked at.
TEST(Soundness, OutputsByNameAndPlace) {
  check({
      {"SELECT q.id FROM (SELECT id, total FROM orders ORDER BY total, id LIMIT 1) q",
       "orders IF NOT ((?1 > '0') IS FALSE) [id total]"},
      {"SELECT q.id FROM (SELECT id, total AS t FROM orders ORDER BY t, id LIMIT 1) q",
       "orders IF NOT ((?1 > '0') IS FALSE) [id total]"},
      {"SELECT q.id FROM (SELECT id, total FROM orders ORDER BY 2 LIMIT 1) q",
       "orders IF NOT ((?2 > '0') IS FALSE) [id total]"},
      {"SELECT count(*) FROM (SELECT max(id), total FROM orders GROUP BY 2) q",
       "orders [id total]"},
      {"SELECT 1 FROM users WHERE EXISTS (SELECT total FROM orders GROUP BY 1 OFFSET 1)",
       "users []; orders [total]"},
      {"SELECT 1 FROM users WHERE EXISTS (SELECT DISTINCT total FROM orders OFFSET 1)",
       "users []; orders [total]"},
      {"SELECT 1 FROM users WHERE EXISTS (SELECT DISTINCT total FROM orders)",
       "users []; orders []"},
  });
}

const Dependency& only_dependency(const Analysis& analysis) {
  return analysis.cacheable()->dependencies.at(0);
}

// A row that DISTINCT ON, LIMIT or a set of no rows leaves out still counts for a window function.
TEST(Soundness, ShownKeysBesideWindows) {
  const auto shows = [](const char* text) {
    return !only_dependency(analyze_with(shop(), text)).shown.columns.empty();
  };
  EXPECT_TRUE(shows("SELECT id, count(*) OVER () FROM users"));
  EXPECT_TRUE(shows("SELECT DISTINCT ON (team_id) id FROM users"));
  EXPECT_TRUE(shows("SELECT id FROM users LIMIT 1"));
  EXPECT_FALSE(shows("SELECT DISTINCT ON (team_id) id, count(*) OVER () FROM users"));
  EXPECT_FALSE(shows("SELECT id, count(*) OVER () FROM users LIMIT 1"));
  EXPECT_FALSE(shows("SELECT id, generate_series(1, id), count(*) OVER () FROM users"));
}

// Of texts that are equal and not the same, a group or a set operation shows one.
TEST(Soundness, ShownKeysThatAreOneOfSeveral) {
  const auto shows = [](const std::string& text) {
    return !only_dependency(analyze_with(shop(), text)).shown.columns.empty();
  };
  const auto both_ways = [&](const std::string& before, const std::string& behind) {
    EXPECT_TRUE(shows(before + "name" + behind)) << before;
    EXPECT_FALSE(shows(before + "nick" + behind)) << before;
  };
  both_ways("SELECT ", " FROM users INTERSECT SELECT name FROM users");
  both_ways("SELECT ", " FROM users EXCEPT SELECT name FROM users");
  EXPECT_TRUE(
      shows("SELECT u.name, count(*) FROM users u JOIN orders o ON o.user_id = u.id "
            "GROUP BY u.name"));
  EXPECT_FALSE(
      shows("SELECT u.nick, count(*) FROM users u JOIN orders o ON o.user_id = u.id "
            "GROUP BY u.nick"));
}

// A constant of a subquery on the extended side of an outer join is NULL where there is no row.
TEST(Soundness, ConstantsAboveOuterJoins) {
  check({
      {"SELECT u.id FROM users u LEFT JOIN (SELECT user_id, 2 AS c FROM orders) o ON o.user_id = "
       "u.id "
       "WHERE o.c IS NOT NULL",
       "users [id]; orders WHERE NOT (user_id IS NULL) [user_id]"},
      {"SELECT u.id FROM users u LEFT JOIN (SELECT id, 2 AS c FROM orders) o ON o.id = u.team_id "
       "WHERE o.c IS NOT NULL",
       "users [id team_id]; orders WHERE NOT (id IS NULL) [id]"},
      {"SELECT u.id FROM users u LEFT JOIN (SELECT 2 AS c FROM orders) o ON true WHERE o.c IS NOT "
       "NULL",
       "users [id]; orders [id]"},
  });
  const Analysis analysis = analyze_with(
      shop(),
      "SELECT u.id FROM users u LEFT JOIN (SELECT user_id, 2 AS c FROM orders) o ON o.user_id = "
      "u.id WHERE o.c IS NOT NULL");
  EXPECT_TRUE(analysis.cacheable()->dependencies.at(1).shown.columns.empty());
}

// x = NULL is NULL, not false, unless NULLs count as equal.
TEST(Soundness, ComparisonsWithNull) {
  const Analysis analysis = analyze_with(
      shop(), "SELECT id FROM users WHERE score >= 2 OR (id = 2) = (id = NULL::numeric)");
  EXPECT_EQ(show(analysis, shop(), false), "users");
  EXPECT_FALSE(only_dependency(analysis).columns_shown);
  check({{"SELECT id FROM users WHERE id = NULL", "users WHERE id IS NULL [id]"},
         {"SELECT id FROM users WHERE NOT (id = NULL)", "users [id]"}});
}

// NULLIF gives what the operator takes.
TEST(Soundness, TypeOfNullIf) {
  check({
      {"SELECT id FROM users WHERE nullif(id, 1) / 2 = 1",
       "users WHERE int4div(nullif(id, ?1), ?2) = ?3 [id]"},
      {"SELECT id FROM users WHERE nullif(id, 1.5) / 2 = 1",
       "users WHERE numeric_div(nullif(id, ?1), ?2) = ?3 [id]"},
  });
}

// Bytes are in the order of the collation that compares, not of the column that is looked at.
TEST(Soundness, Collations) {
  check({
      {"SELECT b.id FROM users a JOIN users b ON a.name = b.tag WHERE b.tag > 'm'",
       "users WHERE name > ?1 [name]; users RANGE tag > ?1 [id tag]"},
      {"SELECT b.id FROM users a JOIN users b ON a.name = b.tag WHERE a.name > 'm'",
       "users WHERE name > ?1 [name]; users WHERE tag > ?1 [id tag]"},
      {"SELECT id FROM users WHERE lower(name COLLATE \"C\") = 'm'",
       "users KEY lower(name) = ?1 WHERE lower(name) = ?1 [id name]"},
      {"SELECT id FROM users WHERE lower(name) COLLATE \"C\" = 'm'", "users [id name]"},
      {"SELECT id FROM users WHERE nick COLLATE \"C\" = 'm'", "users KEY nick = ?1 [id nick]"},
      {"SELECT * FROM (SELECT nick, count(*) FROM users GROUP BY nick) s"
       " WHERE nick COLLATE \"C\" = 'm'",
       "users [nick]"},
      {"SELECT * FROM (SELECT DISTINCT nick FROM users) s WHERE nick COLLATE \"C\" = 'm'",
       "users [nick]"},
      {"SELECT * FROM (SELECT nick FROM users UNION SELECT nick FROM users) s"
       " WHERE nick COLLATE \"C\" = 'm'",
       "users [nick]; users [nick]"},
      {"SELECT count(*) FROM users GROUP BY nick HAVING nick COLLATE \"C\" = 'm'", "users [nick]"},
      {"SELECT count(*) FROM users GROUP BY tag HAVING tag COLLATE \"C\" = 'm'",
       "users KEY tag = ?1 [tag]"},
  });
}

// An array that is a column of the row binds nothing.
TEST(Soundness, ArraysOfColumns) {
  check({
      {"SELECT id FROM users WHERE name = ANY (tags)",
       "users WHERE name = ANY (tags) [id name tags]"},
      {"SELECT id FROM users WHERE name = ANY ($1)",
       "users KEY name = ANY ($1) IF NOT ((NULL = ANY ($1)) IS FALSE) [id name]"},
  });
}

// What a cast gives may be taken as another type; it is still what the cast gave.
TEST(Soundness, CastsOfCasts) {
  check({
      {"SELECT id FROM users WHERE coalesce(score, $1::numeric::int) = id",
       "users WHERE coalesce(score, cast(cast($1))) = id [id score]"},
  });
}

// A child of `column`, the key of its parent.
std::string dependencies_of_child(pg::Oid column, const char* text) {
  pg::Catalog catalog = make_shop_draft();
  pg::Relation parent = make_relation(pg::Oid{16601}, "parent", {{"k", column}, {"v", column}});
  parent.columns[0].not_null = true;
  parent.unique_keys = {{{"k"}}};
  pg::Relation child = make_relation(pg::Oid{16602}, "child", {{"id", column}, {"k", column}});
  child.columns[1].not_null = true;
  child.foreign_keys = {{{"k"}, parent.oid, {"k"}}};
  catalog.add_relation(parent);
  catalog.add_relation(child);
  catalog.finish();
  return show(analyze_with(catalog, text), catalog, true);
}

// The parent's spelling may change under the child's reference where equal values differ in theirs.
TEST(Soundness, ShownKeysOfParents) {
  const char* const shown = "SELECT c.id, p.k FROM child c JOIN parent p ON p.k = c.k";
  const char* const joined = "SELECT c.id FROM child c JOIN parent p ON p.k = c.k";
  for (const pg::Oid exact : {pg::type::kInt4, pg::type::kText, pg::type::kUuid, pg::type::kDate}) {
    EXPECT_EQ(dependencies_of_child(exact, shown), "child");
  }
  for (const pg::Oid loose :
       {pg::type::kNumeric, pg::type::kFloat8, pg::type::kBpchar, pg::type::kInterval}) {
    EXPECT_EQ(dependencies_of_child(loose, shown), "child; parent [k]");
    EXPECT_EQ(dependencies_of_child(loose, joined), "child [id]");
  }
}

}  // namespace
}  // namespace pgcache::sql::testing
