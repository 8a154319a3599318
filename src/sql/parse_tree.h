// SPDX-License-Identifier: Apache-2.0
// Statement text → parse tree, by libpg_query (PostgreSQL 15's own grammar). The only place that
// calls it. The tree is libpg_query's, as its protobuf-c structs; it is owned here and read
// elsewhere through const pointers that live as long as the ParseTree.
#pragma once

#include <pg_query/pg_query.pb-c.h>

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "sql/bypass_reason.h"

namespace pgcache::sql {

class ParseTree {
 public:
  // Any thread. `shape_text` is the text of its shape, which nests as deeply. The alternatives:
  // kSyntax, or kTooComplex for a text whose tree might be nested too deeply for the stack, or
  // which is longer than kTextBytesMax.
  static std::variant<ParseTree, BypassReason> parse(std::string_view text,
                                                     std::string_view shape_text);

  std::size_t statement_count() const { return result_->n_stmts; }
  // Null when the statement is empty.
  const PgQuery__Node* statement(std::size_t i) const { return result_->stmts[i]->stmt; }

  static constexpr std::size_t kTextBytesMax = 1024 * 1024;

 private:
  struct Free {
    void operator()(PgQuery__ParseResult* result) const;
  };
  explicit ParseTree(PgQuery__ParseResult* result) : result_(result) {}
  std::unique_ptr<PgQuery__ParseResult, Free> result_;
};

// The one statement of a text, if it is a SELECT; else null. Lives as long as `parsed`.
const PgQuery__SelectStmt* only_select(const std::variant<ParseTree, BypassReason>& parsed);

// An upper bound of how deeply the tree of `text` can nest beyond its parts that are flat lists.
std::size_t nesting_bound(std::string_view text);

}  // namespace pgcache::sql
