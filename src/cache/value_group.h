// SPDX-License-Identifier: Apache-2.0
// Tables of the dependency index that nodes share: buckets by the values of bound columns, by the
// intervals in which a column lies, and by the keys of rows that results show. One table serves all
// shapes that bind the same columns of the same relations, so that a change asks once and not once
// for each shape.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/pointer_table.h"
#include "cache/bucket.h"
#include "cache/interval_tree.h"
#include "cache/row_image.h"

namespace pgcache::cache {

// What nodes must have in common to share a table: the relations, and the columns with the way in
// which their values are read.
std::string group_signature(const std::vector<pg::Oid>& members,
                            const std::vector<sql::ColumnRef>& columns);

// Appends a value so that no two different sequences of values look alike.
void append_value(std::string& tuple, const pg::Value& value);

// Buckets by hash. Values whose hashes collide share one: every candidate is tested anyway.
class HashedBuckets {
 public:
  Bucket& at(std::uint64_t hash, Bucket::Place place);
  Bucket* find(std::uint64_t hash) const {
    return buckets_.find(hash, [](const Bucket&) { return true; });
  }
  void prefetch(std::uint64_t hash) const { buckets_.prefetch(hash); }
  void erase(const Bucket& bucket) { buckets_.take(bucket.hash, bucket); }

 private:
  PointerTable<Bucket> buckets_;
};

class ValueGroup {
 public:
  enum class Look { kValues, kNull, kUnknown };

  ValueGroup(std::string signature, std::vector<sql::ColumnRef> columns)
      : signature_(std::move(signature)), columns_(std::move(columns)) {}

  // By what is computed of the row; the expression lives as long as some node.
  ValueGroup(std::string signature, const sql::Predicate* expression)
      : signature_(std::move(signature)), expression_(expression) {}

  // Whether values of that family are found here; those of the first one are.
  bool takes(pg::ValueFamily family) {
    if (!family_) family_ = family;
    return *family_ == family;
  }

  const std::string& signature() const { return signature_; }
  // The bound columns' values in the row, if they are known and none is NULL.
  Look look(const RowImage& image, std::string& tuple) const;
  Bucket& at(std::string_view tuple) {
    return buckets_.at(hash_bytes(tuple), Bucket::Place::kValue);
  }
  const HashedBuckets& buckets() const { return buckets_; }
  Bucket* find(std::string_view tuple) { return buckets_.find(hash_bytes(tuple)); }
  void erase(const Bucket& bucket) { buckets_.erase(bucket); }

  std::vector<DependencyNode*> nodes;          // that place entries here
  std::vector<DependencyNode*> or_null_nodes;  // those of them that rows with NULL concern

 private:
  std::string signature_;
  std::vector<sql::ColumnRef> columns_;
  const sql::Predicate* expression_ = nullptr;
  std::optional<pg::ValueFamily> family_;  // of what equals the expression
  HashedBuckets buckets_;
};

class IntervalGroup {
 public:
  IntervalGroup(std::string signature, sql::ColumnRef column)
      : signature_(std::move(signature)), column_(std::move(column)) {}

  const std::string& signature() const { return signature_; }
  const sql::ColumnRef& column() const { return column_; }
  Bucket& at(const Interval& interval);
  void erase(const Interval& interval) { tree_.erase(interval); }
  IntervalTree::Approach approach(const pg::Value& value) const { return tree_.approach(value); }
  template <typename F>
  void each_containing(const pg::Value& value, F&& f) {
    tree_.each_containing(value, f);
  }

  std::vector<DependencyNode*> nodes;  // that place entries here

 private:
  std::string signature_;
  sql::ColumnRef column_;
  IntervalTree tree_;
};

class KeyGroup {
 public:
  KeyGroup(std::string signature, std::vector<sql::ShownColumn> columns)
      : signature_(std::move(signature)), columns_(std::move(columns)) {}

  const std::string& signature() const { return signature_; }
  const std::vector<sql::ShownColumn>& columns() const { return columns_; }
  Bucket& at(std::uint64_t key) { return buckets_.at(key, Bucket::Place::kKey); }
  const HashedBuckets& buckets() const { return buckets_; }
  Bucket* find(std::uint64_t key) { return buckets_.find(key); }
  void erase(const Bucket& bucket) { buckets_.erase(bucket); }

  std::size_t node_count = 0;
  // Of the rows of the change that is looked for.
  std::optional<std::uint64_t> before;
  std::optional<std::uint64_t> after;

 private:
  std::string signature_;
  std::vector<sql::ShownColumn> columns_;
  HashedBuckets buckets_;
};

}  // namespace pgcache::cache
