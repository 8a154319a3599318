// SPDX-License-Identifier: Apache-2.0
// The control connection's care for the slot: it must never fill the origin's disk. That is looked
// after here, and not where the stream is applied, since it is when that does not get on that WAL
// piles up.
#include <string>

#include "base/log.h"
#include "origin/control_link_impl.h"
#include "origin/replication_slot.h"

namespace pgcache::origin {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Duration kSlotCheckInterval = std::chrono::seconds(1);
constexpr Duration kReadTimeout = std::chrono::seconds(10);  // then the connection is dead
constexpr Duration kDropAgain = std::chrono::milliseconds(100);

}  // namespace

void ControlLink::Impl::look_after_slot() {
  next_slot_check = Clock::now() + kSlotCheckInterval;
  const Result<SlotState> slot = read_slot(*link, config->slot, kReadTimeout);
  if (!slot.ok()) return;
  const bool waits = slot->exists && slot->waits &&
                     slot->active_pid == slot_holder.load(std::memory_order_acquire);
  if (!waits) {
    holder_waits_since.store(TimePoint{}, std::memory_order_release);
  } else if (holder_waits_since.load(std::memory_order_relaxed) == TimePoint{}) {
    holder_waits_since.store(Clock::now(), std::memory_order_release);
  }
  holder_seen.store(Clock::now(), std::memory_order_release);
  const bool counts = slot->exists && slot->ours && !slot->lost;
  const std::uint64_t retained = counts ? slot->retained_bytes : 0;
  events.on_slot_retained(retained);
  const bool over = config->max_slot_retained != 0 && retained > config->max_slot_retained;
  if (!over) {
    slot_over_limit = false;
    return;
  }
  // Somebody else's. Where the stream comes from has been told before it began.
  if (slot->active_pid != 0 && slot->active_pid != slot_holder.load(std::memory_order_acquire)) {
    return;
  }
  drop_slot_over_limit(retained, slot->active_pid);
}

// Once for each time that it is over: first the stream is told, which must not go on from what will
// be dropped, then its walsender is ended, and when that has gone the slot.
void ControlLink::Impl::drop_slot_over_limit(std::uint64_t retained, int active_pid) {
  if (!std::exchange(slot_over_limit, true)) {
    log_warning(
        "control link: slot {} holds back {} bytes of WAL, more than max_slot_retained ({}); it is "
        "dropped, and the cache with it",
        config->slot, retained, config->max_slot_retained);
    events.on_slot_over_limit();
  }
  next_slot_check = Clock::now() + kDropAgain;
  if (active_pid != 0) {
    const Reply ignored = end_walsender(*link, config->slot, active_pid);
    return;
  }
  const Reply dropped = drop_slot(*link, config->slot);
  if (!dropped.ok()) log_warning("control link: {}", dropped.failure().message);
}

}  // namespace pgcache::origin
