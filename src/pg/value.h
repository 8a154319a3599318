// SPDX-License-Identifier: Apache-2.0
// Values of PostgreSQL's built-in types in a canonical form, so that two values that PostgreSQL
// calls equal are equal here whatever their spelling, format or integer width.
//
// A type or a spelling without a tested canonical form yields no Value at all; callers treat that
// as "unknown", which always means "may be affected". Values are plain data, safe on any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pg/ids.h"

namespace pgcache::pg {

class Catalog;

// Types whose values may be compared with each other by PostgreSQL's own = operator, exactly.
enum class ValueFamily : std::uint8_t {
  kBool,
  kNumber,  // int2, int4, int8, numeric: one exact decimal line. NaN and infinities included
  kOid,     // oid (unsigned; never mixed with kNumber here)
  kFloat,   // float4 and float8 (a float4 is widened, as PostgreSQL's float48 operators do)
  kText,    // text, varchar, "char"-free; bytewise equality (deterministic collations only)
  kName,    // name
  kBpchar,  // char(n): trailing blanks do not count
  kBytea,
  kUuid,
  kDate,
  kTime,
  kTimestamp,
  kTimestamptz,  // microseconds in UTC; text only with an explicit numeric offset
  kEnum,         // a label's place in its type, then the label
  kTimetz,       // the moment in UTC, then the zone; text only with an explicit numeric offset
  kInterval,     // one span: PostgreSQL compares with months of 30 days and days of 24 hours
  kInet,         // inet and cidr, v4 and v6
  kMacaddr,
  kMacaddr8,
  kChar,  // "char", one byte
  kJsonb,
  kArray,  // elements, then their number, dimensions and lower bounds
  // An interval as functions take and make it: months, days and microseconds apart. Equal for
  // PostgreSQL are those of one span: compared_form().
  kIntervalParts,
};

// The family of a built-in type that is no array; nothing for a type without a tested canonical
// form.
std::optional<ValueFamily> family_of(Oid type);

// How the values of one type are read: a built-in type, an enum with its labels, a domain over
// these (read as its base type), an array of any of them. Immutable; shared by what the analysis
// makes under one catalog.
struct ValueType {
  Oid oid = Oid::kInvalid;  // below domains
  ValueFamily family = ValueFamily::kBool;
  std::vector<std::string> labels;           // kEnum: in their order
  std::shared_ptr<const ValueType> element;  // of an array
  Oid declared_element = Oid::kInvalid;      // of an array: before domains are unwrapped
};
using ValueTypePtr = std::shared_ptr<const ValueType>;

// Null for a type without a tested canonical form, and for one that the catalog does not know.
ValueTypePtr value_type_of(const Catalog& catalog, Oid type);

// Whether compare() gives PostgreSQL's order of such values, given whether their collation orders
// text bytewise: of documents (jsonb), the database's own, whatever that of the expression.
bool is_ordered(const ValueType& type, bool collation_is_c);

// One non-NULL value. Equality: same family and same canonical bytes. hash() agrees with equality.
class Value {
 public:
  static Value integer(std::int64_t v);   // kNumber
  static Value text(std::string_view v);  // kText

  ValueFamily family() const { return family_; }
  // Canonical form: equal values have equal bytes (of the same family), unequal ones differ.
  const std::string& bytes() const { return bytes_; }
  std::uint64_t hash() const;
  friend bool operator==(const Value&, const Value&) = default;

 private:
  friend struct ValueCodec;
  Value(ValueFamily family, std::string bytes) : family_(family), bytes_(std::move(bytes)) {}
  ValueFamily family_;
  std::string bytes_;
};

// A value, NULL, or one that is not known (which stands for any of the others).
struct MaybeValue {
  enum class State : std::uint8_t { kValue, kNull, kUnknown };
  State state = State::kUnknown;
  std::optional<Value> value;  // engaged exactly for kValue

  static MaybeValue of(Value v) { return {State::kValue, std::move(v)}; }
  static MaybeValue null() { return {State::kNull, std::nullopt}; }
  bool known() const { return state == State::kValue; }
};

// The value by which PostgreSQL compares: of an interval's parts the span; else the value itself.
Value compared_form(const Value& value);

// PostgreSQL's order between two values of one family (NaN is the greatest number, as in
// PostgreSQL). Nothing when the families differ, those of an array's elements included. Text
// families are compared bytewise, which is PostgreSQL's order under the C collation only: the
// caller asks is_ordered().
std::optional<std::strong_ordering> compare(const Value& a, const Value& b);
// The same of values that are not ordered bytewise, where the order of text does not decide: of
// documents (jsonb) whose first difference is not between two strings. Otherwise nothing.
std::optional<std::strong_ordering> compare_without_collation(const Value& a, const Value& b);

// The text form as a client or the stream sends it (the stream is read with DateStyle ISO,
// IntervalStyle postgres and TimeZone UTC). Only spellings whose meaning does not depend on a
// setting or on the current time are understood: "2024-01-31", "2024-01-31 10:00:00.5", with "T"
// too, timestamptz and timetz with a numeric offset or Z. Spaces around numbers and booleans are
// allowed as PostgreSQL's input functions allow them. A value that the type would reject or that is
// out of its range yields nothing; nor does an array with an unquoted NULL whose elements can
// be of the text NULL, which is what a session with array_nulls off reads.
std::optional<Value> parse_text(Oid type, std::string_view text);

std::optional<Value> parse_text(const ValueType& type, std::string_view text);
// The same of what the server's output function wrote: in an array an unquoted NULL is NULL, which
// a session with array_nulls off would read otherwise.
std::optional<Value> parse_server_text(const ValueType& type, std::string_view text);

// The binary form of the wire protocol (the type's send function).
std::optional<Value> parse_binary(Oid type, std::string_view bytes);
std::optional<Value> parse_binary(const ValueType& type, std::string_view bytes);

// The elements of `value`, a value of the array type `array`, in their order (that of all
// dimensions flattened); each is a value or NULL, never unknown. Nothing when `value` is no such
// array.
std::optional<std::vector<MaybeValue>> array_elements(const ValueType& array, const Value& value);

}  // namespace pgcache::pg
