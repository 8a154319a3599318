// SPDX-License-Identifier: Apache-2.0
// What proxies get wrong after the startup: odd messages, COPY, asynchronous messages, and the ends
// of a session.
#include "transcript.h"

namespace pgcache::testing {
namespace {

using message::be16;
using message::be32;
using message::bind;
using message::execute;
using message::frame;
using message::one_shot;
using message::parse;
using message::query;
using message::sync;
using message::terminate;

class WireEdges : public SharedStack<WireEdges> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = R"(
      CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one'), (2, 'two');
      CREATE TABLE target (id int PRIMARY KEY, v text);
      CREATE FUNCTION noisy() RETURNS int LANGUAGE plpgsql AS
        $$BEGIN RAISE NOTICE 'a notice'; RAISE WARNING 'a warning'; RETURN 1; END$$;)";
    return options;
  }

 protected:
  void SetUp() override {
    stack().direct().must("TRUNCATE target");
    Connection session = stack().client();
    session.must(kRead);
    stack().settle();
    stack().query_until(session, kRead, "hit");
  }
  static constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";

  static long backends(const std::string& name) {
    return std::stol(stack()
                         .direct()
                         .must("SELECT count(*) FROM pg_stat_activity WHERE backend_type = "
                               "'client backend' AND application_name = '" +
                               name + "'")
                         .value());
  }
  static RawClient named(const std::string& name) {
    return stack().raw({{"application_name", name}});
  }
  static std::string copy_data(const std::string& text) { return frame('d', text); }
};

TEST_F(WireEdges, EmptyAndSeveralStatements) {
  expect_same_answers(stack(), {{query("")}}, {"bypass:empty_query"});
  expect_same_answers(stack(), {{query("  -- nothing\n")}}, {"bypass:empty_query"});
  expect_same_answers(stack(), {{query(";")}}, {"bypass:empty_query"});
  expect_same_answers(stack(), {{one_shot("")}}, {"bypass:not_read"});
  expect_same_answers(stack(), {{query("SELECT v FROM t WHERE id = 1; SELECT 2")}},
                      {"bypass:multi_statement"});
  expect_same_answers(stack(), {{query("SELECT 1; SELECT 1/0; SELECT 3")}},
                      {"bypass:multi_statement"});
  expect_same_answers(stack(), {{query("SELECT v FROM t WHERE id = 1;")}}, {"miss", "hit"});
}

TEST_F(WireEdges, SeveralQueriesInOneWrite) {
  std::string bytes;
  for (int i = 0; i < 5; ++i) {
    bytes += query(kRead) + query("SELECT 1") + query("SELECT 1/0") + one_shot(kRead);
  }
  RawClient direct = RawClient::session("127.0.0.1", stack().origin().port());
  RawClient client = stack().raw();
  EXPECT_EQ(transcript(client, {{bytes, 20}}), transcript(direct, {{bytes, 20}}));
}

TEST_F(WireEdges, DamagedMessagesEndTheSession) {
  for (const std::string& bytes :
       {std::string("Q") + be32(3), std::string("Q") + be32(0x7fffffff), std::string("Q") + be32(0),
        std::string("Q") + be32(0xffffffff)}) {
    RawClient client = stack().raw();
    client.send(bytes);
    client.shutdown_sending();
    EXPECT_NE(client.wait_for_end(5000), RawClient::End::kOpen);
  }
  Connection session = stack().client();
  stack().query(session, kRead, "hit");
}

TEST_F(WireEdges, HugeLengthDoesNotAllocate) {
  RawClient client = stack().raw();
  client.send(std::string("Q") + be32(0x3f000000) + "SELECT ");
  EXPECT_TRUE(client.nothing_arrives(100));
  Connection session = stack().client();
  stack().query(session, kRead, "hit");
  EXPECT_LT(stack().memory_kib("VmRSS"), 500 * 1024);  // sanitizers need some
}

TEST_F(WireEdges, ClientThatVanishesInsideAMessage) {
  const std::string large = "SELECT '" + std::string(2 << 20, 'x');
  for (const std::string& part : {std::string("SELECT "), large}) {
    for (const bool reset : {false, true}) {
      const std::string name = "vanishes " + std::to_string(part.size()) + (reset ? " r" : " c");
      {
        RawClient client = named(name);
        client.send(std::string("Q") + be32(static_cast<std::uint32_t>(2 * part.size())) + part);
        EXPECT_TRUE(client.nothing_arrives(50));
        ASSERT_EQ(backends(name), 1);
        if (reset) client.reset();
      }
      EXPECT_TRUE(wait_until([&] { return backends(name) == 0; }, 3000)) << name;
    }
  }
}

TEST_F(WireEdges, UnknownMessageTypeIsTheOriginsBusiness) {
  std::vector<std::string> answers;
  for (const int port : {stack().origin().port(), stack().proxy().port()}) {
    RawClient client = RawClient::session("127.0.0.1", port);
    client.send(frame('y', "what"));
    answers.push_back(frames_text({client.read_frame()}));
    EXPECT_NE(client.wait_for_end(5000), RawClient::End::kOpen);
  }
  EXPECT_EQ(answers[0], answers[1]);
}

TEST_F(WireEdges, FunctionCallMessage) {
  const std::string oid =
      stack().direct().must("SELECT 'pg_catalog.int4pl(int4,int4)'::regprocedure::oid").value();
  const std::string call =
      frame('F', be32(static_cast<std::uint32_t>(std::stoul(oid))) + be16(1) + be16(1) + be16(2) +
                     be32(4) + be32(40) + be32(4) + be32(2) + be16(1));
  expect_same_answers(stack(), {{call}, {query("SELECT 1")}, {call}},
                      {"bypass:function_call*2 hit|bypass:after_write bypass:function_call*2"});
}

TEST_F(WireEdges, CopyInAndOut) {
  const std::string in = query("COPY target FROM STDIN");
  RawClient client = stack().raw();
  client.send(in);
  EXPECT_EQ(client.read_until('G').back().tag, 'G');
  client.send(copy_data("1\tone\n2\tt") + copy_data("wo\n") + frame('c', {}));
  const std::vector<RawFrame> done = client.read_until('Z');
  EXPECT_EQ(find_frame(done, 'C')->body, std::string("COPY 2\0", 7));
  expect_same_answers(stack(), {{query("COPY target TO STDOUT")}}, {"bypass:not_read"});
  expect_same_answers(stack(), {{query("COPY (SELECT v FROM t ORDER BY id) TO STDOUT")}},
                      {"bypass:not_read"});
}

TEST_F(WireEdges, CopyFailedByTheClient) {
  RawClient client = stack().raw();
  client.send(query("COPY target FROM STDIN"));
  client.read_until('G');
  client.send(copy_data("1\tone\n") + sync() + frame('f', std::string("changed my mind\0", 16)));
  EXPECT_EQ(find_frame(client.read_until('Z'), 'E')->field('C'), "57014");
  client.send(query(kRead));
  EXPECT_EQ(first_columns(client.read_until('Z')), "one");
  EXPECT_EQ(stack().direct().must("SELECT count(*) FROM target").value(), "0");
}

TEST_F(WireEdges, CopyFailedByTheServerSwallowsWhatIsUnderWay) {
  const std::string bytes = query("COPY target FROM STDIN") + copy_data("no number\tx\n") +
                            copy_data("2\ttwo\n") + frame('c', {}) + query(kRead);
  const std::vector<Exchange> script = {{bytes, 2}, {query(kRead)}};
  RawClient direct = RawClient::session("127.0.0.1", stack().origin().port());
  RawClient client = stack().raw();
  EXPECT_EQ(transcript(client, script), transcript(direct, script));
}

TEST_F(WireEdges, CopyInTheExtendedProtocol) {
  // The Sync before the data is ignored by the server and answered only behind CopyDone.
  const std::string start =
      parse("", "COPY target FROM STDIN") + bind("", "") + execute("") + sync();
  const std::string data = copy_data("7\tseven\n") + frame('c', {}) + sync();
  RawClient direct = RawClient::session("127.0.0.1", stack().origin().port());
  const std::string expected = transcript(direct, {{start + data}, {query("TRUNCATE target")}});
  RawClient client = stack().raw();
  EXPECT_EQ(transcript(client, {{start + data}, {query("TRUNCATE target")}}), expected);
  client.send(query(kRead));
  EXPECT_EQ(first_columns(client.read_until('Z')), "one");
}

TEST_F(WireEdges, CopyErrorInTheExtendedProtocol) {
  const std::string bytes = parse("", "COPY target FROM STDIN") + bind("", "") + execute("") +
                            sync() + copy_data("no number\tx\n") + copy_data("3\tx\n") +
                            frame('c', {}) + sync();
  RawClient direct = RawClient::session("127.0.0.1", stack().origin().port());
  RawClient client = stack().raw();
  EXPECT_EQ(transcript(client, {{bytes}, {query("SELECT 1")}, {query(kRead)}}),
            transcript(direct, {{bytes}, {query("SELECT 1")}, {query(kRead)}}));
}

TEST_F(WireEdges, NoticesAreRelayedAndNotReplayed) {
  expect_same_answers(stack(), {{query("SELECT noisy()")}},
                      {"bypass:volatile_function", "bypass:volatile_function"});
}

TEST_F(WireEdges, NotificationWhileIdleAndAmongHits) {
  RawClient client = stack().raw();
  client.send(query("LISTEN news"));
  client.read_until('Z');
  stack().direct().must("NOTIFY news, 'idle'");
  const RawFrame note = client.read_frame();
  EXPECT_EQ(note.tag, 'A');
  EXPECT_NE(note.body.find("idle"), std::string::npos);
  Connection warm = stack().client();
  stack().query_until(warm, kRead, "hit");
  int notes = 0;
  for (int i = 0; i < 20; ++i) {
    if (i == 10) stack().direct().must("NOTIFY news, 'among'");
    client.send(query(kRead));
    const std::vector<RawFrame> frames = client.read_until('Z');
    EXPECT_EQ(first_columns(frames), "one");
    if (find_frame(frames, 'A') != nullptr) ++notes;
  }
  if (notes == 0) {
    EXPECT_EQ(client.read_frame().tag, 'A');
    notes = 1;
  }
  EXPECT_EQ(notes, 1);
}

TEST_F(WireEdges, ParameterStatusIsRelayed) {
  Connection session = stack().client();
  session.must("SET client_encoding = 'LATIN1'");
  EXPECT_STREQ(PQparameterStatus(session.raw(), "client_encoding"), "LATIN1");
  session.must("SET application_name = 'renamed'");
  EXPECT_STREQ(PQparameterStatus(session.raw(), "application_name"), "renamed");
}

TEST_F(WireEdges, TerminatedBackendSaysSo) {
  RawClient client = stack().raw();
  stack().direct().must("SELECT pg_terminate_backend(" + std::to_string(client.process_id()) + ")");
  EXPECT_EQ(client.read_until('E').back().field('C'), "57P01");
  EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);
}

TEST_F(WireEdges, HalfClosedClientGetsItsAnswer) {
  for (const std::string& sql :
       {std::string(kRead), std::string("SELECT pg_sleep(0.1)::text || 'x'")}) {
    RawClient client = stack().raw();
    client.send(query(sql));
    client.shutdown_sending();
    EXPECT_NE(find_frame(client.read_until('Z'), 'D'), nullptr) << sql;
    EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);
  }
}

TEST_F(WireEdges, QueryAndTerminateInOneWrite) {
  for (const std::string& sql :
       {std::string(kRead), std::string("SELECT pg_sleep(0.1)::text || 'x'")}) {
    RawClient client = stack().raw();
    client.send(query(sql) + terminate());
    EXPECT_NE(find_frame(client.read_until('Z'), 'D'), nullptr) << sql;
    EXPECT_EQ(client.wait_for_end(5000), RawClient::End::kClosed);
  }
}

TEST_F(WireEdges, EndsOfSessionsEndTheirBackends) {
  const std::string name = "ends";
  {
    RawClient polite = named(name);
    RawClient closed = named(name);
    RawClient reset = named(name);
    RawClient busy = named(name);
    busy.send(query("SELECT pg_sleep(60)"));
    RawClient flooded = named(name);
    flooded.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 5000000)"));
    ASSERT_EQ(backends(name), 5);
    flooded.read_frame();
    // A cancel request that overtakes its query is lost, as with PostgreSQL itself.
    ASSERT_TRUE(wait_until(
        [] {
          return stack()
                     .direct()
                     .must(
                         "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND "
                         "application_name = 'ends'")
                     .value() == "1";
        },
        5000));
    polite.send(terminate());
    reset.reset();
    busy.reset();
    flooded.reset();
  }
  EXPECT_TRUE(wait_until([&] { return backends(name) == 0; }, 10000))
      << rows_text(stack()
                       .direct()
                       .must("SELECT state, wait_event, query FROM pg_stat_activity WHERE "
                             "application_name = '" +
                             name + "'")
                       .rows);
}

TEST_F(WireEdges, ClientsAreCounted) {
  RawClient idle = stack().raw();
  const double before = stack().proxy().metric("pgcache_clients");
  {
    RawClient one = stack().raw();
    RawClient two = stack().raw();
    EXPECT_GE(stack().proxy().metric("pgcache_clients"), 3);
  }
  EXPECT_TRUE(
      wait_until([&] { return stack().proxy().metric("pgcache_clients") <= before; }, 5000));
}

}  // namespace
}  // namespace pgcache::testing
