// SPDX-License-Identifier: Apache-2.0
// The control connection's look at where the origin's address leads. After a failover the old
// server may live on, and pgcache's own connections with it, while clients are at the new one: the
// cache would be out of use for them for as long as that lasts.
#include <string>

#include "base/log.h"
#include "origin/control_link_impl.h"
#include "origin/replication_slot.h"

namespace pgcache::origin {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Duration kServerCheckSpacing = std::chrono::seconds(5);
constexpr Duration kConnectTimeout = std::chrono::seconds(2);
constexpr Duration kAnswerTimeout = std::chrono::seconds(2);
constexpr Duration kWalsenderEnds = std::chrono::milliseconds(50);
constexpr int kDropAttempts = 10;

}  // namespace

// Only to a primary: where an address leads to several servers, those that lag are no place to go.
void ControlLink::Impl::check_server() {
  server_check_asked = false;
  next_server_check = Clock::now() + kServerCheckSpacing;
  LinkOptions options = link_options(*config, kControlName);
  options.stop = &stop;
  options.connect_timeout = kConnectTimeout;
  auto opened = Link::open(options);
  if (!std::holds_alternative<std::unique_ptr<Link>>(opened)) return;
  const Reply there = std::get<std::unique_ptr<Link>>(opened)->query(
      std::string("SELECT ") + kServerStarted + ", pg_catalog.pg_is_in_recovery()", kAnswerTimeout);
  if (!there.ok() || there.rows() != 1 || there.truth(0, 1)) return;
  if (there.text(0, 0) == server_started) return;
  log_warning(
      "control link: the origin's address leads to another server than it did; going over to it");
  leave_slot_behind();
  disconnect("the address leads to another server");
}

// Nobody would read from it any more on the server that is left.
void ControlLink::Impl::leave_slot_behind() {
  for (int attempt = 0; attempt < kDropAttempts && !stop.raised(); ++attempt) {
    const Result<SlotState> slot = read_slot(*link, config->slot, kAnswerTimeout);
    if (!slot.ok() || !slot->exists || !slot->ours) return;
    if (slot->active_pid == 0) {
      const Reply dropped = drop_slot(*link, config->slot);
      if (!dropped.ok()) log_warning("control link: {}", dropped.failure().message);
      return;
    }
    if (slot->active_pid != slot_holder.load(std::memory_order_acquire)) return;
    const Reply ignored = end_walsender(*link, config->slot, slot->active_pid);
    stop.wait_for(kWalsenderEnds);
  }
}

}  // namespace pgcache::origin
