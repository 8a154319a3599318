// SPDX-License-Identifier: Apache-2.0
// What every session of a worker shares. Owned by the worker (stats) and by app (the rest);
// outlives the sessions.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "cache/cache.h"
#include "cache/shape_table.h"
#include "config/config.h"
#include "origin/ssl_mode.h"
#include "pg/ids.h"
#include "proxy/settings.h"
#include "proxy/stats.h"

namespace pgcache::proxy {

struct SessionEnvironment {
  const config::Config* config = nullptr;
  cache::Cache* cache = nullptr;
  cache::ShapeTable* shapes = nullptr;
  SettingsTable* settings = nullptr;
  RouteStats* stats = nullptr;
  std::string database;  // the one whose changes are read, as clients call it
  // Its name at the server, where the origin is a pooler that may give each transaction another
  // connection to it; else empty.
  std::string pooled_database;
  // When the server was started that changes come from; null: not of interest.
  const std::atomic<std::uint64_t>* server_started = nullptr;
  bool pooled() const { return !pooled_database.empty(); }
  origin::SslMode origin_ssl_mode = origin::SslMode::kDisable;
  // Whether it has been said already that sessions go to the origin in plain for SCRAM's sake.
  std::atomic<bool>* plain_for_scram = nullptr;
  // Bumped when the origin reloaded its configuration: settings known before are doubtful.
  const std::atomic<std::uint64_t>* settings_epoch = nullptr;
  // When it was last looked for that (the epoch says what was found).
  const std::atomic<TimePoint>* configuration_checked = nullptr;
  // How many sessions' DDL the catalog does not show yet: meanwhile nothing is served.
  const std::atomic<std::uint64_t>* definitions_pending = nullptr;
  // Has freshness proven at once (Cache::wait_for_proof), behind which alone hits are served; none:
  // they need no proof of their own.
  std::function<void()> request_proof;
  // A statement that may have changed the catalog has been completed; `redefines`: it counts in
  // definitions_pending.
  std::function<void(bool redefines)> on_ddl_seen;
  // A session's connection leads to another server than the changes come from.
  std::function<void()> on_other_server;
};

// Whether the client's connection may go on in TLS, or has to.
enum class ClientTls : std::uint8_t { kNotOffered, kOffered, kRequired };
// How a client came to TLS: by an SSLRequest, or with its first byte.
enum class TlsStart : std::uint8_t { kAsked, kDirect };

// What a session asks of the world. Implemented by the loop around it, and by tests. All calls
// return at once; answers come back as calls of the session's on_...().
class SessionIo {
 public:
  virtual ~SessionIo() = default;
  virtual TimePoint now() = 0;
  virtual ClientTls client_tls() = 0;
  // Behind what was queued for the client so far; `received` is what it has sent already of the
  // handshake. → on_client_secured or on_client_closed
  virtual void start_client_tls(std::string_view received, TlsStart how) = 0;
  // → on_origin_connected or _closed; in place of the connection before, if there is one
  virtual void connect_origin(origin::Encryption how) = 0;
  // Both connections are in TLS, and the client sees the certificate that the origin presents.
  virtual bool channel_binding_holds() = 0;
  // What the origin told the client to cancel the session's queries by.
  virtual void on_cancel_key(const std::string& key) = 0;
  // A client's CancelRequest, to the session that has the key, and from there or at once to the
  // origin. → on_origin_closed
  virtual void deliver_cancel(std::string key) = 0;
  virtual void forward_cancel(std::string key) = 0;  // a CancelRequest with this key, to the origin
  virtual void request_position() = 0;               // → on_position
  virtual std::function<void()> wake_callback() = 0;  // any thread → on_wake
  virtual void set_timer(TimePoint when) = 0;         // → on_timer; replaces the last one
  virtual void clear_timer() = 0;
};

}  // namespace pgcache::proxy
