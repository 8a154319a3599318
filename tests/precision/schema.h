// SPDX-License-Identifier: Apache-2.0
// The tables of all pairs, once for each replica identity, and a copy of their rows to go back to.
#pragma once

#include <string>
#include <vector>

#include "precision/pair.h"

namespace pgcache::precision {

// The schema in which the tables have this identity.
std::string schema_name(Identity identity);
// Makes everything, in order.
std::vector<std::string> set_up_statements();
// The tables of one schema, each to be read once so that it is tracked.
std::vector<std::string> table_names();
// Puts every row of the schema back as it was.
std::string restore_statement(Identity identity);

}  // namespace pgcache::precision
