// SPDX-License-Identifier: Apache-2.0
// The beginning of a session: what the client says before its first query, and how the connection
// to the origin is made for it. See session.h.
//
// The origin may turn a session away for want or because of encryption. As libpq does, another
// connection is tried then, if sslmode leaves the choice; nothing has been relayed to the client
// until the origin has said what it thinks of the session. Why channel binding matters for that
// choice stands in docs/adr/0013-tls-ends-here.md.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "pg/sqlstate.h"
#include "proxy/session.h"
#include "wire/authentication.h"

namespace pgcache::proxy {

namespace sqlstate = pg::sqlstate;
using origin::Encryption;
using origin::SslMode;

void Session::on_client_secured() {
  if (phase_ != Phase::kSecuring) return;
  phase_ = Phase::kStartup;
  client_secured_ = true;
  env_.stats->tls_clients.fetch_add(1, std::memory_order_relaxed);
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
      on_gss_request(packet.bytes);
      return;
    case wire::StartupKind::kCancelRequest:
      phase_ = Phase::kCancelling;
      io_.deliver_cancel(std::string(packet.cancel_key));
      return;
    case wire::StartupKind::kUnsupported:  // the origin knows what to say to it
    case wire::StartupKind::kStartup:
      begin_session(packet, bytes);
      return;
    case wire::StartupKind::kTls:
      on_client_hello();
      return;
    case wire::StartupKind::kMalformed:
      log_info("a client's startup packet has an invalid length");
      close();
      return;
  }
}

void Session::on_ssl_request(std::size_t packet_bytes) {
  if (std::exchange(ssl_answered_, true)) {
    refuse_second_request("1234.5679");
    return;
  }
  if (client_secured_ || io_.client_tls() == ClientTls::kNotOffered) {
    decline_encryption("SSL", packet_bytes);
    return;
  }
  gss_answered_ = true;
  to_client_.append("S");
  phase_ = Phase::kSecuring;
  // What came behind the request is taken for the handshake's, and for nothing else.
  io_.start_client_tls(client_input_.view().substr(packet_bytes), TlsStart::kAsked);
  client_input_.consume(client_input_.size() - packet_bytes);
}

void Session::on_gss_request(std::size_t packet_bytes) {
  if (std::exchange(gss_answered_, true)) {
    refuse_second_request("1234.5680");
  } else {
    decline_encryption("GSSAPI encryption", packet_bytes);
  }
}

// What has come behind the request was not meant for the answer it gets: somebody on the way may
// have put it there.
void Session::decline_encryption(std::string_view what, std::size_t packet_bytes) {
  to_client_.append("N");
  if (client_input_.size() == packet_bytes) return;
  const std::string message = "received unencrypted data after " + std::string(what) + " request";
  fail({"FATAL",
        sqlstate::kProtocolViolation,
        message,
        {},
        "This could be either a client-software bug or evidence of an attempted "
        "man-in-the-middle attack."});
}

// Each request may come once; PostgreSQL takes another for the version of a protocol.
void Session::refuse_second_request(std::string_view version) {
  const std::string message =
      "unsupported frontend protocol " + std::string(version) + ": server supports 3.0 to 3.2";
  fail({"FATAL", sqlstate::kFeatureNotSupported, message, {}});
}

// TLS without being asked, as clients do with sslnegotiation=direct.
void Session::on_client_hello() {
  if (client_secured_ || io_.client_tls() == ClientTls::kNotOffered) {
    log_info("a client began TLS without asking where it is not offered");
    close();
    return;
  }
  phase_ = Phase::kSecuring;
  io_.start_client_tls(client_input_.view(), TlsStart::kDirect);
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
  io_.connect_origin(origin::first_encryption(env_.origin_ssl_mode));
}

void Session::on_origin_connected(bool secured) {
  if (phase_ != Phase::kConnecting) return;
  if (secured != origin_secured_) {
    env_.stats->tls_origin.fetch_add(secured ? 1 : -1, std::memory_order_relaxed);
  }
  origin_secured_ = secured;
  to_origin_.append(startup_packet_);
  const wire::StartupPacket packet = wire::parse_startup(startup_packet_);
  blind_ = packet.kind != wire::StartupKind::kStartup || packet.replication();
  phase_ = packet.kind == wire::StartupKind::kStartup ? Phase::kAuthenticating : Phase::kBlind;
  if (phase_ == Phase::kBlind) io_.clear_timer();
  on_client_bytes();
}

// A frame of the origin before it is ready for queries.
void Session::on_authentication_frame(char tag, std::string_view frame) {
  if (!origin_heard_) {
    if (tag != 'R' && tag != 'E') {
      held_greeting_ += frame;
      return;
    }
    if (tries_another_connection(tag, frame)) return;
    origin_heard_ = true;
    if (attempt_ == Attempt::kPlainForBinding) say_plain_for_scram();
    startup_packet_.clear();
    to_client_.append(held_greeting_);
    held_greeting_.clear();
  }
  if (tag == 'R' && narrow_sasl_offer(frame)) return;
  if (tag == 'K') {
    cancel_key_ = frame.substr(wire::kHeaderBytes);
    io_.on_cancel_key(cancel_key_);
  }
  to_client_.append(frame);
  if (tag != 'Z') return;
  phase_ = blind_ ? Phase::kBlind : Phase::kReady;
  leave_connection();
  io_.clear_timer();
}

// Once is enough: it holds for every such session.
void Session::say_plain_for_scram() {
  if (env_.plain_for_scram == nullptr || env_.plain_for_scram->exchange(true)) return;
  log_warning(
      "sslmode=prefer: sessions of clients that authenticate by SCRAM in TLS reach the origin in "
      "plain, since TLS ends here; with sslmode=require they need the origin's certificate here, "
      "or "
      "channel_binding=disable at the client");
}

// True: the session begins anew on another connection, and this frame is forgotten.
bool Session::tries_another_connection(char tag, std::string_view frame) {
  const SslMode mode = env_.origin_ssl_mode;
  const bool choice = mode == SslMode::kPrefer || mode == SslMode::kAllow;
  if (!choice || attempt_ == Attempt::kLast) return false;
  if (tag == 'E') {
    if (mode == SslMode::kPrefer && attempt_ == Attempt::kFirst && !origin_secured_) return false;
    connect_again(origin_secured_ ? Encryption::kNone : Encryption::kIfOffered, Attempt::kLast);
    return true;
  }
  // Only a connection in plain lets such a client in.
  if (attempt_ != Attempt::kFirst || !client_secured_ || !binding_is_cut(frame)) return false;
  connect_again(Encryption::kNone, Attempt::kPlainForBinding);
  return true;
}

void Session::connect_again(Encryption how, Attempt attempt) {
  phase_ = Phase::kConnecting;
  attempt_ = attempt;
  origin_input_.consume(origin_input_.size());
  to_origin_.clear();
  held_greeting_.clear();
  io_.connect_origin(how);
}

// Whether this AuthenticationSASL offers a binding to the channel that ends here.
bool Session::binding_is_cut(std::string_view frame) const {
  if (!origin_secured_) return false;
  const auto offer = wire::parse_sasl_offer(frame.substr(wire::kHeaderBytes));
  return offer && std::ranges::find(*offer, wire::kScramPlus) != offer->end() &&
         !(client_secured_ && io_.channel_binding_holds());
}

// Relays an offer without the binding that cannot hold; true when this was one.
bool Session::narrow_sasl_offer(std::string_view frame) {
  if (!binding_is_cut(frame)) return false;
  auto offer = wire::parse_sasl_offer(frame.substr(wire::kHeaderBytes));
  std::erase(*offer, wire::kScramPlus);
  if (offer->empty()) return false;
  wire::append_sasl_offer(to_client_.tail(), *offer);
  offer_narrowed_ = true;
  return true;
}

// A client that could bind and is told that the server could not says so, which the origin takes
// for an attack. It would refuse in words that lead nowhere.
bool Session::answers_narrowed_offer(std::string_view body) {
  if (!std::exchange(offer_narrowed_, false)) return true;
  const auto response = wire::parse_sasl_initial_response(body);
  if (!response || !response->data.starts_with('y')) return true;
  fail({"FATAL", sqlstate::kInvalidAuthorization, "SCRAM channel binding negotiation error",
        "TLS ends at pgcache, so that the client cannot be bound to the origin's connection: "
        "connect with channel_binding=disable, or let pgcache present the origin's certificate."});
  return false;
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
    const std::string_view frame = bytes.substr(0, header.total_bytes());
    if (!answers_narrowed_offer(frame.substr(wire::kHeaderBytes))) return;
    to_origin_.append(frame);
    client_input_.consume(header.total_bytes());
  }
}

}  // namespace pgcache::proxy
