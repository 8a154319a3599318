// SPDX-License-Identifier: Apache-2.0
// Internal to pg: LIKE patterns. "%" is any string, "_" any one unit (a character, of bytea a
// byte), "\" takes the next one as it stands.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace pgcache::pg::builtin {

class LikePattern {
 public:
  enum class Unit : std::uint8_t { kByte, kCharacter };

  // Views `pattern`, which is valid UTF-8 if units are characters. Nothing when it ends with its
  // escape character, which is an error in PostgreSQL if the match comes as far as that.
  static std::optional<LikePattern> parse(std::string_view pattern, Unit unit);

  // Nothing, here and below, when it takes too long.
  std::optional<bool> matches(std::string_view text) const;

  // The same for all of `text`, followed by any number of blanks? Then whether it matches.
  std::optional<bool> matches_whatever_blanks(std::string_view text) const;

  // False only if no text matches that one gets by replacing each character of `text` that is not
  // ASCII by any string whatever.
  std::optional<bool> may_match_around_ascii(std::string_view text) const;

 private:
  struct Token {
    enum class Kind : std::uint8_t { kAnyString, kAnyOne, kUnit };
    Kind kind;
    std::string_view unit = {};
  };
  class States;

  explicit LikePattern(Unit unit) : unit_(unit) {}
  std::size_t unit_length(char first) const;
  bool is_too_long(std::string_view text) const;

  Unit unit_;
  std::vector<Token> tokens_;
};

}  // namespace pgcache::pg::builtin
