// SPDX-License-Identifier: Apache-2.0
#include "cdc/definition_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pgcache::cdc {
namespace {

using pg::Oid;
using ::testing::ElementsAre;

constexpr Oid kTable{20001}, kRoot{20002}, kFirst{20003}, kSecond{20004};

std::shared_ptr<const pg::Catalog> catalog() {
  auto catalog = std::make_shared<pg::Catalog>();
  const auto add = [&](Oid oid, const char* name, char kind, std::vector<Oid> parents) {
    pg::Relation relation;
    relation.oid = oid;
    relation.schema = Oid{2200};
    relation.schema_name = "public";
    relation.name = name;
    relation.kind = kind;
    relation.parents = std::move(parents);
    relation.is_partition = !relation.parents.empty();
    catalog->add_relation(std::move(relation));
  };
  add(kTable, "plain", 'r', {});
  add(kRoot, "root", 'p', {});
  add(kFirst, "first", 'r', {kRoot});
  add(kSecond, "second", 'r', {kRoot});
  pg::Type type;
  type.oid = Oid{20010};
  type.name = "mood";
  catalog->add_type(std::move(type));
  catalog->finish();
  return catalog;
}

std::string line(const std::string& event, const std::string& tag, const std::string& type,
                 const std::string& relation, const std::string& name = "",
                 const std::string& kin = "") {
  return "\n" + event + "\t" + tag + "\t" + type + "\t" + relation + "\t" +
         (name.empty() ? "" : "public") + "\t" + name + "\t" + kin;
}

pg::DefinitionChange read(const std::string& content) {
  const auto known = catalog();
  return definitions_changed({{"other", "anything"}, {kDefinitionPrefix, content}}, known.get());
}

TEST(DefinitionMessage, ATableAndItsParts) {
  for (const std::string& told : {line("end", "ALTER TABLE", "table", "20001", "plain"),
                                  line("end", "ALTER TABLE", "table column", "20001", "plain"),
                                  line("end", "ALTER TABLE", "table constraint", "20001"),
                                  line("end", "CREATE TRIGGER", "trigger", "20001"),
                                  line("drop", "DROP POLICY", "policy", "20001"),
                                  line("drop", "DROP TABLE", "table", "20001"),
                                  line("rewrite", "ALTER TABLE", "table", "20001")}) {
    EXPECT_THAT(read("1" + told).relations, ElementsAre(kTable)) << told;
  }
}

TEST(DefinitionMessage, AllOfATreeOfInheritance) {
  EXPECT_THAT(read("1" + line("drop", "DROP TABLE", "table", "20003")).relations,
              ElementsAre(kRoot, kFirst, kSecond));
  EXPECT_THAT(read("1" + line("end", "CREATE TABLE", "table", "20009", "third", "20002")).relations,
              ElementsAre(kRoot, kFirst, kSecond, Oid{20009}));
}

TEST(DefinitionMessage, NothingThatMatters) {
  for (const std::string& told : {line("end", "CREATE INDEX", "index", "20001", "plain_v"),
                                  line("end", "COMMENT", "table", "20001", "plain"),
                                  line("end", "CREATE STATISTICS", "statistics object", "0")}) {
    EXPECT_TRUE(read("1" + told).empty()) << told;
  }
}

TEST(DefinitionMessage, Everything) {
  for (const std::string& content :
       {std::string("1") + line("all", "", "", "0"),
        "1" + line("end", "ALTER TABLE", "table", "20001", "plain") +
            line("end", "CREATE FUNCTION", "function", "0"),
        "1" + line("end", "GRANT", "table", "0"), "1" + line("drop", "DROP INDEX", "index", "0"),
        "1" + line("end", "ALTER TABLE", "something new", "20001"),
        std::string("1\nend\tALTER TABLE"), std::string("2\n"), std::string("1"), std::string(),
        "1" + line("end", "ALTER TABLE", "table", "20001", "plain", "20002 x"),
        "1" + line("end", "ALTER TABLE", "table", "no number", "plain")}) {
    EXPECT_TRUE(read(content).everything) << content;
  }
  EXPECT_TRUE(definitions_changed({{kDefinitionPrefix, "1"}}, nullptr).everything);
}

TEST(DefinitionMessage, ANameThatSomethingElseHas) {
  EXPECT_FALSE(read("1" + line("end", "CREATE TABLE", "table", "20020", "fresh")).everything);
  EXPECT_TRUE(read("1" + line("end", "CREATE TABLE", "table", "20020", "plain")).everything);
  EXPECT_TRUE(read("1" + line("end", "CREATE VIEW", "view", "20020", "mood")).everything);
  EXPECT_TRUE(read("1" + line("end", "CREATE INDEX", "index", "20001", "root")).everything);
  EXPECT_TRUE(read("1" + line("end", "ALTER TABLE", "table", "20001", "root")).everything);
  EXPECT_FALSE(read("1" + line("end", "ALTER TABLE", "table", "20001", "renamed")).everything);
}

TEST(DefinitionMessage, OthersMessagesTellNothing) {
  EXPECT_TRUE(definitions_changed({{"other", "1"}}, nullptr).empty());
  EXPECT_TRUE(definitions_changed({}, nullptr).empty());
}

}  // namespace
}  // namespace pgcache::cdc
