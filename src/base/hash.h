// SPDX-License-Identifier: Apache-2.0
// The one hash for byte strings (XXH3, 64 bits). Hashes find buckets; equality is always decided on
// the whole bytes.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace pgcache {

inline std::uint64_t hash_bytes(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

// For unordered containers keyed by std::string that are searched with a string_view.
struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view s) const noexcept { return hash_bytes(s); }
};

}  // namespace pgcache
