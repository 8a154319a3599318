// SPDX-License-Identifier: Apache-2.0
// Frames of the origin: relaying them, capturing answers, completing units. See session.h.
#include <algorithm>

#include "base/cache_path.h"
#include "base/log.h"
#include "pg/sqlstate.h"
#include "proxy/faults.h"
#include "proxy/session.h"
#include "wire/backend.h"

namespace pgcache::proxy {

namespace {

// Frames of at most this size are waited for whole; larger ones are relayed as they come. Only
// rows, copy data, notices and errors can be larger, and none of those needs to be understood to
// its end.
constexpr std::size_t kWholeFrameBytesMax = 256 * 1024;

// In place of the one that the origin gave for it.
const wire::ErrorFields kChangedError{"ERROR", pg::sqlstate::kFeatureNotSupported,
                                      "cached plan must not change result type"};

// Whether a COPY had begun to read its data when it failed: only then PostgreSQL says where (the
// context of the error, which ends with it), and in front of the data it has read what came before.
bool names_copy_line(std::string_view error) {
  const std::string_view context = wire::error_field(error.substr(wire::kHeaderBytes), 'W');
  return context.substr(context.rfind('\n') + 1).starts_with("COPY ");
}

// An error that ends the session: nothing is answered behind it (manual 55.8: V is not translated).
bool is_fatal(char tag, std::string_view frame) {
  return tag == 'E' && wire::error_field(frame.substr(wire::kHeaderBytes), 'V') != "ERROR";
}

constexpr bool is_asynchronous(char tag) { return tag == 'N' || tag == 'A' || tag == 'S'; }

// Whether a simple query has left no prepared statement but the unnamed one.
template <typename Inflights>
bool has_dropped_statements(const Inflights& of_query) {
  if (of_query.size() != 1 || !of_query.front().answered || !of_query.front().shape) return false;
  const sql::Analysis& analysis = of_query.front().shape->analysis;
  const sql::NotCacheable* const no = analysis.not_cacheable();
  return analysis.kind == sql::StatementKind::kDeallocateAll && no != nullptr &&
         no->reason != sql::BypassReason::kMultiStatement;
}

// Whether a Bind that failed so left the unnamed portal alone: what it is checked for first.
bool fails_before_portal(std::string_view error) {
  const std::string_view code = wire::error_field(error, 'C');
  if (code == pg::sqlstate::kInvalidStatementName || code == "25P02") return true;
  return code == pg::sqlstate::kProtocolViolation &&
         wire::error_field(error, 'R') == "exec_bind_message";
}

}  // namespace

void Session::process_origin() {
  while (to_client_.size() <= env_.config->session_buffer && take_origin_frame()) {
  }
  origin_input_.shrink(16 * 1024);
  if (phase_ == Phase::kAuthenticating || phase_ == Phase::kConnecting) return;
  const bool released = hold_ == Hold::kBegin
                            ? begin_.state != Begin::kSent
                            : hold_ == Hold::kOrigin && (tracker_.idle() || tracker_.discarding() ||
                                                         tracker_.copying_in() || relay_only_);
  if (released) hold_ = Hold::kNone;
  if (hold_ == Hold::kNone) process_client();
}

bool Session::take_origin_frame() {
  if (phase_ == Phase::kClosing || phase_ == Phase::kConnecting) return false;
  const std::string_view bytes = origin_input_.view();
  if (phase_ == Phase::kBlind) {
    to_client_.append(bytes);
    origin_input_.consume(bytes.size());
    on_client_bytes();
    return false;
  }
  if (origin_skip_ > 0) {
    const std::size_t part = std::min<std::uint64_t>(origin_skip_, bytes.size());
    if (part == 0) return false;
    if (skip_hidden_) {
      check_portal_rows(*skipped_row_, bytes.substr(0, part));
    } else {
      to_client_.append(bytes.substr(0, part));
    }
    if (Inflight* inflight = skipped_row_ ? capturing(*skipped_row_) : nullptr) {
      capture(*inflight, bytes.substr(0, part), 0);
    }
    origin_input_.consume(part);
    origin_skip_ -= part;
    return true;
  }
  wire::FrameHeader header;
  const wire::FrameState state = wire::peek_frame(bytes, header);
  if (state == wire::FrameState::kIncomplete) return false;
  if (state == wire::FrameState::kMalformed) {
    fail({"FATAL",
          pg::sqlstate::kProtocolViolation,
          "pgcache received a malformed message from the origin server",
          {}});
    return false;
  }
  const std::size_t total = header.total_bytes();
  if (header.tag == 'D' && bytes.size() >= total && phase_ == Phase::kReady) {
    relay_rows(bytes);
    return true;
  }
  const bool whole = bytes.size() >= total;
  if (!whole && total <= kWholeFrameBytesMax) return false;
  const std::string_view frame = bytes.substr(0, whole ? total : bytes.size());
  const std::size_t present = frame.size();
  on_origin_frame(header.tag, frame, whole);
  if (phase_ == Phase::kClosing || phase_ == Phase::kConnecting) return false;
  if (whole) skipped_row_.reset();
  if (whole) skip_hidden_ = false;
  origin_input_.consume(present);
  origin_skip_ = total - present;
  return true;
}

// All whole DataRows at the start of the buffer, in one piece.
void Session::relay_rows(std::string_view bytes) {
  std::size_t end = 0;
  std::uint64_t rows = 0;
  wire::FrameHeader header;
  while (wire::peek_frame(bytes.substr(end), header) == wire::FrameState::kHeader &&
         header.tag == 'D' && end + header.total_bytes() <= bytes.size()) {
    end += header.total_bytes();
    ++rows;
  }
  const std::string_view frames = bytes.substr(0, end);
  const wire::Attribution attribution = tracker_.on_frame('D', dropped_);
  const bool settings = attribution.request.cookie == kSettingsCookie;
  if (attribution.hidden && attribution.request.request == wire::Request::kExecute && !settings) {
    check_portal_rows(attribution.request, frames);
  } else if (attribution.hidden || answers_added_query(attribution)) {
    wire::peek_frame(frames, header);
    const auto row = wire::parse_data_row(frames.substr(0, header.total_bytes()).substr(5));
    settings_row_.clear();
    if (row) settings_row_.assign(row->begin(), row->end());
  } else {
    if (attribution.has_request) {
      if (Inflight* inflight = capturing(attribution.request)) capture(*inflight, frames, rows);
    }
    to_client_.append(frames);
  }
  origin_input_.consume(end);
}

void Session::on_origin_frame(char tag, std::string_view frame, bool whole) {
  if (phase_ == Phase::kAuthenticating) {
    on_authentication_frame(tag, frame);
    return;
  }
  if (is_asynchronous(tag)) {
    on_asynchronous(tag, frame);
    return;
  }
  dropped_.clear();
  const wire::Attribution attribution = tracker_.on_frame(tag, dropped_);
  if (attribution.sync_doubted && !(whole && names_copy_line(frame))) tracker_.confuse();
  if (tracker_.confused()) relay_only();
  if ((attribution.hidden || !attribution.has_request) && is_fatal(tag, frame)) {
    to_client_.append(frame);
    close();
    return;
  }
  if (attribution.hidden) {
    if (!whole) begin_large_frame(tag, frame, attribution);
    on_hidden_frame(tag, frame, attribution);
  } else if (!is_of_added_query(tag, attribution)) {
    if (!whole) begin_large_frame(tag, frame, attribution);
    if (tag == 'Z' && frame[wire::kHeaderBytes] == 'I') release_notifications();
    if (tag == 'E' && is_of_changed(frame, attribution)) {
      wire::append_error_response(to_client_.tail(), kChangedError);
      spoil_captures();
    } else {
      to_client_.append(frame);
      on_reply(tag, frame, attribution);
    }
  }
  if (!dropped_.empty()) on_dropped(frame);
  if (phase_ != Phase::kClosing) release_local_replies();
}

// The rest of the frame will be relayed as it comes. A row is captured all the same; anything else
// that large in an answer keeps it out of the cache.
void Session::begin_large_frame(char tag, std::string_view frame,
                                const wire::Attribution& attribution) {
  skipped_row_.reset();
  skip_hidden_ = attribution.hidden;
  if (skip_hidden_) {
    skipped_row_ = attribution.request;
    return;
  }
  Inflight* inflight =
      tag == 'D' && attribution.has_request ? capturing(attribution.request) : nullptr;
  if (inflight == nullptr) {
    spoil_captures();
    return;
  }
  capture(*inflight, frame, 1);
  skipped_row_ = attribution.request;
}

// They may come between any two frames; what is cached must not lose them on a later hit.
void Session::on_asynchronous(char tag, std::string_view frame) {
  // A notice in answer to a request of pgcache's own is not the client's.
  if (tag == 'N' && phase_ == Phase::kReady && tracker_.front_is_hidden()) return;
  if (tag == 'A') {
    if (hold_notification(frame)) return;
    release_notifications();
  }
  to_client_.append(frame);
  if (phase_ != Phase::kReady) return;
  if (tag != 'A') spoil_captures();
  if (tag == 'S') lose_settings();
}

void Session::on_hidden_frame(char tag, std::string_view frame,
                              const wire::Attribution& attribution) {
  if (on_begin_frame(tag, frame, attribution)) return;
  if (on_prepare_frame(tag, frame, attribution)) return;
  if (on_catching_up_frame(tag, frame, attribution)) return;
  if (attribution.request.cookie == kChangedTypesCookie) {
    if (tag == 't' || tag == 'E') to_client_.append(frame);
    return;
  }
  if (attribution.request.cookie == kSettingsCookie) {
    // The client's own request has been answered; what ended its transaction is the client's too.
    if (tag == 'E' && !settings_asked_) to_client_.append(frame);
    return;
  }
  if (on_portal_frame(tag, frame, attribution)) return;
  if (tag != 'Z') return;
  const bool block_here = begin_.state == Begin::kDeferred || begin_.state == Begin::kExchange;
  if (!block_here) status_ = frame[wire::kHeaderBytes];
  if (frame[wire::kHeaderBytes] == 'I') leave_connection();
  std::vector<std::optional<std::string_view>> row(settings_row_.begin(), settings_row_.end());
  settings_ = settings_asked_ ? env_.settings->intern(row) : nullptr;
  transaction_settings_ = transaction_settings(row);
  origin_idle_since_ = io_.now();
  settings_asked_ = false;
  settings_failed_ = settings_ == nullptr;
  if (settings_) last_settings_ = settings_;
  if (settings_ && !env_.pooled() && env_.on_other_server && !other_server_told_ &&
      !leads_to_tracked_database(*settings_, transaction_settings_)) {
    other_server_told_ = true;
    env_.on_other_server();
  }
  if (hold_ == Hold::kSettings) hold_ = Hold::kNone;
}

void Session::on_reply(char tag, std::string_view frame, const wire::Attribution& attribution) {
  if (!attribution.has_request) {
    if (tag == 'Z') status_ = frame[wire::kHeaderBytes];
    return;
  }
  Inflight* inflight = capturing(attribution.request);
  switch (tag) {
    case '1':
    case '3':
      settle_statement(attribution.request.cookie);
      return;
    case '2':
      settle_unnamed_portal(attribution.request.cookie, true);
      return;
    case 'n':
      note_description(attribution.request, frame);
      return;
    case 'T':
      if (attribution.request.request == wire::Request::kDescribe) {
        note_description(attribution.request, frame);
        if (attribution.request.cookie != 0) {
          descriptions_.emplace_back(attribution.request.cookie, frame);
        }
      } else if (inflight != nullptr) {
        keep(*inflight, [&] { inflight->row_description = frame; });
      }
      return;
    case 'C':
      completed_something_ = true;
      if (Inflight* answered = inflight_of(attribution.request)) answered->answered = true;
      if (inflight != nullptr) keep(*inflight, [&] { complete_capture(*inflight, frame); });
      begin_added_query(attribution);
      return;
    case 'E': {
      const std::string_view code = wire::error_field(frame.substr(wire::kHeaderBytes), 'C');
      query_failed(attribution.request.cookie, code);
      // A name that is not known at the origin either: dropped there in a way not noticed here.
      if (!env_.pooled() && code == pg::sqlstate::kInvalidStatementName) ++doubts_;
      spoil_captures();
      return;
    }
    case 's':
      if (Inflight* answered = inflight_of(attribution.request)) answered->answered = true;
      if (inflight != nullptr) keep(*inflight, [&] { suspend_capture(*inflight, frame); });
      return;
    case 'G':
    case 'H':
      spoil_captures();
      return;
    case 'W':
      phase_ = Phase::kBlind;
      return;
    case 'Z':
      if (attribution.request.request == wire::Request::kQuery) {
        settle_statement(attribution.request.cookie);
        const bool none_left = !units_.empty() && has_dropped_statements(units_.front().inflight);
        on_ready(frame[wire::kHeaderBytes], attribution.request.cookie);
        // Nor has one been prepared since.
        if (none_left && units_.empty() && !open_unit_) foreign_statements_ = false;
      } else if (attribution.completed) {
        on_ready(frame[wire::kHeaderBytes], attribution.request.cookie);
      }
      return;
    default:
      return;
  }
}

// Keeps something of an answer for the cache; what there is no memory for is not cached.
template <typename F>
void Session::keep(Inflight& inflight, F&& f) {
  try {
    const CachePath path;
    f();
  } catch (const std::exception& error) {
    log_error("an answer could not be kept for the cache: {}", error.what());
    env_.cache->abandon(std::move(inflight.load), cache::PublishOutcome::kFailed);
    std::string().swap(inflight.rows);
  }
}

void Session::complete_capture(Inflight& inflight, std::string_view frame) {
  const std::string_view tag = wire::command_tag(frame.substr(wire::kHeaderBytes));
  if (!tag.starts_with("SELECT ")) {
    inflight.load.reset();
    return;
  }
  take_description(inflight);
  inflight.in_portions |= inflight.suspended;
  // The tag of the whole, also where the rows came in parts.
  const std::string whole = "SELECT " + std::to_string(inflight.row_count);
  if (tag.substr(0, tag.find(' ', 7)) == whole) {
    inflight.rows.append(frame);
  } else {
    wire::append_command_complete(inflight.rows, whole);
  }
  inflight.complete = true;
  inflight.suspended = false;
}

// A row limit ended the answer. Under the key with this limit that is all of it; or there cannot be
// more rows.
void Session::suspend_capture(Inflight& inflight, std::string_view frame) {
  take_description(inflight);
  inflight.in_portions |= inflight.suspended;
  if (inflight.rows_max && inflight.row_count >= *inflight.rows_max) {
    wire::append_command_complete(inflight.rows, "SELECT " + std::to_string(inflight.row_count));
    inflight.complete = true;
    inflight.suspended = false;
    return;
  }
  inflight.suspended = true;
  if (!inflight.limited) return;
  inflight.rows.append(frame);
  inflight.complete = true;
}

void Session::take_description(Inflight& inflight) {
  for (auto& [id, description] : descriptions_) {
    if (id == inflight.id && !description.empty()) {
      inflight.row_description = std::move(description);
    }
  }
  if (!inflight.formats_be || inflight.row_description.empty()) return;
  inflight.row_description =
      wire::with_result_formats(inflight.row_description, *inflight.formats_be).value_or("");
}

// Requests that an error discarded: what they were to do to statements and portals is undone.
void Session::on_dropped(std::string_view error) {
  undo_statements(wire::error_field(error.substr(wire::kHeaderBytes), 'C'));
  const bool replaced = dropped_.front().request == wire::Request::kBind &&
                        !fails_before_portal(error.substr(wire::kHeaderBytes));
  for (std::size_t i = dropped_.size(); i-- > 0;) {
    const bool bind = dropped_[i].request == wire::Request::kBind && !dropped_[i].hidden;
    if (bind) settle_unnamed_portal(dropped_[i].cookie, i == 0 && replaced);
  }
  for (std::size_t i = dropped_.size(); i-- > 0;) {
    drop_opening(dropped_[i]);
    if (dropped_[i].request == wire::Request::kLocal) drop_local_reply(dropped_[i].cookie);
  }
  for (const wire::PendingRequest& request : dropped_) drop_catching_up(request);
  dropped_.clear();
}

// The origin has dropped it, or all of them (null), before it comes to what is under way.
void Session::forget_named(const std::string* name) {
  for (PendingStatement& pending : pending_statements_) {
    if (name == nullptr || pending.name == *name) pending.before = nullptr;
  }
  if (name == nullptr) {
    statements_.clear_named();
    foreign_statements_ = true;
  } else {
    statements_.erase(*name);
  }
}

// The query that the frame answers, if it was noted when it was forwarded.
Inflight* Session::inflight_of(const wire::PendingRequest& request) {
  const bool simple = request.request == wire::Request::kQuery;
  if (!simple && request.request != wire::Request::kExecute) return nullptr;
  const auto search = [&](Unit& unit) -> Inflight* {
    if (simple && unit.id != request.cookie) return nullptr;
    for (Inflight& inflight : unit.inflight) {
      if (simple || inflight.id == request.cookie) return &inflight;
    }
    return nullptr;
  };
  if (!units_.empty()) {
    if (Inflight* found = search(units_.front())) return found;
  }
  return open_unit_ ? search(*open_unit_) : nullptr;
}

// The same, if its answer is being captured.
Inflight* Session::capturing(const wire::PendingRequest& request) {
  Inflight* inflight = inflight_of(request);
  return inflight != nullptr && inflight->load && !inflight->complete ? inflight : nullptr;
}

void Session::capture(Inflight& inflight, std::string_view frames, std::uint64_t rows) {
  keep(inflight, [&] { inflight.rows.append(frames); });
  inflight.row_count += rows;
  if (!inflight.load || inflight.rows.size() <= env_.config->max_result_size) return;
  env_.cache->abandon(std::move(inflight.load), cache::PublishOutcome::kTooLarge);
  std::string().swap(inflight.rows);
}

// Something came that a replayed answer would not hold: no answer of the present unit is published.
void Session::spoil_captures() {
  const auto spoil = [](Unit& unit) {
    for (Inflight& inflight : unit.inflight) inflight.load.reset();
  };
  if (!units_.empty()) spoil(units_.front());
  if (open_unit_) spoil(*open_unit_);
  parked_.clear();
}

void Session::on_ready(char status, std::uint64_t unit_id) {
  status_ = status;
  settle_unnamed_portal(unit_id, status != 'E');
  if (status == 'I') leave_connection();
  origin_idle_since_ = io_.now();
  if (opening_ == Opening::kSent) opening_ = Opening::kNone;
  descriptions_.clear();
  bool reset = false;
  while (!units_.empty() && units_.front().id <= unit_id) {
    Unit unit = std::move(units_.front());
    units_.pop_front();
    reset = unit.effects.clears_statements && unit.effects.may_change_settings();
    complete_unit(std::move(unit));
  }
  const bool completed = std::exchange(completed_something_, false);
  if (status == 'E' && !completed && units_.empty() && !open_unit_) portals_outlived();
  if (reset) ask_settings_early();
}

void Session::complete_unit(Unit unit) {
  if (env_.pooled()) verify_loads(unit);
  after_unit(unit.effects);
  const TimePoint now = io_.now();
  for (Inflight& inflight : unit.inflight) {
    if (!inflight.opened) {  // or else it is the client that takes its time
      env_.stats->latency[static_cast<std::size_t>(inflight.route)].observe(now - unit.started);
    }
    if (inflight.statement && inflight.answered) {
      std::uint64_t& accepted = inflight.statement->accepted_generation;
      accepted = std::max(accepted, inflight.generation);
      inflight.statement->accepted_doubts = inflight.doubts;
    }
    if (inflight.prepared && inflight.answered) {
      statements_.put(inflight.prepared_name, std::move(inflight.prepared));
    }
    if (inflight.statement && inflight.statement->described.empty() &&
        inflight.statement == statements_.find({})) {
      inflight.statement->described = inflight.row_description;
    }
    if (!inflight.load || status_ == 'E') continue;
    // Its portions may be in different forms, or with a part in between that SQL has fetched.
    if ((inflight.in_portions || inflight.opened) && !unit.effects.harmless) continue;
    if (!inflight.complete) {
      if (inflight.suspended && !inflight.lost && status_ == 'T' && unit.effects.harmless) {
        park(std::move(inflight), unit.started);
      }
      continue;
    }
    cache::CachedResult result;
    result.row_description = std::move(inflight.row_description);
    result.rows = std::move(inflight.rows);
    result.rows.shrink_to_fit();
    result.row_count = inflight.row_count;
    result.load_time = now - unit.started;
    result.parsed = inflight.parsed;
    result.suspended = inflight.suspended;
    if (inflight.in_portions) result.portions_ended = now;
    faults::load_delay();
    const CachePath path;
    (void)env_.cache->publish(std::move(inflight.load), std::move(result));
  }
  unit.inflight.clear();
  spare_inflight_ = std::move(unit.inflight);
}

void Session::after_unit(const Effects& effects) {
  block_ = next_block(block_, effects, status_);
  // What a block has set may go back to what it was when it ends.
  block_changed_settings_ |= effects.may_change_settings();
  if (effects.may_change_settings() || (status_ == 'I' && block_changed_settings_)) {
    lose_settings();
  }
  if (status_ == 'I') block_changed_settings_ = false;
  // On one connection of a pooler nothing is lost that would not be prepared again.
  if (effects.clears_statements || (effects.may_clear_statements && !env_.pooled())) {
    forget_named(nullptr);
  }
  if (effects.calls_functions && !env_.pooled()) {
    ++doubts_;
    foreign_statements_ = true;
  }
  for (const std::string& name : effects.deallocates) forget_named(&name);
  cursors_possible_ |= effects.opens_cursors;
  if (!effects.harmless) parked_.clear();
  if (status_ != 'T' || effects.begins) block_read_committed_ = false;
  if (status_ == 'I') {
    forget_portals();
    behind_.unnamed_portal = behind_.snapshot = false;
    unnamed_portal_open_ = false;
  }
  block_ddl_ |= effects.ddl;
  block_redefines_ |= effects.redefines;
  block_wrote_ |= effects.wrote;
  block_may_have_written_ |= effects.may_have_written;
  if (effects.writes_something()) block_writes_.add(effects.writes);
  if (status_ != 'I') return;
  // Before the position is asked for: see ControlLink.
  if (block_ddl_ && env_.on_ddl_seen) env_.on_ddl_seen(block_redefines_);
  block_ddl_ = block_redefines_ = false;
  if (block_wrote_ || block_may_have_written_) note_write(block_wrote_);
  block_wrote_ = block_may_have_written_ = false;
  block_writes_.clear();
}

// The session's own writes must be seen by its reads: until they are applied, reads of what was
// written bypass the cache.
void Session::note_write(bool sure) {
  if (!cacheable_session_ || env_.config->consistency == config::Consistency::kEventual) return;
  if (faults::broken("forget_own_writes")) return;
  own_writes_.take(block_writes_);
  if (after_write_ == AfterWrite::kRequested) {
    write_since_request_ = true;
    return;
  }
  after_write_ = AfterWrite::kNeeded;
  if (!sure) return;
  after_write_ = AfterWrite::kRequested;
  write_since_request_ = false;
  io_.request_position();
}

}  // namespace pgcache::proxy
