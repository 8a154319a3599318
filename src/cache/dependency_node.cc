// SPDX-License-Identifier: Apache-2.0
#include "cache/dependency_node.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace pgcache::cache {

namespace {

using State = sql::Operand::State;

// An array with more elements is not spread over the table.
constexpr std::size_t kSpreadMax = 1'000;

// Comparable with the column's values as they come in the stream.
bool is_comparable(const pg::Value& value, const sql::ColumnRef& column) {
  return value.family() ==
         (column.value_type ? column.value_type->family : pg::family_of(column.type));
}

bool places(const sql::Operand& operand, const sql::ColumnRef& column) {
  return operand.state == State::kValue && is_comparable(*operand.value, column);
}

BoundOperands operands_in_common(const sql::CacheableQuery& query, const Entry& entry) {
  BoundOperands common;
  common.values.resize(entry.operands.values.size());
  for (std::size_t i = 0; i < std::min(common.values.size(), query.operands.size()); ++i) {
    if (query.operands[i].source == sql::OperandSpec::Source::kConstant) {
      common.values[i] = entry.operands.values[i];
    }
  }
  for (const ArrayOperand& array : entry.operands.arrays) {
    if (common.values[array.index].known()) common.arrays.push_back(array);
  }
  return common;
}

// The values that an IN list or an array gives; nothing when they cannot all be placed.
std::optional<std::vector<std::string>> values_of(const sql::EqualityBinding& equality,
                                                  const BoundOperands& operands) {
  std::vector<std::string> values;
  if (equality.array) {
    const ArrayOperand* array = operands.array(equality.operands.front());
    if (!array || array->elements.size() > kSpreadMax) return std::nullopt;
    if (array->has_null && equality.or_null) return std::nullopt;
    for (const pg::Value& element : array->elements) {
      if (!is_comparable(element, equality.column)) return std::nullopt;
      append_value(values.emplace_back(), element);
    }
    return values;
  }
  for (const sql::OperandIndex index : equality.operands) {
    const sql::Operand& operand = operands.values[index];
    if (!places(operand, equality.column)) return std::nullopt;
    append_value(values.emplace_back(), *operand.value);
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

// Whether a row with an entry's values matters to it for that alone.
bool place_tells_all(const sql::Dependency& dependency, const DependencyNode::Binding& binding) {
  using Mode = DependencyNode::Mode;
  return (binding.mode == Mode::kTuple || binding.mode == Mode::kList) && !dependency.range &&
         dependency.equalities.size() == binding.equalities.size() &&
         dependency.residual.kind == sql::Predicate::Kind::kTrue;
}

}  // namespace

// Equalities that rows with NULL may pass come last: those rows are in no bucket.
DependencyNode::Binding DependencyNode::binding_of(const sql::Dependency& dependency) {
  Binding binding;
  for (const bool or_null : {false, true}) {
    binding.or_null = or_null;
    for (const sql::EqualityBinding& equality : dependency.equalities) {
      const bool is_single = equality.operands.size() == 1 && !equality.array;
      if (is_single && equality.or_null == or_null) binding.equalities.push_back(&equality);
    }
    if (!binding.equalities.empty()) {
      binding.mode = Mode::kTuple;
      return binding;
    }
    for (const sql::EqualityBinding& equality : dependency.equalities) {
      if (equality.or_null != or_null) continue;
      binding.mode = Mode::kList;
      binding.equalities = {&equality};
      return binding;
    }
  }
  binding.or_null = false;
  if (dependency.value_binding) {
    binding.mode = Mode::kExpression;
    return binding;
  }
  // Arrays are not all in one order with each other.
  const bool is_array = dependency.range && dependency.range->column.value_type &&
                        dependency.range->column.value_type->element;
  if (dependency.range && dependency.range->column.ordered && !is_array) {
    binding.mode = Mode::kRange;
  }
  return binding;
}

DependencyNode::DependencyNode(ShapePtr of_shape, std::size_t dependency_number, const Entry& first,
                               ValueGroup* of_values, IntervalGroup* of_intervals)
    : shape(std::move(of_shape)),
      number(dependency_number),
      dependency(shape->analysis.cacheable()->dependencies[dependency_number]),
      binding(binding_of(dependency)),
      values(of_values),
      intervals(of_intervals),
      common_(operands_in_common(*shape->analysis.cacheable(), first)) {
  asks_more = !dependency.member_guards.empty() || dependency.columns_shown.has_value();
  tells_all = place_tells_all(dependency, binding);
}

bool DependencyNode::place_by_tuple(Entry& entry, bool by_key) {
  std::string tuple;
  for (const sql::EqualityBinding* equality : binding.equalities) {
    const sql::Operand& operand = entry.operands.values[equality->operands.front()];
    if (!places(operand, equality->column)) return false;
    append_value(tuple, *operand.value);
  }
  values->at(tuple).add(entry, this, by_key);
  return true;
}

bool DependencyNode::place_by_list(Entry& entry, bool by_key) {
  auto list = values_of(*binding.equalities.front(), entry.operands);
  if (!list) return false;
  for (const std::string& value : *list) values->at(value).add(entry, this, by_key);
  return true;
}

bool DependencyNode::place_by_expression(Entry& entry, bool by_key) {
  const sql::Operand bound =
      sql::value_of(dependency.value_binding->bound, nullptr, entry.operands.values);
  if (!bound.known() || !values->takes(bound.value->family())) return false;
  std::string tuple;
  append_value(tuple, *bound.value);
  values->at(tuple).add(entry, this, by_key);
  return true;
}

std::optional<Interval> DependencyNode::interval_of(const Entry& entry) const {
  const sql::RangeBinding& range = *dependency.range;
  Interval interval;
  if (range.lower) {
    const sql::Operand& operand = entry.operands.values[*range.lower];
    if (!places(operand, range.column)) return std::nullopt;
    interval.lower = operand.value;
  }
  if (range.upper) {
    const sql::Operand& operand = entry.operands.values[*range.upper];
    if (!places(operand, range.column)) return std::nullopt;
    interval.upper = operand.value;
  }
  return interval;
}

bool DependencyNode::place_by_range(Entry& entry, bool by_key) {
  const std::optional<Interval> interval = interval_of(entry);
  if (!interval) return false;
  intervals->at(*interval).add(entry, this, by_key);
  return true;
}

void DependencyNode::add(Entry& entry, const ShownKeys* shown) {
  const bool by_key = shown != nullptr;
  (by_key ? by_key_ : plain_).add(entry, this, by_key);
  if (by_key) {
    for (const std::uint64_t key : *shown) keys->at(key).add(entry, this, by_key);
  }
  bool placed = false;
  switch (binding.mode) {
    case Mode::kTuple:
      placed = place_by_tuple(entry, by_key);
      break;
    case Mode::kList:
      placed = place_by_list(entry, by_key);
      break;
    case Mode::kExpression:
      placed = place_by_expression(entry, by_key);
      break;
    case Mode::kRange:
      placed = place_by_range(entry, by_key);
      break;
    case Mode::kRest:
      break;
  }
  if (!placed) rest_.add(entry, this, by_key);
}

void DependencyNode::remove(const Entry& entry, const IndexRef& ref) {
  Bucket& bucket = *ref.bucket;
  bucket.remove_at(ref.position);
  if (!bucket.empty()) return;
  switch (bucket.place) {
    case Bucket::Place::kList:
      return;
    case Bucket::Place::kInterval:
      intervals->erase(*interval_of(entry));
      return;
    case Bucket::Place::kValue:
      values->erase(bucket);
      return;
    case Bucket::Place::kKey:
      keys->erase(bucket);
      return;
  }
}

void DependencyNode::find_all(std::vector<Entry*>& found) {
  for (const Bucket* bucket : {&plain_, &by_key_}) {
    bucket->each([&](const Bucket::Slot& slot) { doom(*slot.entry, false, found); });
  }
}

void DependencyNode::find_all_of(pg::Oid member, std::vector<Entry*>& found) {
  for (const Bucket* bucket : {&plain_, &by_key_}) {
    bucket->each([&](const Bucket::Slot& slot) {
      if (member_may_matter(dependency, member, slot.entry->operands)) {
        doom(*slot.entry, false, found);
      }
    });
  }
}

void DependencyNode::judge(const Search& search) {
  if (judged == search.number) return;
  judged = search.number;
  const RelationForm& its_form = search.change.form();
  if (form != its_form.number()) {
    rule = VisibilityRule(dependency, its_form);
    form = its_form.number();
  }
  visibility = rule(search.change);
  const auto judged_by_key = [&](bool is_before) {
    const RowImage* const row =
        keys ? must_be_shown(dependency, search.change, is_before) : nullptr;
    if (!row) return ByKey::kNo;
    const bool is_former = search.change.before() && row == &*search.change.before();
    if (!(is_former ? keys->before : keys->after)) return ByKey::kNo;
    return is_former == is_before ? ByKey::kYes : ByKey::kFormer;
  };
  by_key_before = judged_by_key(true);
  by_key_after = judged_by_key(false);
}

Visibility DependencyNode::visibility_of(const Search& search) {
  judge(search);
  return visibility;
}

bool DependencyNode::may_concern_some(const Search& search) {
  return visibility_of(search) != Visibility::kInvisible &&
         row_may_matter(dependency, search.image, common_);
}

ByKey DependencyNode::by_key(const Search& search) {
  judge(search);
  return search.is_before ? by_key_before : by_key_after;
}

void DependencyNode::test(const Bucket::Slot& slot, const Search& search) {
  const IndexRef& ref = slot.reference();
  const Bucket::Place place = ref.bucket->place;
  const ByKey found_by_key = place == Bucket::Place::kKey ? ByKey::kYes : ByKey::kNo;
  if (ref.by_key && by_key(search) != found_by_key) return;
  if (visibility_of(search) == Visibility::kInvisible) return;
  // The row's values are those under which the entry stands; or else their hashes are, and one
  // entry goes that need not.
  test_entry(*slot.entry, search, is_told_by(place));
}

void DependencyNode::test_entry(Entry& entry, const Search& search, bool is_told) {
  if (entry.doomed && !entry.coarse) return;
  search.image.forget_missed();
  if ((asks_more && !member_may_matter(dependency, search.change.relation(), entry.operands)) ||
      (!is_told && !row_may_matter(dependency, search.image, entry.operands)) ||
      (asks_more && keeps_result(dependency, search.change, entry.operands)) ||
      (entry.facts && is_beyond(dependency, entry.facts[number], search.image, search.is_before)) ||
      !may_find_partners_for(entry, search)) {
    return;
  }
  const bool coarse =
      (search.is_before && search.image.missed()) || visibility_of(search) == Visibility::kUnproven;
  doom(entry, coarse, search.found);
}

bool DependencyNode::may_find_partners_for(const Entry& entry, const Search& search) const {
  return !search.partners || !search.partners->applies_to(entry) ||
         may_find_partners(dependency, search.image, entry.operands, search.partners->copies);
}

void DependencyNode::test_bucket(Bucket& bucket, const Search& search) {
  bucket.each([&](const Bucket::Slot& slot) { test(slot, search); });
}

void DependencyNode::test_all(const Search& search) {
  all_tested_ = 2 * search.number + (search.is_before ? 1 : 0);
  if (!may_concern_some(search)) return;
  test_bucket(plain_, search);
  if (by_key(search) == ByKey::kNo) test_bucket(by_key_, search);
}

void DependencyNode::test_strays(const Search& search) {
  if (all_tested_ == 2 * search.number + (search.is_before ? 1 : 0)) return;
  if (!may_concern_some(search)) return;
  test_bucket(rest_, search);
}

}  // namespace pgcache::cache
