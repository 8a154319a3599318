// SPDX-License-Identifier: Apache-2.0
// What the generators of queries share: the relations in scope, values as literals or parameters,
// predicates.
#pragma once

#include <string>
#include <vector>

#include "oracle/query.h"

namespace pgcache::oracle {

struct Source {
  std::string alias;
  const Relation* relation = nullptr;
};
using Scope = std::vector<Source>;

// One column or expression of a select list.
struct Output {
  std::string sql;
  bool exact = true;  // equal values have equal bytes
};

class QueryBuilder {
 public:
  QueryBuilder(const Schema& schema, std::uint64_t structure_seed, std::uint64_t value_seed);

  Random& structure() { return structure_; }
  Random& values() { return values_; }
  const Schema& schema() const { return schema_; }

  // A relation to read, under an alias of its own.
  Source source();
  Source source_of(const Relation& relation) {
    return {"a" + std::to_string(aliases_++), &relation};
  }
  // How it stands in FROM. What the relation says about caching is noted for the query.
  std::string from_item(const Source& source);
  // The same without an alias.
  std::string named(const std::string& relation);

  // A literal, or a parameter where this query has them (the type must follow from the context).
  std::string value(Kind kind);
  std::string parameter(Kind kind);
  // One whose type follows from the context: an array.
  std::string array_parameter(const std::string& text);
  std::string predicate(const Scope& scope, int depth);
  std::string maybe_where(const Scope& scope);  // "" or " WHERE ..."

  const Source& any(const Scope& scope) { return structure_.pick(scope); }
  const Column& any_column(const Source& source) {
    return structure_.pick(source.relation->columns);
  }
  // A column whose kind satisfies the condition; null when there is none.
  template <typename Condition>
  const Column* column_where(const Source& source, Condition condition);

  void note(Caching caching);
  void use_parameters() { with_parameters_ = true; }
  Query finish(std::string sql, const std::string& feature, bool ordered);

 private:
  std::string atom(const Scope& scope, int depth);
  std::string comparison(const std::string& column, Kind kind);
  std::string list_test(const std::string& column, Kind kind);
  std::string text_test(const std::string& column, Kind kind);
  std::string row_test(const Source& source);
  std::string column_pair_test(const Scope& scope);
  std::string expression_test(const Source& source);
  std::string number_test(const std::string& column);
  std::string time_test(const Column& column, const std::string& name);
  std::string contradiction(const std::string& column);
  std::string subquery_test(const Scope& scope);

  const Schema& schema_;
  Random structure_;
  Random values_;
  bool with_parameters_ = false;
  int aliases_ = 0;
  Query query_;
};

template <typename Condition>
const Column* QueryBuilder::column_where(const Source& source, Condition condition) {
  std::vector<const Column*> found;
  for (const Column& column : source.relation->columns) {
    if (condition(column.kind)) found.push_back(&column);
  }
  return found.empty() ? nullptr : structure_.pick(found);
}

}  // namespace pgcache::oracle
