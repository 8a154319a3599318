// SPDX-License-Identifier: Apache-2.0
// The one validated, immutable configuration. Made once at start from (in rising order of
// precedence) the TOML file, PGCACHE_* environment variables and the command line; see
// config/loader.h. Shared read-only by every thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace pgcache::config {

enum class Consistency { kEventual, kSession, kStrict };
// How it is known at the strict level that no commit was acknowledged which is not applied here.
enum class StrictBy {
  kNothing,  // another level
  kLease,    // the origin lets every commit wait for pgcache, its synchronous standby
  kRead,     // the origin is asked how far it is, for each hit after it has come in
};

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};

struct Config {
  std::string origin;  // libpq connection URI or conninfo string
  // The server itself where `origin` is a pooler in front of it; empty: `origin` is the server.
  std::string replication_origin;
  // A host that begins with '/' is the directory of a Unix socket; its port 0 is that of the first
  // TCP address, or 6432.
  std::vector<HostPort> listen{{"127.0.0.1", 6432}};
  HostPort admin{"127.0.0.1", 6433};  // port 0: any free one (printed)
  Consistency consistency = Consistency::kSession;
  std::string strict_verify = "lease";  // or "read"
  std::chrono::milliseconds strict_ack_timeout{5000};
  std::string standby_name;  // in synchronous_standby_names; empty: as the slot is called
  int workers = 0;           // 0: one for every two processors
  std::uint64_t cache_size = 1ull << 30;       // bytes
  std::uint64_t max_result_size = 8ull << 20;  // bytes
  std::uint32_t max_shapes = 10000;
  std::uint32_t max_query_size = 64u << 10;  // bytes of statement text that is analysed
  std::uint32_t max_unit_size = 1u << 20;    // bytes of an extended exchange held until its Sync
  std::uint32_t max_clients = 10000;
  std::uint32_t max_clients_per_address = 0;  // over TCP; 0: no limit
  // Of TCP connections on both sides; 0: as the system has it.
  std::chrono::milliseconds tcp_keepalives_idle{0};
  std::chrono::milliseconds tcp_keepalives_interval{0};
  std::uint32_t tcp_keepalives_count = 0;
  std::chrono::milliseconds tcp_user_timeout{0};
  std::string tls_cert;  // paths of PEM files; without a certificate clients are not offered TLS
  std::string tls_key;
  std::string tls_ca;                         // authorities of client certificates
  std::string tls_client_auth = "none";       // or "optional", "require": client certificates
  std::string tls_min_version = "1.2";        // or "1.3"
  bool tls_required = false;                  // of clients that come over TCP
  std::uint64_t session_buffer = 256u << 10;  // bytes queued towards one peer before its other side
                                              // is no longer read
  std::chrono::milliseconds handshake_timeout{60000};
  std::chrono::milliseconds origin_connect_timeout{10000};
  std::chrono::milliseconds load_wait_timeout{1000};
  std::chrono::milliseconds tracking_wait_timeout{1000};
  std::chrono::milliseconds max_staleness{1000};
  std::chrono::milliseconds heartbeat_interval{100};
  std::chrono::milliseconds catalog_poll_interval{1000};
  std::uint64_t transaction_log_size = 64ull << 20;  // bytes of recent transactions kept
  std::uint64_t row_images_size = 64ull << 20;       // bytes of last images of rows; 0: none
  std::uint64_t table_copies_size = 16ull << 20;     // bytes of small tables kept whole; 0: none
  std::uint64_t max_transaction_size = 64ull
                                       << 20;  // bytes of one transaction before it is summarised
  std::string slot = "pgcache";
  std::string publication = "pgcache";
  bool manage_publication = true;         // false: use the given one as it is
  std::string replica_identity = "keep";  // or "full": set it for the tables that are published
  bool ddl_trigger = true;                // event triggers on the origin tell of DDL
  bool keep_slot = false;                 // at a clean shutdown
  std::uint64_t max_slot_retained = 10ull << 30;  // bytes of WAL; 0: no limit
  std::vector<std::string> allow_tables;          // "schema.table" or "schema.*"; empty = all
  std::vector<std::string> deny_tables;
  bool cache = true;        // false: a plain proxy
  bool defer_begin = true;  // the origin hears of a block when a statement in it needs that
  std::string log_level = "info";
  bool live = false;  // a status line on the terminal, once a second

  StrictBy strict_by() const {
    if (consistency != Consistency::kStrict) return StrictBy::kNothing;
    return strict_verify == "read" ? StrictBy::kRead : StrictBy::kLease;
  }
  const std::string& own_standby_name() const { return standby_name.empty() ? slot : standby_name; }
};

}  // namespace pgcache::config
