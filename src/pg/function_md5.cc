// SPDX-License-Identifier: Apache-2.0
// MD5 (RFC 1321), because PostgreSQL's md5() is it. Not for anything that needs a secure hash.
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "pg/function_table.h"

namespace pgcache::pg::builtin {

namespace {

constexpr std::size_t kBlock = 64;

using State = std::array<std::uint32_t, 4>;

// floor(2^32 * abs(sin(i + 1))), the RFC's own definition of its table.
std::array<std::uint32_t, 64> make_constants() {
  std::array<std::uint32_t, 64> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<std::uint32_t>(
        std::floor(std::fabs(std::sin(static_cast<double>(i) + 1)) * 4294967296.0));
  }
  return out;
}

std::uint32_t load_le32(const char* p) {
  std::uint32_t out = 0;
  for (int i = 3; i >= 0; --i) out = out << 8 | static_cast<unsigned char>(p[i]);
  return out;
}

void digest_block(State& state, const char* block) {
  static const std::array<std::uint32_t, 64> constants = make_constants();
  constexpr int kShifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
  auto [a, b, c, d] = state;
  for (std::uint32_t i = 0; i < 64; ++i) {
    std::uint32_t mixed = 0;
    std::uint32_t word = 0;
    switch (i / 16) {
      case 0:
        mixed = (b & c) | (~b & d);
        word = i;
        break;
      case 1:
        mixed = (d & b) | (~d & c);
        word = (5 * i + 1) % 16;
        break;
      case 2:
        mixed = b ^ c ^ d;
        word = (3 * i + 5) % 16;
        break;
      default:
        mixed = c ^ (b | ~d);
        word = 7 * i % 16;
    }
    const std::uint32_t sum = a + mixed + constants[i] + load_le32(block + 4 * word);
    a = d;
    d = c;
    c = b;
    b += std::rotl(sum, kShifts[i / 16][i % 4]);
  }
  state = {state[0] + a, state[1] + b, state[2] + c, state[3] + d};
}

}  // namespace

std::string md5_hex(std::string_view bytes) {
  State state = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476};
  const std::uint64_t bits = std::uint64_t{bytes.size()} * 8;
  for (; bytes.size() >= kBlock; bytes.remove_prefix(kBlock)) digest_block(state, bytes.data());
  std::string tail(bytes);
  tail += '\x80';
  tail.resize((tail.size() + 8 + kBlock - 1) / kBlock * kBlock - 8, '\0');
  for (int i = 0; i < 8; ++i) tail += static_cast<char>(bits >> (8 * i));
  for (std::size_t at = 0; at < tail.size(); at += kBlock) digest_block(state, tail.data() + at);
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const std::uint32_t word : state) {
    for (int i = 0; i < 4; ++i) {
      const std::uint32_t byte = word >> (8 * i) & 0xFF;
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace pgcache::pg::builtin
