// SPDX-License-Identifier: Apache-2.0
#include "cache/image_store.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/pointer_table.h"
#include "base/prefetch.h"
#include "cache/row_key.h"

namespace pgcache::cache {

namespace {

// A row with its place in the map, the shared image with its control block, allocator overhead.
constexpr std::uint64_t kRowOverhead = 208;
// A row may take up this part of the budget at most.
constexpr std::uint64_t kLargestPart = 16;

// The row before, where the row afterwards says of some column that it has kept its value.
std::vector<cdc::Cell> values_kept(const cdc::RowChange& change, const StoredRow& before) {
  const bool keeps_some = std::any_of(
      change.new_row.begin(), change.new_row.end(),
      [](const cdc::Cell& cell) { return cell.kind == cdc::CellKind::kUnchangedToast; });
  if (!keeps_some) return {};
  return before ? decode_row(before.bytes()) : change.old_row;
}

}  // namespace

struct ImageStore::Row {
  std::string key;
  std::uint64_t hash = 0;  // of the key
  StoredRow row;
  std::uint64_t bytes = 0;
  std::uint64_t last_use = 0;
  Row* newer = nullptr;
  Row* older = nullptr;
};

// The rows of one relation in one form, in the order of their last use.
struct ImageStore::Table {
  std::shared_ptr<const cdc::StreamRelation> form;
  std::vector<std::size_t> key;
  PointerTable<Row> rows;  // by the hash of the key
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
  // Asks for what to erase the oldest row will touch; it has been asked for itself a row earlier.
  void reach_oldest() const {
    if (!oldest) return;
    rows.prefetch(oldest->hash);
    oldest->row.prefetch();
    if (oldest->newer) prefetch_all(*oldest->newer);
  }
  Row* find(std::string_view row_key) {
    return rows.find(hash_bytes(row_key), [&](const Row& row) { return row.key == row_key; });
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
ImageStore::Table* ImageStore::table_of(const cdc::RowChange& change, bool make,
                                        const pg::Catalog* catalog) {
  const pg::Oid oid = change.relation->oid;
  auto it = tables_.find(oid);
  if (it != tables_.end() && it->second->form != change.relation) {
    drop(oid);
    it = tables_.end();
  }
  if (it != tables_.end()) return it->second.get();
  if (!make) return nullptr;
  std::vector<std::size_t> key = identity_positions(*change.relation, catalog);
  if (key.empty()) return nullptr;
  auto table = std::make_unique<Table>();
  table->form = change.relation;
  table->key = std::move(key);
  return tables_.emplace(oid, std::move(table)).first->second.get();
}

StoredRow ImageStore::step(const cdc::RowChange& change, bool keep, const pg::Catalog* catalog) {
  if (change.kind == cdc::ChangeKind::kTruncate) {
    drop(change.relation->oid);
    return {};
  }
  Table* table = table_of(change, keep && change.kind != cdc::ChangeKind::kDelete, catalog);
  if (!table) return {};
  const bool is_sent = !change.old_row.empty();
  const auto old_key =
      identity_key(table->key, is_sent || change.new_row.empty() ? change.old_row : change.new_row);
  const auto new_key = change.new_row.empty() ? old_key : identity_key(table->key, change.new_row);
  if (!old_key || !new_key) {
    drop(change.relation->oid);
    return {};
  }
  // A row that keeps its key keeps its place in the table.
  Row* row = table->find(*old_key);
  StoredRow before = row ? std::move(row->row) : StoredRow{};
  if (*new_key != *old_key) {
    if (row) erase(*table, *row);
    row = table->find(*new_key);
  }
  if (keep && !change.new_row.empty()) {
    put(*table, row, *new_key, StoredRow(change.new_row, values_kept(change, before)));
  } else if (row) {
    erase(*table, *row);
  }
  if (change.kind == cdc::ChangeKind::kInsert || is_whole_row(change.old_row)) return {};
  return before;
}

std::optional<ImageStore::Approach> ImageStore::approach(const cdc::RowChange& change) const {
  const auto it = tables_.find(change.relation->oid);
  if (it == tables_.end() || it->second->form != change.relation) return std::nullopt;
  const Table& table = *it->second;
  const auto key =
      identity_key(table.key, change.old_row.empty() ? change.new_row : change.old_row);
  if (!key) return std::nullopt;
  const std::uint64_t hash = hash_bytes(*key);
  table.rows.prefetch(hash);
  return Approach(table, hash);
}

void ImageStore::Approach::go_on(int step) {
  if (step == 0) {
    row_ = table_->rows.find(hash_, [](const Row&) { return true; });
    if (row_) prefetch_all(*row_);
  } else if (row_) {
    row_->row.prefetch();
    prefetch_line(row_->newer);
    prefetch_line(row_->older);
  }
}

void ImageStore::erase(Table& table, Row& row) {
  table.unlink(row);
  table.bytes -= row.bytes;
  bytes_ -= row.bytes;
  table.rows.take(row.hash, row);
}

// `place`: what stands under the key; may be null.
void ImageStore::put(Table& table, Row* place, const std::string& key, StoredRow row) {
  const std::uint64_t bytes = kRowOverhead + key.size() + row.bytes().size();
  if (bytes > bytes_max_ / kLargestPart) {
    if (place) erase(table, *place);
    return;
  }
  if (place) {
    table.unlink(*place);
    table.bytes -= place->bytes;
    bytes_ -= place->bytes;
  } else {
    auto made = std::make_unique<Row>();
    place = made.get();
    place->key = key;
    place->hash = hash_bytes(key);
    table.rows.insert(place->hash, std::move(made));
  }
  place->row = std::move(row);
  place->bytes = bytes;
  place->last_use = ++uses_;
  table.link(*place);
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
  erase(*from, *from->oldest);
  from->reach_oldest();
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

void ImageStore::clear() noexcept {
  tables_.clear();
  dropped_.clear();
  bytes_ = 0;
}

ImageStore::Remains ImageStore::take_remains() { return std::exchange(dropped_, {}); }

}  // namespace pgcache::cache
