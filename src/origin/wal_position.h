// SPDX-License-Identifier: Apache-2.0
// One question to the origin that yields its snapshot and WAL positions, and what its answer means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "origin/link.h"
#include "pg/ids.h"

namespace pgcache::origin {

struct WalGeometry {
  std::uint64_t block_bytes = 8192;
  std::uint64_t segment_bytes = 16u << 20;
};
std::optional<WalGeometry> read_wal_geometry(Link& link);

// The system identifier; nothing when the server does not tell.
std::optional<std::string> read_system_identifier(Link& link);

// The insert position may stand behind the header of a page that holds nothing else yet. The stream
// never reports the end of a header: the position meant is the page's start.
pg::Lsn without_page_header(pg::Lsn position, const WalGeometry& geometry);

struct Measurement {
  pg::Snapshot snapshot;
  pg::Lsn flush;         // every commit that was acknowledged synchronously lies before it
  pg::Lsn insert;        // every commit that was acknowledged at all lies before it
  std::string timeline;  // hexadecimal, without leading zeros; empty on a standby
};

// On a standby both positions are what it has replayed. The first eight digits of a WAL file's name
// are its timeline; it changes under a connection when a standby is promoted.
inline constexpr const char* kMeasureQuery =
    "SELECT pg_current_snapshot(),"
    " CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() "
    "END,"
    " CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn()"
    " END, CASE WHEN NOT pg_is_in_recovery()"
    " THEN left(lower(pg_walfile_name(pg_current_wal_insert_lsn())), 8) END";
inline constexpr int kMeasureColumns = 4;
std::optional<Measurement> parse_measurement(const Reply& reply, const WalGeometry& geometry);

}  // namespace pgcache::origin
