// SPDX-License-Identifier: Apache-2.0
// What the result itself tells of the rows that it depends on: a row that goes and is not shown, a
// row that comes to rows that are not shown.
#include "precision/pair.h"

namespace pgcache::precision {

using enum Outcome;

namespace {

void add_joins(Pairs& pairs) {
  add(pairs, "shown by an inner join",
      "SELECT s.id, t.v FROM step s JOIN task t ON t.id = s.task_id WHERE t.grp = 2 AND s.v < 5",
      {{"a row that is shown goes", kInvalidated, "DELETE FROM step WHERE id = 11"},
       {"a row without its partner goes", kKept, "DELETE FROM step WHERE id = 16"},
       {"a row without its partner changes", kKept, "UPDATE step SET v = 6 WHERE id = 16"},
       {"a row gets its partner", kInvalidated, "UPDATE step SET task_id = 12 WHERE id = 16"}});
  add(pairs, "shown columns that no condition looks at",
      "SELECT t.id, t.note FROM task t JOIN owner o ON o.id = t.owner_id WHERE o.region = 2",
      {{"of a row that is shown", kInvalidated, "UPDATE task SET note = 'z' WHERE id = 17"},
       {"of a row that is not", kKept, "UPDATE task SET note = 'z' WHERE id = 13"}});
  add(pairs, "shown by a left join",
      "SELECT o.id, t.id FROM owner o LEFT JOIN task t ON t.opt_id = o.id WHERE o.region = 2",
      {{"a row for one that is shown", kInvalidated,
        "INSERT INTO task VALUES (50, 1, 7, 2, 5, 'n')"},
       {"a row for one that is not", kKept, "INSERT INTO task VALUES (50, 1, 2, 2, 5, 'n')"},
       {"a row for none", kKept, "INSERT INTO task VALUES (50, 1, NULL, 2, 5, 'n')"},
       {"a row goes from one that is not", kKept, "UPDATE task SET opt_id = NULL WHERE id = 21"},
       {"a row goes from one that is shown", kInvalidated,
        "UPDATE task SET opt_id = NULL WHERE id = 26"},
       {"a row moves between them", kInvalidated, "UPDATE task SET opt_id = 7 WHERE id = 21"}});
  add(pairs, "shown by a left join of a join",
      "SELECT o.id, s.v FROM owner o LEFT JOIN (task t JOIN step s ON s.task_id = t.id) ON "
      "t.opt_id "
      "= o.id WHERE o.region = 2",
      {{"a row for one that is shown", kInvalidated, "UPDATE task SET opt_id = 7 WHERE id = 1"},
       {"a row for one that is not", kKept, "UPDATE task SET opt_id = 3 WHERE id = 1"}});
  add(pairs, "left join that a condition looks at",
      "SELECT o.id FROM owner o LEFT JOIN task t ON t.opt_id = o.id WHERE t.v IS NULL",
      {{"the last row of one goes", kInvalidated,
        "UPDATE task SET opt_id = NULL WHERE opt_id = 1"}});
}

void add_bounds(Pairs& pairs) {
  add(pairs, "rows beyond LIMIT",
      "SELECT id, v FROM item WHERE grp < 7 ORDER BY v, id DESC LIMIT 3",
      {{"one before the last", kInvalidated, "UPDATE item SET v = 2 WHERE id = 20"},
       {"one as far as the last", kInvalidated, "UPDATE item SET v = 3 WHERE id = 20"},
       {"one behind it", kKept, "UPDATE item SET v = 4 WHERE id = 20"},
       {"one behind it goes", kKept, "DELETE FROM item WHERE id = 20"},
       {"one that is shown goes", kInvalidated, "DELETE FROM item WHERE id = 2"}});
  add(pairs, "rows beyond LIMIT, descending, by number",
      "SELECT v, id FROM item ORDER BY 1 DESC NULLS LAST, 2 LIMIT $1",
      {{"a new first one", kInvalidated, "UPDATE item SET v = 99 WHERE id = 1"},
       {"one behind the last", kKept, "UPDATE item SET v = 38 WHERE id = 1"},
       {"a NULL", kKept, "UPDATE item SET v = NULL WHERE id = 1"}},
      {"2"});
  add(pairs, "rows beyond LIMIT of a result that is not full",
      "SELECT id FROM item WHERE grp = 2 ORDER BY id LIMIT 6",
      {{"a new last one", kInvalidated, "UPDATE item SET grp = 2 WHERE id = 40"}});
  add(pairs, "rows beyond LIMIT of a join",
      "SELECT t.id, o.code FROM task t JOIN owner o ON o.id = t.owner_id WHERE t.v < 30 ORDER BY "
      "t.id LIMIT 4",
      {{"one before the last", kInvalidated, "UPDATE task SET v = 31 WHERE id = 4"},
       {"one behind it", kKept, "UPDATE task SET v = 31 WHERE id = 5"}});
  add(pairs, "rows beyond LIMIT of groups",
      "SELECT grp, count(*) FROM item GROUP BY grp ORDER BY grp LIMIT 2",
      {{"of a group that is shown", kInvalidated, "DELETE FROM item WHERE id = 8"},
       {"of one that is not", kKept, "DELETE FROM item WHERE id = 18"}});
  add(pairs, "rows beyond LIMIT of a set operation",
      "SELECT id, v FROM item UNION SELECT id, v FROM task ORDER BY id, v LIMIT 3",
      {{"one before the last", kInvalidated, "UPDATE task SET v = 99 WHERE id = 2"},
       {"one behind it", kKept, "UPDATE task SET v = 99 WHERE id = 4"}});
  add(pairs, "rows that repeat what DISTINCT shows", "SELECT DISTINCT w FROM item WHERE grp < 4",
      {{"another value", kInvalidated, "INSERT INTO item (id, grp, v, w) VALUES (50, 1, 1, 77)"},
       {"a value that is shown", kKept, "INSERT INTO item (id, grp, v, w) VALUES (50, 1, 1, 7)"}});
  add(pairs, "rows that repeat what UNION shows",
      "SELECT grp, v FROM item WHERE grp = 2 UNION SELECT grp, v FROM task WHERE grp = 2",
      {{"another value", kInvalidated, "INSERT INTO task VALUES (50, 1, NULL, 2, 99, 'n')"},
       {"a value that is shown", kKept, "INSERT INTO task VALUES (50, 1, NULL, 2, 11, 'n')"}});
  add(pairs, "rows beside the least and the greatest",
      "SELECT min(v), max(w) FROM item WHERE grp = 2",
      {{"a lesser one", kInvalidated, "INSERT INTO item (id, grp, v, w) VALUES (50, 2, 1, 1)"},
       {"one between them", kKept, "INSERT INTO item (id, grp, v, w) VALUES (50, 2, 20, 1)"},
       {"one between them goes", kKept, "DELETE FROM item WHERE id = 13"},
       {"the least one goes", kInvalidated, "DELETE FROM item WHERE id = 11"}});
}

void add_subqueries_shown(Pairs& pairs) {
  add(pairs, "rows that NOT EXISTS takes away",
      "SELECT o.id FROM owner o WHERE NOT EXISTS (SELECT FROM task t WHERE t.opt_id = o.id AND "
      "t.grp > 6)",
      {{"of one that is shown", kInvalidated, "INSERT INTO task VALUES (50, 1, 5, 7, 5, 'n')"},
       {"of one that is not", kKept, "INSERT INTO task VALUES (50, 1, 8, 7, 5, 'n')"},
       {"outside its condition", kKept, "INSERT INTO task VALUES (50, 1, 5, 6, 5, 'n')"}});
  add(pairs, "rows that EXISTS needs",
      "SELECT o.id FROM owner o WHERE o.region = 2 AND EXISTS (SELECT FROM task t WHERE t.opt_id = "
      "o.id)",
      {{"the only one goes", kInvalidated, "UPDATE task SET opt_id = NULL WHERE opt_id = 8"},
       {"one goes from another", kKept, "UPDATE task SET opt_id = NULL WHERE opt_id = 2"}});
  add(pairs, "subquery of the select list",
      "SELECT o.id, (SELECT count(*) FROM task t WHERE t.opt_id = o.id) FROM owner o WHERE "
      "o.region "
      "= 2",
      {{"a row for one that is shown", kInvalidated,
        "INSERT INTO task VALUES (50, 1, 7, 2, 5, 'n')"},
       {"a row for one that is not", kKept, "INSERT INTO task VALUES (50, 1, 2, 2, 5, 'n')"},
       {"a row goes from one that is not", kKept, "UPDATE task SET opt_id = NULL WHERE id = 21"}});
  add(pairs, "lateral aggregate",
      "SELECT o.id, l.n FROM owner o, LATERAL (SELECT max(t.v) AS n FROM task t WHERE t.opt_id = "
      "o.id) l WHERE o.region = 2",
      {{"a row for one that is shown", kInvalidated,
        "INSERT INTO task VALUES (50, 1, 7, 2, 99, 'n')"},
       {"a row for one that is not", kKept, "INSERT INTO task VALUES (50, 1, 2, 2, 99, 'n')"}});
}

void add_blocks_shown(Pairs& pairs) {
  const std::string groups =
      "SELECT t.grp, count(*) FROM task t JOIN owner o ON o.id = t.owner_id WHERE o.region = $1 "
      "AND "
      "t.opt_id > 8 GROUP BY t.grp";
  const std::string leaves = "UPDATE task SET opt_id = NULL WHERE id = 9";
  add(pairs, "keys of groups", groups, {{"a row of a group", kInvalidated, leaves}}, {"2"});
  add(pairs, "keys of groups", groups, {{"a row of no group", kKept, leaves}}, {"1"});
  add(pairs, "EXCEPT takes away what is shown",
      "SELECT o.id FROM owner o EXCEPT SELECT t.opt_id FROM task t WHERE t.grp > 6",
      {{"a row that is shown", kInvalidated, "INSERT INTO task VALUES (50, 1, 5, 7, 5, 'n')"},
       {"a row that is not", kKept, "INSERT INTO task VALUES (50, 1, 8, 7, 5, 'n')"},
       {"a row comes back", kInvalidated, "UPDATE task SET opt_id = NULL WHERE opt_id = 8"}});
  add(pairs, "INTERSECT shows what it needs",
      "SELECT o.id FROM owner o WHERE o.region = 2 INTERSECT SELECT s.v FROM step s",
      {{"rows that are shown go", kInvalidated, "DELETE FROM step WHERE v = 6"},
       {"rows that are not go", kKept, "DELETE FROM step WHERE v = 2"}});
  add(pairs, "recursion that is shown",
      "WITH RECURSIVE r AS (SELECT id, v FROM tree WHERE id = 2 UNION ALL SELECT t.id, t.v FROM "
      "tree t JOIN r ON t.parent = r.id) SELECT id, v FROM r",
      {{"a row below", kInvalidated, "INSERT INTO tree VALUES (50, 9, true, 50, 'n')"},
       {"a row elsewhere", kKept, "INSERT INTO tree VALUES (50, 3, true, 50, 'n')"},
       {"a row without parent", kKept, "INSERT INTO tree VALUES (50, NULL, true, 50, 'n')"},
       {"a row elsewhere goes", kKept, "DELETE FROM tree WHERE id = 13"},
       {"a row moves below", kInvalidated, "UPDATE tree SET parent = 4 WHERE id = 13"}});
  add(pairs, "recursion that is shown in part",
      "WITH RECURSIVE r AS (SELECT id, v FROM tree WHERE id = 2 UNION ALL SELECT t.id, t.v FROM "
      "tree t JOIN r ON t.parent = r.id) SELECT id, v FROM r WHERE v > 8",
      {{"a row below one that is not shown", kInvalidated,
        "INSERT INTO tree VALUES (50, 4, true, 50, 'n')"}});
}

}  // namespace

// The result shows one of the texts that are equal, and not the one of each row.
void add_alike(Pairs& pairs) {
  const std::string upper_goes = "DELETE FROM alike WHERE id = 2";
  const std::string lower_goes = "DELETE FROM alike WHERE id = 1";
  add(pairs, "texts that are equal: INTERSECT",
      "SELECT name FROM alike WHERE grp = 1 INTERSECT SELECT name FROM alike WHERE grp = 2",
      {{"one side goes", kInvalidated, lower_goes}, {"the other goes", kInvalidated, upper_goes}});
  add(pairs, "texts that are equal: EXCEPT",
      "SELECT name FROM alike WHERE grp = 1 EXCEPT SELECT name FROM alike WHERE grp = 3",
      {{"one takes away another", kInvalidated, "INSERT INTO alike VALUES (5, 'A', 3)"},
       {"one elsewhere", kKept, "INSERT INTO alike VALUES (5, 'A', 4)"}});
  add(pairs, "texts that are equal: groups of a join",
      "SELECT a.name, count(*) FROM alike a JOIN owner o ON o.id = a.grp GROUP BY a.name",
      {{"one goes", kInvalidated, lower_goes}, {"another goes", kInvalidated, upper_goes}});
  add(pairs, "texts that are equal: join",
      "SELECT a.name FROM alike a JOIN alike b ON a.name = b.name WHERE a.grp = 1 AND b.grp = 2",
      {{"one goes", kInvalidated, lower_goes}, {"its partner goes", kInvalidated, upper_goes}});
}

void add_shown(Pairs& pairs) {
  add_joins(pairs);
  add_bounds(pairs);
  add_subqueries_shown(pairs);
  add_blocks_shown(pairs);
  add_alike(pairs);
}

}  // namespace pgcache::precision
