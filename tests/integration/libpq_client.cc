// SPDX-License-Identifier: Apache-2.0
// libpq's ways to ask: prepared statements, binary values, single rows, pipelines.
#include <arpa/inet.h>

#include <cstring>

#include "stack.h"

namespace pgcache::testing {
namespace {

struct ResultDeleter {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultPtr = std::unique_ptr<PGresult, ResultDeleter>;

class LibpqClient : public SharedStack<LibpqClient> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = R"(
      CREATE TABLE t (id int PRIMARY KEY, v text, n numeric, b bytea, f float8, ok bool);
      INSERT INTO t SELECT i, 'v' || i, i / 3.0, decode('00ff0a', 'hex'), i / 7.0, i % 2 = 0
        FROM generate_series(1, 100) i;
      INSERT INTO t (id) VALUES (1000);)";
    return options;
  }

 protected:
  void SetUp() override {
    session_ = std::make_unique<Connection>(stack().client());
    session_->must("SELECT v FROM t WHERE id = 100");
    stack().settle();
    stack().query_until(*session_, "SELECT v FROM t WHERE id = 100", "hit");
  }
  PGconn* raw() { return session_->raw(); }
  Connection& session() { return *session_; }

  ResultPtr prepared(const char* name, const char* value, int binary = 0) {
    const char* values[] = {value};
    return ResultPtr(PQexecPrepared(raw(), name, 1, values, nullptr, nullptr, binary));
  }
  void prepare(const char* name, const char* sql) {
    const ResultPtr result(PQprepare(raw(), name, sql, 0, nullptr));
    ASSERT_EQ(PQresultStatus(result.get()), PGRES_COMMAND_OK) << PQerrorMessage(raw());
  }
  static std::string first(const ResultPtr& result) {
    if (PQntuples(result.get()) == 0)
      return "no row: " + std::string(PQresultErrorMessage(result.get()));
    return PQgetisnull(result.get(), 0, 0) ? "NULL" : PQgetvalue(result.get(), 0, 0);
  }

 private:
  std::unique_ptr<Connection> session_;
};

TEST_F(LibpqClient, PreparedStatement) {
  stack().expect_route("none", [&] { prepare("by_id", "SELECT v FROM t WHERE id = $1"); });
  stack().expect_route("hit miss", [&] {
    EXPECT_EQ(first(prepared("by_id", "1")), "v1");
    EXPECT_EQ(first(prepared("by_id", "1")), "v1");
  });
  stack().expect_route("none", [&] {
    const ResultPtr described(PQdescribePrepared(raw(), "by_id"));
    EXPECT_EQ(PQnparams(described.get()), 1);
    EXPECT_EQ(PQparamtype(described.get(), 0), 23u);
    EXPECT_STREQ(PQfname(described.get(), 0), "v");
  });
  stack().expect_route("hit", [&] { EXPECT_EQ(first(prepared("by_id", "1")), "v1"); });
  stack().direct().must("UPDATE t SET v = 'changed' WHERE id = 1");
  stack().settle();
  stack().expect_route("hit miss", [&] {
    EXPECT_EQ(first(prepared("by_id", "1")), "changed");
    EXPECT_EQ(first(prepared("by_id", "1")), "changed");
  });
}

TEST_F(LibpqClient, EntriesOfPreparedStatementsAreSharedBySessions) {
  prepare("mine", "SELECT v FROM t WHERE id = $1");
  stack().expect_route("miss", [&] { EXPECT_EQ(first(prepared("mine", "2")), "v2"); });
  Connection other = stack().client();
  const ResultPtr made(
      PQprepare(other.raw(), "theirs", "SELECT v FROM t WHERE id = $1", 0, nullptr));
  const char* values[] = {"2"};
  stack().expect_route("hit", [&] {
    const ResultPtr result(PQexecPrepared(other.raw(), "theirs", 1, values, nullptr, nullptr, 0));
    EXPECT_EQ(first(result), "v2");
  });
}

TEST_F(LibpqClient, BinaryParametersAndResults) {
  const std::uint32_t id = htonl(3);
  const char* values[] = {reinterpret_cast<const char*>(&id)};
  const int lengths[] = {4};
  const int formats[] = {1};
  const Oid types[] = {23};
  const auto ask = [&](const char* sql, int binary) {
    return ResultPtr(PQexecParams(raw(), sql, 1, types, values, lengths, formats, binary));
  };
  stack().expect_route("hit miss", [&] {
    for (int i = 0; i < 2; ++i) EXPECT_EQ(first(ask("SELECT v FROM t WHERE id = $1", 0)), "v3");
  });
  stack().expect_route("hit miss", [&] {
    for (int i = 0; i < 2; ++i) {
      const ResultPtr result = ask("SELECT id, b, f FROM t WHERE id = $1", 1);
      ASSERT_EQ(PQgetlength(result.get(), 0, 0), 4);
      EXPECT_EQ(std::memcmp(PQgetvalue(result.get(), 0, 0), &id, 4), 0);
      ASSERT_EQ(PQgetlength(result.get(), 0, 1), 3);
      EXPECT_EQ(std::memcmp(PQgetvalue(result.get(), 0, 1), "\x00\xff\n", 3), 0);
      EXPECT_EQ(PQgetlength(result.get(), 0, 2), 8);
    }
  });
  stack().direct().must("UPDATE t SET v = 'bound' WHERE id = 3");
  stack().settle();
  stack().expect_route("miss",
                       [&] { EXPECT_EQ(first(ask("SELECT v FROM t WHERE id = $1", 0)), "bound"); });
}

TEST_F(LibpqClient, NullsAndEmptyStrings) {
  stack().params(session(), "SELECT v FROM t WHERE v = $1", {std::nullopt}, "miss");
  EXPECT_TRUE(stack()
                  .params(session(), "SELECT v FROM t WHERE v = $1", {std::nullopt}, "hit")
                  .rows.empty());
  stack().params(session(), "SELECT v FROM t WHERE v = $1", {""}, "miss");
  stack().params(session(), "SELECT v FROM t WHERE v = $1", {""}, "hit");
  stack().params(session(), "SELECT v, n FROM t WHERE id = $1", {"1000"}, "miss");
  const QueryResult nulls =
      stack().params(session(), "SELECT v, n FROM t WHERE id = $1", {"1000"}, "hit");
  EXPECT_EQ(rows_text(nulls.rows), "NULL,NULL");
}

TEST_F(LibpqClient, SingleRowMode) {
  const char* sql = "SELECT id FROM t WHERE id <= 50 ORDER BY id";
  stack().expect_route("hit miss", [&] {
    for (int round = 0; round < 2; ++round) {
      ASSERT_EQ(PQsendQueryParams(raw(), sql, 0, nullptr, nullptr, nullptr, nullptr, 0), 1);
      ASSERT_EQ(PQsetSingleRowMode(raw()), 1);
      int rows = 0;
      while (PGresult* result = PQgetResult(raw())) {
        if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) ++rows;
        PQclear(result);
      }
      EXPECT_EQ(rows, 50);
    }
  });
}

TEST_F(LibpqClient, PipelineModeWithSeveralHits) {
  prepare("pipe", "SELECT v FROM t WHERE id = $1");
  const auto run = [&](const std::vector<const char*>& ids) {
    ASSERT_EQ(PQenterPipelineMode(raw()), 1);
    for (const char* id : ids) {
      const char* values[] = {id};
      ASSERT_EQ(PQsendQueryPrepared(raw(), "pipe", 1, values, nullptr, nullptr, 0), 1);
    }
    ASSERT_EQ(PQpipelineSync(raw()), 1);
    for (const char* id : ids) {
      const ResultPtr result(PQgetResult(raw()));
      EXPECT_EQ(first(result), std::string("v") + id);
      EXPECT_EQ(PQgetResult(raw()), nullptr);
    }
    const ResultPtr end(PQgetResult(raw()));
    EXPECT_EQ(PQresultStatus(end.get()), PGRES_PIPELINE_SYNC);
    ASSERT_EQ(PQexitPipelineMode(raw()), 1);
  };
  stack().expect_route("miss*4", [&] { run({"10", "11", "12", "13"}); });
  stack().expect_route("hit*4", [&] { run({"10", "11", "12", "13"}); });
  stack().expect_route("hit*4", [&] { run({"13", "10", "10", "12"}); });
}

TEST_F(LibpqClient, PipelineModeWithAnErrorInTheMiddle) {
  prepare("pipe", "SELECT v FROM t WHERE id = $1");
  stack().expect_route("miss", [&] { EXPECT_EQ(first(prepared("pipe", "20")), "v20"); });
  ASSERT_EQ(PQenterPipelineMode(raw()), 1);
  for (const char* id : {"20", "no number", "20"}) {
    const char* values[] = {id};
    ASSERT_EQ(PQsendQueryPrepared(raw(), "pipe", 1, values, nullptr, nullptr, 0), 1);
  }
  ASSERT_EQ(PQpipelineSync(raw()), 1);
  const char* values[] = {"20"};
  ASSERT_EQ(PQsendQueryPrepared(raw(), "pipe", 1, values, nullptr, nullptr, 0), 1);
  ASSERT_EQ(PQpipelineSync(raw()), 1);
  std::vector<ExecStatusType> statuses;
  int ends = 0;
  while (ends < 2) {
    const ResultPtr result(PQgetResult(raw()));
    if (!result) continue;
    statuses.push_back(PQresultStatus(result.get()));
    if (statuses.back() == PGRES_PIPELINE_SYNC) ++ends;
  }
  EXPECT_EQ(statuses, (std::vector<ExecStatusType>{PGRES_TUPLES_OK, PGRES_FATAL_ERROR,
                                                   PGRES_PIPELINE_ABORTED, PGRES_PIPELINE_SYNC,
                                                   PGRES_TUPLES_OK, PGRES_PIPELINE_SYNC}));
  ASSERT_EQ(PQexitPipelineMode(raw()), 1);
  stack().expect_route("hit", [&] { EXPECT_EQ(first(prepared("pipe", "20")), "v20"); });
}

TEST_F(LibpqClient, PlanThatMustNotChangeItsResult) {
  stack().direct().must("CREATE TABLE changing (id int PRIMARY KEY, v text)");
  stack().direct().must("INSERT INTO changing VALUES (1, 'one')");
  stack().settle_catalog();
  prepare("changing", "SELECT * FROM changing WHERE id = $1");
  EXPECT_EQ(first(prepared("changing", "1")), "1");
  EXPECT_EQ(first(prepared("changing", "1")), "1");
  stack().direct().must("ALTER TABLE changing ADD COLUMN more text");
  stack().settle_catalog();
  const ResultPtr changed = prepared("changing", "1");
  EXPECT_STREQ(PQresultErrorField(changed.get(), PG_DIAG_SQLSTATE), "0A000");
  EXPECT_EQ(session().query("SELECT * FROM changing WHERE id = 1").columns.size(), 3u);
}

TEST_F(LibpqClient, TypesOfParametersAreInTheKey) {
  const auto typed = [&](Oid type, const char* value) {
    const Oid types[] = {type};
    const char* values[] = {value};
    const ResultPtr result(PQexecParams(raw(), "SELECT pg_typeof($1)::text, $1 FROM t WHERE id = 1",
                                        1, types, values, nullptr, nullptr, 0));
    return std::string(PQgetvalue(result.get(), 0, 0));
  };
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(typed(23, "1"), "integer");
    EXPECT_EQ(typed(20, "1"), "bigint");
    EXPECT_EQ(typed(25, "1"), "text");
  }
}

}  // namespace
}  // namespace pgcache::testing
