// SPDX-License-Identifier: Apache-2.0
// How long a TCP connection lives whose peer has vanished without a word. Zero leaves a value to
// the system.
#pragma once

#include <chrono>

#include "net/socket.h"

namespace pgcache::net {

struct SocketOptions {
  std::chrono::seconds keepalives_idle{0};      // silence before the first probe
  std::chrono::seconds keepalives_interval{0};  // between probes
  int keepalives_count = 0;                     // unanswered probes
  std::chrono::milliseconds user_timeout{0};    // for data that is not acknowledged
};

// Nothing happens to a Unix socket.
void apply(const SocketOptions& options, const FileDescriptor& socket);

}  // namespace pgcache::net
