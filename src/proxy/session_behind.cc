// SPDX-License-Identifier: Apache-2.0
// Answers from memory leave the origin behind what the client has been told: a statement not
// prepared, one not destroyed, a snapshot not taken. Here it catches up, by hidden requests just
// before the difference could be noticed. See session.h.
#include <algorithm>

#include "base/bytes.h"
#include "pg/sqlstate.h"
#include "proxy/session.h"
#include "wire/backend.h"

namespace pgcache::proxy {

namespace {

// A name that no statement and no portal has.
constexpr std::string_view kNoStatement = "pgcache: changed";

}  // namespace

// False: the origin would discard it.
bool Session::send_hidden_close(char kind, std::string_view name) {
  const bool unnamed = kind == 'S' && name.empty();
  const std::uint64_t cookie = unnamed ? kCloseUnnamedCookie : 0;
  if (unnamed && !nothing_can_fail()) unnamed_unsure_ = true;
  if (!tracker_.sent({wire::Request::kClose, true, cookie})) return false;
  wire::append_close(to_origin_.tail(), kind, name);
  return true;
}

// PostgreSQL finds the types of parameters that are not declared when a statement is parsed; what
// they would be now, by definitions that have changed, is nothing to it.
std::string Session::types_at_parse(const Statement& statement) const {
  const bool pending = env_.cache->definitions_pending() != 0 ||
                       env_.definitions_pending->load(std::memory_order_acquire) != 0;
  const bool same = statement.parsed_generation == env_.shapes->generation() && !pending;
  const std::vector<pg::Oid>& declared = statement.text->parameter_types;
  if (same || !statement.parsed_types) return statement.text->parameter_types_be;
  std::string types_be;
  for (std::size_t i = 0; i < statement.parsed_types->size(); ++i) {
    const bool is_declared = i < declared.size() && declared[i] != pg::Oid::kInvalid;
    append_be32(types_be, pg::to_u32(is_declared ? declared[i] : (*statement.parsed_types)[i]));
  }
  return types_be;
}

// A statement that so far was answered from memory only is prepared at the origin.
void Session::ensure_at_origin(std::string_view name) {
  const StatementPtr statement = statements_.find(name);
  if (!statement || statement->at_origin) return;
  if (env_.pooled() && !name.empty()) send_hidden_close('S', name);
  const std::uint64_t cookie = next_id_++;
  if (!tracker_.sent({wire::Request::kParse, true, cookie})) return;
  wire::append_parse(to_origin_.tail(), name, statement->text->sql, types_at_parse(*statement));
  note_at_origin(statement);
  catching_up_.push_back({cookie, statement, false});
  if (!name.empty()) return;
  behind_.unnamed_statement = unread_statement_ = false;
  unnamed_unsure_ = true;  // it may fail, too
}

// Of a statement: only memory knew it, and the client knows its result.
bool Session::is_unprepared(std::string_view name) const {
  const StatementPtr statement = statements_.find(name);
  return statement && !statement->at_origin && !statement->described.empty();
}

// Before the use of a statement that only memory knew, and whose result the client knows: it is
// described, too. A definition may have changed since the client's Parse, and then PostgreSQL
// refuses the statement, whose result is no longer what it was. True: wait for the answer.
bool Session::prepare_first(std::string_view name, bool describes) {
  if (env_.pooled() || status_ == 'E' || tracker_.discarding() || tracker_.copying_in() ||
      !is_unprepared(name)) {
    return false;
  }
  open_unit();
  ensure_at_origin(name);
  CatchingUp& last = catching_up_.back();
  last.described = true;
  last.client_describes = describes;
  wire::append_describe(to_origin_.tail(), 'S', name);
  wire::append_flush(to_origin_.tail());
  tracker_.sent({wire::Request::kDescribe, true, last.cookie});
  hold_ = Hold::kOrigin;
  return true;
}

// Of an exchange that goes on as it comes.
bool Session::prepare_before(const wire::Frame& frame, const std::optional<wire::Bind>& bind) {
  if (bind) return prepare_first(bind->statement, false);
  if (frame.tag != 'D') return false;
  const auto target = wire::parse_target(frame.body());
  return target && target->kind == 'S' && prepare_first(target->name, true);
}

// The first step of an exchange that uses such a statement.
std::optional<std::size_t> Session::first_unprepared() const {
  for (std::size_t i = 0; i < step_count_; ++i) {
    const Step& step = steps_[i];
    const bool binds = step.tag == 'B';
    if (!step.understood || (!binds && (step.tag != 'D' || step.target.kind != 'S'))) continue;
    const std::string_view name = binds ? step.bind.statement : step.target.name;
    if (is_unprepared(name) && parse_of(i, name) == nullptr) return i;
  }
  return std::nullopt;
}

// Of an exchange that is complete, and goes to the origin. True: it is to be looked at again.
bool Session::unit_prepares_first() {
  const std::optional<std::size_t> use = first_unprepared();
  if (!use || env_.pooled() || status_ == 'E') return false;
  const auto can_fail = [](const Step& step) { return step.tag != 'C'; };
  const auto first = steps_.begin();
  if (std::any_of(first, first + static_cast<std::ptrdiff_t>(*use), can_fail)) {
    // What is in front of it has to be answered before it.
    forward_held_unit(sql::BypassReason::kProtocolShape);
    return true;
  }
  begin_at_origin();
  if (!open_unit_ && unit_needs_snapshot()) catch_up_snapshot();
  const Step& step = steps_[*use];
  return step.tag == 'B' ? prepare_first(step.bind.statement, false)
                         : prepare_first(step.target.name, true);
}

// An answer to the requests that prepare a statement. False: the frame answers something else.
bool Session::on_catching_up_frame(char tag, std::string_view frame,
                                   const wire::Attribution& attribution) {
  const wire::PendingRequest& request = attribution.request;
  if (catching_up_.empty() || catching_up_.front().cookie != request.cookie) return false;
  CatchingUp& front = catching_up_.front();
  switch (tag) {
    case '1':
      if (!front.described) catching_up_.pop_front();
      break;
    case 'E':
      // The client believed its statement prepared: it learns of the failure now, as PostgreSQL
      // would tell it when a plan can no longer be made. That is behind the parameters' types.
      if (front.client_describes && status_ != 'E') {
        wire::append_parameter_description(to_client_.tail(), types_at_parse(*front.statement));
      }
      to_client_.append(frame);
      break;
    case 'T':
    case 'n':
      front.statement->changed = !wire::same_columns(front.statement->described, frame);
      catching_up_.pop_front();
      break;
    default:
      break;
  }
  return true;
}

// An error discarded the request. The statement is prepared when it is next used; if its text is to
// blame that fails again, as it should.
void Session::drop_catching_up(const wire::PendingRequest& request) {
  if (!request.hidden) {
    if (request.cookie == 0) return;
    std::erase_if(describing_, [&](const auto& d) { return d.first == request.cookie; });
    return;
  }
  if (request.cookie == kCloseUnnamedCookie && !statements_.find({}) && !unread_statement_) {
    behind_.unnamed_statement = true;
  }
  const auto is_of = [&request](const CatchingUp& c) { return c.cookie == request.cookie; };
  const auto it = std::find_if(catching_up_.begin(), catching_up_.end(), is_of);
  if (it == catching_up_.end()) return;
  it->statement->at_origin = false;
  catching_up_.erase(it);
}

// In the present exchange, so far. A BEGIN of pgcache's own that fails ends the session.
bool Session::nothing_can_fail() const { return tracker_.at_head(kBeginCookie); }

// In front of a message that replaces or destroys the unnamed statement, or should another error in
// its exchange come before it, leaves it.
void Session::note_unsure_unnamed() {
  const StatementPtr unnamed = statements_.find({});
  const bool behind = unnamed ? !unnamed->at_origin : behind_.unnamed_statement;
  if (behind && !nothing_can_fail()) unnamed_unsure_ = true;
}

// The next exchange may use it: what it is then has to be known.
bool Session::waits_for_unnamed() {
  if (!unnamed_unsure_ || open_unit_ || relay_only_) return false;
  unnamed_unsure_ = !tracker_.idle() && !tracker_.discarding() && !tracker_.copying_in();
  return unnamed_unsure_;
}

// Of a Describe of the unnamed statement, whose answer is kept. A cookie of 0 becomes one.
std::uint64_t Session::describing(std::uint64_t cookie) {
  const StatementPtr statement = statements_.find({});
  if (!statement || !statement->described.empty() || tracker_.discarding()) return cookie;
  if (cookie == 0) cookie = next_id_++;
  describing_.emplace_back(cookie, statement);
  return cookie;
}

// The client is told what its unnamed statement returns.
void Session::note_description(const wire::PendingRequest& request, std::string_view frame) {
  const auto it = std::find_if(describing_.begin(), describing_.end(),
                               [&](const auto& d) { return d.first == request.cookie; });
  if (request.cookie == 0 || it == describing_.end()) return;
  it->second->described = frame;
  describing_.erase(it);
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

// Whether PostgreSQL takes a statement of the exchange only before the first query of a block, or
// may do so. `first`: of those that no query of the exchange is in front of.
bool Session::unit_sets_modes(bool first) const {
  for (std::size_t i = 0; i < step_count_; ++i) {
    const Step& step = steps_[i];
    if (step.tag != 'B') continue;
    if (!step.statement) return true;
    if (step.statement->text->lead != Lead::kUtility) {
      if (first) return false;
      continue;
    }
    const Effects effects = statement_effects(*step.statement);
    if (effects.ends_block) return false;
    if (!effects.harmless || effects.begins) return true;
  }
  return false;
}

bool Session::unit_needs_snapshot() const { return behind_.snapshot && unit_sets_modes(false); }

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
      (status_ != 'I' && begin_.state != Begin::kDeferred && begin_.state != Begin::kExchange)) {
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
      // The use of the statement will tell what is wrong with it.
      preparing.statement->at_origin = false;
      break;
    case 'T':
    case 'n': {
      if (!preparing.result || preparing.result->row_description.empty()) break;
      preparing.statement->changed = !wire::same_columns(preparing.result->row_description, frame);
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

// Whether the use of a statement, which may be null, fails for that.
bool Session::is_refused(const StatementPtr& statement) const {
  return statement && statement->changed && status_ != 'E';
}

// As a simple query.
std::string Session::instead_of_changed() {
  std::string query;
  wire::append_query(query, "EXECUTE \"" + std::string(kNoStatement) + '"');
  return query;
}

// And where it was parsed by messages: it fails when it is executed.
void Session::execute_changed_statement() {
  wire::append_execute(to_origin_.tail(), kNoStatement);
  tracker_.sent({wire::Request::kExecute, false, kChangedCookie});
}

// Whether the error is that of a name which nothing has, and stands for PostgreSQL's.
bool Session::is_of_changed(std::string_view frame, const wire::Attribution& attribution) const {
  const bool query = attribution.request.request == wire::Request::kQuery && !units_.empty() &&
                     units_.front().id == attribution.request.cookie && units_.front().refused;
  if (!query && attribution.request.cookie != kChangedCookie) return false;
  const std::string_view code = wire::error_field(frame.substr(wire::kHeaderBytes), 'C');
  return code == pg::sqlstate::kInvalidStatementName || code == pg::sqlstate::kInvalidCursorName;
}

// It tells the types of the parameters first. False: it has not changed.
bool Session::describe_changed_statement(std::string_view name) {
  const StatementPtr statement = statements_.find(name);
  if (!is_refused(statement)) return false;
  wire::append_describe(to_origin_.tail(), 'S', name);
  wire::append_describe(to_origin_.tail(), 'S', kNoStatement);
  tracker_.sent({wire::Request::kDescribe, true, kChangedTypesCookie});
  tracker_.sent({wire::Request::kDescribe, false, kChangedCookie});
  return true;
}

}  // namespace pgcache::proxy
