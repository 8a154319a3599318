// SPDX-License-Identifier: Apache-2.0
// The life of a session: startup, authentication, the end. See session.h.
#include "proxy/session.h"

#include "base/bytes.h"
#include "pg/sqlstate.h"

namespace pgcache::proxy {

namespace sqlstate = pg::sqlstate;

Session::Session(SessionEnvironment& environment, SessionIo& io)
    : env_(environment), io_(io), plans_generation_(environment.shapes->generation()) {
  RouteStats& stats = *env_.stats;
  stats.clients.fetch_add(1, std::memory_order_relaxed);
}

void Session::start() { io_.set_timer(io_.now() + env_.config->handshake_timeout); }

Session::~Session() {
  RouteStats& stats = *env_.stats;
  stats.clients.fetch_sub(1, std::memory_order_relaxed);
  if (client_secured_) stats.tls_clients.fetch_sub(1, std::memory_order_relaxed);
  if (origin_secured_) stats.tls_origin.fetch_sub(1, std::memory_order_relaxed);
}

bool Session::over_limits() const {
  const std::uint64_t limit = env_.config->session_buffer;
  return to_client_.size() > limit || to_origin_.size() > limit;
}

bool Session::wants_client_bytes() const {
  if (client_eof_ || phase_ == Phase::kClosing || phase_ == Phase::kSecuring ||
      phase_ == Phase::kConnecting || phase_ == Phase::kCancelling || over_limits()) {
    return false;
  }
  return client_input_.size() < 2 * std::size_t{env_.config->max_unit_size} + 65536;
}

bool Session::wants_origin_bytes() const {
  return phase_ != Phase::kClosing && to_client_.size() <= env_.config->session_buffer;
}

void Session::on_client_bytes() {
  if (env_.request_proof) input_at_ = io_.now();
  switch (phase_) {
    case Phase::kStartup:
      process_startup();
      return;
    case Phase::kAuthenticating:
      process_authentication();
      return;
    case Phase::kReady:
      process_client();
      return;
    case Phase::kBlind:
      to_origin_.append(client_input_.view());
      client_input_.consume(client_input_.size());
      return;
    case Phase::kSecuring:
    case Phase::kConnecting:
    case Phase::kCancelling:
    case Phase::kClosing:
      return;
  }
}

void Session::on_client_closed(bool reset) {
  client_eof_ = true;
  if (phase_ == Phase::kReady && !reset) {
    process_client();
    return;
  }
  // It may still read: the origin is told that no more comes, and answers what has come.
  const bool authenticating = phase_ == Phase::kAuthenticating;
  if (!reset && (authenticating || phase_ == Phase::kBlind)) {
    // What waits behind the authentication is sent first.
    end_origin_ = !authenticating || client_input_.size() == 0;
    return;
  }
  if (phase_ == Phase::kReady && !tracker_.idle() && !cancel_key_.empty()) {
    io_.forward_cancel(cancel_key_);
  }
  close();
}

void Session::on_origin_bytes() { process_origin(); }

void Session::on_origin_closed(std::string_view why) {
  if (phase_ == Phase::kClosing) return;
  if (phase_ == Phase::kConnecting) {
    const std::string message =
        "pgcache could not connect to the origin server: " + std::string(why);
    fail({"FATAL", sqlstate::kConnectionFailure, message,
          "Is the server running, and does pgcache's origin setting name it?"});
    return;
  }
  while (phase_ != Phase::kCancelling && take_origin_frame()) {
  }
  if (phase_ == Phase::kConnecting) return;  // anew
  close();
}

void Session::on_output_drained() {
  if (phase_ == Phase::kReady || phase_ == Phase::kAuthenticating) process_origin();
  on_client_bytes();
}

void Session::on_timer() {
  if (phase_ == Phase::kStartup || phase_ == Phase::kSecuring || phase_ == Phase::kConnecting ||
      phase_ == Phase::kAuthenticating) {
    fail({"FATAL", "57P05", "canceling authentication due to timeout", {}});
    return;
  }
  if (phase_ == Phase::kCancelling) {  // nobody said what became of the request
    close();
    return;
  }
  if (hold_ != Hold::kWait) {
    if (held_.deadline) {
      end_silence();
    } else {
      parked_.clear();
      drop_opened_loads();
    }
    return;
  }
  wait_.reset();
  timed_out_ = waiting_for_;
  hold_ = Hold::kNone;
  process_client();
}

void Session::on_wake() {
  if (hold_ != Hold::kWait) return;
  wait_.reset();
  io_.clear_timer();
  waited_ = true;
  hold_ = Hold::kNone;
  process_client();
}

// The origin has nothing of a query that is held, and may have something of pgcache's own. So the
// client's query is sent without further waiting, and the request behind it. If it is answered from
// memory after all there is nothing to cancel.
bool Session::on_cancel() {
  if (phase_ != Phase::kReady || cancel_key_.empty()) return false;
  if (hold_ != Hold::kWait && hold_ != Hold::kSettings && hold_ != Hold::kBegin) return false;
  cancel_wanted_ = true;
  if (hold_ == Hold::kWait) {
    io_.clear_timer();
    on_timer();
  }
  return true;
}

Session::Running Session::running() const {
  if (!units_.empty()) return {units_.front().id, units_.front().sent};
  if (open_unit_ && !tracker_.idle()) return {open_unit_->id, open_unit_->sent};
  return {};
}

void Session::on_position(pg::Lsn position) {
  if (after_write_ != AfterWrite::kRequested) return;
  if (write_since_request_ || position.value == 0) {
    // Another write came in between, or the position could not be had: ask again.
    write_since_request_ = false;
    after_write_ = AfterWrite::kNeeded;
    return;
  }
  write_position_ = position;
  after_write_ = AfterWrite::kKnown;
}

void Session::on_shutdown() {
  if (phase_ == Phase::kClosing) return;
  fail({"FATAL",
        sqlstate::kAdminShutdown,
        "terminating connection due to administrator command",
        {}});
}

void Session::fail(const wire::ErrorFields& fields) {
  // In the midst of a handshake there is no way to say anything.
  if (phase_ != Phase::kSecuring) wire::append_error_response(to_client_.tail(), fields);
  close();
}

void Session::close() {
  phase_ = Phase::kClosing;
  close_origin_ = true;
  hold_ = Hold::kNone;
  wait_.reset();
  units_.clear();
  open_unit_.reset();
  forget_portals();
  io_.clear_timer();
}

}  // namespace pgcache::proxy
