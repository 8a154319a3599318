// SPDX-License-Identifier: Apache-2.0
// From PostgreSQL's advanced regular expressions to RE2:
//
//   regex  := branch { "|" branch }
//   branch := { anchor | atom [ "*" | "+" | "?" | "{m}" | "{m,}" | "{m,n}" ] [ "?" ] }
//   anchor := "^" | "$" | "\\y" | "\\Y"
//   atom   := "(" regex ")" | "(?:" regex ")" | "." | "[" set "]" | "\" escape | character
//
// Whatever else there is, and whatever PostgreSQL refuses (a quantifier behind a quantifier, at the
// start of a branch, behind an anchor), has no translation. Neither has a quantified group with an
// anchor in it.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <vector>

#include "pg/function_regex.h"
#include "pg/function_utf8.h"

namespace pgcache::pg::builtin {

namespace {

constexpr std::size_t kPatternBytesMax = 1000;
constexpr int kDepthMax = 30;
constexpr int kRepeatMax = 255;  // DUPMAX, beyond which PostgreSQL reports an error

// Characters of ASCII, as the inside of an RE2 set.
struct NamedClass {
  std::string_view name;
  std::string_view set;
};
constexpr NamedClass kClasses[] = {
    {"alnum", "0-9A-Za-z"},
    {"alpha", "A-Za-z"},
    {"blank", "\\x{20}\\x{9}"},
    {"cntrl", "\\x{0}-\\x{1F}\\x{7F}"},
    {"digit", "0-9"},
    {"graph", "\\x{21}-\\x{7E}"},
    {"lower", "a-z"},
    {"print", "\\x{20}-\\x{7E}"},
    {"punct", "\\x{21}-\\x{2F}\\x{3A}-\\x{40}\\x{5B}-\\x{60}\\x{7B}-\\x{7E}"},
    {"space", "\\x{9}-\\x{D}\\x{20}"},
    {"upper", "A-Z"},
    {"xdigit", "0-9A-Fa-f"},
};
constexpr std::string_view kDigit = "0-9", kSpace = "\\x{9}-\\x{D}\\x{20}", kWord = "0-9A-Za-z_";

std::string literal(char32_t c) {
  const auto code = static_cast<std::uint32_t>(c);
  char hex[9];
  char* const end = std::to_chars(hex, hex + sizeof hex, code, 16).ptr;
  return "\\x{" + std::string(hex, end) + "}";
}

bool is_alnum(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// Escapes for one character that everybody agrees upon.
std::optional<char32_t> control_escape(char32_t c) {
  switch (c) {
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    default:
      return std::nullopt;
  }
}

// One pass over the pattern. After fail() nothing more is read and there is no result.
class Translator {
 public:
  explicit Translator(std::string_view pattern) {
    for (CharReader in(pattern); !in.at_end();) chars_.push_back(first_char(in.next()));
  }

  std::optional<TranslatedRegex> run() {
    const Part part = alternatives(0);
    if (failed_ || !at_end()) return std::nullopt;
    return TranslatedRegex{part.re2, ascii_texts_only_};
  }

 private:
  struct Part {
    std::string re2;
    bool has_anchor = false;
  };

  bool at_end() const { return at_ == chars_.size(); }
  char32_t peek(std::size_t ahead = 0) const {
    return at_ + ahead < chars_.size() ? chars_[at_ + ahead] : 0;
  }
  bool eat(char32_t c) {
    if (at_end() || peek() != c) return false;
    ++at_;
    return true;
  }
  Part fail() {
    failed_ = true;
    at_ = chars_.size();
    return {};
  }

  Part alternatives(int depth) {
    Part out = branch(depth);
    while (eat('|')) {
      const Part next = branch(depth);
      out.re2 += "|" + next.re2;
      out.has_anchor |= next.has_anchor;
    }
    return out;
  }

  Part branch(int depth) {
    Part out;
    while (!at_end() && peek() != '|' && peek() != ')') {
      const Part item = quantified(depth);
      out.re2 += item.re2;
      out.has_anchor |= item.has_anchor;
    }
    return out;
  }

  Part quantified(int depth) {
    if (eat('^')) return anchor("\\A");
    if (eat('$')) return anchor("\\z");
    if (peek() == '\\' && (peek(1) == 'y' || peek(1) == 'Y')) return word_boundary();
    Part out = atom(depth);
    if (failed_ || !at_quantifier()) return out;
    if (out.has_anchor) return fail();
    out.re2 += quantifier();
    (void)eat('?');
    return at_quantifier() ? fail() : out;
  }

  Part anchor(std::string re2) { return at_quantifier() ? fail() : Part{std::move(re2), true}; }

  Part word_boundary() {
    ascii_texts_only_ = true;
    at_ += 2;
    return anchor(chars_[at_ - 1] == 'y' ? "\\b" : "\\B");
  }

  bool at_quantifier() const {
    const char32_t c = peek();
    return c == '*' || c == '+' || c == '?' || c == '{';
  }

  std::string quantifier() {
    const char32_t c = peek();
    ++at_;
    if (c != '{') return {static_cast<char>(c)};
    const int least = bound();
    int most = least;
    bool open = false;
    if (eat(',')) {
      open = peek() == '}';
      if (!open) most = bound();
    }
    if (!eat('}') || least < 0 || most < least) return fail().re2;
    return "{" + std::to_string(least) + (open ? "," : "," + std::to_string(most)) + "}";
  }

  // Digits up to kRepeatMax, or -1.
  int bound() {
    int out = -1;
    while (peek() >= '0' && peek() <= '9') {
      out = std::max(out, 0) * 10 + static_cast<int>(peek() - '0');
      if (out > kRepeatMax) return -1;
      ++at_;
    }
    return out;
  }

  Part atom(int depth) {
    const char32_t c = peek();
    ++at_;
    switch (c) {
      case '(':
        return group(depth);
      case '.':
        return {"(?s:.)"};
      case '[':
        return bracket();
      case '\\':
        return escape();
      case '*':
      case '+':
      case '?':
      case '{':
        return fail();
      default:
        return {literal(c)};
    }
  }

  Part group(int depth) {
    if (depth == kDepthMax) return fail();
    if (eat('?') && !eat(':')) return fail();
    if (peek() == '*') return fail();
    Part out = alternatives(depth + 1);
    if (!eat(')')) return fail();
    out.re2 = "(?:" + out.re2 + ")";
    return out;
  }

  Part escape() {
    const char32_t c = peek();
    if (at_end() || c >= 0x80) return fail();
    ++at_;
    if (!is_alnum(c)) return {literal(c)};
    if (const auto control = control_escape(c)) return {literal(*control)};
    const auto [set, negated] = class_escape(c);
    if (set.empty()) return fail();
    ascii_texts_only_ = true;
    return {(negated ? "[^" : "[") + std::string(set) + "]"};
  }

  struct ClassEscape {
    std::string_view set;
    bool negated;
  };
  static ClassEscape class_escape(char32_t c) {
    switch (c) {
      case 'd':
      case 'D':
        return {kDigit, c == 'D'};
      case 's':
      case 'S':
        return {kSpace, c == 'S'};
      case 'w':
      case 'W':
        return {kWord, c == 'W'};
      default:
        return {{}, false};
    }
  }

  // Behind "[".
  Part bracket() {
    std::string out = eat('^') ? "[^" : "[";
    bool first = true;
    while (!at_end() && (first || peek() != ']')) {
      out += bracket_item(first);
      if (failed_) return {};
      first = false;
    }
    if (!eat(']')) return fail();
    return {out + "]"};
  }

  // A character, a range, a class.
  std::string bracket_item(bool first) {
    if (peek() == '[' && (peek(1) == ':' || peek(1) == '.' || peek(1) == '=')) return named_class();
    if (peek() == '\\') {
      const auto [set, negated] = class_escape(peek(1));
      if (!set.empty()) {
        at_ += 2;
        // A range must not start with a class; what follows a class stands for itself or is wrong.
        if (negated || peek() == '-') return fail().re2;
        ascii_texts_only_ = true;
        return std::string(set);
      }
    }
    const auto low = bracket_char(first);
    if (!low) return fail().re2;
    if (peek() != '-' || peek(1) == ']') return literal(*low);
    ++at_;
    if (peek() == '[') return fail().re2;
    const auto high = bracket_char(false);
    if (!high || *high < *low) return fail().re2;
    if (peek() == '-' && peek(1) != ']') return fail().re2;
    return literal(*low) + "-" + literal(*high);
  }

  std::optional<char32_t> bracket_char(bool first) {
    const char32_t c = peek();
    if (at_end()) return std::nullopt;
    ++at_;
    // A hyphen stands for itself at either end only.
    if (c == '-' && !first && peek() != ']') return std::nullopt;
    if (c != '\\') return c;
    const char32_t escaped = peek();
    if (at_end() || escaped >= 0x80) return std::nullopt;
    ++at_;
    if (!is_alnum(escaped)) return escaped;
    return control_escape(escaped);
  }

  // "[:alpha:]"
  std::string named_class() {
    at_ += 2;
    std::string name;
    while (!at_end() && peek() < 0x80 && is_alnum(peek())) {
      name += static_cast<char>(peek());
      ++at_;
    }
    const auto* const found = std::ranges::find(kClasses, name, &NamedClass::name);
    if (found == std::end(kClasses) || chars_[at_ - 1] == '[' || !eat(':') || !eat(']') ||
        peek() == '-') {
      return fail().re2;
    }
    ascii_texts_only_ = true;
    return std::string(found->set);
  }

  std::vector<char32_t> chars_;
  std::size_t at_ = 0;
  bool failed_ = false;
  bool ascii_texts_only_ = false;
};

}  // namespace

std::optional<TranslatedRegex> translate_regex(std::string_view pattern, bool ignore_case) {
  if (pattern.size() > kPatternBytesMax || pattern.starts_with("***")) return std::nullopt;
  // What folds to what beyond ASCII is the collation's business.
  if (ignore_case && !is_ascii(pattern)) return std::nullopt;
  auto out = Translator(pattern).run();
  if (out && ignore_case) {
    out->re2 = "(?i)" + out->re2;
    out->ascii_texts_only = true;
  }
  return out;
}

std::optional<std::string> similar_to_regex(std::string_view pattern, std::string_view escape) {
  if (count_chars(escape) > 1) return std::nullopt;
  std::string out = "^(?:";
  bool escaped = false;
  for (CharReader in(pattern); !in.at_end();) {
    const std::string_view c = in.next();
    if (escaped) {
      if (c == "\"") return std::nullopt;  // the parts of SUBSTRING(... SIMILAR ...)
      out += '\\';
      out += c;
      escaped = false;
    } else if (c == escape) {
      escaped = true;
    } else if (c == "[") {
      return std::nullopt;
    } else if (c == "%") {
      out += ".*";
    } else if (c == "_") {
      out += '.';
    } else if (c == "(") {
      out += "(?:";
    } else {
      if (c == "\\" || c == "." || c == "^" || c == "$") out += '\\';
      out += c;
    }
  }
  return out + ")$";
}

}  // namespace pgcache::pg::builtin
