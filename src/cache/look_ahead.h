// SPDX-License-Identifier: Apache-2.0
// Asks for the memory that applying the next changes will touch, for several changes at a time.
//
// In a large cache nothing has touched that memory lately: the row's image, the places of the index
// at which the row is looked for, the entry that is found. Each is reached through the one before,
// so that one change waits for each in turn. Here many changes go one step each, then all the next,
// and what they wait for comes at the same time (Chen et al., Improving Hash Join Performance
// through Prefetching, ICDE 2004: group prefetching).
//
// It changes nothing and promises nothing: what it finds may be gone when the change is applied.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/dependency_index.h"
#include "cache/image_store.h"
#include "cache/interval_tree.h"
#include "cache/row_image.h"
#include "cdc/row_change.h"

namespace pgcache::cache {

class LookAhead {
 public:
  // So many changes are looked at together: more than the processor can wait for at a time would
  // not help.
  static constexpr std::size_t kChanges = 16;

  using Changes = std::span<const cdc::RowChange* const>;
  // Both under the cache's apply mutex.
  void reach_images(Changes changes, const ImageStore& images);
  void reach_entries(Changes changes, DependencyIndex& index, FormCache& forms);
  // What reach_entries() has parsed of the row after the change, if it was among the last ones that
  // it looked at. Once for each, in their order.
  RowImage::Parsed take_parsed(const cdc::RowChange& change);
  // Other changes come, perhaps where those stood that were looked at.
  void forget() {
    seen_.clear();
    next_seen_ = 0;
  }

 private:
  struct Seen {
    const cdc::RowChange* change = nullptr;
    RowImage::Parsed parsed;
  };
  std::vector<Seen> seen_;
  std::size_t next_seen_ = 0;
  // Kept for their memory.
  std::vector<ImageStore::Approach> rows_;
  std::vector<DependencyIndex::Approach> places_;
};

}  // namespace pgcache::cache
