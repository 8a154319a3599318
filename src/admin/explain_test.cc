// SPDX-License-Identifier: Apache-2.0
#include "admin/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "admin/answer.h"
#include "admin/client.h"
#include "sql/test_catalog.h"

namespace pgcache::admin {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Strings = std::vector<std::string>;

std::shared_ptr<const pg::Catalog> shop() {
  static const std::shared_ptr<const pg::Catalog> catalog = sql::testing::make_shop_catalog();
  return catalog;
}

// A table of its own, in a catalog that has nothing but the built-in types and operators.
std::shared_ptr<const pg::Catalog> catalog_with(pg::Relation relation) {
  auto catalog = std::make_shared<pg::Catalog>();
  sql::testing::add_builtins(*catalog);
  catalog->add_relation(std::move(relation));
  catalog->finish();
  return catalog;
}

pg::Relation table(char identity, Strings key) {
  pg::Relation relation = sql::testing::make_relation(
      pg::Oid{16500}, "t",
      {{"id", pg::type::kInt4}, {"kind", pg::type::kInt4}, {"name", pg::type::kText}});
  relation.replica_identity = identity;
  relation.key_columns = std::move(key);
  return relation;
}

Explanation explained(const pg::Catalog& catalog, const std::string& text, Strings types = {},
                      Strings search_path = {"public"}) {
  ExplainContext context;
  context.catalog = &catalog;
  context.key_settings = {"DateStyle", "TimeZone"};
  ExplainRequest request;
  request.text = text;
  request.types = std::move(types);
  request.search_path = std::move(search_path);
  Result<Explanation> made = explain(context, request);
  if (!made.ok()) throw std::runtime_error(made.error().message);
  return *std::move(made);
}

TEST(Explain, SaysWhatAQueryReads) {
  const auto catalog = catalog_with(table('d', {"id"}));
  const Explanation e = explained(
      *catalog, "SELECT name FROM t WHERE id = $1 AND kind > 3 AND kind <= $2", {"", "integer"});
  EXPECT_TRUE(e.cacheable);
  EXPECT_EQ(e.shape, "SELECT name FROM t WHERE id = $1 AND kind > ?1 AND kind <= $2");
  ASSERT_EQ(e.literals.size(), 1u);
  EXPECT_EQ(e.literals[0].text, "3");
  EXPECT_EQ(e.literals[0].type, "int4");
  ASSERT_EQ(e.parameters.size(), 2u);
  EXPECT_EQ(e.parameters[0].type, "int4");  // inferred
  EXPECT_EQ(e.parameters[1].type, "int4");
  ASSERT_EQ(e.dependencies.size(), 1u);
  const ExplainedDependency& d = e.dependencies[0];
  EXPECT_EQ(d.relation, "public.t");
  EXPECT_THAT(d.members, ElementsAre("public.t"));
  EXPECT_THAT(d.keys, ElementsAre("id = $1"));
  EXPECT_EQ(d.range, "kind > ?1 AND kind <= $2");
  EXPECT_FALSE(d.columns_read.has_value());  // all
  EXPECT_EQ(d.identity, "default (id)");
  EXPECT_THAT(d.precision, AllOf(HasSubstr("former kind"), HasSubstr("REPLICA IDENTITY FULL")));
  EXPECT_THAT(e.key, ::testing::Contains("settings: DateStyle, TimeZone"));
  EXPECT_THAT(e.key, ::testing::Contains("literals: ?1"));
  EXPECT_THAT(e.key, ::testing::Contains("parameters, each with its format: $1, $2"));
}

TEST(Explain, TellsWhatTheReplicaIdentityMeans) {
  const std::string by_id = "SELECT id FROM t WHERE id = 1";
  const std::string by_kind = "SELECT id FROM t WHERE kind = 1";
  const auto precision = [](const pg::Relation& relation, const std::string& text) {
    return explained(*catalog_with(relation), text).dependencies.at(0).precision;
  };
  EXPECT_THAT(precision(table('d', {"id"}), by_id), HasSubstr("key of a changed row decides"));
  EXPECT_THAT(precision(table('d', {"id"}), by_kind), HasSubstr("former kind"));
  EXPECT_THAT(precision(table('i', {"kind"}), by_kind), HasSubstr("key of a changed row decides"));
  EXPECT_THAT(precision(table('d', {"id"}), "SELECT id FROM t"), HasSubstr("Any change"));
  EXPECT_THAT(precision(table('f', {}), by_kind), HasSubstr("known whole"));
  EXPECT_EQ(explained(*catalog_with(table('f', {})), by_kind).dependencies[0].identity, "full");
  EXPECT_EQ(explained(*catalog_with(table('i', {"kind"})), by_kind).dependencies[0].identity,
            "index (kind)");
}

TEST(Explain, TablesThatCannotBePublished) {
  pg::Relation relation = table('d', {});
  relation.has_replica_identity = false;
  const Explanation e = explained(*catalog_with(relation), "SELECT id FROM t WHERE kind = 1");
  EXPECT_FALSE(e.cacheable);
  EXPECT_EQ(e.reason, "no_replica_identity");
  EXPECT_EQ(e.detail, "public.t");
  EXPECT_THAT(e.advice, HasSubstr("primary key"));
  EXPECT_EQ(e.dependencies.size(), 1u);
}

TEST(Explain, TablesThatTheConfigurationExcludes) {
  ExplainContext context;
  context.catalog = shop().get();
  context.objection = [](const pg::Relation& relation) {
    return relation.name == "orders"
               ? std::optional(sql::NotCacheable{sql::BypassReason::kDenied, relation.name})
               : std::nullopt;
  };
  ExplainRequest request;
  request.text = "SELECT * FROM users";
  EXPECT_TRUE(explain(context, request)->cacheable);
  request.text = "SELECT * FROM users JOIN orders ON user_id = users.id";
  EXPECT_EQ(explain(context, request)->reason, "denied");
  context.query_bytes_max = 10;
  EXPECT_EQ(explain(context, request)->reason, "query_too_long");
}

TEST(Explain, ReasonDetailAndAdvice) {
  const Explanation e = explained(*shop(), "SELECT now()");
  EXPECT_FALSE(e.cacheable);
  EXPECT_EQ(e.reason, "volatile_function");
  EXPECT_EQ(e.detail, "now");
  EXPECT_THAT(explanation_text(e), AllOf(HasSubstr("cacheable   no\n"),
                                         HasSubstr("reason      volatile_function: now\n"),
                                         HasSubstr("to do       Its value")));
  EXPECT_EQ(explained(*shop(), "DELETE FROM users").reason, "not_read");
  EXPECT_EQ(explained(*shop(), "SELEC 1").reason, "syntax");
  EXPECT_EQ(explained(*shop(), "SELECT 1 FROM users", {}, {"other"}).reason, "unknown_relation");
  EXPECT_TRUE(explained(*shop(), "SELECT 1 FROM users", {}, {"none", "public"}).cacheable);
}

TEST(Explain, EveryReasonHasAdvice) {
  for (std::size_t i = 0; i < sql::kBypassReasonCount; ++i) {
    const std::string_view advice = advice_for(static_cast<sql::BypassReason>(i));
    EXPECT_GT(advice.size(), 10u) << sql::kBypassReasonLabels[i];
    EXPECT_TRUE(advice.ends_with('.')) << advice;
  }
}

TEST(Explain, TypesByName) {
  const auto type = [](const std::string& name) {
    return explained(*shop(), "SELECT 1 WHERE $1 IS NULL", {name}).parameters.at(0).type;
  };
  EXPECT_EQ(type("bigint"), "int8");
  EXPECT_EQ(type("double precision"), "float8");
  EXPECT_EQ(type("pg_catalog.text"), "text");
  EXPECT_EQ(type("int4[]"), "int4[]");
  EXPECT_EQ(type("mood"), "public.mood");
  EXPECT_THROW(type("moody"), std::runtime_error);
  EXPECT_THROW(type("moody[]"), std::runtime_error);
  EXPECT_THROW(type("nowhere.int4"), std::runtime_error);
}

TEST(Explain, ListsOfNames) {
  EXPECT_EQ(parse_search_path("\"$user\", public"), Strings{"public"});
  EXPECT_EQ(parse_search_path("A, \"B \"\"b\" ,c,,"), (Strings{"a", "B \"b", "c"}));
  EXPECT_EQ(parse_search_path(""), Strings{});
  EXPECT_EQ(split_types(""), Strings{});
  EXPECT_EQ(split_types("int4, text,,double precision "),
            (Strings{"int4", "text", "", "double precision"}));
}

TEST(Explain, ShowsGuardsMembersShownKeysAndPasses) {
  Explanation e;
  e.cacheable = true;
  e.passes = {"constant folding"};
  ExplainedDependency d;
  d.relation = "public.parts";
  d.members = {"public.parts", "public.parts_1"};
  d.guard = "$1 = 'x'";
  d.member_guards = {"public.parts_1: ?1 < '7'"};
  d.shown = {"id in result column 2"};
  d.passes = {"check constraints"};
  d.columns_read = Strings{};
  e.dependencies.push_back(d);
  EXPECT_EQ(explanation_text(e),
            "cacheable   yes\n"
            "passes      constant folding\n"
            "\n"
            "reads public.parts\n"
            "  members     public.parts, public.parts_1\n"
            "  rows        all\n"
            "  only if     $1 = 'x'\n"
            "              public.parts_1: ?1 < '7'\n"
            "  columns     none\n"
            "  shown       id in result column 2\n"
            "  passes      check constraints\n");
  const json made = json::parse(explanation_json(e));
  EXPECT_EQ(made["dependencies"][0]["guard"], "$1 = 'x'");
  EXPECT_EQ(made["dependencies"][0]["member_guards"][0], "public.parts_1: ?1 < '7'");
  EXPECT_EQ(made["dependencies"][0]["columns_read"], json::array());
  EXPECT_TRUE(made["dependencies"][0]["range"].is_null());
  EXPECT_EQ(made["passes"][0], "constant folding");
}

TEST(Explain, GivesProgramsTheSame) {
  const json made =
      json::parse(explanation_json(explained(*shop(), "SELECT * FROM users WHERE id = 7")));
  EXPECT_EQ(made["cacheable"], true);
  EXPECT_EQ(made["literals"][0]["name"], "?1");
  EXPECT_EQ(made["literals"][0]["text"], "7");
  EXPECT_EQ(made["dependencies"][0]["relation"], "public.users");
  EXPECT_EQ(made["dependencies"][0]["keys"][0], "id = ?1");
  EXPECT_TRUE(made["dependencies"][0]["columns_read"].is_null());
}

AdminSources sources_with(std::shared_ptr<const pg::Catalog> catalog) {
  AdminSources sources;
  sources.catalog = [catalog = std::move(catalog)] { return catalog; };
  return sources;
}

TEST(ExplainPage, TakesItsParametersFromTheTarget) {
  const AdminSources sources = sources_with(shop());
  const Answer text = answer("GET", "/explain?q=SELECT+*+FROM%20users%0AWHERE+id%3D1", sources);
  EXPECT_EQ(text.status, 200);
  EXPECT_THAT(text.content_type, HasSubstr("text/plain"));
  EXPECT_THAT(text.body, AllOf(HasSubstr("cacheable   yes"), HasSubstr("id = ?1")));
  const Answer as_json =
      answer("GET", "/explain?types=int8,text&format=json&q=SELECT%20%241%2C%20%242", sources);
  EXPECT_EQ(as_json.content_type, "application/json");
  EXPECT_EQ(json::parse(as_json.body)["parameters"][0]["type"], "int8");
  EXPECT_EQ(answer("GET", "/explain?q=SELECT+1", sources, "text/html, application/json;q=0.9")
                .content_type,
            "application/json");
  EXPECT_THAT(answer("GET", "/explain?q=SELECT+1+FROM+users&search_path=other", sources).body,
              HasSubstr("unknown_relation: users"));
}

TEST(ExplainPage, RefusesWhatIsNotAQuestion) {
  const AdminSources sources = sources_with(shop());
  for (const char* target : {"/explain", "/explain?q=", "/explain?q=%4", "/explain?q=%zz",
                             "/explain?Q=SELECT+1", "/explain?q=SELECT+1&types=nothing"}) {
    EXPECT_EQ(answer("GET", target, sources).status, 400) << target;
  }
  EXPECT_EQ(answer("GET", "/explain?q=SELECT+1", sources_with(nullptr)).status, 503);
  EXPECT_EQ(answer("GET", "/explain?q=SELECT+1", AdminSources{}).status, 503);
}

TEST(PrecisionPage, TablesMostCoarseFirst) {
  AdminSources sources = sources_with(shop());
  sources.precision = [] {
    return std::vector<RelationCounts>{{sql::testing::kUsers, 10, 2},
                                       {sql::testing::kOrders, 8, 6},
                                       {sql::testing::kProducts, 4, 0},
                                       {pg::Oid{99999}, 7, 7}};
  };
  const json made = json::parse(answer("GET", "/precision", sources).body);
  ASSERT_EQ(made["tables"].size(), 3u);
  EXPECT_EQ(made["tables"][0]["table"], "public.orders");
  EXPECT_EQ(made["tables"][0]["schema"], "public");
  EXPECT_EQ(made["tables"][0]["name"], "orders");
  EXPECT_EQ(made["tables"][0]["identity"], "default");
  EXPECT_EQ(made["tables"][0]["coarse"], 6);
  EXPECT_EQ(made["tables"][0]["share"], 0.75);
  EXPECT_EQ(made["tables"][1]["table"], "public.users");
  EXPECT_EQ(made["tables"][2]["share"], 0.0);
  EXPECT_THAT(json::parse(answer("GET", "/precision", AdminSources{}).body)["tables"], IsEmpty());
}

TEST(PrecisionPage, IsReadByTheClient) {
  AdminSources sources = sources_with(shop());
  sources.origin = "host:5432/shop";
  sources.precision = [] { return std::vector<RelationCounts>{{sql::testing::kOrders, 8, 6}}; };
  const Result<PrecisionReport> report = parse_precision(answer("GET", "/precision", sources).body);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->origin, "host:5432/shop");
  ASSERT_EQ(report->tables.size(), 1u);
  EXPECT_EQ(report->tables[0].schema, "public");
  EXPECT_EQ(report->tables[0].name, "orders");
  EXPECT_EQ(report->tables[0].identity, "default");
  EXPECT_EQ(report->tables[0].counts.invalidations, 8u);
  EXPECT_EQ(report->tables[0].counts.coarse, 6u);
  for (const char* text : {"", "[]", "{}", "<html>", "{\"tables\": 1, \"origin\": \"x\"}"}) {
    EXPECT_FALSE(parse_precision(text).ok()) << text;
  }
  EXPECT_TRUE(
      parse_precision("{\"tables\": [1, {\"name\": 2}], \"origin\": \"x\"}")->tables.empty());
}

TEST(PrecisionPage, NumberOfTablesIsBounded) {
  auto catalog = std::make_shared<pg::Catalog>();
  std::vector<RelationCounts> counts;
  for (std::uint32_t i = 0; i < 300; ++i) {
    pg::Relation relation = table('d', {"id"});
    relation.oid = pg::Oid{20000 + i};
    relation.name += std::to_string(i);
    catalog->add_relation(relation);
    counts.push_back({relation.oid, i + 1, i});
  }
  catalog->finish();
  AdminSources sources = sources_with(catalog);
  sources.precision = [counts] { return counts; };
  const json made = json::parse(answer("GET", "/precision", sources).body);
  ASSERT_EQ(made["tables"].size(), 200u);
  EXPECT_EQ(made["tables"][0]["table"], "public.t299");
}

}  // namespace
}  // namespace pgcache::admin
