// SPDX-License-Identifier: Apache-2.0
// Expectations about pairs of spellings, for the tests of values.
#pragma once

#include <gtest/gtest.h>

#include <string_view>

#include "pg/value.h"

namespace pgcache::pg {

inline void expect_same(Oid type_a, std::string_view a, Oid type_b, std::string_view b) {
  const auto x = parse_text(type_a, a);
  const auto y = parse_text(type_b, b);
  ASSERT_TRUE(x) << "not read: " << a;
  ASSERT_TRUE(y) << "not read: " << b;
  EXPECT_EQ(*x, *y) << a << " and " << b;
  EXPECT_EQ(x->hash(), y->hash()) << a << " and " << b;
  EXPECT_EQ(compare(*x, *y), std::strong_ordering::equal) << a << " and " << b;
}

inline void expect_less(Oid type, std::string_view a, std::string_view b) {
  const auto x = parse_text(type, a);
  const auto y = parse_text(type, b);
  ASSERT_TRUE(x) << "not read: " << a;
  ASSERT_TRUE(y) << "not read: " << b;
  EXPECT_NE(*x, *y) << a << " and " << b;
  EXPECT_EQ(compare(*x, *y), std::strong_ordering::less) << a << " and " << b;
  EXPECT_EQ(compare(*y, *x), std::strong_ordering::greater) << a << " and " << b;
}

}  // namespace pgcache::pg

// With the line of the caller in the report.
#define EXPECT_SAME(type_a, a, type_b, b)                     \
  do {                                                        \
    SCOPED_TRACE("here");                                     \
    ::pgcache::pg::expect_same((type_a), (a), (type_b), (b)); \
  } while (false)
#define EXPECT_LESS(type, a, b)                   \
  do {                                            \
    SCOPED_TRACE("here");                         \
    ::pgcache::pg::expect_less((type), (a), (b)); \
  } while (false)
