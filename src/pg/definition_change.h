// SPDX-License-Identifier: Apache-2.0
// Which definitions changed: of certain relations (their columns, constraints, indexes, policies,
// owner ...), or perhaps any. Plain values.
#pragma once

#include <string_view>
#include <vector>

#include "pg/catalog.h"
#include "pg/ids.h"

namespace pgcache::pg {

struct DefinitionChange {
  bool everything = false;
  std::vector<Oid> relations;  // ascending, distinct; empty with `everything`

  static DefinitionChange of_everything() { return {true, {}}; }
  bool empty() const { return !everything && relations.empty(); }
  void add(Oid relation);
  void merge(const DefinitionChange& other);
  // Whether something that rests on these relations (ascending) may mean something else now.
  bool touches(const std::vector<Oid>& rests_on) const;
};

// With the whole trees of inheritance that the relations stand in, as the catalog has them: a query
// over one reads others' rows, or goes by their constraints and bounds.
DefinitionChange with_kin(DefinitionChange change, const Catalog& catalog);

// Whether a relation that is called so from now on can be taken for what another was in `before`:
// it has come (kInvalid: surely) or went by another name, and some relation or type had the name,
// somewhere. (A table's row type has the table's name, the type of arrays of it the same behind an
// underscore.) Nothing that could be cached resolved a name that nobody had.
bool may_shadow(const Catalog& before, Oid relation, std::string_view schema,
                std::string_view name);

}  // namespace pgcache::pg
