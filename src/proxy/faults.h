// SPDX-License-Identifier: Apache-2.0
// Test-only switches that delay or break the program on purpose, to widen races and to prove that
// the tests notice wrong behaviour. Read once from the environment; compiled out of release builds,
// where they all are constants that say "no".
//
//   PGCACHE_FAULT_APPLY_DELAY_MS=N  before a transaction is applied
//   PGCACHE_FAULT_LOAD_DELAY_MS=N   between a result and its publishing
//   PGCACHE_FAULT_BREAK=WHAT        no_invalidation | skip_publish_check | ignore_settings |
//                                   serve_in_transactions | applier_dies |
//                                   full_join_as_inner | toast_as_null | trust_pooler |
//                                   forget_own_writes | ignore_staleness | resume_over_crash
#pragma once

#include <chrono>
#include <cstdlib>
#include <string>
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
// The statement that is analysed in place of this one: each FULL JOIN made an inner join, with all
// else at its place.
inline std::string analysed_text(std::string_view sql) {
  std::string text(sql);
  if (!broken("full_join_as_inner")) return text;
  for (auto at = text.find("FULL JOIN"); at != text.npos; at = text.find("FULL JOIN", at)) {
    text.replace(at, 4, "    ");
  }
  return text;
}

#else

constexpr bool broken(std::string_view) { return false; }
inline void load_delay() {}
constexpr std::string_view analysed_text(std::string_view sql) { return sql; }

#endif

}  // namespace pgcache::proxy::faults
