// SPDX-License-Identifier: Apache-2.0
// PREPARE and EXECUTE: the statement that the one holds, and the arguments that the other gives it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sql/analysis.h"
#include "sql/parse_tree.h"

namespace pgcache::sql {

// What `PREPARE name (types) AS sql` prepares.
struct Prepared {
  std::string name;
  std::string sql;
  std::vector<pg::Oid> parameter_types;  // as declared
};
// Of a text that is one PREPARE; nothing where a type is not known.
std::optional<Prepared> read_prepare(std::string_view text, const AnalysisContext& context);

// The arguments of an EXECUTE; not `plain` when there are others than constants.
ExecuteCall read_execute(const PgQuery__ExecuteStmt& statement, std::string_view text,
                         const StatementShape& shape);

// The argument as a parameter of this type in text form, where PostgreSQL makes the same value of
// both. NULL is an empty inner optional.
std::optional<std::optional<std::string>> argument_text(const ExecuteArgument& argument,
                                                        const std::vector<Literal>& literals,
                                                        pg::Oid type);

}  // namespace pgcache::sql
