// SPDX-License-Identifier: Apache-2.0
// Exchanges whose Sync is not there yet. One that may be answered from memory waits for it, since
// all of it is decided upon at once. But PostgreSQL works message by message: its time limits run
// between a Parse and its Sync, and an error in a long exchange comes at once. So an exchange is
// passed on as it comes
// - as soon as its first Execute cannot be served, and neither can what is behind it: a write, a
//   statement that is not known, a read in a block that has written;
// - when the client falls silent in its middle.
// See session.h.
#include <algorithm>

#include "proxy/faults.h"
#include "proxy/session.h"

namespace pgcache::proxy {

using sql::BypassReason;

namespace {

// After so long without a byte in the middle of an exchange, what is there is passed on; and after
// so long in any case.
constexpr auto kSilenceMax = std::chrono::milliseconds(10);
constexpr auto kHeldMax = std::chrono::milliseconds(100);

}  // namespace

// All that the client has sent so far has been looked at, and ends in the middle of an exchange.
// False: nothing can be done until more comes.
bool Session::pass_on_held() {
  if (held_bytes_ == 0 || streaming_unit_) return false;
  if (held_.expired) {
    if (ask_settings_for_parse(client_input_.view().substr(0, held_bytes_))) return false;
    forward_held_unit(BypassReason::kPaused);
    return true;
  }
  if (const std::size_t bytes = first_execute_end()) {
    if (std::optional<Verdict> verdict = decide_beginning(client_input_.view().substr(0, bytes))) {
      if (first_unprepared()) {
        forward_held_unit(verdict->bypass);
      } else {
        forward_beginning(std::move(*verdict), bytes);
      }
      return true;
    }
  }
  await_rest();
  return false;
}

// So many bytes reach to the end of the first Execute. 0: it is not there, or has been seen.
std::size_t Session::first_execute_end() {
  const std::string_view held = client_input_.view().substr(0, held_bytes_);
  wire::FrameHeader header;
  while (!held_.decided && held_.looked_at < held.size()) {
    wire::peek_frame(held.substr(held_.looked_at), header);
    held_.looked_at += header.total_bytes();
    held_.decided = header.tag == 'E';
    if (held_.decided) return held_.looked_at;
  }
  return 0;
}

// Why the first Execute, and what may come behind it, cannot be served. Nothing: it may be.
std::optional<Verdict> Session::decide_beginning(std::string_view bytes) {
  parse_unit(bytes);
  const std::optional<BypassReason> shape_reason = link_unit();
  const std::size_t at = step_count_ - 1;
  const Step& step = steps_[at];
  const bool old = std::any_of(steps_.begin(), steps_.begin() + step_count_,
                               [this](const Step& s) { return uses_old_portal(s); });
  if (old || !step.understood || step.command != BlockCommand::kNone) return std::nullopt;
  if (!step.statement) return bypass(shape_reason.value_or(BypassReason::kUnknownStatement));
  const Effects effects = statement_effects(*step.statement);
  if (portals_want_to_wait(effects, step.statement->text->sql)) return std::nullopt;
  if (!may_be_read(*step.statement)) {
    return effects.harmless ? std::nullopt : std::optional(bypass(BypassReason::kNotRead));
  }
  const std::optional<BypassReason> refusal = lasting_refusal();
  if (!refusal && (effects.harmless || may_be_served(*step.statement))) return std::nullopt;
  const cache::ShapePtr shape = shape_of(*step.statement);
  if (!shape) return bypass(BypassReason::kQueryTooLong);
  if (const auto* no = shape->analysis.not_cacheable()) return bypass(no->reason);
  return refusal ? std::optional(bypass(*refusal)) : std::nullopt;
}

// Why nothing is served in this session until the present exchange is over. (Not all reasons: what
// gate() waits for may still come right.)
std::optional<BypassReason> Session::lasting_refusal() {
  if (!cacheable_session_) {
    return env_.config->cache ? BypassReason::kOtherDatabase : BypassReason::kDisabled;
  }
  if (const auto reason = env_.cache->unavailable(io_.now())) return reason;
  if (tracker_.discarding()) return BypassReason::kPipeline;
  if (tracker_.copying_in()) return BypassReason::kCopy;
  if (!tracker_.idle()) return std::nullopt;
  if (status_ == 'E') return BypassReason::kFailedTransaction;
  if (block_ == Block::kDirty && !faults::broken("serve_in_transactions")) {
    return BypassReason::kInTransaction;
  }
  return settings_ ? settings_refusal() : std::nullopt;
}

// Up to its first Execute as a unit, for what is to be known of that; the rest as it comes.
void Session::forward_beginning(Verdict verdict, std::size_t bytes) {
  begin_frame();
  const std::size_t at = step_count_ - 1;
  const StatementPtr& statement = steps_[at].statement;
  const bool disturbs = statement && !execute_is_harmless(at);
  const BypassReason reason = disturbs ? BypassReason::kInTransaction : verdict.bypass;
  executes_.assign(1, at);
  verdicts_.clear();
  verdicts_.push_back(std::move(verdict));
  forward_unit(verdicts_, executes_, std::nullopt);
  verdicts_.clear();
  open_unit().preparing = false;
  streaming_unit_ = true;
  streaming_reason_ = reason;
  held_bytes_ -= bytes;
  consume_client(bytes);
  forward_held_unit(reason);
}

// Of an Execute that is forwarded as it comes.
BypassReason Session::streamed_reason(std::string_view portal) {
  const bool for_all = streaming_reason_ == BypassReason::kFlush ||
                       streaming_reason_ == BypassReason::kPaused ||
                       streaming_reason_ == BypassReason::kQueryTooLong;
  if (for_all) return streaming_reason_;
  if (!streamed_statement_ || streamed_portal_ != portal) return BypassReason::kUnknownStatement;
  return may_be_read(*streamed_statement_) ? streaming_reason_ : BypassReason::kNotRead;
}

// An Execute that is forwarded as it comes. The Inflight that it goes on with; 0: none.
std::uint64_t Session::note_streamed(std::string_view portal) {
  if (const std::optional<std::uint64_t> load = follow_load(portal)) {
    const auto& all = open_unit().inflight;
    const auto of = [&load](const Inflight& inflight) { return inflight.id == *load; };
    count(miss(), std::find_if(all.begin(), all.end(), of)->shape.get());
    return *load;
  }
  const cache::ShapePtr shape = streamed_statement_ ? streamed_statement_->analysed : nullptr;
  count(bypass(streamed_reason(portal)), shape.get());
  // What it makes is not read.
  const bool prepares = shape && shape->analysis.kind == sql::StatementKind::kPrepare;
  foreign_statements_ = foreign_statements_ || prepares;
  return 0;
}

void Session::await_rest() {
  const TimePoint now = io_.now();
  if (!held_.since) held_.since = now;
  held_.deadline = std::min<TimePoint>(now + kSilenceMax, *held_.since + kHeldMax);
  io_.set_timer(*held_.deadline);
}

// It is complete, or goes on as it is.
void Session::end_held() {
  const bool timer = held_.deadline.has_value();
  held_ = {};
  if (!timer) return;
  if (parked_.empty()) {
    io_.clear_timer();
  } else {
    io_.set_timer(parked_deadline_);
  }
}

// The rest has not come in time.
void Session::end_silence() {
  held_.deadline.reset();
  held_.expired = true;
  if (!parked_.empty()) io_.set_timer(parked_deadline_);
  process_client();
}

}  // namespace pgcache::proxy
