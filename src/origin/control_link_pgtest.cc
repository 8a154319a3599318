// SPDX-License-Identifier: Apache-2.0
// The control link against a real server: snapshots, positions, tracking and its fences, the
// publication in other hands.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "origin/control_link.h"
#include "origin/pgtest_support.h"

namespace pgcache::origin {
namespace {

class ControlLinkTest : public ::testing::Test {
 protected:
  ControlLinkTest() : sql(cluster.dsn()) {
    sql.must(
        "CREATE TABLE users (id int PRIMARY KEY, name text);"
        "CREATE TABLE orders (id int PRIMARY KEY);"
        "CREATE TABLE log (what text);"
        "CREATE TABLE full_log (what text); ALTER TABLE full_log REPLICA IDENTITY FULL;"
        "CREATE UNLOGGED TABLE loose (id int PRIMARY KEY);"
        "CREATE TABLE parts (k int, r int, PRIMARY KEY (k, r)) PARTITION BY RANGE (r);"
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE bare (k int) PARTITION BY RANGE (k);"
        "CREATE TABLE bare_1 PARTITION OF bare FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE bare_2 PARTITION OF bare FOR VALUES FROM (10) TO (20);"
        "ALTER TABLE bare_2 REPLICA IDENTITY FULL;");
    config = config_for(cluster.dsn());
  }

  void start() {
    link = std::make_unique<ControlLink>(config, events);
    link->start();
    ASSERT_TRUE(wait_until([&] { return events.catalog_count() > 0; })) << cluster.log_tail();
    ASSERT_TRUE(!config->manage_publication || link->wait_for_publication(std::chrono::seconds(5)));
  }
  pg::Oid oid(const std::string& name) { return oid_of(sql, name); }
  // Asks, and waits for one more answer about each.
  void track(const std::vector<std::string>& names) {
    std::vector<pg::Oid> oids;
    std::vector<int> before;
    for (const std::string& name : names) oids.push_back(oid(name));
    for (const pg::Oid o : oids) before.push_back(events.answer_count(o));
    link->request_tracking(oids);
    for (std::size_t i = 0; i < oids.size(); ++i) {
      EXPECT_TRUE(wait_until([&] { return events.answer_count(oids[i]) > before[i]; })) << names[i];
    }
  }
  bool is_tracked(const std::string& name) {
    const pg::Oid o = oid(name);
    return events.with([&] { return events.tracked.contains(o); });
  }
  std::optional<Untrackable> refusal(const std::string& name) {
    const pg::Oid o = oid(name);
    return events.with([&]() -> std::optional<Untrackable> {
      const auto it = events.untrackable.find(o);
      if (it == events.untrackable.end()) return std::nullopt;
      return it->second;
    });
  }
  std::string members() {
    return sql
        .query(
            "SELECT coalesce(string_agg(tablename, ' ' ORDER BY tablename), '') FROM"
            " pg_publication_tables WHERE pubname = 'pgcache'")
        .value();
  }
  pg::Lsn position() {
    std::atomic<std::uint64_t> lsn{~0ull};
    link->request_position([&](pg::Lsn p) { lsn = p.value; });
    EXPECT_TRUE(wait_until([&] { return lsn != ~0ull; }));
    return pg::Lsn{lsn};
  }

  testing::Cluster cluster;
  testing::Connection sql;
  std::shared_ptr<config::Config> config;
  RecordedControl events;
  std::unique_ptr<ControlLink> link;
};

TEST_F(ControlLinkTest, TracksWhatMayBePublished) {
  start();
  track({"users", "log", "full_log", "loose"});
  EXPECT_TRUE(is_tracked("users"));
  EXPECT_TRUE(is_tracked("full_log"));
  EXPECT_EQ(refusal("log"), Untrackable::kNoReplicaIdentity);
  EXPECT_EQ(refusal("loose"), Untrackable::kOther);
  EXPECT_EQ(members(), "full_log users");
  sql.must("INSERT INTO log VALUES ('a'); UPDATE log SET what = 'b'; DELETE FROM log");
  track({"users"});
  EXPECT_EQ(members(), "full_log users");
  EXPECT_EQ(events.catalog_count(), 1);  // our own additions are no change
}

TEST_F(ControlLinkTest, PartitionsFollowTheirRootOrStandAlone) {
  start();
  track({"parts", "parts_1", "bare", "bare_1", "bare_2"});
  EXPECT_TRUE(is_tracked("parts"));
  EXPECT_TRUE(is_tracked("parts_1"));
  EXPECT_TRUE(is_tracked("bare"));
  EXPECT_EQ(refusal("bare_1"), Untrackable::kNoReplicaIdentity);
  EXPECT_TRUE(is_tracked("bare_2"));
  EXPECT_EQ(members(), "bare_2 parts_1");
  sql.must("INSERT INTO bare VALUES (1), (11); UPDATE bare SET k = 2 WHERE k = 1");
  sql.must("CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20)");
  EXPECT_EQ(members(), "bare_2 parts_1 parts_2");
}

TEST_F(ControlLinkTest, FenceLiesBehindWritersThatWereUnderWay) {
  start();
  testing::Connection writer(cluster.dsn());
  writer.must("BEGIN; INSERT INTO orders VALUES (1)");
  const std::uint64_t writer_xid = std::stoull(writer.query("SELECT pg_current_xact_id()").value());
  track({"users"});
  const pg::Xid fence = events.with([&] { return events.tracked.at(oid("users")); });
  EXPECT_GT(fence.value, writer_xid);
  // No snapshot passes the fence while that transaction is open; one does soon after.
  link->request_snapshot();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LT(events.with([&] { return events.snapshots.back().xmin.value; }), fence.value);
  writer.must("COMMIT");
  EXPECT_TRUE(wait_until(
      [&] { return events.with([&] { return events.snapshots.back().xmin >= fence; }); }));
}

TEST_F(ControlLinkTest, LockedTableIsAddedLater) {
  start();
  testing::Connection holder(cluster.dsn());
  holder.must("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE");
  const pg::Oid users = oid("users");
  link->request_tracking({users, oid("orders")});
  EXPECT_TRUE(wait_until([&] { return is_tracked("orders"); }));
  EXPECT_EQ(events.answer_count(users), 0);
  holder.must("COMMIT");
  EXPECT_TRUE(wait_until([&] { return is_tracked("users"); }));
}

TEST_F(ControlLinkTest, RespectsListsAndOwnership) {
  sql.must(
      "CREATE ROLE app LOGIN; GRANT CREATE ON DATABASE postgres TO app;"
      "GRANT CREATE, USAGE ON SCHEMA public TO app; ALTER TABLE orders OWNER TO app");
  config->origin = cluster.dsn("postgres", "app");
  config->deny_tables = {"public.full_log"};
  start();
  track({"users", "orders", "full_log"});
  EXPECT_EQ(refusal("users"), Untrackable::kNoPrivilege);
  EXPECT_TRUE(is_tracked("orders"));
  EXPECT_EQ(refusal("full_log"), Untrackable::kDenied);
}

TEST_F(ControlLinkTest, UsesAGivenPublicationAsItIs) {
  sql.must(
      "CREATE PUBLICATION given FOR TABLE users, orders WHERE (id > 5), full_log (what);"
      "CREATE PUBLICATION inserts FOR ALL TABLES WITH (publish = 'insert')");
  config->manage_publication = false;
  config->publication = "given";
  start();
  track({"users", "orders", "full_log", "parts"});
  EXPECT_TRUE(is_tracked("users"));
  EXPECT_EQ(refusal("orders"), Untrackable::kNotPublished);
  EXPECT_EQ(refusal("full_log"), Untrackable::kNotPublished);
  EXPECT_EQ(refusal("parts"), Untrackable::kNotPublished);
  link->stop();
  config->publication = "inserts";
  link = std::make_unique<ControlLink>(config, events);
  link->start();
  track({"users"});
  EXPECT_EQ(refusal("users"), Untrackable::kNotPublished);
}

TEST_F(ControlLinkTest, ReportsAMissingGivenPublication) {
  config->manage_publication = false;
  start();
  EXPECT_TRUE(wait_until([&] { return events.with([&] { return !events.problems.empty(); }); }));
  EXPECT_FALSE(link->wait_for_publication(std::chrono::milliseconds(50)));
  sql.must("CREATE PUBLICATION pgcache FOR TABLE users");
  EXPECT_TRUE(link->wait_for_publication(std::chrono::seconds(5)));
  EXPECT_TRUE(wait_until([&] { return events.with([&] { return events.problems.empty(); }); }));
}

TEST_F(ControlLinkTest, ReportsAMissingPrivilege) {
  sql.must("CREATE ROLE weak LOGIN; REVOKE CREATE ON DATABASE postgres FROM PUBLIC");
  config->origin = cluster.dsn("postgres", "weak");
  link = std::make_unique<ControlLink>(config, events);
  link->start();
  ASSERT_TRUE(wait_until([&] { return events.with([&] { return !events.problems.empty(); }); }));
  EXPECT_NE(events.problems[0].mend.find("GRANT CREATE ON DATABASE"), std::string::npos);
  sql.must("GRANT CREATE ON DATABASE postgres TO weak");
  EXPECT_TRUE(link->wait_for_publication(std::chrono::seconds(10)));
}

TEST_F(ControlLinkTest, NoticesAPublicationAlteredBySomebodyElse) {
  start();
  track({"users", "orders"});
  const int answers = events.answer_count(oid("users"));
  sql.must("ALTER PUBLICATION pgcache DROP TABLE users");
  ASSERT_TRUE(wait_until([&] { return events.answer_count(oid("users")) > answers; }));
  ASSERT_TRUE(wait_until([&] { return events.catalog_count() == 2; }));
  EXPECT_FALSE(is_tracked("users"));
  EXPECT_FALSE(is_tracked("orders"));
  // First nothing counts as tracked, then the catalog drops everything.
  events.with([&] {
    EXPECT_EQ(events.order.back(), "catalog");
    return 0;
  });
  track({"users", "orders"});
  EXPECT_TRUE(is_tracked("users"));
  EXPECT_EQ(members(), "orders users");
  sql.must("DROP PUBLICATION pgcache");
  ASSERT_TRUE(wait_until([&] { return events.catalog_count() >= 3; }));
  EXPECT_TRUE(link->wait_for_publication(std::chrono::seconds(5)));
  track({"users"});
  EXPECT_TRUE(is_tracked("users"));
}

TEST_F(ControlLinkTest, NoticesATableThatWasTakenOutAndPutBack) {
  config->catalog_poll_interval = std::chrono::hours(1);
  start();
  track({"users"});
  const int answers = events.answer_count(oid("users"));
  sql.must("ALTER PUBLICATION pgcache DROP TABLE users; ALTER PUBLICATION pgcache ADD TABLE users");
  link->request_catalog_check();
  EXPECT_TRUE(wait_until([&] { return events.answer_count(oid("users")) > answers; }));
  EXPECT_TRUE(wait_until([&] { return events.catalog_count() == 2; }));
  EXPECT_FALSE(is_tracked("users"));
}

TEST_F(ControlLinkTest, DefinitionsThatChangeRenewTheFences) {
  start();
  track({"parts", "parts_1"});
  const auto fence = [&] { return events.with([&] { return events.tracked.at(oid("parts_1")); }); };
  const pg::Xid before = fence();
  sql.must(
      "ALTER TABLE parts DETACH PARTITION parts_1; INSERT INTO parts_1 VALUES (1, 1);"
      "ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM (0) TO (10)");
  EXPECT_TRUE(wait_until([&] { return events.catalog_count() >= 2; }));
  EXPECT_TRUE(wait_until([&] { return fence() > before; }));
  sql.must("ALTER TABLE parts DETACH PARTITION parts_1");
  track({"users"});
  EXPECT_TRUE(wait_until([&] { return members() == "parts_1 users"; }));  // by itself now
  EXPECT_TRUE(is_tracked("parts_1"));
}

TEST_F(ControlLinkTest, LetsGoOfATableThatLosesItsIdentity) {
  start();
  track({"users"});
  sql.must("INSERT INTO users VALUES (1, 'a'); ALTER TABLE users DROP CONSTRAINT users_pkey");
  EXPECT_TRUE(wait_until([&] { return members().empty(); }));
  EXPECT_TRUE(sql.query("UPDATE users SET name = 'b'").ok());
  EXPECT_TRUE(wait_until([&] { return !is_tracked("users"); }));
  track({"users"});
  EXPECT_EQ(refusal("users"), Untrackable::kNoReplicaIdentity);
}

TEST_F(ControlLinkTest, NoticesDdlAndReloads) {
  start();
  sql.must("ALTER TABLE users ADD COLUMN more int");
  EXPECT_TRUE(wait_until([&] {
    const auto catalog = events.current_catalog();
    return catalog->find_relation(oid("users"))->columns.size() == 3;
  }));
  EXPECT_EQ(events.reloads, 0);
  sql.must("SELECT pg_reload_conf()");
  EXPECT_TRUE(wait_until([&] { return events.with([&] { return events.reloads > 0; }); }));
}

TEST_F(ControlLinkTest, CatalogCheckOnRequestNeedsNoPoll) {
  config->catalog_poll_interval = std::chrono::hours(1);
  start();
  sql.must("ALTER TABLE users ADD COLUMN more int");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(events.catalog_count(), 1);
  link->request_catalog_check();
  EXPECT_TRUE(wait_until([&] { return events.catalog_count() == 2; }));
}

TEST_F(ControlLinkTest, PositionsCoverAcknowledgedCommits) {
  start();
  sql.must("SET synchronous_commit = off");
  for (int i = 0; i < 20; ++i) {
    sql.must("INSERT INTO users VALUES (" + std::to_string(100 + i) + ", 'x')");
    const std::string lsn = sql.query("SELECT pg_current_wal_insert_lsn()").value();
    // Nothing else writes, so the position lies behind the commit, but for a page header.
    EXPECT_GE(position().value + 40, pg::parse_lsn(lsn)->value);
  }
  std::atomic<int> called{0};
  for (int i = 0; i < 1000; ++i) link->request_position([&](pg::Lsn p) { called += p.value != 0; });
  EXPECT_TRUE(wait_until([&] { return called == 1000; }));
}

TEST_F(ControlLinkTest, SnapshotsFollowDemand) {
  config->heartbeat_interval = std::chrono::seconds(10);
  start();
  const auto count = [&] { return events.with([&] { return events.snapshots.size(); }); };
  ASSERT_TRUE(wait_until([&] { return count() >= 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const std::size_t idle = count();
  link->request_snapshot();
  EXPECT_TRUE(wait_until([&] { return count() == idle + 1; }));
  events.with([&] { return events.wants = true; });
  link->request_snapshot();
  EXPECT_TRUE(wait_until([&] { return count() >= idle + 10; }));
  events.with([&] { return events.wants = false; });
}

TEST_F(ControlLinkTest, HeartbeatsOnlyForTheServerThatIsStreamed) {
  start();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto count = [&] { return events.with([&] { return events.heartbeats.size(); }); };
  EXPECT_EQ(count(), 0u);
  link->set_stream_identity(link->origin_identity());
  EXPECT_TRUE(wait_until([&] { return count() > 2; }));
  ServerIdentity another = link->origin_identity();
  another.started = "another";  // the same server in another run
  link->set_stream_identity(another);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const std::size_t then = count();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(count(), then);
}

TEST_F(ControlLinkTest, RemembersHowFarTheStreamedServerWas) {
  start();
  link->set_stream_identity(link->origin_identity());
  const pg::Lsn here = position();
  EXPECT_TRUE(wait_until([&] { return link->furthest_position() >= here; }));
  EXPECT_FALSE(link->origin_identity().went_back);
  // A stream that begins anew forgets them.
  link->begin_stream_of(link->origin_identity());
  EXPECT_TRUE(wait_until([&] { return link->furthest_position() >= here; }));
  EXPECT_FALSE(link->origin_identity().went_back);
}

TEST_F(ControlLinkTest, ReconnectsAfterARestart) {
  start();
  track({"users"});
  cluster.stop();
  EXPECT_TRUE(wait_until([&] { return events.with([&] { return !events.problems.empty(); }); }));
  EXPECT_EQ(position().value, 0u);  // told at once that there is none
  cluster.start();
  EXPECT_TRUE(wait_until([&] { return events.with([&] { return events.problems.empty(); }); }));
  EXPECT_NE(position().value, 0u);
  EXPECT_EQ(events.catalog_count(), 1);
  EXPECT_TRUE(events.with([&] { return events.reloads > 0; }));
}

TEST_F(ControlLinkTest, StopsWhileTheOriginIsAway) {
  cluster.stop();
  link = std::make_unique<ControlLink>(config, events);
  link->start();
  std::atomic<bool> told{false};
  link->request_position([&](pg::Lsn p) { told = p.value == 0; });
  EXPECT_TRUE(wait_until([&] { return told.load(); }));
  const auto begin = std::chrono::steady_clock::now();
  link->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

}  // namespace
}  // namespace pgcache::origin
