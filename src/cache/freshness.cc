// SPDX-License-Identifier: Apache-2.0
#include "cache/freshness.h"

#include <algorithm>
#include <chrono>

namespace pgcache::cache {

namespace {
std::int64_t to_word(TimePoint time) { return time.time_since_epoch().count(); }
}  // namespace

std::optional<sql::BypassReason> Freshness::unavailable(TimePoint now) const {
  const std::int64_t word = word_.load(std::memory_order_relaxed);
  if (word == kStarting || word == kNoSnapshot) return sql::BypassReason::kStarting;
  if (word == kDown) return sql::BypassReason::kStreamDown;
  if (word == kNotSynchronous) return sql::BypassReason::kNotSynchronous;
  if (word == kUnproven || to_word(now) - word > rules_.max_staleness.count()) {
    return sql::BypassReason::kStale;
  }
  if (rules_.barred != nullptr && rules_.barred->load(std::memory_order_acquire) != 0) {
    return sql::BypassReason::kNotSynchronous;
  }
  return std::nullopt;
}

double Freshness::age_seconds(TimePoint now) const {
  const std::int64_t word = word_.load(std::memory_order_relaxed);
  if (word <= kNotSynchronous) return 0;
  const Duration age(std::max<std::int64_t>(0, to_word(now) - word));
  return std::chrono::duration<double>(age).count();
}

void Freshness::rewrite_word() {
  std::int64_t word = kUnproven;
  if (!started_) {
    word = kStarting;
  } else if (!connected_) {
    word = has_snapshot_ ? kDown : kStarting;
  } else if (!has_snapshot_) {
    word = kNoSnapshot;
  } else if (rules_.needs_synchrony && !synchronous_) {
    word = kNotSynchronous;
  } else if (proven_) {
    word = to_word(*proven_);
  }
  word_.store(word);  // in one order with the looks of those who begin to wait for a proof
}

void Freshness::forget_proofs() {
  proven_.reset();
  pending_.clear();
}

void Freshness::on_cold_start(pg::Lsn consistent_point) {
  const std::lock_guard lock(mutex_);
  started_ = true;
  has_snapshot_ = false;
  forget_proofs();
  rewrite_word();
  applied_.store(consistent_point.value, std::memory_order_release);
}

void Freshness::on_snapshot() {
  const std::lock_guard lock(mutex_);
  if (has_snapshot_) return;
  has_snapshot_ = true;
  rewrite_word();
}

void Freshness::on_connected() {
  const std::lock_guard lock(mutex_);
  connected_ = true;
  forget_proofs();
  rewrite_word();
}

void Freshness::on_disconnected() {
  const std::lock_guard lock(mutex_);
  connected_ = false;
  forget_proofs();
  rewrite_word();
}

void Freshness::on_synchrony(bool waited_for) {
  const std::lock_guard lock(mutex_);
  if (waited_for == synchronous_) return;
  synchronous_ = waited_for;
  forget_proofs();
  rewrite_word();
}

void Freshness::on_position(pg::Lsn position) {
  const std::lock_guard lock(mutex_);
  if (position.value <= applied_.load(std::memory_order_relaxed)) return;
  applied_.store(position.value, std::memory_order_release);
  prove_up_to(position);
}

void Freshness::on_heartbeat(pg::Lsn position, TimePoint taken_at) {
  const std::lock_guard lock(mutex_);
  if (!connected_) return;
  const pg::Lsn applied{applied_.load(std::memory_order_relaxed)};
  const bool full = pending_.size() >= kPendingMax;
  if (rules_.keeps_every_proof) {
    if (full) pending_.pop_back();  // the new one proves more; those before make room in time
  } else {
    if (position > applied && !pending_.empty() &&
        taken_at - pending_.back().taken_at < rules_.max_staleness / 32) {
      return;  // the one before will prove nearly as much
    }
    // With one every thirty-second part, the queue spans twice max_staleness; what leaves is
    // useless.
    if (full) pending_.erase(pending_.begin());
  }
  pending_.push_back({position, taken_at});
  prove_up_to(applied);
}

void Freshness::prove_up_to(pg::Lsn applied) {
  bool proven_more = false;
  for (const Pending& pending : pending_) {
    if (pending.position > applied || (proven_ && pending.taken_at <= *proven_)) continue;
    proven_ = pending.taken_at;
    proven_more = true;
  }
  if (!proven_more) return;
  std::erase_if(pending_, [&](const Pending& p) { return p.taken_at <= *proven_; });
  rewrite_word();
}

}  // namespace pgcache::cache
