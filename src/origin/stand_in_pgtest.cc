// SPDX-License-Identifier: Apache-2.0
// The stand-in against a real server whose commits wait for it and for nobody else.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>

#include "origin/pgtest_support.h"
#include "origin/stand_in.h"

namespace pgcache::origin {
namespace {

using std::chrono::milliseconds;

class StandInTest : public ::testing::Test {
 protected:
  static testing::ClusterOptions waiting_for_pgcache() {
    testing::ClusterOptions options;
    options.conf = {"synchronous_standby_names = 'pgcache'"};
    return options;
  }
  StandInTest() : cluster(waiting_for_pgcache()), sql(cluster.dsn()) {
    sql.must("SET synchronous_commit = local");
    sql.must("CREATE TABLE t (id int)");
    auto made = config_for(cluster.dsn());
    made->strict_ack_timeout = milliseconds(300);
    config = made;
    stand_in = std::make_unique<StandIn>(config, [this] { ++stopped; });
    stand_in->start();
  }

  // A commit on a connection of its own; ready once it is acknowledged.
  std::future<void> commit() {
    return std::async(std::launch::async, [dsn = cluster.dsn()] {
      testing::Connection writer(dsn);
      writer.must("INSERT INTO t VALUES (1)");
    });
  }
  static bool acknowledged(const std::future<void>& commit, int timeout_ms) {
    return commit.wait_for(milliseconds(timeout_ms)) == std::future_status::ready;
  }
  std::string standbys() {
    return sql
        .query(
            "SELECT coalesce(string_agg(application_name || ' ' || sync_state, ', '), '')"
            " FROM pg_stat_replication")
        .value();
  }
  pg::Lsn flushed() {
    return *pg::parse_lsn(sql.query("SELECT pg_current_wal_flush_lsn()").value());
  }

  testing::Cluster cluster;
  testing::Connection sql;
  std::shared_ptr<const config::Config> config;
  std::atomic<int> stopped{0};
  std::unique_ptr<StandIn> stand_in;
};

TEST_F(StandInTest, ConfirmsBetweenBeginAndEnd) {
  std::future<void> early = commit();
  EXPECT_FALSE(acknowledged(early, 300));
  stand_in->begin();
  EXPECT_TRUE(acknowledged(early, 5000));
  EXPECT_EQ(standbys(), "pgcache sync");
  std::future<void> between = commit();
  EXPECT_TRUE(acknowledged(between, 5000));

  stand_in->end();  // the connection is closed, or nearly so at the server
  EXPECT_TRUE(wait_until([&] { return standbys().empty(); }));
  std::future<void> late = commit();
  EXPECT_FALSE(acknowledged(late, 300));
  stand_in->begin();
  EXPECT_TRUE(acknowledged(late, 5000));
  EXPECT_EQ(stand_in->timeouts(), 0u);
  EXPECT_EQ(stopped, 0);
}

TEST_F(StandInTest, StepsInWhenWhatIsFlushedIsNotApplied) {
  stand_in->begin();
  stand_in->end();  // armed now
  std::future<void> waiting = commit();
  EXPECT_FALSE(acknowledged(waiting, 100));
  stand_in->note_flushed(flushed());
  EXPECT_TRUE(acknowledged(waiting, 5000));
  EXPECT_EQ(stopped, 1);  // before the first word to the server
  EXPECT_EQ(stand_in->timeouts(), 1u);
  EXPECT_FALSE(stand_in->serve_unless_engaged([] { FAIL() << "served while it confirms"; }));

  stand_in->end();
  bool served = false;
  EXPECT_TRUE(stand_in->serve_unless_engaged([&] { served = true; }));
  EXPECT_TRUE(served);
}

TEST_F(StandInTest, StaysOutWhileAllIsApplied) {
  stand_in->begin();
  stand_in->end();
  for (int i = 0; i < 20; ++i) {
    const pg::Lsn position = flushed();
    stand_in->note_flushed(position);
    stand_in->note_applied(position);
    std::this_thread::sleep_for(milliseconds(30));
  }
  EXPECT_EQ(stand_in->timeouts(), 0u);
  EXPECT_EQ(stopped, 0);
  EXPECT_EQ(standbys(), "");
}

// Before the slot is ours, and once it is another's, commits wait for that other.
TEST_F(StandInTest, StaysOutUnlessItIsArmed) {
  const auto nothing_happens = [&] {
    stand_in->note_flushed(flushed());
    std::future<void> waiting = commit();
    EXPECT_FALSE(acknowledged(waiting, 900));
    EXPECT_EQ(stand_in->timeouts(), 0u);
    EXPECT_EQ(stopped, 0);
    stand_in->begin();  // so that the commit ends
    EXPECT_TRUE(acknowledged(waiting, 5000));
  };
  nothing_happens();
  stand_in->disarm();
  EXPECT_TRUE(wait_until([&] { return standbys().empty(); }));
  nothing_happens();
}

TEST_F(StandInTest, ComesBackAfterTheOriginHas) {
  stand_in->begin();
  std::future<void> first = commit();
  EXPECT_TRUE(acknowledged(first, 5000));
  cluster.restart(testing::StopMode::kImmediate);
  std::future<void> second = commit();
  EXPECT_TRUE(acknowledged(second, 10000));
  stand_in->stop();
  std::future<void> third = commit();
  EXPECT_FALSE(acknowledged(third, 300));
  cluster.append_conf("synchronous_standby_names = ''");
  cluster.reload();
  EXPECT_TRUE(acknowledged(third, 10000));
}

}  // namespace
}  // namespace pgcache::origin
