// SPDX-License-Identifier: Apache-2.0
#include "cache/image_store.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "pg/value.h"

namespace pgcache::cache {

namespace {

// A hash node with its links, the shared row with its control block, allocator overhead.
constexpr std::uint64_t kRowOverhead = 208;
// A row may take up this part of the budget at most.
constexpr std::uint64_t kLargestPart = 16;

// Types whose text in the stream is never the same for two values that differ, whatever settings
// the walsender runs under.
constexpr pg::ValueFamily kKeyFamilies[] = {
    pg::ValueFamily::kBool,  pg::ValueFamily::kNumber,    pg::ValueFamily::kOid,
    pg::ValueFamily::kText,  pg::ValueFamily::kName,      pg::ValueFamily::kBpchar,
    pg::ValueFamily::kBytea, pg::ValueFamily::kUuid,      pg::ValueFamily::kDate,
    pg::ValueFamily::kTime,  pg::ValueFamily::kTimestamp, pg::ValueFamily::kTimestamptz,
};

bool has_plain_text(pg::Oid type) {
  const auto family = pg::family_of(type);
  return family && std::find(std::begin(kKeyFamilies), std::end(kKeyFamilies), *family) !=
                       std::end(kKeyFamilies);
}

// Where the key's columns are; empty when rows of the relation cannot be told apart by them.
std::vector<std::size_t> key_positions(const cdc::StreamRelation& relation) {
  std::vector<std::size_t> positions;
  if (relation.replica_identity != 'd' && relation.replica_identity != 'i') return positions;
  for (std::size_t i = 0; i < relation.columns.size(); ++i) {
    if (!relation.columns[i].is_key) continue;
    if (!has_plain_text(relation.columns[i].type)) return {};
    positions.push_back(i);
  }
  return positions;
}

std::optional<std::string> key_of(const std::vector<std::size_t>& positions,
                                  const std::vector<cdc::Cell>& row) {
  std::string key;
  for (const std::size_t position : positions) {
    if (position >= row.size() || row[position].kind != cdc::CellKind::kText) return std::nullopt;
    append_be32(key, static_cast<std::uint32_t>(row[position].bytes.size()));
    key += row[position].bytes;
  }
  return key;
}

bool is_whole(const std::vector<cdc::Cell>& row) {
  return !row.empty() && std::none_of(row.begin(), row.end(), [](const cdc::Cell& cell) {
    return cell.kind == cdc::CellKind::kAbsent || cell.kind == cdc::CellKind::kUnchangedToast;
  });
}

}  // namespace

// The rows of one relation in one form, in the order of their last use.
struct ImageStore::Table {
  struct Row {
    StoredRow row;
    const std::string* key = nullptr;
    std::uint64_t bytes = 0;
    std::uint64_t last_use = 0;
    Row* newer = nullptr;
    Row* older = nullptr;
  };
  std::shared_ptr<const cdc::StreamRelation> form;
  std::vector<std::size_t> key;
  std::unordered_map<std::string, Row, StringHash, std::equal_to<>> rows;
  Row* newest = nullptr;
  Row* oldest = nullptr;
  std::uint64_t bytes = 0;

  void link(Row& row) {
    row.older = newest;
    row.newer = nullptr;
    (newest ? newest->newer : oldest) = &row;
    newest = &row;
  }
  void unlink(Row& row) {
    (row.newer ? row.newer->older : newest) = row.older;
    (row.older ? row.older->newer : oldest) = row.newer;
  }
};

ImageStore::ImageStore(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
ImageStore::~ImageStore() = default;

std::uint64_t ImageStore::size() const {
  std::uint64_t size = 0;
  for (const auto& [oid, table] : tables_) size += table->rows.size();
  return size;
}

// Null when nothing is kept of the relation (and nothing is to be).
ImageStore::Table* ImageStore::table_of(const cdc::RowChange& change, bool make) {
  const pg::Oid oid = change.relation->oid;
  auto it = tables_.find(oid);
  if (it != tables_.end() && it->second->form != change.relation) {
    drop(oid);
    it = tables_.end();
  }
  if (it != tables_.end()) return it->second.get();
  if (!make) return nullptr;
  std::vector<std::size_t> key = key_positions(*change.relation);
  if (key.empty()) return nullptr;
  auto table = std::make_unique<Table>();
  table->form = change.relation;
  table->key = std::move(key);
  return tables_.emplace(oid, std::move(table)).first->second.get();
}

StoredRow ImageStore::step(const cdc::RowChange& change, bool keep) {
  if (change.kind == cdc::ChangeKind::kTruncate) {
    drop(change.relation->oid);
    return nullptr;
  }
  Table* table = table_of(change, keep && change.kind != cdc::ChangeKind::kDelete);
  if (!table) return nullptr;
  const bool is_sent = !change.old_row.empty();
  const auto old_key =
      key_of(table->key, is_sent || change.new_row.empty() ? change.old_row : change.new_row);
  const auto new_key = change.new_row.empty() ? old_key : key_of(table->key, change.new_row);
  if (!old_key || !new_key) {
    drop(change.relation->oid);
    return nullptr;
  }
  StoredRow before = take(*table, *old_key);
  if (*new_key != *old_key) take(*table, *new_key);
  if (keep && !change.new_row.empty()) {
    const auto known = before ? decode_row(*before) : change.old_row;
    put(*table, *new_key, encode_row(change.new_row, known));
  }
  if (change.kind == cdc::ChangeKind::kInsert || is_whole(change.old_row)) return nullptr;
  return before;
}

StoredRow ImageStore::take(Table& table, const std::string& key) {
  const auto it = table.rows.find(key);
  if (it == table.rows.end()) return nullptr;
  StoredRow row = std::move(it->second.row);
  table.unlink(it->second);
  table.bytes -= it->second.bytes;
  bytes_ -= it->second.bytes;
  table.rows.erase(it);
  return row;
}

void ImageStore::put(Table& table, const std::string& key, std::string row) {
  const std::uint64_t bytes = kRowOverhead + key.size() + row.capacity();
  if (bytes > bytes_max_ / kLargestPart) return;
  const auto [it, added] = table.rows.try_emplace(key);
  CHECK(added);
  Table::Row& slot = it->second;
  slot.row = std::make_shared<const std::string>(std::move(row));
  slot.key = &it->first;
  slot.bytes = bytes;
  slot.last_use = ++uses_;
  table.link(slot);
  table.bytes += bytes;
  bytes_ += bytes;
  while (bytes_ > bytes_max_) evict();
}

void ImageStore::evict() {
  Table* from = nullptr;
  for (const auto& [oid, table] : tables_) {
    if (!table->oldest) continue;
    if (!from || table->oldest->last_use < from->oldest->last_use) from = table.get();
  }
  CHECK(from);
  const std::string key = *from->oldest->key;
  take(*from, key);
}

void ImageStore::drop(pg::Oid relation) {
  const auto it = tables_.find(relation);
  if (it == tables_.end()) return;
  bytes_ -= it->second->bytes;
  dropped_.push_back(std::move(it->second));
  tables_.erase(it);
}

void ImageStore::drop_all() {
  for (auto& [oid, table] : tables_) dropped_.push_back(std::move(table));
  tables_.clear();
  bytes_ = 0;
}

ImageStore::Remains ImageStore::take_remains() { return std::exchange(dropped_, {}); }

}  // namespace pgcache::cache
