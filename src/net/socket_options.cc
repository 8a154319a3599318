// SPDX-License-Identifier: Apache-2.0
#include "net/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

namespace pgcache::net {

namespace {

void set_tcp(const FileDescriptor& socket, int name, std::int64_t value) {
  if (value <= 0) return;
  const int number = static_cast<int>(value);
  ::setsockopt(socket.get(), IPPROTO_TCP, name, &number, sizeof number);
}

}  // namespace

void apply(const SocketOptions& options, const FileDescriptor& socket) {
  if (!socket.open()) return;
  set_tcp(socket, TCP_KEEPIDLE, options.keepalives_idle.count());
  set_tcp(socket, TCP_KEEPINTVL, options.keepalives_interval.count());
  set_tcp(socket, TCP_KEEPCNT, options.keepalives_count);
  set_tcp(socket, TCP_USER_TIMEOUT, options.user_timeout.count());
}

}  // namespace pgcache::net
