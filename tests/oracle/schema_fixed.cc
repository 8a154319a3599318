// SPDX-License-Identifier: Apache-2.0
// The tables, views and functions that every epoch has: families along foreign keys, constraints,
// large values, a trigger, and what cannot be cached.
#include "oracle/schema_parts.h"

namespace pgcache::oracle {
namespace {

// Each of its rows has a parent.
void add_grandchild(Schema& schema, Random& random) {
  Relation grandchild;
  grandchild.name = "gra";
  grandchild.columns = {{"id", Kind::kInt, false},
                        {"chi_id", Kind::kInt, false},
                        {"grp", Kind::kInt, true},
                        {"v", Kind::kInt, true}};
  grandchild.key = {"id"};
  create_table(schema, grandchild, random);
  schema.statements.push_back(
      "ALTER TABLE oracle.gra ADD FOREIGN KEY (chi_id) REFERENCES oracle.chi ON DELETE CASCADE ON "
      "UPDATE CASCADE");
}

// At most one row for each parent, under the same name of the column as in the children.
void add_badge(Schema& schema, Random& random) {
  Relation badge;
  badge.name = "badge";
  badge.columns = {{"par_id", Kind::kInt, false},
                   {"level", Kind::kInt, false},
                   {"grp", Kind::kInt, true},
                   {"v", Kind::kInt, true}};
  badge.key = {"par_id"};
  create_table(schema, badge, random);
  schema.statements.push_back(
      "ALTER TABLE oracle.badge ADD FOREIGN KEY (par_id) REFERENCES oracle.par ON DELETE CASCADE "
      "ON UPDATE CASCADE");
}

void add_family(Schema& schema, Random& random) {
  Relation parent;
  parent.name = "par";
  parent.columns = {{"id", Kind::kInt, false},
                    {"grp", Kind::kInt, true},
                    {"v", Kind::kInt, true},
                    {"txt", Kind::kText, true}};
  parent.key = {"id"};
  create_table(schema, parent, random);
  Relation child;
  child.name = "chi";
  child.columns = {{"id", Kind::kInt, false},
                   {"par_id", Kind::kInt, true},
                   {"grp", Kind::kInt, true},
                   {"v", Kind::kInt, true}};
  child.key = {"id"};
  create_table(schema, child, random);
  const std::string action = random.pick({"CASCADE", "CASCADE", "SET NULL"});
  schema.statements.push_back(
      "ALTER TABLE oracle.chi ADD FOREIGN KEY (par_id) REFERENCES oracle.par ON DELETE " + action +
      " ON UPDATE CASCADE");
  add_grandchild(schema, random);
  add_badge(schema, random);
}

void add_tree(Schema& schema, Random& random) {
  Relation tree;
  tree.name = "tree";
  tree.columns = {{"id", Kind::kInt, false},
                  {"parent", Kind::kInt, true},
                  {"grp", Kind::kInt, true},
                  {"v", Kind::kInt, true}};
  tree.key = {"id"};
  create_table(schema, tree, random);
}

// Constraints that decide some conditions, without and with NULLs that pass them.
void add_checked(Schema& schema, Random& random) {
  Relation checked;
  checked.name = "chk";
  checked.columns = {{"id", Kind::kInt, false},    {"kind", Kind::kInt, false},
                     {"grp", Kind::kInt, true},    {"v", Kind::kInt, true},
                     {"txt", Kind::kText, true},   {"code", Kind::kInt, true},
                     {"dom", Kind::kDomain, true}, {"mood", Kind::kEnum, true}};
  checked.key = {"id"};
  create_table(schema, checked, random);
  schema.statements.push_back("ALTER TABLE oracle.chk ADD CHECK (kind BETWEEN 0 AND 9)");
  schema.statements.push_back("ALTER TABLE oracle.chk ADD CHECK (v > 0 AND v < 30)");
  schema.statements.push_back("ALTER TABLE oracle.chk ADD CHECK (txt <> 'z')");
  schema.statements.push_back("ALTER TABLE oracle.chk ADD UNIQUE (code)");
  schema.alterations.push_back("ALTER TABLE oracle.chk DROP CONSTRAINT IF EXISTS chk_kind_check");
  schema.alterations.push_back(
      "DELETE FROM oracle.chk WHERE kind NOT BETWEEN 0 AND 9; ALTER TABLE oracle.chk DROP "
      "CONSTRAINT IF EXISTS chk_kind_check; ALTER TABLE oracle.chk ADD CONSTRAINT chk_kind_check "
      "CHECK (kind BETWEEN 0 AND 9)");
  schema.alterations.push_back("ALTER TABLE oracle.chk DROP CONSTRAINT IF EXISTS chk_code_key");
}

// Rows whose large value is stored apart, so that the stream leaves it out where an UPDATE does not
// touch it. The key has a column that many rows share and that changes.
void add_wide(Schema& schema, Random& random) {
  Relation wide;
  wide.name = "wide";
  wide.columns = {{"id", Kind::kInt, false},
                  {"grp", Kind::kInt, false},
                  {"v", Kind::kInt, true},
                  {"big", Kind::kBig, true}};
  wide.key = {"id", "grp"};
  create_table(schema, wide, random);
}

void add_trigger(Schema& schema, Random& random) {
  Relation log;
  log.name = "tlog";
  log.columns = {{"grp", Kind::kInt, false}, {"v", Kind::kInt, true}};
  log.key = {"grp"};
  schema.statements.push_back("CREATE TABLE oracle.tlog (grp int PRIMARY KEY, v int)");
  if (chooses_full(schema, random)) schema.statements.push_back(full_identity("oracle.tlog"));
  schema.relations.push_back(log);
  schema.statements.push_back(
      "CREATE FUNCTION oracle.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "INSERT INTO oracle.tlog AS l VALUES (coalesce(CASE TG_OP WHEN 'DELETE' THEN OLD.grp ELSE "
      "NEW.grp END, -1), 1) ON CONFLICT (grp) DO UPDATE SET v = l.v + 1; RETURN NULL; END $$");
  schema.statements.push_back(
      "CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON oracle.t0 FOR EACH ROW "
      "EXECUTE FUNCTION oracle.note()");
}

void add_oddities(Schema& schema) {
  Relation keyless;
  keyless.name = "nokey";
  keyless.columns = {
      {"grp", Kind::kInt, true}, {"v", Kind::kInt, true}, {"txt", Kind::kText, true}};
  keyless.caching = Caching::kNo;
  schema.statements.push_back("CREATE TABLE oracle.nokey (" + columns_sql(keyless) + ")");
  schema.relations.push_back(keyless);
  Relation full = keyless;
  full.name = "nokey_full";
  full.caching = Caching::kYes;
  schema.statements.push_back("CREATE TABLE oracle.nokey_full (" + columns_sql(full) + ")");
  schema.statements.push_back("ALTER TABLE oracle.nokey_full REPLICA IDENTITY FULL");
  schema.relations.push_back(full);
  Relation unlogged = keyless;
  unlogged.name = "unlog";
  schema.statements.push_back("CREATE UNLOGGED TABLE oracle.unlog (" + columns_sql(unlogged) + ")");
  schema.relations.push_back(unlogged);
}

struct View {
  const char* name;
  const char* definition;
  std::vector<std::string> beneath;
  bool counts;  // its columns are grp and n, else grp and v
};

void add_view(Schema& schema, const View& view) {
  Relation relation;
  relation.name = view.name;
  relation.columns = {{"grp", Kind::kInt, true}};
  relation.columns.push_back(view.counts ? Column{"n", Kind::kBigint, true}
                                         : Column{"v", Kind::kInt, true});
  relation.writable = false;
  relation.beneath = view.beneath;
  schema.statements.push_back("CREATE VIEW oracle." + relation.name + " AS " + view.definition);
  schema.relations.push_back(relation);
}

}  // namespace

void add_fixed_tables(Schema& schema, Random& random) {
  add_family(schema, random);
  add_tree(schema, random);
  add_checked(schema, random);
  add_wide(schema, random);
  add_trigger(schema, random);
  add_oddities(schema);
}

void add_views(Schema& schema, Random& random) {
  const std::string limit = std::to_string(random.between(3, 12));
  const std::string vw = "SELECT grp, v FROM oracle.t0 WHERE v ";
  const std::string below = vw + "< " + limit;
  add_view(schema, {"vw", below.c_str(), {"t0"}, false});
  add_view(schema, {"vj",
                    "SELECT p.grp, c.v FROM oracle.par p LEFT JOIN oracle.chi c ON c.par_id = p.id",
                    {"par", "chi"},
                    false});
  add_view(schema, {"vv", "SELECT grp, count(*) AS n FROM oracle.vw GROUP BY grp", {"t0"}, true});
  add_view(schema, {"vun",
                    "SELECT grp, v FROM oracle.par UNION ALL SELECT grp, v FROM oracle.chi",
                    {"par", "chi"},
                    false});
  add_view(schema, {"vex",
                    "SELECT grp, v FROM oracle.par EXCEPT SELECT grp, v FROM oracle.tree",
                    {"par", "tree"},
                    false});
  add_view(schema, {"vag",
                    "SELECT p.id AS grp, count(c.id) AS n FROM oracle.par p LEFT JOIN oracle.chi c "
                    "ON c.par_id = p.id GROUP BY p.id",
                    {"par", "chi"},
                    true});
  add_view(schema, {"vne",
                    "SELECT u.grp, u.v FROM oracle.vun u JOIN oracle.vag a ON a.grp = u.grp WHERE "
                    "a.n > 0",
                    {"par", "chi"},
                    false});
  add_view(schema, {"vpt", "SELECT grp, v FROM oracle.part WHERE v IS NOT NULL", {"part"}, false});
  Relation materialized = *schema.find("vw");
  materialized.name = "mv";
  materialized.caching = Caching::kNo;
  materialized.beneath = {"t1"};
  schema.statements.push_back("CREATE MATERIALIZED VIEW oracle.mv AS SELECT grp, v FROM oracle.t1");
  schema.relations.push_back(materialized);
  schema.alterations.push_back("CREATE OR REPLACE VIEW oracle.vw AS " + vw + ">= " + limit);
  schema.alterations.push_back("CREATE OR REPLACE VIEW oracle.vw AS " + below);
  schema.alterations.push_back("REFRESH MATERIALIZED VIEW oracle.mv");
}

void add_functions(Schema& schema) {
  schema.statements.push_back(
      "CREATE FUNCTION oracle.f_imm(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 5'");
  schema.statements.push_back(
      "CREATE FUNCTION oracle.f_vol(int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN "
      "$1 + (SELECT count(*) FROM oracle.t1); END $$");
  schema.statements.push_back(
      "CREATE FUNCTION oracle.f_stb(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT count(*)::int "
      "+ "
      "$1 FROM oracle.t1'");
  schema.alterations.push_back(
      "CREATE OR REPLACE FUNCTION oracle.f_imm(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT "
      "$1 % 3'");
  schema.alterations.push_back(
      "CREATE OR REPLACE FUNCTION oracle.f_imm(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT "
      "$1 % 5'");
}

}  // namespace pgcache::oracle
