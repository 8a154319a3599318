// SPDX-License-Identifier: Apache-2.0
// System catalogs → pg::Catalog, and the cheap question whether they changed since.
//
// The fingerprint is one query over the rows of the catalogs that can change what a cached
// statement means: sums of hashes over (oid, xmin) of the rows, or over their meaningful columns
// where ordinary work rewrites rows (pg_class under TRUNCATE, pg_index under REINDEX). It does not
// change through DML, VACUUM, ANALYZE, CREATE INDEX (unless UNIQUE), REFRESH, or other sessions'
// temporary tables.
// It costs the origin about 7 ms for a small database, and grows with the number of catalog rows.
// It is asked each catalog_poll_interval, and when the stream or a session tells of DDL. What
// nobody tells of is noticed within that interval plus the load: until then results whose meaning
// it changes without changing rows may be served. Row changes are never late on this account.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "origin/link.h"
#include "pg/catalog.h"
#include "pg/definition_change.h"

namespace pgcache::origin {

struct CatalogState {
  std::string fingerprint;
  std::string configuration_loaded_at;  // pg_conf_load_time()
  pg::Snapshot snapshot;                // that it was read in
};
Result<CatalogState> read_catalog_state(Link& link);

// The same in parts, to tell what a difference is about.
struct CatalogParts {
  std::string others;                        // of what belongs to no single relation
  std::map<pg::Oid, std::string> relations;  // of the rows that make up a relation's definition
};
Result<CatalogParts> read_catalog_parts(Link& link);

struct LoadedCatalog {
  std::shared_ptr<const pg::Catalog> catalog;
  CatalogState state;  // of the very snapshot that the catalog was read from
  CatalogParts parts;  // of the same
};
enum class ViewDefinitions { kRead, kSkip };
// Reading definitions may wait for locks on tables. Without them every view is opaque, and so not
// cacheable, and no CHECK constraint or partition bound is known.
Result<LoadedCatalog> load_catalog(Link& link, ViewDefinitions views);

// All in which a statement may mean something else under `after`.
pg::DefinitionChange difference(const LoadedCatalog& before, const LoadedCatalog& after);

}  // namespace pgcache::origin
