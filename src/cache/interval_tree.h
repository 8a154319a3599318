// SPDX-License-Identifier: Apache-2.0
// Buckets of entries by closed interval of values of one family, found by a value that lies inside.
//
// A B+-tree ordered by (lower, upper). Beside each child stand the first interval below it and the
// one whose upper bound is the greatest, so that a search skips children that begin too late or end
// too early: O(log n + found) nodes. A missing bound is infinite. Open ends are stored as closed
// ones; the caller's exact test sorts those out.
//
// Bounds are compared by their first bytes, which lie together in the node, and as whole values
// only where those are equal. A node that has become empty goes; nodes are not merged otherwise.
#pragma once

#include <array>
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

  // The way to the first interval that contains the value, as far as the bounds' prefixes tell, a
  // node at a time (look_ahead.h). To be used up before the tree changes.
  class Approach;
  Approach approach(const pg::Value& value) const;

  template <typename F>
  void each_containing(const pg::Value& value, F&& f) {
    if (root_) walk(*root_, value, prefix_of(value), f);
  }
  template <typename F>
  void each(F&& f) {
    if (root_) walk_all(*root_, f);
  }

 private:
  // The first bytes of a bound: less only if the bound is.
  using Prefix = std::uint64_t;
  struct Item {
    Interval interval;
    Bucket bucket;
  };
  static constexpr std::size_t kSlots = 7;
  struct Node;
  struct DeleteNode {
    void operator()(Node* node) const;
  };
  using NodePtr = std::unique_ptr<Node, DeleteNode>;
  // What a search looks at comes first, in three lines of memory: these and the items or children.
  struct alignas(64) Node {
    explicit Node(bool leaf) : is_leaf(leaf) {}
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    // How many slots do not begin behind the value, as far as the prefixes tell. (No branches: they
    // would be guessed wrong.)
    std::size_t begun(Prefix prefix) const {
      std::size_t slots = 0;
      for (std::size_t i = 0; i < kSlots; ++i) {
        slots += static_cast<std::size_t>(i < count) & static_cast<std::size_t>(lower[i] <= prefix);
      }
      return slots;
    }

    std::uint32_t count = 0;
    const bool is_leaf;
    // Of each slot: where its first interval begins, and where its latest one ends.
    std::array<Prefix, kSlots> lower{};
    std::array<Prefix, kSlots> upper{};
  };
  struct Leaf final : Node {
    Leaf() : Node(true) {}
    std::array<std::unique_ptr<Item>, kSlots> items;
  };
  struct Inner final : Node {
    Inner() : Node(false) {}
    std::array<NodePtr, kSlots> children;
    std::array<const Item*, kSlots> first{};
    std::array<const Item*, kSlots> latest{};
  };
  struct Placed {
    Item* item = nullptr;
    bool is_new = false;
    NodePtr sibling;  // what had to be split off the node, to stand right behind it
  };

  static Prefix prefix_of(const pg::Value& value);
  static Prefix lower_prefix(const Interval& interval);
  static Prefix upper_prefix(const Interval& interval);
  static bool begins_after(const Interval& interval, const pg::Value& value);
  static bool ends_before(const Interval& interval, const pg::Value& value);
  static const Item& first_of(const Node& node, std::size_t slot);
  static const Item& latest_of(const Node& node, std::size_t slot);

  // How many of the node's slots begin with the interval or one before it.
  static std::size_t slots_up_to(const Node& node, const Interval& interval);
  template <typename F>
  static void each_array(Node& node, F&& f);
  static void open_slot(Node& node, std::size_t slot);
  static void close_slot(Node& node, std::size_t slot);
  static NodePtr split(Node& node, std::size_t from);
  static void summarize(Inner& node, std::size_t slot);
  static Placed place(Node& node, const Interval& interval);
  static Placed place_in_leaf(Leaf& leaf, const Interval& interval);
  static NodePtr add_child(Inner& node, std::size_t slot, NodePtr child);
  static std::unique_ptr<Item> take(Node& node, const Interval& interval);

  static bool begins_after(const Node& node, std::size_t slot, const pg::Value& value,
                           Prefix prefix) {
    if (node.lower[slot] != prefix) return node.lower[slot] > prefix;
    return begins_after(first_of(node, slot).interval, value);
  }
  static bool ends_before(const Node& node, std::size_t slot, const pg::Value& value,
                          Prefix prefix) {
    if (node.upper[slot] != prefix) return node.upper[slot] < prefix;
    return ends_before(latest_of(node, slot).interval, value);
  }

  template <typename F>
  static void walk(Node& node, const pg::Value& value, Prefix prefix, F& f) {
    const std::size_t begun = node.begun(prefix);
    for (std::size_t i = 0; i < begun; ++i) {
      if (node.upper[i] < prefix) continue;
      if (begins_after(node, i, value, prefix)) return;
      if (ends_before(node, i, value, prefix)) continue;
      if (node.is_leaf) {
        f(static_cast<Leaf&>(node).items[i]->bucket);
      } else {
        walk(*static_cast<Inner&>(node).children[i], value, prefix, f);
      }
    }
  }
  template <typename F>
  static void walk_all(Node& node, F& f) {
    for (std::size_t i = 0; i < node.count; ++i) {
      if (node.is_leaf) {
        f(static_cast<Leaf&>(node).items[i]->bucket);
      } else {
        walk_all(*static_cast<Inner&>(node).children[i], f);
      }
    }
  }

  NodePtr root_;
};

class IntervalTree::Approach {
 public:
  Approach() = default;
  // A step further: asks for the next node, or the bucket. False: it is at the end.
  bool go_on();
  // Null: there is none, or it is not at the end.
  const Bucket* bucket() const { return item_ ? &item_->bucket : nullptr; }

 private:
  friend class IntervalTree;
  const Node* node_ = nullptr;
  Prefix prefix_ = 0;
  const Item* item_ = nullptr;
};

}  // namespace pgcache::cache
