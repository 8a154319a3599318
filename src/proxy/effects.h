// SPDX-License-Identifier: Apache-2.0
// What a forwarded request may have done to its session and to the database, and how the state of
// the transaction block follows. Pure values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/shape_table.h"

namespace pgcache::proxy {

// The first keyword decides how much trouble a statement is worth.
enum class Lead : std::uint8_t {
  kRead,     // SELECT, WITH, VALUES, TABLE or a parenthesis: may be cacheable
  kDml,      // INSERT, UPDATE, DELETE, MERGE, COPY, TRUNCATE
  kUtility,  // everything else
};
Lead leading_keyword(std::string_view sql);
bool is_of_name(char c);  // may stand in a name that is not quoted
bool is_ascii(std::string_view bytes);
bool is_copy(std::string_view sql);  // begins with COPY
// Whether the text may use or show portals by their names: WHERE CURRENT OF, pg_cursors, CLOSE.
bool may_name_portals(std::string_view sql);
bool may_fetch(std::string_view sql);                              // rows of a portal by its name
bool fetches_from(std::string_view sql, std::string_view portal);  // if it may fetch

struct Effects {
  bool begins = false;            // a plain BEGIN
  bool ends_block = false;        // COMMIT or ROLLBACK
  bool may_end_block = false;     // and may begin another one
  bool savepoint = false;         // SAVEPOINT, RELEASE, ROLLBACK TO
  bool unread = false;            // the text is not known
  bool harmless = true;           // neither settings nor the block nor data were touched
  bool wrote = false;             // surely or likely changed data
  bool may_have_written = false;  // may have (a volatile function)
  // What it wrote to, if that is known: sql::SideEffects::writes. Nothing: perhaps any table.
  std::optional<std::vector<pg::Oid>> writes;
  bool keeps_settings = false;        // it is not harmless, but for the settings it is
  bool ddl = false;                   // may have changed the catalog
  bool redefines = false;             // and its text says so
  bool clears_statements = false;     // the named ones: DEALLOCATE ALL, DISCARD ALL, or a list
  bool may_clear_statements = false;  // may have done that, in code that is not read
  bool calls_functions = false;       // that are not built in, and may drop prepared statements
  bool opens_cursors = false;         // may have declared one that outlives its transaction
  std::vector<std::string> deallocates;

  bool may_change_settings() const { return !harmless && !keeps_settings; }
  bool writes_something() const { return wrote || may_have_written; }
  void merge(Effects other);
};

// Of a statement that goes to the origin: `shape` is its analysis, null when there is none, or none
// that can be relied upon.
Effects effects_of(Lead lead, std::string_view sql, const cache::Shape* shape);
// Of something that cannot be seen through (a function call, an unknown portal).
Effects unknown_effects();
// Of a Bind whose statement is not known.
Effects unknown_statement_effects();
// Of a simple query whose text is not read.
Effects unread_effects();

enum class Block : std::uint8_t {
  kNone,
  kClean,  // READ COMMITTED; only BEGIN and cacheable reads so far
  kDirty,
};
// The block's state after a request with these effects ended in transaction status `status` (I T
// E).
Block next_block(Block before, const Effects& effects, char status);

}  // namespace pgcache::proxy
