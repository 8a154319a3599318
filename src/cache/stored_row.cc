// SPDX-License-Identifier: Apache-2.0
#include "cache/stored_row.h"

#include "base/bytes.h"
#include "base/check.h"

namespace pgcache::cache {

namespace {

bool has_bytes(cdc::CellKind kind) {
  return kind == cdc::CellKind::kText || kind == cdc::CellKind::kBinary;
}

constexpr std::size_t kCellsAtOnce = 8;

}  // namespace

std::string encode_row(const std::vector<cdc::Cell>& cells, const std::vector<cdc::Cell>& before) {
  const auto cell_at = [&](std::size_t i) {
    const cdc::Cell& cell = cells[i];
    if (cell.kind != cdc::CellKind::kUnchangedToast) return cell;
    return i < before.size() ? before[i] : cdc::Cell{};
  };
  std::size_t bytes = cells.size();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (has_bytes(cell_at(i).kind)) bytes += 4 + cell_at(i).bytes.size();
  }
  std::string row;
  row.reserve(bytes);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const cdc::Cell cell = cell_at(i);
    row += static_cast<char>(cell.kind);
    if (!has_bytes(cell.kind)) continue;
    append_be32(row, static_cast<std::uint32_t>(cell.bytes.size()));
    row += cell.bytes;
  }
  return row;
}

std::vector<cdc::Cell> decode_row(const std::string& row) {
  std::vector<cdc::Cell> cells;
  cells.reserve(kCellsAtOnce);
  ByteReader in(row);
  while (!in.at_end()) {
    cdc::Cell cell;
    cell.kind = static_cast<cdc::CellKind>(in.u8());
    if (has_bytes(cell.kind)) cell.bytes = in.bytes(in.u32());
    cells.push_back(cell);
  }
  CHECK(in.ok());
  return cells;
}

}  // namespace pgcache::cache
