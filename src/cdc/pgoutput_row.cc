// SPDX-License-Identifier: Apache-2.0
// Relations and rows of the change stream.
#include "cdc/pgoutput_row.h"

#include <algorithm>
#include <string>
#include <utility>

namespace pgcache::cdc {

namespace {

std::optional<Cell> read_cell(ByteReader& in) {
  switch (in.u8()) {
    case 'n':
      return Cell{CellKind::kNull, {}};
    case 'u':
      return Cell{CellKind::kUnchangedToast, {}};
    case 't':
      return Cell{CellKind::kText, in.bytes(in.u32())};
    case 'b':
      return Cell{CellKind::kBinary, in.bytes(in.u32())};
    default:
      return std::nullopt;
  }
}

bool is_known(const Cell& cell) {
  return cell.kind == CellKind::kText || cell.kind == CellKind::kBinary;
}

// The tuple behind its tag 'K' or 'O'.
std::optional<std::vector<Cell>> read_old_tuple(std::uint8_t tag, ByteReader& in,
                                                const StreamRelation& relation) {
  if (tag != 'K' && tag != 'O') return std::nullopt;
  auto cells = read_tuple(in, relation);
  if (!cells || tag == 'O') return cells;
  // Columns outside the key are sent as NULL, which says nothing about the row.
  for (std::size_t i = 0; i < cells->size(); ++i) {
    if (!relation.columns[i].is_key) (*cells)[i] = Cell{};
  }
  return cells;
}

}  // namespace

std::optional<StreamRelation> read_relation(ByteReader& in) {
  constexpr std::size_t kColumnBytesMin = 1 + 1 + 4 + 4;
  StreamRelation relation;
  relation.oid = pg::Oid{in.u32()};
  relation.schema = in.cstring();
  if (relation.schema.empty()) relation.schema = "pg_catalog";
  relation.name = in.cstring();
  relation.replica_identity = static_cast<char>(in.u8());
  const std::size_t count = in.u16();
  if (!in.ok() || count > in.remaining() / kColumnBytesMin) return std::nullopt;
  relation.columns.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    StreamColumn column;
    column.is_key = (in.u8() & 1) != 0;
    column.name = in.cstring();
    column.type = pg::Oid{in.u32()};
    column.typmod = in.i32();
    relation.columns.push_back(std::move(column));
  }
  if (!in.ok()) return std::nullopt;
  return relation;
}

bool same_form(const StreamRelation& a, const StreamRelation& b) {
  const auto same_column = [](const StreamColumn& x, const StreamColumn& y) {
    return x.name == y.name && x.type == y.type && x.typmod == y.typmod && x.is_key == y.is_key;
  };
  return a.oid == b.oid && a.schema == b.schema && a.name == b.name &&
         a.replica_identity == b.replica_identity &&
         std::equal(a.columns.begin(), a.columns.end(), b.columns.begin(), b.columns.end(),
                    same_column);
}

std::optional<std::vector<Cell>> read_tuple(ByteReader& in, const StreamRelation& relation) {
  const std::size_t count = in.u16();
  if (!in.ok() || count != relation.columns.size() || count > in.remaining()) return std::nullopt;
  std::vector<Cell> cells;
  cells.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto cell = read_cell(in);
    if (!cell || !in.ok()) return std::nullopt;
    cells.push_back(*cell);
  }
  return cells;
}

std::optional<RowChange> read_row_change(ChangeKind kind, ByteReader& in,
                                         const StreamRelation& relation) {
  RowChange change;
  change.kind = kind;
  std::uint8_t tag = in.u8();
  if (kind == ChangeKind::kDelete || (kind == ChangeKind::kUpdate && tag != 'N')) {
    auto cells = read_old_tuple(tag, in, relation);
    if (!cells) return std::nullopt;
    change.old_row = *std::move(cells);
    if (kind == ChangeKind::kDelete) return change;
    tag = in.u8();
  }
  if (tag != 'N') return std::nullopt;
  auto cells = read_tuple(in, relation);
  if (!cells) return std::nullopt;
  change.new_row = *std::move(cells);
  for (std::size_t i = 0; i < change.old_row.size(); ++i) {
    Cell& cell = change.new_row[i];
    if (cell.kind == CellKind::kUnchangedToast && is_known(change.old_row[i])) {
      cell = change.old_row[i];
    }
  }
  return change;
}

}  // namespace pgcache::cdc
