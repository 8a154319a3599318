// SPDX-License-Identifier: Apache-2.0
// One dependency of one shape, with the entries of that shape for which it can matter (see
// dependency_index.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache/bucket.h"
#include "cache/partner_search.h"
#include "cache/relevance.h"
#include "cache/row_image.h"
#include "cache/shown_keys.h"
#include "cache/value_group.h"

namespace pgcache::cache {

// The look for what one image of one change affects.
struct Search {
  const ChangeImages& change;
  const RowImage& image;
  bool is_before = false;
  std::uint64_t number = 0;  // of the change
  std::vector<Entry*>& found;
  const PartnerSearch* partners = nullptr;  // null: nothing is known of other tables
};

// How entries that show something of their rows are found: as all others are, by what they show of
// the image at hand, or not at all, since the look for the former row finds them.
enum class ByKey : std::uint8_t { kNo, kYes, kFormer };

// What a change looks at of each node whose entries it finds; in few lines of memory, since it
// finds those of another shape each time.
struct alignas(64) NodeFront {
  KeyGroup* keys = nullptr;  // once an entry shows its keys
  std::uint64_t judged = 0;  // the latest search, for which this is known:
  Visibility visibility = Visibility::kVisible;
  ByKey by_key_before = ByKey::kNo;
  ByKey by_key_after = ByKey::kNo;
  // A row that has an entry's values in the shared table fulfils all conditions.
  bool tells_all = false;
  // Members have guards, or UPDATEs keep the result if they keep what is shown.
  bool asks_more = false;
  std::uint64_t form = 0;  // RelationForm::number(), for which this is:
  VisibilityRule rule;
};

struct DependencyNode : NodeFront {
  enum class Mode { kTuple, kList, kExpression, kRange, kRest };
  // How the entries of a dependency are found by value.
  struct Binding {
    Mode mode = Mode::kRest;
    std::vector<const sql::EqualityBinding*> equalities;  // kTuple: each of them; kList: the one
    bool or_null = false;
  };
  static Binding binding_of(const sql::Dependency& dependency);

  // `values` or `intervals`: the table that its binding calls for; the others null.
  DependencyNode(ShapePtr shape, std::size_t dependency_number, const Entry& first,
                 ValueGroup* values, IntervalGroup* intervals);

  void add(Entry& entry, const ShownKeys* shown);
  // `ref` is one of entry.refs, on this node's account.
  void remove(const Entry& entry, const IndexRef& ref);

  void find_all(std::vector<Entry*>& found);
  // All for which rows of the member can matter: for a TRUNCATE.
  void find_all_of(pg::Oid member, std::vector<Entry*>& found);
  // One that a shared table found.
  void test(const Bucket::Slot& slot, const Search& search);
  // Whether a row that is found in such a place is known to fulfil the conditions for that alone.
  bool is_told_by(Bucket::Place place) const { return tells_all && place == Bucket::Place::kValue; }
  // Every entry, since the row's place in the shared table is not known.
  void test_all(const Search& search);
  // Those that have no place in the shared table.
  void test_strays(const Search& search);

  bool empty() const { return plain_.empty() && by_key_.empty(); }
  bool has_strays() const { return !rest_.empty(); }

  const ShapePtr shape;
  const std::size_t number;  // of the dependency in its query
  const sql::Dependency& dependency;
  const Binding binding;
  ValueGroup* const values;
  IntervalGroup* const intervals;

 private:
  bool place_by_tuple(Entry& entry, bool by_key);
  bool place_by_list(Entry& entry, bool by_key);
  bool place_by_expression(Entry& entry, bool by_key);
  bool place_by_range(Entry& entry, bool by_key);
  std::optional<Interval> interval_of(const Entry& entry) const;
  void judge(const Search& search);
  Visibility visibility_of(const Search& search);
  bool may_concern_some(const Search& search);
  void test_bucket(Bucket& bucket, const Search& search);
  // `is_told`: the row is known to fulfil the conditions; the operands are not looked at for them.
  void test_entry(Entry& entry, const Search& search, bool is_told);
  bool may_find_partners_for(const Entry& entry, const Search& search) const;
  ByKey by_key(const Search& search);

  // The operands that are the same for every entry; the others unknown.
  const BoundOperands common_;
  Bucket plain_;                  // every entry stands in one of these two
  Bucket by_key_;                 // those whose shown keys are in `keys`
  Bucket rest_;                   // entries that have no place by value
  std::uint64_t all_tested_ = 0;  // the latest search that looked at all
};

}  // namespace pgcache::cache
