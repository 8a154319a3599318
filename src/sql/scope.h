// SPDX-License-Identifier: Apache-2.0
// What names mean at one place of a query: the columns and relations of FROM items, the enclosing
// queries, and the WITH lists. Used by the resolver while it walks; nothing here outlives the walk.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sql/resolved_query.h"

namespace pgcache::sql {

struct ScopeColumn {
  std::string name;
  Expr expr;
  // Of a SELECT: a literal, parameter or NULL without a type, which a set operation may give it.
  // Everywhere else it is text.
  bool untyped = false;
};

// A relation that can be named in front of a column.
struct ScopeRelation {
  std::string alias;
  const pg::Relation* table =
      nullptr;  // a table that stands under its own name (schema.table.column)
  bool has_system_columns = false;
  std::vector<ScopeColumn> columns;
  bool opaque = false;  // may have columns that we do not know
};

// The namespace of one FROM item, or of several side by side.
struct FromScope {
  std::vector<ScopeRelation> relations;
  std::vector<ScopeColumn> columns;  // those found without a qualifier, in the order of *
  bool opaque = false;
  bool has_system_columns = false;

  void append(const FromScope& other);
};

// What the walk finds out about a query level from its expressions.
struct LevelFacts {
  struct Window {
    std::string name;  // of the window in the WINDOW clause that it refers to or builds upon
    std::vector<Expr> partition;
    std::optional<Running> running;
  };
  bool aggregates = false;
  bool set_returning = false;  // may call functions that return sets
  std::vector<Window> windows;
};

// One query level; the chain goes to the enclosing ones. Lives on the stack.
struct Scope {
  const FromScope* from = nullptr;
  const Scope* outer = nullptr;
  LevelFacts* facts = nullptr;  // null where expressions stand before WHERE: ON, FROM items
};

struct Cte {
  std::string name;
  bool ready = false;  // false: a reference from inside a recursive list
  std::vector<ScopeColumn> columns;
  bool opaque = false;
  std::optional<std::uint32_t> block;  // unless it is recursive
  bool referenced_early = false;       // before it was ready
  std::uint32_t recursion = 0;         // if it may be recursive: see Block
};

// The WITH list of one query; the chain goes to the enclosing ones.
struct CteFrame {
  std::deque<Cte> ctes;
  CteFrame* outer = nullptr;
};

inline void FromScope::append(const FromScope& other) {
  relations.insert(relations.end(), other.relations.begin(), other.relations.end());
  columns.insert(columns.end(), other.columns.begin(), other.columns.end());
  opaque = opaque || other.opaque;
  has_system_columns = has_system_columns || other.has_system_columns;
}

}  // namespace pgcache::sql
