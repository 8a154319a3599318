// SPDX-License-Identifier: Apache-2.0
// Queries along the keys of the tables that belong together (par, chi, gra, badge, tree, chk):
// joins along foreign keys, subqueries bound to a key, recursion from a row.
#include "oracle/query_parts.h"

namespace pgcache::oracle {
namespace {

std::string table(QueryBuilder& b, const char* name, const char* alias) {
  return b.named(name) + " " + alias;
}

std::string few(QueryBuilder& b, const std::string& column) { return few(b, column, 6); }

std::string more(QueryBuilder& b, const std::string& column) {
  return b.structure().chance(40) ? " AND " + few(b, column) : "";
}

Query along_foreign_key(QueryBuilder& b) {
  const std::string par = table(b, "par", "p");
  const std::string chi = table(b, "chi", "c");
  switch (b.structure().below(8)) {
    case 0:
      return b.finish("SELECT c.id, p.txt FROM " + chi + " JOIN " + par +
                          " ON p.id = c.par_id WHERE " + few(b, "c.par_id") + more(b, "p.grp"),
                      "foreign key", false);
    case 1:  // a parent that is not needed
      return b.finish("SELECT c.id, c.v FROM " + chi + " JOIN " + par +
                          " ON p.id = c.par_id WHERE " + few(b, "c.grp"),
                      "foreign key", false);
    case 2:
      return b.finish("SELECT c.id, c.v FROM " + chi + " LEFT JOIN " + par +
                          " ON p.id = c.par_id WHERE " + few(b, "c.grp"),
                      "foreign key", false);
    case 3:
      return b.finish("SELECT p.id, c.id FROM " + par + " LEFT JOIN " + chi +
                          " ON c.par_id = p.id AND " + few(b, "c.grp") + " WHERE " + few(b, "p.id"),
                      "foreign key", false);
    case 4:
      return b.finish("SELECT p.id, c.id, c.v FROM " + par + " LEFT JOIN " + chi +
                          " ON c.par_id = p.id WHERE " + few(b, "c.grp") + more(b, "p.v"),
                      "foreign key", false);
    case 5:
      return b.finish("SELECT p.id FROM " + par + " LEFT JOIN " + chi + " ON c.par_id = p.id AND " +
                          few(b, "c.grp") + " WHERE c.id IS NULL AND " + few(b, "p.grp"),
                      "foreign key", false);
    case 6: {
      const std::string gra = table(b, "gra", "g");
      return b.finish("SELECT g.id, p.v FROM " + gra + " JOIN " + chi +
                          " ON c.id = g.chi_id JOIN " + par + " ON p.id = c.par_id WHERE " +
                          few(b, "g.chi_id") + more(b, "p.grp"),
                      "foreign key", false);
    }
    default: {
      const std::string gra = table(b, "gra", "g");
      return b.finish("SELECT g.id, g.v FROM " + gra + " JOIN " + chi +
                          " ON c.id = g.chi_id WHERE " + few(b, "g.grp"),
                      "foreign key", false);
    }
  }
}

Query same_names(QueryBuilder& b) {
  const std::string badge = b.named("badge");
  const std::string chi = b.named("chi");
  switch (b.structure().below(5)) {
    case 0:
      return b.finish("SELECT id, level FROM " + chi + " JOIN " + badge + " USING (par_id) WHERE " +
                          few(b, "par_id"),
                      "using", false);
    case 1:
      return b.finish("SELECT par_id, id, level FROM " + badge + " LEFT JOIN " + chi +
                          " USING (par_id) WHERE " + few(b, "par_id"),
                      "using", false);
    case 2:
      return b.finish("SELECT par_id, id, level FROM " + badge + " FULL JOIN " + chi +
                          " USING (par_id) WHERE " + few(b, "par_id"),
                      "using", false);
    case 3:
      return b.finish("SELECT * FROM (SELECT id, par_id, v AS cv FROM " + chi +
                          ") x NATURAL JOIN (SELECT par_id, level FROM " + badge + ") y WHERE " +
                          few(b, "par_id"),
                      "natural", false);
    default:
      return b.finish("SELECT * FROM " + badge +
                          " NATURAL LEFT JOIN (SELECT id AS par_id, txt FROM " + b.named("par") +
                          ") p WHERE " + few(b, "level"),
                      "natural", false);
  }
}

Query lateral_by_key(QueryBuilder& b) {
  const std::string par = table(b, "par", "p");
  const std::string chi = table(b, "chi", "c");
  const std::string where = " WHERE " + few(b, "p.id");
  switch (b.structure().below(3)) {
    case 0:
      return b.finish("SELECT p.id, l.n, l.m FROM " + par +
                          ", LATERAL (SELECT count(*) AS n, max(c.v) AS m FROM " + chi +
                          " WHERE c.par_id = p.id) l" + where,
                      "lateral by key", false);
    case 1:
      return b.finish("SELECT p.id, l.id FROM " + par + " LEFT JOIN LATERAL (SELECT c.id FROM " +
                          chi + " WHERE c.par_id = p.id" + more(b, "c.grp") +
                          " ORDER BY c.id LIMIT 1) l ON true" + where,
                      "lateral by key", false);
    default:
      return b.finish("SELECT p.id, l.id FROM " + par +
                          " CROSS JOIN LATERAL (SELECT c.id, c.v FROM " + chi +
                          " WHERE c.par_id = p.id) l" + where + " AND " + few(b, "l.v"),
                      "lateral by key", false);
  }
}

Query in_subquery(QueryBuilder& b) {
  const std::string par = table(b, "par", "p");
  const std::string chi = table(b, "chi", "c");
  const std::string start = "SELECT p.id, p.v FROM " + par + " WHERE ";
  const std::string correlated = " FROM " + chi + " WHERE c.par_id = p.id AND " + few(b, "c.grp");
  const std::string plain = " FROM " + chi + " WHERE " + few(b, "c.grp");
  const std::string known = b.structure().chance(50) ? " AND c.par_id IS NOT NULL" : "";
  const std::string bound = b.structure().chance(60) ? " AND " + few(b, "p.id") : "";
  switch (b.structure().below(10)) {
    case 0:
      return b.finish(start + "p.id IN (SELECT c.par_id" + plain + ")" + bound, "in", false);
    case 1:
      return b.finish(start + "p.id NOT IN (SELECT c.par_id" + plain + known + ")" + bound,
                      "not in", false);
    case 2:
      return b.finish(start + "EXISTS (SELECT c.v" + correlated + ")" + bound, "exists", false);
    case 3:
      return b.finish(start + "NOT EXISTS (SELECT" + correlated + ")" + bound, "not exists", false);
    case 4:
      return b.finish(start + "p.v IN (SELECT c.v" + correlated + ")" + bound, "in", false);
    case 5:
      return b.finish(start + "p.v NOT IN (SELECT c.v" + correlated + ")" + bound, "not in", false);
    case 6:
      return b.finish(start + "p.v > ANY (SELECT c.v" + correlated + ")" + bound, "any", false);
    case 7:
      return b.finish(start + "p.v >= ALL (SELECT c.v" + correlated + ")" + bound, "all", false);
    case 8:
      return b.finish(start + "p.v = ANY (SELECT c.v" + plain + ")" + bound, "any", false);
    default:
      return b.finish(start + "EXISTS (SELECT 1" + plain + ")" + bound, "exists", false);
  }
}

Query scalar_by_key(QueryBuilder& b) {
  const std::string par = table(b, "par", "p");
  const std::string chi = table(b, "chi", "c");
  const std::string from = " FROM " + chi + " WHERE c.par_id = p.id";
  switch (b.structure().below(4)) {
    case 0:
      return b.finish(
          "SELECT p.id, (SELECT count(*)" + from + ") FROM " + par + " WHERE " + few(b, "p.id"),
          "scalar by key", false);
    case 1:
      return b.finish("SELECT p.id, (SELECT sum(c.v)" + from + " AND " + few(b, "c.grp") +
                          ") FROM " + par + " WHERE " + few(b, "p.grp"),
                      "scalar by key", false);
    case 2:
      return b.finish("SELECT p.id FROM " + par + " WHERE p.v = (SELECT max(c.v)" + from +
                          ") AND " + few(b, "p.id"),
                      "scalar by key", false);
    default:
      return b.finish("SELECT p.id, p.v FROM " + par + " WHERE p.grp = (SELECT min(c.grp) FROM " +
                          chi + " WHERE " + few(b, "c.id") + ")",
                      "scalar by key", false);
  }
}

Query recursion(QueryBuilder& b) {
  const std::string tree = b.named("tree");
  const std::string start = "WITH RECURSIVE r AS (SELECT t.id, t.parent, t.v, 1 AS n FROM " + tree +
                            " t WHERE " + few(b, "t.id");
  const std::string step = " SELECT t.id, t.parent, t.v, r.n + 1 FROM " + tree + " t JOIN r ON ";
  const std::string end = " AND r.n < 6" + more(b, "t.grp") + ") SELECT id, v FROM r";
  const std::string all = b.structure().pick({" UNION ALL", " UNION ALL", " UNION"});
  return b.finish(
      start + all + step + b.structure().pick({"t.parent = r.id", "t.id = r.parent"}) + end,
      "recursive cte by key", false);
}

Query self_join(QueryBuilder& b) {
  const Source s = b.source_of(*b.schema().find(b.structure().pick({"par", "chi", "chk", "tree"})));
  const std::string left = b.from_item(s);
  const Source other{s.alias + "s", s.relation};
  const std::string right = b.from_item(other);
  const std::string kind = b.structure().pick({" JOIN ", " JOIN ", " LEFT JOIN "});
  return b.finish("SELECT " + s.alias + ".id, " + other.alias + ".v FROM " + left + kind + right +
                      " ON " + s.alias + ".id = " + other.alias + ".id WHERE " +
                      few(b, s.alias + ".grp") + more(b, other.alias + ".v"),
                  "self join", false);
}

Query twice_by_cte(QueryBuilder& b) {
  const std::string with = "WITH w AS (SELECT id, par_id, grp, v FROM " + b.named("chi") + ") ";
  switch (b.structure().below(3)) {
    case 0:
      return b.finish(with + "SELECT id, v FROM w WHERE " + few(b, "par_id"), "cte by key", false);
    case 1:
      return b.finish(with + "SELECT x.id, y.id FROM w x JOIN w y ON y.grp = x.grp WHERE " +
                          few(b, "x.par_id") + " AND " + few(b, "y.id"),
                      "cte twice", false);
    default:
      return b.finish(with + "SELECT id FROM w WHERE " + few(b, "id") +
                          " UNION ALL SELECT v FROM w WHERE " + few(b, "par_id"),
                      "cte twice", false);
  }
}

}  // namespace

Query keyed(QueryBuilder& b) {
  switch (b.structure().below(12)) {
    case 0:
    case 1:
    case 2:
      return along_foreign_key(b);
    case 3:
      return same_names(b);
    case 4:
      return lateral_by_key(b);
    case 5:
    case 6:
    case 7:
      return in_subquery(b);
    case 8:
      return scalar_by_key(b);
    case 9:
      return recursion(b);
    case 10:
      return self_join(b);
    default:
      return twice_by_cte(b);
  }
}

}  // namespace pgcache::oracle
