// SPDX-License-Identifier: Apache-2.0
// LIKE, ILIKE, their escape clauses, and the functions behind ~ and SIMILAR TO.
#include <string_view>

#include "pg/function_like.h"
#include "pg/function_regex.h"
#include "pg/function_table.h"
#include "pg/function_text.h"
#include "pg/function_utf8.h"
#include "pg/value_codec.h"

namespace pgcache::pg::builtin {

namespace {

using Match = std::optional<bool>;

MaybeValue as_value(Match matched, bool wanted) {
  return matched ? bool_value(*matched == wanted) : MaybeValue{};
}

Match like(std::string_view text, std::string_view pattern, LikePattern::Unit unit) {
  const auto parsed = LikePattern::parse(pattern, unit);
  return parsed ? parsed->matches(text) : std::nullopt;
}

// A char(n) has blanks behind it, nobody knows how many.
Match like_with_blanks(std::string_view text, std::string_view pattern) {
  const auto parsed = LikePattern::parse(pattern, LikePattern::Unit::kCharacter);
  return parsed ? parsed->matches_whatever_blanks(text) : std::nullopt;
}

template <bool wanted>
MaybeValue like_text(const FunctionCall& call) {
  if (!call.context.deterministic) return {};
  return as_value(like(call.bytes(0), call.bytes(1), LikePattern::Unit::kCharacter), wanted);
}

template <bool wanted>
MaybeValue like_bpchar(const FunctionCall& call) {
  if (!call.context.deterministic) return {};
  return as_value(like_with_blanks(call.bytes(0), call.bytes(1)), wanted);
}

template <bool wanted>
MaybeValue like_bytea(const FunctionCall& call) {
  return as_value(like(call.bytes(0), call.bytes(1), LikePattern::Unit::kByte), wanted);
}

// Whether it has a character that lower() makes none of ASCII's of: any beyond ASCII, but the
// dotted capital I and the Kelvin sign.
bool matches_no_ascii(std::string_view pattern, const FunctionContext& context) {
  if (!context.ascii_case || !LikePattern::parse(pattern, LikePattern::Unit::kCharacter)) {
    return false;
  }
  for (CharReader in(pattern); !in.at_end();) {
    const std::string_view c = in.next();
    if (c.size() > 1 && c != "\xC4\xB0" && c != "\xE2\x84\xAA") return true;
  }
  return false;
}

// PostgreSQL folds both sides with lower(). What that makes of a character beyond ASCII is not
// known, but often the rest of the text shows that it does not matter.
template <bool wanted>
MaybeValue ilike_text(const FunctionCall& call) {
  if (!call.context.deterministic) return {};
  const auto pattern = map_case(call.bytes(1), CaseMap::kLower, call.context);
  if (!pattern) {
    return matches_no_ascii(call.bytes(1), call.context) && is_ascii(call.bytes(0))
               ? bool_value(!wanted)
               : MaybeValue{};
  }
  const auto text = map_case(call.bytes(0), CaseMap::kLower, call.context);
  if (text) return as_value(like(*text, *pattern, LikePattern::Unit::kCharacter), wanted);
  if (!call.context.ascii_case) return {};
  const auto parsed = LikePattern::parse(*pattern, LikePattern::Unit::kCharacter);
  const auto possible =
      parsed ? parsed->may_match_around_ascii(ascii_mapped(call.bytes(0), CaseMap::kLower))
             : std::nullopt;
  return possible == false ? bool_value(!wanted) : MaybeValue{};
}

template <bool wanted>
MaybeValue ilike_bpchar(const FunctionCall& call) {
  if (!call.context.deterministic) return {};
  const auto text = map_case(call.bytes(0), CaseMap::kLower, call.context);
  const auto pattern = map_case(call.bytes(1), CaseMap::kLower, call.context);
  return text && pattern ? as_value(like_with_blanks(*text, *pattern), wanted) : MaybeValue{};
}

// A pattern with another escape character as one with the backslash. `escape` is one character, or
// none at all.
std::string with_backslash(std::string_view pattern, std::string_view escape) {
  std::string out;
  bool escaped = false;
  for (CharReader in(pattern); !in.at_end();) {
    const std::string_view c = in.next();
    if (c == escape && !escaped) {
      out += '\\';
      escaped = true;
      continue;
    }
    if (c == "\\" && !escaped) out += '\\';
    out += c;
    escaped = false;
  }
  return out;
}

MaybeValue like_escape(const FunctionCall& call) {
  const std::string& escape = call.bytes(1);
  if (escape == "\\") return call.arguments[0];
  if (count_chars(escape) > 1) return {};
  return text_value(with_backslash(call.bytes(0), escape));
}

template <bool ignore_case, bool wanted>
MaybeValue regex(const FunctionCall& call) {
  if (!call.context.deterministic) return {};
  if (ignore_case && !call.context.ascii_case && !call.context.c_collation) return {};
  const auto matched = regex_matches(call.bytes(0), call.bytes(1), ignore_case);
  return matched ? bool_value(*matched == wanted) : MaybeValue{};
}

MaybeValue similar_escape(const FunctionCall& call) {
  const std::string_view escape =
      call.arguments.size() == 1 ? "\\" : std::string_view(call.bytes(1));
  auto out = similar_to_regex(call.bytes(0), escape);
  return out ? text_value(*std::move(out)) : MaybeValue{};
}

constexpr Oid kT = type::kText, kN = type::kName, kC = type::kBpchar, kB = type::kBytea,
              kBool = type::kBool;

FunctionTable text_patterns() {
  FunctionTable table = {
      {850, "textlike", {kT, kT}, kBool, like_text<true>},
      {851, "textnlike", {kT, kT}, kBool, like_text<false>},
      {1569, "like", {kT, kT}, kBool, like_text<true>},
      {1570, "notlike", {kT, kT}, kBool, like_text<false>},
      {858, "namelike", {kN, kT}, kBool, like_text<true>},
      {859, "namenlike", {kN, kT}, kBool, like_text<false>},
      {1571, "like", {kN, kT}, kBool, like_text<true>},
      {1572, "notlike", {kN, kT}, kBool, like_text<false>},
      {1633, "texticlike", {kT, kT}, kBool, ilike_text<true>},
      {1634, "texticnlike", {kT, kT}, kBool, ilike_text<false>},
      {1635, "nameiclike", {kN, kT}, kBool, ilike_text<true>},
      {1636, "nameicnlike", {kN, kT}, kBool, ilike_text<false>},
      {1631, "bpcharlike", {kC, kT}, kBool, like_bpchar<true>},
      {1632, "bpcharnlike", {kC, kT}, kBool, like_bpchar<false>},
      {1660, "bpchariclike", {kC, kT}, kBool, ilike_bpchar<true>},
      {1661, "bpcharicnlike", {kC, kT}, kBool, ilike_bpchar<false>},
      {1637, "like_escape", {kT, kT}, kT, like_escape},
      {1254, "textregexeq", {kT, kT}, kBool, regex<false, true>},
      {1256, "textregexne", {kT, kT}, kBool, regex<false, false>},
      {1238, "texticregexeq", {kT, kT}, kBool, regex<true, true>},
      {1239, "texticregexne", {kT, kT}, kBool, regex<true, false>},
      {79, "nameregexeq", {kN, kT}, kBool, regex<false, true>},
      {1252, "nameregexne", {kN, kT}, kBool, regex<false, false>},
      {1240, "nameicregexeq", {kN, kT}, kBool, regex<true, true>},
      {1241, "nameicregexne", {kN, kT}, kBool, regex<true, false>},
      {6263, "regexp_like", {kT, kT}, kBool, regex<false, true>},
      {1986, "similar_to_escape", {kT, kT}, kT, similar_escape},
      {1987, "similar_to_escape", {kT}, kT, similar_escape},
  };
  for (FunctionEntry& entry : table) entry.characters = true;
  return table;
}

}  // namespace

FunctionTable pattern_functions() {
  FunctionTable table = text_patterns();
  table.push_back({2005, "bytealike", {kB, kB}, kBool, like_bytea<true>});
  table.push_back({2006, "byteanlike", {kB, kB}, kBool, like_bytea<false>});
  table.push_back({2007, "like", {kB, kB}, kBool, like_bytea<true>});
  table.push_back({2008, "notlike", {kB, kB}, kBool, like_bytea<false>});
  return table;
}

}  // namespace pgcache::pg::builtin
