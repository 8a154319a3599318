// SPDX-License-Identifier: Apache-2.0
// StrongId<Tag, Int>: an integer that cannot be mistaken for another kind of integer.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace pgcache {

template <typename Tag, typename Int = std::uint32_t>
struct StrongId {
  Int value = 0;
  friend auto operator<=>(const StrongId&, const StrongId&) = default;
};

}  // namespace pgcache

template <typename Tag, typename Int>
struct std::hash<pgcache::StrongId<Tag, Int>> {
  std::size_t operator()(const pgcache::StrongId<Tag, Int>& id) const noexcept {
    return std::hash<Int>()(id.value);
  }
};
