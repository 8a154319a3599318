// SPDX-License-Identifier: Apache-2.0
// A query whose every name has been resolved against the catalog: what it reads, how its relations
// are joined, and as much of its expressions as can be understood on rows. Made by the resolver
// from a parse tree, rewritten by the passes (passes.h), read by dependencies.cc. Plain values;
// pointers go into the catalog.
//
// Every column that the query reads stands in some expression of the tree: what is not understood
// is kOpaque, with whatever it is computed from as its children.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pg/catalog.h"
#include "sql/cacheable_query.h"

namespace pgcache::sql {

// Of a text value. No oid: that of a literal or parameter, which takes the other side's.
struct Collation {
  pg::Oid oid = pg::Oid::kInvalid;
  bool deterministic = true;
  bool is_c = false;        // bytewise order
  bool ascii_case = false;  // ASCII letters change case as in English
};

enum class LinkKind : std::uint8_t { kExists, kAny, kAll, kScalar, kArray };

struct Expr {
  enum class Kind : std::uint8_t {
    kOpaque,  // children: all that it is computed from; with `function`, which is min or max
              // (all), of children[0]; with `compares`, a value and a scalar subquery that are
              // compared: true only where the subquery's own child is
    // Values
    kColumn,    // use, column
    kOperand,   // operand
    kNull,      //
    kCall,      // function(children): a built-in one that pg::call() knows
    kCast,      // children[0] as type, typmod; known to pg::cast()
    kCoalesce,  // children
    kNullIf,    // children[0], or NULL if it equals children[1]
    kCase,      // condition, value, condition, value, ..., value
    kExtreme,   // the greatest (all) or least of children that are not NULL
    kRow,       // children
    kArray,     // children
    // Truths
    kAnd,       // children
    kOr,        // children
    kNot,       // children[0]
    kCompare,   // children[0] op children[1]: values of one family, compared as pg::Value does
    kIn,        // children[0], a value, equals one of children[1..], operands
    kAnyOf,     // children[0] op ANY or ALL (children[1]), an array
    kIsNull,    // children[0], a value
    kDistinct,  // children[0] IS DISTINCT FROM children[1]
    kIsTrue,    // children[0], a truth
    kIsFalse,   // children[0], a truth
    // Either
    kSublink,  // a subquery: link, use (of its block). children: for ANY and ALL, one condition
               // for each column that is compared, on columns of that use; for a scalar one that
               // is compared with a value, that comparison
  };
  Kind kind = Kind::kOpaque;
  // kInvalid: not known. type::kUnknown: an untyped literal, parameter or NULL.
  pg::Oid type = pg::Oid::kInvalid;
  std::uint32_t use = 0;     // into ResolvedQuery::uses
  std::uint32_t column = 0;  // into Relation::columns, or the outputs of the use's block
  CompareOp op = CompareOp::kEq;
  bool all = false;       // kAnyOf, kExtreme
  bool compares = false;  // kOpaque
  bool ordered = false;   // kCompare, kAnyOf: < and > mean bytewise order of the canonical values
  LinkKind link = LinkKind::kExists;
  OperandSpec operand;
  Collation collation;
  pg::Oid function = pg::Oid::kInvalid;
  std::int32_t typmod = -1;
  // For a string literal or parameter: its place in the resolver's notes on how it is read.
  std::int32_t note = -1;
  std::vector<Expr> children;
};

// One place where rows come from: a table, or a block (a subquery, view or CTE).
struct TableUse {
  const pg::Relation* relation = nullptr;  // null: a block
  bool inherit = true;                     // false: ONLY
  std::uint32_t block = 0;
  std::vector<Expr> checks;  // none of which is false for a row of the relation
  std::vector<std::pair<pg::Oid, Expr>> member_bounds;  // the same for the rows of a partition
  // Filled by the last pass, by index into relation->columns.
  std::vector<bool> columns_read;
};

enum class JoinKind : std::uint8_t { kInner, kLeft, kRight, kFull };

struct FromNode {
  enum class Kind : std::uint8_t {
    kTable,  // use
    kBlock,  // use, of a block
    kJoin,   // join; children[0], children[1] (kInner: any number of children), on
    kOther,  // functions, VALUES, recursion: exprs
  };
  Kind kind = Kind::kOther;
  std::uint32_t use = 0;
  JoinKind join = JoinKind::kInner;
  std::optional<Expr> on;
  std::vector<Expr> exprs;
  std::vector<FromNode> children;
};

// The first item of ORDER BY, if it orders by the built-in order of a value: one of these.
struct OrderKey {
  std::optional<Expr> value;            // a column
  std::optional<std::uint32_t> output;  // an output of a set operation
  std::optional<Expr> place;            // an operand: the output of that number, from 1
  bool descending = false;
  bool nulls_first = false;
};

// A window over the rows of a block that gives each row a value by nothing but the row itself, its
// peers and the rows before them.
struct Running {
  std::vector<Expr> partition;
  Expr before;  // the column that it orders by, compared with itself: a row with a later one
  bool nulls_first = false;
  // The block's only table once more, for rows that others stand before. Filled behind the passes.
  std::optional<std::uint32_t> later;
};

// One query level. Its uses are its own, but for those of correlated columns, which are of
// enclosing blocks.
struct Block {
  enum class Kind : std::uint8_t {
    kSelect,
    kUnion,      // branches; also with ALL
    kIntersect,  // branches
    kExcept,     // branches
    kOpaque,     // VALUES, and whatever refers to itself: only reads what `from` and `others` do
  };
  Kind kind = Kind::kSelect;
  std::vector<FromNode> from;  // side by side: joined without a condition
  std::optional<Expr> where;
  std::optional<Expr> having;
  std::vector<Expr> outputs;
  bool unknown_outputs = false;  // there may be more columns than `outputs`, or in other places
  // Not 0: the block that is named inside itself, and those (kOpaque) that stand for its rows.
  std::uint32_t recursion = 0;
  std::vector<std::uint32_t> branches;  // uses of blocks
  bool all = false;                     // UNION ALL and the like

  bool grouped = false;        // GROUP BY, HAVING or aggregates
  bool grouping_sets = false;  // then there are no keys
  std::vector<Expr> keys;      // GROUP BY
  bool distinct = false;
  std::vector<Expr> distinct_on;
  bool limited = false;  // LIMIT, OFFSET or FETCH
  std::optional<OrderKey> order;
  std::optional<Expr> limit;                  // LIMIT, an operand
  std::optional<Expr> some;                   // not false if LIMIT lets any row through
  bool skips = false;                         // OFFSET
  bool set_returning = false;                 // functions that return sets beside FROM
  std::vector<std::vector<Expr>> partitions;  // PARTITION BY of each window function
  std::optional<Running> running;             // if there is only one
  std::vector<Expr> others;                   // ORDER BY, LIMIT and the like
};

struct ResolvedQuery {
  std::vector<TableUse> uses;
  std::vector<Block> blocks;
  std::uint32_t top = 0;            // the statement's own block
  std::vector<std::uint32_t> also;  // blocks that nothing names, but that are read (unused CTEs)
};

}  // namespace pgcache::sql
