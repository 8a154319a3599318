// SPDX-License-Identifier: Apache-2.0
// Row images, relevance, and the index: by example, and against testing every entry.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "cache/cache_test_support.h"
#include "cache/relevance.h"

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using State = sql::Operand::State;

class DependencyIndexTest : public ::testing::Test {
 protected:
  // `shown`: the ids that the result shows of its first dependency, if it shows any.
  Entry* add(const ShapePtr& shape, std::string key, std::vector<sql::Operand> operands,
             std::optional<std::vector<int>> shown = std::nullopt) {
    auto entry = std::make_unique<Entry>();
    entry->key = std::move(key);
    entry->shape = shape;
    const sql::CacheableQuery& query = *shape->analysis.cacheable();
    entry->operands = bind_arrays(query, std::move(operands), split_digits);
    std::vector<Standing> standings = standings_of(query, entry->operands);
    if (shown) standings[0].shown = shown_ids(*shown);
    index_.add(*entry, standings);
    standings_[entry.get()] = std::move(standings);
    entries_.push_back(std::move(entry));
    return entries_.back().get();
  }

  void remove(Entry* entry) {
    index_.remove(*entry);
    standings_.erase(entry);
    std::erase_if(entries_, [entry](const auto& e) { return e.get() == entry; });
  }

  // An "array" is a text here, and each of its digits an element; 'n' is NULL.
  static std::optional<std::vector<pg::MaybeValue>> split_digits(const pg::ValueType&,
                                                                 const pg::Value& value) {
    std::vector<pg::MaybeValue> elements;
    for (const char c : value.bytes()) {
      if (c == 'x') return std::nullopt;
      elements.push_back(c == 'n' ? pg::MaybeValue::null()
                                  : pg::MaybeValue::of(pg::Value::integer(c - '0')));
    }
    return elements;
  }

  ShownKeys shown_ids(const std::vector<int>& ids) {
    ShownKeys keys;
    keys.columns = {column("id")};
    for (const int id : ids) {
      TransactionBuilder t(1, 1);
      t.insert(keyed_, {std::to_string(id), "", "0", ""});
      const ChangeImages images(t.last_change(), forms_.form_of(keyed_));
      keys.hashes.push_back(*key_hash(keys.columns, *images.after()));
    }
    std::sort(keys.hashes.begin(), keys.hashes.end());
    return keys;
  }

  std::vector<std::string> affected(const cdc::RowChange& change,
                                    const std::string* stored = nullptr) {
    const ChangeImages images(change, forms_.form_of(change.relation), stored);
    return keys_of(index_.affected_by(images));
  }
  std::vector<std::string> keys_of(const std::vector<Entry*>& found) {
    std::vector<std::string> keys;
    coarse_ = 0;
    for (Entry* entry : found) {
      entry->doomed = false;
      coarse_ += entry->coarse ? 1 : 0;
      keys.push_back(entry->key);
    }
    return keys;
  }

  std::vector<std::string> by_testing_each(const ChangeImages& images) {
    std::vector<std::string> keys;
    for (const auto& entry : entries_) {
      const auto& dependencies = entry->shape->analysis.cacheable()->dependencies;
      const std::vector<Standing>& standings = standings_.at(entry.get());
      for (std::size_t i = 0; i < dependencies.size(); ++i) {
        const ShownKeys* shown = standings[i].shown ? &*standings[i].shown : nullptr;
        if (!standings[i].matters ||
            visibility(dependencies[i], images) == Visibility::kInvisible ||
            !change_may_matter(dependencies[i], images, entry->operands, shown)) {
          continue;
        }
        keys.push_back(entry->key);
        break;
      }
    }
    return keys;
  }

  DependencyIndex index_;
  FormCache forms_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::map<Entry*, std::vector<Standing>> standings_;
  int coarse_ = 0;  // of those that were last found
  std::shared_ptr<const cdc::StreamRelation> keyed_ = stream_relation(kUsers, 'd');
  std::shared_ptr<const cdc::StreamRelation> full_ = stream_relation(kUsers, 'f');
  TransactionBuilder t_{1, 1};
};

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
  d.residual = {};
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
  EXPECT_THAT(inserted(std::nullopt), UnorderedElementsAre("null", "unreadable", "unknown"));
  EXPECT_THAT(affected(t_.remove(keyed_, {"1", "", "", ""}).last_change()),
              UnorderedElementsAre("1,2", "2,2,null", "many", "null", "unreadable", "unknown"))
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
  d.residual = {};
  add(make_shape(1, {d}), "five", {number(5)});
  add(make_shape(1, {d}), "six", {number(6)});
  // Another binding, which NULL does not pass, goes first.
  sql::Dependency two = d;
  two.equalities.push_back({column("name"), {1}});
  add(make_shape(2, {two}), "five a", {number(5), text("a")});
  add(make_shape(2, {two}), "five b", {number(5), text("b")});
  sql::Dependency list = where_in(kUsers, "age", {0, 1});
  list.equalities[0].or_null = true;
  list.residual = {};
  add(make_shape(3, {list}), "5,6", {number(5), number(6)});
  EXPECT_THAT(affected(t_.insert(keyed_, {"1", "a", "5", "n"}).last_change()),
              UnorderedElementsAre("five", "five a", "5,6"));
  EXPECT_THAT(affected(t_.insert(keyed_, {"1", "a", std::nullopt, "n"}).last_change()),
              UnorderedElementsAre("five", "six", "five a", "5,6"));
}

TEST_F(DependencyIndexTest, AFormerRowMattersToThoseThatShowItsKey) {
  const ShapePtr by_age = make_shape(1, {where_equal(kUsers, "age")});
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
  EXPECT_THAT(affected(t_.remove(keyed_, {"1", "", "", ""}).last_change(), &six), IsEmpty());
  const std::string five = encode_row(t_.cells({"1", "a", "5", "n"}), {});
  EXPECT_THAT(affected(t_.remove(keyed_, {"1", "", "", ""}).last_change(), &five),
              ElementsAre("five: 1,2"));
  EXPECT_EQ(coarse_, 0);
  EXPECT_THAT(affected(t_.truncate(keyed_).last_change()),
              UnorderedElementsAre("five: 1,2", "six: 3", "seven: none", "eight: unread"));
  while (!entries_.empty()) remove(entries_.front().get());
  EXPECT_EQ(index_.node_count(), 0u);
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
  EXPECT_THAT(affected(t_.update(orders, {"1", "a", "5", "n"}).last_change(), &before), IsEmpty());
  EXPECT_THAT(affected(t_.update(orders, {"1", "b", "5", "n"}).last_change(), &before),
              ElementsAre("name of one"));
  EXPECT_EQ(coarse_, 0);
}

// The index finds exactly the entries that testing each one finds, through additions and removals.
TEST_F(DependencyIndexTest, FindsWhatTestingEveryEntryFinds) {
  std::mt19937 random(7);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  sql::Dependency two = where_equal(kUsers, "age", 0);
  two.equalities.push_back({column("name"), {1}});
  two.residual = both(two.residual, compare("name", sql::CompareOp::kEq, 1));
  sql::Dependency mixed = where_equal(kUsers, "id", 0);
  mixed.residual = both(mixed.residual, compare("age", sql::CompareOp::kNe, 1));
  sql::Dependency narrow = where_between(kUsers, "age");
  narrow.reads_all_columns = false;
  narrow.columns_read = {"age", "name"};
  sql::Dependency or_null = where_equal(kUsers, "age", 0);
  or_null.equalities[0].or_null = true;
  or_null.residual = {};
  sql::Dependency or_null_list = where_in(kUsers, "age", {0, 1});
  or_null_list.equalities[0].or_null = true;
  or_null_list.residual = {};
  sql::Dependency guarded = where_equal(kUsers, "id", 0);
  guarded.guard = operand_is_not_null(1);
  sql::Dependency unread_name = where_equal(kUsers, "age", 0);
  unread_name.reads_all_columns = false;
  unread_name.columns_read = {"id", "age"};
  const std::vector<ShapePtr> shapes = {make_shape(1, {where_equal(kUsers, "id")}),
                                        make_shape(2, {two}),
                                        make_shape(3, {mixed}),
                                        make_shape(4, {where_in(kUsers, "age", {0, 1})}),
                                        make_shape(5, {narrow}),
                                        make_shape(6, {whole(kUsers)}),
                                        make_shape(7, {where_equal(kUsers, "id"), narrow}),
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
    const std::string* before = stored.empty() ? nullptr : &stored;
    const ChangeImages images(t.last_change(), forms_.form_of(form), before);
    ASSERT_THAT(affected(t.last_change(), before),
                ::testing::UnorderedElementsAreArray(by_testing_each(images)))
        << "step " << step;
  }
  while (!entries_.empty()) remove(entries_.back().get());
  EXPECT_EQ(index_.node_count(), 0u);
  EXPECT_FALSE(index_.knows(kUsers));
}

}  // namespace
}  // namespace pgcache::cache
