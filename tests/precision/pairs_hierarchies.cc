// SPDX-License-Identifier: Apache-2.0
// Partitioned tables and plain inheritance.
#include "precision/pair.h"

namespace pgcache::precision {

using enum Outcome;

namespace {

void add_ranges(Pairs& pairs) {
  add(pairs, "partitioned by range, read by the root", "SELECT id, v FROM spread WHERE k = 5",
      {{"by the leaf", kInvalidated, "UPDATE spread_low SET v = 99 WHERE id = 5"},
       {"by the root", kInvalidated, "UPDATE spread SET v = 99 WHERE id = 5"},
       {"new row by the leaf", kInvalidated, "INSERT INTO spread_low VALUES (55, 5, 1, 'n')"},
       {"another row by the leaf", kKept, "UPDATE spread_low SET v = 99 WHERE id = 6"},
       {"another row by the root", kKept, "UPDATE spread SET v = 99 WHERE id = 6"},
       {"another leaf", kKept, "UPDATE spread_mid SET v = 99 WHERE id = 15"},
       {"row moves to another leaf", kInvalidated, "UPDATE spread SET k = 25 WHERE id = 5"},
       {"row moves among other leaves", kKept, "UPDATE spread SET k = 25 WHERE id = 15"},
       {"row moves here", kInvalidated, "UPDATE spread SET k = 5 WHERE id = 15"},
       {"its leaf truncated", kInvalidated, "TRUNCATE spread_low"},
       {"another leaf truncated", kKept, "TRUNCATE spread_mid"},
       {"the root truncated", kInvalidated, "TRUNCATE spread"}});
  add(pairs, "partitioned by range, a range read by the root",
      "SELECT count(*), sum(v) FROM spread WHERE k BETWEEN $1 AND $2",
      {{"inside", kInvalidated, "UPDATE spread_mid SET v = 99 WHERE id = 15"},
       {"outside", kKept, "UPDATE spread_low SET v = 99 WHERE id = 5"},
       {"excluded leaf truncated", kKept, "TRUNCATE spread_low"},
       {"leaf inside truncated", kInvalidated, "TRUNCATE spread_high"}},
      {"12", "22"});
  add(pairs, "partitioned by range, read by the leaf", "SELECT id, v FROM spread_mid",
      {{"by the leaf", kInvalidated, "UPDATE spread_mid SET v = 99 WHERE id = 15"},
       {"by the root", kInvalidated, "INSERT INTO spread VALUES (55, 15, 1, 'n')"},
       {"another leaf", kKept, "UPDATE spread_low SET v = 99 WHERE id = 5"},
       {"by the root into another leaf", kKept, "INSERT INTO spread VALUES (55, 5, 1, 'n')"},
       {"row moves here", kInvalidated, "UPDATE spread SET k = 12 WHERE id = 5"},
       {"another leaf truncated", kKept, "TRUNCATE spread_low"},
       {"the root truncated", kInvalidated, "TRUNCATE spread"}});
  add(pairs, "partitioned by range, leaf that is never read",
      "SELECT id, v FROM spread_mid WHERE k = 25",
      {{"the leaf truncated", kKept, "TRUNCATE spread_mid"},
       {"by the root", kKept, "INSERT INTO spread VALUES (55, 25, 1, 'n')"}});
}

void add_lists(Pairs& pairs) {
  add(pairs, "partitioned by list, read by the root", "SELECT id, v FROM placed WHERE place = 'c'",
      {{"by the leaf", kInvalidated, "INSERT INTO placed_c VALUES (51, 'c', 1)"},
       {"by the root", kInvalidated, "INSERT INTO placed VALUES (51, 'c', 1)"},
       {"another leaf", kKept, "INSERT INTO placed_ab VALUES (51, 'a', 1)"},
       {"the default leaf", kKept, "INSERT INTO placed VALUES (51, 'x', 1)"},
       {"another leaf truncated", kKept, "TRUNCATE placed_ab"},
       {"the default leaf truncated", kKept, "TRUNCATE placed_rest"},
       {"its leaf truncated", kInvalidated, "TRUNCATE placed_c"}});
  add(pairs, "partitioned by list, the default leaf", "SELECT id, v FROM placed WHERE place = $1",
      {{"by the leaf", kInvalidated, "INSERT INTO placed_rest VALUES (51, 'd', 1)"},
       {"another leaf truncated", kKept, "TRUNCATE placed_ab"},
       {"its leaf truncated", kInvalidated, "TRUNCATE placed_rest"}},
      {"d"});
  add(pairs, "partitioned by list, read by the leaf",
      "SELECT id, v FROM placed_ab WHERE place = 'b'",
      {{"by the root", kInvalidated, "INSERT INTO placed VALUES (51, 'b', 1)"},
       {"another value of the leaf", kKept, "INSERT INTO placed VALUES (51, 'a', 1)"},
       {"another leaf", kKept, "INSERT INTO placed VALUES (51, 'c', 1)"}});
}

}  // namespace

void add_hierarchies(Pairs& pairs) {
  add_ranges(pairs);
  add_lists(pairs);
  add(pairs, "partitioned by hash, read by the root", "SELECT v FROM hashed WHERE id = 7",
      {{"by the root", kInvalidated, "UPDATE hashed SET v = 99 WHERE id = 7"},
       {"another row", kKept, "UPDATE hashed SET v = 99 WHERE id = 8"},
       {"rows of both leaves", kKept, "UPDATE hashed SET v = 99 WHERE id BETWEEN 11 AND 20"},
       {"the root truncated", kInvalidated, "TRUNCATE hashed"}});
  add(pairs, "partitioned by hash, read by the leaf",
      "SELECT count(*), sum(v) FROM hashed_0 WHERE v > 0",
      {{"a row of the leaf", kInvalidated,
        "UPDATE hashed SET v = 99 WHERE id = (SELECT min(id) "
        "FROM hashed_0)"},
       {"a row of the other leaf", kKept,
        "UPDATE hashed SET v = 99 WHERE id = (SELECT min(id) "
        "FROM hashed_1)"},
       {"the other leaf truncated", kKept, "TRUNCATE hashed_1"}});
  add(pairs, "partitions of partitions, read by the root",
      "SELECT id, v FROM regions WHERE area = 1 AND k = 4",
      {{"by the leaf", kInvalidated, "UPDATE regions_1_low SET v = 99 WHERE k = 4"},
       {"by the root", kInvalidated, "INSERT INTO regions VALUES (51, 1, 4, 1)"},
       {"another row by the level between", kKept, "INSERT INTO regions_1 VALUES (51, 1, 5, 1)"},
       {"another leaf", kKept, "INSERT INTO regions_2 VALUES (51, 2, 4, 1)"},
       {"its leaf truncated", kInvalidated, "TRUNCATE regions_1_low"},
       {"the other leaf of its part truncated", kKept, "TRUNCATE regions_1_high"},
       {"the other part truncated", kKept, "TRUNCATE regions_2"},
       {"the level between truncated", kInvalidated, "TRUNCATE regions_1"}});
  add(pairs, "partitions of partitions, read by the level between",
      "SELECT id, v FROM regions_1 WHERE k > 10",
      {{"by the root", kInvalidated, "INSERT INTO regions VALUES (51, 1, 14, 1)"},
       {"by the root, elsewhere", kKept, "INSERT INTO regions VALUES (51, 2, 14, 1)"},
       {"the other part truncated", kKept, "TRUNCATE regions_2"},
       {"a leaf outside truncated", kKept, "TRUNCATE regions_1_low"}});
  add(pairs, "inheritance, read by the parent", "SELECT id, v FROM base WHERE v > 8",
      {{"row of the parent", kInvalidated, "UPDATE ONLY base SET v = 20 WHERE id = 10"},
       {"another row of the parent", kKept, "UPDATE base SET v = 2 WHERE id = 3"},
       {"row of the child", kInvalidated, "UPDATE kid SET v = 1 WHERE id = 15"},
       {"new row of the child outside", kKept, "INSERT INTO kid VALUES (51, 2, 'n', 'e')"},
       {"the child truncated", kInvalidated, "TRUNCATE kid"}});
  add(pairs, "inheritance, ONLY the parent", "SELECT id, v FROM ONLY base WHERE v > 8",
      {{"row of the parent", kInvalidated, "UPDATE base SET v = 20 WHERE id = 10"},
       {"row of the child", kKept, "UPDATE base SET v = 1 WHERE id = 15"},
       {"new row of the child", kKept, "INSERT INTO kid VALUES (51, 20, 'n', 'e')"},
       {"the child truncated", kKept, "TRUNCATE kid"}});
  add(pairs, "inheritance, read by the child", "SELECT id, v, extra FROM kid WHERE v > 8",
      {{"row of the child, by the parent", kInvalidated, "UPDATE base SET v = 99 WHERE id = 15"},
       {"row of the parent", kKept, "UPDATE base SET v = 99 WHERE id = 10"},
       {"the parent alone truncated", kKept, "TRUNCATE ONLY base"}});
}

}  // namespace pgcache::precision
