// SPDX-License-Identifier: Apache-2.0
// Random decisions that a seed replays on every machine (splitmix64; the standard distributions are
// not the same everywhere).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pgcache::oracle {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // 0 to n-1; n > 0.
  int below(int n) { return static_cast<int>(next() % static_cast<std::uint64_t>(n)); }
  int between(int low, int high) { return low + below(high - low + 1); }
  bool chance(int percent) { return below(100) < percent; }
  template <typename T>
  const T& pick(const std::vector<T>& items) {
    return items[static_cast<std::size_t>(below(static_cast<int>(items.size())))];
  }
  std::string pick(std::initializer_list<const char*> items) {
    return items.begin()[below(static_cast<int>(items.size()))];
  }

 private:
  std::uint64_t state_;
};

// A seed that depends on both.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  Random random(a * 0x2545f4914f6cdd1du + b);
  return random.next();
}

}  // namespace pgcache::oracle
