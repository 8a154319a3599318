// SPDX-License-Identifier: Apache-2.0
// Values against a real server. For each type, seeded spellings, many of them damaged, are cast by
// the server. Then: what we read, the server accepts, and means the same, whatever DateStyle and
// TimeZone are; every text and binary form that the server sends (under the settings of the change
// stream) is read, both forms as the same value; and equality and order of every pair are the
// server's.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "pg/value.h"
#include "pg/value_spellings.h"
#include "support/cluster.h"
#include "support/pq.h"

namespace pgcache::pg {
namespace {

using pgcache::testing::Cluster;
using pgcache::testing::Connection;
using pgcache::testing::QueryResult;

struct TypeUnderTest {
  const char* name;
  Oid oid;
  std::string (*spelling)(SpellingSource&);
};

void PrintTo(const TypeUnderTest& t, std::ostream* out) { *out << t.name; }

// PGCACHE_TEST_SEED=n tries other spellings.
std::uint64_t seed(std::uint64_t usual) {
  const char* const text = std::getenv("PGCACHE_TEST_SEED");
  return text == nullptr ? usual : usual + 1000 * std::strtoull(text, nullptr, 10);
}

const TypeUnderTest kTypes[] = {
    {"bool", type::kBool, bool_spelling},
    {"int2", type::kInt2, integer_spelling},
    {"int4", type::kInt4, integer_spelling},
    {"int8", type::kInt8, integer_spelling},
    {"numeric", type::kNumeric, numeric_spelling},
    {"oid", type::kOid, integer_spelling},
    {"float4", type::kFloat4, float_spelling},
    {"float8", type::kFloat8, float_spelling},
    {"text", type::kText, text_spelling},
    {"varchar", type::kVarchar, text_spelling},
    {"name", type::kName, name_spelling},
    {"bpchar", type::kBpchar, text_spelling},
    {"bytea", type::kBytea, bytea_spelling},
    {"uuid", type::kUuid, uuid_spelling},
    {"date", type::kDate, date_spelling},
    {"time", type::kTime, time_spelling},
    {"timestamp", type::kTimestamp, timestamp_spelling},
    {"timestamptz", type::kTimestamptz, timestamptz_spelling},
};

const TypeUnderTest& type_named(std::string_view name) {
  for (const TypeUnderTest& t : kTypes) {
    if (t.name == name) return t;
  }
  throw std::runtime_error("no such type under test");
}

std::string array_literal(const std::vector<std::string>& texts) {
  std::string out = "{";
  for (const std::string& text : texts) {
    out += out.size() > 1 ? ",\"" : "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

bool is_character_type(Oid oid) {
  return oid == type::kText || oid == type::kVarchar || oid == type::kBpchar || oid == type::kName;
}

// The one form of output that is known to be left out.
bool is_left_out(std::string_view output) { return output.ends_with(" BC"); }

class ValueServer : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<Cluster>();
    connection_ = std::make_unique<Connection>(cluster_->dsn());
  }
  static void TearDownTestSuite() {
    connection_.reset();
    cluster_.reset();
  }

  static void stream_settings() {
    connection_->must(
        "SET DateStyle = 'ISO, MDY'; SET TimeZone = 'UTC'; SET bytea_output = 'hex';"
        "SET extra_float_digits = 1");
  }

  // The temporary table `table` (i, spelling, v): v is NULL where the server refuses the spelling.
  static void fill(const std::string& table, const TypeUnderTest& t,
                   const std::vector<std::string>& spellings) {
    const std::string cast = std::string("pg_temp.cast_") + t.name;
    connection_->must("CREATE OR REPLACE FUNCTION " + cast + "(s text) RETURNS " + t.name +
                      " LANGUAGE plpgsql AS $$ BEGIN RETURN s::" + t.name +
                      "; EXCEPTION WHEN data_exception OR program_limit_exceeded THEN RETURN NULL;"
                      " END $$");
    connection_->must("DROP TABLE IF EXISTS " + table);
    const QueryResult result = connection_->exec_params(
        "CREATE TEMPORARY TABLE " + table + " AS SELECT i, spelling, " + cast +
            "(spelling) AS v FROM unnest('" + quoted(array_literal(spellings)) +
            "'::text[]) WITH ORDINALITY AS u(spelling, i)",
        {});
    ASSERT_TRUE(result.ok()) << result.error;
  }

  static std::string quoted(const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (c == '\'') out += '\'';
      out += c;
    }
    return out;
  }

  static QueryResult values_of(const std::string& table, bool binary) {
    return connection_->exec_params("SELECT v FROM " + table + " ORDER BY i", {}, binary);
  }

  // The value of each row as its text output tells it; nothing for NULL and what is left out.
  static std::vector<std::optional<Value>> read_outputs(const std::string& table, Oid oid) {
    std::vector<std::optional<Value>> values;
    for (const auto& row : values_of(table, false).rows) {
      values.push_back(row[0] ? parse_text(oid, *row[0]) : std::nullopt);
    }
    return values;
  }

  // All pairs of the two tables, as the server compares them and as we do.
  static void compare_pairs(const TypeUnderTest& a, const TypeUnderTest& b) {
    const auto left = read_outputs("a", a.oid);
    const auto right = read_outputs("b", b.oid);
    const char* const collate = is_character_type(a.oid) ? " COLLATE \"C\"" : "";
    const QueryResult result =
        connection_->query(std::string("SELECT a.i, b.i, a.v = b.v, a.v < b.v") + collate +
                           " FROM a, b WHERE a.v IS NOT NULL AND b.v IS NOT NULL");
    ASSERT_TRUE(result.ok()) << result.error;
    std::size_t equal_pairs = 0;
    for (const auto& row : result.rows) {
      const auto& x = left.at(std::stoul(*row[0]) - 1);
      const auto& y = right.at(std::stoul(*row[1]) - 1);
      if (!x || !y) continue;
      const bool equal = *row[2] == "t";
      const bool less = *row[3] == "t";
      const std::string pair = a.name + (" row " + *row[0]) + ", " + b.name + " row " + *row[1];
      ASSERT_EQ(*x == *y, equal) << pair;
      ASSERT_EQ(compare(*x, *y) == std::strong_ordering::less, less) << pair;
      ASSERT_EQ(compare(*x, *y) == std::strong_ordering::greater, !less && !equal) << pair;
      if (equal) {
        ASSERT_EQ(x->hash(), y->hash()) << pair;
        ++equal_pairs;
      }
    }
    EXPECT_GT(equal_pairs, 20u) << "too few equal pairs to prove anything";
    EXPECT_GT(result.rows.size(), 4 * equal_pairs / 3) << "too few unequal pairs";
  }

  static std::unique_ptr<Cluster> cluster_;
  static std::unique_ptr<Connection> connection_;
};

std::unique_ptr<Cluster> ValueServer::cluster_;
std::unique_ptr<Connection> ValueServer::connection_;

class ValueOfType : public ValueServer, public ::testing::WithParamInterface<TypeUnderTest> {};

TEST_P(ValueOfType, ReadsAsTheServerDoes) {
  const TypeUnderTest& t = GetParam();
  SpellingSource source(seed(11));
  std::vector<std::string> spellings;
  for (int i = 0; i < 1500; ++i) spellings.push_back(t.spelling(source));
  const char* const settings[] = {"SET DateStyle = 'ISO, MDY'; SET TimeZone = 'UTC'",
                                  "SET DateStyle = 'German, DMY'; SET TimeZone = 'Asia/Kolkata'",
                                  "SET DateStyle = 'SQL, MDY'; SET TimeZone = 'America/New_York'",
                                  "SET DateStyle = 'Postgres, YMD'; SET TimeZone = 'Pacific/Apia'"};
  for (const char* const setting : settings) {
    SCOPED_TRACE(setting);
    connection_->must(setting);
    fill("a", t, spellings);
    stream_settings();
    const QueryResult outputs = values_of("a", false);
    const QueryResult binaries = values_of("a", true);
    ASSERT_EQ(outputs.rows.size(), spellings.size());
    int read = 0;
    int refused = 0;
    for (std::size_t i = 0; i < spellings.size(); ++i) {
      const auto ours = parse_text(t.oid, spellings[i]);
      const auto& output = outputs.rows[i][0];
      if (!output) {
        ASSERT_FALSE(ours) << "the server refuses '" << spellings[i] << "'";
        ++refused;
        continue;
      }
      const auto binary = parse_binary(t.oid, *binaries.rows[i][0]);
      ASSERT_TRUE(binary) << "'" << spellings[i] << "' in binary";
      const auto from_output = parse_text(t.oid, *output);
      if (!is_left_out(*output)) {
        ASSERT_TRUE(from_output) << "output '" << *output << "' of '" << spellings[i] << "'";
        ASSERT_EQ(*from_output, *binary) << "output '" << *output << "'";
      }
      if (!ours) continue;
      ASSERT_EQ(*ours, *binary) << "'" << spellings[i] << "' gives '" << *output << "'";
      ++read;
    }
    EXPECT_GT(read, 200) << "too few spellings were read to prove anything";
    if (!is_character_type(t.oid)) {
      EXPECT_GT(refused, 20) << "no damage was tried";
    }
  }
}

TEST_P(ValueOfType, ComparesAsTheServerDoes) {
  const TypeUnderTest& t = GetParam();
  SpellingSource source(seed(12));
  std::vector<std::string> spellings;
  for (int i = 0; i < 200; ++i) spellings.push_back(t.spelling(source));
  stream_settings();
  fill("a", t, spellings);
  fill("b", t, spellings);
  compare_pairs(t, t);
}

INSTANTIATE_TEST_SUITE_P(Types, ValueOfType, ::testing::ValuesIn(kTypes),
                         [](const auto& p) { return std::string(p.param.name); });

TEST_F(ValueServer, ComparesAcrossTypesOfAFamily) {
  const std::pair<const char*, const char*> pairs[] = {
      {"int2", "int4"},     {"int2", "int8"},    {"int4", "int8"},    {"int2", "numeric"},
      {"int4", "numeric"},  {"int8", "numeric"}, {"numeric", "int8"}, {"float4", "float8"},
      {"float8", "float4"}, {"text", "varchar"}};
  stream_settings();
  for (const auto& [a, b] : pairs) {
    SCOPED_TRACE(std::string(a) + " with " + b);
    SpellingSource source(seed(13));
    std::vector<std::string> left;
    std::vector<std::string> right;
    for (int i = 0; i < 200; ++i) {
      left.push_back(type_named(a).spelling(source));
      right.push_back(type_named(b).spelling(source));
    }
    fill("a", type_named(a), left);
    fill("b", type_named(b), right);
    compare_pairs(type_named(a), type_named(b));
  }
}

// Outputs under other settings that a client or a differently set up stream may use.
TEST_F(ValueServer, ReadsBothFormsOfByteaAndLongFloats) {
  SpellingSource source(seed(14));
  for (const char* const name : {"bytea", "float4", "float8"}) {
    const TypeUnderTest& t = type_named(name);
    std::vector<std::string> spellings;
    for (int i = 0; i < 500; ++i) spellings.push_back(t.spelling(source));
    stream_settings();
    fill("a", t, spellings);
    const auto expected = read_outputs("a", t.oid);
    connection_->must("SET bytea_output = 'escape'; SET extra_float_digits = 3");
    EXPECT_EQ(read_outputs("a", t.oid), expected) << name;
  }
  stream_settings();
}

}  // namespace
}  // namespace pgcache::pg
