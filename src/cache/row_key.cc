// SPDX-License-Identifier: Apache-2.0
#include "cache/row_key.h"

#include <algorithm>

#include "base/bytes.h"
#include "pg/value.h"

namespace pgcache::cache {

namespace {

// Types whose text in the stream is never the same for two values that differ, whatever settings
// the walsender runs under. Not those of enums, whose labels can be renamed without a change of
// rows.
constexpr pg::ValueFamily kKeyFamilies[] = {
    pg::ValueFamily::kBool,  pg::ValueFamily::kNumber,    pg::ValueFamily::kOid,
    pg::ValueFamily::kText,  pg::ValueFamily::kName,      pg::ValueFamily::kBpchar,
    pg::ValueFamily::kBytea, pg::ValueFamily::kUuid,      pg::ValueFamily::kDate,
    pg::ValueFamily::kTime,  pg::ValueFamily::kTimestamp, pg::ValueFamily::kTimestamptz,
};

// A domain writes what its base type does, and is of that for good.
bool has_plain_text(pg::Oid type, const pg::Catalog* catalog) {
  const auto family = pg::family_of(catalog ? catalog->base_type(type) : type);
  return family && std::find(std::begin(kKeyFamilies), std::end(kKeyFamilies), *family) !=
                       std::end(kKeyFamilies);
}

}  // namespace

std::vector<std::size_t> identity_positions(const cdc::StreamRelation& relation,
                                            const pg::Catalog* catalog) {
  std::vector<std::size_t> positions;
  if (relation.replica_identity != 'd' && relation.replica_identity != 'i') return positions;
  for (std::size_t i = 0; i < relation.columns.size(); ++i) {
    if (!relation.columns[i].is_key) continue;
    if (!has_plain_text(relation.columns[i].type, catalog)) return {};
    positions.push_back(i);
  }
  return positions;
}

std::optional<std::string> identity_key(const std::vector<std::size_t>& positions,
                                        const std::vector<cdc::Cell>& row) {
  std::string key;
  for (const std::size_t position : positions) {
    if (position >= row.size() || row[position].kind != cdc::CellKind::kText) return std::nullopt;
    append_be32(key, static_cast<std::uint32_t>(row[position].bytes.size()));
    key += row[position].bytes;
  }
  return key;
}

bool is_whole_row(const std::vector<cdc::Cell>& row) {
  return !row.empty() && std::none_of(row.begin(), row.end(), [](const cdc::Cell& cell) {
    return cell.kind == cdc::CellKind::kAbsent || cell.kind == cdc::CellKind::kUnchangedToast;
  });
}

}  // namespace pgcache::cache
