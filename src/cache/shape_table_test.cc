// SPDX-License-Identifier: Apache-2.0
#include "cache/shape_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "sql/test_catalog.h"

namespace pgcache::cache {
namespace {

std::shared_ptr<const pg::Catalog> empty_catalog() {
  auto catalog = std::make_shared<pg::Catalog>();
  catalog->finish();
  return catalog;
}

class ShapeTableTest : public ::testing::Test {
 protected:
  ShapePtr find(ShapeTable& table, std::string_view text, const ShapeScope& scope = {},
                const std::vector<pg::Oid>& types = {}) {
    return table.find_or_analyze(text, sql::scan_shape(text, scope.standard_conforming_strings),
                                 scope, types);
  }
};

TEST_F(ShapeTableTest, OneShapeForAllValuesAndOneForEachMeaning) {
  ShapeTable table(100);
  table.set_catalog(empty_catalog());
  const ShapePtr a = find(table, "SELECT 1 FROM t WHERE id = 5");
  EXPECT_EQ(a, find(table, "SELECT 1 FROM t WHERE id = 7"));
  EXPECT_EQ(a->text, "SELECT 1 FROM t WHERE id = 5");
  EXPECT_NE(a, find(table, "SELECT 1 FROM t WHERE id = '7'")) << "another kind of literal";
  ShapeScope elsewhere;
  elsewhere.search_path = "other";
  EXPECT_NE(a, find(table, "SELECT 1 FROM t WHERE id = 5", elsewhere));
  EXPECT_NE(a, find(table, "SELECT 1 FROM t WHERE id = 5", {}, {pg::type::kInt4}));
  EXPECT_NE(find(table, "SELECT $1", {}, {pg::type::kInt4}),
            find(table, "SELECT $1", {}, {pg::type::kInt8}));
  ShapeScope old_strings;
  old_strings.standard_conforming_strings = false;
  EXPECT_NE(a, find(table, "SELECT 1 FROM t WHERE id = 5", old_strings));
  EXPECT_NE(a->id.value, find(table, "SELECT 2.5 FROM t")->id.value);
}

TEST_F(ShapeTableTest, ANewCatalogBeginsAnew) {
  ShapeTable table(100);
  table.set_catalog(empty_catalog());
  EXPECT_EQ(table.generation(), 1u);
  const ShapePtr before = find(table, "SELECT 1");
  EXPECT_EQ(before->generation, 1u);
  table.set_catalog(empty_catalog());
  EXPECT_TRUE(table.all().empty());
  const ShapePtr after = find(table, "SELECT 1");
  EXPECT_NE(before, after);
  EXPECT_EQ(after->generation, 2u);
  EXPECT_THAT(table.all(), ::testing::ElementsAre(after));
}

// What does not rest on what changed keeps its number, and so its results.
TEST_F(ShapeTableTest, OtherShapesStayWhenSomeDefinitionsChange) {
  const auto catalog = sql::testing::make_shop_catalog();
  ShapeTable table(100);
  table.set_catalog(catalog);
  ShapeScope scope;
  scope.search_path_oids = {sql::testing::kPgCatalogSchema, sql::testing::kPublic};
  const ShapePtr users = find(table, "SELECT id FROM users WHERE id = 1", scope);
  const ShapePtr view = find(table, "SELECT id FROM active_users WHERE id = 1", scope);
  const ShapePtr products = find(table, "SELECT id FROM products WHERE id = 1", scope);
  const ShapePtr unknown = find(table, "SELECT id FROM nothing_of_that_name", scope);
  ASSERT_TRUE(users->analysis.cacheable() && view->analysis.cacheable());
  ASSERT_TRUE(products->analysis.cacheable());
  pg::DefinitionChange change;
  change.add(sql::testing::kUsers);
  table.set_catalog(catalog, change);
  EXPECT_EQ(products, find(table, "SELECT id FROM products WHERE id = 1", scope));
  EXPECT_TRUE(products->is_of(table.generation()));
  EXPECT_NE(users, find(table, "SELECT id FROM users WHERE id = 1", scope));
  EXPECT_NE(view, find(table, "SELECT id FROM active_users WHERE id = 1", scope));
  EXPECT_NE(unknown, find(table, "SELECT id FROM nothing_of_that_name", scope));
  EXPECT_FALSE(users->is_of(table.generation()));
  table.set_catalog(catalog);
  EXPECT_NE(products, find(table, "SELECT id FROM products WHERE id = 1", scope));
}

TEST_F(ShapeTableTest, WithoutACatalogNothingIsCacheableOrRemembered) {
  ShapeTable table(100);
  const ShapePtr read = find(table, "SELECT 1");
  ASSERT_TRUE(read->analysis.not_cacheable());
  EXPECT_EQ(read->analysis.not_cacheable()->reason, sql::BypassReason::kStarting);
  EXPECT_EQ(find(table, "BEGIN")->analysis.kind, sql::StatementKind::kBegin)
      << "what a statement does to its session is known all the same";
  EXPECT_TRUE(table.all().empty());
}

TEST_F(ShapeTableTest, TheOldestLeaveWhenItIsFull) {
  ShapeTable table(3);
  table.set_catalog(empty_catalog());
  const auto text = [](int i) { return "SELECT a" + std::to_string(i); };
  std::vector<ShapePtr> shapes;
  for (int i = 0; i < 5; ++i) shapes.push_back(find(table, text(i)));
  EXPECT_THAT(table.all(), ::testing::UnorderedElementsAre(shapes[2], shapes[3], shapes[4]));
  EXPECT_EQ(find(table, text(3)), shapes[3]);
  EXPECT_NE(find(table, text(0)), shapes[0]);
  EXPECT_EQ(table.all().size(), 3u);
  ShapeTable large(2048);
  large.set_catalog(empty_catalog());
  for (int i = 0; i < 5000; ++i) find(large, text(i));
  EXPECT_LE(large.all().size(), 2048u);
  EXPECT_GT(large.all().size(), 1500u);
}

TEST_F(ShapeTableTest, ManyThreadsAgreeOnOneShape) {
  ShapeTable table(5000);
  table.set_catalog(empty_catalog());
  std::vector<std::vector<ShapePtr>> found(4);
  std::vector<std::thread> threads;
  for (std::vector<ShapePtr>& mine : found) {
    threads.emplace_back([&] {
      for (int i = 0; i < 300; ++i) mine.push_back(find(table, "SELECT b" + std::to_string(i)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& mine : found) EXPECT_EQ(mine, found[0]);
  EXPECT_EQ(table.all().size(), 300u);
}

}  // namespace
}  // namespace pgcache::cache
