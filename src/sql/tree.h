// SPDX-License-Identifier: Apache-2.0
// Walking and rewriting resolved queries: what passes and the derivation of dependencies share.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "sql/resolved_query.h"

namespace pgcache::sql {

using ColumnKey = std::pair<std::uint32_t, std::uint32_t>;  // use, column
inline ColumnKey key_of(const Expr& column) { return {column.use, column.column}; }

// Something that has a value or a truth which can be computed here, parts of it aside.
bool is_value(const Expr& expr);

bool same_expr(const Expr& a, const Expr& b);

Expr make_opaque(pg::Oid type, std::vector<Expr> children);
Expr make_expr(Expr::Kind kind, std::vector<Expr> children);  // a truth
Expr make_not(Expr child);
// The same value under another type, which has it too. (The type of a cast is what it casts to.)
Expr relabel(Expr value, pg::Oid type);
Expr make_truth(bool value);
Expr make_null();
Expr make_column(ColumnKey key, pg::Oid type);
// The conjuncts of a condition, nested ANDs taken apart.
void flatten(const Expr& expr, std::vector<const Expr*>& out);
void flatten(Expr& expr, std::vector<Expr*>& out);

// Whether it says that the two columns are equal.
bool equates(const Expr& condition, ColumnKey a, ColumnKey b);

// `visit` gets the expression and everything in it.
void each_expr(const Expr& expr, const std::function<void(const Expr&)>& visit);
void each_expr(Expr& expr, const std::function<void(Expr&)>& visit);

// How often each column stands somewhere.
using ColumnCounts = std::map<ColumnKey, std::size_t>;
void count_columns(const Expr& expr, ColumnCounts& counts);
std::size_t count_of(const ColumnCounts& counts, ColumnKey key);

// Every expression that stands directly in the block: of its FROM items too, but not of the blocks
// that it names.
void each_block_expr(const Block& block, const std::function<void(const Expr&)>& visit);
void each_block_expr(Block& block, const std::function<void(Expr&)>& visit);
// Of those the ones behind FROM and WHERE: on what is made of the rows.
void each_expr_beyond_rows(const Block& block, const std::function<void(const Expr&)>& visit);
void each_node_expr(const FromNode& node, const std::function<void(const Expr&)>& visit);
void each_node_expr(FromNode& node, const std::function<void(Expr&)>& visit);

// Whether an outer join puts NULLs in place of rows of that child.
bool is_extended(const FromNode& join, std::size_t child);

// The uses whose rows a node brings.
void collect_uses(const FromNode& node, std::set<std::uint32_t>& uses);
// Of those the ones that are missing in no row of the node.
void collect_present_uses(const FromNode& node, std::set<std::uint32_t>& uses);
// The uses of blocks that the block names: FROM items, branches, subqueries in expressions.
std::vector<std::uint32_t> named_blocks(const ResolvedQuery& query, const Block& block);
// The same, for one expression: its subqueries.
void collect_sublinks(const Expr& expr, std::vector<const Expr*>& out);

// The block, and all that stand in it, in any depth.
void each_block_below(ResolvedQuery& query, std::uint32_t block,
                      const std::function<void(Block&)>& visit);

bool mentions(const Expr& expr, const std::set<std::uint32_t>& uses);
bool has_columns(const Expr& expr);
bool has_opaque(const Expr& expr);

// Columns that are NULL at once.
using ColumnTest = std::function<bool(const Expr& column)>;
ColumnTest of_uses(std::set<std::uint32_t> uses);  // all of theirs
// Certainly not true whenever these columns are NULL.
bool rejects_nulls(const Expr& condition, const ColumnTest& of);
// Certainly NULL (not true, not false) then.
bool is_strict(const Expr& expr, const ColumnTest& of);

// Whether a unique key of the table holds for all rows of the use: it does not reach across tables
// that inherit from each other; that of a partitioned table reaches across its partitions.
bool is_one_table(const TableUse& use);

// Whether `fixed` holds for each column, by number, of some unique key.
bool fixes_unique_key(const pg::Relation& relation,
                      const std::function<bool(std::uint32_t)>& fixed);

// The columns of the key in `child`, each with the one that it refers to in `parent`; none if the
// key is not one of that table for this one, as far as uses of single tables go.
std::vector<std::pair<ColumnKey, ColumnKey>> links_along(const ResolvedQuery& query,
                                                         const pg::ForeignKey& key,
                                                         std::uint32_t child, std::uint32_t parent);

// Whether conditions on output `column` of the block are conditions on the rows that it selects
// from, whatever it computes of them afterwards. Not for set operations.
bool passes_conditions(const Block& block, std::uint32_t column);

// Without keys there is a group even where no row fulfils WHERE: what is computed of groups does
// not depend on that.
bool gives_row_of_none(const Block& block);

// Whether the expression is one of the block's keys of GROUP BY.
bool is_key(const Block& block, const Expr& expr);

std::size_t size_of(const Expr& expr);  // in expressions
// The same as far as it is read: an opaque expression of its columns and subqueries.
Expr summary_of(const Expr& expr);

// Replaces columns of `use` by what `replace` gives for their number.
void substitute(Expr& expr, std::uint32_t use,
                const std::function<Expr(const Expr& column)>& replace);

}  // namespace pgcache::sql
