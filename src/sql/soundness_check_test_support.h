// SPDX-License-Identifier: Apache-2.0
// What an analysis claims of one change: the soundness contract of cacheable_query.h, read
// strictly. Whatever a cache may make of a dependency, it may not spare more than this does.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pg/catalog.h"
#include "sql/analysis.h"
#include "support/pq.h"

namespace pgcache::sql::testing {

class TextRow final : public RowView {
 public:
  std::map<std::string, std::optional<std::string>, std::less<>> cells;
  Operand column(const ColumnRef& column) const override;
};

struct Change {
  pg::Oid relation = pg::Oid::kInvalid;
  bool truncate = false;  // else one row
  std::optional<TextRow> before = {};
  std::optional<TextRow> after = {};
};

std::string print(const Change& change, const pg::Catalog& catalog);

// The rows of tables, of those that hold partners at least.
using TableRows = std::map<pg::Oid, std::vector<TextRow>>;

// `rows` are the result's before the change, `tables` what the tables held then.
bool is_announced(const CacheableQuery& query, const Change& change,
                  const std::vector<Operand>& operands,
                  const std::vector<pgcache::testing::Row>& rows, const TableRows& tables);

}  // namespace pgcache::sql::testing
