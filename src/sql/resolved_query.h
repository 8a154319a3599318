// SPDX-License-Identifier: Apache-2.0
// A query whose every name has been resolved against the catalog: what it reads, how its relations
// are joined, and as much of its conditions as can be understood on rows. Made by the resolver from
// a parse tree, read by the passes that derive dependencies. Plain values; pointers go into the
// catalog.
//
// Expressions keep only what such passes can use: columns, operands, comparisons that are certainly
// PostgreSQL's built-in ones, and boolean connectives. Everything else is kOpaque, with its type
// when that is known for certain.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pg/catalog.h"
#include "sql/cacheable_query.h"

namespace pgcache::sql {

struct Expr {
  enum class Kind : std::uint8_t {
    kOpaque,
    kColumn,   // use, column
    kOperand,  // operand
    kNull,
    kAnd,      // children
    kOr,       // children
    kNot,      // children[0]
    kCompare,  // children[0] op children[1]; each a column or an operand
    kIn,       // children[0], a column, in children[1..], operands
    kIsNull,   // children[0], a column
    kRow,      // children
    kArray,    // children; only as the right side of = ANY
  };
  Kind kind = Kind::kOpaque;
  // kInvalid: not known. type::kUnknown: an untyped literal, parameter or NULL.
  pg::Oid type = pg::Oid::kInvalid;
  std::uint32_t use = 0;     // into ResolvedQuery::uses
  std::uint32_t column = 0;  // into Relation::columns
  CompareOp op = CompareOp::kEq;
  OperandSpec operand;
  // For a string literal or parameter: its place in the resolver's notes on how it is read.
  std::int32_t note = -1;
  std::vector<Expr> children;
};

// One place where a table stands in the query (or in a view that it reads).
struct TableUse {
  const pg::Relation* relation = nullptr;
  bool inherit = true;             // false: ONLY
  std::vector<bool> columns_read;  // by index into relation->columns
};

enum class JoinKind : std::uint8_t { kInner, kLeft, kRight, kFull };

struct FromNode {
  enum class Kind : std::uint8_t {
    kTable,  // use
    kJoin,   // join, children[0], children[1], on
    kBlock,  // block: a subquery, view or CTE that is one SELECT
    kOther,  // a function, VALUES, a set operation, a recursive or repeated CTE
  };
  Kind kind = Kind::kOther;
  std::uint32_t use = 0;
  std::uint32_t block = 0;
  JoinKind join = JoinKind::kInner;
  std::optional<Expr> on;
  std::vector<FromNode> children;
};

// One SELECT: the rows of its FROM items that pass WHERE, and whatever is computed of them. Set
// operations, subqueries, CTEs and views have blocks of their own.
//
// A block that another one names, in a kBlock node or in `sublinks`, is only ever asked for rows of
// that one which pass its conditions. An enclosing query sees as kColumn only those columns of a
// block by which it may select rows before or after whatever the block computes: all of a bare
// SELECT or DISTINCT, the keys of GROUP BY, none beside LIMIT or windows.
struct Block {
  std::vector<FromNode> from;
  std::optional<Expr> where;
  std::vector<std::uint32_t> sublinks;  // subqueries in expressions, but for those in ON and FROM
  bool nested = false;                  // named by another block, and by nothing else
};

struct ResolvedQuery {
  std::vector<TableUse> uses;
  std::vector<Block> blocks;
};

}  // namespace pgcache::sql
