// SPDX-License-Identifier: Apache-2.0
// Rows of 100 MB, through pgcache and in the stream of changes: in bounded memory, and never in the
// way of what else is cached of their table.
#include "stack.h"

namespace pgcache::testing {
namespace {

constexpr long kMiBInKib = 1024;
constexpr std::size_t kWide = std::size_t{100} << 20;
constexpr const char* kSmall = "SELECT small FROM wide WHERE id = 1";
constexpr const char* kLength = "SELECT length(v), left(v, 3) FROM wide WHERE id = 1";
constexpr const char* kOther = "SELECT v FROM t WHERE id = 1";

std::string wide_value(const std::string& letter) {
  return "repeat('" + letter + "', " + std::to_string(kWide) + ")";
}

class FaultsWideRows : public SharedStack<FaultsWideRows> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = R"(
      CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one');
      CREATE TABLE wide (id int PRIMARY KEY, small int, v text);
      INSERT INTO wide VALUES (1, 1, )" +
                     wide_value("a") + ");";
    options.arguments = {"--max-staleness", "30s"};
    return options;
  }

 protected:
  void SetUp() override {
    stack().settle();
    stack().reset_memory_peak();
    before_ = stack().memory_kib("VmRSS");
    restarts_ = restarts();
  }
  // Whatever happened, the stream did not begin anew, and the cache is in use.
  void TearDown() override {
    EXPECT_EQ(restarts(), restarts_);
    EXPECT_EQ(stack().proxy().metric("pgcache_sessions_failed_total"), 0);
    Connection session = stack().client();
    EXPECT_EQ(stack().query_until(session, kOther, "hit").value(), "one");
    SharedStack::TearDown();
  }
  long peak_kib() const { return stack().memory_kib("VmHWM") - before_; }
  long kept_kib() const { return stack().memory_kib("VmRSS") - before_; }
  static double restarts() {
    return stack().proxy().metric("pgcache_invalidations_total", {{"cause", "restart"}});
  }

 private:
  long before_ = 0;
  double restarts_ = 0;
};

TEST_F(FaultsWideRows, ReadInConstantMemory) {
  Connection session = stack().client();
  const double too_large =
      stack().proxy().metric("pgcache_publish_total", {{"outcome", "too_large"}});
  const QueryResult result = stack().query(session, "SELECT v FROM wide WHERE id = 1", "miss");
  ASSERT_EQ(result.rows.size(), 1u);
  EXPECT_EQ(*result.rows[0][0], std::string(kWide, 'a'));
  const QueryResult extended =
      stack().params(session, "SELECT v FROM wide WHERE id = $1", {"1"}, "miss", true);
  ASSERT_EQ(extended.rows.size(), 1u);
  EXPECT_EQ(*extended.rows[0][0], std::string(kWide, 'a'));
  EXPECT_EQ(stack().proxy().metric("pgcache_publish_total", {{"outcome", "too_large"}}),
            too_large + 2);
  EXPECT_LT(peak_kib(), extra_kib());
}

TEST_F(FaultsWideRows, WrittenInConstantMemory) {
  Connection session = stack().client();
  stack().query_until(session, kOther, "hit");
  EXPECT_TRUE(stack()
                  .params(session, "SELECT length($1), $2::int", {std::string(kWide, 'p'), "1"},
                          "bypass:query_too_long")
                  .ok());
  EXPECT_LT(peak_kib(), extra_kib());
}

// The stream leaves the value out, since it did not change.
TEST_F(FaultsWideRows, UnchangedValueIsLeftOut) {
  Connection session = stack().client();
  stack().query_until(session, kSmall, "hit");
  const std::string length = std::to_string(kWide) + ",aaa";
  EXPECT_EQ(rows_text(stack().query_until(session, kLength, "hit").rows), length);
  for (int i = 2; i < 5; ++i) {
    stack().direct().must("UPDATE wide SET small = " + std::to_string(i) + " WHERE id = 1");
    stack().settle();
    EXPECT_EQ(value_of(stack().query(session, kSmall, "miss")), std::to_string(i));
    EXPECT_EQ(value_of(stack().query(session, kSmall, "hit")), std::to_string(i));
    EXPECT_EQ(rows_text(session.must(kLength).rows), length);
  }
  EXPECT_LT(peak_kib(), extra_kib());
}

// A row in the stream is there as a whole for a moment, and then no more.
TEST_F(FaultsWideRows, InTheStream) {
  Connection session = stack().client();
  const std::string size = std::to_string(kWide);
  const std::string small = stack().direct().must(kSmall).value();
  for (const char* identity : {"DEFAULT", "FULL"}) {
    stack().direct().must(std::string("ALTER TABLE wide REPLICA IDENTITY ") + identity);
    stack().settle_catalog();
    stack().query_until(session, kSmall, "hit");
    for (const std::string letter : {"b", "a"}) {
      stack().query_until(session, kLength, "hit");
      stack().direct().must("UPDATE wide SET v = " + wide_value(letter) + " WHERE id = 1");
      stack().settle();
      EXPECT_EQ(rows_text(stack().query(session, kLength, "miss").rows),
                size + "," + letter + letter + letter);
      EXPECT_EQ(value_of(stack().query_until(session, kSmall, "hit")), small);
      EXPECT_EQ(value_of(stack().query_until(session, kOther, "hit")), "one");
    }
  }
  stack().direct().must("INSERT INTO wide VALUES (2, 2, " + wide_value("d") + ")");
  stack().settle();
  const char* const second = "SELECT small FROM wide WHERE id = 2";
  stack().load(session, second);
  stack().direct().must("DELETE FROM wide WHERE id = 2");
  stack().settle();
  EXPECT_TRUE(stack().query(session, second, "miss").rows.empty());
  // Of FULL both rows are in one message; libpq's buffer doubles as it grows.
  const long row = static_cast<long>(kWide / 1024);
  EXPECT_LT(peak_kib(), (patience() > 1 ? 20 : 8) * row);
  if (patience() == 1) {
    EXPECT_TRUE(wait_until([&] { return kept_kib() < row / 2; }, 30000))
        << kept_kib() / kMiBInKib << " MiB are kept, peak " << peak_kib() / kMiBInKib;
  }
}

}  // namespace
}  // namespace pgcache::testing
