// SPDX-License-Identifier: Apache-2.0
#include "oracle/query_parts.h"

#include "oracle/values.h"

namespace pgcache::oracle {

bool all_exact(const std::vector<Output>& outputs) {
  for (const Output& output : outputs) {
    if (!output.exact) return false;
  }
  return true;
}

std::string list_sql(const std::vector<Output>& outputs) {
  std::string sql;
  for (const Output& output : outputs) sql += (sql.empty() ? "" : ", ") + output.sql;
  return sql;
}

Ending ending(QueryBuilder& b, const std::vector<Output>& outputs) {
  if (!all_exact(outputs) || b.structure().chance(55)) return {};
  std::string sql = " ORDER BY ";
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    sql += (i > 0 ? ", " : "") + std::to_string(i + 1) +
           b.structure().pick({"", "", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"});
  }
  if (b.structure().chance(40)) sql += " LIMIT " + std::to_string(b.values().between(0, 6));
  if (b.structure().chance(15)) sql += " OFFSET " + std::to_string(b.values().between(0, 3));
  if (b.structure().chance(8) && sql.find("LIMIT") == std::string::npos) {
    sql += " FETCH FIRST 3 ROWS ONLY";
  }
  return {sql, true};
}

std::vector<Output> some_columns(QueryBuilder& b, const Scope& scope, int count) {
  std::vector<Output> outputs;
  for (int i = 0; i < count; ++i) {
    const Source& source = b.any(scope);
    const Column& column = b.any_column(source);
    const std::string name = source.alias + "." + column.name;
    if (is_integer(column.kind) && b.structure().chance(12)) {
      outputs.push_back({b.structure().pick({"abs(", "f_imm(", "1 + ("}) + name + "::int)", true});
    } else if (column.kind == Kind::kBig && b.structure().chance(60)) {
      outputs.push_back({"length(" + name + ")", true});
    } else {
      outputs.push_back({name, is_exact(column.kind)});
    }
  }
  return outputs;
}

const Column* number_of(QueryBuilder& b, const Source& source) {
  return b.column_where(source, is_integer);
}

std::string join_condition(QueryBuilder& b, const Source& left, const Source& right, bool plain) {
  std::string on = left.alias + "." + number_of(b, left)->name + " = " + right.alias + "." +
                   number_of(b, right)->name;
  if (!plain && b.structure().chance(40)) on += " AND " + b.predicate({left}, 0);
  if (!plain && b.structure().chance(40)) on += " AND " + b.predicate({right}, 0);
  return on;
}

Source cacheable_table(QueryBuilder& b) {
  Source s = b.source();
  while (!s.relation->writable || s.relation->caching != Caching::kYes) s = b.source();
  return s;
}

std::string column_of(QueryBuilder& b, const Source& s) {
  const std::string name = !s.relation->key.empty() && b.structure().chance(60)
                               ? b.structure().pick(s.relation->key)
                               : b.any_column(s).name;
  return s.alias + "." + name;
}

std::string few(QueryBuilder& b, const std::string& column, int ways) {
  switch (b.structure().below(ways)) {
    case 0: {
      const std::string low = b.value(Kind::kInt);
      return column + " IN (" + low + ", " + b.value(Kind::kInt) + ")";
    }
    case 1: {
      const int low = b.values().below(10);
      return column + " BETWEEN " + std::to_string(low) + " AND " + std::to_string(low + 2);
    }
    default:
      return column + " = " + b.value(Kind::kInt);
  }
}

}  // namespace pgcache::oracle
