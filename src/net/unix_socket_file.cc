// SPDX-License-Identifier: Apache-2.0
#include "net/unix_socket_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace pgcache::net {

namespace {

constexpr int kAttempts = 10;

std::string lock_of(const std::string& path) { return path + ".lock"; }

// The process that holds the lock, or 0 when that is nobody any more. A number that is ours or our
// parent's was somebody's before the machine, or the container, was started anew.
pid_t owner_of(const std::string& lock) {
  std::ifstream file(lock);
  long pid = 0;
  if (!(file >> pid) || pid <= 0) return 0;
  if (pid == ::getpid() || pid == ::getppid()) return 0;
  const bool alive = ::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM;
  return alive ? static_cast<pid_t>(pid) : 0;
}

Error failed(const std::string& what, const std::string& path) {
  return Error{what + " \"" + path + "\": " + std::strerror(errno)};
}

}  // namespace

std::string UnixSocketFile::path_in(const std::string& directory, std::uint16_t port) {
  return directory + "/.s.PGSQL." + std::to_string(port);
}

Status UnixSocketFile::take(const std::string& path) {
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return Error{"the path of the Unix socket \"" + path + "\" is too long"};
  }
  const std::string lock = lock_of(path);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const int file = ::open(lock.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0) {
      const std::string text = std::to_string(::getpid()) + "\n";
      const bool written =
          ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
      ::close(file);
      path_ = path;
      if (!written) return failed("could not write lock file", lock);
      if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed("could not remove", path);
      return {};
    }
    if (errno != EEXIST) return failed("could not create lock file", lock);
    if (const pid_t owner = owner_of(lock); owner != 0) {
      return Error{"lock file \"" + lock + "\" is held by process " + std::to_string(owner)};
    }
    if (::unlink(lock.c_str()) != 0 && errno != ENOENT) {
      return failed("could not remove old lock file", lock);
    }
  }
  return Error{"could not create lock file \"" + lock + "\""};
}

void UnixSocketFile::remove() {
  if (path_.empty()) return;
  ::unlink(path_.c_str());
  ::unlink(lock_of(path_).c_str());
  path_.clear();
}

}  // namespace pgcache::net
