// SPDX-License-Identifier: Apache-2.0
// Each pass by itself: what it changes, what it leaves alone, and that a second run changes
// nothing.
#include "sql/passes.h"

#include <gtest/gtest.h>

#include "sql/analysis_support.h"
#include "sql/parse_tree.h"
#include "sql/resolver.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

using Pass = bool (*)(ResolvedQuery&);

pg::Column column(const char* name, pg::Oid type, bool not_null) {
  pg::Column out;
  out.name = name;
  out.type = type;
  out.not_null = not_null;
  return out;
}

pg::Relation table(std::uint32_t oid, const char* name, std::vector<pg::Column> columns) {
  pg::Relation out;
  out.oid = pg::Oid{oid};
  out.schema = testing::kPublic;
  out.schema_name = "public";
  out.name = name;
  out.columns = std::move(columns);
  out.has_replica_identity = true;
  out.key_columns = {"id"};
  out.unique_keys = {{{"id"}}};
  return out;
}

// owners(id, name), with pets(id, owner_id NOT NULL, sitter_id) that refer to them twice.
std::shared_ptr<pg::Catalog> make_catalog() {
  using namespace pg::type;  // NOLINT
  auto catalog = std::make_shared<pg::Catalog>();
  testing::add_builtins(*catalog);
  catalog->add_relation(
      table(20001, "owners", {column("id", kInt4, true), column("name", kInt4, false)}));
  pg::Relation pets = table(20002, "pets",
                            {column("id", kInt4, true), column("owner_id", kInt4, true),
                             column("sitter_id", kInt4, false), column("age", kInt4, false)});
  pets.foreign_keys = {{{"owner_id"}, pg::Oid{20001}, {"id"}},
                       {{"sitter_id"}, pg::Oid{20001}, {"id"}}};
  catalog->add_relation(std::move(pets));
  catalog->finish();
  return catalog;
}

class Passes : public ::testing::Test {
 protected:
  // After the passes that come before it, as it is when it runs.
  ResolvedQuery resolve(const std::string& text, std::initializer_list<Pass> before) {
    const StatementShape shape = scan_shape(text, true);
    AnalysisContext context;
    context.catalog = catalog_.get();
    context.search_path = {testing::kPgCatalogSchema, testing::kPublic};
    const auto parsed = ParseTree::parse(text, shape.text);
    const ParseTree& tree = std::get<ParseTree>(parsed);
    Resolver resolver(context, text, shape);
    CacheableQuery out;
    const bool resolved = resolver.run(*tree.statement(0)->select_stmt, out);
    EXPECT_TRUE(resolved) << text;
    ResolvedQuery query = resolver.take_query();
    for (const Pass pass : before) pass(query);
    return query;
  }

  void changes(Pass pass, const std::string& text, std::initializer_list<Pass> before = {}) {
    ResolvedQuery query = resolve(text, before);
    EXPECT_TRUE(pass(query)) << text;
    EXPECT_FALSE(pass(query)) << "again: " << text;
  }
  void leaves(Pass pass, const std::string& text, std::initializer_list<Pass> before = {}) {
    ResolvedQuery query = resolve(text, before);
    EXPECT_FALSE(pass(query)) << text;
  }

  std::string dependencies(const std::string& text) {
    return testing::show(testing::analyze_with(*catalog_, text), *catalog_, true);
  }

  std::shared_ptr<pg::Catalog> catalog_ = make_catalog();
};

TEST_F(Passes, SeparateBlocks) {
  changes(separate_blocks, "WITH p AS (SELECT id FROM pets) SELECT 1 FROM p a, p b");
  changes(separate_blocks,
          "WITH p AS (SELECT id FROM pets) SELECT 1 FROM p WHERE id IN (SELECT id FROM p)");
  leaves(separate_blocks, "WITH p AS (SELECT id FROM pets) SELECT 1 FROM p a");
  leaves(separate_blocks, "SELECT 1 FROM pets a, pets b");
  EXPECT_EQ(dependencies("WITH p AS (SELECT id FROM pets) "
                         "SELECT 1 FROM p WHERE id = 1 UNION SELECT 2 FROM p WHERE id = 2"),
            "pets KEY id = ?2 [id]; pets KEY id = ?4 [id]");
}

TEST_F(Passes, PruneOutputs) {
  changes(prune_outputs, "SELECT s.id FROM (SELECT id, age FROM pets LIMIT 3) s");
  changes(prune_outputs, "SELECT 1 FROM owners WHERE EXISTS (SELECT age + 1 FROM pets)");
  leaves(prune_outputs, "SELECT s.id, s.age FROM (SELECT id, age FROM pets LIMIT 3) s");
  leaves(prune_outputs, "SELECT s.id FROM (SELECT DISTINCT id, age FROM pets) s");
  // It may fail, and so be looked at.
  leaves(prune_outputs, "SELECT s.id FROM (SELECT id, 1 / age AS a FROM pets LIMIT 3) s");
  EXPECT_EQ(dependencies("SELECT count(*) FROM (SELECT id, age FROM pets GROUP BY id, age) s"),
            "pets [id age]");
}

TEST_F(Passes, MergeBlocks) {
  changes(merge_blocks, "SELECT s.id FROM (SELECT id FROM pets WHERE age > 3) s");
  changes(merge_blocks,
          "SELECT 1 FROM owners o WHERE EXISTS (SELECT 1 FROM pets WHERE owner_id = o.id)");
  changes(merge_blocks, "SELECT 1 FROM owners WHERE id IN (SELECT owner_id FROM pets)");
  for (const char* inner :
       {"SELECT DISTINCT id FROM pets", "SELECT id FROM pets LIMIT 1",
        "SELECT id FROM pets GROUP BY id", "SELECT id, count(*) OVER () FROM pets"}) {
    leaves(merge_blocks, std::string("SELECT s.id FROM (") + inner + ") s");
  }
  leaves(merge_blocks, "SELECT 1 FROM owners WHERE id NOT IN (SELECT owner_id FROM pets)");
  leaves(merge_blocks, "SELECT 1 FROM owners WHERE NOT EXISTS (SELECT 1 FROM pets)");
  EXPECT_EQ(dependencies("SELECT 1 FROM owners WHERE name = 4 AND id IN "
                         "(SELECT owner_id FROM pets WHERE owner_id = 5)"),
            "owners KEY name = ?2, id = ?3; pets KEY owner_id = ?3 [owner_id]");
}

TEST_F(Passes, ReduceOuterJoins) {
  const char* const join = "SELECT 1 FROM owners o LEFT JOIN pets p ON p.owner_id = o.id WHERE ";
  changes(reduce_outer_joins, std::string(join) + "p.age = 3");
  changes(reduce_outer_joins, std::string(join) + "p.age IS NOT NULL");
  changes(reduce_outer_joins, "SELECT 1 FROM owners o FULL JOIN pets p ON true WHERE o.id = 1");
  leaves(reduce_outer_joins, std::string(join) + "p.age IS NULL");
  leaves(reduce_outer_joins, std::string(join) + "o.id = 3");
  leaves(reduce_outer_joins, std::string(join) + "coalesce(p.age, 3) = 3");
  leaves(reduce_outer_joins, "SELECT 1 FROM owners o LEFT JOIN pets p ON p.age = 3");
}

TEST_F(Passes, SimplifyConditions) {
  for (const char* condition :
       {"id IS NULL", "id IS NOT NULL", "id = id", "age = 1 OR age = 2", "true AND age = 1",
        "age = 1 OR false", "NOT (true)", "(age = 1) IS TRUE"}) {
    changes(simplify_conditions, std::string("SELECT 1 FROM pets WHERE ") + condition);
  }
  for (const char* condition :
       {"age IS NULL", "age = age", "id = age", "age = 1 OR id = 2", "(age = 1) IS NOT TRUE"}) {
    leaves(simplify_conditions, std::string("SELECT 1 FROM pets WHERE ") + condition);
  }
  // Not NULL in its table, but where it is missing.
  leaves(simplify_conditions,
         "SELECT 1 FROM owners o LEFT JOIN pets p ON p.owner_id = o.id WHERE p.id IS NULL");
  EXPECT_EQ(dependencies("SELECT 1 FROM pets WHERE id IS NULL"), "");
  EXPECT_EQ(dependencies("SELECT age FROM pets WHERE id IS NOT NULL"), "pets [age]");
}

TEST_F(Passes, DropOuterJoins) {
  changes(drop_outer_joins, "SELECT p.id FROM pets p LEFT JOIN owners o ON o.id = p.owner_id");
  changes(drop_outer_joins, "SELECT p.id FROM owners o RIGHT JOIN pets p ON o.id = p.owner_id");
  leaves(drop_outer_joins, "SELECT o.name FROM pets p LEFT JOIN owners o ON o.id = p.owner_id");
  leaves(drop_outer_joins, "SELECT p.id FROM pets p LEFT JOIN owners o ON o.name = p.owner_id");
  leaves(drop_outer_joins, "SELECT p.id FROM pets p LEFT JOIN owners o ON o.id < p.owner_id");
  leaves(drop_outer_joins,
         "SELECT p.id FROM pets p LEFT JOIN owners o ON o.id = p.owner_id WHERE o.name IS NULL");
  EXPECT_EQ(dependencies("SELECT p.id FROM pets p LEFT JOIN owners o ON o.id = p.owner_id "
                         "LEFT JOIN owners s ON s.id = o.name"),
            "pets [id]");
}

TEST_F(Passes, DropParentJoins) {
  changes(drop_parent_joins, "SELECT p.age FROM pets p JOIN owners o ON o.id = p.owner_id");
  changes(drop_parent_joins, "SELECT o.id FROM pets p, owners o WHERE p.owner_id = o.id");
  changes(drop_parent_joins, "SELECT p.age FROM pets p JOIN owners o ON o.id = p.sitter_id");
  leaves(drop_parent_joins, "SELECT o.name FROM pets p JOIN owners o ON o.id = p.owner_id");
  leaves(drop_parent_joins, "SELECT p.age FROM pets p JOIN owners o ON o.id = p.age");
  leaves(drop_parent_joins,
         "SELECT p.age FROM pets p JOIN owners o ON o.id = p.owner_id AND o.name = 3");
  leaves(drop_parent_joins, "SELECT p.age FROM pets p LEFT JOIN owners o ON o.id = p.owner_id");
  EXPECT_EQ(dependencies("SELECT p.age FROM pets p JOIN owners o ON o.id = p.owner_id"),
            "pets [age]");
  EXPECT_EQ(dependencies("SELECT p.age FROM pets p JOIN owners o ON o.id = p.sitter_id"),
            "pets WHERE NOT (sitter_id IS NULL) [sitter_id age]");
}

TEST_F(Passes, TogetherTheyLeaveNothingToDo) {
  const char* const texts[] = {
      "SELECT 1 FROM pets",
      "WITH p AS (SELECT * FROM pets WHERE id IS NOT NULL) SELECT a.id FROM p a LEFT JOIN p b ON "
      "b.id = a.age WHERE b.age > 1 OR b.age = 2 OR b.age = 3",
      "SELECT o.id FROM owners o WHERE EXISTS (SELECT p.age FROM pets p JOIN owners s ON s.id = "
      "p.sitter_id WHERE p.owner_id = o.id AND p.id IN (SELECT id FROM pets))",
      "SELECT u.id FROM (SELECT id, age FROM pets UNION ALL SELECT id, name FROM owners) u",
  };
  for (const char* text : texts) {
    ResolvedQuery query = resolve(text, {});
    run_passes(query);
    EXPECT_TRUE(run_passes(query).empty()) << text;
  }
}

TEST_F(Passes, ParentsAndRowsThatAreTheSame) {
  const auto first = [&](const char* text) {
    const Analysis analysis = testing::analyze_with(*catalog_, text);
    return analysis.cacheable()->dependencies;
  };
  const auto joined = first("SELECT p.age, o.name FROM pets p JOIN owners o ON o.id = p.owner_id");
  ASSERT_EQ(joined.size(), 2u);
  EXPECT_FALSE(joined[0].is_parent);
  EXPECT_TRUE(joined[1].is_parent);
  // An owner without pets is a row of its own here.
  const auto kept =
      first("SELECT p.age, o.name FROM owners o LEFT JOIN pets p ON o.id = p.owner_id");
  EXPECT_FALSE(kept[0].is_parent);
  EXPECT_EQ(dependencies("SELECT a.age FROM pets a JOIN pets b ON b.id = a.id "
                         "WHERE a.owner_id = 1 AND b.sitter_id = 2"),
            "pets KEY owner_id = ?1, sitter_id = ?2 [id owner_id age]; "
            "pets KEY owner_id = ?1, sitter_id = ?2 [id sitter_id]");
}

TEST_F(Passes, ColumnsOfConditionsThatOnlyNeedHold) {
  const auto shown = [&](const char* text) -> std::string {
    const Analysis analysis = testing::analyze_with(*catalog_, text);
    const auto& columns = analysis.cacheable()->dependencies[0].columns_shown;
    if (!columns) return "-";
    std::string out;
    for (const std::string& name : *columns) out += name + " ";
    return out;
  };
  EXPECT_EQ(shown("SELECT id FROM pets WHERE age = 3"), "id ");
  EXPECT_EQ(shown("SELECT id FROM pets WHERE age > 3 AND owner_id < 9"), "id ");
  EXPECT_EQ(shown("SELECT id FROM pets WHERE age > 3 ORDER BY age"), "id age ");
  EXPECT_EQ(shown("SELECT id FROM pets WHERE age = age"), "-");
  EXPECT_EQ(shown("SELECT count(*) FROM pets WHERE age % 2 = 1"), "");
}

}  // namespace
}  // namespace pgcache::sql
