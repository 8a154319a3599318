// SPDX-License-Identifier: Apache-2.0
#include "cache/interval_tree.h"

#include <algorithm>
#include <compare>
#include <cstddef>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/prefetch.h"

namespace pgcache::cache {

namespace {

int sign(const pg::Value& a, const pg::Value& b) {
  const auto order = pg::compare(a, b);
  CHECK(order);  // one family
  if (std::is_lt(*order)) return -1;
  return std::is_gt(*order) ? 1 : 0;
}

int compare_lower(const Interval& a, const Interval& b) {
  if (!a.lower || !b.lower) return static_cast<int>(!!a.lower) - static_cast<int>(!!b.lower);
  return sign(*a.lower, *b.lower);
}

int compare_upper(const Interval& a, const Interval& b) {
  if (!a.upper || !b.upper) return static_cast<int>(!a.upper) - static_cast<int>(!b.upper);
  return sign(*a.upper, *b.upper);
}

int compare_keys(const Interval& a, const Interval& b) {
  const int lower = compare_lower(a, b);
  return lower != 0 ? lower : compare_upper(a, b);
}

}  // namespace

void IntervalTree::DeleteNode::operator()(Node* node) const {
  if (node->is_leaf) {
    delete static_cast<Leaf*>(node);
  } else {
    delete static_cast<Inner*>(node);
  }
}

IntervalTree::IntervalTree() = default;
IntervalTree::~IntervalTree() = default;

// pg::compare() goes by the bytes, and a value that is the beginning of another is less.
IntervalTree::Prefix IntervalTree::prefix_of(const pg::Value& value) {
  Prefix prefix = 0;
  for (std::size_t i = 0; i < sizeof prefix; ++i) {
    const bool is_there = i < value.bytes().size();
    prefix = prefix << 8 | (is_there ? static_cast<unsigned char>(value.bytes()[i]) : 0u);
  }
  return prefix;
}

IntervalTree::Prefix IntervalTree::lower_prefix(const Interval& interval) {
  return interval.lower ? prefix_of(*interval.lower) : 0;
}

IntervalTree::Prefix IntervalTree::upper_prefix(const Interval& interval) {
  return interval.upper ? prefix_of(*interval.upper) : std::numeric_limits<Prefix>::max();
}

bool IntervalTree::begins_after(const Interval& interval, const pg::Value& value) {
  return interval.lower && sign(*interval.lower, value) > 0;
}

bool IntervalTree::ends_before(const Interval& interval, const pg::Value& value) {
  return interval.upper && sign(*interval.upper, value) < 0;
}

const IntervalTree::Item& IntervalTree::first_of(const Node& node, std::size_t slot) {
  return node.is_leaf ? *static_cast<const Leaf&>(node).items[slot]
                      : *static_cast<const Inner&>(node).first[slot];
}

const IntervalTree::Item& IntervalTree::latest_of(const Node& node, std::size_t slot) {
  return node.is_leaf ? *static_cast<const Leaf&>(node).items[slot]
                      : *static_cast<const Inner&>(node).latest[slot];
}

std::size_t IntervalTree::slots_up_to(const Node& node, const Interval& interval) {
  const Prefix prefix = lower_prefix(interval);
  std::size_t low = 0;
  std::size_t high = node.count;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    const Prefix there = node.lower[middle];
    const bool is_behind = there != prefix
                               ? there > prefix
                               : compare_keys(first_of(node, middle).interval, interval) > 0;
    (is_behind ? high : low) = is_behind ? middle : middle + 1;
  }
  return low;
}

template <typename F>
void IntervalTree::each_array(Node& node, F&& f) {
  f(node.lower, &Node::lower);
  f(node.upper, &Node::upper);
  if (node.is_leaf) {
    f(static_cast<Leaf&>(node).items, &Leaf::items);
    return;
  }
  f(static_cast<Inner&>(node).first, &Inner::first);
  f(static_cast<Inner&>(node).latest, &Inner::latest);
  f(static_cast<Inner&>(node).children, &Inner::children);
}

void IntervalTree::open_slot(Node& node, std::size_t slot) {
  each_array(node, [&](auto& array, auto) {
    std::move_backward(array.begin() + slot, array.begin() + node.count,
                       array.begin() + node.count + 1);
  });
  ++node.count;
}

void IntervalTree::close_slot(Node& node, std::size_t slot) {
  each_array(node, [&](auto& array, auto) {
    std::move(array.begin() + slot + 1, array.begin() + node.count, array.begin() + slot);
    array[node.count - 1] = {};
  });
  --node.count;
}

IntervalTree::NodePtr IntervalTree::split(Node& node, std::size_t from) {
  NodePtr sibling(node.is_leaf ? static_cast<Node*>(new Leaf()) : new Inner());
  each_array(node, [&]<typename N, typename Array>(Array& array, Array N::*member) {
    std::move(array.begin() + from, array.begin() + node.count,
              (static_cast<N&>(*sibling).*member).begin());
  });
  sibling->count = node.count - from;
  node.count = from;
  return sibling;
}

// What stands beside a child, from what stands in it.
void IntervalTree::summarize(Inner& node, std::size_t slot) {
  const Node& child = *node.children[slot];
  const Item* latest = &latest_of(child, 0);
  Prefix upper = child.upper[0];
  for (std::size_t i = 1; i < child.count; ++i) {
    if (child.upper[i] < upper) continue;
    const Item& other = latest_of(child, i);
    if (child.upper[i] == upper && compare_upper(other.interval, latest->interval) <= 0) continue;
    latest = &other;
    upper = child.upper[i];
  }
  node.first[slot] = &first_of(child, 0);
  node.lower[slot] = child.lower[0];
  node.latest[slot] = latest;
  node.upper[slot] = upper;
}

IntervalTree::Placed IntervalTree::place_in_leaf(Leaf& leaf, const Interval& interval) {
  std::size_t slot = slots_up_to(leaf, interval);
  if (slot > 0 && compare_keys(leaf.items[slot - 1]->interval, interval) == 0) {
    return {leaf.items[slot - 1].get(), false, nullptr};
  }
  Placed placed;
  Leaf* into = &leaf;
  if (leaf.count == kSlots) {
    // Where intervals come in ascending order the leaves stay full.
    const std::size_t from = slot == kSlots ? kSlots : kSlots / 2;
    placed.sibling = split(leaf, from);
    if (slot >= from) {
      into = static_cast<Leaf*>(placed.sibling.get());
      slot -= from;
    }
  }
  open_slot(*into, slot);
  into->items[slot] = std::make_unique<Item>();
  into->items[slot]->interval = interval;
  into->lower[slot] = lower_prefix(interval);
  into->upper[slot] = upper_prefix(interval);
  placed.item = into->items[slot].get();
  placed.is_new = true;
  return placed;
}

// Yields what had to be split off.
IntervalTree::NodePtr IntervalTree::add_child(Inner& node, std::size_t slot, NodePtr child) {
  NodePtr sibling;
  Inner* into = &node;
  if (node.count == kSlots) {
    const std::size_t from = slot == kSlots ? kSlots : kSlots / 2;
    sibling = split(node, from);
    if (slot >= from) {
      into = static_cast<Inner*>(sibling.get());
      slot -= from;
    }
  }
  open_slot(*into, slot);
  into->children[slot] = std::move(child);
  summarize(*into, slot);
  return sibling;
}

IntervalTree::Placed IntervalTree::place(Node& node, const Interval& interval) {
  if (node.is_leaf) return place_in_leaf(static_cast<Leaf&>(node), interval);
  auto& inner = static_cast<Inner&>(node);
  const std::size_t slots = slots_up_to(node, interval);
  const std::size_t slot = slots > 0 ? slots - 1 : 0;
  Placed placed = place(*inner.children[slot], interval);
  if (placed.sibling) {
    summarize(inner, slot);
    placed.sibling = add_child(inner, slot + 1, std::move(placed.sibling));
    return placed;
  }
  if (!placed.is_new) return placed;
  if (slots == 0) {
    inner.first[slot] = placed.item;
    inner.lower[slot] = lower_prefix(interval);
  }
  const Prefix upper = upper_prefix(interval);
  const bool is_latest = upper != inner.upper[slot]
                             ? upper > inner.upper[slot]
                             : compare_upper(interval, inner.latest[slot]->interval) > 0;
  if (is_latest) {
    inner.latest[slot] = placed.item;
    inner.upper[slot] = upper;
  }
  return placed;
}

Bucket& IntervalTree::at(const Interval& interval) {
  if (!root_) root_.reset(new Leaf());
  Placed placed = place(*root_, interval);
  if (placed.sibling) {
    auto* const root = new Inner();
    NodePtr above(root);
    add_child(*root, 0, std::move(root_));
    add_child(*root, 1, std::move(placed.sibling));
    root_ = std::move(above);
  }
  return placed.item->bucket;
}

std::unique_ptr<IntervalTree::Item> IntervalTree::take(Node& node, const Interval& interval) {
  const std::size_t slots = slots_up_to(node, interval);
  CHECK(slots > 0);
  const std::size_t slot = slots - 1;
  if (node.is_leaf) {
    std::unique_ptr<Item> item = std::move(static_cast<Leaf&>(node).items[slot]);
    CHECK(compare_keys(item->interval, interval) == 0);
    close_slot(node, slot);
    return item;
  }
  auto& inner = static_cast<Inner&>(node);
  std::unique_ptr<Item> item = take(*inner.children[slot], interval);
  if (inner.children[slot]->count == 0) {
    close_slot(node, slot);
  } else if (inner.first[slot] == item.get() || inner.latest[slot] == item.get()) {
    summarize(inner, slot);
  }
  return item;
}

IntervalTree::Approach IntervalTree::approach(const pg::Value& value) const {
  Approach approach;
  approach.node_ = root_.get();
  approach.prefix_ = prefix_of(value);
  return approach;
}

bool IntervalTree::Approach::go_on() {
  if (!node_) return false;
  const std::size_t begun = node_->begun(prefix_);
  std::size_t slot = 0;
  while (slot < begun && node_->upper[slot] < prefix_) ++slot;
  if (slot == begun) {
    node_ = nullptr;
    return false;
  }
  if (node_->is_leaf) {
    item_ = static_cast<const Leaf*>(node_)->items[slot].get();
    prefetch_all(*item_);
    node_ = nullptr;
    return false;
  }
  node_ = static_cast<const Inner*>(node_)->children[slot].get();
  prefetch_bytes(node_, sizeof(Leaf));  // of an inner one too: what a search looks at
  return true;
}

void IntervalTree::erase(const Interval& interval) {
  CHECK(root_);
  take(*root_, interval);
  while (!root_->is_leaf && root_->count == 1) {
    root_ = std::move(static_cast<Inner&>(*root_).children[0]);
  }
  if (root_->count == 0) root_.reset();
}

}  // namespace pgcache::cache
