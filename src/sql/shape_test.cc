// SPDX-License-Identifier: Apache-2.0
// scan_shape and names_current_time against PostgreSQL's lexical rules.
#include "sql/shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgcache::sql {
namespace {

// The shape with markers written as {i}, {b}, {n}, {s}, then the literals' values.
std::string show(std::string_view text, bool standard = true) {
  const StatementShape shape = scan_shape(text, standard);
  std::string out;
  for (std::size_t i = 0; i < shape.text.size(); ++i) {
    if (shape.text[i] == '\x01') {
      out += std::string("{") + shape.text[++i] + "}";
    } else {
      out += shape.text[i];
    }
  }
  for (const Literal& l : shape.literals) out += " |" + l.text;
  return out;
}

TEST(ScanShape, LiftsPlainLiterals) {
  EXPECT_EQ(show("SELECT * FROM t WHERE a = 1 AND b='x''y'"),
            "SELECT * FROM t WHERE a = {i} AND b={s} |1 |x'y");
  EXPECT_EQ(show("SELECT 1.5, .5, 1., 1e10, 1e+5, 1E-5"),
            "SELECT {n}, {n}, {n}, {n}, {n}, {n} |1.5 |.5 |1. |1e10 |1e+5 |1E-5");
  EXPECT_EQ(show("a-1"), "a-{i} |1");
  EXPECT_EQ(show("''"), "{s} |");
  EXPECT_EQ(show("1..2"), "{i}..{i} |1 |2");
  EXPECT_EQ(show("x[1:2]"), "x[{i}:{i}] |1 |2");
}

TEST(ScanShape, KindFollowsTheSize) {
  EXPECT_EQ(show("2147483647"), "{i} |2147483647");
  EXPECT_EQ(show("0000000000000007"), "{i} |0000000000000007");
  EXPECT_EQ(show("2147483649"), "{b} |2147483649");
  EXPECT_EQ(show("9223372036854775807"), "{b} |9223372036854775807");
  EXPECT_EQ(show("9223372036854775809"), "{n} |9223372036854775809");
  // -2147483648 is an int4 while 2147483648 is an int8: not lifted.
  EXPECT_EQ(show("-2147483648"), "-2147483648");
  EXPECT_EQ(show("-9223372036854775808"), "-9223372036854775808");
}

TEST(ScanShape, LeavesOtherLiterals) {
  for (const char* text : {"E'a\\'b'",
                           "e'1'",
                           "B'01'",
                           "X'1F'",
                           "N'x'",
                           "$$it's 1$$",
                           "$a$ $$ 1 $b$ $a$",
                           "$1 + $22",
                           "a1",
                           "t$1",
                           "_1",
                           "\xc3\xa9"
                           "1",
                           "\"a\"\"1\"",
                           "-- 1\n",
                           "/* 1 /* 2 */ 3 */",
                           "float(24)",
                           "FLOAT ( /* x */ 30 )",
                           "x::varchar(3)",
                           "CAST(x AS character varying ( 3 ))",
                           "x::numeric(10, 2)",
                           "x::numeric(3,-2)",
                           "Char(5)",
                           "timestamp (3) with time zone",
                           "interval second(3)",
                           "x::bit(4)",
                           "x::pg_catalog.bpchar(2)"}) {
    EXPECT_EQ(show(text), text);
    EXPECT_TRUE(scan_shape(text, true).literals.empty()) << text;
  }
  EXPECT_EQ(show("float8(24)"), "float8({i}) |24");
  EXPECT_EQ(show("x::varchar(3) = 4"), "x::varchar(3) = {i} |4");
  EXPECT_EQ(show("'ab'::numeric(10,2), 2"), "{s}::numeric(10,2), {i} |ab |2");
  EXPECT_EQ(show("time IN (3)"), "time IN ({i}) |3");
  EXPECT_EQ(show("time, (3)"), "time, ({i}) |3");
  EXPECT_EQ(show("varchar2(3), \"varchar\"(4)"), "varchar2({i}), \"varchar\"({i}) |3 |4");
  EXPECT_EQ(show("char(a, 3), (4)"), "char(a, {i}), ({i}) |3 |4");
  EXPECT_EQ(show("name'x'"), "name{s} |x");  // a typed literal, not a prefix
}

TEST(ScanShape, CommentsAndOperators) {
  EXPECT_EQ(show("1 --'\n+2"), "{i} --'\n+{i} |1 |2");
  EXPECT_EQ(show("1*/*'*/2"), "{i}*/*'*/{i} |1 |2");
  EXPECT_EQ(show("1<--2"), "{i}<--2 |1");
  EXPECT_EQ(show("1 --x\r2"), "{i} --x\r{i} |1 |2");
}

TEST(ScanShape, NothingIsLiftedInDoubt) {
  for (const char* text :
       {"1 'a'\n'b'", "1 'a' /* */ 'b'", "1 'a'--\n'b'", "1 E'a'\n'b\\''", "1 'open", "1 \"open",
        "1 /* open", "1 $$ open", "1 $x", "1 12abc", "1 0x10", "1 1_000", "1 1e", "1 1e+", "1 $1a",
        "1 U&'d\\0061' ", "1 U&'d!0061' UESCAPE '!'", "1 u&\"x\""}) {
    EXPECT_EQ(show(text), text);
    EXPECT_TRUE(scan_shape(text, true).literals.empty()) << text;
  }
}

TEST(ScanShape, MarkerByteInTheTextCannotBeMistaken) {
  EXPECT_NE(scan_shape("SELECT \x01i", true).text, scan_shape("SELECT 1", true).text);
  EXPECT_TRUE(scan_shape("SELECT 1, '\x01'", true).literals.empty());
}

TEST(ScanShape, StandardConformingStringsOff) {
  EXPECT_EQ(show("'a\\'b', 1", false), "'a\\'b', {i} |1");
  EXPECT_EQ(show("'a\\', 1", true), "{s}, {i} |a\\ |1");
  EXPECT_EQ(show("'a', 1", false), "{s}, {i} |a |1");
}

TEST(ScanShape, Offsets) {
  const StatementShape shape = scan_shape("SELECT 'é', 12", true);
  ASSERT_EQ(shape.literals.size(), 2u);
  EXPECT_EQ(shape.literals[0].offset, 7u);
  EXPECT_EQ(shape.literals[1].offset, 13u);
}

TEST(ScanShape, OffComment) {
  EXPECT_TRUE(scan_shape("/* pgcache: off */ SELECT 1", true).pgcache_off);
  EXPECT_TRUE(scan_shape("SELECT 1 /*pgcache:OFF*/", true).pgcache_off);
  EXPECT_FALSE(scan_shape("SELECT '/* pgcache: off */'", true).pgcache_off);
  EXPECT_FALSE(scan_shape("SELECT 1 -- /* pgcache: off */", true).pgcache_off);
  EXPECT_FALSE(scan_shape("/* pgcache: on */ SELECT 1", true).pgcache_off);
}

TEST(NamesCurrentTime, WholeWordsOnly) {
  EXPECT_TRUE(names_current_time("now"));
  EXPECT_TRUE(names_current_time("  NOW()"));
  EXPECT_TRUE(names_current_time("12:00 Today"));
  EXPECT_TRUE(names_current_time("tomorrow"));
  EXPECT_TRUE(names_current_time("[yesterday,today)"));
  EXPECT_FALSE(names_current_time("nowhere"));
  EXPECT_FALSE(names_current_time("know"));
  EXPECT_FALSE(names_current_time("2024-01-01"));
  EXPECT_FALSE(names_current_time(""));
}

}  // namespace
}  // namespace pgcache::sql
