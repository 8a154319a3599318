// SPDX-License-Identifier: Apache-2.0
#include "cache/dependency_index.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "cache/relevance.h"

namespace pgcache::cache {

// The nodes of one shape, and its entries that are not in all of them.
struct DependencyIndex::ShapeNodes {
  ShapePtr shape;
  std::vector<pg::Oid> relations;  // that the query names, and all members; distinct
  bool names_more = false;         // than its dependencies' members
  std::vector<std::unique_ptr<DependencyNode>> nodes;  // by dependency; null without entries
  Bucket idle;
  std::size_t entries = 0;
};

namespace {

// Averages: a slot with its reference; the same with its share of a table's node.
constexpr std::uint64_t kListedBytes = 48;
constexpr std::uint64_t kTableBytes = 176;

std::vector<sql::ColumnRef> columns_of(const DependencyNode::Binding& binding) {
  std::vector<sql::ColumnRef> columns;
  columns.reserve(binding.equalities.size());
  for (const sql::EqualityBinding* equality : binding.equalities) {
    columns.push_back(equality->column);
  }
  return columns;
}

template <typename T>
void list_once(std::vector<T*>& list, T* item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

}  // namespace

DependencyIndex::Remains::Remains() = default;
DependencyIndex::Remains::~Remains() = default;
DependencyIndex::Remains::Remains(Remains&&) noexcept = default;
DependencyIndex::Remains& DependencyIndex::Remains::operator=(Remains&&) noexcept = default;

DependencyIndex::DependencyIndex() = default;
DependencyIndex::~DependencyIndex() = default;

std::vector<Standing> standings_of(const sql::CacheableQuery& query,
                                   const BoundOperands& operands) {
  std::vector<Standing> standings(query.dependencies.size());
  for (std::size_t i = 0; i < standings.size(); ++i) {
    standings[i].matters = may_matter_at_all(query.dependencies[i], operands);
  }
  return standings;
}

std::uint64_t index_bytes(const sql::CacheableQuery& query, const BoundOperands& operands,
                          const std::vector<Standing>& standings) {
  std::uint64_t bytes = kListedBytes;
  for (std::size_t i = 0; i < query.dependencies.size(); ++i) {
    if (!standings[i].matters) continue;
    bytes += kListedBytes;
    bytes += standings[i].facts.bytes();
    if (standings[i].shown) bytes += standings[i].shown->size() * kTableBytes;
    const auto binding = DependencyNode::binding_of(query.dependencies[i]);
    std::size_t places = 1;
    if (binding.mode == DependencyNode::Mode::kList) {
      const sql::EqualityBinding& list = *binding.equalities.front();
      const ArrayOperand* array = list.array ? operands.array(list.operands.front()) : nullptr;
      places = array ? array->elements.size() : list.operands.size();
    }
    bytes += places * kTableBytes;
  }
  return bytes;
}

template <typename F>
void DependencyIndex::each_listed(const std::vector<pg::Oid>& members, F&& f) {
  for (const pg::Oid oid : members) {
    const auto it = by_relation_.find(oid);
    if (it == by_relation_.end()) continue;  // named twice
    f(it->second);
    if (it->second.empty()) by_relation_.erase(it);
  }
}

DependencyIndex::ShapeNodes& DependencyIndex::shape_nodes_of(const Entry& entry) {
  std::unique_ptr<ShapeNodes>& slot = held_.shapes[entry.shape->id.value];
  if (slot) return *slot;
  slot = std::make_unique<ShapeNodes>();
  slot->shape = entry.shape;
  const sql::CacheableQuery& query = *entry.shape->analysis.cacheable();
  slot->nodes.resize(query.dependencies.size());
  const auto distinct = [](std::vector<pg::Oid>& oids) {
    std::sort(oids.begin(), oids.end());
    oids.erase(std::unique(oids.begin(), oids.end()), oids.end());
  };
  std::vector<pg::Oid>& relations = slot->relations;
  for (const sql::Dependency& dependency : query.dependencies) {
    relations.insert(relations.end(), dependency.members.begin(), dependency.members.end());
  }
  distinct(relations);
  const std::size_t members = relations.size();
  relations.insert(relations.end(), query.relations.begin(), query.relations.end());
  distinct(relations);
  slot->names_more = relations.size() > members;
  for (const pg::Oid oid : relations) by_relation_[oid].shapes.push_back(slot.get());
  return *slot;
}

void DependencyIndex::drop_shape(ShapeNodes& shape) {
  each_listed(shape.relations, [&](Listed& listed) { std::erase(listed.shapes, &shape); });
  held_.shapes.erase(shape.shape->id.value);
}

ValueGroup* DependencyIndex::values_for(const ShapeNodes& shape, std::size_t number) {
  const sql::Dependency& dependency = shape.shape->analysis.cacheable()->dependencies[number];
  const DependencyNode::Binding binding = DependencyNode::binding_of(dependency);
  if (binding.mode == DependencyNode::Mode::kExpression) {
    // One for each node: whether two expressions are the same is not known.
    std::string signature = std::to_string(shape.shape->id.value) + '/' + std::to_string(number);
    std::unique_ptr<ValueGroup>& slot = held_.values[signature];
    if (!slot) {
      slot = std::make_unique<ValueGroup>(std::move(signature), &dependency.value_binding->value);
    }
    return slot.get();
  }
  if (binding.equalities.empty()) return nullptr;
  std::vector<sql::ColumnRef> columns = columns_of(binding);
  std::string signature = group_signature(dependency.members, columns);
  std::unique_ptr<ValueGroup>& slot = held_.values[signature];
  if (!slot) slot = std::make_unique<ValueGroup>(std::move(signature), std::move(columns));
  return slot.get();
}

IntervalGroup* DependencyIndex::intervals_for(const sql::Dependency& dependency) {
  const DependencyNode::Binding binding = DependencyNode::binding_of(dependency);
  if (binding.mode != DependencyNode::Mode::kRange) return nullptr;
  const sql::ColumnRef& column = dependency.range->column;
  std::string signature = group_signature(dependency.members, {column});
  std::unique_ptr<IntervalGroup>& slot = held_.intervals[signature];
  if (!slot) slot = std::make_unique<IntervalGroup>(std::move(signature), column);
  return slot.get();
}

void DependencyIndex::join_keys(DependencyNode& node) {
  const std::vector<sql::ShownColumn>& shown = node.dependency.shown.columns;
  std::vector<sql::ColumnRef> columns;
  for (const sql::ShownColumn& each : shown) columns.push_back(each.column);
  std::string signature = group_signature(node.dependency.members, columns);
  std::unique_ptr<KeyGroup>& slot = held_.keys[signature];
  if (!slot) slot = std::make_unique<KeyGroup>(std::move(signature), shown);
  ++slot->node_count;
  node.keys = slot.get();
  for (const pg::Oid oid : node.dependency.members) list_once(by_relation_[oid].keys, slot.get());
}

template <typename Group>
void DependencyIndex::drop_group(Groups<Group>& groups, std::vector<Group*> Listed::*list,
                                 Group& group, const std::vector<pg::Oid>& members) {
  each_listed(members, [&](Listed& listed) { std::erase(listed.*list, &group); });
  groups.erase(groups.find(group.signature()));
}

void DependencyIndex::leave_groups(DependencyNode& node) {
  const std::vector<pg::Oid>& members = node.dependency.members;
  if (ValueGroup* group = node.values) {
    std::erase(group->nodes, &node);
    std::erase(group->or_null_nodes, &node);
    if (group->nodes.empty()) drop_group(held_.values, &Listed::values, *group, members);
  }
  if (IntervalGroup* group = node.intervals) {
    std::erase(group->nodes, &node);
    if (group->nodes.empty()) drop_group(held_.intervals, &Listed::intervals, *group, members);
  }
  if (KeyGroup* group = node.keys; group && --group->node_count == 0) {
    drop_group(held_.keys, &Listed::keys, *group, members);
  }
}

DependencyNode& DependencyIndex::node_of(ShapeNodes& shape, std::size_t dependency,
                                         const Entry& entry) {
  std::unique_ptr<DependencyNode>& slot = shape.nodes[dependency];
  if (slot) return *slot;
  const sql::Dependency& d = shape.shape->analysis.cacheable()->dependencies[dependency];
  ValueGroup* values = values_for(shape, dependency);
  IntervalGroup* intervals = intervals_for(d);
  slot = std::make_unique<DependencyNode>(shape.shape, dependency, entry, values, intervals);
  ++node_count_;
  DependencyNode* node = slot.get();
  if (values) {
    values->nodes.push_back(node);
    if (node->binding.or_null) values->or_null_nodes.push_back(node);
  }
  if (intervals) intervals->nodes.push_back(node);
  for (const pg::Oid oid : d.members) {
    Listed& listed = by_relation_[oid];
    // A member may be named twice.
    if (listed.nodes.empty() || listed.nodes.back() != node) listed.nodes.push_back(node);
    if (values) list_once(listed.values, values);
    if (intervals) list_once(listed.intervals, intervals);
  }
  return *node;
}

void DependencyIndex::drop_node(DependencyNode& node) {
  note_straying(node, false);
  leave_groups(node);
  each_listed(node.dependency.members, [&](Listed& listed) { std::erase(listed.nodes, &node); });
  --node_count_;
  held_.shapes.find(node.shape->id.value)->second->nodes[node.number].reset();
}

void DependencyIndex::note_straying(DependencyNode& node, bool strays) {
  for (const pg::Oid oid : node.dependency.members) {
    const auto it = by_relation_.find(oid);
    CHECK(it != by_relation_.end());
    if (strays) {
      list_once(it->second.straying, &node);
    } else {
      std::erase(it->second.straying, &node);
    }
  }
}

void DependencyIndex::add(Entry& entry, std::vector<Standing> standings) {
  ShapeNodes& shape = shape_nodes_of(entry);
  CHECK(standings.size() == shape.nodes.size());
  ++shape.entries;
  bool idle = shape.names_more;
  for (std::size_t i = 0; i < standings.size(); ++i) {
    if (!standings[i].matters) {
      idle = true;
      continue;
    }
    DependencyNode& node = node_of(shape, i, entry);
    const ShownKeys* shown = standings[i].shown ? &*standings[i].shown : nullptr;
    if (shown && !node.keys) join_keys(node);
    const bool strayed = node.has_strays();
    node.add(entry, shown);
    if (!strayed && node.has_strays()) note_straying(node, true);
    if (standings[i].facts.empty()) continue;
    if (!entry.facts) entry.facts = std::make_unique<ResultFacts[]>(standings.size());
    entry.facts[i] = std::move(standings[i].facts);
  }
  if (idle) shape.idle.add(entry, nullptr, false);
  entry.refs.shrink_to_fit();
}

void DependencyIndex::remove(Entry& entry) {
  // From the last, for a node may go with its last reference to this entry, which is the first that
  // it added.
  for (std::size_t i = entry.refs.size(); i-- > 0;) {
    const IndexRef ref = entry.refs[i];
    if (!ref.node) {
      ref.bucket->remove_at(ref.position);
      continue;
    }
    DependencyNode& node = *ref.node;
    const bool strayed = node.has_strays();
    node.remove(entry, ref);
    if (node.empty()) {
      drop_node(node);
    } else if (strayed && !node.has_strays()) {
      note_straying(node, false);
    }
  }
  entry.refs.clear();
  ShapeNodes& shape = *held_.shapes.find(entry.shape->id.value)->second;
  if (--shape.entries == 0) drop_shape(shape);
}

DependencyIndex::Remains DependencyIndex::clear() noexcept {
  by_relation_.clear();
  node_count_ = 0;
  return std::exchange(held_, {});
}

bool DependencyIndex::knows(pg::Oid relation) const {
  const auto it = by_relation_.find(relation);
  return it != by_relation_.end() && !it->second.nodes.empty();
}

void DependencyIndex::search(Listed& listed, const Search& search) {
  const auto test = [&search](const Bucket& bucket) {
    constexpr std::size_t kAhead = 4;
    const std::size_t count = bucket.slots.size();
    for (std::size_t i = 0; i < std::min(count, kAhead); ++i)
      prefetch_front(*bucket.slots[i].entry);
    for (std::size_t i = 0; i < count; ++i) {
      if (i + kAhead < count) prefetch_front(*bucket.slots[i + kAhead].entry);
      const Bucket::Slot& slot = bucket.slots[i];
      slot.reference().node->test(slot, search);
    }
  };
  const auto test_all = [&search](const std::vector<DependencyNode*>& nodes) {
    for (DependencyNode* node : nodes) node->test_all(search);
  };
  for (KeyGroup* group : listed.keys) {
    const std::optional<std::uint64_t>& key = search.is_before ? group->before : group->after;
    const Bucket* bucket = key ? group->find(*key) : nullptr;
    if (bucket) test(*bucket);
  }
  for (ValueGroup* group : listed.values) {
    const ValueGroup::Look look = group->look(search.image, tuple_);
    if (look == ValueGroup::Look::kUnknown) test_all(group->nodes);
    if (look == ValueGroup::Look::kNull) test_all(group->or_null_nodes);
    const Bucket* bucket = look == ValueGroup::Look::kValues ? group->find(tuple_) : nullptr;
    if (bucket) test(*bucket);
  }
  for (IntervalGroup* group : listed.intervals) {
    const sql::Operand& value = search.image.look(group->column());
    if (value.state == sql::Operand::State::kUnknown) test_all(group->nodes);
    if (value.known()) group->each_containing(*value.value, test);
  }
  for (DependencyNode* node : listed.straying) node->test_strays(search);
}

// The row afterwards first: what it does not show to be affected may be so for want of the row
// before.
std::vector<Entry*> DependencyIndex::affected_by(const ChangeImages& change,
                                                 const PartnerSearch* partners) {
  std::vector<Entry*> found;
  const auto it = by_relation_.find(change.relation());
  if (it == by_relation_.end()) return found;
  ++searches_;
  if (change.change().kind == cdc::ChangeKind::kTruncate) {
    for (DependencyNode* node : it->second.nodes) node->find_all_of(change.relation(), found);
  }
  for (KeyGroup* group : it->second.keys) {
    const auto key_of = [group](const std::optional<RowImage>& image) {
      return image ? key_hash(group->columns(), *image) : std::nullopt;
    };
    group->before = key_of(change.before());
    group->after = key_of(change.after());
  }
  if (change.after())
    search(it->second, {change, *change.after(), false, searches_, found, partners});
  if (change.before())
    search(it->second, {change, *change.before(), true, searches_, found, partners});
  return found;
}

void DependencyIndex::approach(pg::Oid relation, const RowImage& row, std::vector<Approach>& ways) {
  const auto it = by_relation_.find(relation);
  if (it == by_relation_.end()) return;
  const auto add = [&ways](const HashedBuckets& table, std::uint64_t hash) {
    table.prefetch(hash);
    ways.push_back(Approach(table, hash));
  };
  for (const KeyGroup* group : it->second.keys) {
    if (const auto key = key_hash(group->columns(), row)) add(group->buckets(), *key);
  }
  for (const ValueGroup* group : it->second.values) {
    const bool is_there = group->look(row, tuple_) == ValueGroup::Look::kValues;
    if (is_there) add(group->buckets(), hash_bytes(tuple_));
  }
  for (const IntervalGroup* group : it->second.intervals) {
    const sql::Operand& value = row.look(group->column());
    if (value.known()) ways.push_back(Approach(group->approach(*value.value)));
  }
}

// Of a bucket only the first entries: how many more there are is of no use to those who wait for
// the first.
bool DependencyIndex::Approach::go_on() {
  static constexpr std::size_t kEntries = 2;
  static constexpr std::size_t kOperands = 4;
  const auto each_slot = [this](auto&& f) {
    const std::size_t count = std::min(bucket_->slots.size(), kEntries);
    for (std::size_t i = 0; i < count; ++i) f(bucket_->slots[i]);
  };
  switch (step_) {
    case Step::kTree:
      if (tree_.go_on()) return true;
      bucket_ = tree_.bucket();
      step_ = Step::kBucket;
      break;
    case Step::kTable:
      bucket_ = table_->find(hash_);
      if (bucket_) prefetch_all(*bucket_);
      step_ = Step::kBucket;
      break;
    case Step::kBucket:
      each_slot([](const Bucket::Slot& slot) { prefetch_front(*slot.entry); });
      step_ = Step::kEntries;
      break;
    case Step::kEntries:
      each_slot([this](const Bucket::Slot& slot) {
        prefetch_all(static_cast<const NodeFront&>(*slot.reference().node));
        if (slot.reference().node->is_told_by(bucket_->place)) return;
        const std::vector<sql::Operand>& operands = slot.entry->operands.values;
        prefetch_bytes(operands.data(), std::min(operands.size(), kOperands) * sizeof operands[0]);
      });
      step_ = Step::kEnd;
      break;
    case Step::kEnd:
      break;
  }
  if (!bucket_) step_ = Step::kEnd;
  return step_ != Step::kEnd;
}

std::vector<Entry*> DependencyIndex::all_reading_rows_of(pg::Oid relation) {
  std::vector<Entry*> found;
  const auto it = by_relation_.find(relation);
  if (it == by_relation_.end()) return found;
  for (DependencyNode* node : it->second.nodes) node->find_all_of(relation, found);
  return found;
}

std::vector<Entry*> DependencyIndex::all_over(pg::Oid relation) {
  std::vector<Entry*> found;
  const auto it = by_relation_.find(relation);
  if (it == by_relation_.end()) return found;
  for (DependencyNode* node : it->second.nodes) node->find_all(found);
  for (ShapeNodes* shape : it->second.shapes) {
    shape->idle.each([&](const Bucket::Slot& slot) { doom(*slot.entry, false, found); });
  }
  return found;
}

std::vector<Entry*> DependencyIndex::all_of(const std::function<bool(const Shape&)>& chosen) {
  std::vector<Entry*> found;
  for (const auto& [id, shape] : held_.shapes) {
    if (!chosen(*shape->shape)) continue;
    for (const auto& node : shape->nodes) {
      if (node) node->find_all(found);
    }
    shape->idle.each([&](const Bucket::Slot& slot) { doom(*slot.entry, false, found); });
  }
  return found;
}

}  // namespace pgcache::cache
