// SPDX-License-Identifier: Apache-2.0
// Exchanges of which the client wants a part answered before it sends the rest: a Flush ends the
// part, where a Sync would end the exchange. So cursors of node-postgres read: Parse, Bind,
// Describe, Flush; Execute with a row limit, Flush; and so on; Close, Sync. docs/adr/0017 says why
// that is right. See session.h.
//
// A part that memory answers as a whole is answered here. Outside of blocks the exchange is a
// transaction then that the origin does not know of (Begin::kExchange), up to its Sync; its portals
// are in memory as in a block. What goes to the origin before the Sync finds there what an Execute
// leaves of a transaction. A part that memory cannot answer goes on as it comes, and so does all
// behind it, but rows of portals that it opens are captured.
#include <algorithm>
#include <utility>

#include "proxy/session.h"

namespace pgcache::proxy {

using sql::BypassReason;

bool Session::takes_flush(const wire::Frame& frame) const {
  return !streaming_unit_ && !open_unit_ && !env_.pooled() && frame.body().empty() &&
         (held_bytes_ > 0 || flushed_);
}

// What is held, with the Flush behind it. False: held.
bool Session::handle_flush(std::string_view bytes) {
  if (held_bytes_ == 0) {
    consume_client(bytes.size());
    return true;
  }
  begin_frame();
  parse_unit(bytes);
  const bool asks = std::any_of(steps_.begin(), steps_.begin() + step_count_,
                                [](const Step& s) { return s.tag == 'B' || s.tag == 'E'; });
  if ((!asks && !flushed_) || link_unit() || step_wanting_portals() != step_count_) {
    return pass_on_flushed();
  }
  if (waits_for_portals()) return false;
  list_executes();
  if (!decide_unit(std::nullopt)) return false;
  if (!only_memory() && !may_be_answered_in_parts()) return pass_on_flushed();
  const bool loads = std::any_of(verdicts_.begin(), verdicts_.end(), [](const Verdict& v) {
    return v.kind == Verdict::Kind::kLoad || v.kind == Verdict::Kind::kMiss;
  });
  if (is_all_hit(std::nullopt)) {
    serve_flush();
  } else if (loads && !first_unprepared()) {
    forward_flushed();
  } else {
    const bool refused = verdicts_.size() == 1 && verdicts_[0].kind == Verdict::Kind::kBypass;
    if (!refused) return pass_on_flushed();
    const bool harmless = execute_is_harmless(executes_[0]);
    return pass_on_flushed(harmless ? verdicts_[0].bypass : BypassReason::kInTransaction);
  }
  verdicts_.clear();
  held_bytes_ = 0;
  consume_client(bytes.size());
  return true;
}

// As it comes. False: held.
bool Session::pass_on_flushed(BypassReason reason) {
  verdicts_.clear();
  if (ask_settings_for_parse(client_input_.view().substr(0, held_bytes_))) return false;
  forward_held_unit(reason);
  return true;
}

bool Session::ends_in_flush() const {
  return step_count_ > 0 && steps_[step_count_ - 1].tag == 'H';
}

// Whether a step is of a portal that is opened in front of a Flush, to be executed behind it.
bool Session::is_bound_for_later(std::size_t at) const {
  const Step& step = steps_[at];
  if (!ends_in_flush()) return false;
  if (step.tag != 'P') return step.tag == 'B' || !step.statement;
  return std::any_of(
      steps_.begin() + static_cast<std::ptrdiff_t>(at),
      steps_.begin() + static_cast<std::ptrdiff_t>(step_count_),
      [&step](const Step& s) { return s.tag == 'B' && s.statement == step.statement; });
}

// The Bind, in front of the Flush.
bool Session::is_executed(std::size_t bind) const {
  return std::any_of(steps_.begin() + static_cast<std::ptrdiff_t>(bind),
                     steps_.begin() + static_cast<std::ptrdiff_t>(step_count_),
                     [bind](const Step& s) {
                       return s.tag == 'E' && !s.in_memory && s.statement && s.bind_step == bind;
                     });
}

// Whether nobody notices that the client may take its time between the parts: the origin would end
// no statement, transaction or session for its length. The settings are known.
bool Session::may_be_answered_in_parts() const {
  const bool limited =
      transaction_settings_.limited() || transaction_settings_.statement > Duration::zero();
  return !limited && (status_ == 'T' || env_.config->defer_begin);
}

void Session::serve_flush() {
  if (status_ == 'I') begin_exchange_here();
  serve_unit(verdicts_);
  prepare_parsed(verdicts_);
  flushed_ = true;
}

void Session::begin_exchange_here() {
  begin_.state = Begin::kExchange;
  status_ = 'T';
  block_ = Block::kClean;
  exchange_executed_ = false;
  exchange_portals_ = true;
}

// In front of the ReadyForQuery of its Sync.
void Session::end_exchange_here() {
  flushed_ = false;
  if (begin_.state != Begin::kExchange) return;
  begin_.state = Begin::kNone;
  status_ = 'I';
  block_ = Block::kNone;
  behind_.unnamed_portal = behind_.snapshot = false;
  forget_portals();
}

// The transaction goes to the origin. What has been answered here, in it, has taken a snapshot; and
// when it was executed, the transaction is that of a pipeline.
void Session::exchange_at_origin() {
  begin_.state = Begin::kNone;
  block_ = Block::kNone;
  open_unit().preparing = false;
  append_settings_exchange(exchange_executed_);
  behind_.snapshot = false;
}

// --- parts that go to the origin

void Session::forward_flushed() {
  forward_unit(verdicts_, executes_, std::nullopt);
  Unit& unit = open_unit();
  unit.preparing = false;
  streaming_unit_ = true;
  limit_opened_loads();
}

// The load of a portal that will be executed behind the Flush.
void Session::open_load(const Step& bind, Verdict verdict) {
  if (verdict.kind == Verdict::Kind::kHit) verdict = miss();  // another one in the part is missing
  open_unit().inflight.push_back(make_inflight(bind, verdict));
}

// Nobody waits for rows that the client fetches when it likes, and the loads end in time.
void Session::limit_opened_loads() {
  bool any = false;
  for (const Inflight& inflight : open_unit().inflight) {
    if (!inflight.load) continue;
    env_.cache->stop_waiting_for(*inflight.load);
    any = true;
  }
  if (!any) return;
  parked_deadline_ = io_.now() + kFetchWaits * env_.config->load_wait_timeout;
  io_.set_timer(parked_deadline_);
}

void Session::drop_opened_loads() {
  if (!open_unit_) return;
  for (Inflight& inflight : open_unit_->inflight) {
    if (inflight.opened) inflight.load.reset();
  }
}

}  // namespace pgcache::proxy
