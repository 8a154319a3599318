// SPDX-License-Identifier: Apache-2.0
// What a statement that is not a plain read may do to its session.
#pragma once

#include <string>

#include "sql/analysis.h"
#include "sql/parse_tree.h"

namespace pgcache::sql {

struct StatementEffect {
  StatementKind kind = StatementKind::kOther;
  std::string name;  // for kDeallocate
};
StatementEffect effect_of(const PgQuery__Node& statement);

}  // namespace pgcache::sql
