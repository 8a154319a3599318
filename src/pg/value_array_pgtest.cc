// SPDX-License-Identifier: Apache-2.0
// Arrays against a real server: of built-in types, enums, domains, and of domains over arrays. As
// for other types, spellings, outputs and pairs; and the elements are those that unnest() gives.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "pg/value.h"
#include "pg/value_more_spellings.h"
#include "pg/value_pgtest_support.h"

namespace pgcache::pg {
namespace {

const TypeUnderTest kArrays[] = {
    {"bools", array_spelling<bool_spelling>, "bool[]"},
    {"int2s", array_spelling<small_integer_spelling>, "int2[]"},
    {"int4s", array_spelling<small_integer_spelling>, "int4[]"},
    {"int8s", array_spelling<small_integer_spelling>, "int8[]"},
    {"numerics", array_spelling<small_numeric_spelling>, "numeric[]"},
    {"oids", array_spelling<small_integer_spelling>, "oid[]"},
    {"float4s", array_spelling<small_float_spelling>, "float4[]"},
    {"float8s", array_spelling<small_float_spelling>, "float8[]"},
    {"texts", array_spelling<text_spelling>, "text[]"},
    {"varchars", array_spelling<text_spelling>, "varchar[]"},
    {"names", array_spelling<text_spelling>, "name[]"},
    {"bpchars", array_spelling<text_spelling>, "bpchar[]"},
    {"byteas", array_spelling<bytea_spelling>, "bytea[]"},
    {"uuids", array_spelling<uuid_spelling>, "uuid[]"},
    {"dates", array_spelling<date_spelling>, "date[]"},
    {"times", array_spelling<time_spelling>, "time[]"},
    {"timetzs", array_spelling<timetz_spelling>, "timetz[]"},
    {"timestamps", array_spelling<timestamp_spelling>, "timestamp[]"},
    {"timestamptzs", array_spelling<timestamptz_spelling>, "timestamptz[]"},
    {"intervals", array_spelling<interval_spelling>, "interval[]"},
    {"inets", array_spelling<inet_spelling>, "inet[]"},
    {"cidrs", array_spelling<cidr_spelling>, "cidr[]"},
    {"macaddrs", array_spelling<mac_spelling>, "macaddr[]"},
    {"macaddr8s", array_spelling<mac_spelling>, "macaddr8[]"},
    {"chars", array_spelling<char_spelling>, "\"char\"[]"},
    {"jsonbs", array_spelling<jsonb_spelling>, "jsonb[]"},
    {"colors", array_spelling<color_spelling>, "color[]"},
    {"hues", array_spelling<color_spelling>, "hue[]"},
    {"tallys", array_spelling<small_integer_spelling>, "tally[]"},
    {"counts", array_spelling<small_integer_spelling>},
    {"tallies", array_spelling<small_integer_spelling>},
    {"counts_array", array_spelling<array_spelling<small_integer_spelling>>, "counts[]"},
    {"tallies_array", array_spelling<array_spelling<small_integer_spelling>>, "tallies[]"},
};

class ArrayOfType : public ValueServer, public ::testing::WithParamInterface<TypeUnderTest> {};

TEST_P(ArrayOfType, ReadsAsTheServerDoes) {
  for (const char* const setting :
       {"SET TimeZone = 'UTC'",
        "SET TimeZone = 'Asia/Kolkata'; SET array_nulls = off;"
        "SET IntervalStyle = 'sql_standard'; SET DateStyle = 'SQL, DMY'"}) {
    SCOPED_TRACE(setting);
    stream_settings();
    connection_->must(setting);
    check_readings(GetParam());
  }
}

TEST_P(ArrayOfType, ComparesAsTheServerDoes) { check_comparisons(GetParam()); }

TEST_P(ArrayOfType, HasTheElementsThatTheServerUnnests) {
  const TypeUnderTest& t = GetParam();
  const ValueTypePtr type = type_of(t);
  stream_settings();
  fill("a", t, spellings_of(t, 17, 300));
  const auto arrays = read_outputs("a", *type);
  // The server unnests all dimensions, and only those: not the arrays that are elements.
  const QueryResult result = connection_->query(
      "SELECT a.i, e.v FROM a, unnest(a.v) WITH ORDINALITY AS e(v, n) ORDER BY a.i, e.n");
  ASSERT_TRUE(result.ok()) << result.error;
  std::vector<std::vector<std::optional<std::string>>> expected(arrays.size());
  for (const auto& row : result.rows) expected.at(std::stoul(*row[0]) - 1).push_back(row[1]);
  std::size_t compared = 0;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (!arrays[i]) continue;
    const auto elements = array_elements(*type, *arrays[i]);
    ASSERT_TRUE(elements);
    ASSERT_EQ(elements->size(), expected[i].size());
    for (std::size_t j = 0; j < elements->size(); ++j) {
      const MaybeValue& ours = (*elements)[j];
      if (!expected[i][j]) {
        EXPECT_EQ(ours.state, MaybeValue::State::kNull);
      } else {
        ASSERT_EQ(ours.state, MaybeValue::State::kValue);
        EXPECT_EQ(ours.value, parse_text(*type->element, *expected[i][j]));
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 40u);
}

INSTANTIATE_TEST_SUITE_P(Types, ArrayOfType, ::testing::ValuesIn(kArrays),
                         [](const auto& p) { return std::string(p.param.name); });

}  // namespace
}  // namespace pgcache::pg
