// SPDX-License-Identifier: Apache-2.0
// jsonb. Two documents are equal when they are as trees: numbers by value, objects whatever the
// order of their members, of members with one name the last.
//
// Canonical form, a row of tokens:
//   00                an array without elements that is the whole document
//   01                null
//   02 bytes 00       a string, or the name of a member, in UTF-8 (which holds no byte 00)
//   03 number 00      a number, as a numeric (value_number.cc)
//   04 00|01          false, true
//   05 count items    an array; counts are 4 big-endian bytes
//   06 count (name item)*   an object, its names ascending by length, then by bytes
// Bytewise that is PostgreSQL's order where strings are ordered by bytes: by kind, then by number
// of items, then item by item; only that empty array is less than all else.
#include <algorithm>
#include <vector>

#include "base/bytes.h"
#include "pg/value_codec.h"

namespace pgcache::pg {

namespace {

// What is nested deeper is not read.
constexpr int kDepthMax = 100;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr char kEmptyArray = 0, kNull = 1, kString = 2, kNumber = 3, kBool = 4, kArray = 5,
               kObject = 6;
constexpr char kEnd = 0;

std::string string_token(std::string_view text) {
  std::string out(1, kString);
  out += text;
  out += kEnd;
  return out;
}

std::string number_token(std::string_view number) {
  std::string out(1, kNumber);
  out += number;
  out += kEnd;
  return out;
}

std::string bool_token(bool b) { return {kBool, static_cast<char>(b ? 1 : 0)}; }

std::string start_token(char kind, std::size_t count) {
  std::string out(1, kind);
  append_be32(out, static_cast<std::uint32_t>(count));
  return out;
}

// How many bytes the token at the front of `bytes` takes; `bytes` is part of a canonical form.
std::size_t token_size(std::string_view bytes) {
  constexpr char kNegative = 1, kPositive = 3, kNegativeEnd = '\xFF';
  constexpr std::size_t kExponentSize = 3;
  switch (bytes[0]) {
    case kString:
      return bytes.find(kEnd, 1) + 1;
    case kNumber:
      if (bytes[1] == kPositive) return bytes.find(kEnd, 2 + kExponentSize) + 1;
      if (bytes[1] == kNegative) return bytes.find(kNegativeEnd, 2 + kExponentSize) + 2;
      return 3;
    case kBool:
      return 2;
    case kArray:
    case kObject:
      return 5;
    default:
      return 1;
  }
}

void append_utf8(std::string& out, char32_t c) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

struct Member {
  std::string name;
  std::string item;
};

std::string canonical_object(std::vector<Member> members) {
  std::stable_sort(members.begin(), members.end(), [](const Member& a, const Member& b) {
    return a.name.size() != b.name.size() ? a.name.size() < b.name.size() : a.name < b.name;
  });
  std::vector<const Member*> kept;
  for (const Member& member : members) {
    if (!kept.empty() && kept.back()->name == member.name) kept.pop_back();
    kept.push_back(&member);
  }
  std::string out = start_token(kObject, kept.size());
  for (const Member* member : kept) {
    out += string_token(member->name);
    out += member->item;
  }
  return out;
}

// Reads one document from the front of a text (RFC 8259).
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  CanonicalBytes document() {
    auto item = read_item(0);
    skip_spaces();
    if (at_ != text_.size()) return std::nullopt;
    if (item == start_token(kArray, 0)) return std::string(1, kEmptyArray);
    return item;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool eat(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool eat_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  void skip_spaces() { at_ = std::min(text_.find_first_not_of(" \t\n\r", at_), text_.size()); }
  bool skip_digits() {
    const std::size_t first = at_;
    while (is_digit(peek())) ++at_;
    return at_ > first;
  }

  CanonicalBytes read_item(int depth) {
    if (depth > kDepthMax) return std::nullopt;
    skip_spaces();
    switch (peek()) {
      case '{':
        return read_object(depth);
      case '[':
        return read_array(depth);
      case '"': {
        const auto text = read_string();
        return text ? CanonicalBytes(string_token(*text)) : std::nullopt;
      }
      case 'n':
        return eat_word("null") ? CanonicalBytes(std::string(1, kNull)) : std::nullopt;
      case 't':
        return eat_word("true") ? CanonicalBytes(bool_token(true)) : std::nullopt;
      case 'f':
        return eat_word("false") ? CanonicalBytes(bool_token(false)) : std::nullopt;
      default: {
        const auto number = read_number();
        return number ? CanonicalBytes(number_token(*number)) : std::nullopt;
      }
    }
  }

  CanonicalBytes read_number() {
    const std::size_t first = at_;
    (void)eat('-');
    if (!eat('0') && !skip_digits()) return std::nullopt;
    if (eat('.') && !skip_digits()) return std::nullopt;
    if (eat('e') || eat('E')) {
      if (!eat('+')) (void)eat('-');
      if (!skip_digits()) return std::nullopt;
    }
    return number_from_text(type::kNumeric, text_.substr(first, at_ - first));
  }

  CanonicalBytes read_string() {
    if (!eat('"')) return std::nullopt;
    std::string out;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return out;
      if (static_cast<unsigned char>(c) < 0x20) return std::nullopt;
      if (c != '\\') {
        out += c;
      } else if (!read_escape(out)) {
        return std::nullopt;
      }
    }
    return std::nullopt;
  }

  // Behind a backslash.
  bool read_escape(std::string& out) {
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (eat('u')) return read_code_point(out);
    const std::size_t place = at_ < text_.size() ? kLetters.find(text_[at_]) : kLetters.npos;
    if (place == kLetters.npos) return false;
    ++at_;
    out += kMeanings[place];
    return true;
  }

  std::optional<char32_t> read_code_unit() {
    const auto high = hex_pair(text_, at_);
    const auto low = hex_pair(text_, at_ + 2);
    if (!high || !low) return std::nullopt;
    at_ += 4;
    return (char32_t{static_cast<unsigned char>(*high)} << 8) | static_cast<unsigned char>(*low);
  }

  // Behind "\u". PostgreSQL takes no zero and no half of a pair.
  bool read_code_point(std::string& out) {
    const auto unit = read_code_unit();
    if (!unit || *unit == 0 || (*unit >= 0xDC00 && *unit <= 0xDFFF)) return false;
    if (*unit < 0xD800 || *unit > 0xDBFF) {
      append_utf8(out, *unit);
      return true;
    }
    if (!eat_word("\\u")) return false;
    const auto low = read_code_unit();
    if (!low || *low < 0xDC00 || *low > 0xDFFF) return false;
    append_utf8(out, 0x10000 + ((*unit - 0xD800) << 10) + (*low - 0xDC00));
    return true;
  }

  CanonicalBytes read_array(int depth) {
    (void)eat('[');
    std::size_t count = 0;
    std::string items;
    skip_spaces();
    if (!eat(']')) {
      do {
        const auto item = read_item(depth + 1);
        if (!item) return std::nullopt;
        items += *item;
        ++count;
        skip_spaces();
      } while (eat(','));
      if (!eat(']')) return std::nullopt;
    }
    return start_token(kArray, count) + items;
  }

  CanonicalBytes read_object(int depth) {
    (void)eat('{');
    std::vector<Member> members;
    skip_spaces();
    if (!eat('}')) {
      do {
        skip_spaces();
        auto name = read_string();
        skip_spaces();
        if (!name || !eat(':')) return std::nullopt;
        auto item = read_item(depth + 1);
        if (!item) return std::nullopt;
        members.push_back({*std::move(name), *std::move(item)});
        skip_spaces();
      } while (eat(','));
      if (!eat('}')) return std::nullopt;
    }
    return canonical_object(std::move(members));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

CanonicalBytes jsonb_from_text(std::string_view text) { return Reader(text).document(); }

std::optional<std::strong_ordering> compare_jsonb(std::string_view a, std::string_view b) {
  const std::size_t shorter = std::min(a.size(), b.size());
  const auto differ = static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(shorter), b.begin()).first -
      a.begin());
  if (differ == shorter) return a.size() <=> b.size();
  // The token in which they differ; they are the same up to there.
  std::size_t token = 0;
  for (std::size_t end = 0; (end = token + token_size(a.substr(token))) <= differ;) token = end;
  if (a[token] == kString && token < differ) return std::nullopt;
  return static_cast<unsigned char>(a[differ]) <=> static_cast<unsigned char>(b[differ]);
}

// jsonb_send(): a version, then the text.
CanonicalBytes jsonb_from_binary(std::string_view bytes) {
  constexpr char kVersion = 1;
  if (bytes.empty() || bytes[0] != kVersion) return std::nullopt;
  return jsonb_from_text(bytes.substr(1));
}

}  // namespace pgcache::pg
