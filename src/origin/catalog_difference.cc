// SPDX-License-Identifier: Apache-2.0
// What two catalogs differ in (catalog_loader.h).
#include "origin/catalog_loader.h"

namespace pgcache::origin {
namespace {

using pg::DefinitionChange;
using pg::Oid;

// It came, or goes by another name, and that name may have meant another relation or type.
bool may_shadow(const pg::Catalog& before, const pg::Relation& now) {
  const pg::Relation* const then = before.find_relation(now.oid);
  const bool same =
      then != nullptr && then->name == now.name && then->schema_name == now.schema_name;
  return !same && pg::is_name_taken(before, now.name);
}

}  // namespace

DefinitionChange difference(const LoadedCatalog& before, const LoadedCatalog& after) {
  if (before.parts.others != after.parts.others) return DefinitionChange::of_everything();
  DefinitionChange change;
  for (const auto& [oid, part] : after.parts.relations) {
    const auto it = before.parts.relations.find(oid);
    if (it != before.parts.relations.end() && it->second == part) continue;
    change.add(oid);
    const pg::Relation* const now = after.catalog->find_relation(oid);
    if (now != nullptr && may_shadow(*before.catalog, *now)) {
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
