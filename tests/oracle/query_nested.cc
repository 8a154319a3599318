// SPDX-License-Identifier: Apache-2.0
// Conditions from outside on what a block inside computes: derived tables, set operations,
// grouping, DISTINCT, windows, views, partitions; and conditions that contradict each other or a
// constraint.
#include "oracle/query_parts.h"

namespace pgcache::oracle {
namespace {

std::string equality(QueryBuilder& b, const std::string& column) { return few(b, column, 5); }

// A base table that is cached and has the columns grp and v.
std::string numbers(QueryBuilder& b) {
  return b.named(b.structure().pick({"par", "chi", "gra", "tree", "chk", "part", "badge", "tlog"}));
}

Query around_set_operation(QueryBuilder& b) {
  std::string inner = "SELECT grp, v FROM " + numbers(b);
  if (b.structure().chance(30)) inner += " WHERE " + equality(b, "v");
  inner += b.structure().pick(
      {" UNION ALL ", " UNION ALL ", " UNION ", " INTERSECT ", " EXCEPT ", " EXCEPT ALL "});
  inner += "SELECT grp, v FROM " + numbers(b);
  const std::string list = b.structure().pick({"t.grp, t.v", "count(*)", "*"});
  return b.finish("SELECT " + list + " FROM (" + inner + ") t WHERE " + equality(b, "t.grp"),
                  "filtered set operation", false);
}

Query around_grouping(QueryBuilder& b) {
  const std::string from = numbers(b);
  switch (b.structure().below(5)) {
    case 0:
      return b.finish("SELECT grp, count(*), max(v) FROM " + from + " GROUP BY grp HAVING " +
                          equality(b, "grp"),
                      "having on a key", false);
    case 1:
      return b.finish("SELECT grp, sum(v) FROM " + from + " GROUP BY grp HAVING " +
                          equality(b, "grp") + " AND count(*) > 1",
                      "having on a key", false);
    case 2:
      return b.finish(
          "SELECT count(*), sum(v), min(v) FROM " + from + " WHERE " + equality(b, "grp"),
          "aggregate by key", false);
    default:
      return b.finish("SELECT * FROM (SELECT grp, count(*) AS n, sum(v) AS s FROM " + from +
                          " GROUP BY grp) t WHERE " + equality(b, "t.grp") +
                          (b.structure().chance(20) ? " AND t.n > 1" : ""),
                      "filtered grouping", false);
  }
}

Query around_distinct(QueryBuilder& b) {
  const std::string from = numbers(b);
  if (b.structure().chance(50)) {
    return b.finish("SELECT * FROM (SELECT DISTINCT grp, v FROM " + from + ") t WHERE " +
                        equality(b, b.structure().pick({"t.grp", "t.v"})),
                    "filtered distinct", false);
  }
  return b.finish("SELECT * FROM (SELECT DISTINCT ON (grp) grp, v FROM " + from +
                      " ORDER BY grp, v) t WHERE " +
                      equality(b, b.structure().pick({"t.grp", "t.grp", "t.v"})),
                  "filtered distinct", false);
}

Query around_window(QueryBuilder& b) {
  const std::string function =
      b.structure().pick({"row_number()", "rank()", "count(*)", "sum(v)", "max(v)"});
  const std::string partition = b.structure().pick({"PARTITION BY grp ", "PARTITION BY grp ", ""});
  const std::string by = function == "row_number()" ? "v, grp" : "v";
  // A row number among equal rows may be given to any of them.
  return b.finish("SELECT * FROM (SELECT grp, v, " + function + " OVER (" + partition +
                      "ORDER BY " + by + ") AS n FROM " + numbers(b) + ") t WHERE " +
                      equality(b, "t.grp"),
                  "filtered window", false);
}

Query from_view(QueryBuilder& b) {
  const std::string name =
      b.structure().pick({"vw", "vj", "vun", "vex", "vne", "vpt", "vag", "vv"});
  const bool counts = b.schema().find(name)->has_column("n");
  if (b.structure().chance(25)) {
    return b.finish("SELECT w.grp, p.v FROM " + b.named(name) + " w JOIN " + b.named("par") +
                        " p ON p.id = w.grp WHERE " + equality(b, "w.grp"),
                    "filtered view", false);
  }
  return b.finish(std::string("SELECT grp, ") + (counts ? "n" : "v") + " FROM " + b.named(name) +
                      " WHERE " + equality(b, "grp"),
                  "filtered view", false);
}

Query from_partitions(QueryBuilder& b) {
  const std::string list = b.structure().pick({"*", "count(*), sum(v)"});
  const std::string select = "SELECT " + list + " FROM ";
  switch (b.structure().below(6)) {
    case 0:
    case 1:
      return b.finish(select + b.named("part") + " WHERE " + equality(b, "grp"), "partitioned",
                      false);
    case 2:
      return b.finish(
          select +
              b.named(b.structure().pick({"part_0", "part_1", "part_2", "hsh_1", "hsh_1_low"})) +
              " WHERE " + equality(b, b.structure().pick({"grp", "id", "v"})),
          "leaf", false);
    case 3: {
      const std::string value = b.value(Kind::kText);
      return b.finish(select + b.named(b.structure().pick({"lst", "lst", "lst_ab", "lst_rest"})) +
                          " WHERE txt = " + value,
                      "partitioned", false);
    }
    case 4:
      return b.finish(
          select + b.named("hsh") + " WHERE " + equality(b, "id") + " AND " + equality(b, "grp"),
          "partitioned", false);
    default:
      return b.finish("SELECT p.id, h.v FROM " + b.named("part") + " p JOIN " + b.named("hsh") +
                          " h ON h.id = p.id WHERE " + equality(b, "p.id"),
                      "partitioned", false);
  }
}

// Never true, or true only for some of the parameters.
Query contradiction(QueryBuilder& b) {
  const auto number = [&] { return b.value(Kind::kInt); };
  const std::string chk = b.named("chk");
  const std::string select = "SELECT id, v FROM " + chk + " WHERE ";
  const std::string first = number();
  switch (b.structure().below(9)) {
    case 0:
      return b.finish(select + "grp = " + first + " AND grp = " + number(), "contradiction", false);
    case 1:
      return b.finish(select + "v > " + first + " AND v < " + number(), "contradiction", false);
    case 2:
      return b.finish(select + "(id = 1 AND id = 2) OR grp = " + first, "contradiction", false);
    case 3:
      return b.finish(select + "kind = " + std::to_string(b.values().between(8, 12)),
                      "contradiction", false);
    case 4:
      return b.finish(select + "v <= " + std::to_string(b.values().between(-1, 2)), "contradiction",
                      false);
    case 5:
      return b.finish(
          "SELECT c.id, p.id FROM " + chk + " c JOIN " + b.named("par") +
              " p ON p.id = c.kind WHERE c.kind = " + std::to_string(b.values().between(8, 12)),
          "contradiction", false);
    case 6:
      return b.finish(select + "kind IS NULL OR grp = " + first, "contradiction", false);
    case 7:
      return b.finish(select + "txt = " + b.structure().pick({"'z'", "'a'"}) +
                          " OR v IS NULL AND grp = " + first,
                      "contradiction", false);
    default:
      return b.finish("SELECT count(*), max(v) FROM " + chk + " WHERE id = " + first +
                          " AND id IN (1, 2, 3) AND kind IS NOT NULL",
                      "contradiction", false);
  }
}

}  // namespace

Query filtered(QueryBuilder& b) {
  switch (b.structure().below(12)) {
    case 0:
    case 1:
      return around_set_operation(b);
    case 2:
    case 3:
      return around_grouping(b);
    case 4:
      return around_distinct(b);
    case 5:
      return around_window(b);
    case 6:
    case 7:
    case 8:
      return from_view(b);
    case 9:
    case 10:
      return from_partitions(b);
    default:
      return contradiction(b);
  }
}

}  // namespace pgcache::oracle
