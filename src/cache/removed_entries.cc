// SPDX-License-Identifier: Apache-2.0
#include "cache/removed_entries.h"

namespace pgcache::cache {

RemovedEntries::~RemovedEntries() {
  // An entry is asked for well before it is needed, and what it holds when it has come.
  constexpr std::size_t kFar = 8;
  constexpr std::size_t kNear = 4;
  const std::size_t count = entries_.size();
  for (std::size_t i = 0; i < count + kFar; ++i) {
    if (i < count) prefetch_all(*entries_[i]);
    if (i >= kNear && i - kNear < count) {
      const Entry& entry = *entries_[i - kNear];
      __builtin_prefetch(entry.operands.values.data());
      __builtin_prefetch(entry.result.get(), 1);
      __builtin_prefetch(entry.shape.get(), 1);
    }
    if (i >= kFar) entries_[i - kFar].reset();
  }
}

}  // namespace pgcache::cache
