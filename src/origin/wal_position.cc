// SPDX-License-Identifier: Apache-2.0
// The origin's snapshot and WAL positions.
#include "origin/wal_position.h"

#include <algorithm>

namespace pgcache::origin {
namespace {

// XLogPageHeaderData and XLogLongPageHeaderData, the latter on the first page of a segment. Both
// are part of the WAL's format since 9.3.
constexpr std::uint64_t kShortHeaderBytes = 24;
constexpr std::uint64_t kLongHeaderBytes = 40;

}  // namespace

std::optional<WalGeometry> read_wal_geometry(Link& link) {
  const Reply reply = link.query(
      "SELECT current_setting('wal_block_size'), setting FROM pg_settings"
      " WHERE name = 'wal_segment_size'");
  if (!reply.ok() || reply.rows() != 1) return std::nullopt;
  const WalGeometry geometry{reply.number(0, 0), reply.number(0, 1)};
  if (geometry.block_bytes == 0 || geometry.segment_bytes == 0) return std::nullopt;
  return geometry;
}

std::optional<std::string> read_system_identifier(Link& link) {
  const Reply reply = link.query("SELECT system_identifier FROM pg_control_system()");
  if (!reply.ok() || reply.rows() != 1) return std::nullopt;
  return std::string(reply.text(0, 0));
}

pg::Lsn without_page_header(pg::Lsn position, const WalGeometry& geometry) {
  if (position.value % geometry.segment_bytes == kLongHeaderBytes) {
    return pg::Lsn{position.value - kLongHeaderBytes};
  }
  if (position.value % geometry.block_bytes == kShortHeaderBytes) {
    return pg::Lsn{position.value - kShortHeaderBytes};
  }
  return position;
}

std::optional<Measurement> parse_measurement(const Reply& reply, const WalGeometry& geometry) {
  if (reply.rows() != 1) return std::nullopt;
  const auto snapshot = pg::parse_snapshot(reply.text(0, 0));
  const auto flush = pg::parse_lsn(reply.text(0, 1));
  const auto insert = pg::parse_lsn(reply.text(0, 2));
  if (!snapshot || !flush || !insert) return std::nullopt;
  const std::string_view digits = reply.text(0, 3);
  const std::size_t first = std::min(digits.find_first_not_of('0'), digits.size());
  return Measurement{*snapshot, without_page_header(*flush, geometry),
                     without_page_header(*insert, geometry), std::string(digits.substr(first))};
}

}  // namespace pgcache::origin
