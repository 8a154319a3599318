// SPDX-License-Identifier: Apache-2.0
// The store of last row images: by example, and against a table that is changed at random.
#include "cache/image_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "cache/cache_test_support.h"

namespace pgcache::cache {
namespace {

using namespace testing;  // NOLINT: this module's own

class ImageStoreTest : public ::testing::Test {
 protected:
  // The row before the last change of the builder, spelled with commas; "-" when not known.
  std::string step(TransactionBuilder& t, bool keep = true) {
    const StoredRow row = store_.step(t.last_change(), keep);
    return row ? spell(row.bytes()) : "-";
  }
  static std::string spell(std::string_view row) {
    std::string text;
    for (const cdc::Cell& cell : decode_row(row)) {
      if (!text.empty()) text += ',';
      if (cell.kind == cdc::CellKind::kNull) text += "NULL";
      if (cell.kind == cdc::CellKind::kAbsent) text += '?';
      text += cell.bytes;
    }
    return text;
  }

  ImageStore store_{1 << 20};
  std::shared_ptr<const cdc::StreamRelation> users_ = stream_relation(kUsers, 'd');
  TransactionBuilder t_{1, 1};
};

TEST_F(ImageStoreTest, WhatWasWrittenIsWhatIsReplaced) {
  EXPECT_EQ(step(t_.insert(users_, {"1", "a", "5", std::nullopt})), "-");
  EXPECT_EQ(step(t_.update(users_, {"1", "b", "6", "n"})), "1,a,5,NULL");
  EXPECT_EQ(step(t_.update(users_, {"1", "", "", ""}, {"2", "b", "7", "n"})), "1,b,6,n");
  EXPECT_EQ(step(t_.remove(users_, {"1", "", "", ""})), "-") << "it has moved";
  EXPECT_EQ(step(t_.remove(users_, {"2", "", "", ""})), "2,b,7,n");
  EXPECT_EQ(step(t_.insert(users_, {"2", "c", "8", "n"})), "-");
  EXPECT_EQ(step(t_.update(users_, {"2", "c", "9", "n"})), "2,c,8,n");
  EXPECT_EQ(store_.size(), 1u);
  EXPECT_EQ(step(t_.truncate(users_)), "-");
  EXPECT_EQ(step(t_.update(users_, {"2", "c", "9", "n"})), "-");
}

TEST_F(ImageStoreTest, WhatMayNotBeKeptTakesTheOldImageAway) {
  step(t_.insert(users_, {"1", "a", "5", "n"}));
  EXPECT_EQ(step(t_.update(users_, {"1", "a", "6", "n"}), false), "1,a,5,n");
  EXPECT_EQ(step(t_.update(users_, {"1", "a", "7", "n"})), "-");
  EXPECT_EQ(step(t_.update(users_, {"1", "", "", ""}, {"2", "a", "8", "n"}), false), "1,a,7,n");
  EXPECT_EQ(step(t_.update(users_, {"2", "a", "9", "n"})), "-");
  const auto orders = stream_relation(kOrders, 'd');
  EXPECT_EQ(step(t_.insert(orders, {"1", "a", "9", "n"}), false), "-");
  EXPECT_EQ(step(t_.remove(orders, {"1", "", "", ""}), false), "-");
}

TEST_F(ImageStoreTest, AnUnchangedToastValueIsTakenFromTheImageBefore) {
  const auto with_toast = [&](std::string age) {
    std::vector<cdc::Cell> row = t_.cells({"1", "", std::move(age), "n"});
    row[1] = {cdc::CellKind::kUnchangedToast, {}};
    return row;
  };
  t_.add(cdc::ChangeKind::kUpdate, users_, {}, with_toast("5"));
  EXPECT_EQ(step(t_), "-");
  t_.add(cdc::ChangeKind::kUpdate, users_, {}, with_toast("6"));
  EXPECT_EQ(step(t_), "1,?,5,n");
  EXPECT_EQ(step(t_.update(users_, {"1", "long", "7", "n"})), "1,?,6,n");
  t_.add(cdc::ChangeKind::kUpdate, users_, {}, with_toast("8"));
  EXPECT_EQ(step(t_), "1,long,7,n");
  EXPECT_EQ(step(t_.remove(users_, {"1", "", "", ""})), "1,long,8,n");
}

TEST_F(ImageStoreTest, ANewFormForgetsTheRows) {
  step(t_.insert(users_, {"1", "a", "5", "n"}));
  const auto again = stream_relation(kUsers, 'd');
  EXPECT_EQ(step(t_.update(again, {"1", "a", "6", "n"})), "-");
  EXPECT_EQ(step(t_.update(again, {"1", "a", "7", "n"})), "1,a,6,n");
  store_.drop(kUsers);
  EXPECT_EQ(step(t_.update(again, {"1", "a", "8", "n"})), "-");
  store_.drop_all();
  EXPECT_EQ(store_.bytes(), 0u);
  EXPECT_EQ(step(t_.update(again, {"1", "a", "9", "n"})), "-");
  EXPECT_EQ(store_.take_remains().size(), 3u);
}

TEST_F(ImageStoreTest, OnlyWhatAKeyTellsApartIsKept) {
  for (const char identity : {'f', 'n'}) {
    const auto form = stream_relation(kUsers, identity);
    step(t_.insert(form, {"1", "a", "5", "n"}));
    EXPECT_EQ(store_.size(), 0u);
  }
  auto floating = std::make_shared<cdc::StreamRelation>(*users_);
  floating->columns[0].type = pg::type::kFloat8;
  step(t_.insert(floating, {"1", "a", "5", "n"}));
  EXPECT_EQ(store_.size(), 0u);
  // A key that cannot be read may be anybody's.
  step(t_.insert(users_, {"1", "a", "5", "n"}));
  EXPECT_EQ(store_.size(), 1u);
  step(t_.insert(users_, {std::nullopt, "a", "5", "n"}));
  EXPECT_EQ(store_.size(), 0u);
}

TEST_F(ImageStoreTest, DomainsAreKnownByTheCatalog) {
  constexpr pg::Oid kDomain{20000};
  constexpr pg::Oid kEnum{20001};
  pg::Catalog catalog;
  pg::Type domain;
  domain.oid = kDomain;
  domain.kind = 'd';
  domain.base = pg::type::kInt4;
  catalog.add_type(domain);
  pg::Type mood;
  mood.oid = kEnum;
  mood.kind = 'e';
  mood.labels = {"1", "2"};
  catalog.add_type(mood);
  catalog.finish();
  const auto keyed_by = [&](pg::Oid type) {
    auto form = std::make_shared<cdc::StreamRelation>(*users_);
    form->columns[0].type = type;
    return form;
  };
  const auto by_domain = keyed_by(kDomain);
  store_.step(t_.insert(by_domain, {"1", "a", "5", "n"}).last_change(), true);
  EXPECT_EQ(store_.size(), 0u);
  store_.step(t_.insert(by_domain, {"1", "a", "5", "n"}).last_change(), true, &catalog);
  EXPECT_EQ(store_.size(), 1u);
  const StoredRow row =
      store_.step(t_.remove(by_domain, {"1", "", "", ""}).last_change(), true, &catalog);
  ASSERT_TRUE(row);
  EXPECT_EQ(spell(row.bytes()), "1,a,5,n");
  // A label may be renamed.
  store_.step(t_.insert(keyed_by(kEnum), {"1", "a", "5", "n"}).last_change(), true, &catalog);
  EXPECT_EQ(store_.size(), 0u);
}

TEST_F(ImageStoreTest, TheBudgetIsKeptByForgettingTheLeastRecentlyUsed) {
  ImageStore store(64 << 10);
  const auto orders = stream_relation(kOrders, 'd');
  for (int i = 0; i < 1000; ++i) {
    TransactionBuilder t(1, 1);
    store.step(t.insert(i % 2 ? users_ : orders, {std::to_string(i), "a", "5", "n"}).last_change(),
               true);
    // One that is used all the time.
    store.step(t.update(users_, {"-1", "a", "5", "n"}).last_change(), true);
    ASSERT_LE(store.bytes(), 64u << 10);
  }
  EXPECT_GT(store.size(), 100u);
  TransactionBuilder t(1, 1);
  EXPECT_TRUE(store.step(t.remove(users_, {"-1", "", "", ""}).last_change(), true));
  EXPECT_TRUE(store.step(t.remove(users_, {"999", "", "", ""}).last_change(), true));
  EXPECT_TRUE(store.step(t.remove(orders, {"998", "", "", ""}).last_change(), true));
  EXPECT_FALSE(store.step(t.remove(users_, {"1", "", "", ""}).last_change(), true));
  store.step(t.insert(users_, {"7", std::string(60'000, 'x'), "5", "n"}).last_change(), true);
  EXPECT_FALSE(store.step(t.remove(users_, {"7", "", "", ""}).last_change(), true)) << "too large";
  EXPECT_FALSE(ImageStore(0).enabled());
}

// Whatever is said of a row before a change is true, and with room for all of them all is said that
// was seen.
TEST_F(ImageStoreTest, NeverTellsARowThatIsNotThere) {
  std::mt19937 random(11);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (const std::uint64_t budget : {std::uint64_t{4000}, std::uint64_t{1} << 20}) {
    ImageStore store(budget);
    std::map<int, std::string> rows;  // as spelled
    std::map<int, bool> seen;
    int told = 0;
    for (int step = 0; step < 20'000; ++step) {
      TransactionBuilder t(1, 1);
      const int id = pick(12);
      const int moved = pick(4) ? id : pick(12);
      const Row row = {std::to_string(moved), std::to_string(step), std::to_string(pick(9)), "n"};
      const Row key = {std::to_string(id), "", "", ""};
      const std::string before = rows.contains(id) ? rows.at(id) : "";
      const bool was_seen = seen[id];
      const bool keep = pick(10) != 0;
      if (pick(500) == 0) {
        store.step(t.truncate(users_).last_change(), keep);
        rows.clear();
        continue;
      }
      if (before.empty()) {
        if (moved != id) continue;
        t.insert(users_, row);
      } else if (pick(4) == 0) {
        t.remove(users_, key);
      } else {
        if (moved != id && rows.contains(moved)) continue;
        if (moved == id) t.update(users_, row);
        if (moved != id) t.update(users_, key, row);
      }
      rows.erase(id);
      const auto& change = t.last_change();
      if (!change.new_row.empty()) {
        rows[moved] = spell(encode_row(change.new_row, {}));
        seen[moved] = keep;
      }
      const StoredRow told_row = store.step(change, keep);
      if (told_row) {
        ++told;
        ASSERT_EQ(spell(told_row.bytes()), before) << "step " << step;
      }
      if (budget > 4000 && !before.empty()) {
        ASSERT_EQ(static_cast<bool>(told_row), was_seen) << "step " << step;
      }
    }
    EXPECT_GT(told, 5000);
  }
}

}  // namespace
}  // namespace pgcache::cache
