// SPDX-License-Identifier: Apache-2.0
// PostgreSQL's identifiers and positions as values: Oid, Lsn, 64-bit transaction ids, snapshots.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgcache::pg {

enum class Oid : std::uint32_t { kInvalid = 0 };
inline std::uint32_t to_u32(Oid oid) { return static_cast<std::uint32_t>(oid); }

// The oids of built-in types that code names (pg_type.dat; fixed for ever).
namespace type {
inline constexpr Oid kBool{16}, kBytea{17}, kChar{18}, kName{19}, kInt8{20}, kInt2{21}, kInt4{23},
    kText{25}, kOid{26}, kJson{114}, kXml{142}, kFloat4{700}, kFloat8{701}, kUnknown{705},
    kMoney{790}, kBpchar{1042}, kVarchar{1043}, kDate{1082}, kTime{1083}, kTimestamp{1114},
    kTimestamptz{1184}, kInterval{1186}, kTimetz{1266}, kNumeric{1700}, kUuid{2950}, kJsonb{3802},
    kCidr{650}, kMacaddr8{774}, kMacaddr{829}, kInet{869};

inline bool is_text(Oid type) { return type == kText || type == kVarchar; }
inline bool is_integer(Oid type) { return type == kInt2 || type == kInt4 || type == kInt8; }
// The types of one exact line of numbers; not the floats.
inline bool is_number(Oid type) { return is_integer(type) || type == kNumeric; }
}  // namespace type

// Those of the built-in collations that code names (pg_collation.dat).
namespace collation {
inline constexpr Oid kDefault{100}, kC{950}, kPosix{951};
}  // namespace collation

// A position in the write-ahead log. Zero means "none".
struct Lsn {
  std::uint64_t value = 0;
  friend auto operator<=>(const Lsn&, const Lsn&) = default;
};
std::optional<Lsn> parse_lsn(std::string_view text);  // "16/B374D848"
std::string to_string(Lsn lsn);

// A 64-bit (epoch-widened) transaction id, as in pg_current_snapshot().
struct Xid {
  std::uint64_t value = 0;
  friend auto operator<=>(const Xid&, const Xid&) = default;
};

// Widens the 32-bit xid of the stream: the 64-bit id nearest to `reference` with these low bits.
Xid widen_xid(std::uint32_t xid, Xid reference);

// What pg_current_snapshot() returned (manual, 9.27.9, "Transaction ID and Snapshot Information").
struct Snapshot {
  Xid xmin;              // every xid below is over: visible, or rolled back
  Xid xmax;              // no xid from here on is visible
  std::vector<Xid> xip;  // in progress between the two, ascending

  // True when a transaction `xid`, if it committed, is visible to this snapshot.
  bool sees(Xid xid) const {
    return xid < xmin || (xid < xmax && !std::binary_search(xip.begin(), xip.end(), xid));
  }
  // True when this snapshot sees every transaction that `other` sees.
  bool sees_all_of(const Snapshot& other) const;
};
std::optional<Snapshot> parse_snapshot(std::string_view text);  // "10:20:10,14,15"

}  // namespace pgcache::pg

template <>
struct std::hash<pgcache::pg::Oid> {
  std::size_t operator()(pgcache::pg::Oid oid) const noexcept {
    return std::hash<std::uint32_t>()(static_cast<std::uint32_t>(oid));
  }
};
