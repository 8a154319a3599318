// SPDX-License-Identifier: Apache-2.0
// Text forms of log positions and snapshots, and the arithmetic of transaction ids.
#include "pg/ids.h"

#include <charconv>

namespace pgcache::pg {

namespace {

// The whole of `text` as an unsigned number; no sign, no spaces.
std::optional<std::uint64_t> parse_unsigned(std::string_view text, int base) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

}  // namespace

std::optional<Lsn> parse_lsn(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view high_text = text.substr(0, slash);
  const std::string_view low_text = text.substr(slash + 1);
  if (high_text.size() > 8 || low_text.size() > 8) return std::nullopt;
  const auto high = parse_unsigned(high_text, 16);
  const auto low = parse_unsigned(low_text, 16);
  if (!high || !low) return std::nullopt;
  return Lsn{*high << 32 | *low};
}

std::string to_string(Lsn lsn) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  const auto append_hex = [](std::string& out, std::uint32_t half) {
    int shift = 28;
    while (shift > 0 && (half >> shift) == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) out += kDigits[half >> shift & 0xf];
  };
  std::string out;
  append_hex(out, static_cast<std::uint32_t>(lsn.value >> 32));
  out += '/';
  append_hex(out, static_cast<std::uint32_t>(lsn.value));
  return out;
}

Xid widen_xid(std::uint32_t xid, Xid reference) {
  // The distance modulo 2^32, read as signed, is the shortest way from the reference to the xid.
  const auto distance =
      static_cast<std::int32_t>(xid - static_cast<std::uint32_t>(reference.value));
  const std::uint64_t back = std::uint64_t{1} + static_cast<std::uint32_t>(-(distance + 1));
  if (distance < 0 && back > reference.value) return Xid{xid};  // in the first epoch: no id below 0
  return Xid{reference.value + static_cast<std::uint64_t>(std::int64_t{distance})};
}

bool Snapshot::sees_all_of(const Snapshot& other) const {
  // What a snapshot sees is every xid below its xmax except those in xip. So the other must not see
  // anything that is in our xip ...
  for (const Xid xid : xip) {
    if (!sees(xid) && other.sees(xid)) return false;
  }
  // ... nor anything from our xmax on: whatever lies between our xmax and its own must be in its
  // xip. xip ascends, so the ids in question are consecutive there, ending just below other.xmax.
  const Xid end = std::max(other.xmax, other.xmin);
  if (end <= xmax) return true;
  if (other.xmin > xmax) return false;
  std::uint64_t expected = xmax.value;
  for (auto it = std::lower_bound(other.xip.begin(), other.xip.end(), xmax);
       it != other.xip.end() && expected < end.value; ++it) {
    if (it->value > expected) return false;
    expected = it->value + 1;
  }
  return expected >= end.value;
}

std::optional<Snapshot> parse_snapshot(std::string_view text) {
  const std::size_t first = text.find(':');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = text.find(':', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const auto xmin = parse_unsigned(text.substr(0, first), 10);
  const auto xmax = parse_unsigned(text.substr(first + 1, second - first - 1), 10);
  if (!xmin || !xmax || *xmin == 0 || *xmax < *xmin) return std::nullopt;
  Snapshot snapshot{Xid{*xmin}, Xid{*xmax}, {}};
  std::string_view rest = text.substr(second + 1);
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const auto xid = parse_unsigned(rest.substr(0, comma), 10);
    if (!xid || *xid < *xmin || *xid >= *xmax) return std::nullopt;
    if (!snapshot.xip.empty() && Xid{*xid} <= snapshot.xip.back()) return std::nullopt;
    snapshot.xip.push_back(Xid{*xid});
    if (comma == rest.size()) break;
    rest.remove_prefix(comma + 1);
    if (rest.empty()) return std::nullopt;  // a comma at the end
  }
  return snapshot;
}

}  // namespace pgcache::pg
