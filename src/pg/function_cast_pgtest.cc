// SPDX-License-Identifier: Apache-2.0
// Every cast that is offered against a real server, with and without a length, under settings that
// change what the output functions write.
#include <algorithm>
#include <map>

#include "pg/function_arguments_test_support.h"
#include "pg/function_server_test_support.h"

namespace pgcache::pg::builtin {
namespace {

struct TypeName {
  const char* name;
  Oid oid;
};
constexpr TypeName kTypes[] = {
    {"bool", type::kBool},           {"int2", type::kInt2},
    {"int4", type::kInt4},           {"int8", type::kInt8},
    {"numeric", type::kNumeric},     {"oid", type::kOid},
    {"float4", type::kFloat4},       {"float8", type::kFloat8},
    {"text", type::kText},           {"varchar", type::kVarchar},
    {"name", type::kName},           {"bpchar", type::kBpchar},
    {"bytea", type::kBytea},         {"uuid", type::kUuid},
    {"date", type::kDate},           {"time", type::kTime},
    {"timestamp", type::kTimestamp}, {"timestamptz", type::kTimestamptz},
    {"interval", type::kInterval},
};

bool is_string(Oid oid) {
  return oid == type::kText || oid == type::kVarchar || oid == type::kBpchar || oid == type::kName;
}

// A word, or a spelling of a value of the other type.
std::string cast_spelling(Oid from, Oid to, SpellingSource& s) {
  if (!is_string(from) || is_string(to) || s.one_in(10)) {
    return spelling_of(from, s) + (is_string(from) && s.one_in(10) ? std::string(70, 'x') : "");
  }
  std::string out = spelling_of(to, s);
  return from == type::kBpchar && s.one_in(3) ? out + "   " : out;
}

class CastServer : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<Cluster>();
    connection_ = std::make_unique<Connection>(cluster_->dsn());
    connection_->must(
        "SET DateStyle = 'German, DMY'; SET TimeZone = 'Asia/Kolkata'; SET extra_float_digits = -3;"
        "SET bytea_output = 'escape'; SET IntervalStyle = 'iso_8601'");
  }
  static void TearDownTestSuite() {
    connection_.reset();
    cluster_.reset();
  }

  static Outcome compare(const TypeName& from, const TypeName& to, const std::string& target,
                         std::int32_t typmod, int count) {
    Expression e;
    e.types = {from.name};
    e.type_oids = {from.oid};
    e.result_type = to.name;
    e.result_oid = to.oid;
    e.sql = "CAST(a AS " + target + ")";
    SpellingSource source(test_seed(31 + to_u32(from.oid) * 7 + to_u32(to.oid)));
    std::vector<std::vector<Spelling>> columns(1);
    for (int i = 0; i < count; ++i) {
      Spelling spelling = cast_spelling(from.oid, to.oid, source);
      if (source.one_in(40)) spelling.reset();
      columns[0].push_back(std::move(spelling));
    }
    return compare_with_server(*connection_, e, columns, [&](const std::vector<MaybeValue>& a) {
      return cast(from.oid, to.oid, typmod, a[0]);
    });
  }

  static std::unique_ptr<Cluster> cluster_;
  static std::unique_ptr<Connection> connection_;
};

std::unique_ptr<Cluster> CastServer::cluster_;
std::unique_ptr<Connection> CastServer::connection_;

// Shares that are lower than usual, for a reason: spellings of dates that are not ISO 8601, and
// oids with leading zeros or a sign, which depend on the server's version; doubles of hundreds of
// digits.
double least_share(const TypeName& from, const TypeName& to) {
  const bool is_time = to.oid == type::kDate || to.oid == type::kTime ||
                       to.oid == type::kTimestamp || to.oid == type::kTimestamptz ||
                       to.oid == type::kInterval;
  if (is_string(from.oid) && (is_time || to.oid == type::kOid)) return 0.4;
  return from.oid == type::kFloat8 && to.oid == type::kNumeric ? 0.4 : 0.8;
}

TEST_F(CastServer, CastsAsTheServer) {
  int offered = 0;
  std::string too_little;
  for (const TypeName& from : kTypes) {
    for (const TypeName& to : kTypes) {
      if (!can_cast(from.oid, to.oid)) continue;
      ++offered;
      const Outcome outcome = compare(from, to, to.name, -1, 1500);
      if (HasFailure()) return;
      EXPECT_GT(outcome.answered, 40) << from.name << " to " << to.name;
      if (outcome.known < least_share(from, to) * outcome.answered) {
        too_little += std::string(from.name) + " to " + to.name + ": " +
                      std::to_string(outcome.known) + " of " + std::to_string(outcome.answered) +
                      "\n";
      }
    }
  }
  EXPECT_EQ(too_little, "") << "too little is known";
  EXPECT_GT(offered, 140);
}

TEST_F(CastServer, CoercesLengthsAsTheServer) {
  const std::pair<const char*, Oid> targets[] = {
      {"varchar(3)", type::kVarchar},
      {"varchar(1)", type::kVarchar},
      {"char(2)", type::kBpchar},
      {"char(5)", type::kBpchar},
      {"numeric(5,2)", type::kNumeric},
      {"numeric(3,0)", type::kNumeric},
      {"numeric(2,4)", type::kNumeric},
      {"numeric(3,-2)", type::kNumeric},
      {"numeric(38,10)", type::kNumeric},
      {"numeric(1000,500)", type::kNumeric},
      {"timestamp(3)", type::kTimestamp},
      {"timestamp(0)", type::kTimestamp},
      {"timestamptz(2)", type::kTimestamptz},
      {"time(1)", type::kTime},
      {"time(6)", type::kTime},
  };
  std::string too_little;
  for (const auto& [target, oid] : targets) {
    connection_->must("DROP TABLE IF EXISTS lengths");
    connection_->must(std::string("CREATE TEMPORARY TABLE lengths (v ") + target + ")");
    const std::string typmod =
        connection_
            ->must(
                "SELECT atttypmod FROM pg_attribute WHERE attrelid = 'lengths'::regclass AND"
                " attname = 'v'")
            .value();
    const auto* const to = std::ranges::find(kTypes, oid, &TypeName::oid);
    for (const TypeName& from : kTypes) {
      if (!can_cast(from.oid, oid)) continue;
      const Outcome outcome = compare(from, *to, target, std::stoi(typmod), 1000);
      if (HasFailure()) return;
      EXPECT_GT(outcome.answered, 10) << from.name << " to " << target;
      if (outcome.known < least_share(from, *to) * outcome.answered) {
        too_little += std::string(from.name) + " to " + target + ": " +
                      std::to_string(outcome.known) + " of " + std::to_string(outcome.answered) +
                      "\n";
      }
    }
  }
  EXPECT_EQ(too_little, "") << "too little is known";
}

// The way of each cast is the catalog's: one that needs no function of ours is not missed, and none
// is offered whose result a setting decides.
TEST_F(CastServer, OffersNoCastThatIsNotImmutable) {
  const QueryResult casts = connection_->must(
      "SELECT castsource, casttarget FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc"
      " WHERE p.provolatile <> 'i' AND c.oid < 16384 AND castsource <> casttarget");
  EXPECT_GT(casts.rows.size(), 5u);
  for (const Row& row : casts.rows) {
    EXPECT_FALSE(
        can_cast(static_cast<Oid>(std::stoul(*row[0])), static_cast<Oid>(std::stoul(*row[1]))))
        << *row[0] << " to " << *row[1];
  }
}

}  // namespace
}  // namespace pgcache::pg::builtin
