// SPDX-License-Identifier: Apache-2.0
// The recent transactions that some load in flight may not have seen. Guarded by the cache's apply
// mutex.
//
// A transaction stays until the oldest snapshot in use sees it (then all in use and all to come see
// it). When the log outgrows its limit the oldest transactions leave before that: their ids are
// kept as "forgotten", and a load whose snapshot does not see every forgotten one cannot be
// published, because what it missed is not known any more. Forgotten ids too leave once every
// snapshot in use sees them. When even they are too many, a floor takes their place: only snapshots
// whose xmin is above it count.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "cache/stored_row.h"
#include "cdc/row_change.h"
#include "pg/definition_change.h"
#include "pg/ids.h"

namespace pgcache::cache {

using TransactionPtr = std::shared_ptr<const cdc::Transaction>;

// Rows as they were before the changes of one transaction, by change; nothing where that is not
// known better than the stream tells.
struct StoredImages {
  std::vector<StoredRow> before;
  std::uint64_t bytes = 0;
  std::string_view of(std::size_t change) const {
    return change < before.size() ? before[change].bytes() : std::string_view{};
  }
};
using StoredImagesPtr = std::shared_ptr<const StoredImages>;

struct LoggedTransaction {
  pg::Xid xid;
  TransactionPtr transaction;
  StoredImagesPtr images;                 // may be null
  std::vector<pg::Oid> relations;         // that it touches in any way; ascending, distinct
  pg::DefinitionChange definitions = {};  // that it changed
  std::uint64_t bytes = 0;

  bool touches(pg::Oid relation) const {
    return std::binary_search(relations.begin(), relations.end(), relation);
  }
};
LoggedTransaction log_entry(TransactionPtr transaction, pg::Xid xid,
                            StoredImagesPtr images = nullptr);

class TransactionLog {
 public:
  explicit TransactionLog(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  void append(LoggedTransaction transaction);
  // `oldest_in_use` sees no more than any snapshot that a load carries or will carry.
  void trim(const pg::Snapshot& oldest_in_use);
  void clear();
  // The stored images of the transactions may be wrong: it goes without.
  void forget_images();

  // Whether every transaction that the snapshot does not see is still here.
  bool covers(const pg::Snapshot& snapshot) const;
  const std::deque<LoggedTransaction>& transactions() const { return log_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  static constexpr std::size_t kForgottenMax = 4096;
  void forget_oldest();
  void drop_seen(const pg::Snapshot& snapshot);

  std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  std::deque<LoggedTransaction> log_;  // in commit order
  std::size_t sweep_at_ = 64;
  std::vector<pg::Xid> forgotten_;
  pg::Xid floor_;  // zero: none
};

}  // namespace pgcache::cache
