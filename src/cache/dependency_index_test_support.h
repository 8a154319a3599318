// SPDX-License-Identifier: Apache-2.0
// The fixture of the dependency index's tests: entries made by hand, and what changes find.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cache/cache_test_support.h"
#include "cache/relevance.h"

namespace pgcache::cache::testing {

class DependencyIndexTest : public ::testing::Test {
 protected:
  // `shown`: the ids that the result shows of its first dependency, if it shows any.
  Entry* add(const ShapePtr& shape, std::string key, std::vector<sql::Operand> operands,
             std::optional<std::vector<int>> shown = std::nullopt) {
    auto entry = std::make_unique<Entry>();
    entry->key = std::move(key);
    entry->shape = shape;
    const sql::CacheableQuery& query = *shape->analysis.cacheable();
    entry->operands = bind_arrays(query, std::move(operands), split_digits);
    std::vector<Standing> standings = standings_of(query, entry->operands);
    if (shown) standings[0].shown = shown_ids(*shown);
    index_.add(*entry, standings);
    standings_[entry.get()] = std::move(standings);
    entries_.push_back(std::move(entry));
    return entries_.back().get();
  }

  void remove(Entry* entry) {
    index_.remove(*entry);
    standings_.erase(entry);
    std::erase_if(entries_, [entry](const auto& e) { return e.get() == entry; });
  }

  // An "array" is a text here, and each of its digits an element; 'n' is NULL.
  static std::optional<std::vector<pg::MaybeValue>> split_digits(const pg::ValueType&,
                                                                 const pg::Value& value) {
    std::vector<pg::MaybeValue> elements;
    for (const char c : value.bytes()) {
      if (c == 'x') return std::nullopt;
      elements.push_back(c == 'n' ? pg::MaybeValue::null()
                                  : pg::MaybeValue::of(pg::Value::integer(c - '0')));
    }
    return elements;
  }

  ShownKeys shown_ids(const std::vector<int>& ids) {
    ShownKeys keys;
    for (const int id : ids) {
      TransactionBuilder t(1, 1);
      t.insert(keyed_, {std::to_string(id), "", "0", ""});
      const ChangeImages images(t.last_change(), forms_.form_of(keyed_));
      keys.push_back(*key_hash({shown("id", 0)}, *images.after()));
    }
    std::sort(keys.begin(), keys.end());
    return keys;
  }

  std::vector<std::string> affected(const cdc::RowChange& change, std::string_view stored = {}) {
    const ChangeImages images(change, forms_.form_of(change.relation), stored);
    return keys_of(index_.affected_by(images));
  }
  std::vector<std::string> keys_of(const std::vector<Entry*>& found) {
    std::vector<std::string> keys;
    coarse_ = 0;
    for (Entry* entry : found) {
      entry->doomed = false;
      coarse_ += entry->coarse ? 1 : 0;
      keys.push_back(entry->key);
    }
    return keys;
  }

  std::vector<std::string> by_testing_each(const ChangeImages& images) {
    std::vector<std::string> keys;
    for (const auto& entry : entries_) {
      const auto& dependencies = entry->shape->analysis.cacheable()->dependencies;
      const std::vector<Standing>& standings = standings_.at(entry.get());
      for (std::size_t i = 0; i < dependencies.size(); ++i) {
        const ShownKeys* shown = standings[i].shown ? &*standings[i].shown : nullptr;
        if (!standings[i].matters ||
            visibility(dependencies[i], images) == Visibility::kInvisible ||
            !change_may_matter(dependencies[i], images, entry->operands, shown, {})) {
          continue;
        }
        keys.push_back(entry->key);
        break;
      }
    }
    return keys;
  }

  DependencyIndex index_;
  FormCache forms_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::map<Entry*, std::vector<Standing>> standings_;
  int coarse_ = 0;  // of those that were last found
  std::shared_ptr<const cdc::StreamRelation> keyed_ = stream_relation(kUsers, 'd');
  std::shared_ptr<const cdc::StreamRelation> full_ = stream_relation(kUsers, 'f');
  TransactionBuilder t_{1, 1};
};

}  // namespace pgcache::cache::testing
