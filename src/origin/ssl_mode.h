// SPDX-License-Identifier: Apache-2.0
// How connections to the origin are encrypted: libpq's sslmode, and what one attempt to connect
// makes of it.
#pragma once

#include <cstdint>

namespace pgcache::origin {

enum class SslMode : std::uint8_t {
  kDisable,
  kAllow,   // TLS if the server refuses the session in plain
  kPrefer,  // plain if TLS is not to be had, or the server refuses the session in TLS
  kRequire,
  kVerifyCa,
  kVerifyFull,
};

// Of one connection.
enum class Encryption : std::uint8_t { kNone, kIfOffered, kMust };

// What a connection is tried with first.
constexpr Encryption first_encryption(SslMode mode) {
  switch (mode) {
    case SslMode::kDisable:
    case SslMode::kAllow:
      return Encryption::kNone;
    case SslMode::kPrefer:
      return Encryption::kIfOffered;
    case SslMode::kRequire:
    case SslMode::kVerifyCa:
    case SslMode::kVerifyFull:
      return Encryption::kMust;
  }
  return Encryption::kMust;
}

}  // namespace pgcache::origin
