// SPDX-License-Identifier: Apache-2.0
// What a client says first, before any tagged frame (manual, 55.2.1 and 55.2.11 to 55.2.12).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgcache::wire {

// The limits PostgreSQL sets on a startup packet (MAX_STARTUP_PACKET_LENGTH, beside the length
// itself) and on the secret of a cancel request (256 bytes from protocol 3.2 on, 4 before).
inline constexpr std::uint32_t kStartupBytesMax = 10004;
inline constexpr std::size_t kCancelSecretBytesMax = 256;

enum class StartupKind : std::uint8_t {
  kIncomplete,
  kMalformed,  // a length out of bounds: PostgreSQL closes without a word
  kTls,        // a TLS ClientHello without SSLRequest
  kSslRequest,
  kGssEncRequest,
  kCancelRequest,  // cancel_key holds pid and secret, as on the wire
  kStartup,        // protocol 3.x
  kUnsupported,    // another major version, or parameters that cannot be read: an error
};

struct StartupPacket {
  StartupKind kind = StartupKind::kIncomplete;
  std::size_t bytes = 0;  // of the packet, when whole
  std::uint32_t protocol = 0;
  std::string_view cancel_key;
  std::vector<std::pair<std::string_view, std::string_view>> parameters;

  std::string_view parameter(std::string_view name) const;
  // The database that the session will be in: `database`, else the user's name.
  std::string_view database() const;
  // True for replication=on|true|1|yes|database: a walsender session.
  bool replication() const;
};

void append_ssl_request(std::string& out);

// Parses the packet at the start of `bytes`.
StartupPacket parse_startup(std::string_view bytes);

}  // namespace pgcache::wire
