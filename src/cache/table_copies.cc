// SPDX-License-Identifier: Apache-2.0
#include "cache/table_copies.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "cache/row_key.h"
#include "cache/value_group.h"

namespace pgcache::cache {

namespace {

using State = sql::Operand::State;

// A row with its places, its cells and what is parsed of them.
constexpr std::uint64_t kRowOverhead = 320;
constexpr std::uint64_t kColumnOverhead = 96;

std::uint64_t bytes_of(const TableCopy::Row& row) {
  return kRowOverhead + row.cells.size() * kColumnOverhead + 2 * row.stored.bytes().size() +
         row.key.capacity();
}

bool has_same_columns(const cdc::StreamRelation& a, const cdc::StreamRelation& b) {
  return a.replica_identity == b.replica_identity &&
         std::equal(a.columns.begin(), a.columns.end(), b.columns.begin(), b.columns.end(),
                    [](const cdc::StreamColumn& l, const cdc::StreamColumn& r) {
                      return l.name == r.name && l.type == r.type && l.is_key == r.is_key;
                    });
}

std::vector<cdc::Cell> cells_of(const std::vector<std::optional<std::string>>& row) {
  std::vector<cdc::Cell> cells;
  cells.reserve(row.size());
  for (const std::optional<std::string>& text : row) {
    cells.push_back(text ? cdc::Cell{cdc::CellKind::kText, *text}
                         : cdc::Cell{cdc::CellKind::kNull, {}});
  }
  return cells;
}

}  // namespace

TableCopy::Row::Row(const RelationForm& form, std::string row_key, StoredRow row)
    : key(std::move(row_key)),
      stored(std::move(row)),
      cells(decode_row(stored.bytes())),
      image(form, cells, RowImage::Known::kAll) {}

TableCopy::TableCopy(std::shared_ptr<const cdc::StreamRelation> form, const pg::Snapshot& snapshot,
                     pg::Lsn position)
    : form_(std::move(form)), snapshot_(snapshot), position_(position) {}

std::unique_ptr<TableCopy> TableCopy::make(const cdc::TableRows& rows, const pg::Catalog* catalog,
                                           std::uint64_t bytes_max) {
  // No make_unique: the constructor is private.
  std::unique_ptr<TableCopy> copy(new TableCopy(rows.form, rows.snapshot, rows.position));
  copy->whole_rows_ = rows.form->replica_identity == 'f';
  if (!copy->whole_rows_) {
    copy->key_positions_ = identity_positions(*rows.form, catalog);
    if (copy->key_positions_.empty()) return nullptr;
  }
  for (const auto& row : rows.rows) {
    const std::vector<cdc::Cell> cells = cells_of(row);
    auto key = copy->key_of(cells);
    if (!key || !copy->add(*std::move(key), StoredRow(cells, {}))) return nullptr;
    if (copy->bytes_ > bytes_max) return nullptr;
  }
  return copy;
}

// The first form in which a change comes says what the copy's does. Another one behind it, even if
// it says the same, comes after DDL that may have rewritten the rows.
bool TableCopy::adopt(const std::shared_ptr<const cdc::StreamRelation>& form) {
  if (stream_form_) return stream_form_ == form;
  if (!has_same_columns(form_.relation(), *form)) return false;
  stream_form_ = form;
  return true;
}

std::optional<std::string> TableCopy::key_of(const std::vector<cdc::Cell>& row) const {
  if (row.size() != form_.relation().columns.size()) return std::nullopt;
  return whole_rows_ ? encode_row(row, {}) : identity_key(key_positions_, row);
}

TableCopy::Row* TableCopy::find(const std::string& key) {
  const auto [begin, end] = by_key_.equal_range(key);
  return begin == end ? nullptr : begin->second;
}

bool TableCopy::add(std::string key, StoredRow row) {
  if (!whole_rows_ && find(key) != nullptr) return false;
  auto made = std::make_unique<Row>(form_, std::move(key), std::move(row));
  made->position = rows_.size();
  bytes_ += bytes_of(*made);
  by_key_.emplace(made->key, made.get());
  for (auto& [name, index] : indexes_) index.add(*made);
  rows_.push_back(std::move(made));
  return true;
}

void TableCopy::leave(Row& row, pg::Xid xid) {
  const auto [begin, end] = by_key_.equal_range(row.key);
  by_key_.erase(std::find_if(begin, end, [&](const auto& item) { return item.second == &row; }));
  row.gone_by = xid;
  leaving_.push_back(&row);
}

void TableCopy::erase(Row& row) {
  bytes_ -= bytes_of(row);
  for (auto& [name, index] : indexes_) index.remove(row);
  const std::size_t position = row.position;
  std::swap(rows_[position], rows_.back());
  rows_[position]->position = position;
  rows_.pop_back();
}

bool TableCopy::step(const cdc::RowChange& change, pg::Xid xid, StoredRow& before) {
  if (change.kind == cdc::ChangeKind::kTruncate || !adopt(change.relation)) return false;
  Row* old = nullptr;
  if (change.kind != cdc::ChangeKind::kInsert) {
    if (whole_rows_ && change.old_row.empty()) return false;
    const auto key = key_of(change.old_row.empty() ? change.new_row : change.old_row);
    old = key ? find(*key) : nullptr;
    if (old == nullptr) return false;
    if (!is_whole_row(change.old_row)) before = old->stored;
    leave(*old, xid);
  }
  if (change.new_row.empty()) return true;
  // Where the row afterwards says of some column that it has kept its value.
  StoredRow row(change.new_row, old ? old->cells : std::vector<cdc::Cell>{});
  auto key = key_of(whole_rows_ ? decode_row(row.bytes()) : change.new_row);
  return key && add(*std::move(key), std::move(row));
}

void TableCopy::forget(const pg::Snapshot& visible) {
  for (Row* row : std::exchange(leaving_, {})) {
    if (visible.sees(row->gone_by)) {
      erase(*row);
    } else {
      leaving_.push_back(row);
    }
  }
}

// ---------------------------------------------------------------- by value

TableCopy::RowList* TableCopy::Index::list_of(const Row& row, bool make) {
  const sql::Operand& value = row.image.look(column);
  if (value.state == State::kNull) return nullptr;
  if (value.state == State::kUnknown) return &unknown;
  std::string bytes;
  append_value(bytes, *value.value);
  if (make) return &rows[bytes];
  const auto it = rows.find(bytes);
  return it == rows.end() ? nullptr : &it->second;
}

void TableCopy::Index::add(const Row& row) {
  if (RowList* list = list_of(row, true)) list->push_back(&row);
}

void TableCopy::Index::remove(const Row& row) {
  RowList* const list = list_of(row, false);
  if (list == nullptr) return;
  const auto it = std::find(list->begin(), list->end(), &row);
  if (it == list->end()) return;
  *it = list->back();
  list->pop_back();
}

TableCopy::Candidates TableCopy::with_value(const sql::ColumnRef& column, const pg::Value& value) {
  const auto [it, is_new] = indexes_.try_emplace(column.name);
  Index& index = it->second;
  if (is_new) {
    index.column = column;
    for (const auto& row : rows_) index.add(*row);
  }
  Candidates candidates;
  candidates.unknown = &index.unknown;
  std::string bytes;
  append_value(bytes, value);
  const auto found = index.rows.find(bytes);
  if (found != index.rows.end()) candidates.rows = &found->second;
  return candidates;
}

// ---------------------------------------------------------------- all tables

bool TableCopies::add(std::unique_ptr<TableCopy> copy) {
  drop(copy->relation());
  if (copy->bytes() > table_bytes_max() || bytes_ + copy->bytes() > bytes_max_) return false;
  bytes_ += copy->bytes();
  const pg::Oid relation = copy->relation();
  if (copy->is_leaving()) leaving_.push_back(relation);
  tables_.emplace(relation, std::move(copy));
  return true;
}

void TableCopies::begin(pg::Lsn applied) {
  for (const auto& [oid, copy] : tables_) copy->begin(applied);
}

StoredRow TableCopies::step(const cdc::RowChange& change, pg::Xid xid, const pg::Catalog* catalog) {
  if (tables_.empty()) return {};
  const pg::Oid relation = change.relation->oid;
  const auto it = tables_.find(relation);
  if (it == tables_.end()) {
    drop_partitions_of(relation, catalog);
    return {};
  }
  TableCopy& copy = *it->second;
  if (!copy.usable() && copy.snapshot().sees(xid)) return {};
  const std::uint64_t was = copy.bytes();
  const bool was_leaving = copy.is_leaving();
  StoredRow before;
  const bool fits = copy.step(change, xid, before);
  bytes_ += copy.bytes() - was;
  if (copy.is_leaving() && !was_leaving) leaving_.push_back(relation);
  const bool usable = copy.usable();
  if (!fits && change.kind != cdc::ChangeKind::kTruncate) doubt_ = true;
  if (!fits || copy.bytes() > table_bytes_max() || bytes_ > bytes_max_) drop(relation);
  return usable && fits ? before : StoredRow{};
}

// Under publish_via_partition_root rows of partitions change in the name of what they belong to.
void TableCopies::drop_partitions_of(pg::Oid root, const pg::Catalog* catalog) {
  const pg::Relation* const relation = catalog ? catalog->find_relation(root) : nullptr;
  if (relation == nullptr) return;
  if (relation->kind != 'p') return;
  for (const pg::Oid oid : relation->descendants) drop(oid);
}

void TableCopies::forget(const pg::Snapshot& visible) {
  for (const pg::Oid relation : std::exchange(leaving_, {})) {
    const auto it = tables_.find(relation);
    if (it == tables_.end()) continue;
    const std::uint64_t was = it->second->bytes();
    it->second->forget(visible);
    bytes_ += it->second->bytes() - was;
    if (it->second->is_leaving()) leaving_.push_back(relation);
  }
}

TableCopy* TableCopies::find(pg::Oid relation) {
  const auto it = tables_.find(relation);
  return it != tables_.end() && it->second->usable() ? it->second.get() : nullptr;
}

void TableCopies::drop(pg::Oid relation) {
  const auto it = tables_.find(relation);
  if (it == tables_.end()) return;
  bytes_ -= it->second->bytes();
  dropped_.push_back(std::move(it->second));
  tables_.erase(it);
  std::erase(leaving_, relation);
}

void TableCopies::drop_all() {
  for (auto& [oid, copy] : tables_) dropped_.push_back(std::move(copy));
  tables_.clear();
  leaving_.clear();
  bytes_ = 0;
}

void TableCopies::clear() noexcept {
  tables_.clear();
  dropped_.clear();
  leaving_.clear();
  bytes_ = 0;
}

std::uint64_t TableCopies::size() const {
  std::uint64_t size = 0;
  for (const auto& [oid, copy] : tables_) size += copy->size();
  return size;
}

}  // namespace pgcache::cache
