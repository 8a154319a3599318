// SPDX-License-Identifier: Apache-2.0
// Arrays of any type that has a canonical form.
//
// Canonical form:
//   family               of the elements, one byte
//   01 bytes 00 01       an element; a byte 00 within is written 00 FF
//   02                   an element that is NULL
//   00                   the end of the elements
//   dimensions           their number, one byte; none for an empty array
//   lengths, bounds      for each dimension 4 big-endian bytes; then for each its lower bound as
//                        such with the sign bit turned
// Bytewise that is PostgreSQL's order: element by element, NULL the greatest, then by the number of
// elements and of dimensions, by lengths and by lower bounds.
#include <limits>

#include "base/bytes.h"
#include "pg/value_codec.h"

namespace pgcache::pg {

namespace {

constexpr std::size_t kDimensionsMax = 6;
constexpr char kEnd = 0, kElement = 1, kNullElement = 2;
constexpr char kEscape = 0, kEscapedZero = '\xFF', kElementEnd = 1;

struct Dimension {
  std::int64_t length = 0;
  std::int64_t lower = 1;
};

// Grows element by element.
class Builder {
 public:
  explicit Builder(const ValueType& element) : element_(element) {
    out_ += static_cast<char>(element.family);
  }

  void add_null() { out_ += kNullElement; }
  // False when the element is not known.
  bool add(const std::optional<Value>& value) {
    if (!value) return false;
    out_ += kElement;
    for (const char c : value->bytes()) {
      out_ += c;
      if (c == kEscape) out_ += kEscapedZero;
    }
    out_ += kEscape;
    out_ += kElementEnd;
    return true;
  }
  const ValueType& element() const { return element_; }

  CanonicalBytes finish(const std::vector<Dimension>& dimensions) {
    out_ += kEnd;
    out_ += static_cast<char>(dimensions.size());
    for (const Dimension& d : dimensions) append_be32(out_, static_cast<std::uint32_t>(d.length));
    for (const Dimension& d : dimensions) {
      // The bound behind the last one must be a number too.
      if (d.lower + d.length > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
      append_be32(out_, static_cast<std::uint32_t>(d.lower) ^ 0x80000000u);
    }
    return std::move(out_);
  }

 private:
  const ValueType& element_;
  std::string out_;
};

// Under array_nulls = off a session reads an unquoted NULL as the element's text: where the type
// can be of such a text, it may be either. (Of "char", the first letter counts.)
bool null_may_be_text(const ValueType& element, std::string_view null) {
  return element.family == ValueFamily::kChar || parse_text(element, null).has_value();
}

// The text form: {1,2,"a\"b",NULL}, nested to as many levels as it has dimensions, and before it,
// if any lower bound is not 1, all bounds: [2:3][1:1]={{1},{2}}.
class TextReader {
 public:
  TextReader(const ValueType& element, std::string_view text, bool by_server)
      : builder_(element), text_(trim_spaces(text)), by_server_(by_server) {}

  CanonicalBytes read() {
    std::vector<Dimension> bounds;
    if (peek() == '[') {
      auto stated = read_bounds();
      if (!stated) return std::nullopt;
      bounds = *std::move(stated);
    }
    if (is_empty_array()) {
      return bounds.empty() ? builder_.finish({}) : std::nullopt;
    }
    if (!read_level(0) || at_ != text_.size()) return std::nullopt;
    if (bounds.empty()) return builder_.finish(dimensions_);
    if (bounds.size() != dimensions_.size()) return std::nullopt;
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      if (bounds[i].length != dimensions_[i].length) return std::nullopt;
    }
    return builder_.finish(bounds);
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool eat(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void skip_spaces() { at_ = text_.size() - trim_front(text_.substr(at_)).size(); }
  static std::string_view trim_front(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\n\v\f\r");
    return first == std::string_view::npos ? std::string_view{} : text.substr(first);
  }

  bool is_empty_array() const {
    const std::string_view rest = text_.substr(at_);
    return rest.size() >= 2 && rest.front() == '{' && rest.back() == '}' &&
           trim_spaces(rest.substr(1, rest.size() - 2)).empty();
  }

  std::optional<std::int64_t> read_bound() {
    const bool negative = eat('-');
    std::int64_t value = 0;
    const std::size_t first = at_;
    while (peek() >= '0' && peek() <= '9' && at_ - first < 10)
      value = value * 10 + text_[at_++] - '0';
    if (at_ == first) return std::nullopt;
    if (negative) value = -value;
    const bool fits = value >= std::numeric_limits<std::int32_t>::min() &&
                      value <= std::numeric_limits<std::int32_t>::max();
    return fits ? std::optional(value) : std::nullopt;
  }

  std::optional<std::vector<Dimension>> read_bounds() {
    std::vector<Dimension> bounds;
    while (eat('[')) {
      const auto lower = read_bound();
      if (!lower || !eat(':')) return std::nullopt;
      const auto upper = read_bound();
      if (!upper || *upper < *lower || !eat(']')) return std::nullopt;
      bounds.push_back({*upper - *lower + 1, *lower});
    }
    if (bounds.size() > kDimensionsMax || !eat('=')) return std::nullopt;
    return bounds;
  }

  // One pair of braces at a depth. All of one depth hold the same number of items, elements only at
  // the last.
  bool read_level(std::size_t depth) {
    if (depth >= kDimensionsMax || !eat('{')) return false;
    std::int64_t count = 0;
    do {
      skip_spaces();
      if (peek() == '{') {
        if (depth_of_elements_ && depth >= *depth_of_elements_) return false;
        if (!read_level(depth + 1)) return false;
      } else {
        if (!depth_of_elements_) {
          depth_of_elements_ = depth;
          dimensions_.resize(depth + 1);
        }
        if (depth != *depth_of_elements_ || !read_element()) return false;
      }
      ++count;
      skip_spaces();
    } while (eat(','));
    if (!eat('}')) return false;
    Dimension& dimension = dimensions_[depth];
    if (dimension.length == 0) dimension.length = count;
    return dimension.length == count;
  }

  bool read_element() {
    if (peek() == '"') {
      const auto text = read_quoted();
      return text && builder_.add(parse_text(builder_.element(), *text));
    }
    const std::size_t end = text_.find_first_of("{}\",\\", at_);
    if (end == std::string_view::npos || (text_[end] != ',' && text_[end] != '}')) return false;
    const std::string_view text = trim_spaces(text_.substr(at_, end - at_));
    at_ = end;
    if (text.empty()) return false;
    if (!equals_ignoring_case(text, "null")) {
      return builder_.add(parse_text(builder_.element(), text));
    }
    if (!by_server_ && null_may_be_text(builder_.element(), text)) return false;
    builder_.add_null();
    return true;
  }

  CanonicalBytes read_quoted() {
    if (!eat('"')) return std::nullopt;
    std::string out;
    while (at_ < text_.size()) {
      char c = text_[at_++];
      if (c == '"') return out;
      if (c == '\\') {
        if (at_ == text_.size()) return std::nullopt;
        c = text_[at_++];
      }
      out += c;
    }
    return std::nullopt;
  }

  Builder builder_;
  std::string_view text_;
  bool by_server_;  // which quotes a text NULL, whatever array_nulls is
  std::size_t at_ = 0;
  std::optional<std::size_t> depth_of_elements_;
  std::vector<Dimension> dimensions_;
};

// array_send()'s header: the number of dimensions, flags, the oid of the elements' type, then for
// each dimension its length and lower bound. Nothing when it cannot be, or not have the elements'
// type of `type`.
std::optional<std::vector<Dimension>> read_header(const ValueType& type, ByteReader& reader) {
  const std::uint32_t count = reader.u32();
  const std::uint32_t flags = reader.u32();
  const Oid element{reader.u32()};
  if (!reader.ok() || count > kDimensionsMax || flags > 1) return std::nullopt;
  if (element != type.declared_element) return std::nullopt;
  std::vector<Dimension> dimensions(count);
  for (Dimension& dimension : dimensions) {
    dimension.length = reader.i32();
    dimension.lower = reader.i32();
    if (dimension.length < 0) return std::nullopt;
  }
  return reader.ok() ? std::optional(std::move(dimensions)) : std::nullopt;
}

// The number of elements; nothing when there is not room for them in `bytes`.
std::optional<std::size_t> element_count(const std::vector<Dimension>& dimensions,
                                         std::size_t bytes) {
  std::size_t count = dimensions.empty() ? 0 : 1;
  for (const Dimension& dimension : dimensions) {
    if (dimension.length == 0) return 0;
    count *= static_cast<std::size_t>(dimension.length);
    // Each takes four bytes at least, and so the product cannot overflow.
    if (count > bytes / 4) return std::nullopt;
  }
  return count;
}

}  // namespace

CanonicalBytes array_from_text(const ValueType& type, std::string_view text, bool by_server) {
  if (type.element == nullptr) return std::nullopt;
  return TextReader(*type.element, text, by_server).read();
}

CanonicalBytes array_from_binary(const ValueType& type, std::string_view bytes) {
  if (type.element == nullptr) return std::nullopt;
  ByteReader reader(bytes);
  const auto dimensions = read_header(type, reader);
  if (!dimensions) return std::nullopt;
  const auto count = element_count(*dimensions, reader.remaining());
  if (!count) return std::nullopt;
  Builder builder(*type.element);
  for (std::size_t i = 0; i < *count; ++i) {
    const std::int32_t length = reader.i32();
    if (!reader.ok() || length < -1) return std::nullopt;
    if (length == -1) {
      builder.add_null();
      continue;
    }
    const std::string_view element = reader.bytes(static_cast<std::size_t>(length));
    if (!reader.ok() || !builder.add(parse_binary(*type.element, element))) return std::nullopt;
  }
  if (!reader.at_end()) return std::nullopt;
  return builder.finish(*count == 0 ? std::vector<Dimension>{} : *dimensions);
}

std::optional<std::vector<MaybeValue>> array_elements(const ValueType& array, const Value& value) {
  const std::string_view bytes = value.bytes();
  if (array.family != ValueFamily::kArray || array.element == nullptr) return std::nullopt;
  const ValueFamily family = array.element->family;
  if (value.family() != ValueFamily::kArray || bytes[0] != static_cast<char>(family)) {
    return std::nullopt;
  }
  std::vector<MaybeValue> elements;
  for (std::size_t at = 1; bytes[at] != kEnd;) {
    if (bytes[at++] == kNullElement) {
      elements.push_back(MaybeValue::null());
      continue;
    }
    std::string element;
    for (; bytes[at] != kEscape || bytes[at + 1] != kElementEnd; ++at) {
      element += bytes[at];
      if (bytes[at] == kEscape) ++at;
    }
    at += 2;
    elements.push_back(MaybeValue::of(ValueCodec::make(family, std::move(element))));
  }
  return elements;
}

}  // namespace pgcache::pg
