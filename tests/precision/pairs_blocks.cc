// SPDX-License-Identifier: Apache-2.0
// Aggregates, windows, DISTINCT, LIMIT, set operations, recursion, nested views.
#include "precision/pair.h"

namespace pgcache::precision {

using enum Outcome;

namespace {

void add_grouped(Pairs& pairs) {
  add(pairs, "aggregate", "SELECT count(*), sum(v), max(v) FROM task WHERE grp = 2",
      {{"row of it", kInvalidated, "UPDATE task SET v = 99 WHERE id = 11"},
       {"row enters", kInvalidated, "UPDATE task SET grp = 2 WHERE id = 36"},
       {"row leaves", kInvalidated, "UPDATE task SET grp = 5 WHERE id = 11"},
       {"another row", kKept, "UPDATE task SET v = 99 WHERE id = 16"},
       {"unread column", kKept, "UPDATE task SET note = 'z', opt_id = 1 WHERE id = 11"},
       {"row deleted elsewhere", kKept,
        "DELETE FROM step WHERE id = 16; DELETE FROM task WHERE "
        "id = 16"}});
  add(pairs, "aggregate by group",
      "SELECT owner_id, count(*) FROM task WHERE v < 20 GROUP BY "
      "owner_id",
      {{"row of it", kInvalidated, "UPDATE task SET owner_id = 9 WHERE id = 11"},
       {"another row", kKept, "UPDATE task SET owner_id = 9 WHERE id = 21"},
       {"unread column", kKept, "UPDATE task SET note = 'z', grp = 99 WHERE id = 11"}});
  add(pairs, "aggregate with HAVING",
      "SELECT owner_id, count(*) FROM task WHERE v < 20 GROUP BY owner_id HAVING count(*) > 1",
      {{"row of it", kInvalidated, "UPDATE task SET v = 30 WHERE id = 11"},
       {"another row", kKept, "UPDATE task SET v = 31 WHERE id = 21"}});
  add(pairs, "window",
      "SELECT id, rank() OVER (PARTITION BY owner_id ORDER BY v) FROM task WHERE "
      "grp = 2",
      {{"row of it", kInvalidated, "INSERT INTO task VALUES (50, 1, NULL, 2, 5, 'n')"},
       {"another row", kKept, "INSERT INTO task VALUES (50, 1, NULL, 3, 5, 'n')"}});
  add(pairs, "window by a key",
      "SELECT id, count(*) OVER (PARTITION BY grp) FROM task WHERE "
      "grp = $1",
      {{"row of it", kInvalidated, "INSERT INTO task VALUES (50, 1, NULL, 2, 5, 'n')"},
       {"another row", kKept, "INSERT INTO task VALUES (50, 1, NULL, 3, 5, 'n')"}},
      {"2"});
  add(pairs, "DISTINCT", "SELECT DISTINCT owner_id FROM task WHERE grp = 2",
      {{"row of it", kInvalidated, "UPDATE task SET owner_id = 9 WHERE id = 11"},
       {"another row", kKept, "UPDATE task SET owner_id = 9 WHERE id = 16"}});
  add(pairs, "DISTINCT ON",
      "SELECT DISTINCT ON (owner_id) owner_id, id FROM task WHERE grp < 4 "
      "ORDER BY owner_id, id DESC",
      {{"row of it", kInvalidated, "UPDATE task SET owner_id = 9 WHERE id = 11"},
       {"another row", kKept, "UPDATE task SET owner_id = 9 WHERE id = 38"}});
  add(pairs, "ORDER BY and LIMIT",
      "SELECT id, v FROM task WHERE grp = 2 ORDER BY v DESC, id LIMIT 2",
      {{"row enters", kInvalidated, "UPDATE task SET v = 99 WHERE id = 11"},
       {"row leaves", kInvalidated, "UPDATE task SET v = 0 WHERE id = 15"},
       {"another row", kKept, "UPDATE task SET v = 99 WHERE id = 16"}});
  add(pairs, "LIMIT and OFFSET of parameters",
      "SELECT id, v FROM task WHERE grp = 2 ORDER BY v DESC, id LIMIT $1 OFFSET $2",
      {{"row enters", kInvalidated, "UPDATE task SET v = 99 WHERE id = 11"},
       {"another row", kKept, "UPDATE task SET v = 99 WHERE id = 16"}},
      {"2", "1"});
}

void add_set_operation(Pairs& pairs, const std::string& operation, const std::string& left_change,
                       const std::string& right_change) {
  add(pairs, operation,
      "SELECT v FROM task WHERE grp = 2 " + operation + " SELECT v FROM item WHERE grp < 3",
      {{"left row", kInvalidated, left_change},
       {"right row", kInvalidated, right_change},
       {"another left row", kKept, "UPDATE task SET v = 98 WHERE id = 16"},
       {"another right row", kKept, "UPDATE item SET v = 98 WHERE id = 16"}});
}

void add_set_operations(Pairs& pairs) {
  const std::string left = "UPDATE task SET v = 99 WHERE id = 11";
  const std::string right = "UPDATE item SET v = 99 WHERE id = 11";
  add_set_operation(pairs, "UNION", left, right);
  add_set_operation(pairs, "UNION ALL", left, right);
  add_set_operation(pairs, "INTERSECT", left, right);
  add_set_operation(pairs, "INTERSECT ALL", left, right);
  add_set_operation(pairs, "EXCEPT", left, right);
  add_set_operation(pairs, "EXCEPT ALL", left, right);
}

// What one side requires of its rows holds for those of the other that are equal to one.
void add_other_sides(Pairs& pairs) {
  const std::string in_two = "INSERT INTO item (id, grp, v, w) VALUES (51, 2, 12, 1)";
  const std::string elsewhere = "INSERT INTO item (id, grp, v, w) VALUES (51, 5, 26, 1)";
  const std::string gone = "DELETE FROM item WHERE id = 12";
  const std::string gone_elsewhere = "DELETE FROM item WHERE id = 26";
  for (const std::string operation : {"INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"}) {
    add(pairs, operation + " with a side that is bound",
        "SELECT grp, v FROM task WHERE grp = 2 " + operation + " SELECT grp, v FROM item",
        {{"a row goes", kInvalidated, gone},
         {"a row elsewhere comes", kKept, elsewhere},
         {"a row elsewhere goes", kKept, gone_elsewhere}});
    add(pairs, operation + " with a side below a limit",
        "SELECT grp, v FROM task WHERE grp = 2 " + operation +
            " (SELECT grp, v FROM item ORDER BY v LIMIT 12)",
        {{"a row pushes another out", kInvalidated,
          "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 0, 1)"}});
  }
  add(pairs, "INTERSECT within EXCEPT",
      "SELECT grp, v FROM task WHERE grp = 2 INTERSECT SELECT grp, v FROM item EXCEPT SELECT "
      "grp, id FROM item",
      {{"a row goes from both", kInvalidated, "UPDATE item SET id = 99 WHERE id = 12"},
       {"a row elsewhere", kKept, elsewhere}});
  add(pairs, "EXCEPT, the left side all of it",
      "SELECT grp, v FROM item EXCEPT SELECT grp, v FROM task WHERE grp = 2",
      {{"a row on the left", kInvalidated,
        "INSERT INTO item (id, grp, v, w) VALUES (51, 5, 51, 1)"},
       {"a row on the right, elsewhere", kKept, "UPDATE task SET v = 26, grp = 5 WHERE id = 31"}});
  add(pairs, "INTERSECT with nothing",
      "SELECT grp, v FROM task WHERE v < v INTERSECT SELECT grp, v FROM item",
      {{"a row comes", kKept, in_two}, {"a row goes", kKept, gone}});
}

void add_recursion(Pairs& pairs) {
  add(pairs, "recursive CTE",
      "WITH RECURSIVE r AS (SELECT id, v FROM tree WHERE id = 2 UNION ALL SELECT t.id, t.v FROM "
      "tree t JOIN r ON t.parent = r.id) SELECT * FROM r",
      {{"a row below", kInvalidated, "UPDATE tree SET v = 99 WHERE id = 9"},
       {"new row below", kInvalidated, "INSERT INTO tree VALUES (50, 9, true, 50, 'n')"},
       {"unread column", kKept, "UPDATE tree SET note = 'z', live = false WHERE id = 9"}});
  add(pairs, "recursive CTE with a condition in the step",
      "WITH RECURSIVE r AS (SELECT id, v FROM tree WHERE id = 2 UNION ALL SELECT t.id, t.v FROM "
      "tree t JOIN r ON t.parent = r.id WHERE t.live) SELECT * FROM r",
      {{"new row below", kInvalidated, "INSERT INTO tree VALUES (50, 9, true, 50, 'n')"},
       {"new row that is not live", kKept, "INSERT INTO tree VALUES (50, 9, false, 50, 'n')"},
       {"the first row, not live", kInvalidated,
        "UPDATE tree SET v = 99, live = false WHERE "
        "id = 2"}});
  add(pairs, "recursive CTE that carries a constant",
      "WITH RECURSIVE r AS (SELECT id, grp, 1 AS n FROM task WHERE grp = 2 AND id = 11 UNION ALL "
      "SELECT t.id, t.grp, n + 1 FROM task t JOIN r ON t.id = r.id + 1 WHERE t.grp = 2) "
      "SELECT id FROM r",
      {{"a row of the group", kInvalidated, "UPDATE task SET grp = 3 WHERE id = 12"},
       {"a row elsewhere", kKept, "UPDATE task SET grp = 4 WHERE id = 16"}});
  add(pairs, "table beside a recursive CTE",
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT n.i, "
      "count(t.id) FROM n LEFT JOIN task t ON t.owner_id = n.i AND t.grp = 2 GROUP BY n.i",
      {{"a row of the group", kInvalidated, "UPDATE task SET grp = 3 WHERE id = 12"},
       {"a row elsewhere", kKept, "UPDATE task SET grp = 4 WHERE id = 16"}});
}

void add_views(Pairs& pairs) {
  add(pairs, "view", "SELECT id, name FROM grp_two",
      {{"a row of it", kInvalidated, "UPDATE item SET name = 'z' WHERE id = 11"},
       {"a row elsewhere", kKept, "UPDATE item SET name = 'z' WHERE id = 16"},
       {"unread column", kKept, "UPDATE item SET note = 'z', v = 99 WHERE id = 11"}});
  add(pairs, "view over a union", "SELECT id FROM both_kinds WHERE grp = $1",
      {{"left row", kInvalidated, "INSERT INTO task VALUES (50, 1, NULL, 2, 5, 'n')"},
       {"another left row", kKept, "INSERT INTO task VALUES (50, 1, NULL, 3, 5, 'n')"},
       {"right row", kInvalidated, "UPDATE item SET grp = 2 WHERE id = 30"},
       {"another right row", kKept, "UPDATE item SET grp = 3 WHERE id = 30"}},
      {"2"});
  add(pairs, "nested views", "SELECT code, n FROM busy_north WHERE grp = 3",
      {{"row of the group", kInvalidated, "UPDATE task SET grp = 3 WHERE id = 40"},
       {"row elsewhere", kKept, "UPDATE task SET grp = 5 WHERE id = 40"},
       {"the joined row", kInvalidated, "UPDATE owner SET code = 'z' WHERE id = 3"},
       {"another joined row", kKept, "UPDATE owner SET code = 'z' WHERE id = 4"}});
  add(pairs, "view joined with a table",
      "SELECT w.code, i.name FROM task_owner w JOIN item i ON i.id = w.id WHERE w.id = 11",
      {{"the table's row", kInvalidated, "UPDATE item SET name = 'z' WHERE id = 11"},
       {"another row", kKept, "UPDATE item SET name = 'z' WHERE id = 12"},
       {"another row of the view", kKept, "UPDATE task SET owner_id = 9 WHERE id = 12"}});
}

}  // namespace

void add_blocks(Pairs& pairs) {
  add_grouped(pairs);
  add_set_operations(pairs);
  add_other_sides(pairs);
  add_recursion(pairs);
  add_views(pairs);
}

}  // namespace pgcache::precision
