// SPDX-License-Identifier: Apache-2.0
// For the property tests of values: a private server, the types as its catalog tells them, tables
// of spellings that it cast, and checks that our readings and comparisons are its own.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "pg/catalog.h"
#include "pg/value.h"
#include "pg/value_spellings.h"
#include "support/cluster.h"
#include "support/pq.h"

namespace pgcache::pg {

struct TypeUnderTest {
  const char* name;  // for the test
  std::string (*spelling)(SpellingSource&);
  const char* sql = nullptr;          // the type, where that is no identifier
  const char* compared_as = nullptr;  // for a type without an operator of its own
};

inline void PrintTo(const TypeUnderTest& t, std::ostream* out) { *out << t.name; }

inline std::string sql_of(const TypeUnderTest& t) { return t.sql == nullptr ? t.name : t.sql; }

// PGCACHE_TEST_SEED=n tries other spellings.
inline std::uint64_t test_seed(std::uint64_t usual) {
  const char* const text = std::getenv("PGCACHE_TEST_SEED");
  return text == nullptr ? usual : usual + 1000 * std::strtoull(text, nullptr, 10);
}

inline std::string array_literal(const std::vector<std::string>& texts) {
  std::string out = "{";
  for (const std::string& text : texts) {
    out += out.size() > 1 ? ",\"" : "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

inline bool is_character_type(const ValueType& type) {
  if (type.element) return is_character_type(*type.element);
  return type.family == ValueFamily::kText || type.family == ValueFamily::kBpchar ||
         type.family == ValueFamily::kName;
}

// Types whose unquoted NULL in an array is read as NULL or, under array_nulls = off, as a text.
inline bool has_null_text(const ValueType& type) {
  switch (type.family) {
    case ValueFamily::kArray:
      return type.element->family != ValueFamily::kArray && has_null_text(*type.element);
    case ValueFamily::kText:
    case ValueFamily::kName:
    case ValueFamily::kBpchar:
    case ValueFamily::kBytea:
    case ValueFamily::kChar:
    case ValueFamily::kEnum:
      return true;
    default:
      return false;
  }
}

inline bool is_or_holds(const ValueType& type, ValueFamily family) {
  return type.element ? is_or_holds(*type.element, family) : type.family == family;
}

// Values that are known to be left out: years before Christ, and zones of 16 hours and more, which
// the server's input in text accepts in some odd spellings and its binary input does not.
inline bool is_odd(const ValueType& type, std::string_view output) {
  if (output.find(" BC") != std::string_view::npos) return true;
  if (!is_or_holds(type, ValueFamily::kTimetz)) return false;
  for (std::size_t at = 0; (at = output.find_first_of("+-", at)) != std::string_view::npos;) {
    if (std::atoi(std::string(output.substr(++at, 3)).c_str()) >= 16) return true;
  }
  return false;
}

// And in text: NULL where it may be a text, and escapes of "char", which older servers do not know.
inline bool is_left_out(const ValueType& type, std::string_view output) {
  if (is_odd(type, output)) return true;
  if (is_or_holds(type, ValueFamily::kChar)) {
    const std::size_t escape = output.find('\\');
    if (escape != std::string_view::npos && output.find_first_of("0123", escape) < escape + 3) {
      return true;
    }
  }
  return type.family == ValueFamily::kArray && has_null_text(type) &&
         output.find("NULL") != std::string_view::npos;
}

class ValueServer : public ::testing::Test {
 protected:
  using Connection = testing::Connection;
  using QueryResult = testing::QueryResult;

  static void SetUpTestSuite() {
    cluster_ = std::make_unique<testing::Cluster>();
    connection_ = std::make_unique<Connection>(cluster_->dsn());
    connection_->must(
        "CREATE TYPE color AS ENUM ('red', 'green', 'blue', 'a b', '\xC3\xA9', 'NULL');"
        "CREATE TYPE size AS ENUM ('s', 'm', 'l'); ALTER TYPE color ADD VALUE 'null' BEFORE 'red';"
        "CREATE DOMAIN count AS int4; CREATE DOMAIN tally AS count;"
        "CREATE DOMAIN hue AS color; CREATE DOMAIN counts AS int4[]; CREATE DOMAIN tallies AS "
        "tally[]");
    load_catalog();
  }
  static void TearDownTestSuite() {
    connection_.reset();
    cluster_.reset();
    catalog_.reset();
  }

  static void load_catalog() {
    catalog_ = std::make_unique<Catalog>();
    const QueryResult types = connection_->must(
        "SELECT t.oid, t.typname, t.typtype, t.typbasetype, coalesce(e.oid, 0), t.typarray, "
        "(SELECT string_agg(enumlabel, '|' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = "
        "t.oid) FROM pg_type t LEFT JOIN pg_type e ON e.typarray = t.oid");
    for (const auto& row : types.rows) {
      Type type;
      type.oid = oid(*row[0]);
      type.name = *row[1];
      type.kind = row[2]->at(0);
      type.base = oid(*row[3]);
      type.element = oid(*row[4]);
      type.array = oid(*row[5]);
      for (std::string rest = row[6].value_or(""); !rest.empty();) {
        const std::size_t end = std::min(rest.find('|'), rest.size());
        type.labels.push_back(rest.substr(0, end));
        rest.erase(0, end + 1);
      }
      catalog_->add_type(std::move(type));
    }
    catalog_->finish();
  }

  static Oid oid(const std::string& text) {
    return Oid{static_cast<std::uint32_t>(std::stoul(text))};
  }

  static ValueTypePtr type_of(const TypeUnderTest& t) {
    const QueryResult found = connection_->must("SELECT '" + sql_of(t) + "'::regtype::oid");
    ValueTypePtr type = value_type_of(*catalog_, oid(found.value()));
    CHECK(type != nullptr);
    return type;
  }

  static void stream_settings() {
    connection_->must(
        "SET DateStyle = 'ISO, MDY'; SET TimeZone = 'UTC'; SET bytea_output = 'hex';"
        "SET extra_float_digits = 1; SET IntervalStyle = 'postgres'; SET array_nulls = on");
  }

  // The temporary table `table` (i, spelling, v): v is NULL where the server refuses the spelling.
  static void fill(const std::string& table, const TypeUnderTest& t,
                   const std::vector<std::string>& spellings) {
    const std::string cast = std::string("pg_temp.cast_") + t.name;
    connection_->must("CREATE OR REPLACE FUNCTION " + cast + "(s text) RETURNS " + sql_of(t) +
                      " LANGUAGE plpgsql AS $$ BEGIN RETURN s::" + sql_of(t) +
                      "; EXCEPTION WHEN data_exception OR program_limit_exceeded THEN RETURN NULL;"
                      " END $$");
    connection_->must("DROP TABLE IF EXISTS " + table);
    const QueryResult result = connection_->exec_params(
        "CREATE TEMPORARY TABLE " + table + " AS SELECT i, spelling, " + cast +
            "(spelling) AS v FROM unnest('" + quoted(array_literal(spellings)) +
            "'::text[]) WITH ORDINALITY AS u(spelling, i)",
        {});
    ASSERT_TRUE(result.ok()) << result.error;
  }

  static std::string quoted(const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (c == '\'') out += '\'';
      out += c;
    }
    return out;
  }

  static std::vector<std::string> spellings_of(const TypeUnderTest& t, std::uint64_t seed, int n) {
    SpellingSource source(test_seed(seed));
    std::vector<std::string> spellings;
    for (int i = 0; i < n; ++i) spellings.push_back(t.spelling(source));
    return spellings;
  }

  static QueryResult values_of(const std::string& table, bool binary) {
    return connection_->exec_params("SELECT v FROM " + table + " ORDER BY i", {}, binary);
  }

  // The value of each row as its text output tells it; nothing for NULL and what is left out.
  static std::vector<std::optional<Value>> read_outputs(const std::string& table,
                                                        const ValueType& type) {
    std::vector<std::optional<Value>> values;
    for (const auto& row : values_of(table, false).rows) {
      values.push_back(row[0] ? parse_text(type, *row[0]) : std::nullopt);
    }
    return values;
  }

  // What we read of 1500 spellings under the settings of now the server accepts and means the same;
  // its own outputs in both forms are read as one value.
  static void check_readings(const TypeUnderTest& t) {
    const ValueTypePtr type = type_of(t);
    const std::vector<std::string> spellings = spellings_of(t, 11, 1500);
    // Without it, NULL is read as an element's text, which many types refuse.
    const bool array_nulls = connection_->must("SHOW array_nulls").value() == "on";
    fill("a", t, spellings);
    stream_settings();
    const QueryResult outputs = values_of("a", false);
    const QueryResult binaries = values_of("a", true);
    ASSERT_EQ(outputs.rows.size(), spellings.size());
    int read = 0;
    int refused = 0;
    for (std::size_t i = 0; i < spellings.size(); ++i) {
      const auto ours = parse_text(*type, spellings[i]);
      const auto& output = outputs.rows[i][0];
      if (!output) {
        const bool null_in_array = type->family == ValueFamily::kArray && !array_nulls;
        ASSERT_FALSE(ours && !null_in_array) << "the server refuses '" << spellings[i] << "'";
        ++refused;
        continue;
      }
      const auto binary = parse_binary(*type, *binaries.rows[i][0]);
      ASSERT_TRUE(binary || is_odd(*type, *output))
          << "'" << spellings[i] << "' in binary, '" << *output << "'";
      const auto from_output = parse_text(*type, *output);
      if (!is_left_out(*type, *output)) {
        ASSERT_TRUE(from_output) << "output '" << *output << "' of '" << spellings[i] << "'";
      }
      if (from_output) {
        ASSERT_EQ(*from_output, *binary) << "output '" << *output << "'";
      }
      if (!ours) continue;
      ASSERT_EQ(*ours, *binary) << "'" << spellings[i] << "' gives '" << *output << "'";
      ++read;
    }
    EXPECT_GT(read, 200) << "too few spellings were read to prove anything";
    const bool takes_all = is_character_type(*type) && type->family != ValueFamily::kArray;
    if (!takes_all && type->family != ValueFamily::kChar) {
      EXPECT_GT(refused, 20) << "no damage was tried";
    }
  }

  // All pairs of the two tables, as the server compares them and as we do.
  static void compare_pairs(const TypeUnderTest& a, const TypeUnderTest& b) {
    const ValueTypePtr type = type_of(a);
    const auto left = read_outputs("a", *type);
    const auto right = read_outputs("b", *type_of(b));
    const char* const collate = is_character_type(*type) ? " COLLATE \"C\"" : "";
    const std::string cast = a.compared_as == nullptr ? "" : std::string("::") + a.compared_as;
    const QueryResult result = connection_->query(
        "SELECT a.i, b.i, a.v" + cast + " = b.v" + cast + ", a.v" + cast + " < b.v" + cast +
        collate + " FROM a, b WHERE a.v IS NOT NULL AND b.v IS NOT NULL");
    ASSERT_TRUE(result.ok()) << result.error;
    const bool ordered = is_ordered(*type, true);
    std::size_t equal_pairs = 0;
    for (const auto& row : result.rows) {
      const auto& x = left.at(std::stoul(*row[0]) - 1);
      const auto& y = right.at(std::stoul(*row[1]) - 1);
      if (!x || !y) continue;
      const bool equal = *row[2] == "t";
      const bool less = *row[3] == "t";
      const std::string pair = a.name + (" row " + *row[0]) + ", " + b.name + " row " + *row[1];
      ASSERT_EQ(*x == *y, equal) << pair;
      if (ordered) {
        ASSERT_EQ(compare(*x, *y) == std::strong_ordering::less, less) << pair;
        ASSERT_EQ(compare(*x, *y) == std::strong_ordering::greater, !less && !equal) << pair;
      }
      if (equal) {
        ASSERT_EQ(x->hash(), y->hash()) << pair;
        ++equal_pairs;
      }
    }
    EXPECT_GT(equal_pairs, 20u) << "too few equal pairs to prove anything";
    EXPECT_GT(result.rows.size(), 4 * equal_pairs / 3) << "too few unequal pairs";
  }

  // Pairs of 200 spellings of one type.
  static void check_comparisons(const TypeUnderTest& t) {
    const std::vector<std::string> spellings = spellings_of(t, 12, 200);
    stream_settings();
    fill("a", t, spellings);
    fill("b", t, spellings);
    compare_pairs(t, t);
  }

  static inline std::unique_ptr<testing::Cluster> cluster_;
  static inline std::unique_ptr<Connection> connection_;
  static inline std::unique_ptr<Catalog> catalog_;
};

}  // namespace pgcache::pg
