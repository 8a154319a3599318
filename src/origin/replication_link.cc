// SPDX-License-Identifier: Apache-2.0
// The replication connection: the applier thread.
//
// One session after the other: connect, make sure that it is the same server and a slot that
// continues where we are, else start cold with a new slot; then stream until something ends it.
// What ends it says whether the next session may resume (Again::kResume: what was applied stays
// valid and nothing is missed) or must start cold. Transactions that the server sends again after a
// resume are recognised by their end position and skipped.
#include "origin/replication_link.h"

#include <algorithm>
#include <exception>
#include <string>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "origin/replication_link_impl.h"
#include "origin/replication_slot.h"

namespace pgcache::origin {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kRetryMin = milliseconds(100);
constexpr Duration kRetryMax = seconds(5);

}  // namespace

// Errors that say that the slot cannot continue: undefined_object (the slot or the publication is
// gone), object_not_in_prerequisite_state (it was invalidated), undefined_file (its WAL is gone).
bool slot_is_broken(const Failure& failure) {
  return failure.sqlstate == "42704" || failure.sqlstate == "55000" || failure.sqlstate == "58P01";
}

void ReplicationLink::Impl::run() {
  Duration backoff = kRetryMin;
  while (!stop.raised()) {
    progressed = false;
    End end = try_session();
    note_walsender(0);
    const bool was_streaming = std::exchange(streaming, false);
    decoder.on_disconnect();
    if (was_streaming) saw_shutdown = end.complete;
    if (end.again == Again::kCold) lose_slot(end.why_cold);
    if (progressed) fruitless_resumes = 0;
    if (!progressed && end.refused) ++fruitless_resumes;
    try {
      if (was_streaming) events.on_disconnected(end.reason);
    } catch (const std::exception& e) {
      log_error("replication link: {}", e.what());
      lose_slot(ColdStart::kApplier);
    }
    if (stop.raised()) break;
    if (was_streaming) {
      log_warning("replication link: {}; {}", end.reason,
                  have_slot ? "resuming from the slot" : "starting cold");
    }
    stop.wait_for(backoff);
    const bool went_well = progressed || (was_streaming && !end.refused);
    backoff = went_well ? kRetryMin : std::min(backoff * 2, kRetryMax);
  }
  try {
    leave_slot();
  } catch (const std::exception& e) {
    log_error("replication link: the slot may stay on the origin: {}", e.what());
  }
}

// What throws may be want of memory: then even the reason is without words.
End ReplicationLink::Impl::try_session() {
  End failed{{}, Again::kCold};
  failed.why_cold = ColdStart::kApplier;
  try {
    return session();
  } catch (const std::exception& e) {
    log_error("replication link: applying a change failed: {}", e.what());
    try {
      failed.reason = std::string("applying a change failed: ") + e.what();
    } catch (const std::exception&) {
    }
  }
  return failed;
}

LinkOptions ReplicationLink::Impl::link_options(bool replication) const {
  // The name by which synchronous_standby_names may name us.
  LinkOptions options =
      origin::link_options(*config, replication ? config->own_standby_name() : "pgcache start");
  options.replication = replication;
  options.stop = &stop;
  return options;
}

End ReplicationLink::Impl::not_now(Problem problem) {
  End end{problem.what, Again::kResume};
  reporter.report({std::move(problem)});
  return end;
}

End ReplicationLink::Impl::session() {
  if (stand_in != nullptr) stand_in->check_companion();
  if (restart_requested.exchange(false)) lose_slot(ColdStart::kAsked);
  if (slot_given_up.exchange(false)) lose_slot(ColdStart::kRetained);
  auto opened = Link::open(link_options(true));
  if (const Failure* failure = std::get_if<Failure>(&opened)) {
    if (failure->interrupted) return {"stopped", Again::kResume};
    return not_now(explain_replication_failure(*config, *failure));
  }
  Link& link = *std::get<std::unique_ptr<Link>>(opened);
  control.set_slot_holder(link.backend_pid());
  if (std::optional<End> end = prepare(link)) return *end;
  if (stand_in != nullptr) stand_in->end();
  const Reply started =
      link.query("START_REPLICATION SLOT " + quote_identifier(config->slot) +
                 " LOGICAL 0/0 (proto_version '1', publication_names " +
                 quote_literal(quote_identifier(config->publication)) + ", messages 'true')");
  if (!started.ok()) {
    if (started.failure().interrupted) return {"stopped", Again::kResume};
    End end = not_now(explain_replication_failure(*config, started.failure()));
    end.refused = true;
    if (slot_is_broken(started.failure())) end.again = Again::kCold;
    end.why_cold = ColdStart::kSlot;
    return end;
  }
  if (started.status() != PGRES_COPY_BOTH) return {"the origin does not stream", Again::kCold};
  walsender_pid = link.backend_pid();
  reporter.report({});
  control.set_stream_identity(server.identity);
  streaming = true;
  log_info("replication link: streaming from slot {} behind {}", config->slot,
           pg::to_string(applied));
  if (!begin_serving()) {
    return {.reason = "commits have waited too long",
            .again = Again::kCold,
            .why_cold = ColdStart::kAsked};
  }
  return stream(link);
}

bool ReplicationLink::Impl::begin_serving() {
  if (stand_in == nullptr) {
    events.on_connected();
    return true;
  }
  note_walsender(walsender_pid);
  stand_in->note_applied(applied);
  return stand_in->serve_unless_engaged([this] { events.on_connected(); });
}

void ReplicationLink::Impl::note_walsender(int pid) {
  if (stand_in == nullptr) return;
  if (pid != 0) stand_in->note_walsender(pid);
  control.set_walsender(pid);
}

// At the end: nobody will read from the slot, and it would keep the origin's WAL for ever.
void ReplicationLink::Impl::leave_slot() {
  if (!slot_made || config->keep_slot) return;
  LinkOptions options = link_options(false);
  options.stop = nullptr;
  options.connect_timeout = seconds(2);
  auto opened = Link::open(options);
  std::string why;
  if (const Failure* failure = std::get_if<Failure>(&opened)) {
    why = failure->message;
  } else {
    Link& link = *std::get<std::unique_ptr<Link>>(opened);
    for (int attempt = 0; attempt < 40; ++attempt) {
      const Reply dropped = drop_slot(link, config->slot);
      const Result<SlotState> slot = read_slot(link, config->slot);
      why = dropped.ok() ? "it is in use" : dropped.failure().message;
      if (slot.ok() && !slot->exists) return;
      if (slot.ok() && slot->active_pid != 0 && slot->active_pid != walsender_pid) break;
      if (slot.ok() && attempt > 0) end_own_walsender(link);
      std::this_thread::sleep_for(milliseconds(50));
    }
  }
  log_warning("replication link: slot {} stays on the origin ({}); `pgcache cleanup` removes it",
              config->slot, why);
}

ReplicationLink::ReplicationLink(std::shared_ptr<const config::Config> config, ControlLink& control,
                                 ReplicationEvents& events, StandIn* stand_in)
    : impl_(std::make_unique<Impl>(std::move(config), control, events, stand_in)) {}

ReplicationLink::~ReplicationLink() { stop(); }

void ReplicationLink::start() {
  CHECK(!impl_->thread.joinable());
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void ReplicationLink::stop() {
  impl_->stop.raise();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void ReplicationLink::request_keepalive() {
  if (!impl_->keepalive_requested.exchange(true)) impl_->wake.raise();
}

void ReplicationLink::give_up_slot() {
  impl_->slot_given_up = true;
  impl_->wake.raise();
}

void ReplicationLink::request_restart() {
  impl_->restart_requested = true;
  impl_->wake.raise();
}

}  // namespace pgcache::origin
