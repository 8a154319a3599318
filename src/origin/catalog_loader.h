// SPDX-License-Identifier: Apache-2.0
// System catalogs → pg::Catalog, and the cheap question whether they changed since.
//
// The fingerprint is one query over the rows of the catalogs that can change what a cached
// statement means: sums of hashes over (oid, xmin) of the rows, or over their meaningful columns
// where ordinary work rewrites rows (pg_class under TRUNCATE, pg_index under REINDEX). It does not
// change through DML, VACUUM, ANALYZE, CREATE INDEX (unless UNIQUE), REFRESH, or other sessions'
// temporary tables.
// It costs the origin about 7 ms for a small database, and grows with the number of catalog rows.
// It is asked each catalog_poll_interval, so DDL by somebody else is noticed within that interval
// plus the load: until then results whose meaning it changes without changing rows may be served.
// Row changes are never late on this account.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "origin/link.h"
#include "pg/catalog.h"

namespace pgcache::origin {

struct CatalogState {
  std::string fingerprint;
  std::string configuration_loaded_at;  // pg_conf_load_time()
};
Result<CatalogState> read_catalog_state(Link& link);

struct LoadedCatalog {
  std::shared_ptr<const pg::Catalog> catalog;
  CatalogState state;  // of the very snapshot that the catalog was read from
};
enum class ViewDefinitions { kRead, kSkip };
// Reading definitions may wait for locks on tables. Without them every view is opaque, and so not
// cacheable, and no CHECK constraint or partition bound is known.
Result<LoadedCatalog> load_catalog(Link& link, ViewDefinitions views);

}  // namespace pgcache::origin
