// SPDX-License-Identifier: Apache-2.0
// Has a real server evaluate an expression on many tuples of arguments, and compares.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pg/function.h"
#include "support/cluster.h"
#include "support/pq.h"

namespace pgcache::pg::builtin {

using pgcache::testing::Cluster;
using pgcache::testing::Connection;
using pgcache::testing::QueryResult;
using pgcache::testing::Row;

using Spelling = std::optional<std::string>;  // nothing for NULL

// PGCACHE_TEST_SEED=n tries other arguments.
inline std::uint64_t test_seed(std::uint64_t usual) {
  const char* const text = std::getenv("PGCACHE_TEST_SEED");
  return text == nullptr ? usual : usual + 1000 * std::strtoull(text, nullptr, 10);
}

struct Expression {
  std::vector<std::string> types;  // of the arguments
  std::vector<Oid> type_oids;
  std::string result_type;
  Oid result_oid = Oid::kInvalid;
  std::string sql;  // of a, b and c
};

struct Outcome {
  int answered = 0;  // by the server with a value
  int known = 0;     // of these, by us too
};

inline std::string array_of(const std::vector<Spelling>& texts) {
  std::string out = "{";
  for (const Spelling& text : texts) {
    if (out.size() > 1) out += ',';
    if (!text) {
      out += "NULL";
      continue;
    }
    out += '"';
    for (const char c : *text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

inline std::string describe(const Row& row, const std::vector<std::vector<Spelling>>& columns,
                            std::size_t i) {
  std::string out;
  for (const auto& column : columns)
    out += (column[i] ? ::testing::PrintToString(*column[i]) : "NULL") + ", ";
  const auto& v = row.back();
  out += "server: " + (v ? ::testing::PrintToString(*v) : "NULL");
  return out;
}

// Rows: whether the arguments were refused, whether the expression was an error, the arguments, the
// result; in binary.
inline QueryResult evaluate(Connection& connection, const Expression& e,
                            const std::vector<std::vector<Spelling>>& columns) {
  constexpr const char* kNames[] = {"a", "b", "c"};
  std::string in;
  std::string out;
  std::string casts;
  std::string arrays;
  std::string names;
  std::string selected;
  for (std::size_t i = 0; i < e.types.size(); ++i) {
    const std::string n = kNames[i];
    in += "s" + n + " text, ";
    out += "OUT " + n + " " + e.types[i] + ", ";
    casts.append(n).append(" := s").append(n).append("::").append(e.types[i]).append("; ");
    arrays += (i ? ", $" : "$") + std::to_string(i + 1) + "::text[]";
    names += i ? ", x" : "x";
    names += n;
    selected += "r." + n + ", ";
  }
  connection.must("DROP FUNCTION IF EXISTS pg_temp.tested");
  connection.must("CREATE FUNCTION pg_temp.tested(" + in + out +
                  "OUT refused bool, OUT failed bool, OUT v " + e.result_type +
                  ") LANGUAGE plpgsql AS $f$ BEGIN refused := false; failed := false;"
                  " BEGIN " +
                  casts +
                  "EXCEPTION WHEN OTHERS THEN refused := true; RETURN; END;"
                  " BEGIN v := " +
                  e.sql + "; EXCEPTION WHEN OTHERS THEN failed := true; END; END $f$");
  std::vector<Spelling> parameters;
  parameters.reserve(columns.size());
  for (const auto& column : columns) parameters.emplace_back(array_of(column));
  return connection.exec_params("SELECT r.refused, r.failed, " + selected + "r.v FROM unnest(" +
                                    arrays + ") WITH ORDINALITY AS u(" + names +
                                    ", i), LATERAL pg_temp.tested(" + names + ") AS r ORDER BY i",
                                parameters, true);
}

using Ours = std::function<MaybeValue(const std::vector<MaybeValue>&)>;

inline MaybeValue from_binary(Oid type, const std::optional<std::string>& bytes) {
  if (!bytes) return MaybeValue::null();
  const ValueTypePtr apart = argument_type(type);
  auto value = apart ? parse_binary(*apart, *bytes) : parse_binary(type, *bytes);
  return value ? MaybeValue::of(*std::move(value)) : MaybeValue{};
}

// What is known here is the server's answer; an error there is unknown here.
inline Outcome compare_with_server(Connection& connection, const Expression& e,
                                   const std::vector<std::vector<Spelling>>& columns,
                                   const Ours& ours) {
  Outcome out;
  const QueryResult result = evaluate(connection, e, columns);
  EXPECT_TRUE(result.ok()) << result.error;
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    const Row& row = result.rows[i];
    if (*row[0] == std::string(1, '\1')) continue;
    const bool failed = *row[1] == std::string(1, '\1');
    std::vector<MaybeValue> arguments;
    for (std::size_t k = 0; k < e.types.size(); ++k) {
      arguments.push_back(from_binary(e.type_oids[k], row[2 + k]));
    }
    const MaybeValue got = ours(arguments);
    const MaybeValue expected = from_binary(e.result_oid, row.back());
    if (!failed && row.back()) ++out.answered;
    if (got.state == MaybeValue::State::kUnknown) continue;
    EXPECT_FALSE(failed) << "an error there: " << e.sql << " of " << describe(row, columns, i);
    EXPECT_TRUE(got.state == expected.state && got.value == expected.value)
        << e.sql << " of " << describe(row, columns, i)
        << " ours: " << (got.value ? ::testing::PrintToString(got.value->bytes()) : "NULL");
    if (!failed && row.back()) ++out.known;
    if (::testing::Test::HasFailure()) return out;
  }
  return out;
}

}  // namespace pgcache::pg::builtin
