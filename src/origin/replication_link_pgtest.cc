// SPDX-License-Identifier: Apache-2.0
// The replication link against a real server: order, resuming without loss or repetition, cold
// starts, what it reports when the origin lacks something, and the check and cleanup commands.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "origin/check.h"
#include "origin/cleanup.h"
#include "origin/pgtest_support.h"
#include "origin/replication_link.h"

namespace pgcache::origin {
namespace {

class ReplicationLinkTest : public ::testing::Test {
 protected:
  explicit ReplicationLinkTest(testing::ClusterOptions options = {})
      : cluster(std::move(options)), sql(cluster.dsn()) {
    sql.must(
        "CREATE TABLE users (id int PRIMARY KEY, name text);"
        "CREATE TABLE full_log (id int, what text); ALTER TABLE full_log REPLICA IDENTITY FULL;");
    config = config_for(cluster.dsn());
  }
  ~ReplicationLinkTest() override {
    if (replication) replication->stop();
    if (control) control->stop();
  }

  void launch() {
    control = std::make_unique<ControlLink>(config, control_events);
    control->start();
    replication = std::make_unique<ReplicationLink>(config, *control, stream);
    control_events.with(
        [&] { control_events.when_over_limit = [&] { replication->give_up_slot(); }; });
    replication->start();
  }
  void start() {
    launch();
    ASSERT_TRUE(wait_until([&] { return stream.connected(); })) << stream.first_problem();
    control->request_tracking({oid_of(sql, "users"), oid_of(sql, "full_log")});
    ASSERT_TRUE(wait_until(
        [&] { return control_events.with([&] { return control_events.tracked.size() == 2; }); }));
  }
  // The names of users inserted, in the order in which they came.
  std::vector<std::string> names() {
    return stream.with([&] {
      std::vector<std::string> out;
      for (const cdc::Transaction& t : stream.transactions) {
        for (const cdc::RowChange& c : t.changes) {
          if (c.kind == cdc::ChangeKind::kInsert && c.relation->name == "users") {
            out.emplace_back(c.new_row.at(1).bytes);
          }
        }
      }
      return out;
    });
  }
  bool reaches(pg::Lsn lsn, int timeout_ms = 5000) {
    return wait_until([&] { return stream.current_position() >= lsn; }, timeout_ms);
  }
  pg::Lsn flushed() {
    return *pg::parse_lsn(sql.query("SELECT pg_current_wal_flush_lsn()").value());
  }
  std::string slots() {
    return sql.query("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'pgcache'")
        .value();
  }
  void drop_slot_of_a_dead_walsender() {
    ASSERT_TRUE(wait_until([&] {
      sql.query(
          "SELECT pg_terminate_backend(active_pid), pg_drop_replication_slot(slot_name)"
          " FROM pg_replication_slots WHERE slot_name = 'pgcache'");
      return slots() == "0";
    }));
  }

  testing::Cluster cluster;
  testing::Connection sql;
  std::shared_ptr<config::Config> config;
  RecordedControl control_events;
  RecordedStream stream;
  std::unique_ptr<ControlLink> control;
  std::unique_ptr<ReplicationLink> replication;
};

TEST_F(ReplicationLinkTest, HandsOnTransactionsInCommitOrder) {
  start();
  testing::Connection early(cluster.dsn());
  early.must("BEGIN; INSERT INTO users VALUES (1, 'late')");
  sql.must("INSERT INTO users VALUES (2, 'early')");
  early.must("COMMIT");
  sql.must("BEGIN; INSERT INTO users VALUES (3, 'undone'); ROLLBACK");
  sql.must("UPDATE users SET id = 20 WHERE id = 2; DELETE FROM users WHERE id = 1");
  sql.must(
      "BEGIN; INSERT INTO full_log VALUES (1, 'a'); UPDATE full_log SET what = 'b'; COMMIT;"
      "TRUNCATE full_log");
  ASSERT_TRUE(wait_until([&] { return stream.transaction_count() >= 5; }));
  EXPECT_EQ(names(), (std::vector<std::string>{"early", "late"}));
  stream.with([&] {
    pg::Lsn last;
    for (const cdc::Transaction& t : stream.transactions) {
      EXPECT_GT(t.end_lsn, last);
      last = t.end_lsn;
      EXPECT_NE(t.xid, 0u);
    }
    const cdc::Transaction& keyed = stream.transactions.at(2);
    EXPECT_EQ(keyed.changes.size(), 2u);
    EXPECT_EQ(keyed.changes[0].old_row.at(0).bytes, "2");
    EXPECT_EQ(keyed.changes[0].new_row.at(0).bytes, "20");
    EXPECT_EQ(keyed.changes[1].kind, cdc::ChangeKind::kDelete);
    EXPECT_EQ(keyed.changes[1].old_row.at(0).bytes, "1");
    const cdc::Transaction& full = stream.transactions.at(3);
    EXPECT_EQ(full.changes.at(1).old_row.at(1).bytes, "a");
    EXPECT_EQ(stream.transactions.at(4).changes.at(0).kind, cdc::ChangeKind::kTruncate);
    return 0;
  });
}

TEST_F(ReplicationLinkTest, ColdStartKnowsWhatItsSnapshotSaw) {
  testing::Connection open(cluster.dsn());
  sql.must("INSERT INTO users VALUES (1, 'before')");
  const std::uint64_t before =
      std::stoull(sql.query("SELECT max(xmin::text::int8) FROM users").value());
  start();
  EXPECT_TRUE(stream.with([&] { return stream.exported.sees(pg::Xid{before}); }));
  sql.must("INSERT INTO users VALUES (2, 'after')");
  const std::uint64_t after =
      std::stoull(sql.query("SELECT max(xmin::text::int8) FROM users").value());
  EXPECT_FALSE(stream.with([&] { return stream.exported.sees(pg::Xid{after}); }));
  EXPECT_TRUE(wait_until([&] { return names().size() == 1; }));
  EXPECT_EQ(names()[0], "after");
}

TEST_F(ReplicationLinkTest, PositionsFollowAnIdleOrigin) {
  start();
  const auto check = [&] {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(reaches(flushed()));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  };
  check();
  sql.must("CREATE TABLE elsewhere AS SELECT generate_series(1, 10000) AS a");
  check();
  sql.must("SELECT pg_switch_wal()");
  check();
  sql.must("CHECKPOINT");
  replication->request_keepalive();
  check();
  EXPECT_EQ(stream.cold_start_count(), 1);
  // What the server holds as confirmed follows as well.
  const pg::Lsn then = flushed();
  EXPECT_TRUE(wait_until([&] {
    return *pg::parse_lsn(
               sql.query("SELECT confirmed_flush_lsn FROM pg_replication_slots").value()) >= then;
  }));
}

TEST_F(ReplicationLinkTest, InsertPositionsAreReached) {
  start();
  for (int i = 0; i < 200; ++i) {
    sql.must("INSERT INTO users VALUES (" + std::to_string(i) + ", repeat('x', " +
             std::to_string(i * 7 % 997) + "))");
    std::atomic<std::uint64_t> lsn{0};
    control->request_position([&](pg::Lsn p) { lsn = p.value; });
    ASSERT_TRUE(wait_until([&] { return lsn != 0; }));
    ASSERT_TRUE(reaches(pg::Lsn{lsn})) << pg::to_string(pg::Lsn{lsn});
  }
}

TEST_F(ReplicationLinkTest, ResumesWithoutLossOrRepetition) {
  start();
  const auto breaks = [&] { return stream.with([&] { return stream.disconnects.size(); }); };
  std::atomic<bool> enough{false};
  std::size_t written = 0;
  std::thread writer([&] {
    testing::Connection w(cluster.dsn());
    for (; !enough && written < 100000; ++written) {
      w.must("INSERT INTO users VALUES (" + std::to_string(written) + ", 'n" +
             std::to_string(written) + "')");
    }
  });
  EXPECT_TRUE(wait_until(
      [&] {
        sql.query(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
            " WHERE active_pid IS NOT NULL");
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        return breaks() >= 6;
      },
      20000));
  enough = true;
  writer.join();
  ASSERT_TRUE(wait_until([&] { return names().size() >= written; }));
  ASSERT_TRUE(reaches(flushed()));
  const std::vector<std::string> got = names();
  ASSERT_EQ(got.size(), written);
  for (std::size_t i = 0; i < written; ++i) EXPECT_EQ(got[i], "n" + std::to_string(i));
  EXPECT_EQ(stream.cold_start_count(), 1);
}

// What the fence protects from, and that it suffices: a writer that began before its table was
// published is seen only in part; everybody whose id is not below the fence is seen whole.
TEST_F(ReplicationLinkTest, WritersBehindTheFenceAreSeenWhole) {
  launch();
  ASSERT_TRUE(wait_until([&] { return stream.connected(); }));
  testing::Connection writer(cluster.dsn());
  writer.must("BEGIN; INSERT INTO users VALUES (1, 'before')");
  const std::uint64_t xid = std::stoull(writer.query("SELECT pg_current_xact_id()").value());
  const pg::Oid users = oid_of(sql, "users");
  control->request_tracking({users});
  ASSERT_TRUE(wait_until([&] { return control_events.answer_count(users) > 0; }));
  const pg::Xid fence = control_events.with([&] { return control_events.tracked.at(users); });
  EXPECT_GT(fence.value, xid);
  writer.must("INSERT INTO users VALUES (2, 'within'); COMMIT");
  sql.must("INSERT INTO users VALUES (3, 'after')");
  ASSERT_TRUE(wait_until([&] { return names().size() >= 2; }));
  EXPECT_EQ(names(), (std::vector<std::string>{"within", "after"}));
}

TEST_F(ReplicationLinkTest, ResumesAfterRestartsOfTheOrigin) {
  start();
  sql.must("INSERT INTO users VALUES (1, 'a')");
  ASSERT_TRUE(wait_until([&] { return names().size() == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(cluster.stop());  // the server waits for us to confirm, and we let go
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  cluster.start();
  sql = testing::Connection(cluster.dsn());
  sql.must("INSERT INTO users VALUES (2, 'b')");
  ASSERT_TRUE(wait_until([&] { return names().size() >= 2; }, 20000)) << stream.first_problem();
  EXPECT_EQ(names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(stream.cold_start_count(), 1);
}

// A crash may take back what was seen, and gives ids of transactions again (ADR 19).
TEST_F(ReplicationLinkTest, StartsColdAfterACrashOfTheOrigin) {
  start();
  sql.must("INSERT INTO users VALUES (1, 'a')");
  ASSERT_TRUE(wait_until([&] { return names().size() == 1; }));
  cluster.kill9();
  cluster.start();
  ASSERT_TRUE(
      wait_until([&] { return stream.cold_start_count() == 2 && stream.connected(); }, 20000))
      << stream.first_problem();
  sql = testing::Connection(cluster.dsn());
  sql.must("INSERT INTO users VALUES (2, 'b')");
  // Since the cold start.
  ASSERT_TRUE(wait_until([&] { return !names().empty(); }, 20000)) << stream.first_problem();
  EXPECT_EQ(names(), (std::vector<std::string>{"b"}));
}

TEST_F(ReplicationLinkTest, AnotherTimelineMeansAColdStart) {
  start();
  cluster.stop();
  std::ofstream(cluster.folder() + "/data/standby.signal").close();
  cluster.start();
  sql = testing::connect_within(cluster.dsn(), 5000);
  sql.must("SELECT pg_promote()");
  // The slot is still there, and would go on.
  ASSERT_TRUE(
      wait_until([&] { return stream.cold_start_count() == 2 && stream.connected(); }, 20000))
      << stream.first_problem();
  const auto heartbeats = [&] {
    return control_events.with([&] { return control_events.heartbeats.size(); });
  };
  const std::size_t then = heartbeats();
  EXPECT_TRUE(wait_until([&] { return heartbeats() > then; }));
}

TEST_F(ReplicationLinkTest, LosesItsSlotAndStartsCold) {
  start();
  drop_slot_of_a_dead_walsender();
  ASSERT_TRUE(wait_until([&] { return stream.cold_start_count() == 2 && stream.connected(); }));
  sql.must("INSERT INTO users VALUES (1, 'again')");
  EXPECT_TRUE(wait_until([&] { return names().size() == 1; }));
}

TEST_F(ReplicationLinkTest, LosesItsPublicationAndStartsCold) {
  start();
  sql.must("DROP PUBLICATION pgcache; INSERT INTO users VALUES (1, 'unseen')");
  ASSERT_TRUE(wait_until([&] { return stream.cold_start_count() >= 2 && stream.connected(); }))
      << stream.first_problem();
  ASSERT_TRUE(
      wait_until([&] { return control_events.with([&] { return control_events.catalogs > 1; }); }));
  control->request_tracking({oid_of(sql, "users")});
  ASSERT_TRUE(wait_until(
      [&] { return control_events.with([&] { return !control_events.tracked.empty(); }); }));
  sql.must("INSERT INTO users VALUES (2, 'seen')");
  EXPECT_TRUE(wait_until([&] { return names() == std::vector<std::string>{"seen"}; }));
}

TEST_F(ReplicationLinkTest, StartsColdWhenSomebodyElseReadFromTheSlot) {
  start();
  // A position far ahead, as if another reader had consumed what we have not seen.
  std::thread([&] {
    wait_until([&] {
      sql.query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots");
      sql.query("INSERT INTO users VALUES (1, 'consumed')");
      return sql.query("SELECT pg_replication_slot_advance('pgcache', pg_current_wal_flush_lsn())")
          .ok();
    });
  }).join();
  EXPECT_TRUE(wait_until([&] { return stream.cold_start_count() >= 2 && stream.connected(); }));
}

TEST_F(ReplicationLinkTest, AnExceptionOrARequestMeansAColdStart) {
  start();
  stream.with([&] { return stream.throw_next = 1; });
  sql.must("INSERT INTO users VALUES (1, 'refused')");
  ASSERT_TRUE(wait_until([&] { return stream.cold_start_count() == 2 && stream.connected(); }));
  replication->request_restart();
  ASSERT_TRUE(wait_until([&] { return stream.cold_start_count() == 3 && stream.connected(); }));
  sql.must("INSERT INTO users VALUES (2, 'fine')");
  EXPECT_TRUE(wait_until([&] { return names() == std::vector<std::string>{"fine"}; }));
}

TEST_F(ReplicationLinkTest, WaitsForItsSlotWhileItIsInUse) {
  start();
  RecordedControl other_control_events;
  RecordedStream other_stream;
  {
    ControlLink other_control(config, other_control_events);
    other_control.start();
    ReplicationLink other(config, other_control, other_stream);
    other.start();
    ASSERT_TRUE(wait_until([&] { return !other_stream.first_problem().empty(); }));
    EXPECT_NE(other_stream.first_problem().find("another pgcache"), std::string::npos);
    EXPECT_TRUE(stream.connected());
    replication->stop();  // drops the slot; the other one takes over
    ASSERT_TRUE(wait_until([&] { return other_stream.connected(); }, 15000));
    EXPECT_EQ(other_stream.first_problem(), "");
  }
  EXPECT_EQ(slots(), "0");
}

TEST_F(ReplicationLinkTest, LeavesOrKeepsTheSlotAtTheEnd) {
  config->keep_slot = true;
  start();
  replication->stop();
  EXPECT_EQ(slots(), "1");
  config = std::make_shared<config::Config>(*config);
  config->keep_slot = false;
  replication = std::make_unique<ReplicationLink>(config, *control, stream);
  replication->start();
  ASSERT_TRUE(wait_until([&] { return stream.cold_start_count() == 2 && stream.connected(); }));
  replication->stop();
  EXPECT_EQ(slots(), "0");
}

// WAL that piles up behind an open transaction, however often a new slot is begun; and then all is
// as before.
TEST_F(ReplicationLinkTest, GivesUpASlotThatHoldsBackTooMuch) {
  config->max_slot_retained = 20u << 20;
  start();
  testing::Connection open(cluster.dsn());
  open.must("BEGIN; INSERT INTO users VALUES (1, 'held back')");
  ASSERT_TRUE(wait_until(
      [&] {
        sql.must("SELECT pg_logical_emit_message(false, 'x', 'x'); SELECT pg_switch_wal()");
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return control_events.with([&] { return control_events.over_limit >= 2; });
      },
      20000));
  EXPECT_FALSE(stream.connected());
  open.must("COMMIT");
  ASSERT_TRUE(wait_until([&] { return stream.connected(); }, 20000)) << stream.first_problem();
  EXPECT_EQ(stream.with([&] { return stream.last_cold_start; }), ColdStart::kRetained);
  sql.must("INSERT INTO users VALUES (2, 'again')");
  EXPECT_TRUE(wait_until([&] { return names() == std::vector<std::string>{"again"}; }));
  EXPECT_TRUE(wait_until(
      [&] { return control_events.with([&] { return control_events.retained < (20u << 20); }); }));
}

TEST_F(ReplicationLinkTest, LeavesASlotOfAnotherKindAlone) {
  sql.must("SELECT pg_create_physical_replication_slot('pgcache')");
  launch();
  EXPECT_TRUE(wait_until([&] { return !stream.first_problem().empty(); }));
  EXPECT_NE(stream.first_problem().find("not one of pgcache's"), std::string::npos);
  replication->stop();
  EXPECT_EQ(slots(), "1");
}

TEST_F(ReplicationLinkTest, WaitingForWritersCanBeStopped) {
  testing::Connection writer(cluster.dsn());
  writer.must("BEGIN; INSERT INTO users VALUES (1, 'open')");
  launch();
  EXPECT_TRUE(wait_until([&] { return !stream.first_problem().empty(); }));
  EXPECT_NE(stream.first_problem().find("waits for the end of transactions"), std::string::npos);
  const auto begin = std::chrono::steady_clock::now();
  replication->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  writer.must("COMMIT");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(slots(), "0");
}

TEST_F(ReplicationLinkTest, ReportsAMissingPrivilege) {
  sql.must("CREATE ROLE weak LOGIN; GRANT CREATE ON DATABASE postgres TO weak");
  config->origin = cluster.dsn("postgres", "weak");
  launch();
  ASSERT_TRUE(wait_until([&] { return !stream.first_problem().empty(); }));
  EXPECT_NE(stream.with([&] { return stream.problems[0].mend; }).find("REPLICATION"),
            std::string::npos);
  sql.must("ALTER ROLE weak REPLICATION");
  EXPECT_TRUE(wait_until([&] { return stream.connected(); }, 15000)) << stream.first_problem();
  EXPECT_EQ(stream.first_problem(), "");
}

TEST_F(ReplicationLinkTest, ReportsAFullHouseOfSlots) {
  sql.must("SELECT pg_create_physical_replication_slot('s' || g) FROM generate_series(1, 20) g");
  launch();
  ASSERT_TRUE(wait_until([&] { return !stream.first_problem().empty(); }));
  EXPECT_NE(stream.first_problem().find("no free replication slot"), std::string::npos);
}

class WithoutLogicalWal : public ReplicationLinkTest {
 protected:
  WithoutLogicalWal() : ReplicationLinkTest({.conf = {"wal_level = replica"}, .hba = {}}) {}
};

TEST_F(WithoutLogicalWal, IsReported) {
  launch();
  ASSERT_TRUE(wait_until([&] { return !stream.first_problem().empty(); }));
  EXPECT_NE(stream.first_problem().find("wal_level"), std::string::npos);
  const Result<std::vector<Problem>> checked = check_origin(*config);
  ASSERT_TRUE(checked.ok());
  ASSERT_FALSE(checked->empty());
  EXPECT_EQ(checked->at(0).what, "wal_level is replica; logical decoding needs logical");
}

class WithDrowsyWalWriter : public ReplicationLinkTest {
 protected:
  WithDrowsyWalWriter() : ReplicationLinkTest({.conf = {"wal_writer_delay = 100ms"}, .hba = {}}) {}
};

// An open transaction's WAL lies unflushed until the WAL writer wakes, which takes up to 25 times
// its delay once it hibernates (after 50 idle rounds); nobody must wait that long.
TEST_F(WithDrowsyWalWriter, PositionsBehindUnflushedWalAreReached) {
  start();
  std::this_thread::sleep_for(std::chrono::milliseconds(6000));
  testing::Connection writer(cluster.dsn());
  writer.must("BEGIN; INSERT INTO users VALUES (1, 'open')");
  std::atomic<std::uint64_t> lsn{0};
  control->request_position([&](pg::Lsn p) { lsn = p.value; });
  ASSERT_TRUE(wait_until([&] { return lsn != 0; }));
  EXPECT_TRUE(reaches(pg::Lsn{lsn}, 1200));
}

class WithClosedDoor : public ReplicationLinkTest {
 protected:
  WithClosedDoor()
      : ReplicationLinkTest({.conf = {}, .hba = {"host all app 127.0.0.1/32 reject"}}) {}
};

TEST_F(WithClosedDoor, IsReported) {
  config->origin = cluster.dsn("postgres", "app");
  launch();
  ASSERT_TRUE(wait_until([&] { return !stream.first_problem().empty(); }));
  EXPECT_NE(stream.first_problem().find("pg_hba.conf"), std::string::npos);
  EXPECT_FALSE(check_origin(*config).ok());
}

TEST_F(ReplicationLinkTest, CheckAndCleanup) {
  EXPECT_TRUE(check_origin(*config)->empty());
  sql.must("ALTER SYSTEM SET max_slot_wal_keep_size = -1");
  sql.must("SELECT pg_reload_conf()");
  ASSERT_TRUE(wait_until([&] { return check_origin(*config)->size() == 1; }));
  EXPECT_NE(check_origin(*config)->at(0).mend.find("max_slot_wal_keep_size"), std::string::npos);
  EXPECT_FALSE(check_origin(*config)->at(0).fatal);
  sql.must("ALTER SYSTEM RESET max_slot_wal_keep_size");
  sql.must("SELECT pg_reload_conf()");
  ASSERT_TRUE(wait_until([&] { return check_origin(*config)->empty(); }));
  sql.must("CREATE TABLE bare (a int); CREATE ROLE weak LOGIN");
  const Result<std::vector<Problem>> with_bare = check_origin(*config);
  ASSERT_EQ(with_bare->size(), 1u);
  EXPECT_NE(with_bare->at(0).what.find("public.bare"), std::string::npos);
  EXPECT_FALSE(with_bare->at(0).fatal);
  auto weak = std::make_shared<config::Config>(*config);
  weak->origin = cluster.dsn("postgres", "weak");
  const Result<std::vector<Problem>> lacking = check_origin(*weak);
  ASSERT_TRUE(lacking.ok());
  EXPECT_EQ(lacking->at(0).what, "role weak may not replicate");
  EXPECT_EQ(lacking->at(1).what, "role weak may not create a publication");

  config->keep_slot = true;
  start();
  EXPECT_FALSE(cleanup_origin(*config).ok());  // in use
  ASSERT_FALSE(check_origin(*config)->empty());
  EXPECT_NE(check_origin(*config)->at(0).what.find("in use"), std::string::npos);
  replication->stop();
  control->stop();
  const auto removed = cleanup_origin(*config);
  ASSERT_TRUE(removed.ok()) << removed.error().message;
  EXPECT_EQ(*removed, (std::vector<std::string>{"replication slot pgcache",
                                                "event triggers pgcache_* and schema pgcache",
                                                "publication pgcache"}));
  EXPECT_EQ(slots(), "0");
  EXPECT_TRUE(cleanup_origin(*config)->empty());
  config->origin = "postgresql://u:secret@127.0.0.1:1/x";
  const Result<std::vector<Problem>> away = check_origin(*config);
  ASSERT_FALSE(away.ok());
  EXPECT_EQ(away.error().message.find("secret"), std::string::npos);
}

TEST(Endpoint, IsResolvedAsLibpqDoes) {
  const Result<Endpoint> url = resolve_endpoint("postgresql://u@db.invalid:5433/shop");
  ASSERT_TRUE(url.ok());
  EXPECT_EQ(url->host, "db.invalid");
  EXPECT_EQ(url->port, 5433);
  EXPECT_EQ(url->database, "shop");
  const Result<Endpoint> keywords = resolve_endpoint("host=/run/x dbname=shop");
  ASSERT_TRUE(keywords.ok());
  EXPECT_EQ(keywords->host, "/run/x");
  EXPECT_EQ(keywords->port, 5432);
  const Result<Endpoint> address = resolve_endpoint("hostaddr=127.0.0.1 port=7 dbname=shop");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->host, "127.0.0.1");
  setenv("PGHOST", "elsewhere", 1);
  setenv("PGDATABASE", "stock", 1);
  const Result<Endpoint> environment = resolve_endpoint("");
  unsetenv("PGHOST");
  unsetenv("PGDATABASE");
  ASSERT_TRUE(environment.ok());
  EXPECT_EQ(environment->host, "elsewhere");
  EXPECT_EQ(environment->database, "stock");
  EXPECT_FALSE(resolve_endpoint("host=a,b dbname=x").ok());
  const Result<Endpoint> broken = resolve_endpoint("postgresql://u:secret@[::1:x/d");
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().message.find("secret"), std::string::npos);
  const Result<Endpoint> local = resolve_endpoint("dbname=shop");
  ASSERT_TRUE(local.ok());
  EXPECT_EQ(local->host.front(), '/');
}

}  // namespace
}  // namespace pgcache::origin
