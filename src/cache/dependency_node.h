// SPDX-License-Identifier: Apache-2.0
// One dependency of one shape, with the entries of that shape (see dependency_index.h).
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "cache/bucket.h"
#include "cache/interval_tree.h"
#include "cache/row_image.h"

namespace pgcache::cache {

struct DependencyNode {
  enum class Mode { kTuple, kList, kRange, kRest };
  using ByValue = std::unordered_map<std::string, Bucket, StringHash, std::equal_to<>>;

  DependencyNode(ShapePtr shape, std::size_t dependency_number, const Entry& first);

  void add(Entry& entry);
  // `ref` is one of entry.refs that points into this node.
  void remove(const Entry& entry, const IndexRef& ref);
  void find(const ChangeImages& change, std::vector<Entry*>& found);
  void find_all(std::vector<Entry*>& found);
  bool empty() const { return slot_count == 0; }

  const ShapePtr shape;
  const std::size_t number;  // of the dependency in its query
  const sql::Dependency& dependency;
  std::size_t slot_count = 0;

 private:
  void put(Bucket& bucket, Entry& entry);
  bool place_by_tuple(Entry& entry);
  bool place_by_list(Entry& entry);
  bool place_by_range(Entry& entry);
  std::optional<Interval> interval_of(const Entry& entry) const;
  std::optional<std::string> tuple_of(const Entry& entry) const;
  void find_by(const RowImage& image, std::vector<Entry*>& found);
  void test(Bucket& bucket, const RowImage& image, std::vector<Entry*>& found);
  void test_all(const RowImage& image, std::vector<Entry*>& found);
  template <typename F>
  void each_bucket(F&& f);

  Mode mode_ = Mode::kRest;
  std::vector<const sql::EqualityBinding*> bound_;  // kTuple: all of them; kList: one
  // The operands that are the same for every entry; the others unknown.
  std::vector<sql::Operand> common_;
  ByValue by_value_;
  IntervalTree by_interval_;
  Bucket rest_;
};

}  // namespace pgcache::cache
