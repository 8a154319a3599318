// SPDX-License-Identifier: Apache-2.0
// Network-order integers in byte strings, and a reader that never passes the end.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace pgcache {

inline std::uint16_t load_be16(const char* p) {
  std::uint16_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap16(v);
}
inline std::uint32_t load_be32(const char* p) {
  std::uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap32(v);
}
inline std::uint64_t load_be64(const char* p) {
  std::uint64_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap64(v);
}
inline void store_be32(char* p, std::uint32_t v) {
  v = __builtin_bswap32(v);
  std::memcpy(p, &v, sizeof v);
}
inline void append_be16(std::string& out, std::uint16_t v) {
  v = __builtin_bswap16(v);
  out.append(reinterpret_cast<const char*>(&v), sizeof v);
}
inline void append_be32(std::string& out, std::uint32_t v) {
  v = __builtin_bswap32(v);
  out.append(reinterpret_cast<const char*>(&v), sizeof v);
}
inline void append_be64(std::string& out, std::uint64_t v) {
  v = __builtin_bswap64(v);
  out.append(reinterpret_cast<const char*>(&v), sizeof v);
}

// Reads from a view that it does not own. After a read past the end ok() is false for good and
// every further read returns zero or an empty view, so a decoder may check once at its end.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }
  std::size_t remaining() const { return rest_.size(); }
  std::string_view rest() const { return rest_; }

  std::uint8_t u8() {
    const std::string_view b = bytes(1);
    return b.empty() ? 0 : static_cast<std::uint8_t>(b[0]);
  }
  std::uint16_t u16() {
    const std::string_view b = bytes(2);
    return b.empty() ? 0 : load_be16(b.data());
  }
  std::uint32_t u32() {
    const std::string_view b = bytes(4);
    return b.empty() ? 0 : load_be32(b.data());
  }
  std::uint64_t u64() {
    const std::string_view b = bytes(8);
    return b.empty() ? 0 : load_be64(b.data());
  }
  std::int16_t i16() { return static_cast<std::int16_t>(u16()); }
  std::int32_t i32() { return static_cast<std::int32_t>(u32()); }
  std::int64_t i64() { return static_cast<std::int64_t>(u64()); }

  // The next n bytes; an empty view when there are fewer (then ok() is false if n > 0).
  std::string_view bytes(std::size_t n) {
    if (n > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view b = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return b;
  }

  // Up to the next zero byte, which is consumed and not returned.
  std::string_view cstring() {
    const std::size_t end = rest_.find('\0');
    if (end == std::string_view::npos) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view s = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return s;
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace pgcache
