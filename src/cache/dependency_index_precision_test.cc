// SPDX-License-Identifier: Apache-2.0
// What the index leaves alone: guards, arrays, rows with NULL, keys that results show, and which of
// what it finds it owes to rows that are not known well enough.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache/dependency_index_test_support.h"

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST_F(DependencyIndexTest, AGuardThatCannotHoldLeavesTheDependencyOut) {
  sql::Dependency d = where_equal(kUsers, "id");
  d.guard = operand_is_not_null(1);
  add(make_shape(1, {d, where_equal(kOrders, "id")}), "holds", {number(1), number(7)});
  add(make_shape(1, {d, where_equal(kOrders, "id")}), "may hold", {number(1), unknown()});
  add(make_shape(1, {d, where_equal(kOrders, "id")}), "not", {number(1), null()});
  Entry* nowhere = add(make_shape(2, {d}), "nowhere", {number(1), null()});
  const auto insert = t_.insert(keyed_, {"1", "a", "3", "n"}).last_change();
  EXPECT_THAT(affected(insert), UnorderedElementsAre("holds", "may hold"));
  EXPECT_THAT(affected(t_.truncate(keyed_).last_change()),
              UnorderedElementsAre("holds", "may hold"));
  EXPECT_THAT(keys_of(index_.all_reading_rows_of(kUsers)),
              UnorderedElementsAre("holds", "may hold"));
  EXPECT_THAT(keys_of(index_.all_over(kUsers)),
              UnorderedElementsAre("holds", "may hold", "not", "nowhere"));
  EXPECT_THAT(affected(t_.insert(stream_relation(kOrders), {"1", "a", "3", "n"}).last_change()),
              UnorderedElementsAre("holds", "may hold", "not"));
  while (entries_.size() > 1) remove(entries_.front().get());
  EXPECT_FALSE(index_.knows(kUsers));
  EXPECT_THAT(keys_of(index_.all_over(kUsers)), ElementsAre("nowhere"));
  remove(nowhere);
  EXPECT_THAT(keys_of(index_.all_over(kUsers)), IsEmpty());
  EXPECT_EQ(index_.node_count(), 0u);
}

TEST_F(DependencyIndexTest, WhatTheQueryNamesWithoutDependingOnItCountsAsAWhole) {
  auto shape = std::make_shared<Shape>();
  shape->analysis = make_shape(1, {where_equal(kUsers, "id")})->analysis;
  std::get<sql::CacheableQuery>(shape->analysis.outcome).relations.push_back(kOrders);
  add(shape, "one", {number(1)});
  EXPECT_THAT(affected(t_.truncate(stream_relation(kOrders)).last_change()), IsEmpty());
  EXPECT_THAT(keys_of(index_.all_over(kOrders)), ElementsAre("one"));
  EXPECT_THAT(keys_of(index_.all_over(kUsers)), ElementsAre("one"));
}

TEST_F(DependencyIndexTest, AMembersGuardCountsForItsRowsOnly) {
  const pg::Oid part{300};
  const pg::Oid other{301};
  sql::Dependency d = where_equal(kUsers, "age");
  d.members = {kUsers, part, other};
  d.member_guards = {{part, operand_is_not_null(1)}};
  const ShapePtr shape = make_shape(1, {d});
  add(shape, "in the part", {number(5), number(1)});
  add(shape, "not in it", {number(5), null()});
  EXPECT_THAT(affected(t_.truncate(stream_relation(part)).last_change()),
              ElementsAre("in the part"));
  EXPECT_THAT(keys_of(index_.all_reading_rows_of(part)), ElementsAre("in the part"));
  EXPECT_THAT(affected(t_.remove(stream_relation(part), {"1", "", "", ""}).last_change()),
              ElementsAre("in the part"));
  EXPECT_THAT(affected(t_.truncate(stream_relation(other)).last_change()),
              UnorderedElementsAre("in the part", "not in it"));
  EXPECT_THAT(keys_of(index_.all_over(part)), UnorderedElementsAre("in the part", "not in it"));
}

TEST_F(DependencyIndexTest, AnArrayStandsUnderEachOfItsElements) {
  const ShapePtr shape = with_array(make_shape(1, {where_array(kUsers, "age")}));
  add(shape, "1,2", {text("12")});
  add(shape, "2,2,null", {text("22n")});
  add(shape, "empty", {text("")});
  add(shape, "only null", {text("n")});
  add(shape, "null", {null()});
  add(shape, "unreadable", {text("x")});
  add(shape, "unknown", {unknown()});
  add(shape, "many", {text(std::string(2000, '3') + "4")});
  const auto inserted = [&](std::optional<std::string> age) {
    return affected(t_.insert(keyed_, {"1", "a", std::move(age), "n"}).last_change());
  };
  EXPECT_THAT(inserted("2"), UnorderedElementsAre("1,2", "2,2,null", "unreadable", "unknown"));
  EXPECT_THAT(inserted("1"), UnorderedElementsAre("1,2", "unreadable", "unknown"));
  EXPECT_THAT(inserted("4"), UnorderedElementsAre("many", "unreadable", "unknown"));
  EXPECT_THAT(inserted(std::nullopt), ::testing::IsEmpty()) << "NULL equals nothing";
  EXPECT_THAT(affected(t_.remove(keyed_, {"1", "", "", ""}).last_change()),
              UnorderedElementsAre("1,2", "2,2,null", "many", "unreadable", "unknown"))
      << "any age; but none is an element of an empty array";
  while (!entries_.empty()) remove(entries_.front().get());
  EXPECT_EQ(index_.node_count(), 0u);
}

TEST_F(DependencyIndexTest, ANullElementMattersWhereTheBindingIsPassedByNull) {
  sql::Dependency d = where_array(kUsers, "age");
  d.equalities[0].or_null = true;
  const ShapePtr shape = with_array(make_shape(1, {d}));
  add(shape, "1,2", {text("12")});
  add(shape, "1,null", {text("1n")});
  add(shape, "null", {null()});
  const auto inserted = [&](std::optional<std::string> age) {
    return affected(t_.insert(keyed_, {"1", "a", std::move(age), "n"}).last_change());
  };
  EXPECT_THAT(inserted("2"), UnorderedElementsAre("1,2", "1,null", "null"));
  EXPECT_THAT(inserted("3"), UnorderedElementsAre("1,null", "null"));
  EXPECT_THAT(inserted(std::nullopt), UnorderedElementsAre("1,2", "1,null", "null"));
}

// More distinct elements than are spread over the table.
TEST_F(DependencyIndexTest, ALongArrayIsFoundWithoutATable) {
  const ShapePtr shape = with_array(make_shape(1, {where_array(kUsers, "age")}));
  auto entry = std::make_unique<Entry>();
  entry->shape = shape;
  entry->key = "long";
  entry->operands = bind_arrays(
      *shape->analysis.cacheable(), {text("")}, [](const pg::ValueType&, const pg::Value&) {
        std::vector<pg::MaybeValue> elements;
        for (int i = 0; i < 3000; ++i) {
          elements.push_back(pg::MaybeValue::of(pg::Value::integer(2 * i)));
        }
        return std::optional(std::move(elements));
      });
  index_.add(*entry, standings_of(*shape->analysis.cacheable(), entry->operands));
  EXPECT_EQ(entry->refs.size(), 2u);
  EXPECT_THAT(affected(t_.insert(keyed_, {"1", "a", "4998", "n"}).last_change()),
              ElementsAre("long"));
  EXPECT_THAT(affected(t_.insert(keyed_, {"1", "a", "4999", "n"}).last_change()), IsEmpty());
  index_.remove(*entry);
}

TEST_F(DependencyIndexTest, RowsWithNullMatterWhereTheBindingSaysSo) {
  sql::Dependency d = where_equal(kUsers, "age");
  d.equalities[0].or_null = true;
  add(make_shape(1, {d}), "five", {number(5)});
  add(make_shape(1, {d}), "six", {number(6)});
  // Another binding, which NULL does not pass, goes first.
  sql::Dependency two = d;
  two.equalities.push_back({column("name"), {1}});
  add(make_shape(2, {two}), "five a", {number(5), text("a")});
  add(make_shape(2, {two}), "five b", {number(5), text("b")});
  sql::Dependency list = where_in(kUsers, "age", {0, 1});
  list.equalities[0].or_null = true;
  add(make_shape(3, {list}), "5,6", {number(5), number(6)});
  EXPECT_THAT(affected(t_.insert(keyed_, {"1", "a", "5", "n"}).last_change()),
              UnorderedElementsAre("five", "five a", "5,6"));
  EXPECT_THAT(affected(t_.insert(keyed_, {"1", "a", std::nullopt, "n"}).last_change()),
              UnorderedElementsAre("five", "six", "five a", "5,6"));
}

TEST_F(DependencyIndexTest, AFormerRowMattersToThoseThatShowItsKey) {
  sql::Dependency d = where_equal(kUsers, "age");
  d.shown = shows_former("id", 0);
  const ShapePtr by_age = make_shape(1, {d});
  add(by_age, "five: 1,2", {number(5)}, std::vector{1, 2});
  add(by_age, "six: 3", {number(6)}, std::vector{3});
  add(by_age, "seven: none", {number(7)}, std::vector<int>{});
  add(by_age, "eight: unread", {number(8)});
  EXPECT_THAT(affected(t_.update(keyed_, {"1", "a", "9", "n"}).last_change()),
              UnorderedElementsAre("five: 1,2", "eight: unread"));
  EXPECT_EQ(coarse_, 2);
  EXPECT_THAT(affected(t_.remove(keyed_, {"3", "", "", ""}).last_change()),
              UnorderedElementsAre("six: 3", "eight: unread"));
  EXPECT_THAT(affected(t_.update(keyed_, {"4", "", "", ""}, {"2", "a", "7", "n"}).last_change()),
              UnorderedElementsAre("seven: none", "eight: unread"))
      << "its new key does not matter";
  // What is known of the row before counts as well.
  const std::string six = encode_row(t_.cells({"1", "a", "6", "n"}), {});
  EXPECT_THAT(affected(t_.remove(keyed_, {"1", "", "", ""}).last_change(), six), IsEmpty());
  const std::string five = encode_row(t_.cells({"1", "a", "5", "n"}), {});
  EXPECT_THAT(affected(t_.remove(keyed_, {"1", "", "", ""}).last_change(), five),
              ElementsAre("five: 1,2"));
  EXPECT_EQ(coarse_, 0);
  EXPECT_THAT(affected(t_.truncate(keyed_).last_change()),
              UnorderedElementsAre("five: 1,2", "six: 3", "seven: none", "eight: unread"));
  while (!entries_.empty()) remove(entries_.front().get());
  EXPECT_EQ(index_.node_count(), 0u);
}

TEST_F(DependencyIndexTest, ARowThatComesMattersToThoseThatShowItAlready) {
  // Such as SELECT ... WHERE NOT EXISTS (SELECT FROM users WHERE users.id = shown).
  sql::Dependency d = whole(kUsers);
  d.shown = shows_former("id", 0);
  d.shown.before = false;
  d.shown.after = true;
  const ShapePtr absent = make_shape(1, {d});
  add(absent, "1,2", {}, std::vector{1, 2});
  add(absent, "3", {}, std::vector{3});
  d.shown.before = true;
  add(make_shape(2, {d}), "both 1", {}, std::vector{1});
  add(make_shape(2, {d}), "both 3", {}, std::vector{3});
  EXPECT_THAT(affected(t_.insert(full_, {"1", "a", "5", "n"}).last_change()),
              UnorderedElementsAre("1,2", "both 1"));
  EXPECT_THAT(affected(t_.remove(full_, {"3", "a", "5", "n"}).last_change()),
              UnorderedElementsAre("1,2", "3", "both 3"))
      << "that it goes may bring something to results that do not show it";
  EXPECT_THAT(affected(t_.insert(full_, {"4", "a", "5", "n"}).last_change()), IsEmpty());
  EXPECT_THAT(affected(t_.insert(full_, {std::nullopt, "a", "5", "n"}).last_change()),
              UnorderedElementsAre("1,2", "3", "both 1", "both 3"));
}

TEST_F(DependencyIndexTest, WhatIsComputedOfARowFindsEntriesByHash) {
  sql::Predicate name;
  name.kind = sql::Predicate::Kind::kColumn;
  name.column = column("name");
  sql::Predicate value;
  value.kind = sql::Predicate::Kind::kCoalesce;
  value.children = {name, name};
  sql::Predicate operand;
  operand.kind = sql::Predicate::Kind::kOperand;
  sql::Dependency d = whole(kUsers);
  d.residual.kind = sql::Predicate::Kind::kCompareValues;
  d.residual.op = sql::CompareOp::kEq;
  d.residual.children = {value, operand};
  d.value_binding = sql::ValueBinding{value, operand};
  add(make_shape(1, {d}), "a", {text("a")});
  add(make_shape(1, {d}), "b", {text("b")});
  add(make_shape(1, {d}), "not known", {unknown()});
  EXPECT_THAT(affected(t_.insert(full_, {"1", "a", "5", "n"}).last_change()),
              UnorderedElementsAre("a", "not known"));
  EXPECT_THAT(affected(t_.insert(full_, {"1", "c", "5", "n"}).last_change()),
              ElementsAre("not known"));
  EXPECT_THAT(affected(t_.insert(full_, {"1", std::nullopt, "5", "n"}).last_change()), IsEmpty());
  EXPECT_THAT(affected(t_.remove(keyed_, {"1", "", "", ""}).last_change()),
              UnorderedElementsAre("a", "b", "not known"));
  // Values of another family may equal it in ways that are not looked for by hash.
  add(make_shape(1, {d}), "number", {number(3)});
  EXPECT_THAT(affected(t_.insert(full_, {"1", "c", "5", "n"}).last_change()),
              UnorderedElementsAre("not known", "number"));
  while (!entries_.empty()) remove(entries_.back().get());
  EXPECT_EQ(index_.node_count(), 0u);
}

TEST_F(DependencyIndexTest, AnUpdateOfWhatNoConditionLooksAtMattersToThoseThatShowTheRow) {
  sql::Dependency d = whole(kUsers);
  d.shown = shows_former("id", 0);
  d.shown.columns_tested = {"age"};
  add(make_shape(1, {d}), "1", {}, std::vector{1});
  add(make_shape(1, {d}), "2", {}, std::vector{2});
  EXPECT_THAT(affected(t_.update(full_, {"1", "a", "5", "n"}, {"1", "b", "5", "n"}).last_change()),
              ElementsAre("1"));
  EXPECT_THAT(affected(t_.update(full_, {"3", "a", "5", "n"}, {"3", "b", "5", "n"}).last_change()),
              IsEmpty());
  EXPECT_THAT(affected(t_.update(full_, {"3", "a", "5", "n"}, {"3", "a", "6", "n"}).last_change()),
              UnorderedElementsAre("1", "2"))
      << "the row may have come into the result";
  EXPECT_THAT(affected(t_.update(keyed_, {"3", "a", "5", "n"}).last_change()),
              UnorderedElementsAre("1", "2"))
      << "its age may have been another";
}

TEST_F(DependencyIndexTest, CoarseIsWhatABetterKnownRowWouldHaveSpared) {
  add(make_shape(1, {where_equal(kUsers, "age")}), "five", {number(5)});
  add(make_shape(1, {where_equal(kUsers, "age")}), "six", {number(6)});
  (void)affected(t_.update(keyed_, {"1", "a", "5", "n"}).last_change());
  EXPECT_EQ(coarse_, 1) << "five holds the row now";
  (void)affected(t_.update(full_, {"1", "a", "6", "n"}, {"1", "a", "5", "n"}).last_change());
  EXPECT_EQ(coarse_, 0);
  sql::Dependency names = where_equal(kOrders, "id");
  names.reads_all_columns = false;
  names.columns_read = {"id", "name"};
  add(make_shape(2, {names}), "name of one", {number(1)});
  const auto orders = stream_relation(kOrders);
  EXPECT_THAT(affected(t_.update(orders, {"1", "a", "5", "n"}).last_change()),
              ElementsAre("name of one"));
  EXPECT_EQ(coarse_, 1) << "the name may be the same as before";
  const std::string before = encode_row(t_.cells({"1", "a", "4", "n"}), {});
  EXPECT_THAT(affected(t_.update(orders, {"1", "a", "5", "n"}).last_change(), before), IsEmpty());
  EXPECT_THAT(affected(t_.update(orders, {"1", "b", "5", "n"}).last_change(), before),
              ElementsAre("name of one"));
  EXPECT_EQ(coarse_, 0);
}

}  // namespace
}  // namespace pgcache::cache
