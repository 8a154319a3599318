// SPDX-License-Identifier: Apache-2.0
// Constants and ranges that reach a table through equalities; outer joins.
#include "precision/pair.h"

namespace pgcache::precision {

using enum Outcome;

namespace {

// Of a query about owner 3 and the tasks of owner 3.
std::vector<Change> about_owner_three() {
  return {
      {"code of the owner", kInvalidated, "UPDATE owner SET code = 'z' WHERE id = 3"},
      {"code of another owner", kKept, "UPDATE owner SET code = 'z' WHERE id = 4"},
      {"new task of the owner", kInvalidated, "INSERT INTO task VALUES (50, 3, NULL, 9, 50, 'n')"},
      {"new task of another owner", kKept, "INSERT INTO task VALUES (50, 4, NULL, 9, 50, 'n')"},
      {"task leaves the owner", kInvalidated, "UPDATE task SET owner_id = 4 WHERE id = 3"},
      {"task moves among others", kKept, "UPDATE task SET owner_id = 5 WHERE id = 4"},
      {"tasks of others deleted", kKept,
       "DELETE FROM step WHERE task_id > 30; DELETE FROM task WHERE id IN (31, 34)"},
  };
}

std::vector<Change> about_badge_three() {
  return {
      {"the badge", kInvalidated, "UPDATE badge SET level = 9 WHERE owner_id = 3"},
      {"another badge", kKept, "UPDATE badge SET level = 9 WHERE owner_id = 4"},
      {"task of the owner", kInvalidated, "INSERT INTO task VALUES (50, 3, NULL, 9, 50, 'n')"},
      {"task of another owner", kKept, "INSERT INTO task VALUES (50, 4, NULL, 9, 50, 'n')"},
  };
}

void add_lists_and_ranges(Pairs& pairs) {
  add(pairs, "list through a join",
      "SELECT t.id, o.code FROM task t JOIN owner o ON o.id = t.owner_id WHERE t.owner_id IN (3, "
      "5)",
      {{"an owner of the list", kInvalidated, "UPDATE owner SET code = 'z' WHERE id = 5"},
       {"another owner", kKept, "UPDATE owner SET code = 'z' WHERE id = 4"}});
  add(pairs, "range through a join",
      "SELECT t.id, o.code FROM task t JOIN owner o ON o.id = t.owner_id WHERE t.owner_id BETWEEN "
      "3 AND 4",
      {{"an owner inside", kInvalidated, "UPDATE owner SET code = 'z' WHERE id = 4"},
       {"an owner outside", kKept, "UPDATE owner SET code = 'z' WHERE id = 5"},
       {"new owner outside", kKept, "INSERT INTO owner VALUES (60, 'c60', 1, true, 'n')"}});
  add(pairs, "range through a join, parameter",
      "SELECT t.id, o.code FROM task t JOIN owner o ON o.id = t.owner_id WHERE o.id > $1",
      {{"a task inside", kInvalidated, "INSERT INTO task VALUES (50, 9, NULL, 9, 50, 'n')"},
       {"a task outside", kKept, "INSERT INTO task VALUES (50, 8, NULL, 9, 50, 'n')"},
       {"a task moves inside", kInvalidated, "UPDATE task SET owner_id = 10 WHERE id = 3"},
       {"a task moves outside", kKept, "UPDATE task SET owner_id = 4 WHERE id = 3"}},
      {"8"});
  add(pairs, "range into a subquery",
      "SELECT o.id FROM owner o WHERE o.id < 4 AND EXISTS (SELECT FROM task t WHERE "
      "t.owner_id = o.id AND t.grp = 2)",
      {{"inside", kInvalidated, "UPDATE task SET grp = 7 WHERE id = 11"},
       {"outside", kKept, "UPDATE task SET grp = 7 WHERE id = 14"}});
}

}  // namespace

void add_propagation(Pairs& pairs) {
  add(pairs, "constant through a join",
      "SELECT t.id, o.code FROM task t JOIN owner o ON o.id = t.owner_id WHERE t.owner_id = 3",
      about_owner_three());
  add(pairs, "constant through a join, parameter",
      "SELECT t.id, o.code FROM task t JOIN owner o ON o.id = t.owner_id WHERE o.id = $1",
      about_owner_three(), {"3"});
  add(pairs, "constant through two joins",
      "SELECT t.v, s.v, o.code FROM owner o, task t, step s WHERE s.task_id = t.id AND "
      "t.owner_id = o.id AND s.task_id = 3 AND o.id = 3",
      {{"the task", kInvalidated, "UPDATE task SET v = 99 WHERE id = 3"},
       {"another task of the owner", kKept, "UPDATE task SET v = 99 WHERE id = 13"},
       {"a step of another task", kKept, "UPDATE step SET v = 99 WHERE id = 13"},
       {"another owner", kKept, "UPDATE owner SET code = 'z' WHERE id = 4"}});
  add(pairs, "constant into a subquery",
      "SELECT t.id FROM task t WHERE t.owner_id = 3 AND EXISTS (SELECT FROM owner o WHERE "
      "o.id = t.owner_id AND o.active)",
      {{"the owner", kInvalidated, "UPDATE owner SET active = false WHERE id = 3"},
       {"another owner", kKept, "UPDATE owner SET active = false WHERE id = 4"}});
  add(pairs, "constant into IN",
      "SELECT o.code FROM owner o WHERE o.id = 3 AND o.id IN (SELECT owner_id FROM task)",
      {{"the owner's tasks", kInvalidated, "UPDATE task SET owner_id = 4 WHERE owner_id = 3"},
       {"a task of another owner", kKept, "UPDATE task SET owner_id = 5 WHERE id = 4"},
       {"new task of another owner", kKept, "INSERT INTO task VALUES (50, 4, NULL, 9, 50, 'n')"}});
  add(pairs, "constant into a CTE",
      "WITH c AS (SELECT id, owner_id FROM task) SELECT c.id, o.code FROM c JOIN owner o ON "
      "o.id = c.owner_id WHERE o.id = 3",
      about_owner_three());
  add(pairs, "constant into LATERAL",
      "SELECT o.code, l.n FROM owner o, LATERAL (SELECT count(*) AS n FROM task t WHERE "
      "t.owner_id = o.id) l WHERE o.id = 3",
      about_owner_three());
  add(pairs, "constant into a LEFT JOIN LATERAL",
      "SELECT o.code, l.v FROM owner o LEFT JOIN LATERAL (SELECT t.v FROM task t WHERE "
      "t.owner_id = o.id ORDER BY t.v DESC LIMIT 1) l ON true WHERE o.id = 3",
      {{"new task of the owner", kInvalidated, "INSERT INTO task VALUES (50, 3, NULL, 9, 50, 'n')"},
       {"new task of another owner", kKept, "INSERT INTO task VALUES (50, 4, NULL, 9, 50, 'n')"},
       {"another owner", kKept, "UPDATE owner SET code = 'z' WHERE id = 4"}});
  add(pairs, "constant in a branch of UNION ALL",
      "SELECT t.id, o.code FROM task t JOIN owner o ON o.id = t.owner_id WHERE o.id = 3 UNION ALL "
      "SELECT id, name FROM item WHERE grp = 2",
      {{"the owner", kInvalidated, "UPDATE owner SET code = 'z' WHERE id = 3"},
       {"another owner", kKept, "UPDATE owner SET code = 'z' WHERE id = 4"},
       {"an item of the group", kInvalidated, "UPDATE item SET name = 'z' WHERE id = 11"},
       {"an item of another group", kKept, "UPDATE item SET name = 'z' WHERE id = 16"},
       {"task of another owner", kKept, "INSERT INTO task VALUES (50, 4, NULL, 9, 50, 'n')"}});
  add(pairs, "constant into a view", "SELECT id, code FROM task_owner WHERE owner_id = 3",
      about_owner_three());
  add(pairs, "constant into a view, parameter",
      "SELECT id, code FROM task_owner WHERE owner_id = $1", about_owner_three(), {"3"});
  add(pairs, "constant through USING",
      "SELECT task.id, level FROM task JOIN badge USING (owner_id) WHERE owner_id = 3",
      about_badge_three());
  add(pairs, "constant through a FULL JOIN with USING",
      "SELECT task.id, level FROM task FULL JOIN badge USING (owner_id) WHERE owner_id = 3",
      about_badge_three());
  add(pairs, "constant through NATURAL JOIN",
      "SELECT id, level FROM task NATURAL JOIN badge WHERE owner_id = $1", about_badge_three(),
      {"3"});
  add_lists_and_ranges(pairs);
}

void add_outer_joins(Pairs& pairs) {
  add(pairs, "ON of the nullable side",
      "SELECT o.id, t.id FROM owner o LEFT JOIN task t ON t.owner_id = o.id AND t.grp = 2 WHERE "
      "o.region = 1",
      {{"a row of ON", kInvalidated, "INSERT INTO task VALUES (50, 1, NULL, 2, 50, 'n')"},
       {"not a row of ON", kKept, "INSERT INTO task VALUES (50, 1, NULL, 3, 50, 'n')"},
       {"a row leaves", kInvalidated, "UPDATE task SET grp = 3 WHERE id = 11"},
       {"a row moves elsewhere", kKept, "UPDATE task SET grp = 4 WHERE id = 16"},
       {"preserved row comes", kInvalidated, "UPDATE owner SET region = 1 WHERE id = 9"},
       {"preserved row outside WHERE", kKept, "UPDATE owner SET region = 3 WHERE id = 9"}});
  add(pairs, "ON of the nullable side, RIGHT JOIN",
      "SELECT o.id, t.id FROM task t RIGHT JOIN owner o ON t.owner_id = o.id AND t.grp = 2",
      {{"a row of ON", kInvalidated, "INSERT INTO task VALUES (50, 1, NULL, 2, 50, 'n')"},
       {"not a row of ON", kKept, "INSERT INTO task VALUES (50, 1, NULL, 3, 50, 'n')"}});
  add(pairs, "ON about the preserved side",
      "SELECT o.code, t.id FROM owner o LEFT JOIN task t ON t.owner_id = o.id AND o.id = 3",
      {{"nullable row of it", kInvalidated, "INSERT INTO task VALUES (50, 3, NULL, 9, 50, 'n')"},
       {"another nullable row", kKept, "INSERT INTO task VALUES (50, 4, NULL, 9, 50, 'n')"},
       {"any preserved row", kInvalidated, "UPDATE owner SET code = 'z' WHERE id = 7"}});
  add(pairs, "WHERE on the nullable side",
      "SELECT o.code, t.id FROM owner o LEFT JOIN task t ON t.owner_id = o.id WHERE "
      "t.owner_id = 3",
      {{"the owner", kInvalidated, "UPDATE owner SET code = 'z' WHERE id = 3"},
       {"another owner", kKept, "UPDATE owner SET code = 'z' WHERE id = 4"},
       {"task of another owner", kKept, "INSERT INTO task VALUES (50, 4, NULL, 9, 50, 'n')"}});
  add(pairs, "WHERE on the preserved side",
      "SELECT o.code, t.id FROM owner o LEFT JOIN task t ON t.owner_id = o.id WHERE o.id = 3",
      {{"the owner", kInvalidated, "UPDATE owner SET code = 'z' WHERE id = 3"},
       {"another owner", kKept, "UPDATE owner SET code = 'z' WHERE id = 4"},
       {"task of the owner", kInvalidated, "INSERT INTO task VALUES (50, 3, NULL, 9, 50, 'n')"},
       {"task of another owner", kKept, "INSERT INTO task VALUES (50, 4, NULL, 9, 50, 'n')"}});
  add(pairs, "rows without a partner",
      "SELECT o.id FROM owner o LEFT JOIN task t ON t.owner_id = o.id AND t.grp = 2 WHERE "
      "o.id = 8 AND t.id IS NULL",
      {{"a partner comes", kInvalidated, "INSERT INTO task VALUES (50, 8, NULL, 2, 50, 'n')"},
       {"a partner of another", kKept, "INSERT INTO task VALUES (50, 9, NULL, 2, 50, 'n')"},
       {"a row that is no partner", kKept, "INSERT INTO task VALUES (50, 8, NULL, 3, 50, 'n')"}});
  add(pairs, "FULL JOIN",
      "SELECT o.id, t.id FROM owner o FULL JOIN task t ON t.owner_id = o.id AND t.grp = 2 WHERE "
      "o.id = 3",
      {{"a row of ON", kInvalidated, "INSERT INTO task VALUES (50, 3, NULL, 2, 50, 'n')"},
       {"not a row of ON", kKept, "INSERT INTO task VALUES (50, 3, NULL, 3, 50, 'n')"},
       {"a row of another owner", kKept, "INSERT INTO task VALUES (50, 4, NULL, 2, 50, 'n')"},
       {"another owner", kKept, "INSERT INTO owner VALUES (60, 'c60', 1, true, 'n')"}});
  add(pairs, "outer join in an outer join",
      "SELECT o.id, t.id, s.v FROM owner o LEFT JOIN (task t LEFT JOIN step s ON s.task_id = t.id) "
      "ON t.owner_id = o.id AND t.grp = 2 WHERE o.id = 3",
      {{"a task of the owner", kInvalidated, "INSERT INTO task VALUES (50, 3, NULL, 2, 50, 'n')"},
       {"a task of another owner", kKept, "INSERT INTO task VALUES (50, 4, NULL, 2, 50, 'n')"},
       {"a task of another group", kKept, "INSERT INTO task VALUES (50, 3, NULL, 5, 50, 'n')"}});
}

}  // namespace pgcache::precision
