// SPDX-License-Identifier: Apache-2.0
#include "app/tls_files.h"

#include "base/log.h"

namespace pgcache::app {
namespace {

net::ClientAuth client_auth(const std::string& name) {
  if (name == "require") return net::ClientAuth::kRequire;
  return name == "optional" ? net::ClientAuth::kOptional : net::ClientAuth::kNone;
}

}  // namespace

TlsFiles::TlsFiles(const config::Config& config, const origin::OriginTls& origin)
    : origin_(origin) {
  server_.certificate = config.tls_cert;
  server_.key = config.tls_key;
  server_.authorities = config.tls_ca;
  server_.client_auth = client_auth(config.tls_client_auth);
  server_.min_version = config.tls_min_version;
}

Status TlsFiles::load() {
  loaded_ = stamps();
  net::TlsContextPtr for_clients;
  net::TlsContextPtr for_origin;
  if (!server_.certificate.empty()) {
    Result<net::TlsContextPtr> context = net::TlsContext::server(server_);
    if (!context.ok()) return context.error();
    for_clients = *std::move(context);
  }
  if (origin_.mode != origin::SslMode::kDisable) {
    Result<net::TlsContextPtr> context = net::TlsContext::client(origin_.options);
    if (!context.ok()) return Error{"for the origin: " + context.error().message};
    for_origin = *std::move(context);
  }
  for_clients_.set(std::move(for_clients));
  for_origin_.set(std::move(for_origin));
  return {};
}

void TlsFiles::reload() {
  if (!for_clients_.get() && !for_origin_.get()) return;
  if (const Status status = load(); !status.ok()) {
    log_error("TLS: {}; the certificates loaded before stay in use", status.error().message);
    return;
  }
  log_info("TLS: certificates loaded anew");
}

void TlsFiles::reload_when_changed() {
  if (stamps() != loaded_) reload();
}

bool TlsFiles::Stamp::operator==(const Stamp& other) const {
  return there == other.there && device == other.device && inode == other.inode &&
         size == other.size && modified.tv_sec == other.modified.tv_sec &&
         modified.tv_nsec == other.modified.tv_nsec;
}

TlsFiles::Stamp TlsFiles::stamp_of(const std::string& path) {
  struct stat file {};
  if (path.empty() || ::stat(path.c_str(), &file) != 0) return {};
  return {true, file.st_dev, file.st_ino, file.st_size, file.st_mtim};
}

std::vector<TlsFiles::Stamp> TlsFiles::stamps() const {
  std::vector<Stamp> all;
  const net::TlsClientOptions& client = origin_.options;
  for (const std::string* path :
       {&server_.certificate, &server_.key, &server_.authorities, &client.authorities,
        &client.revoked, &client.certificate, &client.key}) {
    all.push_back(stamp_of(*path));
  }
  return all;
}

}  // namespace pgcache::app
