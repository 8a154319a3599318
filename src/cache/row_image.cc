// SPDX-License-Identifier: Apache-2.0
#include "cache/row_image.h"

#include <atomic>
#include <utility>

#include "cache/stored_row.h"
#include "pg/value.h"

namespace pgcache::cache {

namespace {

// Types from here on are made by users: their text form need not tell two values apart.
constexpr std::uint32_t kFirstUserOid = 16384;

sql::Operand parse(const cdc::Cell& cell, const sql::ColumnRef& column) {
  using State = sql::Operand::State;
  std::optional<pg::Value> value;
  switch (cell.kind) {
    case cdc::CellKind::kNull:
      return {State::kNull, std::nullopt};
    case cdc::CellKind::kText:
      value = column.value_type ? pg::parse_server_text(*column.value_type, cell.bytes)
                                : pg::parse_text(column.type, cell.bytes);
      break;
    case cdc::CellKind::kBinary:
      value = column.value_type ? pg::parse_binary(*column.value_type, cell.bytes)
                                : pg::parse_binary(column.type, cell.bytes);
      break;
    case cdc::CellKind::kUnchangedToast:
    case cdc::CellKind::kAbsent:
      break;
  }
  if (!value) return {};
  return {State::kValue, std::move(value)};
}

// What is known of the row before an UPDATE for which the stream sent no old row: the replica
// identity did not change, else it would have sent that. (Under FULL every column is "key", and the
// old row always comes; without it nothing is known.)
RowImage::Known known_without_old_row(const cdc::StreamRelation& relation) {
  const bool has_key = relation.replica_identity == 'd' || relation.replica_identity == 'i';
  return has_key ? RowImage::Known::kKeyOnly : RowImage::Known::kNone;
}

}  // namespace

RelationForm::RelationForm(std::shared_ptr<const cdc::StreamRelation> relation)
    : relation_(std::move(relation)) {
  static std::atomic<std::uint64_t> last_number{0};
  number_ = ++last_number;
  for (std::size_t i = 0; i < relation_->columns.size(); ++i) {
    positions_.emplace(relation_->columns[i].name, i);
  }
}

std::optional<std::size_t> RelationForm::position(std::string_view column) const {
  const auto it = positions_.find(column);
  if (it == positions_.end()) return std::nullopt;
  return it->second;
}

const RelationForm& FormCache::form_of(const std::shared_ptr<const cdc::StreamRelation>& relation) {
  const auto it = forms_.find(relation->oid);
  if (it != forms_.end()) {
    if (&it->second.relation() == relation.get()) return it->second;
    forms_.erase(it);
  }
  return forms_.emplace(relation->oid, RelationForm(relation)).first->second;
}

RowImage::RowImage(const RelationForm& form, const std::vector<cdc::Cell>& cells, Known known,
                   const std::vector<cdc::Cell>* unchanged)
    : form_(form),
      cells_(cells),
      known_(known),
      unchanged_(unchanged),
      parsed_(form.relation().columns.size()) {}

cdc::Cell RowImage::cell_at(std::size_t position) const {
  const cdc::Cell& cell = cells_[position];
  if (cell.kind != cdc::CellKind::kUnchangedToast || !unchanged_) return cell;
  return position < unchanged_->size() ? (*unchanged_)[position] : cdc::Cell{};
}

const sql::Operand& RowImage::look(const sql::ColumnRef& column) const {
  static const sql::Operand kUnknownOperand;
  if (known_ == Known::kNone) {
    missed_ = true;
    return kUnknownOperand;
  }
  const std::optional<std::size_t> position = form_.position(column.name);
  if (!position || *position >= cells_.size()) return kUnknownOperand;
  const cdc::StreamColumn& stream_column = form_.relation().columns[*position];
  if (stream_column.type != column.type) return kUnknownOperand;
  const cdc::Cell cell = cell_at(*position);
  const bool is_held =
      cell.kind != cdc::CellKind::kUnchangedToast && cell.kind != cdc::CellKind::kAbsent;
  if (!is_held || (known_ == Known::kKeyOnly && !stream_column.is_key)) {
    missed_ = true;
    return kUnknownOperand;
  }
  std::optional<sql::Operand>& parsed = parsed_[*position];
  if (!parsed) parsed = parse(cell, column);
  return *parsed;
}

ChangeImages::ChangeImages(const cdc::RowChange& change, const RelationForm& form,
                           std::string_view stored, RowImage::Parsed parsed)
    : change_(change), form_(form) {
  using Known = RowImage::Known;
  if (!stored.empty()) stored_ = decode_row(stored);
  const std::vector<cdc::Cell>* before = cells_before();
  switch (change.kind) {
    case cdc::ChangeKind::kInsert:
      after_.emplace(form, change.new_row, Known::kAll);
      break;
    case cdc::ChangeKind::kUpdate:
      if (before) {
        before_.emplace(form, *before, Known::kAll);
      } else {
        before_.emplace(form, change.new_row, known_without_old_row(form.relation()));
      }
      after_.emplace(form, change.new_row, Known::kAll, before);
      break;
    case cdc::ChangeKind::kDelete:
      before_.emplace(form, before ? *before : change.old_row, Known::kAll);
      break;
    case cdc::ChangeKind::kTruncate:
      break;
  }
  if (after_ && !parsed.empty()) after_->take_over(std::move(parsed));
}

const std::vector<cdc::Cell>* ChangeImages::cells_before() const {
  if (!stored_.empty()) return &stored_;
  return change_.old_row.empty() ? nullptr : &change_.old_row;
}

ChangeImages::Keeps ChangeImages::keeps(std::string_view column) const {
  const std::optional<std::size_t> position = form_.position(column);
  return position ? keeps_at(*position) : Keeps::kPerhapsNot;
}

const ChangeImages::KeptColumns& ChangeImages::kept() const {
  if (kept_) return *kept_;
  const std::size_t count = form_.relation().columns.size();
  kept_ = {ColumnSet(count), ColumnSet(count)};
  for (std::size_t i = 0; i < count; ++i) {
    const Keeps keeps = keeps_at(i);
    if (keeps == Keeps::kYes) kept_->yes.add(i);
    if (keeps == Keeps::kPerhapsNot) kept_->perhaps_not.add(i);
  }
  return *kept_;
}

ChangeImages::Keeps ChangeImages::keeps_at(std::size_t position) const {
  if (position >= change_.new_row.size()) return Keeps::kPerhapsNot;
  const cdc::Cell& now = change_.new_row[position];
  if (now.kind == cdc::CellKind::kUnchangedToast) return Keeps::kYes;
  const cdc::StreamColumn& stream_column = form_.relation().columns[position];
  const std::vector<cdc::Cell>* before = cells_before();
  if (!before) {
    const bool has_key = known_without_old_row(form_.relation()) == RowImage::Known::kKeyOnly;
    return has_key && stream_column.is_key ? Keeps::kYes : Keeps::kUnknown;
  }
  if (position >= before->size()) return Keeps::kPerhapsNot;
  const cdc::Cell& then = (*before)[position];
  if (then.kind == cdc::CellKind::kAbsent) return Keeps::kUnknown;
  if (then.kind != now.kind) return Keeps::kPerhapsNot;
  const bool is_same = now.kind == cdc::CellKind::kNull ||
                       (pg::to_u32(stream_column.type) < kFirstUserOid && then.bytes == now.bytes);
  return is_same ? Keeps::kYes : Keeps::kPerhapsNot;
}

}  // namespace pgcache::cache
