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

std::optional<std::string> read_origin_identity(Link& link) {
  // The first eight digits of a WAL file's name are its timeline. A standby names the one it
  // follows.
  const Reply reply = link.query(
      "SELECT system_identifier::text, CASE WHEN pg_is_in_recovery()"
      " THEN lpad(to_hex((SELECT timeline_id FROM pg_control_checkpoint())), 8, '0')"
      " ELSE left(lower(pg_walfile_name(pg_current_wal_insert_lsn())), 8) END"
      " FROM pg_control_system()");
  if (!reply.ok() || reply.rows() != 1) return std::nullopt;
  std::string timeline(reply.text(0, 1));
  timeline.erase(0, std::min(timeline.find_first_not_of('0'), timeline.size() - 1));
  return std::string(reply.text(0, 0)) + "/" + timeline;
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
  return Measurement{*snapshot, without_page_header(*flush, geometry),
                     without_page_header(*insert, geometry)};
}

}  // namespace pgcache::origin
