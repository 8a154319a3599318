// SPDX-License-Identifier: Apache-2.0
// PgBouncer between pgcache and the server, and between clients and pgcache. Every other
// transaction gets another connection to the server (server_round_robin), so that what is left
// behind on one is missing, or somebody else's, on the next.
#include <set>
#include <thread>

#include "support/command.h"
#include "transcript.h"

namespace pgcache::testing {
namespace {

using message::be32;
using message::query;

constexpr const char* kSchema = R"(
  CREATE TABLE t (id int PRIMARY KEY, v text);
  INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 300) i;
  CREATE TABLE copied (id int, v text);
  CREATE SCHEMA other; CREATE TABLE other.t (id int PRIMARY KEY, v text);
  INSERT INTO other.t SELECT i, 'other ' || i FROM generate_series(1, 300) i;)";

StackOptions pooled(const std::string& mode, std::vector<std::string> conf = {}) {
  StackOptions options;
  options.schema = kSchema;
  options.pooler.emplace();
  options.pooler->pool_mode = mode;
  options.pooler->pool_size = 3;
  options.pooler->conf = {"server_round_robin = 1"};
  if (Pgbouncer::knows_statements())
    options.pooler->conf.emplace_back("max_prepared_statements = 0");
  options.pooler->conf.insert(options.pooler->conf.end(), conf.begin(), conf.end());
  return options;
}

// Opens all three connections to the server.
void fill_pool(Stack& stack) {
  std::vector<Connection> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(stack.pooler().dsn());
    clients.back().must("BEGIN");
    clients.back().must("SELECT 1");
  }
  for (Connection& client : clients) client.must("COMMIT");
}

std::string prepared(const std::string& name, const std::string& sql) {
  return message::parse(name, sql) + message::sync();
}
std::string executed(const std::string& name, const message::Values& values = {}) {
  return message::bind("", name, values) + message::describe('P', "") + message::execute("") +
         message::sync();
}

class Poolers : public SharedStack<Poolers> {
 public:
  static StackOptions options() { return pooled("transaction"); }

 protected:
  void SetUp() override { fill_pool(stack()); }
  static std::string first_error(RawClient& client) {
    const std::vector<RawFrame> frames = client.read_until('Z');
    const RawFrame* error = find_frame(frames, 'E');
    return error != nullptr ? error->field('C') : frames_text(frames);
  }
  static std::string first(RawClient& client, const std::string& bytes) {
    client.send(bytes);
    return first_columns(client.read_until('Z'));
  }
};

TEST_F(Poolers, ReadsAreServedFromMemory) {
  Connection session = stack().client();
  EXPECT_EQ(rows_text(stack().load(session, "SELECT v FROM t WHERE id = 1")), "row 1");
  const std::string sql = "SELECT v FROM t WHERE id = $1";
  for (const char* route : {"miss", "hit", "hit"}) {
    EXPECT_EQ(value_of(stack().params(session, sql, {"2"}, route)), "row 2");
  }
  Connection other = stack().client();
  EXPECT_EQ(value_of(stack().query(other, "SELECT v FROM t WHERE id = 1;  -- end", "miss")),
            "row 1");
  EXPECT_EQ(value_of(stack().query(other, "SELECT v FROM t WHERE id = 1;  -- end", "hit")),
            "row 1");
  stack().direct().must("UPDATE t SET v = 'new' WHERE id IN (1, 2)");
  stack().settle();
  EXPECT_EQ(rows_text(stack().load(session, "SELECT v FROM t WHERE id = 1")), "new");
  for (const char* route : {"miss", "hit"}) {
    EXPECT_EQ(value_of(stack().params(session, sql, {"2"}, route)), "new");
  }
}

TEST_F(Poolers, OwnWritesAreSeen) {
  Connection session = stack().client();
  const std::string sql = "SELECT v FROM t WHERE id = 3";
  stack().load(session, sql);
  for (int i = 0; i < 20; ++i) {
    const std::string value = "write " + std::to_string(i);
    session.must("UPDATE t SET v = '" + value + "' WHERE id = 3");
    EXPECT_EQ(session.query(sql).value(), value);
  }
  stack().settle_session(session);
  for (const char* route : {"hit|miss", "hit"}) {
    EXPECT_EQ(value_of(stack().query(session, sql, route)), "write 19");
  }
}

TEST_F(Poolers, AnswersAreTheServersByteByByte) {
  using message::bind;
  using message::close;
  using message::describe;
  using message::execute;
  using message::parse;
  using message::sync;
  const std::string read = "SELECT id, v FROM t WHERE id BETWEEN 10 AND 14 ORDER BY id";
  expect_same_answers(
      stack(),
      {{query(read)},
       {prepared("s", read)},
       {executed("s")},
       {executed("s")},
       {prepared("s", "SELECT 2")},  // 42P05
       {executed("unknown")},        // 26000
       {describe('S', "s") + sync()},
       {close('S', "s") + sync()},
       {executed("s")},                   // 26000
       {query("SELECT * FROM missing")},  // with its position
       {query("SELECT 1 / (id - 10), v FROM t WHERE id = 10")}},
      {"bypass:after_write bypass:unknown_relation bypass:unknown_statement*2 hit miss*2",
       "bypass:after_write bypass:unknown_relation bypass:unknown_statement*2 hit*3"});
}

TEST_F(Poolers, StatementsAreDeallocatedWhereverTheyAre) {
  const std::string prepare = prepared("d", "SELECT v FROM t WHERE id = 90");
  const std::string drop = "DEALLOCATE d";
  expect_same_answers(stack(),
                      {{prepare},
                       {query(drop)},
                       {prepare},
                       {message::one_shot(drop)},
                       {prepare},
                       {query("BEGIN")},
                       {executed("d")},
                       {query(drop)},
                       {query("COMMIT")},
                       {executed("d")},
                       {prepare}},
                      {"bypass:not_read*3 bypass:unknown_statement miss|"
                       "bypass:after_write bypass:not_read*3 bypass:unknown_statement",
                       "bypass:not_read bypass:unknown_statement hit|"
                       "bypass:after_write bypass:not_read*3 bypass:unknown_statement"});
}

TEST_F(Poolers, StatementsAreNotLostWithTheirConnection) {
  RawClient client = stack().raw();
  client.send(prepared("pid", "SELECT pg_backend_pid()"));
  client.read_until('Z');
  std::set<std::string> pids;
  stack().expect_route("bypass:volatile_function*9", [&] {
    for (int i = 0; i < 9; ++i) pids.insert(first(client, executed("pid")));
  });
  EXPECT_EQ(pids.size(), 3U);
  EXPECT_EQ(pids.count(""), 0U);
  RawClient reader = stack().raw();
  reader.send(prepared("one", "SELECT v FROM t WHERE id = $1"));
  reader.read_until('Z');
  for (int id = 20; id < 30; ++id) {
    const std::string number = std::to_string(id);
    for (const char* route : {"miss", "hit"}) {
      stack().expect_route(
          route, [&] { EXPECT_EQ(first(reader, executed("one", {number})), "row " + number); });
    }
  }
}

// In a block, where an error could not be made good.
TEST_F(Poolers, StatementsAreThereInEveryBlock) {
  for (const char* begin : {"BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"}) {
    RawClient client = stack().raw();
    client.send(prepared("write", "UPDATE t SET v = $1 WHERE id = 40 RETURNING v"));
    client.read_until('Z');
    for (int i = 0; i < 6; ++i) {
      const std::string value = "block " + std::to_string(i);
      client.send(query(begin));
      client.read_until('Z');
      EXPECT_EQ(first(client, executed("write", {value})), value);
      EXPECT_EQ(first(client, executed("write", {value + "!"})), value + "!");
      EXPECT_EQ(first(client, query("SELECT v FROM t WHERE id = 40")), value + "!");
      client.send(query("COMMIT"));
      client.read_until('Z');
    }
  }
}

TEST_F(Poolers, PortalsOfABlockGoOn) {
  const std::string read = "SELECT v FROM t WHERE id BETWEEN 50 AND 55 ORDER BY id";
  const std::string next = message::execute("p", 2) + message::sync();
  expect_same_answers(stack(),
                      {{prepared("s", read)},
                       {query("BEGIN")},
                       {message::bind("p", "s") + next},
                       {next},
                       {query("SELECT v FROM t WHERE id = 50")},
                       {next},
                       {executed("s")},
                       {query("COMMIT")},
                       {next}},
                      {"bypass:not_read bypass:row_limit miss*5"});
}

// Drivers number their statements: two sessions mean different ones by the same name.
TEST_F(Poolers, StatementsOfOneNameAreNotMixedUp) {
  RawClient a = stack().raw();
  RawClient b = stack().raw();
  for (int round = 0; round < 6; ++round) {
    if (round % 3 == 0) {
      const std::string name = "S_" + std::to_string(round);
      a.send(prepared(name, "SELECT v FROM t WHERE id = $1"));
      b.send(prepared(name, "SELECT 'b', v FROM t WHERE id = $1"));
      EXPECT_EQ(a.read_until('Z').front().tag, '1');
      EXPECT_EQ(b.read_until('Z').front().tag, '1');
    }
    const std::string name = "S_" + std::to_string(round / 3 * 3);
    const std::string id = std::to_string(60 + round);
    stack().expect_route("hit*2 miss*2", [&] {
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(first(a, executed(name, {id})), "row " + id);
        EXPECT_EQ(first(b, executed(name, {id})), "b");
      }
    });
  }
  // The unnamed one likewise: without a Parse of its own a session has none.
  a.send(message::parse("", "SELECT 'secret'") + message::sync());
  a.read_until('Z');
  for (int i = 0; i < 4; ++i) {
    RawClient c = stack().raw();
    c.send(executed(""));
    EXPECT_EQ(first_error(c), "26000");
  }
  EXPECT_EQ(first(a, executed("")), "secret");
}

TEST_F(Poolers, PipelinesAreAnsweredInOrder) {
  std::string pipeline = prepared("p", "SELECT v FROM t WHERE id = $1");
  for (int i = 0; i < 50; ++i) {
    pipeline += executed("p", {std::to_string(100 + i % 10)});
    if (i % 7 == 0) pipeline += query("SELECT v FROM t WHERE id = 15" + std::to_string(i % 2));
  }
  expect_same_answers(stack(), {{pipeline, 1 + 50 + 8}}, {"hit*46 miss*12", "hit*58"});
}

// What a client of the pooler leaves behind on one of the connections is not taken for the answer
// of the others.
TEST_F(Poolers, SettingsLeftBehindDoNotEnterTheCache) {
  Connection leaker(stack().pooler().dsn());
  leaker.must("BEGIN");
  const std::string pid = leaker.must("SELECT pg_backend_pid()").value();
  leaker.must("SET search_path = other");
  leaker.must("COMMIT");
  const auto sql = [](int id) { return "SELECT v FROM t WHERE id = " + std::to_string(id); };
  const auto row = [](int id) { return "row " + std::to_string(id); };
  int foreign = 0;
  for (int id = 200; id < 260; ++id) {
    Connection session = stack().client();
    for (int i = 0; i < 3; ++i) {
      if (session.query(sql(id)).value() != row(id)) ++foreign;
    }
  }
  EXPECT_GT(foreign, 0) << "the pooler did not hand out the connection";
  stack().direct().must("SELECT pg_terminate_backend(" + pid + ")");
  EXPECT_TRUE(wait_until(
      [&] {
        return stack()
                   .direct()
                   .must("SELECT count(*) FROM pg_stat_activity WHERE pid = " + pid)
                   .value() == "0";
      },
      5000));
  Connection session = stack().client();
  const Routes before = stack().proxy().routes();
  for (int id = 200; id < 260; ++id) EXPECT_EQ(session.query(sql(id)).value(), row(id));
  const Routes taken = stack().proxy().routes() - before;
  EXPECT_GT(taken.hit, 10U) << route_text(taken);
  EXPECT_EQ(taken.hit + taken.miss, 60U) << route_text(taken);
}

TEST_F(Poolers, BlocksServedFromMemoryNeverReachTheServer) {
  Connection session = stack().client();
  const std::string sql = "SELECT v FROM t WHERE id = 70";
  stack().load(session, sql);
  const double before = stack().proxy().metric("pgcache_blocks_local_total");
  session.must("BEGIN");
  stack().query(session, sql, "hit");
  session.must("COMMIT");
  EXPECT_EQ(stack().proxy().metric("pgcache_blocks_local_total"), before + 1);
  // One whose first read has to be loaded.
  session.must("BEGIN");
  EXPECT_EQ(value_of(stack().query(session, "SELECT v FROM t WHERE id = 71", "miss")), "row 71");
  EXPECT_EQ(value_of(stack().query(session, "SELECT v FROM t WHERE id = 71", "hit")), "row 71");
  session.must("UPDATE t SET v = 'changed' WHERE id = 71");
  EXPECT_EQ(
      value_of(stack().query(session, "SELECT v FROM t WHERE id = 71", "bypass:in_transaction")),
      "changed");
  session.must("ROLLBACK");
  EXPECT_EQ(session.query("SELECT v FROM t WHERE id = 71").value(), "row 71");
}

TEST_F(Poolers, ErrorsOfLoadsAreTheClientsOnly) {
  Connection session = stack().client();
  for (int i = 0; i < 3; ++i) {
    const std::string sql = "SELECT 1 / (id - 80) FROM t WHERE id = 80";
    EXPECT_EQ(stack().query(session, sql, "miss").sqlstate, "22012");
    EXPECT_EQ(stack()
                  .params(session, "SELECT 1 / (id - $1::int) FROM t WHERE id = 80", {"80"}, "miss")
                  .sqlstate,
              "22012");
  }
  EXPECT_EQ(rows_text(stack().load(session, "SELECT v FROM t WHERE id = 80")), "row 80");
}

TEST_F(Poolers, CopyAndCancel) {
  Connection session = stack().client();
  copy_both_ways(session, 500);
  ASSERT_EQ(PQsendQuery(session.raw(), "SELECT pg_sleep(20)"), 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  cancel_query(session);
  EXPECT_EQ(session.query("SELECT 1").value(), "1");
}

// The database that the pooler leads to must be the one whose changes are read.
TEST_F(Poolers, OtherDatabasesBehindTheNameAreNotCached) {
  StackOptions other = pooled("transaction");
  other.replication_database = "template1";
  Stack own(other);
  Connection session = own.client();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(value_of(own.query(session, "SELECT 40 + 2", "bypass:other_database")), "42");
  }
}

TEST_F(Poolers, CheckLooksWhereThePoolerLeads) {
  const auto check = [](const std::string& origin, const std::string& server) {
    return run_command("env -u PGCACHE_BINARY -u TEST_PGBOUNCER '" +
                       std::string(std::getenv("PGCACHE_BINARY")) + "' check --origin '" + origin +
                       "' --replication-origin '" + server +
                       "' --admin 127.0.0.1:" + std::to_string(stack().proxy().admin_port()))
        .output;
  };
  const std::string pooler = stack().pooler().dsn();
  const std::string good = check(pooler, stack().origin().dsn());
  EXPECT_FALSE(contains(good, "missing")) << good;
  const std::string other = check(pooler, stack().origin().dsn("template1"));
  EXPECT_TRUE(contains(other, "origin leads to another server or database")) << other;
  const std::string none =
      check("postgresql://postgres@127.0.0.1:1/postgres", stack().origin().dsn());
  EXPECT_TRUE(contains(none, "the pooler in front of the server does not answer")) << none;
  // The check has left nothing behind.
  Connection session(pooler);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(session.query("SHOW search_path").value(), "\"$user\", public");
  }
}

TEST_F(Poolers, OtherServersBehindItAreNotCached) {
  const Cluster elsewhere;
  Connection(elsewhere.dsn()).must(kSchema);
  Connection(elsewhere.dsn()).must("UPDATE t SET v = 'elsewhere'");
  StackOptions other = pooled("transaction");
  other.pooler->server_port = elsewhere.port();
  Stack own(other);
  Connection session = own.client();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(value_of(own.query(session, "SELECT v FROM t WHERE id = 1", "bypass:other_database")),
              "elsewhere");
  }
}

// PgBouncer keeps its clients while the server restarts.
TEST_F(Poolers, ServedAgainAfterTheServerRestarts) {
  Stack own(pooled("transaction"));
  Connection session = own.client();
  own.load(session, "SELECT v FROM t WHERE id = 1");
  own.origin().restart();
  const auto served = [&] {
    QueryResult result;
    const std::string route =
        own.routes_of([&] { result = session.query("SELECT v FROM t WHERE id = 2"); });
    if (PQstatus(session.raw()) != CONNECTION_OK) session = own.client();
    return route == "hit" && result.value() == "row 2";
  };
  EXPECT_TRUE(wait_until(served, 20000));
}

TEST_F(Poolers, SessionsOfTheirOwn) {
  Stack own(pooled("session", {"server_reset_query = DISCARD ALL"}));
  for (int i = 0; i < 4; ++i) {
    RawClient client = own.raw();
    client.send(prepared("s", "SELECT v FROM t WHERE id = $1"));
    EXPECT_EQ(client.read_until('Z').front().tag, '1');
    own.expect_route("hit miss", [&] {
      const std::string id = std::to_string(i + 1);
      for (int j = 0; j < 2; ++j) EXPECT_EQ(first(client, executed("s", {id})), "row " + id);
    });
  }
}

// PgBouncer from version 1.21 on prepares statements where they are needed.
TEST_F(Poolers, WhichKeepTrackOfStatements) {
  if (!Pgbouncer::knows_statements()) GTEST_SKIP() << "an older PgBouncer";
  Stack own(pooled("transaction", {"max_prepared_statements = 10"}));
  fill_pool(own);
  const std::string read = "SELECT v FROM t WHERE id = $1";
  RawClient a = own.raw();
  RawClient b = own.raw();
  a.send(prepared("s", read));
  b.send(prepared("s", "SELECT 'b', v FROM t WHERE id = $1"));
  a.read_until('Z');
  b.read_until('Z');
  for (int i = 1; i < 8; ++i) {
    const std::string id = std::to_string(i);
    own.expect_route("hit*2 miss*2", [&] {
      for (int j = 0; j < 2; ++j) {
        EXPECT_EQ(first(a, executed("s", {id})), "row " + id);
        EXPECT_EQ(first(b, executed("s", {id})), "b");
      }
    });
  }
  expect_same_answers(own,
                      {{prepared("x", read)},
                       {executed("x", {"200"})},
                       {message::describe('S', "x") + message::sync()},
                       {message::close('S', "x") + message::sync()}},
                      {"miss", "hit"});
}

// --- a pooler in front of pgcache

struct Fronted {
  explicit Fronted(const std::string& mode, std::vector<std::string> conf = {})
      : stack(options()), pooler([&] {
          PgbouncerOptions all;
          all.server_port = stack.proxy().port();
          all.pool_mode = mode;
          all.pool_size = 3;
          all.conf = std::move(conf);
          all.conf.emplace_back("server_round_robin = 1");
          return all;
        }()) {}
  static StackOptions options() {
    StackOptions options;
    options.schema = kSchema;
    return options;
  }
  Stack stack;
  Pgbouncer pooler;
};

TEST_F(Poolers, InFrontOfPgcacheByTransaction) {
  Fronted fronted("transaction");
  Stack& own = fronted.stack;
  Connection a(fronted.pooler.dsn());
  Connection b(fronted.pooler.dsn());
  EXPECT_EQ(rows_text(own.load(a, "SELECT v FROM t WHERE id = 1")), "row 1");
  EXPECT_EQ(value_of(own.query(b, "SELECT v FROM t WHERE id = 1", "hit")), "row 1");
  for (const char* route : {"miss", "hit"}) {
    EXPECT_EQ(value_of(own.params(b, "SELECT v FROM t WHERE id = $1", {"2"}, route)), "row 2");
  }
  // Settings that PgBouncer carries from one connection to the next are part of the key.
  b.must("SET DateStyle = 'German'");
  const std::string date = "SELECT date '2024-02-29' + id FROM t WHERE id = 1";
  const std::string text = own.query(b, date, "miss|bypass:after_write").value();
  EXPECT_EQ(text, "01.03.2024");
  EXPECT_EQ(a.query(date).value(), "2024-03-01");
  EXPECT_EQ(b.query(date).value(), "01.03.2024");
  // A write by one, read by the other.
  a.must("UPDATE t SET v = 'new' WHERE id = 1");
  own.settle();
  EXPECT_EQ(b.query("SELECT v FROM t WHERE id = 1").value(), "new");
}

TEST_F(Poolers, InFrontOfPgcacheBySession) {
  Fronted fronted("session", {"server_reset_query = DISCARD ALL"});
  Stack& own = fronted.stack;
  for (int i = 0; i < 4; ++i) {
    Connection session(fronted.pooler.dsn());
    EXPECT_EQ(session.query("SHOW search_path").value(), "\"$user\", public");
    own.settle_session(session);
    const std::string sql = "SELECT v FROM t WHERE id = " + std::to_string(i + 1);
    EXPECT_EQ(rows_text(own.load(session, sql)), "row " + std::to_string(i + 1));
    session.must("SET search_path = other, public");
    own.settle_session(session);
    EXPECT_EQ(rows_text(own.load(session, sql)), "other " + std::to_string(i + 1));
  }
}

}  // namespace
}  // namespace pgcache::testing
