// SPDX-License-Identifier: Apache-2.0
// What a session's state and settings say of serving it from memory at all, and the settings query.
// See session.h.
#include "proxy/faults.h"
#include "proxy/session.h"

namespace pgcache::proxy {

using sql::BypassReason;

namespace {

constexpr std::string_view kDiscardPlans = "DISCARD PLANS";

// Client-only encodings, in which a byte below 0x80 may be part of a longer character: no statement
// in them can be read here (manual, table 24.3).
bool is_ascii_safe(std::string_view encoding) {
  for (const char* unsafe : {"BIG5", "GB18030", "GBK", "JOHAB", "SJIS", "SHIFT_JIS_2004", "UHC"}) {
    if (encoding == unsafe) return false;
  }
  return true;
}

}  // namespace

std::optional<Verdict> Session::gate() {
  if (!cacheable_session_) {
    return bypass(env_.config->cache ? BypassReason::kOtherDatabase : BypassReason::kDisabled);
  }
  if (const auto reason = env_.cache->unavailable(io_.now())) return bypass(*reason);
  if (env_.definitions_pending->load(std::memory_order_acquire) != 0) {
    return bypass(BypassReason::kDefinitions);
  }
  // What the origin will only answer after a Sync, or never, must not be waited for.
  const bool executing = open_unit_ && !open_unit_->preparing;
  if (executing || tracker_.discarding()) return bypass(BypassReason::kPipeline);
  if (tracker_.copying_in()) return bypass(BypassReason::kCopy);
  if (!tracker_.idle()) {
    hold_ = Hold::kOrigin;
    return held();
  }
  if (status_ == 'E') return bypass(BypassReason::kFailedTransaction);
  if (block_ == Block::kDirty && !faults::broken("serve_in_transactions")) {
    return bypass(BypassReason::kInTransaction);
  }
  return gate_settings();
}

std::optional<Verdict> Session::gate_settings() {
  if (settings_ && settings_epoch_ != env_.settings_epoch->load(std::memory_order_acquire)) {
    lose_settings();
  }
  // The origin counts a session as idle that is served from memory. Asking it something in good
  // time starts its clock anew.
  const bool block_here = begin_.state == Begin::kDeferred || begin_.state == Begin::kExchange;
  const Duration timeout = status_ == 'I' || block_here ? transaction_settings_.idle_in_session
                                                        : transaction_settings_.idle_in_transaction;
  if (timeout > Duration::zero() && io_.now() - origin_idle_since_ > timeout / 8) {
    settings_ = nullptr;
  }
  if (plans_are_old()) settings_ = nullptr;
  if (!settings_) {
    if (settings_failed_) return fallback(FallbackReason::kSettingsQuery);
    if (unread_statement_) return bypass(BypassReason::kQueryTooLong);
    if (open_unit_) return bypass(BypassReason::kFlush);  // a query now would end it
    return ask_settings();
  }
  if (const auto reason = settings_refusal()) return bypass(*reason);
  // Asked for in a block they tell its level, and outlive it.
  const bool read_committed = settings_->read_committed && transaction_settings_.read_committed;
  if (!read_committed && !block_read_committed_) return bypass(BypassReason::kIsolation);
  return std::nullopt;
}

// Under which settings nothing is served, whatever the transaction is.
std::optional<BypassReason> Session::settings_refusal() const {
  if (settings_->mode_off) return BypassReason::kModeOff;
  if (!leads_to_tracked_database(*settings_, transaction_settings_)) {
    return BypassReason::kOtherDatabase;
  }
  if (settings_->hears_log) return BypassReason::kClientMessages;
  if (settings_->temporary_objects) return BypassReason::kTemporaryObjects;
  if (!is_ascii_safe(settings_->client_encoding)) return BypassReason::kClientEncoding;
  return std::nullopt;
}

void Session::lose_settings() {
  settings_ = nullptr;
  ++disturbances_;
}

// The origin keeps plans for prepared statements and for what functions execute, and it does not
// make them anew for all that changes: not when a name would mean another object now (one in an
// earlier schema, a function that fits better), and in a block not even when a function is replaced
// or a privilege revoked. An answer out of such a plan is right for its session, and for no other.
bool Session::plans_are_old() const {
  return !env_.pooled() && plans_generation_ != env_.shapes->generation();
}

// Of the catalog from whose definitions, or later ones, an execution now is planned.
std::uint64_t Session::plans_generation() const {
  return env_.pooled() ? env_.shapes->generation() : plans_generation_;
}

// When the plans are old they are given up in front of it.
void Session::send_settings_query() {
  const bool renews_plans = plans_are_old();
  if (renews_plans) plans_generation_ = env_.shapes->generation();
  settings_epoch_ = env_.settings_epoch->load(std::memory_order_acquire);
  settings_asked_ = true;
  settings_row_.clear();
  // A simple query would destroy the unnamed portal, with which the client may go on, and the
  // unnamed statement: what an EXECUTE or a FETCH stood for when it was parsed, only that Parse
  // knows.
  const StatementPtr unnamed = statements_.find({});
  const bool keeps_unnamed = unnamed && unnamed->at_origin && unnamed->text->lead == Lead::kUtility;
  if ((status_ == 'T' && unnamed_portal_open_) || keeps_unnamed) {
    if (renews_plans) append_hidden_exchange(kDiscardPlans);
    append_settings_exchange();
    wire::append_sync(to_origin_.tail());
    tracker_.sent({wire::Request::kSync, true, 0});
    return;
  }
  // The client still has its unnamed statement.
  if (unnamed) unnamed->at_origin = false;
  behind_.unnamed_statement = false;
  unnamed_portal_open_ = false;
  wire::append_query(to_origin_.tail(), renews_plans
                                            ? std::string(kDiscardPlans) + "; " + settings_query()
                                            : settings_query());
  tracker_.sent({wire::Request::kQuery, true, 0});
}

// A pool resets a session (DISCARD ALL) before it gives it to the next user: who begins with a
// BEGIN, which is only deferred under settings that are known.
void Session::ask_settings_early() {
  if (last_settings_ && status_ == 'I' && !env_.pooled() && settings_are_wanted()) ask_settings();
}

// They are not known, and can be had now.
bool Session::settings_are_wanted() const {
  return !settings_ && !settings_failed_ && !unread_statement_ && cacheable_session_ &&
         !open_unit_ && tracker_.idle() && status_ != 'E' && block_ != Block::kDirty &&
         !env_.cache->unavailable(io_.now());
}

Verdict Session::ask_settings() {
  send_settings_query();
  hold_ = Hold::kSettings;
  return held();
}

}  // namespace pgcache::proxy
