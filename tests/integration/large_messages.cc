// SPDX-License-Identifier: Apache-2.0
// Messages and results far larger than any buffer pass in bounded memory.
#include <chrono>
#include <thread>

#include "transcript.h"

namespace pgcache::testing {
namespace {

using message::bind;
using message::execute;
using message::one_shot;
using message::parse;
using message::query;
using message::sync;

constexpr std::size_t kMiB = 1 << 20;

class LargeMessages : public SharedStack<LargeMessages> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = R"(
      CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one');
      CREATE TABLE big (id int PRIMARY KEY, v text);
      INSERT INTO big SELECT i, repeat('x', 40) FROM generate_series(1, 1000000) i;
      CREATE TABLE wide (id int PRIMARY KEY, v text);
      INSERT INTO wide SELECT i, repeat('y', 100000) FROM generate_series(1, 400) i;)";
    options.arguments = {"--max-result-size", "4MiB"};
    return options;
  }

 protected:
  void SetUp() override {
    stack().reset_memory_peak();
    memory_before_ = stack().memory_kib("VmRSS");
  }
  long memory_grown() const { return stack().memory_kib("VmHWM") - memory_before_; }

 private:
  long memory_before_ = 0;
};

TEST_F(LargeMessages, ParameterOf32MiB) {
  Connection session = stack().client();
  const std::string value(32 * kMiB, 'p');
  EXPECT_EQ(value_of(stack().params(session, "SELECT length($1::text)", {value},
                                    "bypass:query_too_long")),
            std::to_string(value.size()));
  EXPECT_LT(memory_grown(), extra_kib());
  stack().query_until(session, "SELECT v FROM t WHERE id = 1", "hit");
}

TEST_F(LargeMessages, StatementOf64MiB) {
  Connection session = stack().client();
  const std::string sql = "SELECT length('" + std::string(64 * kMiB, 's') + "')";
  EXPECT_EQ(value_of(stack().query(session, sql, "bypass:query_too_long")),
            std::to_string(64 * kMiB));
  EXPECT_LT(memory_grown(), extra_kib());
  stack().query_until(session, "SELECT v FROM t WHERE id = 1", "hit");
}

TEST_F(LargeMessages, ParsedStatementOf16MiB) {
  const std::string sql = "SELECT length('" + std::string(16 * kMiB, 's') + "')";
  const std::string bytes = parse("", sql) + bind("", "") + execute("") + sync();
  RawClient client = stack().raw();
  client.send(bytes);
  EXPECT_EQ(first_columns(client.read_until('Z')), std::to_string(16 * kMiB));
  client.send(one_shot("SELECT v FROM t WHERE id = 1"));
  EXPECT_EQ(first_columns(client.read_until('Z')), "one");
  EXPECT_LT(memory_grown(), extra_kib());
}

TEST_F(LargeMessages, AMillionRows) {
  RawClient client = stack().raw();
  client.send(query("SELECT id, v FROM big"));
  long rows = 0;
  for (;;) {
    const RawFrame frame = client.read_frame(60000);
    if (frame.tag == 'D') ++rows;
    if (frame.tag == 'C') {
      EXPECT_EQ(frame.body, std::string("SELECT 1000000\0", 15));
    }
    if (frame.tag == 'Z') break;
  }
  EXPECT_EQ(rows, 1000000);
  EXPECT_LT(memory_grown(), extra_kib());
}

TEST_F(LargeMessages, ResultBeyondTheLimitIsRelayedUncached) {
  Connection session = stack().client();
  session.must("SELECT v FROM wide WHERE id = 1");
  stack().settle();
  const std::string large = "SELECT id, v FROM wide WHERE id <= 100";
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(stack().query(session, large, "miss").rows.size(), 100u);
  }
  EXPECT_EQ(stack().load(session, "SELECT id, v FROM wide WHERE id <= 20").size(), 20u);
}

TEST_F(LargeMessages, SlowReaderHoldsTheOriginBack) {
  RawClient client = stack().raw();
  client.set_receive_buffer(16 * 1024);
  client.send(query("SELECT v FROM wide CROSS JOIN generate_series(1, 3) AS again"));
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  EXPECT_LT(memory_grown(), extra_kib());
  // Others are not held up by it.
  Connection session = stack().client();
  stack().query_until(session, "SELECT v FROM t WHERE id = 1", "hit");
  int rows = 0;
  for (;;) {
    const RawFrame frame = client.read_frame(60000);
    if (frame.tag == 'D') ++rows;
    if (frame.tag == 'Z') break;
  }
  EXPECT_EQ(rows, 1200);
  EXPECT_LT(memory_grown(), extra_kib());
}

TEST_F(LargeMessages, SlowReaderOfHits) {
  Connection session = stack().client();
  const std::string sql = "SELECT v FROM wide WHERE id <= 30";
  session.must(sql);
  stack().query_until(session, sql, "hit");
  RawClient client = stack().raw();
  client.set_receive_buffer(16 * 1024);
  std::string bytes;
  for (int i = 0; i < 60; ++i) bytes += query(sql);
  client.send(bytes);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  for (int i = 0; i < 60; ++i) {
    std::size_t rows = 0;
    for (const RawFrame& frame : client.read_until('Z')) rows += frame.tag == 'D' ? 1 : 0;
    EXPECT_EQ(rows, 30u);
  }
  EXPECT_LT(memory_grown(), extra_kib());
}

TEST_F(LargeMessages, PipelinedHitsBeyondTheBuffer) {
  Connection session = stack().client();
  const std::string sql = "SELECT v FROM wide WHERE id BETWEEN 101 AND 105";
  session.must(sql);
  stack().query_until(session, sql, "hit");
  RawClient client = stack().raw();
  stack().expect_route("hit*4", [&] {
    client.send(query(sql) + query(sql) + query(sql) + query(sql));
    for (int i = 0; i < 4; ++i) {
      std::size_t rows = 0;
      for (const RawFrame& frame : client.read_until('Z', 3000)) rows += frame.tag == 'D' ? 1 : 0;
      EXPECT_EQ(rows, 5u);
    }
  });
}

TEST_F(LargeMessages, ClientThatWritesEverythingBeforeItReads) {
  // 20 MiB of questions whose answers are as long: somebody has to keep reading.
  std::string bytes;
  const std::string pad(2000, 'q');
  int count = 0;
  while (bytes.size() < 20 * kMiB) {
    bytes += one_shot("SELECT $1::text", {pad});
    ++count;
  }
  RawClient client = stack().raw();
  std::string_view rest = bytes;
  int answered = 0;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (answered < count && std::chrono::steady_clock::now() < deadline) {
    const std::size_t sent = rest.empty() ? 0 : client.send_some(rest);
    rest.remove_prefix(sent);
    if (sent > 0) continue;
    client.read_until('Z');
    ++answered;
  }
  EXPECT_EQ(answered, count);
}

TEST_F(LargeMessages, ClientThatVanishesInTheMiddle) {
  {
    RawClient client = stack().raw({{"application_name", "vanishing"}});
    client.send(query("SELECT id, v FROM big"));
    client.read_frame();
    client.reset();
  }
  const auto gone = [] {
    return stack()
               .direct()
               .must("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vanishing'")
               .value() == "0";
  };
  EXPECT_TRUE(wait_until(gone, 5000));
  EXPECT_LT(memory_grown(), extra_kib());
}

}  // namespace
}  // namespace pgcache::testing
