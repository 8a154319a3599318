// SPDX-License-Identifier: Apache-2.0
// Rows that find no others to be joined with: what copies of small tables tell.
#include "precision/pair.h"

namespace pgcache::precision {

using enum Outcome;

namespace {

// item.v is 1 to 40, tree.v 1 to 15.
const char* const kItem77 = "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 77, 1)";
const char* const kItem7 = "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 7, 1)";
const char* const kItemNull = "INSERT INTO item (id, grp, v, w) VALUES (51, 9, NULL, 1)";
const char* const kTree77 = "INSERT INTO tree VALUES (20, NULL, true, 77, 'n')";
const char* const kTree30 = "INSERT INTO tree VALUES (20, NULL, true, 30, 'n')";
const char* const kBoth77 =
    "WITH t AS (INSERT INTO tree VALUES (20, NULL, true, 77, 'n')) "
    "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 77, 1)";

void add_for_both(Pairs& pairs, const std::string& construct, const std::string& query,
                  const std::vector<Change>& changes, const std::string& seen = "",
                  const std::vector<std::string>& parameters = {}) {
  for (const Identity identity : {Identity::kFull, Identity::kDefault}) {
    Pairs added;
    add(added, "partners: " + construct, query, changes, parameters);
    for (Pair& pair : added) {
      pair.identity = identity;
      pair.seen = seen;
      pair.copies = true;
      pairs.push_back(std::move(pair));
    }
  }
}

void add_joins(Pairs& pairs) {
  const std::string join = "SELECT i.name, t.id FROM item i JOIN tree t ON t.v = i.v WHERE t.live";
  add_for_both(pairs, "join", join,
               {{"row without a partner", kKept, kItem77},
                {"row with a partner", kInvalidated, kItem7},
                {"row with NULL", kKept, kItemNull},
                {"row without a partner goes", kKept, "DELETE FROM item WHERE id = 30"},
                {"row with a partner goes", kInvalidated, "DELETE FROM item WHERE id = 3"},
                {"row stays without a partner", kKept, "UPDATE item SET v = 78 WHERE id = 30"},
                {"row gets a partner", kInvalidated, "UPDATE item SET v = 3 WHERE id = 30"},
                {"row loses its partner", kInvalidated, "UPDATE item SET v = 77 WHERE id = 3"},
                {"row of the other table without a partner", kKept, kTree77},
                {"row of the other table with a partner", kInvalidated, kTree30},
                {"both in one transaction", kInvalidated, kBoth77},
                {"a partner that does not count", kKept,
                 "WITH t AS (INSERT INTO tree VALUES (20, NULL, false, 77, 'n')) "
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 77, 1)"}});
  add_for_both(pairs, "join, the partner came before", join, {{"row", kInvalidated, kItem77}},
               kTree77);
  add_for_both(pairs, "join, the partner went before", join, {{"row", kKept, kItem7}},
               "DELETE FROM tree WHERE id = 7");
  add_for_both(pairs, "join, the partner changed before", join,
               {{"row of its old value", kKept, kItem7}}, "UPDATE tree SET v = 77 WHERE id = 7");
  add_for_both(pairs, "join, the partner does not count any more", join, {{"row", kKept, kItem7}},
               "UPDATE tree SET live = false WHERE id = 7");
  add_for_both(pairs, "join with a parameter",
               "SELECT i.name FROM item i JOIN tree t ON t.v = i.v WHERE t.parent = $1",
               {{"row of another partner", kKept, kItem7},
                {"row with the partner", kInvalidated,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 5, 1)"}},
               "", {"2"});
  add_for_both(pairs, "join by less than", "SELECT count(*) FROM item i JOIN tree t ON t.v > i.v",
               {{"row above all", kKept, kItem77}, {"row below some", kInvalidated, kItem7}});
  add_for_both(
      pairs, "aggregate above a join",
      "SELECT count(*), sum(i.v) FROM item i JOIN tree t ON t.v = i.v",
      {{"row without a partner", kKept, kItem77}, {"row with a partner", kInvalidated, kItem7}});
  add_for_both(
      pairs, "LIMIT above a join",
      "SELECT i.id FROM item i JOIN tree t ON t.v = i.v ORDER BY i.id DESC LIMIT 3",
      {{"row without a partner", kKept, kItem77}, {"row with a partner", kInvalidated, kItem7}});
  add_for_both(pairs, "three tables",
               "SELECT i.name FROM item i JOIN tree t ON t.v = i.v JOIN base b ON b.id = t.id "
               "WHERE b.v < 5",
               {{"row whose partner has none", kKept, kItem7},
                {"row whose partner has one", kInvalidated,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 4, 1)"},
                {"row in the middle without partners", kKept, kTree77}});
  add_for_both(
      pairs, "partner in a partitioned table",
      "SELECT i.name FROM item i JOIN spread s ON s.v = i.v",
      {{"row without a partner", kKept, kItem77}, {"row with a partner", kInvalidated, kItem7}});
  add_for_both(pairs, "partner in a table with children",
               "SELECT i.name FROM item i JOIN base b ON b.v = i.v",
               {{"row without a partner", kKept, kItem77},
                {"row with one in the child", kInvalidated,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 15, 1)"}});
  add_for_both(pairs, "self join",
               "SELECT a.id, b.id FROM item a JOIN item b ON a.v = b.w WHERE a.grp = 9",
               {{"row without a partner", kKept, kItem77},
                {"row with a partner", kInvalidated, kItem7},
                {"row that is its own partner", kInvalidated,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 77, 77)"}});
}

void add_others(Pairs& pairs) {
  const std::vector<Change> outside{{"row without a partner", kKept, kItem77},
                                    {"row with a partner", kInvalidated, kItem7}};
  add_for_both(pairs, "IN", "SELECT id FROM item WHERE v IN (SELECT v FROM tree WHERE live)",
               outside);
  add_for_both(pairs, "EXISTS",
               "SELECT id FROM item i WHERE EXISTS (SELECT FROM tree t WHERE t.v = i.v AND t.live)",
               outside);
  add_for_both(pairs, "EXISTS of the subquery's rows",
               "SELECT id FROM item i WHERE EXISTS (SELECT FROM tree t WHERE t.v = i.v AND t.live)",
               {{"row inside without a partner", kKept, kTree77},
                {"row inside with a partner", kInvalidated, kTree30}});
  add_for_both(pairs, "NOT EXISTS",
               "SELECT id FROM item i WHERE NOT EXISTS (SELECT FROM tree t WHERE t.v = i.v)",
               {{"row outside without a partner", kInvalidated, kItem77},
                {"row inside without a partner", kKept, kTree77},
                {"row inside with a partner", kInvalidated, kTree30},
                {"row inside with a partner goes", kInvalidated, "DELETE FROM tree WHERE id = 7"}});
  add_for_both(pairs, "LEFT JOIN",
               "SELECT t.id, i.name FROM tree t LEFT JOIN item i ON i.v = t.v WHERE t.live",
               {{"row of the extended side without a partner", kKept, kItem77},
                {"row of the extended side with a partner", kInvalidated, kItem7},
                {"row of the kept side", kInvalidated, kTree77}});
  add_for_both(pairs, "LEFT JOIN that looks for what is missing",
               "SELECT t.id FROM tree t LEFT JOIN item i ON i.v = t.v WHERE i.id IS NULL",
               {{"row of the kept side without a partner", kInvalidated, kTree77},
                {"row of the extended side without a partner", kKept, kItem77}});
  add_for_both(pairs, "FULL JOIN", "SELECT t.id, i.id FROM tree t FULL JOIN item i ON i.v = t.v",
               {{"row without a partner", kInvalidated, kItem77},
                {"row with a partner", kInvalidated, kItem7}});
  add_for_both(pairs, "subquery in the select list",
               "SELECT t.id, (SELECT count(*) FROM item i WHERE i.v = t.v) FROM tree t",
               {{"row inside without a partner", kKept, kItem77},
                {"row inside with a partner", kInvalidated, kItem7}});
  add_for_both(pairs, "LATERAL with LIMIT",
               "SELECT t.id, l.id FROM tree t, LATERAL (SELECT i.id FROM item i WHERE i.v = t.v "
               "ORDER BY i.id DESC LIMIT 1) l",
               {{"row inside without a partner", kKept, kItem77},
                {"row inside with a partner", kInvalidated, kItem7},
                {"row outside without a partner", kInvalidated, kTree30}});
  add_for_both(pairs, "join with a view of groups",
               "SELECT g.grp, t.id FROM (SELECT grp, count(*) AS n FROM item GROUP BY grp) g JOIN "
               "tree t ON t.v = g.grp",
               {{"row of a group without a partner", kKept,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 99, 7, 1)"},
                {"row of a new group with a partner", kInvalidated, kItem77}});
}

// Rows that must be there although no FROM list has both.
void add_behind(Pairs& pairs) {
  const std::string null_tree = "INSERT INTO tree VALUES (20, NULL, true, NULL, 'n')";
  const std::string null_item = "INSERT INTO item (id, grp, v, w) VALUES (51, 9, NULL, 1)";
  add_for_both(pairs, "INTERSECT", "SELECT v FROM item INTERSECT SELECT v FROM tree",
               {{"row that the other has not", kKept, kItem77},
                {"row of the other that the one has not", kKept, kTree77},
                {"row that the other has goes", kInvalidated, "DELETE FROM item WHERE v = 7"},
                {"row that only the other has goes", kKept, "DELETE FROM item WHERE id = 30"},
                {"both at once", kInvalidated, kBoth77},
                {"NULL that the other has not", kKept, null_item}});
  add_for_both(pairs, "INTERSECT, NULL on the other side",
               "SELECT v FROM item INTERSECT SELECT v FROM tree",
               {{"NULL", kInvalidated, null_item}}, null_tree);
  add_for_both(
      pairs, "INTERSECT of rows that are chosen",
      "SELECT v FROM item INTERSECT SELECT v FROM tree WHERE NOT live",
      {{"row that the other has but does not choose", kKept, "DELETE FROM item WHERE v = 7"},
       {"row that the other has", kInvalidated, "DELETE FROM item WHERE v = 4"}},
      "UPDATE tree SET live = false WHERE id = 4");
  add_for_both(
      pairs, "EXCEPT", "SELECT v FROM item EXCEPT SELECT v FROM tree",
      {{"row that takes nothing away", kKept, kTree77},
       {"row that takes something away", kInvalidated, kTree30},
       {"row that took something away goes", kInvalidated, "DELETE FROM tree WHERE id = 7"},
       {"row that took nothing away goes", kKept, "DELETE FROM tree WHERE id = 21"},
       {"row on the left", kInvalidated, "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 78, 1)"}},
      "INSERT INTO tree VALUES (21, NULL, true, 90, 'n')");
  add_for_both(pairs, "EXCEPT, NULL", "SELECT v FROM item EXCEPT SELECT v FROM tree",
               {{"NULL that takes nothing away", kKept, null_tree}});
  add_for_both(pairs, "EXCEPT, NULL on the left", "SELECT v FROM item EXCEPT SELECT v FROM tree",
               {{"NULL", kInvalidated, null_tree}}, null_item);
  add_for_both(pairs, "INTERSECT in FROM",
               "SELECT count(*) FROM (SELECT v FROM item INTERSECT SELECT v FROM tree) x",
               {{"row that the other has not", kKept, kItem77},
                {"row that the other has", kInvalidated, "DELETE FROM item WHERE v = 7"}});
  add_for_both(pairs, "value of a subquery",
               "SELECT id FROM item WHERE v = (SELECT max(v) FROM tree WHERE live)",
               {{"row with another value", kKept, kItem77},
                {"row with the value", kInvalidated,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 15, 1)"}});
  add_for_both(pairs, "less than the value of a subquery",
               "SELECT count(*) FROM item WHERE v < (SELECT min(v) + 5 FROM tree)",
               {{"row with a lower value", kInvalidated,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 2, 1)"}});
  add_for_both(
      pairs, "join with what DISTINCT yields",
      "SELECT i.id FROM item i JOIN (SELECT DISTINCT v FROM tree WHERE live) t ON t.v = i.v",
      {{"row without a partner", kKept, kItem77}, {"row with a partner", kInvalidated, kItem7}});
  add_for_both(
      pairs, "join with what GROUP BY yields",
      "SELECT i.id, t.n FROM item i JOIN (SELECT v, count(*) AS n FROM tree GROUP BY v) t "
      "ON t.v = i.v",
      {{"row without a partner", kKept, kItem77}, {"row with a partner", kInvalidated, kItem7}});
  add_for_both(pairs, "join with what LIMIT lets through",
               "SELECT i.id FROM item i JOIN (SELECT v FROM tree ORDER BY v DESC LIMIT 8) t "
               "ON t.v = i.v",
               {{"row without a partner", kKept, kItem77},
                {"row with a partner", kInvalidated,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 15, 1)"},
                {"row inside that takes another's place", kInvalidated, kTree77}});
  add_for_both(pairs, "a CTE that is read twice",
               "WITH t AS MATERIALIZED (SELECT id, v FROM tree WHERE live) SELECT i.id FROM item i "
               "JOIN t a ON a.v = i.v JOIN t b ON b.v = i.grp",
               {{"row with two partners that are not one row", kInvalidated,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 7, 1)"}});
}

// item.grp is 0 to 7, v 1 to 40: five of each group.
void add_windows(Pairs& pairs) {
  const std::string last = "INSERT INTO item (id, grp, v, w) VALUES (51, 3, 77, 1)";
  const std::string first = "INSERT INTO item (id, grp, v, w) VALUES (51, 3, 0, 1)";
  const std::string null = "INSERT INTO item (id, grp, v, w) VALUES (51, 3, NULL, 1)";
  const std::string asked = "INSERT INTO item (id, grp, v, w) VALUES (51, 1, 77, 1)";
  for (const char* value : {"count(*)", "sum(v)", "rank()", "first_value(v)"}) {
    const std::string function = value;
    add_for_both(
        pairs, "window: " + function,
        "SELECT * FROM (SELECT grp, v, " + function +
            " OVER (ORDER BY v) FROM item) t WHERE grp = 1",
        {{"row behind all that are shown", kKept, last},
         {"NULL behind all that are shown", kKept, null},
         {"row in front of some that is shown", kInvalidated,
          function != "sum(v)" ? first : "INSERT INTO item (id, grp, v, w) VALUES (51, 3, 1, 1)"},
         {"row that is shown", kInvalidated, asked}});
  }
  add_for_both(pairs, "window, descending",
               "SELECT * FROM (SELECT grp, v, count(*) OVER (ORDER BY v DESC) FROM item) t WHERE "
               "grp = 1",
               {{"row behind all that are shown", kKept,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 3, -5, 1)"},
                {"row in front of all", kInvalidated, last},
                {"NULL in front of all", kInvalidated, null}});
  add_for_both(pairs, "window with partitions",
               "SELECT * FROM (SELECT grp, v, w, count(*) OVER (PARTITION BY grp ORDER BY v) FROM "
               "item) t WHERE w = 7",
               {{"row of a partition that is not shown", kKept,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 77, 0, 1)"},
                {"row of a partition that is shown, in front", kInvalidated,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 1, 0, 1)"},
                {"row of a partition that is shown, behind", kKept,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 1, 77, 1)"}});
  add_for_both(pairs, "window over rows that are chosen",
               "SELECT * FROM (SELECT grp, v, count(*) OVER (ORDER BY v) FROM item WHERE v > 35) t "
               "WHERE grp = 7",
               {{"row behind all that are shown", kKept, last},
                {"row in front of some that is shown", kInvalidated,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 3, 36, 1)"}});
  for (const char* value : {"lead(v)", "lag(v, -1)", "percent_rank()", "cume_dist()",
                            "count(*) FILTER (WHERE v > 0)"}) {
    const std::string function = value;
    const bool looks_back = function.starts_with("count");
    add_for_both(pairs, "window: " + function,
                 "SELECT * FROM (SELECT grp, v, " + function +
                     " OVER (ORDER BY v) FROM item) t WHERE grp < 9 AND v > 38",
                 {{"row behind all that are shown", looks_back ? kKept : kInvalidated,
                   "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 77, 1)"}});
  }
  add_for_both(pairs, "window with a frame",
               "SELECT * FROM (SELECT grp, v, count(*) OVER (ORDER BY v ROWS BETWEEN UNBOUNDED "
               "PRECEDING AND 1 FOLLOWING) FROM item) t WHERE grp < 9 AND v > 39",
               {{"row behind all that are shown", kInvalidated,
                 "INSERT INTO item (id, grp, v, w) VALUES (51, 9, 77, 1)"}});
}

}  // namespace

void add_partners(Pairs& pairs) {
  add_joins(pairs);
  add_others(pairs);
  add_behind(pairs);
  add_windows(pairs);
}

}  // namespace pgcache::precision
