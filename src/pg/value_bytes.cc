// SPDX-License-Identifier: Apache-2.0
// The text forms of bool, uuid and bytea.
#include "pg/value_codec.h"

namespace pgcache::pg {

namespace {

bool is_octal(char c, char max) { return c >= '0' && c <= max; }

// The text behind "\x": pairs of digits, with white space between pairs.
CanonicalBytes bytea_from_hex(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r') {
      ++at;
      continue;
    }
    const auto byte = hex_pair(text, at);
    if (!byte) return std::nullopt;
    out += *byte;
    at += 2;
  }
  return out;
}

// Bytes as themselves, "\\" for a backslash, "\ooo" with three octal digits up to 377.
CanonicalBytes bytea_from_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '\0') return std::nullopt;
    if (text[at] != '\\') {
      out += text[at++];
    } else if (at + 1 < text.size() && text[at + 1] == '\\') {
      out += '\\';
      at += 2;
    } else if (at + 3 < text.size() && is_octal(text[at + 1], '3') && is_octal(text[at + 2], '7') &&
               is_octal(text[at + 3], '7')) {
      out += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 +
                               (text[at + 3] - '0'));
      at += 4;
    } else {
      return std::nullopt;
    }
  }
  return out;
}

// Whether `text` is the first `min` or more letters of `word`.
bool abbreviates(std::string_view text, std::string_view word, std::size_t min) {
  return text.size() >= min && text.size() <= word.size() &&
         equals_ignoring_case(text, word.substr(0, text.size()));
}

}  // namespace

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<char> hex_pair(std::string_view text, std::size_t at) {
  if (at + 2 > text.size()) return std::nullopt;
  const int high = hex_digit(text[at]);
  const int low = hex_digit(text[at + 1]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

CanonicalBytes bool_from_text(std::string_view text) {
  text = trim_spaces(text);
  // The unique prefixes of these words ("o" alone is ambiguous), and the digits.
  if (text == "1" || abbreviates(text, "true", 1) || abbreviates(text, "yes", 1) ||
      abbreviates(text, "on", 2)) {
    return std::string(1, '\1');
  }
  if (text == "0" || abbreviates(text, "false", 1) || abbreviates(text, "no", 1) ||
      abbreviates(text, "off", 2)) {
    return std::string(1, '\0');
  }
  return std::nullopt;
}

CanonicalBytes uuid_from_text(std::string_view text) {
  if (text.size() >= 2 && text.front() == '{') {
    if (text.back() != '}') return std::nullopt;
    text = text.substr(1, text.size() - 2);
  }
  std::string out;
  std::size_t at = 0;
  for (int i = 0; i < 16; ++i) {
    const auto byte = hex_pair(text, at);
    if (!byte) return std::nullopt;
    out += *byte;
    at += 2;
    // A hyphen may stand behind each group of four digits but the last.
    if (i % 2 == 1 && i < 15 && at < text.size() && text[at] == '-') ++at;
  }
  if (at != text.size()) return std::nullopt;
  return out;
}

CanonicalBytes bytea_from_text(std::string_view text) {
  if (text.substr(0, 2) == "\\x") return bytea_from_hex(text.substr(2));
  return bytea_from_escape(text);
}

}  // namespace pgcache::pg
