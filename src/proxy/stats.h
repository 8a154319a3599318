// SPDX-License-Identifier: Apache-2.0
// Route counters and latencies. Each worker has its own RouteStats, which it alone writes; the
// admin thread sums them up. Relaxed atomics: a scrape may be a few queries behind, never wrong for
// long.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "sql/bypass_reason.h"

namespace pgcache::proxy {

enum class Route : std::uint8_t { kHit, kMiss, kBypass, kFallback };
inline constexpr std::string_view kRouteLabels[] = {"hit", "miss", "bypass", "fallback"};

// Why the cache was consulted, failed, and the query went to the origin.
enum class FallbackReason : std::uint8_t {
  kLoadWait,       // somebody else's load of the same key did not finish in time
  kTrackingWait,   // the relation was not covered by the publication in time
  kSettingsQuery,  // the origin did not tell the session's settings
  kCacheError,     // the cache's code failed
  kProofWait,      // strict by read: the proof that the hit is fresh did not come in time
};
inline constexpr std::string_view kFallbackReasonLabels[] = {
    "load_wait", "tracking_wait", "settings_query", "cache_error", "proof_wait"};

class LatencyHistogram {
 public:
  // Upper bounds in nanoseconds: 1 µs doubling up to about 67 s.
  static constexpr std::size_t kBuckets = 27;

  void observe(std::chrono::nanoseconds latency) {
    const auto ns = static_cast<std::uint64_t>(latency.count() < 0 ? 0 : latency.count());
    std::size_t bucket = 0;
    while (bucket < kBuckets && ns > (std::uint64_t{1000} << bucket)) ++bucket;
    bump(counts_[bucket], 1);
    bump(sum_ns_, ns);
  }
  std::uint64_t count(std::size_t bucket) const {
    return counts_[bucket].load(std::memory_order_relaxed);
  }
  std::uint64_t sum_ns() const { return sum_ns_.load(std::memory_order_relaxed); }
  static double bound_seconds(std::size_t bucket) {
    return static_cast<double>(std::uint64_t{1000} << bucket) * 1e-9;
  }

 private:
  // One writer: a plain add, without a locked instruction.
  static void bump(std::atomic<std::uint64_t>& counter, std::uint64_t by) {
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  std::array<std::atomic<std::uint64_t>, kBuckets + 1> counts_{};
  std::atomic<std::uint64_t> sum_ns_{0};
};

struct alignas(64) RouteStats {
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> portal_hits{0};  // of these, those that go on with a portal
  std::atomic<std::uint64_t> misses{0};
  std::array<std::atomic<std::uint64_t>, sql::kBypassReasonCount> bypasses{};
  std::array<std::atomic<std::uint64_t>, std::size(kFallbackReasonLabels)> fallbacks{};
  std::array<LatencyHistogram, std::size(kRouteLabels)> latency;
  std::atomic<std::uint64_t> blocks_deferred{0};  // begun without the origin
  std::atomic<std::uint64_t> blocks_local{0};     // of these, ended without it too
  std::atomic<std::uint64_t> sessions_failed{0};  // ended here, for want of memory
  std::atomic<std::int64_t> clients{0};
  std::atomic<std::int64_t> tls_clients{0};  // of these, in TLS; and those whose origin is
  std::atomic<std::int64_t> tls_origin{0};

  static void bump(std::atomic<std::uint64_t>& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

}  // namespace pgcache::proxy
