// SPDX-License-Identifier: Apache-2.0
// The catalog snapshot.
#include "pg/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgcache::pg {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Oid kPublic{2200};
constexpr Oid kOther{16384};

Relation relation(std::uint32_t oid, Oid schema, std::string name, std::vector<Oid> parents = {}) {
  Relation r;
  r.oid = Oid{oid};
  r.schema = schema;
  r.name = std::move(name);
  r.parents = std::move(parents);
  return r;
}

Function function(std::uint32_t oid, Oid schema, std::string name) {
  Function f;
  f.oid = Oid{oid};
  f.schema = schema;
  f.name = std::move(name);
  return f;
}

TEST(Catalog, FindsSchemas) {
  Catalog catalog;
  catalog.add_schema(kPublic, "public");
  catalog.finish();
  EXPECT_EQ(catalog.find_schema("public"), kPublic);
  EXPECT_EQ(catalog.find_schema("Public"), Oid::kInvalid);
  ASSERT_NE(catalog.schema_name(kPublic), nullptr);
  EXPECT_EQ(*catalog.schema_name(kPublic), "public");
  EXPECT_EQ(catalog.schema_name(kOther), nullptr);
}

TEST(Catalog, FindsRelationsBySchema) {
  Catalog catalog;
  Relation users = relation(100, kPublic, "users");
  users.columns = {Column{.attnum = 1, .name = "id", .type = type::kInt4},
                   Column{.attnum = 3, .name = "name", .type = type::kText}};
  catalog.add_relation(std::move(users));
  catalog.add_relation(relation(101, kOther, "users"));
  catalog.finish();
  ASSERT_NE(catalog.find_relation(kPublic, "users"), nullptr);
  EXPECT_EQ(catalog.find_relation(kPublic, "users")->oid, Oid{100});
  EXPECT_EQ(catalog.find_relation(kOther, "users")->oid, Oid{101});
  EXPECT_EQ(catalog.find_relation(kPublic, "user"), nullptr);
  EXPECT_EQ(catalog.find_relation(Oid{11}, "users"), nullptr);
  EXPECT_EQ(catalog.find_relation(Oid{102}), nullptr);
  EXPECT_EQ(catalog.relations().size(), 2u);
  const Relation& found = *catalog.find_relation(Oid{100});
  ASSERT_NE(found.find_column("name"), nullptr);
  EXPECT_EQ(found.find_column("name")->attnum, 3);
  EXPECT_EQ(found.find_column("nam"), nullptr);
}

TEST(Catalog, ComputesDescendantsOfAllLevels) {
  Catalog catalog;
  catalog.add_relation(relation(1, kPublic, "root"));
  catalog.add_relation(relation(4, kPublic, "leaf", {Oid{2}, Oid{3}}));  // two ways to the root
  catalog.add_relation(relation(2, kPublic, "left", {Oid{1}}));
  catalog.add_relation(relation(3, kPublic, "right", {Oid{1}}));
  catalog.add_relation(relation(5, kPublic, "orphan", {Oid{99}}));  // its parent is not there
  catalog.finish();
  EXPECT_THAT(catalog.find_relation(Oid{1})->descendants, ElementsAre(Oid{2}, Oid{3}, Oid{4}));
  EXPECT_THAT(catalog.find_relation(Oid{2})->descendants, ElementsAre(Oid{4}));
  EXPECT_THAT(catalog.find_relation(Oid{3})->descendants, ElementsAre(Oid{4}));
  EXPECT_THAT(catalog.find_relation(Oid{4})->descendants, IsEmpty());
  EXPECT_THAT(catalog.ancestors_of(Oid{4}), ElementsAre(Oid{1}, Oid{2}, Oid{3}));
  EXPECT_THAT(catalog.ancestors_of(Oid{1}), IsEmpty());
  EXPECT_THAT(catalog.ancestors_of(Oid{5}), ElementsAre(Oid{99}));
  EXPECT_THAT(catalog.ancestors_of(Oid{77}), IsEmpty());
}

TEST(Catalog, FindsFunctionsByNameAndOid) {
  Catalog catalog;
  catalog.add_function(function(1, Oid{11}, "abs"));
  catalog.add_function(function(2, Oid{11}, "now"));
  catalog.add_function(function(3, kPublic, "abs"));
  catalog.finish();
  ASSERT_EQ(catalog.functions_named("abs").size(), 2u);
  EXPECT_EQ(catalog.functions_named("abs")[0].oid, Oid{1});
  EXPECT_EQ(catalog.functions_named("abs")[1].oid, Oid{3});
  EXPECT_TRUE(catalog.functions_named("ABS").empty());
  ASSERT_NE(catalog.find_function(Oid{3}), nullptr);
  EXPECT_EQ(catalog.find_function(Oid{3})->schema, kPublic);
  EXPECT_EQ(catalog.find_function(Oid{2})->name, "now");
  EXPECT_EQ(catalog.find_function(Oid{4}), nullptr);
}

TEST(Catalog, FindsOperatorsTypesAndCasts) {
  Catalog catalog;
  const auto op = [](std::uint32_t oid, Oid schema, Oid left, Oid right) {
    return Operator{.oid = Oid{oid}, .schema = schema, .name = "-", .left = left, .right = right};
  };
  catalog.add_operator(op(1, Oid{11}, type::kInt4, type::kInt4));
  catalog.add_operator(op(2, Oid{11}, Oid::kInvalid, type::kInt4));
  catalog.add_operator(op(3, kPublic, type::kInt4, type::kInt4));
  catalog.add_type(Type{.oid = type::kInt4, .schema = Oid{11}, .name = "int4"});
  catalog.add_type(
      Type{.oid = Oid{50}, .schema = kPublic, .name = "age", .kind = 'd', .base = type::kInt4});
  catalog.add_type(
      Type{.oid = Oid{51}, .schema = kPublic, .name = "years", .kind = 'd', .base = Oid{50}});
  catalog.add_cast(Cast{.source = type::kInt4, .target = type::kInt8, .function = Oid{481}});
  catalog.finish();
  EXPECT_EQ(catalog.operators_named("-").size(), 3u);
  EXPECT_TRUE(catalog.operators_named("+").empty());
  EXPECT_EQ(catalog.find_operator(kPublic, "-", type::kInt4, type::kInt4)->oid, Oid{3});
  EXPECT_EQ(catalog.find_operator(Oid{11}, "-", Oid::kInvalid, type::kInt4)->oid, Oid{2});
  EXPECT_EQ(catalog.find_operator(Oid{11}, "-", type::kInt4, type::kInt8), nullptr);
  EXPECT_EQ(catalog.find_type(Oid{11}, "int4")->oid, type::kInt4);
  EXPECT_EQ(catalog.find_type(kPublic, "int4"), nullptr);
  EXPECT_EQ(catalog.base_type(Oid{51}), type::kInt4);
  EXPECT_EQ(catalog.base_type(type::kInt4), type::kInt4);
  EXPECT_EQ(catalog.base_type(Oid{999}), Oid{999});
  ASSERT_NE(catalog.find_cast(type::kInt4, type::kInt8), nullptr);
  EXPECT_EQ(catalog.find_cast(type::kInt4, type::kInt8)->function, Oid{481});
  EXPECT_EQ(catalog.find_cast(type::kInt8, type::kInt4), nullptr);
}

TEST(Catalog, KeepsTheDatabase) {
  Catalog catalog;
  catalog.set_database("shop", "UTF8", 150020);
  EXPECT_EQ(catalog.database(), "shop");
  EXPECT_EQ(catalog.encoding(), "UTF8");
  EXPECT_EQ(catalog.server_version_num(), 150020);
}

}  // namespace
}  // namespace pgcache::pg
