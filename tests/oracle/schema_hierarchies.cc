// SPDX-License-Identifier: Apache-2.0
// Partitioned tables, by range, list and hash, and plain inheritance.
#include "oracle/schema_parts.h"

namespace pgcache::oracle {
namespace {

struct Leaf {
  std::string name;
  std::string of;   // what it is a partition of
  std::string how;  // the bounds, and by what it is partitioned itself
  bool has_rows = true;
};

void create_partitioned(Schema& schema, const Relation& root, const std::string& by,
                        const std::vector<Leaf>& leaves, Random& random) {
  const bool full = chooses_full(schema, random);
  std::string key;
  for (const std::string& column : root.key) key += (key.empty() ? "" : ", ") + column;
  schema.statements.push_back("CREATE TABLE " + root.qualified() + " (" + columns_sql(root) +
                              ", PRIMARY KEY (" + key + ")) PARTITION BY " + by);
  schema.relations.push_back(root);
  for (const Leaf& leaf : leaves) {
    Relation relation = root;
    relation.name = leaf.name;
    relation.leaf = true;
    schema.statements.push_back("CREATE TABLE " + relation.qualified() + " PARTITION OF oracle." +
                                leaf.of + " " + leaf.how);
    if (full && leaf.has_rows) schema.statements.push_back(full_identity(relation.qualified()));
    schema.relations.push_back(relation);
  }
}

void add_by_range(Schema& schema, Random& random) {
  Relation root;
  root.name = "part";
  root.columns = {{"id", Kind::kInt, false},
                  {"grp", Kind::kInt, false},
                  {"v", Kind::kInt, true},
                  {"txt", Kind::kText, true}};
  root.key = {"id", "grp"};
  create_partitioned(schema, root, "RANGE (grp)",
                     {{"part_0", "part", "FOR VALUES FROM (MINVALUE) TO (2)"},
                      {"part_1", "part", "FOR VALUES FROM (2) TO (4)"},
                      {"part_2", "part", "FOR VALUES FROM (4) TO (MAXVALUE)"}},
                     random);
  schema.alterations.push_back("ALTER TABLE oracle.part DETACH PARTITION oracle.part_1");
  schema.alterations.push_back(
      "ALTER TABLE oracle.part ATTACH PARTITION oracle.part_1 FOR VALUES FROM (2) TO (4)");
}

void add_by_list(Schema& schema, Random& random) {
  Relation root;
  root.name = "lst";
  root.columns = {{"id", Kind::kInt, false},
                  {"txt", Kind::kText, false},
                  {"grp", Kind::kInt, true},
                  {"v", Kind::kInt, true}};
  root.key = {"id", "txt"};
  create_partitioned(schema, root, "LIST (txt)",
                     {{"lst_ab", "lst", "FOR VALUES IN ('a', 'b', 'A')"},
                      {"lst_c", "lst", "FOR VALUES IN ('c', '01')"},
                      {"lst_rest", "lst", "DEFAULT"}},
                     random);
}

void add_by_hash(Schema& schema, Random& random) {
  Relation root;
  root.name = "hsh";
  root.columns = {{"id", Kind::kInt, false}, {"grp", Kind::kInt, false}, {"v", Kind::kInt, true}};
  root.key = {"id", "grp"};
  create_partitioned(
      schema, root, "HASH (id)",
      {{"hsh_0", "hsh", "FOR VALUES WITH (MODULUS 2, REMAINDER 0)"},
       {"hsh_1", "hsh", "FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY RANGE (grp)", false},
       {"hsh_1_low", "hsh_1", "FOR VALUES FROM (MINVALUE) TO (5)"},
       {"hsh_1_high", "hsh_1", "FOR VALUES FROM (5) TO (MAXVALUE)"}},
      random);
}

void add_inherited(Schema& schema, Random& random) {
  Relation parent;
  parent.name = "inh";
  parent.columns = {{"id", Kind::kInt, false}, {"grp", Kind::kInt, true}, {"v", Kind::kInt, true}};
  parent.key = {"id"};
  parent.caching = Caching::kMaybe;
  const bool full = chooses_full(schema, random);
  schema.statements.push_back("CREATE TABLE oracle.inh (" + columns_sql(parent) +
                              ", PRIMARY KEY (id))");
  schema.statements.push_back(
      "CREATE TABLE oracle.inh_child (extra text, PRIMARY KEY (id)) INHERITS (oracle.inh)");
  if (full) {
    schema.statements.push_back(full_identity("ONLY oracle.inh"));
    schema.statements.push_back(full_identity("oracle.inh_child"));
  }
  schema.relations.push_back(parent);
  Relation child = parent;
  child.name = "inh_child";
  child.columns.push_back({"extra", Kind::kText, true});
  schema.relations.push_back(child);
}

}  // namespace

void add_hierarchies(Schema& schema, Random& random) {
  add_by_range(schema, random);
  add_by_list(schema, random);
  add_by_hash(schema, random);
  add_inherited(schema, random);
}

}  // namespace pgcache::oracle
