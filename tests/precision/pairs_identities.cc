// SPDX-License-Identifier: Apache-2.0
// Columns that a query does not read, and what is known of a row's former state.
#include "precision/pair.h"

namespace pgcache::precision {

using enum Outcome;

namespace {

void add_columns(Pairs& pairs) {
  add(pairs, "columns read", "SELECT id, v FROM item WHERE grp = 2",
      {{"unread column", kKept, "UPDATE item SET note = 'z' WHERE id = 11"},
       {"several unread columns", kKept,
        "UPDATE item SET note = 'z', w = 99, ok = NULL WHERE "
        "grp = 2"},
       {"column of the select list", kInvalidated, "UPDATE item SET v = 99 WHERE id = 11"},
       {"column of the condition", kInvalidated, "UPDATE item SET grp = 3 WHERE id = 11"},
       {"the same value again", kKept, "UPDATE item SET v = v, note = 'z' WHERE id = 11"},
       {"nothing changes", kKept, "UPDATE item SET v = v WHERE id = 11"}});
  add(pairs, "all columns read", "SELECT * FROM item WHERE grp = 2",
      {{"any column", kInvalidated, "UPDATE item SET note = 'z' WHERE id = 11"},
       {"nothing changes", kKept, "UPDATE item SET v = v WHERE id = 11"},
       {"another row", kKept, "UPDATE item SET note = 'z' WHERE id = 16"}});
  add(pairs, "whole row read", "SELECT item FROM item WHERE grp = 2",
      {{"any column", kInvalidated, "UPDATE item SET note = 'z' WHERE id = 11"}});
  add(pairs, "columns read in ORDER BY", "SELECT id FROM item WHERE grp = 2 ORDER BY v DESC",
      {{"that column", kInvalidated, "UPDATE item SET v = 0 WHERE id = 15"},
       {"unread column", kKept, "UPDATE item SET w = 99 WHERE id = 15"}});
  add(pairs, "columns read by a join",
      "SELECT o.id, t.id FROM owner o JOIN task t ON t.owner_id = o.id",
      {{"unread column of one side", kKept, "UPDATE owner SET code = 'z' WHERE id = 3"},
       {"unread column of the other", kKept, "UPDATE task SET v = 99 WHERE id = 3"},
       {"the column of ON", kInvalidated, "UPDATE task SET owner_id = 4 WHERE id = 3"}});
  add(pairs, "columns read through a view", "SELECT code FROM task_owner WHERE grp = 2",
      {{"unread column of the view", kKept, "UPDATE task SET v = 99 WHERE id = 11"},
       {"read column", kInvalidated, "UPDATE owner SET code = 'z' WHERE id = 1"}});
  add(pairs, "columns read through a derived table",
      "SELECT q.id FROM (SELECT * FROM item) q WHERE q.grp = 2",
      {{"unread column", kKept, "UPDATE item SET note = 'z' WHERE id = 11"}});
  add(pairs, "count of all rows", "SELECT count(*) FROM item",
      {{"any column", kKept, "UPDATE item SET note = 'z', v = 99, grp = 9 WHERE id = 11"},
       {"new row", kInvalidated, "INSERT INTO item (id, grp, w) VALUES (51, 9, 1)"}});
}

// A value stored out of line is left out of the stream where an UPDATE does not touch it.
void add_large_values(Pairs& pairs) {
  add(pairs, "large value", "SELECT id, v FROM large WHERE grp = 2 AND big LIKE 'odd%'",
      {{"row with it", kInvalidated, "UPDATE large SET v = 99 WHERE id = 11"},
       {"row with another", kKept, "UPDATE large SET v = 99 WHERE id = 12"},
       {"unread column of a row with it", kKept, "UPDATE large SET note = 'z' WHERE id = 11"},
       {"it changes", kInvalidated, "UPDATE large SET big = 'even' WHERE id = 11"},
       {"row with it comes", kInvalidated, "UPDATE large SET grp = 2 WHERE id = 1"},
       {"row with another comes", kKept, "UPDATE large SET grp = 2 WHERE id = 2"}});
}

struct DefaultPair {
  const char* construct;
  const char* name;
  Outcome expected;
  const char* query;
  const char* change;
  const char* seen = "";
  bool binary = false;
};

// With the default identity an UPDATE shows no former row, a DELETE shows its key.
const DefaultPair kDefault[] = {
    // Found by the key.
    {"read by key", "that row updated", kInvalidated, "SELECT v FROM item WHERE id = 5",
     "UPDATE item SET v = 99 WHERE id = 5"},
    {"read by key", "another row updated", kKept, "SELECT v FROM item WHERE id = 5",
     "UPDATE item SET v = 99 WHERE id = 31"},
    {"read by key", "that row deleted", kInvalidated, "SELECT v FROM item WHERE id = 5",
     "DELETE FROM item WHERE id = 5"},
    {"read by key", "another row deleted", kKept, "SELECT v FROM item WHERE id = 5",
     "DELETE FROM item WHERE id = 32"},
    {"read by key", "another key gets it", kInvalidated, "SELECT v FROM item WHERE id = 70",
     "UPDATE item SET id = 70 WHERE id = 33"},
    {"read by key", "new row", kInvalidated, "SELECT v FROM item WHERE id = 71",
     "INSERT INTO item (id, grp, v, w) VALUES (71, 2, 7, 1)"},
    {"read by another column", "new row elsewhere", kKept, "SELECT id, v FROM item WHERE grp = 2",
     "INSERT INTO item (id, grp, v, w) VALUES (72, 3, 7, 1)"},
    // The result shows the key, the former row is not known.
    {"key shown, row not known", "row of the result deleted", kInvalidated,
     "SELECT id, v FROM item WHERE grp = 6", "DELETE FROM item WHERE id = 34"},
    {"key shown, row not known", "another row deleted", kKept,
     "SELECT id, v FROM item WHERE grp = 2", "DELETE FROM item WHERE id = 35"},
    {"key shown, row not known", "row of the result leaves", kInvalidated,
     "SELECT id, v FROM item WHERE grp = 7", "UPDATE item SET grp = 8 WHERE id = 36"},
    {"key shown, row not known", "another row moves elsewhere", kKept,
     "SELECT id, v FROM item WHERE grp = 2", "UPDATE item SET grp = 8 WHERE id = 37"},
    {"key shown, row not known", "another row comes", kInvalidated,
     "SELECT id, v FROM item WHERE grp = 2", "UPDATE item SET grp = 2 WHERE id = 38"},
    {"key shown, row not known", "unread column of a row of the result", kCoarse,
     "SELECT id, v FROM item WHERE grp = 7", "UPDATE item SET note = 'z' WHERE id = 39"},
    {"key shown, row not known", "unread column of another row", kKept,
     "SELECT id, v FROM item WHERE grp = 2", "UPDATE item SET note = 'z' WHERE id = 40"},
    {"key shown, row not known", "row of the result changes its key", kInvalidated,
     "SELECT id, v FROM item WHERE grp = 3", "UPDATE item SET id = 90 WHERE id = 16"},
    {"key shown in a join", "another row deleted", kKept,
     "SELECT t.id, o.code FROM task t JOIN owner o ON o.id = t.owner_id WHERE t.grp = 2",
     "DELETE FROM step WHERE id = 31; DELETE FROM task WHERE id = 31"},
    {"key shown in binary", "another row deleted", kKept, "SELECT v, id FROM task WHERE grp = 2",
     "DELETE FROM step WHERE id = 32; DELETE FROM task WHERE id = 32", "", true},
    {"key shown in binary", "row of the result deleted", kInvalidated,
     "SELECT v, id FROM task WHERE grp = 6",
     "DELETE FROM step WHERE id = 33; DELETE FROM task WHERE id = 33", "", true},
    {"key shown under LIMIT", "row of the result deleted", kInvalidated,
     "SELECT id, v FROM task WHERE grp = 6 ORDER BY id LIMIT 4",
     "DELETE FROM step WHERE id = 34; DELETE FROM task WHERE id = 34"},
    // The result does not show the key, the former row is not known.
    {"key not shown, row not known", "row of the result deleted", kInvalidated,
     "SELECT count(*) FROM step WHERE v = 3", "DELETE FROM step WHERE id = 31"},
    {"key not shown, row not known", "another row deleted", kCoarse,
     "SELECT count(*) FROM step WHERE v = 3", "DELETE FROM step WHERE id = 32"},
    {"key not shown, row not known", "another row moves elsewhere", kCoarse,
     "SELECT count(*) FROM step WHERE v = 3", "UPDATE step SET v = 9 WHERE id = 33"},
    {"key not shown, row not known", "row of the result leaves", kInvalidated,
     "SELECT count(*) FROM step WHERE v = 3", "UPDATE step SET v = 9 WHERE id = 38"},
    {"key not shown, row not known", "unread column", kCoarse,
     "SELECT count(*) FROM step WHERE v = 3", "UPDATE step SET note = 'z' WHERE id = 35"},
    // The former row was seen in the stream.
    {"row known", "another row deleted", kKept, "SELECT count(*) FROM item WHERE v = 3",
     "DELETE FROM item WHERE id = 7", "UPDATE item SET note = 'seen' WHERE id = 7"},
    {"row known", "row of the result deleted", kInvalidated,
     "SELECT count(*) FROM item WHERE v = 3", "DELETE FROM item WHERE id = 3",
     "UPDATE item SET note = 'seen' WHERE id = 3"},
    {"row known", "another row moves elsewhere", kKept, "SELECT count(*) FROM item WHERE v = 3",
     "UPDATE item SET v = 9 WHERE id = 8", "UPDATE item SET note = 'seen' WHERE id = 8"},
    {"row known", "row of the result leaves", kInvalidated, "SELECT count(*) FROM item WHERE v = 4",
     "UPDATE item SET v = 9 WHERE id = 4", "UPDATE item SET note = 'seen' WHERE id = 4"},
    {"row known", "unread column of the result's row", kKept,
     "SELECT id, v FROM item WHERE grp = 2", "UPDATE item SET note = 'z', w = 99 WHERE id = 11",
     "UPDATE item SET note = 'seen' WHERE id = 11"},
    {"row known", "unread column, counted", kKept, "SELECT count(*) FROM item WHERE grp = 2",
     "UPDATE item SET note = 'z' WHERE id = 12", "UPDATE item SET note = 'seen' WHERE id = 12"},
    {"row known", "read column of the result's row", kInvalidated,
     "SELECT id, v FROM item WHERE grp = 2", "UPDATE item SET v = 99 WHERE id = 13",
     "UPDATE item SET note = 'seen' WHERE id = 13"},
    {"row known", "key changes elsewhere", kKept, "SELECT count(*) FROM item WHERE v = 3",
     "UPDATE item SET id = 73 WHERE id = 9", "UPDATE item SET note = 'seen' WHERE id = 9"},
    {"row known since it was inserted", "deleted again", kKept,
     "SELECT count(*) FROM item WHERE v = 3", "DELETE FROM item WHERE id = 74",
     "INSERT INTO item (id, grp, v, w) VALUES (74, 5, 8, 1)"},
    {"row known since it was inserted", "under a key that was moved", kKept,
     "SELECT count(*) FROM item WHERE v = 3", "DELETE FROM item WHERE id = 76",
     "INSERT INTO item (id, grp, v, w) VALUES (75, 5, 8, 1); UPDATE item SET id = 76 WHERE "
     "id = 75"},
    {"row known by a domain", "another row deleted", kKept,
     "SELECT count(*) FROM coded WHERE v = 12", "DELETE FROM coded WHERE code = '11'",
     "UPDATE coded SET note = 'seen' WHERE code = '11'"},
    {"row known by a domain", "row of the result leaves", kInvalidated,
     "SELECT count(*) FROM coded WHERE v = 13", "UPDATE coded SET v = 9 WHERE code = '13'",
     "UPDATE coded SET note = 'seen' WHERE code = '13'"},
    {"row known by a domain", "row of the result deleted", kInvalidated,
     "SELECT count(*) FROM coded WHERE v = 14", "DELETE FROM coded WHERE code = '14'",
     "UPDATE coded SET note = 'seen' WHERE code = '14'"},
    {"row known, partition", "unread column", kKept, "SELECT id, v FROM spread WHERE k = 5",
     "UPDATE spread SET note = 'z' WHERE id = 5", "UPDATE spread SET note = 'seen' WHERE id = 5"},
    {"large value, row known", "row with it comes", kInvalidated,
     "SELECT id, v FROM large WHERE grp = 2 AND big LIKE 'odd%'",
     "UPDATE large SET grp = 2 WHERE id = 1", "UPDATE large SET note = 'seen' WHERE id = 1"},
    {"large value, row known", "row with another comes", kCoarse,
     "SELECT id, v FROM large WHERE grp = 2 AND big LIKE 'odd%'",
     "UPDATE large SET grp = 2 WHERE id = 2", "UPDATE large SET note = 'seen' WHERE id = 2"},
    {"large value, row known since it was inserted", "row with another comes", kKept,
     "SELECT id, v FROM large WHERE grp = 2 AND big LIKE 'odd%'",
     "UPDATE large SET grp = 2 WHERE id = 77",
     "INSERT INTO large VALUES (77, 9, 1, 'even' || repeat('y', 9000), 'n')"},
    {"large value, row known since it was inserted", "row with it comes", kInvalidated,
     "SELECT id, v FROM large WHERE grp = 2 AND big LIKE 'odd%'",
     "UPDATE large SET grp = 2 WHERE id = 78",
     "INSERT INTO large VALUES (78, 9, 1, 'odd' || repeat('y', 9000), 'n')"},
    {"row known, other side of a join", "unread column", kKept,
     "SELECT t.id, o.code FROM task t JOIN owner o ON o.id = t.owner_id WHERE t.grp = 2",
     "UPDATE owner SET region = 9 WHERE id = 1", "UPDATE owner SET note = 'seen' WHERE id = 1"},
};

}  // namespace

void add_columns_and_identities(Pairs& pairs) {
  add_columns(pairs);
  add_large_values(pairs);
  for (const DefaultPair& row : kDefault) {
    Pair pair;
    pair.construct = row.construct;
    pair.name = row.name;
    pair.expected = row.expected;
    pair.query = row.query;
    pair.change = row.change;
    pair.seen = row.seen;
    pair.identity = Identity::kDefault;
    pair.binary_results = row.binary;
    pairs.push_back(pair);
  }
}

}  // namespace pgcache::precision
