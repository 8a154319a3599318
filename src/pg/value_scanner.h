// SPDX-License-Identifier: Apache-2.0
// Internal to pg: reads the text forms of times and intervals from the front.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace pgcache::pg {

// Reads from the front of a text; what was read is taken off.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  bool eat(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::size_t digit_count() const {
    std::size_t n = 0;
    while (n < rest_.size() && rest_[n] >= '0' && rest_[n] <= '9') ++n;
    return n;
  }
  std::string_view rest() const { return rest_; }
  void skip(std::size_t n) { rest_.remove_prefix(n); }
  // The next n digits (at most 7) as a number.
  std::optional<int> digits(std::size_t n) {
    if (n == 0 || n > 7 || digit_count() < n) return std::nullopt;
    int value = 0;
    for (std::size_t i = 0; i < n; ++i) value = value * 10 + (rest_[i] - '0');
    rest_.remove_prefix(n);
    return value;
  }
  // Exactly two digits, up to `max`.
  std::optional<int> two_digits(int max) {
    if (digit_count() != 2) return std::nullopt;
    const auto value = digits(2);
    return value && *value <= max ? value : std::nullopt;
  }
  // One to six digits, a part of a second, as microseconds.
  std::optional<int> fraction() {
    const std::size_t n = digit_count();
    if (n > 6) return std::nullopt;
    auto value = digits(n);
    if (!value) return std::nullopt;
    for (std::size_t i = n; i < 6; ++i) *value *= 10;
    return value;
  }
  // Letters of ASCII, perhaps none.
  std::string_view letters() {
    std::size_t n = 0;
    while (n < rest_.size() &&
           ((rest_[n] >= 'a' && rest_[n] <= 'z') || (rest_[n] >= 'A' && rest_[n] <= 'Z'))) {
      ++n;
    }
    const std::string_view word = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return word;
  }

 private:
  std::string_view rest_;
};

}  // namespace pgcache::pg
