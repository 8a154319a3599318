// SPDX-License-Identifier: Apache-2.0
// Statement text → query shape: the text with its plain literals lifted out, found by one scan over
// the bytes, without parsing. Runs on every simple query, so it must be fast (a few hundred ns).
//
// Lifted: integer and decimal numbers, and plain '...' strings (no backslash when
// standard_conforming_strings is off, never E'' B'' X'' U&'' N'' or dollar quotes, which stay in
// the shape). A lifted literal leaves a marker that tells its kind, because the kind steers type
// resolution: integers that fit int4, those that fit int8, other numbers, strings. Two texts have
// the same shape only if PostgreSQL parses them to the same tree but for the values of lifted
// literals. White space and comments are kept (they cost a second shape, never a wrong one). A
// minus sign is not part of a number. The length or precision behind the name of a built-in type,
// as in varchar(3), belongs to the shape. Digits inside identifiers ($1, t1, 1e5 handled as
// PostgreSQL's lexer does) are never lifted. A text that the scan does not understand is returned
// with nothing lifted.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgcache::sql {

enum class LiteralKind : std::uint8_t { kInt4, kInt8, kNumeric, kString };

struct Literal {
  LiteralKind kind;
  std::uint32_t offset;  // of its first byte in the statement text (the quote for a string)
  std::string text;      // the value: digits as written; a string with '' undoubled, no quotes
};

struct StatementShape {
  std::string text;               // shape text: markers are \x01 followed by i, b, n or s
  std::vector<Literal> literals;  // in order
  bool pgcache_off = false;       // holds the comment /* pgcache: off */
};

// `standard_conforming_strings`: the session's setting. The bytes must be in an encoding in which
// every byte below 0x80 is itself (the caller checks client_encoding).
StatementShape scan_shape(std::string_view text, bool standard_conforming_strings);

// True when the text holds a word that date/time input reads as the current time or date: a maximal
// run of ASCII letters equal to now, today, tomorrow or yesterday, in any case.
bool names_current_time(std::string_view text);

}  // namespace pgcache::sql
