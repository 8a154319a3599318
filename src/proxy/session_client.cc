// SPDX-License-Identifier: Apache-2.0
// Frames of the client: taking them, and forwarding what is not served. See session.h.
#include <algorithm>
#include <limits>
#include <utility>

#include "pg/sqlstate.h"
#include "proxy/session.h"

namespace pgcache::proxy {

void Session::process_client() {
  if (running_ || phase_ != Phase::kReady) return;
  running_ = true;
  const auto goes_on = [this] {
    return phase_ == Phase::kReady && hold_ == Hold::kNone && !over_limits();
  };
  while (goes_on() && take_client_frame()) {
  }
  if (client_eof_ && goes_on() && held_bytes_ > 0) {
    forward_held_unit();
    while (goes_on() && take_client_frame()) {
    }
  }
  running_ = false;
  if (cancel_wanted_ && hold_ == Hold::kNone) {
    cancel_wanted_ = false;
    if (!tracker_.idle()) io_.forward_cancel(cancel_key_);
  }
  if (client_eof_ && !end_origin_ && goes_on()) {
    // In the middle of a message, or in a COPY, a Terminate would be taken for something else.
    if (client_skip_ > 0 || !tracker_.idle()) {
      end_origin_ = true;
    } else {
      terminate();
    }
  }
  client_input_.shrink(16 * 1024);
}

// What cannot be told apart from the rest of a failed COPY waits until it is over.
bool Session::waits_for_copy(std::string_view bytes) const {
  constexpr std::string_view kOfCopy = "dcfSHX";
  if (relay_only_ || open_unit_ || bytes.empty() || held_bytes_ > 0) return false;
  return tracker_.copy_in_doubt() && !tracker_.copying_in() && !tracker_.discarding() &&
         kOfCopy.find(bytes.front()) == std::string_view::npos;
}

// From now on nothing is looked into. Not while an exchange is being forwarded.
void Session::relay_only() {
  relay_only_ = true;
  if (held_bytes_ == 0) return;
  forward_raw(client_input_.view().substr(0, held_bytes_));
  consume_client(held_bytes_);
  end_held();
}

bool Session::take_client_frame() {
  std::string_view bytes = client_input_.view();
  if (client_skip_ > 0) {
    const std::size_t part = std::min<std::uint64_t>(client_skip_, bytes.size());
    if (part == 0) return false;
    to_origin_.append(bytes.substr(0, part));
    client_input_.consume(part);
    client_skip_ -= part;
    return true;
  }
  if (begin_.state == Begin::kSent && !open_unit_) {
    hold_ = Hold::kBegin;
    return false;
  }
  const bool ends = bytes.starts_with('S');
  if (waits_for_copy(bytes) || waits_for_pooler() || !preparing_.empty() ||
      (!ends && waits_for_unnamed())) {
    hold_ = Hold::kOrigin;
    return false;
  }
  bytes.remove_prefix(held_bytes_);
  wire::FrameHeader header;
  const wire::FrameState state = wire::peek_client_frame(bytes, header);
  if (state == wire::FrameState::kIncomplete) return pass_on_held();
  if (state == wire::FrameState::kMalformed) return relay_rest();
  const std::size_t total = header.total_bytes();
  if (bytes.size() >= total) return dispatch({header.tag, bytes.substr(0, total)});
  if (total > env_.config->max_unit_size || header.tag == 'd' || relay_only_) {
    return stream_large_frame(header, bytes);
  }
  return pass_on_held();
}

// No message begins here, or none that the origin takes: it gets all that comes, and ends the
// session as it sees fit.
bool Session::relay_rest() {
  if (held_bytes_ > 0) {
    forward_held_unit();
  } else {
    client_skip_ = std::numeric_limits<std::uint64_t>::max();
  }
  return true;
}

// A frame that will not be looked into is passed on as it comes, in constant memory.
bool Session::stream_large_frame(wire::FrameHeader header, std::string_view bytes) {
  if (held_bytes_ > 0) {
    forward_held_unit();
    return true;
  }
  const std::uint64_t total = header.total_bytes();
  const std::size_t present = bytes.size();
  const bool waits = !relay_only_ && (header.tag == 'Q' || header.tag == 'F');
  if (waits && opens_before_query(unread_effects(), {})) return false;
  if (!relay_only_) begin_at_origin();
  switch (relay_only_ ? 'd' : header.tag) {
    case 'Q':
      count(bypass(sql::BypassReason::kQueryTooLong), nullptr);
      query_forgets_unnamed({});
      forward_query(bytes, unread_effects(), bypass(sql::BypassReason::kQueryTooLong), nullptr);
      break;
    case 'P':
    case 'B':
      if (!open_unit_) catch_up_snapshot();
      open_unit().effects.merge(header.tag == 'P' ? unread_effects() : unknown_effects());
      portals_before(unknown_statement_effects(), {}, false);
      open_unit().preparing = false;
      // Names are not read.
      if (header.tag == 'P') {
        forget_statements();
      } else {
        catch_up_statement({});
        behind_.unnamed_portal = false;
        unnamed_portal_open_ = true;
      }
      streaming_unit_ = true;
      streaming_reason_ = sql::BypassReason::kQueryTooLong;
      tracker_.sent({header.tag == 'P' ? wire::Request::kParse : wire::Request::kBind, false, 0});
      forward_raw(bytes);
      break;
    case 'F':
      forward_function_call(bytes);
      break;
    case 'd':
      forward_copy_data(bytes);
      break;
    default:
      forward_raw(bytes);
      break;
  }
  consume_client(present);
  client_skip_ = total - present;
  return true;
}

void Session::consume_client(std::size_t bytes) {
  client_input_.consume(bytes);
  frame_started_ = {};
  waited_ = false;
  timed_out_.reset();
  settings_failed_ = false;
  analysis_failed_ = false;
}

bool Session::dispatch(wire::Frame frame) {
  const std::size_t total = frame.bytes.size();
  if (relay_only_) {
    if (frame.tag == 'X') terminated_ = true;
    if (frame.tag == 'Q' || frame.tag == 'E') count(bypass(sql::BypassReason::kRelayOnly), nullptr);
    forward_raw(frame.bytes);
    consume_client(total);
    return true;
  }
  switch (frame.tag) {
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
      if (streaming_unit_) {
        std::optional<wire::Bind> bind;
        if (frame.tag == 'B') bind = wire::parse_bind(frame.body());
        if (prepare_before(frame, bind) || (bind && open_portals_before(*bind))) return false;
        if (frame.tag == 'E' && open_portal_before(frame)) return false;
        forward_extended(frame, bind);
        consume_client(total);
      } else {
        held_bytes_ += total;
        if (held_bytes_ > env_.config->max_unit_size) forward_held_unit();
      }
      return true;
    case 'S':
      if (!streaming_unit_) {
        end_held();
        return handle_unit(client_input_.view().substr(0, held_bytes_ + total));
      }
      forward_sync(frame.bytes);
      consume_client(total);
      return true;
    case 'H':
      if (!takes_flush(frame)) break;
      end_held();
      return handle_flush(client_input_.view().substr(0, held_bytes_ + total));
    default:
      break;
  }
  if (held_bytes_ > 0) {
    if (ask_settings_for_parse(client_input_.view().substr(0, held_bytes_))) return false;
    forward_held_unit();
    return true;  // the frame is taken anew
  }
  switch (frame.tag) {
    case 'Q':
      return handle_query(frame);
    case 'H':
      // Behind a Sync it asks for nothing, and what follows is looked at.
      if (!open_unit_ && !streaming_unit_ && frame.body().empty()) break;
      // A driver that asks for a statement's types before it executes it: what follows is looked
      // at.
      streaming_unit_ = !(open_unit_ && open_unit_->preparing && frame.body().empty());
      if (!frame.body().empty()) begin_at_origin();
      forward_raw(frame.bytes);
      // With a body it is an error, which discards what follows up to a Sync.
      if (!frame.body().empty()) tracker_.sent({wire::Request::kClose, false, 0});
      break;
    case 'X':
      terminate();
      return false;
    case 'F':
      if (opens_before_query(unknown_effects(), {})) return false;
      count(bypass(sql::BypassReason::kFunctionCall), nullptr);
      forward_function_call(frame.bytes);
      break;
    case 'd':
      forward_copy_data(frame.bytes);
      break;
    case 'c':
    case 'f':
      forward_raw(frame.bytes);
      tracker_.sent({wire::Request::kCopyEnd, false, 0});
      break;
    default:
      forward_raw(frame.bytes);
      break;
  }
  if (phase_ == Phase::kReady) consume_client(total);
  return true;
}

Unit& Session::open_unit() {
  if (!open_unit_) begin_at_origin();
  if (!open_unit_) {
    open_unit_.emplace(Unit{});
    flushed_ = false;
    open_unit_->id = next_id_++;
    open_unit_->inflight = std::move(spare_inflight_);
    open_unit_->started = frame_started_ == TimePoint{} ? io_.now() : frame_started_;
  }
  return *open_unit_;
}

void Session::finish_unit() {
  open_unit_->sent = io_.now();
  units_.push_back(std::move(*open_unit_));
  open_unit_.reset();
  streaming_unit_ = false;
  streaming_reason_ = sql::BypassReason::kFlush;
  streamed_statement_.reset();
  if (tracker_.confused()) relay_only_ = true;
}

void Session::forward_raw(std::string_view bytes) { to_origin_.append(bytes); }

// `bytes`: all of it, or its beginning.
void Session::forward_function_call(std::string_view bytes) {
  open_unit().effects.merge(unknown_effects());
  portals_before(unknown_effects(), {}, false);
  forward_raw(bytes);
  if (tracker_.sent({wire::Request::kFunctionCall, false, open_unit().id})) finish_unit();
}

void Session::forward_copy_data(std::string_view bytes) {
  tracker_.sent_copy_data();
  forward_raw(bytes);
}

// What was held for a Sync that is not coming (yet) goes to the origin as it is: its frames are
// taken again, one by one.
void Session::forward_held_unit(sql::BypassReason reason) {
  end_held();
  if (held_bytes_ == 0) return;
  begin_at_origin();
  if (!open_unit_) catch_up_snapshot();
  open_unit();
  streaming_unit_ = true;
  streaming_reason_ = reason;
  held_bytes_ = 0;
}

// One frame of an extended exchange, forwarded with what must go before it, and noted. `bind`: what
// is understood of a Bind.
void Session::forward_extended(wire::Frame frame, const std::optional<wire::Bind>& bind) {
  Unit& unit = open_unit();
  unit.sent = io_.now();
  std::uint64_t cookie = 0;
  switch (frame.tag) {
    case 'P':
      if (const auto parse = wire::parse_parse(frame.body())) {
        forward_parse(frame.bytes, *parse, make_statement(parse->sql, parse->parameter_types_be));
        return;
      }
      unit.preparing = false;
      forget_statements();
      break;
    case 'B':
      unit.preparing = false;
      if (bind) {
        forward_bind(frame.bytes, *bind);
        return;
      }
      catch_up_statement({});
      unit.effects.merge(unknown_effects());
      break;
    case 'D':
    case 'C':
      if (const auto target = wire::parse_target(frame.body())) {
        if (target->kind == 'P' && answer_portal(frame.tag, target->name)) return;
        before_target(frame.tag, *target);
        unit.preparing &= target->kind == 'S';
        if (frame.tag == 'C' && target->kind == 'S') {
          forward_close_statement(frame.bytes, target->name);
          return;
        }
        if (frame.tag == 'D' && target->kind == 'S') {
          if (describe_changed_statement(target->name)) return;
          if (target->name.empty()) cookie = describing(0);
        }
      }
      break;
    case 'E':
      unit.preparing = false;
      if (const auto execute = wire::parse_execute(frame.body())) {
        if (answer_portal('E', execute->portal, execute->row_limit)) return;
        cookie = note_streamed(execute->portal);
        catch_up_portal(execute->portal);
      } else {
        count(bypass(streaming_reason_), nullptr);
      }
      break;
    default:
      break;
  }
  forward_raw(frame.bytes);
  const wire::Request request = frame.tag == 'P'   ? wire::Request::kParse
                                : frame.tag == 'B' ? wire::Request::kBind
                                : frame.tag == 'D' ? wire::Request::kDescribe
                                : frame.tag == 'C' ? wire::Request::kClose
                                                   : wire::Request::kExecute;
  tracker_.sent({request, false, cookie});
}

// What a Describe or Close of this name needs at the origin, or changes.
void Session::before_target(char tag, const wire::Target& target) {
  if (target.kind == 'P') {
    catch_up_portal(target.name);
    if (tag != 'C') return;
    lose_loads(target.name);
    std::erase(origin_portals_, target.name.substr(0, PortalTable::kNameBytes));
  } else if (tag == 'D') {
    catch_up_statement(target.name);
  }
}

// By what is on the way to the origin.
bool Session::settings_may_change() const {
  const auto may_change = [](const Unit& unit) { return unit.effects.may_change_settings(); };
  return std::any_of(units_.begin(), units_.end(), may_change) ||
         (open_unit_ && may_change(*open_unit_));
}

// Whether names mean to a statement that goes to the origin now what they mean in its analysis:
// nothing on the way to the origin may change the settings, and no definition is being changed.
bool Session::knows_names() const {
  if (!settings_ || block_ddl_) return false;
  if (settings_epoch_ != env_.settings_epoch->load(std::memory_order_acquire)) return false;
  if (env_.definitions_pending->load(std::memory_order_acquire) != 0) return false;
  return env_.cache->definitions_pending() == 0 && !settings_may_change();
}

// What the analysis says of a statement that is harmless by the names in it is only true of these.
const cache::Shape* Session::proven(const cache::ShapePtr& shape) const {
  if (!shape) return nullptr;
  const sql::NotCacheable* const no = shape->analysis.not_cacheable();
  const bool known = shape->analysis.side_effects.known;
  const bool by_names = no == nullptr || no->reason == sql::BypassReason::kComment || known;
  if (!by_names) return shape.get();
  // A temporary table hides others, and may have triggers; nothing is served while there is one.
  const bool hidden = known && settings_ && settings_->temporary_objects;
  return knows_names() && !hidden ? shape.get() : nullptr;
}

// Whether it may be found out which tables a statement writes to. Long texts are rarely the same
// again, and what they hold is mostly rows.
bool Session::is_worth_analysis(std::string_view dml) const {
  constexpr std::size_t kBytesMax = 4096;
  return cacheable_session_ && dml.size() <= kBytesMax && knows_names();
}

Effects Session::statement_effects(Statement& statement) const {
  const Lead lead = statement.text->lead;
  const bool skips = lead == Lead::kDml && !is_worth_analysis(statement.text->sql);
  const cache::ShapePtr shape = skips ? nullptr : shape_of(statement);
  const StatementPtr executed = executed_statement(shape.get());
  if (executed && executed.get() != &statement) return statement_effects(*executed);
  return text_effects(lead, statement.text->sql, shape);
}

Route Session::forwarded_route(const Verdict& verdict) {
  switch (verdict.kind) {
    case Verdict::Kind::kLoad:
    case Verdict::Kind::kMiss:
      return Route::kMiss;
    case Verdict::Kind::kFallback:
      return Route::kFallback;
    case Verdict::Kind::kHit:
    case Verdict::Kind::kPortal:
    case Verdict::Kind::kBlock:
    case Verdict::Kind::kBypass:
    case Verdict::Kind::kHeld:
      return Route::kBypass;
  }
  return Route::kBypass;
}

void Session::forward_bind(std::string_view frame, const wire::Bind& bind) {
  catch_up_statement(bind.statement);
  Unit& unit = open_unit();
  const StatementPtr statement = statements_.find(bind.statement);
  // During a COPY nothing can be made good.
  if (statement && statement->text->copies) ensure_at_origin({});
  Effects effects = statement ? statement_effects(*statement) : unknown_statement_effects();
  const std::uint64_t cookie = bind.portal.empty() ? replace_unnamed_portal(next_id_++) : 0;
  portals_before(effects, statement ? statement->text->sql : std::string_view{}, false);
  portals_before_bind(bind.portal);
  if (env_.pooled()) {
    for (const std::string& name : effects.deallocates) ensure_at_origin(name);
  }
  unit.effects.merge(std::move(effects));
  if (bind.portal.empty()) {
    behind_.unnamed_portal = false;
    unnamed_portal_open_ = true;
  }
  if (statement && statement->text->lead != Lead::kUtility) behind_.snapshot = false;
  streamed_portal_ = bind.portal;
  streamed_statement_ = statement;
  if (is_refused(statement)) {
    settle_unnamed_portal(cookie, true);
    bind_changed_statement(bind);
    return;
  }
  forward_raw(frame);
  if (!tracker_.sent({wire::Request::kBind, false, cookie})) settle_unnamed_portal(cookie, false);
}

void Session::forward_sync(std::string_view frame) {
  const std::uint64_t id = open_unit().id;
  forward_raw(frame);
  if (tracker_.sent({wire::Request::kSync, false, id})) finish_unit();
  if (tracker_.confused()) relay_only_ = true;
}

// The one that was noted, for what else is known of it.
Inflight& Session::forward_query(std::string_view frame, Effects effects, Verdict verdict,
                                 cache::ShapePtr shape) {
  Unit& unit = open_unit();
  replace_unnamed_portal(unit.id);
  portals_before(effects, frame, true);
  unit.effects.merge(std::move(effects));
  Inflight inflight;
  inflight.id = next_id_++;
  inflight.route = forwarded_route(verdict);
  inflight.shape = std::move(shape);
  inflight.load = std::move(verdict.load);
  const bool verify = env_.pooled() && inflight.load;
  unit.inflight.push_back(std::move(inflight));
  if (verify) {
    forward_query_and_settings(frame);
  } else {
    forward_raw(frame);
  }
  if (!tracker_.sent({wire::Request::kQuery, false, unit.id})) {
    settle_unnamed_portal(unit.id, false);
    return unit.inflight.back();
  }
  finish_unit();
  return units_.back().inflight.back();
}

void Session::terminate() {
  if (terminated_) return;
  terminated_ = true;
  wire::append_terminate(to_origin_.tail());
  // What the origin still sends is relayed; it closes when it has read the message.
  client_input_.consume(client_input_.size());
  held_bytes_ = 0;
  client_eof_ = true;
}

}  // namespace pgcache::proxy
