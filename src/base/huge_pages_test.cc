// SPDX-License-Identifier: Apache-2.0
// Tables that grow from the heap into huge pages and back.
#include "base/huge_pages.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace pgcache {
namespace {

using Table = std::vector<std::uint64_t, HugePageAllocator<std::uint64_t>>;
constexpr std::size_t kLarge = 3 * kHugePageBytes / sizeof(std::uint64_t) + 17;

bool is_aligned(const Table& table) {
  return reinterpret_cast<std::uintptr_t>(table.data()) % kHugePageBytes == 0;
}

TEST(HugePages, ATableKeepsWhatItHoldsAsItGrows) {
  Table table;
  for (std::uint64_t i = 0; i < kLarge; ++i) table.push_back(i * i);
  for (std::uint64_t i = 0; i < kLarge; ++i) ASSERT_EQ(table[i], i * i);
  EXPECT_TRUE(is_aligned(table));
  table.resize(10);
  table.shrink_to_fit();
  EXPECT_EQ(table[9], 81u);
}

TEST(HugePages, AllOfThemAreOneAllocator) {
  Table from(kLarge, 7);
  Table to;
  to = std::move(from);
  EXPECT_EQ(to.size(), kLarge);
  EXPECT_EQ(to.back(), 7u);
  EXPECT_TRUE(is_aligned(to));
}

}  // namespace
}  // namespace pgcache
