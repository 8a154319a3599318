// SPDX-License-Identifier: Apache-2.0
#include "origin/origin_tls.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <utility>

namespace pgcache::origin {
namespace {

constexpr std::array<std::pair<std::string_view, SslMode>, 6> kModes = {
    {{"disable", SslMode::kDisable},
     {"allow", SslMode::kAllow},
     {"prefer", SslMode::kPrefer},
     {"require", SslMode::kRequire},
     {"verify-ca", SslMode::kVerifyCa},
     {"verify-full", SslMode::kVerifyFull}}};

std::optional<SslMode> mode_named(std::string_view name) {
  for (const auto& [text, mode] : kModes) {
    if (text == name) return mode;
  }
  return std::nullopt;
}

bool is_there(const std::string& path) {
  struct stat file {};
  return !path.empty() && ::stat(path.c_str(), &file) == 0;
}

// libpq's folder of defaults in the home of the user; empty when there is none.
std::string default_file(const std::string& name) {
  std::string home;
  if (const char* given = std::getenv("HOME")) home = given;
  if (home.empty()) {
    if (const passwd* user = ::getpwuid(::geteuid())) home = user->pw_dir;
  }
  return home.empty() ? home : home + "/.postgresql/" + name;
}

// "TLSv1.2" without what OpenSSL does not need.
std::string version(const std::string& name) {
  return name.starts_with("TLSv") ? name.substr(4) : name;
}

// The authority is asked whenever there is a file of authorities, whatever the mode.
Status set_verification(const std::function<std::string(const char*)>& value, OriginTls& tls) {
  net::TlsClientOptions& options = tls.options;
  options.authorities = value("sslrootcert");
  const bool system = options.authorities == "system";
  if (system && tls.mode != SslMode::kVerifyFull) {
    return Error{"sslrootcert=system needs sslmode=verify-full"};
  }
  if (options.authorities.empty()) options.authorities = default_file("root.crt");
  const bool verifies = tls.mode == SslMode::kVerifyCa || tls.mode == SslMode::kVerifyFull;
  if (!system && !is_there(options.authorities)) {
    if (verifies) {
      return Error{"root certificate file \"" + options.authorities +
                   "\" does not exist; provide it, use sslrootcert=system, or change sslmode"};
    }
    return {};
  }
  options.verify = tls.mode == SslMode::kVerifyFull ? net::Verify::kHost : net::Verify::kAuthority;
  if (tls.mode == SslMode::kVerifyFull && tls.host.empty()) {
    return Error{"sslmode=verify-full needs a host name, not only hostaddr"};
  }
  options.revoked = value("sslcrl");
  if (options.revoked.empty() && is_there(default_file("root.crl"))) {
    options.revoked = default_file("root.crl");
  }
  return {};
}

Status set_negotiation(const std::string& name, OriginTls& tls) {
  if (name.empty() || name == "postgres") return {};
  if (name != "direct")
    return Error{"the origin URL's sslnegotiation \"" + name + "\" is not valid"};
  if (first_encryption(tls.mode) != Encryption::kMust) {
    return Error{"sslnegotiation=direct needs sslmode=require, verify-ca or verify-full"};
  }
  tls.direct = true;
  return {};
}

}  // namespace

Result<OriginTls> origin_tls(const std::function<std::string(const char*)>& value) {
  OriginTls tls;
  const std::string mode = value("sslmode");
  const std::optional<SslMode> named = mode_named(mode.empty() ? "prefer" : mode);
  if (!named) return Error{"the origin URL's sslmode \"" + mode + "\" is not valid"};
  tls.mode = *named;
  tls.host = value("host");
  if (Status status = set_negotiation(value("sslnegotiation"), tls); !status) {
    return status.error();
  }
  if (tls.host.starts_with('/')) tls.mode = SslMode::kDisable;  // nobody listens in on the way
  if (tls.mode == SslMode::kDisable) return tls;
  net::TlsClientOptions& options = tls.options;
  if (Status status = set_verification(value, tls); !status) return status.error();
  options.certificate = value("sslcert");
  if (options.certificate.empty()) options.certificate = default_file("postgresql.crt");
  if (!is_there(options.certificate)) options.certificate.clear();
  options.key = value("sslkey");
  if (options.key.empty()) options.key = default_file("postgresql.key");
  options.key_password = value("sslpassword");
  options.min_version = version(value("ssl_min_protocol_version"));
  options.max_version = version(value("ssl_max_protocol_version"));
  options.send_host = value("sslsni") != "0";
  return tls;
}

}  // namespace pgcache::origin
