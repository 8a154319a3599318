// SPDX-License-Identifier: Apache-2.0
// Buckets of entries by closed interval of values of one family, found by a value that lies inside.
//
// A treap ordered by (lower, upper), each node knowing the greatest upper bound below it, so that a
// search skips subtrees that end too early: O(log n + found) expected. A missing bound is infinite.
// Open ends are stored as closed ones; the caller's exact test sorts those out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "cache/bucket.h"
#include "pg/value.h"

namespace pgcache::cache {

struct Interval {
  std::optional<pg::Value> lower;
  std::optional<pg::Value> upper;
};

class IntervalTree {
 public:
  IntervalTree();
  ~IntervalTree();
  IntervalTree(const IntervalTree&) = delete;
  IntervalTree& operator=(const IntervalTree&) = delete;

  // The bucket of exactly this interval, made when there is none. All values are of one family.
  Bucket& at(const Interval& interval);
  void erase(const Interval& interval);
  bool empty() const { return !root_; }

  template <typename F>
  void each_containing(const pg::Value& value, F&& f) {
    walk(root_.get(), &value, f);
  }
  template <typename F>
  void each(F&& f) {
    walk(root_.get(), nullptr, f);
  }

 private:
  struct Node {
    Interval interval;
    std::uint64_t priority = 0;
    const Node* latest = nullptr;  // the node in this subtree whose upper bound is the greatest
    std::unique_ptr<Node> left;
    std::unique_ptr<Node> right;
    Bucket bucket;
  };
  using Tree = std::unique_ptr<Node>;

  static int compare_lower(const Interval& a, const Interval& b);
  static int compare_upper(const Interval& a, const Interval& b);
  static int compare_keys(const Interval& a, const Interval& b);
  static bool begins_after(const Interval& interval, const pg::Value& value);
  static bool ends_before(const Interval& interval, const pg::Value& value);
  static void update(Node& node);
  static Tree merge(Tree left, Tree right);
  static Tree insert(Tree tree, Tree node);
  static Tree erase(Tree tree, const Interval& interval);
  static Tree rotate_right(Tree tree);
  static Tree rotate_left(Tree tree);

  // Null value: all.
  template <typename F>
  static void walk(Node* node, const pg::Value* value, F& f) {
    if (!node || (value && ends_before(node->latest->interval, *value))) return;
    walk(node->left.get(), value, f);
    if (value && begins_after(node->interval, *value)) return;
    if (!value || !ends_before(node->interval, *value)) f(node->bucket);
    walk(node->right.get(), value, f);
  }

  Tree root_;
  std::uint64_t random_ = 0x9e3779b97f4a7c15;
};

}  // namespace pgcache::cache
