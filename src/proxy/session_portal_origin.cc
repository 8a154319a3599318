// SPDX-License-Identifier: Apache-2.0
// Portals of memory at the origin. docs/adr/0016 says why that is right. See session.h.
//
// A portal is opened there, by hidden requests, in front of the first statement that may change
// anything. So it has the snapshot in front of that, and outlives ROLLBACK TO a savepoint behind
// it, while the client is still served from memory. Where its rows have to come from there (a FETCH
// in SQL, another form) it is run as far as it was run here; the rows must be the same.
#include <algorithm>
#include <utility>

#include "pg/sqlstate.h"
#include "proxy/session.h"

namespace pgcache::proxy {

namespace {

// The name of the statement by which one is opened.
constexpr std::string_view kPortalStatement = "pgcache: a portal";

// What a client gets that goes on with a portal at the origin whose rows have changed.
constexpr std::string_view kRaise =
    "DO 'BEGIN RAISE EXCEPTION USING ERRCODE = ''40001'', MESSAGE = ''pgcache cannot continue a "
    "portal: the rows that were fetched of it have changed''; END'";

}  // namespace

// Its result came without a description: that is the one of another portal of its statement.
void Session::describe_elsewhere(const MemoryPortal& portal) {
  std::string& out = to_origin_.tail();
  const Statement& statement = *portal.statement;
  wire::append_parse(out, kPortalStatement, statement.text->sql, types_at_parse(statement));
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

// Opens the portal at the origin, if it is not open there. `runs`: as far as the client knows it.
// `only`: from now on it goes on there. In a failed block that fails as the client's own message
// would. `goes_on`: and does so behind this, whatever its rows are.
void Session::open_portal(MemoryPortal& portal, bool runs, bool only, bool goes_on) {
  if (tracker_.discarding() || tracker_.copying_in()) return;
  MemoryPortal::AtOrigin& there = portal.at_origin;
  runs = runs && portal.is_behind();
  if (there.opened && !runs && (there.only || !only)) return;
  PortalOpening& opening = portal_openings_.emplace_back();
  opening.id = next_id_++;
  opening.name = portal.name;
  opening.before = there;
  opening.goes_on = goes_on;
  const auto hidden = [this, &opening](wire::Request request) {
    tracker_.sent({request, true, opening.id});
  };
  std::string& out = to_origin_.tail();
  if (!there.opened) {
    const Statement& statement = *portal.statement;
    wire::append_parse(out, kPortalStatement, statement.text->sql, types_at_parse(statement));
    hidden(wire::Request::kParse);
    wire::append_bind(out, portal.name, kPortalStatement, portal.bind);
    hidden(wire::Request::kBind);
    behind_.snapshot = false;
    if (portal.name.empty()) {
      behind_.unnamed_portal = false;
      unnamed_portal_open_ = true;
    } else {
      note_origin_portal(portal.name);
    }
  }
  if (runs) {
    const std::uint64_t rows = portal.at_end ? 0 : portal.served - there.served;
    wire::append_execute(out, portal.name, static_cast<std::uint32_t>(rows));
    hidden(wire::Request::kExecute);
    // Behind its end the client gets no more rows, whatever they are.
    if (!portal.at_end) {
      opening.result = portal.result;
      opening.at = there.at;
      opening.end = portal.at;
    }
    there.at = portal.at;
    there.served = portal.served;
    there.at_end = portal.at_end;
  }
  wire::append_close(out, 'S', kPortalStatement);
  hidden(wire::Request::kClose);
  there.opened = true;
  there.only = there.only || only;
}

// What a statement with these effects, which goes to the origin, asks of them.
PortalNeed Session::need_of(const Effects& effects, std::string_view sql) const {
  PortalNeed need;
  if (effects.ends_block) return need;
  need.only = wants_portals_first(effects, sql) || effects.may_end_block ||
              (!effects.harmless && may_name_portals(sql));
  need.opened = need.only || !effects.harmless;
  // Their rows so far are those of settings that may be others behind it.
  need.run = need.only || (effects.may_change_settings() && !effects.savepoint);
  return need;
}

// Whether one has to be opened, or run, at the origin.
bool Session::is_needed(const MemoryPortal& portal, const PortalNeed& need) {
  const MemoryPortal::AtOrigin& there = portal.at_origin;
  return need.opened &&
         (!there.opened || (need.run && portal.is_behind()) || (need.only && !there.only));
}

// In front of a statement with these effects. `simple`: a query, which destroys the unnamed one.
void Session::portals_before(const Effects& effects, std::string_view sql, bool simple) {
  if (simple) portals_.erase({});
  if (portals_.empty()) return;
  const PortalNeed need = need_of(effects, sql);
  for (MemoryPortal& portal : portals_.all()) {
    if (status_ == 'E') {
      portal.at_origin.only |=
          effects.may_end_block;  // where it is, if it is still there behind it
    } else if (is_needed(portal, need)) {
      open_portal(portal, need.run, need.only, effects.unread);
    }
  }
}

// Should the block have failed, or a portal not be opened, a query would be discarded with that: it
// comes behind. True: wait.
bool Session::opens_before_query(const Effects& effects, std::string_view sql) {
  if (portals_.empty() || !may_wait_for_portals()) return false;
  return open_and_wait(need_of(effects, sql), false);
}

// Whether any of them has to be opened, or run, at the origin. `unnamed`: or else is replaced.
bool Session::any_needed(const PortalNeed& need, bool unnamed) const {
  const std::vector<MemoryPortal>& all = portals_.all();
  return std::any_of(all.begin(), all.end(), [&](const MemoryPortal& portal) {
    return is_needed(portal, need) && (unnamed || !portal.name.empty());
  });
}

// Likewise what ends the failed block, in an exchange. In its middle: behind a Flush.
bool Session::waits_to_open(const Effects& effects, std::string_view sql, const wire::Bind& bind) {
  if (tracker_.idle() || portals_.empty() || !may_wait_for_portals()) return false;
  if (!any_needed(need_of(effects, sql), !bind.portal.empty())) return false;
  if (open_unit_) wire::append_flush(to_origin_.tail());
  hold_ = Hold::kOrigin;
  return true;
}

// Of the first statement of an exchange whose Sync is not there.
bool Session::portals_want_to_wait(const Effects& effects, std::string_view sql) const {
  return !portals_.empty() && (wants_portals_first(effects, sql) ||
                               (!tracker_.idle() && any_needed(need_of(effects, sql), true)));
}

// Whether a statement may go on with portals in SQL, or end the transaction in code, which it can
// outside of blocks.
bool Session::wants_portals_first(const Effects& effects, std::string_view sql) const {
  return (!effects.harmless && may_fetch(sql)) ||
         (exchange_portals_ && effects.may_clear_statements);
}

bool Session::may_wait_for_portals() const {
  return status_ == 'T' && !tracker_.discarding() && !tracker_.copying_in() &&
         !portals_may_have_ended();
}

// All that have to be. True: to be waited for.
bool Session::open_and_wait(const PortalNeed& need, bool unnamed) {
  if (!any_needed(need, unnamed)) return false;
  hold_ = Hold::kOrigin;
  if (!open_unit_ && !tracker_.idle()) return true;
  begin_at_origin();
  for (MemoryPortal& portal : portals_.all()) {
    const bool wanted = is_needed(portal, need) && (unnamed || !portal.name.empty());
    if (wanted) open_portal(portal, need.run, need.only);
  }
  if (open_unit_) {
    wire::append_flush(to_origin_.tail());
  } else {
    wire::append_sync(to_origin_.tail());
    tracker_.sent({wire::Request::kSync, true, kPortalCookie});
  }
  opening_ = Opening::kSent;
  return true;
}

// In front of such a statement they are opened at the origin: the rows that the client has of those
// that it fetches from must be the same there. True: to be waited for.
bool Session::open_portals_first(const Effects& effects, std::string_view sql) {
  if (opening_ == Opening::kSent) opening_ = Opening::kNone;
  if (portals_.empty() || !may_wait_for_portals() || !wants_portals_first(effects, sql)) {
    return false;
  }
  if (open_and_wait(kGoOnThere, true)) return true;
  for (const MemoryPortal& portal : portals_.all()) {
    if (portal.at_origin.lost && fetches_from(sql, portal.name)) opening_ = Opening::kLost;
  }
  return false;
}

// Likewise in front of a Bind of an exchange that goes on as it comes.
bool Session::open_portals_before(const wire::Bind& bind) {
  if (portals_.empty() && opening_ == Opening::kNone) return false;
  const StatementPtr statement = statements_.find(bind.statement);
  if (!statement) return waits_to_open(unknown_statement_effects(), {}, bind);
  const Effects effects = statement_effects(*statement);
  if (open_portals_first(effects, statement->text->sql)) return true;
  raise_for_lost_portals();
  return waits_to_open(effects, statement->text->sql, bind);
}

// And of an Execute whose portal memory cannot go on with.
bool Session::open_portal_before(const wire::Frame& frame) {
  if (opening_ == Opening::kSent) opening_ = Opening::kNone;
  if (portals_.empty() || !may_wait_for_portals()) return false;
  const auto execute = wire::parse_execute(frame.body());
  const MemoryPortal* const portal = execute ? portals_.find(execute->portal) : nullptr;
  if (portal == nullptr || in_memory('E', execute->portal, execute->row_limit)) return false;
  return !portal->at_origin.only && open_and_wait(kGoOnThere, true);
}

// The first Bind of a statement that wants them, or the number of steps.
std::size_t Session::step_wanting_portals() const {
  if (portals_.empty()) return step_count_;
  for (std::size_t i = 0; i < step_count_; ++i) {
    const StatementPtr& statement = steps_[i].statement;
    if (steps_[i].tag != 'B' || !statement) continue;
    if (wants_portals_first(statement_effects(*statement), statement->text->sql)) return i;
  }
  return step_count_;
}

// Whether an Execute of the unit goes on with a portal that memory cannot go on with, or perhaps
// not behind what is executed in front of it.
bool Session::executes_want_portals() {
  bool sets = false;
  for (std::size_t i = 0; i < step_count_; ++i) {
    const Step& step = steps_[i];
    if (step.tag == 'B') {
      sets |= !step.statement || statement_effects(*step.statement).may_change_settings();
    }
    if (step.tag != 'E' || !uses_old_portal(step)) continue;
    const std::string_view name = step.execute.portal;
    const bool old = latest_step(i, 'B', name) == nullptr && latest_step(i, 'C', name) == nullptr &&
                     !block_ends_between(0, i);
    if (!old || portals_.find(name) == nullptr) continue;
    if (sets || !in_memory('E', name, step.execute.row_limit)) return true;
  }
  return false;
}

bool Session::unit_opens_portals_first() {
  const std::size_t at = step_wanting_portals();
  if (at != step_count_) {
    const Statement& statement = *steps_[at].statement;
    if (open_portals_first(statement_effects(*steps_[at].statement), statement.text->sql)) {
      return true;
    }
  }
  if (opening_ == Opening::kSent) opening_ = Opening::kNone;
  if (portals_.empty() || !may_wait_for_portals()) return false;
  if (executes_want_portals() && open_and_wait(kGoOnThere, true)) return true;
  return unit_waits_to_open();
}

bool Session::unit_waits_to_open() {
  if (open_unit_) return false;
  for (std::size_t i = 0; i < step_count_; ++i) {
    const Step& step = steps_[i];
    if (step.tag != 'B') continue;
    const Effects effects =
        step.statement ? statement_effects(*step.statement) : unknown_statement_effects();
    const std::string_view sql = step.statement ? step.statement->text->sql : std::string_view{};
    if (waits_to_open(effects, sql, step.bind)) return true;
  }
  return false;
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

// In front of an exchange, or of an Execute of this portal, which is discarded then.
void Session::raise_for_lost_portals(std::optional<std::string_view> portal) {
  if (std::exchange(opening_, Opening::kNone) != Opening::kLost || status_ != 'T') return;
  std::string& out = to_origin_.tail();
  if (portal) {  // or else that it is not there any more
    wire::append_describe(out, 'P', *portal);
    tracker_.sent({wire::Request::kDescribe, true, kPortalCookie});
  }
  wire::append_parse(out, kPortalStatement, kRaise, {});
  wire::append_bind(out, kPortalStatement);
  wire::append_execute(out, kPortalStatement);
  for (const wire::Request request :
       {wire::Request::kParse, wire::Request::kBind, wire::Request::kExecute}) {
    tracker_.sent({request, true, kPortalCookie});
  }
}

// The failed block was not ended by what might have ended it: portals that only memory has are
// still where they were.
void Session::portals_outlived() {
  for (MemoryPortal& portal : portals_.all()) {
    if (!portal.at_origin.opened) portal.at_origin.only = false;
  }
}

// A Bind that goes to the origin: an unnamed portal is replaced, a named one in the way.
void Session::portals_before_bind(std::string_view name) {
  lose_loads(name);
  MemoryPortal* const portal = portals_.find(name);
  if (name.empty() || (portal != nullptr && portal->at_origin.only)) {
    portals_.erase(name);
  } else if (portal != nullptr && status_ != 'E') {
    open_portal(*portal, false, false);
  }
  if (!name.empty()) note_origin_portal(name);
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

// --- answers to hidden requests

PortalOpening* Session::portal_opening(const wire::PendingRequest& request) {
  if (!request.hidden) return nullptr;
  const auto it = std::find_if(portal_openings_.begin(), portal_openings_.end(),
                               [&](const auto& o) { return o.id == request.cookie; });
  return it == portal_openings_.end() ? nullptr : &*it;
}

// An answer to what opens a portal at the origin. False: the frame answers something else.
bool Session::on_portal_frame(char tag, std::string_view frame,
                              const wire::Attribution& attribution) {
  const PortalOpening* const opening = portal_opening(attribution.request);
  if (opening == nullptr && attribution.request.cookie != kPortalCookie) return false;
  if (tag == 'Z') {
    status_ = frame[wire::kHeaderBytes];
    if (opening_ == Opening::kSent) opening_ = Opening::kNone;
  } else if (tag == 'E' && opening_ == Opening::kSent && !open_unit_) {
    opening_ = Opening::kLost;  // the client's statement finds the block failed
  } else if (tag == 'E') {
    opening_ = Opening::kNone;
    to_client_.append(frame);
  } else if (tag == 'D') {
    check_portal_rows(attribution.request, frame);
  } else if (tag == '3' && opening != nullptr) {
    const PortalOpening done = *opening;
    std::erase_if(portal_openings_, [&done](const auto& o) { return o.id == done.id; });
    end_opening(done);
  }
  return true;
}

// Rows of a portal that the client has already; perhaps a part of one.
void Session::check_portal_rows(const wire::PendingRequest& request, std::string_view bytes) {
  PortalOpening* const opening = portal_opening(request);
  if (opening == nullptr || !opening->result || opening->at > opening->end) return;
  const std::string_view expected =
      std::string_view(opening->result->rows)
          .substr(opening->at, std::min(bytes.size(), opening->end - opening->at));
  opening->at = expected == bytes ? opening->at + bytes.size() : opening->end + 1;
}

void Session::end_opening(const PortalOpening& opening) {
  MemoryPortal* const portal = portals_.find(opening.name);
  const bool lost = opening.result && opening.at != opening.end;
  if (lost && opening.goes_on) {
    // Part of the one answer has been given, part of the other would follow.
    fail({"FATAL",
          pg::sqlstate::kSerializationFailure,
          "pgcache cannot continue a portal: the rows that were fetched of it have changed",
          {}});
    return;
  }
  if (portal == nullptr) return;
  portal->at_origin.lost = portal->at_origin.lost || lost;
  const bool under_way =
      std::any_of(portal_openings_.begin(), portal_openings_.end(),
                  [&opening](const auto& other) { return other.name == opening.name; });
  if (portal->at_origin.only && !portal->at_origin.lost && !under_way) portals_.erase(opening.name);
}

// An error discarded the request: the portal at the origin is what it was.
void Session::drop_opening(const wire::PendingRequest& request) {
  PortalOpening* const opening = portal_opening(request);
  if (opening == nullptr || request.request != wire::Request::kClose) return;
  MemoryPortal* const portal = portals_.find(opening->name);
  if (portal != nullptr) {
    const bool lost = portal->at_origin.lost;
    portal->at_origin = opening->before;
    portal->at_origin.lost = lost;
  }
  const std::uint64_t id = opening->id;
  std::erase_if(portal_openings_, [id](const auto& o) { return o.id == id; });
}

}  // namespace pgcache::proxy
