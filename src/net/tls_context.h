// SPDX-License-Identifier: Apache-2.0
// What TLS connections of one kind share: certificate, key, trusted authorities, versions. Loaded
// from files as PostgreSQL and libpq load theirs; immutable from then on; any thread. New
// connections take the one that CurrentTls holds, so that certificates can be replaced while the
// program runs.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"

namespace pgcache::net {

enum class ClientAuth : std::uint8_t { kNone, kOptional, kRequire };
enum class Verify : std::uint8_t { kNothing, kAuthority, kHost };

// For the side that accepts.
struct TlsServerOptions {
  std::string certificate;  // paths of PEM files
  std::string key;
  std::string authorities;  // empty: client certificates cannot be verified
  ClientAuth client_auth = ClientAuth::kNone;
  std::string min_version = "1.2";
};

// For the side that connects, with the meanings that libpq gives them.
struct TlsClientOptions {
  Verify verify = Verify::kNothing;
  std::string authorities;  // "system": those of the system; empty: none
  std::string revoked;      // a list of revoked certificates, or empty
  std::string certificate;  // of our own, or empty
  std::string key;
  std::string key_password;
  std::string min_version = "1.2";  // empty: any
  std::string max_version;          // empty: any
  bool send_host = true;            // server name indication
};

class TlsContext {
 public:
  static Result<std::shared_ptr<const TlsContext>> server(const TlsServerOptions& options);
  static Result<std::shared_ptr<const TlsContext>> client(const TlsClientOptions& options);

  SSL_CTX* get() const { return context_.get(); }
  bool is_server() const { return server_; }
  Verify verify() const { return verify_; }
  bool send_host() const { return send_host_; }
  // RFC 5929's tls-server-end-point of the certificate that is presented; empty when there is none.
  const std::string& end_point() const { return end_point_; }

 private:
  TlsContext(SSL_CTX* context, bool server) : context_(context, &SSL_CTX_free), server_(server) {}

  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  bool server_;
  Verify verify_ = Verify::kNothing;
  bool send_host_ = false;
  std::string end_point_;
};

using TlsContextPtr = std::shared_ptr<const TlsContext>;  // shared by connections and CurrentTls

// The context that new connections are to use; none when there is no TLS. Any thread.
class CurrentTls {
 public:
  TlsContextPtr get() const {
    const std::lock_guard lock(mutex_);
    return context_;
  }
  void set(TlsContextPtr context) {
    const std::lock_guard lock(mutex_);
    context_ = std::move(context);
  }

 private:
  mutable std::mutex mutex_;
  TlsContextPtr context_;  // guarded by mutex_
};

// RFC 5929: the certificate's hash by the function of its signature, MD5 and SHA-1 replaced by
// SHA-256. Empty when that cannot be told.
std::string end_point_of(const X509* certificate);

// What OpenSSL has noted first on this thread, in words; the notes are cleared.
std::string take_tls_error();

}  // namespace pgcache::net
