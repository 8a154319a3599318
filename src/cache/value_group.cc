// SPDX-License-Identifier: Apache-2.0
#include "cache/value_group.h"

#include <utility>

#include "base/bytes.h"

namespace pgcache::cache {

std::string group_signature(const std::vector<pg::Oid>& members,
                            const std::vector<sql::ColumnRef>& columns) {
  std::string signature;
  append_be32(signature, static_cast<std::uint32_t>(members.size()));
  for (const pg::Oid oid : members) append_be32(signature, pg::to_u32(oid));
  for (const sql::ColumnRef& column : columns) {
    append_be32(signature, static_cast<std::uint32_t>(column.name.size()));
    signature += column.name;
    append_be32(signature, pg::to_u32(column.type));
    if (!column.value_type) {
      signature += 'b';
      continue;
    }
    signature += 'v';
    append_be32(signature, pg::to_u32(column.value_type->oid));
    signature += static_cast<char>(column.value_type->family);
  }
  return signature;
}

void append_value(std::string& tuple, const pg::Value& value) {
  append_be32(tuple, static_cast<std::uint32_t>(value.bytes().size()));
  tuple += value.bytes();
}

ValueGroup::Look ValueGroup::look(const RowImage& image, std::string& tuple) const {
  tuple.clear();
  bool is_null = false;
  const auto append = [&](const sql::Operand& value) {
    if (value.known()) append_value(tuple, *value.value);
    is_null = is_null || value.state == sql::Operand::State::kNull;
    return value.state != sql::Operand::State::kUnknown;
  };
  if (expression_) {
    const sql::Operand value = sql::value_of(*expression_, &image, {});
    const bool is_other = value.known() && family_ && value.value->family() != *family_;
    if (is_other || !append(value)) return Look::kUnknown;
  }
  for (const sql::ColumnRef& column : columns_) {
    if (!append(image.look(column))) return Look::kUnknown;
  }
  return is_null ? Look::kNull : Look::kValues;
}

Bucket& IntervalGroup::at(const Interval& interval) {
  Bucket& bucket = tree_.at(interval);
  bucket.place = Bucket::Place::kInterval;
  return bucket;
}

Bucket& HashedBuckets::at(std::uint64_t hash, Bucket::Place place) {
  if (Bucket* bucket = find(hash)) return *bucket;
  auto bucket = std::make_unique<Bucket>();
  bucket->place = place;
  bucket->hash = hash;
  return buckets_.insert(hash, std::move(bucket));
}

}  // namespace pgcache::cache
