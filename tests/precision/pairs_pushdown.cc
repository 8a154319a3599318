// SPDX-License-Identifier: Apache-2.0
// Conditions from outside that reach the tables inside, and those that must not.
#include "precision/pair.h"

namespace pgcache::precision {

using enum Outcome;

namespace {

// Of a query about the tasks of group 2: their number, their v or their ids.
std::vector<Change> about_group_two() {
  return {
      {"new row of the group", kInvalidated, "INSERT INTO task VALUES (50, 3, NULL, 2, 50, 'n')"},
      {"new row of another group", kKept, "INSERT INTO task VALUES (50, 3, NULL, 5, 50, 'n')"},
      {"row enters the group", kInvalidated, "UPDATE task SET grp = 2 WHERE id = 36"},
      {"row moves elsewhere", kKept, "UPDATE task SET grp = 5 WHERE id = 36"},
  };
}

const char* const kTaskRows = "INSERT INTO task VALUES (-1, 3, NULL, 5, -1, 'n')";

void add_set_operations(Pairs& pairs) {
  struct Operation {
    const char* name;
    const char* query;
  };
  const Operation unions[] = {
      {"pushdown into UNION ALL",
       "SELECT * FROM (SELECT id, grp FROM task UNION ALL SELECT id, grp FROM item) q WHERE "
       "q.grp = 2"},
      {"pushdown into UNION",
       "SELECT * FROM (SELECT v, grp FROM task UNION SELECT v, grp FROM item) q WHERE "
       "q.grp = 2"},
      {"pushdown into UNION, parameter", "SELECT v FROM both_kinds q WHERE q.grp = 2"},
  };
  for (const Operation& operation : unions) {
    add(pairs, operation.name, operation.query,
        {{"left row of it", kInvalidated, "INSERT INTO task VALUES (50, 3, NULL, 2, 50, 'n')"},
         {"left row elsewhere", kKept, "INSERT INTO task VALUES (50, 3, NULL, 5, 50, 'n')"},
         {"right row of it", kInvalidated,
          "INSERT INTO item (id, grp, v, w) VALUES (51, 2, 51, 1)"},
         {"right row elsewhere", kKept, "INSERT INTO item (id, grp, v, w) VALUES (51, 5, 51, 1)"}});
  }
  add(pairs, "pushdown into INTERSECT",
      "SELECT * FROM (SELECT v, grp FROM task INTERSECT SELECT v, grp FROM item) q WHERE q.grp = 2",
      {{"left row of it", kInvalidated,
        "DELETE FROM step WHERE id = 11; DELETE FROM task WHERE id = 11"},
       {"left row elsewhere", kKept, "UPDATE task SET v = 99 WHERE id = 16"},
       {"right row of it", kInvalidated, "DELETE FROM item WHERE id = 12"},
       {"right row elsewhere", kKept, "DELETE FROM item WHERE id = 16"}});
  add(pairs, "pushdown into EXCEPT",
      "SELECT * FROM (SELECT v, grp FROM task EXCEPT SELECT v, grp FROM item) q WHERE q.grp = 2",
      {{"left row of it", kInvalidated, "INSERT INTO task VALUES (50, 3, NULL, 2, 50, 'n')"},
       {"left row elsewhere", kKept, "INSERT INTO task VALUES (50, 3, NULL, 5, 50, 'n')"},
       {"right row of it", kInvalidated, "DELETE FROM item WHERE id = 12"},
       {"right row elsewhere", kKept, "DELETE FROM item WHERE id = 16"}});
}

void add_traps(Pairs& pairs) {
  add(pairs, "no pushdown below LIMIT",
      "SELECT * FROM (SELECT id, grp FROM task ORDER BY id LIMIT 3) q WHERE q.grp = 0",
      {{"a row of another group", kInvalidated, kTaskRows}});
  add(pairs, "no pushdown below a window",
      "SELECT * FROM (SELECT id, grp, row_number() OVER (ORDER BY id) AS n FROM task) q WHERE "
      "q.grp = 2",
      {{"a row of another group", kInvalidated, kTaskRows}});
  add(pairs, "no pushdown below a window by another key",
      "SELECT * FROM (SELECT id, grp, count(*) OVER (PARTITION BY owner_id) AS n FROM task) q "
      "WHERE q.grp = 2",
      {{"a row of another group", kInvalidated, kTaskRows}});
  add(pairs, "no pushdown below DISTINCT ON another key",
      "SELECT * FROM (SELECT DISTINCT ON (grp) grp, id FROM task ORDER BY grp, id) q WHERE "
      "q.id = 11",
      {{"a smaller id in the group", kInvalidated,
        "INSERT INTO task VALUES (-1, 3, NULL, 2, 50, 'n')"}});
  add(pairs, "no pushdown of a condition on an aggregate",
      "SELECT * FROM (SELECT grp, max(v) AS m FROM task GROUP BY grp) q WHERE q.m = 15",
      {{"a greater v", kInvalidated, "UPDATE task SET v = 99 WHERE id = 11"}});
  add(pairs, "no pushdown below GROUP BY of another key",
      "SELECT * FROM (SELECT owner_id, count(*) AS n, min(grp) AS g FROM task GROUP BY owner_id) q "
      "WHERE q.g = 0 AND q.owner_id = 3",
      {{"a smaller grp", kInvalidated, "UPDATE task SET grp = -1 WHERE id = 13"},
       {"another owner", kKept, "UPDATE task SET grp = -1 WHERE id = 14"}});
}

}  // namespace

void add_pushdown(Pairs& pairs) {
  add(pairs, "pushdown into a derived table",
      "SELECT q.id FROM (SELECT id, grp FROM task) q WHERE q.grp = 2", about_group_two());
  add(pairs, "pushdown into nested derived tables",
      "SELECT r.y FROM (SELECT q.x AS y, q.g AS h FROM (SELECT id AS x, grp AS g FROM task) q) r "
      "WHERE r.h = 2",
      about_group_two());
  add(pairs, "pushdown into a view", "SELECT id, code FROM task_owner WHERE grp = 2",
      about_group_two());
  add(pairs, "pushdown into a CTE",
      "WITH q AS (SELECT id, grp FROM task) SELECT id FROM q WHERE grp = 2", about_group_two());
  add(pairs, "pushdown into a materialized CTE",
      "WITH q AS MATERIALIZED (SELECT id, grp FROM task) SELECT id FROM q WHERE grp = $1",
      about_group_two(), {"2"});
  add(pairs, "pushdown into a CTE used twice",
      "WITH q AS (SELECT id, grp FROM task) SELECT a.id, b.id FROM q a, q b WHERE a.grp = 2 AND "
      "b.grp = 3",
      {{"new row of one use", kInvalidated, "INSERT INTO task VALUES (50, 3, NULL, 2, 50, 'n')"},
       {"new row of the other", kInvalidated, "INSERT INTO task VALUES (50, 3, NULL, 3, 50, 'n')"},
       {"new row of neither", kKept, "INSERT INTO task VALUES (50, 3, NULL, 5, 50, 'n')"}});
  add(pairs, "pushdown below GROUP BY",
      "SELECT * FROM (SELECT grp, count(*) AS n FROM task GROUP BY grp) q WHERE q.grp = 2",
      about_group_two());
  add(pairs, "pushdown below GROUP BY in a view", "SELECT n, total FROM grp_count WHERE grp = 2",
      about_group_two());
  add(pairs, "pushdown of a range below GROUP BY",
      "SELECT * FROM (SELECT grp, count(*) AS n FROM task GROUP BY grp) q WHERE q.grp < 3",
      about_group_two());
  add(pairs, "HAVING on a key", "SELECT grp, count(*) FROM task GROUP BY grp HAVING grp = 2",
      about_group_two());
  add(pairs, "HAVING on a key and an aggregate",
      "SELECT grp, count(*) FROM task GROUP BY grp HAVING grp = 2 AND count(*) > 1",
      about_group_two());
  add(pairs, "pushdown below DISTINCT",
      "SELECT * FROM (SELECT DISTINCT v, grp FROM task) q WHERE q.grp = 2", about_group_two());
  add(pairs, "pushdown below DISTINCT ON",
      "SELECT * FROM (SELECT DISTINCT ON (grp) grp, id FROM task ORDER BY grp, id DESC) q WHERE "
      "q.grp = 2",
      about_group_two());
  add(pairs, "pushdown below a window by its key",
      "SELECT * FROM (SELECT id, grp, row_number() OVER (PARTITION BY grp ORDER BY id) AS n FROM "
      "task) q WHERE q.grp = 2",
      about_group_two());
  add(pairs, "pushdown through nested views", "SELECT n, code FROM busy_north WHERE grp = 2",
      about_group_two());
  add_set_operations(pairs);
  add_traps(pairs);
}

}  // namespace pgcache::precision
