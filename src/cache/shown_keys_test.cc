// SPDX-License-Identifier: Apache-2.0
// Keys read from results: formats, NULLs, and what cannot be read with certainty.
#include "cache/shown_keys.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cache/cache_test_support.h"

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own

class ShownKeysTest : public ::testing::Test {
 protected:
  ShownKeysTest() {
    dependency_.relation = kUsers;
    dependency_.members = {kUsers};
    dependency_.shown = shows_former("id", 1);
  }

  std::optional<ShownKeys> read(const std::vector<std::vector<std::optional<std::string>>>& rows,
                                std::string_view formats_be = {}) {
    CachedResult result;
    for (const auto& row : rows) result.rows += data_row(row);
    result.rows += command_complete();
    result.row_count = rows.size();
    return read_shown_keys(dependency_, result, formats_be, 3);
  }

  bool may_show(const ShownKeys& keys, std::optional<std::string> id) {
    TransactionBuilder t(1, 1);
    const auto form = stream_relation(kUsers);
    t.insert(form, {std::move(id), "a", "1", "n"});
    FormCache forms;
    const ChangeImages images(t.last_change(), forms.form_of(form));
    const auto hash = key_hash(dependency_.shown.columns, *images.after());
    return !hash || std::binary_search(keys.begin(), keys.end(), *hash);
  }

  sql::Dependency dependency_;
};

TEST_F(ShownKeysTest, TextAndBinaryNameTheSameRows) {
  const auto text = read({{"x", "1"}, {"y", " 02"}, {"z", "1"}});
  ASSERT_TRUE(text);
  EXPECT_EQ(text->size(), 2u);
  EXPECT_TRUE(may_show(*text, "1"));
  EXPECT_TRUE(may_show(*text, "2"));
  EXPECT_FALSE(may_show(*text, "3"));
  EXPECT_TRUE(may_show(*text, std::nullopt)) << "not known";
  const std::string one("\0\0\0\1", 4);
  const std::string binary("\0\1", 2);
  const std::string per_column("\0\0\0\1", 4);
  for (const std::string& formats : {binary, per_column}) {
    const auto keys = read({{"x", one}, {"y", std::string("\0\0\0\2", 4)}}, formats);
    ASSERT_TRUE(keys);
    EXPECT_EQ(*keys, *text);
  }
  EXPECT_FALSE(read({{"x", "1"}}, binary));
  EXPECT_FALSE(read({{"x", one}}));
}

TEST_F(ShownKeysTest, NoRowShowsNoKey) {
  const auto none = read({});
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
  const auto extended = read({{"x", std::nullopt}, {"y", "5"}});
  ASSERT_TRUE(extended);
  EXPECT_EQ(extended->size(), 1u) << "an outer join found no row";
}

TEST_F(ShownKeysTest, WhatCannotBeReadWithCertaintyIsNotRead) {
  EXPECT_TRUE(read({{"x", "1"}, {"x", "2"}, {"x", "3"}}));
  EXPECT_FALSE(read({{"x", "1"}, {"x", "2"}, {"x", "3"}, {"x", "4"}})) << "too many rows";
  EXPECT_FALSE(read({{"x", "one"}}));
  EXPECT_FALSE(read({{"x"}})) << "no such column";
  EXPECT_FALSE(read({{"x", "1"}}, std::string_view("\0\0\0\0\0", 5)));
  EXPECT_FALSE(read({{"x", "1"}}, std::string_view("\0\2", 2)));
  EXPECT_FALSE(read({{"x", "1"}, {"x", "1"}}, std::string_view("\0\0\0\2", 4)));
  CachedResult cut;
  cut.rows = data_row({"x", "1"});
  cut.rows.resize(cut.rows.size() - 1);
  cut.row_count = 1;
  EXPECT_FALSE(read_shown_keys(dependency_, cut, {}));
  cut.rows = data_row({"x", "1"});
  cut.rows[8] = '\x7f';  // a field longer than the row
  EXPECT_FALSE(read_shown_keys(dependency_, cut, {}));
  dependency_.shown = {};
  EXPECT_FALSE(read({{"x", "1"}}));
}

TEST_F(ShownKeysTest, TextIsReadWhereEveryEncodingAgrees) {
  dependency_.shown.columns = {shown("name", 1)};
  EXPECT_TRUE(read({{"x", "abc"}}));
  EXPECT_FALSE(read({{"x", "\xe4"}})) << "the client's encoding is not known here";
  dependency_.shown.columns[0].type = value_type(pg::type::kDate);
  EXPECT_TRUE(read({{"x", "2024-01-31"}}));
  EXPECT_FALSE(read({{"x", "31.01.2024"}}));
}

TEST_F(ShownKeysTest, AKeyOfSeveralColumnsIsOneKey) {
  dependency_.shown.columns = {shown("id", 2), shown("name", 0)};
  const auto keys = read({{"a", "x", "1"}, {"b", "x", "2"}, {"a", "x", std::nullopt}});
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->size(), 2u);
  EXPECT_TRUE(may_show(*keys, "1"));
  EXPECT_FALSE(may_show(*keys, "2")) << "2 stands with b";
}

}  // namespace
}  // namespace pgcache::cache
