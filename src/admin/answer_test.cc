// SPDX-License-Identifier: Apache-2.0
#include "admin/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "admin/reports.h"

namespace pgcache::admin {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::shared_ptr<cache::Shape> make_shape(std::uint64_t id, std::string text) {
  auto shape = std::make_shared<cache::Shape>();
  shape->id = cache::ShapeId{id};
  shape->text = std::move(text);
  return shape;
}

AdminSources quiet_sources() {
  AdminSources sources;
  sources.readiness = [] { return Readiness{true, ""}; };
  sources.cache_status = [] { return cache::CacheStatus{}; };
  sources.stream = [] { return StreamReport{"streaming", 0, ""}; };
  sources.routes = [] { return RouteCounts{}; };
  sources.latencies = [] { return std::vector<std::pair<std::string, Histogram>>{}; };
  sources.shapes = [] { return std::vector<cache::ShapePtr>{}; };
  sources.problems = [] { return std::vector<std::string>{}; };
  sources.clients = [] { return std::uint64_t{0}; };
  sources.origin = "host=example dbname=shop";
  return sources;
}

TEST(Answer, PathsAndMethods) {
  const AdminSources sources = quiet_sources();
  EXPECT_EQ(answer("GET", "/", sources).status, 200);
  EXPECT_EQ(answer("GET", "/healthz", sources).body, "ok\n");
  EXPECT_EQ(answer("HEAD", "/healthz", sources).status, 200);
  EXPECT_EQ(answer("GET", "/healthz?x=1", sources).status, 200);
  EXPECT_EQ(answer("GET", "/healthz/", sources).status, 404);
  EXPECT_EQ(answer("GET", "/nothing", sources).status, 404);
  EXPECT_EQ(answer("GET", "", sources).status, 404);
  EXPECT_EQ(answer("POST", "/healthz", sources).status, 405);
  EXPECT_EQ(answer("get", "/healthz", sources).status, 405);
}

TEST(Readyz, SaysWhyNot) {
  AdminSources sources = quiet_sources();
  EXPECT_EQ(answer("GET", "/readyz", sources).status, 200);
  sources.readiness = [] { return Readiness{false, "wal_level is replica: ALTER SYSTEM ..."}; };
  const Answer not_ready = answer("GET", "/readyz", sources);
  EXPECT_EQ(not_ready.status, 503);
  EXPECT_EQ(not_ready.body, "wal_level is replica: ALTER SYSTEM ...\n");
}

TEST(Metrics, HitAndMissAreThereFromTheStart) {
  const Answer metrics = answer("GET", "/metrics", quiet_sources());
  EXPECT_EQ(metrics.status, 200);
  EXPECT_THAT(metrics.content_type, HasSubstr("version=0.0.4"));
  EXPECT_THAT(metrics.body,
              AllOf(HasSubstr("pgcache_queries_total{route=\"hit\",reason=\"\"} 0\n"),
                    HasSubstr("pgcache_queries_total{route=\"miss\",reason=\"\"} 0\n"),
                    HasSubstr("pgcache_invalidations_total{cause=\"truncate\"} 0\n"),
                    HasSubstr("pgcache_maintained_total 0\n"), HasSubstr("pgcache_ready 1\n"),
                    HasSubstr("pgcache_publish_total{outcome=\"snapshot_too_old\"} 0\n")));
}

TEST(Metrics, ShowTheTablesOfCoarseInvalidations) {
  AdminSources sources = quiet_sources();
  EXPECT_THAT(answer("GET", "/metrics", sources).body,
              HasSubstr("pgcache_replica_identity_refusals_total 0\n"));
  auto catalog = std::make_shared<pg::Catalog>();
  pg::Relation relation;
  relation.oid = pg::Oid{20000};
  relation.schema_name = "a";
  relation.name = "b";
  catalog->add_relation(relation);
  catalog->finish();
  sources.catalog = [catalog] { return catalog; };
  sources.precision = [] { return std::vector<RelationCounts>{{pg::Oid{20000}, 9, 4}}; };
  sources.identity_refusals = [] { return std::uint64_t{3}; };
  sources.definitions_pending = [] { return std::uint64_t{2}; };
  EXPECT_THAT(answer("GET", "/metrics", sources).body,
              AllOf(HasSubstr("pgcache_coarse_invalidations_total{table=\"a.b\"} 4\n"),
                    HasSubstr("pgcache_definitions_pending 2\n"),
                    HasSubstr("pgcache_replica_identity_refusals_total 3\n")));
}

TEST(Metrics, ShowTheSourcesNumbers) {
  AdminSources sources = quiet_sources();
  sources.readiness = [] { return Readiness{false, "starting"}; };
  sources.routes = [] {
    return RouteCounts{7, 3, {{"locking", 2}, {"volatile_function", 1}}, {{"stale", 4}}};
  };
  sources.cache_status = [] {
    cache::CacheStatus status;
    status.entries = 11;
    status.bytes = 12345;
    status.freshness_seconds = 0.25;
    status.row_changes = 99;
    status.transactions = 9;
    status.invalidations[static_cast<std::size_t>(cache::InvalidationCause::kUpdate)] = 5;
    status.publish_outcomes[static_cast<std::size_t>(cache::PublishOutcome::kAffected)] = 6;
    return status;
  };
  sources.stream = [] { return StreamReport{"streaming", 4096, ""}; };
  sources.clients = [] { return std::uint64_t{8}; };
  sources.shapes = [] { return std::vector<cache::ShapePtr>{make_shape(1, "a")}; };
  const std::string text = answer("GET", "/metrics", sources).body;
  for (const char* line :
       {"pgcache_queries_total{route=\"hit\",reason=\"\"} 7\n",
        "pgcache_queries_total{route=\"miss\",reason=\"\"} 3\n",
        "pgcache_queries_total{route=\"bypass\",reason=\"locking\"} 2\n",
        "pgcache_queries_total{route=\"fallback\",reason=\"stale\"} 4\n",
        "pgcache_invalidations_total{cause=\"update\"} 5\n",
        "pgcache_publish_total{outcome=\"affected\"} 6\n", "pgcache_entries 11\n",
        "pgcache_bytes 12345\n", "pgcache_freshness_seconds 0.25\n",
        "pgcache_replication_lag_bytes 4096\n", "pgcache_row_changes_total 99\n",
        "pgcache_transactions_total 9\n", "pgcache_clients 8\n", "pgcache_ready 0\n",
        "pgcache_shapes 1\n", "# TYPE pgcache_queries_total counter\n",
        "# TYPE pgcache_entries gauge\n", "# TYPE pgcache_query_seconds histogram\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, HistogramsAreCumulated) {
  AdminSources sources = quiet_sources();
  sources.latencies = [] {
    return std::vector<std::pair<std::string, Histogram>>{
        {"hit", Histogram{{0.001, 0.01}, {5, 3, 1}, 0.125}}};
  };
  const std::string text = answer("GET", "/metrics", sources).body;
  for (const char* line : {"pgcache_query_seconds_count{route=\"hit\"} 9\n",
                           "pgcache_query_seconds_sum{route=\"hit\"} 0.125\n",
                           "pgcache_query_seconds_bucket{route=\"hit\",le=\"0.001\"} 5\n",
                           "pgcache_query_seconds_bucket{route=\"hit\",le=\"0.01\"} 8\n",
                           "pgcache_query_seconds_bucket{route=\"hit\",le=\"+Inf\"} 9\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_EQ(text.find("+Inf"), text.rfind("+Inf"));
}

TEST(Status, HoldsWhatTheSourcesSay) {
  AdminSources sources = quiet_sources();
  sources.cache_status = [] {
    cache::CacheStatus status;
    status.serving = true;
    status.applied_lsn = pg::Lsn{0x16B374D848};
    status.freshness_seconds = 0.5;
    status.entries = 3;
    status.bytes = 1000;
    status.log_transactions = 2;
    status.loads_in_flight = 1;
    return status;
  };
  sources.problems = [] { return std::vector<std::string>{"slot is in use"}; };
  const Answer status = answer("GET", "/status", sources);
  EXPECT_EQ(status.content_type, "application/json");
  const json got = json::parse(status.body);
  EXPECT_EQ(got["version"], PGCACHE_VERSION);
  EXPECT_EQ(got["origin"], "host=example dbname=shop");
  EXPECT_EQ(got["ready"], true);
  EXPECT_EQ(got["stream"]["state"], "streaming");
  EXPECT_EQ(got["applied_lsn"], "16/B374D848");
  EXPECT_EQ(got["freshness_seconds"], 0.5);
  EXPECT_EQ(got["entries"], 3);
  EXPECT_EQ(got["bytes"], 1000);
  EXPECT_EQ(got["clients"], 0);
  EXPECT_EQ(got["problems"], json::array({"slot is in use"}));
  EXPECT_EQ(got["log"]["transactions"], 2);
  EXPECT_EQ(got["loads"]["in_flight"], 1);
  EXPECT_EQ(got["loads"]["outcomes"]["published"], 0);
}

TEST(Status, NeverProvenFreshIsNull) {
  AdminSources sources = quiet_sources();
  sources.cache_status = [] {
    cache::CacheStatus status;
    status.freshness_seconds = std::numeric_limits<double>::infinity();
    return status;
  };
  EXPECT_TRUE(json::parse(answer("GET", "/status", sources).body)["freshness_seconds"].is_null());
}

// Three shapes: one that hits, one never asked, one that is not cacheable and asked most.
AdminSources sources_with_shapes() {
  AdminSources sources = quiet_sources();
  sources.shapes = [] {
    auto hit = make_shape(1, "SELECT * FROM users WHERE id = 1");
    sql::CacheableQuery query;
    query.dependencies.emplace_back().relation = pg::Oid{4711};
    hit->analysis.outcome = query;
    hit->stats.hits = 6;
    hit->stats.misses = 2;
    hit->stats.loads = 2;
    hit->stats.load_time_ns = 1000000000;
    hit->stats.invalidations = 1;
    auto unused = make_shape(2, "SELECT 2");
    unused->analysis.outcome = sql::CacheableQuery{};
    auto bypass = make_shape(3, "SELECT now()");
    bypass->analysis.outcome = sql::NotCacheable{sql::BypassReason::kVolatileFunction, "now()"};
    bypass->stats.bypasses = 20;
    bypass->stats.last_bypass =
        static_cast<std::uint64_t>(sql::BypassReason::kVolatileFunction) + 1;
    return std::vector<cache::ShapePtr>{unused, hit, bypass};
  };
  return sources;
}

TEST(Queries, MostAskedFirstWithRoutesAndReasons) {
  const json got = json::parse(answer("GET", "/queries", sources_with_shapes()).body);
  EXPECT_EQ(got["shapes"], 3);
  const json& queries = got["queries"];
  ASSERT_EQ(queries.size(), 3u);
  EXPECT_EQ(queries[0]["id"], 3);
  EXPECT_EQ(queries[0]["cacheable"], false);
  EXPECT_EQ(queries[0]["reason"], "volatile_function");
  EXPECT_EQ(queries[0]["detail"], "now()");
  EXPECT_EQ(queries[0]["last_bypass"], "volatile_function");
  EXPECT_EQ(queries[0]["routes"]["bypass"], 20);
  EXPECT_EQ(queries[0]["time_saved_seconds"], 0);
  EXPECT_EQ(queries[1]["id"], 1);
  EXPECT_EQ(queries[1]["cacheable"], true);
  EXPECT_FALSE(queries[1].contains("reason"));
  EXPECT_EQ(queries[1]["reads"], json::array({"4711"}));
  EXPECT_FALSE(queries[0].contains("reads"));
  EXPECT_EQ(queries[1]["routes"], (json{{"hit", 6}, {"miss", 2}, {"bypass", 0}, {"fallback", 0}}));
  EXPECT_EQ(queries[1]["hit_ratio"], 0.75);
  EXPECT_EQ(queries[1]["invalidations"], 1);
  EXPECT_EQ(queries[1]["time_saved_seconds"], 3.0);
  EXPECT_EQ(queries[2]["hit_ratio"], 0);
}

TEST(Queries, Limit) {
  const AdminSources sources = sources_with_shapes();
  const auto count = [&](const char* target) {
    return json::parse(answer("GET", target, sources).body)["queries"].size();
  };
  EXPECT_EQ(count("/queries?limit=1"), 1u);
  EXPECT_EQ(count("/queries?limit=0"), 0u);
  EXPECT_EQ(count("/queries?a=b&limit=2&c"), 2u);
  EXPECT_EQ(count("/queries?limit=999999999"), 3u);
  EXPECT_EQ(answer("GET", "/queries?limit=", sources).status, 400);
  EXPECT_EQ(answer("GET", "/queries?limit=-1", sources).status, 400);
  EXPECT_EQ(answer("GET", "/queries?limit=1x", sources).status, 400);
  EXPECT_EQ(answer("GET", "/queries?limit=99999999999999999999999", sources).status, 400);
}

TEST(Queries, TextThatIsNotUtf8AndLongText) {
  AdminSources sources = quiet_sources();
  sources.shapes = [] {
    return std::vector<cache::ShapePtr>{
        make_shape(1, std::string("SELECT '\xff\xfe \x01 \x00 \"'", 15)),
        make_shape(2, std::string(kQueryTextBytesMax - 1, 'x') + "\xc3\xa9 and more")};
  };
  const json got = json::parse(answer("GET", "/queries", sources).body);
  EXPECT_THAT(got["queries"][0]["text"].get<std::string>(), HasSubstr("SELECT '\xef\xbf\xbd"));
  EXPECT_EQ(got["queries"][1]["text_bytes"], kQueryTextBytesMax + 10);
  EXPECT_THAT(got["queries"][1]["text"].get<std::string>(), Not(HasSubstr("more")));
}

}  // namespace
}  // namespace pgcache::admin
