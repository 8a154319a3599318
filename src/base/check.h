// SPDX-License-Identifier: Apache-2.0
// CHECK(condition) ends the process with the place and the condition when one of our own invariants
// is broken, in every build. Never for bytes that came from a peer.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace pgcache::internal {
[[noreturn]] inline void check_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, condition);
  std::abort();
}
}  // namespace pgcache::internal

#define CHECK(condition)        \
  (static_cast<bool>(condition) \
       ? void(0)                \
       : ::pgcache::internal::check_failed(__FILE__, __LINE__, #condition))
