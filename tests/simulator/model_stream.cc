// SPDX-License-Identifier: Apache-2.0
// A committed transaction as the decoder of the stream hands it on.
#include <algorithm>

#include "cdc/arena.h"
#include "simulator/model.h"

namespace pgcache::simulator {

namespace {

using cdc::Cell;
using cdc::CellKind;

Cell cell_of(cdc::Arena& arena, Number value, bool is_text) {
  if (!value) return {CellKind::kNull, {}};
  return {CellKind::kText, arena.copy(to_text(*value, is_text))};
}

std::vector<Cell> whole_row(cdc::Arena& arena, const TableSpec& table, const Row& row) {
  std::vector<Cell> cells;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    cells.push_back(cell_of(arena, row[i], table.columns[i].is_text));
  }
  return cells;
}

// The old image: everything with FULL, else the key.
std::vector<Cell> old_row(cdc::Arena& arena, const TableSpec& table, const Row& row) {
  if (table.replica_identity == 'f') return whole_row(arena, table, row);
  std::vector<Cell> cells(table.columns.size());
  cells[0] = cell_of(arena, row[0], table.columns[0].is_text);
  return cells;
}

}  // namespace

std::shared_ptr<cdc::Transaction> Origin::decode(const Tx& tx) const {
  auto data = std::make_shared<cdc::Transaction>();
  cdc::Arena arena;
  data->xid = static_cast<std::uint32_t>(tx.xid.value);
  data->overflowed = random_.one_in(40);
  const bool toasted = random_.one_in(4);
  for (const Change& change : tx.changes) {
    const auto index = static_cast<std::size_t>(change.table);
    if (published_since_[index] == 0 || change.lsn < published_since_[index]) continue;
    if (data->overflowed) {
      auto& relations = data->overflowed_relations;
      if (std::find(relations.begin(), relations.end(), forms_[index]) == relations.end()) {
        relations.push_back(forms_[index]);
      }
      continue;
    }
    const TableSpec& table = spec(change.table);
    cdc::RowChange row;
    row.kind = change.kind;
    row.relation = forms_[index];
    const bool has_old = change.kind == cdc::ChangeKind::kUpdate
                             ? table.replica_identity == 'f' || change.before[0] != change.after[0]
                             : change.kind == cdc::ChangeKind::kDelete;
    if (has_old) row.old_row = old_row(arena, table, change.before);
    if (change.kind == cdc::ChangeKind::kInsert || change.kind == cdc::ChangeKind::kUpdate) {
      row.new_row = whole_row(arena, table, change.after);
    }
    if (toasted && change.kind == cdc::ChangeKind::kUpdate && table.replica_identity == 'd' &&
        table.columns.size() == 4 && change.before[3] && change.before[3] == change.after[3]) {
      row.new_row[3] = {CellKind::kUnchangedToast, {}};
    }
    data->changes.push_back(std::move(row));
  }
  data->bytes = sizeof(cdc::Transaction) + arena.bytes() +
                data->changes.size() * (sizeof(cdc::RowChange) + 8 * sizeof(Cell));
  data->storage = arena.release();
  return data;
}

}  // namespace pgcache::simulator
