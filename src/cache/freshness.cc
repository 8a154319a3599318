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
  if (word == kUnproven || to_word(now) - word > max_staleness_.count()) {
    return sql::BypassReason::kStale;
  }
  return std::nullopt;
}

double Freshness::age_seconds(TimePoint now) const {
  const std::int64_t word = word_.load(std::memory_order_relaxed);
  if (word <= kUnproven) return 0;
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
  } else if (proven_) {
    word = to_word(*proven_);
  }
  word_.store(word, std::memory_order_relaxed);
}

void Freshness::on_cold_start(pg::Lsn consistent_point) {
  const std::lock_guard lock(mutex_);
  started_ = true;
  has_snapshot_ = false;
  proven_.reset();
  pending_.clear();
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
  proven_.reset();
  pending_.clear();
  rewrite_word();
}

void Freshness::on_disconnected() {
  const std::lock_guard lock(mutex_);
  connected_ = false;
  proven_.reset();
  pending_.clear();
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
  if (position > applied && !pending_.empty() &&
      taken_at - pending_.back().taken_at < max_staleness_ / 32) {
    return;  // the one before will prove nearly as much
  }
  // With one every thirty-second part, the queue spans twice max_staleness; what leaves is useless.
  if (pending_.size() >= kPendingMax) pending_.erase(pending_.begin());
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
