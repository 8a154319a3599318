// SPDX-License-Identifier: Apache-2.0
// The scan behind query shapes: a lexer with PostgreSQL's rules (manual, 4.1 "Lexical Structure";
// the details are those of its scan.l) that only tells apart what must be told apart to find plain
// literals.
#include "sql/shape.h"

#include <algorithm>
#include <array>
#include <utility>

namespace pgcache::sql {
namespace {

constexpr char kMarker = '\x01';

enum CharClass : std::uint8_t {
  kSpace = 1,
  kIdentStart = 2,
  kIdentRest = 4,  // without the ones of kIdentStart: digits and $
  kDigit = 8,
};

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  for (int c = 0; c < 256; ++c) {
    std::uint8_t bits = 0;
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') bits |= kSpace;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80)
      bits |= kIdentStart;
    if (c >= '0' && c <= '9') bits |= kIdentRest | kDigit;
    if (c == '$') bits |= kIdentRest;
    classes[static_cast<std::size_t>(c)] = bits;
  }
  return classes;
}
constexpr std::array<std::uint8_t, 256> kClasses = make_classes();

bool is(char c, int classes) { return (kClasses[static_cast<unsigned char>(c)] & classes) != 0; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool equals_ignoring_case(std::string_view a, std::string_view lower_case) {
  if (a.size() != lower_case.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower_case[i]) return false;
  }
  return true;
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && is(s.front(), kSpace)) s.remove_prefix(1);
  while (!s.empty() && is(s.back(), kSpace)) s.remove_suffix(1);
  return s;
}

// Words before the modifiers of a type: varchar(3), double precision's float(24), interval second
// (3). Where they are names of something else, numbers behind them only cost more shapes.
bool takes_modifiers(std::string_view word) {
  constexpr std::array<std::string_view, 17> kWords = {
      "bit",       "bpchar",      "char",   "character", "dec",    "decimal",
      "float",     "interval",    "nchar",  "numeric",   "second", "time",
      "timestamp", "timestamptz", "timetz", "varchar",   "varying"};
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view other) { return equals_ignoring_case(word, other); });
}

bool is_off_comment(std::string_view body) {
  constexpr std::string_view kPrefix = "pgcache:";
  body = trim(body);
  return body.substr(0, kPrefix.size()) == kPrefix &&
         equals_ignoring_case(trim(body.substr(kPrefix.size())), "off");
}

// Numbers whose kind changes under a minus sign (the lower limits of int4 and int8) stay in the
// text.
LiteralKind integer_kind(std::string_view digits, bool& lift) {
  while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
  constexpr std::string_view kInt4Max = "2147483647";
  constexpr std::string_view kInt8Max = "9223372036854775807";
  const auto fits = [&](std::string_view max) {
    return digits.size() < max.size() || (digits.size() == max.size() && digits <= max);
  };
  lift = digits != "2147483648" && digits != "9223372036854775808";
  if (fits(kInt4Max)) return LiteralKind::kInt4;
  return fits(kInt8Max) ? LiteralKind::kInt8 : LiteralKind::kNumeric;
}

char marker_of(LiteralKind kind) {
  switch (kind) {
    case LiteralKind::kInt4:
      return 'i';
    case LiteralKind::kInt8:
      return 'b';
    case LiteralKind::kNumeric:
      return 'n';
    case LiteralKind::kString:
      return 's';
  }
  return '?';
}

class Scanner {
 public:
  Scanner(std::string_view text, bool standard_conforming_strings)
      : text_(text), standard_(standard_conforming_strings) {}

  StatementShape run() {
    if (text_.find(kMarker) != std::string_view::npos || text_.size() > UINT32_MAX)
      return unlifted();
    out_.text.reserve(text_.size() + 16);
    while (pos_ < text_.size()) {
      if (!step()) return unlifted();
    }
    out_.text.append(text_.substr(copied_));
    return std::move(out_);
  }

 private:
  char at(std::size_t i) const { return i < text_.size() ? text_[i] : '\0'; }

  // A text that holds the marker byte gets a prefix that no lifted shape has.
  StatementShape unlifted() {
    StatementShape shape;
    shape.pgcache_off = out_.pgcache_off;
    if (text_.find(kMarker) != std::string_view::npos) shape.text = {kMarker, 'x'};
    shape.text.append(text_);
    return shape;
  }

  // One token, white space run or comment. False: not understood.
  bool step() {
    const char c = text_[pos_];
    if (is(c, kSpace)) {
      ++pos_;
      return true;
    }
    if (c == '-' && at(pos_ + 1) == '-') {
      pos_ = line_comment_end(pos_);
      return true;
    }
    if (c == '/' && at(pos_ + 1) == '*') return block_comment();
    const Before before = std::exchange(before_, Before::kOther);
    if (is(c, kIdentStart)) return word();
    if (is(c, kDigit) || (c == '.' && is(at(pos_ + 1), kDigit))) return number(before);
    switch (c) {
      case '\'':
        return plain_string();
      case '"':
        return skip_quoted(pos_, '"', false);
      case '$':
        return dollar();
      case '.':
        pos_ += at(pos_ + 1) == '.' ? 2 : 1;
        return true;
      case '(':
        if (before == Before::kType) before_ = Before::kModifiers;
        ++pos_;
        return true;
      case ',':
      case '-':
        if (before == Before::kModifiers) before_ = before;
        ++pos_;
        return true;
      default:
        ++pos_;
        return true;
    }
  }

  std::size_t line_comment_end(std::size_t from) const {
    const std::size_t end = text_.find_first_of("\n\r", from);
    return end == std::string_view::npos ? text_.size() : end;
  }

  // Past the end of the (nested) comment at `from`; npos when it is not closed.
  std::size_t block_comment_end(std::size_t from) const {
    std::size_t i = from + 2;
    for (int depth = 1; i + 1 < text_.size();) {
      if (text_[i] == '*' && text_[i + 1] == '/') {
        i += 2;
        if (--depth == 0) return i;
      } else if (text_[i] == '/' && text_[i + 1] == '*') {
        i += 2;
        ++depth;
      } else {
        ++i;
      }
    }
    return std::string_view::npos;
  }

  bool block_comment() {
    const std::size_t end = block_comment_end(pos_);
    if (end == std::string_view::npos) return false;
    if (is_off_comment(text_.substr(pos_ + 2, end - pos_ - 4))) out_.pgcache_off = true;
    pos_ = end;
    return true;
  }

  // An identifier, a key word, or a prefix that makes the following quote a special literal.
  bool word() {
    const char c = lower(text_[pos_]);
    const char next = at(pos_ + 1);
    if (next == '\'' && (c == 'e' || c == 'b' || c == 'x' || c == 'n')) {
      const bool backslashes = c == 'e' || (c == 'n' && !standard_);
      return skip_quoted(pos_ + 1, '\'', backslashes) && !continues();
    }
    // A later UESCAPE would change what the string means: leave such statements alone.
    if (c == 'u' && next == '&' && (at(pos_ + 2) == '\'' || at(pos_ + 2) == '"')) return false;
    const std::size_t start = pos_;
    while (pos_ < text_.size() && is(text_[pos_], kIdentStart | kIdentRest)) ++pos_;
    if (takes_modifiers(text_.substr(start, pos_ - start))) before_ = Before::kType;
    return true;
  }

  // kModifiers: within the parentheses behind a type's name, with only numbers so far.
  enum class Before : std::uint8_t { kOther, kType, kModifiers };

  std::size_t digits_end(std::size_t i) const {
    while (is(at(i), kDigit)) ++i;
    return i;
  }

  bool number(Before before) {
    std::size_t end = digits_end(pos_);
    bool integer = true;
    if (at(end) == '.' && at(end + 1) != '.') {  // "1..2" is 1 .. 2
      integer = false;
      end = digits_end(end + 1);
    }
    if (lower(at(end)) == 'e') {
      const std::size_t sign = at(end + 1) == '+' || at(end + 1) == '-' ? 1 : 0;
      const std::size_t exponent = end + 1 + sign;
      if (!is(at(exponent), kDigit)) return false;
      integer = false;
      end = digits_end(exponent);
    }
    if (end < text_.size() && is(text_[end], kIdentStart)) return false;  // 0x10, 1_000, 12abc
    const std::string_view digits = text_.substr(pos_, end - pos_);
    bool lift = true;
    const LiteralKind kind = integer ? integer_kind(digits, lift) : LiteralKind::kNumeric;
    if (before == Before::kModifiers) {
      before_ = before;
    } else if (lift) {
      lift_literal(kind, end, std::string(digits));
    }
    pos_ = end;
    return true;
  }

  // Past the closing quote of the string or quoted identifier whose opening quote is at `open`.
  bool skip_quoted(std::size_t open, char quote, bool backslashes) {
    for (std::size_t i = open + 1; i < text_.size(); ++i) {
      if (backslashes && text_[i] == '\\') {
        ++i;
      } else if (text_[i] == quote) {
        if (at(i + 1) != quote) {
          pos_ = i + 1;
          return true;
        }
        ++i;
      }
    }
    return false;
  }

  bool plain_string() {
    const std::size_t start = pos_;
    if (!skip_quoted(pos_, '\'', !standard_) || continues()) return false;
    const std::string_view body = text_.substr(start + 1, pos_ - start - 2);
    if (!standard_ && body.find('\\') != std::string_view::npos) return true;
    std::string value;
    value.reserve(body.size());
    for (std::size_t i = 0; i < body.size(); ++i) {
      value.push_back(body[i]);
      if (body[i] == '\'') ++i;  // doubled
    }
    const std::size_t end = std::exchange(pos_, start);
    lift_literal(LiteralKind::kString, end, std::move(value));
    pos_ = end;
    return true;
  }

  // Whether another quote follows with nothing but white space and comments between: then both may
  // be one literal.
  bool continues() const {
    std::size_t i = pos_;
    for (;;) {
      if (is(at(i), kSpace)) {
        ++i;
      } else if (at(i) == '-' && at(i + 1) == '-') {
        i = line_comment_end(i);
      } else if (at(i) == '/' && at(i + 1) == '*') {
        i = block_comment_end(i);
        if (i == std::string_view::npos) return true;
      } else {
        return at(i) == '\'';
      }
    }
  }

  // $1, $$...$$, $tag$...$tag$
  bool dollar() {
    std::size_t i = pos_ + 1;
    if (is(at(i), kDigit)) {
      pos_ = digits_end(i);
      return pos_ == text_.size() || !is(text_[pos_], kIdentStart);
    }
    if (i < text_.size() && is(text_[i], kIdentStart)) {
      while (i < text_.size() && is(text_[i], kIdentStart | kDigit)) ++i;
    }
    if (at(i) != '$') return false;
    const std::string_view tag = text_.substr(pos_, i + 1 - pos_);
    const std::size_t close = text_.find(tag, i + 1);
    if (close == std::string_view::npos) return false;
    pos_ = close + tag.size();
    return true;
  }

  // Replaces the bytes from pos_ up to `end` by a marker.
  void lift_literal(LiteralKind kind, std::size_t end, std::string value) {
    out_.text.append(text_.substr(copied_, pos_ - copied_));
    out_.text.push_back(kMarker);
    out_.text.push_back(marker_of(kind));
    out_.literals.push_back({kind, static_cast<std::uint32_t>(pos_), std::move(value)});
    copied_ = end;
  }

  const std::string_view text_;
  const bool standard_;
  std::size_t pos_ = 0;
  std::size_t copied_ = 0;  // up to here text_ stands in out_.text
  Before before_ = Before::kOther;
  StatementShape out_;
};

}  // namespace

StatementShape scan_shape(std::string_view text, bool standard_conforming_strings) {
  return Scanner(text, standard_conforming_strings).run();
}

bool names_current_time(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  for (std::size_t i = 0; i < text.size();) {
    if (!is_letter(text[i])) {
      ++i;
      continue;
    }
    const std::size_t start = i;
    while (i < text.size() && is_letter(text[i])) ++i;
    const std::string_view run = text.substr(start, i - start);
    if (equals_ignoring_case(run, "now") || equals_ignoring_case(run, "today") ||
        equals_ignoring_case(run, "tomorrow") || equals_ignoring_case(run, "yesterday")) {
      return true;
    }
  }
  return false;
}

}  // namespace pgcache::sql
