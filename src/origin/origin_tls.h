// SPDX-License-Identifier: Apache-2.0
// The TLS part of the origin's URL, with libpq's defaults and meanings: sslmode, sslrootcert,
// sslnegotiation, sslcrl, sslcert, sslkey, sslpassword, sslsni, ssl_min_protocol_version,
// ssl_max_protocol_version.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "net/tls_context.h"
#include "origin/ssl_mode.h"

namespace pgcache::origin {

struct OriginTls {
  SslMode mode = SslMode::kDisable;
  std::string host;     // whose certificate is expected
  bool direct = false;  // TLS without asking for it first, as PostgreSQL takes it from 17 on
  net::TlsClientOptions options;
};

// `value` yields the value of one of libpq's options, empty when it has none. Looks for the files
// that are used by default.
Result<OriginTls> origin_tls(const std::function<std::string(const char*)>& value);

}  // namespace pgcache::origin
