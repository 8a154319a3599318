// SPDX-License-Identifier: Apache-2.0
// Change → the entries that it affects. Guarded by the cache's apply mutex.
//
//   relation ──► one node for each (shape, dependency) that reads it
//                  ├─ by value: tuple of the bound columns' values → entries       (hash)
//                  ├─ by interval → entries                                        (interval tree)
//                  └─ rest: entries whose operands cannot be placed, or no binding (list)
//
// A node uses the first that its dependency offers: all equality bindings with a single operand,
// together; else the first list (IN), an entry then standing under each of its values; else the
// range; else the rest alone. A row image whose bound columns are known is looked up there; when
// one is unknown all of the node's entries are candidates. Every candidate, and every one of the
// rest, is then tested exactly (relevance.h). A node whose residual is false on the row for any
// operands is left out at once. So the work follows the shapes on the relation and the entries
// found, never the number of entries.
//
// A node is listed under every member of its dependency (descendants, publishing ancestors).
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "cache/bucket.h"
#include "cache/dependency_node.h"
#include "cache/interval_tree.h"
#include "cache/row_image.h"

namespace pgcache::cache {

class DependencyIndex {
 public:
  using Nodes = std::unordered_map<std::uint64_t, std::vector<std::unique_ptr<DependencyNode>>>;

  DependencyIndex();
  ~DependencyIndex();

  // Fills entry.refs. The shape must be cacheable and its operands bound.
  void add(Entry& entry);
  void remove(Entry& entry);
  // Forgets everything; the entries' own references dangle, they must go too. What is returned is
  // destroyed by the caller when no lock is held.
  Nodes clear();

  // The entries that the change affects, each once, marked doomed.
  std::vector<Entry*> affected_by(const ChangeImages& change);
  // All that depend on the relation, each once, marked doomed.
  std::vector<Entry*> all_over(pg::Oid relation);

  bool knows(pg::Oid relation) const { return by_relation_.contains(relation); }
  std::size_t node_count() const { return node_count_; }

 private:
  DependencyNode& node_of(const Entry& entry, std::size_t dependency);
  void drop_node(DependencyNode& node);

  Nodes nodes_;  // by shape id, then by dependency
  std::unordered_map<pg::Oid, std::vector<DependencyNode*>> by_relation_;
  std::size_t node_count_ = 0;
};

}  // namespace pgcache::cache
