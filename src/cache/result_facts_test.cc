// SPDX-License-Identifier: Apache-2.0
// What a result tells of rows that it does not show: the end of a full result, rows that repeat,
// least and greatest values.
#include "cache/result_facts.h"

#include <gtest/gtest.h>

#include "cache/cache_test_support.h"

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own

using Text = std::optional<std::string>;

class ResultFactsTest : public ::testing::Test {
 protected:
  ResultFactsTest() { dependency_.relation = kUsers; }

  // Result columns: name, id.
  void read(const std::vector<std::vector<Text>>& rows, std::string_view formats_be = {}) {
    CachedResult result;
    for (const auto& row : rows) result.rows += data_row(row);
    result.rows += command_complete();
    result.row_count = rows.size();
    facts_ = read_facts(dependency_, result, formats_be, operands_);
  }

  bool beyond(Text id, Text name, bool is_before = false) {
    TransactionBuilder t(1, 1);
    const auto form = stream_relation(kUsers);
    t.insert(form, {std::move(id), std::move(name), "1", "n"});
    FormCache forms;
    const ChangeImages images(t.last_change(), forms.form_of(form));
    return is_beyond(dependency_, facts_, *images.after(), is_before);
  }

  void sort_by_id(std::int64_t limit, bool descending = false, bool nulls_first = false) {
    dependency_.cutoff = sql::Cutoff{{shown("id", 1)}, std::nullopt, descending, nulls_first, 0};
    operands_.values = {number(limit)};
  }

  sql::Dependency dependency_;
  BoundOperands operands_;
  ResultFacts facts_;
};

TEST_F(ResultFactsTest, RowsAfterTheLastOfAFullResult) {
  sort_by_id(2);
  read({{"a", "3"}, {"b", "5"}});
  EXPECT_FALSE(beyond("4", "x"));
  EXPECT_FALSE(beyond("5", "x")) << "its place is decided by what else is sorted by";
  EXPECT_TRUE(beyond("6", "x"));
  EXPECT_TRUE(beyond("6", "x", true)) << "it was not shown either";
  EXPECT_TRUE(beyond(std::nullopt, "x"));
  sort_by_id(2, true, true);
  read({{"a", "5"}, {"b", "3"}});
  EXPECT_TRUE(beyond("2", "x"));
  EXPECT_FALSE(beyond("4", "x"));
  EXPECT_FALSE(beyond(std::nullopt, "x"));
}

TEST_F(ResultFactsTest, NullsStandWhereTheOrderHasThem) {
  sort_by_id(1);
  read({{"a", std::nullopt}});
  EXPECT_FALSE(beyond("6", "x"));
  EXPECT_FALSE(beyond(std::nullopt, "x"));
  sort_by_id(1, false, true);
  read({{"a", std::nullopt}});
  EXPECT_TRUE(beyond("6", "x"));
  EXPECT_FALSE(beyond(std::nullopt, "x"));
}

TEST_F(ResultFactsTest, AResultThatIsNotFullCutsNothingOff) {
  sort_by_id(3);
  read({{"a", "3"}, {"b", "5"}});
  EXPECT_FALSE(beyond("6", "x"));
  operands_.values = {sql::Operand::null()};  // LIMIT NULL
  read({{"a", "3"}, {"b", "5"}});
  EXPECT_FALSE(beyond("6", "x"));
  operands_.values = {sql::Operand{}};
  read({{"a", "3"}, {"b", "5"}});
  EXPECT_FALSE(beyond("6", "x"));
  sort_by_id(0);
  read({});
  EXPECT_FALSE(beyond("6", "x"));
  sort_by_id(1);
  read({{"a", "no number"}});
  EXPECT_FALSE(beyond("6", "x"));
}

TEST_F(ResultFactsTest, ANumberNamesTheColumnThatIsSortedBy) {
  dependency_.cutoff = sql::Cutoff{{shown("name", 0), shown("id", 1)}, 1, false, false, 0};
  operands_.values = {number(1), number(2)};
  read({{"m", "5"}});
  EXPECT_TRUE(beyond("6", "a"));
  EXPECT_FALSE(beyond("4", "z"));
  operands_.values = {number(1), number(1)};
  read({{"m", "5"}});
  EXPECT_FALSE(beyond("6", "a"));
  EXPECT_TRUE(beyond("4", "z"));
  operands_.values = {number(1), number(3)};
  read({{"m", "5"}});
  EXPECT_FALSE(beyond("6", "z"));
}

TEST_F(ResultFactsTest, RowsThatRepeatWhatIsShown) {
  dependency_.repeated = {shown("name", 0), shown("id", 1)};
  read({{"a", "3"}, {std::nullopt, "5"}, {"\xe4", "7"}});
  EXPECT_TRUE(beyond("3", "a"));
  EXPECT_FALSE(beyond("3", "a", true)) << "it may have been the only one";
  EXPECT_FALSE(beyond("3", "b"));
  EXPECT_TRUE(beyond("5", std::nullopt)) << "DISTINCT takes NULLs for equal";
  EXPECT_FALSE(beyond("3", std::nullopt));
  EXPECT_FALSE(beyond("7", "\xe4")) << "the client's encoding is not known here";
  std::vector<std::vector<Text>> many(kRepeatedRowsMax + 1, {"a", "3"});
  read(many);
  EXPECT_FALSE(beyond("3", "a"));
}

TEST_F(ResultFactsTest, LeastAndGreatestValues) {
  dependency_.extremes = {{shown("name", 0), true, true}, {shown("id", 1), false, true}};
  read({{"m", "5"}});
  EXPECT_TRUE(beyond("6", "a"));
  EXPECT_TRUE(beyond("5", "m"));
  EXPECT_FALSE(beyond("5", "a", true)) << "it may be the one that is shown";
  EXPECT_FALSE(beyond("4", "a"));
  EXPECT_FALSE(beyond("6", "z"));
  EXPECT_TRUE(beyond(std::nullopt, std::nullopt, true));
  dependency_.extremes[1].looks_alike = false;
  EXPECT_FALSE(beyond("5", "a"));
  read({{std::nullopt, std::nullopt}});
  EXPECT_FALSE(beyond("6", "a"));
  EXPECT_TRUE(beyond(std::nullopt, std::nullopt));
}

TEST_F(ResultFactsTest, WhatIsMalformedTellsNothing) {
  sort_by_id(1);
  CachedResult cut;
  cut.rows = data_row({"a", "5"});
  cut.rows.resize(cut.rows.size() - 1);
  cut.row_count = 1;
  EXPECT_TRUE(read_facts(dependency_, cut, {}, operands_).empty());
  read({{"a"}});
  EXPECT_TRUE(facts_.empty());
  read({{"a", "5"}}, std::string_view("\0\2", 2));
  EXPECT_TRUE(facts_.empty());
}

}  // namespace
}  // namespace pgcache::cache
