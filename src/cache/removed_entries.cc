// SPDX-License-Identifier: Apache-2.0
#include "cache/removed_entries.h"

namespace pgcache::cache {

RemovedEntries::~RemovedEntries() {
  each_reached(
      entries_.size(), [this](std::size_t i) { prefetch_all(*entries_[i]); },
      [this](std::size_t i) {
        const Entry& entry = *entries_[i];
        __builtin_prefetch(entry.operands.values.data());
        __builtin_prefetch(entry.result.get(), 1);
        __builtin_prefetch(entry.shape.get(), 1);
      },
      [this](std::size_t i) { entries_[i].reset(); });
}

}  // namespace pgcache::cache
