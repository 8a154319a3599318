// SPDX-License-Identifier: Apache-2.0
// REPLICA IDENTITY FULL for the tables that pgcache put into its publication, when the
// configuration says replica_identity = full. What was set is written into the publication's
// comment, so that cleanup can tell; it is never undone by pgcache. Control thread, and cleanup.
//
// ALTER TABLE needs the table for itself for a moment, and whoever comes while it waits for that
// waits behind it: so it waits for a tenth of a second and is tried again later. It is left undone
// where the origin would refuse UPDATEs from then on.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "origin/link.h"
#include "origin/publication.h"

namespace pgcache::origin {

// Of the relation itself, or of its partitions that hold rows: those to be set to FULL.
std::vector<pg::Oid> tables_to_raise(const config::Config& config, const pg::Catalog& catalog,
                                     const PublicationState& state, pg::Oid relation);

struct RaiseAnswer {
  enum class Kind { kRaised, kRetry, kRefused };  // kRetry: a lock was not to be had
  Kind kind = Kind::kRetry;
  std::string detail;  // kRefused: why, and what to do
};
RaiseAnswer raise_identity(Link& link, const config::Config& config, const pg::Catalog& catalog,
                           pg::Oid table);

struct RaisedTable {
  std::string name;  // quoted
  std::string undo;  // "ALTER TABLE ... REPLICA IDENTITY DEFAULT"
};
// Those that pgcache set and that still are at FULL.
Result<std::vector<RaisedTable>> raised_tables(Link& link, const std::string& publication);

}  // namespace pgcache::origin
