// SPDX-License-Identifier: Apache-2.0
// Change → the entries that it affects. Guarded by the cache's apply mutex.
//
//   relation ──► value tables: values of the bound columns → entries      (hash; value_group.h)
//            ├─► interval tables: where the bound column lies → entries   (interval tree)
//            ├─► key tables: what results show of rows → entries        (hash)
//            └─► one node for each (shape, dependency) that reads it
//                  ├─ all of its entries                                  (lists)
//                  └─ rest: entries that have no place by value           (list)
//
// A node places its entries by what its dependency offers first: all equality bindings with a
// single operand, together; else the first list (IN) or array, an entry then standing under each of
// its values; else what an expression on the row must equal; else the range; else not at all. Nodes
// that bind the same columns of the same relations share one table. A row image is looked up there;
// when a bound column is unknown, or NULL and rows with NULL count, all entries of the nodes
// concerned are candidates. Every candidate, and every one of the rest, is then tested exactly
// (relevance.h). A node whose residual is false on the row for any operands is left out at once. So
// the work follows the distinct bindings on the relation, the shapes with entries that have no
// place by value, and the entries found; never the number of entries.
//
// Entries that show something of all rows that they depend on (Dependency.shown) are found by what
// they show of the row, where that is known, and then by nothing else of it.
//
// A dependency whose guard cannot hold under an entry's operands is left out: no row matters. The
// entry is then on its shape's idle list, for what concerns relations as a whole.
//
// A node is listed under every member of its dependency (descendants, publishing ancestors).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "cache/bucket.h"
#include "cache/dependency_node.h"
#include "cache/row_image.h"
#include "cache/shown_keys.h"
#include "cache/value_group.h"

namespace pgcache::cache {

// How a result stands towards one dependency of its query.
struct Standing {
  bool matters = true;             // the guard may hold
  std::optional<ShownKeys> shown;  // nothing: not known
  ResultFacts facts;
};
// For each dependency; without what the result tells.
std::vector<Standing> standings_of(const sql::CacheableQuery& query, const BoundOperands& operands);

// About what the index takes up for the entry.
std::uint64_t index_bytes(const sql::CacheableQuery& query, const BoundOperands& operands,
                          const std::vector<Standing>& standings);

class DependencyIndex {
  struct ShapeNodes;
  template <typename Group>
  using Groups =
      std::unordered_map<std::string, std::unique_ptr<Group>, StringHash, std::equal_to<>>;

 public:
  // What clear() took out; destroyed by the caller when no lock is held.
  struct Remains {
    std::unordered_map<std::uint64_t, std::unique_ptr<ShapeNodes>> shapes;
    Groups<ValueGroup> values;
    Groups<IntervalGroup> intervals;
    Groups<KeyGroup> keys;

    Remains();
    ~Remains();
    Remains(Remains&&) noexcept;
    Remains& operator=(Remains&&) noexcept;
  };

  DependencyIndex();
  ~DependencyIndex();

  // Any call that throws, for want of memory, leaves the index fit for nothing but clear().
  //
  // Fills entry.refs and entry.facts. The shape must be cacheable and its operands bound.
  void add(Entry& entry, std::vector<Standing> standings);
  void remove(Entry& entry);
  // Forgets everything; the entries' own references dangle, they must go too.
  Remains clear() noexcept;

  // The entries that the change affects, each once, marked doomed. `partners`: what is known of
  // other tables; may be null.
  std::vector<Entry*> affected_by(const ChangeImages& change,
                                  const PartnerSearch* partners = nullptr);
  // Those that any change to rows of the relation may affect, each once, marked doomed.
  std::vector<Entry*> all_reading_rows_of(pg::Oid relation);
  // All whose query names the relation, each once, marked doomed.
  std::vector<Entry*> all_over(pg::Oid relation);

  // All of the shapes that are chosen, each once, marked doomed.
  std::vector<Entry*> all_of(const std::function<bool(const Shape&)>& chosen);

  // The way to what affected_by() will find (look_ahead.h). To be used up before the index changes.
  class Approach;
  // Of each place of the index at which the row will be looked for; appended.
  void approach(pg::Oid relation, const RowImage& row, std::vector<Approach>& ways);

  // Some entry depends on rows of the relation.
  bool knows(pg::Oid relation) const;
  std::size_t node_count() const { return node_count_; }

 private:
  // All that concerns one relation.
  struct Listed {
    std::vector<DependencyNode*> nodes;
    std::vector<DependencyNode*> straying;  // nodes with entries that have no place by value
    std::vector<ValueGroup*> values;
    std::vector<IntervalGroup*> intervals;
    std::vector<KeyGroup*> keys;
    std::vector<ShapeNodes*> shapes;
    bool empty() const { return nodes.empty() && shapes.empty(); }
  };

  ShapeNodes& shape_nodes_of(const Entry& entry);
  void drop_shape(ShapeNodes& shape);
  DependencyNode& node_of(ShapeNodes& shape, std::size_t dependency, const Entry& entry);
  void drop_node(DependencyNode& node);
  ValueGroup* values_for(const ShapeNodes& shape, std::size_t dependency);
  IntervalGroup* intervals_for(const sql::Dependency& dependency);
  void join_keys(DependencyNode& node);
  void leave_groups(DependencyNode& node);
  template <typename Group>
  void drop_group(Groups<Group>& groups, std::vector<Group*> Listed::*list, Group& group,
                  const std::vector<pg::Oid>& members);
  void note_straying(DependencyNode& node, bool strays);
  template <typename F>
  void each_listed(const std::vector<pg::Oid>& members, F&& f);
  void search(Listed& listed, const Search& search);

  Remains held_;  // shapes by id, tables by signature
  std::unordered_map<pg::Oid, Listed> by_relation_;
  std::size_t node_count_ = 0;
  std::uint64_t searches_ = 0;
  std::string tuple_;  // kept for its memory
};

class DependencyIndex::Approach {
 public:
  // A step further; false: it is at the end.
  bool go_on();

 private:
  friend class DependencyIndex;
  enum class Step : std::uint8_t { kTree, kTable, kBucket, kEntries, kEnd };
  Approach(const HashedBuckets& table, std::uint64_t hash)
      : step_(Step::kTable), table_(&table), hash_(hash) {}
  explicit Approach(const IntervalTree::Approach& tree) : step_(Step::kTree), tree_(tree) {}

  Step step_;
  const HashedBuckets* table_ = nullptr;
  std::uint64_t hash_ = 0;
  IntervalTree::Approach tree_;
  const Bucket* bucket_ = nullptr;
};

}  // namespace pgcache::cache
