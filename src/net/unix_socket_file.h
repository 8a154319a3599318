// SPDX-License-Identifier: Apache-2.0
// The name of a Unix socket in a directory, as PostgreSQL keeps it: .s.PGSQL.PORT, and beside it a
// lock file with the process that owns it. What a process left that is no more is removed. The
// files are gone with the object.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace pgcache::net {

class UnixSocketFile {
 public:
  UnixSocketFile() = default;
  ~UnixSocketFile() { remove(); }
  UnixSocketFile(const UnixSocketFile&) = delete;
  UnixSocketFile& operator=(const UnixSocketFile&) = delete;

  static std::string path_in(const std::string& directory, std::uint16_t port);

  // Takes the lock and makes way for a new socket of this name.
  Status take(const std::string& path);
  void remove();

 private:
  std::string path_;  // empty: nothing is ours
};

}  // namespace pgcache::net
