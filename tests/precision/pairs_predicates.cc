// SPDX-License-Identifier: Apache-2.0
// Conditions that are evaluated on a changed row, one kind each: one change that makes the
// condition true, and one after which it is as untrue as before.
#include <stdexcept>

#include "precision/pair.h"

namespace pgcache::precision {

using enum Outcome;

namespace {

// Row 25 of item does not meet the condition; `meets` makes it so, `not` leaves it so.
struct Condition {
  const char* name;
  const char* sql;
  const char* meets;
  const char* fails;
};

const Condition kComparisons[] = {
    {"=", "v = 7", "v = 7", "v = 8"},
    {"<>", "v <> 25", "v = 26", "w = 99"},
    {"<", "v < 5", "v = 4", "v = 5"},
    {"<=", "v <= 5", "v = 5", "v = 6"},
    {">", "v > 35", "v = 36", "v = 35"},
    {">=", "v >= 35", "v = 35", "v = 34"},
    {"columns of the row", "v = w", "v = 5", "v = 6"},
    {"order of columns of the row", "v < w", "v = 4", "v = 6"},
    {"AND", "v > 30 AND w = 5", "v = 31", "w = 6"},
    {"OR", "v = 7 OR w = 7", "w = 7", "w = 8"},
    {"NOT", "NOT (v > 5)", "v = 5", "v = 6"},
    {"NOT over AND", "NOT (v > 5 AND grp = 4)", "grp = 5", "v = 6"},
    {"NOT with NULL", "NOT (v > 5) AND w < 9", "v = 1", "v = NULL"},
    {"IS NULL", "v IS NULL", "v = NULL", "v = 8"},
    {"IS NOT NULL", "ok IS NOT NULL AND grp = 7", "grp = 7", "ok = NULL"},
    {"IS TRUE", "ok IS TRUE AND grp = 4", "ok = true", "ok = NULL"},
    {"IS NOT TRUE", "ok IS NOT TRUE AND grp = 9", "grp = 9", "ok = true"},
    {"IS UNKNOWN", "(v > 5) IS UNKNOWN", "v = NULL", "v = 6"},
    {"boolean column", "ok AND w = 5", "ok = true", "ok = NULL"},
    {"NOT boolean column", "NOT ok AND grp = 9", "grp = 9", "ok = true"},
    {"IS DISTINCT FROM", "v IS DISTINCT FROM 25", "v = NULL", "w = 99"},
    {"IS NOT DISTINCT FROM", "v IS NOT DISTINCT FROM 7", "v = 7", "v = NULL"},
    {"IS DISTINCT FROM a float", "v IS DISTINCT FROM 25::float8", "v = NULL", "w = 99"},
    {"IS NOT DISTINCT FROM a float", "v IS NOT DISTINCT FROM 7::float8", "v = 7", "v = NULL"},
    {"less than itself, or more", "name < name OR v > 50", "v = 51", "v = 49"},
    {"IS NOT DISTINCT FROM NULL", "v IS NOT DISTINCT FROM NULL", "v = NULL", "v = 7"},
    {"BETWEEN", "v BETWEEN 5 AND 9", "v = 9", "v = 10"},
    {"NOT BETWEEN", "v NOT BETWEEN 5 AND 29", "v = 4", "v = 6"},
    {"BETWEEN SYMMETRIC", "v BETWEEN SYMMETRIC 9 AND 5", "v = 7", "v = 10"},
    {"IN", "v IN (7, 8, 9)", "v = 8", "v = 10"},
    {"NOT IN", "v NOT IN (25, 26)", "v = 27", "v = 26"},
    {"= ANY of an array", "v = ANY (ARRAY[7, 8])", "v = 8", "v = 9"},
    {"= ANY of an array literal", "v = ANY ('{7,8}'::int[])", "v = 8", "v = 9"},
    {"<> ALL of an array", "v <> ALL ('{25,26}')", "v = 27", "v = 26"},
    {"> ANY of an array", "v > ANY (ARRAY[50, 60])", "v = 51", "v = 49"},
    {"> ALL of an array", "v > ALL (ARRAY[50, 60])", "v = 61", "v = 55"},
    {"value in a column of arrays", "7 = ANY (tags)", "tags = '{7}'", "tags = '{8}'"},
    {"row comparison", "(grp, w) = (1, 2)", "grp = 1, w = 2", "grp = 1, w = 3"},
    {"order of rows", "(grp, w) < (1, 2)", "grp = 1, w = 1", "grp = 1, w = 2"},
    {"row IN", "(grp, w) IN ((1, 2), (3, 4))", "grp = 3, w = 4", "grp = 3, w = 2"},
};

const Condition kTexts[] = {
    {"text =", "name = 'x'", "name = 'x'", "name = 'y'"},
    {"text order under C", "ranked < 'r1'", "ranked = 'r0'", "ranked = 'r2'"},
    {"LIKE", "name LIKE 'x%'", "name = 'xy'", "name = 'yx'"},
    {"LIKE inside", "name LIKE '%mid_le%'", "name = 'a middle'", "name = 'midle'"},
    {"NOT LIKE", "name NOT LIKE 'name%'", "name = 'other'", "name = 'name'"},
    {"ILIKE", "name ILIKE 'xY%'", "name = 'Xyz'", "name = 'yx'"},
    {"ILIKE beyond ASCII", "name ILIKE '\u00c4%'", "name = '\u00e4z'", "name = 'az'"},
    {"regular expression", "name ~ '^x[0-9]+$'", "name = 'x12'", "name = 'x1a'"},
    {"regular expression, either case", "name ~* '^XY'", "name = 'xyz'", "name = 'yx'"},
    {"no match of a regular expression", "name !~ '^name'", "name = 'x'", "name = 'names'"},
    {"SIMILAR TO", "name SIMILAR TO '(x|y)z'", "name = 'yz'", "name = 'zz'"},
    {"lower", "lower(name) = 'abc'", "name = 'ABC'", "name = 'ABD'"},
    {"upper", "upper(name) = 'ABC'", "name = 'aBc'", "name = 'aBd'"},
    {"length", "length(name) = 3", "name = 'abc'", "name = 'abcd'"},
    {"substr", "substr(name, 1, 2) = 'xy'", "name = 'xyz'", "name = 'xzy'"},
    {"substring", "substring(name from 2 for 1) = 'q'", "name = 'aqa'", "name = 'qaa'"},
    {"left", "left(name, 1) = 'x'", "name = 'xa'", "name = 'ax'"},
    {"trim", "btrim(name) = 'x'", "name = ' x '", "name = ' y '"},
    {"concatenation", "name || '!' = 'x!'", "name = 'x'", "name = 'y'"},
    {"position", "position('q' in name) > 0", "name = 'aq'", "name = 'ab'"},
    {"starts_with", "starts_with(name, 'xy')", "name = 'xyz'", "name = 'yx'"},
};

const Condition kNumbers[] = {
    {"addition", "v + 1 = 8", "v = 7", "v = 8"},
    {"subtraction", "v - w = 100", "v = 105", "v = 106"},
    {"multiplication", "v * 2 > 100", "v = 51", "v = 50"},
    {"division", "v / 10 = 5", "v = 59", "v = 60"},
    {"remainder", "v % 10 = 3", "v = 33", "v = 34"},
    {"negation", "-v < -100", "v = 101", "v = 100"},
    {"abs", "abs(v) = 7", "v = -7", "v = -8"},
    {"bits", "v & 64 = 64", "v = 65", "v = 32"},
    {"smallint and bigint", "small + big = 70", "small = 45", "small = 44"},
    {"numeric arithmetic", "price * 2 = 20.5", "price = 10.25", "price = 10.26"},
    {"numeric addition", "price + 0.05 > 99", "price = 99", "price = 98.95"},
    {"numeric and integer", "price = 7", "price = 7.00", "price = 7.01"},
    {"floor", "floor(price) = 7", "price = 7.99", "price = 8"},
    {"round", "round(price) = 7", "price = 6.5", "price = 7.5"},
    {"float", "ratio = 0.5", "ratio = 0.5", "ratio = 0.75"},
    {"float arithmetic", "ratio * 2 > 100", "ratio = 50.5", "ratio = 50"},
    {"cast to text", "v::text = '7'", "v = 7", "v = 70"},
    {"cast to integer", "ranked::text = '7' OR ratio::int = 77", "ratio = 77.2", "ratio = 78"},
    {"cast of numeric to integer", "price::int = 77", "price = 76.5", "price = 77.5"},
    {"cast to numeric", "v::numeric = 7.0", "v = 7", "v = 8"},
    {"cast to boolean", "v::bool = false", "v = 0", "v = 2"},
    {"COALESCE", "coalesce(v, 7) = 7", "v = NULL", "v = 8"},
    {"NULLIF", "nullif(v, 25) = 7", "v = 7", "v = 8"},
    {"NULLIF to NULL", "nullif(v, 30) IS NULL", "v = 30", "v = 31"},
    {"CASE", "CASE WHEN v > 50 THEN 'high' WHEN v < 5 THEN 'low' ELSE 'none' END = 'high'",
     "v = 51", "v = 50"},
    {"CASE of a value", "CASE w WHEN 1 THEN 'one' WHEN 2 THEN 'two' END = 'two'", "w = 2", "w = 3"},
    {"GREATEST", "greatest(v, 30) = 31", "v = 31", "v = 30"},
    {"LEAST", "least(v, 5) = 4", "v = 4", "v = 6"},
};

const Condition kTimes[] = {
    {"date =", "day = '2025-05-05'", "day = '2025-05-05'", "day = '2025-05-06'"},
    {"date range", "day >= '2025-01-01' AND day < '2025-02-01'", "day = '2025-01-31'",
     "day = '2025-02-01'"},
    {"timestamp range", "made > '2025-01-01 12:00'", "made = '2025-01-01 12:00:01'",
     "made = '2025-01-01 12:00'"},
    {"date_trunc", "date_trunc('month', made) = timestamp '2025-05-01'",
     "made = '2025-05-31 23:59'", "made = '2025-06-01'"},
    {"extract", "extract(year from made) = 2025", "made = '2025-06-01'", "made = '2026-06-01'"},
    {"extract from a date", "extract(month from day) = 7", "day = '2025-07-01'",
     "day = '2025-08-01'"},
    {"date arithmetic", "day + 1 = date '2025-05-05'", "day = '2025-05-04'", "day = '2025-05-05'"},
    {"difference of dates", "day - date '2025-05-05' = 10", "day = '2025-05-15'",
     "day = '2025-05-16'"},
    {"timestamp to date", "made::date = date '2025-05-05'", "made = '2025-05-05 17:00'",
     "made = '2025-05-06 17:00'"},
    {"date and timestamp", "day < timestamp '2020-01-01'", "day = '2019-12-31'",
     "day = '2020-01-01'"},
};

template <std::size_t N>
void add_conditions(Pairs& pairs, const Condition (&conditions)[N]) {
  for (const Condition& condition : conditions) {
    const std::string update = "UPDATE item SET ";
    add(pairs, std::string("condition: ") + condition.name,
        std::string("SELECT id FROM item WHERE ") + condition.sql,
        {{"becomes true", kInvalidated, update + condition.meets + " WHERE id = 25"},
         {"stays untrue", kKept, update + condition.fails + " WHERE id = 25"}});
  }
}

// An evaluation that would fail at the origin says nothing.
void add_overflows(Pairs& pairs) {
  add(pairs, "condition: cast of a length", "SELECT id FROM item WHERE name::varchar(3) = 'abc'",
      {{"becomes true", kInvalidated, "UPDATE item SET name = 'abcd' WHERE id = 25"},
       {"stays untrue", kKept, "UPDATE item SET name = 'abd' WHERE id = 25"}});
  add(pairs, "condition: addition near the end of integers",
      "SELECT id FROM item WHERE w < 20 AND v + 1 = 2147483647",
      {{"becomes true", kInvalidated, "UPDATE item SET v = 2147483646 WHERE id = 25"},
       {"stays untrue", kKept, "UPDATE item SET v = 2147483645 WHERE id = 25"},
       {"overflows, ruled out by another condition", kKept,
        "UPDATE item SET w = 99, v = 7 WHERE id = 25"}});
  add(pairs, "condition: multiplication of bigint",
      "SELECT id FROM item WHERE big * 2 = 9223372036854775806",
      {{"becomes true", kInvalidated, "UPDATE item SET big = 4611686018427387903 WHERE id = 25"},
       {"stays untrue", kKept, "UPDATE item SET big = 4611686018427387902 WHERE id = 25"}});
  add(pairs, "condition: parameter in arithmetic", "SELECT id FROM item WHERE v + $1 = $2",
      {{"becomes true", kInvalidated, "UPDATE item SET v = 107 WHERE id = 25"},
       {"stays untrue", kKept, "UPDATE item SET v = 108 WHERE id = 25"}},
      {"3", "110"});
  add(pairs, "condition: parameter that is an array", "SELECT id FROM item WHERE v = ANY ($1)",
      {{"becomes true", kInvalidated, "UPDATE item SET v = 108 WHERE id = 25"},
       {"stays untrue", kKept, "UPDATE item SET v = 109 WHERE id = 25"},
       {"leaves", kInvalidated, "UPDATE item SET v = 109 WHERE id = 7"}},
      {"{7,108,NULL}"});
  add(pairs, "condition: parameter that is an empty array",
      "SELECT id FROM item WHERE v = ANY ($1)",
      {{"any row", kKept, "UPDATE item SET v = 109 WHERE id = 7"},
       {"all rows", kKept, "TRUNCATE item"}},
      {"{}"});
  add(pairs, "condition: parameter in LIKE", "SELECT id FROM item WHERE name LIKE $1",
      {{"becomes true", kInvalidated, "UPDATE item SET name = 'xyz' WHERE id = 25"},
       {"stays untrue", kKept, "UPDATE item SET name = 'zyx' WHERE id = 25"}},
      {"xy%"});
}

}  // namespace

void add_predicates(Pairs& pairs) {
  add_conditions(pairs, kComparisons);
  add_conditions(pairs, kTexts);
  add_conditions(pairs, kNumbers);
  add_conditions(pairs, kTimes);
  add_overflows(pairs);
}

}  // namespace pgcache::precision
