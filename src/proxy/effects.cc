// SPDX-License-Identifier: Apache-2.0
#include "proxy/effects.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace pgcache::proxy {

namespace {

bool is_letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

}  // namespace

bool is_of_name(char c) {
  return is_letter(c) || c == '_' || c == '$' || (c >= '0' && c <= '9') || (c & 0x80) != 0;
}

bool is_ascii(std::string_view bytes) {
  return std::none_of(bytes.begin(), bytes.end(), [](char c) { return (c & 0x80) != 0; });
}

namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Behind white space and comments; an unterminated comment ends the text.
std::string_view skip_blank(std::string_view sql) {
  for (;;) {
    while (!sql.empty() && is_space(sql.front())) sql.remove_prefix(1);
    if (sql.starts_with("--")) {
      const std::size_t end = sql.find_first_of("\r\n");
      sql = end == std::string_view::npos ? std::string_view{} : sql.substr(end);
    } else if (sql.starts_with("/*")) {
      int depth = 0;
      std::size_t at = 0;
      do {
        if (sql.substr(at).starts_with("/*")) {
          ++depth;
          at += 2;
        } else if (sql.substr(at).starts_with("*/")) {
          --depth;
          at += 2;
        } else {
          ++at;
        }
      } while (depth > 0 && at < sql.size());
      sql = sql.substr(at < sql.size() ? at : sql.size());
    } else {
      return sql;
    }
  }
}

bool keyword_is(std::string_view word, std::string_view lower) {
  if (word.size() != lower.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const char c = word[i] >= 'A' && word[i] <= 'Z' ? static_cast<char>(word[i] + 32) : word[i];
    if (c != lower[i]) return false;
  }
  return true;
}

// The letters at the start, as many as the longest keyword that is asked for.
std::string_view first_word(std::string_view sql) {
  std::size_t length = 0;
  while (length < sql.size() && length < 9 && (sql[length] | 32) >= 'a' &&
         (sql[length] | 32) <= 'z') {
    ++length;
  }
  return sql.substr(0, length);
}

Effects dml_effects() {
  Effects effects;
  effects.harmless = false;
  effects.wrote = true;
  return effects;
}

// Of a statement whose side effects are all known.
Effects known_effects(const sql::SideEffects& side_effects) {
  if (side_effects.writes.empty()) return {};
  Effects effects = dml_effects();
  effects.keeps_settings = true;
  effects.writes = side_effects.writes;
  return effects;
}

// A read that is not known to be cacheable: any function may be called in it.
Effects read_effects() {
  Effects effects;
  effects.harmless = false;
  effects.may_have_written = true;
  return effects;
}

// A semicolon with something behind it. Right or not (it may stand in a string), the answer "yes"
// is safe.
bool may_hold_more_statements(std::string_view sql) {
  const std::size_t semicolon = sql.find(';');
  return semicolon != std::string_view::npos && !skip_blank(sql.substr(semicolon + 1)).empty();
}

const char* find_text(std::string_view sql, std::string_view lower) {
  return std::search(sql.begin(), sql.end(), lower.begin(), lower.end(),
                     [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

bool contains(std::string_view sql, std::string_view lower) {
  return find_text(sql, lower) != sql.end();
}

// Not the name of a function (CURRENT_DATE). Between the two words there may be comments.
bool may_hold_current_of(std::string_view sql) {
  constexpr std::string_view kCurrent = "current";
  for (const auto* at = find_text(sql, kCurrent); at != sql.end(); at = find_text(sql, kCurrent)) {
    sql.remove_prefix(static_cast<std::size_t>(at - sql.begin()) + kCurrent.size());
    if (!sql.empty() && !is_of_name(sql.front())) return contains(sql, "of");
  }
  return false;
}

// Whether the text may drop or redefine a prepared statement: only commands with one of these words
// do.
bool may_touch_statements(std::string_view sql) {
  return contains(sql, "prepare") || contains(sql, "deallocate") || contains(sql, "discard");
}

// Whether the text may define something anew that cached results rest on: only commands with one of
// these words do. In a string or a comment they count too, a temporary object does not.
bool may_redefine(std::string_view sql) {
  bool creates = false;
  while (!sql.empty()) {
    if (!is_letter(sql.front()) && sql.front() != '_') {
      sql.remove_prefix(1);
      continue;
    }
    const auto* const end = std::find_if_not(sql.begin(), sql.end(), is_of_name);
    const auto length = static_cast<std::size_t>(end - sql.begin());
    const std::string_view word = sql.substr(0, length);
    sql.remove_prefix(length);
    const auto is = [word](std::string_view lower) { return keyword_is(word, lower); };
    if (is("local") || is("global")) continue;
    if (creates && !is("temp") && !is("temporary")) return true;
    creates = is("create");
    for (const char* other : {"alter", "drop", "grant", "revoke", "import", "reassign"}) {
      if (is(other)) return true;
    }
  }
  return false;
}

Effects several_effects(std::string_view sql) {
  Effects effects = unknown_effects();
  effects.may_end_block = effects.ddl = true;
  effects.redefines = may_redefine(sql);
  effects.clears_statements = may_touch_statements(sql);
  return effects;
}

// DO, CALL and EXPLAIN may do what their text does not show: change the catalog, drop statements.
Effects other_effects(std::string_view sql) {
  const std::string_view word = first_word(skip_blank(sql));
  for (const char* end : {"commit", "end", "rollback", "abort"}) {
    if (!keyword_is(word, end)) continue;
    Effects chain;  // or of a prepared transaction
    chain.harmless = false;
    chain.may_end_block = true;
    chain.wrote = contains(sql, "prepared");
    return chain;
  }
  Effects effects = unknown_effects();
  const bool runs_code = keyword_is(word, "do") || keyword_is(word, "call");
  effects.ddl = runs_code || keyword_is(word, "explain");
  effects.redefines = effects.ddl && may_redefine(sql);
  effects.may_clear_statements = runs_code;
  return effects;
}

Effects of_kind(sql::StatementKind kind, std::string_view sql, const cache::Shape& shape) {
  using sql::StatementKind;
  Effects effects;
  switch (kind) {
    case StatementKind::kBegin:
    case StatementKind::kBeginReadCommitted:
      effects.begins = true;
      return effects;
    case StatementKind::kCommit:
    case StatementKind::kRollback:
      effects.ends_block = true;
      return effects;
    case StatementKind::kSavepoint:
      effects.harmless = false;  // settings may go back to what they were
      effects.savepoint = true;
      return effects;
    case StatementKind::kPrepare:
    case StatementKind::kQuiet:
      return effects;
    case StatementKind::kExecute:  // of what, the session may know
      return unknown_effects();
    case StatementKind::kDeallocate:
      effects.deallocates.push_back(shape.analysis.statement_name);
      return effects;
    case StatementKind::kDeallocateAll:
      effects.clears_statements = true;
      effects.harmless = false;
      return effects;
    case StatementKind::kBeginOther:
      effects.harmless = false;
      effects.keeps_settings = true;  // but for those of this transaction
      return effects;
    case StatementKind::kSet:
      effects.harmless = false;
      return effects;
    case StatementKind::kDml:
      return dml_effects();
    case StatementKind::kRead:
      return read_effects();
    case StatementKind::kDdl:
      effects = unknown_effects();
      effects.ddl = true;
      effects.redefines = may_redefine(sql);
      return effects;
    case StatementKind::kOther:
      return other_effects(sql);
  }
  return unknown_effects();
}

}  // namespace

Lead leading_keyword(std::string_view sql) {
  sql = skip_blank(sql);
  if (sql.starts_with('(')) return Lead::kRead;
  const std::string_view word = first_word(sql);
  for (const char* read : {"select", "with", "values", "table"}) {
    if (keyword_is(word, read)) return Lead::kRead;
  }
  for (const char* dml : {"insert", "update", "delete", "merge", "copy", "truncate"}) {
    if (keyword_is(word, dml)) return Lead::kDml;
  }
  return Lead::kUtility;
}

bool may_name_portals(std::string_view sql) {
  return may_fetch(sql) || contains(sql, "cursor") || contains(sql, "close") ||
         contains(sql, "declare");
}

bool may_fetch(std::string_view sql) {
  return contains(sql, "fetch") || contains(sql, "move") || may_hold_current_of(sql);
}

bool fetches_from(std::string_view sql, std::string_view portal) {
  if (portal.empty() || !may_fetch(sql)) return false;
  std::string lower(portal);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  // In U&"" letters may be numbers, and of a quote there are two.
  return contains(sql, lower) || contains(sql, "u&") || portal.find('"') != std::string_view::npos;
}

bool is_copy(std::string_view sql) { return keyword_is(first_word(skip_blank(sql)), "copy"); }

void Effects::merge(Effects other) {
  keeps_settings = !may_change_settings() && !other.may_change_settings();
  if (!writes_something()) {
    writes = std::move(other.writes);
  } else if (other.writes_something()) {
    if (writes && other.writes) {
      writes->insert(writes->end(), other.writes->begin(), other.writes->end());
    } else {
      writes.reset();
    }
  }
  begins |= other.begins;
  ends_block |= other.ends_block;
  may_end_block |= other.may_end_block;
  savepoint |= other.savepoint;
  unread |= other.unread;
  harmless &= other.harmless;
  wrote |= other.wrote;
  may_have_written |= other.may_have_written;
  ddl |= other.ddl;
  redefines |= other.redefines;
  clears_statements |= other.clears_statements;
  may_clear_statements |= other.may_clear_statements;
  calls_functions |= other.calls_functions;
  opens_cursors |= other.opens_cursors;
  deallocates.insert(deallocates.end(), std::make_move_iterator(other.deallocates.begin()),
                     std::make_move_iterator(other.deallocates.end()));
}

Effects unknown_effects() {
  Effects effects;
  effects.harmless = false;
  effects.wrote = true;
  effects.opens_cursors = true;
  return effects;
}

Effects unknown_statement_effects() {
  Effects effects = unknown_effects();
  effects.may_end_block = true;
  return effects;
}

Effects unread_effects() {
  Effects effects = unknown_effects();
  effects.unread = effects.may_end_block = effects.may_clear_statements = true;
  effects.ddl = effects.redefines = true;
  return effects;
}

Effects effects_of(Lead lead, std::string_view sql, const cache::Shape* shape) {
  if (shape != nullptr && shape->analysis.side_effects.known) {
    return known_effects(shape->analysis.side_effects);
  }
  if (lead == Lead::kDml)
    return may_hold_more_statements(sql) ? several_effects(sql) : dml_effects();
  if (shape == nullptr) {
    const bool read = lead == Lead::kRead && !may_hold_more_statements(sql);
    return read ? read_effects() : several_effects(sql);
  }
  if (shape->analysis.cacheable() != nullptr) return {};
  const sql::BypassReason reason = shape->analysis.not_cacheable()->reason;
  if (reason == sql::BypassReason::kEmptyQuery) return {};
  const bool several = reason == sql::BypassReason::kMultiStatement &&
                       shape->analysis.kind == sql::StatementKind::kOther;
  if (several || reason == sql::BypassReason::kSyntax) {
    return several_effects(sql);
  }
  if (reason == sql::BypassReason::kModifyingCte) return dml_effects();
  return of_kind(shape->analysis.kind, sql, *shape);
}

Block next_block(Block before, const Effects& effects, char status) {
  if (status == 'I') return Block::kNone;
  if (status == 'E' || !effects.harmless) return Block::kDirty;
  if (before == Block::kNone) return effects.begins ? Block::kClean : Block::kDirty;
  return before;
}

}  // namespace pgcache::proxy
