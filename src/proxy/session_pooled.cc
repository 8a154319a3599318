// SPDX-License-Identifier: Apache-2.0
// Sessions whose origin is a pooler that may give each transaction another connection to the server
// (docs/adr/0015-origin-behind-a-pooler.md). What has been left behind on a connection, by this
// session or by others, is not relied upon:
// - Statements are prepared again in the transaction that uses them, under a name that is cleared
//   before.
// - The settings under which an answer was made are asked for in its own transaction; if they are
//   not those of its key, it is not published.
// - Exchanges go one by one, so that it is known when a transaction has ended.
// See session.h.
#include <algorithm>

#include "proxy/faults.h"
#include "proxy/session.h"

namespace pgcache::proxy {

namespace {

// Of the statement and the portal that ask for the settings.
constexpr std::string_view kSettingsName = "pgcache settings";

}  // namespace

bool Session::waits_for_pooler() const {
  return env_.pooled() && !relay_only_ && !open_unit_ && !tracker_.idle() &&
         !tracker_.discarding() && !tracker_.copying_in();
}

void Session::note_at_origin(const StatementPtr& statement) {
  statement->at_origin = true;
  if (env_.pooled()) held_statements_.push_back(statement);
}

// The transaction is over, and with it what is known of the connection.
void Session::leave_connection() {
  if (!env_.pooled()) return;
  for (const StatementPtr& statement : held_statements_) statement->at_origin = false;
  held_statements_.clear();
  // The unnamed statement that stands on the next one is somebody else's.
  if (!statements_.find({}) && !unread_statement_) behind_.unnamed_statement = true;
}

// Before a client's Parse: a statement that another session has left under the name must not be in
// its way. One of its own must, so that the client gets the error.
void Session::clear_name(std::string_view name) {
  if (name.empty()) return;
  if (statements_.find(name)) {
    ensure_at_origin(name);
  } else {
    send_hidden_close('S', name);
  }
}

// Before the use of a name that the session does not have: what stands under it was left there by
// another one, or by this one before it closed it. In a block it may be of SQL's PREPARE.
void Session::hide_foreign_statement(std::string_view name) {
  if (!name.empty() && status_ == 'I' && !statements_.find(name)) send_hidden_close('S', name);
}

// SQL's DEALLOCATE, as some drivers use it for statements prepared by messages. The connection that
// it would reach need not have the statement, and a simple query cannot bring it there.
bool Session::answer_deallocate(const cache::Shape& shape) {
  if (!env_.pooled() || shape.analysis.kind != sql::StatementKind::kDeallocate) return false;
  const std::string& name = shape.analysis.statement_name;
  const StatementPtr statement = statements_.find(name);
  if (!statement || statement->at_origin || status_ == 'E' || !tracker_.idle()) return false;
  forget_named(&name);
  statements_.erase({});
  behind_.unnamed_statement = true;
  wire::append_command_complete(to_client_.tail(), "DEALLOCATE");
  append_ready();
  return true;
}

// Behind all that is executed in the open unit, in front of its Sync.
void Session::append_settings_request() {
  const bool loads =
      open_unit_ && std::any_of(open_unit_->inflight.begin(), open_unit_->inflight.end(),
                                [](const Inflight& i) { return i.load != nullptr; });
  if (!loads || tracker_.discarding()) return;
  settings_row_.clear();
  open_unit_->settings = settings_;
  append_settings_exchange();
}

void Session::append_settings_exchange(bool executes) {
  append_hidden_exchange(settings_query(), executes);
}

// As messages without a Sync, which leave the unnamed statement and portal alone.
void Session::append_hidden_exchange(std::string_view sql, bool executes) {
  std::string& out = to_origin_.tail();
  wire::append_close(out, 'S', kSettingsName);
  wire::append_parse(out, kSettingsName, sql, {});
  wire::append_bind(out, kSettingsName);
  if (executes) wire::append_execute(out, kSettingsName);
  wire::append_close(out, 'P', kSettingsName);
  wire::append_close(out, 'S', kSettingsName);
  for (const wire::Request request :
       {wire::Request::kClose, wire::Request::kParse, wire::Request::kBind, wire::Request::kExecute,
        wire::Request::kClose, wire::Request::kClose}) {
    if (request == wire::Request::kExecute && !executes) continue;
    tracker_.sent({request, true, kSettingsCookie});
  }
}

// A simple query is its own transaction: the one for the settings is added to its text, behind it,
// so that positions in the client's part stay what they are.
void Session::forward_query_and_settings(std::string_view frame) {
  settings_row_.clear();
  open_unit_->added = Unit::Added::kSent;
  open_unit_->settings = settings_;
  const std::optional<std::string_view> sql = wire::parse_query(frame.substr(wire::kHeaderBytes));
  std::string text(sql.value_or(std::string_view{}));
  text += "\n;";
  text += settings_query();
  wire::append_query(to_origin_.tail(), text);
}

Unit* Session::adding_unit(const wire::Attribution& attribution) {
  const bool simple =
      attribution.has_request && attribution.request.request == wire::Request::kQuery;
  if (!simple || units_.empty() || units_.front().id != attribution.request.cookie) return nullptr;
  return units_.front().added == Unit::Added::kNone ? nullptr : &units_.front();
}

// The client's part of the query has been answered.
void Session::begin_added_query(const wire::Attribution& attribution) {
  if (Unit* unit = adding_unit(attribution)) unit->added = Unit::Added::kAnswering;
}

bool Session::answers_added_query(const wire::Attribution& attribution) {
  const Unit* unit = env_.pooled() ? adding_unit(attribution) : nullptr;
  return unit != nullptr && unit->added == Unit::Added::kAnswering;
}

// An error is relayed: it ends the client's transaction as well.
bool Session::is_of_added_query(char tag, const wire::Attribution& attribution) {
  return (tag == 'T' || tag == 'C') && answers_added_query(attribution);
}

// Whether the connection that told these is one to the database whose changes are read: a pooler
// may be configured otherwise, and an address may lead to another server than it did when the
// changes' connection was made.
bool Session::leads_to_tracked_database(const SessionSettings& settings,
                                        const TransactionSettings& more) const {
  if (env_.pooled() && settings.database != env_.pooled_database) return false;
  return env_.server_started == nullptr ||
         env_.server_started->load(std::memory_order_acquire) == more.server_started;
}

void Session::verify_loads(Unit& unit) {
  const auto loads = [](const Inflight& inflight) { return inflight.load != nullptr; };
  if (std::none_of(unit.inflight.begin(), unit.inflight.end(), loads)) return;
  const std::vector<std::optional<std::string_view>> row(settings_row_.begin(),
                                                         settings_row_.end());
  const SettingsPtr seen = env_.settings->intern(row);
  const bool same =
      seen && seen == unit.settings && leads_to_tracked_database(*seen, transaction_settings(row));
  if (same || faults::broken("trust_pooler")) return;
  for (Inflight& inflight : unit.inflight) inflight.load.reset();
}

}  // namespace pgcache::proxy
