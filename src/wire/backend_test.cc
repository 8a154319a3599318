// SPDX-License-Identifier: Apache-2.0
#include "wire/backend.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace pgcache::wire {
namespace {

using std::string_literals::operator""s;

// A RowDescription of one column of a table.
std::string description(std::string_view name, std::uint32_t table, std::uint32_t type,
                        std::uint32_t modifier, std::uint16_t format) {
  std::string out = "T\0\0\0\0\0\1"s + std::string(name) + '\0';
  append_be32(out, table);
  append_be16(out, 1);
  append_be32(out, type);
  append_be16(out, 4);
  append_be32(out, modifier);
  append_be16(out, format);
  return out;
}

TEST(SameColumns, AreToldByNamesAndTypes) {
  const std::string known = description("a", 7, 23, 0, 0);
  EXPECT_TRUE(same_columns(known, known));
  EXPECT_TRUE(same_columns(known, description("a", 8, 23, 0, 1)));  // a table made anew
  EXPECT_FALSE(same_columns(known, description("b", 7, 23, 0, 0)));
  EXPECT_FALSE(same_columns(known, description("a", 7, 20, 0, 0)));
  EXPECT_FALSE(same_columns(known, description("a", 7, 23, 5, 0)));
  const std::string nothing = "n\0\0\0\4"s;
  EXPECT_TRUE(same_columns(nothing, nothing));
  EXPECT_FALSE(same_columns(nothing, known));
  EXPECT_FALSE(same_columns(known, {}));
  EXPECT_FALSE(same_columns(known, known.substr(0, known.size() - 1)));
}

}  // namespace
}  // namespace pgcache::wire
