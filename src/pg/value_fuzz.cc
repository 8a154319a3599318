// SPDX-License-Identifier: Apache-2.0
// Values from any bytes. The first byte chooses the type, the second where the rest is cut into two
// values; both are read as text and as binary. Whatever is read must equal itself, and order must
// be one: equal, or one way and its reverse.
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "pg/value.h"

namespace {

using pgcache::pg::Oid;
using pgcache::pg::Value;
namespace type = pgcache::pg::type;

constexpr Oid kTypes[] = {
    type::kBool,   type::kInt2,   type::kInt4, type::kInt8,      type::kNumeric,     type::kOid,
    type::kFloat4, type::kFloat8, type::kText, type::kName,      type::kBpchar,      type::kBytea,
    type::kUuid,   type::kDate,   type::kTime, type::kTimestamp, type::kTimestamptz, type::kJson};

void check_pair(const Value& a, const Value& b) {
  const auto forth = compare(a, b);
  const auto back = compare(b, a);
  CHECK(forth && back);
  CHECK((*forth == std::strong_ordering::equal) == (a == b));
  CHECK((*forth == std::strong_ordering::less) == (*back == std::strong_ordering::greater));
  CHECK(a != b || a.hash() == b.hash());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Oid oid = kTypes[data[0] % std::size(kTypes)];
  const std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t cut = rest.empty() ? 0 : data[1] % (rest.size() + 1);
  std::vector<Value> values;
  for (const std::string_view part : {rest.substr(0, cut), rest.substr(cut)}) {
    for (auto value : {parse_text(oid, part), parse_binary(oid, part)}) {
      if (value) values.push_back(*std::move(value));
    }
  }
  for (const Value& a : values) {
    for (const Value& b : values) check_pair(a, b);
  }
  return 0;
}
