// SPDX-License-Identifier: Apache-2.0
// Values against a real server. For each type, seeded spellings, many of them damaged, are cast by
// the server. Then: what we read, the server accepts, and means the same, whatever DateStyle,
// IntervalStyle and TimeZone are; every text and binary form that the server sends (under the
// settings of the change stream) is read, both forms as the same value; and equality and order of
// every pair are the server's.
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "pg/function.h"
#include "pg/value.h"
#include "pg/value_more_spellings.h"
#include "pg/value_pgtest_support.h"

namespace pgcache::pg {
namespace {

const TypeUnderTest kTypes[] = {
    {"bool", bool_spelling},
    {"int2", integer_spelling},
    {"int4", integer_spelling},
    {"int8", integer_spelling},
    {"numeric", numeric_spelling},
    {"oid", integer_spelling},
    {"float4", float_spelling},
    {"float8", float_spelling},
    {"text", text_spelling},
    {"varchar", text_spelling},
    {"name", name_spelling},
    {"bpchar", text_spelling},
    {"bytea", bytea_spelling},
    {"uuid", uuid_spelling},
    {"date", date_spelling},
    {"time", time_spelling},
    {"timetz", timetz_spelling},
    {"timestamp", timestamp_spelling},
    {"timestamptz", timestamptz_spelling},
    {"interval", interval_spelling},
    {"inet", inet_spelling},
    {"cidr", cidr_spelling},
    {"macaddr", mac_spelling},
    {"macaddr8", mac_spelling},
    {"char", char_spelling, "\"char\""},
    {"jsonb", jsonb_spelling},
    {"color", color_spelling},
    {"hue", color_spelling, nullptr, "color"},
    {"tally", integer_spelling},
};

// As a client may have them.
constexpr const char* kSettings[] = {
    "SET DateStyle = 'ISO, MDY'; SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'",
    "SET DateStyle = 'German, DMY'; SET TimeZone = 'Asia/Kolkata';"
    "SET IntervalStyle = 'sql_standard'",
    "SET DateStyle = 'SQL, MDY'; SET TimeZone = 'America/New_York';"
    "SET IntervalStyle = 'iso_8601'; SET array_nulls = off",
    "SET DateStyle = 'Postgres, YMD'; SET TimeZone = 'Pacific/Apia';"
    "SET IntervalStyle = 'postgres_verbose'"};

const TypeUnderTest& type_named(std::string_view name) {
  for (const TypeUnderTest& t : kTypes) {
    if (t.name == name) return t;
  }
  throw std::runtime_error("no such type under test");
}

class ValueOfType : public ValueServer, public ::testing::WithParamInterface<TypeUnderTest> {};

TEST_P(ValueOfType, ReadsAsTheServerDoes) {
  for (const char* const setting : kSettings) {
    SCOPED_TRACE(setting);
    stream_settings();
    connection_->must(setting);
    check_readings(GetParam());
  }
}

TEST_P(ValueOfType, ComparesAsTheServerDoes) { check_comparisons(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Types, ValueOfType, ::testing::ValuesIn(kTypes),
                         [](const auto& p) { return std::string(p.param.name); });

// Read by the type's oid alone, as by what the catalog tells of it.
TEST_F(ValueServer, BuiltInTypesNeedNoCatalog) {
  for (const TypeUnderTest& t : kTypes) {
    const ValueTypePtr type = type_of(t);
    if (!family_of(type->oid)) continue;
    for (const std::string& spelling : spellings_of(t, 15, 200)) {
      ASSERT_EQ(parse_text(type->oid, spelling), parse_text(*type, spelling)) << t.name;
      ASSERT_EQ(parse_binary(type->oid, spelling), parse_binary(*type, spelling)) << t.name;
    }
  }
}

TEST_F(ValueServer, ComparesAcrossTypesOfAFamily) {
  const std::pair<const char*, const char*> pairs[] = {
      {"int2", "int4"},     {"int2", "int8"},    {"int4", "int8"},    {"int2", "numeric"},
      {"int4", "numeric"},  {"int8", "numeric"}, {"numeric", "int8"}, {"float4", "float8"},
      {"float8", "float4"}, {"text", "varchar"}, {"inet", "cidr"},    {"cidr", "inet"},
      {"tally", "int8"}};
  stream_settings();
  for (const auto& [a, b] : pairs) {
    SCOPED_TRACE(std::string(a) + " with " + b);
    SpellingSource source(test_seed(13));
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

// Under the database's own collation: bytewise, or as in English, where what strings decide is not
// known.
TEST_F(ValueServer, OrdersDocumentsAsTheServerDoes) {
  const TypeUnderTest& t = type_named("jsonb");
  std::vector<std::string> documents;
  for (const std::string& spelling : spellings_of(t, 17, 400)) {
    if (parse_text(type::kJsonb, spelling)) documents.push_back(spelling);
  }
  ASSERT_GT(documents.size(), 100u);
  connection_->must("CREATE DATABASE bytewise TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
  connection_->must(
      "CREATE DATABASE english TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'");
  for (const std::string database : {"bytewise", "english"}) {
    Connection connection(cluster_->dsn(database));
    const QueryResult result = connection.exec_params(
        "WITH d AS (SELECT i, v::jsonb FROM unnest($1::text[]) WITH ORDINALITY AS u(v, i))"
        "SELECT a.i, b.i, a.v < b.v, a.v = b.v FROM d a, d b",
        {array_literal(documents)});
    ASSERT_TRUE(result.ok()) << result.error;
    std::size_t unknown = 0;
    for (const auto& row : result.rows) {
      const std::string& a = documents.at(std::stoul(*row[0]) - 1);
      const std::string& b = documents.at(std::stoul(*row[1]) - 1);
      const Value x = *parse_text(type::kJsonb, a);
      const Value y = *parse_text(type::kJsonb, b);
      const auto expected = *row[2] == "t"   ? std::strong_ordering::less
                            : *row[3] == "t" ? std::strong_ordering::equal
                                             : std::strong_ordering::greater;
      if (database == "bytewise") {
        ASSERT_EQ(compare(x, y), expected) << a << " and " << b;
      }
      const auto order = compare_without_collation(x, y);
      if (order) {
        ASSERT_EQ(order, expected) << database << ": " << a << " and " << b;
      } else {
        ++unknown;
      }
    }
    EXPECT_GT(unknown, 0u);
    EXPECT_LT(unknown, result.rows.size() / 5);
  }
}

// Outputs under other settings that a client or a differently set up stream may use.
TEST_F(ValueServer, ReadsBothFormsOfByteaAndLongFloats) {
  for (const char* const name : {"bytea", "float4", "float8"}) {
    const TypeUnderTest& t = type_named(name);
    stream_settings();
    fill("a", t, spellings_of(t, 14, 500));
    const auto expected = read_outputs("a", *type_of(t));
    connection_->must("SET bytea_output = 'escape'; SET extra_float_digits = 3");
    EXPECT_EQ(read_outputs("a", *type_of(t)), expected) << name;
  }
  stream_settings();
}

// An interval written in one style and read under another, whatever the styles, is the same to us
// as to the server, where it is anything to us.
TEST_F(ValueServer, ReadsIntervalsOfEveryStyle) {
  const TypeUnderTest& t = type_named("interval");
  const ValueTypePtr type = type_of(t);
  const std::vector<const char*> styles = {"postgres", "iso_8601", "sql_standard",
                                           "postgres_verbose"};
  stream_settings();
  fill("c", t, spellings_of(t, 16, 1000));
  for (const char* const written : styles) {
    connection_->must(std::string("SET IntervalStyle = ") + written);
    std::vector<std::string> outputs;
    for (const auto& row : values_of("c", false).rows) {
      if (row[0]) outputs.push_back(*row[0]);
    }
    for (const char* const read : styles) {
      SCOPED_TRACE(std::string(written) + " read as " + read);
      connection_->must(std::string("SET IntervalStyle = ") + read);
      fill("a", t, outputs);
      const QueryResult binaries = values_of("a", true);
      std::size_t known = 0;
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        const auto ours = parse_text(*type, outputs[i]);
        if (!ours) continue;
        ++known;
        ASSERT_TRUE(binaries.rows[i][0]) << outputs[i];
        ASSERT_EQ(ours, parse_binary(*type, *binaries.rows[i][0])) << outputs[i];
        const ValueTypePtr apart = argument_type(type::kInterval);
        const auto parts = parse_text(*apart, outputs[i]);
        ASSERT_TRUE(parts) << outputs[i];
        ASSERT_EQ(parts, parse_binary(*apart, *binaries.rows[i][0])) << outputs[i];
        ASSERT_EQ(compared_form(*parts), *ours) << outputs[i];
      }
      const std::string style = written;
      if (style == "postgres" || style == "iso_8601") {
        EXPECT_GT(known, outputs.size() * 9 / 10);
      }
    }
  }
  stream_settings();
}

}  // namespace
}  // namespace pgcache::pg
