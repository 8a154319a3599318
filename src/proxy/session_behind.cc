// SPDX-License-Identifier: Apache-2.0
// Answers from memory leave the origin behind what the client has been told: a statement not
// prepared, one not destroyed, a snapshot not taken. Here it catches up, by hidden requests just
// before the difference could be noticed. See session.h.
#include "proxy/session.h"

namespace pgcache::proxy {

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

// The exchange may go on with an unnamed portal of an earlier one, which a simple query (the one
// for the settings is one) would destroy.
bool Session::unit_keeps_unnamed_portal() const {
  if (status_ != 'T' || !unnamed_portal_open_) return false;
  for (std::size_t i = 0; i < step_count_; ++i) {
    const Step& step = steps_[i];
    if (step.tag == 'B' && step.bind.portal.empty()) return false;
    if (step.tag == 'E' && step.execute.portal.empty()) return true;
  }
  return true;
}

void Session::note_simple_hit() {
  forget_unnamed();
  portals_.erase({});
  behind_.unnamed_statement = true;
  if (status_ == 'T') behind_.unnamed_portal = behind_.snapshot = true;
}

}  // namespace pgcache::proxy
