// SPDX-License-Identifier: Apache-2.0
// What two catalogs differ in (catalog_loader.h).
#include "origin/catalog_loader.h"

namespace pgcache::origin {

using pg::DefinitionChange;

DefinitionChange difference(const LoadedCatalog& before, const LoadedCatalog& after) {
  if (before.parts.others != after.parts.others) return DefinitionChange::of_everything();
  DefinitionChange change;
  for (const auto& [oid, part] : after.parts.relations) {
    const auto it = before.parts.relations.find(oid);
    if (it != before.parts.relations.end() && it->second == part) continue;
    change.add(oid);
    const pg::Relation* const now = after.catalog->find_relation(oid);
    if (now != nullptr && pg::may_shadow(*before.catalog, oid, now->schema_name, now->name)) {
      return DefinitionChange::of_everything();
    }
  }
  for (const auto& [oid, part] : before.parts.relations) {
    if (!after.parts.relations.contains(oid)) change.add(oid);
  }
  DefinitionChange all = pg::with_kin(change, *before.catalog);
  all.merge(pg::with_kin(std::move(change), *after.catalog));
  return all;
}

}  // namespace pgcache::origin
