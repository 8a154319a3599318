// SPDX-License-Identifier: Apache-2.0
#include "cache/interval_tree.h"

#include <compare>
#include <utility>

#include "base/check.h"

namespace pgcache::cache {

namespace {
int sign(const pg::Value& a, const pg::Value& b) {
  const auto order = pg::compare(a, b);
  CHECK(order);  // one family
  if (std::is_lt(*order)) return -1;
  return std::is_gt(*order) ? 1 : 0;
}
}  // namespace

IntervalTree::IntervalTree() = default;
IntervalTree::~IntervalTree() = default;

int IntervalTree::compare_lower(const Interval& a, const Interval& b) {
  if (!a.lower || !b.lower) return static_cast<int>(!!a.lower) - static_cast<int>(!!b.lower);
  return sign(*a.lower, *b.lower);
}

int IntervalTree::compare_upper(const Interval& a, const Interval& b) {
  if (!a.upper || !b.upper) return static_cast<int>(!a.upper) - static_cast<int>(!b.upper);
  return sign(*a.upper, *b.upper);
}

int IntervalTree::compare_keys(const Interval& a, const Interval& b) {
  const int lower = compare_lower(a, b);
  return lower != 0 ? lower : compare_upper(a, b);
}

bool IntervalTree::begins_after(const Interval& interval, const pg::Value& value) {
  return interval.lower && sign(*interval.lower, value) > 0;
}

bool IntervalTree::ends_before(const Interval& interval, const pg::Value& value) {
  return interval.upper && sign(*interval.upper, value) < 0;
}

void IntervalTree::update(Node& node) {
  node.latest = &node;
  for (const Node* child : {node.left.get(), node.right.get()}) {
    if (child && compare_upper(child->latest->interval, node.latest->interval) > 0) {
      node.latest = child->latest;
    }
  }
}

IntervalTree::Tree IntervalTree::rotate_right(Tree tree) {
  Tree top = std::move(tree->left);
  tree->left = std::move(top->right);
  update(*tree);
  top->right = std::move(tree);
  update(*top);
  return top;
}

IntervalTree::Tree IntervalTree::rotate_left(Tree tree) {
  Tree top = std::move(tree->right);
  tree->right = std::move(top->left);
  update(*tree);
  top->left = std::move(tree);
  update(*top);
  return top;
}

IntervalTree::Tree IntervalTree::insert(Tree tree, Tree node) {
  if (!tree) return node;
  const bool goes_left = compare_keys(node->interval, tree->interval) < 0;
  Tree& child = goes_left ? tree->left : tree->right;
  child = insert(std::move(child), std::move(node));
  const bool lift = child->priority > tree->priority;
  update(*tree);
  if (!lift) return tree;
  return goes_left ? rotate_right(std::move(tree)) : rotate_left(std::move(tree));
}

IntervalTree::Tree IntervalTree::merge(Tree left, Tree right) {
  if (!left) return right;
  if (!right) return left;
  if (left->priority > right->priority) {
    left->right = merge(std::move(left->right), std::move(right));
    update(*left);
    return left;
  }
  right->left = merge(std::move(left), std::move(right->left));
  update(*right);
  return right;
}

IntervalTree::Tree IntervalTree::erase(Tree tree, const Interval& interval) {
  CHECK(tree);
  const int order = compare_keys(interval, tree->interval);
  if (order == 0) return merge(std::move(tree->left), std::move(tree->right));
  Tree& child = order < 0 ? tree->left : tree->right;
  child = erase(std::move(child), interval);
  update(*tree);
  return tree;
}

Bucket& IntervalTree::at(const Interval& interval) {
  for (Node* node = root_.get(); node;) {
    const int order = compare_keys(interval, node->interval);
    if (order == 0) return node->bucket;
    node = order < 0 ? node->left.get() : node->right.get();
  }
  auto node = std::make_unique<Node>();
  node->interval = interval;
  // xorshift64: only the shape of the tree depends on it.
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  node->priority = random_;
  node->latest = node.get();
  Bucket& bucket = node->bucket;
  root_ = insert(std::move(root_), std::move(node));
  return bucket;
}

void IntervalTree::erase(const Interval& interval) { root_ = erase(std::move(root_), interval); }

}  // namespace pgcache::cache
