// SPDX-License-Identifier: Apache-2.0
// The extended protocol, message by message, against the origin's own answers.
#include "transcript.h"

namespace pgcache::testing {
namespace {

using message::bind;
using message::close;
using message::describe;
using message::execute;
using message::flush;
using message::one_shot;
using message::parse;
using message::query;
using message::sync;

class ExtendedMessages : public SharedStack<ExtendedMessages> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = R"(
      CREATE TABLE items (id int PRIMARY KEY, name text, price numeric);
      INSERT INTO items SELECT i, 'item ' || i, i * 1.5 FROM generate_series(1, 200) i;
      INSERT INTO items VALUES (1000, NULL, NULL);)";
    return options;
  }

 protected:
  // So that no test waits for the table to be tracked: an exchange of several queries does not
  // wait.
  void SetUp() override {
    Connection session = stack().client();
    stack().settle();
    session.must("SELECT name FROM items WHERE id = 200");
  }
  static std::string by_id(const char* columns) {
    return std::string("SELECT ") + columns + " FROM items WHERE id = $1";
  }
};

TEST_F(ExtendedMessages, OneExchange) {
  expect_same_answers(stack(), {{one_shot(by_id("name"), {"1"})}}, {"miss", "hit", "hit"});
}

TEST_F(ExtendedMessages, WithoutDescribe) {
  const std::string bytes = parse("", by_id("name")) + bind("", "", {"2"}) + execute("") + sync();
  expect_same_answers(stack(), {{bytes}}, {"miss", "hit"});
}

TEST_F(ExtendedMessages, EntryWithoutDescriptionServesNobodyWhoAsksForIt) {
  const std::string plain = parse("", by_id("name")) + bind("", "", {"3"}) + execute("") + sync();
  expect_same_answers(stack(), {{plain}}, {"miss", "hit"});
  // Its description was never seen: asked for once, then known.
  expect_same_answers(stack(), {{one_shot(by_id("name"), {"3"})}}, {"miss", "hit"});
  expect_same_answers(stack(), {{plain}}, {"hit"});
}

TEST_F(ExtendedMessages, FormatsOfTheResultAreInTheKey) {
  const auto with = [](const std::vector<int>& formats) {
    return parse("", by_id("id, price")) + bind("", "", {"4"}, {}, formats) + describe('P', "") +
           execute("") + sync();
  };
  expect_same_answers(stack(), {{with({})}}, {"miss", "hit"});
  expect_same_answers(stack(), {{with({1})}}, {"miss", "hit"});
  expect_same_answers(stack(), {{with({0, 1})}}, {"miss", "hit"});
  expect_same_answers(stack(), {{with({1, 0})}}, {"miss", "hit"});
}

TEST_F(ExtendedMessages, FormatsOfTheParameters) {
  const auto with = [](const std::string& value, const std::vector<int>& formats) {
    return parse("", by_id("name"), {23}) + bind("", "", {value}, formats) + describe('P', "") +
           execute("") + sync();
  };
  expect_same_answers(stack(), {{with("5", {})}}, {"miss", "hit"});
  expect_same_answers(stack(), {{with(message::be32(5), {1})}}, {"miss", "hit"});
  expect_same_answers(stack(), {{with("05", {0})}}, {"miss", "hit"});
}

TEST_F(ExtendedMessages, NullParameterAndNullValue) {
  expect_same_answers(stack(), {{one_shot(by_id("name"), {std::nullopt})}}, {"miss", "hit"});
  expect_same_answers(stack(), {{one_shot(by_id("name, price"), {"1000"})}}, {"miss", "hit"});
}

TEST_F(ExtendedMessages, NamedStatement) {
  const std::string use = bind("", "s", {"6"}) + describe('P', "") + execute("") + sync();
  expect_same_answers(stack(), {{parse("s", by_id("name")) + describe('S', "s") + sync()}, {use}},
                      {"miss", "hit"});
}

TEST_F(ExtendedMessages, NamedStatementParsedAndUsedAtOnce) {
  const std::string bytes =
      parse("s", by_id("name")) + bind("", "s", {"7"}) + describe('P', "") + execute("") + sync();
  expect_same_answers(stack(), {{bytes}}, {"miss", "hit"});
}

TEST_F(ExtendedMessages, UnnamedStatementIsUsedAgainAfterAHit) {
  const std::string again = bind("", "", {"9"}) + describe('P', "") + execute("") + sync();
  const std::string described = describe('S', "") + sync();
  expect_same_answers(stack(), {{one_shot(by_id("name"), {"8"})}, {again}, {described}, {again}},
                      {"hit miss*2", "hit*3"});
}

TEST_F(ExtendedMessages, SimpleQueryDestroysTheUnnamedStatement) {
  const std::string use = bind("", "", {"10"}) + execute("") + sync();
  const std::string simple = query("SELECT name FROM items WHERE id = 10");
  expect_same_answers(stack(), {{one_shot(by_id("name"), {"10"})}, {simple}, {use}},
                      {"bypass:unknown_statement miss*2", "bypass:unknown_statement hit*2"});
}

TEST_F(ExtendedMessages, StatementNames) {
  const std::string prepare = parse("s", by_id("name")) + sync();
  const std::string other = parse("s", "SELECT 1") + sync();
  const std::string use = bind("", "s", {"11"}) + execute("") + sync();
  const std::string unknown = bind("", "nothing", {"1"}) + execute("") + sync();
  const std::string dropped = close('S', "s") + close('S', "never") + close('P', "never") + sync();
  expect_same_answers(
      stack(), {{prepare}, {other}, {use}, {unknown}, {dropped}, {use}, {prepare}, {use}},
      // The name that is in use leaves the statement what it was. A read that comes too soon after
      // the unknown statements may have to wait for what they could have written.
      {"bypass:unknown_statement*2 hit miss|bypass:after_write bypass:unknown_statement*2 miss|"
       "bypass:unknown_statement*2 miss*2",
       "bypass:unknown_statement*2 hit*2|bypass:after_write bypass:unknown_statement*2 hit|"
       "bypass:unknown_statement*2 hit miss|bypass:after_write bypass:unknown_statement*2 miss"});
}

TEST_F(ExtendedMessages, SqlLevelStatementsShareTheNames) {
  const std::string use = bind("", "s", {"12"}) + execute("") + sync();
  expect_same_answers(stack(),
                      {{parse("s", by_id("name")) + sync()},
                       {use},
                       {query("PREPARE s AS SELECT 1")},
                       {query("DEALLOCATE s")},
                       {use}},
                      {"bypass:not_read*2 bypass:unknown_statement miss",
                       "bypass:not_read*2 bypass:unknown_statement hit"});
}

TEST_F(ExtendedMessages, DeallocateAndDiscardForgetStatements) {
  const std::string prepare = parse("s", by_id("name")) + sync();
  const std::string use = bind("", "s", {"13"}) + execute("") + sync();
  for (const char* sql : {"DEALLOCATE ALL", "DISCARD ALL", "DEALLOCATE PREPARE s"}) {
    Connection session = stack().client();
    session.must("SELECT name FROM items WHERE id = 13");
    const std::string taken = stack().routes_of([&] {
      RawClient client = stack().raw();
      transcript(client, {{prepare}, {use}, {query(sql)}});
      client.send(use);
      EXPECT_EQ(find_frame(client.read_until('Z'), 'E')->field('C'), "26000") << sql;
      transcript(client, {{prepare}});
      client.send(use);
      EXPECT_EQ(first_columns(client.read_until('Z')), "item 13");
    });
    EXPECT_NE(taken.find("bypass:unknown_statement"), std::string::npos) << taken;
  }
}

TEST_F(ExtendedMessages, ErrorAtParse) {
  const std::string bytes = one_shot("SELECT name FROM no_such_table WHERE id = $1", {"1"});
  expect_same_answers(stack(), {{bytes}}, {"bypass:unknown_relation", "bypass:unknown_relation"});
  expect_same_answers(stack(), {{one_shot("SELEC 1")}}, {"bypass:not_read", "bypass:not_read"});
}

TEST_F(ExtendedMessages, ErrorAtBind) {
  expect_same_answers(stack(), {{one_shot(by_id("name"), {"no number"})}}, {"miss", "miss"});
  expect_same_answers(stack(), {{one_shot(by_id("name"), {"1", "2"})}}, {"miss", "miss"});
}

TEST_F(ExtendedMessages, ErrorAtExecute) {
  expect_same_answers(stack(),
                      {{one_shot("SELECT 1 / (id - $1) FROM items WHERE id = 14", {"14"})}},
                      {"miss", "miss"});
}

TEST_F(ExtendedMessages, RowLimitedPortal) {
  const std::string sql = "SELECT id FROM items WHERE id BETWEEN 20 AND 25 ORDER BY id";
  const std::string bytes = parse("", sql) + bind("", "") + describe('P', "") + execute("", 2) +
                            execute("", 3) + execute("") + execute("") + sync();
  // What was fetched in parts is the whole, and served once it is known that the origin has
  // reloaded no configuration meanwhile.
  expect_same_answers(stack(), {{bytes}}, {"miss*4"});
  stack().settle_configuration();
  expect_same_answers(stack(), {{bytes}}, {"hit*4"});
  expect_same_answers(stack(), {{one_shot(sql)}}, {"hit"});
  const std::string first = parse("", sql) + bind("", "") + describe('P', "") + execute("", 4);
  expect_same_answers(stack(), {{first + sync()}}, {"hit"});
}

TEST_F(ExtendedMessages, PortalExecutedTwiceIsExhausted) {
  const std::string sql = "SELECT id FROM items WHERE id = $1";
  expect_same_answers(stack(), {{one_shot(sql, {"26"})}}, {"miss", "hit"});
  const std::string bytes =
      parse("", sql) + bind("", "", {"26"}) + execute("") + execute("") + sync();
  expect_same_answers(stack(), {{bytes}}, {"hit*2"});
}

TEST_F(ExtendedMessages, NamedPortalInABlock) {
  const std::string open = parse("", "SELECT id FROM items WHERE id < 5 ORDER BY id") +
                           bind("p", "") + execute("p", 2) + sync();
  const std::string more = execute("p", 1) + sync();
  const std::string closed = close('P', "p") + execute("p") + sync();
  expect_same_answers(stack(), {{query("BEGIN")}, {open}, {more}, {closed}, {query("ROLLBACK")}},
                      {"bypass:not_read*2 bypass:protocol_shape miss*2"});
  // Nothing of the portal was kept, which was not read to its end.
  expect_same_answers(stack(), {{one_shot("SELECT id FROM items WHERE id < 5 ORDER BY id")}},
                      {"miss", "hit"});
}

TEST_F(ExtendedMessages, PipelineOfHits) {
  std::string bytes;
  for (const char* id : {"30", "31", "32"}) {
    bytes += parse("", by_id("name")) + bind("", "", {id}) + describe('P', "") + execute("");
  }
  expect_same_answers(stack(), {{bytes + sync()}}, {"miss*3", "hit*3", "hit*3"});
  std::string synced;
  for (const char* id : {"30", "31", "32"}) synced += one_shot(by_id("name"), {id});
  expect_same_answers(stack(), {{synced, 3}}, {"hit*3"});
}

TEST_F(ExtendedMessages, PipelineOfHitsAndAMissGoesToTheOriginWhole) {
  expect_same_answers(stack(), {{one_shot(by_id("name"), {"33"})}}, {"miss", "hit"});
  std::string bytes;
  for (const char* id : {"33", "34"}) {
    bytes += parse("", by_id("name")) + bind("", "", {id}) + describe('P', "") + execute("");
  }
  expect_same_answers(stack(), {{bytes + sync()}}, {"bypass:pipeline miss", "hit*2"});
}

TEST_F(ExtendedMessages, ErrorInTheMiddleOfAPipeline) {
  const auto part = [](const char* id) {
    return parse("", by_id("name")) + bind("", "", {id}) + describe('P', "") + execute("");
  };
  const std::string bad = parse("", "SELECT 1 / $1::int") + bind("", "", {"0"}) + execute("");
  expect_same_answers(stack(), {{part("35") + part("36") + sync()}}, {"miss*2", "hit*2"});
  const std::string bytes = part("35") + bad + part("36") + close('P', "") + sync();
  expect_same_answers(stack(), {{bytes}, {part("35") + sync()}},
                      {"bypass:pipeline*2 hit miss", "bypass:pipeline*2 hit miss"});
}

TEST_F(ExtendedMessages, HitsAfterAFailedExchangeAreServed) {
  const std::string failing = one_shot("SELECT name FROM items WHERE id = $1", {"x"});
  const std::string good = one_shot(by_id("name"), {"37"});
  expect_same_answers(stack(), {{good}}, {"miss", "hit"});
  expect_same_answers(stack(), {{failing + good, 2}}, {"hit miss"});
}

TEST_F(ExtendedMessages, FlushBringsTheAnswerWithoutSync) {
  RawClient client = stack().raw();
  for (const char* route : {"miss", "hit"}) {
    stack().expect_route(route, [&] {
      client.send(parse("", by_id("name")) + bind("", "", {"38"}) + execute("") + flush());
      EXPECT_EQ(first_columns(client.read_until('C')), "item 38");
      EXPECT_TRUE(client.nothing_arrives(50));
      client.send(sync());
      EXPECT_EQ(client.tags_until_ready(), "Z");
    });
  }
}

// Drivers that ask for a statement's types before they send its values.
TEST_F(ExtendedMessages, WhatFollowsAPreparationWithAFlushIsServed) {
  RawClient client = stack().raw();
  const auto in_two_parts = [&](const std::string& name, const std::string& id) {
    client.send(parse(name, by_id("name")) + describe('S', name) + flush());
    EXPECT_NE(find_frame(client.read_until('T'), 't'), nullptr);
    client.send(bind("", name, {id}) + execute("") + sync());
    return first_columns(client.read_until('Z'));
  };
  for (const char* route : {"miss", "hit", "hit"}) {
    stack().expect_route(route, [&] { EXPECT_EQ(in_two_parts("", "40"), "item 40"); });
  }
  stack().expect_route("hit", [&] { EXPECT_EQ(in_two_parts("named", "40"), "item 40"); });
  stack().expect_route("hit", [&] {
    client.send(bind("", "named", {"40"}) + execute("") + sync());
    EXPECT_EQ(first_columns(client.read_until('Z')), "item 40");
  });
  client.send(query("BEGIN"));
  client.read_until('Z');
  stack().expect_route("hit", [&] { EXPECT_EQ(in_two_parts("", "40"), "item 40"); });
  stack().expect_route("bypass:not_read", [&] {
    client.send(query("UPDATE items SET name = 'mine' WHERE id = 40"));
    client.read_until('Z');
  });
  stack().expect_route("bypass:in_transaction", [&] { EXPECT_EQ(in_two_parts("", "40"), "mine"); });
  client.send(query("ROLLBACK"));
  client.read_until('Z');
}

TEST_F(ExtendedMessages, FlushIsNoBoundaryOfTheTransaction) {
  const std::string insert =
      parse("", "INSERT INTO items VALUES (2000, 'x', 1)") + bind("", "") + execute("") + flush();
  const std::string fail = parse("", "SELECT 1 / 0") + bind("", "") + execute("") + sync();
  const std::string look = one_shot(by_id("name"), {"2000"});
  RawClient client = stack().raw();
  client.send(insert + fail);
  EXPECT_NE(find_frame(client.read_until('Z'), 'E'), nullptr);
  client.send(look);
  EXPECT_EQ(first_columns(client.read_until('Z')), "");
}

TEST_F(ExtendedMessages, BytesOneByOne) {
  expect_same_answers(stack(), {{one_shot(by_id("name"), {"39"})}}, {"miss"});
  RawClient client = stack().raw();
  stack().expect_route("hit", [&] {
    const std::string bytes = one_shot(by_id("name"), {"39"});
    for (const char c : bytes) client.send(std::string_view(&c, 1));
    EXPECT_EQ(first_columns(client.read_until('Z')), "item 39");
  });
}

TEST_F(ExtendedMessages, AThousandExchangesInOneWrite) {
  expect_same_answers(stack(), {{one_shot(by_id("name"), {"40"})}}, {"miss", "hit"});
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += one_shot(by_id("name"), {"40"});
  expect_same_answers(stack(), {{bytes, 1000}}, {"hit*1000"});
}

TEST_F(ExtendedMessages, WriteInAPipelineIsSeenByTheReadBehindIt) {
  const std::string read = one_shot(by_id("name"), {"41"});
  expect_same_answers(stack(), {{read}}, {"miss", "hit"});
  RawClient client = stack().raw();
  stack().expect_route("bypass:after_write bypass:not_read|bypass:not_read miss", [&] {
    client.send(one_shot("UPDATE items SET name = 'written' WHERE id = 41") + read);
    client.read_until('Z');
    EXPECT_EQ(first_columns(client.read_until('Z')), "written");
  });
}

}  // namespace
}  // namespace pgcache::testing
