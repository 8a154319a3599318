// SPDX-License-Identifier: Apache-2.0
// The life of a session: startup, authentication, the end. See session.h.
#include "proxy/session.h"

#include "base/bytes.h"
#include "pg/sqlstate.h"

namespace pgcache::proxy {

namespace sqlstate = pg::sqlstate;

Session::Session(SessionEnvironment& environment, SessionIo& io) : env_(environment), io_(io) {
  RouteStats& stats = *env_.stats;
  stats.clients.fetch_add(1, std::memory_order_relaxed);
}

void Session::start() { io_.set_timer(io_.now() + env_.config->handshake_timeout); }

Session::~Session() { env_.stats->clients.fetch_sub(1, std::memory_order_relaxed); }

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

void Session::on_client_secured() {
  if (phase_ != Phase::kSecuring) return;
  phase_ = Phase::kStartup;
  client_secured_ = true;
  process_startup();
}

void Session::process_startup() {
  while (phase_ == Phase::kStartup) {
    const wire::StartupPacket packet = wire::parse_startup(client_input_.view());
    if (packet.kind == wire::StartupKind::kIncomplete) return;
    on_startup_packet(packet, client_input_.view().substr(0, packet.bytes));
    client_input_.consume(packet.bytes);
  }
}

void Session::on_startup_packet(const wire::StartupPacket& packet, std::string_view bytes) {
  switch (packet.kind) {
    case wire::StartupKind::kIncomplete:
      return;
    case wire::StartupKind::kSslRequest:
      on_ssl_request(packet.bytes);
      return;
    case wire::StartupKind::kGssEncRequest:
      to_client_.append("N");
      return;
    case wire::StartupKind::kCancelRequest:
      phase_ = Phase::kCancelling;
      io_.forward_cancel(std::string(packet.cancel_key));
      return;
    case wire::StartupKind::kUnsupported:  // the origin knows what to say to it
    case wire::StartupKind::kStartup:
      begin_session(packet, bytes);
      return;
    case wire::StartupKind::kTls:
      on_client_hello();
      return;
    case wire::StartupKind::kMalformed:
      fail({"FATAL", sqlstate::kProtocolViolation, "invalid startup packet", {}});
      return;
  }
}

void Session::on_ssl_request(std::size_t packet_bytes) {
  if (client_secured_) {
    fail({"FATAL", sqlstate::kProtocolViolation, "the connection is encrypted already", {}});
    return;
  }
  if (io_.client_tls() == ClientTls::kNotOffered) {
    to_client_.append("N");
    return;
  }
  if (client_input_.size() > packet_bytes) {
    // It would be taken for encrypted, although anybody on the way may have put it there.
    fail({"FATAL", sqlstate::kProtocolViolation, "received unencrypted data after SSL request",
          "This could be either a client-software bug or evidence of an attempted "
          "man-in-the-middle attack."});
    return;
  }
  to_client_.append("S");
  phase_ = Phase::kSecuring;
  io_.start_client_tls({});
}

// TLS without being asked, as clients do with sslnegotiation=direct.
void Session::on_client_hello() {
  if (client_secured_ || io_.client_tls() == ClientTls::kNotOffered) {
    fail({"FATAL", sqlstate::kProtocolViolation, "TLS without SSLRequest is not offered here",
          "Connect with sslmode=prefer or disable."});
    return;
  }
  phase_ = Phase::kSecuring;
  io_.start_client_tls(client_input_.view());
  client_input_.consume(client_input_.size());
}

void Session::begin_session(const wire::StartupPacket& packet, std::string_view bytes) {
  if (!client_secured_ && io_.client_tls() == ClientTls::kRequired) {
    fail({"FATAL", sqlstate::kInvalidAuthorization,
          "pgcache accepts no connection without encryption",
          "Connect with sslmode=require or stronger."});
    return;
  }
  startup_packet_ = bytes;
  cacheable_session_ = env_.config->cache && packet.database() == env_.database;
  phase_ = Phase::kConnecting;
  io_.connect_origin();
}

void Session::on_origin_connected() {
  if (phase_ != Phase::kConnecting) return;
  to_origin_.append(startup_packet_);
  const wire::StartupPacket packet = wire::parse_startup(startup_packet_);
  const bool blind = packet.kind != wire::StartupKind::kStartup || packet.replication();
  phase_ = blind ? Phase::kBlind : Phase::kAuthenticating;
  startup_packet_.clear();
  if (phase_ == Phase::kBlind) io_.clear_timer();
  on_client_bytes();
}

// Only answers to the authentication go through; anything else waits for ReadyForQuery.
void Session::process_authentication() {
  for (;;) {
    const std::string_view bytes = client_input_.view();
    wire::FrameHeader header;
    const wire::FrameState state = wire::peek_frame(bytes, header);
    if (state == wire::FrameState::kIncomplete) return;
    if (state == wire::FrameState::kMalformed || header.length > 1u << 20) {
      fail({"FATAL", sqlstate::kProtocolViolation, "invalid message length", {}});
      return;
    }
    if (header.tag != 'p' || bytes.size() < header.total_bytes()) return;
    to_origin_.append(bytes.substr(0, header.total_bytes()));
    client_input_.consume(header.total_bytes());
  }
}

void Session::on_client_closed(bool reset) {
  client_eof_ = true;
  // In the middle of a frame that is being relayed there is nothing left to say to the origin.
  const bool inside_frame = client_skip_ > 0;
  if (phase_ == Phase::kReady && !reset && !inside_frame) {
    process_client();
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
  if (hold_ != Hold::kWait) return;
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
  io_.clear_timer();
}

}  // namespace pgcache::proxy
