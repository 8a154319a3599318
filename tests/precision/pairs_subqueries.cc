// SPDX-License-Identifier: Apache-2.0
// Subqueries in conditions and in the select list, correlated and not.
#include "precision/pair.h"

namespace pgcache::precision {

using enum Outcome;

namespace {

const char* const kTask8In2 = "INSERT INTO task VALUES (50, 8, NULL, 2, 50, 'n')";
const char* const kTask8In3 = "INSERT INTO task VALUES (50, 8, NULL, 3, 50, 'n')";

void add_in(Pairs& pairs) {
  add(pairs, "IN", "SELECT id FROM owner WHERE id IN (SELECT owner_id FROM task WHERE grp = 2)",
      {{"row inside", kInvalidated, kTask8In2},
       {"row inside that is not selected", kKept, kTask8In3},
       {"unread column inside", kKept, "UPDATE task SET v = 99 WHERE id = 11"}});
  add(pairs, "IN with a condition outside",
      "SELECT id FROM task WHERE grp = 2 AND owner_id IN (SELECT id FROM owner WHERE region = 1)",
      {{"row outside", kInvalidated, "UPDATE task SET grp = 3 WHERE id = 11"},
       {"another row outside", kKept, "UPDATE task SET owner_id = 6 WHERE id = 21"},
       {"row inside", kInvalidated, "UPDATE owner SET region = 2 WHERE id = 1"},
       {"another row inside", kKept, "UPDATE owner SET region = 3 WHERE id = 6"}});
  add(pairs, "IN, correlated",
      "SELECT o.id FROM owner o WHERE o.region = 1 AND o.id IN (SELECT t.owner_id FROM task t "
      "WHERE "
      "t.grp = 2 AND t.v > o.id + 11)",
      {{"row inside", kInvalidated,
        "INSERT INTO task VALUES (50, 5, NULL, 2, 50, 'n'), "
        "(51, 1, NULL, 2, 50, 'n')"},
       {"row inside of another group", kKept,
        "INSERT INTO task VALUES (50, 5, NULL, 3, 50, 'n')"}});
  add(pairs, "IN, correlated by the key",
      "SELECT o.code FROM owner o WHERE o.id = 8 AND 2 IN (SELECT t.grp FROM task t WHERE "
      "t.owner_id = o.id)",
      {{"row inside", kInvalidated, kTask8In2},
       {"of another value", kKept, kTask8In3},
       {"of another owner", kKept, "INSERT INTO task VALUES (50, 9, NULL, 2, 50, 'n')"}});
  add(pairs, "NOT IN",
      "SELECT id FROM owner WHERE id NOT IN (SELECT owner_id FROM task WHERE grp = 2)",
      {{"row inside", kInvalidated, kTask8In2}, {"another row inside", kKept, kTask8In3}});
  add(pairs, "NOT IN of a column with NULLs",
      "SELECT id FROM owner WHERE id NOT IN (SELECT opt_id FROM task WHERE grp = 2)",
      {{"a NULL inside", kInvalidated, "UPDATE task SET opt_id = 5 WHERE id = 12"},
       {"another row inside", kKept, kTask8In3}});
  add(pairs, "NOT IN, correlated",
      "SELECT o.id FROM owner o WHERE o.id = 8 AND o.region NOT IN (SELECT t.grp FROM task t WHERE "
      "t.owner_id = o.id)",
      {{"row inside", kInvalidated, kTask8In2},
       {"of another owner", kKept, "INSERT INTO task VALUES (50, 9, NULL, 2, 50, 'n')"}});
}

void add_exists(Pairs& pairs) {
  add(pairs, "EXISTS", "SELECT id FROM badge b(id) WHERE EXISTS (SELECT FROM item WHERE grp = 9)",
      {{"row inside", kInvalidated, "INSERT INTO item (id, grp, w) VALUES (51, 9, 1)"},
       {"another row inside", kKept, "INSERT INTO item (id, grp, w) VALUES (51, 10, 1)"}});
  add(pairs, "EXISTS, correlated",
      "SELECT o.id FROM owner o WHERE EXISTS (SELECT FROM task t WHERE t.owner_id = o.id AND "
      "t.grp = 2)",
      {{"row inside", kInvalidated, kTask8In2},
       {"another row inside", kKept, kTask8In3},
       {"unread column inside", kKept, "UPDATE task SET v = 99 WHERE id = 11"}});
  add(pairs, "EXISTS, correlated, of one key",
      "SELECT o.id FROM owner o WHERE o.id = $1 AND EXISTS (SELECT FROM task t WHERE "
      "t.owner_id = o.id AND t.grp = 2)",
      {{"row inside", kInvalidated, kTask8In2},
       {"of another owner", kKept, "INSERT INTO task VALUES (50, 9, NULL, 2, 50, 'n')"},
       {"another owner", kKept, "UPDATE owner SET region = 7 WHERE id = 9"}},
      {"8"});
  add(pairs, "NOT EXISTS",
      "SELECT id FROM badge b(id) WHERE NOT EXISTS (SELECT FROM item WHERE "
      "grp = 9)",
      {{"row inside", kInvalidated, "INSERT INTO item (id, grp, w) VALUES (51, 9, 1)"},
       {"another row inside", kKept, "INSERT INTO item (id, grp, w) VALUES (51, 10, 1)"}});
  add(pairs, "NOT EXISTS, correlated",
      "SELECT o.id FROM owner o WHERE NOT EXISTS (SELECT FROM task t WHERE t.owner_id = o.id AND "
      "t.grp = 2)",
      {{"row inside", kInvalidated, kTask8In2}, {"another row inside", kKept, kTask8In3}});
}

void add_quantified(Pairs& pairs) {
  add(pairs, "ANY", "SELECT id FROM step WHERE v = ANY (SELECT v FROM item WHERE grp = 1)",
      {{"row inside", kInvalidated, "UPDATE item SET v = 3 WHERE id = 6"},
       {"another row inside", kKept, "UPDATE item SET v = 3 WHERE id = 11"}});
  add(pairs, "ANY, correlated",
      "SELECT o.id FROM owner o WHERE o.id < 4 AND o.id + 20 < ANY (SELECT t.v FROM task t WHERE "
      "t.owner_id = o.id AND t.grp = 2)",
      {{"row inside", kInvalidated, "UPDATE task SET v = 99 WHERE id = 11"},
       {"row inside of a later owner", kKept, "UPDATE task SET v = 99 WHERE id = 15"},
       {"another row inside", kKept, "UPDATE task SET v = 99 WHERE id = 1"}});
  add(pairs, "ALL", "SELECT id FROM step WHERE id > ALL (SELECT v FROM item WHERE grp = 6)",
      {{"row inside", kInvalidated, "UPDATE item SET v = 38 WHERE id = 31"},
       {"another row inside", kKept, "UPDATE item SET v = 39 WHERE id = 11"}});
  add(pairs, "ALL, correlated",
      "SELECT o.id FROM owner o WHERE o.id = 1 AND o.id + 20 > ALL (SELECT t.v FROM task t WHERE "
      "t.owner_id = o.id AND t.grp = 2)",
      {{"row inside", kInvalidated, "UPDATE task SET v = 99 WHERE id = 11"},
       {"of another owner", kKept, "UPDATE task SET v = 99 WHERE id = 12"}});
}

void add_scalar(Pairs& pairs) {
  add(pairs, "scalar subquery",
      "SELECT id FROM item WHERE v = (SELECT max(v) FROM task WHERE grp = 2)",
      {{"row inside", kInvalidated, "UPDATE task SET v = 20 WHERE id = 11"},
       {"another row inside", kKept, "UPDATE task SET v = 20 WHERE id = 16"},
       {"row outside", kInvalidated, "UPDATE item SET v = 15 WHERE id = 1"}});
  add(pairs, "scalar subquery in the select list",
      "SELECT o.code, (SELECT sum(v) FROM task WHERE grp = 2) FROM owner o WHERE o.id = 3",
      {{"row inside", kInvalidated, "UPDATE task SET v = 20 WHERE id = 11"},
       {"another row inside", kKept, "UPDATE task SET v = 20 WHERE id = 16"},
       {"another row outside", kKept, "UPDATE owner SET code = 'z' WHERE id = 4"}});
  add(pairs, "scalar subquery in the select list, correlated",
      "SELECT o.code, (SELECT count(*) FROM task t WHERE t.owner_id = o.id AND t.grp = 2) FROM "
      "owner o WHERE o.region = 2",
      {{"row inside", kInvalidated, kTask8In2},
       {"row inside of another group", kKept, kTask8In3},
       {"another row outside", kKept, "UPDATE owner SET code = 'z' WHERE id = 4"}});
  add(pairs, "scalar subquery in the select list, correlated by the key",
      "SELECT o.code, (SELECT count(*) FROM task t WHERE t.owner_id = o.id) FROM owner o WHERE "
      "o.id = $1",
      {{"row inside", kInvalidated, kTask8In2},
       {"row of another owner", kKept, "INSERT INTO task VALUES (50, 9, NULL, 2, 50, 'n')"}},
      {"8"});
  add(pairs, "scalar subquery, correlated",
      "SELECT i.id FROM item i WHERE i.grp = 2 AND i.v > (SELECT min(t.v) FROM task t WHERE "
      "t.grp = i.grp)",
      {{"row inside", kInvalidated, "UPDATE task SET v = 13 WHERE id = 11"},
       {"another row inside", kKept, "UPDATE task SET v = 13 WHERE id = 16"},
       {"another row outside", kKept, "UPDATE item SET v = 13 WHERE id = 16"}});
}

}  // namespace

void add_subqueries(Pairs& pairs) {
  add_in(pairs);
  add_exists(pairs);
  add_quantified(pairs);
  add_scalar(pairs);
}

}  // namespace pgcache::precision
