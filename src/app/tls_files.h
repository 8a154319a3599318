// SPDX-License-Identifier: Apache-2.0
// The certificates of the program: loads them at the start, and again when their files have changed
// or when it is told to. Connections that stand keep what they began with. Main thread; what it
// publishes is for any thread.
#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "net/tls_context.h"
#include "origin/origin_tls.h"

namespace pgcache::app {

class TlsFiles {
 public:
  TlsFiles(const config::Config& config, const origin::OriginTls& origin);

  Status load();  // at the start: an error ends the program
  // What cannot be loaded is logged, and the old one stays.
  void reload();
  void reload_when_changed();

  const net::CurrentTls& for_clients() const { return for_clients_; }
  const net::CurrentTls& for_origin() const { return for_origin_; }

 private:
  // What tells one version of a file from another.
  struct Stamp {
    bool there = false;
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    timespec modified{};
    bool operator==(const Stamp& other) const;
  };
  static Stamp stamp_of(const std::string& path);
  std::vector<Stamp> stamps() const;

  net::TlsServerOptions server_;
  origin::OriginTls origin_;
  net::CurrentTls for_clients_;
  net::CurrentTls for_origin_;
  std::vector<Stamp> loaded_;
};

}  // namespace pgcache::app
