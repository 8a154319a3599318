// SPDX-License-Identifier: Apache-2.0
// What analysis yields for a shape that is safe to cache: which relations it reads and, for each,
// which rows can matter. Immutable after analysis; shared by every thread.
//
// Soundness contract, for each Dependency d and every possible row r of d.relation (or of its
// descendants): if inserting, deleting or changing r can change the query's result under the given
// operands, then d.residual evaluates to true or unknown on r, and for each equality binding the
// column's value in r equals (one of) the operand(s), and for the range binding it lies inside.
// What is not proven irrelevant is relevant.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pg/function.h"
#include "pg/ids.h"
#include "pg/value.h"

namespace pgcache::sql {

// A value that a predicate compares with: a lifted literal, a parameter, or a constant of the shape
// itself. `type` is the type PostgreSQL gives it there: its text is read as that type.
struct OperandSpec {
  enum class Source : std::uint8_t { kLiteral, kParameter, kConstant };
  Source source = Source::kConstant;
  std::uint16_t index = 0;  // into StatementShape::literals, or the 0-based parameter
  bool negated = false;     // a minus sign in front of a numeric literal
  // kInvalid: only whether it is NULL matters.
  pg::Oid type = pg::Oid::kInvalid;
  std::string constant;  // for kConstant: its text form
  // How values of `type` are read; null: as the built-in type that it is.
  pg::ValueTypePtr value_type = nullptr;
  // The length or precision that the value is cast to then, as in pg_attribute.atttypmod; -1: none.
  std::int32_t typmod = -1;

  std::optional<pg::ValueFamily> family() const {
    return value_type ? value_type->family : pg::family_of(type);
  }
};

// An operand bound to a value for one result key.
using Operand = pg::MaybeValue;

using OperandIndex = std::uint16_t;  // into CacheableQuery::operands

struct ColumnRef {
  std::string name;  // as the stream's Relation message names it
  pg::Oid type = pg::Oid::kInvalid;
  // True when bytewise order is the column's order (numbers and times, text under the C collation).
  bool ordered = false;
  // How its values are read; null: as the built-in type that `type` is.
  pg::ValueTypePtr value_type = nullptr;
  // Of which row, where there are several (Partner).
  std::uint8_t row = 0;
};

enum class CompareOp : std::uint8_t { kEq, kNe, kLt, kLe, kGt, kGe };

// A condition on one row of one relation, in three-valued logic with an explicit "unknown" (which
// stands for any of the three), or a value that such a condition is about. Only comparisons and
// functions whose meaning is PostgreSQL's built-in one appear.
//
// Where PostgreSQL would report an error the value is unknown. Whether a condition that fails is
// computed at all beside another that is false, PostgreSQL leaves to the plan (manual, 4.2.14);
// here the false one decides.
struct Predicate {
  enum class Kind : std::uint8_t {
    kTrue,
    kFalse,
    kUnknown,         // anything the analysis cannot evaluate on a row
    kAnd,             // children
    kOr,              // children
    kNot,             // children[0]
    kCompare,         // column op operand
    kCompareColumns,  // column op other_column (same relation)
    kIsNull,          // column IS NULL
    kIn,              // column = ANY (in_operands)
    kCompareValues,   // children[0] op children[1]
    kIsNullValue,     // children[0]
    kInValues,        // children[0] = ANY (in_operands)
    kAnyOf,           // children[0] op ANY or ALL (children[1], or else operand, an array)
    kDistinct,        // children[0] IS DISTINCT FROM children[1]
    kIsTrue,          // children[0], a condition
    kIsFalse,         // children[0], a condition
    // Values; a boolean one is a condition too
    kColumn,    // column
    kOperand,   // operand
    kNull,      //
    kCall,      // function(children)
    kCast,      // children[0], of type `from`, as `to` with typmod
    kCoalesce,  // children
    kNullIf,    // children[0], or NULL if it equals children[1]
    kExtreme,   // the greatest (all) or least of children that are not NULL
    kCase,      // condition, value, condition, value, ..., value
  };
  Kind kind = Kind::kTrue;
  CompareOp op = CompareOp::kEq;
  bool ordered = false;  // kCompareValues, kAnyOf: bytewise order is the values' order
  bool all = false;      // kAnyOf, kExtreme
  ColumnRef column = {};
  ColumnRef other_column = {};
  OperandIndex operand = 0;
  pg::ValueTypePtr array_type = nullptr;  // kAnyOf
  std::vector<OperandIndex> in_operands = {};
  pg::Oid function = pg::Oid::kInvalid;
  std::string function_name = {};  // for people
  pg::FunctionContext context = {};
  pg::Oid from = pg::Oid::kInvalid;
  pg::Oid to = pg::Oid::kInvalid;
  std::int32_t typmod = -1;
  std::vector<Predicate> children = {};
};

// column = operand (one), or column IN (operands).
struct EqualityBinding {
  ColumnRef column;
  std::vector<OperandIndex> operands;  // at least one
  // The one operand is an array, and the column equals one of its elements. An array that is not
  // known, NULL elements included among others, is as any operand that is not known.
  bool array = false;
  // Rows in which the column is NULL matter too; and every row, if an operand is NULL.
  bool or_null = false;
};

// lower <(=) column <(=) upper; at least one bound.
struct RangeBinding {
  ColumnRef column;
  std::optional<OperandIndex> lower;
  std::optional<OperandIndex> upper;
  bool lower_inclusive = false;
  bool upper_inclusive = false;
};

// value = bound, where `value` is computed of the row's columns alone and `bound` of operands
// alone. The residual says it too: this is for finding it by hash.
struct ValueBinding {
  Predicate value;
  Predicate bound;
};

// A column of a row, and where the result shows its value.
struct ShownColumn {
  ColumnRef column;
  std::uint16_t position = 0;       // of the result column
  pg::ValueTypePtr type = nullptr;  // as which the result shows it
};

// What of a row that matters now the result shows. A row is shown if some row of the result has the
// values of all these columns.
struct Shown {
  std::vector<ShownColumn> columns = {};  // empty: nothing is known
  bool before = false;  // a row that goes, or is changed, matters only if it is shown
  bool after = false;   // a row that comes, or is what another was changed to, does
  // Engaged: an UPDATE that keeps these columns matters only if the row before it is shown.
  std::optional<std::vector<std::string>> columns_tested = std::nullopt;
};

// ORDER BY ... LIMIT: rows that a full result leaves out. One that comes after the last row of the
// result, by the first item of ORDER BY, does not matter.
struct Cutoff {
  // Result columns that may be that item: the one at `place` (from 1), or without it the only one.
  std::vector<ShownColumn> by;
  std::optional<OperandIndex> place;
  bool descending = false;
  bool nulls_first = false;
  OperandIndex limit = 0;  // the result is full with that many rows
};

// min or max: a row that has no lesser (greater) value does not matter.
struct Extreme {
  ShownColumn value;
  bool greatest = false;
  bool looks_alike = false;  // equal values are written in one way
};

// A row of another table, at another place of the query, without which a row does not matter. In
// predicates about both, row 0 is the one that may matter, row 1 that of its first partner, and so
// on.
struct Partner {
  // column = that of a row before it, or an operand. The condition may say it too: this is for
  // finding rows by hash.
  struct Link {
    ColumnRef column;
    std::optional<ColumnRef> other;
    OperandIndex operand = 0;  // without `other`
    bool nulls_match = false;  // NULL goes with NULL
  };
  std::vector<pg::Oid> tables;  // that hold its rows; all of them
  std::vector<Link> links;
  Predicate condition;  // on its row and those before it
};

struct Dependency {
  pg::Oid relation = pg::Oid::kInvalid;
  // Changes to these count too: descendants (unless ONLY), and for a partition the ancestors under
  // which a publication with publish_via_partition_root sends its rows. Includes `relation`.
  std::vector<pg::Oid> members;
  std::vector<EqualityBinding> equalities;  // single-operand ones first; all hold at once
  std::optional<RangeBinding> range;
  std::optional<ValueBinding> value_binding = {};  // where there are no equalities
  Predicate residual;                              // kTrue: every row of the relation matters
  // A condition on operands alone: where it cannot be true, no row of the relation matters.
  Predicate guard = {};
  // The same for the rows of single members: a partition whose bounds the operands exclude.
  std::vector<std::pair<pg::Oid, Predicate>> member_guards = {};
  Shown shown = {};
  std::optional<Cutoff> cutoff = std::nullopt;
  // Not empty: all that is shown of its rows by DISTINCT, UNION and the like. A row that comes with
  // the values of a row that is shown does not matter.
  std::vector<ShownColumn> repeated = {};
  // Not empty: the result is one row, and this all that it shows.
  std::vector<Extreme> extremes = {};
  // Columns that the query reads of this relation (any role); empty with reads_all_columns.
  std::vector<std::string> columns_read;
  bool reads_all_columns = true;
  // Engaged: those that it reads otherwise than in conditions that the bindings and the residual
  // say in full. Of two rows that certainly fulfil these and agree in these columns one does for
  // the other.
  std::optional<std::vector<std::string>> columns_shown = std::nullopt;
  // A row appears before, and disappears after, whatever else could make it matter: it is a parent
  // by a foreign key, joined to its child. Only UPDATEs of it matter by themselves.
  bool is_parent = false;
  // A row matters only while the tables of these hold rows, one for each, that together with it
  // fulfil all their conditions: in the state just before the change (for the row before) or just
  // behind it (for the row after).
  std::vector<Partner> partners = {};
  // That made it what it is, for people: rewrites (passes.h; if AnalysisContext asks for them),
  // then what was found on the way from the rewritten query to here.
  std::vector<std::string> passes = {};

  bool whole_relation() const {
    return equalities.empty() && !range && residual.kind == Predicate::Kind::kTrue;
  }
};

struct CacheableQuery {
  std::vector<OperandSpec> operands;
  std::vector<Dependency> dependencies;  // one per place where a relation stands
  std::vector<pg::Oid> relations;        // distinct tables to be tracked by the publication
  // All relations whose definitions the query's meaning rests on, ascending: those above, views,
  // tables whose rows turned out not to matter, those behind composite types.
  std::vector<pg::Oid> definitions = {};
  // Literals and parameters whose text must not name the current time (names_current_time):
  // those that may be read as a date or time.
  std::vector<std::uint16_t> time_literals;
  std::vector<std::uint16_t> time_parameters;
  // The type of each parameter as far as the analysis knows it (declared, else inferred from its
  // context); kInvalid where unknown. A binary parameter of unknown type is kUnknown as an operand.
  std::vector<pg::Oid> parameter_types;
  bool one_row = false;                                       // the result has at most one
  std::optional<std::uint16_t> limit_literal = std::nullopt;  // or so many: that of its LIMIT
  std::vector<std::string> passes = {};  // that changed the query as a whole, for people
};

}  // namespace pgcache::sql
