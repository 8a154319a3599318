// SPDX-License-Identifier: Apache-2.0
// Every function of the table against a real server: its name, its types and that it is strict and
// immutable; then seeded arguments under several collations, where each result that is known has to
// be the server's, and enough of them have to be known.
#include <algorithm>
#include <map>

#include "pg/function.h"
#include "pg/function_arguments_test_support.h"
#include "pg/function_server_test_support.h"
#include "pg/function_table.h"

namespace pgcache::pg::builtin {
namespace {

class FunctionServer : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<Cluster>();
    connection_ = std::make_unique<Connection>(cluster_->dsn());
    connection_->must(
        "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2',"
        " deterministic = false)");
    connection_->must("SET DateStyle = 'German, DMY'; SET TimeZone = 'Asia/Kolkata'");
    for (const auto& row : connection_->must("SELECT oid, typname FROM pg_type").rows) {
      type_names_[static_cast<Oid>(std::stoul(*row[0]))] = *row[1];
    }
  }
  static void TearDownTestSuite() {
    connection_.reset();
    cluster_.reset();
  }

  static bool is_collatable(Oid type) {
    const auto family = family_of(type);
    return family == ValueFamily::kText || family == ValueFamily::kName ||
           family == ValueFamily::kBpchar;
  }

  static bool is_collatable(const FunctionEntry& f) {
    return std::ranges::any_of(f.arguments, [](Oid type) { return is_collatable(type); });
  }

  // The call, its first collatable argument under `collation`.
  static Expression expression(const FunctionEntry& f, const std::string& collation) {
    Expression e;
    e.result_oid = f.result;
    e.result_type = type_names_.at(f.result);
    e.sql = "pg_catalog.\"" + f.name + "\"(";
    bool collated = collation.empty();
    for (std::size_t i = 0; i < f.argument_count(); ++i) {
      e.type_oids.push_back(f.arguments[i]);
      e.types.push_back(type_names_.at(f.arguments[i]));
      e.sql += (i ? ", " : "") + std::string(1, static_cast<char>('a' + i));
      if (!collated && is_collatable(f.arguments[i])) {
        e.sql += " COLLATE \"" + collation + "\"";
        collated = true;
      }
    }
    e.sql += ")";
    return e;
  }

  static std::vector<std::vector<Spelling>> arguments(const FunctionEntry& f, std::size_t count,
                                                      std::uint64_t seed) {
    SpellingSource source(test_seed(seed + f.oid));
    std::vector<std::vector<Spelling>> columns(f.argument_count());
    for (std::size_t n = 0; n < count; ++n) {
      for (std::size_t i = 0; i < columns.size(); ++i) {
        Spelling spelling = argument_spelling(f, i, source);
        if (source.one_in(50)) spelling.reset();
        columns[i].push_back(std::move(spelling));
      }
    }
    return columns;
  }

  // Returns the share of the server's answers that were known here.
  static double compare(Connection& connection, const FunctionEntry& f,
                        const std::string& collation, const FunctionContext& context,
                        std::size_t count) {
    const Outcome outcome =
        compare_with_server(connection, expression(f, collation), arguments(f, count, 21),
                            [&](const std::vector<MaybeValue>& a) {
                              return call(static_cast<Oid>(f.oid), a, context);
                            });
    EXPECT_GT(outcome.answered, 20) << f.name << " " << f.oid << ": too few answers";
    return outcome.answered == 0 ? 0 : outcome.known / static_cast<double>(outcome.answered);
  }

  static std::unique_ptr<Cluster> cluster_;
  static std::unique_ptr<Connection> connection_;
  static std::map<Oid, std::string> type_names_;
};

std::unique_ptr<Cluster> FunctionServer::cluster_;
std::unique_ptr<Connection> FunctionServer::connection_;
std::map<Oid, std::string> FunctionServer::type_names_;

// Those that depend on the time zone for other arguments than the ones that are judged.
bool is_stable(const FunctionEntry& f) {
  const auto takes = [&](Oid type) {
    return std::ranges::find(f.arguments, type) != f.arguments.end();
  };
  return takes(type::kTimestamptz) &&
         (takes(type::kInterval) || f.name == "extract" || f.name == "date_part");
}

TEST_F(FunctionServer, AgreesWithTheCatalog) {
  std::map<std::uint32_t, Row> procedures;
  const QueryResult all = connection_->must(
      "SELECT oid, proname, array_to_string(proargtypes::oid[], ','), prorettype, proisstrict,"
      " provolatile, proretset, prolang FROM pg_proc WHERE oid < 16384");
  for (const Row& row : all.rows) procedures[static_cast<std::uint32_t>(std::stoul(*row[0]))] = row;
  std::uint32_t previous = 0;
  for (const FunctionEntry& f : function_table()) {
    SCOPED_TRACE(f.name + " " + std::to_string(f.oid));
    EXPECT_GT(f.oid, previous) << "twice in the table";
    previous = f.oid;
    ASSERT_TRUE(procedures.contains(f.oid));
    const Row& row = procedures[f.oid];
    std::string types;
    for (std::size_t i = 0; i < f.argument_count(); ++i) {
      types += (i ? "," : "") + std::to_string(to_u32(f.arguments[i]));
    }
    EXPECT_EQ(*row[1], f.name);
    EXPECT_EQ(*row[2], types);
    EXPECT_EQ(*row[3], std::to_string(to_u32(f.result)));
    // What is written in SQL is inlined, and as strict as what it calls.
    const bool in_sql = *row[7] == "14";
    EXPECT_TRUE(*row[4] == "t" || in_sql);
    EXPECT_EQ(*row[5], is_stable(f) ? "s" : "i");
    EXPECT_EQ(*row[6], "f");
    EXPECT_TRUE(can_call(static_cast<Oid>(f.oid)));
  }
  EXPECT_GT(function_table().size(), 400u);
}

// Shares that are lower than usual, for a reason.
double least_share(const FunctionEntry& f) {
  const std::string_view name = f.name;
  if (name == "numeric_div") return 0.3;                         // most quotients are rounded
  if (name.find("regex") != std::string_view::npos) return 0.3;  // classes on other than ASCII
  if (name.starts_with("bpchar") && name.ends_with("like")) return 0.6;  // blanks that count
  if (is_stable(f)) return 0.01;                                         // hours alone; the epoch
  if (name == "timezone") return 0.4;                                    // UTC only
  if (name.find("interval") != std::string_view::npos && f.arguments[1] == type::kFloat8)
    return 0.2;
  if (name == "mul_d_interval") return 0.2;  // whole months and days
  if (name == "initcap") return 0.4;         // ASCII only
  return 0.8;
}

TEST_F(FunctionServer, AnswersAsTheServer) {
  std::string too_little;
  for (const FunctionEntry& f : function_table()) {
    const std::string collation = is_collatable(f) ? "C" : "";
    const double share = compare(*connection_, f, collation, {true, true}, 2000);
    if (HasFailure()) return;
    if (share < least_share(f)) {
      too_little += f.name + " " + std::to_string(f.oid) + ": " + std::to_string(share) + "\n";
    }
  }
  EXPECT_EQ(too_little, "") << "too little is known";
}

TEST_F(FunctionServer, AnswersAsTheServerUnderOtherCollations) {
  for (const FunctionEntry& f : function_table()) {
    if (!is_collatable(f)) continue;
    const std::size_t count = 700;
    (void)compare(*connection_, f, "und-x-icu", {.ascii_case = true}, count);
    (void)compare(*connection_, f, "default", {.ascii_case = true}, count);
    (void)compare(*connection_, f, "tr-x-icu", {}, count);
    if (HasFailure()) return;
  }
}

// Many patterns, each on several texts, so that both answers are frequent.
TEST_F(FunctionServer, MatchesRegularExpressionsAsTheServer) {
  for (const FunctionEntry& f : function_table()) {
    if (f.name != "textregexeq" && f.name != "texticregexeq") continue;
    SpellingSource source(test_seed(23 + f.oid));
    std::vector<std::vector<Spelling>> columns(2);
    for (int i = 0; i < 6000; ++i) {
      const std::string pattern = regex_spelling(source);
      for (int k = 0; k < 4; ++k) {
        columns[0].emplace_back(word_spelling(source));
        columns[1].emplace_back(pattern);
      }
    }
    int matched = 0;
    const Outcome outcome = compare_with_server(
        *connection_, expression(f, "C"), columns, [&](const std::vector<MaybeValue>& a) {
          MaybeValue out = call(static_cast<Oid>(f.oid), a, {true, true});
          if (out.known() && out.value->bytes()[0] == 1) ++matched;
          return out;
        });
    EXPECT_GT(matched, outcome.known / 4);
    EXPECT_LT(matched, outcome.known * 3 / 4);
    EXPECT_GT(outcome.known, outcome.answered / 2);
  }
}

// Some functions refuse such a collation, so that there may be no answers at all.
TEST_F(FunctionServer, DoesNotJudgeUnequalTextUnderNondeterministicCollations) {
  const FunctionContext context{.ascii_case = true, .deterministic = false};
  for (const FunctionEntry& f : function_table()) {
    if (!is_collatable(f)) continue;
    (void)compare_with_server(*connection_, expression(f, "any_case"), arguments(f, 500, 22),
                              [&](const std::vector<MaybeValue>& a) {
                                return call(static_cast<Oid>(f.oid), a, context);
                              });
    if (HasFailure()) return;
  }
}

TEST_F(FunctionServer, JudgesOnlyAsciiInOtherEncodings) {
  connection_->must(
      "CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'");
  Connection bytes(cluster_->dsn("bytes"));
  bytes.must("SET client_encoding = 'SQL_ASCII'");
  const FunctionContext context{.ascii_case = true, .c_collation = true, .utf8 = false};
  for (const FunctionEntry& f : function_table()) {
    if ((!is_collatable(f) && f.name != "chr") || is_stable(f)) continue;
    const double share = compare(bytes, f, "", context, 700);
    EXPECT_GT(share, 0.2) << f.name << " " << f.oid;
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace pgcache::pg::builtin
