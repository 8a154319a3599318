// SPDX-License-Identifier: Apache-2.0
// Functions and casts: the answers that the manual gives, and what has to stay unknown. (That the
// rest is as PostgreSQL's answers: function_pgtest.cc.)
#include "pg/function.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "pg/function_like.h"
#include "pg/function_number.h"
#include "pg/function_regex.h"
#include "pg/function_table.h"
#include "pg/function_time.h"
#include "pg/function_utf8.h"

namespace pgcache::pg {
namespace {

using namespace std::string_view_literals;

constexpr FunctionContext kC{.ascii_case = true, .c_collation = true};
constexpr FunctionContext kEnglish{.ascii_case = true};

MaybeValue value(Oid type, std::string_view text) {
  auto parsed = parse_text(type, text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? MaybeValue::of(*std::move(parsed)) : MaybeValue{};
}
MaybeValue text(std::string_view t) { return value(type::kText, t); }
MaybeValue int4(std::int64_t n) { return MaybeValue::of(Value::integer(n)); }
MaybeValue numeric(std::string_view t) { return value(type::kNumeric, t); }

MaybeValue call_of(std::uint32_t oid, const std::vector<MaybeValue>& arguments,
                   const FunctionContext& context = kC) {
  return call(static_cast<Oid>(oid), arguments, context);
}

bool same(const MaybeValue& a, const MaybeValue& b) {
  return a.state == b.state && a.value == b.value;
}
bool is_unknown(const MaybeValue& v) { return v.state == MaybeValue::State::kUnknown; }
bool is_true(const MaybeValue& v) { return v.known() && v.value->bytes() == "\1"sv; }
bool is_false(const MaybeValue& v) { return v.known() && v.value->bytes() == "\0"sv; }

constexpr std::uint32_t kInt4Plus = 177, kInt4Div = 154, kInt4Mod = 156, kTextEq = 67,
                        kTextLt = 740, kLower = 870, kTextLen = 1257, kLike = 850, kILike = 1633,
                        kRegex = 1254, kIRegex = 1238, kNumericDiv = 1727, kExtractTimestamp = 6202,
                        kDateTrunc = 2020, kSubstring = 936, kMd5 = 2311, kBpcharLike = 1631;

TEST(Function, KnowsOnlyItsTable) {
  EXPECT_TRUE(can_call(static_cast<Oid>(kInt4Plus)));
  EXPECT_FALSE(can_call(Oid::kInvalid));
  EXPECT_FALSE(can_call(static_cast<Oid>(2647)));  // now()
  EXPECT_TRUE(is_unknown(call_of(2647, {})));
  EXPECT_TRUE(is_unknown(call_of(kInt4Plus, {int4(1)})));
  EXPECT_TRUE(is_unknown(call_of(kInt4Plus, {int4(1), text("1")})));
}

TEST(Function, IsStrictOnceAllIsKnown) {
  EXPECT_TRUE(same(call_of(kInt4Plus, {int4(1), MaybeValue::null()}), MaybeValue::null()));
  EXPECT_TRUE(is_unknown(call_of(kInt4Plus, {int4(1), MaybeValue{}})));
  // The other argument may be an error.
  EXPECT_TRUE(is_unknown(call_of(kInt4Plus, {MaybeValue{}, MaybeValue::null()})));
}

TEST(Function, ComputesIntegersWithinTheirRange) {
  EXPECT_TRUE(same(call_of(kInt4Plus, {int4(2147483646), int4(1)}), int4(2147483647)));
  EXPECT_TRUE(is_unknown(call_of(kInt4Plus, {int4(2147483647), int4(1)})));
  EXPECT_TRUE(is_unknown(call_of(kInt4Plus, {int4(2147483648), int4(-1)})));  // not an int4
  EXPECT_TRUE(same(call_of(kInt4Div, {int4(-7), int4(2)}), int4(-3)));
  EXPECT_TRUE(same(call_of(kInt4Mod, {int4(-7), int4(2)}), int4(-1)));
  EXPECT_TRUE(is_unknown(call_of(kInt4Div, {int4(1), int4(0)})));
  EXPECT_TRUE(is_unknown(call_of(kInt4Div, {int4(-2147483648), int4(-1)})));
  EXPECT_TRUE(same(call_of(kInt4Mod, {int4(-2147483648), int4(-1)}), int4(0)));
}

TEST(Function, DividesNumericsOnlyExactly) {
  EXPECT_TRUE(same(call_of(kNumericDiv, {numeric("1"), numeric("8")}), numeric("0.125")));
  EXPECT_TRUE(is_unknown(call_of(kNumericDiv, {numeric("1"), numeric("3")})));
  EXPECT_TRUE(is_unknown(call_of(kNumericDiv, {numeric("1"), numeric("0")})));
  // 2^-40 has 40 digits behind the point; PostgreSQL keeps fewer.
  EXPECT_TRUE(is_unknown(call_of(kNumericDiv, {numeric("1"), numeric("1099511627776")})));
  EXPECT_TRUE(
      same(call_of(kNumericDiv, {numeric("Infinity"), numeric("-2")}), numeric("-Infinity")));
}

TEST(Function, ComparesTextAsItsCollationAllows) {
  EXPECT_TRUE(is_true(call_of(kTextLt, {text("B"), text("a")}, kC)));
  EXPECT_TRUE(is_unknown(call_of(kTextLt, {text("B"), text("a")}, kEnglish)));
  EXPECT_TRUE(is_false(call_of(kTextLt, {text("a"), text("a")}, kEnglish)));
  EXPECT_TRUE(is_false(call_of(kTextEq, {text("A"), text("a")}, kEnglish)));
  const FunctionContext loose{.deterministic = false};
  EXPECT_TRUE(is_unknown(call_of(kTextEq, {text("A"), text("a")}, loose)));
  EXPECT_TRUE(is_true(call_of(kTextEq, {text("a"), text("a")}, loose)));
  const FunctionContext latin{.c_collation = true, .utf8 = false};
  EXPECT_TRUE(is_unknown(call_of(kTextLt, {text("\xC3\xA9"), text("z")}, latin)));
}

TEST(Function, FoldsCaseAsItsCollationAllows) {
  EXPECT_TRUE(same(call_of(kLower, {text("AbC")}, kEnglish), text("abc")));
  EXPECT_TRUE(is_unknown(call_of(kLower, {text("AbC")}, {})));
  EXPECT_TRUE(is_unknown(call_of(kLower, {text("\xC3\x89")}, kEnglish)));
  EXPECT_TRUE(same(call_of(kLower, {text("\xC3\x89X")}, kC), text("\xC3\x89x")));
}

TEST(Function, CountsCharactersOfValidText) {
  EXPECT_TRUE(same(call_of(kTextLen, {text("a\xC3\xA9\xE2\x82\xAC")}), int4(3)));
  EXPECT_TRUE(is_unknown(call_of(kTextLen, {text("\xC3")})));
  EXPECT_TRUE(is_unknown(call_of(kTextLen, {text("\xC3\xA9")}, {.utf8 = false})));
  EXPECT_TRUE(same(call_of(kTextLen, {text("e")}, {.utf8 = false}), int4(1)));
  EXPECT_TRUE(
      same(call_of(kSubstring, {text("a\xC3\xA9z"), int4(-1), int4(4)}), text("a\xC3\xA9")));
  EXPECT_TRUE(is_unknown(call_of(kSubstring, {text("abc"), int4(1), int4(-1)})));
  EXPECT_TRUE(same(call_of(kSubstring, {text("abc"), int4(2), int4(2147483647)}), text("bc")));
}

TEST(Function, MatchesLikePatterns) {
  const auto like = [](std::string_view t, std::string_view p) {
    return call_of(kLike, {text(t), text(p)});
  };
  EXPECT_TRUE(is_true(like("abc", "a%c")));
  EXPECT_TRUE(is_true(like("\xC3\xA9", "_")));
  EXPECT_TRUE(is_false(like("\xC3\xA9", "__")));
  EXPECT_TRUE(is_true(like("a%", "a\\%")));
  EXPECT_TRUE(is_false(like("ab", "a\\%")));
  EXPECT_TRUE(is_unknown(like("ab", "a\\")));
  EXPECT_TRUE(is_true(like("aab", "%ab")));
  EXPECT_TRUE(is_true(like("", "%")));
  EXPECT_TRUE(is_unknown(call_of(kLike, {text("a"), text("a")}, {.deterministic = false})));
  const std::string many(20000, 'a');
  EXPECT_TRUE(is_unknown(like(many, "%" + many + "b")));  // would take too long
}

TEST(Function, MatchesCharNWithoutItsBlanks) {
  const auto like = [](std::string_view t, std::string_view p) {
    return call_of(kBpcharLike, {value(type::kBpchar, t), text(p)});
  };
  EXPECT_TRUE(is_true(like("ab", "a%")));
  EXPECT_TRUE(is_false(like("ab", "b%")));
  EXPECT_TRUE(is_unknown(like("ab", "ab")));
  EXPECT_TRUE(is_unknown(like("ab", "%b")));
  EXPECT_TRUE(is_unknown(like("ab", "a__")));
}

TEST(Function, RulesOutByTheAsciiPartOfText) {
  const auto ilike = [](std::string_view t, std::string_view p) {
    return call_of(kILike, {text(t), text(p)}, kEnglish);
  };
  EXPECT_TRUE(is_true(ilike("SMITH", "%smi%")));
  EXPECT_TRUE(is_unknown(ilike("JOS\xC3\x89", "%smi%")));
  EXPECT_TRUE(is_false(ilike("jos\xC3\x89 gomez", "b%")));
  EXPECT_TRUE(is_false(ilike("jos\xC3\x89 gomez", "%gomes")));
  EXPECT_TRUE(is_unknown(ilike("jos\xC3\x89 gomez", "%gomez")));
  EXPECT_TRUE(is_false(ilike("x", "%\xC3\x89")));
  EXPECT_TRUE(is_unknown(ilike("\xC3\xA9", "%\xC3\x89")));
  EXPECT_TRUE(is_unknown(ilike("k", "\xE2\x84\xAA")));  // the Kelvin sign
}

TEST(Function, MatchesRegularExpressions) {
  const auto match = [](std::string_view t, std::string_view p) {
    return call_of(kRegex, {text(t), text(p)});
  };
  EXPECT_TRUE(is_true(match("abc", "b")));
  EXPECT_TRUE(is_false(match("abc", "^b")));
  EXPECT_TRUE(is_true(match("a\nb", "a.b")));
  EXPECT_TRUE(is_false(match("a\nb", "a$")));
  EXPECT_TRUE(is_false(match("a\n", "a$")));
  EXPECT_TRUE(is_true(match("a-1", "^[a-z]-\\d$")));
  EXPECT_TRUE(is_unknown(match("\xC3\xA9", "\\w")));
  EXPECT_TRUE(is_true(call_of(kIRegex, {text("ABC"), text("b")}, kEnglish)));
  EXPECT_TRUE(is_unknown(call_of(kIRegex, {text("ABC"), text("b")}, {})));
  EXPECT_TRUE(is_unknown(call_of(kIRegex, {text("\xC3\x89"), text("b")}, kEnglish)));
}

TEST(Regex, HasNoTranslationForWhatIsDoubtful) {
  for (const auto* const pattern :
       {"(a)\\1",  "(?=a)",      "(?!a)", "(?<=a)",  "(?i)a", "***=a",   "a**",
        "a*+",     "a{2}{3}",    "*a",    "^*",      "(*a)",  "a{,2}",   "a{3,2}",
        "a{256}",  "a{1",        "[a",    "[]",      "[b-a]", "[a-c-e]", "[[.a.]]",
        "[[=a=]]", "[[:word:]]", "[\\D]", "[\\w-z]", "\\",    "\\m",     "\\x41",
        "\\101",   "\\A",        "(a",    "a)",      "(^a)*", "(\\ya)+", "\\y*"}) {
    EXPECT_FALSE(builtin::translate_regex(pattern, false)) << pattern;
  }
  EXPECT_FALSE(builtin::translate_regex("\xC3\xA9", true));
  EXPECT_FALSE(builtin::translate_regex(std::string(2000, 'a'), false));
  EXPECT_FALSE(builtin::translate_regex(std::string(200, '(') + std::string(200, ')'), false));
}

TEST(Regex, KeepsABoundedNumberOfPatterns) {
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(
        builtin::regex_matches("x" + std::to_string(i), "^x" + std::to_string(i) + "$", false),
        true);
  }
}

TEST(Function, TakesTimesApart) {
  const MaybeValue stamp = value(type::kTimestamp, "1999-12-31 23:59:58.25");
  const auto extract = [&](std::string_view field) {
    return call_of(kExtractTimestamp, {text(field), stamp});
  };
  EXPECT_TRUE(same(extract("Second"), numeric("58.25")));
  EXPECT_TRUE(same(extract("milliseconds"), numeric("58250")));
  EXPECT_TRUE(same(extract("century"), numeric("20")));
  EXPECT_TRUE(same(extract("epoch"), numeric("946684798.25")));
  EXPECT_TRUE(same(extract("week"), numeric("52")));
  EXPECT_TRUE(same(extract("isodow"), numeric("5")));
  EXPECT_TRUE(is_unknown(extract("fortnight")));
  EXPECT_TRUE(
      is_unknown(call_of(kExtractTimestamp, {text("day"), value(type::kTimestamp, "infinity")})));
  EXPECT_TRUE(same(call_of(kDateTrunc, {text("week"), stamp}),
                   value(type::kTimestamp, "1999-12-27 00:00:00")));
}

TEST(Calendar, GoesBothWays) {
  for (std::int64_t days = -2451545; days < 2145031949; days += days < 400000 ? 37 : 99991) {
    const builtin::CivilDate date = builtin::civil_of(days);
    ASSERT_EQ(builtin::days_from(date), days);
    ASSERT_GE(date.month, 1);
    ASSERT_LE(date.month, 12);
    ASSERT_GE(date.day, 1);
    ASSERT_LE(date.day, builtin::days_in_month(date.year, date.month));
  }
}

TEST(Number, RoundTrips) {
  for (const auto* const spelling :
       {"0", "1", "-1", "0.5", "10", "100", "-0.05", "9223372036854775807", "-9223372036854775808",
        "12345678901234567890123456789012345678", "0.00000000000000000000000000000000000001",
        "-1.1", "NaN", "Infinity", "-Infinity", "100000000000000000000000000000000000000"}) {
    const MaybeValue v = numeric(spelling);
    const auto n = builtin::number_of(*v.value);
    ASSERT_TRUE(n) << spelling;
    EXPECT_TRUE(same(builtin::number_value(*n), v)) << spelling;
  }
  EXPECT_FALSE(builtin::number_of(*numeric("1e39").value));
  EXPECT_FALSE(builtin::number_of(*numeric("1e-39").value));
  EXPECT_FALSE(builtin::number_of(*numeric("1e100000").value));
}

TEST(Function, HashesWithMd5) {
  EXPECT_TRUE(same(call_of(kMd5, {text("")}), text("d41d8cd98f00b204e9800998ecf8427e")));
  EXPECT_TRUE(
      same(call_of(kMd5, {text("message digest")}), text("f96b697d7cb7938d525a2f31aaf161d0")));
  EXPECT_TRUE(same(call_of(kMd5, {text("1234567890123456789012345678901234567890123456789012345678"
                                       "9012345678901234567890")}),
                   text("57edf4a22be3c955ac49da2e2107b67a")));
}

TEST(Cast, OffersWhatNoSettingDecides) {
  EXPECT_TRUE(can_cast(type::kInt4, type::kText));
  EXPECT_TRUE(can_cast(type::kText, type::kInt4));
  EXPECT_TRUE(can_cast(type::kTime, type::kText));
  for (const Oid from : {type::kNumeric, type::kFloat8, type::kBytea, type::kDate, type::kTimestamp,
                         type::kTimestamptz}) {
    EXPECT_FALSE(can_cast(from, type::kText)) << to_u32(from);
  }
  EXPECT_FALSE(can_cast(type::kDate, type::kTimestamptz));
  EXPECT_FALSE(can_cast(type::kTimestamptz, type::kDate));
  EXPECT_FALSE(can_cast(type::kBool, type::kInt8));
  EXPECT_FALSE(can_cast(type::kInt4, type::kJsonb));
  EXPECT_FALSE(can_cast(type::kBpchar, type::kUuid));  // its blanks would be an error
}

TEST(Cast, RoundsAsTheTypesDo) {
  const auto cast_of = [](Oid from, Oid to, std::string_view t) {
    return cast(from, to, -1, value(from, t));
  };
  EXPECT_TRUE(same(cast_of(type::kNumeric, type::kInt4, "2.5"), int4(3)));
  EXPECT_TRUE(same(cast_of(type::kNumeric, type::kInt4, "-2.5"), int4(-3)));
  EXPECT_TRUE(same(cast_of(type::kFloat8, type::kInt4, "2.5"), int4(2)));
  EXPECT_TRUE(is_unknown(cast_of(type::kInt8, type::kInt4, "2147483648")));
  EXPECT_TRUE(is_unknown(cast_of(type::kFloat8, type::kInt8, "9223372036854775808")));
  EXPECT_TRUE(is_unknown(cast_of(type::kNumeric, type::kInt4, "NaN")));
  EXPECT_TRUE(is_unknown(cast_of(type::kFloat8, type::kFloat4, "1e39")));
  EXPECT_TRUE(same(cast_of(type::kFloat8, type::kNumeric, "0.1"), numeric("0.1")));
  EXPECT_TRUE(same(cast_of(type::kBool, type::kText, "t"), text("true")));
  EXPECT_TRUE(same(cast_of(type::kTime, type::kText, "10:00"), text("10:00:00")));
  EXPECT_TRUE(same(cast_of(type::kTime, type::kText, "10:00:00.120"), text("10:00:00.12")));
  EXPECT_TRUE(is_unknown(cast_of(type::kText, type::kInt4, "1.0")));
}

TEST(Cast, CoercesLengths) {
  const auto typmod = [](int n) { return n + 4; };
  EXPECT_TRUE(same(cast(type::kText, type::kVarchar, typmod(2), text("\xC3\xA9\xC3\xA9\xC3\xA9")),
                   text("\xC3\xA9\xC3\xA9")));
  EXPECT_TRUE(is_unknown(
      cast(type::kText, type::kVarchar, typmod(2), text("\xC3\xA9\xC3\xA9"), {.utf8 = false})));
  const std::int32_t five_two = typmod(5 << 16 | 2);
  EXPECT_TRUE(
      same(cast(type::kNumeric, type::kNumeric, five_two, numeric("1.005")), numeric("1.01")));
  EXPECT_TRUE(is_unknown(cast(type::kNumeric, type::kNumeric, five_two, numeric("999.995"))));
  EXPECT_TRUE(is_unknown(cast(type::kNumeric, type::kNumeric, five_two, numeric("Infinity"))));
  // Half away from 2000-01-01.
  const auto to_seconds = [](std::string_view t) {
    return cast(type::kTimestamp, type::kTimestamp, 0, value(type::kTimestamp, t));
  };
  EXPECT_TRUE(
      same(to_seconds("1999-12-31 23:59:58.5"), value(type::kTimestamp, "1999-12-31 23:59:58")));
  EXPECT_TRUE(
      same(to_seconds("2000-01-01 00:00:00.5"), value(type::kTimestamp, "2000-01-01 00:00:01")));
}

TEST(Cast, PassesNullAndUnknown) {
  EXPECT_TRUE(same(cast(type::kInt4, type::kText, -1, MaybeValue::null()), MaybeValue::null()));
  EXPECT_TRUE(is_unknown(cast(type::kInt4, type::kText, -1, MaybeValue{})));
  EXPECT_TRUE(is_unknown(cast(type::kDate, type::kText, -1, MaybeValue::null())));
  EXPECT_TRUE(is_unknown(cast(type::kInt4, type::kText, -1, text("1"))));
}

TEST(Utf8, RefusesWhatPostgresqlRefuses) {
  for (const auto bad : {"\x80"sv, "\xC0\x80"sv, "\xC1\xBF"sv, "\xE0\x80\x80"sv, "\xED\xA0\x80"sv,
                         "\xF0\x80\x80\x80"sv, "\xF4\x90\x80\x80"sv, "\xF5\x80\x80\x80"sv,
                         "\xE2\x82"sv, "\xC3"sv, "\xC3("sv}) {
    EXPECT_FALSE(builtin::is_utf8(bad));
  }
  for (const auto good : {""sv, "a"sv, "\xC3\xA9"sv, "\xE2\x82\xAC"sv, "\xF0\x9F\x98\x80"sv,
                          "\xED\x9F\xBF"sv, "\xF4\x8F\xBF\xBF"sv}) {
    EXPECT_TRUE(builtin::is_utf8(good));
  }
}

}  // namespace
}  // namespace pgcache::pg
