// SPDX-License-Identifier: Apache-2.0
#include "origin/standby_names.h"

#include <algorithm>
#include <charconv>

namespace pgcache::origin {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_part(char c) { return is_name_start(c) || is_digit(c) || c == '$'; }
bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

struct Token {
  enum class Kind : std::uint8_t { kName, kNumber, kPunctuation, kEnd, kBad };
  Kind kind = Kind::kEnd;
  std::string text;
  bool quoted = false;

  bool is(char c) const { return kind == Kind::kPunctuation && text[0] == c; }
  bool is_item() const { return kind == Kind::kName || kind == Kind::kNumber; }
};

class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) { advance(); }

  const Token& token() const { return token_; }
  Token take() {
    Token taken = std::move(token_);
    advance();
    return taken;
  }

 private:
  void advance() {
    token_ = {};
    while (!rest_.empty() && is_blank(rest_[0])) rest_.remove_prefix(1);
    if (rest_.empty()) return;
    const char c = rest_[0];
    if (c == '"') {
      quoted();
    } else if (c == '*') {
      take_part(Token::Kind::kName, 1);
    } else if (c == ',' || c == '(' || c == ')') {
      take_part(Token::Kind::kPunctuation, 1);
    } else if (is_digit(c)) {
      take_part(Token::Kind::kNumber, length_of(is_digit));
    } else if (is_name_start(c)) {
      take_part(Token::Kind::kName, length_of(is_name_part));
    } else {
      token_.kind = Token::Kind::kBad;
    }
  }

  std::size_t length_of(bool (*belongs)(char)) const {
    return static_cast<std::size_t>(std::find_if_not(rest_.begin(), rest_.end(), belongs) -
                                    rest_.begin());
  }

  void take_part(Token::Kind kind, std::size_t length) {
    token_.kind = kind;
    token_.text = rest_.substr(0, length);
    rest_.remove_prefix(length);
  }

  void quoted() {
    token_.quoted = true;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] != '"') {
        token_.text += rest_[i];
      } else if (i + 1 < rest_.size() && rest_[i + 1] == '"') {
        token_.text += rest_[i++];
      } else {
        token_.kind = Token::Kind::kName;
        rest_.remove_prefix(i + 1);
        return;
      }
    }
    token_.kind = Token::Kind::kBad;
  }

  std::string_view rest_;
  Token token_;
};

bool parse_list(Scanner& scanner, std::vector<std::string>& names) {
  while (true) {
    if (!scanner.token().is_item()) return false;
    names.push_back(scanner.take().text);
    if (!scanner.token().is(',')) return true;
    scanner.take();
  }
}

// Behind the number.
bool parse_in_parentheses(Scanner& scanner, std::vector<std::string>& names) {
  if (!scanner.token().is('(')) return false;
  scanner.take();
  if (!parse_list(scanner, names) || !scanner.token().is(')')) return false;
  scanner.take();
  return scanner.token().kind == Token::Kind::kEnd;
}

std::optional<std::uint64_t> number_of(const Token& token) {
  std::uint64_t number = 0;
  const char* const end = token.text.data() + token.text.size();
  const auto [at, error] = std::from_chars(token.text.data(), end, number);
  if (token.kind != Token::Kind::kNumber || error != std::errc() || at != end || number == 0) {
    return std::nullopt;
  }
  return number;
}

bool is_plain(std::string_view name) {
  return !name.empty() && is_name_start(name[0]) &&
         std::all_of(name.begin(), name.end(), is_name_part) && !same_name(name, "first") &&
         !same_name(name, "any");
}

std::string spelled(std::string_view name) {
  if (is_plain(name)) return std::string(name);
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

std::optional<StandbyNames> parse_standby_names(std::string_view text) {
  StandbyNames parsed;
  Scanner scanner(text);
  if (scanner.token().kind == Token::Kind::kEnd) return parsed;
  const Token first = scanner.take();
  const bool any =
      first.kind == Token::Kind::kName && !first.quoted && same_name(first.text, "any");
  const bool in_order =
      first.kind == Token::Kind::kName && !first.quoted && same_name(first.text, "first");
  const bool counted = first.kind == Token::Kind::kNumber && scanner.token().is('(');
  if (any || in_order || counted) {
    const std::optional<std::uint64_t> needed = number_of(counted ? first : scanner.take());
    if (!needed || !parse_in_parentheses(scanner, parsed.names)) return std::nullopt;
    parsed.method = any ? StandbyNames::Method::kAny : StandbyNames::Method::kFirst;
    parsed.needed = *needed;
    return parsed;
  }
  if (!first.is_item()) return std::nullopt;
  parsed.needed = 1;
  parsed.names.push_back(first.text);
  if (scanner.token().is(',')) {
    scanner.take();
    if (!parse_list(scanner, parsed.names)) return std::nullopt;
  }
  if (scanner.token().kind != Token::Kind::kEnd) return std::nullopt;
  return parsed;
}

std::string gap_in(const StandbyNames& names, std::string_view standby) {
  if (names.names.empty()) return "it is empty, so that commits wait for no standby";
  const auto found = std::find_if(names.names.begin(), names.names.end(), [&](const auto& name) {
    return name == "*" || same_name(name, standby);
  });
  if (found == names.names.end()) return "it does not name " + std::string(standby);
  if (*found == "*") {
    return "it does not name " + std::string(standby) + " in front of *, which any standby fits";
  }
  const auto place = static_cast<std::uint64_t>(found - names.names.begin()) + 1;
  if (names.method == StandbyNames::Method::kFirst) {
    if (place <= names.needed) return {};
    return "commits wait for the first " + std::to_string(names.needed) + ", and " +
           std::string(standby) + " has place " + std::to_string(place);
  }
  if (std::find(names.names.begin(), names.names.end(), "*") != names.names.end()) {
    return "commits wait for any " + std::to_string(names.needed) + ", and * is among them";
  }
  if (names.needed >= names.names.size()) return {};
  return "commits wait for any " + std::to_string(names.needed) + " of " +
         std::to_string(names.names.size()) + ", which need not be " + std::string(standby);
}

std::string names_with(const StandbyNames& names, std::string_view standby) {
  std::string list = spelled(standby);
  for (const std::string& name : names.names) {
    if (same_name(name, standby)) continue;
    list += ", " + (name == "*" ? name : spelled(name));
  }
  const bool listed = std::any_of(names.names.begin(), names.names.end(),
                                  [&](const auto& name) { return same_name(name, standby); });
  // Any of some, and pgcache in any case, cannot be said; but all of them.
  const std::uint64_t others = names.method == StandbyNames::Method::kAny
                                   ? names.names.size() - (listed ? 1 : 0)
                                   : names.needed - (listed && names.needed > 0 ? 1 : 0);
  return "FIRST " + std::to_string(others + 1) + " (" + list + ")";
}

}  // namespace pgcache::origin
