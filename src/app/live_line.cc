// SPDX-License-Identifier: Apache-2.0
#include "app/live_line.h"

#include <fmt/format.h>

#include <numeric>

namespace pgcache::app {

namespace {

template <typename Pairs>
std::uint64_t total(const Pairs& pairs) {
  std::uint64_t sum = 0;
  for (const auto& [reason, count] : pairs) sum += count;
  return sum;
}

std::string human_bytes(std::uint64_t bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, units[unit]);
}

}  // namespace

std::string LiveLine::next(const admin::RouteCounts& routes, const cache::CacheStatus& status,
                           const admin::Readiness& readiness, TimePoint now) {
  const std::uint64_t bypass = total(routes.bypass);
  const std::uint64_t fallback = total(routes.fallback);
  const double seconds =
      last_ == TimePoint{} ? 1.0 : std::chrono::duration<double>(now - last_).count();
  const auto rate = [seconds](std::uint64_t present, std::uint64_t before) {
    return static_cast<double>(present - before) / (seconds > 0 ? seconds : 1);
  };
  const double hits = rate(routes.hit, hit_);
  const double misses = rate(routes.miss, miss_);
  const double served = hits + misses;
  const std::uint64_t invalidations = std::accumulate(
      std::begin(status.invalidations), std::end(status.invalidations), std::uint64_t{0});
  std::string line = fmt::format(
      "{:>7.0f} hit/s {:>6.0f} miss/s {:>6.0f} bypass/s {:>4.0f} fallback/s | hit ratio {:>5.1f} % "
      "| "
      "{} entries {} | {} invalidations | fresh {:.3f} s",
      hits, misses, rate(bypass, bypass_), rate(fallback, fallback_),
      served > 0 ? 100 * hits / served : 0.0, status.entries, human_bytes(status.bytes),
      invalidations, status.freshness_seconds);
  if (!readiness.ready) {
    line +=
        " | not serving from the cache: " + readiness.reason.substr(0, readiness.reason.find('\n'));
  }
  hit_ = routes.hit;
  miss_ = routes.miss;
  bypass_ = bypass;
  fallback_ = fallback;
  last_ = now;
  return line;
}

}  // namespace pgcache::app
