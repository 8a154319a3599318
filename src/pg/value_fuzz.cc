// SPDX-License-Identifier: Apache-2.0
// Values from any bytes. The first byte chooses the type, the second where the rest is cut into two
// values; both are read as text and as binary. Whatever is read must equal itself, and order must
// be one: equal, or one way and its reverse. Where the canonical bytes are a form that is read,
// they must be read as the same value. Arrays must have elements that are known or NULL.
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "pg/value.h"

namespace {

using pgcache::pg::MaybeValue;
using pgcache::pg::Oid;
using pgcache::pg::Value;
using pgcache::pg::ValueFamily;
using pgcache::pg::ValueType;
using pgcache::pg::ValueTypePtr;
namespace type = pgcache::pg::type;

// The corpus counts on the order. json has no family.
constexpr Oid kBuiltIn[] = {type::kBool,        type::kInt2, type::kInt4,    type::kInt8,
                            type::kNumeric,     type::kOid,  type::kFloat4,  type::kFloat8,
                            type::kText,        type::kName, type::kBpchar,  type::kBytea,
                            type::kUuid,        type::kDate, type::kTime,    type::kTimestamp,
                            type::kTimestamptz, type::kJson, type::kTimetz,  type::kInterval,
                            type::kInet,        type::kCidr, type::kMacaddr, type::kMacaddr8,
                            type::kChar,        type::kJsonb};

std::vector<ValueType> all_types() {
  std::vector<ValueType> types;
  for (const Oid oid : kBuiltIn) {
    ValueType made;
    made.oid = oid;
    // An array without an element type, which nothing is read as.
    made.family = family_of(oid).value_or(ValueFamily::kArray);
    types.push_back(std::move(made));
  }
  ValueType mood;
  mood.oid = Oid{20000};
  mood.family = ValueFamily::kEnum;
  mood.labels = {"sad", "ok", "NULL", "a b"};
  types.push_back(mood);
  // Of each type, and of arrays of integers and of texts: as of domains over them.
  const std::size_t scalars = types.size();
  const auto array_of = [](const ValueType& element) {
    ValueType made;
    made.oid = Oid{20001};
    made.family = ValueFamily::kArray;
    made.element = std::make_shared<const ValueType>(element);
    made.declared_element = element.oid;
    return made;
  };
  for (std::size_t i = 0; i < scalars; ++i) types.push_back(array_of(types[i]));
  types.push_back(array_of(array_of(types[2])));
  types.push_back(array_of(array_of(types[8])));
  return types;
}

void check_pair(const Value& a, const Value& b) {
  const auto forth = compare(a, b);
  const auto back = compare(b, a);
  CHECK(forth && back);
  CHECK((*forth == std::strong_ordering::equal) == (a == b));
  CHECK((*forth == std::strong_ordering::less) == (*back == std::strong_ordering::greater));
  CHECK(a != b || a.hash() == b.hash());
}

std::string quoted_literal(const std::vector<MaybeValue>& texts) {
  std::string out = "{";
  for (const MaybeValue& text : texts) {
    if (out.size() > 1) out += ',';
    out += '"';
    for (const char c : text.value->bytes()) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

void check_array(const ValueType& type, const Value& value) {
  const auto elements = array_elements(type, value);
  CHECK(elements);
  bool texts = type.element->family == ValueFamily::kText;
  for (const MaybeValue& element : *elements) {
    CHECK(element.state != MaybeValue::State::kUnknown);
    CHECK(element.known() == element.value.has_value());
    CHECK(!element.known() || element.value->family() == type.element->family);
    if (element.known() && type.element->family == ValueFamily::kArray) {
      check_array(*type.element, *element.value);
    }
    texts = texts && element.known();
  }
  if (!texts) return;
  const auto flat = parse_text(type, quoted_literal(*elements));
  CHECK(flat);
  const auto again = array_elements(type, *flat);
  CHECK(again && again->size() == elements->size());
  for (std::size_t i = 0; i < again->size(); ++i) {
    CHECK((*again)[i].value == (*elements)[i].value);
  }
}

void check_value(const ValueType& type, const Value& value) {
  switch (type.family) {
    case ValueFamily::kText:
    case ValueFamily::kName:
    case ValueFamily::kBpchar:
      CHECK(parse_text(type, value.bytes()) == value);
      break;
    case ValueFamily::kBool:
    case ValueFamily::kOid:
    case ValueFamily::kBytea:
    case ValueFamily::kUuid:
    case ValueFamily::kMacaddr:
    case ValueFamily::kMacaddr8:
    case ValueFamily::kChar:
      CHECK(parse_binary(type, value.bytes()) == value);
      break;
    case ValueFamily::kArray:
      check_array(type, value);
      break;
    case ValueFamily::kNumber:
    case ValueFamily::kFloat:
    case ValueFamily::kDate:
    case ValueFamily::kTime:
    case ValueFamily::kTimestamp:
    case ValueFamily::kTimestamptz:
    case ValueFamily::kTimetz:
    case ValueFamily::kInterval:
    case ValueFamily::kIntervalParts:
    case ValueFamily::kInet:
    case ValueFamily::kJsonb:
    case ValueFamily::kEnum:
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static const std::vector<ValueType> types = all_types();
  const ValueType& type = types[data[0] % types.size()];
  const std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t cut = rest.empty() ? 0 : data[1] % (rest.size() + 1);
  std::vector<Value> values;
  for (const std::string_view part : {rest.substr(0, cut), rest.substr(cut)}) {
    for (auto value : {parse_text(type, part), parse_binary(type, part)}) {
      if (value) values.push_back(*std::move(value));
    }
  }
  for (const Value& a : values) {
    check_value(type, a);
    for (const Value& b : values) check_pair(a, b);
  }
  return 0;
}
