// SPDX-License-Identifier: Apache-2.0
// The hash table of owned objects against a map of the standard library.
#include "base/pointer_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace pgcache {
namespace {

struct Counted {
  explicit Counted(int the_number) : number(the_number) { ++alive; }
  ~Counted() { --alive; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  const int number;
  static int alive;
};
int Counted::alive = 0;

Counted* find(const PointerTable<Counted>& table, std::uint64_t hash, int number) {
  return table.find(hash, [&](const Counted& c) { return c.number == number; });
}

TEST(PointerTable, HoldsWhatAMapHolds) {
  std::mt19937_64 random(1);
  // Hashes that spread, that all want the same place, and that want the last one.
  for (const std::uint64_t spread : {~0ull, 0xffull, 0xfull << 60}) {
    const std::uint64_t base = spread == 0xffull ? 0 : ~spread;
    {
      PointerTable<Counted> table;
      std::map<int, std::pair<std::uint64_t, Counted*>> model;
      for (int step = 0; step < 20'000; ++step) {
        const int number = static_cast<int>(random() % 300);
        const auto it = model.find(number);
        if (it == model.end()) {
          const std::uint64_t hash = base | (random() & spread);
          Counted& added = table.insert(hash, std::make_unique<Counted>(number));
          model[number] = {hash, &added};
        } else if (random() % 3 == 0) {
          const auto [hash, item] = it->second;
          ASSERT_EQ(table.take(hash, *item)->number, number);
          model.erase(it);
          ASSERT_EQ(find(table, hash, number), nullptr);
        }
        ASSERT_EQ(table.size(), model.size());
        if (step % 50 != 0) continue;
        for (const auto& [n, place] : model) ASSERT_EQ(find(table, place.first, n), place.second);
        int sum = 0, expected = 0;
        table.each([&](const Counted& c) { sum += c.number; });
        for (const auto& [n, place] : model) expected += n;
        ASSERT_EQ(sum, expected);
      }
      ASSERT_EQ(Counted::alive, static_cast<int>(model.size()));
    }
    ASSERT_EQ(Counted::alive, 0) << "the table owns what it holds";
  }
}

TEST(PointerTable, AnEmptyOneIsAsked) {
  PointerTable<Counted> table;
  table.prefetch(~0ull);
  EXPECT_EQ(find(table, ~0ull, 1), nullptr);
  EXPECT_EQ(table.size(), 0u);
}

TEST(PointerTable, MovesAsAWhole) {
  PointerTable<Counted> from;
  for (int i = 0; i < 100; ++i) {
    from.insert(static_cast<std::uint64_t>(i) << 56, std::make_unique<Counted>(i));
  }
  PointerTable<Counted> to = std::move(from);
  EXPECT_EQ(to.size(), 100u);
  EXPECT_NE(find(to, 7ull << 56, 7), nullptr);
  to = PointerTable<Counted>();
  EXPECT_EQ(Counted::alive, 0);
}

}  // namespace
}  // namespace pgcache
