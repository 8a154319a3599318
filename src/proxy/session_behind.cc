// SPDX-License-Identifier: Apache-2.0
// Answers from memory leave the origin behind what the client has been told: a statement not
// prepared, one not destroyed, a snapshot not taken. Here it catches up, by hidden requests just
// before the difference could be noticed. See session.h.
#include <algorithm>

#include "proxy/session.h"
#include "wire/backend.h"

namespace pgcache::proxy {

namespace {

// A name that no statement has.
constexpr std::string_view kNoStatement = "pgcache: changed";

}  // namespace

// False: the origin would discard it.
bool Session::send_hidden_close(char kind, std::string_view name) {
  if (!tracker_.sent({wire::Request::kClose, true, 0})) return false;
  wire::append_close(to_origin_.tail(), kind, name);
  return true;
}

// A statement that so far was answered from memory only is prepared at the origin.
void Session::ensure_at_origin(std::string_view name) {
  const StatementPtr statement = statements_.find(name);
  if (!statement || statement->at_origin) return;
  if (env_.pooled() && !name.empty()) send_hidden_close('S', name);
  if (!tracker_.sent({wire::Request::kParse, true, 0})) return;
  wire::append_parse(to_origin_.tail(), name, statement->text->sql,
                     statement->text->parameter_types_be);
  note_at_origin(statement);
  if (name.empty()) behind_.unnamed_statement = unread_statement_ = false;
}

// Before a statement is used: it is prepared at the origin, or the unnamed one is closed that a
// simple query from memory would have destroyed.
void Session::catch_up_statement(std::string_view name) {
  ensure_at_origin(name);
  if (env_.pooled()) hide_foreign_statement(name);
  if (!name.empty() || !behind_.unnamed_statement || statements_.find({})) return;
  if (send_hidden_close('S', {})) behind_.unnamed_statement = false;
}

// The unnamed portal that an answer from memory would have replaced or destroyed is closed.
void Session::catch_up_portal(std::string_view name) {
  if (!name.empty() || !behind_.unnamed_portal) return;
  if (send_hidden_close('P', {})) behind_.unnamed_portal = false;
}

// The block's answers so far came from memory: to the origin nothing has been asked in it yet, and
// it would still take a SET TRANSACTION. Only between units.
void Session::catch_up_snapshot() {
  if (!behind_.snapshot || status_ != 'T' || unread_statement_ || tracker_.discarding()) return;
  behind_.snapshot = false;
  send_settings_query();
}

// The exchange may hold something that PostgreSQL takes only before the first query of a block.
bool Session::unit_needs_snapshot() const {
  if (!behind_.snapshot) return false;
  for (std::size_t i = 0; i < step_count_; ++i) {
    const Step& step = steps_[i];
    if (step.tag != 'B') continue;
    if (!step.statement) return true;
    const bool utility = step.statement->text->lead == Lead::kUtility;
    if (utility && !statement_effects(*step.statement).harmless) return true;
  }
  return false;
}

void Session::note_simple_hit() {
  const bool open = unnamed_portal_open_;
  forget_unnamed();
  unnamed_portal_open_ = open;
  portals_.erase({});
  behind_.unnamed_statement = true;
  if (status_ == 'T') behind_.unnamed_portal = behind_.snapshot = true;
}

// --- the unnamed portal, when what would replace it fails

// In front of a Bind or a simple query. 0: there is nothing to remember.
std::uint64_t Session::replace_unnamed_portal(std::uint64_t cookie) {
  MemoryPortal* const portal = portals_.find({});
  if (portal == nullptr && !behind_.unnamed_portal) return 0;
  UnnamedPortal& before = unnamed_portals_.emplace_back();
  before.cookie = cookie;
  before.behind = behind_.unnamed_portal;
  if (portal != nullptr) before.portal = std::move(*portal);
  portals_.erase({});
  return cookie;
}

// The request has been answered, or discarded. If the portal was not replaced it is what it was.
void Session::settle_unnamed_portal(std::uint64_t cookie, bool replaced) {
  const auto it = std::find_if(unnamed_portals_.begin(), unnamed_portals_.end(),
                               [cookie](const UnnamedPortal& p) { return p.cookie == cookie; });
  if (cookie == 0 || it == unnamed_portals_.end()) return;
  UnnamedPortal before = std::move(*it);
  unnamed_portals_.erase(it);
  if (replaced) return;
  behind_.unnamed_portal = before.behind;
  if (before.portal) portals_.put(std::move(*before.portal));
}

// --- named statements that are prepared here, in the exchange that executes them

// Whether the Parse of a name can be answered here: the name is free, and the origin can prepare
// the statement right behind the exchange, in a transaction of its own.
bool Session::may_prepare_here(std::size_t at) const {
  const std::string_view name = steps_[at].parse.statement.substr(0, 63);
  if (open_unit_ || unread_statement_ || !statements_.has_room_for(step_count_) ||
      (status_ != 'I' && begin_.state != Begin::kDeferred)) {
    return false;
  }
  if ((foreign_statements_ && !env_.pooled()) || statements_.find(name)) return false;
  for (std::size_t i = 0; i < at; ++i) {
    const Step& step = steps_[i];
    if (step.tag == 'P' && step.parse.statement.substr(0, 63) == name) return false;
  }
  return true;
}

// Unseen, behind the exchange. It is described, too: a definition that changes in this moment is
// one that changed after the client's Parse.
void Session::prepare_at_origin(const Step& parse, cache::CachedResultPtr result) {
  const StatementPtr& statement = parse.statement;
  if (env_.pooled() || statements_.find(parse.parse.statement) != statement) return;
  std::string& out = to_origin_.tail();
  wire::append_parse(out, parse.parse.statement, parse.parse.sql, parse.parse.parameter_types_be);
  wire::append_describe(out, 'S', parse.parse.statement);
  wire::append_sync(out);
  for (const wire::Request request :
       {wire::Request::kParse, wire::Request::kDescribe, wire::Request::kSync}) {
    tracker_.sent({request, true, kPrepareCookie});
  }
  statement->at_origin = true;
  preparing_.push_back({statement, std::move(result)});
}

// An answer to that. False: the frame answers something else.
bool Session::on_prepare_frame(char tag, std::string_view frame,
                               const wire::Attribution& attribution) {
  if (attribution.request.cookie != kPrepareCookie) return false;
  if (preparing_.empty()) return true;
  Preparing& preparing = preparing_.front();
  switch (tag) {
    case 'E':
      // The use of the statement will tell what is wrong with it. What ends the session is told.
      preparing.statement->at_origin = false;
      if (wire::error_field(frame.substr(wire::kHeaderBytes), 'V') != "ERROR") {
        to_client_.append(frame);
      }
      break;
    case 'T':
    case 'n': {
      if (!preparing.result || preparing.result->row_description.empty()) break;
      const std::string& known = preparing.result->row_description;
      preparing.statement->changed = wire::with_result_formats(known, {}).value_or("") != frame;
      break;
    }
    case 'Z':
      preparing_.pop_front();
      origin_idle_since_ = io_.now();
      break;
    default:
      break;
  }
  return true;
}

// PostgreSQL would refuse the statement. The origin, to which it is another, is made to fail.
void Session::bind_changed_statement(const wire::Bind& bind) {
  wire::append_bind(to_origin_.tail(), bind.portal, kNoStatement, bind.rest);
  tracker_.sent({wire::Request::kBind, false, kChangedCookie});
}

}  // namespace pgcache::proxy
