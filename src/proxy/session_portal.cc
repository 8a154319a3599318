// SPDX-License-Identifier: Apache-2.0
// Portals in memory: Executes with a row limit, and what goes on with their portals in a block.
// docs/adr/0016 says why that is right. See session.h.
//
// A message about such a portal is answered here, in its turn among what the origin answers. Where
// the origin has to know the portal (rows beyond a limit, cursor commands, a Bind of its name) it
// is opened there by hidden requests and run as far as it was run here; the rows must be the same.
#include <algorithm>
#include <utility>

#include "pg/sqlstate.h"
#include "proxy/session.h"

namespace pgcache::proxy {

namespace {

// Marks the hidden requests that open a portal, and the name of the statement for that.
constexpr std::uint64_t kPortalCookie = 3;
constexpr std::string_view kPortalStatement = "pgcache: a portal";

// What a client gets that goes on, in SQL, with a portal whose rows have changed.
constexpr std::string_view kRaise =
    "DO 'BEGIN RAISE EXCEPTION USING ERRCODE = ''40001'', MESSAGE = ''pgcache cannot continue a "
    "portal: the rows that were fetched of it have changed''; END'";

constexpr std::size_t kParkedMax = 4;

}  // namespace

// --- answers in their turn

void Session::answer_here(LocalReply reply) {
  if (tracker_.idle()) {
    send_local(reply);
    return;
  }
  reply.id = next_id_++;
  if (!tracker_.sent({wire::Request::kLocal, false, reply.id})) return;
  local_replies_.push_back(std::move(reply));
}

void Session::send_local(const LocalReply& reply) {
  if (!reply.rows.empty()) to_client_.append_shared(reply.result, reply.rows);
  to_client_.append(reply.frames);
}

void Session::release_local_replies() {
  while (const std::optional<std::uint64_t> id = tracker_.take_local()) {
    while (!local_replies_.empty() && local_replies_.front().id < *id) local_replies_.pop_front();
    if (local_replies_.empty() || local_replies_.front().id != *id) continue;
    send_local(local_replies_.front());
    local_replies_.pop_front();
  }
}

// An error discarded the request: its portal is as it was before.
void Session::drop_local_reply(std::uint64_t id) {
  for (LocalReply& reply : local_replies_) {
    if (reply.id != id) continue;
    if (reply.before) portals_.put(std::move(*reply.before));
    reply.before.reset();
  }
}

// --- portals of this session's memory

// An Execute of the portal: what memory has.
Session::LocalReply Session::run_portal(MemoryPortal& portal, std::int32_t row_limit) {
  LocalReply reply;
  reply.result = portal.result;
  const Portion portion = portal.run(row_limit);
  reply.rows = portion.rows;
  if (portion.whole) return reply;
  if (portion.suspended) {
    wire::append_portal_suspended(reply.frames);
  } else {
    wire::append_command_complete(reply.frames, "SELECT " + std::to_string(portion.count));
  }
  return reply;
}

// Whether what an exchange says about the portal can be answered here.
bool Session::in_memory(char tag, std::string_view name, std::int32_t row_limit) {
  if (portals_.empty() || tracker_.copying_in()) return false;
  MemoryPortal* const portal = portals_.find(name);
  if (portal == nullptr || (status_ == 'E' && tag != 'C')) return false;
  if (tag == 'E') return portal->can_run(row_limit) && !form_may_differ(*portal);
  return tag == 'C' || !portal->result->row_description.empty();
}

// Whether the origin would give the rest of its rows in another form than memory has. Settings that
// are not known are asked for before a whole exchange is decided upon.
bool Session::form_may_differ(const MemoryPortal& portal) const {
  if (settings_may_change()) return open_unit_.has_value();
  const bool known =
      settings_ && settings_epoch_ == env_.settings_epoch->load(std::memory_order_acquire);
  if (!known) return open_unit_ || settings_failed_;
  return settings_ != portal.settings && settings_->forms != portal.settings->forms;
}

// True: wait for the answer.
bool Session::ask_settings_for_portals() {
  if (open_unit_ || !tracker_.idle() || settings_failed_ || status_ != 'T') return false;
  if (settings_epoch_ != env_.settings_epoch->load(std::memory_order_acquire)) lose_settings();
  if (settings_) return false;
  ask_settings();
  return true;
}

// True: answered here. Otherwise the message goes to the origin, where the portal is now, if it
// was here.
bool Session::answer_portal(char tag, std::string_view name, std::int32_t row_limit) {
  MemoryPortal* const portal = portals_.find(name);
  if (portal == nullptr || tracker_.discarding()) return false;
  if (!in_memory(tag, name, row_limit)) {
    if (tag == 'D' && status_ != 'E' && !tracker_.copying_in()) {
      describe_elsewhere(*portal);
      return true;
    }
    move_portal(name);
    return false;
  }
  LocalReply reply;
  if (tag == 'E') {
    MemoryPortal before = *portal;
    reply = run_portal(*portal, row_limit);
    reply.before = std::move(before);
    Verdict verdict;
    verdict.kind = Verdict::Kind::kPortal;
    count(verdict, portal->statement->analysed.get());
    observe(Route::kHit, frame_started_ == TimePoint{} ? io_.now() : frame_started_);
  } else if (tag == 'D') {
    reply.frames = portal->result->row_description;
  } else {
    wire::append_close_complete(reply.frames);
    reply.before = *portal;  // not moved: its name is still looked for
    portals_.erase(name);
  }
  answer_here(std::move(reply));
  return true;
}

// Its result came without a description: that is the one of another portal of its statement.
void Session::describe_elsewhere(const MemoryPortal& portal) {
  std::string& out = to_origin_.tail();
  const StatementText& text = *portal.statement->text;
  wire::append_parse(out, kPortalStatement, text.sql, text.parameter_types_be);
  wire::append_bind(out, kPortalStatement, kPortalStatement, portal.bind);
  wire::append_describe(out, 'P', kPortalStatement);
  wire::append_close(out, 'P', kPortalStatement);
  wire::append_close(out, 'S', kPortalStatement);
  tracker_.sent({wire::Request::kParse, true, kPortalCookie});
  tracker_.sent({wire::Request::kBind, true, kPortalCookie});
  tracker_.sent({wire::Request::kDescribe, false, 0});
  tracker_.sent({wire::Request::kClose, true, kPortalCookie});
  tracker_.sent({wire::Request::kClose, true, kPortalCookie});
  behind_.snapshot = false;
}

// Opens the portal at the origin and runs it as far as the client knows it. In a failed block that
// fails as the client's own message would.
void Session::move_portal(std::string_view name, bool compares) {
  MemoryPortal* const portal = portals_.find(name);
  if (portal == nullptr || tracker_.discarding() || tracker_.copying_in()) return;
  const auto hidden = [this](wire::Request request) {
    tracker_.sent({request, true, kPortalCookie});
  };
  std::string& out = to_origin_.tail();
  const StatementText& text = *portal->statement->text;
  wire::append_parse(out, kPortalStatement, text.sql, text.parameter_types_be);
  hidden(wire::Request::kParse);
  wire::append_bind(out, portal->name, kPortalStatement, portal->bind);
  hidden(wire::Request::kBind);
  wire::append_close(out, 'S', kPortalStatement);
  hidden(wire::Request::kClose);
  if (portal->served > 0 || portal->at_end) {
    const std::uint64_t rows = portal->at_end ? 0 : portal->served;
    wire::append_execute(out, portal->name, static_cast<std::uint32_t>(rows));
    hidden(wire::Request::kExecute);
    const std::size_t end = portal->at_end ? portal->result->rows_end() : portal->at;
    // Behind its end the client gets no more rows, whatever they are.
    const bool compare = compares && !portal->at_end;
    portal_checks_.push_back({compare ? portal->result : nullptr, 0, end});
  }
  if (portal->name.empty()) {
    behind_.unnamed_portal = false;
    unnamed_portal_open_ = true;
  } else {
    note_origin_portal(portal->name);
  }
  behind_.snapshot = false;
  if (status_ != 'E') portals_.erase(name);
}

// In front of a statement with these effects, which goes to the origin. What may see or use a
// portal there must find it.
void Session::portals_before(const Effects& effects, std::string_view sql, bool simple) {
  if (simple) portals_.erase({});  // that is what a simple query does
  if (portals_.empty() || status_ == 'E') return;
  if (effects.ends_block) {
    portals_.clear();
    return;
  }
  const bool first = wants_portals_first(effects, sql);
  if (!first && (effects.harmless || !may_name_portals(sql))) return;
  std::vector<std::string> names;
  for (const MemoryPortal& portal : portals_.all()) names.push_back(portal.name);
  for (const std::string& name : names) move_portal(name, first);
}

// Whether a statement may go on with portals in SQL, change the form of the rows that are still to
// come, or end the transaction in code, which it can outside of blocks.
bool Session::wants_portals_first(const Effects& effects, std::string_view sql) const {
  return (!effects.harmless && may_fetch(sql)) || (effects.may_change_settings() && may_set(sql)) ||
         (exchange_portals_ && effects.may_clear_statements);
}

// In front of such a statement they are opened at the origin: the rows that the client has must be
// the same there. True: to be waited for.
bool Session::open_portals_first(const Effects& effects, std::string_view sql) {
  // Opened in this exchange, and with the same rows.
  if (opening_ == Opening::kSent) opening_ = Opening::kNone;
  if (portals_.empty() || status_ != 'T' || tracker_.discarding() || tracker_.copying_in()) {
    return false;
  }
  if (!wants_portals_first(effects, sql)) return false;
  hold_ = Hold::kOrigin;
  if (!open_unit_ && !tracker_.idle()) return true;
  begin_at_origin();
  std::vector<std::string> names;
  for (const MemoryPortal& portal : portals_.all()) names.push_back(portal.name);
  for (const std::string& name : names) move_portal(name);
  if (open_unit_) {
    wire::append_flush(to_origin_.tail());
  } else {
    wire::append_sync(to_origin_.tail());
    tracker_.sent({wire::Request::kSync, true, kPortalCookie});
  }
  opening_ = Opening::kSent;
  return true;
}

// Likewise in front of a Bind of an exchange that goes on as it comes.
bool Session::open_portals_before(const wire::Bind& bind) {
  if (portals_.empty() && opening_ == Opening::kNone) return false;
  const StatementPtr statement = statements_.find(bind.statement);
  if (!statement) return false;
  const std::string& sql = statement->text->sql;
  if (open_portals_first(statement_effects(*statement), sql)) return true;
  raise_for_lost_portals();
  return false;
}

// The first Bind of such a statement, or the number of steps.
std::size_t Session::step_wanting_portals() const {
  if (portals_.empty()) return step_count_;
  for (std::size_t i = 0; i < step_count_; ++i) {
    const StatementPtr& statement = steps_[i].statement;
    if (steps_[i].tag != 'B' || !statement) continue;
    if (wants_portals_first(statement_effects(*statement), statement->text->sql)) return i;
  }
  return step_count_;
}

bool Session::unit_opens_portals_first() {
  const std::size_t at = step_wanting_portals();
  if (at == step_count_) return false;
  const Statement& statement = *steps_[at].statement;
  return open_portals_first(statement_effects(*steps_[at].statement), statement.text->sql);
}

// The statement cannot have what it would fetch: its block fails. In place of a simple query.
std::string Session::instead_of_lost_portals(std::string_view frame) {
  if (std::exchange(opening_, Opening::kNone) != Opening::kLost || status_ != 'T') {
    return std::string(frame);
  }
  std::string query;
  wire::append_query(query, kRaise);
  return query;
}

// In front of an exchange, which is discarded then.
void Session::raise_for_lost_portals() {
  if (std::exchange(opening_, Opening::kNone) != Opening::kLost || status_ != 'T') return;
  std::string& out = to_origin_.tail();
  wire::append_parse(out, kPortalStatement, kRaise, {});
  wire::append_bind(out, kPortalStatement);
  wire::append_execute(out, kPortalStatement);
  for (const wire::Request request :
       {wire::Request::kParse, wire::Request::kBind, wire::Request::kExecute}) {
    tracker_.sent({request, true, kPortalCookie});
  }
}

// A Bind that goes to the origin: an unnamed portal is replaced, a named one in the way.
void Session::portals_before_bind(std::string_view portal) {
  lose_loads(portal);
  if (portal.empty()) {
    portals_.erase(portal);
    return;
  }
  if (status_ != 'E') move_portal(portal, false);
  note_origin_portal(portal);
}

void Session::note_origin_portal(std::string_view name) {
  if (origin_portals_.size() <= kOriginPortalsMax)
    origin_portals_.emplace_back(name.substr(0, PortalTable::kNameBytes));
}

// Whether a portal of that name may exist, here or at the origin, so that a Bind fails.
bool Session::portal_may_exist(std::string_view name) {
  if (cursors_possible_ || portals_.find(name) != nullptr) return true;
  if (status_ == 'I') return false;
  return block_ != Block::kClean || origin_portals_.size() > kOriginPortalsMax ||
         std::find(origin_portals_.begin(), origin_portals_.end(),
                   name.substr(0, PortalTable::kNameBytes)) != origin_portals_.end();
}

// The block is over.
void Session::forget_portals() {
  exchange_portals_ = false;
  portals_.clear();
  origin_portals_.clear();
  parked_.clear();
  unnamed_portals_.clear();
}

// --- answers to hidden requests

// An answer to what opens a portal at the origin. False: the frame answers something else.
bool Session::on_portal_frame(char tag, std::string_view frame,
                              const wire::Attribution& attribution) {
  if (attribution.request.cookie != kPortalCookie) return false;
  if (tag == 'Z') {
    status_ = frame[wire::kHeaderBytes];
    if (opening_ == Opening::kSent) opening_ = Opening::kNone;
    return true;
  }
  if (tag == 'E' && opening_ == Opening::kSent && !open_unit_) {
    opening_ = Opening::kLost;  // the client's statement finds the block failed
    return true;
  }
  if (tag == 'E') {
    opening_ = Opening::kNone;
    to_client_.append(frame);
    return true;
  }
  if (attribution.request.request != wire::Request::kExecute || portal_checks_.empty()) return true;
  if (tag == 'D') {
    check_portal_rows(attribution.request, frame);
  } else if (tag == 'C' || tag == 's') {
    const PortalCheck check = std::move(portal_checks_.front());
    portal_checks_.pop_front();
    if (!check.result || check.at == check.end) return true;
    if (opening_ == Opening::kSent) {
      opening_ = Opening::kLost;
      return true;
    }
    // Part of the one answer has been given, part of the other would follow.
    fail({"FATAL",
          pg::sqlstate::kSerializationFailure,
          "pgcache cannot continue a portal: the rows that were fetched of it have changed",
          {}});
  }
  return true;
}

// Rows of a portal that the client has already; perhaps a part of one.
void Session::check_portal_rows(const wire::PendingRequest& request, std::string_view bytes) {
  if (request.cookie != kPortalCookie || portal_checks_.empty()) return;
  PortalCheck& check = portal_checks_.front();
  if (!check.result || check.at > check.end) return;
  const std::string_view expected =
      std::string_view(check.result->rows)
          .substr(check.at, std::min(bytes.size(), check.end - check.at));
  check.at = expected == bytes ? check.at + bytes.size() : check.end + 1;
}

void Session::drop_portal_check(const wire::PendingRequest& request) {
  const bool check = request.cookie == kPortalCookie && request.request == wire::Request::kExecute;
  if (check && !portal_checks_.empty()) portal_checks_.pop_front();
}

// --- loads whose rows the client fetches part by part

// The exchange is over, but not the portal that it fetches from.
void Session::park(Inflight inflight, TimePoint now) {
  if (inflight.started == TimePoint{}) inflight.started = now;
  const TimePoint deadline = inflight.started + kFetchWaits * env_.config->load_wait_timeout;
  if (now >= deadline || parked_.size() >= kParkedMax || hold_ == Hold::kWait) return;
  env_.cache->stop_waiting_for(*inflight.load);
  parked_.push_back(std::move(inflight));
  parked_deadline_ = deadline;
  if (!held_.deadline) io_.set_timer(deadline);
}

// In front of an Execute of a portal at the origin: the load that it goes on with, in the present
// exchange.
std::optional<std::uint64_t> Session::follow_load(std::string_view portal) {
  portal = portal.substr(0, PortalTable::kNameBytes);
  if (open_unit_) {
    const auto& all = open_unit_->inflight;
    const auto it = std::find_if(all.rbegin(), all.rend(), [portal](const Inflight& load) {
      return (load.load || load.opened) && !load.lost && load.portal == portal;
    });
    if (it != all.rend()) return it->id;
  }
  if (const std::optional<std::uint64_t> id = unpark(portal)) return id;
  lose_loads(portal);  // which are under way
  return std::nullopt;
}

// Whatever is fetched from a portal of this name now is not of the loads there are.
void Session::lose_loads(std::string_view portal) {
  portal = portal.substr(0, PortalTable::kNameBytes);
  std::erase_if(parked_, [portal](const Inflight& load) { return load.portal == portal; });
  const auto lose = [portal](Unit& unit) {
    for (Inflight& load : unit.inflight) load.lost |= load.portal == portal;
  };
  std::for_each(units_.begin(), units_.end(), lose);
  if (open_unit_) lose(*open_unit_);
}

// The load of the portal at the origin, if there is one; it goes on in the present exchange.
std::optional<std::uint64_t> Session::unpark(std::string_view portal) {
  const auto it = std::find_if(parked_.begin(), parked_.end(),
                               [portal](const Inflight& load) { return load.portal == portal; });
  if (it == parked_.end()) return std::nullopt;
  Inflight inflight = std::move(*it);
  parked_.erase(it);
  const std::uint64_t id = inflight.id;
  open_unit().inflight.push_back(std::move(inflight));
  return id;
}

}  // namespace pgcache::proxy
