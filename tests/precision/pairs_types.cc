// SPDX-License-Identifier: Apache-2.0
// One equality with a value of each type, as a parameter and as a literal.
#include <iterator>
#include <string>

#include "precision/pair.h"

namespace pgcache::precision {

using enum Outcome;

namespace {

struct TypedValues {
  const char* column;  // without the prefix t_
  const char* row1;    // of the row with id 1; rows 2 to 4 hold `others`
  const char* others;
  const char* again;  // row1's value in another spelling that is equal
  const char* third;  // a value of no row
  const char* type;   // of the literal
};

const TypedValues kTyped[] = {
    {"bool", "true", "false", "yes", nullptr, "bool"},
    {"int2", "7", "8", "07", "9", "int2"},
    {"int4", "7", "8", "+7", "9", "int4"},
    {"int8", "70000000000", "8", "070000000000", "9", "int8"},
    // A leading zero means octal from PostgreSQL 16 on, so it is not read at all.
    {"oid", "7", "8", " 7", "4000000000", "oid"},
    {"numeric", "1.50", "2.5", "1.5", "NaN", "numeric"},
    {"float4", "0.5", "1.5", "5e-1", "NaN", "float4"},
    {"float8", "0", "1.5", "-0", "NaN", "float8"},
    {"text", "Ab", "b", "Ab", "ab", "text"},
    {"varchar", "ab", "b", "ab", "AB", "varchar"},
    {"char", "ab", "b", "ab   ", "abc", "char(5)"},
    {"name", "ab", "b", "ab", "c", "name"},
    {"bytea", "\\x00ff", "\\x01", "\\x00FF", "\\x02", "bytea"},
    {"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
     "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "uuid"},
    {"date", "2024-01-05", "2024-01-06", "2024-01-05", "2024-01-07", "date"},
    {"time", "10:00:00", "11:00", "10:00", "12:00", "time"},
    {"timetz", "10:00:00+02", "11:00:00+02", "10:00:00+02:00", "09:00:00+01", "timetz"},
    {"timestamp", "2024-01-05 10:00:00", "2024-01-06", "2024-01-05T10:00:00", "2024-01-07",
     "timestamp"},
    {"timestamptz", "2024-01-05 10:00:00+00", "2024-01-06 00:00:00+00", "2024-01-05 12:00:00+02",
     "2024-01-07 00:00:00+00", "timestamptz"},
    {"interval", "1 day", "2 days", "24:00:00", "3 days", "interval"},
    {"jsonb", "{\"a\": 1}", "{\"a\": 2}", "{\"a\":1.0}", "[]", "jsonb"},
    {"inet", "10.0.0.1", "10.0.0.2", "10.0.0.1/32", "10.0.0.3", "inet"},
    {"cidr", "10.0.0.0/24", "10.0.1.0/24", "10.0.0.0/24", "10.0.2.0/24", "cidr"},
    {"macaddr", "08:00:2b:01:02:03", "08:00:2b:01:02:04", "08-00-2B-01-02-03", "08:00:2b:01:02:05",
     "macaddr"},
    {"enum", "sad", "ok", "sad", "happy", "mood"},
    {"array", "{1,2}", "{2,1}", "{1, 2}", "{1,2,3}", "int[]"},
    {"text_array", "{a,b}", "{b,a}", "{\"a\",b}", "{a,NULL}", "text[]"},
    {"domain", "7", "8", "07", "9", "small_int"},
};

std::string quoted(const std::string& text) { return "'" + text + "'"; }

std::vector<Change> changes_of(const TypedValues& values) {
  const std::string set = std::string("UPDATE typed SET t_") + values.column + " = ";
  std::vector<Change> changes = {
      {"another row gets it", kInvalidated, set + quoted(values.again) + " WHERE id = 3"},
      {"its row loses it", kInvalidated, set + quoted(values.others) + " WHERE id = 1"},
      {"another row becomes NULL", kKept, set + "NULL WHERE id = 3"}};
  if (values.third != nullptr) {
    changes.push_back({"another row changes", kKept, set + quoted(values.third) + " WHERE id = 3"});
  }
  return changes;
}

// Column and value of different types. Row 25 of item does not meet the condition.
struct Across {
  const char* condition;
  const char* meets;
  const char* fails;
};

const Across kAcross[] = {
    {"v = 7.0", "v = 7", "v = 8"},
    {"v = 7::bigint", "v = 7", "v = 8"},
    {"v = 7::smallint", "v = 7", "v = 8"},
    {"v = 7::float8", "v = 7", "v = 8"},
    {"small = 300", "small = 300", "small = 301"},
    {"big = 7::smallint", "big = 7", "big = 8"},
    {"price = 7", "price = 7.00", "price = 7.01"},
    {"price = 0.75::float8", "price = 0.75", "price = 0.76"},
    {"ratio = 77", "ratio = 77", "ratio = 77.5"},
    {"day = timestamp '2025-05-05'", "day = '2025-05-05'", "day = '2025-05-06'"},
    {"made = date '2025-05-05'", "made = '2025-05-05'", "made = '2025-05-05 00:00:01'"},
    {"name = 'x'::varchar", "name = 'x'", "name = 'y'"},
    {"name = 'x'::name", "name = 'x'", "name = 'y'"},
    {"name::varchar = 'x'", "name = 'x'", "name = 'y'"},
    {"v::bigint = 7", "v = 7", "v = 8"},
    {"name = 'xyz'::varchar(2)", "name = 'xy'", "name = 'xyz'"},
    {"name = 'xyz'::varchar(3)::varchar(2)::text", "name = 'xy'", "name = 'xyz'"},
    {"name::varchar(3) = 'xyz'", "name = 'xyzzy'", "name = 'xyy'"},
    {"name::char(3) = 'xy'", "name = 'xy  z'", "name = 'xyz'"},
    {"price = 7.255::numeric(10,2)", "price = 7.26", "price = 7.25"},
    {"price = '7.255'::numeric(5,1)", "price = 7.3", "price = 7.2"},
    {"made + interval '1 month' = '2035-02-28'", "made = '2035-01-31'", "made = '2035-01-27'"},
    {"made > '2035-05-05'::timestamp - interval '7 days'", "made = '2035-04-29'",
     "made = '2035-04-28'"},
    {"made + '1 day' = '2035-05-05'", "made = '2035-05-04'", "made = '2035-05-05'"},
    {"day - interval '1 day' * 7 = '2035-05-05'", "day = '2035-05-12'", "day = '2035-05-11'"},
    {"made - day > interval '400 days'", "made = '2035-04-29'", "made = '2024-04-28'"},
    {"age(made, '2020-01-01') > interval '10 years'", "made = '2030-01-02'", "made = '2029-12-31'"},
    {"made AT TIME ZONE 'UTC' > '2030-01-01 00:00Z'", "made = '2030-01-02'", "made = '2029-12-31'"},
    {"v::numeric(4,1) = 7", "v = 7", "v = 8"},
    {"ratio::numeric(5,1) = 7.5", "ratio = 7.46", "ratio = 7.44"},
    {"made = '2025-05-05 10:00:00.6'::timestamp(0)", "made = '2025-05-05 10:00:01'",
     "made = '2025-05-05 10:00:00.6'"},
};

void add_across(Pairs& pairs) {
  for (const Across& across : kAcross) {
    const std::string update = "UPDATE item SET ";
    add(pairs, std::string("across types: ") + across.condition,
        std::string("SELECT id FROM item WHERE ") + across.condition,
        {{"becomes true", kInvalidated, update + across.meets + " WHERE id = 25"},
         {"stays untrue", kKept, update + across.fails + " WHERE id = 25"}});
  }
}

// Documents are in an order; where two strings decide it, by the database's collation, which is not
// certainly C here. Row 3 of typed has an object, which is more than any array.
void add_documents(Pairs& pairs) {
  const std::string set = "UPDATE typed SET t_jsonb = ";
  const std::string restored = " WHERE id = 3";
  add(pairs, "order of documents", "SELECT id FROM typed WHERE t_jsonb < '[5]'",
      {{"becomes less", kInvalidated, set + "'[4]'" + restored},
       {"becomes less by its kind", kInvalidated, set + "'[\"a\"]'" + restored},
       {"becomes an empty array", kInvalidated, set + "'[]'" + restored},
       {"stays more", kKept, set + "'[6]'" + restored},
       {"stays more by its length", kKept, set + "'[1,2]'" + restored},
       {"stays more by its kind", kKept, set + "'[true]'" + restored}});
  add(pairs, "order of documents with strings", "SELECT id FROM typed WHERE t_jsonb < $1",
      {{"becomes less", kInvalidated, set + "'[\"a\", 1]'" + restored},
       {"becomes less by its length", kInvalidated, set + "'[\"z\"]'" + restored},
       {"stays more by a number", kKept, set + "'[\"m\", 2]'" + restored},
       {"stays more by a string", kCoarse, set + "'[\"n\", 1]'" + restored}},
      {"[\"m\",1]"});
}

// Columns of set operations, and lists, whose parts are of several types.
void add_common_types(Pairs& pairs) {
  const std::string update = "UPDATE item SET ";
  const std::string row = " WHERE id = 25";
  const auto both = [&](const std::string& name, const std::string& query, const char* meets,
                        const char* fails) {
    add(pairs, "common type: " + name, query,
        {{"becomes true", kInvalidated, update + meets + row},
         {"stays untrue", kKept, update + fails + row}});
  };
  both("int and numeric",
       "SELECT x FROM (SELECT v AS x FROM item UNION ALL SELECT price FROM item) s WHERE x = 100",
       "v = 100", "v = 101");
  both("numeric and int",
       "SELECT x FROM (SELECT v AS x FROM item UNION ALL SELECT price FROM item) s WHERE x = 100",
       "price = 100.00", "price = 100.01");
  both("int and bigint, UNION",
       "SELECT x FROM (SELECT v AS x FROM item UNION SELECT big FROM item) s WHERE x = 100",
       "big = 100", "big = 101");
  both("int and float8",
       "SELECT x FROM (SELECT v AS x FROM item UNION ALL SELECT ratio FROM item) s WHERE x = 100",
       "v = 100", "v = 101");
  both("float8 rounds",
       "SELECT x FROM (SELECT big AS x FROM item UNION ALL SELECT ratio FROM item) s "
       "WHERE x = 9007199254740992",
       "big = 9007199254740993", "big = 9007199254740994");
  both("date and timestamp",
       "SELECT x FROM (SELECT day AS x FROM item UNION ALL SELECT made FROM item) s "
       "WHERE x = '2025-05-05 00:00'",
       "day = '2025-05-05'", "day = '2025-05-06'");
  both("with NULL", "SELECT x FROM (SELECT NULL AS x UNION ALL SELECT v FROM item) s WHERE x = 100",
       "v = 100", "v = 101");
  both("numbers in a CASE",
       "SELECT id FROM item WHERE CASE WHEN w < 99 THEN v ELSE ratio END = 100", "v = 100",
       "v = 101");
  both("a date in GREATEST", "SELECT id FROM item WHERE greatest(day, made) = '2035-05-05 00:00'",
       "day = '2035-05-05'", "day = '2035-05-06'");
  both("a list with a float", "SELECT id FROM item WHERE big IN (9007199254740992, 0.5::float8)",
       "big = 9007199254740993", "big = 9007199254740994");
  add(pairs, "common type: a list beside a float4",
      "SELECT id FROM typed WHERE t_float4 IN (2.1, 3.5)",
      {{"becomes true", kInvalidated, "UPDATE typed SET t_float4 = 2.1 WHERE id = 3"},
       {"stays untrue", kKept, "UPDATE typed SET t_float4 = 2.2 WHERE id = 3"}});
  add(pairs, "common type: a number beside a float4", "SELECT id FROM typed WHERE t_float4 = 2.1",
      {{"stays untrue", kKept, "UPDATE typed SET t_float4 = 2.1 WHERE id = 3"}});
}

// Row 3 of typed; its timestamptz is 2024-01-06 00:00:00+00, its interval 2 days.
void add_moments_and_spans(Pairs& pairs) {
  const auto both = [&](const std::string& condition, const char* meets, const char* fails,
                        Outcome untrue = kKept) {
    add(pairs, "span: " + condition, "SELECT id FROM typed WHERE " + condition,
        {{"becomes true", kInvalidated, std::string("UPDATE typed SET ") + meets + " WHERE id = 3"},
         {"stays untrue", untrue, std::string("UPDATE typed SET ") + fails + " WHERE id = 3"}});
  };
  const char* const later = "t_timestamptz = '2030-01-01 10:00Z'";
  const char* const not_so_late = "t_timestamptz = '2029-12-31 10:00Z'";
  both("t_timestamptz - '2025-01-01 00:00Z' > interval '1826 days'", later, not_so_late);
  both("t_timestamptz + interval '10 hours' > '2030-01-01 00:00Z'", later,
       "t_timestamptz = '2029-12-31 10:00Z'");
  both("extract(epoch from t_timestamptz) > 1893456000", later, not_so_late);
  both("t_timestamptz AT TIME ZONE 'UTC' > '2030-01-01'", later, not_so_late);
  // What the time zone decides, and what a column has of months and days, is not known.
  both("t_timestamptz + interval '1 day' > '2030-01-02 00:00Z'", later, not_so_late, kCoarse);
  both("timestamp '2030-01-01' + t_interval > '2030-01-31'", "t_interval = '1 mon'",
       "t_interval = '30 days'", kCoarse);
  both("t_interval > interval '1 month' - interval '1 day'", "t_interval = '30 days'",
       "t_interval = '29 days'");
  both("timestamp '2030-01-31' - timestamp '2030-01-01' = t_interval", "t_interval = '1 mon'",
       "t_interval = '31 days'");
  // Equal spans need not be the same in a sum.
  add(pairs, "span: an equal one in a sum",
      "SELECT id FROM typed WHERE t_interval = '30 days' AND timestamp '2030-01-01' + t_interval > "
      "'2030-01-31'",
      {{"becomes true", kInvalidated, "UPDATE typed SET t_interval = '1 mon' WHERE id = 3"},
       {"stays untrue", kCoarse, "UPDATE typed SET t_interval = '720:00' WHERE id = 3"},
       {"another span", kKept, "UPDATE typed SET t_interval = '31 days' WHERE id = 3"}});
}

}  // namespace

std::vector<std::string> typed_values() {
  std::vector<std::string> statements;
  for (const TypedValues& values : kTyped) {
    statements.push_back(std::string("UPDATE typed SET t_") + values.column +
                         " = CASE id WHEN 1 THEN " + quoted(values.row1) + "::" + values.type +
                         " ELSE " + quoted(values.others) + "::" + values.type + " END");
  }
  return statements;
}

void add_types(Pairs& pairs) {
  for (const TypedValues& values : kTyped) {
    const std::string where = std::string("SELECT id FROM typed WHERE t_") + values.column + " = ";
    const std::string construct = std::string("value of ") + values.type;
    add(pairs, construct, where + "$1", changes_of(values), {values.again});
    add(pairs, construct + ", literal",
        where + quoted(values.row1) + "::" + values.type + " AND id < 9", changes_of(values));
  }
  add_across(pairs);
  add_documents(pairs);
  add_common_types(pairs);
  add_moments_and_spans(pairs);
  add(pairs, "across types: a domain that shortens",
      "SELECT id FROM item WHERE name = 'xyz'::short_name",
      {{"becomes true", kInvalidated, "UPDATE item SET name = 'xy' WHERE id = 25"},
       {"stays untrue", kCoarse, "UPDATE item SET name = 'xyz' WHERE id = 25"}});
}

}  // namespace pgcache::precision
