// SPDX-License-Identifier: Apache-2.0
// Positions, transaction ids and snapshots.
#include "pg/ids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace pgcache::pg {
namespace {

TEST(Lsn, ReadsAndWritesTheTwoHalves) {
  const auto lsn = parse_lsn("16/B374D848");
  ASSERT_TRUE(lsn);
  EXPECT_EQ(lsn->value, 0x16B374D848u);
  EXPECT_EQ(to_string(*lsn), "16/B374D848");
  EXPECT_EQ(to_string(Lsn{}), "0/0");
  EXPECT_EQ(to_string(Lsn{0xFFFFFFFFFFFFFFFF}), "FFFFFFFF/FFFFFFFF");
  EXPECT_EQ(to_string(Lsn{0x100000001}), "1/1");
  EXPECT_EQ(parse_lsn("ffffffff/ffffffff"), Lsn{0xFFFFFFFFFFFFFFFF});
  EXPECT_EQ(parse_lsn("0/0"), Lsn{});
}

TEST(Lsn, RejectsWhatIsNotOne) {
  for (const char* text : {"", "/", "1", "1/", "/1", "1/2/3", " 1/2", "1/2 ", "-1/2", "1/+2", "g/1",
                           "123456789/1", "1/123456789", "0x1/1"}) {
    EXPECT_FALSE(parse_lsn(text)) << text;
  }
}

TEST(Xid, WidensToTheNearest) {
  constexpr std::uint64_t kEpoch = std::uint64_t{1} << 32;
  EXPECT_EQ(widen_xid(100, Xid{90}), Xid{100});
  EXPECT_EQ(widen_xid(90, Xid{100}), Xid{90});
  EXPECT_EQ(widen_xid(5, Xid{kEpoch - 5}), Xid{kEpoch + 5});
  EXPECT_EQ(widen_xid(0xFFFFFFF0, Xid{kEpoch + 5}), Xid{kEpoch - 16});
  EXPECT_EQ(widen_xid(0xFFFFFFF0, Xid{3 * kEpoch + 5}), Xid{3 * kEpoch - 16});
  EXPECT_EQ(widen_xid(7, Xid{5 * kEpoch + 7}), Xid{5 * kEpoch + 7});
  EXPECT_EQ(widen_xid(0x80000007, Xid{7}), Xid{0x80000007});
}

TEST(Xid, NeverWidensBelowZero) {
  EXPECT_EQ(widen_xid(0xFFFFFFF0, Xid{5}), Xid{0xFFFFFFF0});
  EXPECT_EQ(widen_xid(0x80000000, Xid{0}), Xid{0x80000000});
}

TEST(Snapshot, Parses) {
  const auto s = parse_snapshot("10:20:10,14,15");
  ASSERT_TRUE(s);
  EXPECT_EQ(s->xmin, Xid{10});
  EXPECT_EQ(s->xmax, Xid{20});
  EXPECT_THAT(s->xip, testing::ElementsAre(Xid{10}, Xid{14}, Xid{15}));
  EXPECT_TRUE(s->sees(Xid{9}));
  EXPECT_FALSE(s->sees(Xid{10}));
  EXPECT_TRUE(s->sees(Xid{11}));
  EXPECT_FALSE(s->sees(Xid{15}));
  EXPECT_TRUE(s->sees(Xid{19}));
  EXPECT_FALSE(s->sees(Xid{20}));
  ASSERT_TRUE(parse_snapshot("7:7:"));
  EXPECT_TRUE(parse_snapshot("7:7:")->xip.empty());
  EXPECT_EQ(parse_snapshot("18446744073709551614:18446744073709551615:")->xmax.value,
            18446744073709551615u);
}

TEST(Snapshot, RejectsWhatIsNotOne) {
  for (const char* text :
       {"", ":", "::", "10", "10:20", "20:10:", "0:1:", "10:20:9", "10:20:20", "10:20:11,11",
        "10:20:12,11", "10:20:11,", "10:20:,11", "10:20: 11", "10:20:11 ",
        "a:20:", "-1:20:", "10:20:11:12", "10:99999999999999999999:"}) {
    EXPECT_FALSE(parse_snapshot(text)) << text;
  }
}

TEST(Snapshot, SeesAllOf) {
  const auto sees_all = [](const char* a, const char* b) {
    return parse_snapshot(a)->sees_all_of(*parse_snapshot(b));
  };
  EXPECT_TRUE(sees_all("10:20:10,14", "10:20:10,14"));
  EXPECT_TRUE(sees_all("10:20:14", "10:20:10,14"));
  EXPECT_FALSE(sees_all("10:20:10,14", "10:20:14"));
  EXPECT_FALSE(sees_all("10:20:10", "11:12:"));   // 10 is over for the other
  EXPECT_TRUE(sees_all("10:20:15", "10:15:10"));  // 15 is not there for the other
  EXPECT_FALSE(sees_all("10:20:", "10:21:"));     // the other sees 20
  EXPECT_TRUE(sees_all("10:20:", "10:21:20"));    // it does not
  EXPECT_TRUE(sees_all("10:20:", "10:23:20,21,22"));
  EXPECT_FALSE(sees_all("10:20:", "10:23:20,22"));
  EXPECT_FALSE(sees_all("10:20:", "21:23:21,22"));
  EXPECT_TRUE(sees_all("10:20:", "20:23:20,21,22"));
}

// Against the definition, over small snapshots.
TEST(Snapshot, SeesAllOfIsExact) {
  std::mt19937 random(1);
  const auto make = [&random] {
    Snapshot s;
    s.xmin = Xid{1 + random() % 6};
    s.xmax = Xid{s.xmin.value + random() % 6};
    for (std::uint64_t x = s.xmin.value; x < s.xmax.value; ++x) {
      if (random() % 2 == 0) s.xip.push_back(Xid{x});
    }
    return s;
  };
  int positive = 0;
  for (int i = 0; i < 20000; ++i) {
    const Snapshot a = make();
    const Snapshot b = make();
    bool expected = true;
    for (std::uint64_t x = 0; x < 16; ++x) {
      if (b.sees(Xid{x}) && !a.sees(Xid{x})) expected = false;
    }
    ASSERT_EQ(a.sees_all_of(b), expected);
    if (expected) ++positive;
  }
  EXPECT_GT(positive, 1000);
}

}  // namespace
}  // namespace pgcache::pg
