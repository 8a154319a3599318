// SPDX-License-Identifier: Apache-2.0
#include "pg/definition_change.h"

#include <algorithm>
#include <string>

namespace pgcache::pg {

void DefinitionChange::add(Oid relation) {
  if (everything) return;
  const auto place = std::lower_bound(relations.begin(), relations.end(), relation);
  if (place == relations.end() || *place != relation) relations.insert(place, relation);
}

void DefinitionChange::merge(const DefinitionChange& other) {
  if (other.everything) {
    *this = of_everything();
  } else {
    for (const Oid relation : other.relations) add(relation);
  }
}

bool DefinitionChange::touches(const std::vector<Oid>& rests_on) const {
  return everything || std::any_of(relations.begin(), relations.end(), [&](Oid relation) {
           return std::binary_search(rests_on.begin(), rests_on.end(), relation);
         });
}

DefinitionChange with_kin(DefinitionChange change, const Catalog& catalog) {
  std::vector<Oid> named = change.relations;
  for (const Oid oid : change.relations) {
    const Relation* const relation = catalog.find_relation(oid);
    if (relation == nullptr || relation->parents.empty()) continue;
    for (const Oid ancestor : catalog.ancestors_of(oid)) named.push_back(ancestor);
  }
  for (const Oid oid : named) {
    change.add(oid);
    const Relation* const relation = catalog.find_relation(oid);
    if (relation == nullptr) continue;
    for (const Oid descendant : relation->descendants) change.add(descendant);
  }
  return change;
}

bool may_shadow(const Catalog& before, Oid relation, std::string_view schema,
                std::string_view name) {
  const Relation* const then = before.find_relation(relation);
  if (then != nullptr && then->name == name && then->schema_name == schema) return false;
  return before.has_name(name) || before.has_name("_" + std::string(name));
}

}  // namespace pgcache::pg
