// SPDX-License-Identifier: Apache-2.0
// Whether the cache may answer: what the stream and the control thread know, and who waits for it.
#include <utility>

#include "cache/cache_impl.h"

namespace pgcache::cache {

pg::Lsn Cache::applied_lsn() const { return impl_->freshness.applied(); }

std::optional<sql::BypassReason> Cache::unavailable(TimePoint now) const {
  return impl_->freshness.unavailable(now);
}

void Cache::on_stream_connected() {
  {
    // Transactions may come again that the copies have gone past.
    const CacheImpl::ApplyLock apply_lock(*impl_);
    ++impl_->images_epoch;
    impl_->copies.drop_all();
  }
  impl_->freshness.on_connected();
  impl_->wake_all_unproven();
}

void Cache::on_stream_disconnected() {
  impl_->freshness.on_disconnected();
  impl_->wake_all_unproven();
}

void Cache::suspend() { on_stream_disconnected(); }

void Cache::on_synchrony(bool waited_for) { impl_->freshness.on_synchrony(waited_for); }

void Cache::on_position(pg::Lsn position) {
  impl_->take_in_copies();
  impl_->freshness.on_position(position);
  impl_->wake_proven();
}

void Cache::on_heartbeat(pg::Lsn position, TimePoint taken_at) {
  impl_->freshness.on_heartbeat(position, taken_at);
  impl_->wake_proven();
  impl_->take_out_all();
}

bool Cache::proven_since(TimePoint since) const { return impl_->freshness.proven_since(since); }

std::unique_ptr<Wait> Cache::wait_for_proof(TimePoint since, std::function<void()> wake) {
  auto waiter = std::make_shared<Waiter>(std::move(wake));
  impl_->proof_waiters.add(since, waiter);
  impl_->wake_proven();  // it may have come meanwhile
  return std::make_unique<WaitHandle>(std::move(waiter));
}

void CacheImpl::wake_proven() {
  fire_all(proof_waiters.take([this](TimePoint since) { return freshness.proven_since(since); }));
}

void CacheImpl::wake_all_unproven() {
  fire_all(proof_waiters.take([](TimePoint) { return true; }));
}

}  // namespace pgcache::cache
