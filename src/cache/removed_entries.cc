// SPDX-License-Identifier: Apache-2.0
#include "cache/removed_entries.h"

namespace pgcache::cache {

RemovedEntries::~RemovedEntries() {
  each_reached(
      entries_.size(), [this](std::size_t i) { prefetch_all(*entries_[i]); },
      [this](std::size_t i) {
        const Entry& entry = *entries_[i];
        prefetch_line(entry.operands.values.data());
        prefetch_line(entry.result.get());
        prefetch_line(entry.shape.get());
      },
      [this](std::size_t i) { entries_[i].reset(); });
}

}  // namespace pgcache::cache
