// SPDX-License-Identifier: Apache-2.0
#include "cache/dependency_index.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace pgcache::cache {

DependencyIndex::DependencyIndex() = default;
DependencyIndex::~DependencyIndex() = default;

DependencyNode& DependencyIndex::node_of(const Entry& entry, std::size_t dependency) {
  const sql::CacheableQuery& query = *entry.shape->analysis.cacheable();
  auto& of_shape = nodes_[entry.shape->id.value];
  if (of_shape.empty()) of_shape.resize(query.dependencies.size());
  std::unique_ptr<DependencyNode>& slot = of_shape[dependency];
  if (!slot) {
    slot = std::make_unique<DependencyNode>(entry.shape, dependency, entry);
    ++node_count_;
    for (const pg::Oid oid : slot->dependency.members) {
      std::vector<DependencyNode*>& listed = by_relation_[oid];
      // A member may be named twice.
      if (listed.empty() || listed.back() != slot.get()) listed.push_back(slot.get());
    }
  }
  return *slot;
}

void DependencyIndex::add(Entry& entry) {
  const std::size_t count = entry.shape->analysis.cacheable()->dependencies.size();
  for (std::size_t i = 0; i < count; ++i) node_of(entry, i).add(entry);
}

void DependencyIndex::remove(Entry& entry) {
  // From the last: a node may go when its last reference of this entry does.
  for (std::size_t i = entry.refs.size(); i-- > 0;) {
    DependencyNode& node = *entry.refs[i].bucket->node;
    node.remove(entry, entry.refs[i]);
    if (node.empty()) drop_node(node);
  }
  entry.refs.clear();
}

void DependencyIndex::drop_node(DependencyNode& node) {
  for (const pg::Oid oid : node.dependency.members) {
    const auto listed = by_relation_.find(oid);
    if (listed == by_relation_.end()) continue;  // named twice
    std::erase(listed->second, &node);
    if (listed->second.empty()) by_relation_.erase(listed);
  }
  --node_count_;
  const auto of_shape = nodes_.find(node.shape->id.value);
  of_shape->second[node.number].reset();
  const bool last = std::all_of(of_shape->second.begin(), of_shape->second.end(),
                                [](const auto& other) { return !other; });
  if (last) nodes_.erase(of_shape);
}

DependencyIndex::Nodes DependencyIndex::clear() {
  by_relation_.clear();
  node_count_ = 0;
  return std::exchange(nodes_, {});
}

std::vector<Entry*> DependencyIndex::affected_by(const ChangeImages& change) {
  std::vector<Entry*> found;
  const auto listed = by_relation_.find(change.relation());
  if (listed == by_relation_.end()) return found;
  for (DependencyNode* node : listed->second) node->find(change, found);
  return found;
}

std::vector<Entry*> DependencyIndex::all_over(pg::Oid relation) {
  std::vector<Entry*> found;
  const auto listed = by_relation_.find(relation);
  if (listed == by_relation_.end()) return found;
  for (DependencyNode* node : listed->second) node->find_all(found);
  return found;
}

}  // namespace pgcache::cache
