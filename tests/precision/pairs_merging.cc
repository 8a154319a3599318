// SPDX-License-Identifier: Apache-2.0
// Conditions on one column taken together; conditions that are never or always true; what a query
// names but does not need.
#include "precision/pair.h"

namespace pgcache::precision {

using enum Outcome;

namespace {

const char* const kNewItem = "INSERT INTO item (id, grp, v, w) VALUES (51, 2, 7, 1)";
const char* const kAllItems = "TRUNCATE item";

// No row can be in the result: nothing that happens to the table matters.
std::vector<Change> about_nothing() {
  return {{"new row", kKept, kNewItem},
          {"changed row", kKept, "UPDATE item SET grp = 2, v = 7, w = 3 WHERE id = 1"},
          {"truncated", kKept, kAllItems}};
}

void add_never_true(Pairs& pairs) {
  const char* const nothing[][2] = {
      {"two keys at once", "SELECT * FROM item WHERE id = 1 AND id = 2"},
      {"an empty range", "SELECT * FROM item WHERE v > 5 AND v < 3"},
      {"a value outside a list", "SELECT * FROM item WHERE grp IN (1, 2) AND grp = 5"},
      {"a value outside a range", "SELECT * FROM item WHERE grp BETWEEN 1 AND 3 AND grp = 5"},
      {"two lists without a common value",
       "SELECT * FROM item WHERE grp IN (1, 2) AND grp IN (3, 4)"},
      {"false", "SELECT * FROM item WHERE false"},
      {"NULL", "SELECT * FROM item WHERE grp = 2 AND NULL"},
      {"comparison with NULL", "SELECT * FROM item WHERE grp = NULL"},
      {"NULL and a value", "SELECT * FROM item WHERE v IS NULL AND v = 7"},
      {"NULL in a key", "SELECT * FROM item WHERE id IS NULL"},
      {"NULL in a column that has none", "SELECT * FROM item WHERE w IS NULL AND grp = 2"},
      {"differs from itself", "SELECT * FROM item WHERE w <> w"},
      {"LIMIT 0", "SELECT id, grp FROM item LIMIT 0"},
      {"aggregate of nothing", "SELECT count(*), max(v) FROM item WHERE id = 1 AND id = 2"},
      {"through an equality of columns", "SELECT * FROM item WHERE grp = v AND grp = 2 AND v = 3"},
      {"from outside a derived table",
       "SELECT * FROM (SELECT id, grp FROM item WHERE grp = 2) q WHERE q.grp = 3"},
      {"from outside a view", "SELECT * FROM grp_two WHERE grp = 3"},
      {"a branch of a union",
       "SELECT id FROM task WHERE grp = 2 UNION ALL SELECT id FROM item WHERE v > 5 AND v < 3"},
      {"an empty side of a join",
       "SELECT i.id FROM item i JOIN task t ON t.v = i.v WHERE t.grp = 2 AND t.grp = 3"},
      {"a nullable side that never matches",
       "SELECT o.id, i.id FROM owner o LEFT JOIN item i ON i.id = o.id AND i.grp = 1 AND "
       "i.grp = 2"},
      {"EXISTS of nothing",
       "SELECT o.id FROM owner o WHERE NOT EXISTS (SELECT FROM item i WHERE i.id = o.id AND "
       "i.grp = 1 AND i.grp = 2)"},
  };
  for (const auto& [name, query] : nothing) {
    add(pairs, std::string("provably empty: ") + name, query, about_nothing());
  }
  add(pairs, "provably empty: two parameters", "SELECT * FROM item WHERE grp = $1 AND grp = $2",
      about_nothing(), {"2", "3"});
  add(pairs, "not empty: two parameters", "SELECT * FROM item WHERE grp = $1 AND grp = $2",
      {{"new row", kInvalidated, kNewItem},
       {"a row of another group", kKept, "UPDATE item SET v = 99 WHERE id = 16"}},
      {"2", "2"});
  add(pairs, "provably empty: an empty range, parameters",
      "SELECT * FROM item WHERE v > $1 AND v < $2", about_nothing(), {"9", "5"});
}

void add_always_true(Pairs& pairs) {
  add(pairs, "always true: NOT NULL", "SELECT id, grp FROM item WHERE w IS NOT NULL AND grp = 2",
      {{"a row of it", kInvalidated, "UPDATE item SET grp = 3 WHERE id = 11"},
       {"the column itself", kKept, "UPDATE item SET w = 99 WHERE id = 11"},
       {"a row elsewhere", kKept, "UPDATE item SET grp = 3 WHERE id = 21"}});
  add(pairs, "always true: equals itself", "SELECT id FROM item WHERE w = w AND grp = 2",
      {{"a row of it", kInvalidated, "UPDATE item SET grp = 3 WHERE id = 11"},
       {"the column itself", kKept, "UPDATE item SET w = 99 WHERE id = 11"}});
  add(pairs, "always true: an alternative", "SELECT id FROM item WHERE w IS NOT NULL OR v = 7",
      {{"any new row", kInvalidated, "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 9, 1)"},
       {"the columns", kKept, "UPDATE item SET w = 99, v = 99 WHERE id = 11"}});
  add(pairs, "never true: an alternative", "SELECT id FROM item WHERE w IS NULL OR grp = 2",
      {{"the other one", kInvalidated, "UPDATE item SET grp = 2 WHERE id = 1"},
       {"the column itself", kKept, "UPDATE item SET w = 99 WHERE id = 1"},
       {"a row elsewhere", kKept, "UPDATE item SET grp = 3 WHERE id = 1"}});
  add(pairs, "never true: NULL in a key that an outer join makes NULL",
      "SELECT o.id FROM owner o LEFT JOIN item i ON i.id = o.id WHERE i.id IS NULL",
      {{"a partner leaves", kInvalidated, "DELETE FROM item WHERE id = 3"},
       {"a row that is none", kKept, "UPDATE item SET v = 99 WHERE id = 3"}});
}

// What looks contradictory, or always true, and is not.
void add_traps(Pairs& pairs) {
  const std::string null_v = "UPDATE item SET v = NULL WHERE id = 25";
  const std::string a_value = "UPDATE item SET v = 26 WHERE id = 25";
  const char* const of_null[] = {
      "(v = 1 AND v = 2) IS NOT FALSE",
      "(v > 5 AND v < 3) IS NULL",
      "(v = v) IS NOT TRUE",
      "(v <> v) IS DISTINCT FROM false",
      "NOT ((v = 1 AND v = 2) IS FALSE)",
      "CASE WHEN v = 1 AND v = 2 THEN false WHEN v = v THEN false ELSE true END"};
  for (const char* condition : of_null) {
    add(pairs, std::string("NULL makes it true: ") + condition,
        std::string("SELECT id FROM item WHERE ") + condition,
        {{"NULL comes", kInvalidated, null_v}, {"another value comes", kKept, a_value}});
  }
  add(pairs, "NULL of a column that has none: ROLLUP",
      "SELECT * FROM (SELECT grp, count(*) AS n FROM item GROUP BY ROLLUP (grp)) q WHERE "
      "q.grp IS NULL",
      {{"any new row", kInvalidated, kNewItem}});
  add(pairs, "NULL of a column that has none: aggregate of nothing",
      "SELECT * FROM (SELECT max(w) AS m FROM item WHERE grp = 9) q WHERE q.m IS NULL",
      {{"a row comes", kInvalidated, "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 7, 1)"},
       {"a row elsewhere", kKept, kNewItem}});
  add(pairs, "NULL of a column that has none: scalar subquery",
      "SELECT o.id FROM owner o WHERE (SELECT i.w FROM item i WHERE i.id = o.id + 45) IS NULL",
      {{"a row comes", kInvalidated, "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 7, 1)"}});
  add(pairs, "NULL of a column that has none: outer join inside",
      "SELECT * FROM (SELECT o.id, t.id AS task FROM owner o LEFT JOIN task t ON "
      "t.owner_id = o.id AND t.grp = 2) q WHERE q.task IS NULL",
      {{"a partner comes", kInvalidated, "INSERT INTO task VALUES (50, 8, NULL, 2, 50, 'n')"},
       {"no partner", kKept, "INSERT INTO task VALUES (50, 8, NULL, 3, 50, 'n')"}});
  add(pairs, "nothing below an aggregate is something", "SELECT count(*) FROM item WHERE grp = 9",
      {{"a row comes", kInvalidated, "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 7, 1)"}});
  add(pairs, "nothing below NOT EXISTS is something",
      "SELECT o.id FROM owner o WHERE NOT EXISTS (SELECT FROM item WHERE v > 5 AND v < 3)",
      {{"a row outside", kInvalidated, "INSERT INTO owner VALUES (60, 'c60', 1, true, 'n')"},
       {"a row inside", kKept, kNewItem}});
  add(pairs, "nothing on the right of EXCEPT",
      "SELECT v FROM task WHERE grp = 2 EXCEPT SELECT v FROM item WHERE v > 5 AND v < 3",
      {{"a row on the left", kInvalidated, "UPDATE task SET v = 99 WHERE id = 11"},
       {"a row on the right", kKept, kNewItem}});
}

void add_checks(Pairs& pairs) {
  add(pairs, "CHECK contradicts",
      "SELECT c.id, i.id FROM checked c JOIN item i ON i.grp = c.kind WHERE c.kind = 9",
      {{"a row of the other side", kKept, "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 9, 1)"},
       {"truncated", kKept, "TRUNCATE checked"},
       {"new row", kKept, "INSERT INTO checked VALUES (51, 3, 3, 'new', 'n')"}});
  add(pairs, "CHECK contradicts a range", "SELECT id FROM checked WHERE v <= 0",
      {{"truncated", kKept, "TRUNCATE checked"},
       {"new row with NULL", kKept, "INSERT INTO checked VALUES (51, 3, NULL, 'new', 'n')"}});
  add(pairs, "CHECK contradicts a text", "SELECT id FROM checked WHERE state = $1",
      {{"truncated", kKept, "TRUNCATE checked"}}, {"gone"});
  add(pairs, "CHECK does not contradict", "SELECT id FROM checked WHERE v IS NULL OR kind = 5",
      {{"NULL passes it", kInvalidated, "INSERT INTO checked VALUES (51, 3, NULL, 'new', 'n')"},
       {"a value", kKept, "INSERT INTO checked VALUES (51, 3, 3, 'new', 'n')"}});
  add(pairs, "CHECK implies",
      "SELECT id FROM checked WHERE kind BETWEEN 1 AND 5 AND state IN ('new', 'old') AND v = 3",
      {{"a row of it", kInvalidated, "UPDATE checked SET v = 3 WHERE id = 5"},
       {"a column it need not read", kKept, "UPDATE checked SET kind = 1 WHERE id = 3"},
       {"a row elsewhere", kKept, "UPDATE checked SET v = 8 WHERE id = 5"}});
  add(pairs, "CHECK excludes an alternative",
      "SELECT i.id, c.id FROM item i JOIN checked c ON c.v = i.v AND (c.kind = 7 OR c.id = 3)",
      {{"a row of the other one", kInvalidated, "UPDATE checked SET v = 9 WHERE id = 3"},
       {"a row elsewhere", kKept, "UPDATE checked SET v = 9 WHERE id = 4"}});
}

void add_needless_joins(Pairs& pairs) {
  add(pairs, "outer join to a unique key",
      "SELECT t.id, t.v FROM task t LEFT JOIN owner o ON o.id = t.opt_id WHERE t.grp = 2",
      {{"a row of the preserved side", kInvalidated, "UPDATE task SET v = 99 WHERE id = 11"},
       {"new row of the other side", kKept, "INSERT INTO owner VALUES (60, 'c60', 1, true, 'n')"},
       {"row of the other side moves", kKept,
        "INSERT INTO item (id, grp, v, w) VALUES (52, 2, 7, "
        "1); UPDATE owner SET code = 'z' WHERE id = 3"}});
  add(pairs, "outer join to a unique column",
      "SELECT i.id, i.v FROM item i LEFT JOIN owner o ON o.code = i.name WHERE i.grp = 2",
      {{"new row of the other side", kKept,
        "INSERT INTO owner VALUES (60, 'name11', 1, true, 'n')"},
       {"changed key of the other side", kKept, "UPDATE owner SET code = 'name12' WHERE id = 3"}});
  add(pairs, "outer join to a column that is not unique",
      "SELECT t.id, t.v FROM task t LEFT JOIN item i ON i.grp = t.grp WHERE t.grp = 2",
      {{"new row of the other side", kInvalidated, kNewItem}});
  add(pairs, "outer join to a part of a unique key",
      "SELECT t.id, t.v FROM task t LEFT JOIN spread s ON s.id = t.id WHERE t.grp = 2",
      {{"new row of the other side", kInvalidated, "INSERT INTO spread VALUES (11, 25, 1, 'n')"}});
  add(pairs, "outer join whose columns are used",
      "SELECT t.id, o.code FROM task t LEFT JOIN owner o ON o.id = t.owner_id WHERE t.grp = 2",
      {{"a row of the other side", kInvalidated, "UPDATE owner SET code = 'z' WHERE id = 3"}});
  add(pairs, "inner join along a foreign key",
      "SELECT t.id, t.v FROM task t JOIN owner o ON o.id = t.owner_id WHERE t.grp = 2",
      {{"a row of the child", kInvalidated, "UPDATE task SET v = 99 WHERE id = 11"},
       {"new parent", kKept, "INSERT INTO owner VALUES (60, 'c60', 1, true, 'n')"},
       {"a column of the parent", kKept, "UPDATE owner SET code = 'z' WHERE id = 1"}});
  add(pairs, "inner join along a foreign key that may be NULL",
      "SELECT t.id, t.v FROM task t JOIN owner o ON o.id = t.opt_id WHERE t.grp = 2",
      {{"it becomes NULL", kInvalidated, "UPDATE task SET opt_id = NULL WHERE id = 11"},
       {"it is NULL no more", kInvalidated, "UPDATE task SET opt_id = 1 WHERE id = 12"},
       {"new parent", kKept, "INSERT INTO owner VALUES (60, 'c60', 1, true, 'n')"}});
  add(pairs, "inner join along a foreign key, with a condition on the parent",
      "SELECT t.id, t.v FROM task t JOIN owner o ON o.id = t.owner_id WHERE t.grp = 2 AND o.active",
      {{"the parent", kInvalidated, "UPDATE owner SET active = false WHERE id = 1"}});
  add(pairs, "inner join along two foreign keys",
      "SELECT s.id FROM step s JOIN task t ON t.id = s.task_id JOIN owner o ON o.id = t.owner_id "
      "WHERE s.v = 3",
      {{"a child", kInvalidated, "UPDATE step SET v = 3 WHERE id = 1"},
       {"new parent", kKept, "INSERT INTO owner VALUES (60, 'c60', 1, true, 'n')"},
       {"new row between", kKept, "INSERT INTO task VALUES (50, 4, NULL, 2, 50, 'n')"},
       {"a row between changes its parent", kKept, "UPDATE task SET owner_id = 9 WHERE id = 3"}});
  add(pairs, "self join on a unique key",
      "SELECT a.id, b.v FROM item a JOIN item b ON a.id = b.id WHERE a.grp = 2",
      {{"a row of it", kInvalidated, "UPDATE item SET v = 99 WHERE id = 11"},
       {"a row elsewhere", kKept, "UPDATE item SET v = 99 WHERE id = 1"},
       {"new row elsewhere", kKept, "INSERT INTO item (id, grp, v, w) VALUES (51, 3, 7, 1)"}});
  add(pairs, "self join on another column",
      "SELECT a.id, b.v FROM item a JOIN item b ON a.v = b.id WHERE a.grp = 2",
      {{"a row elsewhere", kInvalidated, "UPDATE item SET id = -1, v = 99 WHERE id = 11"},
       {"the other role", kInvalidated, "UPDATE item SET v = 13 WHERE id = 11"}});
  add(pairs, "select list under EXISTS",
      "SELECT o.id FROM owner o WHERE EXISTS (SELECT t.v, t.note FROM task t WHERE "
      "t.owner_id = o.id AND t.grp = 2)",
      {{"a column of the list", kKept, "UPDATE task SET v = 99, note = 'z' WHERE id = 11"},
       {"a column of the condition", kInvalidated, "UPDATE task SET grp = 3 WHERE id = 11"}});
}

}  // namespace

void add_merging(Pairs& pairs) {
  add(pairs, "merged: the same equality twice", "SELECT id, v FROM item WHERE grp = 2 AND 2 = grp",
      {{"a row of it", kInvalidated, "UPDATE item SET v = 99 WHERE id = 11"},
       {"a row elsewhere", kKept, "UPDATE item SET v = 99 WHERE id = 1"}});
  add(pairs, "merged: ranges", "SELECT id, w FROM item WHERE v > 5 AND v > 10 AND v < 20",
      {{"inside", kInvalidated, "UPDATE item SET w = 99 WHERE id = 11"},
       {"inside one of them", kKept, "UPDATE item SET w = 99 WHERE id = 8"},
       {"moves inside", kInvalidated, "UPDATE item SET v = 12 WHERE id = 8"},
       {"moves outside", kKept, "UPDATE item SET v = 7 WHERE id = 8"}});
  add(pairs, "merged: ranges of two parameters",
      "SELECT id, w FROM item WHERE v BETWEEN $1 AND 30 AND v BETWEEN 10 AND $2",
      {{"inside", kInvalidated, "UPDATE item SET w = 99 WHERE id = 11"},
       {"inside one of them", kKept, "UPDATE item SET w = 99 WHERE id = 25"},
       {"inside the other", kKept, "UPDATE item SET w = 99 WHERE id = 7"}},
      {"5", "20"});
  add(pairs, "merged: lists", "SELECT id, v FROM item WHERE grp IN (1, 2, 3) AND grp IN (3, 4)",
      {{"in both", kInvalidated, "UPDATE item SET v = 99 WHERE id = 16"},
       {"in one", kKept, "UPDATE item SET v = 99 WHERE id = 11"},
       {"in the other", kKept, "UPDATE item SET v = 99 WHERE id = 21"}});
  add(pairs, "merged: an equality and a list",
      "SELECT id, v FROM item WHERE grp IN (1, 2) AND "
      "grp = 2",
      {{"in both", kInvalidated, "UPDATE item SET v = 99 WHERE id = 11"},
       {"in the list only", kKept, "UPDATE item SET v = 99 WHERE id = 6"}});
  add(pairs, "merged: alternatives", "SELECT id, v FROM item WHERE grp = 1 OR grp = 2",
      {{"one of them", kInvalidated, "UPDATE item SET grp = 2 WHERE id = 30"},
       {"neither", kKept, "UPDATE item SET grp = 4 WHERE id = 30"}});
  add(pairs, "merged: an alternative that is never true",
      "SELECT id FROM item WHERE (grp = 1 AND grp = 2) OR v = 7",
      {{"the other one", kInvalidated, "UPDATE item SET v = 7 WHERE id = 30"},
       {"half of the one", kKept, "UPDATE item SET grp = 1 WHERE id = 30"}});
  add(pairs, "merged: an alternative that is never true, in a join",
      "SELECT i.id, t.id FROM item i JOIN task t ON t.v = i.v WHERE (i.grp = 1 AND i.grp = 2) OR "
      "i.id = 7",
      {{"the other one", kInvalidated, "UPDATE item SET v = 9 WHERE id = 7"},
       {"half of the one", kKept, "UPDATE item SET v = 9 WHERE id = 6"},
       {"other side", kKept, "INSERT INTO item (id, grp, v, w) VALUES (51, 1, 7, 1)"}});
  add_never_true(pairs);
  add_always_true(pairs);
  add_traps(pairs);
  add_checks(pairs);
}

void add_needless(Pairs& pairs) { add_needless_joins(pairs); }

}  // namespace pgcache::precision
