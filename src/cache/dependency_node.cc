// SPDX-License-Identifier: Apache-2.0
#include "cache/dependency_node.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "cache/relevance.h"

namespace pgcache::cache {

namespace {

using State = sql::Operand::State;

// A known value that is comparable with the column's values as they come in the stream.
bool places(const sql::Operand& operand, const sql::ColumnRef& column) {
  return operand.state == State::kValue &&
         operand.value->family() ==
             (column.value_type ? column.value_type->family : pg::family_of(column.type));
}

void append_value(std::string& tuple, const pg::Value& value) {
  append_be32(tuple, static_cast<std::uint32_t>(value.bytes().size()));
  tuple += value.bytes();
}

std::vector<sql::Operand> operands_in_common(const sql::CacheableQuery& query, const Entry& entry) {
  std::vector<sql::Operand> common(entry.operands.size());
  for (std::size_t i = 0; i < std::min(common.size(), query.operands.size()); ++i) {
    if (query.operands[i].source == sql::OperandSpec::Source::kConstant)
      common[i] = entry.operands[i];
  }
  return common;
}

void doom(Entry& entry, std::vector<Entry*>& found) {
  entry.doomed = true;
  found.push_back(&entry);
}

}  // namespace

DependencyNode::DependencyNode(ShapePtr of_shape, std::size_t dependency_number, const Entry& first)
    : shape(std::move(of_shape)),
      number(dependency_number),
      dependency(shape->analysis.cacheable()->dependencies[dependency_number]),
      common_(operands_in_common(*shape->analysis.cacheable(), first)) {
  rest_.node = this;
  for (const sql::EqualityBinding& equality : dependency.equalities) {
    if (equality.operands.size() == 1) bound_.push_back(&equality);
  }
  if (!bound_.empty()) {
    mode_ = Mode::kTuple;
  } else if (!dependency.equalities.empty()) {
    bound_.push_back(&dependency.equalities.front());
    mode_ = Mode::kList;
  } else if (dependency.range && dependency.range->column.ordered) {
    mode_ = Mode::kRange;
  }
}

void DependencyNode::put(Bucket& bucket, Entry& entry) {
  bucket.node = this;
  bucket.add(entry);
  ++slot_count;
}

std::optional<std::string> DependencyNode::tuple_of(const Entry& entry) const {
  std::string tuple;
  for (const sql::EqualityBinding* equality : bound_) {
    const sql::Operand& operand = entry.operands[equality->operands.front()];
    if (!places(operand, equality->column)) return std::nullopt;
    append_value(tuple, *operand.value);
  }
  return tuple;
}

bool DependencyNode::place_by_tuple(Entry& entry) {
  std::optional<std::string> tuple = tuple_of(entry);
  if (!tuple) return false;
  put(by_value_.try_emplace(std::move(*tuple)).first->second, entry);
  return true;
}

bool DependencyNode::place_by_list(Entry& entry) {
  const sql::EqualityBinding& equality = *bound_.front();
  std::vector<std::string> values;
  for (const sql::OperandIndex index : equality.operands) {
    const sql::Operand& operand = entry.operands[index];
    if (!places(operand, equality.column)) return false;
    append_value(values.emplace_back(), *operand.value);
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  for (std::string& value : values) {
    put(by_value_.try_emplace(std::move(value)).first->second, entry);
  }
  return true;
}

std::optional<Interval> DependencyNode::interval_of(const Entry& entry) const {
  const sql::RangeBinding& range = *dependency.range;
  Interval interval;
  if (range.lower) {
    const sql::Operand& operand = entry.operands[*range.lower];
    if (!places(operand, range.column)) return std::nullopt;
    interval.lower = operand.value;
  }
  if (range.upper) {
    const sql::Operand& operand = entry.operands[*range.upper];
    if (!places(operand, range.column)) return std::nullopt;
    interval.upper = operand.value;
  }
  return interval;
}

bool DependencyNode::place_by_range(Entry& entry) {
  const std::optional<Interval> interval = interval_of(entry);
  if (!interval) return false;
  put(by_interval_.at(*interval), entry);
  return true;
}

void DependencyNode::add(Entry& entry) {
  bool placed = false;
  switch (mode_) {
    case Mode::kTuple:
      placed = place_by_tuple(entry);
      break;
    case Mode::kList:
      placed = place_by_list(entry);
      break;
    case Mode::kRange:
      placed = place_by_range(entry);
      break;
    case Mode::kRest:
      break;
  }
  if (!placed) put(rest_, entry);
}

void DependencyNode::remove(const Entry& entry, const IndexRef& ref) {
  Bucket& bucket = *ref.bucket;
  bucket.remove_at(ref.position);
  --slot_count;
  if (&bucket == &rest_ || !bucket.slots.empty()) return;
  if (mode_ == Mode::kRange) {
    by_interval_.erase(*interval_of(entry));
    return;
  }
  // The bucket's own key is one that the entry's operands give.
  const auto erase = [&](const std::string& value) {
    const auto it = by_value_.find(value);
    if (it == by_value_.end() || &it->second != &bucket) return false;
    by_value_.erase(it);
    return true;
  };
  if (mode_ == Mode::kTuple) {
    CHECK(erase(*tuple_of(entry)));
    return;
  }
  for (const sql::OperandIndex index : bound_.front()->operands) {
    std::string value;
    append_value(value, *entry.operands[index].value);
    if (erase(value)) return;
  }
  CHECK(false);
}

template <typename F>
void DependencyNode::each_bucket(F&& f) {
  for (auto& [value, bucket] : by_value_) f(bucket);
  by_interval_.each(f);
  f(rest_);
}

void DependencyNode::find_all(std::vector<Entry*>& found) {
  each_bucket([&](Bucket& bucket) {
    for (const Bucket::Slot& slot : bucket.slots) {
      if (!slot.entry->doomed) doom(*slot.entry, found);
    }
  });
}

void DependencyNode::find(const ChangeImages& change, std::vector<Entry*>& found) {
  if (change.change().kind == cdc::ChangeKind::kTruncate) {
    find_all(found);
    return;
  }
  if (is_invisible_update(dependency, change)) return;
  if (change.before()) find_by(*change.before(), found);
  if (change.after()) find_by(*change.after(), found);
}

void DependencyNode::test(Bucket& bucket, const RowImage& image, std::vector<Entry*>& found) {
  for (const Bucket::Slot& slot : bucket.slots) {
    Entry& entry = *slot.entry;
    if (!entry.doomed && row_may_matter(dependency, image, entry.operands)) doom(entry, found);
  }
}

void DependencyNode::test_all(const RowImage& image, std::vector<Entry*>& found) {
  each_bucket([&](Bucket& bucket) { test(bucket, image, found); });
}

void DependencyNode::find_by(const RowImage& image, std::vector<Entry*>& found) {
  if (!row_may_matter(dependency, image, common_)) return;
  if (mode_ == Mode::kRest) {
    test(rest_, image, found);
    return;
  }
  if (mode_ == Mode::kRange) {
    const sql::Operand& value = image.look(dependency.range->column);
    if (value.state == State::kUnknown) {
      test_all(image, found);
      return;
    }
    if (value.state == State::kValue) {
      by_interval_.each_containing(*value.value,
                                   [&](Bucket& bucket) { test(bucket, image, found); });
    }
    test(rest_, image, found);
    return;
  }
  std::string tuple;
  bool is_null = false;
  for (const sql::EqualityBinding* equality : bound_) {
    const sql::Operand& value = image.look(equality->column);
    if (value.state == State::kUnknown) {
      test_all(image, found);
      return;
    }
    if (value.state == State::kNull) {
      is_null = true;
    } else {
      append_value(tuple, *value.value);
    }
  }
  if (!is_null) {
    const auto it = by_value_.find(tuple);
    if (it != by_value_.end()) test(it->second, image, found);
  }
  test(rest_, image, found);
}

}  // namespace pgcache::cache
