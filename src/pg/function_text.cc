// SPDX-License-Identifier: Apache-2.0
// Functions on text and name. All arguments are valid UTF-8 (the table's `characters`).
#include "pg/function_text.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>

#include "pg/function_number.h"
#include "pg/function_table.h"
#include "pg/function_utf8.h"

namespace pgcache::pg::builtin {

namespace {

// Longer results of repeat() and its like are not made.
constexpr std::int64_t kResultBytesMax = 1 << 20;

std::int64_t int_argument(const FunctionCall& call, std::size_t i) { return *integer_of(call[i]); }

MaybeValue text_value(std::string_view text) { return builtin::text_value(std::string(text)); }

MaybeValue char_count(const FunctionCall& call) {
  return integer_value(static_cast<std::int64_t>(count_chars(call.bytes(0))));
}

MaybeValue byte_count(const FunctionCall& call) {
  return integer_value(static_cast<std::int64_t>(call.bytes(0).size()));
}

MaybeValue bit_count(const FunctionCall& call) {
  return integer_value(8 * static_cast<std::int64_t>(call.bytes(0).size()));
}

template <CaseMap map>
MaybeValue change_case(const FunctionCall& call) {
  auto out = map_case(call.bytes(0), map, call.context);
  return out ? builtin::text_value(*std::move(out)) : MaybeValue{};
}

// Words are what is made of letters and digits. (ICU's words are others.)
MaybeValue initcap(const FunctionCall& call) {
  if (!call.context.c_collation || !is_ascii(call.bytes(0))) return {};
  std::string out = ascii_mapped(call.bytes(0), CaseMap::kLower);
  bool in_word = false;
  for (char& c : out) {
    const bool letter = c >= 'a' && c <= 'z';
    if (letter && !in_word) c = static_cast<char>(c - 32);
    in_word = letter || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  }
  return builtin::text_value(std::move(out));
}

// ------------------------------------------------------------------ parts

// The characters from `from` to before `end`, counted from 1.
MaybeValue char_range(std::string_view text, std::int64_t from, std::int64_t end) {
  from = std::max<std::int64_t>(from, 1);
  if (end <= from) return text_value("");
  const std::size_t first = offset_of_char(text, static_cast<std::size_t>(from - 1));
  text.remove_prefix(first);
  return text_value(text.substr(0, offset_of_char(text, static_cast<std::size_t>(end - from))));
}

constexpr std::int64_t kToTheEnd = std::numeric_limits<std::int64_t>::max();

MaybeValue substring_from(const FunctionCall& call) {
  return char_range(call.bytes(0), int_argument(call, 1), kToTheEnd);
}

MaybeValue substring_for(const FunctionCall& call) {
  const std::int64_t from = int_argument(call, 1);
  const std::int64_t length = int_argument(call, 2);
  if (length < 0) return {};
  return char_range(call.bytes(0), from, from + length);
}

MaybeValue left(const FunctionCall& call) {
  std::int64_t n = int_argument(call, 1);
  if (n < 0) n += static_cast<std::int64_t>(count_chars(call.bytes(0)));
  return char_range(call.bytes(0), 1, n + 1);
}

MaybeValue right(const FunctionCall& call) {
  const std::int64_t n = int_argument(call, 1);
  if (n == std::numeric_limits<std::int32_t>::min()) return {};
  const auto length = static_cast<std::int64_t>(count_chars(call.bytes(0)));
  return char_range(call.bytes(0), n < 0 ? 1 - n : length - n + 1, kToTheEnd);
}

bool contains_char(std::string_view set, std::string_view c) {
  for (CharReader in(set); !in.at_end();) {
    if (in.next() == c) return true;
  }
  return false;
}

std::string_view trimmed_left(std::string_view text, std::string_view set) {
  for (CharReader in(text); !in.at_end();) {
    const std::string_view c = in.next();
    if (!contains_char(set, c)) break;
    text.remove_prefix(c.size());
  }
  return text;
}

std::string_view trimmed_right(std::string_view text, std::string_view set) {
  while (!text.empty()) {
    std::size_t at = text.size() - 1;
    while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    if (!contains_char(set, text.substr(at))) break;
    text = text.substr(0, at);
  }
  return text;
}

template <bool at_left, bool at_right>
MaybeValue trim(const FunctionCall& call) {
  std::string_view text = call.bytes(0);
  const std::string_view set = call.arguments.size() == 1 ? " " : std::string_view(call.bytes(1));
  if (at_left) text = trimmed_left(text, set);
  if (at_right) text = trimmed_right(text, set);
  return text_value(text);
}

// The fields of `text`, split at each `separator`.
std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> out;
  for (;;) {
    const std::size_t at = text.find(separator);
    out.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + separator.size());
  }
}

MaybeValue split_part(const FunctionCall& call) {
  std::int64_t n = int_argument(call, 2);
  if (n == 0 || !call.context.deterministic) return {};
  const std::string_view text = call.bytes(0);
  std::vector<std::string_view> fields;
  if (!text.empty()) {
    fields = call.bytes(1).empty() ? std::vector{text} : split(text, call.bytes(1));
  }
  const auto count = static_cast<std::int64_t>(fields.size());
  if (n < 0) n += count + 1;
  return text_value(n >= 1 && n <= count ? fields[static_cast<std::size_t>(n - 1)] : "");
}

// ------------------------------------------------------------------ searches

MaybeValue position(const FunctionCall& call) {
  if (!call.context.deterministic) return {};
  const std::string_view text = call.bytes(0);
  const std::size_t at = text.find(call.bytes(1));
  if (at == std::string_view::npos) return integer_value(0);
  return integer_value(static_cast<std::int64_t>(count_chars(text.substr(0, at))) + 1);
}

MaybeValue starts_with(const FunctionCall& call) {
  if (!call.context.deterministic) return {};
  return bool_value(call.bytes(0).starts_with(call.bytes(1)));
}

MaybeValue replace(const FunctionCall& call) {
  if (!call.context.deterministic) return {};
  std::string_view text = call.bytes(0);
  if (call.bytes(1).empty()) return text_value(text);
  std::string out;
  for (;;) {
    const std::size_t at = text.find(call.bytes(1));
    out += text.substr(0, at);
    if (at == std::string_view::npos) break;
    out += call.bytes(2);
    text.remove_prefix(at + call.bytes(1).size());
    if (static_cast<std::int64_t>(out.size()) > kResultBytesMax) return {};
  }
  return builtin::text_value(std::move(out));
}

MaybeValue translate(const FunctionCall& call) {
  std::string out;
  for (CharReader in(call.bytes(0)); !in.at_end();) {
    const std::string_view c = in.next();
    CharReader from(call.bytes(1));
    CharReader to(call.bytes(2));
    std::string_view replacement = c;
    while (!from.at_end()) {
      const std::string_view f = from.next();
      const std::string_view t = to.at_end() ? std::string_view() : to.next();
      if (f != c) continue;
      replacement = t;
      break;
    }
    out += replacement;
  }
  return builtin::text_value(std::move(out));
}

// ------------------------------------------------------------------ made of others

MaybeValue concatenate(const FunctionCall& call) {
  return builtin::text_value(call.bytes(0) + call.bytes(1));
}

MaybeValue reverse(const FunctionCall& call) {
  const std::string_view text = call.bytes(0);
  std::string out(text.size(), '\0');
  std::size_t at = text.size();
  for (CharReader in(text); !in.at_end();) {
    const std::string_view c = in.next();
    at -= c.size();
    out.replace(at, c.size(), c);
  }
  return builtin::text_value(std::move(out));
}

MaybeValue repeat(const FunctionCall& call) {
  const std::int64_t count = std::max<std::int64_t>(int_argument(call, 1), 0);
  const auto size = static_cast<std::int64_t>(call.bytes(0).size());
  if (count * size > kResultBytesMax) return {};
  std::string out;
  if (size != 0) {
    for (std::int64_t i = 0; i < count; ++i) out += call.bytes(0);
  }
  return builtin::text_value(std::move(out));
}

// `count` characters of `fill`, again and again.
std::string filling(std::string_view fill, std::int64_t count) {
  std::string out;
  CharReader in(fill);
  for (; count > 0; --count) {
    if (in.at_end()) in = CharReader(fill);
    out += in.next();
  }
  return out;
}

template <bool at_left>
MaybeValue pad(const FunctionCall& call) {
  const std::string& text = call.bytes(0);
  const std::int64_t length = std::max<std::int64_t>(int_argument(call, 1), 0);
  const std::string_view fill = call.arguments.size() == 2 ? " " : std::string_view(call.bytes(2));
  const auto have = static_cast<std::int64_t>(count_chars(text));
  if (length > kResultBytesMax / 4) return {};
  if (have >= length || fill.empty()) return char_range(text, 1, length + 1);
  const std::string padding = filling(fill, length - have);
  return builtin::text_value(at_left ? padding + text : text + padding);
}

MaybeValue ascii(const FunctionCall& call) {
  const std::string& text = call.bytes(0);
  return integer_value(text.empty() ? 0 : static_cast<std::int64_t>(first_char(text)));
}

MaybeValue chr(const FunctionCall& call) {
  const std::int64_t c = int_argument(call, 0);
  const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
  if (c <= 0 || c > (call.context.utf8 ? 0x10FFFF : 0x7F) || surrogate) return {};
  std::string out;
  append_utf8(out, static_cast<char32_t>(c));
  return builtin::text_value(std::move(out));
}

template <typename Unsigned>
MaybeValue to_hex(const FunctionCall& call) {
  std::array<char, 16> out;
  const auto n = static_cast<Unsigned>(int_argument(call, 0));
  char* const end = std::to_chars(out.data(), out.data() + out.size(), n, 16).ptr;
  return builtin::text_value(std::string(out.data(), end));
}

MaybeValue md5(const FunctionCall& call) { return builtin::text_value(md5_hex(call.bytes(0))); }

template <bool greater>
MaybeValue extreme(const FunctionCall& call) {
  if (!call.context.c_collation) return {};
  return (call.bytes(0) > call.bytes(1)) == greater ? call.arguments[0] : call.arguments[1];
}

constexpr Oid kT = type::kText, k4 = type::kInt4;

}  // namespace

std::string ascii_mapped(std::string_view text, CaseMap map) {
  const char first = map == CaseMap::kLower ? 'A' : 'a';
  std::string out(text);
  for (char& c : out) {
    if (c >= first && c <= first + 25) c = static_cast<char>(c ^ 0x20);
  }
  return out;
}

std::optional<std::string> map_case(std::string_view text, CaseMap map,
                                    const FunctionContext& context) {
  if (!context.c_collation && !(context.ascii_case && is_ascii(text))) return std::nullopt;
  return ascii_mapped(text, map);
}

FunctionTable text_functions() {
  FunctionTable table = {
      {1257, "textlen", {kT}, k4, char_count},
      {1317, "length", {kT}, k4, char_count},
      {1369, "character_length", {kT}, k4, char_count},
      {1381, "char_length", {kT}, k4, char_count},
      {1318, "length", {type::kBpchar}, k4, char_count},
      {1367, "character_length", {type::kBpchar}, k4, char_count},
      {1372, "char_length", {type::kBpchar}, k4, char_count},
      {1374, "octet_length", {kT}, k4, byte_count},
      {1811, "bit_length", {kT}, k4, bit_count},
      {870, "lower", {kT}, kT, change_case<CaseMap::kLower>},
      {871, "upper", {kT}, kT, change_case<CaseMap::kUpper>},
      {872, "initcap", {kT}, kT, initcap},
      {883, "substr", {kT, k4}, kT, substring_from},
      {937, "substring", {kT, k4}, kT, substring_from},
      {877, "substr", {kT, k4, k4}, kT, substring_for},
      {936, "substring", {kT, k4, k4}, kT, substring_for},
      {3060, "left", {kT, k4}, kT, left},
      {3061, "right", {kT, k4}, kT, right},
      {875, "ltrim", {kT, kT}, kT, trim<true, false>},
      {881, "ltrim", {kT}, kT, trim<true, false>},
      {876, "rtrim", {kT, kT}, kT, trim<false, true>},
      {882, "rtrim", {kT}, kT, trim<false, true>},
      {884, "btrim", {kT, kT}, kT, trim<true, true>},
      {885, "btrim", {kT}, kT, trim<true, true>},
      {2088, "split_part", {kT, kT, k4}, kT, split_part},
      {849, "position", {kT, kT}, k4, position},
      {868, "strpos", {kT, kT}, k4, position},
      {3696, "starts_with", {kT, kT}, type::kBool, starts_with},
      {2087, "replace", {kT, kT, kT}, kT, replace},
      {878, "translate", {kT, kT, kT}, kT, translate},
      {1258, "textcat", {kT, kT}, kT, concatenate},
      {3062, "reverse", {kT}, kT, reverse},
      {1622, "repeat", {kT, k4}, kT, repeat},
      {873, "lpad", {kT, k4, kT}, kT, pad<true>},
      {879, "lpad", {kT, k4}, kT, pad<true>},
      {874, "rpad", {kT, k4, kT}, kT, pad<false>},
      {880, "rpad", {kT, k4}, kT, pad<false>},
      {1620, "ascii", {kT}, k4, ascii},
      {1621, "chr", {k4}, kT, chr},
      {2089, "to_hex", {k4}, kT, to_hex<std::uint32_t>},
      {2090, "to_hex", {type::kInt8}, kT, to_hex<std::uint64_t>},
      {2311, "md5", {kT}, kT, md5},
      {458, "text_larger", {kT, kT}, kT, extreme<true>},
      {459, "text_smaller", {kT, kT}, kT, extreme<false>},
  };
  for (FunctionEntry& entry : table) entry.characters = true;
  return table;
}

}  // namespace pgcache::pg::builtin
