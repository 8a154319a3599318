// SPDX-License-Identifier: Apache-2.0
#include "cache/transaction_log.h"

#include <utility>

namespace pgcache::cache {

LoggedTransaction log_entry(TransactionPtr transaction, pg::Xid xid, StoredImagesPtr images) {
  LoggedTransaction entry;
  entry.xid = xid;
  const auto touch = [&entry](pg::Oid oid) {
    if (entry.relations.empty() || entry.relations.back() != oid) entry.relations.push_back(oid);
  };
  for (const cdc::RowChange& change : transaction->changes) touch(change.relation->oid);
  for (const auto& relation : transaction->overflowed_relations) touch(relation->oid);
  for (const auto& relation : transaction->changed_relations) touch(relation->oid);
  std::sort(entry.relations.begin(), entry.relations.end());
  entry.relations.erase(std::unique(entry.relations.begin(), entry.relations.end()),
                        entry.relations.end());
  entry.relations.shrink_to_fit();
  entry.bytes = transaction->bytes + sizeof(LoggedTransaction) + sizeof(cdc::Transaction) +
                entry.relations.size() * sizeof(pg::Oid) + (images ? images->bytes : 0);
  entry.images = std::move(images);
  entry.transaction = std::move(transaction);
  return entry;
}

void TransactionLog::append(LoggedTransaction transaction) {
  const std::uint64_t bytes = transaction.bytes;
  log_.push_back(std::move(transaction));
  bytes_ += bytes;
  while (bytes_ > bytes_max_ && !log_.empty()) forget_oldest();
}

void TransactionLog::forget_oldest() {
  forgotten_.push_back(log_.front().xid);
  bytes_ -= log_.front().bytes;
  log_.pop_front();
  if (forgotten_.size() <= kForgottenMax) return;
  floor_ = std::max(floor_, *std::max_element(forgotten_.begin(), forgotten_.end()));
  forgotten_.clear();
}

void TransactionLog::trim(const pg::Snapshot& oldest_in_use) {
  while (!log_.empty() && oldest_in_use.sees(log_.front().xid)) {
    bytes_ -= log_.front().bytes;
    log_.pop_front();
  }
  // One that is not seen yet holds up those behind it: look behind it now and then.
  if (log_.size() >= sweep_at_) {
    drop_seen(oldest_in_use);
    sweep_at_ = std::max<std::size_t>(64, 2 * log_.size());
  }
  std::erase_if(forgotten_, [&](pg::Xid xid) { return oldest_in_use.sees(xid); });
  if (floor_ < oldest_in_use.xmin) floor_ = {};
}

void TransactionLog::drop_seen(const pg::Snapshot& snapshot) {
  std::erase_if(log_, [&](const LoggedTransaction& t) {
    const bool seen = snapshot.sees(t.xid);
    if (seen) bytes_ -= t.bytes;
    return seen;
  });
}

void TransactionLog::clear() {
  log_.clear();
  bytes_ = 0;
  sweep_at_ = 64;
  forgotten_.clear();
  floor_ = {};
}

void TransactionLog::forget_images() {
  for (LoggedTransaction& transaction : log_) {
    if (!transaction.images) continue;
    bytes_ -= transaction.images->bytes;
    transaction.bytes -= transaction.images->bytes;
    transaction.images = nullptr;
  }
}

bool TransactionLog::covers(const pg::Snapshot& snapshot) const {
  if (floor_ != pg::Xid{} && snapshot.xmin <= floor_) return false;
  return std::all_of(forgotten_.begin(), forgotten_.end(),
                     [&](pg::Xid xid) { return snapshot.sees(xid); });
}

}  // namespace pgcache::cache
