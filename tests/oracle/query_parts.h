// SPDX-License-Identifier: Apache-2.0
// The kinds of queries, and what several of them share.
#pragma once

#include <string>
#include <vector>

#include "oracle/query.h"
#include "oracle/query_builder.h"

namespace pgcache::oracle {

// ORDER BY over every output column (then the sequence is determined), perhaps with a LIMIT.
struct Ending {
  std::string sql;
  bool ordered = false;
};
Ending ending(QueryBuilder& b, const std::vector<Output>& outputs);

bool all_exact(const std::vector<Output>& outputs);
std::string list_sql(const std::vector<Output>& outputs);
std::vector<Output> some_columns(QueryBuilder& b, const Scope& scope, int count);
const Column* number_of(QueryBuilder& b, const Source& source);
std::string join_condition(QueryBuilder& b, const Source& left, const Source& right, bool plain);
Source cacheable_table(QueryBuilder& b);
// A column of the table, usually one of its key: it is NULL in no row of the table itself.
std::string column_of(QueryBuilder& b, const Source& s);

// A condition on an integer that few rows meet: a list, a range, or, in all but two of so many
// ways, an equality.
std::string few(QueryBuilder& b, const std::string& column, int ways);

// query_joins.cc
Query join(QueryBuilder& b);
Query full_join(QueryBuilder& b);
Query lateral(QueryBuilder& b);

// query_blocks.cc
Query aggregate(QueryBuilder& b);
Query distinct_on(QueryBuilder& b);
Query set_operation(QueryBuilder& b);
Query common_table(QueryBuilder& b);
Query window(QueryBuilder& b);
Query scalar_subquery(QueryBuilder& b);
Query derived_table(QueryBuilder& b);

// query_keyed.cc: along the keys of the tables that belong together, as applications ask.
Query keyed(QueryBuilder& b);
// query_nested.cc: conditions from outside, by key, on what a block inside computes.
Query filtered(QueryBuilder& b);

}  // namespace pgcache::oracle
