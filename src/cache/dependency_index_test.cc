// SPDX-License-Identifier: Apache-2.0
// Row images, relevance, and the index: by example, and against testing every entry.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "cache/dependency_index_test_support.h"

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST_F(DependencyIndexTest, AnEqualityFindsItsKeyOnly) {
  const ShapePtr by_id = make_shape(1, {where_equal(kUsers, "id")});
  add(by_id, "one", {number(1)});
  add(by_id, "two", {number(2)});
  add(by_id, "unknown", {unknown()});
  add(by_id, "null", {null()});
  EXPECT_THAT(affected(t_.insert(keyed_, {"1", "a", "3", "n"}).last_change()),
              UnorderedElementsAre("one", "unknown"));
  EXPECT_THAT(affected(t_.remove(keyed_, {"2", "a", "3", "n"}).last_change()),
              UnorderedElementsAre("two", "unknown"));
  EXPECT_THAT(affected(t_.truncate(keyed_).last_change()),
              UnorderedElementsAre("one", "two", "unknown", "null"));
  EXPECT_THAT(affected(t_.insert(stream_relation(kOrders), {"1", "a", "3", "n"}).last_change()),
              IsEmpty());
}

TEST_F(DependencyIndexTest, NullEqualsNothing) {
  add(make_shape(1, {where_equal(kUsers, "age")}), "null", {null()});
  add(make_shape(2, {where_equal(kUsers, "age")}), "unknown", {unknown()});
  sql::Dependency or_null = where_equal(kUsers, "age");
  or_null.equalities[0].or_null = true;
  add(make_shape(3, {or_null}), "or null", {number(3)});
  EXPECT_THAT(affected(t_.insert(keyed_, {"1", "a", std::nullopt, "n"}).last_change()),
              ElementsAre("or null"));
  EXPECT_THAT(affected(t_.remove(keyed_, {"1", "", "", ""}).last_change()),
              UnorderedElementsAre("unknown", "or null"))
      << "whatever its age was";
}

TEST_F(DependencyIndexTest, AListKeepsWorkingAsEntriesComeAndGo) {
  const ShapePtr all = make_shape(1, {whole(kUsers)});
  const auto change = [&] {
    return affected(t_.insert(keyed_, {"1", "a", "3", "n"}).last_change());
  };
  for (int i = 0; i < 200; ++i) add(all, std::to_string(i), {});
  for (int i = 0; i < 190; ++i) remove(entries_[i % 2 == 0 ? 0 : entries_.size() / 2].get());
  EXPECT_THAT(change(), ::testing::SizeIs(10));
  for (int i = 200; i < 215; ++i) add(all, std::to_string(i), {});
  EXPECT_THAT(change(), ::testing::SizeIs(25));
  while (!entries_.empty()) remove(entries_.back().get());
  EXPECT_EQ(index_.node_count(), 0u);
}

TEST_F(DependencyIndexTest, AnUpdateCountsForBothItsImages) {
  const ShapePtr by_id = make_shape(1, {where_equal(kUsers, "id")});
  add(by_id, "one", {number(1)});
  add(by_id, "two", {number(2)});
  add(by_id, "three", {number(3)});
  EXPECT_THAT(affected(t_.update(keyed_, {"1", "a", "3", "n"}).last_change()), ElementsAre("one"))
      << "without an old row the key is the same as before";
  EXPECT_THAT(affected(t_.update(keyed_, {"1", "", "", ""}, {"2", "a", "3", "n"}).last_change()),
              UnorderedElementsAre("one", "two"));
}

TEST_F(DependencyIndexTest, AnUnknownOldColumnMayHaveBeenAnything) {
  const ShapePtr by_age = make_shape(1, {where_equal(kUsers, "age")});
  add(by_age, "five", {number(5)});
  add(by_age, "six", {number(6)});
  EXPECT_THAT(affected(t_.update(keyed_, {"1", "a", "5", "n"}).last_change()),
              UnorderedElementsAre("five", "six"));
  EXPECT_THAT(affected(t_.remove(keyed_, {"1", "", "", ""}).last_change()),
              UnorderedElementsAre("five", "six"));
  EXPECT_THAT(affected(t_.insert(keyed_, {"1", "a", "5", "n"}).last_change()), ElementsAre("five"));
  EXPECT_THAT(affected(t_.update(full_, {"1", "a", "6", "n"}, {"1", "a", "7", "n"}).last_change()),
              ElementsAre("six"));
}

TEST_F(DependencyIndexTest, AFullUpdateOfOtherColumnsIsInvisible) {
  sql::Dependency d = where_equal(kUsers, "id");
  d.reads_all_columns = false;
  d.columns_read = {"id", "name"};
  add(make_shape(1, {d}), "name of one", {number(1)});
  add(make_shape(2, {where_equal(kUsers, "id")}), "all of one", {number(1)});
  EXPECT_THAT(affected(t_.update(full_, {"1", "a", "6", "n"}, {"1", "a", "7", "m"}).last_change()),
              ElementsAre("all of one"));
  EXPECT_THAT(affected(t_.update(full_, {"1", "a", "6", "n"}, {"1", "b", "6", "n"}).last_change()),
              UnorderedElementsAre("name of one", "all of one"));
  EXPECT_THAT(affected(t_.update(keyed_, {"1", "a", "7", "m"}).last_change()),
              UnorderedElementsAre("name of one", "all of one"))
      << "the old name is not known";
}

TEST_F(DependencyIndexTest, ACountHeedsNoUpdateThatKeepsItsColumns) {
  sql::Dependency d = whole(kUsers);
  d.reads_all_columns = false;
  add(make_shape(1, {d}), "count", {});
  EXPECT_THAT(affected(t_.update(keyed_, {"1", "a", "7", "m"}).last_change()), IsEmpty());
  EXPECT_THAT(affected(t_.insert(keyed_, {"1", "a", "7", "m"}).last_change()),
              ElementsAre("count"));
}

TEST_F(DependencyIndexTest, AnUnchangedToastValueIsUnknownButUnchanged) {
  sql::Dependency d = where_equal(kUsers, "name");
  add(make_shape(1, {d}), "a", {text("a")});
  d.reads_all_columns = false;
  d.columns_read = {"note"};
  d.equalities.clear();
  add(make_shape(2, {d}), "notes", {});
  std::vector<cdc::Cell> row = t_.cells({"1", "x", "3", "n"});
  row[1] = {cdc::CellKind::kUnchangedToast, {}};
  row[3] = {cdc::CellKind::kUnchangedToast, {}};
  t_.add(cdc::ChangeKind::kUpdate, keyed_, {}, row);
  EXPECT_THAT(affected(t_.last_change()), ElementsAre("a"));
}

TEST_F(DependencyIndexTest, AListAndARangeFindTheirOwn) {
  const ShapePtr in_list = make_shape(1, {where_in(kUsers, "age", {0, 1})});
  add(in_list, "1,2", {number(1), number(2)});
  add(in_list, "2,3", {number(2), number(3)});
  add(in_list, "2,2", {number(2), number(2)});
  add(in_list, "3,null", {number(3), null()});
  EXPECT_THAT(affected(t_.insert(keyed_, {"1", "a", "2", "n"}).last_change()),
              UnorderedElementsAre("1,2", "2,3", "2,2"));
  EXPECT_THAT(affected(t_.insert(keyed_, {"1", "a", "3", "n"}).last_change()),
              UnorderedElementsAre("2,3", "3,null"));
  const ShapePtr in_range = make_shape(2, {where_between(kOrders, "age")});
  const auto orders = stream_relation(kOrders);
  add(in_range, "0..10", {number(0), number(10)});
  add(in_range, "10..20", {number(10), number(20)});
  EXPECT_THAT(affected(t_.insert(orders, {"1", "a", "10", "n"}).last_change()),
              ElementsAre("10..20"));
  EXPECT_THAT(affected(t_.insert(orders, {"1", "a", std::nullopt, "n"}).last_change()), IsEmpty());
  EXPECT_THAT(affected(t_.insert(orders, {"1", "a", "20", "n"}).last_change()), IsEmpty());
}

TEST_F(DependencyIndexTest, MembersCountAsTheRelation) {
  sql::Dependency d = where_equal(kUsers, "id");
  d.members = {kUsers, kOrders, kUsers};
  Entry* entry = add(make_shape(1, {d}), "one", {number(1)});
  EXPECT_THAT(affected(t_.insert(stream_relation(kOrders), {"1", "a", "3", "n"}).last_change()),
              ElementsAre("one"));
  index_.remove(*entry);
  EXPECT_FALSE(index_.knows(kUsers));
  EXPECT_FALSE(index_.knows(kOrders));
  EXPECT_EQ(index_.node_count(), 0u);
}

TEST_F(DependencyIndexTest, ColumnsThatTheStreamDoesNotShowAsExpectedAreUnknown) {
  auto other = std::make_shared<cdc::StreamRelation>(*keyed_);
  other->columns[0].type = pg::type::kInt8;
  other->columns[2].name = "years";
  add(make_shape(1, {where_equal(kUsers, "id")}), "id", {number(9)});
  add(make_shape(2, {where_equal(kUsers, "age")}), "age", {number(9)});
  add(make_shape(3, {where_equal(kUsers, "name")}), "name", {text("z")});
  EXPECT_THAT(affected(t_.insert(other, {"1", "a", "3", "n"}).last_change()),
              UnorderedElementsAre("id", "age"));
}

// The index finds exactly the entries that testing each one finds, through additions and removals.
TEST_F(DependencyIndexTest, FindsWhatTestingEveryEntryFinds) {
  std::mt19937 random(7);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  sql::Dependency two = where_equal(kUsers, "age", 0);
  two.equalities.push_back({column("name"), {1}});
  sql::Dependency mixed = where_equal(kUsers, "id", 0);
  mixed.residual = compare("age", sql::CompareOp::kNe, 1);
  sql::Dependency narrow = where_between(kUsers, "age");
  narrow.reads_all_columns = false;
  narrow.columns_read = {"age", "name"};
  sql::Dependency or_null = where_equal(kUsers, "age", 0);
  or_null.equalities[0].or_null = true;
  sql::Dependency or_null_list = where_in(kUsers, "age", {0, 1});
  or_null_list.equalities[0].or_null = true;
  sql::Dependency guarded = where_equal(kUsers, "id", 0);
  guarded.guard = operand_is_not_null(1);
  sql::Dependency unread_name = where_equal(kUsers, "age", 0);
  unread_name.reads_all_columns = false;
  unread_name.columns_read = {"id", "age"};
  // What they show of their rows matters in different ways.
  const auto showing = [](sql::Dependency d, bool before, bool after) {
    d.shown = shows_former("id", 0);
    d.shown.before = before;
    d.shown.after = after;
    return d;
  };
  narrow = showing(narrow, true, false);
  narrow.shown.columns_tested = {"age"};
  unread_name = showing(unread_name, true, false);
  unread_name.shown.columns_tested = {"age"};
  two = showing(two, true, true);
  mixed = showing(mixed, false, true);
  or_null = showing(or_null, true, false);
  const sql::Dependency by_id = showing(where_equal(kUsers, "id"), true, false);
  const sql::Dependency all = showing(whole(kUsers), false, true);
  const std::vector<ShapePtr> shapes = {
      make_shape(1, {by_id}),
      make_shape(2, {two}),
      make_shape(3, {mixed}),
      make_shape(4, {showing(where_in(kUsers, "age", {0, 1}), true, false)}),
      make_shape(5, {narrow}),
      make_shape(6, {all}),
      make_shape(7, {by_id, narrow}),
      with_array(make_shape(8, {where_array(kUsers, "age")})),
      make_shape(9, {or_null}),
      make_shape(10, {or_null_list, guarded}),
      make_shape(11, {guarded}),
      make_shape(12, {unread_name})};
  const auto operand = [&](bool is_text) {
    switch (pick(12)) {
      case 0:
        return null();
      case 1:
        return unknown();
      case 2:
        return text("1");
      default:
        return is_text ? text(std::to_string(pick(6))) : number(pick(6));
    }
  };
  const auto cell = [&]() -> std::optional<std::string> {
    if (pick(10) == 0) return std::nullopt;
    return std::to_string(pick(6));
  };
  for (int step = 0; step < 6000; ++step) {
    if (entries_.size() < 100 || pick(2) == 0) {
      const ShapePtr& shape = shapes[static_cast<std::size_t>(pick(12))];
      sql::Operand first = operand(false);
      if (shape->id.value == 8 && first.known()) first = text(std::to_string(pick(600)));
      // It says that it shows some ids, true or not: what matters is that all agree on it.
      std::optional<std::vector<int>> shown;
      const bool may_show = shape->id.value != 10 && shape->id.value != 11;
      if (may_show && pick(2) == 0) shown = std::vector{pick(3), 3 + pick(3)};
      add(shape, "e" + std::to_string(step), {first, operand(shape->id.value == 2)},
          std::move(shown));
    } else {
      remove(entries_[static_cast<std::size_t>(pick(static_cast<int>(entries_.size())))].get());
    }
    TransactionBuilder t(1, 1);
    const auto& form = pick(2) ? keyed_ : full_;
    const Row old_row = {std::to_string(pick(6)), cell(), cell(), cell()};
    const Row new_row = {std::to_string(pick(6)), cell(), cell(), cell()};
    const int kind = pick(4);
    if (kind == 0) t.insert(form, new_row);
    if (kind == 1) t.remove(form, old_row);
    if (kind == 2) t.update(form, old_row, new_row);
    if (kind == 3) t.update(form, new_row);
    std::string stored;
    if (form == keyed_ && kind != 0 && pick(3) == 0) {
      Row row = kind == 3 ? new_row : old_row;
      row[1] = cell();
      row[2] = cell();
      stored = encode_row(t.cells(row), {});
    }
    const ChangeImages images(t.last_change(), forms_.form_of(form), stored);
    ASSERT_THAT(affected(t.last_change(), stored),
                ::testing::UnorderedElementsAreArray(by_testing_each(images)))
        << "step " << step;
  }
  while (!entries_.empty()) remove(entries_.back().get());
  EXPECT_EQ(index_.node_count(), 0u);
  EXPECT_FALSE(index_.knows(kUsers));
}

}  // namespace
}  // namespace pgcache::cache
