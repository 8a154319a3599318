// SPDX-License-Identifier: Apache-2.0
// inet and cidr as one family (PostgreSQL compares a cidr as an inet); macaddr and macaddr8.
//
// Canonical form of an inet: 4 or 6 for the version, the address with its host bits cleared, the
// number of network bits, the whole address. Bytewise that is PostgreSQL's order: by the network
// bits that both have, then by their number, then by all bits.
//
// Text is read where it is complete: four decimal numbers without needless zeros, or the groups of
// RFC 4291 with "::" and dotted decimals at the end; of the shortened forms of cidr ("10.1") none.
#include <array>

#include "base/bytes.h"
#include "pg/value_codec.h"

namespace pgcache::pg {

namespace {

constexpr std::size_t kBytesV4 = 4;
constexpr std::size_t kBytesV6 = 16;

// A decimal number up to `max` without needless zeros.
std::optional<unsigned> small_number(std::string_view text, unsigned max) {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value <= max ? std::optional(value) : std::nullopt;
}

// `address` with all bits behind the first `bits` cleared.
std::string network_of(std::string address, unsigned bits) {
  for (std::size_t i = 0; i < address.size(); ++i) {
    const auto first_bit = static_cast<unsigned>(i * 8);
    if (first_bit >= bits) {
      address[i] = 0;
    } else if (first_bit + 8 > bits) {
      const auto mask = static_cast<std::uint8_t>(0xFFu << (first_bit + 8 - bits));
      address[i] = static_cast<char>(static_cast<std::uint8_t>(address[i]) & mask);
    }
  }
  return address;
}

CanonicalBytes canonical_inet(Oid type, const std::string& address, unsigned bits) {
  const std::string network = network_of(address, bits);
  if (type == type::kCidr && network != address) return std::nullopt;
  std::string out(1, address.size() == kBytesV4 ? '\4' : '\6');
  out += network;
  out += static_cast<char>(bits);
  return out += address;
}

// Dotted decimals.
CanonicalBytes address_v4(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < kBytesV4; ++i) {
    const std::size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (i == kBytesV4 - 1)) return std::nullopt;
    const auto byte = small_number(text.substr(0, dot), 255);
    if (!byte) return std::nullopt;
    out += static_cast<char>(*byte);
    text = dot == std::string_view::npos ? std::string_view{} : text.substr(dot + 1);
  }
  return out;
}

// One to four hexadecimal digits, as two bytes.
CanonicalBytes group_v6(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  unsigned value = 0;
  for (const char c : text) {
    const int digit = hex_digit(c);
    if (digit < 0) return std::nullopt;
    value = value * 16 + static_cast<unsigned>(digit);
  }
  std::string out;
  append_be16(out, static_cast<std::uint16_t>(value));
  return out;
}

// Groups between colons, perhaps none; the last one may be dotted decimals if `at_end`.
CanonicalBytes groups_v6(std::string_view text, bool at_end) {
  std::string out;
  if (text.empty()) return out;
  while (true) {
    const std::size_t colon = text.find(':');
    const bool last = colon == std::string_view::npos;
    const std::string_view group = text.substr(0, colon);
    const bool dotted = last && at_end && group.find('.') != std::string_view::npos;
    const auto bytes = dotted ? address_v4(group) : group_v6(group);
    if (!bytes) return std::nullopt;
    out += *bytes;
    if (last) return out;
    text.remove_prefix(colon + 1);
  }
}

CanonicalBytes address_v6(std::string_view text) {
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    auto whole = groups_v6(text, true);
    return whole && whole->size() == kBytesV6 ? whole : std::nullopt;
  }
  const auto front = groups_v6(text.substr(0, gap), false);
  const auto back = groups_v6(text.substr(gap + 2), true);
  if (!front || !back || front->size() + back->size() + 2 > kBytesV6) return std::nullopt;
  return *front + std::string(kBytesV6 - front->size() - back->size(), '\0') + *back;
}

// All digits of a MAC address in pairs, without what separates them: nothing, or one and the same
// sign after every `step` bytes.
CanonicalBytes separated_bytes(std::string_view text, std::size_t step, char sign) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (!out.empty() && out.size() % step == 0) {
      if (text[at] != sign) return std::nullopt;
      ++at;
    }
    const auto byte = hex_pair(text, at);
    if (!byte) return std::nullopt;
    out += *byte;
    at += 2;
  }
  return out;
}

// Of `length` bytes, in the notations that both types read.
CanonicalBytes mac_from_text(std::string_view text, std::size_t length) {
  if (text.size() < 2 * length || text.size() > 3 * length) return std::nullopt;
  const std::size_t sign = text.find_first_of(":-.");
  std::optional<std::string> bytes;
  if (sign == std::string_view::npos) {
    bytes = separated_bytes(text, length, ':');
  } else {
    const std::size_t step = sign / 2;
    // "08:00:2b:01:02:03", "0800.2b01.0203", "08002b:010203"
    const bool known = (step == 1 && text[sign] != '.') || (step == 2 && text[sign] != ':') ||
                       (step == 3 && length == 6 && text[sign] != '.');
    if (!known) return std::nullopt;
    bytes = separated_bytes(text, step, text[sign]);
  }
  return bytes && bytes->size() == length ? bytes : std::nullopt;
}

}  // namespace

CanonicalBytes inet_from_text(Oid type, std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view address_text = text.substr(0, slash);
  const bool is_v6 = address_text.find(':') != std::string_view::npos;
  const auto bits_max = static_cast<unsigned>((is_v6 ? kBytesV6 : kBytesV4) * 8);
  const auto address = is_v6 ? address_v6(address_text) : address_v4(address_text);
  const auto bits = slash == std::string_view::npos
                        ? std::optional(bits_max)
                        : small_number(text.substr(slash + 1), bits_max);
  if (!address || !bits) return std::nullopt;
  return canonical_inet(type, *address, *bits);
}

// inet_send(): the family (2 or 3), the network bits, whether it is a cidr, the address's length,
// the address.
CanonicalBytes inet_from_binary(Oid type, std::string_view bytes) {
  constexpr std::uint8_t kFamilyV4 = 2, kFamilyV6 = 3;
  ByteReader reader(bytes);
  const std::uint8_t family = reader.u8();
  const unsigned bits = reader.u8();
  (void)reader.u8();
  const std::size_t length = reader.u8();
  const std::string address(reader.bytes(length));
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  if (family != kFamilyV4 && family != kFamilyV6) return std::nullopt;
  if (length != (family == kFamilyV4 ? kBytesV4 : kBytesV6) || bits > length * 8) {
    return std::nullopt;
  }
  return canonical_inet(type, address, bits);
}

CanonicalBytes macaddr_from_text(std::string_view text) { return mac_from_text(text, 6); }

// One of six bytes gets two in its middle.
CanonicalBytes macaddr8_from_text(std::string_view text) {
  if (auto eight = mac_from_text(text, 8)) return eight;
  auto six = mac_from_text(text, 6);
  if (!six) return std::nullopt;
  return six->insert(3, "\xFF\xFE");
}

CanonicalBytes macaddr8_from_binary(std::string_view bytes) {
  if (bytes.size() == 8) return std::string(bytes);
  if (bytes.size() != 6) return std::nullopt;
  return std::string(bytes).insert(3, "\xFF\xFE");
}

}  // namespace pgcache::pg
