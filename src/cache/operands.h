// SPDX-License-Identifier: Apache-2.0
// The operands of one result key as rows are compared with them: those that are arrays are taken
// apart once, when the result is published. Immutable afterwards.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "pg/value.h"
#include "sql/cacheable_query.h"

namespace pgcache::cache {

struct ArrayOperand {
  sql::OperandIndex index = 0;
  bool known = false;
  bool has_null = false;            // among its elements
  std::vector<pg::Value> elements;  // ascending by bytes, distinct, without NULLs
};

struct BoundOperands {
  std::vector<sql::Operand> values;
  std::vector<ArrayOperand> arrays;  // one for each operand of an array binding

  // Null when the operand is of no array binding, or what it holds is not known.
  const ArrayOperand* array(sql::OperandIndex index) const;
  std::uint64_t bytes() const;  // allocated
};

// How an array is taken apart: pg::array_elements, but for tests.
using ElementsOf = std::optional<std::vector<pg::MaybeValue>> (*)(const pg::ValueType& array,
                                                                  const pg::Value& value);

// `values` is filled up with unknown ones to the number that the query has.
BoundOperands bind_arrays(const sql::CacheableQuery& query, std::vector<sql::Operand> values,
                          ElementsOf take_apart = pg::array_elements);

}  // namespace pgcache::cache
