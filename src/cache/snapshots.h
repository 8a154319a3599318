// SPDX-License-Identifier: Apache-2.0
// The origin's snapshots that are in use: the current one, which new loads carry, and older ones
// that loads in flight still carry. Guarded by the cache's front mutex.
//
// Snapshots only ever advance: one that does not see all that its predecessor saw is refused, and
// the predecessor stays (an older snapshot is always safe). So what the oldest in use sees, all
// see.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "pg/ids.h"

namespace pgcache::cache {

using SnapshotPtr = std::shared_ptr<const pg::Snapshot>;

// A snapshot that a load carries; give it back with SnapshotBook::release.
struct SnapshotLease {
  std::uint64_t number = 0;
  SnapshotPtr snapshot;
};

class SnapshotBook {
 public:
  // The stream began anew: no snapshot is current until one comes that sees all of `exported`.
  void reset(const pg::Snapshot& exported) {
    exported_ = exported;
    in_use_.clear();
    current_ = 0;
  }

  // Whether it became the current one.
  bool advance(pg::Snapshot snapshot) {
    if (!exported_ || !snapshot.sees_all_of(current_ ? *current() : *exported_)) return false;
    auto shared = std::make_shared<const pg::Snapshot>(std::move(snapshot));
    in_use_[last_number_ + 1].snapshot = std::move(shared);
    if (current_ && in_use_.at(current_).loads == 0) in_use_.erase(current_);
    current_ = ++last_number_;
    return true;
  }

  // Null until there is one.
  SnapshotPtr current() const { return current_ ? in_use_.at(current_).snapshot : nullptr; }

  // There must be a current one.
  SnapshotLease lease() {
    Use& use = in_use_.at(current_);
    ++use.loads;
    return {current_, use.snapshot};
  }

  void release(const SnapshotLease& lease) {
    const auto it = in_use_.find(lease.number);
    if (it == in_use_.end()) return;  // from before a reset
    if (--it->second.loads == 0 && it->first != current_) in_use_.erase(it);
  }

  // Null until there is a current one.
  SnapshotPtr oldest_in_use() const {
    return current_ ? in_use_.begin()->second.snapshot : nullptr;
  }

  // Any id of about now, to widen the stream's 32-bit ids with.
  pg::Xid reference() const {
    if (current_) return current()->xmax;
    return exported_ ? exported_->xmax : pg::Xid{};
  }

 private:
  struct Use {
    SnapshotPtr snapshot;
    std::uint64_t loads = 0;
  };
  std::optional<pg::Snapshot> exported_;
  std::map<std::uint64_t, Use> in_use_;  // by number: the oldest first
  std::uint64_t current_ = 0;            // 0: none
  std::uint64_t last_number_ = 0;
};

}  // namespace pgcache::cache
