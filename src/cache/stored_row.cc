// SPDX-License-Identifier: Apache-2.0
#include "cache/stored_row.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"

namespace pgcache::cache {

namespace {

bool has_bytes(cdc::CellKind kind) {
  return kind == cdc::CellKind::kText || kind == cdc::CellKind::kBinary;
}

constexpr std::size_t kCellsAtOnce = 8;

// A row's cells, an unchanged TOAST value being taken from the row before where that holds it.
class Cells {
 public:
  Cells(const std::vector<cdc::Cell>& cells, const std::vector<cdc::Cell>& before)
      : cells_(cells), before_(before) {}

  std::size_t size() const {
    std::size_t bytes = cells_.size();
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (has_bytes(at(i).kind)) bytes += sizeof(std::uint32_t) + at(i).bytes.size();
    }
    return bytes;
  }

  void write(char* out) const {
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      const cdc::Cell& cell = at(i);
      *out++ = static_cast<char>(cell.kind);
      if (!has_bytes(cell.kind)) continue;
      store_be32(out, static_cast<std::uint32_t>(cell.bytes.size()));
      out = std::copy(cell.bytes.begin(), cell.bytes.end(), out + sizeof(std::uint32_t));
    }
  }

 private:
  const cdc::Cell& at(std::size_t i) const {
    static constexpr cdc::Cell kAbsent;
    const cdc::Cell& cell = cells_[i];
    if (cell.kind != cdc::CellKind::kUnchangedToast) return cell;
    return i < before_.size() ? before_[i] : kAbsent;
  }

  const std::vector<cdc::Cell>& cells_;
  const std::vector<cdc::Cell>& before_;
};

}  // namespace

std::string encode_row(const std::vector<cdc::Cell>& cells, const std::vector<cdc::Cell>& before) {
  const Cells row(cells, before);
  std::string bytes(row.size(), '\0');
  row.write(bytes.data());
  return bytes;
}

StoredRow::StoredRow(const std::vector<cdc::Cell>& cells, const std::vector<cdc::Cell>& before) {
  const Cells row(cells, before);
  const auto size = static_cast<Size>(row.size());
  auto memory = std::make_shared_for_overwrite<char[]>(sizeof size + size);
  store_be32(memory.get(), size);
  row.write(memory.get() + sizeof size);
  memory_ = std::move(memory);
}

std::vector<cdc::Cell> decode_row(std::string_view row) {
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
