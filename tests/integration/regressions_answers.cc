// SPDX-License-Identifier: Apache-2.0
// Answers that were once wrong, each by its smallest reproduction.
#include <chrono>
#include <thread>

#include "transcript.h"

namespace pgcache::testing {
namespace {

using message::bind;
using message::describe;
using message::execute;
using message::one_shot;
using message::parse;
using message::query;
using message::sync;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class RegressionsAnswers : public SharedStack<RegressionsAnswers> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = R"(
      CREATE TABLE items (id int PRIMARY KEY, name text, v int);
      INSERT INTO items SELECT i, 'item ' || i, i FROM generate_series(1, 100) i;
      CREATE TABLE others (id bigint PRIMARY KEY, w numeric);
      INSERT INTO others SELECT i, i FROM generate_series(1, 10) i;
      CREATE SCHEMA apart;
      CREATE TABLE apart.items (id int PRIMARY KEY, name text, v int);
      CREATE VIEW few AS SELECT id FROM items WHERE id <= 2;)";
    return options;
  }

 protected:
  void SetUp() override {
    Connection session = stack().client();
    stack().settle();
    session.must("SELECT name FROM items WHERE id = 100");
    session.must("SELECT w FROM others WHERE id = 10");
    stack().settle();
  }
  // The statements, without parameters, in one exchange.
  static std::string exchange(const std::vector<std::string>& statements) {
    std::string bytes;
    for (const std::string& sql : statements) bytes += parse("", sql) + bind("", "") + execute("");
    return bytes + sync();
  }
  static std::string first_column(RawClient& client, const std::string& bytes) {
    client.send(bytes);
    return first_columns(client.read_until('Z'));
  }
  // What the origin and pgcache answer to a statement in a session of its own, three times.
  static void expect_as_origin(const std::string& sql) {
    Connection session = stack().client();
    const std::string wanted = rows_text(stack().direct().must(sql).rows);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(rows_text(session.must(sql).rows), wanted) << sql;
  }
};

TEST_F(RegressionsAnswers, ReadBehindAWriteInOneExchange) {
  const std::string sql = "SELECT count(*) FROM items WHERE v = 7700";
  RawClient client = stack().raw();
  EXPECT_EQ(first_column(client, exchange({"BEGIN", "INSERT INTO items VALUES (7700, 'x', 7700)",
                                           sql, "ROLLBACK"})),
            "1");
  stack().settle();
  RawClient other = stack().raw();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(first_column(other, exchange({sql})), "0");
}

TEST_F(RegressionsAnswers, ReadBehindASettingInOneExchange) {
  const std::string sql = "SELECT count(*) FROM items WHERE v < 11";
  RawClient client = stack().raw();
  EXPECT_EQ(first_column(client, exchange({"SET search_path = apart", sql, "RESET search_path"})),
            "0");
  RawClient other = stack().raw();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(first_column(other, exchange({sql})), "10");
  const std::string local = "SELECT count(*) FROM items WHERE v < 12";
  EXPECT_EQ(
      first_column(client, exchange({"BEGIN", "SET LOCAL search_path = apart", local, "COMMIT"})),
      "0");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(first_column(other, exchange({local})), "11");
}

TEST_F(RegressionsAnswers, NowInABinaryText) {
  const std::string sql = "SELECT extract(epoch FROM $1::text::timestamptz)";
  const std::string bytes =
      parse("", sql, {25}) + bind("", "", {"now"}, {1}) + execute("") + sync();
  RawClient client = stack().raw();
  const std::string first = first_column(client, bytes);
  std::this_thread::sleep_for(milliseconds(5));
  EXPECT_NE(first_column(client, bytes), first);
  std::this_thread::sleep_for(milliseconds(5));
  stack().expect_route("bypass:volatile_literal", [&] { first_column(client, bytes); });
}

// The bytes C3 A9 are two characters in LATIN1, and one in the stream's UTF-8.
TEST_F(RegressionsAnswers, BinaryTextInAnotherEncoding) {
  const std::string bytes = parse("", "SELECT count(*) FROM items WHERE name = $1", {25}) +
                            bind("", "", {"\xC3\xA9"}, {1}) + execute("") + sync();
  RawClient client = stack().raw({{"client_encoding", "LATIN1"}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(first_column(client, bytes), "0");
  stack().direct().must("INSERT INTO items VALUES (7701, U&'\\00C3\\00A9', 1)");
  stack().settle();
  EXPECT_EQ(first_column(client, bytes), "1");
  stack().direct().must("DELETE FROM items WHERE id = 7701");
  stack().settle();
  EXPECT_EQ(first_column(client, bytes), "0");
}

TEST_F(RegressionsAnswers, DescriptionOfAnotherPortal) {
  const std::string a = "SELECT id, v FROM items WHERE id = $1";
  const std::string b = "SELECT id, w FROM others WHERE id = $1";
  RawClient client = stack().raw();
  client.send(parse("a", a) + parse("b", b) + sync());
  client.read_until('Z');
  client.send(bind("pa", "a", {"20"}) + bind("pb", "b", {"2"}) + describe('P', "pb") +
              execute("pa") + execute("pb") + sync());
  client.read_until('Z');
  stack().settle();
  RawClient origin = RawClient::session("127.0.0.1", stack().origin().port());
  RawClient other = stack().raw();
  for (const std::string& bytes : {one_shot(a, {"20"}), one_shot(b, {"2"})}) {
    const std::string wanted = transcript(origin, {{bytes}});
    for (int i = 0; i < 3; ++i) EXPECT_EQ(transcript(other, {{bytes}}), wanted);
  }
}

TEST_F(RegressionsAnswers, DescriptionOfAStatementBehindItsBind) {
  const std::string sql = "SELECT id, v FROM items WHERE id = $1";
  const auto with = [&](char kind) {
    return parse("", sql) + bind("", "", {"21"}, {}, {1}) + describe(kind, "") + execute("") +
           sync();
  };
  RawClient origin = RawClient::session("127.0.0.1", stack().origin().port());
  RawClient client = stack().raw();
  for (const char kind : {'S', 'P', 'S', 'P'}) {
    const std::string wanted = transcript(origin, {{with(kind)}});
    EXPECT_EQ(transcript(client, {{with(kind)}}), wanted) << kind;
    EXPECT_EQ(transcript(client, {{with(kind)}}), wanted) << kind;
  }
}

TEST_F(RegressionsAnswers, OwnDefinitionsMadeInsideDo) {
  Connection session = stack().client();
  for (int limit = 3; limit < 7; ++limit) {
    for (int i = 0; i < 3; ++i) session.must("SELECT id FROM few");
    session.must(
        "DO $$BEGIN EXECUTE 'CREATE OR REPLACE VIEW few AS SELECT id FROM items WHERE id "
        "<= " +
        std::to_string(limit) + "'; END$$");
    EXPECT_EQ(session.must("SELECT id FROM few").rows.size(), static_cast<std::size_t>(limit));
  }
}

// What keeps a session alive at the origin are requests, and hits are requests.
TEST_F(RegressionsAnswers, HitsAreNoIdleTime) {
  const std::string sql = "SELECT name FROM items WHERE id = 22";
  for (const char* setting : {"idle_session_timeout", "idle_in_transaction_session_timeout"}) {
    Connection session = stack().client();
    for (int i = 0; i < 3; ++i) session.must(sql);
    session.must(std::string("SET ") + setting + " = '1s'");
    if (std::string(setting) != "idle_session_timeout") session.must("BEGIN");
    const auto end = steady_clock::now() + milliseconds(2500);
    bool alive = true;
    while (alive && steady_clock::now() < end) {
      alive = session.query(sql).ok();
      std::this_thread::sleep_for(milliseconds(100));
    }
    EXPECT_TRUE(alive) << setting;
  }
}

TEST_F(RegressionsAnswers, EmptyArrayOfAnIn) {
  expect_as_origin("SELECT id FROM items WHERE id = ANY (ARRAY[]::int[])");
  expect_as_origin("SELECT id FROM items WHERE id < 3 AND id <> ALL (ARRAY[]::int[])");
  expect_as_origin("SELECT id FROM items WHERE id = 3 OR id = ANY (ARRAY[]::int[])");
}

// A driver decodes by the types that it was told when it prepared.
TEST_F(RegressionsAnswers, PreparedStatementWhoseResultTypeChanged) {
  stack().direct().must(
      "CREATE TABLE changing (id int PRIMARY KEY, v int); INSERT INTO changing VALUES (1, 1)");
  stack().settle_catalog();
  const std::string sql = "SELECT * FROM changing";
  const std::string use = bind("", "s", {}, {}, {1}) + execute("") + sync();
  RawClient client = stack().raw();
  client.send(parse("s", sql) + sync());
  client.read_until('Z');
  for (int i = 0; i < 3; ++i) {
    client.send(use);
    EXPECT_EQ(find_frame(client.read_until('Z'), 'E'), nullptr);
  }
  stack().direct().must("ALTER TABLE changing ALTER v TYPE bigint");
  stack().settle_catalog();
  RawClient other = stack().raw();
  for (int i = 0; i < 3; ++i) {
    other.send(parse("", sql) + bind("", "", {}, {}, {1}) + execute("") + sync());
    other.read_until('Z');
  }
  for (int i = 0; i < 2; ++i) {
    client.send(use);
    const std::vector<RawFrame> answer = client.read_until('Z');
    const RawFrame* const error = find_frame(answer, 'E');
    ASSERT_NE(error, nullptr);
    EXPECT_EQ(error->field('C'), "0A000");
  }
}

TEST_F(RegressionsAnswers, PublicationThatWasAlteredAndMendedTracksAgain) {
  StackOptions options;
  options.schema =
      "CREATE TABLE items (id int PRIMARY KEY, v int); INSERT INTO items VALUES (1, 1)";
  Stack own(options);
  Connection session = own.client();
  const std::string sql = "SELECT v FROM items WHERE id = 1";
  own.query_until(session, sql, "hit");
  own.direct().must("ALTER PUBLICATION pgcache SET TABLE items WHERE (id > 5)");
  own.query_until(session, sql, "bypass:untracked");
  own.direct().must("ALTER PUBLICATION pgcache SET TABLE items");
  own.query_until(session, sql, "hit");
  own.direct().must("UPDATE items SET v = 2");
  own.settle();
  EXPECT_EQ(session.must(sql).value(), "2");
}

// PostgreSQL infers the types of parameters once, when a statement is prepared.
TEST_F(RegressionsAnswers, PreparedStatementKeepsItsParameterTypes) {
  stack().direct().must(
      "SET TimeZone = 'UTC'; CREATE TABLE moments (id int PRIMARY KEY, at timestamp);"
      "INSERT INTO moments VALUES (1, '2024-01-01 05:00'), (2, '2024-01-01 00:00')");
  stack().settle_catalog();
  const std::string sql = "SELECT id FROM moments WHERE at = $1";
  const std::string use = bind("", "s", {"2024-01-01 05:00:00+05"}) + execute("") + sync();
  RawClient client = stack().raw({{"TimeZone", "UTC"}});
  client.send(parse("s", sql) + sync());
  client.read_until('Z');
  EXPECT_EQ(first_column(client, use), "1");
  stack().direct().must(
      "ALTER TABLE moments ALTER at TYPE timestamptz USING at AT TIME ZONE 'UTC'");
  stack().settle_catalog();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(first_column(client, use), "1");
  RawClient other = stack().raw({{"TimeZone", "UTC"}});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(first_column(other, one_shot(sql, {"2024-01-01 05:00:00+05"})), "2");
  }
}

// A statement's strings are read by the rule that held when it was prepared.
TEST_F(RegressionsAnswers, PreparedStatementKeepsItsStringRule) {
  stack().direct().must("INSERT INTO items VALUES (7801, $$a\\b$$, 0), (7802, $$a\\\\b$$, 0)");
  stack().settle();
  const std::string sql = "SELECT id FROM items WHERE name = 'a\\\\b'";
  RawClient client = stack().raw();
  client.send(query("SET escape_string_warning = off") +
              query("SET standard_conforming_strings = off") + parse("s", sql) + sync() +
              query("RESET standard_conforming_strings"));
  for (int i = 0; i < 4; ++i) client.read_until('Z');
  const std::string use = bind("", "s") + execute("") + sync();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(first_column(client, use), "7801");
  RawClient other = stack().raw({{"escape_string_warning", "off"}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(first_column(other, one_shot(sql)), "7802");
}

}  // namespace
}  // namespace pgcache::testing
