// SPDX-License-Identifier: Apache-2.0
#include "cache/look_ahead.h"

#include <utility>

namespace pgcache::cache {

void LookAhead::reach_images(Changes changes, const ImageStore& images) {
  rows_.clear();
  for (const cdc::RowChange* change : changes) {
    if (auto approach = images.approach(*change)) rows_.push_back(*approach);
  }
  for (int step = 0; step < ImageStore::Approach::kSteps; ++step) {
    for (ImageStore::Approach& row : rows_) row.go_on(step);
  }
}

void LookAhead::reach_entries(Changes changes, DependencyIndex& index, FormCache& forms) {
  places_.clear();
  forget();
  for (const cdc::RowChange* change : changes) {
    if (change->new_row.empty() || !index.knows(change->relation->oid)) continue;
    RowImage row(forms.form_of(change->relation), change->new_row, RowImage::Known::kAll);
    index.approach(change->relation->oid, row, places_);
    seen_.push_back({change, std::move(row).take_parsed()});
  }
  // As many steps as the deepest tree wants.
  for (bool some_are_on_the_way = true; some_are_on_the_way;) {
    some_are_on_the_way = false;
    for (DependencyIndex::Approach& place : places_) {
      some_are_on_the_way = place.go_on() || some_are_on_the_way;
    }
  }
}

RowImage::Parsed LookAhead::take_parsed(const cdc::RowChange& change) {
  for (std::size_t i = next_seen_; i < seen_.size(); ++i) {
    if (seen_[i].change != &change) continue;
    next_seen_ = i + 1;
    return std::move(seen_[i].parsed);
  }
  return {};
}

}  // namespace pgcache::cache
