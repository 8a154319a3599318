// SPDX-License-Identifier: Apache-2.0
// Test-only switches that delay or break the program on purpose, to widen races and to prove that
// the tests notice wrong behaviour. Read once from the environment; compiled out of release builds,
// where they all are constants that say "no".
//
//   PGCACHE_FAULT_APPLY_DELAY_MS=N  before a transaction is applied
//   PGCACHE_FAULT_LOAD_DELAY_MS=N   between a result and its publishing
//   PGCACHE_FAULT_BREAK=WHAT        no_invalidation | skip_publish_check | ignore_settings |
//                                   serve_in_transactions | applier_dies
#pragma once

#include <chrono>
#include <cstdlib>
#include <string_view>
#include <thread>

namespace pgcache::proxy::faults {

#ifdef PGCACHE_FAULTS

inline bool broken(std::string_view what) {
  static const char* const value = std::getenv("PGCACHE_FAULT_BREAK");
  return value != nullptr && what == value;
}
inline void load_delay() {
  static const char* const value = std::getenv("PGCACHE_FAULT_LOAD_DELAY_MS");
  if (value != nullptr) std::this_thread::sleep_for(std::chrono::milliseconds(std::atoi(value)));
}

#else

constexpr bool broken(std::string_view) { return false; }
inline void load_delay() {}

#endif

}  // namespace pgcache::proxy::faults
