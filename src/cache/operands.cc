// SPDX-License-Identifier: Apache-2.0
#include "cache/operands.h"

#include <algorithm>
#include <utility>

namespace pgcache::cache {

namespace {

using State = sql::Operand::State;

bool less_by_bytes(const pg::Value& a, const pg::Value& b) { return a.bytes() < b.bytes(); }

ArrayOperand take_array_apart(const sql::CacheableQuery& query,
                              const std::vector<sql::Operand>& values, sql::OperandIndex index,
                              ElementsOf take_apart) {
  ArrayOperand array;
  array.index = index;
  if (index >= values.size() || index >= query.operands.size()) return array;
  const pg::ValueTypePtr& type = query.operands[index].value_type;
  const sql::Operand& operand = values[index];
  if (operand.state != State::kValue || !type || !type->element) return array;
  auto elements = take_apart(*type, *operand.value);
  if (!elements) return array;
  for (pg::MaybeValue& element : *elements) {
    if (element.state == State::kUnknown) return array;
    if (element.state == State::kNull) {
      array.has_null = true;
      continue;
    }
    if (element.value->family() != type->element->family) return array;
    array.elements.push_back(*std::move(element.value));
  }
  array.known = true;
  std::sort(array.elements.begin(), array.elements.end(), less_by_bytes);
  array.elements.erase(std::unique(array.elements.begin(), array.elements.end()),
                       array.elements.end());
  array.elements.shrink_to_fit();
  return array;
}

}  // namespace

const ArrayOperand* BoundOperands::array(sql::OperandIndex index) const {
  for (const ArrayOperand& array : arrays) {
    if (array.index == index) return array.known ? &array : nullptr;
  }
  return nullptr;
}

std::uint64_t BoundOperands::bytes() const {
  std::uint64_t bytes =
      values.capacity() * sizeof(sql::Operand) + arrays.capacity() * sizeof(ArrayOperand);
  for (const sql::Operand& operand : values) {
    if (operand.value) bytes += operand.value->bytes().capacity();
  }
  for (const ArrayOperand& array : arrays) {
    bytes += array.elements.capacity() * sizeof(pg::Value);
    for (const pg::Value& element : array.elements) bytes += element.bytes().capacity();
  }
  return bytes;
}

BoundOperands bind_arrays(const sql::CacheableQuery& query, std::vector<sql::Operand> values,
                          ElementsOf take_apart) {
  BoundOperands bound;
  bound.values = std::move(values);
  bound.values.resize(query.operands.size());
  for (const sql::Dependency& dependency : query.dependencies) {
    for (const sql::EqualityBinding& equality : dependency.equalities) {
      if (!equality.array) continue;
      const sql::OperandIndex index = equality.operands.front();
      const bool done = std::any_of(bound.arrays.begin(), bound.arrays.end(),
                                    [&](const ArrayOperand& a) { return a.index == index; });
      if (!done) bound.arrays.push_back(take_array_apart(query, bound.values, index, take_apart));
    }
  }
  bound.arrays.shrink_to_fit();
  return bound;
}

}  // namespace pgcache::cache
