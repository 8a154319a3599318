// SPDX-License-Identifier: Apache-2.0
// What the names of prepared statements mean, at once when something is sent, and as it was should
// an error discard it. See session.h.
#include <algorithm>

#include "pg/sqlstate.h"
#include "proxy/session.h"
#include "wire/backend.h"

namespace pgcache::proxy {

// Closed here as soon as it is sent, and restored should an error discard it.
void Session::forward_close_statement(std::string_view frame, std::string_view name) {
  if (name.empty()) note_unsure_unnamed();
  forward_raw(frame);
  const std::uint64_t cookie = next_id_++;
  if (!tracker_.sent({wire::Request::kClose, false, cookie})) return;
  pending_statements_.push_back({cookie, std::string(name), nullptr, statements_.find(name)});
  statements_.erase(name);
}

// The origin has confirmed it.
void Session::settle_statement(std::uint64_t cookie) {
  if (!pending_statements_.empty() && pending_statements_.front().cookie == cookie) {
    pending_statements_.pop_front();
  }
}

namespace {

// PostgreSQL could not make its own encoding of the text, and has done nothing about it yet.
bool refused_text(bool plain, std::string_view state) {
  return !plain && (state == pg::sqlstate::kCharacterNotInRepertoire ||
                    state == pg::sqlstate::kUntranslatableCharacter);
}

// The next one under the name, of another exchange, replaced what now never was. False: there is
// none, and the name is to be what it was before this one.
template <typename Pendings>
bool hand_down(Pendings& all, typename Pendings::iterator undone) {
  const auto later = std::find_if(
      undone + 1, all.end(), [&](const auto& pending) { return pending.name == undone->name; });
  if (later == all.end()) return false;
  later->before = undone->before;
  later->behind |= undone->behind;
  later->unread |= undone->unread;
  return true;
}

}  // namespace

// Requests in dropped_ were discarded by an error; the first is the one that failed. Undone from
// the last one on, so that names are what they were.
void Session::undo_statements(std::string_view sqlstate) {
  for (std::size_t i = dropped_.size(); i-- > 0;) {
    const wire::PendingRequest& request = dropped_[i];
    if (request.hidden) continue;
    const auto it = std::find_if(pending_statements_.begin(), pending_statements_.end(),
                                 [&](const auto& p) { return p.cookie == request.cookie; });
    if (request.cookie == 0 || it == pending_statements_.end()) continue;
    // The unnamed statement is gone before its text is parsed; or else what is there is closed
    // before it is used.
    const bool failed = i == 0 && request.request == wire::Request::kParse;
    if (failed && it->name.empty() && !refused_text(it->plain, sqlstate)) {
      it->before = nullptr;
      it->behind = true;
      it->unread = false;
    }
    const bool last = !hand_down(pending_statements_, it);
    PendingStatement undone = std::move(*it);
    pending_statements_.erase(it);
    if (last && statements_.find(undone.name) == undone.statement) undo_statement(undone);
  }
}

void Session::undo_statement(PendingStatement& pending) {
  if (pending.before) {
    statements_.put(pending.name, std::move(pending.before));
    return;
  }
  statements_.erase(pending.name);
  behind_.unnamed_statement |= pending.behind;
  unread_statement_ |= pending.unread;
}

// The text of a Parse, or even its name, will not be read.
void Session::forget_statements() {
  ensure_at_origin({});
  forget_named(nullptr);
  statements_.clear();
  unread_statement_ = true;
}

// A simple query destroys it at the origin, but not one that an error in front of it discards.
// Nor is it destroyed by one that PostgreSQL cannot read.
void Session::query_forgets_unnamed(std::string_view sql) {
  if (tracker_.discarding()) return;
  const StatementPtr unnamed = statements_.find({});
  const bool behind = unnamed ? !unnamed->at_origin : behind_.unnamed_statement;
  note_unsure_unnamed();
  const bool plain = is_ascii(sql);
  unnamed_unsure_ = unnamed_unsure_ || (behind && !plain);
  if (open_unit_ || !nothing_can_fail() || !plain) {
    pending_statements_.push_back({open_unit().id,
                                   {},
                                   nullptr,
                                   statements_.find({}),
                                   behind_.unnamed_statement,
                                   unread_statement_,
                                   plain});
  } else {
    // It comes for certain: what an error undoes in front of it does not come back behind it.
    for (PendingStatement& pending : pending_statements_) {
      if (!pending.name.empty()) continue;
      pending.before = nullptr;
      pending.behind = pending.unread = false;
    }
  }
  forget_unnamed();
}

void Session::query_failed(std::uint64_t cookie, std::string_view sqlstate) {
  if (pending_statements_.empty()) return;
  PendingStatement& pending = pending_statements_.front();
  if (pending.cookie != cookie || pending.statement || !refused_text(pending.plain, sqlstate))
    return;
  const bool last = !hand_down(pending_statements_, pending_statements_.begin());
  PendingStatement undone = std::move(pending);
  pending_statements_.pop_front();
  if (last && !statements_.find({})) undo_statement(undone);
}

void Session::forget_unnamed() {
  statements_.erase({});
  behind_.unnamed_statement = unread_statement_ = unnamed_portal_open_ = false;
}

void Session::forward_parse(std::string_view frame, const wire::Parse& parse,
                            StatementPtr statement) {
  if (env_.pooled()) clear_name(parse.statement);
  if (parse.statement.empty()) note_unsure_unnamed();
  forward_raw(frame);
  const std::uint64_t cookie = next_id_++;
  if (!tracker_.sent({wire::Request::kParse, false, cookie})) return;
  note_at_origin(statement);
  if (!open_unit().effects.harmless) {  // under what settings, only the origin knows
    statement->parsed_settings = nullptr;
    statement->parsed_at_disturbance = 0;
  }
  PendingStatement& pending = pending_statements_.emplace_back();
  pending = {cookie, std::string(parse.statement), statement, statements_.find(parse.statement)};
  pending.plain = is_ascii(parse.sql);
  if (parse.statement.empty()) {
    pending.behind = std::exchange(behind_.unnamed_statement, false);
    pending.unread = std::exchange(unread_statement_, false);
  }
  statements_.put(parse.statement, std::move(statement));
}

}  // namespace pgcache::proxy
