// SPDX-License-Identifier: Apache-2.0
#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace pgcache::net {
namespace {

// The name of the protocol in ALPN, with its length in front.
constexpr std::string_view kProtocol = "\x0apostgresql";

Error file_error(const std::string& what, const std::string& path) {
  return Error{"could not load " + what + " \"" + path + "\": " + take_tls_error()};
}

// Nobody is there to be asked: without a password an encrypted key cannot be loaded.
int give_password(char* into, int bytes_max, int /*writing*/, void* password) {
  const auto* given = static_cast<const std::string*>(password);
  if (given == nullptr || std::cmp_greater(given->size(), bytes_max)) return -1;
  return static_cast<int>(given->copy(into, given->size()));
}

// As PostgreSQL demands it of server and clients: for the owner alone, or root's and readable by a
// group that we belong to.
Status check_key_file(const std::string& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) {
    return Error{"could not access private key file \"" + path + "\": " + std::strerror(errno)};
  }
  if (!S_ISREG(file.st_mode)) {
    return Error{"private key file \"" + path + "\" is not a regular file"};
  }
  const bool ours = file.st_uid == ::geteuid() && (file.st_mode & (S_IRWXG | S_IRWXO)) == 0;
  const bool roots = file.st_uid == 0 && (file.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) == 0;
  if (ours || roots) return {};
  return Error{"private key file \"" + path +
               "\" has group or world access; it must have permissions 0600 or less if it is owned "
               "by the user of pgcache, or 0640 or less if it is owned by root"};
}

Status load_identity(SSL_CTX* context, const std::string& certificate, const std::string& key,
                     const std::string* password) {
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
    return file_error("certificate file", certificate);
  }
  if (Status status = check_key_file(key); !status) return status;
  SSL_CTX_set_default_passwd_cb(context, give_password);
  SSL_CTX_set_default_passwd_cb_userdata(context, const_cast<std::string*>(password));
  const int loaded = SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM);
  SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  if (loaded != 1) return file_error("private key file", key);
  if (SSL_CTX_check_private_key(context) != 1) {
    return Error{"certificate \"" + certificate + "\" does not match private key \"" + key +
                 "\": " + take_tls_error()};
  }
  return {};
}

int version_number(std::string_view name) {
  if (name == "1" || name == "1.0") return TLS1_VERSION;
  if (name == "1.1") return TLS1_1_VERSION;
  if (name == "1.2") return TLS1_2_VERSION;
  return name == "1.3" ? TLS1_3_VERSION : 0;
}

// A client of another protocol is turned away; one that says nothing about it is let in here.
int choose_protocol(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* chosen_bytes,
                    const unsigned char* offered, unsigned offered_bytes, void* /*unused*/) {
  const auto* ours = reinterpret_cast<const unsigned char*>(kProtocol.data());
  unsigned char* out = nullptr;
  const int result =
      SSL_select_next_proto(&out, chosen_bytes, ours, kProtocol.size(), offered, offered_bytes);
  *chosen = out;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// As PostgreSQL: neither resumed sessions, nor compression, nor renegotiation. Who closes without
// saying so is taken as having closed: the protocol's own frames show what is not whole.
void set_common(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
}

Status load_authorities(SSL_CTX* context, const std::string& path) {
  if (path == "system") {
    if (SSL_CTX_set_default_verify_paths(context) == 1) return {};
    return Error{"could not load the system's root certificates: " + take_tls_error()};
  }
  if (SSL_CTX_load_verify_locations(context, path.c_str(), nullptr) == 1) return {};
  return file_error("root certificate file", path);
}

Status load_revoked(SSL_CTX* context, const std::string& path) {
  if (path.empty()) return {};
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  if (X509_STORE_load_locations(store, path.c_str(), nullptr) != 1) {
    return file_error("certificate revocation list", path);
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return {};
}

}  // namespace

Result<TlsContextPtr> TlsContext::server(const TlsServerOptions& options) {
  ERR_clear_error();
  std::shared_ptr<TlsContext> made(new TlsContext(SSL_CTX_new(TLS_server_method()), true));
  SSL_CTX* context = made->get();
  if (context == nullptr) return Error{"TLS: " + take_tls_error()};
  set_common(context);
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_min_proto_version(context, version_number(options.min_version));
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  if (Status status = load_identity(context, options.certificate, options.key, nullptr); !status) {
    return status.error();
  }
  if (options.client_auth != ClientAuth::kNone) {
    if (Status status = load_authorities(context, options.authorities); !status) {
      return status.error();
    }
    // Their names are told to clients, which choose a certificate by them.
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(options.authorities.c_str()));
    const bool must = options.client_auth == ClientAuth::kRequire;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (must ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       nullptr);
  }
  made->end_point_ = end_point_of(SSL_CTX_get0_certificate(context));
  return TlsContextPtr(std::move(made));
}

Result<TlsContextPtr> TlsContext::client(const TlsClientOptions& options) {
  ERR_clear_error();
  std::shared_ptr<TlsContext> made(new TlsContext(SSL_CTX_new(TLS_client_method()), false));
  SSL_CTX* context = made->get();
  if (context == nullptr) return Error{"TLS: " + take_tls_error()};
  set_common(context);
  SSL_CTX_set_min_proto_version(context, version_number(options.min_version));
  SSL_CTX_set_max_proto_version(context, version_number(options.max_version));
  SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(kProtocol.data()),
                          static_cast<unsigned>(kProtocol.size()));
  if (!options.certificate.empty()) {
    if (Status status =
            load_identity(context, options.certificate, options.key, &options.key_password);
        !status) {
      return status.error();
    }
  }
  if (options.verify != Verify::kNothing) {
    if (Status status = load_authorities(context, options.authorities); !status) {
      return status.error();
    }
    if (Status status = load_revoked(context, options.revoked); !status) return status.error();
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
  made->verify_ = options.verify;
  made->send_host_ = options.send_host;
  return TlsContextPtr(std::move(made));
}

std::string end_point_of(const X509* certificate) {
  int digest_id = NID_undef;
  if (certificate == nullptr || X509_get_signature_info(const_cast<X509*>(certificate), &digest_id,
                                                        nullptr, nullptr, nullptr) != 1) {
    return {};
  }
  if (digest_id == NID_md5 || digest_id == NID_sha1) digest_id = NID_sha256;
  const EVP_MD* digest = EVP_get_digestbynid(digest_id);
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned bytes = 0;
  if (digest == nullptr || X509_digest(certificate, digest, hash.data(), &bytes) != 1) return {};
  return {reinterpret_cast<const char*>(hash.data()), bytes};
}

std::string take_tls_error() {
  const unsigned long code = ERR_peek_error();
  ERR_clear_error();
  if (code == 0) return "no reason given";
  // A code of the system's own has no text in OpenSSL's tables.
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* text = ERR_reason_error_string(code);
  return text != nullptr ? text : "error " + std::to_string(code);
}

}  // namespace pgcache::net
